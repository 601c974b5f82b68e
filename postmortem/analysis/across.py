"""Findings about several runs: what a rule says in the same words of each of them is said once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from postmortem.analysis.diagnose import follows, in_order
from postmortem.engine import CompiledRule
from postmortem.model import Finding, Severity


def across_runs(found: Iterable[tuple[str, Finding]], rules: Mapping[str, CompiledRule]) -> tuple[Finding, ...]:
    """One finding for all that agree in rule and message, worst first.

    Args:
        found: Findings of rules across runs, each with the name of the run it was made in.
    """
    groups: dict[tuple[str, str], list[tuple[str, Finding]]] = {}
    for run, finding in found:
        groups.setdefault((finding.id, finding.message), []).append((run, finding))
    return in_order((_joined(group) for group in groups.values()), rules)


def _joined(group: Sequence[tuple[str, Finding]]) -> Finding:
    """One finding with the evidence of all and the causes of the run in which fewest are open."""
    evidence = tuple(dict.fromkeys(piece for _, finding in group for piece in finding.evidence))
    causes = min((finding.causes for _, finding in group), key=lambda rivals: [c.verdict for c in rivals].count("open"))
    return replace(group[0][1], evidence=evidence, causes=causes, runs=tuple(dict.fromkeys(run for run, _ in group)))


def folded_across(
    run: str, findings: Sequence[Finding], across: Sequence[Finding], rules: Mapping[str, CompiledRule]
) -> tuple[Finding, ...]:
    """The findings of a run, those that follow from a finding across runs folded under it.

    That is what is said of the same metric; and what is only worth knowing, whose advice would be taken too early.
    """
    here = [finding for finding in across if run in finding.runs]
    folded = []
    for finding in findings:
        parents = [each for each in here if each.metric == finding.metric or finding.severity == Severity.INFO]
        parent = follows(finding, parents, rules)
        folded.append(replace(finding, folded_under=parent.id) if parent else finding)
    return in_order(folded, rules)
