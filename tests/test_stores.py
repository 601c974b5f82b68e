"""Stores of experiment trackers: what they hold is read in full, and what is broken in them loses nothing else."""

from __future__ import annotations

import json
import math
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from store_files import (
    MLFLOW,
    SESSION,
    TRACKIO,
    check,
    database,
    history,
    mlflow_run,
    notes,
    only,
    points,
    problems,
    sacred_run,
    same,
    series,
    told,
    wandb_run,
    zipped,
)

from postmortem.ingest.stores import STORES, aim, clearml, mlflow, sacred, sqlite_stores, wandb
from postmortem.ingest.stores import points as stored
from postmortem.ingest.stores.recorded import moment

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus"
SAMPLES = {"wandb-run": wandb, "mlflow-filestore": mlflow, "sacred-filestorage": sacred, "aim-repo": aim}


def test_mlflow_lines_are_read_in_all_their_forms(tmp_path: Path) -> None:
    """Two columns in old files, three, and more with a data set; NaN and infinities; a broken line is unread."""
    text = "1700000000000 1.5\n1700000001000 nan 1\n1700000002000 -inf 2 data v1\nbroken\n1700000003000 0.5 -3\n"
    folder = mlflow_run(tmp_path, {"train/loss": text, "acc": "1700000000000 0.9 0\n"})
    run = only(mlflow, folder)
    rows = points(run).filter(pl.col("label") == "train/loss")
    assert same(rows["value"].to_list(), [1.5, math.nan, -math.inf, 0.5])
    assert rows["step"].to_list() == [None, 1, 2, -3]
    assert rows["line"].to_list() == [1, 2, 3, 5]
    assert rows["time"].dt.timestamp("ms")[0] == 1700000000000
    assert run.name == "calm-owl-1"
    assert told(run) == {"lr": "0.1"}
    unread = [reading.unread["line"].to_list() for reading in run.readings if reading.unread.height]
    assert unread == [[4]]
    assert {"shown/metrics/train/loss", "shown/metrics/acc"} <= {reading.source for reading in run.readings}
    assert run.owned == {path for path in folder.rglob("*") if path.is_file()}


def test_mlflow_tags_are_settings_and_name_old_runs(tmp_path: Path) -> None:
    """What the user noted is a setting, what MLflow notes itself is not, but for the name old stores keep there."""
    folder = mlflow_run(tmp_path, {"m": "1 1 1\n"})
    (folder / "meta.yaml").write_text("run_id: f00\nstatus: 3\n")
    (folder / "tags").mkdir()
    for name, text in {"mlflow.runName": "old-owl\n", "mlflow.user": "me", "dataset": "v2"}.items():
        (folder / "tags" / name).write_text(text)
    run = only(mlflow, folder)
    assert (run.name, told(run)) == ("old-owl", {"lr": "0.1", "dataset": "v2"})
    path = database(
        tmp_path / "mlflow.db",
        MLFLOW + "CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT); UPDATE runs SET name = NULL;"
        "INSERT INTO tags VALUES ('mlflow.runName', 'old-owl', 'aaaaaaaaaa'), ('dataset', 'v2', 'aaaaaaaaaa');",
    )
    first = sqlite_stores.read(path, "shown")[0]
    assert (first.name, told(first)) == ("old-owl", {"lr": "0.1", "dataset": "v2"})


@pytest.mark.parametrize(
    ("status", "kind"),
    [("3", "finished"), ("FINISHED", "finished"), ("4", "traceback"), ("5", "killed"), ("1", None), ("RUNNING", None)],
)
def test_mlflow_status_says_how_the_run_ended(tmp_path: Path, status: str, kind: str | None) -> None:
    """A run that is still marked as running has no end; it may have been killed, which the store cannot know."""
    assert [each for each, _ in notes(only(mlflow, mlflow_run(tmp_path, {}, status)))] == ([kind] if kind else [])


@pytest.mark.parametrize(
    ("text", "steps"), [("1 0.5 0\n", [0]), ("1 0.5 0\n2 0.6 0\n", [None, None]), ("1 1 0\n2 1 1\n", [0, 1])]
)
def test_mlflow_step_zero_throughout_is_no_step(tmp_path: Path, text: str, steps: list[int | None]) -> None:
    """MLflow writes 0 for a step it was not told; several values at step 0 have none."""
    assert points(only(mlflow, mlflow_run(tmp_path, {"m": text})))["step"].to_list() == steps


