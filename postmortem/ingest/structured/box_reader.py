"""Boxes of ``| key | value |`` between ruled lines, as the loggers of OpenAI Baselines and their heirs print them."""

from __future__ import annotations

import polars as pl

from postmortem import names
from postmortem.ingest.reading import LINES, Reading
from postmortem.ingest.structured import records
from postmortem.ingest.structured.records import Records

_ROW = r"^\|(\s*)([^|]+?)\s*\|\s*([^|]*?)\s*\|\s*$"
_RULE = r"^\+?[-=]{5,}[-=+]*$"
_BOX = f"{_ROW}|{_RULE}"


def share(lines: pl.DataFrame) -> float:
    """The share of a LINES sample's written lines that belong to boxes; 0 unless some of them measure something."""
    if not lines["text"].str.starts_with("|").any():
        return 0.0
    written = lines.filter(pl.col("text").str.strip_chars() != "")
    rows = _rows(written)
    if not any(_measures(label) for label in rows["label"].unique().to_list()):
        return 0.0
    return int(written["text"].str.contains(_BOX).sum()) / max(written.height, 1)


def read(lines: pl.DataFrame, source: str) -> Reading | None:
    """Reads every box as one record.

    A key that ends in ``/`` without a value is a section: it is put before the indented keys under it.

    Args:
        lines: A LINES frame of the whole file.
        source: The file's path as it is to be shown.

    Returns:
        The reading, or None when no box measures anything.
    """
    rows = _rows(lines)
    if not any(_measures(label) for label in rows["label"].unique().to_list()):
        return None
    at = ["box", "record"]
    wide = {of: rows.pivot("label", index=at, values=of, aggregate_function="last") for of in ("value", "line")}
    found = Records(wide["value"].drop(at), wide["line"].drop(at))
    unread = lines.filter(~pl.col("text").str.contains(_BOX) & (pl.col("text").str.strip_chars() != ""))
    return Reading(
        source=source,
        format="box",
        points=records.points(found),
        settings=records.settings(found),
        understood=lines["line"].n_unique() - unread["line"].n_unique(),
        unread=unread.select(list(LINES)),
        lines=int(lines["line"][-1]),
    )


def _rows(lines: pl.DataFrame) -> pl.DataFrame:
    """Rows of all boxes: ``line``, ``box`` and ``record`` (ordinals), ``label`` and ``value`` as text.

    Where no rule stands between boxes, a record begins with the label the first one began with.
    """
    parts = pl.col("text").str.extract_groups(_ROW).struct
    rows = lines.select(
        "line",
        box=pl.col("text").str.contains(_RULE).cum_sum(),
        indent=parts.field("1").str.len_chars(),
        key=parts.field("2"),
        value=parts.field("3"),
    ).filter(pl.col("key").is_not_null())
    opens = pl.col("key").str.ends_with("/") & (pl.col("value") == "")
    section = pl.when(opens).then("key").forward_fill().over("box")
    depth = pl.when(opens).then("indent").forward_fill().over("box")
    inside = (pl.col("indent") > depth).fill_null(False)
    label = pl.when(inside).then(section).otherwise(pl.lit("")) + pl.col("key")
    rows = rows.with_columns(label=label).filter(~opens)
    begins = pl.col("label") == pl.col("label").first().over("box")
    return rows.select("line", "box", "label", "value", record=begins.cum_sum().over("box"))


def _measures(label: str) -> bool:
    return names.role(names.parse(label).metric) in ("loss", "score", "reward", "grad_norm")
