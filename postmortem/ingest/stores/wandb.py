"""Weights & Biases: the record file ``run-<id>.wandb`` of a run's folder, online or offline.

The messages are those of ``wandb/proto/wandb_internal.proto`` (https://github.com/wandb/wandb). Step: see
``points.in_history``. ``output.log`` is a text log and left to the text readers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.reading import NOTES, SETTINGS, Reading
from postmortem.ingest.stores import points
from postmortem.ingest.stores.leveldb_log import MAGIC, LogFile
from postmortem.ingest.stores.recorded import Recorded, ending, printed
from postmortem.ingest.stores.stretches import Places, padded
from postmortem.ingest.stores.wandb_items import Items
from postmortem.ingest.stores.wire import BYTES, Fields, fields, inside, read_fields
from postmortem.ingest.text import settings as configuration

# Fields of the message Record that tell of training.
_HISTORY, _SUMMARY, _CONFIG, _CONSOLE, _RUN, _EXIT = 2, 3, 5, 13, 17, 18
_RARE = (_CONFIG, _CONSOLE, _RUN, _EXIT)
_TAKEN = (_HISTORY, _SUMMARY, *_RARE)
_BATCH = 2 << 20  # bytes of records decoded together
_CONSOLE_TAIL = 400  # records of captured output in which the end of a failed run is looked for
_LONGEST_OUTPUT = 4000  # characters kept of each
_MAX_SUMMARY = 10_000  # entries
_OWN_FILES = (
    "config.yaml",
    "wandb-summary.json",
    "wandb-metadata.json",
    "requirements.txt",
    "conda-environment.yaml",
    "diff.patch",
)


def claims(path: Path) -> bool:
    """True for a record file, and for the folder of a run that holds one."""
    return bool(_record_files(path))


def read(path: Path, shown: str) -> list[Recorded]:
    """Reads the run of a folder (or of a record file given by itself).

    Lines are ordinals of records in the record file.
    """
    files = _record_files(path)
    inside = path.is_dir()
    return [_recorded(file, str(Path(shown) / file.name) if inside else shown) for file in files]


def _record_files(path: Path) -> list[Path]:
    if path.suffix == ".wandb" and path.is_file():
        return [path]
    return sorted(file for file in path.glob("run-*.wandb") if file.is_file())


def _recorded(file: Path, shown: str) -> Recorded:
    told = _Told()
    problems = tuple(_read_records(file, shown, told))
    beside, config = _config_file(file, shown)
    settings = told.settings if beside is None else pl.DataFrame(schema=SETTINGS)
    reading = Reading(
        shown,
        "wandb",
        points=points.in_history(told.values()),
        notes=told.notes(shown),
        settings=settings,
        understood=told.count,
        lines=told.count,
        problems=(*problems, *told.history.problems(shown)),
    )
    name = told.name or file.parent.name or file.stem
    return Recorded(name, [reading] if beside is None else [reading, beside], frozenset([file, *config]))


def _config_file(file: Path, shown: str) -> tuple[Reading | None, list[Path]]:
    """The settings in ``files/config.yaml``, which has lines a person can open; and the files nobody need read."""
    folder = file.parent
    own = [folder / "files" / name for name in _OWN_FILES] + sorted(folder.glob("logs/*.log"))
    present = [each for each in own if each.is_file()]
    if not own[0].is_file():
        return None, present
    whole = configuration.read_config(own[0], str(Path(shown).parent / "files" / own[0].name))
    told = whole.settings.filter(~pl.col("key").str.contains(r"^_?wandb|\.desc$"))
    if told.is_empty():
        return None, present
    return Reading(whole.source, "wandb", settings=told, understood=whole.lines, lines=whole.lines), present


def _read_records(file: Path, shown: str, told: _Told) -> Iterator[Problem]:
    """Takes in the records of a file; yields what could not be read."""
    try:
        with file.open("rb") as stream:
            head = stream.read(len(MAGIC) + 1)
            if not head.startswith(MAGIC):
                empty = "empty: the process ended before it wrote anything"
                yield Problem("not a W&B record file" if head.strip(b"\0") else empty, shown)
                return
            stream.seek(0)
            log = LogFile(stream)
            for batch in _batches(log.records()):
                told.take(told.count + 1, batch)
    except OSError as error:
        yield Problem(f"cannot be read: {error.strerror or error}", shown)
        return
    yield from _damage(log, told, shown)


def _batches(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    """Records some megabytes at a time."""
    batch: list[bytes] = []
    size = 0
    for record in records:
        batch.append(record)
        size += len(record)
        if size > _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _damage(log: LogFile, told: _Told, shown: str) -> Iterator[Problem]:
    if log.unfinished:
        yield Problem(
            "its last record is unfinished: the process was killed, or is still writing", shown, log.count + 1
        )
    if log.damaged:
        yield Problem(f"{log.damaged:,} blocks of 32 KiB are damaged; the records in them are lost", shown)
    if log.too_long or told.broken:
        yield Problem(f"{log.too_long + told.broken:,} records could not be decoded", shown)


@dataclass
class _Told:
    """What the records so far said."""

    history: points.Points = field(default_factory=points.Points)
    name: str = ""
    count: int = 0
    broken: int = 0
    settings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=SETTINGS))
    _summary: dict[str, float] = field(default_factory=dict)
    _empty: bool = True  # nothing but bookkeeping in the history
    _end: tuple[int, int] | None = None  # line and code of the exit
    _console: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=_CONSOLE_TAIL))

    def take(self, first: int, records: Sequence[bytes]) -> None:
        """Takes in records, of which ``first`` is the ordinal of the first; those of no interest are passed over."""
        self.count = first + len(records) - 1
        data = padded(b"".join(records))
        end = np.cumsum([len(record) for record in records])
        top, broken = read_fields(data, end - np.array([len(record) for record in records]), end)
        of = {number: _in(top.of(number, BYTES), first) for number in _TAKEN}
        for number, take in ((_HISTORY, self._take_history), (_SUMMARY, self._take_summary)):
            items = Items(data, *of[number][1:])
            broken[of[number][0][items.torn] - first] = True
            take(of[number][0], items)
        told = sorted(
            (line, number, at, last)
            for number in _RARE
            for line, at, last in zip(*(column.tolist() for column in of[number]), strict=True)
        )
        for line, number, at, last in told:
            try:
                self._take_rare(number, line, data[at:last].tobytes())
            except ValueError:
                broken[line - first] = True
        self.broken += int(broken.sum())

    def _take_rare(self, number: int, line: int, message: bytes) -> None:
        takers = {
            _CONFIG: self._take_config,
            _CONSOLE: self._take_console,
            _RUN: self._take_run,
            _EXIT: self._take_exit,
        }
        takers[number](line, message)

    def _take_history(self, lines: Places, items: Items) -> None:
        found = items.numbers()
        self.history.extend(pl.Series("line", lines)[found["message"]], found["label"], found["value"])
        self._empty = self._empty and all(label.startswith("_") for label in found["label"].unique())

    def _take_summary(self, _: Places, items: Items) -> None:
        if self._empty and len(self._summary) < _MAX_SUMMARY:
            self._summary.update(items.numbers().select("label", "value").iter_rows())

    def _take_config(self, line: int, message: bytes) -> None:
        items = Items(padded(message), np.zeros(1, np.int64), np.array([len(message)]))
        if items.torn[0]:
            raise ValueError
        stated = {".".join(path): value for path, value in items.held()}
        fresh = points.settings(line, stated)
        kept = self.settings.filter(~pl.col("key").is_in(fresh["key"].implode()))
        self.settings = pl.concat([kept, fresh])

    def _take_console(self, line: int, message: bytes) -> None:
        texts = (value.decode("utf-8", "replace") for value in inside(message, 3))
        self._console.extend((line, part) for text in texts for part in text[:_LONGEST_OUTPUT].splitlines())

    def _take_run(self, line: int, message: bytes) -> None:
        for name in inside(message, 8):
            self.name = name.decode("utf-8", "replace")
        for config in inside(message, 4):
            self._take_config(line, config)

    def _take_exit(self, line: int, message: bytes) -> None:
        codes = (value for number, value in fields(message) if number == 1 and isinstance(value, int))
        self._end = line, next(codes, 0)  # a code of 0 is left out of the message

    def values(self) -> pl.DataFrame:
        """The history; the summary when the history holds nothing that was logged."""
        if self._empty:
            for label, value in self._summary.items():
                self.history.add(max(self.count, 1), label, value)
        return self.history.frame()

    def notes(self, shown: str) -> pl.DataFrame:
        """How the run ended, if it did; a failure is told in the words of the output captured last."""
        if self._end is None:
            return pl.DataFrame(schema=NOTES)
        line, code = self._end
        if code == 0:
            return ending("finished", "exit code 0", line)
        last = printed(self._console, shown).filter(pl.col("kind").is_in(["traceback", "oom", "killed"])).tail(1)
        kind, text = last.select("kind", "text").row(0) if last.height else ("killed", "the process failed")
        return ending(kind, f"{text} (exit code {code})", line)


def _in(fields: Fields, first: int) -> tuple[Places, Places, Places]:
    """Ordinal, start and end of the messages in a field, in order."""
    order = np.argsort(fields.at, kind="stable")
    return fields.owner[order] + first, fields.at[order], fields.end[order]