def test_mlflow_line_of_overwritten_parts_counts_once(tmp_path: Path) -> None:
    """A carriage return in a metric's file makes several unread parts of one line."""
    run = only(mlflow, mlflow_run(tmp_path, {"m": "1 1 1\n2 \r 2 \r x 2\n"}))
    counts = [(each.lines, each.understood) for each in run.readings if each.source.endswith("/m")]
    assert counts == [(2, 1)]


def test_mlflow_claims_runs_only_and_follows_no_link(tmp_path: Path) -> None:
    """The ``meta.yaml`` of an experiment has no run in it; a link among the metrics is not read."""
    folder = mlflow_run(tmp_path, {"m": "1 1 1\n"})
    (folder.parent / "meta.yaml").write_text("experiment_id: '1'\nname: x\n")
    secret = tmp_path / "secret"
    secret.write_text("1 42 1\n")
    (folder / "metrics" / "link").symlink_to(secret)
    (folder / "metrics" / "folder").symlink_to(tmp_path)
    assert not mlflow.claims(folder.parent)
    assert set(points(only(mlflow, folder))["label"]) == {"m"}


def test_mlflow_database_gives_a_run_each(tmp_path: Path) -> None:
    """NaN is a flag and infinity the largest float; values without a number or a name are left out."""
    path = database(tmp_path / "mlflow.db", MLFLOW)
    assert sqlite_stores.claims(path)
    first, second = (check(run) for run in sqlite_stores.read(path, "shown"))
    assert (first.name, second.name) == ("twin (aaaaaaaa)", "twin (bbbbbbbb)")
    assert same(series(first, "loss"), [1.5, math.nan, math.inf, 0.5])
    assert points(first)["step"].to_list() == [1, 2, 3, None]
    assert points(first)["line"].to_list() == [1, 2, 3, 7]
    assert points(first)["time"].null_count() == 1
    assert (told(first), told(second)) == ({"lr": "0.1"}, {"lr": "0.2"})
    assert notes(first) == [("traceback", "MLflow status FAILED")]
    assert notes(second) == []
    assert first.owned == {path}


def test_trackio_database_gives_a_run_each(tmp_path: Path) -> None:
    """Records are JSON as text or bytes; step, time and epoch place them; broken records lose only themselves."""
    path = database(tmp_path / "project.db", TRACKIO)
    first, second = (check(run) for run in sqlite_stores.read(path, "shown"))
    assert (first.name, second.name) == ("first", "second")
    assert same(series(first, "loss"), [math.nan, 0.5])
    assert points(first).filter(pl.col("label") == "loss").select("step", "epoch").rows() == [(0, 0.5), (1, 1.0)]
    assert set(points(first)["label"]) == {"loss", "n.a"}
    assert points(second)["time"].to_list() == [None]
    assert told(first) == {"lr": "0.1"}


def test_early_trackio_schema_without_ids_and_steps_is_read(tmp_path: Path) -> None:
    """The first version told runs apart by project and name, and had no step."""
    script = """CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp DATETIME, run_name TEXT, metrics TEXT);
    INSERT INTO metrics VALUES (1, '2026-01-01 00:00:00', 'a', '{"loss": 1}'), (2, NULL, 'b', '{"loss": 2}');"""
    runs = sqlite_stores.read(database(tmp_path / "t.db", script), "shown")
    assert [(run.name, series(check(run), "loss")) for run in runs] == [("a", [1]), ("b", [2])]


def test_database_is_read_without_a_trace(tmp_path: Path) -> None:
    """Nothing is written beside a database, and its bytes stay what they are."""
    path = database(tmp_path / "mlflow.db", MLFLOW)
    before = path.read_bytes()
    sqlite_stores.read(path, "shown")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_database_in_use_is_read_with_what_was_committed(tmp_path: Path, mode: str) -> None:
    """A writer that holds the lock neither blocks the reader nor hides rows that stand in the journal alone."""
    path = database(tmp_path / "mlflow.db", MLFLOW)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute(f"PRAGMA journal_mode = {mode}")
        writer.execute("INSERT INTO metrics VALUES ('late', 7, 1700000004000, 'aaaaaaaaaa', 9, 0)")
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("INSERT INTO metrics VALUES ('never', 8, 1700000004000, 'aaaaaaaaaa', 9, 0)")
        names = sorted(tmp_path.iterdir())
        run = sqlite_stores.read(path, "shown")[0]
        assert (series(run, "late"), series(run, "never")) == ([7], [])
        assert sorted(tmp_path.iterdir()) == names


