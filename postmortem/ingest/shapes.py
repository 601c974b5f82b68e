"""Lines grouped by what they look like, so that each look is understood once, however many lines have it.

A *mask* is a message with every digit replaced by 0; a *shape* is it with every number replaced by ``template.MARK``.
Logs of a million lines have a few thousand masks, so patterns run on masks and the answer is looked up for the lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from postmortem.ingest import clock
from postmortem.ingest.gaps import MARK
from postmortem.ingest.lines import sample
from postmortem.ingest.template import NUMBER, SLOT, Template, understand

MAX_SHAPES = 20_000
"""Most distinct shapes that are looked at, the most frequent first."""

MAX_SHAPE = 20_000
"""Longest message, in bytes, in which numbers are looked for."""

_DELIMITERS = " \t:=[](){},;|<>'\"/*#&%$!?~^`\\"
_ZEROS = bytes(48 if 48 <= byte < 58 else byte for byte in range(256))
_FIELDS = {
    "shape": pl.UInt32(),
    "slot": pl.UInt32(),
    "kind": pl.String(),
    "label": pl.String(),
    "split": pl.String(),
    "strong": pl.Boolean(),
    "scale": pl.Float64(),
    "counted": pl.Boolean(),
    "governs": pl.Boolean(),
    "coverage": pl.Float64(),
    "dump": pl.Boolean(),
}


@dataclass(frozen=True)
class Messages:
    """The messages of a file.

    Attributes:
        lines: ``line``, ``text``, ``stamp`` and ``body`` (see ``clock.stamp``), and ``mask`` (u32, a row of ``masks``).
        masks: ``body`` of each distinct mask.
    """

    lines: pl.DataFrame
    masks: pl.DataFrame

    def having(self, condition: pl.Expr) -> pl.DataFrame:
        """The lines whose mask fulfils a condition on ``body``, in file order."""
        keep = self.masks.select(condition).to_series()
        return self.lines.filter(keep.gather(self.lines["mask"])) if len(keep) else self.lines

    def only(self, rows: pl.DataFrame) -> Messages:
        """The same without all but the rows of a LINES frame."""
        lines = self.lines.join(rows, on=["line", "text"], how="semi", maintain_order="left")
        return Messages(lines, self.masks)


@dataclass(frozen=True)
class Numbers:
    """The numbers of a file that could mean something.

    Attributes:
        lines: ``line``, ``shape`` and ``texts`` (list of the numbers with their delimiter) of the lines that hold some.
        fields: What each number of a shape means: ``shape``, ``slot`` and the rest of ``template.Field``, and what the
            shape says of all (``counted``, ``governs``, ``coverage``, ``dump``).
    """

    lines: pl.DataFrame
    fields: pl.DataFrame

    def values(self, fields: pl.DataFrame) -> pl.DataFrame:
        """One row a number of the fields given: ``line``, ``shape``, ``slot``, ``value``; in file order."""
        wanted = fields.group_by("shape").agg("slot", "scale")
        rows = self.lines.join(wanted, on="shape", how="inner", maintain_order="left")
        rows = rows.with_columns(texts=pl.col("texts").list.gather(pl.col("slot"))).explode("texts", "slot", "scale")
        return rows.select("line", "shape", "slot", value=parsed(rows["texts"]) * rows["scale"])

    def counters(self) -> pl.DataFrame:
        """``line``, ``shape``, ``kind`` and ``value`` of the first counter of each kind in a shape, in file order."""
        counting = self.fields.filter(pl.col("kind") != "value")
        first = counting.unique(["shape", "kind"], keep="first", maintain_order=True)
        kinds = first.select("shape", "slot", "kind")
        return self.values(first).join(kinds, on=["shape", "slot"], how="left", maintain_order="left")


def messages(lines: pl.DataFrame) -> Messages:
    """Splits timestamps off and groups what is left by mask.

    Args:
        lines: Frame of LINES.
    """
    stamped = clock.stamp(lines, sample(lines))
    grouped = pl.DataFrame({"body": _masks(stamped["body"])}).with_columns(id=pl.col("body").rank("dense") - 1)
    distinct = grouped.unique("id").sort("id").select("body")
    return Messages(stamped.with_columns(mask=grouped["id"].cast(pl.UInt32)), distinct)


def numbers(told: Messages) -> Numbers:
    """The numbers of the messages, and what the text between them says they mean."""
    shaped = _with_shapes(told)
    shapes = shaped["shape"].value_counts().sort("count", "shape", descending=[True, False])
    shapes = shapes.head(MAX_SHAPES).with_row_index("id")
    rows = [
        row for at, shape in zip(shapes["id"], shapes["shape"], strict=True) for row in _rows(at, understand(shape))
    ]
    fields = pl.DataFrame(rows, schema=_FIELDS, orient="row")
    # "2.6K" is kept as printed, unless the same label is also printed without the K.
    mixed = pl.col("scale").n_unique().over("label") > 1
    fields = fields.with_columns(scale=pl.when(mixed).then("scale").otherwise(1.0))
    known = shapes.filter(pl.col("id").is_in(fields["shape"].unique().implode())).select("id", "shape")
    hits = shaped.join(known, on="shape", how="inner", maintain_order="left")
    return Numbers(hits.select("line", shape="id", texts=pl.col("body").str.extract_all(SLOT)), fields)


def _with_shapes(told: Messages) -> pl.DataFrame:
    """``line``, ``body`` and ``shape`` of the lines with a number, in file order."""
    shape = pl.col("body").str.replace_all(SLOT, "${1}" + MARK)
    masks = (
        told.masks.with_row_index("mask")
        .filter(pl.col("body").str.contains(r"0|(?i:nan|inf)") & (pl.col("body").str.len_bytes() <= MAX_SHAPE))
        .select("mask", shape=shape)
        .filter(pl.col("shape").str.contains(MARK, literal=True))
    )
    # Digits inside words (Acc@1, fpr0.01) tell labels apart, so where a mask has some, the lines themselves are asked.
    worded = pl.col("shape").str.contains("0", literal=True)
    lines = told.lines.select("line", "body", "mask")
    looked_up = lines.join(masks.filter(~worded), on="mask", how="inner", maintain_order="left").drop("mask")
    asked = lines.join(masks.filter(worded), on="mask", how="semi", maintain_order="left").select(
        "line", "body", shape=shape
    )
    return pl.concat([looked_up, asked]).sort("line", maintain_order=True)


def parsed(texts: pl.Series) -> pl.Series:
    """The numbers in matches of ``SLOT``, each of which starts with a delimiter (or the word a counter is glued to)."""
    bare = texts.str.strip_chars_start(_DELIMITERS)
    if bare.str.contains(",", literal=True).any():
        bare = bare.str.replace_all(",", "", literal=True)
    plain = bare.cast(pl.Float64, strict=False)
    if plain.null_count() == texts.null_count():
        return plain
    rest = texts.str.extract(f"({NUMBER})$", 1).str.replace_all(",", "", literal=True).cast(pl.Float64, strict=False)
    return pl.select(pl.coalesce(plain, rest)).to_series()


def _masks(bodies: pl.Series) -> pl.Series:
    """The bodies with each digit replaced by 0; done on bytes, where it costs no more than a copy."""
    if bodies.is_empty():
        return bodies
    joined = bodies.str.replace_all("\n", " ", literal=True).str.join("\n").item().encode()
    masks = pl.read_lines(joined.translate(_ZEROS), name="mask")["mask"] if joined else bodies
    # A trailing empty line is none to the reader of lines.
    missing = len(bodies) - len(masks)
    return pl.concat([masks, pl.Series("mask", [""] * missing, pl.String)]) if missing else masks


def _rows(at: int, template: Template) -> Iterator[tuple[object, ...]]:
    for item in template.fields:
        yield (
            at,
            item.slot,
            item.kind,
            item.label,
            item.split,
            item.strong,
            item.scale,
            template.counted,
            template.governs,
            template.coverage,
            template.dump,
        )
