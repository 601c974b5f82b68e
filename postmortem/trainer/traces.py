"""What is compared of a run, from its frames."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import polars as pl

from postmortem import names
from postmortem.model import Run
from postmortem.trainer.verify import Floats, Trace

_DIGEST = re.compile(r"params_sha256[=: ]+([0-9a-f]{64})")
_COUNTS = ("samples", "unique_samples", "steps")


def trace_of(run: Run) -> Trace:
    """The trace of a run: its losses and scores by epoch, its rates, and its counts."""
    rows = run.metrics.filter(pl.col("epoch").is_not_null())
    text = [pl.col(name).cast(pl.String) for name in ("split", "metric")]
    last = (
        rows.with_columns(text).group_by("split", "metric", "epoch").agg(pl.col("value", "step").last()).sort("epoch")
    )
    series = {
        f"{split}.{metric}".lstrip("."): part["value"].to_numpy()
        for (split, metric), part in last.partition_by("split", "metric", as_dict=True).items()
    }
    told: dict[str, float | None] = dict(run.facts.select("key", "number").iter_rows())
    seed, shards = told.get("seed"), told.get("shards")
    return Trace(
        run.name,
        _structure(last, series),
        series.get("lr", np.array([])),
        {name: values for name, values in series.items() if names.role(name.rpartition(".")[2]) in ("loss", "score")},
        _digest(run),
        None if seed is None else int(seed),
        None if shards is None else int(shards),
    )


def _structure(last: pl.DataFrame, series: Mapping[str, Floats]) -> dict[str, float]:
    ends = last.group_by("epoch").agg(pl.col("step").max()).sort("epoch").drop_nulls()
    found = {f"{name} an epoch": float(np.median(series[name])) for name in _COUNTS if name in series}
    if last.height:
        found["epochs"] = float(last["epoch"].n_unique())
    if ends.height > 1:
        found["steps an epoch"] = float(np.median(np.diff(ends["step"].to_numpy())))
    return found


def _digest(run: Run) -> str | None:
    texts = [match[1] for text in run.events["text"].to_list() if (match := _DIGEST.search(str(text)))]
    return texts[-1] if texts else None
