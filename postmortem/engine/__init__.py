"""Rules to outcomes: a small language over series of a run, and the YAML envelope around it."""

from __future__ import annotations

from collections.abc import Sequence

from postmortem.engine.compile import CompiledRule
from postmortem.engine.judge import judge
from postmortem.engine.library import RuleConfig, load_config, load_rules
from postmortem.engine.view import RunView
from postmortem.model import Outcome

__all__ = ["CompiledRule", "RuleConfig", "RunView", "evaluate", "load_config", "load_rules"]


def evaluate(view: RunView, rules: Sequence[CompiledRule]) -> list[Outcome]:
    """What each rule says of a run."""
    return [judge(rule, view) for rule in rules]
