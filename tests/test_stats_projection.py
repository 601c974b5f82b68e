"""How long the rest takes, and how likely a ROC stands still without ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW

from postmortem.stats import no_negatives_between, project, segments


def paced(durations: np.ndarray) -> object:
    """Intervals of ten units each that took the given seconds."""
    seconds = np.concatenate([[0.0], np.cumsum(durations)])
    return segments(10.0 * np.arange(len(seconds)), seconds, np.zeros(len(seconds), dtype=bool))


def test_an_even_pace_leaves_no_range() -> None:
    """A hundred units at two seconds each take two hundred seconds, from either end."""
    found = project(paced(np.full(8, 20.0)), 100.0)

    assert (found.low, found.high) == pytest.approx((200.0, 200.0))


def test_a_stall_widens_the_range_to_one_side() -> None:
    """What stood still for a day is in the upper end only."""
    calm, stalled = np.full(9, 20.0), np.full(9, 20.0)
    stalled[4] = 86_400.0

    assert project(paced(stalled), 100.0).low == pytest.approx(project(paced(calm), 100.0).low)
    assert project(paced(stalled), 100.0).high > 40 * project(paced(calm), 100.0).high


@pytest.mark.parametrize("n", [0, 1, 2])
def test_too_few_intervals_are_not_projected_from(n: int) -> None:
    """Under three undisturbed intervals nothing is said."""
    assert project(paced(np.full(n, 20.0)), 100.0) is None


def test_the_lower_end_holds_as_often_as_it_says() -> None:
    """In 97.5 % of noisy runs (to the error of 400 runs) the true mean pace is above the lower end."""
    rng = np.random.default_rng(7)
    lows = [project(paced(rng.gamma(16.0, 20.0 / 16.0, size=30)), 10.0).low for _ in range(400)]

    assert 0.955 <= np.mean(np.array(lows) < 20.0) <= 1.0
    assert np.median(lows) > 17.0


@FEW
@given(st.floats(1, 1e5), st.floats(0.01, 0.9), st.floats(1.01, 3.0))
def test_more_negatives_make_standing_still_less_likely(negatives: float, low: float, factor: float) -> None:
    """The probability falls with the negatives above and with the distance of the thresholds."""
    once = no_negatives_between(negatives, low, low * factor)

    assert no_negatives_between(2 * negatives, low, low * factor) <= once <= 1.0
    assert no_negatives_between(negatives, low, low * factor * 1.1) <= once


@pytest.mark.parametrize("case", [(0.0, 0.5, 0.7), (10.0, 0.5, 0.5), (10.0, 0.0, 0.7), (10.0, 0.7, 0.5)])
def test_nothing_can_be_told_without_negatives_or_distance(case: tuple[float, float, float]) -> None:
    """The probability is 1 then."""
    assert no_negatives_between(*case) == 1.0


def test_the_bound_holds_for_separate_scores() -> None:
    """Of models with normal scores, no more have an empty stretch between two rates than the bound allows."""
    rng = np.random.default_rng(3)
    empty, bound = [], []
    for _ in range(400):
        positives = np.sort(rng.normal(2.5, 1.0, size=400))[::-1]
        negatives = rng.normal(size=400)
        at, below = positives[199], positives[239]  # true-positive rates 0.5 and 0.6
        count = float(np.sum(negatives >= at))
        empty.append(not np.any((negatives >= below) & (negatives < at)))
        bound.append(no_negatives_between(count, 0.5, 0.6))

    assert np.mean(empty) <= np.mean(bound) + 0.02
