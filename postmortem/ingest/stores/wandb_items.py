"""The items of W&B's messages (history, summary, configuration): a path of names and a value in JSON, as columns.

An item has a ``key`` or the parts of a ``nested_key``, and a ``value_json``; nearly all are a name and a plain number,
which need no Python object. Later files may hold numbers as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem.ingest.stores import points
from postmortem.ingest.stores.stretches import Bytes, Flags, Places, numbers
from postmortem.ingest.stores.tags import Tags
from postmortem.ingest.stores.wire import BYTES, FIXED64, VARINT, Fields, read_fields

_ITEM = 1  # field of all messages that hold items
_PATH = (1, 2)  # fields of an item: key, nested_key
_TEXT = (8, 16)  # value_json
_ZIGZAG, _DOUBLE = 5, 6
_LINE_FEED = 10
_LONGEST_NUMBER = 40  # bytes

Path = tuple[str, ...]
Row = tuple[int, int, str, float]  # message, place in the buffer, label, number


class Items:
    """The items of many messages.

    Attributes:
        torn: Which messages are malformed; nothing of these is given.
    """

    def __init__(self, data: Bytes, start: Places, end: Places) -> None:
        """Reads the messages ``data[start:end]``."""
        found, self.torn = read_fields(data, start, end)
        items = _in_order(found.of(_ITEM, BYTES))
        parts, broken = read_fields(data, items.at, items.end)
        self.torn[items.owner[broken]] = True
        sound = ~self.torn[items.owner]
        self._data, self._items = data, items
        self._path = _in_order(_any_of(parts, [number << 3 | BYTES for number in _PATH], sound))
        self._text = _any_of(parts, [number << 3 | BYTES for number in _TEXT], sound).last(items.at.size)
        self._typed = _any_of(parts, [_ZIGZAG << 3 | VARINT, _DOUBLE << 3 | FIXED64], sound)

    def numbers(self) -> pl.DataFrame:
        """The numbers among the values, in order: ``message``, ``label`` and ``value``.

        Objects with a ``_type`` (media, histograms) have none.
        """
        depth = np.bincount(self._path.owner, minlength=self._items.at.size)
        value, plain = self._plain
        plain = plain & (depth == 1)
        name = self._path.last(depth.size)
        tags = Tags()
        codes = tags.codes(self._data, name.at[plain], name.end[plain])
        table = _table(
            self._items.owner[plain], self._items.at[plain], pl.Series(tags.names, dtype=pl.String)[codes], value[plain]
        )
        others = list(self._others(np.flatnonzero(~plain & (depth > 0))))
        if others:
            table = pl.concat([table, pl.DataFrame(others, schema=table.schema, orient="row")])
        return table.filter(pl.col("label") != "").sort("at", maintain_order=True).drop("at")

    def held(self) -> Iterator[tuple[Path, object]]:
        """Path and value of all items, in order."""
        return ((path, value) for _, path, value in self._objects(np.arange(self._items.at.size)))

    @cached_property
    def _plain(self) -> tuple[NDArray[np.float64], Flags]:
        """The value of each item as a number, and whether it is one."""
        short = self._text.value <= _LONGEST_NUMBER
        text = _cut(self._data, self._text.at, np.where(short, self._text.end, self._text.at))
        value = text.cast(pl.Float64, strict=False)
        found, plain = value.fill_null(0).to_numpy(writable=True), value.is_not_null().to_numpy(writable=True)
        typed = self._typed
        zigzag = typed.value.view(np.uint64)
        whole = (zigzag >> np.uint64(1)).astype(np.int64) ^ -(zigzag & np.uint64(1)).astype(np.int64)
        double = typed.key & 7 == FIXED64
        found[typed.owner] = whole
        found[typed.owner[double]] = numbers(self._data, "<f8")[typed.at[double]]
        plain[typed.owner] = True
        return found, plain

    def _others(self, rows: Places) -> Iterator[Row]:
        """The numbers in nested items, and in values that are not one themselves."""
        held = list(self._objects(rows))
        messages = self._items.owner.tolist()
        typed = {(messages[row], path[:-1]) for row, path, _ in held if path[-1] == "_type"}
        for row, path, value in held:
            inside = any((messages[row], path[:depth]) in typed for depth in range(1, len(path)))
            for label, leaf in () if inside else points.leaves(value, ".".join(path)):
                number = points.number(leaf)
                if number is not None:
                    yield messages[row], int(self._items.at[row]), label, number

    def _objects(self, rows: Places) -> Iterator[tuple[int, Path, object]]:
        """Row, path and value of items."""
        wanted = np.zeros(self._items.at.size, np.bool_)
        wanted[rows] = True
        paths: dict[int, list[str]] = {}
        path = self._path
        kept = wanted[path.owner]
        for row, at, end in zip(*(each[kept].tolist() for each in (path.owner, path.at, path.end)), strict=True):
            paths.setdefault(row, []).append(self._data[at:end].tobytes().decode("utf-8", "replace"))
        value, plain = self._plain
        typed = set(self._typed.owner.tolist())
        for row, parts in paths.items():
            raw = self._data[self._text.at[row] : self._text.end[row]].tobytes()
            yield row, tuple(parts), float(value[row]) if row in typed and plain[row] else points.parsed(raw)


def _in_order(fields: Fields) -> Fields:
    order = np.argsort(fields.at, kind="stable")
    return Fields(*(column[order] for column in fields))


def _any_of(fields: Fields, keys: list[int], sound: Flags) -> Fields:
    rows = np.flatnonzero(np.isin(fields.key, keys) & sound[fields.owner])
    return Fields(*(column[rows] for column in fields))


def _table(message: Places, at: Places, label: pl.Series, value: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame([
        pl.Series("message", message, pl.Int64),
        pl.Series("at", at, pl.Int64),
        label.alias("label"),
        pl.Series("value", value, pl.Float64),
    ])  # fmt: skip


def _cut(data: Bytes, start: Places, end: Places) -> pl.Series:
    """The stretches as texts; empty where one holds a line feed or is no UTF-8."""
    size = end - start
    first = np.cumsum(size + 1) - (size + 1)
    joined = np.full(int((size + 1).sum()), _LINE_FEED, np.uint8)
    inside = np.repeat(start - first, size) + (places := _filled(first, size))
    joined[places] = data[inside]
    joined[places[(joined[places] < 32) | (joined[places] > 126)]] = ord("?")  # in no number
    return pl.Series([joined.tobytes().decode("ascii")]).str.split("\n").explode().head(size.size)


def _filled(first: Places, size: Places) -> Places:
    """The places of stretches of a size each: ``first``, ``first + 1``, ..."""
    count = np.cumsum(size)
    return np.asarray(np.arange(int(size.sum())) + np.repeat(first - (count - size), size))
