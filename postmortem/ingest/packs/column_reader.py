"""Reads JSON and tables whose names a pack explains: the names are translated, the generic readers do the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import polars as pl

from postmortem import names
from postmortem.ingest.packs.pack import NOTHING, ColumnPack
from postmortem.ingest.reading import LINES, Reading
from postmortem.ingest.structured import json_reader, table_reader

_HEAD_LINES = 400  # among which a table's header stands
_HALF = 0.5  # of a pack's names a file must have; names that only some runs log may be missing

# Names by which the generic readers know a position for sure: a `step` may start again in each epoch.
_KNOWN_AS = {"step": "global_step", "time": "timestamp"}


class _Generic(NamedTuple):
    share: Callable[[pl.DataFrame], float]
    read: Callable[[pl.DataFrame, str], Reading | None]


def share(lines: pl.DataFrame, pack: ColumnPack) -> float:
    """How sure it is, from a LINES sample that begins with the first line, that a pack explains a file: 0 to 1."""
    translated, met = _translated(lines, pack)
    if met < _HALF * len(pack.columns):
        return 0.0
    return _reader(pack).share(translated)


def read(lines: pl.DataFrame, pack: ColumnPack, source: str) -> Reading | None:
    """Reads a file whose names a pack explains; None when the generic reader cannot.

    Args:
        lines: A LINES frame of the whole file.
        pack: The format.
        source: The file's path as it is to be shown.
    """
    reading = _reader(pack).read(_translated(lines, pack)[0], source)
    if reading is None:
        return None
    own = lines.join(reading.unread.select("line"), on="line", how="semi").select(list(LINES))
    points = reading.points.filter(~pl.col("label").str.contains(rf"(?:^|/){NOTHING} [0-9]+$"))
    # A record's split holds for what has none of its own.
    telling = [label for label in points["label"].unique() if names.parse(label).split]
    split = pl.when(~pl.col("label").is_in(telling)).then("split")
    return replace(reading, format=pack.id, points=points.with_columns(split=split), unread=own)


def gives(pack: ColumnPack, samples: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What each sample, a small file of its own, gives: the last value of each label and the last position."""
    return [_told(pack, texts) for texts in samples]


def _reader(pack: ColumnPack) -> _Generic:
    if pack.kind == "json":
        return _Generic(json_reader.share, json_reader.read)
    return _Generic(table_reader.share, table_reader.read)


def _told(pack: ColumnPack, texts: Sequence[str]) -> dict[str, Any]:
    lines = pl.DataFrame({"line": range(1, len(texts) + 1), "text": texts}, schema=dict(LINES))
    reading = read(lines, pack, "")
    if reading is None or reading.points.is_empty():
        return {}
    last = reading.points.row(-1, named=True)
    places = {name: last[name] for name in ("step", "epoch", "split") if last[name] is not None}
    return {**places, **dict(reading.points.select("label", "value").iter_rows())}


def _translated(lines: pl.DataFrame, pack: ColumnPack) -> tuple[pl.DataFrame, int]:
    """The lines with the names of a pack in the words of the generic readers, and how many names were met."""
    meant = _meanings(pack.columns)
    if pack.kind == "json":
        return _with_keys(lines, meant)
    return _with_header(lines, meant)


def _meanings(columns: Mapping[str, str]) -> dict[str, str]:
    return {
        name: f"{NOTHING} {at}" if meaning == NOTHING else _KNOWN_AS.get(meaning, meaning)
        for at, (name, meaning) in enumerate(columns.items())
    }


def _with_keys(lines: pl.DataFrame, meant: Mapping[str, str]) -> tuple[pl.DataFrame, int]:
    """Every key of a JSON object, or of the repr of a dict, at any depth."""
    texts = lines["text"]
    met = 0
    for name, meaning in meant.items():
        key = rf"""(["']){re.escape(name)}(["']\s*:)"""
        met += bool(texts.str.contains(key).any())
        texts = texts.str.replace_all(key, f"${{1}}{_literally(meaning)}${{2}}")
    return lines.with_columns(text=texts), met


def _with_header(lines: pl.DataFrame, meant: Mapping[str, str]) -> tuple[pl.DataFrame, int]:
    """The cells of a table's header, each time it comes."""
    cells = {name: rf"""(^[#\s]*|[,;|\t]\s*|\s)(["']?){re.escape(name)}(["']?\s*(?:$|[,;|\t]|\s))""" for name in meant}
    named = lines["text"].head(_HEAD_LINES).str
    met = [name for name, cell in cells.items() if named.contains(cell).any()]
    if not met:
        return lines, 0
    texts = lines["text"]
    maybe = texts.str.contains(met[0], literal=True)
    heads = maybe.arg_true().filter(texts.filter(maybe).str.contains(cells[met[0]]))
    found = texts.gather(heads)
    spaced = not found.str.contains(r"[,;|\t]").any()  # columns set with spaces: a name cannot hold one
    for name in met:
        meaning = meant[name].replace(" ", "_") if spaced else meant[name]
        found = found.str.replace(cells[name], f"${{1}}${{2}}{_literally(meaning)}${{3}}")
    return lines.with_columns(text=texts.scatter(heads, found)), len(met)


def _literally(text: str) -> str:
    return text.replace("$", "$$")
