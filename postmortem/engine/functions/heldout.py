"""Functions of evaluation: how finely a set of samples tells, and operating points that coincide."""

from __future__ import annotations

import numpy as np

from postmortem import stats
from postmortem.engine.functions.shape import level
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Scalar, Series, Value, absent, align


@function("series", "evaluation", x="series", n="number", chance="number=0.0001")
def tied(view: RunView, x: Series, n: Scalar, chance: Scalar) -> Value:
    """Points at which a rate at one operating point equals that at a lower one, out of n, beyond chance.

    For false-positive rates at true-positive rates: no negative scores between the two thresholds.
    """
    below = _lower_level(view, x)
    if n.value is None or isinstance(below, Scalar):
        return below if isinstance(below, Scalar) and n.value is not None else n
    other, low, high = below
    odds = [stats.no_negatives_between(rate * float(n.value), low, high) for rate in x.value.tolist()]
    surprising = np.array(odds) < float(chance.value or 0)
    return x.take(np.flatnonzero((align(other, x) == x.value) & surprising))


@function("text", "evaluation", x="series")
def lower_level(view: RunView, x: Series) -> Value:
    """Name of the same rate at the next lower operating point."""
    below = _lower_level(view, x)
    return below if isinstance(below, Scalar) else Scalar(below[0].name)


def _lower_level(view: RunView, x: Series) -> tuple[Series, float, float] | Scalar:
    """The same rate at the next lower operating level, that level, and that of x."""
    levels = [(_level_of(view, s), s) for s in view.series if s.split == x.split and _stem(s) == _stem(x)]
    mine = _level_of(view, x)
    lower = [(at, s) for at, s in levels if at is not None and mine is not None and at < mine]
    if mine is None or not lower:
        return absent(f"{x.name} is logged at no lower operating point", "the rate at a second operating point")
    at, other = max(lower, key=lambda each: each[0])
    return other, at, mine


def _level_of(view: RunView, x: Series) -> float | None:
    found = level(view, x)
    return found.value if isinstance(found, Scalar) and isinstance(found.value, float) else None


def _stem(x: Series) -> str:
    return x.metric.rstrip("0123456789.e-+")


@function("number", "evaluation")
def samples_limited(view: RunView) -> Value:
    """Samples an evaluation is limited to: as stated, or by a stated number of batches of a stated size."""
    batches, size = view.fact("limit_val_batches"), view.fact("val_batch_size")
    # A limit of 1 may as well be the share that stands for all of them.
    if isinstance(batches.value, float) and isinstance(size.value, float) and batches.value >= 2:
        return Scalar(batches.value * size.value, batches.at)
    return view.fact("n_eval")


@function("number", "evaluation", rate="number", n="number")
def rate_width(_: RunView, rate: Scalar, n: Scalar) -> Value:
    """Width of the 95 % interval of a rate counted over n samples (Wilson)."""
    if rate.value is None or n.value is None:
        return rate if rate.value is None else n
    low, high = stats.wilson(float(rate.value) * float(n.value), float(n.value))
    return Scalar(high - low, n.at)


@function("number", "evaluation", area="number", positives="number", negatives="number")
def area_width(_: RunView, area: Scalar, positives: Scalar, negatives: Scalar) -> Value:
    """Width of the 95 % interval of an area under the ROC curve (Hanley and McNeil)."""
    missing = next((each for each in (area, positives, negatives) if each.value is None), None)
    if missing is not None:
        return missing
    error = stats.hanley_mcneil(*(float(each.value or 0) for each in (area, positives, negatives)))
    return Scalar(2 * 1.96 * error, positives.at) if np.isfinite(error) else absent("there is only one class")
