"""Failures made on purpose, each with what it must lead to, and its remedy: a cause is tested, not told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postmortem import yamlfile
from postmortem.errors import ConfigError, Problem
from postmortem.trainer.recipe import Recipe

if TYPE_CHECKING:
    from postmortem.trainer.loop import Result

Change = Callable[[Recipe], Mapping[str, object]]


@dataclass(frozen=True)
class Fault:
    """One failure.

    Attributes:
        says: What is done.
        breaks: Fields of the recipe that do it.
        mends: Fields of the broken recipe that undo it.
        findings: Findings of which at least one must appear in the broken run, and none in the mended one.
        shown: For a failure that no finding names: whether a run has it.
        tasks: Tasks it can be shown on; any when empty.
        seen_by: What shows it, when no finding does.
    """

    says: str
    breaks: Change
    mends: Change
    findings: tuple[str, ...] = ()
    shown: Callable[[Recipe, Result], bool] | None = None
    tasks: tuple[str, ...] = ()
    seen_by: str = ""


def _set(**fields: object) -> Change:
    return lambda _: fields


def _repeats(_: Recipe, result: Result) -> bool:
    return any(row["samples"] > row["unique_samples"] for row in result.rows)


def _same_order(recipe: Recipe, _: Result) -> bool:
    plan = recipe.exact_plan(recipe.n_train or 0)
    return bool((plan.order(0) == plan.order(1)).all())


def _stuck(_: Recipe, result: Result) -> bool:
    return result.stopped == "stuck"


FAULTS: Mapping[str, Fault] = {
    "rank-only": Fault(
        "Loader workers do not ask which worker they are: each yields the whole share of its process.",
        lambda recipe: {"sharding": "rank-only", "num_workers": max(8, recipe.num_workers)},
        _set(sharding="exact", num_workers=0),
        findings=("sample-duplication",),
    ),
    "duplicated-evaluation": Fault(
        "Two loader workers each read the whole evaluation set.",
        _set(eval_readers=2),
        _set(eval_readers=1),
        findings=("sample-duplication",),
        tasks=("arcs",),
    ),
    "no-early-stopping": Fault(
        "A fifth of the labels is wrong, and training goes on long after the best validation value.",
        lambda recipe: {
            "epochs": max(60, recipe.epochs),
            "scheduler": "constant",
            "patience": 0,
            "options": {"label_noise": 0.2},
        },
        _set(patience=5),
        findings=("late-stopping",),
        tasks=("digits", "breast-cancer"),
    ),
    "lr-too-high": Fault(
        "The learning rate is a thousand times what it should be, and constant.",
        lambda recipe: {"lr": recipe.lr * 1000, "scheduler": "constant"},
        lambda recipe: {"lr": recipe.lr / 1000},
        findings=("oscillation", "divergence", "lr-too-high", "not-learning", "loss-spike"),
    ),
    "lr-decayed-too-early": Fault(
        "The learning rate is cut to three tenths after each epoch.",
        _set(scheduler="exponential", gamma=0.3),
        _set(gamma=0.95),
        findings=("lr-decayed-too-early", "plateau"),
    ),
    "tied-scores": Fault(
        "Scores are rounded to bfloat16 where they saturate, and the ROC keeps the first sample of a tie.",
        _set(options={"scores": "bf16", "roc": "naive", "logit_scale": 4.0}),
        _set(options={"scores": "fp32", "roc": "tie-aware"}),
        findings=("threshold-collapse",),
        tasks=("arcs",),
    ),
    "unwired-metric": Fault(
        "The Sharpe ratio is computed from the last return instead of the forecast.",
        _set(options={"sharpe": "stale"}),
        _set(options={"sharpe": "model"}),
        findings=("frozen-metric", "identical-across-runs"),
        tasks=("returns",),
    ),
    "forgotten-set-epoch": Fault(
        "Every epoch has the order of the first.",
        _set(reshuffle=False),
        _set(reshuffle=True),
        shown=_same_order,
        seen_by="the same order in both epochs, as postmortem audit counts it",
    ),
    "padded-tail": Fault(
        "The last batch is filled up with samples of the first, so that all processes have equally many.",
        lambda recipe: {
            "sharding": "padded",
            "world_size": max(8, recipe.world_size),
            "shards": max(8, recipe.shards),
        },
        _set(sharding="exact"),
        shown=_repeats,
        seen_by="more samples than unique_samples in the log",
    ),
    "fork-deadlock": Fault(
        "Loader workers are forked after the process used several threads, and use several threads themselves.",
        _set(num_workers=1, worker_start="fork", loader_timeout=5.0),
        _set(worker_start="safe", loader_timeout=120.0),
        shown=_stuck,
        seen_by="no batch ever comes; the watchdog ends the run",
    ),
    "slow-loader": Fault(
        "Reading a sample takes four milliseconds each time, in the training process.",
        _set(item_cost=0.004, num_workers=0),
        _set(item_cost=0.0),
        findings=("loader-bound",),
    ),
    "nan": Fault(
        "Plain gradient descent with a learning rate that overflows, and nothing that limits the gradient.",
        lambda recipe: {"optimizer": "sgd", "lr": recipe.lr * 1e6, "scheduler": "constant", "clip": None},
        lambda recipe: {"lr": recipe.lr / 1e5, "clip": 1.0},
        findings=("nan-loss",),
    ),
    "dead-branch": Fault(
        "A penalty on the gate closes one of two branches.",
        lambda recipe: {"epochs": max(20, recipe.epochs), "options": {"gate_penalty": 5.0}},
        _set(options={"gate_penalty": 0.0}),
        findings=("dead-component",),
        tasks=("clicks",),
    ),
}


def find(name: str) -> Fault:
    """A fault by its name.

    Raises:
        ConfigError: There is none of this name.
    """
    if name not in FAULTS:
        raise ConfigError(
            Problem(f"there is no fault {name!r}", hint=yamlfile.did_you_mean(name, list(FAULTS), "faults"))
        )
    return FAULTS[name]


def broken(recipe: Recipe, name: str) -> Recipe:
    """The recipe with a fault in it.

    Raises:
        ConfigError: There is no such fault, or the task cannot show it.
    """
    fault = find(name)
    if fault.tasks and recipe.task not in fault.tasks:
        hint = f"use --task {fault.tasks[0]}"
        raise ConfigError(Problem(f"the fault {name!r} does not show on the task {recipe.task!r}", hint=hint))
    return recipe.changed(**fault.breaks(recipe))


def mended(recipe: Recipe, name: str) -> Recipe:
    """The recipe with the remedy of a fault, or of the finding a fault leads to.

    Raises:
        ConfigError: Nothing here is known by this name.
    """
    fault = FAULTS.get(name) or next((each for each in FAULTS.values() if name in each.findings), None)
    if fault is None:
        known = dict.fromkeys([*FAULTS, *(finding for each in FAULTS.values() for finding in each.findings)])
        hint = yamlfile.did_you_mean(name, list(known), "names")
        raise ConfigError(Problem(f"no remedy is known for {name!r}", hint=hint))
    return recipe.changed(**fault.mends(recipe))
