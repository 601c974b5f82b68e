"""The generic table reader: CSV, TSV, semicolons, pipes and columns set with spaces."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import PurePath
from typing import NamedTuple

import polars as pl

from postmortem import names
from postmortem.ingest.reading import LINES, POINTS, SETTINGS, Reading
from postmortem.ingest.structured import axes, records
from postmortem.ingest.structured.json_document import Content, content, parse
from postmortem.ingest.structured.records import Records

_SEPARATORS = (",", "\t", ";", "|", " ")  # " " stands for any run of white space
_HEAD_LINES = 400
_HEAD_ROWS = 60
_MIN_FIT = 0.8  # share of rows that must fit the header
_METADATA = re.compile(r"^#\s*\{.*\}\s*$")  # as Stable-Baselines3 opens its monitor files
_NO_ROW = r"^[\s|+:=\-─-╿]*$|^#\s*\{.*\}\s*$"  # blank, ruled (`|---|---|`), metadata
_NO_ROW_HEAD = re.compile(_NO_ROW)  # for a few lines, which cost less than compiling it anew for each file
_BARS = r"[│┃║]"
_NUMBER = re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?(?:nan|inf|infinity)$", re.I)
_UNNAMED = re.compile(r"^(?:Unnamed: [0-9]+)?$")


class _Layout(NamedTuple):
    separator: str
    header: tuple[str, ...]
    has_header: bool


def share(lines: pl.DataFrame) -> float:
    """How likely a file is a table, from a LINES sample that begins with its first line: 0 to 1."""
    return 0.0 if _layout(_with_plain_bars(lines), "") is None else 1.0


def read(lines: pl.DataFrame, source: str) -> Reading | None:
    """Reads a table of training records.

    A header that comes again (a resume) starts a new segment, under its own names. Empty cells are absent.

    Args:
        lines: A LINES frame of the whole file.
        source: The file's path as it is to be shown.

    Returns:
        The reading, or None when the file is no table, or a table of something else.
    """
    lines = _with_plain_bars(lines)
    layout = _layout(lines, source)
    if layout is None:
        return None
    body, between = _told_apart(_body(lines), layout)
    parts = [_rows(segment, segment_layout) for segment_layout, segment in _segments(body, layout)]
    points = [records.points(_named(part, source) if layout.has_header else part) for part in parts]
    return Reading(
        source=source,
        format="table",
        points=pl.concat([pl.DataFrame(schema=POINTS), *points]),
        settings=pl.concat([_metadata(lines), *(records.settings(part) for part in parts)]),
        understood=lines["line"].n_unique() - between["line"].n_unique(),
        unread=between.select(list(LINES)),
        lines=int(lines["line"][-1]) if lines.height else 0,
    )


def _head(lines: pl.DataFrame) -> list[str]:
    return [text for text in lines["text"].head(_HEAD_LINES).to_list() if not _NO_ROW_HEAD.search(text)]


def _body(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines that can be rows: not blank, no ruled line, no metadata."""
    return lines.filter(~pl.col("text").str.contains(_NO_ROW))


