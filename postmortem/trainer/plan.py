"""Which samples make which step: a pure function of seed, epoch and step, whatever reads them. numpy only.

The idea: every global batch is cut into a fixed number of *shards*. A shard is the unit of computation; a process owns
neighbouring shards, and loader workers only fetch. So neither the number of processes nor that of workers can change
what is computed. The position in training is one integer, the step. Virtual workers of this kind: EasyScale (Li et al.,
SC 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from postmortem.errors import ConfigError, Problem
from postmortem.trainer.keys import key

Ids = NDArray[np.int64]


class Plan(Protocol):
    """What the training loop asks of a plan."""

    @property
    def shards(self) -> int:
        """Into how many shards each batch is cut."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one epoch."""

    def batch(self, step: int) -> Ids:
        """Samples of the global batch of a step, in order."""


@dataclass(frozen=True)
class ShardPlan:
    """Each sample exactly once an epoch, for any number of processes and workers; nothing is padded or dropped.

    Attributes:
        samples: Number of samples; their ids are 0 to samples - 1.
        batch_size: Samples in a global batch; the last one of an epoch may be smaller.
        shards: Into how many shards each batch is cut, a power of two; the number of processes must divide it.
        seed: Decides the order of the samples.
        reshuffle: Whether each epoch has an order of its own; False is the fault of a forgotten ``set_epoch``.

    Raises:
        ConfigError: A number is out of its range.
    """

    samples: int
    batch_size: int
    shards: int = 8
    seed: int = 0
    reshuffle: bool = True

    def __post_init__(self) -> None:
        wrong = [
            Problem(f"{name} is {value}; it must be {wanted}", hint=f"set {name} to {wanted}")
            for name, value, fine, wanted in (
                ("samples", self.samples, self.samples >= 0, "0 or more"),
                ("batch_size", self.batch_size, self.batch_size >= 1, "1 or more"),
                ("shards", self.shards, self.shards >= 1, "1 or more"),
            )
            if not fine
        ]
        if wrong:
            raise ConfigError(wrong)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one epoch; the same for every process."""
        return -(-self.samples // self.batch_size)

    def order(self, epoch: int) -> Ids:
        """The samples in the order of an epoch (read-only)."""
        return order(self.samples, self.seed, epoch if self.reshuffle else 0)

    def batch(self, step: int) -> Ids:
        """Samples of the global batch of a step, in order."""
        epoch, at = divmod(step, self.steps_per_epoch)
        return self.order(epoch)[at * self.batch_size : (at + 1) * self.batch_size]

    def owned(self, rank: int, world: int) -> range:
        """The shards of one of ``world`` processes."""
        each = self.shards // world
        return range(rank * each, (rank + 1) * each)

    def rank_batch(self, step: int, rank: int, world: int) -> Ids:
        """Samples of a step that one of ``world`` processes computes.

        Raises:
            ConfigError: ``world`` does not divide the shards, or there is no such rank.
        """
        check_world(self.shards, rank, world)
        edges = bounds(len(ids := self.batch(step)), self.shards)
        mine = self.owned(rank, world)
        return ids[edges[mine.start] : edges[mine.stop]]


@lru_cache(maxsize=4)
def order(samples: int, seed: int, epoch: int) -> Ids:
    """A permutation of the samples by (seed, epoch).

    Sorts raw Philox words: NumPy keeps the raw stream of a bit generator stable between versions (NEP 19), but not
    ``Generator.permutation``. Memory: 8 bytes a sample.
    """
    words = np.random.Philox(key=key(seed, "order", epoch)).random_raw(samples)
    ids = np.argsort(words, kind="stable")
    ids.flags.writeable = False
    return ids


def bounds(count: int, shards: int) -> Ids:
    """Where ``count`` samples are cut into shards: shards + 1 positions. Sizes differ by one at most, and may be 0."""
    return np.arange(shards + 1) * count // shards


def cut(ids: Ids, shards: int) -> list[Ids]:
    """A batch in its shards, in order."""
    edges = bounds(len(ids), shards)
    return [ids[low:high] for low, high in pairwise(edges)]


def check_world(shards: int, rank: int, world: int) -> None:
    """Refuses a number of processes that cannot share the shards evenly.

    Raises:
        ConfigError: ``world`` does not divide ``shards``, or ``rank`` is not one of its processes.
    """
    if world < 1 or shards % world:
        fit = ", ".join(str(n) for n in range(1, shards + 1) if shards % n == 0)
        raise ConfigError(
            Problem(
                f"{world} processes cannot share {shards} shards evenly", hint=f"use {fit} processes, or other shards"
            )
        )
    if not 0 <= rank < world:
        raise ConfigError(
            Problem(f"there is no rank {rank} among {world} processes", hint=f"ranks are 0 to {world - 1}")
        )


def none_if_empty(collate: Callable[[list[Any]], Any]) -> Callable[[list[Any]], Any]:
    """A ``collate_fn`` that gives None for the empty share a process may have in the last batch of an epoch."""
    return partial(_collated, collate)


def _collated(collate: Callable[[list[Any]], Any], items: list[Any]) -> Any:
    return collate(items) if items else None


class ExactlyOnceSampler:
    """Batches of sample ids for one process: give it to ``DataLoader(..., batch_sampler=...)``.

    Every process takes the same number of steps, and over all processes each sample comes once an epoch. On the last,
    smaller batch a process may get nothing, which ``collate_fn=none_if_empty(default_collate)`` makes None: it must
    still take part in the step, with a gradient of zero.

    Args:
        plan: What is read when.
        rank: This process, from 0.
        world: Number of processes.
        start: First step; the whole state needed to resume, with any number of processes.
    """

    def __init__(self, plan: ShardPlan, rank: int = 0, world: int = 1, start: int = 0) -> None:
        check_world(plan.shards, rank, world)
        self._plan, self._rank, self._world = plan, rank, world
        self.step = start

    def __len__(self) -> int:
        """Steps left in the epoch of the current step."""
        steps = self._plan.steps_per_epoch
        return steps - self.step % steps if steps else 0

    def __iter__(self) -> Iterator[list[int]]:
        """The batches that are left of the epoch; the next call goes on with the next epoch, in another order."""
        first = self.step
        for step in range(first, first + len(self)):
            # Counted when asked for, as a loader that fetches ahead does; save the step you trained, not this one.
            self.step = step + 1
            yield self._plan.rank_batch(step, self._rank, self._world).tolist()
