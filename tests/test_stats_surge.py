"""Leaps that are recovered from, growth, and what a series can have fallen at most."""

from __future__ import annotations

import math

import numpy as np
import pytest
from series import rate

from postmortem.stats import fall_bound, growth, surges

DESCENT = 0.3 + 2.0 * np.exp(-np.arange(200) / 20.0)


def leap(*heights: float, at: int = 120) -> np.ndarray:
    """A descent with faint noise and points of these heights from index 120 on."""
    y = DESCENT + 0.01 * np.random.default_rng(1).normal(size=len(DESCENT))
    y[at : at + len(heights)] += heights
    return y


def test_a_leap_is_found_with_its_height_and_its_way_back() -> None:
    """Start, peak and end are those that were put in; the height counts from the level before."""
    (found,) = surges(leap(0.5, 1.5, 0.9))

    assert (found.start, found.peak, found.end) == (120, 121, 123)
    assert found.height == pytest.approx(1.5, abs=0.05)


NO_LEAPS = {
    "no leap": leap(),
    "a twentieth of the progress": leap(0.1),
    "stays up": leap(*[1.5] * 80),
    "climbs for long": leap(*np.linspace(0.1, 1.5, 30)),
    "at the very start, whose noise is not known": leap(1.5, at=5),
    "so often that it is how the series is": DESCENT + 1.5 * (np.arange(200) % 20 == 15),
    "ten points": leap()[:10],
}


@pytest.mark.parametrize("y", NO_LEAPS.values(), ids=NO_LEAPS)
def test_what_is_no_leap(y: np.ndarray) -> None:
    """Small, lasting, slow, early and frequent rises are none."""
    assert surges(y) == []


@pytest.mark.parametrize("noise", ["white", "ar1", "heavy"])
def test_noise_seldom_leaps(noise: str) -> None:
    """At most one series in twenty has a leap, also where the noise has heavy tails."""
    assert rate(lambda y: bool(surges(y)), noise, 200, 80, 10 * DESCENT) <= 0.05


def test_a_leap_of_twenty_sd_is_seen() -> None:
    """Nine times in ten, in white noise."""
    shape = 20.0 * (np.arange(200) == 120) + 5 * DESCENT

    assert rate(lambda y: bool(surges(y)), "white", 200, 60, shape) >= 0.9


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_leaps_have_no_scale(factor: float) -> None:
    """A loss in other units has the same leaps."""
    assert [s.peak for s in surges(factor * leap(0.5, 1.5, 0.9))] == [121]


def test_growth_is_against_the_median_of_all_before() -> None:
    """The tenfold point wins over the later, higher one, before which the level had risen."""
    y = np.array([1.0, 2.0, 3.0, 20.0, 40.0, 40.0, 60.0])

    assert growth(y) == (4, pytest.approx(40 / 2.5))
    assert growth(y[:1]) == (0, 1.0)
    assert growth(-y) == (0, 1.0)


def test_growth_of_a_long_series_keeps_its_peak() -> None:
    """Series over 2000 points are thinned for the medians, never for the peak."""
    y = np.ones(10_001)
    y[7777] = 500.0

    assert growth(y) == (7777, 500.0)


FALLS = [
    (np.full(20, 2.3498), 0.0, 1e-4),
    (np.linspace(1.1, 1.0, 50), 0.05, 0.11),
    (np.concatenate([[5.0], np.full(40, 1.0)]), 3.9, 4.1),
]


@pytest.mark.parametrize(("y", "least", "most"), FALLS)
def test_bound_of_the_fall(y: np.ndarray, least: float, most: float) -> None:
    """A constant has not fallen; a line by its ends; a first point high above the rest counts in full."""
    assert least <= fall_bound(y) <= most


@pytest.mark.parametrize("noise", ["white", "ar1"])
def test_the_bound_holds(noise: str) -> None:
    """A fall of 1 % over a tenth of the series is bounded from above at least nine times in ten."""
    start = np.where(np.arange(100) < 20, 101.0, 100.0)

    assert rate(lambda y: fall_bound(y) >= 0.01, noise, 100, 150, start) >= 0.9


def test_the_bound_is_tight_enough_to_say_something() -> None:
    """A level of 100 sd is bounded to two percent nine times in ten."""
    assert rate(lambda y: fall_bound(y) < 0.02, "white", 60, 100, 100.0) >= 0.9


def test_too_few_points_have_no_bound() -> None:
    """Under five points, or at level zero, there is none."""
    assert math.isnan(fall_bound(np.ones(4)))
    assert math.isnan(fall_bound(np.zeros(9)))
