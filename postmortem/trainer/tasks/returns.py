"""Forecasts of returns, judged by the Sharpe ratio of trading on them: wired to the model, or to something else."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from postmortem.trainer.keys import generator
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task, parted
from postmortem.trainer.tasks.tables import perceptron


class Returns(Task):
    """What is the next return?"""

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Windows of past returns ``x`` and the next one ``y``; a weak, nonlinear signal in noise of unit variance."""
        rng = generator(0, "returns")
        count, lags = (recipe.n_train or 0) + (recipe.n_val or 0), int(recipe.options["lags"])
        strength = float(recipe.options["signal"])
        series = rng.standard_normal(count + lags)
        for at in range(2, len(series)):
            series[at] += strength * (np.tanh(2 * series[at - 1]) - np.tanh(2 * series[at - 2]))
        x = np.lib.stride_tricks.sliding_window_view(series[:-1], lags).astype(np.float32)
        return parted({"x": x, "y": series[lags:].astype(np.float32)}, recipe.n_train, recipe.n_val)

    def model(self, recipe: Recipe) -> nn.Module:
        """A perceptron on the window."""
        inputs = int(recipe.options["lags"]), int(recipe.options["hidden"])
        return nn.Sequential(perceptron(*inputs, 1, recipe.dropout), nn.Flatten(0))

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Squared error."""
        return nn.functional.mse_loss(model(rows["x"]), rows["y"], reduction="none")

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Sharpe ratio a step, correlation with what came (information coefficient), and size of the forecasts.

        With ``sharpe: stale`` the positions come from the last return instead of the forecast: a number that looks like
        a result, and is the same whatever was trained.
        """
        positions = rows["x"][:, -1] if recipe.options["sharpe"] == "stale" else outputs
        gains = np.asarray(positions, dtype=np.float64) * rows["y"]
        moving = outputs.std() > 0
        return {
            "sharpe": float(gains.mean() / gains.std()) if gains.std() > 0 else 0.0,
            "ic": float(np.corrcoef(outputs, rows["y"])[0, 1]) if moving else 0.0,
            "prediction_scale": float(outputs.std()),
        }
