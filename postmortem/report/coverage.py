"""What was checked, what could not be and why, and how much of the log was read: silence never means fine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from postmortem.model import NotApplicable, Run, RunReport
from postmortem.report.numbers import plural, share
from postmortem.report.page import add, labelled, prose
from postmortem.report.text import clean
from postmortem.report.unread import commonest

_WELL_READ = 0.95  # below this share the commonest unread lines are shown
_SHAPES = 3
_REASONS = 10  # JSON has them all


def coverage(report: RunReport, with_not_applicable: bool) -> RenderableType:
    """The closing block of one run: what could not be checked (if wanted), what is clear, what was read."""
    table = labelled()
    if with_not_applicable:
        _add_reasons(table, [report])
    clear = Text(", ".join(map(clean, report.clear)) or "none")
    add(table, f"clear ({len(report.clear)})", [clear])
    add(table, "read", list(_read(report.run)))
    return prose(table)


def not_applicable(reports: Sequence[RunReport]) -> RenderableType:
    """The checks that could not be made in several runs, grouped by reason."""
    table = labelled()
    _add_reasons(table, reports)
    return prose(table)


def _add_reasons(table: Table, reports: Sequence[RunReport]) -> None:
    outcomes = [outcome for report in reports for outcome in report.not_applicable]
    groups = _by_reason(outcomes)
    ids = {outcome.id for outcome in outcomes}
    texts = [_reason(reason, rules) for reason, rules in groups[:_REASONS]]
    if len(groups) > _REASONS:
        texts.append(Text(f"and {len(groups) - _REASONS} more reasons in --json", style="dim"))
    add(table, f"not applicable ({len(ids)})", texts)


def _by_reason(outcomes: Iterable[NotApplicable]) -> list[tuple[NotApplicable, list[str]]]:
    """One outcome a distinct reason with the rules it stops, the reason that stops most first."""
    groups: dict[tuple[str, str | None], tuple[NotApplicable, dict[str, None]]] = {}
    for outcome in outcomes:
        _, rules = groups.setdefault((outcome.reason, outcome.log_this), (outcome, {}))
        rules[outcome.id] = None
    return sorted(
        ((outcome, list(rules)) for outcome, rules in groups.values()), key=lambda group: -len(group[1])
    )


def _reason(outcome: NotApplicable, rules: Sequence[str]) -> Text:
    log_this = f" → {clean(outcome.log_this)}" if outcome.log_this else ""
    return Text.assemble(
        (", ".join(map(clean, rules)), "bold"), f": {clean(outcome.reason)}", (log_this, "green")
    )


def _read(run: Run) -> Iterable[Text]:
    unread = commonest(run, _SHAPES)
    yield Text(f"{share(run.understood, run.lines)} of {plural(run.lines, 'line')}")
    if run.understood < _WELL_READ * run.lines:
        for shape in unread:
            text = f"not read: {plural(shape.lines, 'line')} like {clean(shape.shape, 60)}  "
            yield Text.assemble((text, "dim"), (f"{clean(shape.source, 200)}:{shape.line}", "blue"))
