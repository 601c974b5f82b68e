"""Tries a pack on a log: what it reads by itself, the lines it leaves, the numbers it overlooks in lines it takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.lines import Text, clip, read_lines
from postmortem.ingest.packs import column_reader, regex_reader
from postmortem.ingest.packs.pack import FormatPack, Pack
from postmortem.ingest.reading import LINES, Reading
from postmortem.ingest.text import keyvalue


@dataclass(frozen=True)
class Trial:
    """What a pack makes of a log.

    Attributes:
        pack: The pack.
        reading: What it reads, without help of the generic readers.
        overlooked: ``label``, ``lines`` and ``line`` (the first) of named numbers in lines that it takes, which the
            generic reader finds and the pack does not read.
        problems: What speaks against the pack: lint, and samples that do not give what they say.
    """

    pack: Pack
    reading: Reading
    overlooked: pl.DataFrame
    problems: Sequence[Problem]


def tried(pack: Pack, problems: Sequence[Problem], path: Path) -> Trial:
    """Reads a log with one pack alone.

    Args:
        pack: The pack.
        problems: What is known to be wrong with it.
        path: The log.
    """
    text = read_lines(path)
    lines, clipped = clip(text.lines, str(path))
    reading = _read(lines, pack, str(path))
    told = (*text.problems, *clipped, *problems)
    if reading is None:
        nothing = Reading(str(path), pack.id, unread=lines.select(list(LINES)), lines=text.count)
        return Trial(pack, nothing, _NOTHING, told)
    return Trial(pack, reading, _overlooked(lines, reading), told)


def _read(lines: pl.DataFrame, pack: Pack, source: str) -> Reading | None:
    if isinstance(pack, FormatPack):
        return regex_reader.read(lines, pack, source)
    return column_reader.read(lines, pack, source)


_NOTHING = pl.DataFrame(schema={"label": pl.String, "lines": pl.UInt32, "line": pl.UInt32})


def _overlooked(lines: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    taken = lines.join(reading.points.select("line").unique(), on="line", how="semi", maintain_order="left")
    if taken.is_empty() or reading.points["value"].is_null().all():
        return _NOTHING
    found = keyvalue.read(Text(taken.select(list(LINES)), taken.height), reading.source).points
    known = reading.points.select("line", "value")
    missed = found.join(known, on=["line", "value"], how="anti", nulls_equal=True, maintain_order="left")
    counted = missed.group_by("label", maintain_order=True).agg(
        pl.col("line").n_unique().cast(pl.UInt32).alias("lines"), pl.col("line").first()
    )
    return counted.sort("lines", descending=True, maintain_order=True)
