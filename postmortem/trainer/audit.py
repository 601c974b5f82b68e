"""Are samples repeated or lost? Counted over a person's own loader, with workers and processes, not guessed.

Everything the loader yields is counted: by the id each sample carries, or by a fingerprint of its content.
"""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from itertools import chain
from typing import Any
from unittest import mock

import numpy as np

from postmortem.errors import ConfigError, Problem

_NAMES = ("id", "ids", "idx", "index", "sample_id", "uid", "key", "__key__")
_LEAST_WAIT = 120.0  # seconds for one batch, when the loader sets no limit itself


@dataclass(frozen=True)
class Epoch:
    """What one epoch yielded, over all processes.

    Attributes:
        counts: Times each sample came.
        per_rank: Samples each process got, repetitions counted.
        within: Repetitions inside a process.
        across: Samples that more than one process got, beyond the first.
    """

    counts: Counter[object]
    per_rank: tuple[int, ...]
    within: int
    across: int

    @property
    def read(self) -> int:
        """Samples yielded, repetitions counted."""
        return sum(self.per_rank)


@dataclass(frozen=True)
class Audit:
    """The answer.

    Attributes:
        epochs: One count each.
        expected: Samples in the data set, if it knows.
        same_order: Whether a process got the same order in the first two epochs; None if that was not looked at.
        fingerprints: Whether samples had no id, so that they were told apart by content.
        workers, world: As asked.
    """

    epochs: tuple[Epoch, ...]
    expected: int | None
    same_order: bool | None
    fingerprints: bool
    workers: int
    world: int

    @property
    def undecided(self) -> bool:
        """Whether content changes from epoch to epoch, as under augmentation: then counts by content mean nothing."""
        return (
            self.fingerprints
            and len(self.epochs) > 1
            and not self.epochs[0].counts.keys() & self.epochs[1].counts.keys()
        )

    @property
    def missing(self) -> int:
        """Samples of the data set that the first epoch never yielded; 0 if its size is not known."""
        return max(0, (self.expected or 0) - len(self.epochs[0].counts))

    @property
    def exactly_once(self) -> bool:
        """Whether each sample came once in the first epoch, and processes got equally many."""
        first = self.epochs[0]
        return self.even and not (self.undecided or first.within or first.across or self.missing)

    @property
    def even(self) -> bool:
        """Whether processes got equally many samples in the first epoch, give or take one a worker."""
        counts = self.epochs[0].per_rank
        return max(counts) - min(counts) <= max(1, self.workers)


def audit(
    make_loader: Callable[..., Any],
    *,
    workers: int = 0,
    world_size: int = 1,
    epochs: int = 2,
    id_of: str | int | Callable[[Any], Iterable[object]] | None = None,
    set_epoch: bool = False,
) -> Audit:
    """Counts what a loader yields.

    Args:
        make_loader: Gives the loader, or the data set, of one process. It is called once for each simulated process,
            with those of ``rank``, ``world_size``, ``workers``, ``num_workers`` that it takes. ``RANK`` and
            ``WORLD_SIZE`` are set, and ``torch.distributed`` answers as in that process.
        workers: Loader workers; a loader that has another number is made again with this one.
        world_size: Processes, simulated one after the other.
        epochs: Times to go through it.
        id_of: Key, position, or function that gives the ids in a batch; found by its name, or else by content.
        set_epoch: Call ``set_epoch`` of the sampler before each epoch.

    Raises:
        ConfigError: The loader fails, or its workers give nothing for two minutes.
    """
    streams: list[list[list[object]]] = []
    fingerprints, expected = False, None
    for rank in range(world_size):
        with _as_rank(rank, world_size):
            loader = _with_workers(_called(make_loader, rank, world_size, workers), workers)
            expected = _size(loader)
            reader = _Reader(loader, id_of)
            streams.append([list(reader.epoch(at if set_epoch else None)) for at in range(epochs)])
            fingerprints = reader.fingerprints
    same = None if epochs < 2 or not streams[0][0] else streams[0][0] == streams[0][1]
    counted = tuple(_epoch([stream[at] for stream in streams]) for at in range(epochs))
    return Audit(counted, expected, same, fingerprints, workers, world_size)


