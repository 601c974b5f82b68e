"""Files become runs: one for each training process, however many files it wrote and however often it was captured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from postmortem import ingest, schema
from postmortem.model import Run

SHARED = Path(__file__).resolve().parents[2] / "shared"


def _read(root: Path, files: dict[str, str], **settings: str) -> list[Run]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    runs = list(ingest.read([root], settings=settings).runs)
    for run in runs:
        for kind in schema.FRAMES:
            schema.check(kind, getattr(run, kind))
    return runs


def _log(epochs: range, day: int = 1, shift: float = 0.0) -> str:
    return "".join(
        f"2025-01-{day:02} {epoch:02}:00:00,000 [INFO] Epoch {epoch} train_loss: {shift + 1 / (epoch + 1):.4f}"
        f" val_loss: {shift + 1.1 / (epoch + 1):.4f}\n"
        for epoch in epochs
    )


def _points(run: Run, *columns: str) -> list[Any]:
    return run.metrics.select(columns).rows()


def _facts(run: Run) -> dict[str, str]:
    return dict(run.facts.select("key", "value").rows())


def test_a_sweep_gives_a_run_for_each_folder(tmp_path: Path) -> None:
    """Sub-folders are runs under short names; configuration above applies to all, beside to one."""
    runs = _read(
        tmp_path,
        {
            "sweep/lr1/train.log": _log(range(1, 4), 1),
            "sweep/lr2/train.log": _log(range(1, 4), 2, 0.5),
            "sweep/config.yaml": "optimizer: {name: adam}\nseed: 7\n",
            "sweep/lr2/hparams.yaml": "lr: 2e-3\n",
        },
    )
    assert [run.name for run in runs] == ["lr1", "lr2"]
    assert _facts(runs[0]) == {"optimizer": "adam", "seed": "7"}
    assert _facts(runs[1]) == {"lr": "2e-3"}
    assert runs[1].facts["number"].to_list() == [0.002]
    assert [source.format for source in runs[1].sources] == ["key-value", "config"]


def test_logs_side_by_side_are_runs_of_their_own(tmp_path: Path) -> None:
    """Different content in one folder is different runs, named by file."""
    runs = _read(tmp_path, {"a.log": _log(range(1, 4), 1), "b.log": _log(range(1, 4), 2, 0.5)})
    assert [run.name for run in runs] == ["a", "b"]


def test_one_process_captured_twice_is_one_run(tmp_path: Path) -> None:
    """The fuller capture is read; byte-equal, interleaved and earlier copies are named, never counted."""
    whole = _log(range(1, 9))
    lines = whole.splitlines(keepends=True)
    runs = _read(
        tmp_path,
        {
            "logger.log": whole,
            "same.log": whole,
            "early.log": "".join(lines[:6]),
            "shell.log": "".join(
                line + ("x/y.py:1: UserWarning: odd\n" if n % 3 else "") for n, line in enumerate(lines)
            ),
        },
    )
    assert len(runs) == 1
    (source,) = runs[0].sources
    assert Path(source.path).name == "shell.log"
    assert [Path(copy).name for copy in source.copies] == ["early.log", "logger.log", "same.log"]
    assert runs[0].metrics.height == 16


def test_a_log_and_its_history_are_one_run(tmp_path: Path) -> None:
    """A value told twice is kept once, from the source with more digits, and its line leads there."""
    history = {"loss": [1 / (e + 1) for e in range(1, 4)], "val_loss": [1.1 / (e + 1) for e in range(1, 4)]}
    log = "".join(
        f"Epoch {e + 1} loss: {history['loss'][e]:.3f} val_loss: {history['val_loss'][e]:.3f}\n" for e in range(3)
    )
    rows = [{"epoch": e + 1, "loss": history["loss"][e], "val_loss": history["val_loss"][e]} for e in range(3)]
    runs = _read(tmp_path, {"train.log": log, "history.json": json.dumps(rows, indent=1)})
    assert len(runs) == 1
    assert sorted(Path(source.path).name for source in runs[0].sources) == ["history.json", "train.log"]
    assert runs[0].metrics.height == 6
    assert runs[0].metrics.filter(pl.col("split") == "val")["value"].to_list() == history["val_loss"]


@pytest.mark.parametrize(("printed", "differing"), [("0.3333", 0), ("0.4000", 1)])
def test_files_that_disagree_are_said(tmp_path: Path, printed: str, differing: int) -> None:
    """Beyond the rounding of the digits printed it is an event, at the line; the file with more digits is believed."""
    rows = [{"epoch": e, "loss": 1 / e, "val_loss": 1.1 / e} for e in range(1, 9)]
    log = "".join(f"Epoch {row['epoch']} loss: {row['loss']:.4f} val_loss: {row['val_loss']:.4f}\n" for row in rows)
    log = log.replace("loss: 0.3333", f"loss: {printed}")
    (run,) = _read(tmp_path, {"train.log": log, "history.json": json.dumps(rows)})
    values = run.metrics.filter((pl.col("split") == "train") & (pl.col("epoch") == 3))["value"].to_list()
    assert values == [1 / 3]
    said = run.events.filter(pl.col("text").str.contains("differ"))
    assert said.height == differing
    if differing:
        assert said.select("line", "epoch").row(0) == (3, 3.0)
        assert "train loss is 0.4 here and 0.3333" in said["text"][0]


@pytest.mark.parametrize("epochs", [0, 1, None])
def test_a_history_counted_from_zero_is_the_log_counted_from_one(tmp_path: Path, epochs: int | None) -> None:
    """A list index is an epoch as well: each value once, in full precision, at the epoch the log gives it."""
    loss = [1 / (e + 2) for e in range(6)]
    rows = [
        {"loss": x, "val_loss": 1.3 * x} | ({} if epochs is None else {"epoch": epochs + e}) for e, x in enumerate(loss)
    ]
    log = "".join(f"Epoch {e + 1}/6 - loss: {x:.4f} - val_loss: {1.3 * x:.4f}\n" for e, x in enumerate(loss))
    (run,) = _read(tmp_path, {"train.log": log, "history.json": json.dumps(rows, indent=1)})
    got = run.metrics.filter(pl.col("split") == "train").select("epoch", "value").rows()
    assert got == [(float(e + 1), x) for e, x in enumerate(loss)]
    assert run.metrics.height == 12


def test_a_log_by_epochs_and_a_history_by_steps_are_compared_by_epochs(tmp_path: Path) -> None:
    """Step 4 of one file is not epoch 4 of the other."""
    loss = [1 / (e + 2) for e in range(8)]
    rows = [{"step": 4 * (e + 1), "epoch": e + 1.0, "eval_loss": x} for e, x in enumerate(loss)]
    log = "".join(f"{{'eval_loss': {x:.4f}, 'epoch': {e + 1}.0}}\n" for e, x in enumerate(loss))
    (run,) = _read(tmp_path, {"train.log": log, "trainer_state.json": json.dumps({"log_history": rows}, indent=1)})
    assert run.metrics["value"].to_list() == loss
    assert run.metrics["step"].to_list() == [row["step"] for row in rows]


def test_measurements_by_the_batch_are_no_repeats_of_their_epoch(tmp_path: Path) -> None:
    """Of a file with several values in an epoch only the one the other file tells is a repeat."""
    mean = [1 / (e + 2) for e in range(5)]
    log = "".join(
        "".join(f"Epoch {e + 1} batch {b}/3 loss: {x + 0.01 * (b - 2):.4f}\n" for b in (1, 2, 3))
        for e, x in enumerate(mean)
    )
    rows = [{"epoch": e + 1, "loss": x, "val_loss": x + 1} for e, x in enumerate(mean)]
    runs = _read(tmp_path, {"train.log": log, "history.json": json.dumps(rows, indent=1)})
    lines = {
        line for run in runs for source, line in run.metrics.select("source", "line").rows() if "train.log" in source
    }
    assert len(lines) >= 10


@pytest.mark.parametrize(
    "validation", ["Epoch(val) [{e}][75]\taccuracy_top-1: {x:.4f}", "step 3 epoch {e} accuracy: {x:.4f}"]
)
def test_steps_counted_anew_in_each_epoch_are_one_run(tmp_path: Path, validation: str) -> None:
    """Also where the counter of a validation stands between the last step of an epoch and the first of the next."""
    log = ""
    for e in range(1, 9):
        log += "".join(f"Epoch [{e}][{b}/300]\tlr: 0.045, loss: {1 / (e + b):.4f}\n" for b in (100, 200, 300))
        log += validation.format(e=e, x=e / 10) + "\n"
    (run,) = _read(tmp_path, {"train.log": log})
    assert run.metrics["attempt"].unique().to_list() == [0]
    assert run.metrics.filter(pl.col("metric") == "loss")["step"].to_list() == list(range(100, 2401, 100))


def test_absolute_and_relative_paths_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no folder above both, so each run has the name of its file."""
    (tmp_path / "a.log").write_text(_log(range(1, 4), 1))
    (tmp_path / "b.log").write_text(_log(range(1, 4), 2, 0.5))
    monkeypatch.chdir(tmp_path)
    logs = ingest.read(["a.log", str(tmp_path / "b.log")])
    assert len({run.name for run in logs.runs}) == 2


