"""When a run had done how much: every timed record that tells its progress, on one line.

A log tells progress in several voices: batches by their step, the heading that opens an epoch, the summary that closes
it. Each alone leaves gaps; together they say what the time between two records was spent on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from postmortem.engine.values import Array, Series
from postmortem.engine.view import Event, RunView

_HELD_OUT = ("val", "test", "eval_train")


@dataclass(frozen=True)
class Timeline:
    """Timed records in log order.

    Attributes:
        marks: Value is the progress in ``unit``; times are there throughout.
        crosses: Whether something besides training (an evaluation, a checkpoint) was logged since the mark before.
        unit: step, epoch or record.
    """

    marks: Series
    crosses: NDArray[np.bool_]
    unit: str


class _Mark(NamedTuple):
    key: int  # twice the record's rank; events lie between records
    progress: float
    seconds: float
    step: float
    epoch: float
    line: int
    source: int
    closes: bool


def timeline(view: RunView, steps_per_epoch: float | None) -> Timeline | None:
    """The timeline of a run; None with fewer than three timed records."""
    timed = [s for s in view.series if len(s) and not np.isnan(s.seconds).all()]
    if not timed:
        return None
    stepped = [s.take(np.flatnonzero(~np.isnan(s.step))) for s in timed if s.split not in _HELD_OUT]
    stepped = [s for s in stepped if len(s)]
    lead = max(stepped or timed, key=len)
    marks, unit = _of_steps(view, lead, steps_per_epoch) if stepped else _of_epochs(view, lead)
    marks = sorted(marks, key=lambda mark: mark.key)
    return _joined(marks, lead, _others(timed, view), unit) if len(marks) > 2 else None


def _of_steps(view: RunView, lead: Series, per_epoch: float | None) -> tuple[list[_Mark], str]:
    marks = _marks(lead, lead.step)
    if per_epoch is None or np.isnan(lead.epoch).any():
        return marks, "step"
    base = _base(view, lead)
    starts = [_start(event, epoch, (epoch - base) * per_epoch, lead) for event, epoch in _openings(view)]
    return [*marks, *starts, *_closings(view, lead, base, per_epoch)], "step"


def _of_epochs(view: RunView, lead: Series) -> tuple[list[_Mark], str]:
    if np.isnan(lead.epoch).any() or len(np.unique(lead.epoch)) < 2:
        return _marks(lead, np.arange(len(lead), dtype=np.float64)), "record"
    base = _base(view, lead)
    marks = _marks(lead, lead.epoch - base + 1)
    starts = [_start(event, epoch, epoch - base, lead) for event, epoch in _openings(view)]
    return [*marks, *starts], "epoch"


def _marks(series: Series, progress: Array, *, closes: bool = False) -> list[_Mark]:
    keep = ~(np.isnan(progress) | np.isnan(series.seconds))
    columns = (series.order * 2, progress, series.seconds, series.step, series.epoch, series.line, series.source)
    rows: list[tuple[Any, ...]] = list(zip(*(column[keep].tolist() for column in columns), strict=True))
    return [_Mark._make((*row, closes)) for row in rows]


def _openings(view: RunView) -> list[tuple[Event, float]]:
    """Timed headings that open an epoch, and the epoch."""
    timed = [event for event in view.events if event.kind == "epoch" and event.at.time]
    return [(event, event.at.epoch) for event in timed if event.at.epoch is not None]


def _start(event: Event, epoch: float, progress: float, lead: Series) -> _Mark:
    at = event.at
    source = lead.sources.index(at.source) if at.source in lead.sources else 0
    seconds = at.time.timestamp() if at.time else np.nan
    return _Mark(event.order * 2 + 1, progress, seconds, np.nan, epoch, at.line or 0, source, False)


def _closings(view: RunView, lead: Series, base: float, per_epoch: float) -> list[_Mark]:
    """The first record without a step after the last batch of each epoch: the summary that closes its training."""
    summaries = [s for s in view.series if s.split not in _HELD_OUT and np.isnan(s.step).all()]
    marks = [mark for s in summaries for mark in _marks(s, (s.epoch - base + 1) * per_epoch, closes=True)]
    if not marks:
        return []
    last = {epoch: 2 * order for epoch, order in zip(lead.epoch.tolist(), lead.order.tolist(), strict=True)}
    first: dict[float, _Mark] = {}
    for mark in sorted(marks):
        if mark.key > last.get(mark.epoch, np.inf):
            first.setdefault(mark.epoch, mark)
    return list(first.values())


def _base(view: RunView, lead: Series) -> float:
    numbers = [epoch for _, epoch in _openings(view)]
    return 1.0 if min([float(np.nanmin(lead.epoch)), *numbers]) >= 1 else 0.0


def _others(timed: list[Series], view: RunView) -> NDArray[np.int64]:
    """Keys of what is not training: evaluations and checkpoints."""
    evaluations = [s.order * 2 for s in timed if s.split in _HELD_OUT]
    marked = [e.order * 2 + 1 for e in view.events if e.kind in ("checkpoint", "best", "restart")]
    return np.unique(np.concatenate([*evaluations, np.array(marked, dtype=np.int64)]))


def _joined(marks: list[_Mark], lead: Series, others: NDArray[np.int64], unit: str) -> Timeline:
    columns = [np.array(column) for column in zip(*marks, strict=True)]
    key, progress, seconds, step, epoch, line, source, closes = columns
    between = np.searchsorted(others, key[1:]) - np.searchsorted(others, key[:-1], side="right")
    turned = np.nan_to_num(np.diff(epoch)) >= 1
    crosses = np.concatenate([[False], (between > 0) | closes[:-1] | turned])
    series = Series(
        name=f"time per {unit}",
        value=progress.astype(np.float64),
        step=step.astype(np.float64),
        epoch=epoch.astype(np.float64),
        seconds=seconds.astype(np.float64),
        line=line.astype(np.int64),
        source=source.astype(np.int64),
        order=key.astype(np.int64),
        sources=lead.sources,
    )
    return Timeline(series, crosses, unit)
