"""Does a rerun reproduce the original? The highest rung of a ladder that holds, with its evidence and its power.

Rungs: structure (steps, epochs, rates; one run is enough), identical (the same hash), equal (the same numbers to 1e-3),
and for other seeds equivalent or consistent. Not being able to reject is "inconclusive", never "reproduced".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Outcome = Literal["identical", "equal", "equivalent", "inconclusive", "does not reproduce"]

CLOSE = 1e-3
"""Largest relative difference of curves that count as equal."""

LEVEL = 0.05
"""Chance of a false alarm of each test over seeds."""

CONFORMAL_RUNS = 19
"""Fewest reruns from which a rank can be as rare as ``LEVEL``."""

_T_RUNS = 5


@dataclass(frozen=True)
class Trace:
    """What is compared of a run.

    Attributes:
        name: Of the run.
        structure: Counts that have no noise: steps an epoch, epochs, samples an epoch.
        rates: The learning rate by epoch.
        curves: Values by epoch, by the name of the metric.
        digest: Hash of the parameters, if the log states it.
        seed: If the log states it.
        shards: Into how many shards its batches were cut, if the log states it.
    """

    name: str
    structure: Mapping[str, float]
    rates: Floats
    curves: Mapping[str, Floats]
    digest: str | None = None
    seed: int | None = None
    shards: int | None = None


@dataclass(frozen=True)
class Verdict:
    """What can be said, and on what evidence.

    Attributes:
        outcome: The rung.
        evidence: Sentences with the numbers.
        power: What could have been noticed at all.
    """

    outcome: Outcome
    evidence: tuple[str, ...]
    power: str = ""


@dataclass
class _Heard:
    """Evidence gathered so far."""

    lines: list[str] = field(default_factory=list)

    def verdict(self, outcome: Outcome, *last: str, power: str = "") -> Verdict:
        return Verdict(outcome, (*self.lines, *last), power)


def verify(original: Trace, reruns: Sequence[Trace], metric: str | None = None, delta: float | None = None) -> Verdict:
    """Climbs the ladder.

    Args:
        original: The run to reproduce.
        reruns: One rerun or more; several seeds for the statistical rungs.
        metric: The curve to compare over seeds; by default the validation loss.
        delta: Largest difference of the mean log curve that counts as equivalent; fixed before looking. By default the
            larger of 5 % and three standard deviations over seeds.
    """
    heard = _Heard()
    for rerun in reruns:
        if wrong := differences(original, rerun):
            return heard.verdict("does not reproduce", *(f"{rerun.name}: {each}" for each in wrong), power=_CERTAIN)
    heard.lines.append(f"structure agrees in {len(original.structure)} counts and {len(original.rates)} learning rates")
    return _exact(original, reruns, heard) or _over_seeds(original, reruns, metric, delta, heard)


_CERTAIN = "counts have no noise: one run is enough"


def differences(original: Trace, rerun: Trace) -> list[str]:
    """What differs in structure, with the ratio, which names the cause more often than not."""
    found = [
        f"{name} {rerun.structure[name]:g} instead of {value:g}: {rerun.structure[name] / value:.4g} times"
        for name, value in original.structure.items()
        if name in rerun.structure and value and rerun.structure[name] != value
    ]
    both = min(len(original.rates), len(rerun.rates))
    a, b = original.rates[:both], rerun.rates[:both]
    apart = np.abs(a - b) > CLOSE * np.maximum(np.abs(a), np.abs(b))
    if apart.any():
        at = int(np.argmax(apart))
        found.append(f"learning rate {b[at]:g} instead of {a[at]:g} at epoch {at + 1}")
    return found


def _exact(original: Trace, reruns: Sequence[Trace], heard: _Heard) -> Verdict | None:
    twins = [each for each in reruns if original.digest and each.digest == original.digest]
    if twins:
        text = f"{twins[0].name} ends with the same parameters and optimizer state: {original.digest}"
        return heard.verdict("identical", text, power="any single bit that differs is noticed")
    near = {each.name: _apart(original, each) for each in reruns}
    close = [each for each in reruns if near[each.name] <= CLOSE]
    perturbed = [each for each in close if each.shards is not None and each.shards != original.shards]
    for each in close:
        heard.lines.append(f"{each.name}: all curves agree to {near[each.name]:.2g}")
    if perturbed and len(close) > len(perturbed):
        text = f"{perturbed[0].name} sums in another order and stays as close, so the recipe is not chaotic"
        return heard.verdict("equal", text, power=f"relative differences above {CLOSE:g} are noticed")
    if close:
        heard.lines.append("a rerun with another number of shards would show whether that closeness means anything")
    return None


def _apart(original: Trace, rerun: Trace) -> float:
    """Largest relative difference over all shared curves; infinite without a shared curve of equal length."""
    shared = [name for name in original.curves if name in rerun.curves]
    pairs = [(original.curves[name], rerun.curves[name]) for name in shared]
    if not pairs or any(len(a) != len(b) for a, b in pairs):
        return math.inf
    return max(float(np.nanmax(np.abs(a - b) / np.maximum(np.abs(a), 1e-12), initial=0.0)) for a, b in pairs)


def _over_seeds(
    original: Trace, reruns: Sequence[Trace], metric: str | None, delta: float | None, heard: _Heard
) -> Verdict:
    name = metric or next((each for each in ("val.loss", "train.loss") if each in original.curves), None)
    name = name or next(iter(original.curves), None)
    seeds = [each for each in reruns if name in each.curves]
    if name is None or name not in original.curves or not seeds:
        return heard.verdict("inconclusive", f"no curve is shared{f' by the name {name}' if name else ''}")
    length = min(len(each.curves[name]) for each in (original, *seeds))
    curves = np.array([each.curves[name][:length] for each in (original, *seeds)])
    heard.lines.append(f"{name} over {length} points, {len(seeds)} reruns")
    if len(seeds) < _T_RUNS:
        return heard.verdict("inconclusive", f"{_T_RUNS} seeds at least are needed, {CONFORMAL_RUNS} for a rank test")
    return _tested(np.log(curves) if (curves > 0).all() else curves, delta, heard)


def _tested(curves: Floats, delta: float | None, heard: _Heard) -> Verdict:
    """The first row against the others, by a rank test of the whole curve or a prediction interval of its mean."""
    n = len(curves) - 1
    means = curves.mean(axis=1)
    apart, sd = means[0] - means[1:].mean(), float(means[1:].std(ddof=1))
    spread = sd * math.sqrt(1 + 1 / n)
    if n >= CONFORMAL_RUNS:
        p = conformal_p(curves)
        heard.lines.append(f"rank of the curve among {n + 1}: p = {p:.3g}")
        power = f"the rank cannot go below {1 / (n + 1):.3g}"
    else:
        p = LEVEL / 2 if abs(apart) > t_quantile(1 - LEVEL / 2, n - 1) * spread else 1.0
        heard.lines.append(
            f"mean of the log curve is {apart:+.3g} apart, {abs(apart) / max(sd, 1e-300):.2g} sd over seeds"
        )
        power = f"shifts above {t_quantile(1 - LEVEL / 2, n - 1) * math.sqrt(1 + 1 / n):.2g} sd over seeds are noticed"
    if p <= LEVEL:
        return heard.verdict("does not reproduce", "the original lies outside what other seeds give", power=power)
    bound = delta if delta is not None else max(3 * sd, math.log(1.05))
    reach = abs(apart) + t_quantile(1 - LEVEL, n - 1) * spread
    text = f"two one-sided tests: {reach:.3g} from zero with 90 % confidence, {bound:.3g} allowed"
    return heard.verdict("equivalent" if reach < bound else "inconclusive", text, power=power)


def conformal_p(curves: Floats) -> float:
    """How rare the first of the curves is among all: share of curves whose largest deviation is at least as large.

    Deviations are counted in standard deviations of all curves at each point, so that the curves are exchangeable under
    the hypothesis, and the level holds without any distribution (full conformal prediction; Vovk et al. 2005).

    Args:
        curves: Shape (n + 1, points); the first is the one in question.
    """
    sd = curves.std(axis=0)
    z = np.abs(curves - curves.mean(axis=0))[:, sd > 0] / sd[sd > 0]
    if z.shape[1] == 0:
        return 1.0
    score = z.max(axis=1)
    return float(np.mean(score >= score[0]))


@lru_cache(maxsize=64)
def t_quantile(p: float, df: int) -> float:
    """Quantile of Student's t distribution.

    With t = sqrt(df) tan(a) the density becomes cos(a)^(df - 1) on a finite interval, which is summed on a fine grid.
    """
    angle = np.linspace(-math.pi / 2, math.pi / 2, 20_001)
    density = np.clip(np.cos(angle), 0, 1) ** (df - 1)
    total = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    return float(math.sqrt(df) * math.tan(np.interp(p * total[-1], total, angle)))
