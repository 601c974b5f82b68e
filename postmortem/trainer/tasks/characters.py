"""A small character model on generated text, to compare learning rates step by step."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from postmortem.trainer.keys import generator
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task, parted

_LETTERS = 27
_SIGHT = 4  # characters that a convolution sees


class Characters(Task):
    """What is the next character?"""

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Lines of a text in which each character depends on the two before it; shape (n, length + 1)."""
        rng = generator(0, "characters")
        count, length = (recipe.n_train or 0) + (recipe.n_val or 0), int(recipe.options["length"])
        after = rng.dirichlet(np.full(_LETTERS, 0.1), (_LETTERS, _LETTERS)).cumsum(axis=2)
        text = np.zeros((count, length + 1), dtype=np.int64)
        text[:, :2] = rng.integers(0, _LETTERS, (count, 2))
        for at in range(2, length + 1):
            drawn = rng.random((count, 1))
            text[:, at] = np.minimum((after[text[:, at - 2], text[:, at - 1]] < drawn).sum(axis=1), _LETTERS - 1)
        return parted({"text": text}, recipe.n_train, recipe.n_val)

    def model(self, recipe: Recipe) -> nn.Module:
        """Two convolutions that look back only."""
        width = int(recipe.options["width"])
        return nn.Sequential(
            nn.Embedding(_LETTERS, width),
            _Back(width),
            _Back(width),
            nn.Dropout(recipe.dropout),
            nn.Linear(width, _LETTERS),
        )

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Mean cross-entropy over the characters of a line."""
        logits = self.outputs(model, rows)
        each = nn.functional.cross_entropy(logits.transpose(1, 2), rows["text"][:, 1:], reduction="none")
        return each.mean(dim=1)

    def outputs(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Logits, shape (n, length, letters)."""
        out: torch.Tensor = model(rows["text"][:, :-1])
        return out

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Share of characters foretold."""
        del recipe
        return {"token_accuracy": float(np.mean(outputs.argmax(axis=2) == rows["text"][:, 1:]))}


class _Back(nn.Module):
    """A convolution over the characters so far, added to what it was given."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(width, width, _SIGHT)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(x.transpose(1, 2), (_SIGHT - 1, 0))
        return x + nn.functional.relu(self.convolution(padded)).transpose(1, 2)
