"""Functions of one series: its ends, its best, parts of it, and statistical statements about its shape."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from postmortem import stats
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Array, Scalar, Series, Value, absent


def _needs(x: Series, least: int) -> Scalar | None:
    if len(x.finite) >= least:
        return None
    return absent(f"{x.name} has {len(x.finite)} finite points, {least} are needed")


def _needs_direction(x: Series, least: int = 1) -> Scalar | None:
    if x.direction is None:
        return absent(
            f"whether higher or lower is better is unknown for {x.name}",
            f"nothing; pass --metric {x.metric}:max or --metric {x.metric}:min",
        )
    return _needs(x, least)


def _at_end(x: Series, value: float) -> Scalar:
    return Scalar(float(value), x.finite.point(len(x.finite) - 1))


def _stated(x: Series, least: int, compute: Callable[[Array], float | None], what: str) -> Scalar:
    """A number about the whole series, placed at its last point; missing when it cannot be computed."""
    short = _needs(x, least)
    if short:
        return short
    value = compute(x.finite.value)
    if value is None or not np.isfinite(value):
        return absent(f"{what} of {x.name} cannot be computed from {len(x.finite)} points")
    return _at_end(x, value)


@function("number", "ends", x="series")
def first(_: RunView, x: Series) -> Value:
    """First finite value."""
    return _needs(x, 1) or x.finite.scalar(0)


@function("number", "ends", x="series")
def last(_: RunView, x: Series) -> Value:
    """Last finite value."""
    return _needs(x, 1) or x.finite.scalar(len(x.finite) - 1)


def _better(x: Series) -> stats.Direction:
    return "min" if x.direction == "min" else "max"


def _pick(x: Series, better: str) -> Scalar:
    pick: Any = np.argmin if better == "min" else np.argmax
    return x.finite.scalar(int(pick(x.finite.value)))


@function("number", "ends", x="series")
def best(_: RunView, x: Series) -> Value:
    """Best value in the series' direction, with its place (the first one of equals)."""
    return _needs_direction(x) or _pick(x, str(x.direction))


@function("number", "ends", x="series")
def worst(_: RunView, x: Series) -> Value:
    """Worst value in the series' direction, with its place."""
    return _needs_direction(x) or _pick(x, "max" if x.direction == "min" else "min")


@function("number", "ends", x="series", place="number")
def at(_: RunView, x: Series, place: Scalar) -> Value:
    """The value of x at or before the place of another number, or its first value where it begins later."""
    before = _reached(x, place)
    return before if isinstance(before, Scalar) else before.scalar(len(before) - 1)


@function("number", "ends", place="number")
def step_of(_: RunView, place: Scalar) -> Value:
    """Step of the place of a number."""
    return _coordinate(place, place.at.step if place.at else None, "step")


@function("number", "ends", place="number")
def epoch_of(_: RunView, place: Scalar) -> Value:
    """Epoch of the place of a number."""
    return _coordinate(place, place.at.epoch if place.at else None, "epoch")


def _coordinate(place: Scalar, value: float | None, what: str) -> Scalar:
    if place.value is None:
        return place
    return Scalar(float(value), place.at) if value is not None else absent(f"the log states no {what} there", what)


@function("truth", "ends", x="series")
def lower_is_better(_: RunView, x: Series) -> Value:
    """True if lower values of x are better; unknown if that is not known."""
    return _needs_direction(x) or Scalar(float(x.direction == "min"))


