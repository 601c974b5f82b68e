"""TensorBoard's event files: scalars of both encodings, and the hyperparameters of the hparams plugin.

An event has a wall time, a step and a summary; a summary has values; a value has a tag and a ``simple_value`` (what
PyTorch and TensorFlow 1 write) or a tensor (TensorFlow 2). What a tensor means is told by the plugin named in the
tag's metadata, which need only come once a file. Field numbers are those of ``event.proto``, ``summary.proto`` and
``tensor.proto``. Images, histograms and texts are stepped over by their length.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem.errors import Problem
from postmortem.ingest.reading import POINTS, SETTINGS, Reading
from postmortem.ingest.stores.hparams import hyperparameters
from postmortem.ingest.stores.stretches import Bytes, Flags, Places, fingerprints, numbers
from postmortem.ingest.stores.tensors import one_number
from postmortem.ingest.stores.tfrecord import RecordFile, Records, begins_record
from postmortem.ingest.stores.wire import BYTES, FIXED32, FIXED64, VARINT, Fields, read_fields

_NAMED = 5  # records that a problem names before it counts
_LAST_SECOND = 253_402_300_799  # of the year 9999
_WALL_TIME_KEY = b"\x09"


def claims(path: Path, head: bytes) -> bool:
    """True for a file that is called an event file and is no text, or whose first record looks like an event.

    Record files of training samples have the same framing, but do not begin with a wall time.

    Args:
        path: The file; only its name is looked at.
        head: Its first bytes, 16 or more if it has them.
    """
    framed = begins_record(head)
    if "tfevents" in path.name:
        return framed or not head or b"\0" in head
    return framed and head[12:13] == _WALL_TIME_KEY


def read(path: Path, shown: str) -> Reading:
    """Reads the scalars of an event file; ``line`` is the ordinal of a record.

    Checksums are verified. Broken, unfinished and malformed records are named in problems, and the others are kept.
    The label is the tag, the split is left open, times are UTC.

    Args:
        path: The file.
        shown: Its path as it is to be shown.
    """
    scalars = _Scalars()
    try:
        with path.open("rb") as stream:
            records = RecordFile(stream)
            with np.errstate(all="ignore"):  # signalling NaNs are values like others
                for block in records.blocks():
                    scalars.add(block)
    except OSError as error:
        return Reading(shown, "tfevents", problems=(Problem(f"cannot be read: {error.strerror or error}", shown),))
    faults = {**records.faults, "is not a well-formed event": sorted(set(scalars.malformed))}
    return Reading(
        source=shown,
        format="tfevents",
        points=scalars.points(),
        settings=scalars.settings(),
        understood=records.count - sum(map(len, faults.values())),
        lines=records.count,
        problems=tuple(_problem(text, ordinals, shown) for text, ordinals in faults.items() if ordinals),
    )


def _problem(text: str, ordinals: list[int], shown: str) -> Problem:
    if len(ordinals) == 1:
        return Problem(f"record {ordinals[0]} {text}", shown, ordinals[0])
    named = ", ".join(map(str, ordinals[:_NAMED])) + ("" if len(ordinals) <= _NAMED else ", ...")
    return Problem(f"{len(ordinals)} records ({named}), of each: {text}", shown, ordinals[0])


class _Tags:
    """Numbers the distinct byte strings of a file.

    Attributes:
        names: The strings as text, by their number.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._prints = np.empty(0, np.uint64)  # of the names, sorted
        self._codes = np.empty(0, np.int64)  # their numbers, in the same order

    def codes(self, data: Bytes, start: Places, end: Places) -> Places:
        """The number of each string ``data[start:end]``."""
        prints = fingerprints(data, start, end)
        new = np.flatnonzero(~self._known(prints))
        if new.size:
            self._learn(data, start[new], end[new], prints[new])
        return self._codes[np.searchsorted(self._prints, prints)]

    def _known(self, prints: NDArray[np.uint64]) -> Flags:
        if not self._prints.size:
            return np.zeros(prints.size, np.bool_)
        nearest = np.minimum(np.searchsorted(self._prints, prints), self._prints.size - 1)
        return np.asarray(self._prints[nearest] == prints)

    def _learn(self, data: Bytes, start: Places, end: Places, prints: NDArray[np.uint64]) -> None:
        distinct, at = np.unique(prints, return_index=True)
        spans = zip(start[at].tolist(), end[at].tolist(), strict=True)
        codes = np.concatenate([self._codes, len(self.names) + np.arange(at.size)])
        self.names += [data[first:last].tobytes().decode("utf-8", "replace") for first, last in spans]
        both = np.concatenate([self._prints, distinct])
        order = np.argsort(both)
        self._prints, self._codes = both[order], codes[order]


