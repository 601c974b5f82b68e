"""How finely a series is printed, and how much it jitters around its trend."""

from __future__ import annotations

import math

import numpy as np

from postmortem.stats.basics import MAD_TO_SD, Floats, autocorrelation, inflation, median

_LOOKED_AT = 1000  # values whose digits are counted


def resolution(y: Floats) -> float:
    """The smallest step that the printed digits can express: ``10**-k``, k the most decimals of any value.

    Values printed as ``0.0818`` give 1e-4, integers give 1. At most a thousand evenly spaced values are
    looked at: of values printed alike one in ten ends in 0, so the most decimals soon show. NaN for no
    values.
    """
    if len(y) == 0:
        return math.nan
    stride = -(-len(y) // _LOOKED_AT)
    decimals = max(map(_decimals, map(repr, y[::stride].tolist())))
    # Finer steps have no reciprocal among floats.
    return float(f"1e-{min(decimals, 300)}")


def _decimals(text: str) -> int:
    if "e" not in text:
        fraction = text.partition(".")[2]
        return 0 if fraction == "0" else len(fraction)  # Python prints no other zero at the end
    mantissa, _, exponent = text.partition("e")
    fraction = mantissa.partition(".")[2].rstrip("0")
    return max(0, len(fraction) - int(exponent or 0))


def noise(y: Floats) -> float:
    """Standard deviation of the noise around a smooth trend, in the units of ``y``; NaN under 3 points.

    The median absolute second difference, scaled so that it is the sd for white normal noise: the variance of
    a second difference is then 6 sigma^2 (Gasser, Sroka & Jennen-Steinmetz 1986). A bend in the trend also
    adds to second differences, less to third ones (variance 20 sigma^2; Hall, Kay & Titterington 1990), so
    with 6 points and more the smaller of the two counts: the steep start of a loss curve is not taken for
    noise. A median is used, so one step or spike does not matter. Never less than the rounding of the printed
    digits, resolution / sqrt(12). For noise that is positively autocorrelated the value is too small; see
    ``worsened``.
    """
    if len(y) < 3:
        return math.nan
    rough = _from_differences(y, 2)
    if len(y) >= 6:
        rough = min(rough, _from_differences(y, 3))
    return max(rough, resolution(y) / math.sqrt(12.0))


def _from_differences(y: Floats, order: int) -> float:
    scale = MAD_TO_SD / math.sqrt(math.comb(2 * order, order))
    return scale * median(np.abs(np.diff(y, order)))


def block_means(y: Floats, blocks: int) -> Floats:
    """Means of ``blocks`` nearly equal consecutive blocks, shape (blocks,); ``y`` itself if not longer."""
    if len(y) <= blocks or blocks < 1:
        return y
    edges = np.linspace(0, len(y), blocks + 1).astype(np.int64)
    return np.asarray(np.add.reduceat(y, edges[:-1]) / np.diff(edges), dtype=np.float64)


def correlated_noise(y: Floats, rho: float) -> float:
    """Standard deviation of AR(1) noise with lag-1 correlation ``rho``, of which ``noise`` sees only a part.

    The variance of a third difference is then sigma^2 (20 - 30 rho + 12 rho^2 - 2 rho^3).
    """
    return noise(y) * math.sqrt(20.0 / (20.0 - 30.0 * rho + 12.0 * rho**2 - 2.0 * rho**3))


def noise_of_means(y: Floats, length: float) -> float:
    """Standard deviation that the noise of ``y`` leaves in means of ``length`` points, in the units of ``y``.

    The noise is that around the trend, taken for AR(1). Of its correlation no more than 0.5 is believed, because a
    slow swing looks like correlated noise.
    """
    rho = min(autocorrelation(y), 0.5)
    return correlated_noise(y, rho) * math.sqrt(inflation(rho) / length)
