"""Orders findings by what a person should act on first, and folds consequences under what they follow from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from postmortem.engine import CompiledRule
from postmortem.model import Finding


def diagnose(findings: Sequence[Finding], rules: Mapping[str, CompiledRule]) -> tuple[Finding, ...]:
    """All findings of a run in order, consequences marked as folded."""
    parents = ((finding, follows(finding, findings, rules)) for finding in findings)
    return in_order(replace(finding, folded_under=parent.id) if parent else finding for finding, parent in parents)


def follows(finding: Finding, others: Sequence[Finding], rules: Mapping[str, CompiledRule]) -> Finding | None:
    """The first of the others that a finding is a consequence of."""
    causes = (other for other in others if finding.id in rules[other.id].rule.leads_to)
    return next((other for other in causes if _about_the_same(finding, other)), None)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first, earliest first among equals, consequences last."""
    return tuple(sorted(findings, key=_urgency))


def _about_the_same(a: Finding, b: Finding) -> bool:
    """Findings about two different metrics of the same kind of place do not follow from each other."""
    return a.metric is None or b.metric is None or a.metric == b.metric or a.split != b.split


def _urgency(finding: Finding) -> tuple[bool, int, float]:
    start = finding.first.epoch if finding.first.epoch is not None else finding.first.step
    return finding.folded_under is not None, -finding.severity.rank, float(start or 0)