def many_rows(path: Path) -> Path:
    """An MLflow database of many pages."""
    count = "WITH RECURSIVE g(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM g LIMIT 5000)"
    return database(
        path, f"{MLFLOW} INSERT INTO metrics {count} SELECT 'm', n, 1700000000000, 'aaaaaaaaaa', n, 0 FROM g;"
    )


def test_truncated_database_keeps_what_can_be_read(tmp_path: Path) -> None:
    """Half a database gives the rows before the break, and a problem."""
    path = many_rows(tmp_path / "mlflow.db")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    runs = [check(run) for run in sqlite_stores.read(path, "shown")]
    assert len(series(runs[0], "m")) > 500
    assert "only partly readable" in problems(runs[-1])


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE users (name TEXT)",
        "CREATE TABLE metrics (name TEXT)",
        "CREATE TABLE runs (a); CREATE VIEW metrics AS SELECT 1 AS key, 2 AS value, 3 AS timestamp, 4 AS run_uuid",
    ],
)
def test_other_databases_are_not_claimed(tmp_path: Path, script: str) -> None:
    """Only tables of a known tracker count; a view can hide a query without end."""
    assert not sqlite_stores.claims(database(tmp_path / "x.db", script))


def test_sacred_series_have_their_lines_steps_and_times(tmp_path: Path) -> None:
    """NaN stands bare; NumPy's numbers are wrapped; a pickled object is counted, not opened."""
    wrapped = {"dtype": "float64", "py/object": "numpy.float64", "value": 0.25}
    pickled = {"py/object": "numpy.float64", "py/reduce": [{"py/type": "os.system"}, "x"]}
    times = [f"2026-01-01T00:00:0{at}.500000" for at in range(4)]
    told_series = {"loss": {"steps": [1, 2, 3, 4], "timestamps": times, "values": [math.nan, wrapped, pickled, 3]}}
    text = json.dumps(told_series, indent=2)
    run = only(sacred, sacred_run(tmp_path, {}, text))
    rows = points(run)
    assert same(rows["value"].to_list(), [math.nan, 0.25, 3])
    assert rows["step"].to_list() == [1, 2, 4]
    assert rows["time"].dt.timestamp("ms")[0] == 1767225600500
    assert "NaN" in text.splitlines()[rows["line"][0] - 1]
    assert "0.25" in text.splitlines()[rows["line"][1] - 1]
    assert "1 values are no numbers" in problems(run)
    assert (run.name, told(run)) == ("exp/7", {"lr": "0.1", "seed": "5"})
    assert {path.name for path in run.owned} == {"run.json", "config.json", "metrics.json"}


@pytest.mark.parametrize(
    ("run", "want"),
    [
        ({"status": "COMPLETED"}, ("finished", "COMPLETED")),
        ({"status": "INTERRUPTED"}, ("killed", "KeyboardInterrupt")),
        ({"status": "TIMEOUT"}, ("killed", "TIMEOUT")),
        ({"status": "FAILED"}, ("traceback", "FAILED")),
        (
            {"status": "FAILED", "fail_trace": ["Traceback (most recent call last):\n", "ValueError: x\n"]},
            ("traceback", "ValueError: x"),
        ),
        (
            {
                "status": "FAILED",
                "fail_trace": ["Traceback (most recent call last):\n", "RuntimeError: CUDA out of memory\n"],
            },
            ("oom", "memory"),
        ),
        ({"status": "RUNNING"}, None),
        ({"status": ["FAILED"]}, None),
    ],
)
def test_sacred_status_says_how_the_run_ended(
    tmp_path: Path, run: dict[str, Any], want: tuple[str, str] | None
) -> None:
    """A failure is told in the words of its traceback, at their line; a run still marked as running has no end."""
    found = notes(only(sacred, sacred_run(tmp_path, run)))
    assert [kind for kind, _ in found] == ([want[0]] if want else [])
    assert want is None or want[1] in found[0][1]


