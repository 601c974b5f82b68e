"""How restless a series is, per step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from postmortem.stats.basics import Floats, rolling


@dataclass(frozen=True)
class Turning:
    """Number of turning points, the number expected of white noise, and the standard score of the difference.

    A negative ``z`` is a smoother series than white noise, a positive one zigzags. NaN under 3 points.
    """

    count: int
    expected: float
    z: float


def turning_points(y: Floats) -> Turning:
    """Counts local peaks and troughs and compares them with white noise.

    Bienayme (1874); Kendall, Time-Series (1976): mean 2(n - 2)/3, variance (16n - 29)/90 for n exchangeable
    values. Repeats of the same value are one point, and n counts them so.
    """
    y = y[np.concatenate([[True], np.diff(y) != 0.0])] if len(y) else y
    n = len(y)
    if n < 3:
        return Turning(0, math.nan, math.nan)
    rising = np.diff(y) > 0.0
    count = int(np.count_nonzero(rising[1:] != rising[:-1]))
    expected = 2.0 * (n - 2) / 3.0
    return Turning(count, expected, (count - expected) / math.sqrt((16.0 * n - 29.0) / 90.0))


def relative_changes(y: Floats) -> Floats:
    """Unsigned change relative to the value before, shape (n - 1,); a change away from 0 is inf."""
    step = np.abs(np.diff(y))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        change = step / np.abs(y[:-1])
    return np.where(step == 0.0, 0.0, change)


def oscillations(y: Floats, threshold: float = 0.01) -> int:
    """Number of step-to-step changes that are larger than ``threshold`` of the value before.

    A count grows with the length of the series: divide by the steps before comparing two runs.
    """
    return int(np.count_nonzero(relative_changes(y) > threshold))


def volatility(y: Floats, window: int = 20) -> float:
    """Mean of the sd (n - 1) within all windows of ``window`` points, in units of y; NaN if shorter."""
    if window < 2 or len(y) < window:
        return math.nan
    return float(np.mean(rolling(y, window, _sd)))


def _sd(windows: Floats) -> Floats:
    return np.asarray(np.std(windows, axis=1, ddof=1), dtype=np.float64)
