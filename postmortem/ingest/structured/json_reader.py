"""The generic JSON reader: a document, or a record a line."""

from __future__ import annotations

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.reading import LINES, POINTS, SETTINGS, Reading
from postmortem.ingest.structured import json_document, json_lines, records

_MOSTLY = 0.5  # share of lines that must hold an object for a file of JSON lines
_LARGEST = 64_000_000  # characters of one document; a larger one is not JSON anyone wrote by hand
_CATALOGUE = "a list of named things, none with a step, an epoch or a time: no training log"


def share(lines: pl.DataFrame) -> float:
    """How likely a file is JSON, from a LINES sample that begins with its first line: 0 to 1."""
    texts = lines["text"].str.strip_chars()
    texts = texts.filter(texts != "")
    if texts.is_empty():
        return 0.0
    if texts[0][:1] in ("{", "[") and _opens_json(texts):
        return 1.0
    return float(json_lines.looks_like_objects(texts).sum()) / len(texts)


def _opens_json(texts: pl.Series) -> bool:
    """Whether the first lines can be the beginning of a JSON document."""
    head = "\n".join(texts.head(20).to_list())[:4000]
    try:
        json_document.parse(head)
    except ValueError:
        return False
    return True


def read(lines: pl.DataFrame, source: str) -> Reading | None:
    """Reads a JSON file.

    Args:
        lines: A LINES frame of the whole file.
        source: The file's path as it is to be shown.

    Returns:
        The reading, or None when the file is no JSON.
    """
    objects = json_lines.looks_like_objects(lines["text"])
    if not objects.all():
        lines = lines.filter(lines["text"].str.strip_chars() != "")
    if objects.sum() > 1 and objects.sum() >= _MOSTLY * lines.height:
        return _read_lines(lines, source)
    return _read_document(lines, source)


def _read_lines(lines: pl.DataFrame, source: str) -> Reading | None:
    found, held = json_lines.read(lines)
    if found.values.is_empty():
        return None
    if records.is_catalogue(found):
        return Reading(source, "json-lines", lines=_last(lines), problems=(Problem(_CATALOGUE, source),))
    unread = lines.filter(~held)
    configured = json_lines.first_configuration(lines.filter(held).head(1))
    return Reading(
        source=source,
        format="json-lines",
        points=records.points(found),
        settings=pl.concat([pl.DataFrame(configured, schema=SETTINGS, orient="row"), records.settings(found)]),
        understood=lines.height - unread.height,
        unread=unread,
        lines=_last(lines),
    )


def _read_document(lines: pl.DataFrame, source: str) -> Reading | None:
    text = "\n".join(lines["text"])
    if len(text) > _LARGEST or text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        content = json_document.content(json_document.parse(text, lines["line"].to_list()))
    except ValueError:
        return None
    if content.records and all(records.is_catalogue(each) for each in content.records):
        return Reading(source, "json", lines=_last(lines), problems=(Problem(_CATALOGUE, source),))
    points = [records.points(each) for each in content.records]
    settings = [records.settings(each) for each in content.records]
    facts = [(leaf.line, key, _shown(leaf.value)) for key, leaf in content.facts if leaf.value is not None]
    stated = pl.DataFrame(facts, schema=SETTINGS, orient="row")
    return Reading(
        source=source,
        format="json",
        points=pl.concat([pl.DataFrame(schema=POINTS), *points]),
        settings=pl.concat([stated, *settings]).sort("line", maintain_order=True),
        understood=lines["line"].n_unique(),
        unread=pl.DataFrame(schema=LINES),
        lines=_last(lines),
    )


def _last(lines: pl.DataFrame) -> int:
    return int(lines["line"][-1]) if lines.height else 0


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