def _epoch(ranks: Sequence[Sequence[object]]) -> Epoch:
    each = [Counter(ids) for ids in ranks]
    unique = sum(len(one) for one in each)
    counts = Counter(chain.from_iterable(ranks))
    return Epoch(counts, tuple(len(ids) for ids in ranks), sum(map(len, ranks)) - unique, unique - len(counts))


@contextmanager
def _as_rank(rank: int, world: int) -> Iterator[None]:
    """Makes this process look like one of several, to code that asks the environment or ``torch.distributed``."""
    from torch import distributed  # noqa: PLC0415  audit must import without torch

    told = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world)}
    with (
        mock.patch.dict(os.environ, told),
        mock.patch.object(distributed, "is_initialized", return_value=True),
        mock.patch.object(distributed, "get_rank", return_value=rank),
        mock.patch.object(distributed, "get_world_size", return_value=world),
    ):
        yield


def _called(make_loader: Callable[..., Any], rank: int, world: int, workers: int) -> Any:
    offered = {"rank": rank, "world_size": world, "workers": workers, "num_workers": workers}
    taken = inspect.signature(make_loader).parameters
    every = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in taken.values())
    try:
        return make_loader(**{name: value for name, value in offered.items() if every or name in taken})
    except Exception as error:  # the user's code may fail in any way
        raise ConfigError(Problem(f"making the loader failed: {type(error).__name__}: {error}")) from error


def _with_workers(loader: Any, workers: int) -> Any:
    """A ``DataLoader`` over what was given, with this number of workers."""
    from torch.utils.data import DataLoader, Dataset, IterableDataset  # noqa: PLC0415  audit must import without torch

    if isinstance(loader, Dataset):
        return DataLoader(loader, batch_size=None, num_workers=workers)
    if not isinstance(loader, DataLoader) or loader.num_workers == workers:
        return loader
    how: dict[str, Any] = {"batch_sampler": loader.batch_sampler}
    if loader.batch_sampler is None:
        how = {"batch_size": None, "sampler": loader.sampler}
    if isinstance(loader.dataset, IterableDataset):
        how = {"batch_size": loader.batch_size, "drop_last": loader.drop_last}
    return DataLoader(
        loader.dataset,
        num_workers=workers,
        collate_fn=loader.collate_fn,
        worker_init_fn=loader.worker_init_fn,
        timeout=loader.timeout or (_LEAST_WAIT if workers else 0),
        **how,
    )


def _size(loader: Any) -> int | None:
    try:
        return len(getattr(loader, "dataset", loader))
    except TypeError:
        return None


class _Reader:
    """Goes through a loader and names its samples."""

    def __init__(self, loader: Any, id_of: str | int | Callable[[Any], Iterable[object]] | None) -> None:
        self._loader, self._id_of = loader, id_of
        self._batched = (
            getattr(loader, "batch_size", 1) is not None or getattr(loader, "batch_sampler", None) is not None
        )
        self.fingerprints = False

    def epoch(self, number: int | None) -> Iterator[object]:
        """The names of the samples of one epoch, in order."""
        for part in ("batch_sampler", "sampler", "dataset"):
            tell = getattr(getattr(self._loader, part, None), "set_epoch", None)
            if number is not None and tell:
                tell(number)
        try:
            for batch in self._loader:
                yield from self._named(batch)
        except (RuntimeError, OSError) as error:
            hint = "a worker that hangs was often started by fork after threads or an accelerator were used"
            raise ConfigError(Problem(f"the loader failed: {str(error).splitlines()[0]}", hint=hint)) from error

    def _named(self, batch: Any) -> Iterable[object]:
        if batch is None:  # the empty share of a last batch
            return []
        held = self._ids(batch)
        if held is None:
            self.fingerprints = True
            return fingerprints(batch) if self._batched else [_fingerprint(_leaves(batch))]
        return held if self._batched else [held]

    def _ids(self, batch: Any) -> Any:
        if callable(self._id_of):
            return list(self._id_of(batch))
        name = self._id_of
        if name is None and isinstance(batch, Mapping):
            name = next((each for each in _NAMES if each in batch), None)
        if name is None:
            return None
        try:
            found = batch[name]
        except (KeyError, IndexError, TypeError) as error:
            raise ConfigError(
                Problem(f"a batch has no {name!r}", hint="name the key or position of the ids")
            ) from error
        return found.tolist() if hasattr(found, "tolist") else found


