"""Reports made by hand, for tests of how they are shown."""

from collections.abc import Sequence

import polars as pl

from postmortem.model import (
    Curve,
    Evidence,
    Finding,
    NotApplicable,
    Position,
    Report,
    Run,
    RunReport,
    Severity,
    Source,
)
from postmortem.schema import UNREAD, empty

LOG = "logs/seed42/train.log"


def run(name: str = "seed42", lines: int = 100, unread: Sequence[tuple[str, int]] = ()) -> Run:
    """A run of one file; ``unread`` lists shapes with the number of their lines."""
    spans = [
        {"run": name, "source": LOG, "first": at, "last": at, "lines": count, "shape": shape}
        for at, (shape, count) in enumerate(unread, 1)
    ]
    return Run(
        name,
        (Source(LOG, "key-value", lines, copies=("logs/copy.log",)),),
        empty("metrics"),
        empty("events"),
        empty("facts"),
        pl.DataFrame(spans, schema=dict(UNREAD)),
        lines,
        lines - sum(count for _, count in unread),
    )


def finding(rule: str = "overfit", severity: Severity = Severity.ERROR, **more: object) -> Finding:
    """A finding with one line of evidence and a remedy."""
    known: dict[str, object] = {
        "title": f"The title of {rule}",
        "message": f"the message of {rule}",
        "split": "val",
        "metric": "auroc",
        "evidence": (Evidence("best(val.auroc)", 0.5829, 514, 1.0, LOG, 57),),
        "do": ("Stop earlier.",),
        "because": "0.5513 < 0.5829 - 3 * 0.0035",
        "wrong_when": "the validation set changed",
    }
    return Finding(rule, severity, **{**known, **more})  # type: ignore[arg-type]


def curve(name: str = "val.auroc", values: Sequence[float] = (0.5829, 0.57, 0.5513), **more: object) -> Curve:
    """A curve whose best value is its first."""
    known: dict[str, object] = {
        "first": values[0],
        "last": values[-1],
        "best": values[0],
        "best_at": Position(epoch=1.0),
        "better": "max",
        "points": len(values),
    }
    return Curve(name, tuple(values), **{**known, **more})  # type: ignore[arg-type]


NO_GRADIENTS = NotApplicable("exploding-gradient", "no gradient norm is logged", "the global gradient norm")


def judged(a_run: Run | None = None, findings: Sequence[Finding] = (), **more: object) -> RunReport:
    """A judged run with one curve, one clear rule and one that is not applicable."""
    known: dict[str, object] = {
        "headline": "The headline.",
        "summary": {"epochs": 5.0},
        "curves": (curve(),),
        "clear": ("nan-loss",),
        "not_applicable": (NO_GRADIENTS,),
    }
    return RunReport(a_run or run(), findings=tuple(findings), **{**known, **more})  # type: ignore[arg-type]


def report(*runs: RunReport, **more: object) -> Report:
    """A report of the runs given, or of one with an overfit finding."""
    return Report(runs or (judged(findings=[finding()]),), **{"rules": 16, **more})  # type: ignore[arg-type]
