r"""Bytes to clean text lines with physical line numbers.

A physical line ends at ``\n``. What a terminal would have overwritten (``\r``, backspaces, cursor moves) becomes
rows of the same line, and of each progress bar only the states that count are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.opening import decode, is_binary, read_content
from postmortem.ingest.reading import LINES

MAX_LINE = 100_000
"""Longest line, in bytes, that text readers look at; the rest of it is cut and named in a problem."""

_COLOUR = r"\x1b\[[0-9;:?]*[mhlsu]|\x1b[()][A-Z0-9]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[=>]"
_REDRAW = r"\x1b\[[0-9;]*[A-HJKSTf]|\x08+"
_SHORT = 1 << 18  # bytes
_NOISE = bytes(range(7))  # control bytes no log means; one of them serves as a mark in template.py
# A counter as bars print it: "| 12/100 [" (tqdm) or "12/100 [====" (Keras).
_NO_WORD = r"[0-9?][0-9.,]*(?:e[-+]?[0-9]+|[kMG])?|it/s|s/it|[^A-Za-z]+"
_COUNTER = r"^.*(?:\||^|\s)([0-9]+)/([0-9]+)"  # the last one: "1/3  loss 0.5: 50%|###  | 4/8 ["


@dataclass(frozen=True)
class Text:
    """The lines of one file.

    Attributes:
        lines: Frame of ``reading.LINES``.
        count: Number of physical lines.
        finished: False when the last line has no line end, so that it may have been cut.
        problems: What was skipped and why.
    """

    lines: pl.DataFrame
    count: int = 0
    finished: bool = True
    problems: tuple[Problem, ...] = ()


def read_lines(path: Path, shown: str | None = None) -> Text:
    """Reads one file into lines: unpacked, decoded, without escapes and overwritten bar states.

    Args:
        path: The file; gzip, xz and zstd are unpacked by their magic bytes.
        shown: Its name in problems; ``str(path)`` by default.

    Returns:
        Empty lines and a problem for binary or unreadable files.
    """
    shown = shown or str(path)
    content = read_content(path, shown)
    if is_binary(content.data):
        problem = Problem("binary, not a text log", shown, hint="point at the text log or the exported metrics")
        return Text(pl.DataFrame(schema=LINES), problems=(*content.problems, problem))
    text = from_bytes(content.data)
    return replace(text, problems=(*content.problems, *text.problems))


def from_bytes(data: bytes) -> Text:
    """The lines of unpacked bytes; see ``read_lines``."""
    decoded = decode(data)
    raw = data if decoded is None else decoded.encode("utf-8", "replace")
    finished = not raw or raw.endswith((b"\n", b"\x00"))
    lines = _rows(raw)
    count = lines.height
    if b"\x1b" in raw or b"\x08" in raw:
        lines = lines.with_columns(pl.col("text").str.replace_all(_REDRAW, "\r").str.replace_all(_COLOUR, ""))
    if _redrawn(raw):
        lines = _without_overwritten(lines)
    return Text(lines, count, finished)


def _redrawn(raw: bytes) -> bool:
    return (b"\r" in raw and b"\r" in raw.replace(b"\r\n", b"\n")) or b"\x1b" in raw or b"\x08" in raw


def clip(lines: pl.DataFrame, shown: str) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Cuts gigantic lines to ``MAX_LINE`` bytes, and says which."""
    long = lines.filter(pl.col("text").str.len_bytes() > MAX_LINE)
    if long.is_empty():
        return lines, ()
    message = f"{long.height} lines longer than {MAX_LINE:,} bytes were cut"
    cut = lines.with_columns(pl.col("text").str.slice(0, MAX_LINE))
    return cut, (Problem(message, shown, int(long["line"][0])),)


def sample(lines: pl.DataFrame, windows: int = 8, size: int = 400) -> pl.DataFrame:
    """Rows from windows spread evenly over the whole frame, head and tail among them, in order."""
    if lines.height <= windows * size:
        return lines
    step = (lines.height - size) / (windows - 1)
    return pl.concat([lines.slice(round(at * step), size) for at in range(windows)])


