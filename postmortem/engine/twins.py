"""Runs that end at the very same value of a metric, and whether they are different runs at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from postmortem.engine.values import Series
from postmortem.engine.view import RunView

_OUTCOMES = ("loss", "score", "reward")  # roles of what training changes
_MOVING = 3  # different values from which a series moves
_ENOUGH = 8  # different runs from which more of them add nothing


class Spread(NamedTuple):
    """Range of the last values of an outcome."""

    low: float
    high: float

    @property
    def share(self) -> float:
        """Distance of the extremes as a share of the larger one."""
        return (self.high - self.low) / max(abs(self.low), abs(self.high), 1e-300)


@dataclass(frozen=True, eq=False)
class Alike:
    """Runs that end at the same value.

    Attributes:
        others: For each of the runs, its outcomes but for the one in question, by name.
        runs: Number of runs that log the metric.
    """

    others: Sequence[Mapping[str, Series]]
    runs: int

    @cached_property
    def spread(self) -> dict[str, Spread]:
        """Range of the last values of each other outcome that at least two of the runs log."""
        ends: dict[str, list[float]] = {}
        for told in self.others:
            for name, series in told.items():
                ends.setdefault(name, []).append(float(series.value[-1]))
        return {name: Spread(min(values), max(values)) for name, values in ends.items() if len(values) > 1}

    def different(self, apart: float) -> int | None:
        """How many of the runs differ from each other, at most eight; None when nothing is logged by which they could.

        Two runs differ when something ends apart by more than that share, and was apart before wherever both logged
        it: a run and the same one continued agree there. Those that log most are compared first.
        """
        if len(self.others) > 1 and sum(map(bool, self.others)) < 2:
            return None
        first, *rest = sorted(self.others, key=lambda told: -len(told))
        found = [first]
        for told in rest:
            if all(_differ(told, other, apart) for other in found):
                found.append(told)
            if len(found) >= _ENOUGH:
                break
        return len(found)


@dataclass
class _Ends:
    """The last values of all runs: series by metric and value, and the number of runs by metric."""

    at: dict[tuple[str, float], list[tuple[RunView, Series]]] = field(default_factory=dict)
    runs: Counter[str] = field(default_factory=Counter)


def alike(view: RunView, x: Series) -> Alike | None:
    """The runs that end at the same value of x, this one among them; a split that is not told may be any.

    None if x has no value that was still logged once training had begun.
    """
    if not any(mine.label == x.label and mine.split == x.split for mine in _outcomes(view)):
        return None
    home = view.together[0] if view.together else view
    ends = home.remember("ends", None, lambda: _collected(view.together or [view]))
    value = float(x.finite.value[-1])
    key = ("alike", x.metric, x.split, value)
    return home.remember(key, None, lambda: _alike(ends, x, value))


def _collected(views: Sequence[RunView]) -> _Ends:
    ends = _Ends()
    for view in views:
        told = _outcomes(view)
        for series in told:
            ends.at.setdefault((series.metric, float(series.value[-1])), []).append((view, series))
        ends.runs.update({series.metric for series in told})
    return ends


def _outcomes(view: RunView) -> tuple[Series, ...]:
    """Finite points of the outcomes of a run that were still logged once training had begun."""

    def told() -> tuple[Series, ...]:
        began = min((int(s.order[0]) for s in view.series if s.role == "loss" and len(s)), default=0)
        logged = (series.finite for series in view.series if series.role in _OUTCOMES)
        return tuple(series for series in logged if len(series) and series.order[-1] >= began)

    return view.remember("outcomes", None, told)


def _alike(ends: _Ends, x: Series, value: float) -> Alike:
    members: dict[int, tuple[RunView, Series]] = {}
    for view, series in ends.at[x.metric, value]:
        if series.split in (x.split, "") or not x.split:
            members.setdefault(id(view), (view, series))
    records = _records(list(members.values()))
    others = [{s.name: s for s in _outcomes(view) if s.metric != x.metric} for view, _ in records]
    return Alike(others, ends.runs[x.metric])


def _records(members: Sequence[tuple[RunView, Series]]) -> list[tuple[RunView, Series]]:
    """The members without those that repeat the record of another: equal all along, as when read from two places."""
    kept: list[tuple[RunView, Series]] = []
    for member in members:
        moves = len(np.unique(member[1].value)) >= _MOVING
        if not (moves and any(_same_record(member[1], other) for _, other in kept)):
            kept.append(member)
    return kept


def _same_record(a: Series, b: Series) -> bool:
    at, by = _common(a, b)
    return len(np.unique(a.value[at])) >= _MOVING and bool(np.array_equal(a.value[at], b.value[by]))


def _differ(a: Mapping[str, Series], b: Mapping[str, Series], apart: float) -> bool:
    shared = (name for name in a if name in b)
    return any(_far(a[n].value[-1], b[n].value[-1], apart) and _were_apart(a[n], b[n], apart) for n in shared)


def _were_apart(a: Series, b: Series, apart: float) -> bool:
    at, by = _common(a, b)
    return not len(at) or any(_far(x, y, apart) for x, y in zip(a.value[at], b.value[by], strict=True))


def _far(a: float, b: float, apart: float) -> bool:
    return bool(abs(a - b) > apart * max(abs(a), abs(b)))


def _common(a: Series, b: Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the points at the same step, else at the same epoch."""
    for ours, theirs in ((a.step, b.step), (a.epoch, b.epoch)):
        common, at, by = np.intersect1d(ours, theirs, return_indices=True)
        if len(common):
            return at, by
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
