"""Stretches of a series: where it stands still, and how often it crosses its own trend."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from postmortem.stats.basics import Floats, median
from postmortem.stats.noise import block_means
from postmortem.stats.trend import theil_sen

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
    """
    residual = around_line(y)
    keep = len(y) - max(1, round(share * len(y)))
    kept = residual[np.argsort(np.abs(residual), kind="stable")[:keep]]
    return float(np.sqrt(np.mean(kept**2))) if len(kept) else 0.0


def crossings(y: Floats) -> int:
    """Number of times a series crosses its Theil-Sen line; points on the line do not count."""
    side = np.sign(around_line(y))
    side = side[side != 0]
    return int(np.sum(side[1:] != side[:-1]))
