"""What an expression says of each run: its value with its place, or where it holds and on which numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from postmortem.engine.trial import Expression, Stretch, Tried
from postmortem.engine.values import Scalar, Series
from postmortem.model import Evidence
from postmortem.report.numbers import place, plural, printed
from postmortem.report.page import columns, prose, shortened, to_text
from postmortem.report.text import clean

_STRETCHES, _NAMES, _PLACE = 8, 8, 48


def tried(expression: Expression, runs: Sequence[Tried], width: int, color: bool) -> str:
    """One block a run."""
    parts: list[RenderableType] = [Text(clean(expression.text, 500), style="bold")]
    return to_text([*parts, *(part for run in runs for part in _run(expression, run))], width, color)


def _run(expression: Expression, run: Tried) -> Iterator[RenderableType]:
    said, style = _said(expression, run)
    yield prose(Text.assemble((clean(run.run), "bold"), "  ", (said, style)))
    rows = [*map(_row, run.parts)]
    if rows:
        yield Padding(columns(rows), (0, 0, 0, 2))
    for stretch in run.stretches[:_STRETCHES]:
        yield Padding(Text(_span(stretch)), (0, 0, 0, 2))
        yield Padding(columns(map(_row, stretch.parts)), (0, 0, 0, 4))
    if len(run.stretches) > _STRETCHES:
        yield Padding(Text(f"and {len(run.stretches) - _STRETCHES} more stretches", style="dim"), (0, 0, 0, 2))
    for name, near in run.near.items():
        hint = f"did you mean {clean(near)}?" if near else f"logged are {_logged(run)}"
        yield Padding(prose(Text(f"next  {clean(name)} is not logged: {hint}", style="dim")), (0, 0, 0, 2))


def _logged(run: Tried) -> str:
    more = f" and {len(run.logged) - _NAMES} more" if len(run.logged) > _NAMES else ""
    return f"{', '.join(map(clean, run.logged[:_NAMES])) or 'no metrics'}{more}"


def summary(expression: Expression, run: Tried, *, places: bool = True) -> str:
    """What an expression says of a run, in a line; without ``places`` the file is left out."""
    said = _said(expression, run)[0]
    return said if places else said.partition(" (")[0] if isinstance(run.value, Scalar) and run.value.at else said


def _said(expression: Expression, run: Tried) -> tuple[str, str]:
    value = run.value
    if isinstance(value, Scalar):
        if value.value is None:
            remedy = f" → log {value.log_this}" if value.log_this and value.log_this not in value.missing else ""
            return clean(f"not applicable: {value.missing}{remedy}"), "yellow"
        if expression.kind in ("truth", "truths"):
            return ("holds", "green") if value.value else ("does not hold", "")
        return clean(f"{_shown(value.value)}{_place(value.evidence(''))}"), "green"
    return _said_of_points(expression, run, value) if isinstance(value, Series) else ("has no value", "yellow")


def _said_of_points(expression: Expression, run: Tried, value: Series) -> tuple[str, str]:
    if expression.kind != "truths":
        finite = value.value[np.isfinite(value.value)]
        ends = f"from {printed(finite[0])} to {printed(finite[-1])}" if len(finite) else "none of them a number"
        spread = f", between {printed(finite.min())} and {printed(finite.max())}" if len(finite) else ""
        return f"{plural(len(value), 'point')}, {ends}{spread}", "green"
    unknown = f", unknown at {run.unknown:,}" if run.unknown else ""
    held = sum(stretch.points for stretch in run.stretches)
    if not held:
        return f"holds at none of {plural(len(value), 'point')}{unknown}", "yellow" if run.unknown else ""
    count = len(run.stretches)
    apart = f", in {count:,} stretches" if count > 1 else ""
    return f"holds at {held:,} of {plural(len(value), 'point')}{unknown}{apart}", "green"


def _span(stretch: Stretch) -> str:
    first, last = (place(each.step, each.epoch) or f"line {each.line}" for each in (stretch.first, stretch.last))
    where = first if first == last else f"{first} to {last}"
    return f"{where}: {plural(stretch.points, 'point')}"


def _row(piece: Evidence) -> tuple[Text, ...]:
    at = (
        shortened(f"{clean(piece.source, 200)}:{piece.line}", _PLACE) if piece.line is not None and piece.source else ""
    )
    return (
        Text(clean(piece.name, 80)),
        Text(_shown(piece.value)),
        Text(place(piece.step, piece.epoch)),
        Text(at, "blue"),
    )


def _shown(value: float | str | None) -> str:
    return "unknown" if value is None else printed(value) if isinstance(value, (int, float)) else value


def _place(piece: Evidence) -> str:
    at = f" ({piece.source}:{piece.line})" if piece.line is not None and piece.source else ""
    where = place(piece.step, piece.epoch)
    return f"{f' at {where}' if where else ''}{at}"
