"""Where it is computed, and what can be promised there.

CPU: the same bits for the same build and number of threads. CUDA: expected the same on one model of GPU with
deterministic kernels. MPS: no promise beyond statistics (embedding gradients are not deterministic there), no float64,
no pinned memory, and no forked loader workers, which hang. Nothing here was run on MPS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from postmortem.errors import ConfigError, Problem


def choose(asked: str) -> torch.device:
    """The device asked for; ``auto`` takes CUDA, then MPS, then the CPU.

    Raises:
        ConfigError: It is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if asked == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there.get(asked.partition(":")[0], False):
        hint = f"use {' or '.join(name for name, is_there in there.items() if is_there)}, or auto"
        raise ConfigError(Problem(f"there is no device {asked!r} here", hint=hint))
    return torch.device(asked)


def tier(device: torch.device, strict: bool, shards: int) -> str:
    """What a rerun can be held to, in words."""
    if device.type == "mps":
        return "statistical: mps promises no identical bits"
    where = f"{device.type}, torch {torch.__version__}, 1 thread"
    if strict:
        return f"bitwise: the same bits for any number of processes and workers ({where})"
    return f"bitwise for {shards} processes only; another number sums in another order ({where})"


def start_method() -> str:
    """How loader workers start: never by fork, which deadlocks after threads or an accelerator were used."""
    return "forkserver" if sys.platform.startswith("linux") else "spawn"


@contextmanager
def settled(device: torch.device) -> Iterator[None]:
    """One thread and deterministic kernels inside; all as it was outside.

    The number of threads changes the bits of some operations (convolution and normalisation gradients, large sums), so
    it is part of what a run is.
    """
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first use of cuBLAS
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(device.type == "cuda")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
