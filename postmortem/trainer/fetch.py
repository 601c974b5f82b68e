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

from postmortem.errors import ConfigError, Problem
from postmortem.trainer.device import start_method
from postmortem.trainer.keys import generator
from postmortem.trainer.plan import Ids, Plan, cut
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Rows, Split

TIMEOUT = 120.0
"""Seconds a step may wait for its loader workers before the run ends with an explanation."""


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
        self._split, self._plan, self._recipe = split, plan, recipe
        self._here, self._each = here, plan.shards // world

    def __getitem__(self, step: int) -> Fetched:
        """The rows of a step."""
        ids = self._plan.batch(step)
        shards = cut(ids, self._plan.shards)
        owned = [shards[rank * self._each : (rank + 1) * self._each] for rank in self._here]
        if self._recipe.item_cost:
            time.sleep(self._recipe.item_cost * sum(len(each) for part in owned for each in part))
        epoch = step // self._plan.steps_per_epoch
        return Fetched([[self._rows(each, epoch) for each in part] for part in owned], len(ids))

    def _rows(self, ids: Ids, epoch: int) -> Rows:
        rows = rows_of(self._split, ids)
        if self._recipe.augment:
            noise = [generator(self._recipe.seed, "augment", epoch, int(each)) for each in ids]
            drawn = np.array([each.standard_normal(rows["x"].shape[1:]) for each in noise]).reshape(rows["x"].shape)
            rows["x"] = rows["x"] + torch.from_numpy(drawn * self._recipe.augment).to(rows["x"].dtype)
        return rows


def fetched(steps: Steps, wanted: range, workers: int, device: torch.device) -> Iterator[Fetched]:
    """The rows of the wanted steps, in order.

    Raises:
        ConfigError: The workers gave nothing for ``TIMEOUT`` seconds.
    """
    if workers == 0:
        yield from (steps[step] for step in wanted)
        return
    if start_method(device) == "forkserver":
        # Workers fork from a server that has torch already: a tenth of a second instead of seconds each.
        torch.multiprocessing.get_context("forkserver").set_forkserver_preload(["torch", "postmortem.trainer.fetch"])
    loader: DataLoader[Fetched] = DataLoader(
        steps,
        batch_size=None,
        sampler=wanted,  # type: ignore[arg-type,unused-ignore]
        num_workers=workers,
        multiprocessing_context=start_method(device),
        timeout=TIMEOUT,
        generator=torch.Generator(),  # else the loader draws its base seed from the global one
        collate_fn=_as_is,
    )
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="This DataLoader will create")  # the recipe says how many
            rows = iter(loader)
        yield from rows
    except RuntimeError as error:
        raise _explained(error) from error


def _as_is(item: Any) -> Any:
    return item


def _explained(error: RuntimeError) -> Exception:
    text = str(error).splitlines()[0]
    if "timed out" not in text:
        return error
    hint = "a worker that was forked after threads were used hangs, and so does one that waits for the network"
    return ConfigError(Problem(f"the loader workers gave nothing for {TIMEOUT:.0f} seconds: {text}", hint=hint))
