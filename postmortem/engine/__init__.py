"""Rules to outcomes: a small language over series of a run, and the YAML envelope around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postmortem.engine.compile import CompiledRule
from postmortem.engine.judge import judge
from postmortem.engine.library import RuleConfig, load_config, load_rules
from postmortem.engine.view import RunView
from postmortem.model import Outcome, Run
from postmortem.names import Direction

__all__ = ["CompiledRule", "RuleConfig", "RunView", "evaluate", "load_config", "load_rules"]


def evaluate(
    run: Run, rules: Sequence[CompiledRule], directions: Mapping[str, Direction] | None = None
) -> list[Outcome]:
    """What each rule says of a run.

    Args:
        directions: Which way is better, for metrics whose name does not tell; by metric or ``split.metric``.
    """
    view = RunView(run, directions or {})
    return [judge(rule, view) for rule in rules]
