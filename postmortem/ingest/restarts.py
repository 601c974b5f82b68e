"""Several attempts, and several runs, in one record: where epochs or steps go back."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray


def divide_sources(metrics: pl.DataFrame, resumed: pl.DataFrame) -> pl.DataFrame:
    """Marks where training began anew in each of a run's files; see ``divide``.

    Files that disagree on the number of runs are taken for one run, whose attempts are counted through.

    Args:
        metrics: Rows of all files, with ``source``.
        resumed: ``source``, ``line`` and ``text`` of what says that the run resumed.
    """
    if metrics.is_empty() or (metrics["source"] == metrics["source"][0]).all():
        return _divided(metrics, resumed)
    sources = metrics.partition_by("source", maintain_order=True)
    told = {source: resumed.filter(pl.col("source") == source) for source in resumed["source"].unique()}
    divided = [_divided(one, told.get(one["source"][0], resumed.clear())) for one in sources]
    if len({one["part"].max() for one in divided}) > 1:
        through = (pl.struct("part", "attempt").rank("dense") - 1).cast(pl.UInt16)
        divided = [one.with_columns(attempt=through, part=pl.lit(0, pl.UInt32)) for one in divided]
    return pl.concat(divided)


def _divided(metrics: pl.DataFrame, resumed: pl.DataFrame) -> pl.DataFrame:
    divided = divide(metrics, resumed["line"])
    if resumed.is_empty():
        return divided
    # A checkpoint is also loaded to be tested; who resumes says so.
    return _announced(divided, resumed.filter(pl.col("text").str.contains(r"(?i)\bre(?:sum|start)"))["line"])


def _announced(divided: pl.DataFrame, lines: pl.Series) -> pl.DataFrame:
    """Begins an attempt where the log says that it resumed and training goes on from the very place it had reached."""
    at, line = _place(divided), divided["line"].to_numpy()
    part, attempt = (divided[name].to_numpy().astype(np.int64) for name in ("part", "attempt"))
    for start in np.unique(np.searchsorted(line, lines.sort().to_numpy(), side="right")):
        before = at[:start][part[:start] == part[start - 1]] if 0 < start < at.size else at[:0]
        if np.isnan(before).all():
            continue
        further = start + np.flatnonzero(at[start:] > np.nanmax(before))[:1]
        if (part[further] == part[start - 1]).all() and (attempt[further] == attempt[start - 1]).any():
            attempt[start:] += part[start:] == part[start - 1]
    return divided.with_columns(attempt=pl.Series(attempt, dtype=pl.UInt16))


def divide(metrics: pl.DataFrame, restarts: pl.Series) -> pl.DataFrame:
    """Marks where training began anew.

    A label whose position goes back starts a new attempt. When it goes back to where it began, and the log does not
    say that it resumed, it is a new run. Rows that were shuffled are put in order and are one attempt.

    Args:
        metrics: Rows in log order with ``line``, ``step``, ``epoch``, ``split``, ``label`` and ``value``.
        restarts: Lines at which the log says that it resumed.

    Returns:
        ``metrics`` with ``part`` (u32, 0-based run within the record) and ``attempt`` (u16, within the part).
    """
    at = _place(metrics)
    if _grows(at):
        return metrics.with_columns(part=pl.lit(0, pl.UInt32), attempt=pl.lit(0, pl.UInt16))
    series = _Series(metrics)
    epoch = metrics["epoch"].to_numpy()
    back = at < series.before(at)
    if 2 * np.count_nonzero(back & (epoch > series.before(epoch))) > np.count_nonzero(back):
        at = epoch  # steps are counted anew in each epoch
        back = at < series.before(at)
    if not back.any():
        return metrics.with_columns(part=pl.lit(0, pl.UInt32), attempt=pl.lit(0, pl.UInt16))
    if restarts.is_empty() and _is_shuffled(metrics, at, back):
        ordered = metrics[np.argsort(at, kind="stable")]
        return ordered.with_columns(part=pl.lit(0, pl.UInt32), attempt=pl.lit(0, pl.UInt16))
    back |= _begins_again(metrics, at, at == series.before(at))
    rows = metrics.with_row_index("row").with_columns(
        pl.Series("at", at, nan_to_null=True), was=series.before(np.arange(at.size)), back=back
    )
    # "Best iteration: [7] ..." quotes an earlier record at the very end of a series: neither a restart nor news.
    ends = back & np.isnan(series.after(at))
    if ends.any():
        rows = rows.filter(~(pl.Series(ends) & _seen_before()))
    turns = rows.filter("back")
    begun = _first_places(rows, 0)
    boundary, part, attempt = 0, 0, 0
    marks = [(0, 0, 0)]
    for row, was, line, at, split, label in turns.select("row", "was", "line", "at", "split", "label").iter_rows():
        if was < boundary:
            continue  # the same restart, seen by another label
        told = restarts.is_between(rows["line"][int(was)], line).any()
        if at <= begun.get((split, label), at) and not told:
            part, attempt, begun = part + 1, 0, _first_places(rows, row)
        else:
            attempt += 1
        boundary = row
        marks.append((row, part, attempt))
    starts = pl.DataFrame(marks, schema={"row": pl.UInt32(), "part": pl.UInt32(), "attempt": pl.UInt16()}, orient="row")
    rows = rows.join_asof(starts.sort("row"), on="row", strategy="backward")
    return rows.drop("row", "at", "was", "back")


def _is_shuffled(metrics: pl.DataFrame, at: NDArray[np.float64], back: NDArray[np.bool_]) -> bool:
    """Rows in no order: every place is told once, and one in four is before the last; who resumes goes back rarely."""
    if np.isnan(at).any() or 4 * np.count_nonzero(back) < at.size:
        return False
    places = metrics.select(pl.struct("split", "label", pl.Series("at", at)).is_duplicated().any())
    return not places.item()


def _begins_again(metrics: pl.DataFrame, at: NDArray[np.float64], same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows that tell of the first place again, after a run of one record: in files whose lines tell of everything."""
    if not same.any() or (at[same] > np.nanmin(at)).any():
        return np.zeros(at.size, np.bool_)
    whole = metrics.select(pl.struct("split", "label").n_unique()).item()
    told = metrics.select(pl.len().over("line") == whole).to_series().to_numpy()
    return same & bool(told[same].all())


