"""Counts and rates with their uncertainty."""

from __future__ import annotations

import math

import numpy as np

from postmortem.stats.basics import two_sided

_EXACT_UP_TO = 1_000_000  # events, for the exact comparison of two rates


def wilson(k: float, n: float, z: float = 1.96) -> tuple[float, float]:
    """Score interval of ``k / n`` at ``z`` standard errors (Wilson 1927); (0, 1) when n is 0."""
    if n <= 0:
        return 0.0, 1.0
    share = k / n
    centre = (share + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z * math.sqrt(max(share * (1.0 - share), 0.0) / n + z * z / (4.0 * n * n)) / (1.0 + z * z / n)
    # Rounding must not push the ends past what was observed at 0 and n.
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


def hanley_mcneil(auc: float, n_pos: float, n_neg: float) -> float:
    """Standard error of an area under the ROC curve (Hanley & McNeil 1982); NaN without both classes.

    Assumes independent samples; duplicated or grouped samples make the true error larger.
    """
    if n_pos < 1 or n_neg < 1 or not 0.0 <= auc <= 1.0:
        return math.nan
    two_positives = auc / (2.0 - auc)
    two_negatives = 2.0 * auc * auc / (1.0 + auc)
    spread = (n_pos - 1.0) * (two_positives - auc**2) + (n_neg - 1.0) * (two_negatives - auc**2)
    return math.sqrt(max(auc * (1.0 - auc) + spread, 0.0) / (n_pos * n_neg))


def poisson_rate(k: float, exposure: float) -> tuple[float, float, float]:
    """Rate of ``k`` events over ``exposure`` with its 95 % interval; NaN without exposure.

    Byar's approximation (Breslow & Day 1987, p. 69). Events are assumed independent; the interval is per unit
    of ``exposure`` (steps, hours).
    """
    if exposure <= 0:
        return math.nan, math.nan, math.nan
    low = k * max(0.0, 1.0 - 1.0 / (9.0 * k) - 1.96 / (3.0 * math.sqrt(k))) ** 3 if k > 0 else 0.0
    above = k + 1.0
    high = above * (1.0 - 1.0 / (9.0 * above) + 1.96 / (3.0 * math.sqrt(above))) ** 3
    return k / exposure, low / exposure, high / exposure


def compare_rates(k1: int, e1: float, k2: int, e2: float) -> float:
    """Two-sided probability of rates that differ this much when the true rates per exposure are equal.

    Given the total, the first count is binomial with share ``e1 / (e1 + e2)`` (Przyborowski & Wilenski 1940):
    exact, doubled tail, up to a million events and normal above. 1 when nothing can be told. For events that
    can happen once a step at most it is conservative; use ``compare_proportions``.
    """
    total = k1 + k2
    if total <= 0 or e1 <= 0 or e2 <= 0:
        return 1.0
    share = e1 / (e1 + e2)
    if total > _EXACT_UP_TO:
        return two_sided((k1 - total * share) / math.sqrt(total * share * (1.0 - share)))
    probability = _binomial(int(total), share)
    lower, upper = float(probability[: k1 + 1].sum()), float(probability[k1:].sum())
    return min(1.0, 2.0 * min(lower, upper))


def _binomial(n: int, share: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    k = np.arange(1.0, n + 1.0)
    log_ratio = np.log(n - k + 1.0) - np.log(k) + math.log(share) - math.log1p(-share)
    log_p = np.concatenate([[0.0], np.cumsum(log_ratio)]) + n * math.log1p(-share)
    return np.asarray(np.exp(log_p), dtype=np.float64)


def compare_proportions(k1: float, n1: float, k2: float, n2: float) -> float:
    """Two-sided probability of shares ``k / n`` that differ this much when the true shares are equal.

    Pooled score test. 1 when nothing can be told. Assumes a handful of events and of non-events on both
    sides.
    """
    if n1 <= 0 or n2 <= 0:
        return 1.0
    pooled = (k1 + k2) / (n1 + n2)
    variance = pooled * (1.0 - pooled) * (1.0 / n1 + 1.0 / n2)
    return two_sided((k1 / n1 - k2 / n2) / math.sqrt(variance)) if variance > 0 else 1.0
