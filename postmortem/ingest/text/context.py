"""Where in training each line stands: epoch, step and split, from counters and headings.

A counter in the line itself comes first, then the last line that governs what follows (``Epoch 3/50``,
``Validation:``). A batch within an epoch becomes a step of the whole run where the epoch's length is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

COUNTERS = ("epoch", "epochs", "step", "steps", "batch", "batches", "sample", "samples", "bar", "bars")

_PLACES = pl.Schema({"line": pl.UInt32(), "epoch": pl.Float64(), "step": pl.Int64(), "split": pl.String()})
# A pass over data the log does not name: no split that a rule takes for validation.
_OTHER_PASS = "other"


def counted(counters: pl.DataFrame) -> pl.DataFrame:
    """Adds what the counters say together: the step of the whole run, and which of them start anew in each epoch.

    Args:
        counters: One row a line that counts, in file order: ``line``, the ``COUNTERS`` as f64 (null where the line
            has none), ``governs``, and ``measures`` (the line also holds measurements).
    """
    if counters.is_empty():
        return counters.with_columns(_NOTHING_COUNTED)
    return _with_steps(_with_epochs(_without_false_samples(counters)))


_NOTHING_COUNTED = [
    *(pl.lit(None, pl.Float64()).alias(name) for name in ("current", "index", "total")),
    *(pl.lit(False).alias(name) for name in ("other", "within")),
    pl.lit(None, pl.Float64()).alias("at"),
]


def _without_false_samples(counters: pl.DataFrame) -> pl.DataFrame:
    """``[1250/1251 (100%)]`` counts batches from 0: samples are not counted up to the last but one."""
    last = ((counters["sample"] + 1) == counters["samples"]).fill_null(False)
    if not last.any():
        return counters
    of = {"batch": "sample", "batches": "samples"}
    moved = [pl.coalesce(batch, sample).alias(batch) for batch, sample in of.items()]
    return counters.with_columns(*moved, *(pl.lit(None, pl.Float64).alias(name) for name in of.values()))


def positions(counters: pl.DataFrame, headings: pl.DataFrame, wanted: pl.Series) -> pl.DataFrame:
    """The position of each wanted line.

    Args:
        counters: From ``counted``.
        headings: ``line`` and ``split`` of headings that open a split.
        wanted: Lines to place, ascending and unique.

    Returns:
        ``line``, ``epoch`` (f64), ``step`` (i64) and ``split`` for each wanted line.
    """
    if wanted.is_empty():
        return pl.DataFrame(schema=_PLACES)
    lines = wanted.to_numpy()
    marks = _marks(counters)
    at = np.searchsorted(marks.line[:-1], lines, side="right") - 1  # the last counter up to each line; -1: none
    own = marks.line[at] == lines
    epoch = np.where(own & ~np.isnan(marks.epoch[at]), marks.epoch[at], marks.epoch_handed_on[at])
    step = np.where(own & ~np.isnan(marks.step[at]), marks.step[at], marks.step_handed_on[at])
    return pl.DataFrame([
        wanted.cast(pl.UInt32).alias("line"),
        pl.Series("epoch", epoch, nan_to_null=True),
        pl.Series("step", step, nan_to_null=True).cast(pl.Int64, strict=False),
        _splits(headings, lines, marks.since[at], (own & marks.other[at], outrun(headings, lines, epoch, step))),
    ])  # fmt: skip


def outrun(
    headings: pl.DataFrame, lines: NDArray[np.integer], epoch: NDArray[np.float64], step: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Lines for which the heading of an evaluation above no longer holds: training went on.

    Some logs announce each evaluation and nothing of what follows it (``***** Running Evaluation *****``). There, the
    heading holds up to the first line that stands later in training than the lines before it and the first below it.

    Args:
        headings: See ``positions``.
        lines, epoch, step: Where the measuring lines stand, ascending by line; NaN for places that are not known.
    """
    ended = np.zeros(lines.size, np.bool_)
    evaluates = headings["split"].is_in(["val", "test"]).to_numpy()
    opened = headings["line"].to_numpy()
    if not evaluates.any() or (~evaluates[evaluates.argmax() :]).any():
        return ended
    place = step if np.isnan(epoch).all() else epoch
    starts = np.searchsorted(lines, opened)
    for start, end in zip(starts, np.append(starts[1:], lines.size), strict=True):
        if not np.isnan(place[:start]).all():  # what is first counted in the evaluation are its own batches
            ended[start:end] = np.maximum.accumulate(place[start:end] > np.nanmax(place[: start + 1]))
    return ended


