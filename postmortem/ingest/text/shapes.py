"""Lines grouped by what they look like, so that each look is understood once, however many lines have it.

A *mask* is a message with every digit replaced by 0; a *shape* is it with every number replaced by ``template.MARK``.
Logs of a million lines have a few thousand masks, so patterns run on masks and the answer is looked up for the lines.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem.ingest.lines import sample, split
from postmortem.ingest.text import clock, naming
from postmortem.ingest.text.gaps import MARK
from postmortem.ingest.text.template import NUMBER, SLOT, Template, understand

MAX_SHAPES = 20_000
"""Most distinct shapes that are looked at, the most frequent first."""

MAX_SHAPE = 20_000
"""Longest message, in bytes, in which numbers are looked for."""

_DELIMITERS = " \t:=[](){},;|<>'\"/*#&%$!?~^`\\"
_ZEROS = bytes(48 if 48 <= byte < 58 else byte for byte in range(256))
_KNOWN = {"id": pl.UInt32(), "shape": pl.String()}
_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
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
    "named": pl.List(pl.UInt32()),
    "part_of": pl.UInt32(),
    "rank": pl.UInt32(),
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

    @cached_property
    def written(self) -> str:
        """All masks in lower case, a line each."""
        return (self.masks["body"].str.join("\n").item() or "").lower()

    def having(self, condition: pl.Expr, *hints: str) -> pl.DataFrame:
        """The lines whose mask fulfils a condition on ``body``, in file order.

        Args:
            condition: What to ask; compiling a pattern may cost more than reading a short log.
            hints: Texts in lower case of which every mask that fulfils it holds one; without them it is not even asked.
        """
        if hints and not any(hint in self.written for hint in hints):
            return self.lines.clear()
        keep = self.masks.select(condition).to_series()
        return self.lines.filter(keep.gather(self.lines["mask"])) if keep.any() else self.lines.clear()

    def only(self, rows: pl.DataFrame) -> Messages:
        """The same without all but the rows of a LINES frame."""
        lines = self.lines.join(rows, on=["line", "text"], how="semi", maintain_order="left")
        return Messages(lines, self.masks)

    def without(self, lines: pl.Series) -> Messages:
        """The same without the lines of these numbers."""
        return Messages(self.lines.filter(~pl.col("line").is_in(lines.implode())), self.masks)


@dataclass(frozen=True)
class Numbers:
    """The numbers of a file that could mean something.

    Attributes:
        lines: ``line``, ``shape`` and ``texts`` (list of the numbers with their delimiter) of the lines that hold some.
        fields: What each number of a shape means: ``shape``, ``slot`` and the rest of ``template.Field``, and what the
            shape says of all (``counted``, ``governs``, ``coverage``, ``dump``, ``rank``).
    """

    lines: pl.DataFrame
    fields: pl.DataFrame

    @cached_property
    def _texts(self) -> tuple[pl.Series, NDArray[np.int64]]:
        """All numbers one after the other, and where those of each line begin."""
        counts = self.lines["texts"].list.len().to_numpy().astype(np.int64)
        return self.lines["texts"].explode(), np.cumsum(counts) - counts

    def values(self, fields: pl.DataFrame) -> pl.DataFrame:
        """One row a number of the fields given: ``line``, ``shape``, ``slot``, ``value``; in file order."""
        divided = self.fields["kind"] == "part"
        if not divided.any():
            return self._values(fields, fields["slot"])
        parts = self.fields.filter(divided)
        parts = parts.join(fields, left_on=["shape", "part_of"], right_on=["shape", "slot"], how="semi")
        found = self._values(pl.concat([fields, parts]), pl.concat([fields["slot"], parts["part_of"].alias("slot")]))
        whole = pl.when(pl.col("value").null_count() == 0).then(pl.col("value").sum())
        return found.group_by("line", "shape", "slot", maintain_order=True).agg(whole)

    def _values(self, fields: pl.DataFrame, of: pl.Series) -> pl.DataFrame:
        """In arrays, for which lists of every line need no copy; ``of`` names the slot each field is told as."""
        texts, starts = self._texts
        shape = self.lines["shape"].to_numpy()
        order = np.argsort(fields["shape"].to_numpy(), kind="stable")
        first, last = (np.searchsorted(fields["shape"].to_numpy()[order], shape, side=side) for side in _SIDES)
        rows = np.repeat(np.arange(shape.size), last - first)
        field = order[np.arange(rows.size) - np.repeat(np.cumsum(last - first) - last, last - first)]
        printed = texts.gather(starts[rows] + fields["slot"].to_numpy()[field])
        return pl.DataFrame([
            self.lines["line"].gather(rows),
            self.lines["shape"].gather(rows),
            of.gather(field),
            (parsed(printed) * fields["scale"].gather(field)).alias("value"),
        ])  # fmt: skip

    def counters(self, kinds: Container[str]) -> pl.DataFrame:
        """``line``, ``shape``, ``kind`` and ``value`` of the first counter of each kind in a shape, in file order."""
        first: dict[tuple[int, str], int] = {}
        for at, (shape, kind) in enumerate(zip(self.fields["shape"], self.fields["kind"], strict=True)):
            if kind in kinds:
                first.setdefault((shape, kind), at)
        fields = self.fields[list(first.values())]
        named = fields.select("shape", "slot", "kind")
        return self.values(fields).join(named, on=["shape", "slot"], how="left", maintain_order="left")


def messages(lines: pl.DataFrame) -> Messages:
    """Splits timestamps off and groups what is left by mask.

    Args:
        lines: Frame of LINES.
    """
    stamped = clock.stamp(lines, sample(lines))
    grouped = pl.DataFrame({"body": _masks(stamped["body"])}).with_columns(id=pl.col("body").rank("dense") - 1)
    distinct = grouped.unique("id").sort("id").select("body")
    return Messages(stamped.with_columns(mask=grouped["id"].cast(pl.UInt32)), distinct)


def numbers(told: Messages, cut: int | None = None) -> Numbers:
    """The numbers of the messages, and what the text between them says they mean.

    Args:
        told: The messages.
        cut: A line that may lack its end, so that a unit missing in it says nothing.
    """
    shaped = _with_shapes(told)
    counts = sorted(shaped["shape"].value_counts().iter_rows(), key=lambda each: (-each[1], each[0]))
    rows = {(at, shape): list(_rows(at, understand(shape))) for at, (shape, _) in enumerate(counts[:MAX_SHAPES])}
    fields = pl.DataFrame([row for each in rows.values() for row in each], schema=_FIELDS, orient="row")
    known = pl.DataFrame([key for key, each in rows.items() if each], schema=_KNOWN, orient="row")
    hits = shaped.join(known, on="shape", how="inner", maintain_order="left")
    lines = hits.select("line", shape="id", texts=pl.col("body").str.extract_all(SLOT))
    return _without_clocks(
        Numbers(*naming.divided(lines, _scaled(fields, lines.filter(pl.col("line") != (cut or 0))), MAX_SHAPES))
    )


def _without_clocks(found: Numbers) -> Numbers:
    """Bare numbers at the beginning of lines (``[12] loss``) are no counters where they have fractions."""
    if not (found.fields["label"] == "round").any():
        return found
    bare = found.fields.filter((pl.col("label") == "round") & (pl.col("kind") == "step"))
    if bare.is_empty():
        return found
    values = found.values(bare)
    clocks = values.filter(pl.col("value") != pl.col("value").floor())["shape"].unique().implode()
    other = pl.col("kind").is_in(["epoch", "batch"]).any().over("shape")
    fields = found.fields.with_columns(counted=pl.col("counted") & (~pl.col("shape").is_in(clocks) | other))
    return Numbers(found.lines, fields.filter(~pl.col("shape").is_in(clocks) | (pl.col("label") != "round")))


def _scaled(fields: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Keeps "2.6K" and "12min" as printed, unless the lines print the same label in another unit as well."""
    if (fields["scale"].to_numpy() == 1).all():
        return fields
    printed = pl.col("shape").is_in(lines["shape"].unique().implode())
    mixed = (pl.col("scale").filter(printed).n_unique() > 1) | (pl.col("kind") == "part").any()
    counts = ~pl.col("kind").is_in(["value", "part"])
    return fields.with_columns(scale=pl.when(counts | mixed.over("label")).then("scale").otherwise(1.0))


