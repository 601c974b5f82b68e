"""Is there a trend, and how steep: Mann-Kendall and Theil-Sen."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from postmortem.stats.basics import (
    Floats,
    autocorrelation,
    autocorrelation_if_level,
    median,
    tie_sizes,
    two_sided,
    z_of,
)
from postmortem.stats.noise import block_means

_MOST_POINTS = 2000  # for Mann-Kendall; longer series are averaged down to this many block means
_MOST_FOR_SLOPES = 600  # for Theil-Sen: 180,000 pairs
_EXACT_UP_TO = 10


@dataclass(frozen=True)
class Trend:
    """A test for a monotone trend.

    Attributes:
        tau: Kendall's tau of value against order, -1 to 1; NaN under 3 points.
        z: Standard normal score, positive for a rising series.
        p: Two-sided probability of such a score without a trend; 1 under 3 points.
    """

    tau: float
    z: float
    p: float


@dataclass(frozen=True)
class Slope:
    """A robust slope and its 95 % interval, in units of y per unit of x; NaN when there is none."""

    slope: float
    low: float
    high: float


def mann_kendall(y: Floats) -> Trend:
    """Tests for a monotone trend against order, with ties and autocorrelation allowed for.

    Up to 10 untied points the probability is exact (Kendall 1938); above, normal with the variance corrected
    for ties and multiplied by the factor of Hamed & Rao (1998), whose rank autocorrelations are taken as
    those of an AR(1) process (see ``autocorrelation_if_level``; none is estimated under 20 points). Series over 2000
    points are averaged into 2000 blocks first, so the cost is bounded.
    """
    y = block_means(y, _MOST_POINTS)
    n = len(y)
    if n < 3:
        return Trend(math.nan, 0.0, 1.0)
    score = _concordance(y)
    tau = 2.0 * score / (n * (n - 1))
    ties = tie_sizes(y)
    if n <= _EXACT_UP_TO and len(ties) == n:
        p = _exact_p(n, score)
        return Trend(tau, math.copysign(z_of(p / 2.0), score) if score else 0.0, p)
    variance = _score_variance(n, ties) * _hamed_rao(n, autocorrelation_if_level(y))
    if variance <= 0.0:
        return Trend(0.0, 0.0, 1.0)
    z = math.copysign(max(abs(score) - 1.0, 0.0), score) / math.sqrt(variance)
    return Trend(tau, z, two_sided(z))


def _concordance(y: Floats) -> int:
    """Rising pairs minus falling pairs: each value is sorted in among those before it, O(n log n) comparisons."""
    before: list[float] = []
    score = 0
    for value in y.tolist():
        below, up_to = bisect_left(before, value), bisect_right(before, value)
        score += below - (len(before) - up_to)
        before.insert(up_to, value)
    return score


def _score_variance(n: int, ties: Floats) -> float:
    tied = float(np.sum(ties * (ties - 1.0) * (2.0 * ties + 5.0)))
    return (n * (n - 1.0) * (2.0 * n + 5.0) - tied) / 18.0


def _hamed_rao(n: int, rho: float) -> float:
    if n < 3:
        return 1.0
    lag = np.arange(1.0, n)
    weights = (n - lag) * (n - lag - 1.0) * (n - lag - 2.0)
    return 1.0 + 2.0 * float(np.sum(weights * rho**lag)) / (n * (n - 1.0) * (n - 2.0))


def _exact_p(n: int, score: int) -> float:
    """Share of the n! orders whose score is at least as far from zero."""
    inversions = np.ones(1)
    for size in range(2, n + 1):
        inversions = np.convolve(inversions, np.ones(size))
    pairs = n * (n - 1) // 2
    far = np.abs(pairs - 2 * np.arange(pairs + 1)) >= abs(score)
    return float(inversions[far].sum() / inversions.sum())


def theil_sen(x: Floats, y: Floats) -> Slope:
    """The median of the slopes of all pairs of points, with Sen's 95 % interval (Sen 1968).

    ``x`` and ``y`` have the same shape (n,); pairs with equal ``x`` are left out. Series over 600 points are
    averaged into 600 blocks first. The interval is widened for autocorrelation as in ``mann_kendall``. NaN
    without two different ``x``.
    """
    x, y = block_means(x, _MOST_FOR_SLOPES), block_means(y, _MOST_FOR_SLOPES)
    n = len(y)
    first, second = np.triu_indices(n, 1)
    run = x[second] - x[first]
    usable = run != 0.0
    slopes = np.sort((y[second] - y[first])[usable] / run[usable])
    if len(slopes) == 0:
        return Slope(math.nan, math.nan, math.nan)
    width = 1.96 * math.sqrt(_score_variance(n, np.ones(n)) * _hamed_rao(n, autocorrelation(y)))
    low = max(0.0, (len(slopes) - width) / 2.0)
    high = min(len(slopes) - 1.0, (len(slopes) + width) / 2.0)
    return Slope(median(slopes), float(slopes[math.floor(low)]), float(slopes[math.ceil(high)]))
