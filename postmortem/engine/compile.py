"""A rule's texts to checked syntax trees; every problem of the file is found before any is raised."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from postmortem.engine import syntax, template
from postmortem.engine.check import COORDINATES, Checker
from postmortem.engine.functions import Kind
from postmortem.engine.rule import Check, Rule, parse_duration
from postmortem.engine.syntax import Node, SyntaxProblem
from postmortem.errors import Problem, RuleError
from postmortem.model import Severity
from postmortem.yamlfile import Document

Path = tuple[str | int, ...]
_TRUTHS: tuple[Kind, ...] = ("truth", "truths")
_ANY: tuple[Kind, ...] = ("number", "series", "text", "truth")


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
class CompiledRule:
    """A rule ready to judge runs.

    Attributes:
        params: Values of the parameters, overrides applied.
        severity: Conditions and severities in order; the last has no condition.
    """

    rule: Rule
    checks: tuple[CompiledCheck, ...]
    severity: tuple[tuple[Node | None, Severity], ...]
    params: Mapping[str, float]

    @property
    def id(self) -> str:
        """The rule's id."""
        return self.rule.id


def compile_rule(rule: Rule, document: Document) -> CompiledRule:
    """Parses and checks every expression and text of a rule.

    Raises:
        RuleError: With a positioned problem for each mistake.
    """
    compiler = _Compiler(rule, document)
    checks = tuple(compiler.check(check, ("checks", i)) for i, check in enumerate(rule.checks))
    severity = tuple(compiler.severity())
    if compiler.problems:
        raise RuleError(compiler.problems)
    params = {name: param.default for name, param in rule.params.items()}
    return CompiledRule(rule, checks, severity, params)


_NOTHING = syntax.Number(0, 0, 0.0)


@dataclass
class _Compiler:
    rule: Rule
    document: Document
    problems: list[Problem] = field(default_factory=list)

    def check(self, check: Check, path: Path) -> CompiledCheck:
        names: dict[str, Kind] = dict.fromkeys(check.each, "series")
        self._selectors(check, path)
        let: dict[str, Node] = {}
        for name, text in check.let.items():
            let[name], names[name] = self._expression(text, (*path, "let", name), names, _ANY)
        needs = tuple(
            CompiledNeed(
                self._expression(need.that, (*path, "needs", i, "that"), names, _TRUTHS[:1])[0],
                need.otherwise,
                need.log,
            )
            for i, need in enumerate(check.needs)
        )
        when, kind = self._expression(check.when, (*path, "when"), names, _TRUTHS)
        evidence = {
            name: self._expression(text, (*path, "evidence", name), names, _ANY)[0]
            for name, text in check.evidence.items()
        }
        self._texts(check, path, {**names, **dict.fromkeys(check.evidence, "number")})
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
            yield (self._expression(level.when, path, names, _TRUTHS[:1])[0] if level.when else None), level.level

    def _then(self, check: Check, path: Path, names: Mapping[str, Kind]) -> tuple[Node, float, str] | None:
        if check.then is None:
            return None
        node, _ = self._expression(check.then.when, (*path, "then", "when"), names, _TRUTHS)
        try:
            return node, *syntax.duration(*parse_duration(check.then.within))
        except ValueError as error:
            self.problems.append(self.document.problem((*path, "then", "within"), str(error)))
            return None

    def _optional(self, text: str | None, path: Path, names: Mapping[str, Kind]) -> Node | None:
        return self._expression(text, path, names, ("number", "text", "truth"))[0] if text is not None else None

    def _expression(
        self, text: str, path: Path, names: Mapping[str, Kind], want: tuple[Kind, ...]
    ) -> tuple[Node, Kind]:
        try:
            node = syntax.parse(text)
        except SyntaxProblem as error:
            self._say(path, error)
            return _NOTHING, want[0]
        checker = Checker(names, self.rule.params)
        kind = checker.kind(node)
        for problem in checker.problems:
            self._say(path, problem)
        if kind not in want and not checker.problems:
            checker.problems.append(SyntaxProblem(f"expected {_words(want)}, got {_words((kind,))}", 0))
            self._say(path, checker.problems[-1])
        return node, kind

    def _say(self, path: Path, error: SyntaxProblem) -> None:
        line, column, excerpt = self.document.within(path, error.offset)
        self.problems.append(Problem(error.message, self.document.source, line, column, excerpt, error.hint))

    def _selectors(self, check: Check, path: Path) -> None:
        seen: list[str] = []
        for name, selector in check.each.items():
            for key in ("like", "unlike", "with_split_of"):
                other = getattr(selector, key)
                if other is not None and other not in seen:
                    self.problems.append(
                        self.document.problem(
                            (*path, "each", name, key),
                            f"{other!r} is not bound before {name!r}",
                            f"bound so far: {', '.join(seen) or 'nothing'}",
                        )
                    )
            seen.append(name)

    def _texts(self, check: Check, path: Path, names: Mapping[str, Kind]) -> None:
        known = {*names, *self.rule.params, *COORDINATES, "points", "here", *(f"{name}_at" for name in check.let)}
        for where, text in ((("message",), check.message), *((("evidence", name), name) for name in check.evidence)):
            brace = template.stray_brace(text)
            if brace is not None:
                self._say((*path, *where), SyntaxProblem("this brace belongs to no {name}", brace))
            for name, offset in template.fields(text):
                if name not in known:
                    self._say(
                        (*path, *where),
                        SyntaxProblem(
                            f"the text names {name!r}, which is neither bound, let, evidence nor a parameter",
                            offset,
                            f"known: {', '.join(sorted(known))}",
                        ),
                    )


def _words(kinds: tuple[Kind, ...]) -> str:
    plain = {"truths": "a truth at each point", "truth": "a truth, such as a comparison"}
    return " or ".join(plain.get(kind, f"a {kind}") for kind in kinds)
