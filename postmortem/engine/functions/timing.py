"""Functions of the clock: pace, gaps and drift of a timed series."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from postmortem import stats
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Array, Scalar, Series, Value, absent


def _segments(view: RunView, x: Series) -> stats.Segments | Scalar:
    timed = _timed(x)
    if len(timed) < 3:
        return absent(f"{x.name} has {len(timed)} points with a time, 3 are needed", "a timestamp on every line")
    return stats.segments(_progress(timed), timed.seconds, _crosses(view, timed))


def _timed(x: Series) -> Series:
    return x.take(np.flatnonzero(~np.isnan(x.seconds)))


def _progress(x: Series) -> Array:
    """Work done at each point: steps where they are logged, else epochs, else one unit a point."""
    for clock in (x.step, x.epoch):
        if not np.isnan(clock).any() and len(np.unique(clock)) > 1:
            return clock
    return np.arange(len(x), dtype=np.float64)


def _crosses(view: RunView, x: Series) -> NDArray[np.bool_]:
    """Whether something else (an evaluation, an epoch's end, a checkpoint) was logged between neighbours."""
    marks = [s.order for s in view.series if s.split != x.split or s.label != x.label]
    marks.append(np.array([e.order + 1 for e in view.events if e.kind in ("checkpoint", "best")], dtype=np.int64))
    other = np.unique(np.concatenate(marks))
    other = other[~np.isin(other, x.order)]
    between = np.searchsorted(other, x.order[1:], side="left") - np.searchsorted(other, x.order[:-1], side="right")
    turned = np.nan_to_num(np.diff(x.epoch)) >= 1
    return np.concatenate([[False], (between > 0) | turned])


@function("number", "timing", x="series")
def pace(view: RunView, x: Series) -> Value:
    """Seconds per unit of progress in the undisturbed stretches of a timed series."""
    found = _segments(view, x)
    if isinstance(found, Scalar):
        return found
    healthy = stats.healthy_pace(found)
    return Scalar(healthy) if healthy is not None else absent(f"{x.name} shows no undisturbed stretch")


@function("series", "timing", x="series", factor="number=10", minutes="number=10")
def gaps(view: RunView, x: Series, factor: Scalar, minutes: Scalar) -> Value:
    """Minutes taken by each interval that lasted factor times its healthy time and lost more than the minutes."""
    found = _segments(view, x)
    if isinstance(found, Scalar):
        return found
    timed = _timed(x)
    stalls = stats.stalls(found, float(factor.value or 10), 60 * float(minutes.value or 0))
    ends = np.array([stall.index for stall in stalls], dtype=np.int64)
    since = tuple(int(timed.line[end - 1]) for end in ends)
    return replace(timed.take(ends).with_values(np.array([stall.duration / 60 for stall in stalls])), since=since)


@function("series", "timing", x="series")
def unit_seconds(view: RunView, x: Series) -> Value:
    """Seconds per unit of progress of each interval between neighbours, gaps and evaluations left out."""
    found = _segments(view, x)
    if isinstance(found, Scalar):
        return found
    stalled = [stall.index for stall in stats.stalls(found)]
    alike = found.crosses if found.crosses.all() else ~found.crosses
    keep = alike & ~np.isin(found.index, stalled)
    return _timed(x).take(found.index[keep]).with_values(found.per_unit[keep])


@function("number", "timing", x="series")
def drift(_: RunView, x: Series) -> Value:
    """Late third over early third of a series of durations, by medians, the first point left out as warm-up."""
    return _drift(x, "ratio")


@function("number", "timing", x="series")
def drift_p(_: RunView, x: Series) -> Value:
    """Chance of such a difference between the early and the late third without any (Mann-Whitney)."""
    return _drift(x, "p")


def _drift(x: Series, what: str) -> Scalar:
    found = stats.drift(x.finite.value)
    if found is None or not np.isfinite(getattr(found, what)):
        return absent(f"{x.name} has {len(x.finite)} intervals, too few to compare early with late")
    return Scalar(float(getattr(found, what)), x.finite.point(len(x.finite) - 1))
