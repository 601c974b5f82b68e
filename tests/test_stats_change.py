"""Change points and spikes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, rate, white

from postmortem.stats import change_point, spikes


def test_a_step_is_found_where_it_is() -> None:
    """The index is the first point of the new level, and the medians are those of both sides."""
    y = np.concatenate([np.full(12, 1.0), np.full(20, 4.0)])
    found = change_point(y)

    assert found is not None
    assert (found.index, found.before, found.after) == (12, 1.0, 4.0)
    assert found.p < 1e-3


def test_pettitt_statistic_by_hand() -> None:
    """For 1 2 3 4 5 6 the greatest contrast is 9 at the middle: p = 2 exp(-6 * 81 / (216 + 36))."""
    found = change_point(np.arange(1.0, 7.0))

    assert found is not None
    assert found.index == 3
    assert found.p == pytest.approx(2 * np.exp(-6 * 81 / 252))


@pytest.mark.parametrize("noise", ["white", "ar1", "heavy"])
def test_noise_alone_seldom_changes(noise: str) -> None:
    """At p < 0.05 at most one in twenty series is split, also when the noise is autocorrelated."""
    assert rate(lambda y: change_point(y).p < 0.05, noise, 60, 300) <= 0.075


def test_a_step_of_two_sd_is_found_to_a_few_points() -> None:
    """Two sd, thirty points a side: significant and near its place nine times in ten."""

    def hit(y: np.ndarray) -> bool:
        found = change_point(y)
        return found is not None and found.p < 0.05 and abs(found.index - 30) <= 3

    assert rate(hit, "white", 60, 200, 2.0 * (np.arange(60) >= 30)) >= 0.9


@FEW
@given(st.lists(st.integers(0, 100), min_size=4, max_size=19))
def test_only_ranks_decide(values: list[int]) -> None:
    """A rising transformation moves neither the place nor the probability."""
    y = np.array(values, dtype=float)
    plain, cubed = change_point(y), change_point(y**3)

    assert plain is not None
    assert cubed is not None
    assert (plain.index, plain.p) == (cubed.index, cubed.p)
    assert 1 <= plain.index < len(y)


def test_three_points_have_no_change() -> None:
    """Too short to split."""
    assert change_point(np.array([1.0, 2.0, 3.0])) is None


def test_spikes_are_found_on_a_falling_curve() -> None:
    """Two spikes on a noisy decay are found, and nothing else; a dip is none."""
    rng = np.random.default_rng(7)
    y = 5 * np.exp(-np.arange(300) / 60) + 0.05 * white(rng, 300)
    y[[40, 250]] += 4.0
    y[120] -= 2.0

    assert spikes(y).tolist() == [40, 250]


def test_noise_has_no_spikes() -> None:
    """Eight sd do not happen in normal noise, autocorrelated or not, however quiet a window may be by luck."""
    for noise in ("white", "ar1"):
        assert rate(lambda y: len(spikes(y)) > 0, noise, 1000, 20) == 0


def test_a_higher_bar_finds_fewer() -> None:
    """Raising the factor can only remove points."""
    y = np.random.default_rng(2).standard_t(2, size=500)

    assert set(spikes(y, 12.0)) < set(spikes(y, 6.0))


def test_spikes_ignore_unit_and_offset() -> None:
    """Scale and shift leave the indices."""
    y = np.random.default_rng(4).standard_t(2, size=300)

    assert len(spikes(y)) > 0
    assert np.array_equal(spikes(y), spikes(1024.0 * y + 4096.0))


@pytest.mark.parametrize("n", [0, 1, 5])
def test_too_few_points_to_spike(n: int) -> None:
    """Without five points behind, nothing stands out."""
    assert len(spikes(np.arange(n, dtype=float))) == 0
