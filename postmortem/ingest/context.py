"""Where in training each line stands: epoch, step and split, from counters and headings.

A counter in the line itself comes first, then the last line that governs what follows (``Epoch 3/50``,
``Validation:``). A batch within an epoch becomes a step of the whole run where the epoch's length is known.
"""

from __future__ import annotations

import polars as pl

COUNTERS = ("epoch", "epochs", "step", "steps", "batch", "batches", "sample", "samples", "bar", "bars")

_PLACES = pl.Schema({"line": pl.UInt32(), "epoch": pl.Float64(), "step": pl.Int64(), "split": pl.String()})
_NO_SPLIT = ""
# A pass over data the log does not name: no split that a rule takes for validation.
_OTHER_PASS = "other"


def counted(counters: pl.DataFrame) -> pl.DataFrame:
    """Adds what the counters say together: the step of the whole run, and which of them start anew in each epoch.

    Args:
        counters: One row a line that counts, in file order: ``line``, the ``COUNTERS`` as f64 (null where the line
            has none), ``governs``, and ``measures`` (the line also holds measurements).
    """
    return _with_steps(_with_epochs(counters))


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
    has_epochs = counters["epoch"].is_not_null().any()
    # Where epochs are counted, the step of one line of measurements says nothing of the next one.
    hands_on = pl.col("governs") & ~(pl.col("measures") & pl.lit(has_epochs))
    marks = counters.select(
        "line",
        "other",
        own_epoch="epoch",
        own_step="at",
        head_epoch=pl.when("governs").then("epoch"),
        head_step=pl.when(hands_on).then("at"),
        opens=pl.col("governs") & pl.col("epoch").is_not_null(),
    )
    rows = (
        pl.DataFrame({"line": wanted.cast(pl.UInt32)})
        .join(marks, on="line", how="full", coalesce=True)
        .join(headings.select("line", heading="split"), on="line", how="full", coalesce=True)
        .sort("line")
    )
    new = pl.col("head_epoch").is_not_null() & (
        pl.col("head_epoch") != pl.col("head_epoch").forward_fill().shift()
    ).fill_null(True)
    span = rows.with_columns(new=new.fill_null(False)).with_columns(span=pl.col("new").cum_sum())
    inherited_split = pl.coalesce("heading", pl.when("new").then(pl.lit(_NO_SPLIT))).forward_fill()
    placed = span.select(
        "line",
        epoch=pl.coalesce("own_epoch", pl.col("head_epoch").forward_fill()),
        step=pl.coalesce("own_step", pl.col("head_step").forward_fill().over("span")).cast(pl.Int64, strict=False),
        split=pl.when(inherited_split != _NO_SPLIT).then(inherited_split).when("other").then(pl.lit(_OTHER_PASS)),
    )
    return placed.filter(pl.col("line").is_in(wanted.cast(pl.UInt32).implode())).unique(
        "line", keep="first", maintain_order=True
    )


def stated_totals(counters: pl.DataFrame) -> pl.DataFrame:
    """Planned epochs, steps and batches an epoch, as the totals of counters state them (``[200/514]``).

    Args:
        counters: From ``counted``.

    Returns:
        ``line``, ``key`` and ``value`` (text), one row each time a total is first printed or changes.
    """
    if counters.is_empty():
        return _NO_TOTALS
    within = pl.col("within").fill_null(False)
    index_total = pl.coalesce("steps", "bars")
    keys = {
        "epochs": pl.col("epochs"),
        "steps": pl.when(~within & pl.col("batch").is_null()).then(index_total),
        "steps_per_epoch": pl.when(pl.col("batch").is_not_null() | within).then(pl.coalesce("batches", index_total)),
        "n_train": pl.col("samples"),
    }
    totals = counters.select("line", **keys)
    said = [_changes(totals, key) for key in keys if totals[key].null_count() < totals.height]
    return pl.concat([_NO_TOTALS, *said]).sort("line")


_NO_TOTALS = pl.DataFrame(schema={"line": pl.UInt32(), "key": pl.String(), "value": pl.String()})


def _changes(totals: pl.DataFrame, key: str) -> pl.DataFrame:
    rows = totals.select("line", total=key).drop_nulls()
    first = rows.unique("total", keep="first", maintain_order=True)
    # Validation batches are counted too; the longest pass is the training one.
    if key in ("steps_per_epoch", "n_train"):
        first = first.filter(pl.col("total") == pl.col("total").max())
    return first.select("line", key=pl.lit(key), value=pl.col("total").cast(pl.Int64, strict=False).cast(pl.String))


def _with_epochs(counters: pl.DataFrame) -> pl.DataFrame:
    """Adds ``current``, the epoch a line is in: its own, or that of the last governing line."""
    governing = pl.when("governs").then("epoch").forward_fill()
    return counters.with_columns(current=pl.coalesce("epoch", governing))


def _with_steps(counters: pl.DataFrame) -> pl.DataFrame:
    """Adds ``at``, the step of the whole run, and ``within``: the counter starts anew in each epoch."""
    index = pl.coalesce("step", "batch", pl.when(~pl.lit(counters["epoch"].is_not_null().any())).then("bar"))
    total = pl.coalesce("steps", "batches", "bars")
    rows = counters.with_columns(index=index, total=total)
    within, ambiguous = _restarts(rows)
    # A shorter count without an epoch of its own is a pass over another set of data.
    other_pass = (pl.col("total") < pl.col("total").max()) & pl.col("epoch").is_null() & pl.col("batch").is_not_null()
    rows = rows.with_columns(other=other_pass.fill_null(False)).with_columns(
        index=pl.when(~pl.col("other")).then("index")
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
