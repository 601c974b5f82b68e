"""Formats beyond the corpus: excerpts from their documentation, and logs of real runs of the frameworks.

``tests/formats/ORIGIN.md`` says where each comes from.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from postmortem import ingest
from postmortem.ingest.packs.pack import load_packs
from postmortem.model import Run

FORMATS = Path(__file__).parent / "formats"
PACKS = load_packs()


def _entries(name: str) -> list[dict[str, Any]]:
    return list(yaml.load((FORMATS / name).read_text("utf-8"), yaml.CSafeLoader))


DOCUMENTED, REAL = _entries("documented.yaml"), _entries("real.yaml")


def _run(path: Path) -> Run:
    logs = ingest.read([path], packs=PACKS)
    assert not logs.problems
    (run,) = logs.runs
    return run


def _shown(number: float | None) -> str:
    return "-" if number is None else str(int(number)) if number.is_integer() else repr(number)


def _facts(run: Run) -> dict[str, str]:
    return dict(run.facts.select("key", "value").iter_rows())


def _same(got: str, wanted: str) -> bool:
    """Rows whose last word, the value, is the same number."""
    (*place, value), (*wanted_place, wanted_value) = got.split(), wanted.split()
    return place == wanted_place and (math.isclose(float(value), float(wanted_value)) or value == wanted_value)


@pytest.mark.parametrize("entry", DOCUMENTED, ids=[entry["format"] for entry in DOCUMENTED])
def test_all_of_an_excerpt_is_read(entry: dict[str, Any], tmp_path: Path) -> None:
    """Every number with its line, epoch, step, split and canonical metric, and no number that is none."""
    log = tmp_path / entry["name"]
    log.write_bytes(entry["log"].encode())
    run = _run(log)
    columns = run.metrics.select("line", "epoch", "step", "split", "metric", "value")
    got = [
        f"{line} {_shown(epoch)} {_shown(None if step is None else float(step))} {split or '-'} {metric} {value!r}"
        for line, epoch, step, split, metric, value in columns.iter_rows()
    ]
    wanted = entry["gives"].splitlines()

    assert run.sources[0].format == entry["reader"]
    assert [row for row, want in zip(got, wanted, strict=False) if not _same(row, want)] == []
    assert len(got) == len(wanted)
    assert entry.get("facts", {}).items() <= _facts(run).items()


@pytest.mark.parametrize("entry", REAL, ids=[entry["file"] for entry in REAL])
def test_all_series_of_a_real_log_are_read(entry: dict[str, Any]) -> None:
    """Every series with its number of points, the first and the last with their place; events; and no other series."""
    run = _run(FORMATS / "real" / entry["file"])
    ends = ("line", "epoch", "step", "value")
    series = run.metrics.with_columns(pl.col("step").cast(pl.Float64)).group_by(
        "split", "metric", "label", maintain_order=True
    )
    got = []
    for (split, metric, label), points in series:
        first, last = (
            f"{line} {_shown(epoch)} {_shown(step)} {value!r}"
            for line, epoch, step, value in (points.select(ends).row(0), points.select(ends).row(-1))
        )
        got.append(f"{split or '-'} {metric} | {label} | {points.height} | {first} | {last}")
    told = run.events.filter(~pl.col("kind").is_in(["warning", "epoch"]))

    assert run.sources[0].format == entry["reader"]
    assert got == entry["gives"].splitlines()
    assert [f"{line} {kind}" for line, kind in told.select("line", "kind").iter_rows()] == entry["events"]
    assert entry.get("facts", {}).items() <= _facts(run).items()


def test_every_real_log_is_expected() -> None:
    """No file of a real run lies there without saying what is read of it."""
    assert {path.name for path in (FORMATS / "real").iterdir()} == {entry["file"] for entry in REAL}
