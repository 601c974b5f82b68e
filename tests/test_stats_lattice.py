"""Counts behind rates."""

from __future__ import annotations

import json

import numpy as np
import pytest
from series import case

from postmortem.stats import lattice


def test_the_published_detector_was_evaluated_on_pairs() -> None:
    """All counts up to 1096 among 65090 negatives are even, 24 of them up to 292; the next, 1109, is not."""
    history = json.loads(case("lens-gen2/history.json").read_text())
    rates = np.array([value for row in history for key, value in row.items() if key.startswith("fpr@tpr")])
    found = lattice(rates, 65090)

    assert (found.divisor, found.distinct, found.largest) == (2, 27, 1096)
    assert sum(count <= 292 for count in found.counts) == 24
    assert found.chance < 1e-4
    assert not found.throughout


@pytest.mark.parametrize("divisor", [2, 3, 5, 8])
def test_the_true_divisor_is_found(divisor: int) -> None:
    """Multiples of d up to some count, anything above: d is reported, not one of its factors."""
    rng = np.random.default_rng(divisor)
    low = divisor * rng.integers(1, 400 // divisor, size=25)
    high = rng.integers(1000, 9000, size=25)
    found = lattice(np.concatenate([low, high]) / 10_000, 10_000)

    assert found.divisor == divisor
    assert found.distinct >= len(set(low.tolist()))
    assert found.chance < 1e-3


def test_random_counts_are_no_lattice() -> None:
    """Of 1000 random sets of counts at most a few have a chance below 1e-3."""
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(1000):
        n = int(rng.integers(50, 100_000))
        k = rng.integers(0, rng.integers(10, n), size=rng.integers(3, 60))
        alarms += lattice(k / n, n).chance < 1e-3

    assert alarms <= 3


def test_a_denominator_twice_too_large_is_told_apart() -> None:
    """When every count is a multiple, the caller can see that n itself may be wrong."""
    k = np.arange(1, 40) ** 2

    assert lattice(k / 2000, 4000).throughout


def test_printed_rates_give_counts_back() -> None:
    """Four digits are enough for counts among 24, as are 32-bit floats for counts among 65090."""
    assert lattice(np.array([0.8333, 0.2917]), 24).counts == (7, 20)
    assert lattice((np.array([291, 17043]) / 65090).astype(np.float32).astype(float), 65090).counts == (291, 17043)


@pytest.mark.parametrize(
    ("values", "n", "reason"),
    [([0.12, 0.34], 65090, "too coarse"), ([0.1234567, 0.3], 1000, "not all"), ([], 10, "no rates"),
     ([0.0], 10, "above zero"), ([0.5], 0, "no rates"), ([1.5], 2, "not all"), ([-0.5], 2, "not all")],
)  # fmt: skip
def test_no_counts_without_a_reason(values: list[float], n: int, reason: str) -> None:
    """Rates that cannot be counted have no lattice and say why."""
    found = lattice(np.array(values), n)

    assert (found.divisor, found.counts, found.chance) == (1, (), 1.0)
    assert found.reason is not None
    assert reason in found.reason
