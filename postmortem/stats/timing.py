"""Where the time went: pace, stalls and slow drift between timed records."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from postmortem.stats.basics import Floats, Ints, autocorrelation_if_level, inflation, ranks, tie_sizes, two_sided

_LIKE = 1.5  # intervals whose durations are within this factor are alike
_FEWEST_FOR_DRIFT = 10


@dataclass(frozen=True)
class Segments:
    """Intervals between consecutive timed records of one process, all arrays of shape (m,).

    Attributes:
        index: Index of the record that ends the interval.
        duration: Seconds.
        progress: Units of position covered, more than 0.
        crosses: Whether the interval contains something else, such as an evaluation.
    """

    index: Ints
    duration: Floats
    progress: Floats
    crosses: NDArray[np.bool_]

    @property
    def per_unit(self) -> Floats:
        """Seconds per unit of position."""
        return self.duration / self.progress

    def take(self, keep: NDArray[np.bool_]) -> Segments:
        """The intervals marked, in an array of shape (m,)."""
        return Segments(self.index[keep], self.duration[keep], self.progress[keep], self.crosses[keep])


@dataclass(frozen=True)
class Stall:
    """An interval that took far longer than its like.

    Attributes:
        index: Index of the record that ends it.
        duration: Seconds it took.
        expected: Seconds its like take.
        lost: The difference in seconds.
    """

    index: int
    duration: float
    expected: float
    lost: float


@dataclass(frozen=True)
class Drift:
    """Change of pace: medians of the early and the late third in seconds per unit, and a test of equality."""

    early: float
    late: float
    ratio: float
    p: float


def segments(position: Floats, seconds: Floats, crosses: NDArray[np.bool_]) -> Segments:
    """Turns timed records into intervals.

    Args:
        position: Cumulative progress in steps, batches or epochs, shape (n,).
        seconds: Time of each record in seconds since any start, shape (n,).
        crosses: Whether the interval that *ends* at a record contains something else, shape (n,); the first
            is ignored.

    A pair without progress (a restart, a repeated record) or with a clock that went back gives no interval.
    """
    progress, duration = np.diff(position), np.diff(seconds)
    usable = np.flatnonzero((progress > 0.0) & (duration >= 0.0))
    crossed = np.asarray(crosses[1:], dtype=np.bool_)[usable]
    return Segments(usable + 1, duration[usable], progress[usable], crossed)


def healthy_pace(intervals: Segments) -> float | None:
    """Seconds per unit where nothing got in the way; None without any interval.

    The tenth percentile of the intervals that cross nothing. Assumes that at least one interval ran
    undisturbed; with ten or fewer it is the fastest. Crossed intervals are used only when there are no
    others. Intervals of no length (a clock of whole seconds) say nothing.
    """
    plain = ~intervals.crosses if not intervals.crosses.all() else intervals.crosses
    pace = intervals.per_unit[plain & (intervals.duration > 0.0)]
    return float(np.quantile(pace, 0.1, method="lower")) if len(pace) else None


def stalls(intervals: Segments, factor: float = 10.0, lost_seconds: float = 600.0) -> list[Stall]:
    """Intervals that took ``factor`` times what their like take or more, and lost over ``lost_seconds``.

    A plain interval is expected to run at the healthy pace. A crossed one may also spend the median excess of
    the crossed ones, so an evaluation that is always long is no stall, and a lone crossed interval is never
    one. Plain intervals that are alike in duration and return evenly (three or more: an unlogged evaluation
    or checkpoint) are not stalls.
    """
    pace = healthy_pace(intervals)
    if pace is None:
        return []
    expected = pace * intervals.progress
    if intervals.crosses.any():
        excess = np.median((intervals.duration - expected)[intervals.crosses])
        expected = np.where(intervals.crosses, expected + max(float(excess), 0.0), expected)
    lost = intervals.duration - expected
    late = np.flatnonzero((intervals.duration >= factor * expected) & (lost > lost_seconds))
    late = late[~_recurring(late, intervals.duration)]
    columns = (intervals.index, intervals.duration, expected, lost)
    return [Stall(*row) for row in zip(*(column[late].tolist() for column in columns), strict=True)]


def _recurring(late: Ints, duration: Floats) -> NDArray[np.bool_]:
    """Which of the long intervals are the usual long one, coming back at even distances."""
    if len(late) < 3:
        return np.zeros(len(late), dtype=np.bool_)
    usual = float(np.median(duration[late]))
    alike = (duration[late] <= _LIKE * usual) & (duration[late] >= usual / _LIKE)
    gaps = np.diff(late[alike])
    # Neighbours are one long disturbance, not a schedule; a gap may vary by a record.
    even = len(gaps) >= 2 and int(gaps.min()) > 1 and int(gaps.max() - gaps.min()) <= 1
    return alike & even


def drift(seconds_per_unit: Floats) -> Drift | None:
    """Compares the pace of the last third with that of the first; None under 10 intervals.

    The first interval (warm-up, compilation) and those over ten times the median (stalls) are left out. ``p``
    is the two-sided Mann-Whitney (1947) probability, normal with ties, its variance inflated for
    autocorrelation. With many intervals a tiny ratio is significant, so judge by both.
    """
    pace = seconds_per_unit[1:]
    if len(pace):
        pace = pace[pace <= 10.0 * np.median(pace)]
    if len(pace) < _FEWEST_FOR_DRIFT - 1:
        return None
    third = len(pace) // 3
    early, late = float(np.median(pace[:third])), float(np.median(pace[-third:]))
    p = _mann_whitney(pace[:third], pace[-third:], inflation(autocorrelation_if_level(pace)))
    return Drift(early, late, late / early if early > 0.0 else math.nan, p)


def _mann_whitney(a: Floats, b: Floats, variance_factor: float) -> float:
    pooled = np.concatenate([a, b])
    n, total = len(a), len(pooled)
    ties = tie_sizes(pooled)
    tied = float(np.sum(ties**3 - ties)) / (total * (total - 1.0))
    variance = variance_factor * n * len(b) / 12.0 * (total + 1.0 - tied)
    distance = abs(float(ranks(pooled)[:n].sum()) - n * (total + 1.0) / 2.0)
    return two_sided(max(distance - 0.5, 0.0) / math.sqrt(variance)) if variance > 0.0 else 1.0
