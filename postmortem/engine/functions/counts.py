"""Functions that count steps: how many an epoch takes, and how many it can have."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem.engine.functions.run import counted_steps
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Point, Scalar, Series, Value, absent


def _number(view: RunView, key: str, default: float = 1.0) -> float:
    value = view.fact(key).value
    return float(value) if isinstance(value, int | float) and value > 0 else default


def _batches(view: RunView) -> list[float]:
    """Samples a step may stand for: a batch may be of one process or of all, a step one batch or one update.

    Every batch size that is stated counts, as that of evaluation is stated in the same words.
    """
    processes, updates = _number(view, "world_size"), _number(view, "grad_accum")
    if whole := _stated(view, "global_batch_size"):
        return sorted({size / factor for size in whole for factor in (1.0, updates)})
    factors = (1.0, processes, updates, processes * updates)
    return sorted({size * factor for size in _stated(view, "batch_size") for factor in factors})


def _stated(view: RunView, key: str) -> list[float]:
    """Every positive number stated for a fact; that of the command line alone, where there is one."""
    if view.fact(key).value is None:
        return []
    told = view.run.facts.filter((pl.col("key") == key) & (pl.col("number") > 0))
    given = told.filter(pl.col("source") == "--set")
    return (given if given.height else told)["number"].unique().to_list()


@function("number", "counts")
def train_samples(view: RunView) -> Scalar:
    """Samples in the training set: as the command line says, else the largest number stated in the log.

    Programs name the size of every set they go through in the same words, and evaluation sets are smaller.
    """
    numbers = _stated(view, "n_train")
    if not numbers:
        last = view.fact("n_train")
        return last if last.value is None else absent("n_train is stated as no number", "n_train")
    told = view.run.facts.filter((pl.col("key") == "n_train") & (pl.col("number") == max(numbers)))
    return Scalar(max(numbers), Point(source=told["source"][-1], line=told["line"][-1]))


def _sizes(view: RunView) -> tuple[float, list[float]] | Scalar:
    samples: Scalar = train_samples(view)
    if not isinstance(samples.value, float):
        return samples
    return (samples.value, batches) if (batches := _batches(view)) else view.fact("batch_size")


@function("number", "counts")
def most_steps(view: RunView) -> Value:
    """Most steps an epoch over n_train samples can have, whatever batch_size and steps are counted over.

    The smallest reading of the batch, and one partial batch for each loader worker of each process.
    """
    sizes = _sizes(view)
    if isinstance(sizes, Scalar):
        return sizes
    partial = max(1.0, _number(view, "num_workers", 0.0)) * _number(view, "world_size")
    return Scalar(float(np.floor(sizes[0] / sizes[1][0])) + partial, train_samples(view).at)


@function("number", "counts")
def fewest_steps(view: RunView) -> Value:
    """Fewest steps an epoch over n_train samples can have: the largest reading of the batch, partial batches dropped.

    Each loader worker may drop its own partial batch, and accumulation the batches left over.
    """
    sizes = _sizes(view)
    if isinstance(sizes, Scalar):
        return sizes
    dropped = max(1.0, _number(view, "num_workers", 0.0)) + 1.0
    return Scalar(max(0.0, float(np.floor(sizes[0] / sizes[1][-1])) - dropped), train_samples(view).at)


def _close(a: float, b: float | str | None) -> bool:
    return isinstance(b, float) and abs(a - b) <= 0.02 * b


@function("number", "counts")
def steps_taken(view: RunView) -> Scalar:
    """Steps an epoch takes: as stated, or as counted where the log's own steps and epochs make more of them.

    A count that equals n_train is one of samples and is left out.
    """
    stated, counted = view.fact("steps_per_epoch"), counted_steps(view)
    if isinstance(counted.value, float) and _close(counted.value, train_samples(view).value):
        counted = absent("the step of the log counts samples", "steps_per_epoch")
    known = [each for each in (stated, counted) if isinstance(each.value, float)]
    return max(known, key=lambda each: float(each.value or 0), default=counted)


@function("truth", "counts")
def steps_explained(view: RunView) -> Scalar:
    """True if the steps an epoch takes are those that some reading of batch size, processes and steps makes."""
    sizes, steps = _sizes(view), steps_taken(view)
    if isinstance(sizes, Scalar) or not isinstance(steps.value, float):
        return sizes if isinstance(sizes, Scalar) else steps
    made = np.array([sizes[0] / size for size in sizes[1]])
    if not _processes_stated(view):
        made = made / np.maximum(1.0, np.round(made / steps.value))  # as many processes as fit best
    partial = max(1.0, _number(view, "num_workers", 0.0)) * _number(view, "world_size")
    return Scalar(float(np.any(np.abs(steps.value - made) <= 0.02 * made + partial)), steps.at)


def _processes_stated(view: RunView) -> bool:
    return any(view.fact(key).value is not None for key in ("world_size", "global_batch_size"))


@function("text", "counts")
def batch_doubt(view: RunView) -> Value:
    """Words of doubt where the batch size may be that of one process or of all; empty where it is clear."""
    clear = not bool(steps_explained(view).value) or view.fact("global_batch_size").value is not None
    return Scalar("" if clear else ", unless the batch size is that of all processes together")


@function("text", "counts")
def process_doubt(view: RunView) -> Value:
    """Words of doubt where the number of processes is not stated; empty where it is."""
    doubt = ", unless a step is made by processes or batches whose number is not stated"
    return Scalar("" if _processes_stated(view) else doubt)


@function("number", "counts")
def step_spacing(view: RunView) -> Value:
    """Steps by which a count of steps per epoch from the log may be off: the usual distance between its reports."""
    stated = view.fact("steps_per_epoch").value
    if isinstance(stated, float) and stated == steps_taken(view).value:
        return Scalar(0.0)
    within = [_within_epochs(series) for series in view.series if not np.isnan(series.step).any()]
    usual = [float(np.median(gaps)) for gaps in within if len(gaps)]
    return Scalar(min(usual, default=0.0))


def _within_epochs(series: Series) -> NDArray[np.float64]:
    """Distances in steps between neighbours of one epoch; fractional epochs measure themselves."""
    if np.isnan(series.epoch).any() or np.any(series.epoch != np.floor(series.epoch)):
        return np.empty(0)
    return np.asarray(np.diff(series.step)[np.diff(series.epoch) == 0], dtype=np.float64)
