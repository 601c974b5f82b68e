"""How long the rest of a run takes, as a range."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from postmortem.stats.timing import Segments, stalls

_FEWEST = 3  # undisturbed intervals without which nothing is projected


@dataclass(frozen=True)
class Projection:
    """Seconds that work takes: ``low`` if nothing disturbs it any more, ``high`` at the average so far."""

    low: float
    high: float


def project(intervals: Segments, units: float) -> Projection | None:
    """The time ``units`` of progress take, from the intervals seen; None under three undisturbed ones.

    ``low`` is the lower 97.5 % bound of the mean pace outside stalls, evaluations included (ratio estimator of total
    time to total progress, Cochran 1977, section 6.4; intervals taken as independent). ``high`` is the average of
    everything, stalls included, never less than ``low``.
    """
    stalled = np.isin(intervals.index, [stall.index for stall in stalls(intervals)])
    duration, progress = intervals.duration[~stalled], intervals.progress[~stalled]
    n = len(duration)
    if n < _FEWEST:
        return None
    pace = float(duration.sum() / progress.sum())
    residual = duration - pace * progress
    error = math.sqrt(n / (n - 1.0) * float(residual @ residual)) / float(progress.sum())
    low = max(pace - 1.96 * error, 0.0) * units
    return Projection(low, max(low, float(intervals.duration.sum() / intervals.progress.sum()) * units))
