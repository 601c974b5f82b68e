"""The last number of a file that was cut while it was written: ``0.18`` may be what there is of ``0.1880``."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from postmortem.ingest.lines import Text
from postmortem.ingest.reading import Reading

_NUMBER = r"([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]*)?)"
_LIKE = 50  # values before it that are asked for how many digits such a value has


def without_cut(reading: Reading, text: Text) -> Reading:
    """A reading without the value of a number that ends an unfinished last line.

    It is kept where all values of its label before it have as many decimals as it has; and where something follows
    the number, it is complete anyway.
    """
    if text.finished or text.lines.is_empty() or reading.points.is_empty():
        return reading
    last = text.lines.row(-1, named=True)
    printed = pl.Series([last["text"]]).str.extract(rf"{_NUMBER}$", 1)[0]
    value = _value(printed)
    if value is None:
        return reading
    points = reading.points.with_row_index("row")
    cut = points.filter((pl.col("line") == last["line"]) & (pl.col("value") == value)).tail(1)
    if cut.is_empty() or _decimals(points, cut, text) == [_places(printed)]:
        return reading
    return replace(reading, points=points.filter(pl.col("row") != cut["row"][0]).drop("row"))


def _value(printed: str | None) -> float | None:
    value = pl.Series([printed], dtype=pl.String).cast(pl.Float64, strict=False)[0]
    return None if value is None else float(value)


def _places(printed: str) -> int:
    """Digits after the point; of a whole number, all of them counted below zero."""
    return len(printed.rpartition(".")[2]) if "." in printed else -len(printed)


def _decimals(points: pl.DataFrame, cut: pl.DataFrame, text: Text) -> list[int]:
    """How many decimals the values of the same label before it are printed with; none while they are all alike."""
    like = points.filter((pl.col("label") == cut["label"][0]) & (pl.col("line") < cut["line"][0])).tail(_LIKE)
    told = like.join(text.lines, on="line").with_columns(printed=pl.col("text").str.extract_all(_NUMBER))
    told = told.explode("printed").filter(pl.col("printed").cast(pl.Float64, strict=False) == pl.col("value"))
    texts = set(told["printed"])
    return sorted({_places(printed) for printed in texts}) if len(texts) > 1 else []
