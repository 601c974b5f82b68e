"""Weights & Biases' record files: read in full, and damage costs no more than what it hit."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_files import (
    exit_record,
    framed,
    history,
    item,
    message,
    notes,
    only,
    points,
    problems,
    same,
    series,
    told,
    varint,
    wandb_run,
)

from postmortem.ingest.stores import wandb


def test_wandb_values_keep_nan_and_infinity_and_leave_media_out(tmp_path: Path) -> None:
    """NaN comes bare or as a text; nested keys join with dots; texts, switches, lists and media are no metrics."""
    row = message(
        item("bare", float("nan")),
        item("text", "NaN"),
        item(("up",), "Infinity"),
        item("down", float("-inf")),
        item(("nest", "b"), 3),
        item("dict", {"a": {"c": 4}}),
        item("word", "hi"),
        item("flag", True),
        item(("hist", "_type"), "histogram"),
        item(("hist", "width"), 640),
        item("image", {"_type": "image-file", "width": 640}),
        item("_step", 7),
        item("_timestamp", 1700000000.5),
        item("_runtime", 12.0),
    )
    run = only(wandb, wandb_run(tmp_path, [message((21, b"")), message((2, row))]))
    rows = points(run)
    assert set(rows["label"]) == {"bare", "text", "up", "down", "nest.b", "dict.a.c"}
    assert same(rows["value"].to_list(), [math.nan, math.nan, math.inf, -math.inf, 3, 4])
    assert set(rows["step"]) == {7}
    assert set(rows["line"]) == {2}
    assert rows["time"].dt.timestamp("ms").unique().to_list() == [1700000000500]
    assert {reading.source for reading in run.readings} == {"shown/run-abc.wandb"}


def test_wandb_typed_values_are_read(tmp_path: Path) -> None:
    """Later files may hold numbers as such: a zigzag integer, a double, a JSON text."""
    integer = message((1, "int"), (5, 9))  # -5 in zigzag
    number = message((1, "double")) + varint(6 << 3 | 1) + struct.pack("<d", 2.5)
    row = message((1, integer), (1, number), (1, message((1, "json"), (8, '{"a": 1}'))))
    run = only(wandb, wandb_run(tmp_path, [message((2, row))]))
    assert dict(points(run).select("label", "value").iter_rows()) == {"int": -5, "double": 2.5, "json.a": 1}


@pytest.mark.parametrize(
    ("rows", "steps"),
    [
        ([{"_step": 0, "x": 1}, {"_step": 5, "x": 2}], [0, 5]),
        ([{"_step": 0, "x": 1, "train/global_step": 10}, {"_step": 1, "x": 2, "train/global_step": 20}], [10, 20]),
        ([{"_step": 0, "x": 1, "trainer/global_step": 10}, {"_step": 1, "x": 2}], [10, 10]),
        ([{"_step": 0, "x": 1, "global_step": 9}, {"_step": 1, "x": 2}, {"_step": 2, "x": 3}], [0, 1, 2]),
        ([{"x": 1}, {"x": 2}], [None, None]),
        ([{"_step": 1e30, "x": 1}, {"_step": 1.5, "x": 2}], [None, None]),
    ],
)
def test_wandb_step_is_the_global_step_where_most_records_have_it(
    tmp_path: Path, rows: list[dict[str, Any]], steps: list[int | None]
) -> None:
    """``_step`` counts calls of log; a ``global_step`` in half of the records or more is the step of training."""
    run = only(wandb, wandb_run(tmp_path, [history(**row) for row in rows]))
    assert points(run).filter(pl.col("label") == "x")["step"].to_list() == steps


@pytest.mark.parametrize(
    ("output", "code", "kind", "says"),
    [
        ("", 0, "finished", "exit code 0"),
        ("", 1, "killed", "exit code 1"),
        ("", -9, "killed", "exit code -9"),
        ("Traceback (most recent call last):\n  File x\nValueError: bad\n", 1, "traceback", "ValueError: bad"),
        ("Traceback (most recent call last):\nKeyboardInterrupt\n", 255, "killed", "KeyboardInterrupt"),
        ("Traceback (most recent call last):\ntorch.OutOfMemoryError: CUDA out of memory\n", 1, "oom", "out of memory"),
    ],
)
def test_wandb_exit_says_how_the_run_ended(tmp_path: Path, output: str, code: int, kind: str, says: str) -> None:
    """The exit code tells whether it failed, the captured output in what words."""
    captured = [message((13, message((3, output))))] if output else []
    run = only(wandb, wandb_run(tmp_path, [history(x=1), *captured, exit_record(code)]))
    assert [each for each, _ in notes(run)] == [kind]
    assert says in notes(run)[0][1]
    assert not problems(run)


def test_wandb_without_an_exit_claims_no_end(tmp_path: Path) -> None:
    """A run whose process was killed, or still runs, has no record of its exit, and no event is made up."""
    assert notes(only(wandb, wandb_run(tmp_path, [history(x=1)]))) == []


def test_wandb_summary_stands_in_only_for_an_empty_history(tmp_path: Path) -> None:
    """A summary repeats the last values; it counts where nothing else was logged, without the tracker's own entries."""
    summary = message((3, message(item("acc", 0.5), item(("_wandb", "runtime"), 13))))
    alone = only(wandb, wandb_run(tmp_path, [summary], "run-1"))
    beside = only(wandb, wandb_run(tmp_path, [history(acc=0.25), summary], "run-2"))
    assert (series(alone, "acc"), points(alone).height) == ([0.5], 1)
    assert series(beside, "acc") == [0.25]


