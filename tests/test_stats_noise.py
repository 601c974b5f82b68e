"""Resolution, noise and block means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, NOISES

from postmortem.stats import block_means, noise, noise_of_means, resolution


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0.0818], 1e-4),
        ([0.8, 0.81, 0.8100], 1e-2),
        ([5.84e-05], 1e-7),
        ([1e-12], 1e-12),
        ([3.0, 12.0], 1.0),
        ([1e22], 1.0),
        ([-0.5], 0.1),
        ([0.08177260619898637], 1e-17),
    ],
)
def test_resolution_is_the_last_printed_digit(values: list[float], step: float) -> None:
    """The most decimals of any value decide, in fixed and in scientific notation."""
    assert resolution(np.array(values)) == pytest.approx(step)


def test_resolution_of_nothing_is_unknown() -> None:
    """No values, no digits."""
    assert math.isnan(resolution(np.array([])))


@pytest.mark.parametrize("n", [50, 500])
def test_noise_recovers_sigma_under_a_trend(n: int) -> None:
    """The sd of white noise is found under a curve a hundred times as tall."""
    rng = np.random.default_rng(n)
    found = [noise(rng.normal(size=n) + 100 * np.exp(-3 * np.arange(n) / n)) for _ in range(50)]

    assert np.mean(found) == pytest.approx(1.0, abs=0.12)


def test_noise_ignores_one_step_and_one_spike() -> None:
    """A jump of the level and a single outlier leave the estimate where it was."""
    y = np.random.default_rng(1).normal(size=60)
    hit = y + 50.0 * (np.arange(60) >= 30)
    hit[10] += 1000.0

    assert noise(hit) < 1.4 * noise(y)


def test_noise_does_not_mistake_geometric_decay() -> None:
    """A smooth decay by a quarter a step over twelve points counts for under 2 % of its height."""
    assert noise(2.3 * 0.75 ** np.arange(12.0)) < 0.02 * 2.3


def test_noise_is_never_below_the_rounding() -> None:
    """A constant series printed to four digits is still only known to its rounding."""
    assert noise(np.array([0.1234] * 10)) == pytest.approx(1e-4 / math.sqrt(12))


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0]])
def test_noise_of_two_points_is_unknown(values: list[float]) -> None:
    """Under three points there is no second difference."""
    assert math.isnan(noise(np.array(values)))


@FEW
@given(st.lists(st.floats(-1e3, 1e3), min_size=8, max_size=40), st.sampled_from([2.0, 0.25, 1024.0]))
def test_noise_scales_with_the_unit(values: list[float], factor: float) -> None:
    """Another unit changes the noise by the same factor, up to the floor set by the printed digits."""
    y = np.array(values)
    floor = resolution(y) + resolution(factor * y)

    assert noise(factor * y) == pytest.approx(factor * noise(y), rel=1e-9, abs=(1 + factor) * floor)


@FEW
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(1, 12))
def test_block_means_keep_the_total(values: list[float], blocks: int) -> None:
    """As many blocks as asked for, at most; nearly equal sizes, so the weighted mean is the mean."""
    y = np.array(values)
    means = block_means(y, blocks)
    sizes = np.diff(np.linspace(0, len(y), len(means) + 1).astype(int))

    assert len(means) == min(blocks, len(y))
    assert sizes.max() - sizes.min() <= 1
    assert means @ sizes == pytest.approx(y.sum(), abs=1e-6)


@pytest.mark.parametrize("kind", ["white", "ar1"])
def test_noise_of_means_is_the_sd_of_means(kind: str) -> None:
    """Means of 40 points scatter by what is said, to a quarter, also where neighbours are alike."""
    y = NOISES[kind](np.random.default_rng(5), 8000)

    assert noise_of_means(y, 40) == pytest.approx(float(np.std(block_means(y, 200))), rel=0.25)