def _rows(raw: bytes) -> pl.DataFrame:
    if not raw:
        return pl.DataFrame(schema=LINES)
    # NUL bytes are holes that a truncation left behind. No line feed is among what is dropped: line numbers hold.
    clean = int(np.frombuffer(raw, np.uint8).min()) > _NOISE[-1]  # spares most files a copy
    text = split((raw if clean else raw.translate(None, _NOISE)) or b"\n")
    if b"\r" in raw:
        text = text.str.strip_chars_end("\r")
    if b"\xef\xbb\xbf" in raw:
        text = text.str.strip_prefix("\ufeff")
    return pl.DataFrame([pl.Series("line", np.arange(1, len(text) + 1, dtype=np.uint32)), text])


def split(raw: bytes) -> pl.Series:
    """The lines of UTF-8 text; for a short one a query costs more than Python does."""
    if len(raw) > _SHORT:
        return pl.read_lines(raw, name="text")["text"]
    return pl.Series("text", raw.decode().removesuffix("\n").split("\n"), pl.String)


def _without_overwritten(lines: pl.DataFrame) -> pl.DataFrame:
    r"""Splits lines at ``\r`` and keeps of each bar the states that count.

    A bar that is drawn again and again (one for each epoch) counts once, with its last state. A bar that is the whole
    run counts each time its numbers change, because nothing else in the log holds them.
    """
    redrawn = pl.col("text").str.contains("\r", literal=True)
    frames = lines.filter(redrawn).with_columns(text=pl.col("text").str.split("\r")).explode("text")
    kept = _mark_kept(frames.filter(pl.col("text").str.strip_chars() != ""))
    return lines.filter(~redrawn).merge_sorted(kept.select("line", "text"), key="line")


def _mark_kept(frames: pl.DataFrame) -> pl.DataFrame:
    """The frames that count, of all frames of redrawn lines."""
    counter = pl.col("text").str.extract_groups(_COUNTER).struct
    frames = frames.with_columns(
        words=pl.col("text").str.replace_all(_NO_WORD, ""),
        title=pl.col("text").str.extract(r"^(.*?)\s*[0-9]+%\|", 1).fill_null(""),
        at=counter.field("1").cast(pl.Int64, strict=False),
        of=counter.field("2").cast(pl.Int64, strict=False),
        numbers=pl.col("text").str.extract(r"\|[^|\[]*\[[^,\]]*,[^,\]]*,(.*)\]", 1),
    )
    # Compared with the frame before of the same words: other output may stand between two states of one bar.
    before = {name: pl.col(name).shift().over("words") for name in ("title", "at", "of", "numbers")}
    ended = (before["at"] == before["of"]) & (pl.col("line") != pl.col("line").shift().over("words"))
    new_bar = (
        ended | (pl.col("title") != before["title"]) | (pl.col("at") < before["at"]) | (pl.col("of") != before["of"])
    )
    frames = frames.with_columns(bar=new_bar.fill_null(False).cum_sum().over("words"))
    last = (pl.col("bar") != pl.col("bar").shift(-1).over("words")).fill_null(True)
    # The next state on the same line replaces this one, though it may say more (Keras adds the validation).
    following = {name: pl.col(name).shift(-1) for name in ("line", "title", "at", "of")}
    replaced = (pl.col("at") <= following["at"]) & pl.all_horizontal(
        pl.col(name) == following[name] for name in ("line", "title", "of")
    )
    last &= ~replaced.fill_null(False)
    # What is no bar was only drawn anew from there, unless more follows on its line (Chainer's rows of a report).
    last |= pl.col("at").is_null() & (pl.col("line") != following["line"]).fill_null(True)
    alone = pl.col("bar").max().over("words") == 0
    changed = pl.col("numbers").is_not_null() & (pl.col("numbers") != before["numbers"]).fill_null(True)
    return frames.filter(last | (alone & changed))
