"""Aggregates: a number for a whole series, or one at each point for a window of it. And pointwise functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Array, Scalar, Series, Value, Window, absent

_MICRO = 1_000_000


def _aggregate(x: Series | Window, whole: Callable[[Array], float], rolling: pl.Expr, least: int = 1) -> Value:
    if isinstance(x, Window):
        return _roll(x, rolling)
    values = x.finite.value
    if len(values) < least:
        return absent(f"{x.name} has {len(values)} finite points, {least} are needed")
    return Scalar(float(whole(values)), x.finite.point(len(values) - 1))


def _roll(window: Window, expression: pl.Expr) -> Series:
    """The expression over the window that ends at each point; missing below half the points of the window."""
    series = window.series
    frame = pl.DataFrame({"k": _key(window), "v": pl.Series(series.value, nan_to_null=True)})
    length = window.size if window.unit == "points" else window.size * _MICRO
    rolled = frame.rolling("k", period=f"{max(1, round(length))}i", closed="left" if window.before else "right").agg(
        expression.alias("y"), pl.col("v").count().alias("n")
    )
    enough = rolled["n"].to_numpy() >= (window.size / 2 if window.unit == "points" else 1)
    values = rolled["y"].cast(pl.Float64).to_numpy()  # missing is NaN there
    return series.with_values(np.where(enough, values, np.nan))


def _key(window: Window) -> NDArray[np.int64]:
    series = window.series
    if window.unit == "points":
        return np.arange(len(series))
    clock = {"steps": series.step, "epochs": series.epoch, "seconds": series.seconds}[window.unit]
    filled = np.maximum.accumulate(np.where(np.isnan(clock), -np.inf, clock))  # a window never looks ahead
    return np.where(np.isinf(filled), 0, filled * _MICRO).astype(np.int64)


_V = pl.col("v")


@function("aggregate", "aggregates", x="series|window")
def mean(_: RunView, x: Series | Window) -> Value:
    """Arithmetic mean."""
    return _aggregate(x, np.mean, _V.mean())


@function("aggregate", "aggregates", x="series|window")
def median(_: RunView, x: Series | Window) -> Value:
    """Median."""
    return _aggregate(x, np.median, _V.median())


@function("aggregate", "aggregates", x="series|window")
def sum_(_: RunView, x: Series | Window) -> Value:
    """Sum."""
    return _aggregate(x, np.sum, _V.sum())


@function("aggregate", "aggregates", x="series|window")
def std(_: RunView, x: Series | Window) -> Value:
    """Sample standard deviation."""
    return _aggregate(x, lambda v: float(np.std(v, ddof=1)), _V.std(), least=2)


@function("aggregate", "aggregates", x="series|window")
def count(_: RunView, x: Series | Window) -> Value:
    """Number of finite points; 0 rather than missing when there are none."""
    if isinstance(x, Window):
        return _roll(x, _V.count())
    last = x.finite.point(len(x.finite) - 1) if len(x.finite) else None
    return Scalar(float(len(x.finite)), last)


@function("aggregate", "aggregates", x="series|window")
def delta(_: RunView, x: Series | Window) -> Value:
    """Last value minus first value."""
    return _aggregate(x, lambda v: float(v[-1] - v[0]), _V.last() - _V.first(), least=2)


@function("aggregate", "aggregates", x="series|window")
def slope(_: RunView, x: Series | Window) -> Value:
    """Least-squares slope per point."""
    index = pl.int_range(pl.len())
    return _aggregate(
        x, lambda v: float(np.polyfit(np.arange(len(v)), v, 1)[0]), pl.cov(_V, index) / index.var(), least=2
    )


def _extreme(x: Series | Window, pick: Callable[[Array], Any], rolling: pl.Expr) -> Value:
    if isinstance(x, Window):
        return _roll(x, rolling)
    finite = x.finite
    return finite.scalar(int(pick(finite.value))) if len(finite) else absent(f"{x.name} has no finite points")


@function("aggregate", "aggregates", x="series|window")
def min_(_: RunView, x: Series | Window) -> Value:
    """Smallest value, with its place."""
    return _extreme(x, np.argmin, _V.min())


@function("aggregate", "aggregates", x="series|window")
def max_(_: RunView, x: Series | Window) -> Value:
    """Largest value, with its place."""
    return _extreme(x, np.argmax, _V.max())


@function("number", "aggregates", x="series", q="number")
def quantile(_: RunView, x: Series, q: Scalar) -> Value:
    """The value below which a share q (0 to 1) of the finite points lie."""
    if not len(x.finite):
        return absent(f"{x.name} has no finite points")
    return Scalar(float(np.quantile(x.finite.value, float(q.value or 0))), x.finite.point(len(x.finite) - 1))


def _pointwise(x: Series | Scalar, compute: Callable[[Array], Array]) -> Value:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        if isinstance(x, Series):
            return x.with_values(compute(x.value))
        if x.value is None:
            return x
        result = float(compute(np.float64(x.value)))  # type: ignore[arg-type]
    return Scalar(result, x.at) if np.isfinite(result) else absent("the result is not a number")


@function("pointwise", "pointwise", x="series|number")
def abs_(_: RunView, x: Series | Scalar) -> Value:
    """Absolute value."""
    return _pointwise(x, np.abs)


@function("pointwise", "pointwise", x="series|number")
def log(_: RunView, x: Series | Scalar) -> Value:
    """Natural logarithm; missing where the value is not positive."""
    return _pointwise(x, lambda v: np.where(np.greater(v, 0), np.log(v), np.nan))


@function("pointwise", "pointwise", x="series|number")
def exp(_: RunView, x: Series | Scalar) -> Value:
    """Exponential."""
    return _pointwise(x, np.exp)


@function("pointwise", "pointwise", x="series|number")
def sqrt(_: RunView, x: Series | Scalar) -> Value:
    """Square root."""
    return _pointwise(x, np.sqrt)


@function("pointwise", "pointwise", x="series|number")
def round_(_: RunView, x: Series | Scalar) -> Value:
    """Nearest whole number."""
    return _pointwise(x, np.round)


@function("pointwise", "pointwise", x="series|number")
def ceil(_: RunView, x: Series | Scalar) -> Value:
    """Smallest whole number that is not below the value."""
    return _pointwise(x, np.ceil)


@function("truths", "pointwise", x="series")
def finite(_: RunView, x: Series) -> Value:
    """True where the value is neither NaN nor infinite; never unknown."""
    return x.with_values(np.isfinite(x.value).astype(np.float64))


@function("truths", "pointwise", x="series")
def nan(_: RunView, x: Series) -> Value:
    """True where the value is NaN; never unknown."""
    return x.with_values(np.isnan(x.value).astype(np.float64))


@function("number", "pointwise", a="number", b="number")
def larger(_: RunView, a: Scalar, b: Scalar) -> Value:
    """The larger of two numbers; missing if either is."""
    return _choose(a, b, max)


@function("number", "pointwise", a="number", b="number")
def smaller(_: RunView, a: Scalar, b: Scalar) -> Value:
    """The smaller of two numbers; missing if either is."""
    return _choose(a, b, min)


def _choose(a: Scalar, b: Scalar, pick: Callable[..., Any]) -> Scalar:
    for side in (a, b):
        if side.value is None:
            return side
    return pick(a, b, key=lambda side: side.value)  # type: ignore[no-any-return]


@function("number", "pointwise", a="number", b="number")
def either(_: RunView, a: Scalar, b: Scalar) -> Value:
    """The first number, or the second one where the first is missing."""
    return a if a.value is not None else b
