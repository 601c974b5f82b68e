"""What a log says does not depend on how it is written: the same record told in another way has the same findings."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmortem.analysis import analyze

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
Rows = list[dict[str, Any]]
Told = tuple[Any, ...]


def told(folder: Path) -> list[Told]:
    """Id, severity, series and place of every finding, in a fixed order."""
    findings = [f for run in analyze([folder]).runs for f in run.findings]
    places = ((f.id, f.severity, f.split, f.metric, f.first.epoch, f.first.step, f.last.epoch, f.last.step) for f in findings)
    return sorted(places, key=repr)


def overfitting() -> Rows:
    """Forty epochs that overfit from the twelfth on."""
    rng, epoch = np.random.default_rng(0), np.arange(1, 41)
    late = np.maximum(0, epoch - 12)
    columns = {
        "epoch": epoch,
        "step": 100 * epoch,
        "train_loss": 0.4 + 2 * np.exp(-epoch / 6) - 0.006 * epoch + rng.normal(0, 0.01, 40),
        "val_loss": 0.5 + 1.8 * np.exp(-epoch / 5) + 0.03 * late + rng.normal(0, 0.015, 40),
        "val_accuracy": 0.85 - 0.5 * np.exp(-epoch / 5) - 0.003 * late + rng.normal(0, 0.004, 40),
        "lr": np.full(40, 1e-3),
    }
    return _rows(columns)


def stepwise(change: str) -> Rows:
    """Three hundred steps of a training loss that leaps, diverges or ends as NaN."""
    rng, step = np.random.default_rng(1), np.arange(1, 301)
    loss = 0.5 + 3 * np.exp(-step / 40) + rng.normal(0, 0.03, 300)
    if change == "leaps":
        loss[180:184] += [2.5, 1.8, 0.9, 0.3]
    elif change == "diverges":
        loss[200:] += np.exp(np.arange(100) / 18) - 1
    else:
        loss[220:] = np.nan
    norm = 1 + np.abs(rng.normal(0, 0.2, 300))
    return _rows({"step": 10 * step, "train_loss": loss, "grad_norm": norm, "lr": np.full(300, 1e-3)})


def slowing() -> Rows:
    """Sixty epochs whose steps take longer and longer."""
    rng, epoch = np.random.default_rng(2), np.arange(1, 61)
    loss = 0.5 + 2 * np.exp(-epoch / 9) + rng.normal(0, 0.02, 60)
    seconds = 0.2 * (1 + 0.03 * np.maximum(0, epoch - 20)) + rng.normal(0, 0.004, 60)
    return _rows({"epoch": epoch, "train_loss": loss, "step_time": seconds})


def _rows(columns: Mapping[str, Any]) -> Rows:
    plain = {name: values.tolist() for name, values in columns.items()}
    rounded = {n: [round(v, 5) if isinstance(v, float) else v for v in values] for n, values in plain.items()}
    return [dict(zip(rounded, row, strict=True)) for row in zip(*rounded.values(), strict=True)]


def read_rows(path: Path) -> Rows:
    """The rows of a fixture's table or JSON lines."""
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(io.StringIO(text)))
    return [json.loads(line) for line in text.splitlines()]


def write_csv(rows: Rows) -> str:
    """The rows as a table."""
    out = io.StringIO()
    table = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    return out.getvalue()


def write_jsonl(rows: Rows) -> str:
    """The rows as JSON lines."""
    return "".join(f"{json.dumps(row)}\n" for row in rows)


WRITERS: dict[str, Callable[[Rows], str]] = {"metrics.csv": write_csv, "metrics.jsonl": write_jsonl}
RECORDS: dict[str, tuple[str, Callable[[], Rows]]] = {
    "overfitting": ("metrics.jsonl", overfitting),
    "leaping": ("metrics.csv", lambda: stepwise("leaps")),
    "diverging": ("metrics.jsonl", lambda: stepwise("diverges")),
    "ending as NaN": ("metrics.csv", lambda: stepwise("nan")),
    "slowing": ("metrics.csv", slowing),
    **{
        f"{kind}/{name}": (file, lambda path=FIXTURES / kind / name / file: read_rows(path))  # type: ignore[misc]
        for kind, name, file in (
            ("sick", "divergence-late-csv", "progress.csv"),
            ("sick", "frozen-metric-jsonl", "metrics.jsonl"),
            ("sick", "late-degradation-labels", "metrics.jsonl"),
            ("sick", "lr-schedule-turns-back", "progress.csv"),
            ("sick", "plateau-saddle", "metrics.csv"),
            ("sick", "not-learning-frozen", "training.csv"),
            ("healthy", "constant-columns", "log.jsonl"),
            ("healthy", "saturated-accuracy", "training.csv"),
        )
    },
}


def write(folder: Path, parts: Mapping[str, Rows]) -> Path:
    """A folder with the files of one run."""
    folder.mkdir()
    for name, rows in parts.items():
        writer = write_csv if name.endswith(".csv") else write_jsonl
        (folder / name).write_text(writer(rows), "utf-8")
    return folder


@cache
def record(name: str) -> Rows:
    """The rows of a record, made or read once."""
    return RECORDS[name][1]()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Told]]:
    """The findings of each record as it is, computed once."""

    @cache
    def found(name: str) -> list[Told]:
        return told(write(tmp_path_factory.mktemp("plain") / "run", {RECORDS[name][0]: record(name)}))

    return found


def shuffled(name: str, rows: Rows) -> dict[str, Rows]:
    """Rows in another order."""
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    return {name: [rows[i] for i in order]}


def turned(name: str, rows: Rows) -> dict[str, Rows]:
    """Columns in the opposite order."""
    return {name: [dict(reversed(row.items())) for row in rows]}


def halved(name: str, rows: Rows) -> dict[str, Rows]:
    """The first and the second half in a file each."""
    stem, _, kind = name.rpartition(".")
    half = len(rows) // 2
    return {f"{stem}-1.{kind}": rows[:half], f"{stem}-2.{kind}": rows[half:]}


SYNONYMS = (
    {"train_loss": "train/loss", "val_loss": "val/loss", "val_acc": "val/accuracy", "val_accuracy": "val/acc",
     "train_acc": "train/accuracy", "lr": "learning_rate", "val_auc": "val/auroc", "grad_norm": "gradient_norm"},
    {"train_loss": "Training Loss", "val_loss": "Validation Loss", "val_acc": "Validation Accuracy",
     "val_accuracy": "Validation Accuracy", "train_acc": "Training Accuracy", "lr": "Learning Rate",
     "val_auc": "Validation ROC AUC"},
)  # fmt: skip


def renamed(synonyms: Mapping[str, str]) -> Callable[[str, Rows], dict[str, Rows]]:
    """Columns under other names of the same thing."""
    return lambda name, rows: {name: [{synonyms.get(key, key): value for key, value in row.items()} for row in rows]}


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize(
    "tell", [shuffled, turned, halved, *map(renamed, SYNONYMS)],
    ids=["rows shuffled", "columns turned", "two files", "slashes", "words"],
)  # fmt: skip
def test_the_form_of_a_record_changes_no_finding(
    name: str,
    tell: Callable[[str, Rows], dict[str, Rows]],
    plain: Callable[[str], list[Told]],
    tmp_path: Path,
) -> None:
    """Order of rows and columns, files, and names of metrics are not evidence."""
    told_otherwise = told(write(tmp_path / "run", tell(RECORDS[name][0], record(name))))

    assert told_otherwise == plain(name)
