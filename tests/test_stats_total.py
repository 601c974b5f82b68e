"""Every statistic answers every finite series, whatever its length."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem import stats

STATISTICS: dict[str, Callable[[np.ndarray], object]] = {
    "resolution": stats.resolution,
    "noise": stats.noise,
    "block_means": lambda y: stats.block_means(y, 7),
    "noise_of_means": lambda y: stats.noise_of_means(y, 7),
    "surges": stats.surges,
    "growth": stats.growth,
    "fall_bound": stats.fall_bound,
    "mann_kendall": stats.mann_kendall,
    "theil_sen": lambda y: stats.theil_sen(np.arange(len(y), dtype=float), y),
    "change_point": stats.change_point,
    "spikes": stats.spikes,
    "flat_tail": lambda y: stats.flat_tail(y, "min"),
    "worsened": lambda y: stats.worsened(y, "max"),
    "lattice": lambda y: stats.lattice(y, 1000),
    "turning_points": stats.turning_points,
    "oscillations": stats.oscillations,
    "volatility": stats.volatility,
    "drift": stats.drift,
    "stalls": lambda y: stats.stalls(stats.segments(np.arange(len(y), dtype=float), y, y > 0)),
    "project": lambda y: stats.project(stats.segments(np.arange(len(y), dtype=float), y, y > 0), 10.0),
}
VALUES = st.floats(-1e100, 1e100, allow_subnormal=True) | st.sampled_from([0.0, 1.0, 1e-300])


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
@settings(max_examples=20, deadline=None)
@given(values=st.lists(VALUES, max_size=45))
def test_any_series_gets_an_answer_and_always_the_same(
    statistic: Callable[[np.ndarray], object], values: list[float]
) -> None:
    """Empty, short, constant, huge and tiny series raise nothing, and two calls agree."""
    y = np.array(values, dtype=float)

    assert repr(statistic(y)) == repr(statistic(y.copy()))


@pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
def test_long_series_are_fast(statistic: Callable[[np.ndarray], object]) -> None:
    """A hundred thousand points take a fraction of a second (the bound leaves room for a busy machine)."""
    y = np.abs(np.random.default_rng(0).normal(size=100_000))
    start = time.perf_counter()
    statistic(y)

    assert time.perf_counter() - start < 1.5
