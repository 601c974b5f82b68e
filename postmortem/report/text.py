"""Text from a log is hostile until cleaned: escapes, control characters, reversed text, endless lines."""

from __future__ import annotations

import re
import unicodedata

# CSI, OSC and the other string commands (ended by BEL or ST, or cut short), and two-character escapes.
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
_JOINER = "\u200d"  # holds composed emoji together; harmless
_GLYPHS = str.maketrans(
    {
        "▁": "_",
        "▂": ".",
        "▃": ",",
        "▄": "-",
        "▅": "=",
        "▆": "+",
        "▇": "*",
        "█": "#",
        "×": "x",
        "·": "-",
        "…": "~",
        "→": ">",
        "─": "-",
        "━": "-",
        "—": "-",
        "–": "-",
        "│": "|",
        "↳": ">",
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "≥": ">",
        "≤": "<",
        "−": "-",
        "±": "~",
        "\u00a0": " ",
    }
)


def clean(text: str, limit: int = 600) -> str:
    """One harmless line of at most ``limit`` characters; what cannot be shown becomes a space or vanishes."""
    line = " ".join(clean_block(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean_block(text: str) -> str:
    """Harmless text with its line ends and tabs kept, so that a caret stays under its column."""
    return "".join(map(_harmless, _ESCAPE.sub("", text)))


def _harmless(char: str) -> str:
    if char in "\n\t" or char == _JOINER:
        return char
    category = unicodedata.category(char)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if category == "Cs":  # half a character: an undecodable byte of a file name
        return "\ufffd"
    return "" if category == "Cf" else char


def fit(text: str, encoding: str | None) -> str:
    """The text as ``encoding`` can carry it: drawings become ASCII of the same width, others ``?``."""
    encoding = encoding or "ascii"
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return text.translate(_GLYPHS).encode("ascii", "replace").decode("ascii")
    return text
