"""The tasks that come with the trainer: where each lives, what it is, and what a recipe for it starts from.

Kept apart from the tasks, so that a recipe can be read and a plan made without torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Option = bool | int | float | str


@dataclass(frozen=True)
class Entry:
    """One task.

    Attributes:
        home: ``module:Class``.
        says: One sentence.
        recipe: Values of recipe fields that suit the task.
        options: What can be chosen within the task, with the default.
        most: Most training samples there are; 0 when they are generated.
    """

    home: str
    says: str
    recipe: Mapping[str, Option]
    options: Mapping[str, Option] = field(default_factory=dict)
    most: int = 0


_HOME = "postmortem.trainer.tasks."

TASKS: Mapping[str, Entry] = {
    "digits": Entry(
        _HOME + "tables:Digits",
        "Handwritten digits of scikit-learn (8 x 8), a small perceptron.",
        {"n_train": 1437, "n_val": 360, "epochs": 20, "batch_size": 64, "lr": 1e-3, "scheduler": "cosine"},
        {"hidden": 128, "label_noise": 0.0},
        most=1437,
    ),
    "breast-cancer": Entry(
        _HOME + "tables:BreastCancer",
        "Breast cancer of scikit-learn (30 numbers, 2 classes), a small perceptron.",
        {"n_train": 455, "n_val": 114, "epochs": 20, "batch_size": 32, "lr": 1e-3},
        {"hidden": 32, "label_noise": 0.0},
        most=455,
    ),
    "arcs": Entry(
        _HOME + "arcs:Arcs",
        "Stamps of galaxies with or without an injected arc; a detector judged at strict false-positive rates.",
        {"n_train": 2048, "n_val": 2048, "epochs": 12, "batch_size": 64, "lr": 1e-2, "scheduler": "cosine"},
        {"size": 64, "brightness": 4.0, "paired": True, "scores": "fp32", "roc": "tie-aware", "logit_scale": 1.0},
    ),
    "clicks": Entry(
        _HOME + "clicks:Clicks",
        "A recommender of two branches with a gate between them, on generated clicks.",
        {
            "n_train": 6000,
            "n_val": 3000,
            "epochs": 5,
            "batch_size": 64,
            "lr": 1e-2,
            "dropout": 0.1,
            "eval_train": True,
        },
        {"users": 400, "items": 300, "width": 32, "gate_penalty": 0.0},
    ),
    "characters": Entry(
        _HOME + "characters:Characters",
        "A small character model fine-tuned step by step, with a learning-rate multiplier.",
        {
            "n_train": 2800,
            "n_val": 400,
            "epochs": 1,
            "batch_size": 10,
            "lr": 1e-2,
            "log_every": 1,
            "eval_every": 10,
        },
        {"length": 24, "width": 32},
    ),
    "returns": Entry(
        _HOME + "returns:Returns",
        "Forecasts of generated returns, judged by a Sharpe ratio that does or does not look at the model.",
        {"n_train": 2000, "n_val": 1000, "epochs": 20, "batch_size": 100, "lr": 5e-4},
        {"signal": 0.15, "lags": 8, "hidden": 32, "sharpe": "model"},
    ),
    "table": Entry(
        _HOME + "own:Table",
        "One's own fragments (.npz, .parquet): the column y from all others, by a perceptron.",
        {"epochs": 20},
        {"hidden": 64},
    ),
}
