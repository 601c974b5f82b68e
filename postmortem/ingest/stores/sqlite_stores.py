"""Trackers that keep their runs in an SQLite database: MLflow and Trackio.

Lines are the ``rowid`` of the row a value was read from.
Sources: https://github.com/mlflow/mlflow/blob/master/mlflow/store/tracking/dbmodels/models.py and
https://huggingface.co/docs/trackio/storage_schema
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.reading import POINTS, SETTINGS, Reading
from postmortem.ingest.stores import mlflow, points
from postmortem.ingest.stores.points import Points
from postmortem.ingest.stores.recorded import Recorded, moment
from postmortem.ingest.stores.sqlite_file import JOURNALS, columns, is_database, opened, real, rows, text, whole

_LARGEST_RECORD = 1_000_000  # characters of one logged record

_Named = tuple[str, str, Reading]  # a run's id and name, and what the database says of it


def claims(path: Path) -> bool:
    """True for a database with the tables of a tracker."""
    if not path.is_file() or not is_database(path):
        return False
    try:
        with opened(path) as connection:
            return _kind(connection) is not None
    except (sqlite3.Error, OSError):
        return False


def read(path: Path, shown: str) -> list[Recorded]:
    """Reads the runs of a database, in the order they were started.

    What is wrong with the file is said once, by a further record without values.
    """
    problems: list[Problem] = []
    runs: list[_Named] = []
    owned = frozenset(each for end in ("", *JOURNALS, "-shm") if (each := Path(f"{path}{end}")).is_file())
    try:
        with opened(path) as connection:
            reader = _READERS.get(_kind(connection) or "")
            runs = list(reader(connection, shown, problems)) if reader else []
    except (sqlite3.Error, OSError) as error:
        problems.append(Problem(f"cannot be read as a database: {error}", shown))
    if not runs and not problems:
        problems.append(Problem("a tracker's database without runs", shown))
    wrong = Recorded(path.name, [Reading(shown, "sqlite", problems=tuple(problems))], owned)
    return [*_recorded(runs, owned), *([wrong] if problems else [])]


def _recorded(runs: list[_Named], owned: frozenset[Path]) -> Iterator[Recorded]:
    """The runs; those that share a name are told apart by their ids."""
    often = Counter(name for _, name, _ in runs)
    for run, name, reading in runs:
        yield Recorded(f"{name} ({run[:8]})" if often[name] > 1 else name, [reading], owned)


def _kind(connection: sqlite3.Connection) -> str | None:
    """Whose database it is, told by the columns of its table of metrics."""
    metrics = columns(connection, "metrics")
    if {"key", "value", "timestamp", "run_uuid"} <= metrics and columns(connection, "runs"):
        return "mlflow"
    return "trackio" if {"run_name", "timestamp", "metrics"} <= metrics else None


def _mlflow(connection: sqlite3.Connection, shown: str, problems: list[Problem]) -> Iterator[_Named]:
    table = Points()
    there = columns(connection, "metrics")
    is_nan, step = (name if name in there else "NULL" for name in ("is_nan", "step"))
    query = (
        f"SELECT rowid, {text('run_uuid')}, {text('key')}, {real('value')}, {whole('timestamp')}, {whole(step)}, "
        f"{whole(is_nan)} FROM metrics ORDER BY rowid LIMIT {points.MAX_POINTS + 1}"
    )
    for line, run, key, value, time, at, nan in _typed(connection, query, shown, problems):
        if run is not None and key is not None and value is not None:
            table.add(line, key, _logged(value, nan), step=at, time=moment((time or 0) / 1000), run=run)
    found = table.of_runs()
    problems += table.problems(shown)
    params, tags = (_mlflow_texts(connection, table, shown, problems) for table in ("params", "tags"))
    known = _mlflow_runs(connection, shown, problems)
    for run, (line, name, status, ended) in {**dict.fromkeys(found, (1, None, None, None)), **known}.items():
        reading = Reading(
            shown,
            "mlflow",
            points=points.without_default_steps(found.get(run, pl.DataFrame(schema=POINTS))),
            notes=mlflow.end(status or "", line, ended),
            settings=pl.DataFrame(
                [*params.get(run, ()), *(tag for tag in tags.get(run, ()) if not tag[1].startswith(mlflow.OWN_TAGS))],
                schema=SETTINGS,
                orient="row",
            ),
        )
        named = next((value for _, key, value in tags.get(run, ()) if key == mlflow.NAME_TAG), None)
        yield run, name or named or run, _counted(reading)


def _logged(value: float, nan: int | None) -> float:
    """NaN is a flag, and an infinity the largest float: databases have no word for either."""
    if nan:
        return float("nan")
    return value * 2 if abs(value) == sys.float_info.max else value


def _mlflow_texts(
    connection: sqlite3.Connection, table: str, shown: str, problems: list[Problem]
) -> dict[str, list[tuple[int, str, str]]]:
    """Row, key and value of the params or the tags of each run."""
    if not columns(connection, table) >= {"key", "value", "run_uuid"}:
        return {}
    query = f"SELECT rowid, {text('run_uuid')}, {text('key')}, {text('value')} FROM {table} ORDER BY rowid"
    told: dict[str, list[tuple[int, str, str]]] = {}
    for line, run, key, value in _typed(connection, query, shown, problems):
        if None not in (run, key, value):
            told.setdefault(run, []).append((line, key, value))
    return told


def _mlflow_runs(
    connection: sqlite3.Connection, shown: str, problems: list[Problem]
) -> dict[str, tuple[int, str | None, str | None, int | None]]:
    """Row, name, status and time of the end (ms) of each run."""
    there = columns(connection, "runs")
    name, status = (text(each) if each in there else "NULL" for each in ("name", "status"))
    ended = whole("end_time") if "end_time" in there else "NULL"
    query = f"SELECT rowid, {text('run_uuid')}, {name}, {status}, {ended} FROM runs ORDER BY rowid"
    return {run: (line, *rest) for line, run, *rest in _typed(connection, query, shown, problems) if run is not None}


def _trackio(connection: sqlite3.Connection, shown: str, problems: list[Problem]) -> Iterator[_Named]:
    table = Points()
    run_id, step = _trackio_columns(connection, "metrics")
    names: dict[str, str] = {}
    query = (
        f"SELECT rowid, {run_id}, {text('run_name')}, {step}, {text('timestamp')}, {text('metrics', _LARGEST_RECORD)} "
        "FROM metrics ORDER BY rowid"
    )
    for line, run, name, at, time, logged in _typed(connection, query, shown, problems):
        record = {"_step": at, "_timestamp": (moment(time) or 0) / 1e6, **_object(logged)}
        names.setdefault(run or "", name or "")
        for label, leaf in points.leaves(record):
            value = points.number(leaf)
            if value is not None:
                table.add(line, label, value, run=run or "")
    problems += table.problems(shown)
    settings = _trackio_configs(connection, shown, problems)
    for run, found in table.of_runs().items():
        told = settings.get(run, _none(SETTINGS))
        yield run, names[run] or run, _counted(Reading(shown, "trackio", points.in_history(found), settings=told))


_READERS = {"mlflow": _mlflow, "trackio": _trackio}


def _trackio_configs(connection: sqlite3.Connection, shown: str, problems: list[Problem]) -> dict[str, pl.DataFrame]:
    if not columns(connection, "configs") >= {"run_name", "config"}:
        return {}
    run_id, _ = _trackio_columns(connection, "configs")
    query = f"SELECT rowid, {run_id}, {text('config', _LARGEST_RECORD)} FROM configs ORDER BY rowid"
    found = _typed(connection, query, shown, problems)
    return {run or "": points.settings(line, _object(config)) for line, run, config in found}


def _trackio_columns(connection: sqlite3.Connection, table: str) -> tuple[str, str]:
    """SQL for the run's id and the step: early versions had a name in place of the one, and not the other."""
    there = columns(connection, table)
    run = next(name for name in ("run_id", "run_name") if name in there)
    return text(run), whole("step") if "step" in there else "NULL"


def _typed(
    connection: sqlite3.Connection, query: str, shown: str, problems: list[Problem]
) -> Iterator[tuple[Any, ...]]:
    """Rows whose columns have the types that ``real``, ``whole`` and ``text`` select."""
    return rows(connection, query, shown, problems)


def _object(logged: str | None) -> Mapping[str, object]:
    told = points.parsed(logged or "")
    return told if isinstance(told, dict) else {}


def _none(columns_of: Mapping[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict(columns_of))


def _counted(reading: Reading) -> Reading:
    """The reading with the number of its rows, all of which were understood."""
    count = reading.points["line"].n_unique() + reading.settings.height
    return replace(reading, lines=count, understood=count)