def test_configuration_under_an_unusual_name_gives_no_metrics(tmp_path: Path) -> None:
    """A setting that mentions a loss is a setting, in YAML and in JSON."""
    nested = {"model": {"lr": 0.1, "epochs": 10}, "train": {"loss": "mse", "loss_weight": 0.5, "max_steps": 10}}
    (tmp_path / "1-run-x-settings9.json").write_text(json.dumps(nested, indent=1))
    (tmp_path / "1-run-x-setup9.yaml").write_text(
        "lr0: 0.01\nbox: 7.5\nloss: 0.5\nval: true\nepochs: 10\nmomentum: 0.9\n"
    )
    assert not ingest.read([tmp_path]).runs


def test_many_captures_are_told_apart_and_copies_found(tmp_path: Path) -> None:
    """Copies are found by a few lines each; a file whose end was cut, and one with as much as a tenth missing, too."""
    files = {f"run{n}.log": _log(range(1, 30), 1 + n, 0.01 * n) for n in range(12)}
    whole = files["run3.log"].splitlines(keepends=True)
    files["cut.log"] = "".join(whole[:-1])[:-4]
    files["thinned.log"] = "".join(line for n, line in enumerate(whole) if n % 12)
    runs = _read(tmp_path, files)
    copies = {Path(source.path).name: len(source.copies) for run in runs for source in run.sources}
    assert copies == {f"run{n}.log": 2 * (n == 3) for n in range(12)}


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        # steps that go back to a checkpoint and go on: the same run, a new attempt
        ([f"step {n} loss: 0.{90 - n}" for n in (10, 20, 30, 20, 30, 40)], [("train", [0, 0, 0, 1, 1, 1])]),
        # epochs that start again from the beginning: another run
        ([f"epoch {n} loss: 0.{90 - n}" for n in (1, 2, 3, 1, 2)], [("train#1", [0, 0, 0]), ("train#2", [0, 0])]),
        # unless the log says that it resumed
        (
            ["epoch 1 loss: 0.9", "epoch 2 loss: 0.8", "Resuming from checkpoint last.pt", "epoch 1 loss: 0.7"],
            [("train", [0, 0, 1])],
        ),
        # and so it is where it resumed from the very place it had reached
        (
            ["epoch 1 loss: 0.9", "epoch 2 loss: 0.8", "Resuming training from epoch 2", "epoch 3 loss: 0.7"],
            [("train", [0, 0, 1])],
        ),
        # a checkpoint that is loaded to be tested resumes nothing
        (
            ["step 1 loss: 0.9", "step 2 loss: 0.8", "Loading checkpoint best.pt", "step 2 test_loss: 0.7"],
            [("train", [0, 0, 0])],
        ),
        # a record quoted at the end is not measured again
        (
            [
                "[1] val-rmse: 0.5",
                "[2] val-rmse: 0.4",
                "[3] val-rmse: 0.6",
                "Stopping. Best iteration:",
                "[2] val-rmse: 0.4",
            ],
            [("train", [0, 0, 0])],
        ),
        # several values at one place are no restart
        (
            ["epoch 1 loss: 0.9", "epoch 1 val_loss: 0.8", "epoch 2 loss: 0.7", "epoch 2 val_loss: 0.6"],
            [("train", [0, 0, 0, 0])],
        ),
    ],
)
def test_restarts(tmp_path: Path, rows: list[str], want: list[tuple[str, list[int]]]) -> None:
    """Where positions go back an attempt or a run begins."""
    runs = _read(tmp_path, {"train.log": "\n".join(rows) + "\n"})
    assert [(run.name, run.metrics["attempt"].to_list()) for run in runs] == want


