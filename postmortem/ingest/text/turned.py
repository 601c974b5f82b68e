"""Tables that are turned: a row a metric, and the columns are splits (``metric | Training | Validation``)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl

from postmortem import names
from postmortem.ingest.text.shapes import Messages

_BAR = re.compile(r"\s*[|│┃]\s*")
_SPLIT = r"\b(?:train|val|valid|dev|test|eval)[a-z]*\b"
_HEAD = rf"(?i)^[^0:=]*{_SPLIT}\s*[|│┃]\s*{_SPLIT}[^0:=]*$"
_RULE = re.compile(r"^[\s|│┃+:=\-─━┼╇┡┩]*$")
_NUMBER = re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?%?$|^[-+]?(?:nan|inf)$", re.I)
_ABSENT = re.compile(r"(?i)^(?:n/?a|none|-+|)$")
_PREFIX = re.compile(r"^.*\s-\s")  # of a logger
_MOST_ROWS = 200

CELLS = {"line": pl.UInt32(), "label": pl.String(), "split": pl.String(), "value": pl.Float64()}
"""What a turned table tells: a row a number."""


def read(told: Messages) -> tuple[pl.DataFrame, pl.Series]:
    """The numbers of turned tables (columns as ``CELLS``), and the lines that belong to the tables."""
    heads = told.having(pl.col("body").str.contains(_HEAD), "|", "│", "┃")["line"]
    found: list[tuple[int, str, str, float]] = []
    lines: list[int] = []
    for start in told.lines["line"].search_sorted(heads):
        block = told.lines.slice(int(start), _MOST_ROWS + 1)
        splits = _splits(block["body"][0])
        if splits:
            for line, cells in _rows(block, splits):
                lines.append(line)
                found += cells
    if not any(names.role(names.parse(label).metric) in ("loss", "score", "reward") for _, label, _, _ in found):
        return pl.DataFrame(schema=CELLS), pl.Series("line", [], pl.UInt32)
    return pl.DataFrame(found, schema=CELLS, orient="row"), pl.Series("line", lines, pl.UInt32)


def _splits(body: str) -> list[str]:
    """The splits the columns of a header name; none when a column names anything else."""
    cells = [cell for cell in _BAR.split(_PREFIX.sub("", body).strip(" |│┃")) if cell]
    named = [names.split_word(cell) for cell in cells]
    given = [split for split in (named if named and named[0] else named[1:]) if split]
    whole = len(given) >= len(named) - 1
    return given if whole and len(set(given)) == len(given) > 1 else []


def _rows(block: pl.DataFrame, splits: list[str]) -> Iterator[tuple[int, list[tuple[int, str, str, float]]]]:
    """The header, and each row under it with its numbers, up to the first line that is none."""
    for at, (line, body) in enumerate(block.select("line", "body").iter_rows()):
        if at == 0 or _RULE.match(body):
            yield line, []
            continue
        label, *cells = _BAR.split(_PREFIX.sub("", body).strip(" |│┃"))
        if len(cells) != len(splits) or not all(_NUMBER.match(cell) or _ABSENT.match(cell) for cell in cells):
            return
        told = zip(splits, cells, strict=True)
        yield line, [(line, label, split, float(cell.rstrip("%"))) for split, cell in told if _NUMBER.match(cell)]
