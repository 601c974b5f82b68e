"""Generated series with a known truth, and the case files that the statistics are checked against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from postmortem.stats.basics import Floats

FEW = settings(max_examples=40, deadline=None)
"""Enough examples for a property of plain arithmetic, and no clock: the machine may be busy."""

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"


def case(name: str) -> Path:
    """A file or folder of the published cases; skips the test where they are not at hand."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"published case files are not here: {path}")
    return path


def white(rng: np.random.Generator, n: int) -> Floats:
    """Independent normal noise, sd 1."""
    return rng.normal(size=n)


def ar1(rng: np.random.Generator, n: int) -> Floats:
    """AR(1) noise with rho 0.5 and sd 1."""
    shocks = rng.normal(size=n) * np.sqrt(0.75)
    y = np.empty(n)
    y[0] = rng.normal()
    for i in range(1, n):
        y[i] = 0.5 * y[i - 1] + shocks[i]
    return y


def heavy(rng: np.random.Generator, n: int) -> Floats:
    """Student's t with 3 degrees of freedom: one point in fifty beyond four sd of the bulk."""
    return rng.standard_t(3, size=n)


NOISES = {"white": white, "ar1": ar1, "heavy": heavy}


def rate(fires: Callable[[Floats], bool], noise: str, n: int, repeats: int, shape: Floats | float = 0.0) -> float:
    """Share of ``repeats`` generated series (noise plus ``shape``) for which ``fires`` is true; seeded."""
    rng = np.random.default_rng([n, repeats, len(noise)])
    return sum(fires(NOISES[noise](rng, n) + shape) for _ in range(repeats)) / repeats
