"""Text of the rule language to a syntax tree with positions. The only file that knows lark."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.resources import files
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args

MAX_LENGTH = 500
MAX_DEPTH = 50


@dataclass(frozen=True, eq=False)
class Node:
    """Any part of an expression; ``start`` and ``end`` are offsets into its text.

    Nodes are compared and hashed by identity, so what is known of one can be kept.
    """

    start: int
    end: int

    def children(self) -> Iterator[Node]:
        """The direct parts of this node, in the order they are written."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Node):
                yield value
            elif isinstance(value, tuple):
                yield from (item for item in value if isinstance(item, Node))

    def walk(self) -> Iterator[Node]:
        """This node and everything below it, in the order it is written."""
        yield self
        for child in self.children():
            yield from child.walk()


@dataclass(frozen=True, eq=False)
class Number(Node):
    """A literal number."""

    value: float


@dataclass(frozen=True, eq=False)
class Text(Node):
    """A literal text; only functions take one."""

    value: str


@dataclass(frozen=True, eq=False)
class Param(Node):
    """``$name``: a parameter of the rule."""

    name: str


@dataclass(frozen=True, eq=False)
class Name(Node):
    """A metric, a coordinate, a bound series or a ``let`` name."""

    name: str


@dataclass(frozen=True, eq=False)
class Minus(Node):
    """``-operand``."""

    operand: Node


@dataclass(frozen=True, eq=False)
class Arithmetic(Node):
    """``left op right`` with one of ``+ - * /``."""

    left: Node
    op: str
    right: Node


@dataclass(frozen=True, eq=False)
class Compare(Node):
    """``left op right`` with one of ``< <= > >= == !=``."""

    left: Node
    op: str
    right: Node


@dataclass(frozen=True, eq=False)
class Logic(Node):
    """Two or more parts joined by the same word, ``and`` or ``or``."""

    op: str
    parts: tuple[Node, ...]


@dataclass(frozen=True, eq=False)
class Negation(Node):
    """``not operand``."""

    operand: Node


@dataclass(frozen=True, eq=False)
class Window(Node):
    """``series[50]``, ``series[50 before]``, ``series[200 steps]``, ``series[2 epochs]``, ``series[30 min]``."""

    series: Node
    size: float
    unit: str  # points, steps, epochs, seconds
    before: bool  # the point itself is left out


@dataclass(frozen=True, eq=False)
class Call(Node):
    """``function(argument, ...)``."""

    function: str
    arguments: tuple[Node, ...]


class SyntaxProblem(Exception):  # noqa: N818 - it carries a problem up to the rule loader, which raises the error
    """What is wrong at which offset of an expression, and the next step."""

    def __init__(self, message: str, offset: int, hint: str | None = None) -> None:
        super().__init__(message)
        self.message, self.offset, self.hint = message, offset, hint


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """Parses one expression.

    Raises:
        SyntaxProblem: The text is no expression; carries the offset of the first character that does not fit.
    """
    if len(text) > MAX_LENGTH:
        raise SyntaxProblem(
            f"an expression has at most {MAX_LENGTH} characters, this one {len(text)}",
            MAX_LENGTH,
            "name parts of it under `let:`",
        )
    _refuse_depth(text)
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise _explain(text, error) from None
    node: Node = _Build().transform(tree)
    return node


@lru_cache(maxsize=1)
def _parser() -> Lark:
    grammar = files("postmortem.engine").joinpath("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", propagate_positions=True, maybe_placeholders=True)


def _refuse_depth(text: str) -> None:
    depth = 0
    for offset, char in enumerate(text):
        depth += (char in "([") - (char in ")]")
        if depth > MAX_DEPTH:
            raise SyntaxProblem(f"brackets are nested more than {MAX_DEPTH} deep", offset)


