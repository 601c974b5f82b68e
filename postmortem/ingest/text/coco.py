"""The summary of COCO's evaluation, which detectors print in the middle of logs of any format."""

from __future__ import annotations

import polars as pl

from postmortem.ingest.text.shapes import Messages
from postmortem.ingest.text.turned import CELLS

_ROW = (
    r"Average (?:Precision|Recall)\s+\((A[PR])\)\s+@\[ IoU=([0-9.]+(?::[0-9.]+)?)\s*\| area=\s*(\w+)\s*"
    r"\| maxDets=\s*([0-9]+) \] = (-?[0-9.]+|nan)"
)
_KIND = r"IoU metric: (\w+)"


def read(told: Messages) -> tuple[pl.DataFrame, pl.Series]:
    """The figures of the summaries (columns as ``turned.CELLS``, all of validation), and the lines they stand in.

    A figure of -1 says that no object of that size was there: it is absent. ``IoU metric: segm`` names what follows.
    """
    lines = told.having(pl.col("body").str.contains(r"\(A[PR]\)\s+@\[ IoU=|IoU metric: "), "iou")
    if lines.is_empty():
        return pl.DataFrame(schema=CELLS), lines["line"]
    part = pl.col("body").str.extract_groups(_ROW).struct
    label = pl.format("{} @[ IoU={} | area={} | maxDets={} ]", *(part.field(f"{at}") for at in range(1, 5)))
    kind = pl.col("body").str.extract(_KIND, 1).forward_fill()
    rows = lines.select(
        "line",
        label=pl.when(kind.is_not_null()).then(pl.format("{} {}", kind, label)).otherwise(label),
        split=pl.lit("val"),
        value=part.field("5").cast(pl.Float64, strict=False),
    )
    return rows.filter(pl.col("value") != -1).select(list(CELLS)).cast(pl.Schema(CELLS)), rows["line"]
