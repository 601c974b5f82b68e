"""Orders findings by what a person should act on first, and folds consequences under what they follow from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from postmortem.engine import CompiledRule
from postmortem.model import Finding

# A metric or a data set that is not what it seems voids what is read from it, so it is looked at first.
_FAMILIES = ("metrics", "data", "optimization", "generalization", "infrastructure", "process")


def diagnose(findings: Sequence[Finding], rules: Mapping[str, CompiledRule]) -> tuple[Finding, ...]:
    """All findings of a run in order, consequences marked as folded."""
    parents = ((finding, follows(finding, findings, rules)) for finding in findings)
    folded = (replace(finding, folded_under=parent.id) if parent else finding for finding, parent in parents)
    return in_order(folded, rules)


def follows(finding: Finding, others: Sequence[Finding], rules: Mapping[str, CompiledRule]) -> Finding | None:
    """The first of the others that a finding is a consequence of."""
    causes = (other for other in others if finding.id in rules[other.id].rule.leads_to)
    return next((other for other in causes if _about_the_same(finding, other)), None)


def in_order(findings: Iterable[Finding], rules: Mapping[str, CompiledRule]) -> tuple[Finding, ...]:
    """Worst first; among equals what the other numbers rest on, then the earliest; consequences last."""
    return tuple(sorted(findings, key=lambda finding: _urgency(finding, rules[finding.id].rule.family)))


def _about_the_same(a: Finding, b: Finding) -> bool:
    """Findings about two different metrics of the same kind of place do not follow from each other."""
    return a.metric is None or b.metric is None or a.metric == b.metric or a.split != b.split


def _urgency(finding: Finding, family: str) -> tuple[bool, int, int, float]:
    start = finding.first.epoch if finding.first.epoch is not None else finding.first.step
    rank = _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)
    return finding.folded_under is not None, -finding.severity.rank, rank, float(start or 0)
