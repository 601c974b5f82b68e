"""Functions of what was told twice: settings that a configuration file, the log and a resume state differently."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Point, Scalar, Series, Value, absent
from postmortem.names import fact_key

# Settings a training has one of; a log states each for one thing only, or it is left out.
_SINGLE = ("batch_size", "global_batch_size", "lr", "weight_decay", "dropout", "grad_accum", "n_train", "n_val", "seed")
_PLANNED = ("epochs", "steps")  # may grow when a run is resumed
_SECTIONS = ("training", "train", "trainer", "optimizer", "optim", "data", "dataset", "dataloader", "model", "hparams",
             "hyperparameters", "params", "config", "args")  # fmt: skip


@dataclass(frozen=True)
class _Statement:
    value: float
    at: Point


@dataclass(frozen=True)
class _Pair:
    """One setting, as stated first (or in the file) and as stated afterwards (or in the log)."""

    key: str
    told: _Statement
    used: _Statement

    @property
    def words(self) -> str:
        told, used = (f"{each.value:g} ({_place(each.at)})" for each in (self.told, self.used))
        return f"{self.key} is {told} and {used}"


def _place(at: Point) -> str:
    return f"{Path(at.source or '').name}:{at.line}"


def _canonical(key: str) -> str:
    """The setting a key of a configuration file means: of ``training.batch_size`` its last part."""
    section, _, rest = key.partition("_")
    return fact_key(rest) if section in _SECTIONS and rest else key


def _statements(rows: pl.DataFrame, keys: tuple[str, ...]) -> dict[str, _Statement]:
    """The settings that the rows state with one value each."""
    numbers = rows.filter(pl.col("key").is_in(keys) & pl.col("number").is_not_null())
    single = numbers.filter(pl.col("number").n_unique().over("key") == 1).unique("key", keep="first")
    return {
        key: _Statement(number, Point(source=source, line=line))
        for key, number, source, line in single.sort("line").select("key", "number", "source", "line").iter_rows()
    }


def _pairs(before: pl.DataFrame, after: pl.DataFrame, keys: tuple[str, ...]) -> list[_Pair]:
    told, used = _statements(before, keys), _statements(after, keys)
    both = [_Pair(key, told[key], used[key]) for key in keys if key in told and key in used]
    return [pair for pair in both if not np.isclose(pair.told.value, pair.used.value, rtol=1e-3, atol=0)]


def _misfiled(view: RunView) -> Scalar | list[_Pair]:
    """Settings that the configuration file and the log state differently."""
    return view.remember("misfiled", None, lambda: _find_misfiled(view))


def _find_misfiled(view: RunView) -> Scalar | list[_Pair]:
    files = _own_files(view)
    if not files:
        return absent("no configuration file lies beside the log", "a configuration file beside the log")
    facts = view.run.facts.filter(pl.col("source") != "--set")
    beside = pl.col("source").is_in(files)
    meant = pl.col("key").map_elements(_canonical, return_dtype=pl.String)
    facts = facts.with_columns(key=pl.when(beside).then(meant).otherwise("key"))
    both = set(facts.filter(beside)["key"]) & set(facts.filter(~beside)["key"]) & {*_SINGLE, *_PLANNED}
    if not both:
        return absent("the log states none of the settings of the configuration file", "the settings, as used")
    return _pairs(facts.filter(beside), facts.filter(~beside), (*_SINGLE, *_PLANNED))


def _own_files(view: RunView) -> list[str]:
    """Configuration files of this run: a file above the folder of its log is the base of several runs."""
    logs = {Path(source.path).parent for source in view.run.sources if source.format != "config"}
    files = [source.path for source in view.run.sources if source.format == "config"]
    return [file for file in files if logs & {Path(file).parent, *Path(file).parent.parents}]


def _restated(view: RunView) -> Scalar | list[_Pair]:
    """Settings that were stated before training was resumed, and differently when it went on."""
    return view.remember("restated", None, lambda: _find_restated(view))


def _find_restated(view: RunView) -> Scalar | list[_Pair]:
    begins = _resumed_lines(view)
    if not begins:
        return absent("training was not resumed in this log")
    found = []
    for source, line in begins:
        told = view.run.facts.filter(pl.col("source") == source)
        found += _pairs(told.filter(pl.col("line") < line), told.filter(pl.col("line") >= line), _SINGLE)
    return list(dict.fromkeys(found))


def _resumed_lines(view: RunView) -> list[tuple[str, int]]:
    """File and line after the last record before each resume: what follows was stated by the process that resumed."""
    said = [event.at for event in view.events if event.kind == "restart"]
    metrics = view.run.metrics
    if not said and (not metrics.height or metrics["attempt"].max() == 0):
        return []
    rows = metrics.select(pl.col("source").cast(pl.String), "line", "attempt").sort("source", "line")
    ends = rows.filter(pl.col("attempt") < pl.col("attempt").shift(-1).over("source"))
    found = set(ends.select("source", "line").iter_rows())
    for at in said:
        before = rows.filter((pl.col("source") == at.source) & (pl.col("line") < (at.line or 0)))
        found |= set(before.tail(1).select("source", "line").iter_rows())
    return [(source, line + 1) for source, line in sorted(found)]


def _count(found: Scalar | list[_Pair]) -> Scalar:
    return found if isinstance(found, Scalar) else Scalar(float(len(found)), found[0].used.at if found else None)


def _words(found: Scalar | list[_Pair]) -> Scalar:
    return found if isinstance(found, Scalar) else Scalar("; ".join(pair.words for pair in found))


def _values(found: Scalar | list[_Pair]) -> Value:
    """Both statements of every pair, each at its place."""
    return found if isinstance(found, Scalar) else _series([s for pair in found for s in (pair.told, pair.used)])


def _series(statements: list[_Statement]) -> Series:
    sources = tuple(dict.fromkeys(s.at.source or "" for s in statements))
    unplaced = np.full(len(statements), np.nan)
    return Series(
        "statements",
        np.array([s.value for s in statements], dtype=np.float64),
        unplaced,
        unplaced,
        unplaced,
        np.array([s.at.line or 0 for s in statements], dtype=np.int64),
        np.array([sources.index(s.at.source or "") for s in statements], dtype=np.int64),
        np.arange(len(statements)),
        sources,
    )


@function("number", "told")
def misfiled(view: RunView) -> Value:
    """Number of settings that a configuration file beside the log states otherwise than the log."""
    return _count(_misfiled(view))


@function("text", "told")
def misfiled_text(view: RunView) -> Value:
    """Those settings with both values and their places."""
    return _words(_misfiled(view))


@function("series", "told")
def misfiled_values(view: RunView) -> Value:
    """Those settings: the value of the file and of the log in turn."""
    return _values(_misfiled(view))


@function("number", "told")
def restated(view: RunView) -> Value:
    """Number of settings that are stated otherwise after a resume than before it."""
    return _count(_restated(view))


@function("text", "told")
def restated_text(view: RunView) -> Value:
    """Those settings with the values before and after, and their places."""
    return _words(_restated(view))


@function("series", "told")
def restated_values(view: RunView) -> Value:
    """Those settings: the value before and after in turn."""
    return _values(_restated(view))
