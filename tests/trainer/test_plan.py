"""The plan: each sample exactly once an epoch whatever reads it; and what wrong ways of sharing out do to that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.errors import ConfigError
from postmortem.trainer.keys import key
from postmortem.trainer.layout import layout
from postmortem.trainer.plan import ExactlyOnceSampler, Ids, ShardPlan, cut
from postmortem.trainer.recipe import make
from postmortem.trainer.ways import WAYS, SuspectPlan, ranks, tally


@dataclass(frozen=True)
class Case:
    """A plan and a topology."""

    plan: ShardPlan
    world: int
    workers: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    shards = 2 ** draw(st.integers(0, 4))
    world = 2 ** draw(st.integers(0, shards.bit_length() - 1))
    plan = ShardPlan(draw(st.integers(0, 150)), draw(st.integers(1, 50)), shards, draw(st.integers(0, 2**40)))
    return Case(plan, world, draw(st.integers(0, 9)))


def _epoch(plan: ShardPlan, world: int, epoch: int) -> list[list[Ids]]:
    first = epoch * plan.steps_per_epoch
    steps = range(first, first + plan.steps_per_epoch)
    return [[plan.rank_batch(step, rank, world) for step in steps] for rank in range(world)]


Reader = Callable[[ShardPlan, int, int], list[list[Ids]]]


def _sound(read: Reader, plan: ShardPlan, world: int) -> bool:
    """The promise itself: exact coverage, equal steps, the same batches for any world, a new order each epoch."""
    epochs = [read(plan, world, epoch) for epoch in (0, 1)]
    counts = [tally(plan.samples, epoch) for epoch in epochs]
    joined = [[np.concatenate(parts) for parts in zip(*epoch, strict=False)] for epoch in epochs]
    alone = [each[0] for each in (read(plan, 1, 0), read(plan, 1, 1))]
    same = all(
        len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        for a, b in zip(joined, alone, strict=True)
    )
    orders = [np.concatenate(each) if each else np.array([]) for each in joined]
    return all(count.exactly_once for count in counts) and same and not np.array_equal(*orders)


@settings(max_examples=120)
@given(cases())
def test_each_sample_comes_exactly_once_in_equal_steps(case: Case) -> None:
    """I1, I2: for any size, batch, shards and world, over all processes the ids are 0..N-1, in equally many steps."""
    counted = tally(case.plan.samples, _epoch(case.plan, case.world, 1))
    assert counted.exactly_once
    assert (counted.repeated, counted.missing, counted.factor) == (0, 0, 1.0)


@settings(max_examples=120)
@given(cases(), st.integers(0, 3))
def test_the_global_batch_does_not_know_the_topology(case: Case, epoch: int) -> None:
    """I3: joined over the ranks, step k is the same ordered batch for every world; its shards joined are it too."""
    plan = case.plan
    for step in range(epoch * plan.steps_per_epoch, (epoch + 1) * plan.steps_per_epoch):
        parts = [plan.rank_batch(step, rank, case.world) for rank in range(case.world)]
        np.testing.assert_array_equal(np.concatenate(parts), plan.batch(step))
        sizes = [len(ids) for ids in cut(plan.batch(step), plan.shards)]
        assert max(sizes) - min(sizes) <= 1


@given(cases(), st.integers(0, 60), st.sampled_from([1, 2, 4]))
def test_a_resume_needs_the_step_alone(case: Case, start: int, other: int) -> None:
    """I5: a sampler stopped anywhere goes on from its step, also with another number of processes."""
    plan = case.plan
    if not plan.steps_per_epoch:
        return
    start, world = start % plan.steps_per_epoch, min(other, plan.shards)
    before = [_taken(ExactlyOnceSampler(plan, rank, case.world), start) for rank in range(case.world)]
    after = [list(ExactlyOnceSampler(plan, rank, world, start)) for rank in range(world)]
    ids = [sample for each in (*before, *after) for batch in each for sample in batch]
    assert sorted(ids) == list(range(plan.samples))


def _taken(sampler: ExactlyOnceSampler, steps: int) -> list[list[int]]:
    batches: Iterator[list[int]] = iter(sampler)
    return [next(batches) for _ in range(steps)]


def _mutant_rank_only(plan: ShardPlan, world: int, epoch: int) -> list[list[Ids]]:
    return ranks(plan, "rank-only", epoch, world, 2)


def _mutant_way(way: str) -> Reader:
    return lambda plan, world, epoch: ranks(plan, way, epoch, world, 0)


def _mutant_off_by_one(plan: ShardPlan, world: int, epoch: int) -> list[list[Ids]]:
    return [[batch[: len(batch) - 1] for batch in each] for each in _epoch(plan, world, epoch)]


def _mutant_seed_without_epoch(plan: ShardPlan, world: int, epoch: int) -> list[list[Ids]]:
    return _epoch(ShardPlan(plan.samples, plan.batch_size, plan.shards, plan.seed, reshuffle=False), world, epoch)


def _mutant_rank_in_seed(plan: ShardPlan, world: int, epoch: int) -> list[list[Ids]]:
    each = [ShardPlan(plan.samples, plan.batch_size, plan.shards, plan.seed + rank) for rank in range(world)]
    return [_epoch(plan, world, epoch)[rank] for rank, plan in enumerate(each)]


def _mutant_skip_after_split(plan: ShardPlan, world: int, epoch: int) -> list[list[Ids]]:
    """Resuming by skipping batches of the whole stream after the split: every rank goes on with everything."""
    return [[plan.batch(epoch * plan.steps_per_epoch + k) for k in range(plan.steps_per_epoch)]] * world


MUTANTS: dict[str, Reader] = {
    "rank only": _mutant_rank_only,
    "padded": _mutant_way("padded"),
    "drop last": _mutant_way("drop-last"),
    "unsharded": _mutant_way("unsharded"),
    "off by one": _mutant_off_by_one,
    "seed without epoch": _mutant_seed_without_epoch,
    "rank in the seed": _mutant_rank_in_seed,
    "skip after split": _mutant_skip_after_split,
}


def test_the_promise_holds_of_the_plan() -> None:
    """The oracle that rejects the mutants accepts the plan itself."""
    assert _sound(_epoch, ShardPlan(1003, 64, 8, 5), 4)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_mutant_is_rejected(name: str) -> None:
    """Every known way of getting it wrong breaks the promise: the oracle can fail."""
    assert not _sound(MUTANTS[name], ShardPlan(1003, 64, 8, 5), 4)


def test_keys_are_hashed_not_added() -> None:
    """Sample i in epoch e shares nothing with sample i + 1 in epoch e - 1, and no label is lost."""
    keys = {key(3, "augment", epoch, sample) for epoch in range(20) for sample in range(20)}
    assert len(keys) == 400
    assert key(3, 1, 23) != key(3, 12, 3)
    assert key(3, "1") != key(3, 1)


@pytest.mark.parametrize(
    ("way", "world", "workers", "factor", "steps"),
    [
        ("rank-only", 1, 1, 1, 250),
        ("rank-only", 1, 4, 4, 1000),
        ("rank-only", 1, 8, 8, 2000),
        ("rank-only", 2, 8, 8, 2000),
        ("rank-and-worker", 1, 8, 1, 256),
        ("exact", 8, 8, 1, 250),
    ],
)
def test_the_law_of_duplication(way: str, world: int, workers: int, factor: int, steps: int) -> None:
    """Rank-only sharding reads each sample once per worker, in as many times the steps; 0 or 1 workers hide it."""
    counted = tally(8000, ranks(ShardPlan(8000, 32), way, 0, world, workers))
    assert counted.factor == factor
    assert (counted.reads == factor).all()
    assert set(counted.steps) == {steps}


@pytest.mark.parametrize(
    ("way", "samples", "world", "repeated", "missing"),
    [
        ("exact", 1797, 8, 0, 0),
        ("padded", 1797, 8, 3, 0),
        ("padded", 1003, 8, 5, 0),
        ("padded", 3, 8, 5, 0),
        ("drop-last", 1797, 8, 0, 5),
        ("drop-last", 3, 4, 0, 3),
        ("unsharded", 100, 4, 300, 0),
    ],
)
def test_what_padding_and_dropping_cost(way: str, samples: int, world: int, repeated: int, missing: int) -> None:
    """Repeated and lost samples of one epoch, as counted over the usual samplers."""
    counted = tally(samples, ranks(ShardPlan(samples, world), way, 0, world, 0))
    assert (counted.repeated, counted.missing) == (repeated, missing)


def test_a_suspect_plan_joins_what_all_processes_read() -> None:
    """Its batches hold exactly what the ranks read, and its first batches repeat as often as there are workers."""
    base = ShardPlan(500, 20, 4, 1)
    plan = SuspectPlan(base, "rank-only", 2, 3)
    joined = tally(500, [[plan.batch(step) for step in range(plan.steps_per_epoch)]])
    np.testing.assert_array_equal(joined.reads, tally(500, ranks(base, "rank-only", 0, 2, 3)).reads)
    np.testing.assert_array_equal(plan.batch(0), plan.batch(2))
    assert not np.array_equal(plan.batch(0), plan.batch(3))


@pytest.mark.parametrize(
    ("world", "shards", "said"),
    [(3, 8, "3 processes cannot share 8 shards"), (16, 8, "use 1, 2, 4, 8 processes")],
)
def test_a_world_that_does_not_fit_is_refused(world: int, shards: int, said: str) -> None:
    """An uneven number of processes is an error with the numbers that fit, never a silent padding."""
    with pytest.raises(ConfigError, match=said):
        ShardPlan(10, 4, shards).rank_batch(0, 0, world)


def test_the_layout_says_the_factor() -> None:
    """A published failure from its numbers alone: 1.3 million samples, 8 workers, 40 thousand steps instead of 5."""
    given = {"n_train": 130_000, "batch_size": 256, "num_workers": 8, "sharding": "rank-only"}
    found = layout(make(given))
    assert found.tally.factor == 8
    assert found.expected == 508
    assert "duplication factor 8" in found.text
    assert "4,064 steps instead of 508: 8 times" in found.text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--world 4 --workers 8", 0, "each sample comes exactly once"),
        ("--workers 8 --sharding rank-only", 1, "duplication factor 8"),
        ("--world 3", 2, "cannot share 8 shards evenly"),
        ("--sharding padde", 2, "did you mean 'padded'?"),
        ("--set n_train=-1", 2, "n_train"),
    ],
)
def test_the_command(words: str, code: int, said: str) -> None:
    """``postmortem plan`` answers without data or torch, and its exit code says whether each sample comes once."""
    from postmortem.cli.plan import plan

    done = CliRunner().invoke(plan, words.split())
    assert done.exit_code == code
    assert said in done.output


@pytest.mark.parametrize("words", ["rerun .", "case --break rank-only", "audit json:loads"])
def test_without_torch_the_user_is_told_what_to_install(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What computes ends with the command to install it; nothing else of the product needs it."""
    from postmortem.cli import main

    monkeypatch.setattr("postmortem.trainer.extra.find_spec", lambda _: None)
    done = CliRunner().invoke(main, words.split())
    assert done.exit_code == 2
    assert "pip install 'postmortem-ml[trainer]'" in done.output


