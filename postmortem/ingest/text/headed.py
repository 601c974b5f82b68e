"""Tables that are printed into a text log: a header of names, and rows of numbers set under it.

Frameworks print them between other lines, sometimes with the header before each row, sometimes with empty cells. A
cell belongs to the name that stands in the same order, or at the same place where cells are missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from postmortem import names
from postmortem.ingest.lines import Text
from postmortem.ingest.reading import POINTS, SETTINGS
from postmortem.ingest.structured import axes, records
from postmortem.ingest.structured.records import Records
from postmortem.ingest.text import clock
from postmortem.ingest.text.shapes import Messages

MAX_HEADERS = 200
"""Most different headers that are looked at in one file."""

_HEADER = r"^[\s#]*[A-Za-z#][^=|]*(?: {2,}|\t)\s*[A-Za-z]"
_HOLDS_NUMBER = r"(?:^|\s)[-+]?0[0.:,]*(?:\s|$)"  # of a mask
_RULE = r"^\s*(?:-{2,}|={2,}|─{2,})(?:\s+(?:-{2,}|={2,}|─{2,}))*\s*$"
_BAR = re.compile(r":?\s+[0-9]+%(?:\||\s).*$|:\s*$")  # behind names or cells: "640: 100%|###| 8/8 [00:04<00:00]"
_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?(?:nan|inf)"
_CELL = re.compile(rf"(?i)^(?:(?:{_NUMBER})(?:/[0-9]+|%|[KMG]i?B?|m?s|m|h)?|(?:[0-9]+:){{1,2}}[0-9.]+|n/?a|none|-+)$")
_PLACE = re.compile(r"^[0-9]+(?:\.[0-9]+)?(?:/[0-9]+)?$")
_NAMES_APART = re.compile(r"\S+(?: \S+)*")
_WORDS_APART = re.compile(r"\S+")
_MEASURES = frozenset(("loss", "score", "reward", "adversarial", "lr", "grad_norm"))
# Where they head a column beside measurements.
_SHORT = {"E": "epoch", "Ep": "epoch", "Itn": "epoch", "#": "step", "P": "precision", "R": "recall"}
_IGNORED = re.compile(r"(?i)^(?:remaining|eta)\b|\b(?:remaining|eta)$")
_NO_POINTS, _NO_TOTALS = pl.DataFrame(schema=POINTS), pl.DataFrame(schema=SETTINGS)
_NEAR = 3  # written lines after a header among which its first row stands
_FAR = 200  # written lines without a row after which a table has ended
_TITLE = re.compile(r"^\W*(?P<words>[A-Za-z]+(?: [A-Za-z]+)?)\s+(?=[-+]?\.?[0-9])")
_MOST_TITLE = 3  # columns that a title may take
_WHOLE = "all"  # the row of a table by class that stands for all of them
_MOST_CELLS = 60


class Tables(NamedTuple):
    """The tables of a text.

    Attributes:
        points: Their numbers, a frame of POINTS.
        totals: Epochs that their counters run to (``1/3``), a frame of SETTINGS.
        lines: The lines (u32) that belong to them, with or without numbers.
    """

    points: pl.DataFrame
    totals: pl.DataFrame
    lines: pl.Series


class _Column(NamedTuple):
    name: str
    start: int
    end: int


class _Cell(NamedTuple):
    label: str
    start: int
    length: int


def read(told: Messages, text: Text, source: str) -> Tables:
    """Reads the tables among the messages of a text.

    Args:
        told: The messages.
        text: The whole file, whose last line may be cut.
        source: The file's path as it is to be shown.
    """
    known = _known_headers(told)
    if _OF_TRAINING not in known.values():
        return Tables(_NO_POINTS, _NO_TOTALS, pl.Series("line", [], pl.UInt32))
    lines = told.having(pl.col("body").str.strip_chars() != "").with_row_index("row")
    headers = _headers(lines, known)
    rows = _without_cut_cell(_rows(told, lines, headers), text)
    tables = [_table(part) for part in rows.partition_by("header", maintain_order=True)]
    points = _placed(pl.concat([_NO_POINTS, *tables]).sort("line", maintain_order=True), lines)
    stamps = lines.unique("line", keep="first", maintain_order=True).join(points.select("line").unique(), on="line")
    times = stamps.select("line", time=clock.times(stamps["stamp"], source))
    points = points.drop("time").join(times, on="line", how="left", maintain_order="left").select(list(POINTS))
    met = headers.filter(pl.col("row").is_in(rows["top"].unique().implode()))
    lines_of = pl.concat([met["line"], met["rule"].drop_nulls(), rows["line"]]).unique().sort()
    return Tables(points.cast(POINTS), _totals(rows), lines_of)


def _without_cut_cell(rows: pl.DataFrame, text: Text) -> pl.DataFrame:
    """Drops the last cell of an unfinished last line: it may miss digits."""
    if text.finished or rows.is_empty() or rows["line"][-1] != text.lines["line"][-1]:
        return rows
    cut = pl.col("line") == rows["line"][-1]
    return rows.with_columns(
        cells=pl.when(cut).then(pl.col("cells").list.head(pl.col("cells").list.len() - 1)).otherwise("cells")
    )


# --- headers ------------------------------------------------------------------------------------------------


def _known_headers(told: Messages) -> dict[str, int]:
    """The lines that can be headers, and what they tell of."""
    maybe = pl.col("body").str.contains(_HEADER) & ~pl.col("body").str.contains(_HOLDS_NUMBER)
    masks = told.masks.select(maybe).to_series()
    if not masks.any():
        return {}
    bodies = told.lines.filter(masks.gather(told.lines["mask"]))["body"].unique(maintain_order=True)
    return {body: _tells_of_training(body) for body in bodies.head(MAX_HEADERS)}


def _headers(lines: pl.DataFrame, known: Mapping[str, int]) -> pl.DataFrame:
    """``row`` and ``line`` of each header, ``header`` (its text), the text and line of the ``rule`` under it."""
    ruled = pl.col("below").str.contains(_RULE).fill_null(False)
    telling = pl.Series([body for body, told in known.items() if told], dtype=pl.String)
    below = lines.with_columns(below=pl.col("body").shift(-1), under=pl.col("line").shift(-1))
    return below.filter(pl.col("body").is_in(telling.implode())).select(
        "row",
        "line",
        header="body",
        ruling=pl.when(ruled).then("below").otherwise(pl.lit("")).first().over("body"),
        rule=pl.when(ruled).then("under"),
    )


_OF_TRAINING, _OF_QUALITY = 2, 1


def _tells_of_training(header: str) -> int:
    """2: names a position and a measurement; 1: names several measurements; 0: heads something else."""
    named = [column.name for column in _split(header, _NAMES_APART)]
    if not 1 < len(named) <= _MOST_CELLS or any(re.search(r"[:=]\s|[.!?]$", name) or len(name) > 40 for name in named):
        return 0
    measures = [name for name in named if names.role(names.parse(_label(name)).metric) in _MEASURES]
    words = [_label(column.name) for column in _split(header, _WORDS_APART)]
    if measures and any(axes.is_position(word) for word in words):
        return _OF_TRAINING
    return _OF_QUALITY if len(measures) > 1 else 0


def _split(text: str, apart: re.Pattern[str]) -> list[_Column]:
    """The names of a header with their places, without a bar behind them."""
    text = _BAR.sub("", text)
    text = re.sub(r"^(\s*)[#!](\s)(?=\s*[A-Za-z]+ )", r"\1 \2", text)
    return _grouped([_Column(found[0], *found.span()) for found in apart.finditer(text)])


def _grouped(columns: Sequence[_Column]) -> list[_Column]:
    """``Box(P  R  mAP50)`` names a group of three: ``Box(P)``, ``Box(R)``, ``Box(mAP50)``."""
    group, out = "", []
    for column in columns:
        opened = re.fullmatch(r"(\w+\()([^()]*)", column.name)
        group = opened[1] if opened else group
        bare = opened[2] if opened else column.name
        closed = bool(group) and bare.endswith(")") and "(" not in bare
        out.append(column._replace(name=f"{group}{bare.removesuffix(')')})") if group else column)
        group = "" if closed else group
    return out


def _label(name: str) -> str:
    return _SHORT.get(name, name)


# --- rows ---------------------------------------------------------------------------------------------------


def _rows(told: Messages, lines: pl.DataFrame, headers: pl.DataFrame) -> pl.DataFrame:
    """The rows: ``row``, ``line``, ``header``, and ``cells``, a list of the label and the text of each."""
    under = lines.join_asof(headers.select("row", "header", "ruling", top="row"), on="row")
    numeric = told.masks["body"].str.count_matches(r"(?:^|\s)[-+]?(?:0|\.0|(?i:nan|inf))") > 1
    under = under.filter(pl.col("header").is_not_null() & numeric.gather(under["mask"]))
    looks = under.select("header", "ruling", "mask").unique(maintain_order=True)
    bodies = told.masks["body"].gather(looks["mask"])
    found = [_cells(*each) for each in zip(looks["header"], looks["ruling"], bodies, strict=True)]
    kinds = pl.List(pl.Struct({"label": pl.String(), "start": pl.Int64(), "length": pl.Int64()}))
    looks = looks.with_columns(pl.Series("cells", [_as_structs(each) for each in found], dtype=kinds))
    rows = under.join(looks, on=["header", "ruling", "mask"], nulls_equal=True, maintain_order="left")
    rows = rows.filter(pl.col("cells").is_not_null())
    rows = rows.filter(pl.col("row").min().over("top") - pl.col("top") <= _NEAR)
    ended = (pl.col("row").diff() > _FAR).fill_null(False).cum_sum().over("top") > 0
    rows = rows.filter(~ended)
    return rows.select("top", "row", "line", "header", "body", "cells")


def _as_structs(cells: list[_Cell] | None) -> list[dict[str, object]] | None:
    return None if cells is None else [cell._asdict() for cell in cells]


@lru_cache(maxsize=4096)
def _cells(header: str, ruling: str, body: str) -> list[_Cell] | None:
    """Where the numbers of a row stand, with the names they stand under; None for a line that is no row.

    A row of a class is a row without numbers of its own: only that of all classes is the model's.
    """
    found = [(each[0], *each.span()) for each in _WORDS_APART.finditer(_BAR.sub("", body))]
    if (title := _TITLE.match(body)) and any(map(names.split_word, title["words"].split())):
        return _titled_cells(header, title["words"], [each for each in found if each[1] >= title.end()])
    if any(not _CELL.match(text) for text, _, _ in found[1:]) or len(found) < 2:
        return None
    under = _under(header, ruling, [(start, end) for _, start, end in found])
    if under is None:
        return None
    titled = not _CELL.match(found[0][0])
    if titled and found[0][0] != _WHOLE:
        return []
    cells = list(zip(under, found, strict=True))[titled:]
    if any(axes.is_position(_label(name)) and not _PLACE.match(text) for name, (text, _, _) in cells):
        return None
    return [_Cell(_label(name), start, end - start) for name, (_, start, end) in cells if not _IGNORED.search(name)]


def _titled_cells(header: str, title: str, found: Sequence[tuple[str, int, int]]) -> list[_Cell] | None:
    """The cells of a row that begins with its split (``! Validation   1   0.219``); they stand under the last names."""
    named = [_label(column.name) for column in _split(header, _WORDS_APART)]
    if not len(found) <= len(named) <= len(found) + _MOST_TITLE or any(not _CELL.match(text) for text, _, _ in found):
        return None
    own = [name if axes.is_position(name) else f"{title} {name}" for name in named[len(named) - len(found) :]]
    return [_Cell(name, start, end - start) for name, (_, start, end) in zip(own, found, strict=True)]


def _under(header: str, ruling: str, spans: Sequence[tuple[int, int]]) -> list[str] | None:
    """The names that cells stand under."""
    wide = [_Column(header[slice(*each.span())].strip(), *each.span()) for each in _WORDS_APART.finditer(ruling)]
    named = wide if len(wide) > 1 else _split(header, _NAMES_APART)
    for columns in (named, _split(header, _WORDS_APART)):
        if len(columns) == len(spans):
            return [column.name for column in columns]
    at = [[n for n, column in enumerate(named) if column.start < end and start < column.end] for start, end in spans]
    met = [each[0] for each in at if len(each) == 1]
    return [named[n].name for n in met] if len(met) == len(spans) == len(set(met)) else None


# --- points -------------------------------------------------------------------------------------------------


def _table(rows: pl.DataFrame) -> pl.DataFrame:
    """The points of the rows under one header."""
    cells = rows.select("row", "line", "body", "cells").explode("cells").drop_nulls("cells").unnest("cells")
    texts = pl.col("body").str.slice(pl.col("start"), pl.col("length"))
    bare = texts.str.replace(r"(?:/[0-9]+|%|[A-Za-z]*[A-Zhms])$", "").str.replace(r"(?i)^(?:n/?a|none|-+|n|non)$", "")
    value = pl.when(texts.str.contains(r"(?i)^[-+]?(?:nan|inf)")).then(texts).otherwise(bare)
    cells = cells.with_columns(value=value)
    wide = cells.pivot("label", index=["row", "line"], values="value", aggregate_function="first")
    labels = cells.group_by("label").agg(pl.col("start").min()).sort("start")["label"]
    return records.points(Records(wide.select(axes.number(wide[label]) for label in labels), wide["line"]))


def _totals(rows: pl.DataFrame) -> pl.DataFrame:
    """What epochs run to: counted from 0 (``0/2``), one more than is printed, once the last has been seen."""
    cells = rows.select("line", "body", "cells").explode("cells").unnest("cells")
    cells = cells.filter(pl.col("label").map_elements(names.fact_key, return_dtype=pl.String) == "epoch")
    counter = pl.col("body").str.slice(pl.col("start"), pl.col("length")).str.extract_groups(r"^([0-9]+)/([0-9]+)$")
    at = cells.select("line", now=counter.struct[0].cast(pl.Int64), of=counter.struct[1].cast(pl.Int64)).drop_nulls()
    from_zero = at["now"].min() == 0
    known = at.filter((pl.col("now") == pl.col("of")).any().over("of")) if from_zero else at
    first = known.unique("of", keep="first", maintain_order=True)
    return first.select("line", key=pl.lit("epochs"), value=(pl.col("of") + from_zero).cast(pl.String))


def _placed(points: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Rows that name no place take that of the row before, unless other lines stand between them."""
    order = lines.select("line", "row").unique("line", keep="last")
    placed = pl.col("step").is_not_null() | pl.col("epoch").is_not_null()
    known = points.join(order, on="line", how="left", maintain_order="left")
    known = known.with_columns(at=pl.when(placed).then("row").forward_fill())
    near = pl.col("row") - pl.col("at") <= _NEAR
    filled = pl.when(~placed & near).then(pl.col("step", "epoch").forward_fill()).otherwise(pl.col("step", "epoch"))
    return known.with_columns(filled).select(list(POINTS))
