"""Where a record stands: which of its columns say step, epoch, time and split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import polars as pl

from postmortem import names
from postmortem.schema import TIME

# Best first: the first name a file has is its axis, so a counter of updates beats an iteration within an epoch.
_STEPS = (
    "global_step",
    "step",
    "current_steps",
    "num_updates",
    "timesteps_total",
    "total_timesteps",
    "timesteps_so_far",
    "total_env_steps",
    "total_env_interacts",
    "num_env_steps_sampled_lifetime",
    "num_env_steps",
    "env_steps",
    "steps",
    "iteration",
    "iter",
    "iterations",
    "it",
    "update",
    "updates",
    "training_iteration",
    "tick",
    "round",
    "batch",
)
_EPOCHS = ("epoch", "epochs", "current_epoch", "epoch_num", "epoch_id")
_TIMES = ("timestamp", "created_at", "wall_time", "datetime", "date_time", "logged_at", "ts", "date", "time")
_SPLITS = ("split", "mode", "phase", "stage", "subset", "set", "dataset")
# Counters that may start again in each epoch; only then they are no step of the run.
_WITHIN_EPOCH = ("iter", "it", "batch", "step", "steps", "iteration")

_CAMEL = re.compile(r"([a-z0-9])([A-Z])")


class Axes(NamedTuple):
    """Labels of the columns that say where a record stands; None where no column does."""

    step: str | None
    epoch: str | None
    time: str | None
    split: str | None


@lru_cache(maxsize=65536)
def key(label: str) -> str:
    """The last part of a label in lower case: ``time/total_timesteps`` and ``TotalTimesteps`` are the same."""
    last = label.rpartition("/")[2].strip()
    return re.sub(r"[\s\-_.]+", "_", _CAMEL.sub(r"\1_\2", last)).lower().strip("_#")


def choose(labels: Sequence[str]) -> Axes:
    """The axes among the labels of a file, by name alone."""
    return Axes(_first(labels, _STEPS), _first(labels, _EPOCHS), _first(labels, _TIMES), _first(labels, _SPLITS))


def is_position(label: str) -> bool:
    """Whether a label names a step or an epoch."""
    return key(label) in _STEPS or key(label) in _EPOCHS


def _first(labels: Sequence[str], wanted: Sequence[str]) -> str | None:
    rank = {name: at for at, name in enumerate(wanted)}
    # At equal rank the label without a path wins: `epoch` before `train/epoch`.
    known = [(rank[key(label)], label.count("/"), label) for label in labels if key(label) in rank]
    return min(known, key=lambda each: each[:2])[2] if known else None


def positions(values: pl.DataFrame, axes: Axes) -> tuple[pl.Series, pl.Series]:
    """Step (Int64) and epoch (Float64) of each record; null where unknown.

    Steps that start again in each epoch are given up: where they stand in the run is not known.
    """
    step, epoch = _whole(values, axes.step), _finite(values, axes.epoch)
    if axes.step is None or axes.epoch is None:
        return step, epoch
    if key(axes.step) in _WITHIN_EPOCH and _starts_again(step, epoch, key(axes.step) == "batch"):
        return step.clear(values.height), epoch
    return _repaired(step, epoch)


def _whole(values: pl.DataFrame, label: str | None) -> pl.Series:
    numbers = _finite(values, label)
    # No step is negative: -1 says "at the end of the epoch". The cast is not strict: none is too large for an Int64.
    return numbers.set((numbers != numbers.floor()) | (numbers < 0), None).cast(pl.Int64, strict=False).rename("step")


def _finite(values: pl.DataFrame, label: str | None) -> pl.Series:
    if label is None:
        return pl.Series("epoch", [None] * values.height, dtype=pl.Float64)
    numbers = number(values[label])
    return numbers.set(~numbers.is_finite(), None).rename("epoch")


def _starts_again(step: pl.Series, epoch: pl.Series, batches: bool) -> bool:
    """Whether steps mostly go back when the epoch grows, or batches ever: then they count within the epoch."""
    known = pl.DataFrame({"s": step, "e": epoch}).drop_nulls()
    if batches and known.filter((pl.col("e").diff() >= 0) & (pl.col("s").diff() < 0)).height:
        return True
    back = known.filter(pl.col("e").diff() > 0).height
    return back > 0 and known.filter((pl.col("e").diff() > 0) & (pl.col("s").diff() <= 0)).height * 2 > back


def _repaired(step: pl.Series, epoch: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Validation records whose ``step`` is the epoch (mmengine) get the step of the training record before them.

    Told by: such records have no epoch of their own, and their step always equals the epoch last seen.
    """
    seen = epoch.fill_null(strategy="forward")
    odd = epoch.is_null() & step.is_not_null() & seen.is_not_null()
    if not odd.any() or not (step.cast(pl.Float64) == seen).filter(odd).all() or not (step > seen).any():
        return step, epoch
    return step.set(odd, None).fill_null(strategy="forward"), seen


