"""ClearML's offline sessions: a folder or a zip with ``task.json``, ``metrics.jsonl`` and ``log.jsonl``.

A line of ``metrics.jsonl`` is a list of events, a scalar being ``{type: training_stats_scalar, metric, variant, iter,
value, timestamp}``; a line of ``log.jsonl`` is a list of captured pieces of output. ClearML writes 0 for NaN.
Source: https://github.com/clearml/clearml/blob/master/clearml/backend_interface/metrics/interface.py
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.opening import MAX_BYTES, MAX_RATIO
from postmortem.ingest.reading import SETTINGS, Reading
from postmortem.ingest.stores.points import Points, number, parsed, whole
from postmortem.ingest.stores.recorded import Recorded, moment, printed

MAX_LINE = 16 << 20
"""Longest line read, in bytes; one holds the events of a few seconds."""

_MAX_OUTPUT = 200_000  # lines of captured output in which events are looked for
_TASK, _METRICS, _LOG = "task.json", "metrics.jsonl", "log.jsonl"
_NO_ITERATION = -(2**31)  # of a single value
_BROKEN = (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError, KeyError)

_Open = Callable[[str], IO[bytes]]


def claims(path: Path) -> bool:
    """True for the folder of a session and for its zip."""
    try:
        held = _names(path)
    except _BROKEN:
        return False
    return _TASK in held and bool({_METRICS, _LOG} & held)


def read(path: Path, shown: str) -> list[Recorded]:
    """Reads one session: its scalars, its parameters, and the events told by the captured output."""
    shown = str(Path(shown))
    owned = {path} if path.is_file() else {path / name for name in _names(path)}
    try:
        if path.is_dir():
            return [_recorded(lambda name: (path / name).open("rb"), _names(path), path, shown, owned)]
        with zipfile.ZipFile(path) as archive:
            _refuse_bombs(archive)
            return [_recorded(archive.open, _names(path), path, shown, owned)]
    except _BROKEN as error:
        problem = Problem(f"cannot be read: {error}", shown)
        return [Recorded(path.stem, [Reading(shown, "clearml", problems=(problem,))], frozenset(owned))]


def _names(path: Path) -> set[str]:
    """The session's own files in a folder or a zip; none in anything else."""
    own = {_TASK, _METRICS, _LOG}
    if path.is_dir():
        return {name for name in own if (path / name).is_file()}
    if path.suffix.lower() != ".zip":
        return set()
    with zipfile.ZipFile(path) as archive:
        return own & set(archive.namelist())


def _refuse_bombs(archive: zipfile.ZipFile) -> None:
    for name in (_TASK, _METRICS, _LOG):
        with suppress(KeyError):
            member = archive.getinfo(name)
            if member.file_size > min(MAX_BYTES, MAX_LINE + MAX_RATIO * member.compress_size):
                raise zipfile.BadZipFile(f"{name} unpacks to {member.file_size:,} bytes")


def _recorded(open_: _Open, held: set[str], path: Path, shown: str, owned: set[Path]) -> Recorded:
    with open_(_TASK) as stream:
        task = parsed(stream.read(MAX_LINE))
    told = task if isinstance(task, dict) else {}
    settings = pl.DataFrame(list(_parameters(told)), schema=SETTINGS, orient="row")
    wrong = () if told else (Problem("not readable as JSON", f"{shown}/{_TASK}"),)
    readings = [Reading(f"{shown}/{_TASK}", "clearml", settings=settings, understood=1, lines=1, problems=wrong)]
    for name, reader in ((_METRICS, _metrics), (_LOG, _log)):
        if name in held:
            with open_(name) as stream:
                readings.append(reader(stream, f"{shown}/{name}"))
    return Recorded(str(told.get("name") or path.stem), readings, frozenset(owned))


def _parameters(task: dict[str, Any]) -> Iterator[tuple[int, str, str]]:
    """The parameters of all sections, without the names of the sections."""
    sections = task.get("hyperparams")
    for section in sections.values() if isinstance(sections, dict) else ():
        for key, entry in section.items() if isinstance(section, dict) else ():
            if isinstance(entry, dict) and entry.get("value") is not None:
                yield 1, key, str(entry["value"])


def _metrics(stream: IO[bytes], shown: str) -> Reading:
    table = Points()
    count, problems = 0, list[Problem]()
    for count, event in _events(stream, shown, problems):
        value = number(event.get("value"))
        if event.get("type") == "training_stats_scalar" and value is not None:
            step, time = whole(event.get("iter")), number(event.get("timestamp"))
            table.add(
                count,
                _label(event),
                value,
                step=None if step == _NO_ITERATION else step,
                time=moment(time / 1000) if time else None,
            )
    problems += table.problems(shown)
    return Reading(shown, "clearml", table.frame(), understood=count, lines=count, problems=tuple(problems))


def _label(event: dict[str, Any]) -> str:
    """``loss/train``; a title that says what the series says, or that it is a single value, adds nothing."""
    title, series = str(event.get("metric", "")), str(event.get("variant", ""))
    alone = not title or title == series or event.get("iter") == _NO_ITERATION
    return series if alone and series else f"{title}/{series}" if series else title


def _log(stream: IO[bytes], shown: str) -> Reading:
    count, problems = 0, list[Problem]()
    output: list[tuple[int, str]] = []
    for count, event in _events(stream, shown, problems):
        if len(output) < _MAX_OUTPUT:
            output += [(count, text) for text in str(event.get("msg", "")).splitlines()]
    notes = printed(output, shown)
    return Reading(shown, "clearml", notes=notes, understood=count, lines=count, problems=tuple(problems))


def _events(stream: IO[bytes], shown: str, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and event of all lists of events; broken lines are counted in one problem."""
    broken: list[int] = []
    line = 0
    try:
        for line, raw in enumerate(iter(lambda: stream.readline(MAX_LINE), b""), start=1):
            found = parsed(raw)
            if not isinstance(found, list):
                broken.append(line)
                continue
            yield from ((line, event) for event in found if isinstance(event, dict))
    except _BROKEN as error:
        problems.append(Problem(f"breaks off: {error}", shown, line + 1))
    if broken:
        problems.append(Problem(f"{len(broken):,} lines could not be decoded", shown, broken[0]))
