"""Values that several files of one run tell: kept once, and compared."""

from __future__ import annotations

import polars as pl

from postmortem.ingest.reading import NOTES
from postmortem.ingest.same import equal_as_printed

NO_DISAGREEMENTS = pl.DataFrame(schema={**NOTES, "source": pl.String()})

_SERIES = ("split", "metric")
_PLACE = (*_SERIES, "at")


def dropped(points: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keeps, of values that several files tell at one place, those of the file that tells them in most digits.

    The place of a series is its step where all files have it, else its epoch. Where a file has several values in an
    epoch, one of another file repeats them only if it is equal.

    Args:
        points: Points of all files with their meaning (``split``, ``metric``) and ``source``.

    Returns:
        The points kept; and events, a frame of NOTES with ``source``: one for each series of a file that says
        otherwise than the values kept, beyond what rounding to the digits printed can do.
    """
    stepped = pl.col("step").is_not_null().all().over(_SERIES)
    at = pl.when(stepped).then(pl.col("step").cast(pl.Float64)).otherwise("epoch")
    digits = pl.col("value").cast(pl.String).str.len_bytes().mean().over("source", *_SERIES)
    marked = points.with_columns(at=at, digits=digits)
    marked = marked.with_columns(
        said=pl.col("value").last().over("source", *_PLACE),
        crowded=(pl.len().over("source", *_PLACE) > 1).any().over(_SERIES),
    )
    best = marked.filter(pl.col("at").is_not_null()).sort("digits", descending=True, maintain_order=True)
    told = best.unique(_PLACE, keep="first", maintain_order=True).select(*_PLACE, "said", teller="source")
    met = marked.drop("said").join(told, on=_PLACE, how="left", maintain_order="left")
    met = met.with_columns(other=pl.col("teller") != pl.col("source"), equal=equal_as_printed("value", "said"))
    repeated = pl.col("other") & (~pl.col("crowded") | pl.col("equal"))
    kept = met.filter(~repeated.fill_null(False)).select(points.columns)
    return kept, _disagreements(met.filter(pl.col("other") & ~pl.col("crowded") & ~pl.col("equal")))


def _disagreements(rows: pl.DataFrame) -> pl.DataFrame:
    """One event for each series of a file, at its first value that another file tells differently."""
    if rows.is_empty():
        return NO_DISAGREEMENTS
    first = rows.group_by("source", *_SERIES, maintain_order=True).agg(
        pl.col("line", "step", "epoch", "time", "value", "said", "teller").first(), count=pl.len()
    )
    name = pl.concat_str([pl.col(part).cast(pl.String) for part in _SERIES], separator=" ").str.strip_chars()
    text = pl.format("{} is {} here and {} in {}; {} values differ", name, "value", "said", "teller", "count")
    told = first.with_columns(pl.col("source").cast(pl.String), kind=pl.lit("warning"), text=text)
    return told.select(NO_DISAGREEMENTS.columns)
