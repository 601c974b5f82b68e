"""Intervals and comparisons of rates."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW

from postmortem.stats import compare_proportions, compare_rates, hanley_mcneil, poisson_rate, wilson


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(k: int, n: int, low: float, high: float) -> None:
    """The four examples of Newcombe's comparison, to four digits."""
    assert wilson(k, n) == pytest.approx((low, high), abs=6e-5)


@FEW
@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_share_and_mirrors(k: int, others: int) -> None:
    """The interval contains the share, stays within 0 and 1, and mirrors when the roles swap."""
    n = k + others
    low, high = wilson(k, n)
    mirrored = wilson(others, n)

    assert 0.0 <= low <= high <= 1.0
    assert n == 0 or low <= k / n <= high
    assert mirrored == pytest.approx((1 - high, 1 - low))


def test_hanley_mcneil_by_hand() -> None:
    """For an area of 0.8 with 50 of each: Q1 = 0.6667, Q2 = 0.7111, standard error 0.0446."""
    variance = (0.16 + 49 * (0.8 / 1.2 - 0.64) + 49 * (1.28 / 1.8 - 0.64)) / 2500

    assert hanley_mcneil(0.8, 50, 50) == pytest.approx(math.sqrt(variance))
    assert hanley_mcneil(0.8, 50, 50) == pytest.approx(0.0446, abs=1e-4)
    assert hanley_mcneil(1.0, 50, 50) == 0.0
    assert math.isnan(hanley_mcneil(0.8, 0, 50))


@pytest.mark.parametrize(
    ("k", "low", "high"),
    # Exact limits (Garwood 1936), as tabulated by Breslow & Day.
    [(1, 0.025, 5.572), (5, 1.623, 11.668), (10, 4.795, 18.390), (100, 81.364, 121.627)],
)
def test_poisson_interval_is_near_the_exact_one(k: int, low: float, high: float) -> None:
    """Byar's limits agree with the exact ones to 1 % from five events on, and nearly below."""
    rate, found_low, found_high = poisson_rate(k, 2.0)

    assert rate == k / 2
    assert (2 * found_low, 2 * found_high) == pytest.approx((low, high), rel=0.01, abs=0.02)


def test_no_events_and_no_exposure() -> None:
    """None seen leaves an upper limit near 3.7 events; no exposure leaves nothing."""
    assert poisson_rate(0, 1.0) == pytest.approx((0.0, 0.0, 3.7), abs=0.1)
    assert all(math.isnan(value) for value in poisson_rate(3, 0.0))


def test_counts_are_compared_per_exposure() -> None:
    """517 in 560 steps and 269 in 291 are the same rate; 517 and 269 in equal steps are not."""
    assert compare_rates(517, 559, 269, 290) > 0.9
    assert compare_rates(517, 500, 269, 500) < 1e-12


@FEW
@given(st.integers(0, 40), st.integers(0, 40), st.floats(0.1, 10), st.floats(0.1, 10))
def test_comparison_is_the_doubled_binomial_tail(k1: int, k2: int, e1: float, e2: float) -> None:
    """P equals the binomial sum written out, and does not depend on which run comes first."""
    n, share = k1 + k2, e1 / (e1 + e2)
    pmf = [math.comb(n, i) * share**i * (1 - share) ** (n - i) for i in range(n + 1)]
    expected = min(1.0, 2 * min(sum(pmf[: k1 + 1]), sum(pmf[k1:]))) if n else 1.0

    assert compare_rates(k1, e1, k2, e2) == pytest.approx(expected, rel=1e-6, abs=1e-12)
    assert compare_rates(k2, e2, k1, e1) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_millions_of_events_are_compared() -> None:
    """Above the exact limit the normal approximation takes over without a jump."""
    below = compare_rates(500_800, 1.0, 499_200, 1.0)
    above = compare_rates(500_801, 1.0, 499_200, 1.0)

    assert above == pytest.approx(below, rel=0.02)


def test_proportions_by_hand() -> None:
    """15 of 100 against 30 of 100: z = -0.15 / sqrt(0.225 * 0.775 / 50) = -2.54, p = 0.011."""
    assert compare_proportions(15, 100, 30, 100) == pytest.approx(0.0111, abs=1e-4)
    assert compare_proportions(0, 10, 0, 20) == 1.0
    assert compare_proportions(1, 0, 1, 2) == 1.0
