"""TensorBoard's event files: scalars of both encodings, hyperparameters, and configuration that was logged as text.

An event has a wall time, a step and a summary; a summary has values; a value has a tag and a ``simple_value`` (what
PyTorch and TensorFlow 1 write) or a tensor (TensorFlow 2). What a tensor means is told by the plugin named in the
tag's metadata, which need only come once a file. Field numbers are those of ``event.proto``, ``summary.proto`` and
``tensor.proto``. Images and histograms are stepped over by their length; of texts only configuration is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem.errors import Problem
from postmortem.ingest.reading import NO_SETTINGS, POINTS, SETTINGS, Reading
from postmortem.ingest.stores.hparams import hyperparameters
from postmortem.ingest.stores.stretches import Bytes, Flags, Places, numbers
from postmortem.ingest.stores.tags import Tags
from postmortem.ingest.stores.tensors import one_number
from postmortem.ingest.stores.texts import configuration
from postmortem.ingest.stores.tfrecord import RecordFile, Records, begins_record, together
from postmortem.ingest.stores.wire import BYTES, FIXED32, FIXED64, VARINT, Fields, read_fields

_BATCH = 4 << 20  # bytes of files that are read together
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
    """Reads one event file; see ``read_files``."""
    return next(read_files([(path, shown)]))


def read_files(files: Sequence[tuple[Path, str]]) -> Iterator[Reading]:
    """Reads the scalars of event files; ``line`` is the ordinal of a record.

    Checksums are verified. Broken, unfinished and malformed records are named in problems, and the others are kept.
    The label is the tag, the split is left open, times are UTC. Small files are read many at a time, because what
    has to be done for a file costs more than its records do.

    Args:
        files: Each with its path as it is to be shown.
    """
    batch: list[tuple[Path, str]] = []
    room = _BATCH
    for path, shown in files:
        size = _size(path)
        if size > room:
            yield from _together(batch)
            batch, room = [], _BATCH
        if size > _BATCH:
            yield _alone(path, shown)
        else:
            batch.append((path, shown))
            room -= size
    yield from _together(batch)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _together(files: Sequence[tuple[Path, str]]) -> Iterator[Reading]:
    """Reads whole files as one; what is wrong with a file is told when it is read alone."""
    if not files:
        return
    records, file, sound = together([_content(path) for path, _ in files])
    scalars = _Scalars()
    with np.errstate(all="ignore"):  # signalling NaNs are values like others
        scalars.add(records, file)
    counts = np.bincount(file, minlength=len(files)).tolist()
    readings = scalars.readings([shown for _, shown in files], counts, [{} for _ in files])
    for (path, shown), whole, reading in zip(files, sound.tolist(), readings, strict=True):
        yield reading if whole else _alone(path, shown)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _alone(path: Path, shown: str) -> Reading:
    """Reads a file block by block, in bounded memory."""
    scalars = _Scalars()
    try:
        with path.open("rb") as stream:
            records = RecordFile(stream)
            with np.errstate(all="ignore"):
                for block in records.blocks():
                    scalars.add(block, np.zeros(block.ordinal.size, np.int64))
    except OSError as error:
        return Reading(shown, "tfevents", problems=(Problem(f"cannot be read: {error.strerror or error}", shown),))
    return scalars.readings([shown], [records.count], [records.faults])[0]


def _problem(text: str, ordinals: list[int], shown: str) -> Problem:
    if len(ordinals) == 1:
        return Problem(f"record {ordinals[0]} {text}", shown, ordinals[0])
    named = ", ".join(map(str, ordinals[:_NAMED])) + ("" if len(ordinals) <= _NAMED else ", ...")
    return Problem(f"{len(ordinals)} records ({named}), of each: {text}", shown, ordinals[0])


class _Scalars:
    """Collects the scalars of files as columns, a block of records at a time."""

    def __init__(self) -> None:
        self._malformed: set[tuple[int, int]] = set()  # file and ordinal of records that are no events
        self._tags = Tags()
        self._parts: list[tuple[NDArray[Any], ...]] = []  # file, line, step, time, number of the tag, value, is tensor
        self._settings: dict[int, list[tuple[int, str, str]]] = {}  # by file
        self._foreign: set[tuple[int, int]] = set()  # file and tag whose plugin gives its tensors another meaning

    def add(self, records: Records, file: Places) -> None:
        """Decodes one block, whose records belong to these files, in order."""
        data, count = records.data, records.ordinal.size
        events, broken = read_fields(data, records.start, records.end)
        values = _values(data, events, broken)
        fields, torn = read_fields(data, values.at, values.end)
        broken[values.owner[torn]] = True
        self._malformed |= _pairs(file[broken], records.ordinal[broken])
        number, is_simple, is_tensor = _numbers(data, fields, values.owner.size)
        tags = fields.of(1, BYTES).last(values.owner.size)
        self._metadata(data, fields, tags, file[values.owner], records.ordinal[values.owner])
        rows = np.flatnonzero((is_simple | is_tensor) & ~broken[values.owner])
        event = values.owner[rows]
        self._parts.append(
            (
                file[event],
                records.ordinal[event],
                events.of(2, VARINT).last(count).value[event],
                _wall_times(data, events, count)[event],
                self._tags.codes(data, tags.at[rows], tags.end[rows]),
                number[rows],
                is_tensor[rows],
            )
        )

    def _metadata(self, data: Bytes, fields: Fields, tags: Fields, file: Places, ordinal: Places) -> None:
        """Notes which tags belong to other plugins than scalars, and what is told of the run's configuration."""
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
            own = self._tags.codes(data, tags.at[owner], tags.end[owner])
            self._foreign |= _pairs(file[owner], own)
            if name == "hparams":
                self._tell(
                    hyperparameters, file[owner], ordinal[owner], _cut(data, contents.at[rows], contents.end[rows])
                )
            elif name == "text":
                tensors = fields.of(8, BYTES).last(tags.owner.size)
                told = zip(
                    (self._tags.names[tag] for tag in own.tolist()),
                    _cut(data, tensors.at[owner], tensors.end[owner]),
                    strict=True,
                )
                self._tell(configuration, file[owner], ordinal[owner], told)

    def _tell(
        self, read: Callable[[Any], Iterator[tuple[str, str]]], file: Places, ordinal: Places, told: Iterable[Any]
    ) -> None:
        for at, line, message in zip(file.tolist(), ordinal.tolist(), told, strict=True):
            try:
                self._settings.setdefault(at, []).extend((line, *pair) for pair in read(message))
            except ValueError:
                self._malformed.add((at, line))

    def readings(
        self, sources: Sequence[str], counts: Sequence[int], faults: Sequence[dict[str, list[int]]]
    ) -> list[Reading]:
        """What each file said.

        Args:
            sources: Their paths as they are to be shown.
            counts: Their records.
            faults: What is wrong with records, and their ordinals.
        """
        told = zip(sources, self._points(len(sources)), counts, faults, strict=True)
        return [self._reading(at, *of_file) for at, of_file in enumerate(told)]

    def _reading(self, at: int, source: str, points: pl.DataFrame, count: int, faults: dict[str, list[int]]) -> Reading:
        malformed = sorted(line for file, line in self._malformed if file == at)
        faults = {**faults, "is not a well-formed event": malformed}
        return Reading(
            source=source,
            format="tfevents",
            points=points,
            settings=_settings(self._settings.get(at, [])),
            understood=count - sum(map(len, faults.values())),
            lines=count,
            problems=tuple(_problem(text, ordinals, source) for text, ordinals in faults.items() if ordinals),
        )

    def _points(self, files: int) -> list[pl.DataFrame]:
        """A frame of POINTS for each file, in file order."""
        if not self._parts:
            return [pl.DataFrame(schema=POINTS)] * files
        columns: list[NDArray[Any]] = [np.concatenate(column) for column in zip(*self._parts, strict=True)]
        if self._foreign:
            foreign = [file * len(self._tags.names) + tag for file, tag in self._foreign]
            kept = ~(columns[-1] & np.isin(columns[0] * len(self._tags.names) + columns[4], foreign))
            columns = [column[kept] for column in columns]
        file, line, step, time, tag, value, _ = columns
        absent = pl.Series([None], dtype=pl.Null).new_from_index(0, line.size)
        points = pl.DataFrame([
            pl.Series("line", line.astype(np.uint32)),
            pl.Series("step", step),
            absent.cast(pl.Float64).alias("epoch"),
            absent.cast(pl.String).alias("split"),
            pl.Series("label", self._tags.names, pl.String)[tag],
            pl.Series("value", value),
            pl.Series("time", time).cast(POINTS["time"]),
        ])  # fmt: skip
        bounds = np.searchsorted(file, np.arange(files + 1)).tolist()
        return [points.slice(first, last - first) for first, last in pairwise(bounds)]


def _settings(rows: list[tuple[int, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SETTINGS, orient="row") if rows else NO_SETTINGS


def _pairs(one: Places, other: Places) -> set[tuple[int, int]]:
    return set(zip(one.tolist(), other.tolist(), strict=True))


def _cut(data: Bytes, start: Places, end: Places) -> Iterator[bytes]:
    return (data[first:last].tobytes() for first, last in zip(start.tolist(), end.tolist(), strict=True))


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