class _Scalars:
    """Collects the scalars of a file as columns, a block of records at a time.

    Attributes:
        malformed: Ordinals of the records that are no events.
    """

    def __init__(self) -> None:
        self.malformed: list[int] = []
        self._tags = _Tags()
        self._parts: list[tuple[NDArray[Any], ...]] = []  # line, step, time, number of the tag, value, is a tensor
        self._settings: list[tuple[int, str, str]] = []
        self._foreign: set[int] = set()  # tags whose plugin gives their tensors another meaning

    def add(self, records: Records) -> None:
        """Decodes one block."""
        data, count = records.data, records.ordinal.size
        events, broken = read_fields(data, records.start, records.end)
        values = _values(data, events, broken)
        fields, torn = read_fields(data, values.at, values.end)
        broken[values.owner[torn]] = True
        self.malformed += records.ordinal[broken].tolist()
        number, is_simple, is_tensor = _numbers(data, fields, values.owner.size)
        tags = fields.of(1, BYTES).last(values.owner.size)
        self._metadata(data, fields, tags, records.ordinal[values.owner])
        rows = np.flatnonzero((is_simple | is_tensor) & ~broken[values.owner])
        event = values.owner[rows]
        self._parts.append(
            (
                records.ordinal[event],
                events.of(2, VARINT).last(count).value[event],
                _wall_times(data, events, count)[event],
                self._tags.codes(data, tags.at[rows], tags.end[rows]),
                number[rows],
                is_tensor[rows],
            )
        )

    def _metadata(self, data: Bytes, fields: Fields, tags: Fields, ordinal: Places) -> None:
        """Notes which tags belong to other plugins than scalars, and what the hparams plugin says."""
        metadata = fields.of(9, BYTES)
        if not metadata.owner.size:
            return
        plugins = read_fields(data, metadata.at, metadata.end)[0].of(1, BYTES)
        parts, _ = read_fields(data, plugins.at, plugins.end)
        value = metadata.owner[plugins.owner]  # by plugin
        names, contents = parts.of(1, BYTES).last(value.size), parts.of(2, BYTES).last(value.size)
        codes = self._tags.codes(data, names.at, names.end)
        for code in np.unique(codes).tolist():
            name, rows = self._tags.names[code], np.flatnonzero(codes == code)
            if name in ("", "scalars"):
                continue
            owner = value[rows]
            self._foreign.update(np.unique(self._tags.codes(data, tags.at[owner], tags.end[owner])).tolist())
            if name == "hparams":
                self._hparams(data, ordinal[owner], contents.at[rows], contents.end[rows])

    def _hparams(self, data: Bytes, ordinal: Places, start: Places, end: Places) -> None:
        for line, first, last in zip(ordinal.tolist(), start.tolist(), end.tolist(), strict=True):
            try:
                self._settings += [(line, *pair) for pair in hyperparameters(data[first:last].tobytes())]
            except ValueError:
                self.malformed.append(line)

    def points(self) -> pl.DataFrame:
        """A frame of POINTS, in file order."""
        if not self._parts:
            return pl.DataFrame(schema=POINTS)
        columns: list[NDArray[Any]] = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        if self._foreign:
            kept = ~(columns[-1] & np.isin(columns[3], list(self._foreign)))
            columns = [column[kept] for column in columns]
        line, step, time, tag, value, _ = columns
        absent = pl.Series([None], dtype=pl.Null).new_from_index(0, line.size)
        return pl.DataFrame([
            pl.Series("line", line.astype(np.uint32)),
            pl.Series("step", step),
            absent.cast(pl.Float64).alias("epoch"),
            absent.cast(pl.String).alias("split"),
            pl.Series("label", self._tags.names, pl.String)[tag],
            pl.Series("value", value),
            pl.Series("time", time).cast(POINTS["time"]),
        ])  # fmt: skip

    def settings(self) -> pl.DataFrame:
        """A frame of SETTINGS, in file order."""
        return pl.DataFrame(self._settings or None, schema=SETTINGS, orient="row")


def _values(data: Bytes, events: Fields, broken: Flags) -> Fields:
    """The values of all summaries in file order, each with its event as owner; malformed summaries are marked."""
    summaries = events.of(5, BYTES)
    fields, torn = read_fields(data, summaries.at, summaries.end)
    broken[summaries.owner[torn]] = True
    values = fields.of(1, BYTES)
    order = np.argsort(values.at, kind="stable")  # the values of one summary come in several turns
    return Fields(summaries.owner[values.owner[order]], values.key[order], values.at[order], values.value[order])


def _numbers(data: Bytes, fields: Fields, count: int) -> tuple[NDArray[np.float64], Flags, Flags]:
    """The number of each value, and whether it has one as ``simple_value``, or as a tensor."""
    number, is_simple, is_tensor = np.zeros(count), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    tensors = fields.of(8, BYTES)
    single, found = one_number(data, tensors.at, tensors.end)
    number[tensors.owner[found]] = single[found]
    is_tensor[tensors.owner[found]] = True
    simple = fields.of(2, FIXED32)
    number[simple.owner] = numbers(data, "<f4")[simple.at]
    is_simple[simple.owner] = True
    return number, is_simple, is_tensor & ~is_simple


def _wall_times(data: Bytes, events: Fields, count: int) -> NDArray[np.datetime64]:
    """Wall times in microseconds; NaT where an event has none that is a date."""
    given = events.of(1, FIXED64)
    seconds = numbers(data, "<f8")[given.at]
    valid = (seconds > 0) & (seconds <= _LAST_SECOND)
    times = np.full(count, "NaT", "datetime64[us]")
    times[given.owner[valid]] = np.rint(seconds[valid] * 1e6).astype(np.int64).view("datetime64[us]")
    return times
