r"""Patterns as packs write them: they run in Polars (Rust: linear time, no look-around) and mean ASCII, for speed.

``\d``, ``\w``, ``\s`` and ``\S`` are rewritten for ASCII before they are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Any

import polars as pl
from pydantic import BeforeValidator, Field

_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": " \\t\\r\\n"}


def ascii_only(regex: str) -> str:
    """The pattern with its Perl classes rewritten for ASCII: 2 to 3 times faster in Rust's engine."""
    out: list[str] = []
    inside = False
    for token in re.findall(r"\\.|.", regex, re.S):
        letter = token[1:] if token[0] == "\\" else ""
        if letter in _CLASSES:
            out.append(_CLASSES[letter] if inside else f"[{_CLASSES[letter]}]")
        elif letter == "S":
            out.append("!-~" if inside else "[!-~]")
        else:
            inside = (token == "[" or inside) and token != "]"
            out.append(token)
    return "".join(out)


def _compiled(regex: Any) -> Any:
    if not isinstance(regex, str):
        return regex
    if re.search(r"(?<!\\)[*+?}]\+", regex):
        raise ValueError("possessive quantifiers (`++`) mean something else here; write a single one")
    pattern = ascii_only(regex)
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as wrong:
        raise ValueError(
            f"not a pattern of Rust's regex (no look-around, no back-references): {_last_line(wrong)}"
        ) from None
    return pattern


def _last_line(wrong: Exception) -> str:
    lines = [line.strip() for line in str(wrong).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "invalid")


Pattern = Annotated[str, BeforeValidator(_compiled), Field(min_length=1, max_length=2000)]


def either(patterns: Iterable[str]) -> str:
    """One pattern for several, without captures, whose names must not come twice."""
    return "|".join(f"(?:{re.sub(_NAMED, '(?:', regex)})" for regex in patterns)


_NAMED = r"(?<!\\)\(\?P?<\w+>"


_TOKEN = re.compile(r"\\.|\(\?P?<(?P<name>\w+)>|.", re.S)


def captures(regex: str) -> dict[str, str]:
    """Named captures of a pattern, in order, with their bodies."""
    found: dict[str, str] = {}
    opened: list[tuple[str | None, int]] = []
    inside = False  # a character class, in which brackets are plain
    for token in _TOKEN.finditer(regex):
        text = token.group()
        if inside or text == "[":
            inside = text != "]"
        elif text.startswith("("):
            opened.append((token["name"], token.end()))
            found.update({token["name"]: ""} if token["name"] else {})
        elif text == ")" and opened:
            name, start = opened.pop()
            found.update({name: regex[start : token.start()]} if name else {})
    return found
