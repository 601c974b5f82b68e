"""What a run was, in a few numbers, a few curves and one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import polars as pl

from postmortem.engine.values import Series
from postmortem.engine.view import RunView
from postmortem.model import Curve, Finding, Position, Run, RunReport, Severity

_MOST_CURVES = 6
_MOST_POINTS = 400
_MOST_IDS = 3


def summarize(run: Run) -> dict[str, object]:
    """Counts, extent and stated configuration of a run; keys never vanish, what is absent is None."""
    frame = run.metrics
    extent = frame.select(
        pl.col("step").max().alias("last_step"),
        pl.col("epoch").max().alias("last_epoch"),
        pl.col("time").min().alias("started"),
        pl.col("time").max().alias("ended"),
        (pl.col("attempt").max().cast(pl.Int64) + 1).alias("attempts"),
    ).row(0, named=True)
    started, ended = extent["started"], extent["ended"]
    facts = {
        row["key"]: row["number"] if row["number"] is not None else row["value"]
        for row in run.facts.iter_rows(named=True)
    }
    return {
        "points": frame.height,
        "series": frame.select(pl.struct("split", "metric", "label").n_unique()).item() if frame.height else 0,
        **extent,
        "seconds": (ended - started).total_seconds() if started else None,
        "how_it_ended": _ending(run),
        "facts": facts,
    }


def _ending(run: Run) -> str | None:
    """Kind of the last event that ends a run, or None when the log does not say how it ended."""
    ends = run.events.filter(pl.col("kind").is_in(["traceback", "oom", "killed", "early-stop", "finished"]))
    return str(ends["kind"][-1]) if ends.height else None


def curves(view: RunView, findings: Sequence[Finding]) -> tuple[Curve, ...]:
    """The curves that matter: those that findings speak of, then losses and scores, then the learning rate."""
    spoken = {(finding.split, finding.metric) for finding in findings}
    worth = ("loss", "score", "reward", "lr")
    series = [s for s in view.series if len(s.finite) > 1 and s.role in worth]
    series.sort(key=lambda s: _rank(s, spoken))
    chosen: dict[str, Series] = {}
    for each in series:
        chosen.setdefault(each.name, each)
    return tuple(_curve(each) for each in list(chosen.values())[:_MOST_CURVES])


def _rank(series: Series, spoken: set[tuple[str | None, str | None]]) -> tuple[int, ...]:
    plain = series.metric in ("loss", "accuracy", "auroc", "perplexity")
    return (
        (series.split, series.metric) not in spoken,
        series.role == "lr",
        not plain,
        series.role != "loss",
        series.split not in ("train", "val"),
        -len(series),
    )


def _curve(series: Series) -> Curve:
    finite = series.finite
    pick = {"min": np.argmin, "max": np.argmax}.get(series.direction or "")
    best = int(pick(finite.value)) if pick else None
    stride = -(-len(series) // _MOST_POINTS)
    return Curve(
        series.name,
        tuple(series.value[::stride].tolist()),
        float(finite.value[0]),
        float(finite.value[-1]),
        None if best is None else float(finite.value[best]),
        Position() if best is None else finite.point(best).position,
        series.direction,
        len(series),
    )


def headline(run: Run, findings: Sequence[Finding], across: Sequence[Finding] = ()) -> str:
    """The run in one sentence: what to act on first, its supported cause, and how much more there is.

    Args:
        across: Findings across runs that speak of this run; they come first.
    """
    leading = [f for f in (*across, *findings) if f.folded_under is None and f.severity != Severity.INFO]
    if leading:
        more = f", and {len(leading) - 1} more" if len(leading) > 1 else ""
        return f"{_lead(leading[0])}{more}"
    if run.metrics.height == 0:
        return "no metric could be read, so nothing could be judged"
    return "nothing to act on was found" if not findings else "nothing to act on was found; see what is worth knowing"


def headline_of_all(runs: Sequence[RunReport], across: Sequence[Finding]) -> str:
    """All runs in one sentence: what holds across them, else what most of them have."""
    if len(runs) == 1:
        return runs[0].headline
    if across and across[0].severity != Severity.INFO:
        concerned = {name for finding in across if finding.id == across[0].id for name in finding.runs}
        if 2 * len(concerned) < len(runs):  # many runs, and a few of them agree: the others come first
            return f"{_most_common(runs)}; {across[0].id} across {len(concerned)}"
        return f"{_lead(across[0])}: {len(concerned)} of {len(runs)} runs"
    return _most_common(runs)


def _most_common(runs: Sequence[RunReport]) -> str:
    """How many runs need a look, and what most of them have."""
    acted = [{f.id for f in run.findings if f.folded_under is None and f.severity != Severity.INFO} for run in runs]
    sick = sum(map(bool, acted))
    if not sick:
        return f"nothing to act on was found in {len(runs)} runs" if runs else "no training run was found"
    counted = Counter(name for names in acted for name in sorted(names))
    words = ", ".join(f"{name} in {count}" for name, count in counted.most_common(_MOST_IDS))
    return f"{sick} of {len(runs)} runs need a look: {words}"


def _lead(finding: Finding) -> str:
    title = finding.title[0].lower() + finding.title[1:]
    cause = next((cause.title for cause in finding.causes if cause.verdict == "supported"), "")
    cause = cause.partition(" (")[0]  # examples are for the report, not for its headline
    return f"{title}; {cause[0].lower()}{cause[1:]}" if cause else title
