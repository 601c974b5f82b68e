"""The reference trainer: reruns a recipe, re-creates a failure on purpose, and shows that the fix removes it.

For one's own training loop: ``ShardPlan`` says which samples make which step, ``ExactlyOnceSampler`` feeds a
``DataLoader``, ``audit`` counts what a loader really yields. torch loads only where something is computed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmortem.trainer.audit import audit
    from postmortem.trainer.loop import train
    from postmortem.trainer.plan import ExactlyOnceSampler, ShardPlan, none_if_empty
    from postmortem.trainer.recipe import Recipe
    from postmortem.trainer.task import Task

_HOME_OF = {
    "ExactlyOnceSampler": "plan",
    "Recipe": "recipe",
    "ShardPlan": "plan",
    "Task": "task",
    "audit": "audit",
    "none_if_empty": "plan",
    "train": "loop",
}

__all__ = ["ExactlyOnceSampler", "Recipe", "ShardPlan", "Task", "audit", "none_if_empty", "train"]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'postmortem.trainer' has no attribute {name!r}")
    return getattr(import_module(f"postmortem.trainer.{_HOME_OF[name]}"), name)
