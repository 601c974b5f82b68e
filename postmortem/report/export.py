"""The typed frames as files that other tools read: Parquet, CSV, and JSON lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import polars as pl

from postmortem.errors import ConfigError, Problem
from postmortem.model import Logs
from postmortem.report.json import plain
from postmortem.schema import empty


def frame(logs: Logs, name: str) -> pl.DataFrame:
    """One frame (``metrics``, ``events``, ``facts`` or ``unread``) of all runs, one below the other."""
    frames: list[pl.DataFrame] = [getattr(run, name) for run in logs.runs]
    return pl.concat([empty(name), *frames])


def writer_for(path: Path) -> Callable[[pl.DataFrame, Path], None]:
    """The writer for the format that the suffix of ``path`` names; NaN and infinities survive in each.

    Raises:
        ConfigError: The suffix names no known format.
    """
    writer = _WRITERS.get(path.suffix.lower())
    if writer is None:
        known = ", ".join(_WRITERS)
        raise ConfigError(Problem(f"cannot tell the format of {str(path)!r}", hint=f"end the name in one of {known}"))
    return writer


def _ndjson(data: pl.DataFrame, path: Path) -> None:
    # Polars writes NaN as null, which would say "no value" where the log said "not a number".
    floats = [name for name, kind in data.schema.items() if kind.is_float()]
    odd = pl.any_horizontal(pl.lit(False), *(pl.col(name).is_finite().not_() for name in floats)).fill_null(False)
    lines = data.select(line=pl.when(~odd).then(pl.struct(pl.all()).struct.json_encode()))["line"]
    spelled = (json.dumps(plain(row), separators=(",", ":")) for row in data.filter(odd).iter_rows(named=True))
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"{next(spelled) if line is None else line}\n" for line in lines)


_WRITERS: Mapping[str, Callable[[pl.DataFrame, Path], None]] = {
    ".parquet": lambda data, path: data.write_parquet(path),
    ".csv": lambda data, path: data.write_csv(path),
    ".ndjson": _ndjson,
    ".jsonl": _ndjson,
}