def _with_shapes(told: Messages) -> pl.DataFrame:
    """``line``, ``body`` and ``shape`` of the lines with a number, in file order."""
    shape = pl.col("body").str.replace_all(SLOT, "${1}" + MARK)
    masks = (
        told.masks.with_row_index("mask")
        .filter(pl.col("body").str.contains(r"0|(?i:nan|inf)") & (pl.col("body").str.len_bytes() <= MAX_SHAPE))
        .select("mask", shape=shape)
        .filter(pl.col("shape").str.contains(MARK, literal=True))
    )
    # Digits inside words tell labels apart (Acc@1, fpr0.01); where they do, the lines themselves are asked.
    worded = pl.Series([_has_digits_in_labels(shape) for shape in masks["shape"]], dtype=pl.Boolean)
    lines = told.lines.select("line", "body", "mask")
    if not worded.any():
        return lines.join(masks, on="mask", how="inner", maintain_order="left").drop("mask")
    looked_up = lines.join(masks.filter(~worded), on="mask", how="inner", maintain_order="left").drop("mask")
    asked = lines.join(masks.filter(worded), on="mask", how="semi", maintain_order="left").select(
        "line", "body", shape=shape
    )
    return pl.concat([looked_up, asked]).sort("line", maintain_order=True)


def _has_digits_in_labels(mask: str) -> bool:
    return "0" in mask and any("0" in item.label for item in understand(mask).fields)


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
    masks = split(joined.translate(_ZEROS)).alias("mask") if joined else bodies
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
            list(item.named),
            item.part_of,
            template.rank,
        )