def test_a_run_of_one_record_among_others(tmp_path: Path) -> None:
    """Rows that tell of everything and of the first place again begin another run, though no place goes back."""
    text = "".join(f'{{"epoch": {n}, "train_loss": 0.{9 - n}, "test_loss": 0.5}}\n' for n in (0, 1, 2, 0, 0, 1))
    runs = _read(tmp_path, {"log.txt": text})
    assert [run.metrics["epoch"].unique(maintain_order=True).to_list() for run in runs] == [[0, 1, 2], [0], [0, 1]]


def test_what_a_run_printed_wins_over_the_files_beside_it(tmp_path: Path) -> None:
    """Both are kept, in an order in which the last statement is the run's own."""
    (run,) = _read(tmp_path, {"train.log": "batch_size: 64\n" + _log(range(1, 4)), "config.yaml": "batch_size: 32\n"})
    assert run.facts.filter(pl.col("key") == "batch_size")["value"].to_list() == ["32", "64"]


def test_documents_and_catalogues_beside_logs_are_no_runs(tmp_path: Path) -> None:
    """A report that quotes a log, and a list of results of several runs, tell of no training themselves."""
    prose = "\n".join(f"Paragraph {n} says how the run went and what was done about it." for n in range(20))
    results = "".join(json.dumps({"file": f"{name}.log", "final": {"val_loss": 0.5}}) + "\n" for name in "abcd")
    files = {"train.log": _log(range(1, 4)), "ORIGIN.md": prose + _log(range(1, 4), 2), "manifest.jsonl": results}
    assert [len(run.sources) for run in _read(tmp_path, files)] == [1]

    named = ingest.read([tmp_path / "manifest.jsonl"])
    assert not named.runs
    assert "no training log" in named.problems[0].message


