"""Writes the stores that experiment trackers keep, and asks what was read from them."""

from __future__ import annotations

import json
import math
import sqlite3
import struct
import zipfile
import zlib
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl

from postmortem.ingest.reading import NOTES, POINTS, SETTINGS
from postmortem.ingest.stores.recorded import Recorded


def varint(value: int) -> bytes:
    """An unsigned protobuf varint (negative numbers as 64-bit two's complement)."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """A protobuf message of varints and length-delimited fields."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            raw = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(raw)) + raw
    return out


def item(name: str | tuple[str, ...], value: object) -> tuple[int, bytes]:
    """One item of a history, summary or configuration; a tuple is written as a nested key."""
    keys = [(1, name)] if isinstance(name, str) else [(2, part) for part in name]
    return 1, message(*keys, (16, json.dumps(value)))


def history(**values: object) -> bytes:
    """A record of one history row."""
    return message((2, message(*(item(name, value) for name, value in values.items()))))


def exit_record(code: int) -> bytes:
    """A record of the process' exit; a code of 0 is left out, as protobuf does."""
    return message((18, message((1, code)) if code else b""))


def framed(records: list[bytes]) -> bytes:
    """Records in blocks of 32 KiB with W&B's head."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, first = record, True
        while first or rest:
            room = 32768 - len(out) % 32768
            if room <= 7:
                out += bytes(room) if room < 7 else frame(2 if first else 3, b"")
                first = first and room < 7
                continue
            part, rest = rest[: room - 7], rest[room - 7 :]
            out += frame({(True, False): 1, (True, True): 2, (False, True): 3}.get((first, bool(rest)), 4), part)
            first = False
    return bytes(out)


def frame(kind: int, data: bytes) -> bytes:
    """One fragment with its checksum."""
    return struct.pack("<IHB", zlib.crc32(data, zlib.crc32(bytes([kind]))), len(data), kind) + data


def wandb_run(folder: Path, records: list[bytes], name: str = "run-20260101_000000-abc") -> Path:
    """A run's folder with a record file."""
    run = folder / name
    run.mkdir(parents=True)
    (run / "run-abc.wandb").write_bytes(framed(records))
    return run


def mlflow_run(folder: Path, metrics: dict[str, str], status: str = "3") -> Path:
    """The folder of a run in a file store."""
    run = folder / "mlruns" / "1" / "f00"
    for name, text in metrics.items():
        (run / "metrics" / name).parent.mkdir(parents=True, exist_ok=True)
        (run / "metrics" / name).write_text(text)
    (run / "params").mkdir(parents=True)
    (run / "params" / "lr").write_text("0.1")
    (run / "params" / "notes").write_text("x" * 5000)
    (run / "meta.yaml").write_text(f"end_time: 1700000009000\nrun_id: f00\nrun_name: calm-owl-1\nstatus: {status}\n")
    return run


MLFLOW = """
CREATE TABLE runs (run_uuid VARCHAR(32) PRIMARY KEY, name VARCHAR(250), status VARCHAR(9), end_time BIGINT);
CREATE TABLE params (key VARCHAR(250), value VARCHAR(250), run_uuid VARCHAR(32));
CREATE TABLE metrics (key VARCHAR(250), value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN);
INSERT INTO runs VALUES ('aaaaaaaaaa', 'twin', 'FAILED', 1700000009000), ('bbbbbbbbbb', 'twin', 'RUNNING', NULL);
INSERT INTO params VALUES ('lr', '0.1', 'aaaaaaaaaa'), ('lr', '0.2', 'bbbbbbbbbb');
INSERT INTO metrics VALUES
  ('loss', 1.5, 1700000000000, 'aaaaaaaaaa', 1, 0), ('loss', 0, 1700000001000, 'aaaaaaaaaa', 2, 1),
  ('loss', 1.7976931348623157e308, 1700000002000, 'aaaaaaaaaa', 3, 0), ('loss', 9, 1700000002000, 'bbbbbbbbbb', 1, 0),
  ('loss', 'no number', 1700000003000, 'aaaaaaaaaa', 4, 0), (NULL, 3, 1700000003000, 'aaaaaaaaaa', 4, 0),
  ('loss', 0.5, 'soon', 'aaaaaaaaaa', 'five', 0);
"""

