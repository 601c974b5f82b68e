"""Aim's repositories (``.aim``): recognised, and said to be unread.

The series lie in RocksDB under encodings of Aim's own, which only Aim reads; its SQLite database has but the names of
the runs. Source: https://github.com/aimhubio/aim/blob/main/aim/storage/rockscontainer.pyx
"""

from __future__ import annotations

import os
import sqlite3
from itertools import islice
from pathlib import Path

from postmortem.errors import Problem
from postmortem.ingest.reading import Reading
from postmortem.ingest.stores.recorded import Recorded
from postmortem.ingest.stores.sqlite_file import columns, opened

_MAX_FILES = 100_000
_DATABASE = "run_metadata.sqlite"
_EXPORT = "export it with Aim: for run in aim.Repo(PATH).query_metrics().iter_runs(): run.dataframe().to_csv(...)"


def claims(path: Path) -> bool:
    """True for the folder of a repository."""
    return (path / _DATABASE).is_file() or (path.name == ".aim" and (path / "meta").is_dir())


def read(path: Path, shown: str) -> list[Recorded]:
    """Says how many runs there are, and how to export them."""
    files = (Path(root) / name for root, _, names in os.walk(path) for name in names)
    reading = Reading(shown, "aim", problems=(_unread(path / _DATABASE, shown),))
    return [Recorded(path.name, [reading], frozenset(islice(files, _MAX_FILES)))]


def _unread(database: Path, shown: str) -> Problem:
    try:
        with opened(database) as connection:
            there = bool(columns(connection, "run"))
            runs = connection.execute("SELECT count(*) FROM run").fetchone()[0] if there else 0
    except (sqlite3.Error, OSError):
        return Problem("an Aim repository, whose series only Aim can read", shown, hint=_EXPORT)
    if not runs:
        return Problem("an Aim repository without runs", shown)
    return Problem(f"an Aim repository of {runs:,} runs, whose series only Aim can read", shown, hint=_EXPORT)
