"""Reads training logs of any framework into runs with typed frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import polars as pl

from postmortem import names
from postmortem.errors import Problem
from postmortem.ingest import detect
from postmortem.ingest.assemble import assemble, is_log
from postmortem.ingest.discover import Found, discover
from postmortem.ingest.lines import Text, read_lines
from postmortem.ingest.packs.pack import Pack, load_packs
from postmortem.ingest.reading import Reading
from postmortem.ingest.same import Capture
from postmortem.ingest.stores import tfevents
from postmortem.ingest.stores.recorded import Recorded
from postmortem.ingest.text import settings as configuration
from postmortem.model import Logs

Progress = Callable[[int, int, str], None]
"""Called before each file with the number of files done, the number of all files, and the file's name."""

_NO_SETTINGS: Mapping[str, str] = {}
_DOCUMENTS = (".md", ".markdown")
_QUOTED = 0.25  # share of a document's lines that must measure for it to be a log
_CONFIGURATION = (".yaml", ".yml")  # whatever the name: nobody logs in YAML


def read(
    paths: Sequence[str | os.PathLike[str]],
    *,
    settings: Mapping[str, str] = _NO_SETTINGS,
    packs: Iterable[Pack] | None = None,
    progress: Progress | None = None,
) -> Logs:
    """Reads files and folders into runs.

    Args:
        paths: Log files, or folders that hold them.
        settings: Facts the logs lack, from the command line; added to every run with the source ``--set``.
        packs: Format packs to try before the generic readers; the shipped ones by default.
        progress: Told of each file before it is read.

    Returns:
        The runs found, and the problems: whatever could not be read, and why.

    Raises:
        InputError: A path does not exist.
    """
    finding = discover(paths)
    packs = _shipped() if packs is None else list(packs)
    eventful = {found.path: found.shown for found in finding.files if _is_event_file(found)}
    events = tfevents.read_files(list(eventful.items()))
    gathered = _Gathered(problems=list(finding.problems))
    for done, found in enumerate(finding.files):
        if progress is not None:
            progress(done, len(finding.files), found.shown)
        event = next(events) if found.path in eventful else None
        if found.path in gathered.owned:
            continue
        if found.store is not None:
            gathered.take_store(found, found.store.read(found.path, found.shown))
        elif found.config:
            gathered.configs.append((found.folder, configuration.read_config(found.path, found.shown)))
        elif event is not None:
            gathered.take(found, _of_event_file(found, event))
        else:
            gathered.take(found, _capture(found, packs, alone=len(finding.files) == 1))
    runs = assemble(gathered.captures, gathered.configs, settings, gathered.stored)
    return Logs(runs, (*gathered.problems, *gathered.told_beside()))


@cache
def _shipped() -> Sequence[Pack]:
    return tuple(load_packs())


@dataclass
class _Gathered:
    """What the files read so far said.

    Attributes:
        captures: Logs.
        configs: Configuration files, with their folders.
        stored: Runs of trackers, with the folders of their stores.
        owned: Files that a store has read.
    """

    problems: list[Problem]
    captures: list[Capture] = field(default_factory=list)
    configs: list[tuple[str, Reading]] = field(default_factory=list)
    stored: list[tuple[str, Recorded]] = field(default_factory=list)
    owned: set[Path] = field(default_factory=set)

    def take(self, found: Found, capture: Capture) -> None:
        """Keeps what tells of training; a file given by name is a problem when it does not."""
        tells = is_log(capture.reading) and (found.named or not _quotes(capture.reading))
        self.problems += capture.reading.problems if found.named or tells else ()
        if tells:
            self.captures.append(capture)
        elif found.named and not capture.reading.problems:
            self.problems.append(_holds_nothing(found))

    def take_store(self, found: Found, runs: Sequence[Recorded]) -> None:
        """Keeps the runs of a store."""
        self.stored += [(found.folder, run) for run in runs]
        self.owned.update(path for run in runs for path in run.owned)

    def told_beside(self) -> Iterator[Problem]:
        """The problems of configuration files and stores."""
        readings = [
            *(reading for _, reading in self.configs),
            *(each for _, run in self.stored for each in run.readings),
        ]
        return (problem for reading in readings for problem in reading.problems)


def _capture(found: Found, packs: Sequence[Pack], *, alone: bool) -> Capture:
    if found.path.suffix in _CONFIGURATION:
        return Capture(configuration.read_config(found.path, found.shown), found.folder)
    text = read_lines(found.path, found.shown)
    reading = (
        detect.read(text, found.shown, packs)
        if text.lines.height
        else Reading(found.shown, "none", problems=text.problems)
    )
    return Capture(reading, found.folder, *(() if alone else _signature(text)))  # nothing else can be its copy


def _is_event_file(found: Found) -> bool:
    if found.store is not None or found.config or found.path.suffix in _CONFIGURATION:
        return False
    try:
        with found.path.open("rb") as file:
            return tfevents.claims(found.path, file.read(64))
    except OSError:
        return False


def _of_event_file(found: Found, reading: Reading) -> Capture:
    """A run of TensorBoard is a folder; writers of one process keep train and validation in folders inside it."""
    split = names.split_word(Path(found.folder).name)
    if split is None:
        return Capture(reading, found.folder)
    points = reading.points.with_columns(split=pl.lit(split))
    return Capture(replace(reading, points=points), str(Path(found.folder).parent))


def _signature(text: Text) -> tuple[pl.Series, pl.Series]:
    """Hashes of the written lines, and of the timestamped ones among them."""
    bare = text.lines["text"].str.strip_chars_end()
    bare = bare.filter(bare != "")
    hashes = bare.hash()
    timed = bare.str.slice(0, 80).str.contains("[0-9]:[0-9]{2}:[0-9]{2}")
    return hashes, hashes.filter(timed).unique(maintain_order=True)


def _quotes(reading: Reading) -> bool:
    """A document in Markdown that quotes some lines of logs, and is none."""
    generic = reading.format in ("key-value", "table", "box")
    telling = reading.points["line"].n_unique() if reading.points.height else 0
    return generic and Path(reading.source).suffix in _DOCUMENTS and telling < _QUOTED * reading.lines


def _holds_nothing(found: Found) -> Problem:
    return Problem(
        "no training metrics found in it", found.shown, hint="see `postmortem formats explain FILE` for what was tried"
    )
