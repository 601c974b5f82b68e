"""Flat tails and worsening since the best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, rate

from postmortem.stats import flat_tail, worsened


@pytest.mark.parametrize("n", [4, 20, 300])
def test_a_constant_is_flat_throughout(n: int) -> None:
    """A series that never moved is flat from its first point."""
    assert flat_tail(np.full(n, 0.5), "min") == n


@pytest.mark.parametrize("n", [20, 200, 1000])
def test_noise_alone_is_mostly_flat(n: int) -> None:
    """Nineteen in twenty series of mere noise have a flat tail of at least half their length."""
    assert rate(lambda y: flat_tail(y, "min") >= n / 2, "white", n, 100) >= 0.9


@pytest.mark.parametrize("n", [12, 60, 400])
def test_a_steady_improvement_is_never_flat(n: int) -> None:
    """A clean straight improvement has no flat tail, downwards or upwards."""
    y = np.linspace(1, 0, n)

    assert flat_tail(y, "min") == 0
    assert flat_tail(-y, "max") == 0


@pytest.mark.parametrize("n", [20, 60, 300])
def test_the_tail_begins_where_the_improvement_ends(n: int) -> None:
    """Half a decline, half level, noise of 5 % of the decline: the tail is half the series, give or take a tenth."""
    time = np.arange(n) / n
    decline = 20.0 * np.clip(0.5 - time, 0.0, None) * 2.0

    assert rate(lambda y: abs(flat_tail(y, "min") / n - 0.5) <= 0.1, "white", n, 60, decline) >= 0.8


def test_getting_worse_is_not_improving() -> None:
    """After a trough the running best stands still: the tail reaches back to the trough."""
    y = np.abs(np.linspace(-1, 1, 41))

    assert flat_tail(y, "min") == pytest.approx(21, abs=2)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_short_to_be_flat(n: int) -> None:
    """Under four points nothing is called flat."""
    assert flat_tail(np.zeros(n), "min") == 0


@FEW
@given(st.lists(st.floats(-100, 100), max_size=60), st.sampled_from(["min", "max"]))
def test_the_tail_is_part_of_the_series(values: list[float], direction: str) -> None:
    """Any series has a tail between 0 and its length, and the mirrored series has the same."""
    y = np.array(values)
    other = "max" if direction == "min" else "min"

    assert 0 <= flat_tail(y, direction) <= len(y)
    assert flat_tail(-y, other) == flat_tail(y, direction)


CLEAR = {
    "loss, five epochs": ([0.1880, 0.1916, 0.2106, 0.2435, 0.2921], "min", 0),
    "auc, five epochs": ([0.5829, 0.5703, 0.5576, 0.5542, 0.5513], "max", 0),
    "best in the second epoch": ([0.1911, 0.1898, 0.2017, 0.2526, 0.3058], "min", 1),
    "steep start, slow rise": ([2.3, 1.2, 0.7, 0.5, 0.45, 0.44, 0.48, 0.55, 0.6, 0.66], "min", 5),
}


@pytest.mark.parametrize(("values", "direction", "best"), CLEAR.values(), ids=CLEAR)
def test_a_clear_worsening_is_seen_in_few_points(values: list[float], direction: str, best: int) -> None:
    """A short series that plainly leaves its best has a z above 2.5, and the best where it was."""
    found = worsened(np.array(values), direction)

    assert found is not None
    assert found.best_index == best
    assert found.z > 2.5
    assert found.amount > 0


FINE = {
    "jitter": ([0.40, 0.39, 0.41, 0.40, 0.395], "min"),
    "converged": ([2.3, 1.2, 0.7, 0.5, 0.45, 0.44, 0.43, 0.441, 0.438, 0.445], "min"),
    "still improving": ([0.50, 0.58, 0.63, 0.66, 0.68], "max"),
    "constant": ([0.5] * 6, "min"),
}


@pytest.mark.parametrize(("values", "direction"), FINE.values(), ids=FINE)
def test_jitter_is_no_worsening(values: list[float], direction: str) -> None:
    """Series that wander around or keep improving have a z under 1."""
    found = worsened(np.array(values), direction)

    assert found is not None
    assert found.z < 1.0


@pytest.mark.parametrize(
    ("noise", "n", "most"),
    [("white", 5, 0.07), ("white", 12, 0.07), ("white", 50, 0.07), ("white", 400, 0.08), ("heavy", 12, 0.07),
     ("heavy", 50, 0.07), ("ar1", 20, 0.07), ("ar1", 50, 0.07), ("ar1", 400, 0.07), ("ar1", 12, 0.15)],
)  # fmt: skip
def test_a_lucky_best_is_not_a_worsening(noise: str, n: int, most: float) -> None:
    """The best of many draws is lucky: at z > 1.645 at most one series in twenty is called worse (sampling aside)."""
    assert rate(lambda y: worsened(y, "min").z > 1.645, noise, n, 200) <= most


@pytest.mark.parametrize("n", [30, 100])
def test_a_steep_start_does_not_hide_correlated_noise(n: int) -> None:
    """A fall of 200 sd followed by a level with AR(1) noise is not worse than its best."""
    fall = 200.0 * np.exp(-np.arange(n) / 3.0)

    assert rate(lambda y: worsened(y, "min").z > 1.645, "ar1", n, 150, fall) <= 0.07


def test_high_scores_are_rare_under_short_correlated_noise() -> None:
    """Where autocorrelation cannot be seen, z above 3 stays rarer than one in a hundred."""
    assert rate(lambda y: worsened(y, "min").z > 3.0, "ar1", 12, 500) <= 0.01


@pytest.mark.parametrize(("n", "rise"), [(10, 10.0), (30, 8.0), (200, 3.0)])
def test_a_rise_after_the_trough_is_found(n: int, rise: float) -> None:
    """A valley whose right side climbs by the stated number of sd is found in eight of ten series."""
    time = np.arange(n) / (n - 1)
    valley = np.where(time < 0.4, 25.0 * (0.4 - time), rise * (time - 0.4) / 0.6)

    assert rate(lambda y: worsened(y, "min").z > 1.645, "white", n, 100, valley) >= 0.8


@FEW
@given(st.lists(st.integers(-999, 999), min_size=4, max_size=40), st.sampled_from([2.0, 0.5]), st.integers(-99, 99))
def test_worsening_ignores_unit_and_offset(values: list[int], factor: float, offset: int) -> None:
    """Another unit and another zero give the same best and, above the rounding floor, the same score."""
    y = np.array(values, dtype=float) * 8.0
    plain, moved = worsened(y, "min"), worsened(factor * y + offset, "min")

    assert plain is not None
    assert moved is not None
    assert moved.best_index == plain.best_index
    assert moved.amount == pytest.approx(factor * plain.amount)
    if np.abs(np.diff(y, 2)).min() > 0:
        assert moved.z == pytest.approx(plain.z, abs=1e-3)


def test_three_points_cannot_worsen() -> None:
    """Too short to compare a tail with a best."""
    assert worsened(np.array([1.0, 2.0, 3.0]), "min") is None