def test_sacred_metrics_that_break_off_keep_what_was_complete(tmp_path: Path) -> None:
    """The observer rewrites the file as a whole, so a kill cuts it."""
    text = json.dumps(
        {"loss": {"steps": [1, 2], "values": [5.0, 4.0]}, "acc": {"steps": [1], "values": [0.5]}}, indent=1
    )
    run = only(sacred, sacred_run(tmp_path, {}, text[: text.index('"acc"') + 20]))
    assert series(run, "loss") == [5, 4]
    assert "breaks off" in problems(run)


def test_folder_of_json_files_that_are_not_sacred_is_not_claimed(tmp_path: Path) -> None:
    """``metrics.json`` beside ``config.json`` is common; only Sacred's own shape is claimed."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "metrics.json").write_text('{"loss": [1, 2]}')
    (tmp_path / "run.json").write_text('{"status": "done"}')
    assert not sacred.claims(tmp_path)
    (tmp_path / "metrics.json").write_text('{"loss": {"steps": [1], "values": [2]}}')
    assert sacred.claims(tmp_path)


@pytest.fixture(params=["folder", "zip"])
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An offline session, as a folder and as a zip."""
    if request.param == "zip":
        return zipped(tmp_path / "offline-1.zip")
    for name, text in SESSION.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_clearml_session_is_read_from_folder_and_zip(session: Path) -> None:
    """Labels are title and series, once where they are the same; a single value has no step; a broken line is named."""
    run = only(clearml, session)
    rows = points(run).select("line", "label", "value", "step").rows()
    assert rows == [(1, "loss/train", 1.5, 0), (1, "loss/val", 2, 0), (3, "acc", 0.5, 1), (3, "final", 0.9, None)]
    assert notes(run) == [("traceback", "ValueError: bad")]
    assert (run.name, told(run)) == ("my task", {"lr": "0.1"})
    assert "shown/metrics.jsonl:2" in problems(run)


def test_clearml_bomb_is_refused(tmp_path: Path) -> None:
    """A zip that unpacks out of all proportion is not unpacked."""
    path = tmp_path / "offline-1.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("task.json", "{}")
        archive.writestr("metrics.jsonl", bytes(64 << 20))
    assert "unpacks to" in problems(only(clearml, path))


def test_other_zips_and_folders_are_not_claimed(tmp_path: Path) -> None:
    """A zip without a session, and a file that is no zip, are left to others."""
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 broken")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("data.csv", "a,b")
    (tmp_path / "task.json").write_text("{}")
    assert not any(clearml.claims(path) for path in (tmp_path, tmp_path / "a.zip", tmp_path / "b.zip"))


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("CREATE TABLE run (id); INSERT INTO run VALUES (1), (2)", "2 runs, whose series only Aim can read"),
        ("CREATE TABLE run (id)", "without runs"),
    ],
)
def test_aim_repository_says_how_to_export_it(tmp_path: Path, script: str, says: str) -> None:
    """The series cannot be read without Aim, and the report says so instead of nothing."""
    folder = tmp_path / ".aim"
    (folder / "meta").mkdir(parents=True)
    (folder / "meta" / "000005.log").write_bytes(b"x")
    database(folder / "run_metadata.sqlite", script)
    run = only(aim, folder)
    assert says in problems(run)
    assert ("export" in problems(run)) == ("without" not in says)
    assert {path.name for path in run.owned} == {"run_metadata.sqlite", "000005.log"}


def test_nothing_is_claimed_that_is_not_there(tmp_path: Path) -> None:
    """Missing paths, empty folders, plain texts and links into nothing belong to no store."""
    (tmp_path / "train.log").write_text("epoch 1 loss 0.5\n")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    paths = (tmp_path, tmp_path / "train.log", tmp_path / "gone", tmp_path / "missing")
    assert not [(store.__name__, path.name) for store in STORES for path in paths if store.claims(path)]


