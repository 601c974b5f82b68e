"""Fills the texts of a rule: ``{name}`` and ``{name:.3g}`` over declared names only, nothing else of ``str.format``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_FIELD = re.compile(r"\{([A-Za-z_]\w*)(?::(,?\.?\d*[dfgeEG%]?))?\}")
_BRACES = re.compile(r"[{}]")


def fields(template: str) -> Iterator[tuple[str, int]]:
    """Names a template uses, with their offsets."""
    for found in _FIELD.finditer(template):
        yield found[1], found.start(1)


def stray_brace(template: str) -> int | None:
    """Offset of a brace that belongs to no ``{name}``, or None."""
    blanked = _FIELD.sub(lambda found: " " * len(found[0]), template)
    found = _BRACES.search(blanked)
    return found.start() if found else None


def fill(template: str, values: Mapping[str, float | str | None]) -> str:
    """The text with its names replaced; a missing value reads ``unknown``."""
    return _FIELD.sub(lambda found: _shown(values.get(found[1]), found[2] or ".4g"), template)


def bare(template: str, quote: str = "") -> str:
    """The text with its names standing for themselves, for a page that tells of no log."""
    return _FIELD.sub(lambda found: f"{quote}{found[1]}{quote}", template)


def _shown(value: float | str | None, spec: str) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    return format(int(value) if spec.endswith("d") else float(value), spec)
