"""The lines of a run that nothing understood, by shape."""

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
