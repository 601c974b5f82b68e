"""All shipped rules over synthetic runs of 100 epochs and ten metrics, against ten checks in a plain Python loop.

python -m benchmarks.rules [--runs 50] [--repeat 3]
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median

import polars as pl

from benchmarks.generate import EPOCHS, loss_at
from benchmarks.table import show
from postmortem import schema
from postmortem.engine import RunView, evaluate, load_rules
from postmortem.model import Run, Source

Series = dict[str, list[float]]
_NAMES = ("train.loss", "val.loss", "train.accuracy", "val.accuracy", "val.auroc", "val.f1", "train.grad_norm", "lr")
_SYSTEM = ("epoch_seconds", "samples_per_second")
_SOURCE = "synthetic.jsonl"


def series(seed: int) -> Series:
    """Ten curves of one healthy run."""
    noise = random.Random(seed)
    losses = [loss_at(epoch * 100, noise) for epoch in range(EPOCHS)]
    noisy = [[loss + noise.gauss(0, 0.01) for loss in losses] for _ in _NAMES[:-1]]
    falls = [name.endswith(("loss", "norm")) for name in _NAMES]
    curves = [
        values if fall else [1 - value / 10 for value in values] for values, fall in zip(noisy, falls, strict=False)
    ]
    curves += [[3e-4 * (1 - epoch / EPOCHS) for epoch in range(EPOCHS)]]
    curves += [[noise.gauss(60, 1) for _ in range(EPOCHS)], [noise.gauss(900, 9) for _ in range(EPOCHS)]]
    return dict(zip((*_NAMES, *_SYSTEM), curves, strict=True))


def as_run(name: str, curves: Series) -> Run:
    """The same curves as the reader would give them."""
    frames = []
    for label, values in curves.items():
        split, _, metric = label.rpartition(".")
        epochs = pl.int_range(1, len(values) + 1, eager=True)
        frames.append(
            pl.DataFrame({"value": values, "epoch": epochs, "step": epochs, "line": epochs}).with_columns(
                attempt=pl.lit(0), split=pl.lit(split), metric=pl.lit(metric), label=pl.lit(label)
            )
        )
    metrics = pl.concat(frames).with_columns(run=pl.lit(name), source=pl.lit(_SOURCE), time=pl.lit(None, schema.TIME))
    metrics = metrics.sort("line", maintain_order=True).select(list(schema.METRICS)).cast(schema.METRICS)
    events, facts, unread = (schema.empty(frame) for frame in ("events", "facts", "unread"))
    source = Source(_SOURCE, "json-lines", EPOCHS)
    return Run(name, (source,), schema.check("metrics", metrics), events, facts, unread)


def ten_checks(curves: Series) -> int:
    """What a script would check by hand; gives the number of alarms."""
    train, val, grad = curves["train.loss"], curves["val.loss"], curves["train.grad_norm"]
    alarms = [
        any(not math.isfinite(value) for values in curves.values() for value in values),
        train[-1] > 1.5 * min(train),
        val[-1] > 1.1 * min(val) and train[-1] < train[0],
        val.index(min(val)) < len(val) // 2,
        abs(train[-1] - train[-11]) < 1e-3 * abs(train[0]),
        any(now > 3 * before for before, now in pairwise(train)),
        max(grad) > 100,
        min(grad) < 1e-7,
        len({*curves["val.auroc"]}) < 5,
        median(curves["epoch_seconds"][-10:]) > 1.5 * median(curves["epoch_seconds"][:10]),
    ]
    return sum(alarms)


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    curves = [series(seed) for seed in range(given.runs)]
    runs = [as_run(f"run{number}", one) for number, one in enumerate(curves)]
    rules = load_rules()
    works: Sequence[tuple[str, int, Callable[[], object]]] = (
        ("postmortem", len(rules), lambda: [evaluate(RunView(run, {}), rules) for run in runs]),
        ("plain loop", 10, lambda: [ten_checks(one) for one in curves]),
    )
    times: dict[str, list[float]] = {name: [] for name, _, _ in works}
    for _ in range(given.repeat):
        for name, _, work in works:
            times[name].append(seconds(work))
    base = median(times["plain loop"])
    head = ("contender", "rules", "runs per cpu-s", "ms per rule and run", "x plain loop")
    rows = [(name, count, median(times[name])) for name, count, _ in works]
    show(head, [[n, k, given.runs / t, 1e3 * t / given.runs / k, t / base] for n, k, t in rows])


if __name__ == "__main__":
    main()
