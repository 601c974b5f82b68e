"""Rival causes: finds their files, checks them against the rule they explain, and attaches them to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from postmortem.engine.check import Checker
from postmortem.engine.compile import CompiledCause, CompiledCauses, CompiledCheck, CompiledRule
from postmortem.engine.expressions import TRUTHS, Expressions
from postmortem.engine.functions import Kind
from postmortem.engine.rivals import CauseFile, RivalCause
from postmortem.errors import PostmortemError, Problem, RuleError
from postmortem.yamlfile import Document, did_you_mean, load, validate

FOLDER = "causes"
PLACES = ("begins", "ends")
"""Names for the first and last place of the finding; their value is the step there, else the epoch, else 0."""


def cause_files(paths: Iterable[Path], tests: str) -> list[Path]:
    """Files of causes among and under the paths, sorted: YAML in a folder called ``causes``, tests left out."""
    inside = (p for path in paths for p in (sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]))
    return [p for p in inside if p.parent.name == FOLDER and not p.name.endswith(tests)]


def with_causes(rules: Mapping[str, CompiledRule], files: Sequence[Path]) -> tuple[list[CompiledRule], list[Problem]]:
    """The rules that the files speak of, with their causes attached, and the problems of all files.

    Args:
        rules: Every rule that may be a symptom, by id.
    """
    explained: dict[str, CompiledRule] = {}
    problems: list[Problem] = []
    for path in files:
        try:
            rule = read_causes(path, rules)
        except PostmortemError as error:
            problems += error.problems
            continue
        explained[rule.id] = rule
    return list(explained.values()), problems


def read_causes(path: Path, rules: Mapping[str, CompiledRule]) -> CompiledRule:
    """The rule that a file of causes explains, with the causes attached.

    Raises:
        RuleError: With every problem of the file.
    """
    document = load(path, error=RuleError)
    file = validate(CauseFile, document, RuleError)
    if file.symptom not in rules:
        hint = did_you_mean(file.symptom, sorted(rules), "symptoms")
        raise RuleError(document.problem(("symptom",), f"there is no rule {file.symptom!r}", hint))
    if file.symptom != path.name.partition(".")[0]:
        hint = f"rename the file to {file.symptom}.yaml"
        raise RuleError(
            document.problem(("symptom",), f"the symptom {file.symptom!r} differs from the file name", hint)
        )
    rule = rules[file.symptom]
    return replace(rule, causes=_compiled(file, document, rule))


def _compiled(file: CauseFile, document: Document, rule: CompiledRule) -> CompiledCauses:
    texts = Expressions(document, rule.params)
    own = _names(rule)
    names: dict[str, Kind] = {**own, **dict.fromkeys(file.beside, "series")}
    let = texts.named(file.let, ("let",), names)
    rivals = tuple(_cause(cause, i, texts, names) for i, cause in enumerate(file.causes))
    problems = [*texts.problems, *_told_apart(file, document)]
    if problems:
        raise RuleError(problems)
    return CompiledCauses(tuple(own), file.beside, let, rivals)


def _names(rule: CompiledRule) -> dict[str, Kind]:
    """Types of what findings of the rule know: their series, their places, and what its checks name."""
    names: dict[str, Kind] = {}
    for check in rule.checks:
        names |= _bound(check, rule)
    return {**names, "it": "series", **dict.fromkeys(PLACES, "number")}


def _bound(check: CompiledCheck, rule: CompiledRule) -> dict[str, Kind]:
    names: dict[str, Kind] = dict.fromkeys(check.source.each, "series")
    for name, node in check.let.items():
        names[name] = Checker(names, rule.params).kind(node)
    return names


def _cause(cause: RivalCause, index: int, texts: Expressions, names: Mapping[str, Kind]) -> CompiledCause:
    known = [*names, *texts.params, *(f"{name}_at" for name in names)]
    parsed = {}
    for key in ("predicts", "excluded_by"):
        path = ("causes", index, key)
        parsed[key] = tuple(
            texts.parse(clue.when, (*path, i, "when"), names, TRUTHS[:1])[0]
            for i, clue in enumerate(getattr(cause, key))
        )
        for i, clue in enumerate(getattr(cause, key)):
            texts.template(clue.says, (*path, i, "says"), known)
    return CompiledCause(cause, **parsed)


def _told_apart(file: CauseFile, document: Document) -> Iterator[Problem]:
    """Causes that could never be supported, as a rival predicts all that they do; and ids used twice."""
    told = [{" ".join(each.when.split()) for each in cause.predicts} for cause in file.causes]
    for i, cause in enumerate(file.causes):
        if cause.id in [other.id for other in file.causes[:i]]:
            yield document.problem(("causes", i, "id"), f"the id {cause.id!r} is used twice")
        shadow = next(
            (o.id for o, theirs in zip(file.causes, told, strict=True) if o is not cause and told[i] <= theirs), None
        )
        if shadow:
            message = f"nothing that {cause.id} predicts tells it from {shadow}"
            yield document.problem(("causes", i, "predicts"), message, "add what only this cause predicts")
