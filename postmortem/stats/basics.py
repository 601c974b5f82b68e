"""Ground shared by the tests of this package: the normal distribution, ranks, rolling windows, dependence."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MAD_TO_SD = 1.4826  # sd of a normal distribution over its median absolute deviation
_CHUNK = 65_536  # windows looked at together; bounds memory at window * 512 KiB


# Chebyshev fit of log(erfc(x) * (1 + x / 2)) + x^2 in 1 / (1 + x / 2), highest power first.
_ERFC = (0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196,
         1.00002368, -1.26551223)  # fmt: skip


def upper_tails(z: Floats) -> Floats:
    """Probabilities that a standard normal variable exceeds each ``z``, below 1, same shape.

    Relative error under 2e-7 (Press et al., Numerical Recipes, 2nd ed. 1992, section 6.2).
    """
    x = np.abs(z) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.5 * x)
    half = 0.5 * t * np.exp(np.polyval(_ERFC, t) - x * x)
    return np.asarray(np.where(z >= 0.0, half, np.minimum(1.0 - half, 1.0 - 1e-16)), dtype=np.float64)


def two_sided(z: float) -> float:
    """Probability that a standard normal variable is at least ``abs(z)`` away from zero."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def z_of(p: float) -> float:
    """The ``z`` whose upper tail is ``p``; between -37 and 37, the ends of what a float can say."""
    return -NormalDist().inv_cdf(min(max(p, 1e-300), 1.0 - 1e-16))


def ranks(y: Floats) -> Floats:
    """Ranks 1..n with ties sharing their mean rank, in O(n log n)."""
    _, group, size = np.unique(y, return_inverse=True, return_counts=True)
    last = np.cumsum(size)
    mean_rank = last - (size - 1) / 2.0
    return np.asarray(mean_rank[group], dtype=np.float64)


def tie_sizes(y: Floats) -> Floats:
    """How often each distinct value occurs, as float so that cubes do not overflow."""
    return np.unique(y, return_counts=True)[1].astype(np.float64)


def rolling(y: Floats, window: int, statistic: Callable[[Floats], Floats]) -> Floats:
    """``statistic`` of each of the n - window + 1 windows, in bounded memory.

    ``statistic`` maps an array of shape (m, window) to shape (m,).
    """
    if len(y) < window:
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(y, window)
    parts = [statistic(windows[start : start + _CHUNK]) for start in range(0, len(windows), _CHUNK)]
    return np.concatenate(parts)


def medians(windows: Floats) -> Floats:
    """Median of each window, shape (m, width) to (m,); the width is odd."""
    middle = windows.shape[1] // 2
    return np.asarray(np.partition(windows, middle, axis=1)[:, middle], dtype=np.float64)


def mads(windows: Floats) -> Floats:
    """Median absolute deviation of each window, scaled to the sd of a normal sample; shapes as ``medians``."""
    return MAD_TO_SD * medians(np.abs(windows - medians(windows)[:, None]))


def median(y: Floats) -> float:
    """The median of finite values, NaN for none; that of ``numpy.median``, which takes ten times as long to begin."""
    if len(y) == 0:
        return math.nan
    half, even = len(y) // 2, len(y) % 2 == 0
    ordered = np.partition(y, (half - 1, half) if even else half)
    return float((ordered[half - 1] + ordered[half]) / 2.0 if even else ordered[half])


def mad(y: Floats) -> float:
    """Median absolute deviation from the median, scaled to the sd of a normal; 0 for an empty array."""
    return MAD_TO_SD * median(np.abs(y - median(y))) if len(y) else 0.0


def autocorrelation(y: Floats) -> float:
    """Lag-1 correlation of the noise around a piecewise linear trend, between 0 and 0.95; 0 under 20 points.

    A straight line is taken from each fifth of the series (at least 10 points), lone spikes aside. The bias
    that the fitted lines cause, -(2 + 4 rho) / length, is added back (Kendall 1954; Andrews 1993 for the case
    with a trend). Negative values count as 0, which only makes tests more careful.
    """
    return _correlation(*_around_lines(y))


def _correlation(pieces: Floats, left: Floats) -> float:
    power = float(np.sum(left * left))
    if power <= 1e-20 * float(np.sum(pieces * pieces)):  # rounding errors of the fit
        return 0.0
    length = int(left.shape[1])
    raw = float(np.sum(left[:, 1:] * left[:, :-1])) / power
    return float(np.clip((raw + 2.0 / length) / (1.0 - 4.0 / length), 0.0, 0.95))


def autocorrelation_if_level(y: Floats) -> float:
    """The autocorrelation to assume when testing whether ``y`` has a trend at all.

    It is 0 when under 2 % of the variance is left around the lines: stationary noise does not do that (at rho
    0.98 and 50 points one series in a hundred does), so the little noise there is cannot feign the trend.
    """
    pieces, left = _around_lines(y)
    around_mean = pieces - pieces.mean() if len(y) else pieces
    little = float(np.sum(left * left)) <= 0.02 * float(np.sum(around_mean * around_mean))
    return 0.0 if little else _correlation(pieces, left)


def _around_lines(y: Floats) -> tuple[Floats, Floats]:
    """The series in pieces, shape (m, length), and what lines leave of them: nothing under 20 points."""
    if len(y) < 20:
        return y.reshape(1, -1), np.zeros((1, len(y)))
    length = max(10, len(y) // 5)
    pieces = _without_spikes(y)[len(y) % length :].reshape(-1, length)
    time = np.arange(length) - (length - 1) / 2.0
    centred = pieces - pieces.mean(axis=1, keepdims=True)
    return pieces, centred - np.outer(centred @ time / (time @ time), time)


def _without_spikes(y: Floats) -> Floats:
    """The series with each point far from both neighbours replaced by the nearer one.

    Far is five robust sd of the steps between neighbours.
    """
    before, after = np.concatenate([y[:1], y[:-1]]), np.concatenate([y[1:], y[-1:]])
    middle = np.clip(y, np.minimum(before, after), np.maximum(before, after))
    limit = 5.0 * MAD_TO_SD * median(np.abs(np.diff(y)))
    return np.asarray(np.where(np.abs(y - middle) > limit, middle, y), dtype=np.float64)


def inflation(rho: float) -> float:
    """How many times the variance of a long mean grows when the noise is AR(1) with ``rho``.

    Bayley & Hammersley (1946), The "effective" number of independent observations.
    """
    return (1.0 + rho) / (1.0 - rho)
