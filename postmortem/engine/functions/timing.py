"""Functions of the clock: pace, gaps and drift."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from postmortem import stats
from postmortem.engine.functions.run import steps_per_epoch
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.timeline import Timeline, timeline
from postmortem.engine.values import Scalar, Series, Value, absent

_NO_CLOCK = absent("fewer than three records with a time are logged", "a timestamp on every line")


def _clock(view: RunView) -> tuple[Timeline, stats.Segments] | None:
    return view.remember("clock", None, lambda: _timed(view))


def _timed(view: RunView) -> tuple[Timeline, stats.Segments] | None:
    per_epoch = steps_per_epoch(view)
    found = timeline(view, float(per_epoch.value) if per_epoch.value is not None else None)
    if found is None:
        return None
    return found, stats.segments(found.marks.value, found.marks.seconds, found.crosses)


@function("number", "timing")
def pace(view: RunView) -> Value:
    """Seconds per unit of progress in the undisturbed stretches of the run, with the place of one of them."""
    clock = _clock(view)
    if clock is None:
        return _NO_CLOCK
    found, intervals = clock
    healthy = stats.healthy_pace(intervals)
    if healthy is None:
        return absent("no undisturbed stretch is logged")
    nearest = int(np.argmin(np.abs(intervals.per_unit - healthy)))
    return Scalar(healthy, found.marks.point(int(intervals.index[nearest])))


@function("text", "timing")
def unit(view: RunView) -> Value:
    """What progress is counted in: step, epoch or record."""
    clock = _clock(view)
    return Scalar(clock[0].unit) if clock else _NO_CLOCK


@function("series", "timing", factor="number=10", minutes="number=10")
def gaps(view: RunView, factor: Scalar, minutes: Scalar) -> Value:
    """Minutes taken by each interval that lasted factor times its healthy time and lost more than the minutes."""
    clock = _clock(view)
    if clock is None:
        return _NO_CLOCK
    marks = clock[0].marks
    stalls = stats.stalls(clock[1], float(factor.value or 10), 60 * float(minutes.value or 0))
    ends = np.array([stall.index for stall in stalls], dtype=np.int64)
    since = tuple(int(marks.line[end - 1]) for end in ends)
    return replace(marks.take(ends).with_values(np.array([stall.duration / 60 for stall in stalls])), since=since)


@function("series", "timing")
def unit_seconds(view: RunView) -> Value:
    """Seconds per unit of progress of each interval between records, gaps and evaluations left out."""
    clock = _clock(view)
    if clock is None:
        return _NO_CLOCK
    found, intervals = clock
    stalled = [stall.index for stall in stats.stalls(intervals)]
    alike = intervals.crosses if intervals.crosses.all() else ~intervals.crosses
    keep = alike & ~np.isin(intervals.index, stalled)
    return found.marks.take(intervals.index[keep]).with_values(intervals.per_unit[keep])


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
        return absent(f"{x.name} has {len(x.finite)} comparable intervals, too few to compare early with late")
    return Scalar(float(getattr(found, what)), x.finite.point(len(x.finite) - 1))
