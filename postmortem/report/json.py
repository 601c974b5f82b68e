"""The JSON contract ``postmortem/1`` that other tools build on; described in ``docs/json.md``.

Keys never vanish: what is absent is null. JSON has no NaN, so NaN and infinities are the strings ``"NaN"``,
``"Infinity"`` and ``"-Infinity"``. The output is ASCII and therefore survives any pipe.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from numbers import Integral, Real

from postmortem.model import Cause, Clue, Evidence, Finding, NotApplicable, Position, Report, Run, RunReport, Source
from postmortem.report.unread import commonest

SCHEMA = "postmortem/1"
_SHAPES = 10
_CLUES = ("kept", "broken", "unobservable", "excluded_by")


def to_json(report: Report) -> str:
    """The report as strict JSON text with a final newline."""
    return json.dumps(plain(to_dict(report)), indent=2, allow_nan=False) + "\n"


def to_dict(report: Report) -> dict[str, object]:
    """The report in the shape of the contract; numbers that are not finite are still floats."""
    return {
        "schema": SCHEMA,
        "headline": report.headline or None,
        "runs": [_run(run) for run in report.runs],
        "across_runs": [{**_finding(finding), "runs": finding.runs} for finding in report.across_runs],
        "problems": [
            {"source": p.source, "line": p.line, "column": p.column, "message": p.message, "hint": p.hint}
            for p in report.problems
        ],
        "rules": report.rules,
        "seconds": report.seconds,
    }


def _run(report: RunReport) -> dict[str, object]:
    return {
        "run": report.run.name,
        "headline": report.headline,
        "sources": [_source(source) for source in report.run.sources],
        "summary": dict(report.summary),
        "findings": [_finding(finding) for finding in report.findings],
        "clear": report.clear,
        "not_applicable": [_not_applicable(outcome) for outcome in report.not_applicable],
        "read": _read(report.run),
    }


def _source(source: Source) -> dict[str, object]:
    return {"path": source.path, "format": source.format, "lines": source.lines, "copies": source.copies}


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "severity": finding.severity,
        "title": finding.title,
        "message": finding.message,
        "split": finding.split,
        "metric": finding.metric,
        "first": _position(finding.first),
        "last": _position(finding.last),
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "because": finding.because or None,
        "do": finding.do,
        "wrong_when": finding.wrong_when or None,
        "causes": [_cause(cause) for cause in finding.causes],
        "folded_under": finding.folded_under,
    }


def _position(at: Position) -> dict[str, object]:
    return {"step": at.step, "epoch": at.epoch, "time": at.time}


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "name": evidence.name,
        "value": evidence.value,
        "step": evidence.step,
        "epoch": evidence.epoch,
        "source": evidence.source,
        "line": evidence.line,
    }


def _cause(cause: Cause) -> dict[str, object]:
    return {
        "id": cause.id,
        "title": cause.title,
        "verdict": cause.verdict,
        "because": cause.because,
        **{key: [_clue(clue) for clue in getattr(cause, key)] for key in _CLUES},
        "settle": cause.settle or None,
        "fix": cause.fix or None,
    }


def _clue(clue: Clue) -> dict[str, object]:
    return {
        "says": clue.says,
        "evidence": [_evidence(evidence) for evidence in clue.evidence],
        "missing": clue.missing or None,
        "log_this": clue.log_this,
    }


def _not_applicable(outcome: NotApplicable) -> dict[str, object]:
    return {"id": outcome.id, "reason": outcome.reason, "log_this": outcome.log_this}


def _read(run: Run) -> dict[str, object]:
    shapes = [shape._asdict() for shape in commonest(run, _SHAPES)]
    return {"lines": run.lines, "understood": run.understood, "unread_shapes": shapes}


def plain(value: object) -> object:
    """The value in types that JSON has, whatever it holds; numbers that are not finite become their names."""
    if isinstance(value, Enum):
        return plain(value.value)
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return _real(float(value))
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value)


def _real(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
