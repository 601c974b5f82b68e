"""The ways to read a log that ``reading.py`` compares; prints how many values were read.

    python -m benchmarks.contenders NAME KIND PATH

Every one runs in a process of its own. ``bare`` is what Polars can do at the least: one scan with one anchored
pattern, or its own CSV and JSON readers. ``loop`` is what people write by hand.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

_NUMBER = r"(-?[0-9.]+(?:[eE][-+]?[0-9]+)?|nan)"
_ITER = rf"^iter ([0-9]+): loss {_NUMBER}, time {_NUMBER}ms, mfu {_NUMBER}%"
_LOOP = [
    re.compile(pattern)
    for pattern in (
        _ITER,
        rf"^\{{'loss': {_NUMBER}, 'grad_norm': {_NUMBER}, 'learning_rate': {_NUMBER}, 'epoch': {_NUMBER}\}}",
        rf"^step ([0-9]+): train loss {_NUMBER}, val loss {_NUMBER}",
        rf"^Epoch ([0-9]+)/[0-9]+ \| Train Loss: {_NUMBER} \| Val Loss: {_NUMBER} \| LR={_NUMBER}",
    )
]
_EPOCH = re.compile(rf"Train - Loss: {_NUMBER}, Acc: {_NUMBER} \| Val - Loss: {_NUMBER}")


def ours(path: Path) -> int:
    from postmortem.ingest import read  # noqa: PLC0415 - only this contender pays for it

    return sum(run.metrics.height for run in read([path]).runs)


def bare_text(path: Path) -> int:
    import polars as pl  # noqa: PLC0415

    found = (
        pl.scan_lines(path, name="text")
        .select(pl.col("text").str.extract_groups(_ITER).struct.unnest())
        .drop_nulls()
        .cast(pl.Float64)
        .collect(engine="streaming")
    )
    return found.height * (found.width - 1)


def bare_jsonl(path: Path) -> int:
    import polars as pl  # noqa: PLC0415

    with path.open(encoding="utf-8") as lines:
        schema = pl.Struct(dict.fromkeys(json.loads(next(lines)), pl.Float64))
    strict = pl.col("text").str.replace_all("NaN", "null", literal=True)
    records = pl.scan_lines(path, name="text").select(strict.str.json_decode(schema).struct.unnest())
    found = records.collect(engine="streaming")
    return found.height * found.width


def bare_csv(path: Path) -> int:
    import polars as pl  # noqa: PLC0415

    found = pl.read_csv(path, infer_schema_length=10_000)
    return int(found.count().sum_horizontal().item())


def bare_folders(root: Path) -> int:
    """Every history decoded by Python, every log by one pattern over all of them."""
    import polars as pl  # noqa: PLC0415

    histories = [json.loads(path.read_bytes()) for path in sorted(root.glob("*/history.json"))]
    logs = pl.scan_lines(sorted(root.glob("*/train.log")), name="text")
    found = logs.select(pl.col("text").str.extract_groups(_EPOCH.pattern).struct.unnest()).drop_nulls().collect()
    return sum(len(values) for history in histories for values in history.values()) + found.height * found.width


def loop_text(path: Path) -> int:
    rows: list[tuple[float, ...]] = []
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            hit = next((hit for pattern in _LOOP if (hit := pattern.match(line))), None)
            if hit:
                rows.append(tuple(map(float, hit.groups())))
    return sum(map(len, rows))


def loop_jsonl(path: Path) -> int:
    series: dict[str, list[float]] = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            for key, value in json.loads(line).items():
                series.setdefault(key, []).append(value)
    return sum(map(len, series.values()))


def loop_csv(path: Path) -> int:
    series: dict[str, list[float]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            for key, value in row.items():
                if value:
                    series.setdefault(key, []).append(float(value))
    return sum(map(len, series.values()))


def loop_folders(root: Path) -> int:
    values = 0
    for folder in sorted(root.iterdir()):
        values += sum(map(len, json.loads((folder / "history.json").read_text()).values()))
        values += sum(len(hit) for hit in _EPOCH.findall((folder / "train.log").read_text()))
    return values


CONTENDERS: dict[str, dict[str, Callable[[Path], int]]] = {
    "text": {"postmortem": ours, "bare": bare_text, "loop": loop_text},
    "jsonl": {"postmortem": ours, "bare": bare_jsonl, "loop": loop_jsonl},
    "csv": {"postmortem": ours, "bare": bare_csv, "loop": loop_csv},
    "folders": {"postmortem": ours, "bare": bare_folders, "loop": loop_folders},
}

if __name__ == "__main__":
    name, kind, where = sys.argv[1:]
    print(CONTENDERS[kind][name](Path(where)))
