"""Drafts a pack for a JSON file or a table: what each key or column is, as far as its name and its values tell."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import Any

import polars as pl

from postmortem import names
from postmortem.ingest.drafts.draft_text import comment, plain, sample
from postmortem.ingest.packs.pack import NOTHING
from postmortem.ingest.structured import axes, json_document, json_lines

_HEAD_LINES = 400
_MOSTLY = 0.8  # share of rows that must be as wide as the header, and of values that must be numbers
_KEPT = 3  # records of a sample
_SHOWN = 3  # values in a comment

Columns = dict[str, list[Any]]


def draft_columns(name: str, lines: pl.DataFrame, log: str) -> str | None:
    """The text of a draft whose samples give nothing yet; None when the file is neither JSON nor a table."""
    texts = [text for text in lines["text"].head(_HEAD_LINES).to_list() if text.strip()]
    objects = [found for text in texts if (found := json_lines.object_of(text)) is not None]
    if len(objects) > 1 and len(objects) * 2 >= len(texts):
        return "".join(_written(name, log, "json", _keys(objects), [text for text in texts if "{" in text][:_KEPT]))
    document = _document(lines)
    if document is not None:
        return "".join(_written(name, log, "json", _keys([document]), [json.dumps(_shortened(document))]))
    columns = _table(texts)
    if columns is not None:
        return "".join(_written(name, log, "table", columns, ["\n".join(texts[: _KEPT + 1])]))
    return None


def _document(lines: pl.DataFrame) -> Any:
    """A JSON document as plain data, or None."""
    first = next((text for text in lines["text"].head(_HEAD_LINES) if text.strip()), "")
    if first.lstrip()[:1] not in ("{", "["):
        return None
    try:
        return _bare(json_document.parse("\n".join(lines["text"])))
    except ValueError:
        return None


def _bare(node: Any) -> Any:
    if isinstance(node, json_document.Leaf):
        return node.value
    if isinstance(node, dict):
        return {key: _bare(child) for key, child in node.items()}
    return [_bare(child) for child in node]


def _shortened(node: Any) -> Any:
    """A document with the first entries of its lists."""
    if isinstance(node, dict):
        return {key: _shortened(child) for key, child in node.items()}
    return [_shortened(child) for child in node[:_KEPT]] if isinstance(node, list) else node


def _keys(objects: Sequence[Any]) -> Columns:
    """The keys that hold scalars, at any depth, with their values in order."""
    found: Columns = {}
    for each in objects:
        _collect(each, found)
    return found


def _collect(node: Any, found: Columns) -> None:
    if isinstance(node, list):
        for child in node:
            _collect(child, found)
        return
    for key, child in node.items() if isinstance(node, dict) else ():
        values = (
            child if isinstance(child, list) and not any(isinstance(each, (dict, list)) for each in child) else [child]
        )
        if isinstance(child, (dict, list)) and values == [child]:
            _collect(child, found)
        else:
            found.setdefault(key, []).extend(each for each in values if each is not None)


def _table(texts: Sequence[str]) -> Columns | None:
    """The columns of a table with a header, or None."""
    for separator in (",", "\t", ";", "|"):
        rows = [[cell.strip() for cell in row] for row in islice(csv.reader(texts, delimiter=separator), _HEAD_LINES)]
        if len(rows) < 3 or len(rows[0]) < 2 or any(_is_number(cell) or not cell for cell in rows[0]):
            continue
        fitting = [row for row in rows[1:] if len(row) == len(rows[0])]
        numeric = sum(any(map(_is_number, row)) for row in fitting)
        if numeric >= _MOSTLY * (len(rows) - 1) and len(set(rows[0])) == len(rows[0]):
            return {name: [row[at] for row in fitting] for at, name in enumerate(rows[0])}
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        float(value)
    except ValueError:
        return False
    return True


def _meanings(columns: Columns) -> dict[str, str]:
    """What each column is: by its name, else a text that names splits, else the first that only ever grows."""
    found = {name: _by_name(name, values) for name, values in columns.items()}
    if not any(meaning in ("step", "epoch") for meaning in found.values()):
        growing = (name for name, values in columns.items() if found[name] == name and _grows(values))
        found |= dict.fromkeys(islice(growing, 1), "step")
    return found


def _by_name(name: str, values: Sequence[Any]) -> str:
    texts = [value for value in values if isinstance(value, str) and not _is_number(value)]
    if texts and all(names.split_word(text) for text in texts):
        return "split"
    at = axes.choose([name])
    known = next((axis for axis in ("step", "epoch", "time") if getattr(at, axis)), None)
    if known == "time" and texts:
        return known
    numeric = sum(map(_is_number, values)) >= _MOSTLY * len(values)
    return NOTHING if not values or not numeric else known if known in ("step", "epoch") else name


def _grows(values: Sequence[Any]) -> bool:
    told = [float(value) for value in values if _is_number(value)]
    whole = len(told) == len(values) > 2 and all(value == int(value) for value in told if abs(value) < 1e15)
    return whole and all(one <= other for one, other in pairwise(told)) and told[0] < told[-1]


_HEAD = """\
# A draft, made from {log}. It teaches postmortem to read files of this kind.
#
#   postmortem formats try {name}.yaml {log}            shows what it reads, and what it misses
#   postmortem formats try {name}.yaml {log} --accept   the same, and writes the samples anew after a change
#   postmortem analyze {log} --formats {name}.yaml      uses it
#
id: {name}
title: {name}   # the name people know the format by
kind: {kind}

# To the left stands {what} of the file, to the right what it is:
#   a name         as reports shall show it; say the split too where there is one: `train loss`, `val accuracy`
#   step, epoch, time, split       where the record stands; a step counts on through the epochs, a batch does not
#   nothing        it is not read
columns:
"""
_SAMPLES = """
# {what} of the file and what they give. They are read again whenever the pack is loaded, so it cannot break unseen.
samples:
"""


def _written(name: str, log: str, kind: str, columns: Columns, samples: Sequence[str]) -> Iterator[str]:
    what = "a key" if kind == "json" else "a column"
    yield _HEAD.format(log=log, name=name, kind=kind, what=what)
    yield from _entries(_meanings(columns), columns)
    yield _SAMPLES.format(what="Pieces")
    yield from (sample(text, {}) for text in ("\n".join(samples),))


def _entries(meanings: Mapping[str, str], columns: Columns) -> Iterator[str]:
    entries = {name: f"{plain(name)}: {plain(meaning)}" for name, meaning in meanings.items()}
    width = max(map(len, entries.values()))
    for name, entry in entries.items():
        shown = comment(", ".join(map(str, columns[name][:_SHOWN])))
        doubt = "   <- is this its name?" if meanings[name] == name and _unknown(name) else ""
        yield f"  {entry:{width}}   # {shown}{doubt}\n"


def _unknown(name: str) -> bool:
    return names.role(names.parse(name).metric) == "other"