def _with_plain_bars(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines with ``|`` for the lines that boxes are drawn with."""
    if not re.search(_BARS, "".join(lines["text"].head(_HEAD_LINES).to_list())):
        return lines
    return lines.with_columns(pl.col("text").str.replace_all(_BARS, "|"))


def _told_apart(body: pl.DataFrame, layout: _Layout) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of a table, and the lines between them that have no second cell (a heading, a warning)."""
    if layout.separator == " " or body["text"].str.contains('"', literal=True).any():
        return body, body.clear()
    row = body["text"].str.strip_chars(" |").str.contains(layout.separator, literal=True)
    return body.filter(row), body.filter(~row)


def _metadata(lines: pl.DataFrame) -> pl.DataFrame:
    """Settings from a first line ``#{"t_start": ..., "env_id": ...}``."""
    found = Content()
    first = lines.head(1)
    if first.height and _METADATA.match(first["text"][0]):
        try:
            found = content(parse(first["text"][0].lstrip("# ")))
        except (ValueError, json.JSONDecodeError):
            found = Content()
    rows = [(int(first["line"][0]), key, str(leaf.value)) for key, leaf in found.facts]
    return pl.DataFrame(rows, schema=SETTINGS, orient="row")


# --- layout -------------------------------------------------------------------------------------------------


def _layout(lines: pl.DataFrame, source: str) -> _Layout | None:
    """The separator and the header of a table, or None."""
    head = _head(lines)
    described = lines.height > 0 and bool(_METADATA.match(lines["text"][0]))
    for separator in _SEPARATORS:
        rows = list(islice(_split(head, separator), _HEAD_ROWS))
        if len(rows) < 2 or len(rows[0]) < 2 or (separator == " " and _names_hold_spaces(head[0], rows[1])):
            continue
        header = tuple(_name(cell) for cell in rows[0])
        fits = _is_header(header) and _fit(rows[1:], len(header)) >= _MIN_FIT
        if fits and (described or _tells_of_training(header, rows[1:])):
            return _Layout(separator, header, True)
        if _is_step_and_value(rows):
            return _Layout(separator, ("step", _value_name(source)), False)
    return None


def _split(texts: Iterable[str], separator: str) -> Iterator[list[str]]:
    if separator == " ":
        yield from (text.lstrip("# ").split() for text in texts)
    elif separator == "|":
        yield from (text.strip().strip("|").split("|") for text in texts if "|" in text)
    else:
        rows = csv.reader(texts, delimiter=separator)
        while True:
            try:
                yield next(rows)
            except StopIteration:
                return
            except csv.Error:  # a cell beyond the size limit, or a stray NUL
                continue


def _names_hold_spaces(header: str, row: Sequence[str]) -> bool:
    """Whether as many names as cells are set two spaces apart, some of several words: then ``headed`` reads them."""
    apart = re.split(r"\s{2,}", header.strip())
    return len(apart) == len(row) and any(" " in name for name in apart)


def _name(cell: str) -> str:
    return cell.strip(" \t\ufeff\"'").lstrip("# ").strip()


def _is_header(header: Sequence[str]) -> bool:
    """Whether cells are names: all different, none a number; only the first may be empty (an index)."""
    named = [name for name in header if name]
    return (
        len(set(header)) == len(header)
        and len(named) >= max(1, len(header) - 1)
        and not any(_NUMBER.match(name) for name in named)
        and all(len(name) < 100 for name in named)
    )


def _fit(rows: Sequence[Sequence[str]], width: int) -> float:
    """Share of rows that are mostly numbers and no wider than the header; a header that comes again is no row."""
    rows = rows[:-1] if len(rows) > 1 and len(rows[-1]) < width else rows  # the last one may be cut
    rows = [row for row in rows if any(_NUMBER.match(cell.strip(" \t\"'")) for cell in row)]
    fitting = [row for row in rows if 1 < len(row) <= width + 1 and _numbers_in(row) * 2 >= len(row)]
    return len(fitting) / max(len(rows), 1)


def _numbers_in(row: Sequence[str]) -> int:
    """Cells that are empty or numbers."""
    return sum(not cell.strip() or bool(_NUMBER.match(cell.strip(" \t\"'"))) for cell in row)


def _tells_of_training(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether columns are a run's record: a step or an epoch with something measured, or mostly known metrics.

    A data set has columns called ``score`` or ``label`` too, but beside texts or beside names we do not know. A row of
    Ray Tune's table of trials is a run.
    """
    if header[0].lower() == "trial name":
        return False
    numeric = [name for at, name in enumerate(header) if name and _is_numeric_column(at, rows)]
    known = [name for name in numeric if names.role(names.parse(name).metric) != "other"]
    if any(axes.is_position(name) for name in numeric):
        return len(numeric) > 1
    return len(known) * 2 >= len(numeric) > 0 and len(numeric) * 2 > len(header)


def _is_numeric_column(at: int, rows: Sequence[Sequence[str]]) -> bool:
    cells = [row[at].strip() for row in rows if at < len(row) and row[at].strip()]
    return bool(cells) and sum(bool(_NUMBER.match(cell)) for cell in cells) * 2 > len(cells)


def _is_step_and_value(rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows are two bare columns, a growing step and a number that is not always whole."""
    rows = rows[:-1] if len(rows) > 1 and len(rows[-1]) < 2 else rows  # the last one may be cut
    if len(rows) < 5 or not all(len(row) == 2 and _NUMBER.match(row[0]) and _NUMBER.match(row[1]) for row in rows):
        return False
    whole = all(row[0].isdigit() for row in rows)
    growing = whole and all(int(row[0]) < int(after[0]) for row, after in pairwise(rows))
    return growing and any(not row[1].lstrip("-").isdigit() for row in rows)


def _value_name(source: str) -> str:
    """The metric a file's own name tells (``train_losses.txt``), else ``value``."""
    stem = PurePath(source).stem
    words = [
        word
        for word in re.split(r"[^A-Za-z]+", stem)
        if names.role(names.parse(word).metric) in ("loss", "score", "reward")
    ]
    return words[-1] if words else "value"


# --- rows ---------------------------------------------------------------------------------------------------


def _segments(body: pl.DataFrame, layout: _Layout) -> Iterator[tuple[_Layout, pl.DataFrame]]:
    """Runs of rows under one header; a header that comes again may have other columns."""
    texts = body["text"]
    heads = _header_rows(texts, layout) if layout.has_header else []
    starts = [0] if not layout.has_header else heads
    for start, end in zip(starts, [*starts[1:], len(texts)], strict=True):
        first = start + 1 if layout.has_header else start
        header = layout.header
        if layout.has_header:
            header = tuple(_name(cell) for cell in next(_split([texts[start]], layout.separator)))
        rows = body.slice(first, end - first)
        if rows.height:
            yield layout._replace(header=header), rows


def _header_rows(texts: pl.Series, layout: _Layout) -> list[int]:
    """Where the first header stands, and where it or its like comes again."""
    first = next(name for name in layout.header if name)
    maybe = texts.str.slice(0, 400).str.contains(first, literal=True).arg_true().to_list()
    heads = []
    for at in maybe:
        cells = [_name(cell) for cell in next(_split([texts[at]], layout.separator), [])]
        if _is_header(cells) and len(set(cells) & set(layout.header)) * 2 >= len(layout.header):
            heads.append(at)
    return heads or [0]


def _rows(body: pl.DataFrame, layout: _Layout) -> Records:
    separator, width = layout.separator, len(layout.header)
    texts = body["text"]
    if separator in (" ", "|"):
        texts = texts.str.strip_chars("# |" if separator == "|" else "# \t")
        texts = texts.str.replace_all(r"\s*\|\s*" if separator == "|" else r"\s+", "\t")
        separator = "\t"
    columns = [f"{at}" for at in range(width)]  # names may be empty
    values = _in_bulk(_evened(texts, separator, width), separator, columns)
    lines = body["line"]
    if values is None:
        values, lines = _singly(body, separator, columns)
    kept = [at for at, name in enumerate(layout.header) if not _UNNAMED.match(name)]
    values = values.select(pl.col(columns[at]).alias(layout.header[at]) for at in kept)
    return Records(values, lines.cast(pl.UInt32))


def _evened(texts: pl.Series, separator: str, width: int) -> pl.Series:
    """Rows without quotes, each cut or padded to the header's width.

    A last row that is too short was cut while it was written: its last cell may miss digits and is dropped.
    """
    if texts.str.contains('"', literal=True).any():
        return texts
    odd = (texts.str.count_matches(separator, literal=True) != width - 1).arg_true()
    mended = []
    for at in odd:
        cells = texts[at].split(separator)
        if at == len(texts) - 1 and len(cells) < width:
            cells = cells[:-1]
        mended.append(separator.join([*cells, *[""] * width][:width]))
    return texts.scatter(odd, mended) if mended else texts


def _in_bulk(texts: pl.Series, separator: str, columns: Sequence[str]) -> pl.DataFrame | None:
    """The cells as Float64 where that holds for all of a column, else as text; None when rows are not lines."""
    data = texts.str.join("\n").item().encode()
    for kinds in (_kinds(texts, separator, columns), dict.fromkeys(columns, pl.String)):
        try:
            values = pl.read_csv(data, separator=separator, has_header=False, schema=kinds)
        except pl.exceptions.PolarsError:
            continue
        if values.height == len(texts):
            return values
    return None


def _kinds(texts: pl.Series, separator: str, columns: Sequence[str]) -> dict[str, type[pl.DataType]]:
    """Types guessed from rows all over the file; a wrong guess costs time, never a value."""
    at = sorted({len(texts) * n // 200 for n in range(200)})
    rows = list(_split(texts.gather(at).to_list(), separator))
    plain = {
        name: all(n >= len(row) or not row[n] or _NUMBER.match(row[n].lstrip(" ")) for row in rows)
        for n, name in enumerate(columns)
    }
    return {name: pl.Float64 if plain[name] else pl.String for name in columns}


def _singly(body: pl.DataFrame, separator: str, columns: Sequence[str]) -> tuple[pl.DataFrame, pl.Series]:
    """Rows that span lines, by Python's reader. A row's line is the one it starts on."""
    rows: list[list[str | None]] = []
    starts: list[int] = []
    reader = csv.reader((f"{text}\n" for text in body["text"]), delimiter=separator)
    before = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            break
        except csv.Error:
            before = reader.line_num
            continue
        rows.append([*(cell or None for cell in cells), *[None] * len(columns)][: len(columns)])
        starts.append(before)
        before = reader.line_num
    values = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
    return values, body["line"].gather(starts)


def _named(part: Records, source: str) -> Records:
    """A column that is called only ``Value`` (a dashboard's export) is named by the file."""
    measured = set(part.values.columns) - set(axes.choose(part.values.columns))
    if [label.lower() for label in measured] != ["value"]:
        return part
    stem = PurePath(source).stem.rpartition("tag-")[2]
    return Records(part.values.rename({measured.pop(): stem}), part.lines)
