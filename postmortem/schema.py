"""The Polars schemas of the four frames every layer shares, and the check at their borders."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

TIME = pl.Datetime("us", "UTC")

NAME = pl.Categorical()
"""Texts of which a frame of millions of rows has a few: a number a row. They compare and print as texts."""

METRICS = pl.Schema(
    {
        "run": NAME,
        "attempt": pl.UInt16(),  # grows by one when steps go back: a resume or a restart
        "step": pl.Int64(),  # null where the log has none
        "epoch": pl.Float64(),  # null where the log has none; fractional where the log is
        "split": NAME,  # train, val, test, eval_train, the log's own name, or "" for none
        "metric": NAME,  # canonical name, see postmortem/names.py
        "label": NAME,  # the name as it was logged
        "value": pl.Float64(),  # NaN and infinities are kept
        "time": TIME,  # null where the log has none
        "source": NAME,  # path as given on the command line
        "line": pl.UInt32(),  # 1-based; for JSON and binary files the record's line or ordinal
    }
)
"""Long metrics frame: one row a printed value, in the order of the log."""

EVENTS = pl.Schema(
    {
        "run": pl.String(),
        "attempt": pl.UInt16(),
        "step": pl.Int64(),
        "epoch": pl.Float64(),
        "time": TIME,
        "kind": pl.String(),  # one of EVENT_KINDS
        "text": pl.String(),
        "source": pl.String(),
        "line": pl.UInt32(),
    }
)
"""Things that happened: a traceback, a checkpoint, the end."""

FACTS = pl.Schema(
    {
        "run": pl.String(),
        "key": pl.String(),  # one of FACT_KEYS where known, else the log's own name
        "value": pl.String(),
        "number": pl.Float64(),  # null where the value is no number
        "source": pl.String(),
        "line": pl.UInt32(),
    }
)
"""What the run was told: configuration, sizes, targets."""

UNREAD = pl.Schema(
    {
        "run": pl.String(),
        "source": pl.String(),
        "first": pl.UInt32(),  # 1-based first line of the span
        "last": pl.UInt32(),  # 1-based last line of the span
        "lines": pl.UInt32(),
        "shape": pl.String(),  # the line with every number replaced by 0
    }
)
"""Spans of consecutive lines that nothing understood."""

FRAMES: Mapping[str, pl.Schema] = {
    "metrics": METRICS,
    "events": EVENTS,
    "facts": FACTS,
    "unread": UNREAD,
}

EVENT_KINDS = (
    "traceback",  # an uncaught exception; text is the exception line
    "oom",  # device or host memory ran out
    "killed",  # a signal, a scheduler, or a user ended the process
    "nan-warning",  # the program itself said a value was not finite
    "checkpoint",  # a checkpoint was written
    "best",  # a new best value was announced
    "early-stop",  # the program stopped itself before its planned end
    "restart",  # the program said that it resumed
    "finished",  # the program said that it ended as planned
    "epoch",  # a heading opened an epoch
    "warning",  # a warning line
)

FACT_KEYS = (
    "epochs",  # planned
    "steps",  # planned
    "steps_per_epoch",
    "batch_size",
    "lr",
    "weight_decay",
    "dropout",
    "num_workers",
    "world_size",
    "grad_accum",
    "n_train",
    "n_val",
    "device",
    "seed",
    "scheduler",
    "optimizer",
    "patience",
    "monitor",
    "precision",
    "time_limit",  # a text with its unit, such as 24:00:00 or 36h
)
"""Canonical fact keys; ``target.<metric>`` is also canonical."""


def empty(frame: str) -> pl.DataFrame:
    """An empty frame of the named schema (``metrics``, ``events``, ``facts`` or ``unread``)."""
    return pl.DataFrame(schema=FRAMES[frame])


def check(frame: str, data: pl.DataFrame) -> pl.DataFrame:
    """Returns ``data`` unchanged if it has exactly the named schema.

    Raises:
        TypeError: A column is missing, extra, out of order or of another type; says which.
    """
    want, got = FRAMES[frame], data.schema
    if got != want or list(got) != list(want):
        wrong = [
            f"{name}: {got.get(name)} instead of {want.get(name)}"
            for name in {**want, **got}
            if got.get(name) != want.get(name)
        ]
        raise TypeError(f"not a {frame} frame: {'; '.join(wrong) or 'columns out of order'}")
    return data
