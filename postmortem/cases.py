"""Tests of rules, written beside the rule: a series in one line, and what the rule must say of it.

``a+bxn`` is a followed by n steps of b (``3-0.01x99`` is a hundred falling points), ``axn`` is a repeated n times more,
``_`` is a missing point, ``nan`` and ``inf`` are themselves. Metrics share one step axis unless ``every`` says
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from postmortem import ingest, names, schema
from postmortem.engine import CompiledRule, RunView
from postmortem.engine.judge import judge
from postmortem.engine.library import TEST_SUFFIX, read_rule, rule_files
from postmortem.errors import PostmortemError, Problem, RuleError
from postmortem.model import Finding, Outcome, Run
from postmortem.yamlfile import Document, load, validate

_START = datetime(2026, 1, 1, tzinfo=UTC)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Given(_Strict):
    """A metric of a case: its values, and how they lie on the step axis.

    Attributes:
        values: In the notation above.
        start, every: Step of the first value and distance of the next.
        minutes: Minutes each value took; in the same notation.
    """

    values: str
    start: int = 1
    every: int = 1
    minutes: str | None = None


class Expected(_Strict):
    """One finding a case expects; keys that are not given are not looked at."""

    metric: str | None = None
    first: int | None = Field(None, alias="from")
    last: int | None = Field(None, alias="to")
    says: str | None = None
    severity: str | None = None


def _plain(value: Any) -> Any:
    return {"values": str(value)} if isinstance(value, str | int | float) else value


class Case(_Strict):
    """One test of a rule.

    Attributes:
        given: Metrics by ``split.metric``, on a step axis; epochs equal steps.
        log: Instead of ``given``, a log file or folder, relative to the test file.
        facts: Facts of the run. events: Kinds of events, each after all points, or ``kind @ step``.
        axis: What the axis counts: ``epoch`` (also the step), ``step`` (no epochs), or ``none``.
        fires, silent, not_applicable: What the rule must say; exactly one of them.
    """

    name: str
    given: dict[str, Annotated[Given, BeforeValidator(_plain)]] = {}
    log: str | None = None
    facts: dict[str, str | int | float] = {}
    events: dict[str, str] = {}
    axis: Literal["epoch", "step", "none"] = "epoch"
    fires: tuple[Expected, ...] | None = None
    silent: bool = False
    not_applicable: str | None = None


class CaseFile(_Strict):
    """A ``<id>.test.yaml`` file."""

    rule: str
    cases: Annotated[tuple[Case, ...], Field(min_length=1)]


@dataclass(frozen=True)
class CaseResult:
    """Whether one case holds, and if not, what came instead."""

    rule: str
    name: str
    passed: bool
    message: str
    path: Path
    line: int


def run_cases(paths: Sequence[Path]) -> list[CaseResult]:
    """Runs the tests beside every rule under the paths; a rule without a test file gives one failed result.

    Raises:
        RuleError: A rule or test file cannot be loaded.
    """
    results: list[CaseResult] = []
    for path in rule_files(paths):
        tests = path.with_name(path.stem + TEST_SUFFIX)
        if tests.exists():
            results += _run_file(read_rule(path), tests)
        else:
            results.append(CaseResult(path.stem, "has tests", False, f"there is no {tests.name} beside it", path, 1))
    return results


def _run_file(rule: CompiledRule, path: Path) -> Iterator[CaseResult]:
    document = load(path, error=RuleError)
    tests = validate(CaseFile, document, RuleError)
    if tests.rule != rule.id:
        raise RuleError(document.problem(("rule",), f"these are tests of {tests.rule!r}, beside the rule {rule.id!r}"))
    for i, case in enumerate(tests.cases):
        line = document.where(("cases", i)).line
        message = _failure(rule, case, document, i)
        yield CaseResult(rule.id, case.name, not message, message, path, line)


def _failure(rule: CompiledRule, case: Case, document: Document, index: int) -> str:
    """Why a case does not hold, or an empty text."""
    if sum((case.fires is not None, case.silent, case.not_applicable is not None)) != 1:
        raise RuleError(document.problem(("cases", index), "a case says exactly one of fires, silent, not_applicable"))
    try:
        run = _logged(case, Path(document.source).parent) if case.log else synthetic(case)
    except (PostmortemError, ValueError) as error:
        return str(error)
    outcome = judge(rule, RunView(run, {}))
    if outcome.problems:
        return outcome.problems[0].render()
    if case.fires is not None:
        return _differs(case.fires, outcome)
    if case.silent:
        return "" if outcome.clear else f"expected silence, got {_said(outcome)}"
    reasons = " | ".join(each.reason for each in outcome.not_applicable)
    if not outcome.findings and not outcome.clear and str(case.not_applicable) in reasons:
        return ""
    return f"expected not applicable ({case.not_applicable}), got {_said(outcome)}"


def _logged(case: Case, folder: Path) -> Run:
    runs = ingest.read([folder / str(case.log)]).runs
    if len(runs) != 1:
        raise RuleError(Problem(f"{case.log} holds {len(runs)} runs, a case needs one"))
    return runs[0]


def _said(outcome: Outcome) -> str:
    if outcome.findings:
        return "findings: " + " / ".join(finding.message for finding in outcome.findings)
    return "clear" if outcome.clear else "not applicable: " + " | ".join(n.reason for n in outcome.not_applicable)


def _differs(expected: Sequence[Expected], outcome: Outcome) -> str:
    if len(expected) != len(outcome.findings):
        return f"expected {len(expected)} findings, got {_said(outcome)}"
    for want, got in zip(expected, outcome.findings, strict=True):
        compared = [(what, a, b) for what, a, b in _compared(want, got) if a is not None and a != b]
        wrong = [f"{what}: expected {a!r}, got {b!r}" for what, a, b in compared]
        if want.says is not None and want.says not in got.message:
            wrong.append(f"expected the message to say {want.says!r}, it says {got.message!r}")
        if wrong:
            return "; ".join(wrong)
    return ""


def _compared(want: Expected, got: Finding) -> list[tuple[str, object, object]]:
    name = f"{got.split}.{got.metric}" if got.split else got.metric
    return [
        ("metric", want.metric, name),
        ("from", want.first, got.first.step),
        ("to", want.last, got.last.step),
        ("severity", want.severity, got.severity.value),
    ]


_TERM = re.compile(
    r"^(?P<start>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
    r"(?:(?P<by>[-+](?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))?(?:x(?P<times>\d+))?$"
)


def expand(notation: str) -> list[float | None]:
    """The values of a series in the notation of the module's docstring; None is a missing point.

    Raises:
        ValueError: A term is not understood; names it.
    """
    values: list[float | None] = []
    for term in notation.split():
        base, _, times = term.partition("x")
        if base in ("_", "nan", "inf", "-inf"):
            values += [None if base == "_" else float(base)] * (int(times) if times else 1)
            continue
        found = _TERM.match(term)
        if not found:
            raise ValueError(f"{term!r} is no term; write 3, 3x10, 3-0.1x10, _, _x5, nan or inf")
        start, by, count = float(found["start"]), float(found["by"] or 0), int(found["times"] or 0)
        values += [start + by * i for i in range(count + 1)]
    return values


def synthetic(case: Case) -> Run:
    """The run a case describes; every line of it lies in a file called ``case``."""
    rows = [row for name, given in case.given.items() for row in _rows(case, name, given)]
    rows.sort(key=lambda row: row["line"])
    metrics = pl.DataFrame(rows, schema=schema.METRICS)
    last = max((row["line"] for row in rows), default=0)
    facts = [_fact(key, value) for key, value in case.facts.items()]
    events = [_event(kind, text, last) for kind, text in case.events.items()]
    return Run(
        "case",
        (),
        metrics,
        pl.DataFrame(events, schema=schema.EVENTS),
        pl.DataFrame(facts, schema=schema.FACTS),
        schema.empty("unread"),
    )


def _rows(case: Case, name: str, given: Given) -> Iterator[dict[str, Any]]:
    head, _, rest = name.partition(".")
    split, metric = (head, rest) if head in ("train", "val", "test", "eval_train") else names.parse(name)
    minutes = expand(given.minutes) if given.minutes else []
    clock = _START
    for i, value in enumerate(expand(given.values)):
        step = given.start + i * given.every
        clock += timedelta(minutes=float((minutes[i] if i < len(minutes) else None) or 0))
        if value is None:
            continue
        yield {
            "run": "case",
            "attempt": 0,
            "step": None if case.axis == "none" else step,
            "epoch": float(step) if case.axis == "epoch" else None,
            "split": split,
            "metric": names.parse(metric).metric,
            "label": name,
            "value": value,
            "time": clock if minutes else None,
            "source": "case",
            "line": step,
        }


def _fact(key: str, value: str | float) -> dict[str, Any]:
    number = None if isinstance(value, str) else float(value)
    return {"run": "case", "key": key, "value": str(value), "number": number, "source": "case", "line": 0}


def _event(kind: str, text: str, last: int) -> dict[str, Any]:
    name, _, step = kind.partition("@")
    line = int(step) if step else last + 1
    return {
        "run": "case",
        "attempt": 0,
        "step": None,
        "epoch": None,
        "time": None,
        "kind": name.strip(),
        "text": text,
        "source": "case",
        "line": line,
    }


__all__ = ["Case", "CaseFile", "CaseResult", "expand", "run_cases", "synthetic"]
