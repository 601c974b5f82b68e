"""The ladder: each rung is reached by what deserves it, and the tests over seeds keep their level and have power."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from postmortem.trainer.verify import Trace, conformal_p, t_quantile, verify


def _trace(seed: int, shift: float = 0.0, steps: int = 23, **more: object) -> Trace:
    """A loss that falls, with a level and a wiggle of its own for each seed, and a shift on the log scale."""
    rng = np.random.default_rng(seed)
    epochs = np.arange(1, 21)
    log = -1.5 * np.log(epochs) + shift + 0.05 * rng.standard_normal() + 0.01 * rng.standard_normal(20)
    base = Trace(f"seed {seed}", {"steps an epoch": steps, "epochs": 20}, np.full(20, 1e-3), {"val.loss": np.exp(log)})
    return replace(base, seed=seed, **more)


def test_structure_speaks_first_and_alone() -> None:
    """Eight times the steps an epoch is a finding at n = 1, with the ratio, whatever the curves do."""
    found = verify(_trace(0), [_trace(0, steps=184)])
    assert found.outcome == "does not reproduce"
    assert "184 instead of 23: 8 times" in found.evidence[0]


def test_another_learning_rate_is_structure() -> None:
    """A rate that differs is named with its epoch."""
    other = replace(_trace(0), rates=np.r_[np.full(7, 1e-3), np.full(13, 5e-4)])
    found = verify(_trace(0), [other])
    assert found.outcome == "does not reproduce"
    assert "0.0005 instead of 0.001 at epoch 8" in found.evidence[0]


def test_the_same_hash_is_identical() -> None:
    """One rerun with the same parameters is enough; another hash is not identical, however close the curves."""
    one = _trace(0, digest="a" * 64)
    assert verify(one, [_trace(0, digest="a" * 64)]).outcome == "identical"
    assert verify(one, [_trace(0, digest="b" * 64)]).outcome == "inconclusive"


def test_equal_needs_a_perturbed_rerun() -> None:
    """Curves within 1e-3 are called equal only if a rerun that sums in another order stays as close."""
    near = {"val.loss": _trace(0).curves["val.loss"] * (1 + 2e-4)}
    one, again = _trace(0, shards=8), replace(_trace(0, shards=8), curves=near)
    assert verify(one, [again]).outcome == "inconclusive"
    assert verify(one, [again, replace(again, shards=4)]).outcome == "equal"


@pytest.mark.parametrize(
    ("n", "shift", "outcome"),
    [
        (3, 0.0, "inconclusive"),
        (5, 1.0, "does not reproduce"),
        (19, 0.0, "equivalent"),
        (19, 1.0, "does not reproduce"),
    ],
)
def test_over_seeds(n: int, shift: float, outcome: str) -> None:
    """Too few seeds decide nothing, a shift of many standard deviations is seen, none at all ends as equivalent."""
    found = verify(_trace(2, shift), [_trace(100 + seed) for seed in range(n)], delta=0.2)
    assert found.outcome == outcome
    assert bool(found.power) == (n >= 5)


def test_not_rejecting_is_not_reproducing() -> None:
    """With five seeds and a strict bound the answer is inconclusive, and says what could have been noticed."""
    found = verify(_trace(2), [_trace(100 + seed) for seed in range(5)], delta=0.01)
    assert found.outcome == "inconclusive"
    assert "are noticed" in found.power


@pytest.mark.parametrize(("n", "runs"), [(5, 200), (19, 200)])
def test_the_false_alarm_is_at_its_level(n: int, runs: int) -> None:
    """Originals drawn like the reruns are rejected in 5 % of the cases, within four standard errors."""
    wrong = 0
    for trial in range(runs):
        seeds = [_trace(1000 * trial + seed) for seed in range(n + 1)]
        wrong += verify(seeds[0], seeds[1:]).outcome == "does not reproduce"
    assert wrong / runs <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / runs)


def test_the_rank_is_exact() -> None:
    """Of exchangeable curves each is the strangest equally often, so the p-values are 1/n, 2/n, ..., each once."""
    curves = np.random.default_rng(1).standard_normal((20, 30))
    found = sorted(conformal_p(np.roll(curves, -at, axis=0)) for at in range(20))
    np.testing.assert_allclose(found, np.arange(1, 21) / 20)


@pytest.mark.parametrize(
    ("p", "df", "value"),
    [(0.975, 1, 12.7062), (0.975, 4, 2.7764), (0.95, 9, 1.8331), (0.975, 18, 2.1009), (0.5, 3, 0.0)],
)
def test_t_quantiles(p: float, df: int, value: float) -> None:
    """Against the printed tables of Student's t."""
    assert t_quantile(p, df) == pytest.approx(value, abs=2e-4)
