"""Tests of causes, written beside them: a run that has the symptom, and the verdict on each cause."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from postmortem.cases.result import CaseResult
from postmortem.cases.situation import Situation
from postmortem.engine import CompiledRule
from postmortem.engine.causes import read_causes
from postmortem.engine.judge import judge
from postmortem.engine.rule import Identifier, Strict
from postmortem.errors import PostmortemError, RuleError
from postmortem.model import Cause
from postmortem.yamlfile import Document, did_you_mean, load, validate

Verdict = Literal["supported", "contradicted", "open"]


class CauseCase(Situation):
    """One test of the causes of a symptom; causes that ``verdicts`` does not name are not looked at."""

    verdicts: Annotated[dict[Identifier, Verdict], Field(min_length=1)]


class CauseCaseFile(Strict):
    """A ``causes/<symptom>.test.yaml`` file."""

    symptom: str
    cases: Annotated[tuple[CauseCase, ...], Field(min_length=1)]


def run_file(causes: Path, path: Path, rules: Mapping[str, CompiledRule]) -> Iterator[CaseResult]:
    """Runs the tests of one file of causes.

    Args:
        rules: Every rule that may be a symptom, by id.

    Raises:
        RuleError: The causes or the test file cannot be loaded, or a case names a cause that does not exist.
    """
    rule = read_causes(causes, rules)
    document = load(path, error=RuleError)
    tests = validate(CauseCaseFile, document, RuleError)
    if tests.symptom != rule.id:
        message = f"these are tests of {tests.symptom!r}, beside causes of {rule.id!r}"
        raise RuleError(document.problem(("symptom",), message))
    for i, case in enumerate(tests.cases):
        _refuse_unknown(case, i, rule, document)
        message, line = _failure(rule, case, path.parent), document.where(("cases", i)).line
        yield CaseResult(f"causes of {rule.id}", case.name, not message, message, path, line)


def _refuse_unknown(case: CauseCase, index: int, rule: CompiledRule, document: Document) -> None:
    known = [rival.source.id for rival in rule.causes.rivals] if rule.causes else []
    for name in case.verdicts:
        if name not in known:
            hint = did_you_mean(name, known, "causes")
            at = ("cases", index, "verdicts", name)
            raise RuleError(document.problem(at, f"{rule.id} has no cause {name!r}", hint, key=True))


def _failure(rule: CompiledRule, case: CauseCase, folder: Path) -> str:
    """Why a case does not hold, or an empty text."""
    try:
        outcome = judge(rule, case.view(folder))
    except (PostmortemError, ValueError) as error:
        return str(error)
    if outcome.problems:
        return outcome.problems[0].render()
    if not outcome.findings:
        reasons = " | ".join(each.reason for each in outcome.not_applicable)
        return f"the symptom is not found: {reasons or 'clear'}"
    causes = {cause.id: cause for cause in outcome.findings[0].causes}
    wrong = [causes[name] for name, verdict in case.verdicts.items() if causes[name].verdict != verdict]
    return "; ".join(f"expected {cause.id} {case.verdicts[cause.id]}, got {_said(cause)}" for cause in wrong)


def _said(cause: Cause) -> str:
    return f"{cause.verdict} ({'; '.join(cause.because)})"
