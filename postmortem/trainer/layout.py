"""A plan in words: what each process reads, how many steps that makes, and how often each sample comes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from postmortem.errors import ConfigError, Problem
from postmortem.trainer.plan import Ids, bounds
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.ways import Tally, ranks, tally

MAX_SAMPLES = 50_000_000
"""Largest plan that is laid out; it takes about 16 bytes a sample."""


@dataclass(frozen=True)
class Layout:
    """What one epoch reads.

    Attributes:
        expected: Steps of an epoch in which each sample comes once.
        text: The whole in words.
    """

    tally: Tally
    expected: int
    text: str


def layout(recipe: Recipe, epoch: int = 0) -> Layout:
    """Lays out one epoch of a recipe.

    Raises:
        ConfigError: The number of samples is not known, or too large to lay out.
    """
    samples = recipe.n_train
    if samples is None or samples > MAX_SAMPLES:
        shown = "not known" if samples is None else f"{samples:,}, more than the {MAX_SAMPLES:,} that are laid out"
        raise ConfigError(Problem(f"the number of training samples is {shown}", hint="use --set n_train=..."))
    plan = recipe.exact_plan(samples)
    batches = ranks(plan, recipe.sharding, epoch, recipe.world_size, recipe.num_workers)
    counted = tally(samples, batches)
    lines = [
        _head(recipe, plan.steps_per_epoch),
        *_table(recipe, batches),
        "",
        *_verdict(counted, plan.steps_per_epoch),
    ]
    return Layout(counted, plan.steps_per_epoch, "\n".join(lines) + "\n")


def _head(recipe: Recipe, expected: int) -> str:
    return (
        f"{recipe.sharding} sharding of {recipe.n_train:,} samples in batches of {recipe.batch_size:,} over "
        f"{_plural(recipe.world_size, 'process', 'es')} with {_plural(recipe.num_workers, 'loader worker')} each; "
        f"{_plural(expected, 'step')} expected\n"
    )


def _plural(count: int, noun: str, ending: str = "s") -> str:
    return f"{count:,} {noun}{'' if count == 1 else ending}"


def _table(recipe: Recipe, batches: list[list[Ids]]) -> list[str]:
    shards = recipe.shards if recipe.strict else recipe.world_size
    mine = bounds(shards, recipe.world_size)
    rows = ["rank  shards     steps     samples  first samples"]
    for rank, each in enumerate(batches):
        first = np.concatenate(each[:2])[:6].tolist() if each else []
        owned = f"{mine[rank]}-{mine[rank + 1] - 1}" if recipe.sharding == "exact" else "-"
        count = sum(len(ids) for ids in each)
        rows.append(f"{rank:>4}  {owned:<6}  {len(each):>8,}  {count:>10,}  {' '.join(map(str, first))}")
    return rows


def _verdict(counted: Tally, expected: int) -> list[str]:
    lines = [f"read {counted.read:,} samples, {counted.unique:,} different, {counted.missing:,} never"]
    if counted.exactly_once:
        return [*lines, "each sample comes exactly once"]
    if counted.repeated:
        lines.append(
            f"each sample read comes {counted.factor:.4g} times on average: duplication factor {counted.factor:.4g}"
        )
    most = max(counted.steps, default=0)
    if most != expected and expected:
        lines.append(f"{most:,} steps instead of {expected:,}: {most / expected:.4g} times")
    if len(set(counted.steps)) > 1:
        lines.append(
            f"processes take {min(counted.steps):,} to {most:,} steps: a collective of the others would wait for ever"
        )
    return lines
