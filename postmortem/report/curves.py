"""The curves that matter, one line each: a sparkline, where it began and ended, and its best value."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

from postmortem.model import Curve, Position
from postmortem.report.numbers import is_log, numbers, plural, position, sparkline
from postmortem.report.text import clean

_NARROWEST, _WIDEST = 8, 40
_GAP = 2
_LOG = " log"


class _Row(NamedTuple):
    name: str
    ends: str
    best: str


class Curves:
    """A table of sparklines that take the width which the numbers leave over."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self._curves = curves

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        rows = [_row(curve) for curve in self._curves]
        taken = sum(max(map(len, column)) + _GAP for column in zip(*rows, strict=True))
        marked = len(_LOG) if any(is_log(curve.values) for curve in self._curves) else 0
        width = max(_NARROWEST, min(options.max_width - taken - marked - _GAP, _WIDEST))
        table = Table.grid(padding=(0, _GAP, 0, 0))
        table.add_column(overflow="fold")
        table.add_column(style="cyan", no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(style="dim", overflow="fold")
        for curve, row in zip(self._curves, rows, strict=True):
            table.add_row(Text(row.name), _drawn(curve, width), Text(row.ends), Text(row.best))
        yield table


def _drawn(curve: Curve, width: int) -> Text:
    return Text.assemble(sparkline(curve.values, width), (_LOG if is_log(curve.values) else "", "dim"))


def _row(curve: Curve) -> _Row:
    shown = numbers([curve.first, curve.last, *([] if curve.best is None else [curve.best])])
    at = position(curve.best_at if curve.best_at.epoch is None else Position(epoch=curve.best_at.epoch))
    best = plural(curve.points, "point") if curve.best is None else f"best {shown[2]}" + (f" at {at}" if at else "")
    return _Row(clean(curve.name, 40), f"{shown[0]} → {shown[1]}", best)
