"""The processes that train together: really several (torchrun), or one that does the work of all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol, TypeVar

import torch
from torch import distributed

from postmortem.errors import ConfigError, PostmortemError, Problem

PATIENCE = timedelta(seconds=600)
"""How long a process waits for the others before it says that one of them is gone."""

T = TypeVar("T")


class StuckError(PostmortemError):
    """Other processes or loader workers gave nothing in time; says what is likely wrong."""


class World(Protocol):
    """What the engine asks of the processes."""

    @property
    def size(self) -> int:
        """Number of processes."""

    @property
    def here(self) -> range:
        """The ranks whose work is done here."""

    def gather(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """One tensor of each rank here, to one of each rank, in order."""

    def collect(self, value: T) -> list[T]:
        """One value of each process, in order."""


@dataclass(frozen=True)
class Alone:
    """One process that does the work of ``size`` ranks in turn, with the same sums."""

    size: int = 1

    @property
    def here(self) -> range:
        """All of them."""
        return range(self.size)

    def gather(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The parts as they are."""
        return list(parts)

    def collect(self, value: T) -> list[T]:
        """The value alone."""
        return [value]


@dataclass(frozen=True)
class Group:
    """One of several processes of ``torch.distributed``."""

    rank: int
    size: int

    @property
    def here(self) -> range:
        """This one."""
        return range(self.rank, self.rank + 1)

    def gather(self, parts: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Gathers and leaves the sum to the caller: the order in which ``all_reduce`` sums depends on the ranks."""
        (mine,) = parts
        found = [torch.empty_like(mine) for _ in range(self.size)]
        with _explained():
            distributed.all_gather(found, mine)
        return found

    def collect(self, value: T) -> list[T]:
        """The values of all processes."""
        found: list[T | None] = [None] * self.size
        with _explained():
            distributed.all_gather_object(found, value)
        return found  # type: ignore[return-value]


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        hint = "one process ended early, took fewer steps, or hangs in its loader; look at the end of each one's output"
        raise StuckError(Problem(f"the processes lost each other: {str(error).splitlines()[0]}", hint=hint)) from error


@contextmanager
def joined(size: int, device: torch.device) -> Iterator[World]:
    """The world of this process: what torchrun started, else one process for all ``size`` ranks.

    Raises:
        ConfigError: torchrun started another number of processes than the recipe has.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started == 1 or "RANK" not in os.environ:
        yield Alone(size)
        return
    if started != size:
        hint = f"use --world {started}, or --nproc_per_node={size}"
        raise ConfigError(Problem(f"torchrun started {started} processes, the recipe has {size}", hint=hint))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"  # sums of losses come from the CPU
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield Group(distributed.get_rank(), started)
    finally:
        distributed.destroy_process_group()