def _explain(text: str, error: UnexpectedInput) -> SyntaxProblem:
    if isinstance(error, UnexpectedCharacters):
        offset = error.pos_in_stream or 0
        return SyntaxProblem(f"`{text[offset]}` does not belong here", offset, _advice(text, offset))
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        offset = error.token.start_pos or 0
        return SyntaxProblem(f"`{error.token}` does not belong here", offset, _advice(text, offset))
    return SyntaxProblem("the expression ends too early", len(text), "something must follow the last word")


_MISTAKES = (
    (r"&&?", "write `and`"),
    (r"\|\|?", "write `or`"),
    (r"!(?!=)", "write `not`"),
    (r"=(?!=)", "compare with `==`"),
    (r"'", 'texts stand in double quotes: "oom"'),
    (r"\*|\^", "there is no power; write log(x) or x * x"),
    (r"[<>]", "comparisons are not chained: write `a < b and b < c`"),
    (r"[A-Za-z_$]", "an operator (and, or, +, <, ...) is missing before this word"),
    (r"[/\-+:]", "a metric name with other characters stands in backticks: `grad_norm/layer.0`"),
)


def _advice(text: str, offset: int) -> str | None:
    return next((advice for pattern, advice in _MISTAKES if re.match(pattern, text[offset:])), None)


_UNITS = {
    "point": "points",
    "step": "steps",
    "epoch": "epochs",
    "second": "seconds",
    "min": "minutes",
    "minute": "minutes",
    "hour": "hours",
}
_SECONDS = {"minutes": 60.0, "hours": 3600.0}


def duration(size: float, unit: str | None) -> tuple[float, str]:
    """A window's size and unit with plural units and times in seconds; no unit means points."""
    plural = _UNITS.get(unit or "point", unit or "points")
    return (size * _SECONDS[plural], "seconds") if plural in _SECONDS else (size, plural)


@v_args(meta=True)
class _Build(Transformer[Token, Any]):
    """lark's tree to ours."""

    def number(self, meta: Any, items: list[Any]) -> Node:
        return Number(*_span(meta), float(items[0]))

    def text(self, meta: Any, items: list[Any]) -> Node:
        return Text(*_span(meta), str(items[0])[1:-1])

    def param(self, meta: Any, items: list[Any]) -> Node:
        return Param(*_span(meta), str(items[0])[1:])

    def name(self, meta: Any, items: list[Any]) -> Node:
        return Name(*_span(meta), str(items[0]))

    def quoted(self, meta: Any, items: list[Any]) -> Node:
        return Name(*_span(meta), str(items[0])[1:-1])

    def minus(self, meta: Any, items: list[Any]) -> Node:
        return Minus(*_span(meta), items[1])

    def negation(self, meta: Any, items: list[Any]) -> Node:
        return Negation(*_span(meta), items[0])

    def sum_(self, _meta: Any, items: list[Any]) -> Node:
        return _left_to_right(items)

    product = sum_

    def comparison(self, meta: Any, items: list[Any]) -> Node:
        return Compare(*_span(meta), items[0], str(items[1]), items[2])

    def and_(self, meta: Any, items: list[Any]) -> Node:
        return Logic(*_span(meta), "and", tuple(items))

    def or_(self, meta: Any, items: list[Any]) -> Node:
        return Logic(*_span(meta), "or", tuple(items))

    def window(self, meta: Any, items: list[Any]) -> Node:
        series, size, unit, before = items
        return Window(*_span(meta), series, *duration(float(size), str(unit) if unit else None), before is not None)

    def call(self, meta: Any, items: list[Any]) -> Node:
        return Call(*_span(meta), str(items[0]), tuple(item for item in items[1:] if item is not None))


def _span(meta: Any) -> tuple[int, int]:
    return meta.start_pos, meta.end_pos


def _left_to_right(items: list[Any]) -> Node:
    node: Node = items[0]
    for op, right in zip(items[1::2], items[2::2], strict=True):
        node = Arithmetic(node.start, right.end, node, str(op), right)
    return node