@pytest.mark.parametrize("way", sorted(WAYS))
def test_an_empty_data_set_is_no_special_case(way: str) -> None:
    """No samples make no reads, whatever the way."""
    assert tally(0, ranks(ShardPlan(0, 4), way, 0, 2, 2)).read == 0


def _as_lists(batches: Sequence[Ids]) -> list[list[int]]:
    return [ids.tolist() for ids in batches]


def test_the_models_of_the_ways_are_those_of_the_real_loaders() -> None:
    """Differential: the real ``DistributedSampler`` and ``DataLoader`` yield what the numpy models say, in order."""
    data = pytest.importorskip("torch.utils.data", reason="torch is not installed (extra 'trainer')")
    plan, world, workers = ShardPlan(61, 8, 8, 7), 2, 3
    order = plan.order(0).tolist()
    for rank in range(world):
        padded = data.DistributedSampler(order, world, rank, shuffle=False)
        cut_short = data.DistributedSampler(order, world, rank, shuffle=False, drop_last=True)
        real = {
            "padded": data.DataLoader(order, 4, sampler=padded),
            "drop-last": data.DataLoader(order, 4, sampler=cut_short, drop_last=True),
            "rank-only": data.DataLoader(_stream(order[rank::world]), 4, num_workers=workers),
        }
        for way, loader in real.items():
            assert [batch.tolist() for batch in loader] == _as_lists(ranks(plan, way, 0, world, workers)[rank]), way


def _stream(ids: list[int]) -> object:
    from torch.utils.data import IterableDataset

    class Stream(IterableDataset):  # type: ignore[type-arg]
        def __iter__(self) -> Iterator[int]:
            return iter(ids)

    return Stream()
