"""A detector of arcs around galaxies, judged where false positives must be rare.

Stamps are drawn: a galaxy in noise, and in half of them an arc. With paired controls each galaxy comes twice, once with
and once without its arc. Scores in low precision tie at the top, and a ROC that mishandles ties reports a collapse.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import nn

from postmortem.trainer import roc
from postmortem.trainer.keys import generator
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task

FPR = (1e-5, 1e-4, 1e-3, 1e-2)
TPR = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.99)


class Arcs(Task):
    """Is there an arc?"""

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Stamps ``x`` of shape (1, size, size) and labels ``y``, positives and controls in turn."""
        return _stamps(recipe, "train", recipe.n_train or 0), _stamps(recipe, "val", recipe.n_val or 0)

    def model(self, recipe: Recipe) -> nn.Module:
        """Convolutions that halve the stamp until it is a few pixels wide, and a logit."""
        halvings = max(1, int(recipe.options["size"]).bit_length() - 2)
        widths = [1, *(min(32, 8 << level) for level in range(halvings))]
        return nn.Sequential(
            *(_down(inputs, outputs) for inputs, outputs in pairwise(widths)),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(recipe.dropout),
            nn.Linear(widths[-1], 1),
            nn.Flatten(0),
        )

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Focal loss with gamma 2 (Lin et al., ICCV 2017)."""
        logits = model(rows["x"]).float()
        loss = nn.functional.binary_cross_entropy_with_logits(logits, rows["y"], reduction="none")
        missed = torch.abs(rows["y"] - torch.sigmoid(logits))
        return missed**2 * loss

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Area under the ROC curve, and rates at strict thresholds, from scores in the precision asked for."""
        logits = torch.from_numpy(outputs) * float(recipe.options["logit_scale"])
        low = recipe.options["scores"] == "bf16"
        scores = torch.sigmoid(logits.bfloat16()).float().numpy() if low else logits.numpy()
        positive, naive = rows["y"] > 0.5, recipe.options["roc"] == "naive"
        found, sound = roc.curve(scores, positive, naive=naive), roc.curve(scores, positive)
        return {
            "auroc": roc.auroc(scores, positive),
            **{f"tpr@fpr{rate:g}": roc.tpr_at(found, rate, naive=naive) for rate in FPR},
            **{f"fpr@tpr{rate:.2f}": roc.fpr_at(sound, rate) for rate in TPR},
            "n": len(positive),
            "pos": int(positive.sum()),
            "neg": int((~positive).sum()),
        }


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(4, outputs), nn.ReLU())


def _stamps(recipe: Recipe, split: str, count: int) -> Split:
    size, paired = int(recipe.options["size"]), bool(recipe.options["paired"])
    rng = generator(0, "arcs", split)
    label = np.arange(count) % 2 == 0
    galaxies = (count + 1) // 2 if paired else count
    which = np.arange(count) // 2 if paired else np.arange(count)
    grid = np.linspace(-1, 1, size, dtype=np.float32)
    light = _galaxies(rng, galaxies, grid)[which]
    bright = rng.lognormal(0.0, 0.5, count).astype(np.float32) * float(recipe.options["brightness"])
    light += np.where(label, bright, 0).astype(np.float32)[:, None, None] * _rings(rng, count, grid)
    light += rng.standard_normal(light.shape, dtype=np.float32)
    return {"x": light[:, None], "y": label.astype(np.float32)}


def _galaxies(rng: np.random.Generator, count: int, grid: Array) -> Array:
    """Elliptical Gaussian spots of varied width and tilt, up to five times the noise; shape (count, size, size)."""
    width, squeeze, tilt = rng.uniform(0.1, 0.3, count), rng.uniform(0.6, 1, count), rng.uniform(0, np.pi, count)
    along = np.cos(tilt)[:, None, None] * grid + np.sin(tilt)[:, None, None] * grid[:, None]
    across = np.cos(tilt)[:, None, None] * grid[:, None] - np.sin(tilt)[:, None, None] * grid
    far = (along**2 + (across / squeeze[:, None, None]) ** 2) / width[:, None, None] ** 2
    return np.asarray(rng.uniform(2, 5, count)[:, None, None] * np.exp(-far / 2), dtype=np.float32)


def _rings(rng: np.random.Generator, count: int, grid: Array) -> Array:
    """Arcs: a third of a ring of varied radius and direction; shape (count, size, size)."""
    radius, turned = rng.uniform(0.4, 0.7, count)[:, None, None], rng.uniform(-np.pi, np.pi, count)[:, None, None]
    distance = np.sqrt(grid**2 + grid[:, None] ** 2)
    angle = np.arctan2(grid[:, None], grid)
    inside = np.cos(angle - turned) > 0.5
    return np.asarray(np.exp(-((distance - radius) ** 2) / 0.005) * inside, dtype=np.float32)
