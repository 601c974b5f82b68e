"""A recommender: who clicks on what, from embeddings and from features, with a gate between the two branches."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from postmortem.trainer import roc
from postmortem.trainer.keys import generator
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task, parted

_FEATURES = 6


class Clicks(Task):
    """Will this user click on this item?"""

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Users, items and features, and clicks drawn with a probability that depends on them."""
        rng = generator(0, "clicks")
        users, items = int(recipe.options["users"]), int(recipe.options["items"])
        count = (recipe.n_train or 0) + (recipe.n_val or 0)
        user, item = rng.integers(0, users, count), rng.integers(0, items, count)
        taste, kind = rng.standard_normal((users, 4)), rng.standard_normal((items, 4))
        x = rng.standard_normal((count, _FEATURES)).astype(np.float32)
        logit = -2.2 + 0.25 * (taste[user] * kind[item]).sum(axis=1) + 0.35 * x[:, 0] - 0.25 * x[:, 1]
        clicked = rng.random(count) < 1 / (1 + np.exp(-logit))
        columns = {"user": user, "item": item, "x": x, "y": clicked.astype(np.float32)}
        return parted(columns, recipe.n_train, recipe.n_val)

    def model(self, recipe: Recipe) -> nn.Module:
        """Two branches and a gate."""
        options = recipe.options
        sizes = int(options["users"]), int(options["items"]), int(options["width"])
        return _Gated(*sizes, recipe.dropout, float(options["gate_penalty"]))

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Cross-entropy of the click, and what an open gate costs; a price too high closes a branch for good."""
        assert isinstance(model, _Gated)
        logit, gate = self.outputs(model, rows).unbind(dim=1)
        price = model.gate_penalty * gate if model.training else 0.0
        return nn.functional.binary_cross_entropy_with_logits(logit, rows["y"], reduction="none") + price

    def outputs(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Logit and gate, shape (n, 2)."""
        out: torch.Tensor = model(rows["user"], rows["item"], rows["x"])
        return out

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Area under the ROC curve, and what the gate does."""
        del recipe
        gate = outputs[:, 1]
        return {
            "auc": roc.auroc(outputs[:, 0], rows["y"] > 0.5),
            "gate_mean": float(gate.mean()),
            "gate_std": float(gate.std()),
        }


class _Gated(nn.Module):
    def __init__(self, users: int, items: int, width: int, dropout: float, gate_penalty: float) -> None:
        super().__init__()
        self.gate_penalty = gate_penalty
        self.user, self.item = nn.Embedding(users, width), nn.Embedding(items, width)
        self.known = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))
        self.told = nn.Sequential(nn.Linear(_FEATURES, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, 1))
        self.gate = nn.Linear(_FEATURES, 1)

    def forward(self, user: torch.Tensor, item: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """Logit and gate, shape (n, 2); an open gate listens to the features."""
        gate = torch.sigmoid(self.gate(x))[:, 0]
        known = self.known(torch.cat([self.user(user), self.item(item)], dim=1))[:, 0]
        logit = gate * self.told(x)[:, 0] + (1 - gate) * known
        return torch.stack([logit, gate], dim=1)
