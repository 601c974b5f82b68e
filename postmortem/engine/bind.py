"""Which series the variables of a check stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import numpy as np

from postmortem.engine.rule import Selector
from postmortem.engine.values import Scalar, Series, Value, absent
from postmortem.engine.view import RunView

Binding = Mapping[str, Value]


def bindings(each: Mapping[str, Selector], view: RunView) -> Iterator[Binding | Scalar]:
    """Every combination of series for the variables; a missing number with its reason where a variable finds none."""
    yield from _extend({}, list(each.items()), view)


def _extend(bound: dict[str, Value], rest: list[tuple[str, Selector]], view: RunView) -> Iterator[Binding | Scalar]:
    if not rest:
        yield bound
        return
    (name, selector), *later = rest
    found: list[Value] = list(select(selector, view, bound))
    if not found:
        reason = absent(f"{selector.what} is not logged", selector.what)
        if not selector.optional:
            yield reason
            return
        found = [reason]
    for series in found:
        yield from _extend({**bound, name: series}, later, view)


def select(selector: Selector, view: RunView, bound: Binding) -> list[Series]:
    """The series a selector finds, most preferred first."""
    if selector.like or selector.unlike or selector.with_split_of:
        return _selected(selector, view, bound)
    return view.remember(("select", id(selector)), selector, lambda: _selected(selector, view, bound))


def _selected(selector: Selector, view: RunView, bound: Binding) -> list[Series]:
    hits = [series for series in view.series if _fits(series, selector, bound)]
    hits.sort(key=lambda series: _preference(series, selector))
    if selector.one:
        return hits[:1]
    return [joined(hits)] if selector.pool and hits else hits


def _fits(series: Series, selector: Selector, bound: Binding) -> bool:
    return (
        (not selector.split or (series.split or "none") in selector.split)
        and (not selector.role or series.role in selector.role)
        and (
            selector.direction is None
            or series.direction == selector.direction
            or (selector.direction == "known" and series.direction is not None)
        )
        and (not selector.metric or _first_match(series.metric, selector.metric) is not None)
        and _first_match(series.metric, selector.but) is None
        and _related(series, selector, bound)
        and len(series.finite) >= selector.least
        and (not selector.evaluation or _is_evaluation(series))
        and (not selector.per_epoch or _once_an_epoch(series))
    )


def _related(series: Series, selector: Selector, bound: Binding) -> bool:
    """Whether a series is to those bound before what the selector asks for."""
    if not (selector.like or selector.unlike or selector.with_split_of):
        return True
    like, unlike, same_split = (
        value if name and isinstance(value := bound.get(name), Series) else None
        for name in (selector.like, selector.unlike, selector.with_split_of)
    )
    return (
        (like is None or series.metric == like.metric)
        and (unlike is None or series.name != unlike.name)
        and (same_split is None or series.split == same_split.split)
    )


def _is_evaluation(series: Series) -> bool:
    """A held-out split; without a split, one point an epoch, as what is logged during training comes more often."""
    if series.split:
        return series.split in ("val", "test")
    return _once_an_epoch(series)


def _once_an_epoch(series: Series) -> bool:
    whole = len(series) > 1 and np.array_equal(series.epoch, np.floor(series.epoch))  # NaN is unequal to itself
    return whole and len(np.unique(series.epoch)) == len(series)


@lru_cache(maxsize=16384)
def _first_match(name: str, globs: tuple[str, ...]) -> int | None:
    return next((i for i, glob in enumerate(globs) if fnmatchcase(name, glob)), None)


def _preference(series: Series, selector: Selector) -> tuple[int, int, int, int, str, str]:
    """What comes first is preferred; among equals the name decides, so that the order of columns does not."""
    split = series.split or "none"
    return (
        _first_match(series.metric, selector.metric) or 0,
        selector.split.index(split) if split in selector.split else 0,
        -len(series),
        selector.role.index(series.role) if series.role in selector.role else 0,
        series.name,
        series.label,
    )


def joined(hits: list[Series]) -> Series:
    """All the series as one, in the order of the log."""
    names = ", ".join(series.name for series in hits[:3]) + (", ..." if len(hits) > 3 else "")

    def joined(column: str) -> Any:
        return np.concatenate([getattr(series, column) for series in hits])

    whole = replace(
        hits[0],
        name=names,
        metric="",
        label="",
        value=joined("value"),
        step=joined("step"),
        epoch=joined("epoch"),
        seconds=joined("seconds"),
        line=joined("line"),
        source=joined("source"),
        order=joined("order"),
    )
    return whole.take(np.argsort(whole.order, kind="stable"))
