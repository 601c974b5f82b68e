"""Intervals, pace, stalls and drift."""

from __future__ import annotations

import re
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from series import FEW, case, rate

from postmortem.stats import Segments, drift, healthy_pace, segments, stalls

BATCHES = 514  # an epoch of the published recommender


def regular(durations: list[float], crosses: list[bool] | None = None) -> Segments:
    """Intervals of ten units each that took the given seconds."""
    seconds = np.concatenate([[0.0], np.cumsum(durations)])
    crossed = np.array([False, *(crosses or [False] * len(durations))])
    return segments(10.0 * np.arange(len(seconds)), seconds, crossed)


def recommender(name: str) -> Segments:
    """Intervals between epoch headers, batch lines and ends of training of a published log; evaluation not counted."""
    records: list[tuple[float, float]] = []
    epoch, now = 0, 0.0
    for line in case(f"ctr-phases/{name}").read_text().splitlines():
        if stamp := re.match(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3})", line):
            now = datetime.fromisoformat(stamp[1]).timestamp() + int(stamp[2]) / 1000
        if header := re.search(r"Epoch (\d+)/\d+", line):
            epoch = int(header[1])
            records.append(((epoch - 1) * BATCHES, now))
        elif batch := re.search(r"Batch \[(\d+)/", line):
            records.append(((epoch - 1) * BATCHES + int(batch[1]), now))
        elif "Train - Loss" in line and epoch:
            records.append((epoch * BATCHES, now))
    position, seconds = np.array(records).T
    return segments(position, seconds, np.zeros(len(records), dtype=bool))


@pytest.mark.parametrize(
    ("name", "minutes"),
    [
        ("mdaf_mamba_taobao_phase3_seed42_20251102_023608.log", [688, 58]),
        ("mdaf_mamba_taobao_phase3_seed42_20251102_160007.log", [945]),
        ("mdaf_mamba_taobao_20251101_151132.log", [285, 237]),
        ("mdaf_mamba_taobao_20251101_010928.log", [350, 228]),
        ("mdaf_mamba_taobao_20251103_233208.log", [727]),
        ("mdaf_mamba_taobao_20251101_105338.log", []),
    ],
)
def test_the_published_gaps(name: str, minutes: list[int]) -> None:
    """The stalls of six real logs, in minutes."""
    assert [stall.duration / 60 for stall in stalls(recommender(name))] == pytest.approx(minutes, abs=1)


@pytest.mark.parametrize(
    "name", ["mdaf_mamba_taobao_phase3_seed42_20251102_023608.log", "mdaf_mamba_seed42_5epochs.log"]
)
def test_the_published_healthy_rate(name: str) -> None:
    """With and without loader workers, 23 to 28 batches a minute."""
    pace = healthy_pace(recommender(name))

    assert pace is not None
    assert 23 <= 60 / pace <= 28


def test_restarts_give_no_interval() -> None:
    """Position going back, standing still, and a clock going back are left out; the rest keeps its index."""
    found = segments(
        np.array([0.0, 10, 0, 10, 10, 20, 30]), np.array([0.0, 5, 6, 11, 12, 17, 3]), np.zeros(7, dtype=bool)
    )

    assert found.index.tolist() == [1, 3, 5]
    assert found.per_unit.tolist() == [0.5, 0.5, 0.5]


def test_pace_is_that_of_the_undisturbed() -> None:
    """Slow and crossed intervals do not enter the pace; crossed ones do when there is nothing else."""
    assert healthy_pace(regular([100, 5000, 102, 400], [False, False, False, True])) == 10.0
    assert healthy_pace(regular([400, 420], [True, True])) == 40.0
    assert healthy_pace(regular([])) is None
    assert healthy_pace(regular([0.0, 0.0])) is None


def test_one_long_gap_is_a_stall() -> None:
    """The interval, what it should have taken, and what was lost."""
    (stall,) = stalls(regular([100.0] * 5 + [7200.0] + [100.0] * 5))

    assert (stall.index, stall.duration, stall.expected, stall.lost) == (6, 7200.0, 100.0, 7100.0)


@pytest.mark.parametrize(
    "intervals",
    [
        regular([100.0, 100.0, 3000.0] * 4, [False, False, True] * 4),
        regular([100.0] * 8 + [3000.0], [False] * 8 + [True]),
        regular([100.0, 100.0, 100.0, 2900.0] * 5),
        regular([100.0] * 9 + [900.0]),
        regular([10.0] * 9 + [500.0]),
    ],
    ids=["evaluations", "a lone evaluation", "unlogged checkpoints", "nine times", "eight minutes"],
)
def test_what_is_no_stall(intervals: Segments) -> None:
    """Regular long intervals, too short ones, and crossed ones without a like are not stalls."""
    assert stalls(intervals) == []


def test_a_stall_among_evaluations_and_among_checkpoints() -> None:
    """An interval far longer than its like is a stall even where long intervals are usual."""
    crossed = stalls(regular([100.0, 100.0, 300.0] * 6 + [100.0, 9000.0], [False, False, True] * 6 + [False, True]))
    unlogged = stalls(regular([100.0, 100.0, 100.0, 2900.0] * 5 + [100.0, 90000.0]))

    assert [stall.duration for stall in crossed] == [9000.0]
    assert [stall.duration for stall in unlogged] == [90000.0]


@FEW
@given(st.lists(st.floats(1, 1e5), max_size=30), st.sampled_from([0.5, 2.0, 1024.0]))
def test_stalls_ignore_the_unit_of_position(durations: list[float], factor: float) -> None:
    """Counting samples or batches gives the same stalls."""
    plain = regular(durations)
    scaled = Segments(plain.index, plain.duration, plain.progress * factor, plain.crosses)

    assert [stall.index for stall in stalls(scaled)] == [stall.index for stall in stalls(plain)]


def test_a_slowdown_is_measured() -> None:
    """Pace that doubles over the run: thirds differ by the ratio of their middles; stalls and warm-up aside."""
    pace = np.linspace(1.0, 2.0, 61)
    pace[0] = 50.0
    pace[40] = 500.0
    found = drift(pace)

    assert found is not None
    assert found.ratio == pytest.approx(1.84 / 1.17, abs=0.02)
    assert found.p < 1e-3


def test_a_steady_pace_does_not_drift() -> None:
    """At p < 0.05 about one in twenty steady runs drifts, autocorrelated or not."""
    for noise in ("white", "ar1"):
        assert rate(lambda y: drift(y).p < 0.05, noise, 90, 200, 20.0) <= 0.09


@pytest.mark.parametrize("n", [0, 1, 9])
def test_too_short_to_drift(n: int) -> None:
    """Under ten intervals there are no thirds to compare."""
    assert drift(np.ones(n)) is None


def test_a_constant_pace_has_no_drift() -> None:
    """All equal: ratio one, p one."""
    found = drift(np.ones(30))

    assert found is not None
    assert (found.ratio, found.p) == (1.0, 1.0)
