"""The functions of the rule language; importing this package fills the table."""

from postmortem.engine.functions import (
    aggregates,
    counts,
    curve,
    heldout,
    plan,
    resume,
    run,
    shape,
    siblings,
    timing,
    told,
)
from postmortem.engine.functions.table import FUNCTIONS, Argument, Function, Kind

__all__ = [
    "FUNCTIONS", "Argument", "Function", "Kind",
    "aggregates", "counts", "curve", "heldout", "plan", "resume", "run", "shape", "siblings", "timing", "told",
]  # fmt: skip
