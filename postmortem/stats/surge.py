"""A series that leaps up for a moment and comes back, and one that grows far beyond all it has been."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from postmortem.stats.basics import Floats, Ints, mad, mads, median, medians, rolling
from postmortem.stats.noise import noise

_SIGMAS = 8.0  # sd of noise above the level
_TAIL = 1.645  # sd that one in twenty normal values exceeds
_LEVEL = 5  # points whose median is the level
_STEPS = 21  # steps that tell the noise
_APART = 10  # points within which two leaps are one
_RARE = 100  # one leap in so many points is an accident; more of them are how the series is
_FEWEST = 3  # leaps that are still accidents in a short series


@dataclass(frozen=True)
class Surge:
    """One leap.

    Attributes:
        start: Index of the first point above.
        peak: Index of the highest point.
        end: Index of the first point that is back.
        height: How far the peak is above the level before, in units of y.
    """

    start: int
    peak: int
    end: int
    height: float


def surges(y: Floats, share: float = 0.1) -> list[Surge]:
    """Leaps that the noise of the series does not explain and that are recovered from.

    A leap stands eight sd of the noise above the median of the five points behind it, and higher than the tail of
    these distances lets expect once in twenty such series; it undoes ``share`` of all the progress the series makes
    downwards, is up within ten points and back by three quarters within as many (or a twentieth of the series), and
    is rare: one in a hundred points or three in all. The noise is that of the 21 steps behind, so a trend does not
    count. The tail is a power law fitted to the largest twentieth of the distances (Hill 1975, by the median, so that
    the leaps do not count), which is heavier than that of a normal. Assumes lower to be better. Nothing is said of
    the first ten points, whose noise is not known yet.
    """
    if len(y) <= _APART:
        return []
    level, sd = _behind(y)
    rise = y[_APART:] - level
    progress = median(y[:3]) - float(np.min(level))
    distance = rise / sd
    tall = (distance > max(_SIGMAS, _expected_once(_peaks(distance)))) & (rise > share * progress)
    groups = [group + _APART for group in _groups(tall)]
    found = [surge for group in groups if (surge := _recovered(y, float(level[group[0] - _APART]), group)) is not None]
    return found if len(found) <= max(_FEWEST, len(y) // _RARE) else []


def _behind(y: Floats) -> tuple[Floats, Floats]:
    """Median of the five points behind each point from the eleventh on, and sd of the noise there, shape (n - 10,)."""
    steps = np.diff(y)
    early = [mad(steps[:i]) for i in range(_APART - 1, min(_STEPS, len(steps)))]
    spread = np.concatenate([early, rolling(steps, _STEPS, mads)])[: len(y) - _APART]
    level = rolling(y[_APART - _LEVEL : -1], _LEVEL, medians)
    return level, np.maximum(spread / math.sqrt(2.0), max(noise(y), 1e-300))


def _peaks(distance: Floats) -> Floats:
    """The distances with each leap of several points reduced to its highest one."""
    keep = np.ones(len(distance), dtype=np.bool_)
    for group in _groups(distance > _SIGMAS):
        keep[group] = group == group[np.argmax(distance[group])]
    return distance[keep]


def _expected_once(distance: Floats) -> float:
    """The distance, in sd, that the largest of so many exceeds with 5 % chance, by the tail beyond 1.6 sd."""
    ordered = np.sort(distance)[::-1]
    top = max(5, len(ordered) // 20)
    if len(ordered) <= top:
        return 0.0
    least = max(_TAIL, float(ordered[top]))
    spread = median(np.log(np.maximum(ordered[:top], least) / least)) / math.log(2.0)
    return float(least * (20.0 * top) ** spread)


def growth(y: Floats) -> tuple[int, float]:
    """Index of the point that is the largest multiple of the median of all points before it, and that multiple.

    For positive series of two points and more; (0, 1.0) otherwise. The median of everything before is slow to
    follow, so growth over the whole series shows as well as a leap.
    """
    if len(y) < 2 or float(np.min(y)) <= 0.0:
        return 0, 1.0
    stride = max(1, len(y) // 2000)
    at = np.arange(1, len(y), stride)
    highest = np.maximum.reduceat(y, at) / _running_medians(y[: at[-1] : stride])
    block = int(np.argmax(highest))
    end = int(at[block + 1]) if block + 1 < len(at) else len(y)
    index = int(at[block]) + int(np.argmax(y[at[block] : end]))
    return index, float(highest[block])


def _running_medians(y: Floats) -> Floats:
    """Median of the first, the first two, ... of the values, shape (n,)."""
    ordered: list[float] = []
    medians = np.empty(len(y))
    for i, value in enumerate(y.tolist()):
        insort(ordered, value)
        medians[i] = (ordered[i // 2] + ordered[(i + 1) // 2]) / 2.0
    return medians


def _groups(holds: NDArray[np.bool_]) -> list[Ints]:
    """Indices of true points, those near each other together."""
    index = np.flatnonzero(holds)
    return np.split(index, np.flatnonzero(np.diff(index) > _APART) + 1) if len(index) else []


def _recovered(y: Floats, level: float, group: Ints) -> Surge | None:
    start, peak = int(group[0]), int(group[np.argmax(y[group])])
    height = float(y[peak] - level)
    reach = max(_APART, len(y) // 20) if peak - start <= _APART else 0
    back = np.flatnonzero(y[peak + 1 : peak + 1 + reach] <= level + 0.25 * height)
    return Surge(start, peak, peak + 1 + int(back[0]), height) if len(back) else None
