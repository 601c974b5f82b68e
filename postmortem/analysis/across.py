"""Findings about several runs: what a rule says in the same words of each of them is said once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from postmortem.analysis.diagnose import follows, in_order
from postmortem.engine import CompiledRule
from postmortem.model import Finding


def across_runs(found: Iterable[tuple[str, Finding]]) -> tuple[Finding, ...]:
    """One finding for all that agree in rule and message, worst first.

    Args:
        found: Findings of rules across runs, each with the name of the run it was made in.
    """
    groups: dict[tuple[str, str], list[tuple[str, Finding]]] = {}
    for run, finding in found:
        groups.setdefault((finding.id, finding.message), []).append((run, finding))
    return in_order(_joined(group) for group in groups.values())


def _joined(group: Sequence[tuple[str, Finding]]) -> Finding:
    """One finding with the evidence of all and the causes of the run in which fewest are open."""
    evidence = tuple(dict.fromkeys(piece for _, finding in group for piece in finding.evidence))
    causes = min((finding.causes for _, finding in group), key=lambda rivals: [c.verdict for c in rivals].count("open"))
    return replace(group[0][1], evidence=evidence, causes=causes, runs=tuple(dict.fromkeys(run for run, _ in group)))


def folded_across(
    run: str, findings: Sequence[Finding], across: Sequence[Finding], rules: Mapping[str, CompiledRule]
) -> tuple[Finding, ...]:
    """The findings of a run, those that follow from a finding across runs folded under it."""
    parents = [finding for finding in across if run in finding.runs]
    folded = (replace(f, folded_under=parent.id) if (parent := follows(f, parents, rules)) else f for f in findings)
    return in_order(folded)
