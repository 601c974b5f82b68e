"""Reads training logs of any framework into runs with typed frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from postmortem import names
from postmortem.errors import Problem
from postmortem.ingest import detect
from postmortem.ingest import settings as configuration
from postmortem.ingest.assemble import assemble, is_log
from postmortem.ingest.discover import Found, discover
from postmortem.ingest.lines import Text, read_lines
from postmortem.ingest.pack import FormatPack, load_packs
from postmortem.ingest.reading import Reading
from postmortem.ingest.same import Capture
from postmortem.ingest.stores import tfevents
from postmortem.ingest.stores.recorded import Recorded
from postmortem.model import Logs

Progress = Callable[[int, int, str], None]
"""Called before each file with the number of files done, the number of all files, and the file's name."""

_NO_SETTINGS: Mapping[str, str] = {}
_CONFIGURATION = (".yaml", ".yml")  # whatever the name: nobody logs in YAML


def read(
    paths: Sequence[str | os.PathLike[str]],
    *,
    settings: Mapping[str, str] = _NO_SETTINGS,
    packs: Iterable[FormatPack] | None = None,
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
    packs = list(load_packs() if packs is None else packs)
    captures: list[Capture] = []
    configs: list[tuple[str, Reading]] = []
    stored: list[tuple[str, Recorded]] = []
    owned: set[Path] = set()
    problems = list(finding.problems)
    for done, found in enumerate(finding.files):
        if progress is not None:
            progress(done, len(finding.files), found.shown)
        if found.path in owned:
            continue
        if found.store is not None:
            runs = found.store.read(found.path, found.shown)
            stored += [(found.folder, run) for run in runs]
            owned.update(path for run in runs for path in run.owned)
            continue
        if found.config:
            configs.append((found.folder, configuration.read_config(found.path, found.shown)))
            continue
        capture = _capture(found, packs)
        problems += capture.reading.problems if found.named or is_log(capture.reading) else ()
        if is_log(capture.reading):
            captures.append(capture)
        elif found.named and not capture.reading.problems:
            problems.append(_holds_nothing(found))
    told = [*(reading for _, reading in configs), *(reading for _, run in stored for reading in run.readings)]
    problems += [problem for reading in told for problem in reading.problems]
    return Logs(assemble(captures, configs, settings, stored), tuple(problems))


def _capture(found: Found, packs: Sequence[FormatPack]) -> Capture:
    if found.path.suffix in _CONFIGURATION:
        return Capture(configuration.read_config(found.path, found.shown), found.folder)
    if tfevents.claims(found.path, _head(found.path)):
        return _event_file(found)
    text = read_lines(found.path, found.shown)
    reading = (
        detect.read(text, found.shown, packs)
        if text.lines.height
        else Reading(found.shown, "none", problems=text.problems)
    )
    return Capture(reading, found.folder, *_signature(text))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError:
        return b""


def _event_file(found: Found) -> Capture:
    """A run of TensorBoard is a folder; writers of one process keep train and validation in folders inside it."""
    reading = tfevents.read(found.path, found.shown)
    split = names.split_word(Path(found.folder).name)
    if split is None:
        return Capture(reading, found.folder)
    points = reading.points.with_columns(split=pl.lit(split))
    return Capture(replace(reading, points=points), str(Path(found.folder).parent))


def _signature(text: Text) -> tuple[pl.Series, pl.Series]:
    """Hashes of the written lines, and of the timestamped ones among them."""
    bare = text.lines["text"].str.strip_chars_end()
    bare = bare.filter(bare != "")
    timed = bare.filter(bare.str.slice(0, 80).str.contains("[0-9]:[0-9]{2}:[0-9]{2}"))
    return bare.hash(), timed.hash().unique(maintain_order=True)


def _holds_nothing(found: Found) -> Problem:
    return Problem(
        "no training metrics found in it", found.shown, hint="see `postmortem formats explain FILE` for what was tried"
    )
