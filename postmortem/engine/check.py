"""Types of expressions: what a writer got wrong is said when the rule is loaded, not when a log is read."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from postmortem.engine import syntax
from postmortem.engine.functions import FUNCTIONS, Function, Kind
from postmortem.engine.syntax import Node, SyntaxProblem

COORDINATES = ("epoch", "step", "progress")
"""Names every point has: its epoch, its step, and its share (0 to 1) of the logged run."""

_PLAIN: dict[Kind, str] = {
    "series": "a series",
    "window": "a window such as train.loss[50]",
    "number": "a number",
    "truth": "a truth",
    "truths": "a truth at each point",
    "text": 'a text such as "oom"',
}


@dataclass
class Checker:
    """Infers the type of an expression and collects every problem in it.

    Attributes:
        names: Types of the bound series and ``let`` names.
        params: Names of the rule's parameters.
    """

    names: Mapping[str, Kind]
    params: Mapping[str, object]
    problems: list[SyntaxProblem] = field(default_factory=list)

    def kind(self, node: Node) -> Kind:
        """The type of ``node``; after a problem, the type it should have had."""
        match node:
            case syntax.Number():
                return "number"
            case syntax.Text():
                return "text"
            case syntax.Param():
                return self._param(node)
            case syntax.Name():
                return self.names.get(node.name, "series")
            case syntax.Minus():
                return self._numeric(node.operand)
            case syntax.Arithmetic():
                return self._joined(node.left, node.right)
            case syntax.Compare():
                return "truths" if self._joined(node.left, node.right) == "series" else "truth"
            case syntax.Negation():
                return self._truth(node.operand)
            case syntax.Logic():
                kinds = [self._truth(part) for part in node.parts]
                return "truths" if "truths" in kinds else "truth"
            case syntax.Window():
                self._expect(node.series, ("series",))
                return "window"
            case syntax.Call():
                return self._call(node)
        raise AssertionError(node)

    def _say(self, message: str, node: Node, hint: str | None = None) -> None:
        self.problems.append(SyntaxProblem(message, node.start, hint))

    def _param(self, node: syntax.Param) -> Kind:
        if node.name not in self.params:
            self._say(f"there is no parameter ${node.name}", node, _nearest(node.name, self.params, "params"))
        return "number"

    def _expect(self, node: Node, kinds: tuple[Kind, ...]) -> Kind:
        kind = self.kind(node)
        if kind in kinds:
            return kind
        wanted = " or ".join(_PLAIN[k] for k in kinds)
        self._say(f"expected {wanted}, got {_PLAIN[kind]}", node, _cure(kind, kinds))
        return kinds[0]

    def _numeric(self, node: Node) -> Kind:
        return self._expect(node, ("number", "series"))

    def _joined(self, left: Node, right: Node) -> Kind:
        return "series" if "series" in (self._numeric(left), self._numeric(right)) else "number"

    def _truth(self, node: Node) -> Kind:
        return self._expect(node, ("truth", "truths"))

    def _call(self, node: syntax.Call) -> Kind:
        found = FUNCTIONS.get(node.function)
        if found is None:
            self._say(f"there is no function {node.function}()", node, _nearest(node.function, FUNCTIONS, "functions"))
            return "number"
        kinds = [self._argument(found, i, given) for i, given in enumerate(node.arguments)]
        missing = [a.name for a in found.arguments[len(kinds) :] if a.default is None]
        if missing:
            self._say(f"{found.name}() lacks {' and '.join(missing)}", node, f"write {found.signature}")
        return _returned(found, kinds)

    def _argument(self, found: Function, index: int, given: Node) -> Kind:
        if index < len(found.arguments):
            return self._expect(given, found.arguments[index].kinds)
        if index == len(found.arguments):
            self._say(f"{found.name}() takes {len(found.arguments)} arguments", given, f"write {found.signature}")
        return "number"


def _returned(found: Function, kinds: list[Kind]) -> Kind:
    if found.returns == "aggregate":
        return "series" if kinds[:1] == ["window"] else "number"
    if found.returns == "pointwise":
        return kinds[0] if kinds else "number"
    return found.returns


def _nearest(word: str, known: Mapping[str, object], what: str) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known {what}: {', '.join(sorted(known)) or 'none'}"


def _cure(got: Kind, wanted: tuple[Kind, ...]) -> str | None:
    if got == "window":
        return "put the window inside a function: median(train.loss[50])"
    if got in ("number", "series") and "truth" in wanted:
        return "compare it with something: train.loss > 3"
    if got == "series" and "number" in wanted:
        return "take one number of it: last(x), best(x), median(x)"
    return None