def test_a_log_in_markdown_is_a_log(tmp_path: Path) -> None:
    """What counts is whether most of it measures; so does one whose checkpoints have names, not numbers alone."""
    results = "".join(json.dumps({"checkpoint": f"ckpt-{n}", "val_loss": 1 / n}) + "\n" for n in (1, 2, 3, 4))
    runs = _read(tmp_path, {"a/log.md": "# Run 3\n" + _log(range(1, 4)), "b/results.jsonl": results})
    assert [run.metrics.height for run in runs] == [6, 4]


def test_each_run_of_a_file_has_its_own_configuration_and_end(tmp_path: Path) -> None:
    """Settings before a run and the crash after it belong to it, not to its neighbours."""
    text = (
        "batch_size: 32\nseed: 1\n"
        + "".join(f"epoch {n} loss: 0.{9 - n}\n" for n in (1, 2, 3))
        + 'Traceback (most recent call last):\n  File "x.py", line 3, in f\nValueError: bad\n'
        + "seed: 2\n"
        + "".join(f"epoch {n} loss: 0.{8 - n}\n" for n in (1, 2))
    )
    first, second = _read(tmp_path, {"train.log": text})
    assert (_facts(first)["seed"], _facts(second)["seed"]) == ("1", "2")
    assert _facts(second)["batch_size"] == "32"
    assert first.events["kind"].to_list() == ["traceback"]
    assert second.events.is_empty()