TRACKIO = """
CREATE TABLE metrics (id INTEGER PRIMARY KEY, run_id TEXT, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT);
CREATE TABLE configs (id INTEGER PRIMARY KEY, run_id TEXT, run_name TEXT, config TEXT, created_at TEXT);
INSERT INTO configs VALUES (1, 'r1', 'first', '{"lr": 0.1, "_Username": null}', '');
INSERT INTO metrics VALUES
  (1, 'r1', '2026-01-01T00:00:00+00:00', 'first', 0, '{"loss": "NaN", "epoch": 0.5, "n": {"a": 1}}'),
  (2, 'r1', '2026-01-01T00:00:01', 'first', 1, CAST('{"loss": 0.5, "epoch": 1.0}' AS BLOB)),
  (3, 'r2', 'never', 'second', 0, '{"loss": "-Infinity"}'), (4, 'r1', '', 'first', 2, '{"loss": '),
  (5, 'r1', '', 'first', 3, '[1]');
"""


def database(path: Path, script: str) -> Path:
    """A database made by a script."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def sacred_run(folder: Path, run: dict[str, Any], metrics: str = "{}") -> Path:
    """The folder of a run as Sacred writes it: sorted keys, indented."""
    path = folder / "7"
    path.mkdir()
    whole = {"experiment": {"name": "exp"}, "heartbeat": "2026-01-01T00:00:00", "status": "RUNNING", **run}
    (path / "run.json").write_text(json.dumps(whole, indent=2, sort_keys=True))
    (path / "config.json").write_text('{\n  "lr": 0.1,\n  "seed": 5\n}')
    (path / "metrics.json").write_text(metrics)
    (path / "cout.txt").write_text("loss 1\n")
    return path


def scalar(metric: str, variant: str, value: object, step: int) -> dict[str, object]:
    """One event of a scalar."""
    kind = {"type": "training_stats_scalar", "timestamp": 1700000000000 + step, "task": "offline-1"}
    return {**kind, "metric": metric, "variant": variant, "value": value, "iter": step}


SESSION = {
    "task.json": json.dumps(
        {"name": "my task", "hyperparams": {"Args": {"lr": {"value": "0.1"}, "none": {"value": None}}}}
    ),
    "metrics.jsonl": "\n".join(
        [
            json.dumps([scalar("loss", "train", 1.5, 0), scalar("loss", "val", 2, 0), {"type": "plot", "value": 3}]),
            '[{"type": ',
            json.dumps([scalar("acc", "acc", 0.5, 1), scalar("Summary", "final", 0.9, -(2**31)), "no event"]),
        ]
    ),
    "log.jsonl": json.dumps([{"type": "log", "msg": "Traceback (most recent call last):\n  x\nValueError: bad\n"}])
    + "\n",
}


def zipped(path: Path) -> Path:
    """The session as a zip."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in SESSION.items():
            archive.writestr(name, text)
    return path


def only(store: ModuleType, path: Path) -> Recorded:
    """The one run a store finds at a path that it claims."""
    assert store.claims(path)
    runs = store.read(path, "shown")
    assert len(runs) == 1
    return check(runs[0])


def check(run: Recorded) -> Recorded:
    """The run, whose readings keep the contract of ``Reading``."""
    for reading in run.readings:
        assert reading.points.schema == POINTS
        assert reading.notes.schema == NOTES
        assert reading.settings.schema == SETTINGS
        assert 0 <= reading.understood <= reading.lines
        assert reading.source.startswith("shown")
    return run


def points(run: Recorded) -> pl.DataFrame:
    """The points of all readings."""
    return pl.concat([reading.points for reading in run.readings])


def series(run: Recorded, label: str) -> list[float]:
    """The values of one label."""
    return points(run).filter(pl.col("label") == label)["value"].to_list()


def notes(run: Recorded) -> list[tuple[str, str]]:
    """Kind and text of the events of all readings."""
    return [row for reading in run.readings for row in reading.notes.select("kind", "text").iter_rows()]


def told(run: Recorded) -> dict[str, str]:
    """The settings of all readings."""
    return {key: value for each in run.readings for key, value in each.settings.select("key", "value").iter_rows()}


def problems(run: Recorded) -> str:
    """The problems of all readings, in one text."""
    return "\n".join(problem.render() for reading in run.readings for problem in reading.problems)


def same(got: list[float], want: list[float]) -> bool:
    """Whether two series are equal, NaN being equal to itself."""
    return len(got) == len(want) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(got, want, strict=True)
    )
