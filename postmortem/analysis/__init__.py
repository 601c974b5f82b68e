"""Paths to a report: read the runs, judge each, order what was found, say it in one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postmortem import ingest
from postmortem.analysis.diagnose import diagnose
from postmortem.analysis.summary import curves, headline, summarize
from postmortem.engine import CompiledRule, RunView, evaluate, load_config, load_rules
from postmortem.errors import Problem
from postmortem.model import Report, Run, RunReport
from postmortem.names import Direction

Progress = Callable[[int, int, str], None]
"""Called before each piece of work with the number of pieces done, the number of all, and its name."""


def _silent(_done: int, _all: int, _name: str) -> None:
    """Shows no progress."""


@dataclass(frozen=True)
class Options:
    """How to analyse.

    Attributes:
        rules: Folders or files of the user's own rules.
        settings: Facts the logs lack, by key.
        directions: Which way is better, for metrics whose name does not tell.
        config: A ``postmortem.toml``, or None.
    """

    rules: tuple[Path, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, Direction] = field(default_factory=dict)
    config: Path | None = None
    progress: Progress | None = None


def analyze(paths: Sequence[str | Path], options: Options | None = None) -> Report:
    """Reads the logs under the paths and says what went wrong in each run.

    Raises:
        RuleError, ConfigError: A rule or the configuration is wrong; nothing was read.
        InputError: A path does not exist.
    """
    options = options or Options()
    began = time.perf_counter()
    rules = load_rules(options.rules, load_config(options.config) if options.config else None)
    tell = options.progress or _silent
    logs = ingest.read(paths, settings=options.settings, progress=tell)
    reports: list[RunReport] = []
    problems = list(logs.problems)
    for number, run in enumerate(logs.runs):
        tell(number, len(logs.runs), f"judging {run.name}")
        report, failed = _report(run, rules, options)
        reports.append(report)
        problems += failed
    return Report(tuple(reports), (), tuple(problems), len(rules), time.perf_counter() - began)


def _report(run: Run, rules: Sequence[CompiledRule], options: Options) -> tuple[RunReport, list[Problem]]:
    view = RunView(run, options.directions)
    outcomes = evaluate(view, rules)
    findings = diagnose(outcomes, rules)
    report = RunReport(
        run,
        headline(run, findings),
        summarize(run),
        curves(view, findings),
        findings,
        tuple(outcome.rule for outcome in outcomes if outcome.clear),
        tuple(missing for outcome in outcomes for missing in outcome.not_applicable),
    )
    return report, [problem for outcome in outcomes for problem in outcome.problems]
