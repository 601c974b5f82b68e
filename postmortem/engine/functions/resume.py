"""Functions of resumed training: what was done twice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Point, Scalar, Value, absent


@function("number", "resume")
def resumes(view: RunView) -> Value:
    """Number of times training went back to an earlier step or epoch and went on from there, with the first place."""
    if not _clock(view):
        return absent("neither steps nor epochs are logged", "the step or the epoch")
    found = _replays(view)
    return Scalar(float(len(found)), found[0].at if found else None)


@function("number", "resume")
def resumes_said(view: RunView) -> Value:
    """Number of those times at which the log says that it resumed."""
    said = [replay.at for replay in _replays(view) if replay.said]
    return Scalar(float(len(said)), said[0] if said else None)


@function("number", "resume")
def replayed(view: RunView) -> Value:
    """Steps (epochs, where none are logged) trained again after going back, with the place of the longest replay."""
    found = _replays(view)
    longest = max(found, key=lambda replay: replay.units).at if found else None
    return Scalar(sum(replay.units for replay in found), longest)


@function("number", "resume")
def distance(view: RunView) -> Value:
    """Steps (epochs, where none are logged) from the first report to the furthest."""
    clock = _clock(view)
    if not clock:
        return absent("neither steps nor epochs are logged", "the step or the epoch")
    reports = view.run.metrics[clock].cast(pl.Float64).drop_nulls().to_numpy()
    return Scalar(float(reports.max() - reports.min()))


@function("text", "resume")
def progress_unit(view: RunView) -> Value:
    """What the two are counted in: steps or epochs."""
    return Scalar(f"{_clock(view)}s")


def _clock(view: RunView) -> str:
    """What progress is read from: the step where the log has any, else the epoch; "" without both."""
    frame = view.run.metrics
    return next((name for name in ("step", "epoch") if frame[name].null_count() < frame.height), "")


@dataclass(frozen=True)
class _Replay:
    """How far training went back, where it went on, and whether the log says that it resumed."""

    units: float
    at: Point
    said: bool


def _replays(view: RunView) -> list[_Replay]:
    return view.remember("replays", None, lambda: list(_each_replay(view)))


def _each_replay(view: RunView) -> Iterator[_Replay]:
    """Every time training went on from a place behind the one it had reached.

    Going back to the very beginning is another training. Unless the log says that it resumed, so is one that begins at
    the second report, or never comes further than the one before.
    """
    clock = _clock(view)
    if not clock or view.run.metrics["attempt"].max() == 0:
        return
    attempts = view.run.metrics.filter(pl.col(clock).is_not_null()).partition_by("attempt", maintain_order=True)
    reports, before = np.empty(0), None
    for attempt in sorted(attempts, key=lambda rows: int(rows["attempt"][0])):
        own = attempt[clock].cast(pl.Float64).unique().sort().to_numpy()
        earlier = reports[reports < own[0]]
        said = before is not None and _said_between(view, before, attempt)
        # A report speaks for the stretch that ends with it: what is repeated begins at the one before the first.
        resumed = said or (len(earlier) > 1 and own[-1] > reports[-1])
        if resumed and len(earlier) and reports[-1] > earlier[-1]:
            yield _Replay(float(reports[-1] - earlier[-1]), _place(attempt, int(attempt[clock].arg_min() or 0)), said)
        reports, before = np.unique(np.concatenate([reports, own])), attempt


def _said_between(view: RunView, before: pl.DataFrame, after: pl.DataFrame) -> bool:
    """Whether the log says that it resumed, in the file of the later attempt and ahead of its first record."""
    source, line = after.select("source", "line").row(0)
    since = int(before.filter(pl.col("source") == source)["line"].max() or 0)  # type: ignore[arg-type]
    said = [event.at for event in view.events if event.kind == "restart" and event.at.source == source]
    return any(since <= (at.line or 0) <= line for at in said)


def _place(rows: pl.DataFrame, index: int) -> Point:
    return Point(*rows.select("step", "epoch", "time", "source", "line").row(index))
