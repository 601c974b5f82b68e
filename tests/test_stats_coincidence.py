"""Equal numbers by accident: the grain of a printed number, and the chance of meetings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmortem.stats import coincidence, grain

GRAINS = {
    "sixteen digits of no simple fraction": (0.08177260619898637, 1e-17),
    "four digits": (0.0818, 1e-4),
    "whole": (3.0, 1.0),
    "491 of 500, four digits": (0.982, 1 / 500),
    "491 of 500 as a 32-bit float": (0.98199999332427979, 1 / 500),
    "6 of 7": (0.8571428571428571, 1 / 7),
    "1571 of 1600, a decimal that ends": (0.981875, 1 / 1600),
    "9705 of 9973": (9705 / 9973, 1 / 9973),
    "a 32-bit float of no simple fraction": (float(np.float32(0.7234567)), 2.0**-24),
}


@pytest.mark.parametrize("name", GRAINS)
def test_grain(name: str) -> None:
    """Digits, the width of a 32-bit float or a number of samples limit what a value can be told from."""
    value, step = GRAINS[name]

    assert step / 2 <= grain(value) <= 2 * step


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_shares_of_samples_are_never_finer_than_their_lattice(part: int, of: int) -> None:
    """A share of few samples, however many digits are printed, has the grain of the lattice or a coarser one."""
    share = part / of

    assert grain(share) >= 0.999 / of


def test_chance_falls_with_runs_and_digits() -> None:
    """More equal runs and finer numbers are less likely; one run, or a coarse lattice, says nothing."""
    fine = [coincidence(1e-6, 1e-3, alike, 10) for alike in (1, 2, 3, 4)]

    assert fine == sorted(fine, reverse=True)
    assert fine[0] == 1.0
    assert coincidence(1e-9, 1e-3, 2, 10) < coincidence(1e-6, 1e-3, 2, 10)
    assert coincidence(1e-4, 1e-3, 9, 9) == 1.0
    assert coincidence(1e-6, 0.0, 2, 2) == 1.0


def test_false_alarms_stay_below_the_level() -> None:
    """Of sets of runs that scatter as assumed, no more share of pairs meet than the bound says."""
    step, scatter, runs, trials = 1e-4, 0.02, 5, 20_000
    ends = np.round(np.random.default_rng(0).normal(0.8, scatter, (trials, runs)) / step)
    met = np.mean([len(set(row)) < runs for row in ends.tolist()])

    assert met <= 1.1 * coincidence(step, scatter, 2, runs)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_grain_is_total(value: float) -> None:
    """Any finite number has a grain above zero."""
    assert grain(value) > 0
