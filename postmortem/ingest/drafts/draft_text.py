"""YAML as drafts write it: by hand, because comments are half of what a draft says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from postmortem.ingest.packs.pack import NOTHING

_SHOWN = 100  # characters of a line in a comment
_EXACT = 2**53  # whole numbers below are themselves as floats
_PLAIN = re.compile(r"[A-Za-z](?:[\w/.()@% -]*[\w/.()@%-])?", re.ASCII)


def sample(text: str, gives: Mapping[str, Any]) -> str:
    """An entry of ``samples``."""
    line = text.rstrip("\n")
    given = scalar(dict(gives)) if gives else NOTHING
    if "\n" in line and all(char.isprintable() or char in "\t\n" for char in line) and not line[0].isspace():
        body = "".join(f"      {each}\n" for each in line.split("\n"))
        return f"  - line: |\n{body}    gives: {given}\n"
    return f"  - line: {quoted(line)}\n    gives: {given}\n"


def scalar(value: Any) -> str:
    """A value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{plain(name)}: {scalar(each)}' for name, each in value.items())}}}"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, float) and value == int(value) and abs(value) < _EXACT:
        return str(int(value))
    return repr(value) if isinstance(value, (int, float)) else plain(str(value))


def plain(name: str) -> str:
    """A name, quoted only where it must be."""
    return name if _PLAIN.fullmatch(name) and name.lower() not in ("null", "true", "false") else quoted(name)


def quoted(text: str) -> str:
    """A text in quotes."""
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else "\\t" if char == "\t" else f"\\U{ord(char):08x}"


def comment(text: str) -> str:
    """The beginning of a line, harmless in a comment."""
    shown = "".join(char if char.isprintable() else " " for char in text).strip()
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
