"""What is trained: a subclass of ``Task`` gives data, model, loss and metrics. One's own is twenty lines."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from postmortem.errors import ConfigError, Problem
from postmortem.trainer.catalog import TASKS

if TYPE_CHECKING:
    import torch
    from torch import nn

    from postmortem.trainer.recipe import Recipe

Array = NDArray[Any]
Split = Mapping[str, Array]
"""Columns of samples: arrays of equal first dimension, by name; ``x`` is what augmentation touches."""

Rows = dict[str, "torch.Tensor"]
"""Some samples as tensors, and their ids under ``id``."""


class Task:
    """What is trained. Override ``data``, ``model`` and ``losses``; the rest where the defaults do not fit."""

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Training and validation samples; a pure function of the recipe, the seed left aside."""
        raise NotImplementedError

    def model(self, recipe: Recipe) -> nn.Module:
        """The model, freshly initialised; the generator is already seeded. No batch statistics in strict mode."""
        raise NotImplementedError

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """One loss a sample, shape (n,): a mean is taken over the global batch, so none may be taken here."""
        raise NotImplementedError

    def outputs(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Predictions for the metrics, shape (n, ...)."""
        out: torch.Tensor = model(rows["x"])
        return out

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Metrics of a whole evaluation; ``outputs`` and ``rows`` in order of the ids."""
        del outputs, rows, recipe
        return {}


def find(recipe: Recipe) -> Task:
    """The task a recipe names.

    Raises:
        ConfigError: It cannot be imported, or is no task.
    """
    home = TASKS[recipe.task].home if recipe.task in TASKS else recipe.task
    module, _, name = home.partition(":")
    try:
        made = getattr(import_module(module), name)()
    except (ImportError, AttributeError, TypeError) as error:
        hint = "write module:Class of something importable from here, and install what it needs"
        raise ConfigError(Problem(f"the task {home} cannot be loaded: {error}", hint=hint)) from error
    if not isinstance(made, Task):
        raise ConfigError(Problem(f"{home} is no task", hint="derive the class from postmortem.trainer.Task"))
    return made


def samples(split: Split, name: str = "the data") -> int:
    """Number of samples of a split.

    Raises:
        ConfigError: The columns do not have the same length.
    """
    sizes = {column: len(values) for column, values in split.items()}
    if len(set(sizes.values())) > 1:
        raise ConfigError(Problem(f"the columns of {name} have different lengths: {sizes}"))
    return next(iter(sizes.values()), 0)


def take(split: Split, count: int | None, name: str) -> Split:
    """The first ``count`` samples; all when it is None.

    Raises:
        ConfigError: There are fewer.
    """
    there = samples(split, name)
    if count is not None and count > there:
        raise ConfigError(
            Problem(f"{name} has {there:,} samples, the recipe wants {count:,}", hint=f"set it to {there} or less")
        )
    return {column: values[:count] for column, values in split.items()}


def parted(split: Split, n_train: int | None, n_val: int | None) -> tuple[Split, Split]:
    """Training samples from the front of the data, validation samples from the back.

    Raises:
        ConfigError: The two would overlap.
    """
    there = samples(split)
    val = there // 5 if n_val is None else n_val
    train = there - val if n_train is None else n_train
    if train + val > there:
        hint = f"n_train + n_val may be {there} at most"
        raise ConfigError(Problem(f"the data have {there:,} samples, not {train:,} + {val:,}", hint=hint))
    return take(split, train, "the data"), {column: values[there - val :] for column, values in split.items()}


def accuracy(logits: Array, labels: Array) -> float:
    """Share of samples whose largest output is that of their class."""
    return float(np.mean(np.argmax(logits, axis=-1) == labels))