@function("number", "ends", x="series", place="number")
def improved_since(_: RunView, x: Series, place: Scalar) -> Value:
    """How much better x is at its end than at a place, by medians of a twentieth of its points; negative for worse."""
    before = _reached(x, place)
    if isinstance(before, Scalar):
        return before
    short = _needs_direction(x, 2)
    if short:
        return short
    width = max(1, len(x.finite) // 20)
    change = float(np.median(x.finite.value[-width:]) - np.median(before.value[-width:]))
    return _at_end(x, -change if x.direction == "min" else change)


@function("number", "ends", x="series")
def error(_: RunView, x: Series) -> Value:
    """Smallest error of x: its lowest value, or 1 minus its highest where high is better and x is a rate."""
    errors = _errors(x)
    return errors if isinstance(errors, Scalar) else _at_end(x, float(errors.min()))


@function("number", "ends", x="series")
def error_ratio(_: RunView, x: Series) -> Value:
    """First error of x over its smallest one; missing where the smallest is zero."""
    errors = _errors(x)
    if isinstance(errors, Scalar):
        return errors
    smallest = float(errors.min())
    return _at_end(x, float(errors[0]) / smallest) if smallest > 0 else absent(f"{x.name} is perfect")


def _errors(x: Series) -> Array | Scalar:
    short = _needs_direction(x, 1)
    if short:
        return short
    errors = x.finite.value if x.direction == "min" else 1.0 - x.finite.value
    return errors if errors.min() >= 0 else absent(f"{x.name} is no rate and has no error")


@function("series", "parts", x="series", share="number")
def tail(_: RunView, x: Series, share: Scalar) -> Value:
    """The last share (0 to 1) of the points, at least one."""
    keep = max(1, round(len(x) * float(share.value or 0)))
    return x.take(np.arange(max(0, len(x) - keep), len(x)))


@function("series", "parts", x="series", share="number")
def head(_: RunView, x: Series, share: Scalar) -> Value:
    """The first share (0 to 1) of the points, at least one."""
    return x.take(np.arange(min(len(x), max(1, round(len(x) * float(share.value or 0))))))


@function("series", "parts", x="series", place="number")
def after(_: RunView, x: Series, place: Scalar) -> Value:
    """The points after the place of another number."""
    until = _until(x, place)
    return until if isinstance(until, Scalar) else x.take(np.arange(len(until), len(x)))


@function("series", "parts", x="series", place="number")
def until(_: RunView, x: Series, place: Scalar) -> Value:
    """The points up to and with the place of another number."""
    return _until(x, place)


def _reached(x: Series, place: Scalar) -> Series | Scalar:
    """The finite points up to a place, or the first one where x begins later; never empty."""
    if not len(x.finite):
        return absent(f"{x.name} has no finite points")
    before = _until(x.finite, place)
    return before if isinstance(before, Scalar) or len(before) else x.finite.take(np.array([0]))


def _until(x: Series, place: Scalar) -> Series | Scalar:
    if place.value is None:
        return place
    if place.at is None:
        return absent("a place is needed here, such as best(x) or first(x)")
    for clock, mark in ((x.step, place.at.step), (x.epoch, place.at.epoch)):
        if mark is not None and not np.isnan(clock).any():
            return x.take(np.flatnonzero(clock <= mark))
    return x.take(np.flatnonzero(x.line <= (place.at.line or 0)))


@function("series", "parts", x="series", n="number")
def blocks(_: RunView, x: Series, n: Scalar) -> Value:
    """Means of n nearly equal consecutive stretches of the finite points; x itself when it is shorter."""
    finite = x.finite
    means = stats.block_means(finite.value, int(n.value or 1))
    ends = np.linspace(0, len(finite), len(means) + 1).round().astype(np.int64)[1:] - 1
    return finite.take(ends).with_values(means) if len(finite) else finite


@function("series", "parts", x="series")
def change(_: RunView, x: Series) -> Value:
    """Relative change from the point before; missing at the first point."""
    with np.errstate(all="ignore"):
        relative = np.diff(x.value) / np.abs(x.value[:-1])
    return x.with_values(np.concatenate([[np.nan], np.where(np.isfinite(relative), relative, np.nan)])[: len(x)])


@function("series", "parts", x="series")
def best_so_far(_: RunView, x: Series) -> Value:
    """Best value up to and with each point."""
    unknown = _needs_direction(x)
    if unknown:
        return x.with_values(np.full(len(x), np.nan))
    running = np.fmin if x.direction == "min" else np.fmax
    return x.with_values(running.accumulate(x.value))


@function("series", "parts", x="series", n="number")
def ema(_: RunView, x: Series, n: Scalar) -> Value:
    """Exponential moving average with a span of n points, over the finite points."""
    finite = x.finite
    return finite.with_values(pl.Series(finite.value).ewm_mean(span=max(1.0, float(n.value or 1))).to_numpy())


@function("number", "shape", x="series")
def noise(_: RunView, x: Series) -> Value:
    """Standard deviation of the scatter around the trend of x, robust, never below the printed resolution."""
    return _stated(x, 4, stats.noise, "the noise")


@function("number", "shape", x="series")
def resolution(_: RunView, x: Series) -> Value:
    """Smallest difference the printed digits of x can show."""
    return _stated(x, 1, stats.resolution, "the resolution")


@function("number", "shape", x="series")
def trend(view: RunView, x: Series) -> Value:
    """Kendall's tau of x over its points: 1 is steadily rising, -1 steadily falling."""
    return _trend(view, x, "tau")


@function("number", "shape", x="series")
def trend_p(view: RunView, x: Series) -> Value:
    """Chance of so strong a trend without any, corrected for autocorrelation (Mann-Kendall, Hamed and Rao)."""
    return _trend(view, x, "p")


def _trend(view: RunView, x: Series, what: str) -> Scalar:
    def compute(y: Array) -> float:
        found = view.remember(("mann-kendall", id(x)), x, lambda: stats.mann_kendall(y))
        return float(getattr(found, what))

    return _stated(x, 4, compute, "the trend")


@function("number", "shape", x="series")
def flat_tail(_: RunView, x: Series) -> Value:
    """Number of last points over which x made no progress beyond its noise."""
    unknown = _needs_direction(x, 4)
    if unknown:
        return unknown
    points = stats.flat_tail(x.finite.value, _better(x))
    return Scalar(float(points), x.finite.point(max(0, len(x.finite) - max(1, points))))


@function("series", "parts", x="series", within="number")
def still(_: RunView, x: Series, within: Scalar) -> Value:
    """The longest stretch over which x stays inside a band of that height."""
    if within.value is None:
        return within
    stretch = stats.still_stretch(x.finite.value, float(within.value))
    return x.finite.take(np.arange(stretch.start, stretch.start + stretch.points))


@function("number", "shape", x="series")
def swing(_: RunView, x: Series) -> Value:
    """Standard deviation of x around the straight line that fits it best (Theil-Sen), its largest tenth left out."""
    return _stated(x, 6, stats.trimmed_spread, "the swings")


@function("number", "shape", x="series")
def crossings(_: RunView, x: Series) -> Value:
    """Number of times x crosses that line."""
    return _stated(x, 6, lambda y: float(stats.crossings(y)), "the crossings")


@function("truth", "shape", x="series")
def even_steps(_: RunView, x: Series) -> Value:
    """True if neighbours are equally many steps apart, to half as many again, or no steps are logged."""
    gaps = np.diff(x.step)
    if len(gaps) == 0 or np.isnan(gaps).any():
        return Scalar(1.0)
    return Scalar(float(0 < gaps.max() <= 1.5 * gaps.min()))


@function("number", "shape", x="series", factor="number=2")
def jumps(_: RunView, x: Series, factor: Scalar) -> Value:
    """Number of times x grew by more than a factor from one point to the next, after its first tenth."""
    y = x.finite.value[len(x.finite) // 10 :]
    with np.errstate(all="ignore"):
        return Scalar(float(np.sum(y[1:] > float(factor.value or 2) * y[:-1])))


@function("number", "shape", x="series")
def worsened(view: RunView, x: Series) -> Value:
    """How far the level at the end is worse than the best level, in units of x; not positive when it is not."""
    return _worsening(view, x, "amount")


@function("number", "shape", x="series")
def worsened_z(view: RunView, x: Series) -> Value:
    """The worsening since the best level in units of its standard error, corrected for having picked the best."""
    return _worsening(view, x, "z")


def _worsening(view: RunView, x: Series, what: str) -> Scalar:
    def compute(y: Array) -> float | None:
        found = view.remember(("worsening", id(x)), x, lambda: stats.worsened(y, _better(x)))
        return getattr(found, what, None)

    return _needs_direction(x, 4) or _stated(x, 4, compute, "worsening")


@function("number", "shape", x="series")
def leap(_: RunView, x: Series) -> Value:
    """How far the worsening since the best is one leap out of the best level: 1 for a single step, 0 for a climb."""
    short = _needs_direction(x, 4) or _needs(x, 4)
    if short:
        return short
    cost = x.finite.value if x.direction == "min" else -x.finite.value
    since = cost[int(np.argmin(cost)) :]
    lost = float(since[-1] - since[0])
    if lost <= 0:
        return absent(f"{x.name} is not worse than its best")
    steepest = int(np.argmax(np.diff(since)))
    before, step = float(since[steepest] - since[0]), float(since[steepest + 1] - since[steepest])
    return _at_end(x, max(0.0, min(step / lost, 1.0 - before / lost)))


@function("number", "shape", x="series")
def turning_z(_: RunView, x: Series) -> Value:
    """How many more turning points x has than a random series would, in standard deviations."""
    return _stated(x, 6, lambda y: stats.turning_points(y).z, "the number of turning points")


@function("number", "shape", x="series", threshold="number=0.01")
def oscillations(_: RunView, x: Series, threshold: Scalar) -> Value:
    """Number of changes from point to point larger than the threshold, relative to the earlier point."""
    return _stated(x, 2, lambda y: stats.oscillations(y, float(threshold.value or 0)), "the changes")


@function("number", "shape", x="series", window="number=20")
def volatility(_: RunView, x: Series, window: Scalar) -> Value:
    """Mean of the standard deviations over windows of so many points."""
    return _stated(x, int(window.value or 2), lambda y: stats.volatility(y, int(window.value or 2)), "the volatility")


@function("number", "shape", x="series")
def nonfinite(_: RunView, x: Series) -> Value:
    """Number of NaN and infinite points, not counting those before the first finite one; with the first place."""
    bad = _bad(x)
    return (
        Scalar(float(len(bad)), x.point(int(bad[0]) if len(bad) else max(0, len(x) - 1)))
        if len(x)
        else absent(f"{x.name} has no points")
    )


@function("number", "shape", x="series")
def nonfinite_tail(_: RunView, x: Series) -> Value:
    """Number of NaN and infinite points at the very end, with the place of the first of them."""
    bad = ~np.isfinite(x.value)
    length = int(np.argmin(bad[::-1])) if not bad.all() else len(x)
    return Scalar(float(length), x.point(len(x) - max(1, length))) if len(x) else absent(f"{x.name} has no points")


def _bad(x: Series) -> Any:
    bad = np.flatnonzero(~np.isfinite(x.value))
    good = np.flatnonzero(np.isfinite(x.value))
    # A log that opens with NaN has not measured yet; a log of nothing but NaN never worked.
    return bad[bad > good[0]] if len(good) else bad


@function("number", "shape", x="series")
def distinct(_: RunView, x: Series) -> Value:
    """Number of different finite values."""
    return _stated(x, 1, lambda y: float(len(np.unique(y))), "the number of values")


@function("number", "shape", x="series")
def repeats(_: RunView, x: Series) -> Value:
    """Length of the longest stretch of equal finite values, with the place it starts at."""
    short = _needs(x, 1)
    if short:
        return short
    y = x.finite.value
    starts = np.flatnonzero(np.concatenate([[True], y[1:] != y[:-1]]))
    lengths = np.diff(np.concatenate([starts, [len(y)]]))
    longest = int(np.argmax(lengths))
    return Scalar(float(lengths[longest]), x.finite.point(int(starts[longest])))


@function("number", "shape", x="series", n="number")
def lattice(view: RunView, x: Series, n: Scalar) -> Value:
    """Divisor that the counts behind the rates of x (out of n) share beyond chance; 1 when there is none."""
    return _lattice(view, x, n, lambda found: float(found.divisor))


@function("number", "shape", x="series", n="number")
def lattice_chance(view: RunView, x: Series, n: Scalar) -> Value:
    """Chance that the counts behind the rates of x share that divisor by accident, corrected for the search."""
    return _lattice(view, x, n, lambda found: found.chance)


@function("number", "shape", x="series", n="number")
def lattice_counts(view: RunView, x: Series, n: Scalar) -> Value:
    """Number of different counts behind the rates of x that the shared divisor divides."""
    return _lattice(view, x, n, lambda found: float(found.distinct))


def _lattice(view: RunView, x: Series, n: Scalar, take: Callable[[Any], float]) -> Scalar:
    if n.value is None:
        return n
    size = int(float(n.value))
    found = view.remember(("lattice", id(x), size), x, lambda: stats.lattice(x.finite.value, size))
    return _stated(x, 1, lambda _: take(found), "the count lattice")


@function("number", "shape", x="series")
def level(_: RunView, x: Series) -> Value:
    """The operating level in a metric's name: 1e-05 for tpr@fpr1e-05."""
    found = re.search(r"@[a-z]*[_=]?(\d*\.?\d+(?:e[-+]?\d+)?)", x.metric)
    return Scalar(float(found[1])) if found else absent(f"the name of {x.name} states no operating level")


@function("truth", "shape", x="series")
def is_rate(_: RunView, x: Series) -> Value:
    """True if the name of x says that it is a share of samples, such as an accuracy."""
    return Scalar(float(re.search(r"acc|precision|recall|f1|tpr|fpr|success|exact_match|err", x.metric) is not None))
