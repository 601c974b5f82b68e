"""Fetching: the rows of a step, in this process or in loader workers, which never decide what is read."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from postmortem.errors import Problem
from postmortem.trainer.device import start_method
from postmortem.trainer.keys import generator
from postmortem.trainer.plan import Ids, Plan, cut
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Rows, Split
from postmortem.trainer.world import StuckError


def rows_of(split: Split, ids: Ids) -> Rows:
    """Some samples as tensors, with their ids."""
    rows = {name: torch.from_numpy(values[ids]) for name, values in split.items()}
    rows["id"] = torch.tensor(ids)
    return rows


@dataclass(frozen=True)
class Fetched:
    """The rows of one step: for each rank here, those of each of its shards; and the samples of all ranks."""

    parts: list[list[Rows]]
    count: int


class Steps(Dataset[Fetched]):
    """Steps as the items of a data set, so that loader workers are told numbers and nothing else."""

    def __init__(self, split: Split, plan: Plan, recipe: Recipe, here: range, world: int) -> None:
        self.recipe = recipe
        # A suspect plan already holds what its workers would do.
        self.workers = recipe.num_workers if recipe.sharding == "exact" else 0
        self._split, self._plan = split, plan
        self._here, self._each = here, plan.shards // world

    def __getitem__(self, step: int) -> Fetched:
        """The rows of a step."""
        ids = self._plan.batch(step)
        shards = cut(ids, self._plan.shards)
        owned = [shards[rank * self._each : (rank + 1) * self._each] for rank in self._here]
        if self.recipe.item_cost:
            time.sleep(self.recipe.item_cost * sum(len(each) for part in owned for each in part))
        epoch = step // self._plan.steps_per_epoch
        return Fetched([[self._rows(each, epoch) for each in part] for part in owned], len(ids))

    def _rows(self, ids: Ids, epoch: int) -> Rows:
        rows = rows_of(self._split, ids)
        if self.recipe.augment:
            noise = [generator(self.recipe.seed, "augment", epoch, int(each)) for each in ids]
            drawn = np.array([each.standard_normal(rows["x"].shape[1:]) for each in noise]).reshape(rows["x"].shape)
            rows["x"] = rows["x"] + torch.from_numpy(drawn * self.recipe.augment).to(rows["x"].dtype)
        return rows


def fetched(steps: Steps, wanted: range) -> Iterator[Fetched]:
    """The rows of the wanted steps, in order.

    Raises:
        StuckError: The workers gave nothing for ``loader_timeout`` seconds.
    """
    if steps.workers == 0:
        yield from (steps[step] for step in wanted)
        return
    recipe = steps.recipe
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="This DataLoader will create")  # the recipe says how many
            rows = iter(_loader(steps, wanted))
        yield from rows
    except RuntimeError as error:
        if "timed out" not in str(error):
            raise
        hint = "a worker that was forked after threads were used hangs, and so does one that waits for the network"
        said = f"the loader workers ({recipe.worker_start} start) gave nothing for {recipe.loader_timeout:g} seconds"
        raise StuckError(Problem(said, hint=hint)) from error


def _loader(steps: Steps, wanted: range) -> DataLoader[Fetched]:
    recipe = steps.recipe
    forked = recipe.worker_start == "fork"
    if forked:
        _use_two_threads(0)
        torch.set_num_threads(1)
    elif start_method() == "forkserver":
        # Workers fork from a server that has torch already: a tenth of a second instead of seconds each.
        torch.multiprocessing.get_context("forkserver").set_forkserver_preload(["torch", "postmortem.trainer.fetch"])
    return DataLoader(
        steps,
        batch_size=None,
        sampler=wanted,  # type: ignore[arg-type,unused-ignore]
        num_workers=steps.workers,
        multiprocessing_context="fork" if forked else start_method(),
        worker_init_fn=_use_two_threads if forked else None,
        timeout=recipe.loader_timeout,
        generator=torch.Generator(),  # else the loader draws its base seed from the global one
        collate_fn=_as_is,
    )


def _use_two_threads(_: int) -> None:
    """What makes a fork hang: the parent has a pool of threads, of which the child inherits the locks alone."""
    torch.set_num_threads(2)
    square = torch.ones(512, 512)
    square @ square


def _as_is(item: Any) -> Any:
    return item
