"""Numbers and series as a person reads them: the digits that matter, and a curve in a few characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

from postmortem.model import Position

_BLOCKS = "▁▂▃▄▅▆▇█"
_NOT_FINITE = "×"
_IN_FULL = 1e12  # whole numbers below are counts of something; above, magnitudes
_LOG_SCALE_FROM = 50.0  # largest over smallest; beyond it a linear curve is a corner


def number(value: float, digits: int = 6) -> str:
    """A number with at most ``digits`` significant digits; whole numbers in full, with thousands separators.

    Below 1e-4 and from 1e12 on in scientific notation; NaN and infinities as ``NaN``, ``inf``, ``-inf``.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == int(value) and abs(value) < _IN_FULL:
        return f"{int(value):,}" if abs(value) >= 10_000 else str(int(value))
    if 10_000 <= abs(value) < _IN_FULL:
        return f"{value:,.{max(digits - len(str(int(abs(value)))), 0)}f}"
    return f"{value:.{digits}g}"


def printed(value: float) -> str:
    """A number as a log would print it: in full up to seven significant digits, else rounded to five."""
    return number(value, 7 if float(f"{value:.7g}") == value else 5)


def numbers(values: Sequence[float], least: int = 4, most: int = 9) -> list[str]:
    """Numbers shown side by side: no more digits than it takes to tell different ones apart."""
    for digits in range(least, most + 1):
        shown = [number(value, digits) for value in values]
        if len(set(shown)) >= len(set(map(repr, values))):
            break
    return shown


def place(step: int | None, epoch: float | None) -> str:
    """``epoch 3``, ``step 1200``, or both; empty when the log has neither."""
    parts = [f"epoch {number(epoch, 4)}"] if epoch is not None else []
    return ", ".join([*parts, *([f"step {number(step)}"] if step is not None else [])])


def position(at: Position) -> str:
    """A position as ``place`` shows it, or the time when the log has neither step nor epoch."""
    clock = at.time.strftime("%Y-%m-%d %H:%M:%S") if at.time else ""
    return place(at.step, at.epoch) or clock


def duration(seconds: float) -> str:
    """A length of time in its two largest units: ``3 d 4 h``, ``1 h 20 min``, ``5 min 3 s``, ``12.5 s``."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    at = next(at for at, (_, size) in enumerate(units) if seconds >= size)
    (large, size), (small, rest) = units[at : at + 2]
    left = int(seconds % size // rest)
    return f"{int(seconds // size):,} {large}" + (f" {left} {small}" if left else "")


def share(part: int, whole: int) -> str:
    """A percentage that says 100 % only for all of it and 0 % only for nothing."""
    percent = 100 * part / whole if whole else 100.0
    if 0 < part < whole:
        percent = min(max(percent, 0.1), 99.9)
    return f"{percent:.1f} %" if percent % 1 else f"{percent:.0f} %"


def plural(count: int, noun: str) -> str:
    """``1 run``, ``2 runs``, ``1,204 lines``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve of at most ``width`` block characters; a stretch with a value that is not finite shows ``×``.

    Series longer than ``width`` are averaged in equal stretches;
    ``is_log`` says when the scale is logarithmic.
    """
    scale = math.log if is_log(values) else float
    heights = [_stretch([scale(v) if math.isfinite(v) else v for v in part]) for part in _split(values, width)]
    finite = [height for height in heights if height is not None]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    return "".join(_block(height, low, high) for height in heights)


def is_log(values: Sequence[float]) -> bool:
    """Whether this series is drawn on a log scale: all positive, and spanning more than a factor of 50."""
    finite = [value for value in values if math.isfinite(value)]
    return bool(finite) and min(finite) > 0 and max(finite) > _LOG_SCALE_FROM * min(finite)


def _split(values: Sequence[float], width: int) -> list[Sequence[float]]:
    count = min(len(values), max(width, 1))
    return [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]


def _stretch(part: Sequence[float]) -> float | None:
    return sum(part) / len(part) if all(map(math.isfinite, part)) else None


def _block(height: float | None, low: float, high: float) -> str:
    if height is None:
        return _NOT_FINITE
    if high == low:
        return _BLOCKS[len(_BLOCKS) // 2 - 1]  # a flat series runs along the middle
    share = (height / 2 - low / 2) / (high / 2 - low / 2)  # halves: the difference of two large floats may overflow
    return _BLOCKS[min(int(share * len(_BLOCKS)), len(_BLOCKS) - 1)]
