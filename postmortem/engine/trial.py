"""Tries one expression on a run: its value, or where it holds and on which numbers, or why it cannot be told."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from postmortem.engine import syntax
from postmortem.engine.check import COORDINATES, Checker
from postmortem.engine.evaluate import Scope
from postmortem.engine.explain import write
from postmortem.engine.functions import Kind
from postmortem.engine.syntax import Node, SyntaxProblem
from postmortem.engine.values import Scalar, Series, Value, stretches
from postmortem.engine.view import RunView
from postmortem.errors import Problem, RuleError
from postmortem.model import Evidence

SOURCE = "EXPR"
"""What stands for the place of an expression that was typed."""


@dataclass(frozen=True)
class Expression:
    """An expression, checked.

    Attributes:
        params: Values of the parameters it may name.
    """

    text: str
    node: Node
    kind: Kind
    params: Mapping[str, float]


@dataclass(frozen=True)
class Stretch:
    """Neighbouring points at which a condition holds: the first and the last, and what the parts are at the first."""

    first: Evidence
    last: Evidence
    points: int
    parts: tuple[Evidence, ...]


@dataclass(frozen=True)
class Tried:
    """What an expression says of one run.

    Attributes:
        value: The whole value; a missing number has its reason.
        parts: What it is computed from, as written, with values that are one for the run.
        stretches: Where a condition at points holds.
        unknown: Points at which such a condition cannot be told.
        near: Names that are not logged, with the logged one that may have been meant.
        logged: Names of the run's series.
    """

    run: str
    value: Value
    parts: tuple[Evidence, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    unknown: int = 0
    near: Mapping[str, str | None] = field(default_factory=dict)
    logged: tuple[str, ...] = ()


def read(text: str, params: Mapping[str, float]) -> Expression:
    """Parses and checks an expression.

    Raises:
        RuleError: With a caret under each mistake.
    """
    try:
        node = syntax.parse(text)
    except SyntaxProblem as error:
        raise RuleError(_at(text, error)) from None
    checker = Checker({}, params)
    kind = checker.kind(node)
    if checker.problems:
        raise RuleError([_at(text, _with_option(each)) for each in checker.problems])
    if kind == "window":
        raise RuleError(_at(text, SyntaxProblem("a window is no value", 0, "write for example median(train.loss[50])")))
    return Expression(text, node, kind, params)


def _with_option(problem: SyntaxProblem) -> SyntaxProblem:
    """A rule states its parameters; here they are given on the command line."""
    name = problem.message.partition("there is no parameter $")[2]
    return SyntaxProblem(problem.message, problem.offset, f"give it a value: -p {name}=2") if name else problem


def _at(text: str, error: SyntaxProblem) -> Problem:
    before = text[: error.offset]
    line, column = before.count("\n"), error.offset - (before.rfind("\n") + 1)
    return Problem(error.message, SOURCE, line + 1, column + 1, text.split("\n")[line], error.hint)


def tried(expression: Expression, view: RunView) -> Tried:
    """Evaluates an expression on a run."""
    scope = Scope(view, {}, expression.params)
    value = scope.evaluate(expression.node)
    parts = list(_parts(expression.node))
    single = tuple(
        Scalar(found.value, found.at).evidence(write(part))
        for part in parts
        if isinstance(found := scope.evaluate(part), Scalar) and found.value is not None
    )
    holds: tuple[Stretch, ...] = ()
    unknown = 0
    if isinstance(value, Series) and expression.kind == "truths":
        holds = tuple(_holding(value, expression.node, parts, scope))
        unknown = int(np.isnan(value.value).sum())
    logged = tuple(dict.fromkeys(series.name for series in view.series))
    return Tried(view.run.name, value, single, holds, unknown, dict(_near(expression.node, view)), logged)


def _parts(node: Node) -> Iterator[Node]:
    """The sides of comparisons that are no plain numbers, else the arguments of the outermost call."""
    if isinstance(node, syntax.Logic | syntax.Negation):
        for child in node.children():
            yield from _parts(child)
    elif isinstance(node, syntax.Compare | syntax.Arithmetic):
        yield from (side for side in (node.left, node.right) if not isinstance(side, syntax.Number))
    elif isinstance(node, syntax.Call):
        yield from (
            each for each in node.arguments if not isinstance(each, syntax.Number | syntax.Text | syntax.Window)
        )


def _near(node: Node, view: RunView) -> Iterator[tuple[str, str | None]]:
    known = {name for series in view.series for name in (series.name, series.metric, series.label)}
    for part in node.walk():
        if isinstance(part, syntax.Name) and part.name not in COORDINATES and isinstance(view.find(part.name), str):
            near = difflib.get_close_matches(part.name, sorted(known), n=1)
            yield part.name, near[0] if near else None


def _holding(truths: Series, whole: Node, parts: list[Node], scope: Scope) -> Iterator[Stretch]:
    for start, end in stretches(truths.value):
        first, last = (Scalar(None, truths.point(at)).evidence("") for at in (start, end))
        yield Stretch(first, last, end - start + 1, tuple(_there(parts, whole, scope, start)))


def _there(parts: list[Node], whole: Node, scope: Scope, at: int) -> Iterator[Evidence]:
    """What the parts that vary from point to point are at one of the points."""
    for part in parts:
        found = scope.evaluate_at(part, whole)
        if isinstance(found, Series) and at < len(found):
            yield Scalar(float(found.value[at]), found.point(at)).evidence(write(part))
