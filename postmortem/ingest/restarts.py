"""Several attempts, and several runs, in one record: where epochs or steps go back."""

from __future__ import annotations

import polars as pl


def divide_sources(metrics: pl.DataFrame, resumed: pl.DataFrame) -> pl.DataFrame:
    """Marks where training began anew in each of a run's files; see ``divide``.

    Files that disagree on the number of runs are taken for one run, whose attempts are counted through.

    Args:
        metrics: Rows of all files, with ``source``.
        resumed: ``source`` and ``line`` of what says that the run resumed.
    """
    if metrics.is_empty() or (metrics["source"] == metrics["source"][0]).all():
        return divide(metrics, resumed["line"])
    sources = metrics.partition_by("source", maintain_order=True)
    lines = {source: resumed.filter(pl.col("source") == source)["line"] for source in resumed["source"].unique()}
    divided = [divide(one, lines.get(one["source"][0], _NOWHERE)) for one in sources]
    if len({one["part"].max() for one in divided}) > 1:
        through = (pl.struct("part", "attempt").rank("dense") - 1).cast(pl.UInt16)
        divided = [one.with_columns(attempt=through, part=pl.lit(0, pl.UInt32)) for one in divided]
    return pl.concat(divided)


def divide(metrics: pl.DataFrame, restarts: pl.Series) -> pl.DataFrame:
    """Marks where training began anew.

    A label whose position goes back starts a new attempt. When it goes back to where it began, and the log does not
    say that it resumed, it is a new run.

    Args:
        metrics: Rows in log order with ``line``, ``step``, ``epoch``, ``split``, ``label`` and ``value``.
        restarts: Lines at which the log says that it resumed.

    Returns:
        ``metrics`` with ``part`` (u32, 0-based run within the record) and ``attempt`` (u16, within the part).
    """
    at = _place(metrics)
    if _grows(metrics.select(at).to_series()):
        return metrics.with_columns(part=pl.lit(0, pl.UInt32), attempt=pl.lit(0, pl.UInt16))
    rows = metrics.with_row_index("row").with_columns(at=at)
    series = [pl.col("split"), pl.col("label")]
    went_back, at_epochs = (int(count or 0) for count in rows.select(*_turns(series)).row(0))
    if at_epochs * 2 > went_back:  # steps counted anew in each epoch
        rows = rows.with_columns(at=pl.col("epoch"))
        went_back = rows.select(_turns(series)[0]).item()
    if not went_back:
        return metrics.with_columns(part=pl.lit(0, pl.UInt32), attempt=pl.lit(0, pl.UInt16))
    rows = rows.with_columns(before=pl.col("at").shift().over(series), was=pl.col("row").shift().over(series))
    back_again = pl.col("at") < pl.col("before")
    # "Best iteration: [7] ..." quotes an earlier record at the very end of a series: neither a restart nor news.
    quoted = back_again & pl.col("at").shift(-1).over(series).is_null() & _seen_before(series)
    rows = rows.filter(~quoted.fill_null(False))
    back = rows.filter(back_again)
    begun = _first_places(rows, 0)
    boundary, part, attempt = 0, 0, 0
    marks = [(0, 0, 0)]
    for row, was, line, at, split, label in back.select("row", "was", "line", "at", "split", "label").iter_rows():
        if was < boundary:
            continue  # the same restart, seen by another label
        told = restarts.is_between(rows["line"][was], line).any()
        if at <= begun.get((split, label), at) and not told:
            part, attempt, begun = part + 1, 0, _first_places(rows, row)
        else:
            attempt += 1
        boundary = row
        marks.append((row, part, attempt))
    starts = pl.DataFrame(marks, schema={"row": pl.UInt32(), "part": pl.UInt32(), "attempt": pl.UInt16()}, orient="row")
    rows = rows.join_asof(starts.sort("row"), on="row", strategy="backward")
    return rows.drop("row", "at", "before", "was")


def _turns(series: list[pl.Expr]) -> tuple[pl.Expr, pl.Expr]:
    """How often the place of a series goes back, and how often it does while the epoch goes on."""
    back = pl.col("at") < pl.col("at").shift().over(series)
    on = pl.col("epoch") > pl.col("epoch").shift().over(series)
    return back.sum().alias("back"), (back & on).sum().alias("anew")


def _seen_before(series: list[pl.Expr]) -> pl.Expr:
    return ~pl.struct(*series, "at", "value").is_first_distinct()


def _place(rows: pl.DataFrame) -> pl.Expr:
    """What grows as training goes on: the step where every series has it, else the epoch."""
    stepped = not rows["step"].null_count() or rows.select((pl.col("step").is_not_null() | _NO_EPOCH).all()).item()
    return (pl.col("step").cast(pl.Float64) if stepped else pl.col("epoch")).alias("at")


_NOWHERE = pl.Series("line", [], pl.UInt32)
_NO_EPOCH = pl.col("epoch").is_null()


def _grows(places: pl.Series) -> bool:
    """No place is before the one above it, so no series can have gone back; true of most logs, and soon said."""
    told = places.drop_nulls().to_numpy()
    return bool((told[1:] >= told[:-1]).all())


def _first_places(rows: pl.DataFrame, start: int) -> dict[tuple[str | None, str], float]:
    """The first position of each series from a row on."""
    firsts = rows.slice(start).filter(pl.col("at").is_not_null()).group_by("split", "label").agg(pl.col("at").first())
    return {(split, label): at for split, label, at in firsts.iter_rows()}
