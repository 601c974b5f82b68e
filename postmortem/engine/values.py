"""What an expression computes with: series, windows of series, and single values that remember their place.

NaN policy, in one place: a NaN is a missing number. Arithmetic with it gives NaN; a comparison with it is unknown;
``and``, ``or`` and ``not`` follow Kleene's three-valued logic. A truth is 1.0 (true), 0.0 (false) or NaN (unknown).
Only ``finite``, ``nan`` and the non-finite functions look at NaN and infinities themselves.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from postmortem.model import Evidence, Position
from postmortem.names import Direction, Role

Array = NDArray[np.float64]
Numbers = float | Array
"""What arithmetic is done on: one number, or one at each point; most numbers of a rule are single ones."""


@dataclass(frozen=True)
class Point:
    """One place in a log."""

    step: int | None = None
    epoch: float | None = None
    time: datetime | None = None
    source: str | None = None
    line: int | None = None

    @property
    def position(self) -> Position:
        """Step, epoch and time of this place."""
        return Position(self.step, self.epoch, self.time)

    @property
    def words(self) -> str:
        """``epoch 3``, else ``step 200``, else ``line 17``."""
        if self.epoch is not None:
            return f"epoch {self.epoch:.4g}"
        return f"step {self.step}" if self.step is not None else f"line {self.line}"


@dataclass(frozen=True)
class Scalar:
    """A single number, truth or text, or the reason why there is none.

    Attributes:
        value: A number (truths are 1.0 and 0.0), a text, or None when it is missing.
        at: The place it was read from, or computed at.
        missing: Why it is None, in words for a reader of the report.
        log_this: What to log so that it would be there.
    """

    value: float | str | None
    at: Point | None = None
    missing: str = ""
    log_this: str | None = None

    def evidence(self, name: str) -> Evidence:
        """This value as a piece of evidence."""
        at = self.at or Point()
        return Evidence(name, self.value, at.step, at.epoch, at.source, at.line)


def absent(reason: str, log_this: str | None = None) -> Scalar:
    """A missing value and its reason."""
    return Scalar(None, missing=reason, log_this=log_this)


@dataclass(frozen=True, eq=False)
class Series:
    """Numbers at places of a log, in log order; all arrays have the same length.

    Attributes:
        name: As rules write it, for example ``val.loss``.
        value: Float64; NaN and infinities as logged.
        step, epoch, seconds: Float64, NaN where the log has none; seconds since the Unix epoch.
        line: Int64 line numbers. source: Index into ``sources``. order: Rank of the record in the whole run.
        since: For series of intervals, the line each interval starts at; else empty.
        direction: Which way is better, or None.
    """

    name: str
    value: Array
    step: Array
    epoch: Array
    seconds: Array
    line: NDArray[np.int64]
    source: NDArray[np.int64]
    order: NDArray[np.int64]
    sources: tuple[str, ...] = ()
    split: str = ""
    metric: str = ""
    label: str = ""
    role: Role = "other"
    direction: Direction | None = None
    since: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.value)

    @cached_property
    def finite(self) -> Series:
        """The points whose value is a finite number."""
        keep = np.isfinite(self.value)
        return self if bool(keep.all()) else self.take(np.flatnonzero(keep))

    def take(self, index: NDArray[np.int64]) -> Series:
        """The points at the given indices."""
        return replace(
            self,
            value=self.value[index],
            step=self.step[index],
            epoch=self.epoch[index],
            seconds=self.seconds[index],
            line=self.line[index],
            source=self.source[index],
            order=self.order[index],
            since=tuple(self.since[i] for i in index) if self.since else (),
        )

    def with_values(self, value: Array, name: str | None = None) -> Series:
        """Other values at the same places."""
        return replace(self, value=np.asarray(value, dtype=np.float64), name=name or self.name)

    def point(self, index: int) -> Point:
        """The place of the point at ``index``."""
        step, epoch, seconds = self.step[index], self.epoch[index], self.seconds[index]
        return Point(
            None if np.isnan(step) else int(step),
            None if np.isnan(epoch) else float(epoch),
            None if np.isnan(seconds) else datetime.fromtimestamp(float(seconds), UTC),
            self.sources[int(self.source[index])] if self.sources else None,
            int(self.line[index]),
        )

    def scalar(self, index: int) -> Scalar:
        """The value at ``index`` with its place."""
        return Scalar(float(self.value[index]), self.point(index))


@dataclass(frozen=True)
class Window:
    """A stretch of a series that ends at each of its points.

    Attributes:
        size: Length in ``unit``: points, steps, epochs or seconds.
        before: The point itself is left out.
    """

    series: Series
    size: float
    unit: str
    before: bool


Value = Scalar | Series | Window


def align(other: Series, base: Series) -> Array:
    """The last value of ``other`` at or before each point of ``base``; NaN where there is none yet.

    Points are compared by step where both series have steps throughout, else by epoch, else by their order in the log.
    """
    if other is base or (len(other) == len(base) and np.array_equal(other.order, base.order)):
        return other.value
    theirs, ours = _common_key(other, base)
    rank = np.argsort(theirs, kind="stable")
    at = np.searchsorted(theirs[rank], ours, side="right") - 1
    values = other.value[rank]
    return np.where(at >= 0, values[np.maximum(at, 0)], np.nan) if len(values) else np.full(len(base), np.nan)


def _common_key(a: Series, b: Series) -> tuple[Array, Array]:
    for key in ("step", "epoch"):
        left, right = getattr(a, key), getattr(b, key)
        if not (np.isnan(left).any() or np.isnan(right).any()):
            return left, right
    return a.order.astype(np.float64), b.order.astype(np.float64)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def arithmetic(op: str, left: Numbers, right: Numbers) -> Numbers:
    """``left op right``; division by zero is missing, not infinite."""
    if isinstance(left, float) and isinstance(right, float):
        return math.nan if op == "/" and right == 0 else float(_ARITHMETIC[op](left, right))
    with np.errstate(all="ignore"):
        result = _ARITHMETIC[op](left, right if op != "/" else np.where(np.equal(right, 0), np.nan, right))
    return np.asarray(result, dtype=np.float64)


def compare(op: str, left: Numbers, right: Numbers) -> Numbers:
    """``left op right`` as truths; unknown where either side is missing."""
    if isinstance(left, float) and isinstance(right, float):
        return math.nan if math.isnan(left) or math.isnan(right) else float(_COMPARE[op](left, right))
    with np.errstate(invalid="ignore"):
        truth = _COMPARE[op](left, right).astype(np.float64)
    return np.where(np.isnan(left) | np.isnan(right), np.nan, truth)


def stretches(truths: Array) -> list[tuple[int, int]]:
    """First and last index of each unbroken stretch of points that are true; unknown breaks a stretch."""
    edges = np.diff(np.concatenate([[False], truths == 1.0, [False]]).astype(np.int8))
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def conjunction(truths: Sequence[Numbers]) -> Numbers:
    """Kleene's and: false if any is false, else unknown if any is unknown, else true."""
    if all(isinstance(truth, float) for truth in truths):
        return 0.0 if 0.0 in truths else math.nan if any(map(math.isnan, truths)) else 1.0
    stacked = np.stack(np.broadcast_arrays(*truths))
    unknown = np.isnan(stacked).any(axis=0)
    return np.where((stacked == 0).any(axis=0), 0.0, np.where(unknown, np.nan, 1.0))


def disjunction(truths: Sequence[Numbers]) -> Numbers:
    """Kleene's or: true if any is true, else unknown if any is unknown, else false."""
    return 1.0 - conjunction([1.0 - truth for truth in truths])