def test_wandb_name_and_settings_come_from_the_run_record(tmp_path: Path) -> None:
    """Later configuration replaces earlier; nested keys join with dots; W&B's own are left out."""
    config = message(item("lr", 0.1), item("opt", {"name": "adam"}), item("_wandb", {"m": 1}))
    later = message((5, message(item("lr", 0.2))))
    run = only(wandb, wandb_run(tmp_path, [message((17, message((8, "calm-river-3"), (4, config)))), later]))
    assert run.name == "calm-river-3"
    assert told(run) == {"opt.name": "adam", "lr": "0.2"}


def test_wandb_config_file_is_preferred_and_output_log_left_to_others(tmp_path: Path) -> None:
    """``config.yaml`` has lines a person can open; ``output.log`` is a text log that text readers read."""
    folder = wandb_run(tmp_path, [message((17, message((4, message(item("lr", 0.1))))))])
    (folder / "files").mkdir()
    (folder / "files" / "config.yaml").write_text(
        "wandb_version: 1\n_wandb:\n  value: {a: 1}\nlr:\n  desc: null\n  value: 0.3\n"
    )
    (folder / "files" / "output.log").write_text("loss 1\n")
    run = only(wandb, folder)
    assert told(run) == {"lr": "0.3"}
    assert {
        reading.source: reading.settings["line"].to_list() for reading in run.readings if reading.settings.height
    } == {"shown/files/config.yaml": [6]}
    assert {path.name for path in run.owned} == {"run-abc.wandb", "config.yaml"}


@pytest.mark.parametrize("data", [b"", bytes(4096), b"hello, this is no record file", b":W&B"])
def test_wandb_file_that_is_none_is_a_problem(tmp_path: Path, data: bytes) -> None:
    """A process killed at its start leaves an empty file; anything else under the name is named as what it is not."""
    path = tmp_path / "run-x.wandb"
    path.write_bytes(data)
    run = only(wandb, path)
    assert points(run).is_empty()
    assert ("empty" if not data.strip(b"\0") else "not a W&B record file") in problems(run)


MANY = [history(_step=at, loss=1 / (at + 1), pad="x" * 900) for at in range(200)]  # some six blocks
WHOLE = framed(MANY)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(7, len(WHOLE) - 1))
def test_wandb_cut_anywhere_keeps_every_whole_record(tmp_path: Path, cut: int) -> None:
    """A killed process leaves an unfinished last record; all before it are read, and the cut is said."""
    path = tmp_path / "run-x.wandb"
    path.write_bytes(WHOLE[:cut])
    run = only(wandb, path)
    got = series(run, "loss")
    assert got == [1 / (at + 1) for at in range(len(got))]
    assert len(got) >= (cut - 7) * 200 // len(WHOLE) - 1
    clean = framed(MANY[: len(got)])
    assert bool(problems(run)) == bool(WHOLE[len(clean) : cut].strip(b"\0"))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(7, len(WHOLE) - 1), flip=st.integers(1, 255))
def test_wandb_damage_costs_no_more_than_its_block(tmp_path: Path, at: int, flip: int) -> None:
    """A flipped byte is found by its checksum; the records of other blocks are read, and none with a wrong value."""
    data = bytearray(WHOLE)
    data[at] ^= flip
    path = tmp_path / "run-x.wandb"
    path.write_bytes(data)
    run = only(wandb, path)
    rows = points(run).filter(pl.col("label") == "loss")
    assert rows["value"].to_list() == [1 / (step + 1) for step in rows["step"]]
    assert rows.height >= 200 - 2 * (32768 // 900)
    assert rows.height == 200 or problems(run)


def test_wandb_record_longer_than_blocks_is_put_together(tmp_path: Path) -> None:
    """A record may span many blocks, and start in the last bytes of one."""
    records = [history(pad="x" * size, loss=size) for size in (100_000, 32_600, 5, 32_768, 70_000)]
    assert series(only(wandb, wandb_run(tmp_path, records)), "loss") == [100_000, 32_600, 5, 32_768, 70_000]


def test_wandb_records_decoded_together_are_those_decoded_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where batches end changes nothing: plain and nested values, media, settings, a summary, an exit, a broken one."""
    rows = [history(_step=at, loss=1 / (at + 1), word="x", deep={"b": at}) for at in range(20)]
    media = message((2, message(item(("pic", "_type"), "image"), item(("pic", "width"), 9), item("lr", 0.5))))
    config = [message((5, message(item("lr", rate)))) for rate in (0.1, 0.2)]
    broken = b"\x12\x05\x0a"
    folder = wandb_run(tmp_path, [*rows[:9], media, config[0], broken, *rows[9:], config[1], exit_record(0)])
    whole = only(wandb, folder)
    monkeypatch.setattr(wandb, "_BATCH", 0)
    alone = only(wandb, folder)
    assert points(whole).equals(points(alone))
    assert points(whole).height == 41
    assert (told(whole), notes(whole), problems(whole)) == (told(alone), notes(alone), problems(alone))
    assert (told(whole), len(notes(whole))) == ({"lr": "0.2"}, 1)
    assert "1 records could not be decoded" in problems(whole)


@pytest.mark.parametrize(
    "value", ["[" * 100_000, "1" * 10_000, "1e999", "{" * 50, '{"a":' * 5000 + "1" + "}" * 5000, ""]
)
def test_wandb_hostile_values_hurt_nothing_else(tmp_path: Path, value: str) -> None:
    """Deep nesting, gigantic numbers and broken JSON are passed over; the values beside them stay."""
    bad = message((1, message((1, "bad"), (16, value))), item("good", 2))
    assert series(only(wandb, wandb_run(tmp_path, [message((2, bad))])), "good") == [2]
