"""Statistics on plain arrays: numpy only, and without any knowledge of runs or logs.

Series are one-dimensional float64 arrays of finite values in log order. Every function is total and
deterministic: too short an input gives NaN, None or an empty result as its docstring says, no exception.
"""

from postmortem.stats.change import Change, change_point, spikes
from postmortem.stats.coincidence import coincidence, grain
from postmortem.stats.fall import fall_bound
from postmortem.stats.flat import Direction, Worsening, flat_tail, worsened
from postmortem.stats.lattice import Lattice, lattice
from postmortem.stats.noise import block_means, noise, noise_of_means, resolution
from postmortem.stats.oscillation import Turning, oscillations, relative_changes, turning_points, volatility
from postmortem.stats.projection import Projection, project
from postmortem.stats.rates import compare_proportions, compare_rates, hanley_mcneil, poisson_rate, wilson
from postmortem.stats.stretch import Stretch, around_line, crossings, still_stretch, trimmed_spread
from postmortem.stats.surge import Surge, growth, surges
from postmortem.stats.ties import no_negatives_between
from postmortem.stats.timing import Drift, Segments, Stall, drift, healthy_pace, segments, stalls
from postmortem.stats.trend import Slope, Trend, mann_kendall, theil_sen

__all__ = [
    "Change", "Direction", "Drift", "Lattice", "Projection", "Segments", "Slope", "Stall", "Stretch", "Surge",
    "Trend", "Turning", "Worsening", "around_line", "block_means", "change_point", "coincidence",
    "compare_proportions", "compare_rates", "crossings", "drift", "fall_bound", "flat_tail", "grain", "growth",
    "hanley_mcneil", "healthy_pace", "lattice", "mann_kendall", "no_negatives_between", "noise", "noise_of_means",
    "oscillations", "poisson_rate", "project", "relative_changes", "resolution", "segments", "spikes", "stalls",
    "still_stretch", "surges", "theil_sen", "trimmed_spread", "turning_points", "volatility", "wilson", "worsened",
]  # fmt: skip
