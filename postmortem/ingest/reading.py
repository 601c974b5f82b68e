"""What one file said, before it is known which run it belongs to.

Every reader returns a ``Reading``; only ``assemble`` turns readings into runs. A reader reports labels as they were
printed and leaves their meaning to ``postmortem.names``, so a synonym is never decided in two places.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from postmortem.errors import Problem
from postmortem.schema import TIME

POINTS = pl.Schema(
    {
        "line": pl.UInt32(),
        "step": pl.Int64(),
        "epoch": pl.Float64(),
        "split": pl.String(),  # null: the label says, or nothing does; a reader sets it from context (a "Val" header)
        "label": pl.String(),
        "value": pl.Float64(),
        "time": TIME,
    }
)
"""Metric points of one file, in file order."""

NOTES = pl.Schema(
    {
        "line": pl.UInt32(),
        "step": pl.Int64(),
        "epoch": pl.Float64(),
        "time": TIME,
        "kind": pl.String(),  # one of schema.EVENT_KINDS
        "text": pl.String(),
    }
)
"""Events of one file, in file order."""

SETTINGS = pl.Schema(
    {
        "line": pl.UInt32(),
        "key": pl.String(),  # as printed; assemble makes it canonical
        "value": pl.String(),
    }
)
"""Configuration stated by one file, in file order."""

LINES = pl.Schema({"line": pl.UInt32(), "text": pl.String()})
"""Clean text lines of one file: decoded, without ANSI escapes, without line ends; 1-based physical line numbers.

One physical line may give several rows (the frames of a ``\\r`` progress bar that were kept).
"""

NO_POINTS, NO_NOTES, NO_SETTINGS, NO_LINES = (pl.DataFrame(schema=each) for each in (POINTS, NOTES, SETTINGS, LINES))
"""Empty frames, made once: a folder has thousands of files that lack one or the other."""


@dataclass(frozen=True)
class Reading:
    """What one file said.

    Attributes:
        source: The file's path as it is to be shown.
        format: Name of the pack or generic reader that read it.
        points, notes, settings: Frames of the schemas above.
        understood: Physical lines that carried a point, a note or a setting, or are known to carry none
            (blank, rules, banners, progress bars).
        unread: Frame of LINES: the lines nothing understood.
        lines: Number of physical lines (records, in files without lines).
        problems: What was skipped and why.
    """

    source: str
    format: str
    points: pl.DataFrame = field(default_factory=NO_POINTS.clone)
    notes: pl.DataFrame = field(default_factory=NO_NOTES.clone)
    settings: pl.DataFrame = field(default_factory=NO_SETTINGS.clone)
    understood: int = 0
    unread: pl.DataFrame = field(default_factory=NO_LINES.clone)
    lines: int = 0
    problems: tuple[Problem, ...] = ()
