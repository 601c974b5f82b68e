"""One's own table: fragments of columns, a perceptron, a class or a number to foretell."""

from __future__ import annotations

from glob import glob
from pathlib import Path

import numpy as np
import torch
from torch import nn

from postmortem.errors import ConfigError, InputError, Problem
from postmortem.trainer.keys import generator
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task, accuracy, parted
from postmortem.trainer.tasks.tables import perceptron


def fragments(pattern: str) -> Split:
    """All fragments that a glob pattern finds, in order of their names, column by column.

    ``.npz`` holds arrays by name; of ``.parquet`` each column is one. Nothing is unpickled.

    Raises:
        InputError: No file is found, one cannot be read, or the columns of two differ.
    """
    paths = sorted(Path(each) for each in glob(pattern))  # noqa: PTH207  the pattern may be absolute
    if not paths:
        raise InputError(
            Problem(f"no file fits {pattern!r}", source="data", hint="quote a pattern such as 'parts/*.npz'")
        )
    parts = [_columns(path) for path in paths]
    for path, part in zip(paths, parts, strict=True):
        if set(part) != set(parts[0]):
            hint = f"the first fragment has {', '.join(sorted(parts[0]))}"
            raise InputError(Problem(f"has the columns {', '.join(sorted(part))}", source=str(path), hint=hint))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _columns(path: Path) -> dict[str, Array]:
    try:
        if path.suffix == ".parquet":
            import polars as pl  # noqa: PLC0415  only parquet needs it

            return {each.name: each.to_numpy() for each in pl.read_parquet(path).get_columns()}
        with np.load(path, allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except Exception as error:  # readers of both formats fail in many ways
        raise InputError(Problem(f"cannot be read: {error}", source=str(path), hint="use .npz or .parquet")) from error


class Table(Task):
    """Foretells the column ``y`` from all others: a class if it holds integers, else a number."""

    def data(self, recipe: Recipe) -> tuple[Split, Split]:
        """Features ``x`` of shape (n, columns) and ``y``, in an order drawn once."""
        if recipe.data is None:
            raise ConfigError(Problem("the task 'table' has no data", hint="name fragments: --data 'parts/*.parquet'"))
        found = dict(fragments(recipe.data))
        if "y" not in found or len(found) < 2:
            held = ", ".join(found)
            raise ConfigError(Problem(f"the data hold {held}", source=recipe.data, hint="name what to foretell y"))
        target = found.pop("y")
        columns = [found[name].reshape(len(target), -1) for name in sorted(found)]
        order = generator(0, "split").permutation(len(target))
        y = target.astype(np.int64) if np.issubdtype(target.dtype, np.integer) else target.astype(np.float32)
        return parted(
            {"x": np.concatenate(columns, axis=1).astype(np.float32)[order], "y": y[order]},
            recipe.n_train,
            recipe.n_val,
        )

    def model(self, recipe: Recipe) -> nn.Module:
        """A perceptron whose first layer takes as many inputs as there are columns."""
        train, val = self.data(recipe)
        classes = np.issubdtype(train["y"].dtype, np.integer)
        outputs = int(max(train["y"].max(), val["y"].max())) + 1 if classes else 1
        return perceptron(train["x"].shape[1], int(recipe.options["hidden"]), outputs, recipe.dropout)

    def losses(self, model: nn.Module, rows: Rows) -> torch.Tensor:
        """Cross-entropy or squared error."""
        out = model(rows["x"])
        if rows["y"].is_floating_point():
            return nn.functional.mse_loss(out[:, 0], rows["y"], reduction="none")
        return nn.functional.cross_entropy(out, rows["y"], reduction="none")

    def metrics(self, outputs: Array, rows: Split, recipe: Recipe) -> dict[str, float]:
        """Accuracy of classes; a number is judged by its loss."""
        del recipe
        return {"accuracy": accuracy(outputs, rows["y"])} if np.issubdtype(rows["y"].dtype, np.integer) else {}
