"""Functions that count: steps an epoch should have, steps done twice, operating points that coincide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem import stats
from postmortem.engine.functions.run import counted_steps, steps_per_epoch
from postmortem.engine.functions.shape import level
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Point, Scalar, Series, Value, absent, align


def _number(view: RunView, key: str, default: float = 1.0) -> float:
    value = view.fact(key).value
    return float(value) if isinstance(value, int | float) and value > 0 else default


def _batches(view: RunView) -> list[float]:
    """Samples a step may stand for: a batch may be of one process or of all, a step one batch or one update."""
    stated, whole = view.fact("batch_size").value, view.fact("global_batch_size").value
    processes, updates = _number(view, "world_size"), _number(view, "grad_accum")
    if isinstance(whole, int | float) and whole > 0:
        return sorted({float(whole) / updates, float(whole)})
    if not isinstance(stated, int | float) or stated <= 0:
        return []
    return sorted({float(stated) * factor for factor in (1.0, processes, updates, processes * updates)})


def _sizes(view: RunView) -> tuple[float, list[float]] | Scalar:
    samples = view.fact("n_train")
    if not isinstance(samples.value, int | float) or samples.value <= 0:
        return samples if samples.value is None else absent("n_train is stated as no number", "n_train")
    return (float(samples.value), sizes) if (sizes := _batches(view)) else view.fact("batch_size")


@function("number", "counts")
def most_steps(view: RunView) -> Value:
    """Most steps an epoch over n_train samples can have, whatever batch_size and steps are counted over.

    The smallest reading of the batch, and one partial batch for each loader worker of each process.
    """
    sizes = _sizes(view)
    if isinstance(sizes, Scalar):
        return sizes
    partial = max(1.0, _number(view, "num_workers", 0.0)) * _number(view, "world_size")
    return Scalar(float(np.floor(sizes[0] / sizes[1][0])) + partial, view.fact("n_train").at)


@function("number", "counts")
def fewest_steps(view: RunView) -> Value:
    """Fewest steps an epoch over n_train samples can have: the largest reading of the batch, partial batches dropped.

    Each loader worker may drop its own partial batch, and accumulation the batches left over.
    """
    sizes = _sizes(view)
    if isinstance(sizes, Scalar):
        return sizes
    dropped = max(1.0, _number(view, "num_workers", 0.0)) + 1.0
    return Scalar(max(0.0, float(np.floor(sizes[0] / sizes[1][-1])) - dropped), view.fact("n_train").at)


@function("number", "counts")
def steps_taken(view: RunView) -> Scalar:
    """Steps an epoch takes: as stated, or as counted where the log's own steps and epochs make more of them.

    A count that equals n_train is one of samples and is left out.
    """
    stated, counted = view.fact("steps_per_epoch"), counted_steps(view)
    if not isinstance(stated.value, float) or not isinstance(counted.value, float):
        return counted if isinstance(counted.value, float) else stated if isinstance(stated.value, float) else counted
    samples = np.isclose(counted.value, _number(view, "n_train", np.nan), rtol=0.02)
    return stated if samples or counted.value <= stated.value else counted


@function("truth", "counts")
def steps_explained(view: RunView) -> Value:
    """True if the steps an epoch takes are those that some reading of batch size and steps makes."""
    sizes, steps = _sizes(view), steps_taken(view)
    if isinstance(sizes, Scalar) or steps.value is None:
        return sizes if isinstance(sizes, Scalar) else steps
    made = np.array([sizes[0] / size for size in sizes[1]])
    partial = max(1.0, _number(view, "num_workers", 0.0)) * _number(view, "world_size")
    return Scalar(float(np.any(np.abs(float(steps.value) - made) <= 0.02 * made + partial)), steps.at)


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


@function("number", "counts")
def resumes(view: RunView) -> Value:
    """Number of times training went back to an earlier step or epoch and went on from there, with the first place."""
    if not _clock(view):
        return absent("neither steps nor epochs are logged", "the step or the epoch")
    found = _replays(view)
    return Scalar(float(len(found)), found[0].at if found else None)


@function("number", "counts")
def resumes_said(view: RunView) -> Value:
    """Number of those times at which the log says that it resumed."""
    said = [replay.at for replay in _replays(view) if replay.said]
    return Scalar(float(len(said)), said[0] if said else None)


@function("number", "counts")
def replayed(view: RunView) -> Value:
    """Steps (epochs, where none are logged) trained again after going back, with the place of the longest replay."""
    found = _replays(view)
    longest = max(found, key=lambda replay: replay.units).at if found else None
    return Scalar(sum(replay.units for replay in found), longest)


@function("number", "counts")
def distance(view: RunView) -> Value:
    """Steps (epochs, where none are logged) from the first report to the furthest."""
    clock = _clock(view)
    if not clock:
        return absent("neither steps nor epochs are logged", "the step or the epoch")
    reports = view.run.metrics[clock].cast(pl.Float64).drop_nulls().to_numpy()
    return Scalar(float(reports.max() - reports.min()))


@function("text", "counts")
def progress_unit(view: RunView) -> Value:
    """What the two are counted in: steps or epochs."""
    return Scalar(f"{_clock(view)}s")


def _clock(view: RunView) -> str:
    """What progress is read from: the step where the log has any, else the epoch; "" without both."""
    frame = view.run.metrics
    return next((name for name in ("step", "epoch") if frame[name].null_count() < frame.height), "")


@dataclass(frozen=True)
class _Replay:
    """How far training went back, where it went on, and whether the log says that it resumed."""

    units: float
    at: Point
    said: bool


def _replays(view: RunView) -> list[_Replay]:
    return view.remember("replays", None, lambda: list(_each_replay(view)))


def _each_replay(view: RunView) -> Iterator[_Replay]:
    """Every time training went on from a place behind the one it had reached.

    Going back to the very beginning is another training. Unless the log says that it resumed, so is one that begins at
    the second report, or never comes further than the one before.
    """
    clock = _clock(view)
    if not clock or view.run.metrics["attempt"].max() == 0:
        return
    attempts = view.run.metrics.filter(pl.col(clock).is_not_null()).partition_by("attempt", maintain_order=True)
    reports, before = np.empty(0), None
    for attempt in sorted(attempts, key=lambda rows: int(rows["attempt"][0])):
        own = attempt[clock].cast(pl.Float64).unique().sort().to_numpy()
        earlier = reports[reports < own[0]]
        said = before is not None and _said_between(view, before, attempt)
        # A report speaks for the stretch that ends with it: what is repeated begins at the one before the first.
        resumed = said or (len(earlier) > 1 and own[-1] > reports[-1])
        if resumed and len(earlier) and reports[-1] > earlier[-1]:
            yield _Replay(float(reports[-1] - earlier[-1]), _place(attempt, int(attempt[clock].arg_min() or 0)), said)
        reports, before = np.unique(np.concatenate([reports, own])), attempt


def _said_between(view: RunView, before: pl.DataFrame, after: pl.DataFrame) -> bool:
    """Whether the log says that it resumed, in the file of the later attempt and ahead of its first record."""
    source, line = after.select("source", "line").row(0)
    since = int(before.filter(pl.col("source") == source)["line"].max() or 0)  # type: ignore[arg-type]
    said = [event.at for event in view.events if event.kind == "restart" and event.at.source == source]
    return any(since <= (at.line or 0) <= line for at in said)


def _place(rows: pl.DataFrame, index: int) -> Point:
    return Point(*rows.select("step", "epoch", "time", "source", "line").row(index))


@function("series", "counts", x="series", n="number", chance="number=0.0001")
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


@function("text", "counts", x="series")
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


@function("number", "counts", x="series", q="number")
def quantile(_: RunView, x: Series, q: Scalar) -> Value:
    """The value below which a share q (0 to 1) of the finite points lie."""
    if not len(x.finite):
        return absent(f"{x.name} has no finite points")
    return Scalar(float(np.quantile(x.finite.value, float(q.value or 0))), x.finite.point(len(x.finite) - 1))


@function("number", "counts")
def samples_limited(view: RunView) -> Value:
    """Samples an evaluation is limited to: as stated, or by a stated number of batches of a stated size."""
    batches, size = view.fact("limit_val_batches"), view.fact("val_batch_size")
    # A limit of 1 may as well be the share that stands for all of them.
    if isinstance(batches.value, float) and isinstance(size.value, float) and batches.value >= 2:
        return Scalar(batches.value * size.value, batches.at)
    return view.fact("n_eval")


@function("number", "counts", rate="number", n="number")
def rate_width(_: RunView, rate: Scalar, n: Scalar) -> Value:
    """Width of the 95 % interval of a rate counted over n samples (Wilson)."""
    if rate.value is None or n.value is None:
        return rate if rate.value is None else n
    low, high = stats.wilson(float(rate.value) * float(n.value), float(n.value))
    return Scalar(high - low, n.at)


@function("number", "counts", area="number", positives="number", negatives="number")
def area_width(_: RunView, area: Scalar, positives: Scalar, negatives: Scalar) -> Value:
    """Width of the 95 % interval of an area under the ROC curve (Hanley and McNeil)."""
    missing = next((each for each in (area, positives, negatives) if each.value is None), None)
    if missing is not None:
        return missing
    error = stats.hanley_mcneil(*(float(each.value or 0) for each in (area, positives, negatives)))
    return Scalar(2 * 1.96 * error, positives.at) if np.isfinite(error) else absent("there is only one class")


_SAME_UNIT = 20.0  # a wait of more than so many steps is told in another unit


@function("series", "counts", wait="series", step="series")
def waiting(view: RunView, wait: Series, step: Series) -> Value:
    """Share of the time of each step that passes until its data has come, first batches of epochs left out.

    Where the wait is mostly longer than the step, the step is taken to be what follows the wait.
    """
    later = wait.take(np.flatnonzero(~_opens_epoch(view, wait)))
    theirs = align(step, later)
    with np.errstate(all="ignore"):
        ratio = np.where((later.value >= 0) & (theirs > 0), later.value / theirs, np.nan)
    usual = float(np.nanmedian(ratio)) if not np.isnan(ratio).all() else 0.0
    if usual > _SAME_UNIT:
        return absent(f"{wait.name} and {step.name} are not told in one unit")
    return later.with_values(ratio / (1.0 + ratio) if usual > 1.0 else ratio, f"{wait.name} over {step.name}")


def _opens_epoch(view: RunView, x: Series) -> NDArray[np.bool_]:
    """Points at the first batch of an epoch, which waits for the loader to start: the first step or two of it."""
    per_epoch = steps_per_epoch(view).value
    if not isinstance(per_epoch, float) or per_epoch < 4 or np.isnan(x.step).any():
        return np.zeros(len(x), dtype=np.bool_)
    return np.asarray(np.mod(x.step, np.round(per_epoch)) <= 1, dtype=np.bool_)


@function("series", "counts", x="series")
def percent(_: RunView, x: Series) -> Value:
    """A share in percent: as logged where it ever exceeds 1, else a hundred times that."""
    whole = len(x.finite) and float(x.finite.value.max()) > 1.0
    return x.with_values(x.value if whole else 100.0 * x.value)
