"""Two classic tables of scikit-learn, and a perceptron."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from postmortem.errors import ConfigError, Problem
from postmortem.trainer.keys import generator
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task, accuracy, parted


class _Table(Task):
    """Rows of numbers with a class."""

    loads = ""
    classes = 0

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Standardised columns ``x`` and classes ``y``; ``label_noise`` of the labels are drawn anew."""
        x, y = _loaded(self.loads)
        order = generator(0, "split", self.loads).permutation(len(y))
        columns = {"x": _standardised(x)[order], "y": y[order].astype(np.int64)}
        rng = generator(0, "label noise", self.loads)
        noisy = rng.random(len(y)) < float(recipe.options["label_noise"])
        columns["y"] = np.where(noisy, rng.integers(0, self.classes, len(y)), columns["y"])
        return parted(columns, recipe.n_train, recipe.n_val)

    def model(self, recipe: Recipe) -> nn.Module:
        """Two hidden layers."""
        inputs = {"load_digits": 64, "load_breast_cancer": 30}[self.loads]
        return perceptron(inputs, int(recipe.options["hidden"]), self.classes, recipe.dropout)

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Cross-entropy."""
        return nn.functional.cross_entropy(model(rows["x"]), rows["y"], reduction="none")

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Accuracy."""
        del recipe
        return {"accuracy": accuracy(outputs, rows["y"])}


class Digits(_Table):
    """Ten classes, 8 x 8 pixels."""

    loads, classes = "load_digits", 10


class BreastCancer(_Table):
    """Two classes, 30 numbers."""

    loads, classes = "load_breast_cancer", 2


def perceptron(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Two hidden layers with ReLU and dropout."""
    dropped = [nn.Dropout(dropout)] if dropout else []
    first, second = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
    return nn.Sequential(first, nn.ReLU(), *dropped, second, nn.ReLU(), *dropped, nn.Linear(hidden, outputs))


def _loaded(name: str) -> tuple[Array, Array]:
    try:
        from sklearn import datasets  # noqa: PLC0415  only these tasks need it
    except ImportError as error:
        hint = "pip install 'postmortem-ml[trainer]'"
        raise ConfigError(Problem("this task needs scikit-learn", hint=hint)) from error
    found: Any = getattr(datasets, name)(return_X_y=True)
    return found[0], found[1]


def _standardised(x: Array) -> Array:
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > 0, spread, 1), dtype=np.float32)
