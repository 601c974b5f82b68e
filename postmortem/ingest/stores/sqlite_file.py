"""SQLite databases that somebody else owns: opened without a trace, read without trust."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from postmortem.errors import Problem

MAX_COPY = 2 << 30
"""Largest database, in bytes, that is copied because a program is writing it."""

MAX_SECONDS = 120
"""Longest time one database is read; a hostile schema can make a query endless."""

JOURNALS = ("-wal", "-journal")
"""What SQLite appends to the name of a database for the files that hold unfinished writes."""

_MAGIC = b"SQLite format 3\x00"
_STEPS = 1_000_000  # of SQLite's machine between two looks at the clock


def is_database(path: Path) -> bool:
    """True for a file that begins like an SQLite database."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that reads only.

    The file is opened as immutable: no lock is taken and no file is written beside it. Where a program left a journal,
    or is writing one now, database and journal are copied and the copy is opened, so that what stands in the journal
    is read too.

    Raises:
        sqlite3.Error: It cannot be opened.
        OSError: It cannot be copied.
    """
    journals = [Path(f"{path}{end}") for end in JOURNALS]
    pending = [journal for journal in journals if journal.is_file() and journal.stat().st_size]
    with TemporaryDirectory(prefix="postmortem-") as folder:
        if pending and path.stat().st_size + sum(each.stat().st_size for each in pending) <= MAX_COPY:
            for each in (path, *pending):
                shutil.copyfile(each, Path(folder) / each.name)
            uri = (Path(folder) / path.name).as_uri()
        else:
            uri = path.absolute().as_uri() + "?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            yield _guarded(connection)


def _guarded(connection: sqlite3.Connection) -> sqlite3.Connection:
    end = time.monotonic() + MAX_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA query_only = ON")
    # Nothing can be written; without this SQLite refuses all of a database that was cut short.
    connection.execute("PRAGMA writable_schema = ON")
    return connection


def columns(connection: sqlite3.Connection, table: str) -> frozenset[str]:
    """The columns of a plain table; none where it is missing, a view, or virtual."""
    plain = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? AND sql NOT LIKE 'CREATE VIRTUAL%'"
    if connection.execute(plain, (table,)).fetchone() is None:
        return frozenset()
    return frozenset(name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)))


def rows(
    connection: sqlite3.Connection, query: str, shown: str, problems: list[Problem]
) -> Iterator[tuple[object, ...]]:
    """The rows of a query; where the database breaks, those before, and a problem."""
    try:
        yield from connection.execute(query)
    except sqlite3.Error as error:
        problems.append(Problem(f"only partly readable: {error}", shown))


def real(column: str) -> str:
    """SQL for a column's numbers; whatever else stands in it becomes NULL (SQLite enforces no types)."""
    return f"CASE WHEN typeof({column}) IN ('real', 'integer') THEN CAST({column} AS REAL) END"


def whole(column: str) -> str:
    """SQL for a column's integers."""
    return f"CASE WHEN typeof({column}) = 'integer' THEN {column} END"


def text(column: str, longest: int = 1000) -> str:
    """SQL for a column's texts (and bytes) up to a length."""
    return f"CASE WHEN length({column}) <= {longest} THEN CAST({column} AS TEXT) END"
