"""Functions of optimisation: leaps and growth, levels that are left for good, layers, schedules, two curves at once."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem import stats
from postmortem.engine.bind import joined
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.values import Array, Scalar, Series, Value, absent, align

_HARDER = re.compile(
    r"drop(out|_?path|_?connect|_?rate)|_pdrop$|stochastic_depth|augment|(^|_)aug(_|$)|mixup|cutmix|cutout|mosaic|label_smooth"
    r"|(^|_)smoothing|random_?erase|reprob|jitter|randaug|adversarial|noise_(std|level|scale)|mask_(prob|ratio)"
)
_OFF = {"", "0", "0.0", "none", "false", "no", "off", "null"}
_GRADIENT = re.compile(r"(^|[/_.])g(rad(ient)?s?)?([/_.]?(norm|l2))?([/_.]|$)")
_WHOLE = re.compile(r"(total|global|all|overall|mean|avg|max|min|clipped|unclipped|before|after|pre|post|\d+)\b")


@function("series", "leaps", x="series", share="number=0.1")
def surges(view: RunView, x: Series, share: Scalar) -> Value:
    """The peaks of x that noise does not explain, that undo a share of its progress and are recovered from."""
    size = float(share.value or 0)
    found = view.remember(("surges", id(x), size), x, lambda: stats.surges(x.finite.value, size))
    return x.finite.take(np.array([surge.peak for surge in found], dtype=np.int64))


@function("number", "leaps", x="series", share="number=0.1")
def surge_height(view: RunView, x: Series, share: Scalar) -> Value:
    """How far the highest of those peaks is above the level before it; 0 without any."""
    size = float(share.value or 0)
    found = view.remember(("surges", id(x), size), x, lambda: stats.surges(x.finite.value, size))
    if not found:
        return Scalar(0.0)
    highest = max(found, key=lambda surge: surge.height)
    return Scalar(highest.height, x.finite.point(highest.peak))


@function("number", "leaps", x="series")
def growth(_: RunView, x: Series) -> Value:
    """Largest multiple that a point of x is of the median of all points before it, with the place of that point."""
    if len(x.finite) < 2:
        return absent(f"{x.name} has {len(x.finite)} finite points, 2 are needed")
    index, factor = stats.growth(x.finite.value)
    return Scalar(factor, x.finite.point(index))


@function("number", "leaps", x="series")
def climb(_: RunView, x: Series) -> Value:
    """Largest rise of x from a low point to a later high one, with the place of the high one."""
    if not len(x.finite):
        return absent(f"{x.name} has no finite points")
    rise = x.finite.value - np.minimum.accumulate(x.finite.value)
    return Scalar(float(rise.max()), x.finite.point(int(np.argmax(rise))))


@function("number", "leaps", x="series")
def fall_bound(_: RunView, x: Series) -> Value:
    """Most that x can have fallen from its beginning to its end (95 %), as a share of its level at the end."""
    bound = stats.fall_bound(x.finite.value)
    if not np.isfinite(bound):
        return absent(f"{x.name} has {len(x.finite)} finite points, too few to bound its fall")
    return Scalar(bound, x.finite.point(len(x.finite) - 1))


@function("number", "levels", x="series", length="number")
def noise_of_means(_: RunView, x: Series, length: Scalar) -> Value:
    """Standard deviation that the noise of x, correlated as it is, leaves in means of so many points."""
    if not isinstance(length.value, float) or len(x.finite) < 20:
        return absent(f"{x.name} has {len(x.finite)} finite points, too few to know the noise of its means")
    return Scalar(stats.noise_of_means(x.finite.value, length.value), x.finite.point(len(x.finite) - 1))


@function("number", "levels", x="series")
def ending(_: RunView, x: Series) -> Value:
    """Number of equal finite values at the end of x, with the place of the first of them."""
    if not len(x.finite):
        return absent(f"{x.name} has no finite points")
    y = x.finite.value
    return _closing(x.finite, y == y[-1])


@function("number", "levels", x="series", level="number")
def stays_below(_: RunView, x: Series, level: Scalar) -> Value:
    """Number of last points of x that are all at or below a level, with the place of the first of them."""
    if level.value is None:
        return level
    if not len(x.finite):
        return absent(f"{x.name} has no finite points")
    return _closing(x.finite, x.finite.value <= float(level.value) * (1 + 1e-9))


def _closing(x: Series, holds: NDArray[np.bool_]) -> Scalar:
    """Length and first place of the stretch at the very end over which something holds."""
    length = int(np.argmin(holds[::-1])) if not holds.all() else len(x)
    return Scalar(float(length), x.point(len(x) - max(1, length)))


@function("number", "levels", x="series", level="number")
def last_above(_: RunView, x: Series, level: Scalar) -> Value:
    """The last value of x that is at or above a level, with its place."""
    if level.value is None:
        return level
    above = np.flatnonzero(x.finite.value >= float(level.value) * (1 - 1e-9))
    return x.finite.scalar(int(above[-1])) if len(above) else absent(f"{x.name} never reaches that level")


@function("number", "levels", x="series")
def turns_back(_: RunView, x: Series) -> Value:
    """Number of times x sank below 1 % of its peak and climbed back above half of it as slowly as it had sunk."""
    y = x.finite.value
    returns = list(_returns(y)) if len(y) and y.max() > 0 else []
    return Scalar(float(len(returns)), x.finite.point(returns[0] if returns else max(0, len(y) - 1)))


def _returns(y: Array) -> list[int]:
    """Index of the point at which each slow climb is above half of the peak again."""
    state = np.where(y >= 0.5 * y.max(), 1, np.where(y <= 0.01 * y.max(), -1, 0))
    ends = np.flatnonzero(state)
    found = []
    fall: int | None = None
    for before, here in pairwise(ends):
        if state[before] == 1 and state[here] == -1:
            fall = int(here - before)
        elif state[before] == -1 and state[here] == 1 and fall is not None and here - before >= max(3, 0.5 * fall):
            found.append(int(here))
    return found


@function("number", "levels", x="series")
def starts_over(view: RunView, x: Series) -> Value:
    """Value of x after a resume where it begins as at the very start and not as it had stopped; missing elsewhere."""
    for index in _resumed(view, x):
        if 0 < index < len(x) and _like_the_start(x.value, index):
            return x.scalar(index)
    return absent(f"{x.name} does not start over after a resume")


def _resumed(view: RunView, x: Series) -> list[int]:
    """Index of the first point of x after each resume that the log tells of or that its steps show."""
    told = [int(np.sum(x.order <= event.order)) for event in view.events if event.kind == "restart"]
    if not told and not view.run.metrics["attempt"].max():
        return []
    starts = view.run.metrics.filter(pl.col("attempt") > 0).group_by("attempt", maintain_order=True).first()
    shown = []
    for source, line in starts.select("source", "line").iter_rows():
        origin = x.sources.index(source) if source in x.sources else -1
        shown.append(int(np.argmax(np.append((x.source == origin) & (x.line >= line), True))))
    return sorted({*told, *shown})


def _like_the_start(y: Array, index: int) -> bool:
    """Whether the value at an index repeats the first one (to 1 %), and is twice or half the value before it."""
    start, before, here = y[0], y[index - 1], y[index]
    return bool(here > 0 and abs(here - start) <= 0.01 * start and (here >= 2 * before or here <= 0.5 * before))


@function("series", "layers")
def layer_gradients(view: RunView) -> Value:
    """Median gradient norm of each layer in the second half of the run, in the order the layers are logged."""
    layers = [s.finite for s in view.series if s.role == "grad_norm" and _is_layer(s) and len(s.finite)]
    weights = [s for s in layers if s.metric.endswith("weight")]
    layers = weights if len(weights) >= 4 else layers
    if not layers:
        return absent("gradient norms are not logged layer by layer", "the gradient norm of each layer")
    return joined(
        [s.take(np.array([-1])).with_values(np.median(s.value[len(s) // 2 :], keepdims=True)) for s in layers]
    )


def _is_layer(series: Series) -> bool:
    """Whether a gradient norm names a part of the model."""
    part = _GRADIENT.sub("/", series.metric).strip("/_.")
    return bool(part) and _WHOLE.match(part) is None


@function("number", "levels", level="number")
def guesses(_: RunView, level: Scalar) -> Value:
    """Number of classes whose guessing by lot has this cross-entropy; missing where one level in ten would do."""
    if not isinstance(level.value, float):
        return level
    classes = round(math.exp(min(level.value, 10.0)))
    # Neighbouring numbers of classes are 1 / classes apart; a tenth of that around each is a hit by chance.
    if classes < 2 or abs(level.value - math.log(classes)) > 0.05 / classes:
        return absent("no number of classes has that cross-entropy")
    return Scalar(float(classes), level.at)


@function("series", "levels", x="series")
def fraction(_: RunView, x: Series) -> Value:
    """The values of x as a share of 0 to 1, whether it is logged so or in percent."""
    return x.with_values(_as_share(x.value))


def _as_share(y: Array) -> Array:
    return y / 100.0 if np.nanmax(y, initial=0.0) > 1.5 else y


@function("number", "curves", val="series", train="series")
def advantage(_: RunView, val: Series, train: Series) -> Value:
    """Median share by which the error of val is below that of train afterwards, in the second half of the run.

    Each value is compared with the mean of train up to the next value, when the model has learnt more: an average
    over an epoch that is taken while the model improves is no reason for val to be better.
    """
    found = _advantages(val, train)
    return found if isinstance(found, Scalar) else Scalar(float(np.median(found.value)), found.point(len(found) - 1))


@function("number", "curves", val="series", train="series")
def advantage_p(_: RunView, val: Series, train: Series) -> Value:
    """Chance of so many such advantages in a row of fair draws (sign test, one-sided)."""
    found = _advantages(val, train)
    if isinstance(found, Scalar):
        return found
    ahead = int(np.sum(found.value > 0))
    chance = sum(math.comb(len(found), k) for k in range(ahead, len(found) + 1)) / 2 ** len(found)
    return Scalar(chance, found.point(len(found) - 1))


def _advantages(val: Series, train: Series) -> Series | Scalar:
    """One minus the error of val over the mean error of train up to the next point of val, second half of the run."""
    val, train = val.finite, train.finite
    sums = np.nan_to_num(align(train.with_values(np.cumsum(train.value)), val)) if len(train) else val.value * 0.0
    counts = np.nan_to_num(align(train.with_values(np.arange(1.0, len(train) + 1)), val)) if len(train) else sums
    later = np.append(np.diff(counts), 0.0) > 0
    index = np.flatnonzero(later & (np.arange(len(val)) >= (len(val) - 1) // 2))
    if len(index) < 3:
        return absent(f"fewer than 3 values of {val.name} are followed by values of {train.name}")
    means = val.with_values(np.append(np.diff(sums) / np.maximum(np.diff(counts), 1.0), np.nan)).take(index)
    ours, theirs = _error_of(val.take(index)), _error_of(replace(means, direction=val.direction))
    if ours.min() < 0 or theirs.min() <= 0:
        return absent(f"{val.name} has no error to compare")
    return means.with_values(1.0 - ours / theirs)


def _error_of(x: Series) -> Array:
    return x.value if x.direction == "min" else 1.0 - _as_share(x.value)


@function("truth", "run", key="text", word="text")
def says(view: RunView, key: str, word: str) -> Value:
    """True if the run states a fact that contains the word, whatever the case; false if it states none."""
    found = view.fact(key)
    return Scalar(float(word.lower() in str(found.value or "").lower()), found.at)


@function("truth", "run")
def harder_training(view: RunView) -> Value:
    """True if the run states dropout, augmentation or the like, which make training harder than evaluation."""
    keys = view.run.facts["key"].unique(maintain_order=True)
    stated = (view.fact(key) for key in keys if _HARDER.search(key))
    found = next((fact for fact in stated if str(fact.value).strip().lower() not in _OFF), None)
    return Scalar(1.0, found.at) if found else Scalar(0.0)
