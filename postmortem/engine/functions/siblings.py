"""Functions that look beyond the run: at its siblings, and at every run that is analysed with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from postmortem import stats
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Scalar, Series, Value, absent

_OUTCOMES = ("loss", "score", "reward")  # roles of what training changes
_MOVING = 3  # different values from which a series moves
_ENOUGH = 8  # different runs from which more of them add nothing


@function("number", "other runs", x="elsewhere number", alike="text")
def lowest_elsewhere(view: RunView, x: list[tuple[RunView, Value]], alike: str) -> Value:
    """Lowest value of x among the other runs of the same program that state the same for the facts named in alike."""
    return _extreme(view, x, alike, min)


@function("number", "other runs", x="elsewhere number", alike="text")
def highest_elsewhere(view: RunView, x: list[tuple[RunView, Value]], alike: str) -> Value:
    """Highest value of x among the other runs of the same program that state the same for the facts named in alike."""
    return _extreme(view, x, alike, max)


def _extreme(
    view: RunView, found: list[tuple[RunView, Value]], alike: str, pick: Callable[..., tuple[float, Scalar]]
) -> Scalar:
    told = [(value.value, value) for other, value in found if isinstance(value, Scalar) and _alike(view, other, alike)]
    numbers = [(value, scalar) for value, scalar in told if isinstance(value, float)]
    if numbers:
        return pick(numbers, key=lambda each: each[0])[1]
    if told:
        return told[0][1]
    settings = f" with the same {', '.join(alike.split())}" if alike else ""
    return absent(f"no other run of the same program{settings} is among the logs", "another run beside this one")


def _alike(a: RunView, b: RunView, keys: str) -> bool:
    return all(a.fact(key).value == b.fact(key).value for key in keys.split())


class _Twin(NamedTuple):
    view: RunView
    series: Series


@function("number", "other runs", x="series", apart="number")
def twins(view: RunView, x: Series, apart: Scalar) -> Value:
    """Number of runs that end at the very same x although they differ by more than a share in something else."""
    alike = _alike_apart(view, x, float(apart.value or 0))
    return alike if isinstance(alike, Scalar) else Scalar(float(alike), x.finite.point(len(x.finite) - 1))


@function("number", "other runs", x="series", apart="number", scatter="number")
def twins_chance(view: RunView, x: Series, apart: Scalar, scatter: Scalar) -> Value:
    """Chance that so many of all runs end at the same x, if its values scatter by a share of it at least."""
    alike = _alike_apart(view, x, float(apart.value or 0))
    if isinstance(alike, Scalar):
        return alike
    end = x.finite.scalar(len(x.finite) - 1)
    value, runs = float(end.value or 0), len({id(twin.view) for twin in _ending(view)[x.metric]})
    return Scalar(stats.coincidence(stats.grain(value), float(scatter.value or 0) * abs(value), alike, runs), end.at)


def _alike_apart(view: RunView, x: Series, apart: float) -> int | Scalar:
    """How many runs that differ from each other end at the same x, at least 1."""
    found = _twins(view, x)
    if isinstance(found, Scalar):
        return found
    if len(found) == 1:
        return 1
    told_apart = _told_apart(found, apart)
    return told_apart or absent(f"nothing but {x.name} is logged that tells the runs apart", "the losses beside it")


@function("series", "other runs", x="series")
def differing(view: RunView, x: Series) -> Value:
    """What differs most between the runs that end at the same x, as this run logs it."""
    found = _twins(view, x)
    spread = _spread(found) if not isinstance(found, Scalar) else {}
    ours = [series for series in view.series if series.name in spread]
    return (
        max(ours, key=lambda series: spread[series.name].share) if ours else absent(f"nothing but {x.name} is logged")
    )


@function("text", "other runs", x="series")
def metric_of(_: RunView, x: Series) -> Value:
    """Name of x without its split, which another run may not tell."""
    return Scalar(x.metric)


@function("text", "other runs", x="series")
def differences(view: RunView, x: Series) -> Value:
    """What differs between the runs that end at the same x, in words, such as "val.loss (0.201 to 0.793)"."""
    found = _twins(view, x)
    if isinstance(found, Scalar):
        return found
    spread = sorted(_spread(found).items(), key=lambda item: -item[1].share)
    words = [f"{name} ({each.low:.4g} to {each.high:.4g})" for name, each in spread[:3] if each.share > 0]
    return Scalar(", ".join(words)) if words else absent(f"nothing but {x.name} is logged")


def _ends(view: RunView) -> Iterator[_Twin]:
    """Outcomes of a run that were still logged once training had begun."""
    began = min((int(s.order[0]) for s in view.series if s.role == "loss" and len(s)), default=0)
    for series in view.series:
        if series.role in _OUTCOMES and len(series.finite) and series.finite.order[-1] >= began:
            yield _Twin(view, series.finite)


def _ending(view: RunView) -> dict[str, list[_Twin]]:
    """The outcomes of all runs by metric."""

    def collect() -> dict[str, list[_Twin]]:
        found: dict[str, list[_Twin]] = {}
        for each in view.together:
            for twin in _ends(each):
                found.setdefault(twin.series.metric, []).append(twin)
        return found

    return (view.together[0] if view.together else view).remember("ends", None, collect)


def _twins(view: RunView, x: Series) -> list[_Twin] | Scalar:
    """The runs that end at the same value of x, this one among them; a split that is not told may be any."""
    told = _ending(view).get(x.metric, [])
    known = [
        twin
        for twin in told
        if twin.view is not view and (twin.series.split == x.split or not twin.series.split or not x.split)
    ]
    known += [
        twin for twin in told if twin.view is view and twin.series.label == x.label and twin.series.split == x.split
    ]
    if len(known) < 2:
        return absent(f"no other run logs {x.name}", f"nothing; name several runs that log {x.name}")
    if not any(twin.view is view for twin in known):
        return absent(f"{x.name} was only logged before training")
    end = x.finite.value[-1]
    alike = [twin for twin in known if twin.series.value[-1] == end]
    return [twin for twin in alike if twin.view is view or not _same_record(twin.series, x.finite)]


def _same_record(a: Series, b: Series) -> bool:
    """Whether two moving series are one: equal all along, as when a run was read from two places."""
    at, by = _common(a, b)
    return len(np.unique(a.value[at])) >= _MOVING and bool(np.array_equal(a.value[at], b.value[by]))


def _told_apart(twins: list[_Twin], apart: float) -> int | None:
    """How many of the runs differ from each other; None when nothing is logged by which they could.

    Those that log most are compared first, so that the answer does not hang on which of the runs is asked.
    """
    told = [{s.name: s for _, s in _ends(twin.view) if s.metric != twin.series.metric} for twin in twins]
    told.sort(key=lambda mine: (-len(mine), sorted(float(series.value[-1]) for series in mine.values())))
    if sum(map(bool, told)) < 2:
        return None
    different = told[:1]
    for mine in told[1:]:
        if all(_differ(mine, other, apart) for other in different):
            different.append(mine)
        if len(different) >= _ENOUGH:
            break
    return len(different)


def _differ(a: dict[str, Series], b: dict[str, Series], apart: float) -> bool:
    """Whether two runs end apart in something, and were apart in it all along where both logged it.

    A run and the same one continued agree wherever both logged; that they end apart is no difference.
    """
    return any(_apart(a[name], b[name], apart) for name in a.keys() & b.keys())


def _apart(a: Series, b: Series, apart: float) -> bool:
    return _far(a.value[-1], b.value[-1], apart) and _were_apart(a, b, apart)


def _far(a: float, b: float, apart: float) -> bool:
    return bool(abs(a - b) > apart * max(abs(a), abs(b)))


def _were_apart(a: Series, b: Series, apart: float) -> bool:
    at, by = _common(a, b)
    return not len(at) or any(_far(x, y, apart) for x, y in zip(a.value[at], b.value[by], strict=True))


def _common(a: Series, b: Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of the points at the same step, else at the same epoch."""
    for ours, theirs in ((a.step, b.step), (a.epoch, b.epoch)):
        common, at, by = np.intersect1d(ours, theirs, return_indices=True)
        if len(common):
            return at, by
    return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)


class _Spread(NamedTuple):
    low: float
    high: float

    @property
    def share(self) -> float:
        """Distance of the extremes as a share of the larger."""
        return (self.high - self.low) / max(abs(self.low), abs(self.high), 1e-300)


def _spread(twins: list[_Twin]) -> dict[str, _Spread]:
    """Range of the last values of each other outcome, where at least two of the runs log it."""
    ends: dict[str, list[float]] = {}
    for twin in twins:
        for each in _ends(twin.view):
            if each.series.metric != twin.series.metric:
                ends.setdefault(each.series.name, []).append(float(each.series.value[-1]))
    return {name: _Spread(min(values), max(values)) for name, values in ends.items() if len(values) > 1}
