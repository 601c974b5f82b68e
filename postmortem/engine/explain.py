"""Says why a condition held, from its own syntax tree: the text of each comparison beside the numbers it had."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from postmortem.engine import syntax
from postmortem.engine.evaluate import Scope
from postmortem.engine.syntax import Node
from postmortem.engine.values import Scalar, Series


def explain(node: Node, scope: Scope, point: int | None, spans: int) -> str:
    """The comparisons of a condition with their values.

    Args:
        point: Index of the point to explain, for conditions at points.
        spans: Number of separate stretches the condition held for.
    """
    parts = [_comparison(part, scope, node, point) for part in _comparisons(node) if _held(part, scope, node, point)]
    held = f" ({spans} stretches)" if spans > 1 else ""
    return "; ".join(parts) + held


def _comparisons(node: Node) -> Iterator[syntax.Compare]:
    if isinstance(node, syntax.Compare):
        yield node
    elif isinstance(node, syntax.Logic | syntax.Negation):
        for child in node.children():
            yield from _comparisons(child)


def _held(node: syntax.Compare, scope: Scope, whole: Node, point: int | None) -> bool:
    """Whether a comparison is true there; of two alternatives only the one that held is a reason."""
    value = scope.evaluate_at(node, whole)
    if isinstance(value, Series):
        return point is not None and point < len(value) and value.value[point] == 1.0
    return isinstance(value, Scalar) and value.value == 1.0


def _comparison(node: syntax.Compare, scope: Scope, whole: Node, point: int | None) -> str:
    left, right = (_number(side, scope, whole, point) for side in (node.left, node.right))
    text = f"{write(spelled(node.left, scope))} {node.op} {write(spelled(node.right, scope))}"
    values = f"{left} {node.op} {right}"
    return text if text == values else f"{text}: {values}"


def spelled(node: Node, scope: Scope) -> Node:
    """The expression with the names of series for its variables, and numbers for its parameters."""
    if isinstance(node, syntax.Param):
        return syntax.Number(node.start, node.end, scope.params[node.name])
    if isinstance(node, syntax.Name):
        bound = scope.names.get(node.name)
        return replace(node, name=bound.name) if isinstance(bound, Series) else node
    parts: dict[str, Any] = {}
    for field in fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Node):
            parts[field.name] = spelled(value, scope)
        elif isinstance(value, tuple):
            parts[field.name] = tuple(spelled(item, scope) for item in value)
    return replace(node, **parts)


def _number(node: Node, scope: Scope, whole: Node, point: int | None) -> str:
    value = scope.evaluate_at(node, whole)
    number: float | str | None = None
    if isinstance(value, Scalar):
        number = value.value
    elif isinstance(value, Series) and point is not None and point < len(value):
        number = float(value.value[point])
    return "unknown" if number is None else f"{number:.4g}" if isinstance(number, float) else str(number)


def write(node: Node) -> str:
    """An expression as text; ``parse(write(node))`` gives the same tree but for its positions."""
    match node:
        case syntax.Number():
            return f"{node.value:.15g}"
        case syntax.Text():
            return f'"{node.value}"'
        case syntax.Param():
            return f"${node.name}"
        case syntax.Name():
            return node.name if _is_plain(node.name) else f"`{node.name}`"
        case syntax.Minus():
            return f"-{_nested(node.operand)}"
        case syntax.Negation():
            return f"not {_nested(node.operand)}"
        case syntax.Arithmetic() | syntax.Compare():
            return f"{_nested(node.left)} {node.op} {_nested(node.right)}"
        case syntax.Logic():
            return f" {node.op} ".join(_nested(part) for part in node.parts)
        case syntax.Window():
            size = f"{node.size:.15g}" + ("" if node.unit == "points" else f" {node.unit}")
            return f"{_nested(node.series)}[{size}{' before' if node.before else ''}]"
        case syntax.Call():
            return f"{node.function}({', '.join(write(argument) for argument in node.arguments)})"
    raise AssertionError(node)


def _nested(node: Node) -> str:
    simple = isinstance(node, syntax.Number | syntax.Text | syntax.Param | syntax.Name | syntax.Call)
    return write(node) if simple else f"({write(node)})"


def _is_plain(name: str) -> bool:
    try:
        return isinstance(syntax.parse(name), syntax.Name)
    except syntax.SyntaxProblem:
        return False
