"""What a store of a tracker holds: runs, each with its readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from postmortem.ingest.reading import LINES, NOTES, Reading
from postmortem.ingest.text import events, shapes
from postmortem.schema import TIME


@dataclass(frozen=True)
class Recorded:
    """One run as a tracker recorded it.

    Attributes:
        name: The run's name in the tracker, or its id.
        readings: What its files said.
        owned: Files that are read hereby, or known to tell nothing of training; nobody else should read them.
    """

    name: str
    readings: list[Reading]
    owned: frozenset[Path] = field(default_factory=frozenset)


def ending(kind: str, text: str, line: int, time: int | None = None) -> pl.DataFrame:
    """The end of a run as a frame of NOTES; ``time`` in microseconds since 1970."""
    row = {"line": line, "kind": kind, "text": text, "time": time}
    return pl.DataFrame([row], schema={**NOTES, "time": pl.Int64()}).cast({"time": TIME})


def printed(lines: Iterable[tuple[int, str]], source: str) -> pl.DataFrame:
    """The events told by text that a tracker captured, as a frame of NOTES.

    Args:
        lines: Line number and text, numbers ascending.
        source: Name of the file, which may tell the year.
    """
    text = pl.DataFrame(list(lines), schema=LINES, orient="row")
    if text.is_empty():
        return pl.DataFrame(schema=NOTES)
    nowhere = pl.DataFrame(schema={"line": pl.UInt32(), "step": pl.Int64(), "epoch": pl.Float64()})
    return events.placed(events.find(shapes.messages(text), source), nowhere)


def moment(seconds: object) -> int | None:
    """Microseconds since 1970 of a Unix time in seconds or an ISO text (UTC where it names no zone), else None.

    Times outside the years 2001 to 2096 are no clock.
    """
    if isinstance(seconds, str):
        seconds = _iso_seconds(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1e9 <= seconds < 4e9:
        return None
    return round(seconds * 1_000_000)


def _iso_seconds(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
