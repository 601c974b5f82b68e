"""How likely it is that runs end at the same printed number by accident."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from postmortem.stats.noise import resolution

_BY_ACCIDENT = 0.1  # chance up to which a number is taken for a simple fraction; too many are, rather than too few
_COARSE = 0.01  # chance of one meeting from which values are equal for many reasons, such as the same majority


def grain(value: float) -> float:
    """The smallest step between values that ``value`` can be told from, by its own digits.

    The printed step; that of a 32-bit float, if the number is one; or 1 / q when it is a fraction p / q, as a share of
    q samples is. Assumes a finite number. Of all intervals of width w, a share of about q^2 w holds a fraction with a
    denominator of at most q, so only fractions that much simpler than the digits allow are told; the denominators
    tried are powers of two, and the nearest fraction comes from the continued fraction.
    """
    # 0.981875 is 1571 / 1600: of a decimal that ends, the shortened fraction is the grain.
    shortened = Fraction(1, Fraction(repr(value)).denominator)
    step = max(resolution(np.array([value])), float(shortened))
    with np.errstate(over="ignore", under="ignore"):
        single = np.float32(value)
    if float(single) == value:
        step = max(step, float(np.spacing(abs(single))))
    denominator = 1
    while denominator**2 * step < _BY_ACCIDENT:
        near = Fraction(value).limit_denominator(denominator)
        if abs(float(near) - value) <= 0.5 * step:
            return max(step, 1.0 / near.denominator)
        denominator *= 2
    return step


def coincidence(step: float, scatter: float, alike: int, runs: int) -> float:
    """Chance that ``alike`` of ``runs`` unrelated runs or more end within the same step; at most 1.

    Assumes that runs scatter normally with standard deviation ``scatter``: two of them then share a step with
    probability step / (2 sqrt(pi) scatter). Any of the choose(runs, alike) groups would have been noticed (union
    bound), and each further run of a group meets the first one independently. That independence is not to be
    trusted when already two meet often, so the chance is then 1 however many do.
    """
    pair = step / (2.0 * math.sqrt(math.pi) * scatter) if scatter > 0 else 1.0
    if alike < 2 or pair > _COARSE:
        return 1.0
    return min(1.0, math.comb(max(runs, alike), alike) * pair ** (alike - 1))
