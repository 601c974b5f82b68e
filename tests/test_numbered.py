"""Folders in which every step wrote a file of its own."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from postmortem.ingest import read


def _write(folder: Path, name: str, **values: float) -> None:
    (folder / name).write_text(json.dumps(values), "utf-8")


def test_the_number_of_the_file_is_the_step(tmp_path: Path) -> None:
    """Files that tell of one place each and name none are one run, in the order of their numbers."""
    for number in (9, 10, 11, 100):
        _write(tmp_path, f"eval_{number}.json", val_loss=1 / number, val_accuracy=0.9)

    (run,) = read([tmp_path]).runs
    losses = run.metrics.filter(pl.col("metric") == "loss")

    assert losses["step"].to_list() == [9, 10, 11, 100]
    assert losses["value"].to_list() == [1 / 9, 1 / 10, 1 / 11, 1 / 100]


def test_files_that_name_their_epoch_keep_it(tmp_path: Path) -> None:
    """An epoch in the file is better than a number in its name, and epoch 1 is not taken for another count of 0."""
    for epoch in range(4):
        _write(tmp_path, f"metrics_epoch_{epoch}.json", epoch=epoch, val_loss=1 / (epoch + 1), val_accuracy=0.5)

    (run,) = read([tmp_path]).runs

    assert run.metrics.filter(pl.col("metric") == "loss")["epoch"].to_list() == [0, 1, 2, 3]


@pytest.mark.parametrize("word", ["seed", "fold", "run", "trial", "rank"])
def test_runs_are_no_steps(tmp_path: Path, word: str) -> None:
    """Seeds and folds are numbered too, and are runs of their own."""
    for number in range(3):
        _write(tmp_path, f"{word}_{number}.json", val_loss=0.5 + number / 10, val_accuracy=0.9)

    assert all(run.metrics["step"].null_count() == run.metrics.height for run in read([tmp_path]).runs)
