"""Ways in which people share samples out, the sound one and those that repeat or lose some; and the count that tells.

Each way is a model of what a ``DataLoader`` in each of ``world`` processes yields. numpy only, so that a suspect can be
judged without the framework, the data or the time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from postmortem.trainer.plan import Ids, ShardPlan


class Place(NamedTuple):
    """One process among all, and the number of its loader workers."""

    rank: int
    world: int
    workers: int


def _in_batches(ids: Ids, size: int) -> list[Ids]:
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def _share(plan: ShardPlan, world: int) -> int:
    """Samples one process puts into a batch."""
    return -(-plan.batch_size // world)


def _exact(plan: ShardPlan, epoch: int, at: Place) -> list[Ids]:
    first = epoch * plan.steps_per_epoch
    return [plan.rank_batch(first + k, at.rank, at.world) for k in range(plan.steps_per_epoch)]


def _rank_only(plan: ShardPlan, epoch: int, at: Place) -> list[Ids]:
    """Every worker yields the whole share of its process; the loader asks the workers in turn."""
    batches = _in_batches(plan.order(epoch)[at.rank :: at.world], _share(plan, at.world))
    return [batch for batch in batches for _ in range(max(1, at.workers))]


def _rank_and_worker(plan: ShardPlan, epoch: int, at: Place) -> list[Ids]:
    """The usual mending: each worker yields its own part, with a short last batch for each."""
    mine = plan.order(epoch)[at.rank :: at.world]
    workers = max(1, at.workers)
    queues = [_in_batches(mine[worker::workers], _share(plan, at.world)) for worker in range(workers)]
    longest = max(len(queue) for queue in queues)
    return [queue[k] for k in range(longest) for queue in queues if k < len(queue)]


def _unsharded(plan: ShardPlan, epoch: int, at: Place) -> list[Ids]:
    """No process asks which one it is; a map-style data set, so workers share the work."""
    return _in_batches(plan.order(epoch), _share(plan, at.world))


def _padded(plan: ShardPlan, epoch: int, at: Place) -> list[Ids]:
    """As ``torch.utils.data.DistributedSampler``: the first samples are repeated until all shares are equal."""
    total = -(-plan.samples // at.world) * at.world
    ids = np.resize(plan.order(epoch), total) if plan.samples else plan.order(epoch)
    return _in_batches(ids[at.rank :: at.world], _share(plan, at.world))


def _dropped(plan: ShardPlan, epoch: int, at: Place) -> list[Ids]:
    """Sampler and loader with ``drop_last``: shares are cut to the shortest, incomplete batches left out."""
    size = _share(plan, at.world)
    ids = plan.order(epoch)[: plan.samples // at.world * at.world]
    return [batch for batch in _in_batches(ids[at.rank :: at.world], size) if len(batch) == size]


WAYS: Mapping[str, Callable[[ShardPlan, int, Place], list[Ids]]] = {
    "exact": _exact,
    "rank-only": _rank_only,
    "rank-and-worker": _rank_and_worker,
    "unsharded": _unsharded,
    "padded": _padded,
    "drop-last": _dropped,
}
"""Batches of one process in one epoch, in order, by the name of the way."""


@dataclass(frozen=True)
class SuspectPlan:
    """Training as a wrong way of sharing samples out would have it; here the topology does change what is computed.

    Attributes:
        base: What was meant.
        way: One of ``WAYS``.
        world: Number of processes.
        workers: Loader workers in each.
    """

    base: ShardPlan
    way: str
    world: int
    workers: int

    @property
    def shards(self) -> int:
        """Into how many shards each batch is cut."""
        return self.base.shards

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the process that takes most."""
        return len(_joined(self, 0))

    def batch(self, step: int) -> Ids:
        """What all processes together read in a step."""
        epoch, at = divmod(step, self.steps_per_epoch)
        return _joined(self, epoch)[at]


@lru_cache(maxsize=4)
def _joined(plan: SuspectPlan, epoch: int) -> list[Ids]:
    each = ranks(plan.base, plan.way, epoch, plan.world, plan.workers)
    steps = max(len(batches) for batches in each)
    return [np.concatenate([batches[k] for batches in each if k < len(batches)]) for k in range(steps)]


def ranks(plan: ShardPlan, way: str, epoch: int, world: int, workers: int) -> list[list[Ids]]:
    """The batches of every process in one epoch."""
    return [WAYS[way](plan, epoch, Place(rank, world, workers)) for rank in range(world)]


@dataclass(frozen=True)
class Tally:
    """How often each sample was read in one epoch.

    Attributes:
        reads: Times each sample was read, by id.
        steps: Steps of each process.
    """

    reads: Ids
    steps: tuple[int, ...]

    @property
    def read(self) -> int:
        """Samples read, repetitions counted."""
        return int(self.reads.sum())

    @property
    def unique(self) -> int:
        """Different samples read."""
        return int(np.count_nonzero(self.reads))

    @property
    def missing(self) -> int:
        """Samples never read."""
        return len(self.reads) - self.unique

    @property
    def repeated(self) -> int:
        """Reads beyond the first of each sample."""
        return self.read - self.unique

    @property
    def factor(self) -> float:
        """Times a sample that was read at all was read, on average; 1 when nothing is repeated."""
        return self.read / self.unique if self.unique else 1.0

    @property
    def exactly_once(self) -> bool:
        """Whether each sample came once, and every process took the same number of steps."""
        return bool((self.reads == 1).all()) and len(set(self.steps)) <= 1


def tally(samples: int, batches: Sequence[Sequence[Ids]]) -> Tally:
    """Counts the batches of every process."""
    reads = np.zeros(samples, dtype=np.int64)
    for batch in (ids for each in batches for ids in each):
        np.add.at(reads, batch, 1)
    return Tally(reads, tuple(len(each) for each in batches))
