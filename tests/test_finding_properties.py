"""What a log says does not depend on how it is written: the same record told in another way has the same findings."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postmortem.analysis import analyze
from postmortem.model import Position

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
Rows = list[dict[str, Any]]
Told = tuple[Any, ...]


def told(folder: Path) -> list[Told]:
    """Id, severity, series and place of every finding, in a fixed order."""
    findings = [f for run in analyze([folder]).runs for f in run.findings]
    found = [(f.id, f.severity, f.split, f.metric, *_place(f.first), *_place(f.last)) for f in findings]
    return sorted(found, key=repr)


def _place(at: Position) -> tuple[float | None, int | None]:
    return at.epoch, at.step


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
    """Sixty epochs whose steps take longer and longer, in seconds."""
    rng, epoch = np.random.default_rng(2), np.arange(1, 61)
    loss = 0.5 + 2 * np.exp(-epoch / 9) + rng.normal(0, 0.02, 60)
    seconds = 0.2 * (1 + 0.1 * np.maximum(0, epoch - 20)) + rng.normal(0, 0.004, 60)
    return _rows({"epoch": epoch, "train_loss": loss, "step_time": seconds})


def stalling() -> Rows:
    """Two hundred steps, a second each, and three hours in which nothing happens; ``time`` in seconds since 1970."""
    rng, step = np.random.default_rng(3), np.arange(1, 201)
    loss = 0.5 + 3 * np.exp(-step / 40) + rng.normal(0, 0.03, 200)
    rows = _rows({"step": step, "train_loss": loss})
    paces = 1 + np.abs(rng.normal(0, 0.05, 200)) + 10_800.0 * (step == 120)
    return [{**row, "timestamp": round(1_790_000_000 + at, 3)} for row, at in zip(rows, np.cumsum(paces), strict=True)]


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
    "stalling": ("metrics.jsonl", stalling),
    **{
        f"{kind}/{name}": (file, lambda path=FIXTURES / kind / name / file: read_rows(path))  # type: ignore[misc]
        for kind, name, file in (
            ("sick", "divergence-late-csv", "progress.csv"),
            ("sick", "frozen-metric-jsonl", "metrics.jsonl"),
            ("sick", "lr-schedule-turns-back", "progress.csv"),
            ("sick", "not-learning-frozen", "training.csv"),
            ("healthy", "constant-columns", "log.jsonl"),
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
    """Rows in another order, and columns in the opposite one."""
    order = np.random.default_rng(len(rows)).permutation(len(rows))
    return {name: [dict(reversed(rows[i].items())) for i in order]}


SLASHES = {"train_loss": "train/loss", "val_loss": "val/loss", "val_acc": "val/accuracy", "val_accuracy": "val/acc",
           "train_acc": "train/accuracy", "lr": "learning_rate", "val_auc": "val/auroc",
           "grad_norm": "gradient_norm"}  # fmt: skip
WORDS = {"train_loss": "Training Loss", "val_loss": "Validation Loss", "val_acc": "Validation Accuracy",
         "val_accuracy": "Validation Accuracy", "train_acc": "Training Accuracy", "lr": "Learning Rate",
         "val_auc": "Validation ROC AUC"}  # fmt: skip


def renamed(rows: Rows, synonyms: Mapping[str, str]) -> Rows:
    """Columns under other names of the same thing."""
    return [{synonyms.get(key, key): value for key, value in row.items()} for row in rows]


def halved(name: str, rows: Rows) -> dict[str, Rows]:
    """The first and the second half in a file each, under names with slashes."""
    stem, _, kind = name.rpartition(".")
    half, rows = len(rows) // 2, renamed(rows, SLASHES)
    return {f"{stem}-1.{kind}": rows[:half], f"{stem}-2.{kind}": rows[half:]}


@pytest.mark.parametrize("tell", [shuffled, halved])
@pytest.mark.parametrize("name", RECORDS)
def test_the_form_of_a_record_changes_no_finding(
    name: str,
    tell: Callable[[str, Rows], dict[str, Rows]],
    plain: Callable[[str], list[Told]],
    tmp_path: Path,
) -> None:
    """Order of rows and columns, files, and names of metrics are not evidence."""
    told_otherwise = told(write(tmp_path / "run", tell(RECORDS[name][0], record(name))))

    assert told_otherwise == plain(name)


NOISE = (
    "/opt/lib/python/site-packages/torch/utils/data.py:47: UserWarning: the given array is not writable",
    "Saving predictions to out/predictions.csv",
    "INFO: cleaning up the cache before the next round",
    "wandb: network is slow, retrying",
    "",
    "Loaded the tokenizer from disk, this may take a while",
)
LOGS = {
    "sick/overfit-logging": "train.log",
    "sick/stall-suspended": "train.log",
    "sick/slowdown-growing-list": "train.log",
    "sick/oscillation-edge-of-stability": "train.log",
}
CLOCK = re.compile(r"(?m)^(\d{4})-(\d\d)-(\d\d) (\d\d:\d\d:\d\d),(\d{3})")
CLOCKS = {
    "ISO": r"\1-\2-\3T\4.\5Z",
    "slashes": r"\1/\2/\3 \4.\5",
    "brackets": r"[\1-\2-\3 \4.\5]",
}


def noisy(text: str) -> str:
    """A line of chatter after every third line."""
    lines = text.splitlines()
    chatter = (f"\n{NOISE[at // 3 % len(NOISE)]}" if at % 3 == 2 else "" for at in range(len(lines)))
    return "".join(f"{line}{more}\n" for line, more in zip(lines, chatter, strict=True))


def in_seconds(text: str) -> str:
    """Durations in milliseconds, in seconds."""
    return re.sub(r"([\d.]+)ms/step", lambda found: f"{float(found[1]) / 1000:.4f}s/step", text)


TELLS: dict[str, Callable[[str], str]] = {
    "chatter, and durations in seconds": lambda text: noisy(in_seconds(text)),
    **{f"clock as {name}": partial(CLOCK.sub, form) for name, form in CLOCKS.items()},
}


def _told_of(text: str, folder: Path, name: str) -> list[Told]:
    folder.mkdir()
    (folder / name).write_text(text, "utf-8")
    return told(folder)


@pytest.mark.parametrize("fixture", LOGS)
def test_the_wording_of_a_log_changes_no_finding(fixture: str, tmp_path: Path) -> None:
    """Chatter between the lines, the form of the clock and the unit of durations are not evidence."""
    name = LOGS[fixture]
    text = (FIXTURES / fixture / name).read_text("utf-8")
    plain = _told_of(text, tmp_path / "plain", name)

    for how, tell in TELLS.items():
        otherwise = tell(text)
        assert otherwise == text or _told_of(otherwise, tmp_path / how, name) == plain, how


def test_a_log_over_two_files_has_the_same_findings(tmp_path: Path) -> None:
    """A log that was cut where a line names its place is one run.

    A limit: what stands between a cut and the next line that names its epoch has no epoch, and what was one record
    over several lines, such as a traceback, is none in two files.
    """
    for fixture in ("sick/overfit-logging", "sick/oscillation-edge-of-stability"):
        name, folder = LOGS[fixture], tmp_path / fixture.partition("/")[2]
        text = (FIXTURES / fixture / name).read_text("utf-8")
        lines = text.splitlines(keepends=True)
        plain = _told_of(text, folder, name)
        (folder / name).unlink()
        cut = next(i for i in range(len(lines) // 2, len(lines)) if re.search(r"(?i)(epoch|step) \d+", lines[i]))
        (folder / "train-1.log").write_text("".join(lines[:cut]), "utf-8")
        (folder / "train-2.log").write_text("".join(lines[cut:]), "utf-8")

        assert plain
        assert told(folder) == plain, fixture


def test_an_error_stream_in_a_file_of_its_own_is_of_the_same_run(tmp_path: Path) -> None:
    """What a scheduler wrote to ``job.out`` and ``job.err`` has the findings of the log that holds both.

    A limit: the error stream names no epoch, so a failure has no place among the measurements but the last.
    """
    text = (FIXTURES / "sick/out-of-memory-torch/train.log").read_text("utf-8")
    plain = _told_of(text, tmp_path / "plain", "job.log")
    output, _, failure = text.partition("Traceback")
    folder = write(tmp_path / "run", {})
    (folder / "job.out").write_text(output, "utf-8")
    (folder / "job.err").write_text(f"Traceback{failure}", "utf-8")

    assert {"out-of-memory"} < {found[0] for found in plain}
    assert [found[:4] for found in told(folder)] == [found[:4] for found in plain]


def with_column(rows: Rows, old: str, new: str, convert: Callable[[float], Any]) -> Rows:
    """The rows with one column told otherwise, in its place."""
    return [dict((new, convert(v)) if k == old else (k, v) for k, v in row.items()) for row in rows]


TIMES: dict[str, tuple[str, str, str, Callable[[float], Any]]] = {
    "durations in milliseconds": ("slowing", "step_time", "step_time_ms", lambda seconds: round(1000 * seconds, 2)),
    "milliseconds since 1970": ("stalling", "timestamp", "timestamp", lambda seconds: round(1000 * seconds)),
    "ISO 8601": ("stalling", "timestamp", "timestamp", lambda s: datetime.fromtimestamp(s, UTC).isoformat()),
    "a clock without a zone": ("stalling", "timestamp", "time", lambda s: f"{datetime.fromtimestamp(s, UTC):%F %T.%f}"),
}


@pytest.mark.parametrize("how", TIMES)
def test_the_unit_of_time_changes_no_finding(how: str, plain: Callable[[str], list[Told]], tmp_path: Path) -> None:
    """Seconds, milliseconds and dates tell the same time."""
    name, *column = TIMES[how]

    assert {found[0] for found in plain(name)} == {"slowing": {"slowdown"}, "stalling": {"stall"}}[name]
    rows = with_column(record(name), *column)  # type: ignore[arg-type]
    found = told(write(tmp_path / "run", {RECORDS[name][0]: rows}))
    assert [tuple(column[0] if part == column[1] else part for part in each) for each in found] == plain(name)


ABSOLUTE = {
    "not-learning": "compares the level of the loss with the cross-entropy of guessing",
    "memorization": "is only worth knowing where the error left is small in itself",
}
"""Rules that state an absolute level of a loss; all others are scale-free."""


@pytest.mark.parametrize("name", RECORDS)
def test_a_scaled_loss_has_the_same_findings(name: str, plain: Callable[[str], list[Told]], tmp_path: Path) -> None:
    """What a scale-free rule says of a loss depends on its shape, and not on its unit or on words for it."""
    scaled = [{k: _scaled(v, "1000") if "loss" in k else v for k, v in row.items()} for row in record(name)]
    found = told(write(tmp_path / "run", {RECORDS[name][0]: renamed(scaled, WORDS)}))

    assert [each for each in found if each[0] not in ABSOLUTE] == [f for f in plain(name) if f[0] not in ABSOLUTE]


def _scaled(value: float | str, factor: str) -> float | str:
    """The number times the factor with the digits it was printed with."""
    return float(Decimal(str(value)) * Decimal(factor)) if value != "" else value