def split_of(values: pl.DataFrame, axes: Axes) -> pl.Series:
    """Splits named by a text column such as ``mode``; null for words that name none."""
    none = pl.Series("split", [None] * values.height, dtype=pl.String)
    if axes.split is None or values[axes.split].dtype != pl.String:
        return none
    words = values[axes.split].unique().drop_nulls().to_list()
    known = {word: names.split_word(word) for word in words if names.split_word(word)}
    return values[axes.split].replace_strict(known, default=None, return_dtype=pl.String).rename("split")


def time_of(values: pl.DataFrame, axes: Axes) -> pl.Series:
    """Times in UTC; all null when the column holds no clock times (``time`` is mostly a duration)."""
    if axes.time is None:
        return pl.Series("time", [None] * values.height, dtype=TIME)
    column = values[axes.time]
    return (_clock(column) if column.dtype == pl.String else _unix(column)).rename("time")


def _unix(column: pl.Series) -> pl.Series:
    """Seconds or milliseconds since 1970, between the years 2001 and 2096; anything else is no clock."""
    known = column.drop_nulls().drop_nans()
    low, high = known.min(), known.max()
    for unit in (1, 1_000, 1_000_000):
        if isinstance(low, float) and isinstance(high, float) and low / unit >= 1e9 and high / unit < 4e9:
            return (column * (1_000_000 / unit)).fill_nan(None).round().cast(pl.Int64).cast(TIME)
    return pl.Series([None] * len(column), dtype=TIME)


_CLOCK = (
    r"^\s*([0-9]{4}[-/][0-9]{2}[-/][0-9]{2})[T _]([0-9]{2})[:\-]([0-9]{2})"  # date, hours, minutes
    r"(?:[:\-]([0-9]{2})(?:[.,]([0-9]{1,6})[0-9]*)?)?"  # seconds and their fraction
    r"\s*(?:Z|UTC|([+-])([0-9]{2}):?([0-9]{2}))?\s*$"  # zone
)


def _clock(column: pl.Series) -> pl.Series:
    """ISO-like texts, also ``2018-11-10_00-18-12`` and fractions of any length; no zone is taken as UTC."""
    part = pl.col("t").str.extract_groups(_CLOCK).struct
    clock = pl.format(
        "{} {}:{}:{}",
        part.field("1").str.replace_all("/", "-"),
        part.field("2"),
        part.field("3"),
        part.field("4").fill_null("00"),
    )
    micros = part.field("5").str.pad_end(6, "0").cast(pl.Int64).fill_null(0)
    minutes = part.field("7").cast(pl.Int64) * 60 + part.field("8").cast(pl.Int64)
    ahead = pl.when(part.field("6") == "-").then(-minutes).otherwise(minutes).fill_null(0)
    moment = clock.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    utc = (moment + pl.duration(microseconds=micros, minutes=-ahead)).dt.replace_time_zone("UTC").cast(TIME)
    times = pl.DataFrame({"t": column}).select(utc.alias("t"))["t"]
    if times.null_count() == len(column):
        return _unix(column.cast(pl.Float64, strict=False))
    return times


_CLOCKED = r"^(?:([0-9]+) days?,? *)?(?:([0-9]+):)?([0-9]{1,2}):([0-9]{2}(?:\.[0-9]+)?)$"
_WORDED = (
    r"^(?:([0-9]+) ?d(?:ays?)?[ ,]*)?(?:([0-9]+) ?h(?:ours?|rs?)?[ ,]*)?"
    r"(?:([0-9]+) ?m(?:in(?:utes?)?)?[ ,]*)?(?:([0-9.]+) ?s(?:ec(?:onds?)?)?)?$"
)
_UNITS = (86400, 3600, 60, 1)


def number(column: pl.Series) -> pl.Series:
    """The column as Float64, of texts that are numbers or durations (``04:39``, ``3 days, 1:02:03``, ``13m 25s``).

    What is no number becomes null; ``nan`` and ``inf`` are kept.
    """
    if column.dtype != pl.String:
        return column.cast(pl.Float64, strict=False)
    text = column.str.strip_chars(" \t\"'")
    plain = text.str.replace(r"^([-+]?)[iI]nf(inity)?$", "${1}inf").cast(pl.Float64, strict=False)
    if plain.null_count() == text.null_count() or not text.str.contains(r"^[0-9].*[0-9a-z]$").any():
        return plain
    seconds = pl.coalesce(_seconds(_CLOCKED), pl.when(pl.col("t").str.contains("^[0-9]")).then(_seconds(_WORDED)))
    read = pl.coalesce("plain", seconds)
    return pl.DataFrame({"t": text, "plain": plain}).select(read.alias(column.name)).to_series()


def _seconds(form: str) -> pl.Expr:
    part = pl.col("t").str.extract_groups(form).struct
    parts = [part.field(str(at + 1)).cast(pl.Float64, strict=False) for at in range(len(_UNITS))]
    total = pl.sum_horizontal(each * unit for each, unit in zip(parts, _UNITS, strict=True))
    return pl.when(pl.any_horizontal(each.is_not_null() for each in parts)).then(total)
