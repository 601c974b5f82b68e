"""Where a series changes its level, and where it jumps for a moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from postmortem.stats.basics import (
    Floats,
    Ints,
    autocorrelation_if_level,
    inflation,
    mad,
    mads,
    medians,
    ranks,
    rolling,
)
from postmortem.stats.noise import noise

_WINDOW = 21  # points behind that a spike is judged against
_FEWEST = 5  # points behind without which nothing is judged


@dataclass(frozen=True)
class Change:
    """The most likely single change of level.

    Attributes:
        index: First point of the new level.
        before: Median of the points before ``index``.
        after: Median of the points from ``index`` on.
        p: Probability of so large a contrast without a change; a trend also makes it small.
    """

    index: int
    before: float
    after: float
    p: float


def change_point(y: Floats) -> Change | None:
    """The point that best splits the series into a lower and a higher part, by ranks; None under 4 points.

    Pettitt (1979), with his approximate probability. The contrast is first divided by the square root of the
    variance inflation of autocorrelated noise. Assumes one change; a steady trend is a change at its middle,
    so ask for a trend as well.
    """
    n = len(y)
    if n < 4:
        return None
    contrast = np.abs(2.0 * np.cumsum(ranks(y))[:-1] - np.arange(1, n) * (n + 1.0))
    index = int(np.argmax(contrast)) + 1
    before, after = y[:index], y[index:]
    factor = inflation(autocorrelation_if_level(y))
    exponent = -6.0 * float(contrast[index - 1]) ** 2 / (factor * (n**3 + n**2))
    p = min(1.0, 2.0 * math.exp(exponent))
    return Change(index, float(np.median(before)), float(np.median(after)), p)


def spikes(y: Floats, factor_noise: float = 8.0) -> Ints:
    """Indices of points more than ``factor_noise`` noise sd above the median of the 21 points behind them.

    The noise is the scaled MAD of those points, never less than ``noise`` of the whole series, so that a
    quiet stretch by luck is no cause for alarm. The first points are judged against as many as there are,
    from five on. After a lasting step up the first ten points of the new level are also returned: whether it
    recovered is for the caller.
    """
    if len(y) <= _FEWEST:
        return np.empty(0, dtype=np.int64)
    middle, spread = _behind(y)
    limit = middle + factor_noise * np.maximum(spread, noise(y))
    return np.flatnonzero(y[_FEWEST:] > limit) + _FEWEST


def _behind(y: Floats) -> tuple[Floats, Floats]:
    """Median and scaled MAD of the points behind each point from the sixth on."""
    early = range(_FEWEST, min(_WINDOW, len(y)))
    middle = np.array([np.median(y[:i]) for i in early])
    spread = np.array([mad(y[:i]) for i in early])
    later = y[:-1]
    return (
        np.concatenate([middle, rolling(later, _WINDOW, medians)]),
        np.concatenate([spread, rolling(later, _WINDOW, mads)]),
    )