class _Marks(NamedTuple):
    """What counters say, as columns with a last row for lines before the first counter; NaN where one says nothing.

    Attributes:
        line: Of the counter.
        epoch, step: Of the line itself.
        epoch_handed_on, step_handed_on: Of the lines that follow.
        since: Line of the counter that opened the epoch handed on; 0 before the first.
        other: The line belongs to a pass over other data.
    """

    line: NDArray[np.int64]
    epoch: NDArray[np.float64]
    step: NDArray[np.float64]
    epoch_handed_on: NDArray[np.float64]
    step_handed_on: NDArray[np.float64]
    since: NDArray[np.int64]
    other: NDArray[np.bool_]


def _marks(counters: pl.DataFrame) -> _Marks:
    """In arrays: most logs have a few hundred counters, for which a query costs more than all its arithmetic."""
    line = np.append(counters["line"].to_numpy().astype(np.int64), 0)
    epoch, step = (np.append(counters[name].cast(pl.Float64).to_numpy(), np.nan) for name in ("epoch", "at"))
    governs, measures, other = (
        np.append(counters[name].to_numpy().astype(np.bool_), False) for name in ("governs", "measures", "other")
    )
    head = np.where(governs, epoch, np.nan)
    current = _forward(head)
    opens = ~np.isnan(head) & (head != np.append(np.nan, current[:-1]))
    span = _last(opens)
    # Where epochs are counted, the step of one line of measurements says nothing of the next one.
    hands_on = governs & ~(measures & (~np.isnan(epoch)).any()) & ~np.isnan(step)
    source = _last(hands_on)
    handed_on = np.where((source >= 0) & (source >= span), step[source], np.nan)
    current[-1] = handed_on[-1] = np.nan
    since = np.where(span >= 0, line[span], 0)
    since[-1] = 0
    return _Marks(line, epoch, step, current, handed_on, since, other)


