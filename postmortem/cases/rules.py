"""Tests of rules, written beside the rule: a run in a few lines, and what the rule must say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from postmortem.cases.result import CaseResult
from postmortem.cases.situation import Situation
from postmortem.engine import CompiledRule
from postmortem.engine.judge import judge
from postmortem.engine.library import read_rule
from postmortem.engine.rule import Strict
from postmortem.errors import PostmortemError, RuleError
from postmortem.model import Finding, Outcome
from postmortem.yamlfile import Document, load, validate


class Expected(Strict):
    """One finding a case expects; keys that are not given are not looked at."""

    metric: str | None = None
    first: int | None = Field(None, alias="from")
    last: int | None = Field(None, alias="to")
    says: str | None = None
    severity: str | None = None


class Case(Situation):
    """One test of a rule.

    Attributes:
        fires, silent, not_applicable: What the rule must say; exactly one of them.
    """

    fires: tuple[Expected, ...] | None = None
    silent: bool = False
    not_applicable: str | None = None


class CaseFile(Strict):
    """A ``<id>.test.yaml`` file."""

    rule: str
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]


def run_file(rule_path: Path, path: Path) -> Iterator[CaseResult]:
    """Runs the tests of one rule.

    Raises:
        RuleError: The rule or the test file cannot be loaded.
    """
    rule = read_rule(rule_path)
    document = load(path, error=RuleError)
    tests = validate(CaseFile, document, RuleError)
    if tests.rule != rule.id:
        raise RuleError(document.problem(("rule",), f"these are tests of {tests.rule!r}, beside the rule {rule.id!r}"))
    for i, case in enumerate(tests.cases):
        line = document.where(("cases", i)).line
        message = _failure(rule, case, document, i)
        yield CaseResult(rule.id, case.name, not message, message, path, line)


def _failure(rule: CompiledRule, case: Case, document: Document, index: int) -> str:
    """Why a case does not hold, or an empty text."""
    if sum((case.fires is not None, case.silent, case.not_applicable is not None)) != 1:
        raise RuleError(document.problem(("cases", index), "a case says exactly one of fires, silent, not_applicable"))
    try:
        outcome = judge(rule, case.view(Path(document.source).parent))
    except (PostmortemError, ValueError) as error:
        return str(error)
    if outcome.problems:
        return outcome.problems[0].render()
    if case.fires is not None:
        return _differs(case.fires, outcome)
    if case.silent:
        return "" if outcome.clear else f"expected silence, got {_said(outcome)}"
    reasons = " | ".join(each.reason for each in outcome.not_applicable)
    if not outcome.findings and not outcome.clear and str(case.not_applicable) in reasons:
        return ""
    return f"expected not applicable ({case.not_applicable}), got {_said(outcome)}"


def _said(outcome: Outcome) -> str:
    if outcome.findings:
        return "findings: " + " / ".join(finding.message for finding in outcome.findings)
    return "clear" if outcome.clear else "not applicable: " + " | ".join(n.reason for n in outcome.not_applicable)


def _differs(expected: Sequence[Expected], outcome: Outcome) -> str:
    if len(expected) != len(outcome.findings):
        return f"expected {len(expected)} findings, got {_said(outcome)}"
    for want, got in zip(expected, outcome.findings, strict=True):
        compared = [(what, a, b) for what, a, b in _compared(want, got) if a is not None and a != b]
        wrong = [f"{what}: expected {a!r}, got {b!r}" for what, a, b in compared]
        if want.says is not None and want.says not in got.message:
            wrong.append(f"expected the message to say {want.says!r}, it says {got.message!r}")
        if wrong:
            return "; ".join(wrong)
    return ""


def _compared(want: Expected, got: Finding) -> list[tuple[str, object, object]]:
    name = f"{got.split}.{got.metric}" if got.split else got.metric
    return [
        ("metric", want.metric, name),
        ("from", want.first, got.first.step),
        ("to", want.last, got.last.step),
        ("severity", want.severity, got.severity.value),
    ]
