"""Statistics on plain arrays: numpy only, and without any knowledge of runs or logs."""

from postmortem.stats.change import change_point, spikes
from postmortem.stats.flat import flat_tail, worsened
from postmortem.stats.lattice import Lattice, lattice
from postmortem.stats.noise import block_means, noise, resolution
from postmortem.stats.oscillation import oscillations, relative_changes, turning_points, volatility
from postmortem.stats.rates import compare_rates, hanley_mcneil, poisson_rate, wilson
from postmortem.stats.timing import Segments, Stall, drift, healthy_pace, segments, stalls
from postmortem.stats.trend import mann_kendall, theil_sen

__all__ = [
    "Lattice", "Segments", "Stall", "block_means", "change_point", "compare_rates", "drift", "flat_tail", "hanley_mcneil",
    "healthy_pace", "lattice", "mann_kendall", "noise", "oscillations", "poisson_rate", "relative_changes", "resolution",
    "segments", "spikes", "stalls", "theil_sen", "turning_points", "volatility", "wilson", "worsened",
]
