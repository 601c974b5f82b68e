"""The functions of the rule language; importing this package fills the table."""

from postmortem.engine.functions import aggregates, run, shape, timing
from postmortem.engine.functions.table import FUNCTIONS, Argument, Function, Kind

__all__ = ["FUNCTIONS", "Argument", "Function", "Kind", "aggregates", "run", "shape", "timing"]
