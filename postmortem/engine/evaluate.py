"""Evaluates expressions over one run.

Everything is computed eagerly on arrays: a run has tens to thousands of points, where the fixed cost of a query plan
would be a hundred times that of the arithmetic. Windows are rolled by Polars.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any

import numpy as np

from postmortem.engine import syntax
from postmortem.engine.check import COORDINATES
from postmortem.engine.functions import FUNCTIONS
from postmortem.engine.syntax import Node
from postmortem.engine.values import (
    Array,
    Numbers,
    Scalar,
    Series,
    Value,
    Window,
    absent,
    align,
    arithmetic,
    compare,
    conjunction,
    disjunction,
)
from postmortem.engine.view import RunView


class Names(Mapping[str, Value]):
    """The names of one check: its bound series, and its ``let`` values, each computed when it is first asked for.

    A ``let`` name knows the bound names and those before it; what nobody asks for costs nothing.
    """

    def __init__(self, scope: Scope, let: Mapping[str, Node], known: dict[str, Value] | None = None) -> None:
        self._scope, self._let = scope, let
        self._known: dict[str, Value] = {} if known is None else known

    def __getitem__(self, name: str) -> Value:
        if name not in self._let:
            return self._scope.names[name]
        if name not in self._known:
            self._known[name] = self._before(name).evaluate(self._let[name])
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._let or name in self._scope.names

    def __iter__(self) -> Iterator[str]:
        return iter({**self._scope.names, **self._let})

    def __len__(self) -> int:
        return len({**self._scope.names, **self._let})

    def is_single(self, name: str) -> bool:
        """Whether a name stands for one value and not for a series, said without computing it."""
        if name not in self._let:
            return isinstance(self._scope.names.get(name), Scalar)
        return self._before(name).is_single(self._let[name])

    def _before(self, name: str) -> Scope:
        """The scope of a ``let`` value."""
        outer = self._scope
        before = dict(takewhile(lambda item: item[0] != name, self._let.items()))
        return Scope(outer.view, Names(outer, before, self._known), outer.params, outer.base)


@dataclass(frozen=True)
class Scope:
    """What the names of an expression stand for.

    Attributes:
        names: Bound series and ``let`` values.
        params: Values of the rule's parameters.
        base: Series whose points ``epoch``, ``step`` and ``progress`` are read at, when no metric is named.
    """

    view: RunView
    names: Mapping[str, Value]
    params: Mapping[str, float]
    base: Series | None = None

    def evaluate(self, node: Node) -> Value:
        """The value of an expression; a missing metric or fact gives a missing number with its reason."""
        return self.evaluate_at(node, node)

    def evaluate_at(self, node: Node, whole: Node) -> Value:
        """The value of a part of an expression, at the points the whole expression is evaluated at."""
        base = self._base(whole)
        value = _Evaluation(self, base).value(node)
        if node is whole or base is None or not isinstance(value, Series):
            return value
        return base.with_values(align(value, base), value.name)

    def _base(self, node: Node) -> Series | None:
        """The first series named outside functions that make one number of it, else the rule's own."""
        for name in _named(node):
            found = self.resolve(name)
            if isinstance(found, Series):
                return found
        return self.base

    def resolve(self, name: str) -> Value:
        """What a name that is no coordinate stands for."""
        if name in self.names:
            return self.names[name]
        found = self.view.find(name)
        return absent(found, name) if isinstance(found, str) else found

    def texts(self) -> dict[str, float | str | None]:
        """What templates may name: parameters, the names of series, single values and, as ``NAME_at``, their places."""
        texts: dict[str, float | str | None] = dict(self.params)
        for name, value in self.names.items():
            texts[name] = (
                value.name if isinstance(value, Series) else value.value if isinstance(value, Scalar) else None
            )
            if isinstance(value, Scalar) and value.at is not None:
                texts[f"{name}_at"] = value.at.words
        return texts

    def is_single(self, node: Node) -> bool:
        """Whether an expression has one value for the run, told before it is evaluated; False where it is not sure."""
        if isinstance(self.names, Names):
            return all(map(self.names.is_single, _pointed(node)))
        return all(isinstance(self.names.get(name), Scalar) for name in _pointed(node))

    def elsewhere(self, node: Node) -> list[tuple[RunView, Value]]:
        """The value of an expression in each sibling run, where names of series stand for its series of that name."""
        return [(view, Scope(view, self._names_in(view), self.params).evaluate(node)) for view in self.view.siblings]

    def _names_in(self, view: RunView) -> dict[str, Value]:
        names: dict[str, Value] = {}
        for name, value in self.names.items():
            found = view.find(value.name) if isinstance(value, Series) else f"{name} is a number of this run"
            names[name] = absent(found) if isinstance(found, str) else found
        return names


@lru_cache(maxsize=16384)
def _named(node: Node) -> tuple[str, ...]:
    """Names whose points an expression is evaluated at, in the order they are written."""
    if isinstance(node, syntax.Name):
        return () if node.name in COORDINATES else (node.name,)
    if isinstance(node, syntax.Call) and FUNCTIONS[node.function].returns in ("number", "truth", "text"):
        return ()
    return tuple(name for child in node.children() for name in _named(child))


