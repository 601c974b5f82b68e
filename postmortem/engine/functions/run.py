"""Functions of the run: what it was told, what happened, how much of its plan it did."""

from __future__ import annotations

import numpy as np

from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Point, Scalar, Series, Value, absent
from postmortem.engine.view import Event


@function("number", "run", key="text")
def fact(view: RunView, key: str) -> Value:
    """Number the run states for a canonical fact such as "batch_size"."""
    found = view.fact(key)
    if isinstance(found.value, str):
        return absent(f"{key} is stated as {found.value!r}, which is no number", key)
    return found


@function("truth", "run", key="text", word="text")
def stated(view: RunView, key: str, word: str) -> Value:
    """True if the run states a fact that contains the word, whatever the case; unknown if it states none."""
    found = view.fact(key)
    return found if found.value is None else Scalar(float(word.lower() in str(found.value).lower()), found.at)


@function("truth", "run", x="number")
def given(_: RunView, x: Scalar) -> Value:
    """True if the number is there, false if it is missing; never unknown."""
    return Scalar(float(x.value is not None), x.at)


@function("truth", "run", role="text")
def logs(view: RunView, role: str) -> Value:
    """True if the run logs a series of a role such as "reward" or "adversarial"."""
    return Scalar(float(any(s.role == role for s in view.series)))


def _events(view: RunView, kind: str) -> list[Event]:
    return [event for event in view.events if event.kind == kind]


@function("number", "run", kind="text")
def events(view: RunView, kind: str) -> Value:
    """Number of events of a kind, with the place of the first."""
    found = _events(view, kind)
    return Scalar(float(len(found)), found[0].at if found else None)


@function("text", "run", kind="text")
def event_text(view: RunView, kind: str) -> Value:
    """Text of the last event of a kind, with its place."""
    found = _events(view, kind)
    return Scalar(found[-1].text, found[-1].at) if found else absent(f"there is no {kind} event")


@function("truth", "run", kind="text", word="text")
def event_says(view: RunView, kind: str, word: str) -> Value:
    """True if the text of the last event of a kind contains the word, whatever the case."""
    found = _events(view, kind)
    return Scalar(float(word.lower() in found[-1].text.lower()), found[-1].at) if found else Scalar(0.0)


@function("text", "run", split="text")
def best_by_metric(view: RunView, split: str) -> Value:
    """Where each score of a split was best, in words, such as "auroc at epoch 0, f1 at epoch 7"; "" is no split."""
    words = []
    for series in view.series:
        if series.split == split and series.role in ("loss", "score") and series.direction and len(series.finite) > 1:
            pick = np.argmin if series.direction == "min" else np.argmax
            words.append(f"{series.name} at {series.finite.point(int(pick(series.finite.value))).words}")
    return Scalar(", ".join(words)) if words else absent("nothing with a known direction is logged there")


@function("number", "run", kind="text")
def points_since(view: RunView, kind: str) -> Value:
    """Number of metric points logged after the last event of a kind; 0 means that it ended the record."""
    found = _events(view, kind)
    if not found:
        return absent(f"there is no {kind} event")
    return Scalar(float(sum(int((s.order > found[-1].order).sum()) for s in view.series)), found[-1].at)


@function("number", "run", kind="text")
def lines_since(view: RunView, kind: str) -> Value:
    """Number of lines in the file after the last event of a kind."""
    found = _events(view, kind)
    if not found:
        return absent(f"there is no {kind} event")
    at = found[-1].at
    total = next((source.lines for source in view.run.sources if source.path == at.source), at.line or 0)
    return Scalar(float(total - (at.line or 0)), at)


@function("number", "plan")
def epochs_done(view: RunView) -> Value:
    """Number of epochs the log shows completed."""
    ended = _epoch_ends(view)
    begun = _events(view, "epoch")
    if ended is None and begun:
        return Scalar(0.0, begun[0].at)
    if ended is None:
        return absent("no epoch numbers are logged", "the epoch")
    base = _epoch_base(view)
    value, at = ended
    done = value if value != int(value) else value - base + 1
    return Scalar(float(done), at)


