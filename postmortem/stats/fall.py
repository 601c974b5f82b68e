"""How much a series can have fallen at most: what it takes to say that it did not."""

from __future__ import annotations

import math

import numpy as np

from postmortem.stats.basics import Floats, autocorrelation, inflation, median
from postmortem.stats.noise import correlated_noise

_FEWEST = 5


def fall_bound(y: Floats, z: float = 1.645) -> float:
    """Upper bound (one-sided 5 %) of the fall of a series from its beginning to its end, over its level at the end.

    The difference of the means of the first fifth and the last two fifths, plus ``z`` standard errors, as in a test
    of equivalence (Schuirmann 1987): a small bound shows that there was no large fall, which a trend test that finds
    nothing does not. The noise is that around the trend, its autocorrelation allowed for. Where one of the first
    points lies more than four sd of noise above the end, the fall is at least that far: a steep start is no noise.
    NaN under 5 points or at level 0.
    """
    if len(y) < _FEWEST:
        return math.nan
    early, late = y[: max(1, len(y) // 5)], y[-(2 * len(y) // 5) :]
    level = abs(median(late))
    rho = autocorrelation(y)
    sd = correlated_noise(y, rho)
    error = sd * math.sqrt(inflation(rho) * (1.0 / len(early) + 1.0 / len(late)))
    bound = float(np.mean(early) - np.mean(late)) + z * error
    steep = float(np.max(y[: max(1, len(y) // 20)])) - median(late)
    largest = max(bound, steep) if steep > 4.0 * sd else bound
    return max(0.0, largest) / level if level > 0.0 else math.nan
