"""When a run had done how much: every timed record that tells its progress, on one line.

A log tells progress in several voices: batches by their step, the heading that opens an epoch, the summary that closes
it. Each alone leaves gaps; together they say what the time between two records was spent on.
"""

from __future__ import annotations

from dataclasses import dataclass

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


_MARK = np.dtype(
    [
        ("key", np.int64),  # twice the record's rank; events lie between records
        ("progress", np.float64),
        ("seconds", np.float64),
        ("step", np.float64),
        ("epoch", np.float64),
        ("line", np.int64),
        ("source", np.int64),
        ("closes", np.bool_),
    ]
)
_Marks = NDArray[np.void]  # a structured array of _MARK


def timeline(view: RunView, steps_per_epoch: float | None) -> Timeline | None:
    """The timeline of a run; None with fewer than three timed records."""
    timed = [s for s in view.series if len(s) and not np.isnan(s.seconds).all()]
    if not timed:
        return None
    stepped = [s.take(np.flatnonzero(~np.isnan(s.step))) for s in timed if s.split not in _HELD_OUT]
    stepped = [s for s in stepped if len(s)]
    lead = max(stepped or timed, key=len)
    marks, unit = _of_steps(view, lead, steps_per_epoch) if stepped else _of_epochs(view, lead)
    if len(marks) < 3:
        return None
    return _joined(marks[np.argsort(marks["key"], kind="stable")], lead, _others(timed, view), unit)


def _of_steps(view: RunView, lead: Series, per_epoch: float | None) -> tuple[_Marks, str]:
    marks = _marks(lead, lead.step)
    if per_epoch is None or np.isnan(lead.epoch).any():
        return marks, "step"
    base = _base(view, lead)
    starts = [_start(event, epoch, (epoch - base) * per_epoch, lead) for event, epoch in _openings(view)]
    closings = _closings(view, lead, base, per_epoch)
    return np.concatenate([marks, np.array(starts, _MARK), closings]), "step"


def _of_epochs(view: RunView, lead: Series) -> tuple[_Marks, str]:
    if np.isnan(lead.epoch).any() or len(np.unique(lead.epoch)) < 2:
        return _marks(lead, np.arange(len(lead), dtype=np.float64)), "record"
    base = _base(view, lead)
    starts = [_start(event, epoch, epoch - base, lead) for event, epoch in _openings(view)]
    return np.concatenate([_marks(lead, lead.epoch - base + 1), np.array(starts, _MARK)]), "epoch"


def _marks(series: Series, progress: Array, *, closes: bool = False) -> _Marks:
    marks = np.zeros(len(series), _MARK)
    marks["key"], marks["progress"], marks["closes"] = series.order * 2, progress, closes
    for name in ("seconds", "step", "epoch", "line", "source"):
        marks[name] = getattr(series, name)
    return marks[~(np.isnan(progress) | np.isnan(series.seconds))]


def _openings(view: RunView) -> list[tuple[Event, float]]:
    """Timed headings that open an epoch, and the epoch."""
    timed = [event for event in view.events if event.kind == "epoch" and event.at.time]
    return [(event, event.at.epoch) for event in timed if event.at.epoch is not None]


def _start(event: Event, epoch: float, progress: float, lead: Series) -> tuple[float, ...]:
    """The fields of a mark for a heading."""
    at = event.at
    source = lead.sources.index(at.source) if at.source in lead.sources else 0
    seconds = at.time.timestamp() if at.time else np.nan
    return (event.order * 2 + 1, progress, seconds, np.nan, epoch, at.line or 0, source, False)


def _closings(view: RunView, lead: Series, base: float, per_epoch: float) -> _Marks:
    """The first record without a step after the last batch of each epoch: the summary that closes its training."""
    summaries = [s for s in view.series if s.split not in _HELD_OUT and np.isnan(s.step).all()]
    told = [_marks(s, (s.epoch - base + 1) * per_epoch, closes=True) for s in summaries]
    marks = np.sort(np.concatenate([np.zeros(0, _MARK), *told]), order="key")
    last = dict(zip(lead.epoch.tolist(), (2 * lead.order).tolist(), strict=True)) if len(marks) else {}
    after = [key > last.get(epoch, np.inf) for key, epoch in zip(marks["key"], marks["epoch"], strict=True)]
    later = marks[np.array(after, dtype=np.bool_)]
    return later[np.unique(later["epoch"], return_index=True)[1]]


def _base(view: RunView, lead: Series) -> float:
    numbers = [epoch for _, epoch in _openings(view)]
    return 1.0 if min([float(np.nanmin(lead.epoch)), *numbers]) >= 1 else 0.0


def _others(timed: list[Series], view: RunView) -> NDArray[np.int64]:
    """Keys of what is not training: evaluations and checkpoints."""
    evaluations = [s.order * 2 for s in timed if s.split in _HELD_OUT]
    marked = [e.order * 2 + 1 for e in view.events if e.kind in ("checkpoint", "best", "restart")]
    return np.unique(np.concatenate([*evaluations, np.array(marked, dtype=np.int64)]))


def _joined(marks: _Marks, lead: Series, others: NDArray[np.int64], unit: str) -> Timeline:
    key = marks["key"]
    between = np.searchsorted(others, key[1:]) - np.searchsorted(others, key[:-1], side="right")
    turned = np.nan_to_num(np.diff(marks["epoch"])) >= 1
    series = Series(
        name=f"time per {unit}",
        value=marks["progress"],
        step=marks["step"],
        epoch=marks["epoch"],
        seconds=marks["seconds"],
        line=marks["line"],
        source=marks["source"],
        order=key,
        sources=lead.sources,
    )
    return Timeline(series, np.concatenate([[False], (between > 0) | marks["closes"][:-1] | turned]), unit)