@lru_cache(maxsize=16384)
def _pointed(node: Node) -> tuple[str, ...]:
    """Names, coordinates among them, that make many values of an expression if they stand for series."""
    if isinstance(node, syntax.Name):
        return (node.name,)
    names = tuple(name for child in node.children() for name in _pointed(child))
    if not isinstance(node, syntax.Call):
        return names
    returns = FUNCTIONS[node.function].returns
    if returns == "aggregate":
        return names if isinstance(node.arguments[0], syntax.Window) else ()
    return () if returns in ("number", "truth", "text") else names if returns == "pointwise" else ("a series",)


@dataclass(frozen=True)
class _Evaluation:
    scope: Scope
    base: Series | None

    def value(self, node: Node) -> Value:
        return _KINDS[type(node)](self, node)

    def _minus(self, node: syntax.Minus) -> Value:
        return self._apply([self.value(node.operand)], lambda x: -x[0])

    def _arithmetic(self, node: syntax.Arithmetic) -> Value:
        both = [self.value(node.left), self.value(node.right)]
        return self._apply(both, lambda x: arithmetic(node.op, x[0], x[1]))

    def _compare(self, node: syntax.Compare) -> Value:
        both = [self.value(node.left), self.value(node.right)]
        return self._apply(both, lambda x: compare(node.op, x[0], x[1]))

    def _negation(self, node: syntax.Negation) -> Value:
        return self._apply([self.value(node.operand)], lambda x: 1.0 - x[0])

    def _logic(self, node: syntax.Logic) -> Value:
        """Single truths are looked at only until one decides; a place is kept, be it that of a later part."""
        join, decides = (conjunction, 0.0) if node.op == "and" else (disjunction, 1.0)
        parts: list[Value] = []
        placed = decided = False
        for part in node.parts:
            found = self.value(part)
            parts.append(found)
            if isinstance(found, Scalar):
                placed, decided = placed or found.at is not None, decided or found.value == decides
                if placed and decided and all(map(self.scope.is_single, node.parts)):
                    break
        return self._apply(parts, join)

    def _window(self, node: syntax.Window) -> Value:
        series = self.value(node.series)
        return Window(series, node.size, node.unit, node.before) if isinstance(series, Series) else series

    def _name(self, name: str) -> Value:
        if name not in COORDINATES or name in self.scope.names:
            return self.scope.resolve(name)
        if self.base is None:
            return absent(f"{name} is read at the points of a metric, and none is named")
        return self.base.with_values(_coordinate(self.base, name), name)

    def _call(self, node: syntax.Call) -> Value:
        found = FUNCTIONS[node.function]
        values: list[object] = []
        for argument, given in zip(found.arguments, node.arguments, strict=False):
            if argument.elsewhere:
                values.append(self.scope.elsewhere(given))
                continue
            value = self.value(given)
            if "text" in argument.kinds and isinstance(value, Scalar):
                values.append(value.value)
            elif "number" not in argument.kinds and isinstance(value, Scalar):
                return value  # a series that is missing; its reason travels on
            else:
                values.append(value)
        values += [Scalar(argument.default) for argument in found.arguments[len(values) :]]
        if any(argument.elsewhere for argument in found.arguments):
            return found.compute(self.scope.view, *values)
        return self.scope.view.remember(
            (found.name, *map(_key, values)), values, lambda: found.compute(self.scope.view, *values)
        )

    def _apply(self, parts: list[Value], compute: Callable[[list[Numbers]], Numbers]) -> Value:
        """Applies a function to numbers, or at the points of the first series among the parts."""
        base = next((part for part in parts if isinstance(part, Series)), None)
        if base is not None:
            with np.errstate(all="ignore"):
                return base.with_values(np.asarray(compute([_numbers(part, base) for part in parts])))
        result = float(compute([_number(part) for part in parts]))
        if math.isnan(result):
            return next((p for p in parts if isinstance(p, Scalar) and p.value is None), absent("it is not a number"))
        return Scalar(result, next((p.at for p in parts if isinstance(p, Scalar) and p.at), None))


_KINDS: dict[type[Node], Callable[[_Evaluation, Any], Value]] = {
    syntax.Number: lambda _, node: Scalar(node.value),
    syntax.Text: lambda _, node: Scalar(node.value),
    syntax.Param: lambda here, node: Scalar(here.scope.params[node.name]),
    syntax.Name: lambda here, node: here._name(node.name),
    syntax.Minus: _Evaluation._minus,
    syntax.Arithmetic: _Evaluation._arithmetic,
    syntax.Compare: _Evaluation._compare,
    syntax.Negation: _Evaluation._negation,
    syntax.Logic: _Evaluation._logic,
    syntax.Window: _Evaluation._window,
    syntax.Call: _Evaluation._call,
}


def _key(value: object) -> object:
    """What tells arguments of a function apart: numbers and places by value, series by identity."""
    if isinstance(value, Window):
        return (id(value.series), value.size, value.unit, value.before)
    return id(value) if isinstance(value, Series) else value


def _numbers(part: Value, base: Series) -> Numbers:
    return align(part, base) if isinstance(part, Series) else _number(part)


def _number(part: Value) -> float:
    value = part.value if isinstance(part, Scalar) else None
    return float(value) if isinstance(value, float | int) else math.nan


def _coordinate(base: Series, name: str) -> Array:
    if name == "epoch":
        return base.epoch
    if name == "step":
        return base.step
    clock = base.step if not np.isnan(base.step).all() else np.arange(len(base), dtype=np.float64)
    return clock / max(float(np.nanmax(clock)), 1.0)
