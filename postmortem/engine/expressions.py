"""Texts of a YAML file that are expressions or templates: parsed and checked, every mistake with its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from postmortem.engine import syntax, template
from postmortem.engine.check import Checker
from postmortem.engine.functions import Kind
from postmortem.engine.syntax import Node, SyntaxProblem
from postmortem.errors import Problem
from postmortem.yamlfile import Document

Path = tuple[str | int, ...]
TRUTHS: tuple[Kind, ...] = ("truth", "truths")
ANY: tuple[Kind, ...] = ("number", "series", "text", "truth")

_NOTHING = syntax.Number(0, 0, 0.0)


@dataclass
class Expressions:
    """Parses the expressions of one document and collects the problems found.

    Attributes:
        document: Where the texts stand.
        params: Parameters that expressions may name.
    """

    document: Document
    params: Mapping[str, object]
    problems: list[Problem] = field(default_factory=list)

    def parse(
        self, text: str, path: Path, names: Mapping[str, Kind], want: tuple[Kind, ...] = ANY
    ) -> tuple[Node, Kind]:
        """The tree and the type of an expression; a mistake gives a problem and the type it should have had."""
        try:
            node = syntax.parse(text)
        except SyntaxProblem as error:
            self.say(path, error)
            return _NOTHING, want[0]
        checker = Checker(names, self.params)
        kind = checker.kind(node)
        for problem in checker.problems:
            self.say(path, problem)
        if kind not in want and not checker.problems:
            self.say(path, SyntaxProblem(f"expected {_words(want)}, got {_words((kind,))}", 0))
        return node, kind

    def named(
        self, texts: Mapping[str, str], path: Path, names: dict[str, Kind], want: tuple[Kind, ...] = ANY
    ) -> dict[str, Node]:
        """Parses a block of named expressions, each of which may use those before it; adds their types to ``names``."""
        nodes: dict[str, Node] = {}
        for name, text in texts.items():
            nodes[name], names[name] = self.parse(text, (*path, name), names, want)
        return nodes

    def template(self, text: str, path: Path, known: Iterable[str]) -> None:
        """Checks the ``{name}`` fields of a text."""
        brace = template.stray_brace(text)
        if brace is not None:
            self.say(path, SyntaxProblem("this brace belongs to no {name}", brace))
        allowed = sorted(known)
        for name, offset in template.fields(text):
            if name not in allowed:
                message = f"the text names {name!r}, which is neither bound, let, evidence nor a parameter"
                self.say(path, SyntaxProblem(message, offset, f"known: {', '.join(allowed)}"))

    def say(self, path: Path, error: SyntaxProblem) -> None:
        """Notes a mistake at an offset of the text at ``path``."""
        line, column, excerpt = self.document.within(path, error.offset)
        self.problems.append(Problem(error.message, self.document.source, line, column, excerpt, error.hint))


def _words(kinds: tuple[Kind, ...]) -> str:
    plain = {"truths": "a truth at each point", "truth": "a truth, such as a comparison"}
    return " or ".join(plain.get(kind, f"a {kind}") for kind in kinds)
