"""Evaluates expressions over one run.

Everything is computed eagerly on arrays: a run has tens to thousands of points, where the fixed cost of a query plan
would be a hundred times that of the arithmetic. Windows are rolled by Polars.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from postmortem.engine import syntax
from postmortem.engine.check import COORDINATES
from postmortem.engine.functions import FUNCTIONS
from postmortem.engine.syntax import Node
from postmortem.engine.values import (
    Array,
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


@dataclass(frozen=True)
class _Evaluation:
    scope: Scope
    base: Series | None

    def value(self, node: Node) -> Value:
        match node:
            case syntax.Number():
                return Scalar(node.value)
            case syntax.Text():
                return Scalar(node.value)
            case syntax.Param():
                return Scalar(self.scope.params[node.name])
            case syntax.Name():
                return self._name(node.name)
            case syntax.Minus():
                return self._apply([self.value(node.operand)], lambda x: -x[0])
            case syntax.Arithmetic():
                return self._apply(self._both(node), lambda x: arithmetic(node.op, x[0], x[1]))
            case syntax.Compare():
                return self._apply(self._both(node), lambda x: compare(node.op, x[0], x[1]))
            case syntax.Negation():
                return self._apply([self.value(node.operand)], lambda x: 1.0 - x[0])
            case syntax.Logic():
                join = conjunction if node.op == "and" else disjunction
                return self._apply([self.value(part) for part in node.parts], join)
            case syntax.Window():
                series = self.value(node.series)
                return Window(series, node.size, node.unit, node.before) if isinstance(series, Series) else series
            case syntax.Call():
                return self._call(node)
        raise AssertionError(node)

    def _both(self, node: syntax.Arithmetic | syntax.Compare) -> list[Value]:
        return [self.value(node.left), self.value(node.right)]

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

    def _apply(self, parts: list[Value], compute: Callable[[list[Array]], Array]) -> Value:
        """Applies an array function to numbers, or at the points of the first series among the parts."""
        base = next((part for part in parts if isinstance(part, Series)), None)
        arrays = [_array(part, base) for part in parts]
        with np.errstate(all="ignore"):
            result = compute(arrays)
        if base is not None:
            return base.with_values(np.broadcast_to(result, (len(base),)).copy(), base.name)
        if np.isnan(result):
            return next((p for p in parts if isinstance(p, Scalar) and p.value is None), absent("it is not a number"))
        return Scalar(float(result), next((p.at for p in parts if isinstance(p, Scalar) and p.at), None))


def _key(value: object) -> object:
    """What tells arguments of a function apart: numbers and places by value, series by identity."""
    if isinstance(value, Window):
        return (id(value.series), value.size, value.unit, value.before)
    return id(value) if isinstance(value, Series) else value


def _array(part: Value, base: Series | None) -> Array:
    if isinstance(part, Series):
        return align(part, base) if base is not None else part.value
    value = part.value if isinstance(part, Scalar) else None
    return np.asarray(value if isinstance(value, float | int) else np.nan, dtype=np.float64)


def _coordinate(base: Series, name: str) -> Array:
    if name == "epoch":
        return base.epoch
    if name == "step":
        return base.step
    clock = base.step if not np.isnan(base.step).all() else np.arange(len(base), dtype=np.float64)
    return clock / max(float(np.nanmax(clock)), 1.0)
