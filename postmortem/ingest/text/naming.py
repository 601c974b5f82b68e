"""Numbers that are part of a name: ``AP .75: 0.31``, ``class 2: 0.9``, and the rank of ``[rank1]: loss 0.4``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl

from postmortem.ingest.text.gaps import MARK

MAX_NAMES = 100
"""Most different numbers that tell labels of one shape apart; more of them are values, and name nothing."""

_FEW = 2  # distinct numbers up to which a log of few lines may be one of as many ranks
_SLOTS = {"shape": pl.UInt32(), "slots": pl.List(pl.UInt32())}
_NUMBER_AT_END = r"([-+]?[0-9.,]*[0-9](?:[eE][-+]?[0-9]+)?|[A-Za-z]+)$"


def divided(lines: pl.DataFrame, fields: pl.DataFrame, first: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Divides the shapes in which a number is part of a name, so that each name is a field of its own.

    Args:
        lines: ``line``, ``shape`` and ``texts``; see ``shapes.Numbers``.
        fields: What the numbers of each shape mean.
        first: The first id for new shapes.

    Returns:
        Both frames again. Labels of ranks but the first to write end in ``[rank 1]``.
    """
    fields = _without_counts(lines, fields)
    slots = _naming_slots(fields)
    if slots.is_empty():
        return lines, fields
    texts = pl.col("texts").list.gather(pl.col("slots")).list.eval(pl.element().str.extract(_NUMBER_AT_END, 1))
    said = lines.join(slots, on="shape", how="left", maintain_order="left").with_columns(said=texts.list.join("\n"))
    kinds = said.select("shape", "slots", "said").drop_nulls().unique(maintain_order=True)
    kinds = kinds.filter(pl.len().over("shape") <= MAX_NAMES).with_row_index("id", offset=first)
    told = said.join(kinds.drop("slots"), on=["shape", "said"], how="left", maintain_order="left")
    plain = pl.col("named").list.len() == 0
    of = fields.partition_by("shape", as_dict=True)
    lead = _first_rank(kinds, fields)
    rows = [row for kind in kinds.iter_rows(named=True) for row in _relabelled(of[kind["shape"],], kind, lead)]
    kept = fields.filter(~pl.col("shape").is_in(kinds["shape"].implode()) & plain)
    lines = told.select("line", pl.coalesce("id", "shape").alias("shape"), "texts")
    return lines, pl.concat([kept, pl.DataFrame(rows, schema=fields.schema)])


def _without_counts(lines: pl.DataFrame, fields: pl.DataFrame) -> pl.DataFrame:
    """Without the ranks that are bare numbers (``0: epoch 3``) and hardly ever come again: these count lines."""
    if fields["rank"].null_count() == fields.height:
        return fields
    ranks = fields.select("shape", "rank").drop_nulls().unique()
    said = lines.join(ranks, on="shape").select("shape", text=pl.col("texts").list.get(pl.col("rank")))
    bare = said.filter(pl.col("text").str.contains(r"^\[?[0-9]"))
    often = bare.group_by("shape").agg(lines=pl.len(), ranks=pl.col("text").n_unique())
    counts = often.filter((pl.col("ranks") > _FEW) & (pl.col("lines") < 2 * pl.col("ranks")))["shape"]
    return fields.with_columns(rank=pl.when(~pl.col("shape").is_in(counts.implode())).then("rank"))


def _naming_slots(fields: pl.DataFrame) -> pl.DataFrame:
    """``shape`` and ``slots``: the numbers of a shape that name something."""
    if fields["rank"].null_count() == fields.height and not fields["named"].explode().count():
        return pl.DataFrame(schema=_SLOTS)
    named = fields.select("shape", slots="named").explode("slots")
    ranks = fields.select("shape", slots="rank")
    each = pl.concat([named, ranks]).drop_nulls().unique().sort("shape", "slots")
    return each.group_by("shape", maintain_order=True).agg("slots")


def _first_rank(kinds: pl.DataFrame, fields: pl.DataFrame) -> str | None:
    """The rank that keeps its labels."""
    ranks = fields.select("shape", "rank").drop_nulls().unique()
    told = kinds.join(ranks, on="shape", how="inner", maintain_order="left")
    texts = [_texts(kind)[kind["rank"]] for kind in told.iter_rows(named=True)]
    return min(texts, key=lambda text: (len(text), text), default=None)


def _texts(kind: dict[str, Any]) -> dict[int, str]:
    return dict(zip(kind["slots"], kind["said"].split("\n"), strict=True))


def _relabelled(fields: pl.DataFrame, kind: dict[str, Any], lead: str | None) -> Iterator[dict[str, Any]]:
    texts = _texts(kind)
    for row in fields.iter_rows(named=True):
        label = row["label"]
        for slot in row["named"]:
            label = label.replace(MARK, texts[slot], 1)
        rank = texts.get(row["rank"], lead)
        if rank != lead and row["kind"] in ("value", "part"):
            label = f"{label} [rank {rank}]"
        yield {**row, "shape": kind["id"], "label": label}
