"""Orders findings by what a person should act on first, and folds consequences under what they follow from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from postmortem.engine import CompiledRule
from postmortem.model import Finding, Outcome


def diagnose(outcomes: Sequence[Outcome], rules: Sequence[CompiledRule]) -> tuple[Finding, ...]:
    """All findings of a run: worst first, earliest first among equals, consequences marked as folded."""
    leads = {rule.id: frozenset(rule.rule.leads_to) for rule in rules}
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    folded = [_folded(finding, findings, leads) for finding in findings]
    return tuple(sorted(folded, key=_urgency))


def _folded(finding: Finding, others: Sequence[Finding], leads: dict[str, frozenset[str]]) -> Finding:
    parents = (other for other in others if finding.id in leads[other.id] and _about_the_same(finding, other))
    parent = next(parents, None)
    return replace(finding, folded_under=parent.id) if parent else finding


def _about_the_same(a: Finding, b: Finding) -> bool:
    """Findings about two different metrics of the same kind of place do not follow from each other."""
    return a.metric is None or b.metric is None or a.metric == b.metric or a.split != b.split


def _urgency(finding: Finding) -> tuple[bool, int, float]:
    start = finding.first.epoch if finding.first.epoch is not None else finding.first.step
    return finding.folded_under is not None, -finding.severity.rank, float(start or 0)
