"""Normal tails, ranks and autocorrelation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, ar1, white

from postmortem.stats import basics


@pytest.mark.parametrize(("z", "p"), [(0.0, 0.5), (1.6448536, 0.05), (3.0902323, 0.001), (-1.6448536, 0.95)])
def test_tail_and_quantile_agree_with_tables(z: float, p: float) -> None:
    """Tail, array tail and inverse give the tabulated normal values."""
    assert basics.z_of(p) == pytest.approx(z, abs=1e-6)
    assert basics.upper_tails(np.array([z]))[0] == pytest.approx(p, rel=1e-6)


@FEW
@given(st.floats(-8, 35))
def test_array_tail_is_accurate_far_out(z: float) -> None:
    """The fitted tail keeps its relative accuracy where probabilities are tiny."""
    exact = 0.5 * math.erfc(z / math.sqrt(2))

    assert basics.upper_tails(np.array([z]))[0] == pytest.approx(exact, rel=2e-7)


def test_impossible_probabilities_have_finite_scores() -> None:
    """A p of 0 or 1 gives the end of the scale and no exception."""
    assert basics.z_of(0.0) > 35
    assert basics.z_of(1.0) < -8


@FEW
@given(st.lists(st.integers(-5, 5), max_size=30))
def test_ranks_share_ties(values: list[int]) -> None:
    """A rank is one more than the values below plus half of the other equal ones."""
    y = np.array(values, dtype=float)
    expected = [(y < v).sum() + 0.5 * ((y == v).sum() + 1) for v in y]

    assert basics.ranks(y).tolist() == expected


def test_autocorrelation_finds_rho_and_ignores_trend_and_spike() -> None:
    """AR(1) noise is told from white noise, with a steep trend and a spike on top."""
    rng = np.random.default_rng(3)
    trend = np.linspace(50, 0, 400)
    spike = 100.0 * (np.arange(400) == 77)

    assert basics.autocorrelation(ar1(rng, 400) + trend + spike) == pytest.approx(0.5, abs=0.15)
    assert basics.autocorrelation(white(rng, 400) + trend + spike) < 0.15


def test_a_plain_trend_is_not_blamed_on_correlated_noise() -> None:
    """When next to nothing is left around the trend, no autocorrelation is assumed for testing it."""
    noise = ar1(np.random.default_rng(1), 200)

    assert basics.autocorrelation_if_level(noise + np.linspace(0, 100, 200)) == 0.0
    assert basics.autocorrelation_if_level(noise) == basics.autocorrelation(noise) > 0.3


def test_rolling_joins_its_pieces_seamlessly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Working in pieces gives the same windows as working at once."""
    y = np.random.default_rng(0).normal(size=100)
    at_once = basics.rolling(y, 7, lambda w: w.sum(axis=1))
    monkeypatch.setattr(basics, "_CHUNK", 8)

    assert np.array_equal(basics.rolling(y, 7, lambda w: w.sum(axis=1)), at_once)
    assert len(at_once) == 94