def _epoch_ends(view: RunView) -> tuple[float, Point] | None:
    """Largest epoch of a record that closes epochs: a series with one point an epoch, else any series."""
    timed = [s.take(np.flatnonzero(~np.isnan(s.epoch))) for s in view.series]
    timed = [s for s in timed if len(s)]
    closing = [s for s in timed if len(np.unique(s.epoch)) == len(s)]
    best: tuple[float, Point] | None = None
    for series in closing or timed:
        top = int(np.argmax(series.epoch))
        if best is None or series.epoch[top] > best[0]:
            best = (float(series.epoch[top]), series.point(top))
    return best


def _epoch_base(view: RunView) -> float:
    """0 or 1: the number of the first epoch; fractional epochs count from 0."""
    lows = [float(np.nanmin(s.epoch)) for s in view.series if not np.isnan(s.epoch).all()]
    return 1.0 if lows and min(lows) >= 1 else 0.0


@function("number", "plan")
def steps_done(view: RunView) -> Value:
    """Number of steps the log shows done; steps counted from 0 are one more than their number."""
    stepped = [s for s in view.series if len(s) and not np.isnan(s.step).all()]
    if not stepped:
        return absent("no step numbers are logged", "the step")
    last = max(stepped, key=lambda s: np.nanmax(s.step))
    base = 1.0 if any(np.nanmin(s.step) == 0 for s in stepped) else 0.0
    return Scalar(float(np.nanmax(last.step)) + base, last.point(int(np.nanargmax(last.step))))


@function("number", "plan")
def done(view: RunView) -> Value:
    """Share of the planned training the log shows, by steps where they were planned, else by epochs.

    A log that stops less than one of its own reporting intervals before the plan shows all of it.
    """
    reasons = []
    for plan, measure in (("steps", steps_done), ("epochs", epochs_done)):
        planned, reached = view.fact(plan), measure(view)
        if isinstance(planned.value, float) and planned.value > 0 and isinstance(reached.value, float):
            complete = reached.value + _interval(view, plan) > planned.value
            return Scalar(1.0 if complete else reached.value / planned.value, reached.at)
        reasons.append(planned if planned.value is None else reached)
    return absent(
        "the log states neither planned steps nor planned epochs beside how far it came",
        "the planned number of epochs or steps",
    )


def _interval(view: RunView, plan: str) -> float:
    """Shortest usual distance between reports, over all series."""
    clocks = [np.unique(s.step if plan == "steps" else s.epoch) for s in view.series]
    return min((float(np.median(np.diff(c))) for c in clocks if len(c) > 1 and not np.isnan(c).any()), default=0.0)


@function("number", "plan")
def steps_per_epoch(view: RunView) -> Scalar:
    """Steps in an epoch, as stated, else as counted from logged steps and epochs."""
    stated_steps = view.fact("steps_per_epoch")
    return stated_steps if isinstance(stated_steps.value, float) else counted_steps(view)


def counted_steps(view: RunView) -> Scalar:
    """Steps in an epoch, from logged steps and epochs."""
    for series in sorted(view.series, key=len, reverse=True):
        if np.isnan(series.step).any() or np.isnan(series.epoch).any():
            continue
        ends = np.flatnonzero(np.diff(series.epoch) > 0)
        whole = np.all(series.epoch == np.floor(series.epoch))
        if whole and len(ends) >= 2:
            return Scalar(
                float(np.median(np.diff(series.step[ends]) / np.diff(series.epoch[ends]))), series.point(int(ends[-1]))
            )
        if not whole and len(series) >= 2 and series.epoch[-1] > series.epoch[0]:
            rate = (series.step[-1] - series.step[0]) / (series.epoch[-1] - series.epoch[0])
            return Scalar(float(rate), series.point(len(series) - 1))
    return absent(
        "no steps per epoch are stated, and steps and epochs are not logged together",
        "the step beside the epoch, or steps_per_epoch",
    )


@function("series", "plan", x="series")
def epoch_index(_: RunView, x: Series) -> Value:
    """The epoch of each point of x."""
    return x.with_values(x.epoch)
