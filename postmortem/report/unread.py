"""Lines that nothing understood, by shape."""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from postmortem.model import Run


class Shape(NamedTuple):
    """Unread lines that differ only in their numbers; ``source:line`` is the first of them."""

    shape: str
    lines: int
    source: str
    line: int


def commonest(run: Run, limit: int) -> list[Shape]:
    """The ``limit`` most frequent shapes of unread lines, most frequent first."""
    if run.unread.is_empty():  # the usual case; grouping nothing costs a millisecond a run
        return []
    counted = (
        run.unread.group_by("shape", maintain_order=True)
        .agg(pl.col("lines").sum(), pl.col("source").first(), pl.col("first").first())
        .sort("lines", descending=True, maintain_order=True)
        .head(limit)
    )
    return [Shape(*row) for row in counted.iter_rows()]


def commonest_lines(lines: pl.DataFrame, source: str, limit: int) -> list[Shape]:
    """The same for a LINES frame of one file, each line for itself."""
    shape = pl.col("text").str.strip_chars().str.slice(0, 200).str.replace_all(r"[0-9]+(?:\.[0-9]+)?", "0")
    written = lines.select("line", shape=shape).filter(pl.col("shape") != "")
    counted = written.group_by("shape", maintain_order=True).agg(pl.len(), pl.col("line").first())
    counted = counted.sort("len", descending=True, maintain_order=True).head(limit)
    return [Shape(text, count, source, line) for text, count, line in counted.iter_rows()]
