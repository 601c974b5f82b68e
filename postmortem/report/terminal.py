"""The report for a terminal or a pipe: an overview of the runs, then each run that has something to say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from postmortem.errors import Problem
from postmortem.model import Finding, Report, RunReport, Severity, Source
from postmortem.report.coverage import coverage, not_applicable
from postmortem.report.curves import Curves
from postmortem.report.findings import STYLE, findings
from postmortem.report.numbers import duration, place, plural
from postmortem.report.page import prose, to_text
from postmortem.report.text import clean, clean_block

_DETAILED = 40  # runs shown in full; the worst ones
_SOURCES = 6
_PROBLEMS = 20
_CLEAR, _NOT_JUDGED = ("clear", "green"), ("not judged", "dim")
_VERDICTS = (*((str(severity), STYLE[severity]) for severity in reversed(Severity)), _CLEAR, _NOT_JUDGED)
_ENDINGS = {
    "finished": "finished as planned",
    "early-stop": "stopped early",
    "traceback": "ended by an exception",
    "oom": "ran out of memory",
    "killed": "was killed",
}


def render(report: Report, width: int = 100, color: bool = False) -> str:
    """The report as text.

    ``width`` is taken between 40 and 140 columns. Text from logs is cleaned with and without ``color``.
    """
    return to_text(_parts(report), width, color)


def _parts(report: Report) -> Iterable[RenderableType]:
    if not report.runs:
        yield Text("No training run was found.", style="bold")
        yield Text("  next: see how a file would be read with `postmortem formats explain FILE`\n")
    if len(report.runs) > 1:
        yield _overview(report)
    if report.across_runs:
        yield _heading("across runs")
        yield from findings(report.across_runs)
    yield from _run(report.runs[0], report.across_runs, alone=True) if len(report.runs) == 1 else _runs(report)
    yield from _problems(report.problems)
    yield Text(
        f"{plural(len(report.runs), 'run')}, {plural(report.rules, 'rule')}, {report.seconds:.1f} s", style="dim"
    )


def _runs(report: Report) -> Iterable[RenderableType]:
    """The runs with findings, and once for all of them what could not be checked."""
    runs = report.runs
    sick = [run for run in runs if run.findings]
    worst = sorted(sick, key=lambda run: -max(finding.severity.rank for finding in run.findings))[:_DETAILED]
    for run in worst:
        yield from _run(run, report.across_runs, alone=False)
    if len(sick) > _DETAILED:
        yield Text(
            f"{len(sick) - _DETAILED} more with findings: see one with --run NAME, or all in --json\n", style="bold"
        )
    if runs:
        yield _heading("all runs")
        yield Padding(not_applicable(runs), (0, 0, 1, 0))


def _heading(title: str) -> RenderableType:
    return Rule(Text(clean(title, 100), style="bold"), align="left", style="dim")


def _overview(report: Report) -> RenderableType:
    runs = report.runs
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    found = [[*(each for each in report.across_runs if run.run.name in each.runs), *run.findings] for run in runs]
    verdicts = [_verdict(run, about) for run, about in zip(runs, found, strict=True)]
    for run, about, (word, style) in zip(runs, found, verdicts, strict=True):
        table.add_row(Text(clean(run.run.name, 100)), Text(word, style=style), _ids(run, about))
    counted = Counter(verdicts)
    counts = [Text(f"{counted[verdict]} {verdict[0]}", style=verdict[1]) for verdict in _VERDICTS if counted[verdict]]
    head = Text.assemble((f"{plural(len(runs), 'run')}: ", "bold"), Text(", ").join(counts))
    verdict = clean(report.headline)
    lead = [prose(Text(verdict[:1].upper() + verdict[1:], style="bold"))] if verdict else []
    return Padding(Group(*lead, head, Text(), table), (0, 0, 1, 0))


def _verdict(run: RunReport, found: Sequence[Finding]) -> tuple[str, str]:
    """One word for a run with these findings, and its style."""
    if found:
        worst = max((finding.severity for finding in found), key=lambda severity: severity.rank)
        return str(worst), STYLE[worst]
    return _CLEAR if run.clear else _NOT_JUDGED


def _ids(run: RunReport, found: Sequence[Finding]) -> Text:
    if not found:
        return Text(f"{len(run.clear)} clear, {len(run.not_applicable)} not applicable", style="dim")
    ordered = sorted(found, key=lambda finding: -finding.severity.rank)
    counted: dict[str, Text] = {}
    for finding in ordered:
        counted.setdefault(finding.id, Text(clean(finding.id), style=STYLE[finding.severity].removeprefix("bold ")))
    return Text(", ").join(counted.values())


def _run(report: RunReport, across: Sequence[Finding], alone: bool) -> Iterable[RenderableType]:
    yield _heading(report.run.name)
    headline = clean(report.headline)
    style = "bold" if report.findings or not report.clear else "bold green"
    yield prose(Text(headline[:1].upper() + headline[1:], style=style))
    yield _extent(report.summary)
    yield _sources(report)
    yield Text()
    if report.curves:
        yield Padding(Curves(report.curves), (0, 0, 1, 2))
    yield from findings(report.findings, across)
    yield Padding(coverage(report, with_not_applicable=alone), (0, 0, 1, 0))


def _sources(report: RunReport) -> RenderableType:
    sources = report.run.sources
    texts = [_source(source) for source in sources[:_SOURCES]]
    if len(sources) > _SOURCES:
        texts.append(f"and {len(sources) - _SOURCES} more files")
    return Text("\n".join(texts), style="dim")


def _extent(summary: Mapping[str, object]) -> RenderableType:
    """How long the run was and how it ended, as far as its summary says."""
    epoch, step, seconds = (_number(summary.get(key)) for key in ("last_epoch", "last_step", "seconds"))
    attempts, ending = _number(summary.get("attempts")), summary.get("how_it_ended")
    reached = place(None if step is None else int(step), epoch)
    parts = [
        f"reached {reached}" if reached else "",
        duration(seconds) if seconds else "",
        f"{attempts:.0f} attempts" if attempts and attempts > 1 else "",
        _ENDINGS.get(str(ending), "no word of an end"),
    ]
    return Text(", ".join(filter(None, parts)), style="dim")


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _source(source: Source) -> str:
    copies = f", also as {', '.join(clean(copy, 1000) for copy in source.copies)}" if source.copies else ""
    return f"{clean(source.path, 1000)} ({clean(source.format)}, {plural(source.lines, 'line')}{copies})"


def _problems(problems: Sequence[Problem]) -> Iterable[RenderableType]:
    if not problems:
        return
    yield _heading("problems")
    for problem in problems[:_PROBLEMS]:
        yield Text(clean_block(problem.render()))
    if len(problems) > _PROBLEMS:
        yield Text(f"and {len(problems) - _PROBLEMS} more in --json", style="dim")
    yield Text()
