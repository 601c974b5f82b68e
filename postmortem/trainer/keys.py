"""Random numbers by name: a key depends on the seed and on what the numbers are for, not on what was drawn before."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np


def key(seed: int, *labels: str | int) -> int:
    """A number below 2**63 that depends on the seed and on every label.

    Hashed, never added: with ``seed + epoch + sample`` two neighbours would share their numbers one epoch apart.
    """
    text = "\x1f".join(repr(part) for part in (seed, *labels))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(seed: int, *labels: str | int) -> np.random.Generator:
    """A generator of its own for one purpose; Philox (Salmon et al., "Parallel random numbers", SC 2011)."""
    return np.random.Generator(np.random.Philox(key=key(seed, *labels)))
