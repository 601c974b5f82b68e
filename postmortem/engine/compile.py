"""A rule's texts to checked syntax trees; every problem of the file is found before any is raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postmortem.engine import syntax
from postmortem.engine.check import COORDINATES
from postmortem.engine.expressions import TRUTHS, Expressions, Path
from postmortem.engine.functions import Kind
from postmortem.engine.rivals import RivalCause
from postmortem.engine.rule import Check, Need, Rule, Selector, parse_duration
from postmortem.engine.syntax import Node
from postmortem.errors import RuleError
from postmortem.model import Severity
from postmortem.yamlfile import Document


@dataclass(frozen=True)
class CompiledNeed:
    """A condition without which a check is not applicable."""

    that: Node
    otherwise: str
    log: str | None


@dataclass(frozen=True)
class CompiledCheck:
    """A check with its expressions parsed; names as in ``Check``.

    Attributes:
        pointwise: Whether the condition is a truth at each point.
    """

    source: Check
    let: Mapping[str, Node]
    needs: tuple[CompiledNeed, ...]
    when: Node
    pointwise: bool
    then: tuple[Node, float, str] | None
    begins: Node | None
    ends: Node | None
    evidence: Mapping[str, Node]


@dataclass(frozen=True)
class CompiledCause:
    """A rival cause with the conditions of its predictions and of its exclusions parsed, in the order written."""

    source: RivalCause
    predicts: tuple[Node, ...]
    excluded_by: tuple[Node, ...]


@dataclass(frozen=True)
class CompiledCauses:
    """The rival causes of one symptom; ``beside`` and ``let`` are evaluated beside the names of the finding.

    Attributes:
        names: Names that some check of the rule binds; a finding of another check lacks them.
    """

    names: tuple[str, ...]
    beside: Mapping[str, Selector]
    let: Mapping[str, Node]
    rivals: tuple[CompiledCause, ...]


@dataclass(frozen=True)
class CompiledRule:
    """A rule ready to judge runs.

    Attributes:
        params: Values of the parameters, overrides applied.
        severity: Conditions and severities in order; the last has no condition.
        causes: What may lie behind a finding of the rule, or None where nobody has said.
    """

    rule: Rule
    checks: tuple[CompiledCheck, ...]
    severity: tuple[tuple[Node | None, Severity], ...]
    params: Mapping[str, float]
    causes: CompiledCauses | None = None

    @property
    def id(self) -> str:
        """The rule's id."""
        return self.rule.id


def compile_rule(rule: Rule, document: Document) -> CompiledRule:
    """Parses and checks every expression and text of a rule.

    Raises:
        RuleError: With a positioned problem for each mistake.
    """
    compiler = _Compiler(rule, Expressions(document, rule.params))
    checks = tuple(compiler.check(check, ("checks", i)) for i, check in enumerate(rule.checks))
    severity = tuple(compiler.severity())
    if compiler.texts.problems:
        raise RuleError(compiler.texts.problems)
    params = {name: param.default for name, param in rule.params.items()}
    return CompiledRule(rule, checks, severity, params)


@dataclass
class _Compiler:
    rule: Rule
    texts: Expressions

    def check(self, check: Check, path: Path) -> CompiledCheck:
        names: dict[str, Kind] = dict.fromkeys(check.each, "series")
        self._selectors(check, path)
        let = self.texts.named(check.let, (*path, "let"), names)
        needs = tuple(self._need(need, (*path, "needs", i), names) for i, need in enumerate(check.needs))
        when, kind = self.texts.parse(check.when, (*path, "when"), names, TRUTHS)
        evidence = {
            name: self.texts.parse(text, (*path, "evidence", name), names)[0] for name, text in check.evidence.items()
        }
        self._templates(check, path, names)
        return CompiledCheck(
            check,
            let,
            needs,
            when,
            kind == "truths",
            self._then(check, path, names),
            self._optional(check.begins, (*path, "from"), names),
            self._optional(check.ends, (*path, "to"), names),
            evidence,
        )

    def severity(self) -> Iterator[tuple[Node | None, Severity]]:
        names: dict[str, Kind] = {}
        for check in self.rule.checks:
            names.update(dict.fromkeys(check.each, "series"))
            names.update(dict.fromkeys(check.let, "number"))
        for i, level in enumerate(self.rule.severity):
            path: Path = ("severity", i, "when")
            yield (self.texts.parse(level.when, path, names, TRUTHS[:1])[0] if level.when else None), level.level

    def _need(self, need: Need, path: Path, names: Mapping[str, Kind]) -> CompiledNeed:
        return CompiledNeed(
            self.texts.parse(need.that, (*path, "that"), names, TRUTHS[:1])[0], need.otherwise, need.log
        )

    def _then(self, check: Check, path: Path, names: Mapping[str, Kind]) -> tuple[Node, float, str] | None:
        if check.then is None:
            return None
        node, _ = self.texts.parse(check.then.when, (*path, "then", "when"), names, TRUTHS)
        try:
            return node, *syntax.duration(*parse_duration(check.then.within))
        except ValueError as error:
            self.texts.problems.append(self.texts.document.problem((*path, "then", "within"), str(error)))
            return None

    def _optional(self, text: str | None, path: Path, names: Mapping[str, Kind]) -> Node | None:
        return self.texts.parse(text, path, names, ("number", "text", "truth"))[0] if text is not None else None

    def _selectors(self, check: Check, path: Path) -> None:
        seen: list[str] = []
        for name, selector in check.each.items():
            for key in ("like", "unlike", "with_split_of"):
                other = getattr(selector, key)
                if other is not None and other not in seen:
                    self.texts.problems.append(
                        self.texts.document.problem(
                            (*path, "each", name, key),
                            f"{other!r} is not bound before {name!r}",
                            f"bound so far: {', '.join(seen) or 'nothing'}",
                        )
                    )
            seen.append(name)

    def _templates(self, check: Check, path: Path, names: Mapping[str, Kind]) -> None:
        places = (f"{name}_at" for name in check.let)
        known = {*names, *check.evidence, *self.rule.params, *COORDINATES, "points", "here", *places}
        for where, text in ((("message",), check.message), *((("evidence", name), name) for name in check.evidence)):
            self.texts.template(text, (*path, *where), known)
