"""All shipped rules over synthetic runs of 100 epochs and ten metrics, against ten checks in a plain Python loop.

Every fifth run overfits, every seventh diverges. Runs are made in batches outside the clock; both contenders take
turns on each batch, and processor time is summed up.

    python -m benchmarks.rules [--runs 10000] [--batch 50]
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from statistics import median

import polars as pl

from benchmarks.generate import EPOCHS, loss_at
from benchmarks.table import show
from postmortem import schema
from postmortem.engine import CompiledRule, RunView, evaluate, load_rules
from postmortem.model import Run, Source

Series = dict[str, list[float]]
_NAMES = ("train.loss", "val.loss", "train.accuracy", "val.accuracy", "val.auroc", "val.f1", "train.grad_norm", "lr")
_SYSTEM = ("epoch_seconds", "samples_per_second")
_SOURCE = "synthetic.jsonl"


def series(seed: int) -> Series:
    """Ten curves of one run; see above for which are sick."""
    noise = random.Random(seed)
    losses = [loss_at(epoch * 100, noise) for epoch in range(EPOCHS)]
    noisy = [[loss + noise.gauss(0, 0.01) for loss in losses] for _ in _NAMES[:-1]]
    falls = [name.endswith(("loss", "norm")) for name in _NAMES]
    curves = [
        values if fall else [1 - value / 10 for value in values] for values, fall in zip(noisy, falls, strict=False)
    ]
    curves += [[3e-4 * (1 - epoch / EPOCHS) for epoch in range(EPOCHS)]]
    curves += [[noise.gauss(60, 1) for _ in range(EPOCHS)], [noise.gauss(900, 9) for _ in range(EPOCHS)]]
    run = dict(zip((*_NAMES, *_SYSTEM), curves, strict=True))
    late = [max(0, epoch - EPOCHS // 3) for epoch in range(EPOCHS)]
    if seed % 5 == 4:
        run["val.loss"] = [loss + 0.01 * over for loss, over in zip(run["val.loss"], late, strict=True)]
    if seed % 7 == 6:
        run["train.loss"] = [loss + math.exp(over / 8) - 1 for loss, over in zip(run["train.loss"], late, strict=True)]
    return run


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


def batches(runs: int, size: int) -> Iterator[tuple[list[Run], list[Series]]]:
    """The runs in batches, as the reader would give them and as plain lists."""
    for start in range(0, runs, size):
        curves = [series(seed) for seed in range(start, min(start + size, runs))]
        yield [as_run(f"run{start + at}", one) for at, one in enumerate(curves)], curves


def judged(runs: Sequence[Run], rules: Sequence[CompiledRule]) -> int:
    """Number of findings in the runs."""
    return sum(len(outcome.findings) for run in runs for outcome in evaluate(RunView(run, {}), rules))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=50)
    given = parser.parse_args()
    rules = load_rules()
    works: tuple[Callable[[list[Run], list[Series]], int], ...] = (
        lambda runs, _: judged(runs, rules),
        lambda _, curves: sum(map(ten_checks, curves)),
    )
    judged([as_run("warm-up", series(0))], rules)
    spent, found = [0.0, 0.0], [0, 0]
    for batch in batches(given.runs, given.batch):
        for at, work in enumerate(works):
            began = time.process_time()
            found[at] += work(*batch)
            spent[at] += time.process_time() - began
    head = ("contender", "checks", "runs", "findings", "runs per cpu-s", "ms per check and run", "x plain loop")
    rows = zip(("postmortem", "plain loop"), (len(rules), 10), found, spent, strict=True)
    show(head, [[n, k, given.runs, f, given.runs / t, 1e3 * t / given.runs / k, t / spent[1]] for n, k, f, t in rows])


if __name__ == "__main__":
    main()
