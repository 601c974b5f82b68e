"""Measures whole processes in turns, so that what else the machine does falls on every contender alike.

The measuring process stays small: Linux counts its memory at the fork into the peak of the child.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable


@dataclass(frozen=True)
class Cost:
    """What a process took.

    Attributes:
        wall, cpu: Seconds; ``cpu`` is user and system time over all threads.
        peak: Largest resident memory in MiB.
        said: The last line it printed.
        code: Its exit code.
    """

    wall: float
    cpu: float
    peak: float
    said: str = ""
    code: int = 0


_FINE = (0, 1)  # 1 says that something was found

LIMIT = 600.0
"""Seconds after which a process is stopped; it then shows exit -9."""


def run(command: Sequence[str], *, quiet: bool = False, limit: float = LIMIT) -> Cost:
    """Runs a command from the repository's root and waits for it.

    Args:
        quiet: Send what it prints to nowhere, instead of keeping its last line.
        limit: Seconds after which it is stopped.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = subprocess.DEVNULL if quiet else subprocess.PIPE
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.DEVNULL, text=True
    ) as process:
        watchdog = threading.Timer(limit, process.kill)
        watchdog.start()
        said = process.stdout.read() if process.stdout else ""
        _, status, used = os.wait4(process.pid, 0)
        watchdog.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    last = said.strip().rpartition("\n")[2]
    return Cost(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, last, process.returncode)


def in_turns(
    commands: Mapping[str, Sequence[str]], repeat: int, *, quiet: bool = False, limit: float = LIMIT
) -> dict[str, Cost]:
    """Runs the commands A B C A B C ..., and gives the median of each."""
    taken: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            taken[name].append(run(command, quiet=quiet, limit=limit))
    return {name: _median(costs) for name, costs in taken.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    wall, cpu, peak = (median(getattr(cost, name) for cost in costs) for name in ("wall", "cpu", "peak"))
    worst = max(costs, key=lambda cost: cost.code not in _FINE)
    return Cost(wall, cpu, peak, worst.said, worst.code)


def rows(costs: Mapping[str, Cost], against: str) -> list[list[str | float | int | None]]:
    """Table rows: the name, wall, CPU and memory, each time as seconds and as a multiple of the one named."""
    floor = costs[against]
    return [
        [
            name if cost.code in _FINE else f"{name} (exit {cost.code})",
            cost.wall,
            cost.wall / floor.wall,
            cost.cpu,
            cost.cpu / floor.cpu,
            round(cost.peak),
            cost.said or None,
        ]
        for name, cost in costs.items()
    ]


HEAD = ("contender", "wall s", "x wall", "cpu s", "x cpu", "peak MiB", "values")
