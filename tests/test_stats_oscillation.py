"""Turning points, relative changes, volatility."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, case, rate

from postmortem.stats import oscillations, relative_changes, turning_points, volatility

PUBLISHED = [(2, 654, 12.2, 0.0375), (3, 269, 7.8, 0.0254), (4, 517, 8.3, 0.0244), (5, 256, 8.9, 0.0262)]


@pytest.mark.parametrize(("run", "count", "median", "spread"), PUBLISHED)
def test_the_published_fine_tuning_runs(run: int, count: int, median: float, spread: float) -> None:
    """Oscillations, median change in percent and volatility of four real runs, to the printed digit.

    The median change of run 5 is 8.85 %, between the two digits it could be rounded to.
    """
    with case(f"finetune-runs/fine_tune_training_{run}.csv").open() as file:
        loss = np.array([float(row["train_loss"]) for row in csv.DictReader(file)])

    assert oscillations(loss) == count
    assert 100 * np.median(relative_changes(loss)) == pytest.approx(median, abs=0.06)
    assert round(volatility(loss), 4) == spread


def test_turning_points_by_hand() -> None:
    """1 3 2 2 4 1: peaks at 3 and 4, a trough at the repeated 2, which is one point; expected 2 of 5 values."""
    found = turning_points(np.array([1.0, 3.0, 2.0, 2.0, 4.0, 1.0]))

    assert (found.count, found.expected) == (3, 2.0)
    assert found.z == pytest.approx(1 / math.sqrt(51 / 90))


def test_turning_points_of_noise_and_of_a_line() -> None:
    """White noise of any shape is within two sd 19 times in 20; a smooth curve and a zigzag are far off."""
    for noise in ("white", "heavy"):
        assert rate(lambda y: abs(turning_points(y).z) > 1.96, noise, 100, 1000) <= 0.075
    assert turning_points(np.arange(100.0)).z < -10
    assert turning_points(np.arange(100.0) % 2).z > 5


@FEW
@given(st.lists(st.integers(1, 1000), max_size=50), st.sampled_from([0.25, 2.0, 64.0]))
def test_oscillations_ignore_the_unit(values: list[int], factor: float) -> None:
    """Relative changes do not depend on the unit, and a lower threshold counts no fewer."""
    y = np.array(values, dtype=float)

    assert np.array_equal(relative_changes(factor * y), relative_changes(y))
    assert oscillations(y, 0.0) >= oscillations(y, 0.01) >= oscillations(y, 1.0)


def test_changes_from_and_at_zero() -> None:
    """Leaving zero is an infinite change, staying there is none, and sign does not matter."""
    assert relative_changes(np.array([0.0, 0.0, 1.0, -1.0])).tolist() == [0.0, math.inf, 2.0]


@FEW
@given(st.floats(-1e3, 1e3), st.sampled_from([0.5, 4.0]))
def test_volatility_is_free_of_offset(offset: float, factor: float) -> None:
    """A shift leaves the volatility; a unit scales it; one window is the plain sd."""
    y = np.random.default_rng(0).normal(size=50)

    assert volatility(factor * y + offset) == pytest.approx(factor * volatility(y))
    assert volatility(y, 50) == pytest.approx(np.std(y, ddof=1))


def test_short_series_are_unknown() -> None:
    """Nothing to turn, to change or to spread."""
    assert math.isnan(turning_points(np.array([1.0, 2.0])).z)
    assert len(relative_changes(np.array([1.0]))) == 0
    assert math.isnan(volatility(np.arange(19.0)))