def _last(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The place of the last flag up to each place; -1 before the first."""
    return np.maximum.accumulate(np.where(flags, np.arange(flags.size), -1))


def _forward(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with NaN replaced by the last number before it."""
    last = _last(~np.isnan(values))
    return np.where(last >= 0, values[last], np.nan)


def _splits(
    headings: pl.DataFrame,
    lines: NDArray[np.int64],
    since: NDArray[np.int64],
    without: tuple[NDArray[np.bool_], NDArray[np.bool_]],
) -> pl.Series:
    """The split of each line: of the last heading since the epoch was opened, else that of another pass, else null.

    ``without`` are the lines of another pass, and those for which their heading no longer holds.
    """
    other, ended = without
    named = pl.concat([headings["split"], pl.Series([_OTHER_PASS, None], dtype=pl.String)])
    opened = headings["line"].to_numpy()
    last = np.searchsorted(opened, lines, side="right") - 1
    holds = (last >= 0) & ~ended
    holds[holds] = opened[last[holds]] >= since[holds]
    at = np.where(holds, last, len(opened) + np.where(other, 0, 1))
    return named[at].alias("split")


def stated_totals(counters: pl.DataFrame) -> pl.DataFrame:
    """Planned epochs, steps and batches an epoch, as the totals of counters state them (``[200/514]``).

    Args:
        counters: From ``counted``.

    Returns:
        ``line``, ``key`` and ``value`` (text), one row each time a total is first printed or changes.
    """
    if counters.is_empty():
        return _NO_TOTALS
    batched = pl.col("batch").is_not_null() | pl.col("within").fill_null(False)
    # A bar that an epoch heads counts its batches; of the others the longest that training draws is the run.
    begun = pl.col("line") >= pl.col("line").filter("measures").min().fill_null(0)
    runs_on = _runs_on(counters)
    headed = pl.col("current").is_not_null() & (pl.col("governs") | pl.col("epoch").is_null()) & pl.lit(not runs_on)
    whole = pl.when(
        begun & (pl.col("current").is_null() | pl.lit(runs_on)) & ~(headed & pl.col("bars").is_not_null()).any()
    ).then("bars")
    # An aside ("Evaluating, Epoch 0/16") is no epoch of training: only what heads or measures one is counted.
    trained = (pl.col("governs") | pl.col("measures")) & ~_evaluates(pl.col("split"))
    epoch, last = pl.col("epoch").filter(trained), pl.col("epochs").filter(trained)
    keys = {
        # Counted from 0 and up to it ("Epoch 2/2"), the total is that of the last epoch.
        "epochs": pl.col("epochs") + ((epoch.min() == 0) & (epoch == last).any()).cast(pl.Float64),
        "steps": pl.when(~batched & ~_evaluates(pl.col("split"))).then(
            pl.coalesce("steps", pl.when(whole == whole.max()).then(whole))
        ),
        "steps_per_epoch": pl.when(batched).then(pl.coalesce("batches", "steps", "bars")).when(headed).then("bars"),
        "n_train": pl.col("samples"),
    }
    totals = counters.select("line", **keys)
    said = [_changes(totals, key) for key in keys if totals[key].null_count() < totals.height]
    return pl.concat([_NO_TOTALS, *said]).sort("line")


def _evaluates(split: pl.Expr) -> pl.Expr:
    """Counters of a pass over other data say nothing of where training stands (``Epoch(val) [3][20/20]``)."""
    return split.is_in(["val", "test"]).fill_null(False)


_NO_TOTALS = pl.DataFrame(schema={"line": pl.UInt32(), "key": pl.String(), "value": pl.String()})


def _runs_on(counters: pl.DataFrame) -> bool:
    """Whether one bar is drawn on and on through several epochs."""
    bars = counters.filter(pl.col("bar").is_not_null() & pl.col("current").is_not_null())
    later = pl.col("current").diff().over("bars") > 0
    grown = pl.col("bar").diff().over("bars") > 0
    return bool(bars.select((later & grown).any() & ~(later & ~grown).any()).item())


def _changes(totals: pl.DataFrame, key: str) -> pl.DataFrame:
    rows = totals.select("line", total=key).drop_nulls()
    first = rows.unique("total", keep="first", maintain_order=True)
    # Validation batches are counted too; the longest pass is the training one.
    if key in ("steps_per_epoch", "n_train"):
        first = first.filter(pl.col("total") == pl.col("total").max())
    return first.select("line", key=pl.lit(key), value=pl.col("total").cast(pl.Int64, strict=False).cast(pl.String))


def _with_epochs(counters: pl.DataFrame) -> pl.DataFrame:
    """Adds ``current``, the epoch a line is in: its own, or that of the last governing line."""
    counters = counters.with_columns(_of_one_base(counters))
    governing = pl.when("governs").then("epoch").forward_fill()
    return counters.with_columns(current=pl.coalesce("epoch", governing))


def _of_one_base(counters: pl.DataFrame) -> pl.Series:
    """The epochs; where headings count up to a total from 1, and the lines under them from 0, as the headings do."""
    epoch, total = (counters[name].cast(pl.Float64).to_numpy() for name in ("epoch", "epochs"))
    headed = _forward(np.where(counters["governs"].to_numpy() & ~np.isnan(total), epoch, np.nan))
    own = np.isnan(total) & ~np.isnan(epoch) & ~np.isnan(headed)
    if own.any() and (headed[own] == epoch[own] + 1).all() and epoch[own].min() == 0:
        epoch = np.where(own, epoch + 1, epoch)
    return pl.Series("epoch", epoch, nan_to_null=True)


def _with_steps(counters: pl.DataFrame) -> pl.DataFrame:
    """Adds ``at``, the step of the whole run, and ``within``: the counter starts anew in each epoch."""
    index = pl.coalesce("step", "batch", pl.when(~pl.lit(counters["epoch"].is_not_null().any())).then("bar"))
    total = pl.coalesce("steps", "batches", "bars")
    rows = counters.with_columns(index=index, total=total)
    within, ambiguous = _restarts(rows)
    # A shorter count without an epoch of its own is a pass over another set of data; a bar, beside one of its epoch.
    opened = (pl.col("governs") & pl.col("epoch").is_not_null()).cum_sum()
    batch, bar = pl.col("batch").is_not_null(), pl.col("bar").is_not_null()
    longest = pl.when(batch).then(pl.col("total").max()).when(bar).then(pl.col("total").max().over(opened))
    other_pass = (pl.col("total") < longest) & pl.col("epoch").is_null()
    rows = rows.with_columns(other=other_pass.fill_null(False)).with_columns(
        index=pl.when(~pl.col("other") & ~(pl.col("batch").is_not_null() & _evaluates(pl.col("split")))).then("index")
    )
    known = pl.col("total").is_not_null() & pl.col("current").is_not_null()
    base = 0 if rows["current"].min() == 0 else 1
    of_run = (pl.col("current").floor() - base) * pl.col("total") + pl.col("index")
    rows = rows.with_columns(within=pl.lit(within) | (pl.lit(ambiguous) & pl.col("batch").is_not_null()))
    at: pl.Expr = pl.when(pl.col("within") & known).then(of_run).when(~pl.col("within")).then("index")
    if ambiguous:  # one epoch only: its batches can be counted without knowing its length
        at = pl.coalesce(at, "index")
    return rows.with_columns(at=at)


def _restarts(rows: pl.DataFrame) -> tuple[bool, bool]:
    """Whether the counter starts anew in each epoch, and whether a single epoch leaves that open.

    Counters of other totals stand in between: those of the batches of a validation.
    """
    seen = rows.filter(pl.col("index").is_not_null() & pl.col("current").is_not_null())
    if seen["current"].n_unique() < 2:
        return False, True
    later, back = pl.col("current").diff() > 0, pl.col("index").diff() <= 0
    alike = (pl.col("current").diff().over("total") > 0) & (pl.col("index").diff().over("total") <= 0)
    return bool(seen.select(((later & back) | alike).any()).item()), False
