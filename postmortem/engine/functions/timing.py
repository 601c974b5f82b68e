"""Functions of the clock: pace, gaps and drift."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from postmortem import stats
from postmortem.engine.functions.run import steps_per_epoch
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.timeline import Timeline, timeline
from postmortem.engine.values import Scalar, Series, Value, absent, align

_NIGHT = (22, 23, 0, 1, 2, 3, 4, 5, 6)  # hours
NO_CLOCK = absent("fewer than three records with a time are logged", "a timestamp on every line")


def clock(view: RunView) -> tuple[Timeline, stats.Segments] | None:
    """The timeline of the run and its intervals; None without three timed records."""
    return view.remember("clock", None, lambda: _timed(view))


def _timed(view: RunView) -> tuple[Timeline, stats.Segments] | None:
    per_epoch = steps_per_epoch(view)
    found = timeline(view, float(per_epoch.value) if per_epoch.value is not None else None)
    if found is None:
        return None
    intervals = stats.segments(found.marks.value, found.marks.seconds, found.crosses)
    return found, intervals.take(~_resumed(view, found.marks)[intervals.index])


def _resumed(view: RunView, marks: Series) -> NDArray[np.bool_]:
    """Marks before which, since the mark before, the log says that it resumed: no process ran all that time."""
    said = np.array([2 * event.order + 1 for event in view.events if event.kind == "restart"], dtype=np.int64)
    until = np.searchsorted(np.sort(said), marks.order)
    return np.diff(until, prepend=until[:1]) > 0


@function("number", "timing")
def pace(view: RunView) -> Value:
    """Seconds per unit of progress in the undisturbed stretches of the run, with the place of one of them."""
    timed = clock(view)
    if timed is None:
        return NO_CLOCK
    found, intervals = timed
    healthy = stats.healthy_pace(intervals)
    if healthy is None:
        return absent("no undisturbed stretch is logged")
    nearest = int(np.argmin(np.abs(intervals.per_unit - healthy)))
    return Scalar(healthy, found.marks.point(int(intervals.index[nearest])))


@function("text", "timing")
def unit(view: RunView) -> Value:
    """What progress is counted in: step, epoch or record."""
    timed = clock(view)
    return Scalar(timed[0].unit) if timed else NO_CLOCK


@function("series", "timing", factor="number=10", minutes="number=10")
def gaps(view: RunView, factor: Scalar, minutes: Scalar) -> Value:
    """Minutes taken by each interval that lasted factor times its healthy time and lost more than the minutes."""
    timed = clock(view)
    if timed is None:
        return NO_CLOCK
    marks = timed[0].marks
    stalls = stats.stalls(timed[1], float(factor.value or 10), 60 * float(minutes.value or 0))
    ends = np.array([stall.index for stall in stalls], dtype=np.int64)
    since = tuple(int(marks.line[end - 1]) for end in ends)
    return replace(marks.take(ends).with_values(np.array([stall.duration / 60 for stall in stalls])), since=since)


@function("number", "timing", factor="number=10", minutes="number=10")
def gaps_inside(view: RunView, factor: Scalar, minutes: Scalar) -> Value:
    """Number of such gaps between two batches, with no evaluation, checkpoint or end of an epoch in between."""
    timed = clock(view)
    if timed is None:
        return NO_CLOCK
    if timed[0].unit != "step":
        return absent("single batches are not logged with their time", "a timestamp every few batches")
    stalls = stats.stalls(timed[1], float(factor.value or 10), 60 * float(minutes.value or 0))
    inside = [stall.index for stall in stalls if not timed[0].crosses[stall.index]]
    return Scalar(float(len(inside)), timed[0].marks.point(inside[0]) if inside else None)


@function("number", "timing", x="series")
def night(_: RunView, x: Series) -> Value:
    """Share of the minutes of gaps that lie between 22:00 and 07:00 by the clock of the log."""
    if not len(x) or np.isnan(x.seconds).any() or x.value.sum() <= 0:
        return absent("there are no gaps with a time")
    hour = 3600.0
    shares = [
        np.mean(np.isin((np.arange(end - 60 * lasted, end, 60.0) % (24 * hour)) // hour, _NIGHT))
        for end, lasted in zip(x.seconds, x.value, strict=True)
    ]
    return Scalar(float(np.average(shares, weights=x.value)), x.point(int(np.argmax(x.value))))


@function("series", "timing")
def unit_seconds(view: RunView) -> Value:
    """Seconds per unit of progress of each interval between records, gaps and evaluations left out."""
    return _unit_seconds(view, lambda _: True)


@function("series", "timing")
def unit_seconds_before(view: RunView) -> Value:
    """Seconds per unit of progress of the intervals before the first gap; empty when the run begins with it."""
    first = _first_gap(view)
    return first if isinstance(first, Scalar) else _unit_seconds(view, lambda at: at < first)


@function("series", "timing")
def unit_seconds_after(view: RunView) -> Value:
    """Seconds per unit of progress of the intervals after the first gap."""
    first = _first_gap(view)
    return first if isinstance(first, Scalar) else _unit_seconds(view, lambda at: at > first)


def _first_gap(view: RunView) -> int | Scalar:
    timed = clock(view)
    stalled = [stall.index for stall in stats.stalls(timed[1])] if timed else []
    return min(stalled) if stalled else absent("there is no gap")


def _unit_seconds(view: RunView, wanted: Callable[[int], bool]) -> Value:
    timed = clock(view)
    if timed is None:
        return NO_CLOCK
    found, intervals = timed
    stalled = [stall.index for stall in stats.stalls(intervals)]
    alike = intervals.crosses if intervals.crosses.all() else ~intervals.crosses
    keep = alike & ~np.isin(intervals.index, stalled) & [wanted(at) for at in intervals.index]
    return found.marks.take(intervals.index[keep]).with_values(intervals.per_unit[keep])


@function("number", "timing", x="series")
def drift(view: RunView, x: Series) -> Value:
    """Late third over early third of a series of durations, by medians, the first point left out as warm-up."""
    return _drift(view, x, "ratio")


@function("number", "timing", x="series")
def drift_p(view: RunView, x: Series) -> Value:
    """Chance of such a difference between the early and the late third without any (Mann-Whitney)."""
    return _drift(view, x, "p")


def _drift(view: RunView, x: Series, what: str) -> Scalar:
    found = view.remember(("pace drift", id(x)), x, lambda: stats.drift(x.finite.value))
    if found is None or not np.isfinite(getattr(found, what)):
        return absent(f"{x.name} has {len(x.finite)} comparable intervals, too few to compare early with late")
    return Scalar(float(getattr(found, what)), x.finite.point(len(x.finite) - 1))


_SAME_UNIT = 20.0  # a wait of more than so many steps is told in another unit


@function("series", "timing", wait="series", step="series")
def waiting(view: RunView, wait: Series, step: Series) -> Value:
    """Share of the time of each step that passes until its data has come, first batches of epochs left out.

    Where the wait is mostly longer than the step, the step is taken to be what follows the wait.
    """
    later = wait.take(np.flatnonzero(~_opens_epoch(view, wait)))
    theirs = align(step, later)
    with np.errstate(all="ignore"):
        ratio = np.where((later.value >= 0) & (theirs > 0), later.value / theirs, np.nan)
    usual = float(np.nanmedian(ratio)) if not np.isnan(ratio).all() else 0.0
    if usual > _SAME_UNIT:
        return absent(f"{wait.name} and {step.name} are not told in one unit")
    return later.with_values(ratio / (1.0 + ratio) if usual > 1.0 else ratio, f"{wait.name} over {step.name}")


def _opens_epoch(view: RunView, x: Series) -> NDArray[np.bool_]:
    """Points at the first batch of an epoch, which waits for the loader to start: the first step or two of it.

    Where the first point comes later, the steps that fill an epoch are its end, as of reports of whole epochs.
    """
    per_epoch = steps_per_epoch(view).value
    if not isinstance(per_epoch, float) or per_epoch < 4 or not len(x) or np.isnan(x.step).any():
        return np.zeros(len(x), dtype=np.bool_)
    place = np.mod(x.step, np.round(per_epoch))
    return np.asarray(place <= 1 if x.step[0] <= 1 else place == 1, dtype=np.bool_)


@function("series", "timing", x="series")
def percent(_: RunView, x: Series) -> Value:
    """A share in percent: as logged where it ever exceeds 1, else a hundred times that."""
    whole = len(x.finite) and float(x.finite.value.max()) > 1.0
    return x.with_values(x.value if whole else 100.0 * x.value)
