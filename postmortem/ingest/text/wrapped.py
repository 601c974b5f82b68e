"""Text logs whose lines a logger or a container wrapped in JSON: ``{"time": ..., "message": "epoch 3 ..."}``."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from postmortem import names
from postmortem.ingest.lines import Text, sample
from postmortem.ingest.structured import json_lines

_KEYS = ("message", "msg", "log", "event", "text", "textPayload", "@message", "body")
_MESSAGES = (*(f'$["{key}"]' for key in _KEYS), "$.jsonPayload.message")  # paths in JSON
_CLOCKS = ("timestamp", "time", "ts", "@timestamp", "asctime", "datetime", "date")
_TIMES = tuple(f'$["{key}"]' for key in _CLOCKS)
_MOSTLY = 0.8  # share of the lines that must hold a message
_MEASURES = ("loss", "score", "reward", "lr", "grad_norm", "adversarial")
_TELLS = r"[A-Za-z][\w/@. -]*\s*[:=]?\s*-?[0-9]"


def unwrapped(text: Text) -> Text:
    """The text without its wrapping; as it is where the lines are no objects, or hold measurements beside the message.

    Args:
        text: The lines of a file. Line numbers stay.
    """
    probe = sample(text.lines, windows=4, size=50)["text"]
    probe = probe.filter(probe.str.strip_chars() != "")
    probe = probe.head(max(len(probe) - 1, 1))  # the last line may be cut
    if probe.is_empty() or json_lines.looks_like_objects(probe).sum() < _MOSTLY * len(probe):
        return text
    written = "\n".join(probe)
    paths = (path for path in _MESSAGES if f'"{_name(path)}"' in written)
    key = next((path for path in paths if _holds_messages(probe, path)), None)
    if key is None or _measures_beside(probe):
        return text
    told = pl.col("text").str.json_path_match(key).str.strip_chars_end("\n\r").str.replace_all("\n", " ")
    clock = next((key for key in _TIMES if probe.str.json_path_match(key).null_count() < len(probe)), None)
    if clock is not None:
        told = pl.concat_str(pl.col("text").str.json_path_match(clock).fill_null(""), told, separator=" ")
    return replace(text, lines=text.lines.with_columns(text=pl.coalesce(told, "text")))


def _name(path: str) -> str:
    return path.rpartition(".")[2].strip('$["]')


def _holds_messages(texts: pl.Series, key: str) -> bool:
    """The key holds texts with numbers in most lines."""
    found = texts.str.json_path_match(key).drop_nulls()
    return len(found) >= _MOSTLY * len(texts) and bool(found.str.contains(_TELLS).any())


def _measures_beside(texts: pl.Series) -> bool:
    """A key beside the message names a measurement."""
    keys = texts.str.extract_all(r'"([A-Za-z_][\w/.@ -]*)"\s*:\s*-?[0-9]').explode().drop_nulls().unique()
    named = keys.str.extract(r'^"(.*)"\s*:', 1)
    return any(names.role(names.parse(name).metric) in _MEASURES for name in named)
