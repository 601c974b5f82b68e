"""MLflow's file store: the folder of a run, ``mlruns/<experiment>/<run>/``.

``meta.yaml`` tells name and status, ``metrics/<name>`` has a line ``milliseconds value step`` for each value (the
step is missing in old files, the data set may follow it), ``params/<name>`` is the text of one setting, and
``tags/<name>`` of what the user noted beside (``mlflow.<name>``: of what MLflow did).
Source: https://github.com/mlflow/mlflow/blob/master/mlflow/store/tracking/file_store.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.lines import read_lines
from postmortem.ingest.reading import NOTES, POINTS, SETTINGS, Reading
from postmortem.ingest.stores.points import without_default_steps
from postmortem.ingest.stores.recorded import Recorded, ending, moment
from postmortem.ingest.text import settings as configuration
from postmortem.schema import TIME

_STATUS = {"3": "FINISHED", "4": "FAILED", "5": "KILLED"}
_KINDS = {
    "FINISHED": "finished",
    "FAILED": "traceback",  # set where an exception left the run's ``with`` block
    "KILLED": "killed",
}

MAX_FILES = 5000
"""Most metrics, and most settings, of one run."""

OWN_TAGS = "mlflow."
"""What the names of the tags begin with that MLflow sets itself."""

NAME_TAG = "mlflow.runName"
"""The tag that holds the name of a run in old stores."""

_LONGEST_PARAM = 1000  # characters; a longer one is a dump
_HEAD = 65536  # bytes of meta.yaml in which the run's id is looked for
_RUN_ID = re.compile(rb"(?m)^run_(?:uu)?id:")
_LINE = r"^([0-9]+) (\S+)(?: (-?[0-9]+)(?: .*)?)?$"


def claims(path: Path) -> bool:
    """True for the folder of a run: its ``meta.yaml`` has the id of one (those of experiments and models have not)."""
    try:
        with (path / "meta.yaml").open("rb") as stream:
            return bool(_RUN_ID.search(stream.read(_HEAD)))
    except OSError:
        return False


def read(path: Path, shown: str) -> list[Recorded]:
    """Reads one run; a reading for each metric, whose file it is, one each for params and tags, and one for the end.

    The settings have the folder ``params`` (or ``tags``) for a source and their place in it, sorted by name, for a
    line.
    """
    shown = str(Path(shown))
    meta = configuration.read_config(path / "meta.yaml", f"{shown}/meta.yaml")
    told = {key: (line, value) for line, key, value in meta.settings.iter_rows()}
    _, name = told.get("run_name", (0, ""))
    metrics = [_metric(file, f"{shown}/metrics", label) for label, file in _files(path / "metrics")]
    told_of = {name: list(_files(path / name)) for name in ("params", "tags")}
    tags = dict(told_of["tags"])
    told_of["tags"] = [(key, file) for key, file in tags.items() if not key.startswith(OWN_TAGS)]
    settings = [_settings(files, f"{shown}/{name}") for name, files in told_of.items() if files or name == "params"]
    last = Reading(
        meta.source, "mlflow", notes=_end(told), understood=meta.lines, lines=meta.lines, problems=meta.problems
    )
    owned = [path / "meta.yaml", *(file for each in ("metrics", "params", "tags") for _, file in _files(path / each))]
    name = name or _name(tags) or path.name
    return [Recorded(name, [*metrics, *settings, last], frozenset(owned))]


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of the files below a folder, sorted; "/" stands for folders between. No link is followed."""
    below = (Path(root) / name for root, _, names in sorted(os.walk(folder)) for name in sorted(names))
    files = ((file.relative_to(folder).as_posix(), file) for file in below if not file.is_symlink() and file.is_file())
    return islice(files, MAX_FILES)


def end(status: str, line: int, milliseconds: int | None) -> pl.DataFrame:
    """How a run ended, from its status (a word, or the number the file store has for it); a frame of NOTES."""
    word = _STATUS.get(status, status)
    if word not in _KINDS:
        return pl.DataFrame(schema=NOTES)
    return ending(_KINDS[word], f"MLflow status {word}", line, moment((milliseconds or 0) / 1000))


def _end(told: dict[str, tuple[int, str]]) -> pl.DataFrame:
    line, status = told.get("status", (1, ""))
    _, ended = told.get("end_time", (0, ""))
    return end(status, line, int(ended) if ended.isascii() and ended.isdigit() and len(ended) < 20 else None)


def _metric(file: Path, shown: str, label: str) -> Reading:
    shown = f"{shown}/{label}"
    text = read_lines(file, shown)
    part = pl.col("text").str.extract_groups(_LINE).struct
    rows = text.lines.with_columns(
        value=part.field("2").str.replace(r"^([-+]?)[iI]nf(inity)?$", "${1}inf").cast(pl.Float64, strict=False),
        milliseconds=part.field("1").cast(pl.Int64, strict=False),
        step=part.field("3").cast(pl.Int64, strict=False),
    )
    clock = pl.when(pl.col("milliseconds").is_between(10**12, 4 * 10**12)).then(pl.col("milliseconds") * 1000)
    found = rows.filter(pl.col("value").is_not_null()).with_columns(
        label=pl.lit(label), epoch=None, split=None, time=clock.cast(TIME)
    )
    unread = text.lines.filter(rows["value"].is_null() & (rows["text"].str.strip_chars() != ""))
    points = without_default_steps(found.select(list(POINTS)).cast(POINTS))
    understood = text.count - unread["line"].n_unique()
    return Reading(
        shown, "mlflow", points, understood=understood, unread=unread, lines=text.count, problems=text.problems
    )


def _name(tags: Mapping[str, Path]) -> str:
    with suppress(KeyError, OSError):
        return _text(tags[NAME_TAG]).strip()
    return ""


def _text(file: Path) -> str:
    with file.open(encoding="utf-8", errors="replace") as stream:
        return stream.read(_LONGEST_PARAM + 1)


def _settings(params: list[tuple[str, Path]], shown: str) -> Reading:
    rows: list[tuple[int, str, str]] = []
    problems: list[Problem] = []
    for line, (key, file) in enumerate(params, start=1):
        try:
            value = _text(file)
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror or error}", f"{shown}/{key}"))
            continue
        if len(value) <= _LONGEST_PARAM:
            rows.append((line, key, value.strip()))
    told = pl.DataFrame(rows, schema=SETTINGS, orient="row")
    return Reading(shown, "mlflow", settings=told, understood=len(params), lines=len(params), problems=tuple(problems))
