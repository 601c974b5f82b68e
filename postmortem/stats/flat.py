"""Has a series stopped improving, or become worse since its best."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from postmortem.stats.basics import Floats, autocorrelation, inflation, median, upper_tails, z_of
from postmortem.stats.noise import block_means, correlated_noise, resolution
from postmortem.stats.trend import mann_kendall, theil_sen

Direction = Literal["min", "max"]

_BLOCKS = 40  # levels that a long series is reduced to when its flat tail is sought
_SHORTEST = 4  # levels without which no tail is called flat


@dataclass(frozen=True)
class Worsening:
    """How far the end of a series is from its best level.

    Attributes:
        best_index: Index of the best point within the best block.
        best: Median of the best block, in units of y.
        tail: Median of the last points, in units of y.
        amount: How much worse the tail is than the best; negative when the tail is the best.
        z: Standard normal score of ``amount`` under "no change since the best", NaN when it cannot be told.
    """

    best_index: int
    best: float
    tail: float
    amount: float
    z: float


def flat_tail(y: Floats, direction: Direction) -> int:
    """Number of last points without an improvement beyond noise; 0 while improving, n if it never improved.

    Also 0 under 4 points.     The series is averaged into at most 40 levels. The tail begins where the
    running best first comes within reach of the final best: closer than the noise of a level times the normal
    quantile for the best of as many draws (5 %, Bonferroni). It is then shortened by a quarter at a time
    while it still improves as a trend, by Mann-Kendall or by a Theil-Sen line against the noise of the whole
    series (one-sided 5 % each). With few or noisy points a slow improvement cannot be seen; the length of the
    tail says how much evidence there is.
    """
    levels = block_means(_lower_is_better(y, direction), _BLOCKS)
    if len(levels) < _SHORTEST:
        return 0
    sd = correlated_noise(levels, autocorrelation(levels))
    best = np.minimum.accumulate(levels)
    start = int(np.argmax(best - best[-1] <= sd * z_of(0.05 / len(levels))))
    while len(levels) - start >= _SHORTEST and _improves(levels[start:], sd):
        start += max(1, (len(levels) - start) // 4)
    if len(levels) - start < _SHORTEST:
        return 0
    return len(y) - start * len(y) // len(levels)


def _lower_is_better(y: Floats, direction: Direction) -> Floats:
    return y if direction == "min" else -y


def _improves(levels: Floats, sd: float) -> bool:
    trend = mann_kendall(levels)
    if trend.z < 0.0 and trend.p < 0.10:
        return True
    n = len(levels)
    # The total change along a fitted line has the standard error sd * sqrt(12 / n) for white noise.
    change = theil_sen(np.arange(n, dtype=np.float64), levels).slope * n
    return change < -1.645 * sd * math.sqrt(12.0 / n)


def worsened(y: Floats, direction: Direction) -> Worsening | None:
    """Compares the level of the last points with the best level before them; None under 4 points.

    Levels are medians of the last max(2, n // 10) points and of blocks of that size before them (single
    points under 8 points). The best of m blocks beats their true level by luck alone, so ``z`` comes from the
    distribution of the tail minus the best of m, with the uncertainty of the noise estimate averaged out as
    in Student's t. An improving series has a negative or small ``z``.

    Calibrated by simulation: at z = 1.64 at most 5 % of white or heavy-tailed series without a change are
    called worse, also with AR(1) noise of rho 0.5 from 20 points on. Shorter series cannot show
    autocorrelation: with rho 0.5 up to 15 % are (2 % at z = 2.33).
    """
    n = len(y)
    if n < _SHORTEST:
        return None
    cost = _lower_is_better(y, direction)
    width = 1 if n < 8 else max(2, n // 10)
    last = max(2, width)
    blocks = np.array_split(np.arange(n - last), (n - last) // width)
    levels = [median(cost[block]) for block in blocks]
    best = int(np.argmin(levels))
    best_index = int(blocks[best][np.argmin(cost[blocks[best]])])
    tail = median(cost[n - last :])
    amount = tail - levels[best]
    sd, freedom = _level_noise(cost, best_index)
    p = _beats_best_of(amount, sd * _median_error(last), sd * _median_error(width), len(blocks), freedom)
    sign = 1.0 if direction == "min" else -1.0
    return Worsening(best_index, sign * levels[best], sign * tail, amount, z_of(p))


def _level_noise(cost: Floats, best_index: int) -> tuple[float, float]:
    """Noise sd of a point, such that sd / sqrt(k) is the error of a mean of k, and its degrees of freedom.

    Under 20 points the mean square of second differences is used, which wastes none of them, from the point
    before the best on, so that the steep start does not count. Degrees of freedom are held low, at 3 (or n /
    4 of the robust estimate): correlated noise looks smaller and surer than it is, and few points cannot show
    it.
    """
    n = len(cost)
    if n >= 20:
        # In under a hundred points a bend in the trend looks like correlation, so only so much is believed.
        rho = min(autocorrelation(cost), 0.95 if n >= 100 else 0.5)
        return correlated_noise(cost, rho) * math.sqrt(inflation(rho)), n / 4.0
    bends = np.diff(cost[max(0, min(best_index - 1, n - 5)) :], 2)
    sd = math.sqrt(float(np.mean(bends * bends)) / 6.0)
    return max(sd, resolution(cost) / math.sqrt(12.0)), min(3.0, float(len(bends)))


def _median_error(n: int) -> float:
    """Standard error of the median of ``n`` standard normal values, asymptotic from 3 on (too large)."""
    return math.sqrt((1.0 if n <= 2 else math.pi / 2.0) / n)


def _beats_best_of(amount: float, tail_error: float, block_error: float, blocks: int, freedom: float) -> float:
    """Probability that tail minus the best of ``blocks`` exceeds ``amount``, all levels being equal.

    Averages over the tail's own error and over the ratio of estimated to true noise, both on grids.
    """
    grid = np.linspace(-5.0, 5.0, 41)
    weight = np.exp(-0.5 * grid * grid)
    ratio = np.geomspace(1e-4, 6.0, 100)
    # Density of chi over the root of its freedom, per step of the logarithm, over its greatest value.
    density = np.exp(freedom * (np.log(ratio) + 0.5 - 0.5 * ratio * ratio))
    reach = (amount * ratio[:, None] - tail_error * grid[None, :]) / block_error
    exceeds = -np.expm1(blocks * np.log1p(-upper_tails(reach)))
    return float(density @ exceeds @ weight / (density.sum() * weight.sum()))