def test_more_values_than_fit_are_left_out_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded: past a limit values are counted, not kept."""
    monkeypatch.setattr(stored, "MAX_POINTS", 3)
    run = only(wandb, wandb_run(tmp_path, [history(x=at) for at in range(5)]))
    assert series(run, "x") == [0, 1, 2]
    assert "only the first 3 of 5 values" in problems(run)


def test_folder_reached_through_a_link_is_claimed_like_the_folder(tmp_path: Path) -> None:
    """W&B leaves a link ``latest-run`` beside its runs; whichever is met first has the same content."""
    folder = wandb_run(tmp_path, [history(x=1)])
    (tmp_path / "latest-run").symlink_to(folder)
    assert series(only(wandb, tmp_path / "latest-run"), "x") == [1]


def files_of_stores(folder: Path) -> Iterator[tuple[ModuleType, Path, Path]]:
    """Every store with a path it reads and a file in it that can be broken."""
    run = wandb_run(folder, [history(_step=at, loss=at) for at in range(3)])
    yield wandb, run, run / "run-abc.wandb"
    run = mlflow_run(folder, {"m": "1 1 1\n2 2 2\n"})
    yield from ((mlflow, run, run / name) for name in ("metrics/m", "meta.yaml"))
    run = sacred_run(folder, {"status": "FAILED", "fail_trace": ["x"]}, '{"a": {"steps": [1], "values": [2]}}')
    yield from ((sacred, run, run / name) for name in ("metrics.json", "run.json"))
    for name, script in (("m.db", MLFLOW), ("t.db", TRACKIO)):
        yield sqlite_stores, database(folder / name, script), folder / name
    for name, text in SESSION.items():
        (folder / name).write_text(text)
        yield clearml, folder, folder / name
    yield clearml, zipped(folder / "s.zip"), folder / "s.zip"
    (folder / ".aim").mkdir()
    yield aim, folder / ".aim", database(folder / ".aim" / "run_metadata.sqlite", "CREATE TABLE run (id)")


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[ModuleType, Path, Path]]:
    """One of each store."""
    return list(files_of_stores(tmp_path_factory.mktemp("stores")))


@settings(max_examples=80)
@given(data=st.data())
def test_broken_stores_never_raise(breakable: list[tuple[ModuleType, Path, Path]], data: st.DataObject) -> None:
    """Whatever is overwritten or cut in a store's file, reading gives runs that keep the contract."""
    store, path, file = data.draw(st.sampled_from(breakable))
    whole = file.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    noise = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"NaN", b"1e999", b"[" * 3000, b'"', b"}"])))
    file.write_bytes(whole[:at] + noise + (whole[at + len(noise) :] if data.draw(st.booleans()) else b""))
    store.claims(path)
    try:
        for run in store.read(path, "shown"):
            check(run)
    finally:
        file.write_bytes(whole)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (1700000000.25, 1700000000250000),
        ("2023-11-14T22:13:20", 1700000000000000),
        ("2023-11-15T00:13:20+02:00", 1700000000000000),
        (12.5, None),
        (math.nan, None),
        ("soon", None),
        ("0001-01-01", None),
        (True, None),
        (None, None),
    ],
)
def test_moment_knows_clocks_from_durations(text: object, want: int | None) -> None:
    """Times without a zone are UTC; what lies outside this century is no clock."""
    assert moment(text) == want


def corpus_samples() -> list[dict[str, Any]]:
    """The manifest's samples of stores."""
    manifest = CORPUS / "manifest.jsonl"
    if not manifest.is_file():
        return []
    samples = [json.loads(line) for line in manifest.read_text("utf-8").splitlines() if line.strip()]
    return [sample for sample in samples if sample["format"] in SAMPLES]


def claimed(store: ModuleType, path: Path) -> list[Path]:
    """The folders at or below a path that a store claims."""
    folders = [path, *sorted(each for each in path.rglob("*") if each.is_dir())]
    return [folder for folder in folders if store.claims(folder)]


@pytest.mark.parametrize("sample", corpus_samples() or [None], ids=lambda sample: sample["file"] if sample else "none")
def test_published_stores_are_read_to_the_digit(sample: dict[str, Any] | None) -> None:
    """Number of values, first and last value of every metric, and the best one's step, as published."""
    if sample is None:
        pytest.skip("the corpus is not present")
    store, expected = SAMPLES[sample["format"]], sample["expected"]
    runs = [run for path in claimed(store, CORPUS / sample["file"]) for run in store.read(path, "shown")]
    rows = pl.concat([points(check(run)) for run in runs])
    assert rows.height == expected["n_points"]
    for label, count in expected["points"].items():
        assert len(rows.filter(pl.col("label") == label)) == count
    if store is not mlflow:  # whose first and last value depend on the order of runs
        for which, at in (("first", 0), ("final", -1)):
            for label, value in expected[which].items():
                assert same([rows.filter(pl.col("label") == label)["value"][at]], [float(value)])
    if best := expected["best"]:
        of = rows.filter((pl.col("label") == best["metric"]) & (pl.col("value") == best["value"]))
        assert best["at"]["step"] in of["step"]
