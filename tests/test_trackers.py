"""Trackers' stores and event files on their way through the whole of reading: found, joined, named once."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
from store_files import MLFLOW, database, exit_record, history, sacred_run, wandb_run
from test_tfevents import HEADER, event, record, simple

from postmortem.ingest import read
from postmortem.model import Run


def only(folder: Path) -> Run:
    """The one run under a folder."""
    (run,) = read([folder]).runs
    return run


def series(run: Run, split: str, metric: str) -> list[float]:
    """Values of one split and metric, in the order of the log."""
    rows = run.metrics.filter((pl.col("split") == split) & (pl.col("metric") == metric))
    return rows["value"].to_list()


def events_of(folder: Path, tag: str, values: list[float], name: str = "events.out.tfevents.1.host") -> None:
    """Writes an event file with one tag."""
    folder.mkdir(parents=True, exist_ok=True)
    body = b"".join(record(event(simple(tag, value), step=step)) for step, value in enumerate(values, 1))
    (folder / name).write_bytes(HEADER + body)


def test_a_folder_of_event_files_is_one_run(tmp_path: Path) -> None:
    """Two writers of one folder are one run; train and validation inside it give the split."""
    events_of(tmp_path / "exp" / "train", "epoch_loss", [3.0, 2.0, 1.0])
    events_of(tmp_path / "exp" / "validation", "epoch_loss", [3.5, 2.5, 2.0])
    events_of(tmp_path / "exp", "lr", [0.5, 0.25], name="events.out.tfevents.2.host")
    run = only(tmp_path)

    assert series(run, "train", "epoch_loss") == [3.0, 2.0, 1.0]
    assert series(run, "val", "epoch_loss") == [3.5, 2.5, 2.0]
    assert series(run, "", "lr") == [0.5, 0.25]


def test_captured_output_joins_the_run_of_its_tracker(tmp_path: Path) -> None:
    """W&B's record file and the output it captured are one run, found from any folder above."""
    run = wandb_run(tmp_path / "wandb", [history(loss=2.0, _step=1), history(loss=1.0, _step=2), exit_record(0)])
    (run / "files").mkdir()
    (run / "files" / "output.log").write_text("".join(f"step {s}: grad_norm {9 - s}.5\n" for s in range(1, 6)))
    found = only(tmp_path)

    assert series(found, "train", "loss") == [2.0, 1.0]
    assert series(found, "", "grad_norm") == [8.5, 7.5, 6.5, 5.5, 4.5]
    assert {source.format for source in found.sources} == {"wandb", "key-value"}
    assert "finished" in found.events["kind"].to_list()


def test_files_a_store_has_read_are_not_read_again(tmp_path: Path) -> None:
    """Sacred's JSON files are read once, by the store, and give no second run."""
    steps = {"steps": [1, 2, 3], "timestamps": ["2026-01-01T00:00:00"] * 3, "values": [3.0, 2.0, 1.0]}
    sacred_run(tmp_path, {"status": "COMPLETED"}, json.dumps({"loss": steps}))

    assert series(only(tmp_path), "train", "loss").count(3.0) == 1


def test_every_run_of_a_database_is_a_run(tmp_path: Path) -> None:
    """A database file gives its runs under different names, beside a log of another program."""
    database(tmp_path / "mlflow.db", MLFLOW)
    (tmp_path / "train.log").write_text("".join(f"epoch {e} val_loss {1 / e:.4f}\n" for e in range(1, 9)))
    names = [run.name for run in read([tmp_path]).runs]

    assert len(names) == len(set(names)) == 3


def test_a_broken_store_costs_nothing_beside_it(tmp_path: Path) -> None:
    """A file that only pretends to be a store is a problem, and the log beside it is read."""
    (tmp_path / "run-1.wandb").write_bytes(b":W&B" + b"\xff" * 100)
    (tmp_path / "some.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 200)
    (tmp_path / "train.log").write_text("".join(f"epoch {e} val_loss {1 / e:.4f}\n" for e in range(1, 9)))
    logs = read([tmp_path])

    assert [run.metrics.height for run in logs.runs] == [8]
    assert logs.problems
