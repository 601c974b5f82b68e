"""What was checked, what could not be and why, and how much of the log was read: silence never means fine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from postmortem.model import NotApplicable, Run, RunReport
from postmortem.report.numbers import plural, share
from postmortem.report.page import add, labelled, prose
from postmortem.report.text import clean
from postmortem.report.unread import commonest

_WELL_READ = 0.95  # below this share the commonest unread lines are shown
_SHAPES = 3
_REASONS = 8  # JSON has them all


def coverage(report: RunReport, with_not_applicable: bool) -> RenderableType:
    """The closing block of one run: what could not be checked (if wanted), what is clear, what was read."""
    table = labelled()
    clear = Text(", ".join(map(clean, report.clear)) or "none")
    add(table, f"clear ({len(report.clear)})", [clear])
    add(table, "read", list(_read(report.run)))
    return Group(*([not_applicable([report])] if with_not_applicable else []), prose(table))


def not_applicable(reports: Sequence[RunReport]) -> RenderableType:
    """The checks that could not be made, grouped by reason, those that stop most first."""
    rules = {outcome.id for report in reports for outcome in report.not_applicable}
    reasons = _reasons(reports)
    texts = [reason.text(len(reports)) for reason in reasons[:_REASONS]]
    if len(reasons) > _REASONS:
        texts.append(Text(f"and {plural(len(reasons) - _REASONS, 'more reason')} in --json", style="dim"))
    head = Text.assemble(("not applicable ", "dim"), (f"({len(rules)})" if rules else "(0): none", "dim"))
    return Group(head, *(Padding(prose(text), (0, 0, 0, 2)) for text in texts))


@dataclass
class _Reason:
    """Why some checks could not be made, in how many runs, and what to log."""

    outcome: NotApplicable
    rules: dict[str, None] = field(default_factory=dict)
    runs: set[int] = field(default_factory=set)

    def text(self, of_runs: int) -> Text:
        reason, log_this = clean(_bare(self.outcome)), clean(self.outcome.log_this or "")
        part = f"{len(self.runs)} of {of_runs}" if len(self.runs) < of_runs else "all"
        runs = f" ({part} runs)" if of_runs > 1 else ""
        remedy = f" → log {log_this}" if log_this and log_this not in reason else ""
        return Text.assemble(
            (", ".join(map(clean, self.rules)), "bold"), f": {reason}", (runs, "dim"), (remedy, "green")
        )


def _reasons(reports: Sequence[RunReport]) -> list[_Reason]:
    """The distinct reasons, those that stop most checks first."""
    reasons: dict[tuple[str, str | None], _Reason] = {}
    for at, report in enumerate(reports):
        for outcome in report.not_applicable:
            reason = reasons.setdefault((_bare(outcome), outcome.log_this), _Reason(outcome))
            reason.rules[outcome.id] = None
            reason.runs.add(at)
    return sorted(reasons.values(), key=lambda reason: -len(reason.rules) * len(reason.runs))


def _bare(outcome: NotApplicable) -> str:
    """The reason; without the name of the check when all it says is what is not logged."""
    lack = f"{outcome.log_this} is not logged"
    return lack if outcome.reason.endswith(lack) else outcome.reason


def _read(run: Run) -> Iterable[Text]:
    yield Text(f"{share(run.understood, run.lines)} of {plural(run.lines, 'line')}")
    if run.understood < _WELL_READ * run.lines:
        for shape in commonest(run, _SHAPES):
            where = f"{PurePath(clean(shape.source, 200)).name}:{shape.line}"
            text = f"not read: {shape.lines:,} × {clean(shape.shape, 48)}  "
            yield Text.assemble((text, "dim"), (where, "blue"))
