"""Results of a trial as Ray Tune prints them: YAML under ``Result for NAME:``, or a box of two columns.

A log of several trials tells several runs in turns; these are left to the files that Tune writes for each trial.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple

import polars as pl

from postmortem.ingest.reading import POINTS, SETTINGS
from postmortem.ingest.structured import records
from postmortem.ingest.structured.records import Records
from postmortem.ingest.text.shapes import Messages

MAX_ROWS = 2000
"""Most lines of one result."""

_OPENS = r"^Result for \S+:\s*$|^│ Trial \S+ (?:result|config)\s*│$"
_TITLE = re.compile(r"^(?:Result for |│ Trial )(?P<trial>[^\s:]+)(?:: *$| (?P<kind>\w+))?")
_PAIR = re.compile(r"^(?P<indent> +)(?P<key>[^\s:-][^:]*):(?: +(?P<value>\S.*?))?\s*$")
_ITEM = re.compile(r"^ +- ")
_CELLS = re.compile(r"^│ (?P<key>\S+)(?: {2,}(?P<value>\S.*?))? *│$")
_RULE = re.compile(r"^├─*┤$")
_NO_METRIC = ("pid", "hostname", "node_ip", "trial_id", "experiment_id")


class Trials(NamedTuple):
    """What results tell.

    Attributes:
        points, settings: Frames of POINTS and SETTINGS.
        lines: The lines (u32) that belong to results and configurations.
    """

    points: pl.DataFrame
    settings: pl.DataFrame
    lines: pl.Series


class _Block(NamedTuple):
    trial: str
    configures: bool
    cells: list[tuple[int, str, str]]  # line, label, value
    lines: list[int]


_NOTHING = Trials(pl.DataFrame(schema=POINTS), pl.DataFrame(schema=SETTINGS), pl.Series("line", [], pl.UInt32))


def read(told: Messages) -> Trials:
    """Reads the results among the messages of a text."""
    opening = told.having(pl.col("body").str.contains(_OPENS), "result for ", "│ trial ")["line"]
    if opening.is_empty():
        return _NOTHING
    starts = told.lines["line"].search_sorted(opening)
    blocks = [_block(told.lines.slice(int(start), MAX_ROWS)) for start in starts]
    if len({block.trial for block in blocks}) > 1:
        return _NOTHING
    results = [block.cells for block in blocks if not block.configures and block.cells]
    stated = [cell for block in blocks if block.configures for cell in block.cells]
    return Trials(
        _points(results),
        pl.DataFrame(stated, schema=SETTINGS, orient="row"),
        pl.Series("line", [line for block in blocks for line in block.lines], pl.UInt32),
    )


def _block(rows: pl.DataFrame) -> _Block:
    title = _TITLE.match(rows["text"][0])
    boxed = rows["text"][0].startswith("│")
    below = rows.slice(1).select("line", "text").iter_rows()
    cells, lines = _collected(_boxed(below) if boxed else _indented(below))
    return _Block(
        title["trial"] if title else "", bool(title and title["kind"] == "config"), cells, [rows["line"][0], *lines]
    )


def _collected(found: Iterable[tuple[int, str, str | None]]) -> tuple[list[tuple[int, str, str]], list[int]]:
    """The cells that hold a value, and the lines of all."""
    rows = list(found)
    cells = [(line, label, value) for line, label, value in rows if value and label not in _NO_METRIC]
    return cells, [line for line, _, _ in rows]


def _boxed(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, str | None]]:
    """The rows of a box down to its lower edge."""
    for line, text in takewhile(lambda row: row[1].startswith(("│", "├")), rows):
        cells = _CELLS.match(text)
        yield (line, cells["key"], cells["value"]) if cells else (line, "", None)


def _indented(rows: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str, str | None]]:
    """The pairs of a YAML block, with the keys of the pairs they stand in before them; up to the first other line."""
    above: list[tuple[int, str]] = []
    for line, text in rows:
        pair = _PAIR.match(text)
        if pair is None and not _ITEM.match(text):
            return
        if pair is None:
            yield line, "", None
            continue
        depth = len(pair["indent"])
        above = [*(each for each in above if each[0] < depth), (depth, pair["key"])]
        yield line, "/".join(key for _, key in above), pair["value"]


def _points(results: list[list[tuple[int, str, str]]]) -> pl.DataFrame:
    if not results:
        return _NOTHING.points
    labels = list(dict.fromkeys(label for cells in results for _, label, _ in cells))
    values = [{label: value for _, label, value in cells} for cells in results]
    lines = [{label: line for line, label, _ in cells} for cells in results]
    return records.points(
        Records(
            pl.DataFrame(values, schema=dict.fromkeys(labels, pl.String)),
            pl.DataFrame(lines, schema=dict.fromkeys(labels, pl.UInt32)),
        )
    )
