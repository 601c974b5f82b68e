"""Functions of the plan: what was to be reached and by when, and how long the whole of it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from postmortem import stats
from postmortem.engine.functions.run import epochs_done, steps_done, steps_per_epoch
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.functions.timing import NO_CLOCK, clock, pace
from postmortem.engine.values import Point, Scalar, Series, Value, absent
from postmortem.names import target_key

_HOUR = 3600.0
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?")
_ANNOUNCED = re.compile(r"^(target|goal|required|expected|milestones?|success_criterion|criterion)s?(_epoch_\d+)?$")


_STATED = ("key", "value", "source", "line")


@dataclass(frozen=True)
class _Target:
    """A value stated as to be reached, at an epoch or in the end."""

    metric: str  # with its split where that was stated
    epoch: float | None
    value: float
    percent: bool  # stated with a percent sign
    at: Point

    def of(self, x: Series) -> float:
        """The value in the unit that x is logged in."""
        share = self.percent and len(x.finite) and float(np.abs(x.finite.value).max()) <= 1.0
        return self.value / 100.0 if share else self.value


def _targets(view: RunView) -> list[_Target]:
    return view.remember("targets", None, lambda: list(_each_target(view)))


def _each_target(view: RunView) -> Iterator[_Target]:
    for key, value, source, line in zip(*map(view.run.facts.get_column, _STATED), strict=True):
        for name, text in [(key, value)] if key.startswith("target.") else _announced(key, value):
            # Of a range such as 0.10-0.15 the first number is the least that was meant.
            number = _NUMBER.search(text)
            if number:
                metric, _, epoch = name.removeprefix("target.").partition("@epoch")
                percent = text[number.end() :].lstrip().startswith("%")
                at = Point(source=source, line=line)
                yield _Target(metric, float(epoch) if epoch else None, float(number[0]), percent, at)


def _announced(key: str, value: str) -> Iterator[tuple[str, str]]:
    """Key and number of each target in ``Target: val_acc >= 0.95, val_loss < 0.2 by epoch 20``."""
    if not _ANNOUNCED.match(key):
        return
    for part in re.split(r"[,;]\s|\sand\s", value):
        told = re.match(r"(?P<label>.*?[a-z)])\s*(?:[:=<>≥≤]+|of)?\s*(?P<number>[-+.]?\d.*)$", part.strip().lower())
        epoch = re.search(r"epoch[\s_]*\d+", f"{key} {part}".lower())
        name = target_key(f"target {told['label']} {epoch[0] if epoch else ''}") if told else None
        if told and name:
            yield name, told["number"]


def _stated_for(view: RunView, x: Series) -> list[_Target]:
    """The targets of a series; one without a split is meant for held-out data, or for a series without a split."""
    own = [target for target in _targets(view) if target.metric == x.name]
    return own or [t for t in _targets(view) if t.metric == x.metric and x.split in ("val", "test", "")]


@function("number", "plan", x="series")
def target(view: RunView, x: Series) -> Value:
    """The value x was to reach in the end, from a stated target."""
    found = [t for t in _stated_for(view, x) if t.epoch is None]
    if not found:
        return absent(f"no target is stated for {x.name}", f"the target (or pass --set target.{x.name}=...)")
    return Scalar(found[-1].of(x), found[-1].at)


@function("number", "plan", x="series", value="number")
def short_of(_: RunView, x: Series, value: Scalar) -> Value:
    """By how much the best of x is worse than a value, at the place of the best; negative when it is better."""
    if value.value is None:
        return value
    return _short_of(x, float(value.value))


def _short_of(x: Series, wanted: float) -> Scalar:
    if x.direction is None or not len(x.finite):
        return absent(
            f"whether higher or lower is better is unknown for {x.name}",
            f"nothing; pass --metric {x.metric}:max or --metric {x.metric}:min",
        )
    values = x.finite.value if x.direction == "max" else -x.finite.value
    best = int(np.argmax(values))
    sign = 1.0 if x.direction == "max" else -1.0
    return Scalar(sign * wanted - float(values[best]), x.finite.point(best))


@function("series", "plan", x="series")
def behind(view: RunView, x: Series) -> Value:
    """By how much the best of x until then was worse than each milestone stated for an epoch that was reached."""
    due = sorted((t.epoch, t.of(x)) for t in _stated_for(view, x) if t.epoch is not None)
    if not due:
        key = f"target.{x.name}@epoch10"
        return absent(f"no milestone is stated for {x.name}", f"milestones (or pass --set {key}=...)")
    if np.isnan(x.epoch).any() or not len(x):
        return absent(f"{x.name} is logged without epochs", "the epoch")
    places, amounts = [], []
    for epoch, wanted in due:
        until = x.take(np.flatnonzero(x.epoch <= epoch))
        worse = _short_of(until, wanted)
        if x.epoch.max() >= epoch and isinstance(worse.value, float):
            places.append(len(until) - 1)
            amounts.append(worse.value)
    return x.take(np.array(places, dtype=np.int64)).with_values(np.array(amounts), f"{x.name}, behind")


@function("text", "plan", x="series")
def milestones(view: RunView, x: Series) -> Value:
    """The milestones stated for x, in words."""
    due = sorted((t.epoch, t.of(x)) for t in _stated_for(view, x) if t.epoch is not None)
    places = {t.epoch: t.at for t in _stated_for(view, x)}
    if not due:
        return absent(f"no milestone is stated for {x.name}")
    return Scalar(", ".join(f"{value:g} by epoch {epoch:g}" for epoch, value in due), places[due[0][0]])


_LIMITS = {"time_limit": "", "time_limit_hours": " h", "time_limit_minutes": " min", "time_limit_seconds": " s"}


@function("number", "plan")
def time_limit(view: RunView) -> Value:
    """Hours the run may take, as stated with a unit or as a clock."""
    if all(view.fact(key).value is None for key in _LIMITS):
        return absent("time_limit is not stated in the log", "time_limit (or pass --set time_limit=36h)")
    row = view.run.facts.filter(pl.col("key").is_in(list(_LIMITS))).row(-1, named=True)
    hours = _hours(row["value"] + (_LIMITS[row["key"]] if row["value"].replace(".", "").isdigit() else ""))
    if hours is None:
        return absent(f"time_limit is stated as {row['value']!r}, which has no unit", "time_limit, such as 36h")
    return Scalar(hours, Point(source=row["source"], line=row["line"]))


_CLOCK = re.compile(r"^(?:(?P<d>\d+)[-:])?(?P<h>\d+):(?P<m>\d{2}):(?P<s>\d{2})$")  # Slurm, PBS, Lightning
_PARTS = re.compile(
    r"(\d+(?:\.\d+)?)\s*(d(?:ays?)?|h(?:ours?|rs?)?|m(?:in(?:ute)?s?)?|s(?:ec(?:ond)?s?)?)", re.IGNORECASE
)
_UNITS = {"d": 24.0, "h": 1.0, "m": 1 / 60, "s": 1 / 3600}


def _hours(text: str) -> float | None:
    """Hours in ``24:00:00``, ``1-00:00:00``, ``36h`` or ``2 days 6 hours``; None without a unit."""
    plain = text.strip().strip("'\"")
    if told := _CLOCK.match(plain):
        days, hours, minutes, seconds = (float(told[name] or 0) for name in "dhms")
        return days * 24 + hours + minutes / 60 + seconds / 3600
    parts = _PARTS.findall(plain)
    whole = _PARTS.sub("", plain).strip(" ,")
    return sum(float(size) * _UNITS[unit[0].lower()] for size, unit in parts) if parts and not whole else None


@function("number", "plan")
def hours_so_far(view: RunView) -> Value:
    """Hours between the timed records of progress, without the time between two attempts."""
    timed = clock(view)
    if timed is None:
        return NO_CLOCK
    marks = timed[0].marks
    return Scalar(float(timed[1].duration.sum()) / _HOUR, marks.point(len(marks) - 1))


@function("number", "plan")
def hours_undisturbed(view: RunView) -> Value:
    """Hours the steps of the whole plan take at the undisturbed pace, evaluations left out."""
    planned, healthy = _planned(view), pace(view)
    if planned.value is None or not isinstance(healthy, Scalar) or healthy.value is None:
        return planned if planned.value is None else healthy
    return Scalar(float(planned.value) * float(healthy.value) / _HOUR, healthy.at)


@function("number", "plan")
def hours_at_average(view: RunView) -> Value:
    """Hours the whole plan takes at the average pace so far, standing still included."""
    planned, timed = _planned(view), clock(view)
    if planned.value is None or timed is None or not len(timed[1].duration):
        return planned if planned.value is None else NO_CLOCK
    average = float(timed[1].duration.sum() / timed[1].progress.sum())
    return Scalar(float(planned.value) * average / _HOUR, planned.at)


@function("number", "plan")
def hours_least(view: RunView) -> Value:
    """Hours the whole plan takes if nothing disturbs it any more: those spent, and the rest at the undisturbed pace."""
    return _projected(view, "low")


@function("number", "plan")
def hours_most(view: RunView) -> Value:
    """Hours the whole plan takes if the rest goes at the average pace so far, standing still included."""
    return _projected(view, "high")


def _projected(view: RunView, end: str) -> Scalar:
    timed, planned, reached = clock(view), _planned(view), _reached(view)
    if timed is None:
        return NO_CLOCK
    if planned.value is None or reached.value is None:
        return planned if planned.value is None else reached
    projection = stats.project(timed[1], max(0.0, float(planned.value) - float(reached.value)))
    if projection is None:
        return absent("fewer than three undisturbed intervals are logged")
    spent = float(timed[1].duration.sum())
    return Scalar((spent + getattr(projection, end)) / _HOUR, timed[0].marks.point(len(timed[0].marks) - 1))


def _planned(view: RunView) -> Scalar:
    """Units of the clock's progress that the plan holds."""
    timed = clock(view)
    if timed is None:
        return NO_CLOCK
    epochs, steps = view.fact("epochs"), view.fact("steps")
    if timed[0].unit == "epoch":
        return epochs if epochs.value is None or isinstance(epochs.value, float) else absent("epochs is no number")
    if timed[0].unit == "record":
        return absent("neither steps nor epochs are logged beside the time", "the step or the epoch")
    return steps if isinstance(steps.value, float) else _product(epochs, steps_per_epoch(view))


def _reached(view: RunView) -> Scalar:
    """Units of the clock's progress that are done."""
    timed = clock(view)
    found = steps_done(view) if timed is not None and timed[0].unit == "step" else epochs_done(view)
    return found if isinstance(found, Scalar) else absent("how far the run came is not logged", "the step")


def _product(epochs: Scalar, per_epoch: Scalar) -> Scalar:
    if not isinstance(epochs.value, float):
        return absent("neither planned steps nor planned epochs are stated", "epochs (or pass --set epochs=...)")
    if not isinstance(per_epoch.value, float):
        return per_epoch
    return Scalar(epochs.value * per_epoch.value, epochs.at)