def _leaves(item: Any) -> list[Any]:
    if isinstance(item, Mapping):
        return [leaf for name in sorted(item, key=str) for leaf in _leaves(item[name])]
    if isinstance(item, list | tuple) and any(not isinstance(each, str | bytes | int | float) for each in item):
        return [leaf for each in item for leaf in _leaves(each)]
    return [item]


def fingerprints(batch: Any) -> list[bytes]:
    """A name for each sample of a batch, from its content; samples of equal content get equal names."""
    leaves = [np.asarray(leaf) for leaf in _leaves(batch)]
    count = min((len(leaf) for leaf in leaves if leaf.ndim), default=0)
    return [_fingerprint([leaf[at] for leaf in leaves if leaf.ndim]) for at in range(count)]


def _fingerprint(leaves: Sequence[Any]) -> bytes:
    seen = blake2b(digest_size=8)
    for leaf in leaves:
        array = np.asarray(leaf)
        seen.update(f"{array.dtype}{array.shape}".encode())
        seen.update(repr(leaf).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes())
    return seen.digest()


def told(found: Audit) -> str:
    """The answer in words, with the fix."""
    first = found.epochs[0]
    by = "content" if found.fingerprints else "id"
    lines = [
        f"{found.world} x {found.workers} (processes x workers): {first.read:,} samples yielded, "
        f"{len(first.counts):,} different by {by}"
        + (f", {found.expected:,} in the data set" if found.expected else ""),
        f"samples of each process: {', '.join(f'{count:,}' for count in first.per_rank)}",
    ]
    if found.undecided:
        return (
            "\n".join([*lines, "not decided: content changes from epoch to epoch (augmentation); name an id with --id"])
            + "\n"
        )
    lines += _repetitions(found, first)
    if found.missing:
        lines.append(f"{found.missing:,} samples never come: a tail is dropped, or a share belongs to nobody")
    if found.same_order:
        lines.append(
            "the second epoch has the order of the first; if it should not, call sampler.set_epoch(epoch) before each"
        )
    if found.exactly_once:
        lines.append("each sample comes exactly once")
    return "\n".join(lines) + "\n"


def _repetitions(found: Audit, first: Epoch) -> list[str]:
    lines = []
    if first.within:
        times = first.read / (first.read - first.within)
        lines.append(f"inside a process samples come {times:.4g} times on average ({first.within:,} repetitions)")
        if found.workers > 1 and round(times) == found.workers:
            lines.append(
                "fix: each worker yields everything; take every num_workers-th by torch.utils.data.get_worker_info().id"
            )
    if 0 < first.across < found.world:
        lines.append(f"{first.across:,} samples come in two processes: a tail padded to equal length")
        lines.append("fix: let the last batch be smaller, as postmortem.trainer.ExactlyOnceSampler does")
    elif first.across:
        lines.append(f"{first.across:,} samples come in more than one process")
        lines.append("fix: take every world_size-th sample by the rank, or give the loader a distributed sampler")
    if not found.even and not first.within and not first.across:
        lines.append("processes get unequal numbers of samples: the others would wait for them at the end of an epoch")
    return lines
