"""Paths to a report: read the runs, judge each, order what was found, say it in one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postmortem import ingest
from postmortem.analysis.across import across_runs, folded_across
from postmortem.analysis.diagnose import diagnose
from postmortem.analysis.summary import curves, headline, headline_of_all, summarize
from postmortem.engine import CompiledRule, RunView, evaluate, load_config, load_rules
from postmortem.ingest.packs.pack import Packs
from postmortem.model import Finding, Outcome, Report, RunReport
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
        packs: Log formats to try before the generic readers; the shipped ones by default.
    """

    rules: tuple[Path, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    directions: Mapping[str, Direction] = field(default_factory=dict)
    config: Path | None = None
    progress: Progress | None = None
    packs: Packs | None = None


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
    logs = ingest.read(paths, settings=options.settings, packs=options.packs, progress=tell)
    views: list[RunView] = []
    views += [RunView(run, options.directions, views) for run in logs.runs]
    judged: list[tuple[RunView, list[Outcome]]] = []
    for number, view in enumerate(views):
        tell(number, len(views), f"judging {view.run.name}")
        judged.append((view, evaluate(view, rules)))
    runs, across = _diagnosed(judged, {rule.id: rule for rule in rules})
    problems = (*logs.problems, *(p for _, outcomes in judged for outcome in outcomes for p in outcome.problems))
    seconds = time.perf_counter() - began
    return Report(runs, across, problems, len(rules), headline_of_all(runs, across), seconds)


def _diagnosed(
    judged: Sequence[tuple[RunView, list[Outcome]]], rules: Mapping[str, CompiledRule]
) -> tuple[tuple[RunReport, ...], tuple[Finding, ...]]:
    """The report on each run, and what was found across runs."""
    found = [(view, [finding for outcome in told for finding in outcome.findings]) for view, told in judged]
    spanning = ((view.run.name, f) for view, each in found for f in each if rules[f.id].rule.across)
    across = across_runs(spanning, rules)
    reports = []
    for (view, outcomes), (_, findings) in zip(judged, found, strict=True):
        own = diagnose([finding for finding in findings if not rules[finding.id].rule.across], rules)
        reports.append(_report(view, outcomes, folded_across(view.run.name, own, across, rules), across))
    return tuple(reports), across


def _report(
    view: RunView, outcomes: Sequence[Outcome], findings: tuple[Finding, ...], across: Sequence[Finding]
) -> RunReport:
    return RunReport(
        view.run,
        headline(view.run, findings, [finding for finding in across if view.run.name in finding.runs]),
        summarize(view.run),
        curves(view, findings),
        findings,
        tuple(outcome.rule for outcome in outcomes if outcome.clear),
        tuple(missing for outcome in outcomes for missing in outcome.not_applicable),
    )
