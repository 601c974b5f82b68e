"""What a condition can be, whatever the log holds: interval arithmetic over its tree (Moore, 1966).

Assumes nothing of metrics but that they are numbers; of functions what their sentence says: a number of things is not
negative, a chance lies between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

from postmortem.engine import syntax
from postmortem.engine.explain import write
from postmortem.engine.functions import FUNCTIONS
from postmortem.engine.syntax import Node

Interval = tuple[float, float]

_ANY: Interval = (-math.inf, math.inf)
_COORDINATES: Mapping[str, Interval] = {"epoch": (0, math.inf), "step": (0, math.inf), "progress": (0, 1)}
_SENTENCES: tuple[tuple[str, Interval], ...] = (
    ("Number of", (0, math.inf)),
    ("Share of", (0, math.inf)),
    ("Chance", (0, 1)),
    ("Absolute", (0, math.inf)),
)
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


@dataclass(frozen=True)
class Bounds:
    """What is known of the names of an expression before any log is read.

    Attributes:
        let: Named expressions.
        params: Values of parameters.
    """

    let: Mapping[str, Node]
    params: Mapping[str, float]

    def truth(self, node: Node) -> bool | None:
        """Whether a condition is the same for every log, or None."""
        match node:
            case syntax.Compare():
                return self._compared(node)
            case syntax.Negation():
                inner = self.truth(node.operand)
                return None if inner is None else not inner
            case syntax.Logic():
                return self._joined(node)
            case syntax.Name() if node.name in self.let:
                return self.truth(self.let[node.name])
        return None

    def of(self, node: Node) -> Interval:
        """Between which numbers the value of an expression lies."""
        match node:
            case syntax.Number():
                return node.value, node.value
            case syntax.Param():
                return self.params[node.name], self.params[node.name]
            case syntax.Minus():
                low, high = self.of(node.operand)
                return -high, -low
            case syntax.Arithmetic():
                return _arithmetic(node.op, self.of(node.left), self.of(node.right))
            case syntax.Name():
                return self.of(self.let[node.name]) if node.name in self.let else _COORDINATES.get(node.name, _ANY)
            case syntax.Call():
                sentence = FUNCTIONS[node.function].sentence
                return next((interval for words, interval in _SENTENCES if sentence.startswith(words)), _ANY)
        return _ANY

    def _compared(self, node: syntax.Compare) -> bool | None:
        if write(node.left) == write(node.right):
            return node.op in ("<=", ">=", "==")
        (low, high), (other_low, other_high) = self.of(node.left), self.of(node.right)
        match node.op:
            case "<":
                return True if high < other_low else False if low >= other_high else None
            case "<=":
                return True if high <= other_low else False if low > other_high else None
            case ">" | ">=":
                turned = syntax.Compare(node.start, node.end, node.right, _TURNED[node.op], node.left)
                return self._compared(turned)
        apart = high < other_low or low > other_high
        same = low == high == other_low == other_high
        return (node.op == "!=") if apart else (node.op == "==") if same else None

    def _joined(self, node: syntax.Logic) -> bool | None:
        truths = [self.truth(part) for part in node.parts]
        if node.op == "or":
            return True if True in truths else None if None in truths else False
        if False in truths or self._contradicts(node.parts):
            return False
        return None if None in truths else True

    def _contradicts(self, parts: tuple[Node, ...]) -> bool:
        """Whether parts leave no number to the same expression, as ``x > 3 and x < 2`` do."""
        allowed: dict[str, Interval] = {}
        for part in parts:
            for key, interval in self._limits(part):
                low, high = allowed.get(key, _ANY)
                allowed[key] = max(low, interval[0]), min(high, interval[1])
        return any(low > high for low, high in allowed.values())

    def _limits(self, node: Node) -> list[tuple[str, Interval]]:
        """What a comparison with a number allows its other side to be; strict limits are narrowed to the next float."""
        if not isinstance(node, syntax.Compare):
            return []
        found = []
        for side, op, other in ((node.left, node.op, node.right), (node.right, _TURNED[node.op], node.left)):
            low, high = self.of(other)
            limits = {
                "<": (-math.inf, math.nextafter(high, -math.inf)),
                "<=": (-math.inf, high),
                ">": (math.nextafter(low, math.inf), math.inf),
                ">=": (low, math.inf),
                "==": (low, high),
            }
            if op in limits:
                found.append((write(side), limits[op]))
        return found


def _arithmetic(op: str, left: Interval, right: Interval) -> Interval:
    if op == "-":
        return _arithmetic("+", left, (-right[1], -right[0]))
    if op == "+":
        return left[0] + right[0], left[1] + right[1]
    if op == "/":
        return _ANY if right[0] <= 0 <= right[1] else _arithmetic("*", left, (1 / right[1], 1 / right[0]))
    ends = [0.0 if 0 in (a, b) else a * b for a, b in product(left, right)]
    return min(ends), max(ends)
