"""What a training writes down: enough to read what happened, and to run it again.

``recipe.yaml`` the recipe; ``train.log`` for people: settings and versions first, a line an epoch; ``metrics.jsonl``
the same numbers with all digits; ``steps.csv`` when steps are logged. The log alone is enough to rerun.
"""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch

from postmortem.trainer.recipe import Recipe

Row = dict[str, float | int]


class Journal:
    """Writes into one folder; the silent one, without a folder, is for processes that do not lead."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    def begin(
        self, recipe: Recipe, sizes: Mapping[str, int], notes: Mapping[str, str], settings: Row | None = None
    ) -> None:
        """The head of a log: what is run, on what, with which versions."""
        self._write("recipe.yaml", recipe.to_yaml(notes))
        stated = {"recipe_sha256": recipe.digest, **_stated(recipe)}
        for name, value in {**stated, **sizes, **(settings or {}), **versions()}.items():
            self.say(f"{name}: {value}")

    def say(self, text: str) -> None:
        """One line of the log, with its time."""
        now = datetime.now(UTC)
        self._append("train.log", f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03d} [INFO] {text}\n")

    def epoch(self, row: Row, epochs: int) -> None:
        """The numbers of an epoch."""
        told = " ".join(f"{name}={_short(value)}" for name, value in row.items() if name != "epoch")
        self.say(f"epoch {row['epoch']}/{epochs} {told}")
        self._append("metrics.jsonl", json.dumps(row) + "\n")

    def step(self, row: Row) -> None:
        """The numbers of a step; columns that a step lacks stay empty."""
        if self._folder is None:
            return
        path = self._folder / "steps.csv"
        new = not path.exists()
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", "train_loss", "lr", "valid_loss", "full_valid_loss", "timestamp"])
            if new:
                writer.writeheader()
            writer.writerow({**row, "timestamp": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"})

    def _append(self, name: str, text: str) -> None:
        if self._folder:
            with (self._folder / name).open("a", encoding="utf-8") as file:
                file.write(text)

    def _write(self, name: str, text: str) -> None:
        if self._folder:
            replace(self._folder / name, text.encode())


def replace(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_bytes(content)
    beside.replace(path)


def versions() -> dict[str, str]:
    """What the bits depend on beside the recipe."""
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
    }


def _stated(recipe: Recipe) -> dict[str, object]:
    """The recipe as settings; the batch is named global, since most logs state that of one process."""
    fields = recipe.model_dump(exclude={"options", "n_train", "n_val"}, exclude_none=True)
    fields["global_batch_size"] = fields.pop("batch_size")
    fields["learning_rate"] = fields.pop("lr")  # "lr" is the series
    return {**fields, **{f"options.{name}": value for name, value in recipe.options.items()}}


def _short(value: float) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
