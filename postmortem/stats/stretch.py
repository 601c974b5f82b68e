"""Stretches of a series: where it stands still, and how often it crosses its own trend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from postmortem.stats.basics import Floats, median
from postmortem.stats.change import change_point
from postmortem.stats.noise import block_means
from postmortem.stats.trend import theil_sen

_FEWEST_A_LEVEL = 5  # points without which a level is not told from a swing
_BLOCKS = 40  # levels a long series is averaged into, so that one lucky point is no progress


@dataclass(frozen=True)
class Stretch:
    """Consecutive points: index of the first, and how many."""

    start: int
    points: int


def still_stretch(y: Floats, within: float) -> Stretch:
    """The longest stretch over which a series stays inside a band.

    Args:
        y: Finite values, shape (n,), averaged into at most 40 levels first.
        within: Height of the band, in units of y.

    The first of equally long stretches is given.
    """
    levels = block_means(y, _BLOCKS)
    start, longest = 0, 0
    for first in range(len(levels)):
        low = np.minimum.accumulate(levels[first:])
        high = np.maximum.accumulate(levels[first:])
        length = int(np.searchsorted(high - low, within, side="right"))
        start, longest = (first, length) if length > longest else (start, longest)
    begin, end = (len(y) * level // max(1, len(levels)) for level in (start, start + longest))
    return Stretch(begin, end - begin)


def around_line(y: Floats) -> Floats:
    """Residuals of a series around the line of its Theil-Sen slope through its median, shape (n,)."""
    index = np.arange(len(y), dtype=np.float64)
    residual = y - theil_sen(index, y).slope * index
    return np.asarray(residual - median(residual), dtype=np.float64)


def trimmed_spread(y: Floats, share: float = 0.1) -> float:
    """Standard deviation of the residuals around the line, the largest ``share`` of them (at least one) left out.

    One spike is not a swing; leaving out the largest residuals costs a normal sample about a third of its sd.
    Neither is one lasting change of level: where two levels fit better than the line, they are what counts.
    """
    keep = len(y) - max(1, round(share * len(y)))
    return min(_spread(residual, keep) for residual in (around_line(y), _around_two_levels(y)))


def _around_two_levels(y: Floats) -> Floats:
    """Residuals around the medians before and after the likeliest change; around one, near an end."""
    change = change_point(y)
    if change is None or not _FEWEST_A_LEVEL <= change.index <= len(y) - _FEWEST_A_LEVEL:
        return np.asarray(y - np.median(y), dtype=np.float64)
    return np.asarray(y - np.where(np.arange(len(y)) < change.index, change.before, change.after), dtype=np.float64)


def _spread(residual: Floats, keep: int) -> float:
    """Root mean square of the ``keep`` smallest residuals."""
    kept = np.sort(np.abs(residual))[:keep]
    return float(np.sqrt(np.mean(kept**2))) if len(kept) else 0.0


def crossings(y: Floats) -> int:
    """Number of times a series crosses its Theil-Sen line; points on the line do not count."""
    side = np.sign(around_line(y))
    side = side[side != 0]
    return int(np.sum(side[1:] != side[:-1]))