class _Series:
    """Which row of a series comes before and after each: in arrays, which takes a tenth of the time of windows."""

    def __init__(self, metrics: pl.DataFrame) -> None:
        split, label = (metrics[name].to_physical().to_numpy().astype(np.int64) for name in ("split", "label"))
        code = split * (label.max() + 1) + label
        code = code.astype(np.uint16) if code.max() < 1 << 16 else code  # small numbers are sorted in no time
        self._order = np.argsort(code, kind="stable")
        self._follows = code[self._order[1:]] == code[self._order[:-1]]

    def before(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The value of the row before in the same series; NaN where there is none."""
        return self._moved(values, self._order[1:], self._order[:-1])

    def after(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The value of the row after."""
        return self._moved(values, self._order[:-1], self._order[1:])

    def _moved(self, values: NDArray[Any], to: NDArray[np.int64], source: NDArray[np.int64]) -> NDArray[np.float64]:
        moved = np.full(values.size, np.nan)
        moved[to[self._follows]] = values[source[self._follows]]
        return moved


def _seen_before() -> pl.Expr:
    return ~pl.struct("split", "label", "at", "value").is_first_distinct()


def _place(rows: pl.DataFrame) -> NDArray[np.float64]:
    """What grows as training goes on: the step where every series has it, else the epoch; NaN for null."""
    stepped = not rows["step"].null_count() or rows.select((pl.col("step").is_not_null() | _NO_EPOCH).all()).item()
    return (rows["step"].cast(pl.Float64) if stepped else rows["epoch"]).to_numpy()


_NO_EPOCH = pl.col("epoch").is_null()


def _grows(places: NDArray[np.float64]) -> bool:
    """No place is before the one above it, so no series can have gone back; true of most logs, and soon said."""
    told = places[~np.isnan(places)]
    return bool((told[1:] >= told[:-1]).all())


def _first_places(rows: pl.DataFrame, start: int) -> dict[tuple[str | None, str], float]:
    """The first position of each series from a row on."""
    firsts = rows.slice(start).filter(pl.col("at").is_not_null()).group_by("split", "label").agg(pl.col("at").first())
    return {(split, label): at for split, label, at in firsts.iter_rows()}