def test_what_has_no_split_is_train_beside_validation(tmp_path: Path) -> None:
    """A bare metric is train's when an evaluation of it is logged and no train; a bare loss always."""
    (run,) = _read(
        tmp_path, {"t.log": "".join(f"epoch {n} loss: 0.{n} acc: 0.{n} val_acc: 0.{n} kl: 0.{n}\n" for n in (1, 2))}
    )
    assert set(_points(run, "split", "metric")) == {
        ("train", "loss"),
        ("train", "accuracy"),
        ("val", "accuracy"),
        ("", "kl"),
    }


def test_settings_of_the_command_line(tmp_path: Path) -> None:
    """Facts given by the user are in every run, last, with their source."""
    (run,) = _read(tmp_path, {"t.log": "seed: 1\n" + _log(range(1, 4))}, n_train="1300000", seed="5")
    assert run.facts.select("key", "value", "number", "source").rows()[-2:] == [
        ("n_train", "1300000", 1300000.0, "--set"),
        ("seed", "5", 5.0, "--set"),
    ]


def test_unread_lines_are_counted_and_shown(tmp_path: Path) -> None:
    """What nothing understood is kept as spans with their shape; the share read is honest."""
    (run,) = _read(tmp_path, {"t.log": "hello 12 world\nhello 13 world\n" + _log(range(1, 4)) + "\n====\nbye\n"})
    assert run.unread.select("first", "last", "lines", "shape").rows() == [(1, 2, 2, "hello 0 world"), (8, 8, 1, "bye")]
    assert (run.lines, run.understood) == (8, 5)


def test_a_hostile_configuration_is_not_followed(tmp_path: Path) -> None:
    """Aliases that multiply end early, tags execute nothing, a broken file is a problem; the log beside is read."""
    bomb = "a0: &a0 {}\n" + "".join(
        f"a{n}: &a{n} {{{', '.join(f'x{m}: *a{n - 1}' for m in range(9))}}}\n" for n in range(1, 15)
    )
    run_code = f"lr: 0.5\nx: !!python/object/apply:os.mkdir ['{tmp_path}/made']\n"
    files = {"config.yaml": bomb, "args.yaml": run_code, "params.json": '{"seed": '}
    (run,) = _read(tmp_path, {"t.log": _log(range(1, 4)), **files})
    assert run.metrics.height == 6
    assert _facts(run)["lr"] == "0.5"
    assert not (tmp_path / "made").exists()
    assert "params.json" in str(ingest.read([tmp_path]).problems)


def test_thirteen_captures_of_seven_processes() -> None:
    """The published recommender logs: right epochs, steps, times, facts and values."""
    folder = SHARED / "cases" / "ctr-phases"
    if not folder.is_dir():
        pytest.skip("the shared cases are not here")
    runs = {run.name: run for run in ingest.read([folder]).runs}
    assert len(runs) == 7
    assert sum(1 + len(source.copies) for run in runs.values() for source in run.sources) == 13
    one = runs["mdaf_mamba_seed42_5epochs"]
    auc = {
        split: one.metrics.filter((pl.col("metric") == "auroc") & (pl.col("split") == split))
        for split in ("train", "val")
    }
    assert auc["val"]["value"].to_list()[0::4] == [0.5829, 0.5513]
    assert auc["train"]["value"].to_list()[0::4] == [0.5410, 0.8848]
    assert auc["val"]["epoch"].to_list() == [1, 2, 3, 4, 5]
    steps = one.metrics.filter(pl.col("step").is_not_null())["step"].to_list()
    assert steps == [epoch * 514 + batch for epoch in range(5) for batch in (200, 400)]
    planned = runs["mdaf_mamba_phase3_seed42_final"]
    numbers = dict(planned.facts.select("key", "number").rows())
    assert {
        key: numbers[key] for key in ("epochs", "n_train", "n_val", "batch_size", "steps_per_epoch", "lr", "dropout")
    } == {
        "epochs": 15,
        "n_train": 1052081,
        "n_val": 225446,
        "batch_size": 2048,
        "steps_per_epoch": 514,
        "lr": 0.0003,
        "dropout": 0.3,
    }
