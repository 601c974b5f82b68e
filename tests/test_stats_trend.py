"""Mann-Kendall and Theil-Sen."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, rate

from postmortem.stats import mann_kendall, theil_sen


def test_short_rising_series_has_the_exact_probability() -> None:
    """Of the 120 orders of five values two are as monotone as a rising one."""
    found = mann_kendall(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))

    assert found.tau == 1.0
    assert found.p == pytest.approx(2 / 120)
    assert found.z > 0


def test_exact_probabilities_match_enumeration() -> None:
    """For every order of four values p is the share of orders at least as far from level."""
    orders = list(itertools.permutations([1.0, 2.0, 3.0, 4.0]))
    taus = np.array([mann_kendall(np.array(order)).tau for order in orders])
    for order, tau in zip(orders, taus, strict=True):
        assert mann_kendall(np.array(order)).p == pytest.approx(np.mean(np.abs(taus) >= abs(tau) - 1e-12))


def test_ties_follow_the_textbook_variance() -> None:
    """Gilbert (1987), section 16.4: variance (n(n-1)(2n+5) - sum t(t-1)(2t+5)) / 18, score less one."""
    y = np.array([10.0, 22.0, 21.0, 30.0, 22.0, 30.0, 40.0, 40.0, 40.0, 41.0, 50.0, 60.0])
    score = sum(np.sign(b - a) for a, b in itertools.combinations(y, 2))
    variance = (12 * 11 * 29 - 2 * (2 * 1 * 9) - 3 * 2 * 11) / 18

    assert mann_kendall(y).z == pytest.approx((score - 1) / math.sqrt(variance))


@pytest.mark.parametrize(("noise", "n", "most"), [("white", 15, 0.08), ("white", 60, 0.08), ("heavy", 60, 0.08),
                                                  ("ar1", 60, 0.11), ("ar1", 200, 0.09)])  # fmt: skip
def test_noise_alone_is_seldom_a_trend(noise: str, n: int, most: float) -> None:
    """At p < 0.05 about one in twenty series without a trend is called one, also when it is autocorrelated."""
    assert rate(lambda y: mann_kendall(y).p < 0.05, noise, n, 200) <= most


def test_a_trend_of_one_sd_in_thirty_points_is_found() -> None:
    """A rise of three sd over 30 points is found nine times in ten."""
    assert rate(lambda y: mann_kendall(y).z > 1.96, "white", 30, 100, np.linspace(0, 3, 30)) >= 0.9


@FEW
@given(st.lists(st.integers(-50, 50), min_size=3, max_size=40))
def test_only_order_matters_and_mirroring_flips_the_sign(values: list[int]) -> None:
    """Any rising transformation leaves the test as it was, and the negative series gives the negative score."""
    y = np.array(values, dtype=float)
    if len(y) < 20:  # above, autocorrelation is estimated from the values themselves
        assert mann_kendall(y**3) == mann_kendall(y)
    assert mann_kendall(3.0 * y + 7.0).z == pytest.approx(mann_kendall(y).z)
    assert mann_kendall(-y).z == pytest.approx(-mann_kendall(y).z)


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [3.0] * 30])
def test_no_trend_without_evidence(values: list[float]) -> None:
    """Short and constant series have p 1."""
    assert mann_kendall(np.array(values)).p == 1.0


def test_theil_sen_slope_of_the_textbook() -> None:
    """The pairs of (0, 0), (1, 2), (2, 3), (4, 10) have slopes 2, 1.5, 2.5, 1, 2.67 and 3.5: median 2.25."""
    found = theil_sen(np.array([0.0, 1.0, 2.0, 4.0]), np.array([0.0, 2.0, 3.0, 10.0]))

    assert found.slope == pytest.approx(2.25)


def test_theil_sen_ignores_outliers() -> None:
    """A fifth of wild points leaves the slope."""
    x = np.arange(50.0)
    y = 2.0 * x
    y[::5] += 1e6

    assert theil_sen(x, y).slope == pytest.approx(2.0, rel=0.05)


@pytest.mark.parametrize("noise", ["white", "heavy", "ar1"])
def test_theil_sen_interval_covers_the_slope(noise: str) -> None:
    """The 95 % interval misses the true slope in about one series of twenty (of ten for AR(1) at 50 points)."""
    x = np.arange(50.0)

    def misses(y: np.ndarray) -> bool:
        found = theil_sen(x, y)
        return not found.low <= 0.3 <= found.high

    assert rate(misses, noise, 50, 200, 0.3 * x) <= (0.13 if noise == "ar1" else 0.09)


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0, 2.0]])
def test_no_slope_without_two_places(x: list[float]) -> None:
    """Equal x give no slope, and no exception."""
    assert math.isnan(theil_sen(np.array(x), np.array(x)).slope)


def test_two_points_have_a_slope() -> None:
    """Two points give their slope, and an interval that is that slope."""
    found = theil_sen(np.array([0.0, 2.0]), np.array([1.0, 5.0]))

    assert (found.slope, found.low, found.high) == (2.0, 2.0, 2.0)
