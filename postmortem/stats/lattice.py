"""Counts behind printed rates, and the lattice that they lie on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from postmortem.stats.basics import Floats, Ints
from postmortem.stats.noise import resolution

_DIVISORS = range(2, 17)


@dataclass(frozen=True)
class Lattice:
    """What the counts behind a set of rates have in common.

    Attributes:
        divisor: The common divisor of the smallest counts; 1 when there is none worth telling, or no counts.
        counts: All distinct non-zero counts, ascending.
        distinct: How many of them, from the smallest up, are multiples of ``divisor``.
        largest: The largest of those.
        chance: Probability that unrelated counts would show this, over all divisors tried; at most 1.
        reason: Why there are no counts, or None.
    """

    divisor: int
    counts: tuple[int, ...]
    distinct: int
    largest: int
    chance: float
    reason: str | None = None

    @property
    def throughout(self) -> bool:
        """Whether every count is a multiple; then an ``n`` too large by ``divisor`` explains it as well."""
        return self.distinct == len(self.counts)


def lattice(values: Floats, n: int) -> Lattice:
    """Recovers the counts ``k`` behind rates ``k / n`` and finds the divisor that the smallest of them share.

    Samples scored in identical groups of d enter a ranking together, so counts below a threshold are
    multiples of d, until thresholds start to fall inside groups; hence the run of multiples is followed from
    the smallest count up. Unrelated counts have m leading multiples of d with probability d**-m (residues
    uniform and independent; distinct counts of a small range have fewer), multiplied by the number of
    divisors tried, 2 to 16. The number of leading multiples needs no further correction: "at least m" already
    counts every longer prefix. Rates must be printed more finely than 1 / (2n), or on a grid that holds every
    k / n, and every product with n must be whole within that rounding or that of a 32-bit float.
    """
    counts, reason = _counts(values, n)
    if reason is not None:
        return Lattice(1, (), 0, 0, 1.0, reason)
    runs = {d: _leading_multiples(counts, d) for d in _DIVISORS}
    # On equal chances, as 4 and 2 with no multiples at all, the smaller divisor is reported.
    divisor = min(_DIVISORS, key=lambda d: float(d) ** -runs[d])
    run = runs[divisor]
    chance = min(1.0, len(_DIVISORS) * float(divisor) ** -run)
    everything = tuple(counts.tolist())
    if chance >= 1.0:
        return Lattice(1, everything, 0, 0, 1.0)
    return Lattice(divisor, everything, run, everything[run - 1], chance)


def _counts(values: Floats, n: int) -> tuple[Ints, str | None]:
    none = np.empty(0, dtype=np.int64)
    if len(values) == 0 or n < 1:
        return none, "no rates"
    if not values.any():
        return none, "no rate is above zero"
    step = resolution(values)
    steps_apart = 1.0 / (step * n)
    # Printed exactly when every k / n lies on the grid of printed numbers, as 0.9812 of 10,000 does.
    exact = steps_apart > 0.99 and abs(steps_apart - round(steps_apart)) < 1e-9 * steps_apart
    if steps_apart <= 2.0 and not exact:
        return none, f"rates are printed to {step:g}, too coarse to count among {n}"
    product = values * n
    whole = np.rint(product)
    allowed = np.minimum(0.5 * step * n + 1e-7 * np.abs(product) + 1e-9, 0.25)
    if np.any(np.abs(product - whole) > allowed) or np.any(whole < 0) or np.any(whole > n):
        return none, f"not all rates are whole counts among {n}"
    counts = np.unique(whole).astype(np.int64)
    return counts[counts > 0], None


def _leading_multiples(counts: Ints, divisor: int) -> int:
    """How many counts from the first on are multiples of ``divisor``."""
    others = np.flatnonzero(counts % divisor)
    return int(others[0]) if len(others) else len(counts)
