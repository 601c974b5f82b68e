"""The words of counters: what says in which epoch, step or batch a line stands."""

from __future__ import annotations

import re
from typing import Literal

from postmortem import names

Kind = Literal[
    "value", "part", "epoch", "epochs", "step", "steps", "batch", "batches", "sample", "samples", "bar", "bars"
]
COUNTING: tuple[Kind, ...] = ("epoch", "step", "batch", "sample", "bar")
TOTAL_OF: dict[Kind, Kind] = {
    "epoch": "epochs",
    "step": "steps",
    "batch": "batches",
    "sample": "samples",
    "bar": "bars",
}

_EPOCH = frozenset({"epoch", "ep"})
_BATCH = frozenset({"batch", "minibatch", "mini batch", "n batch"})
_STEP_WORDS = (
    "step global_step globalstep iter iters iteration update num_updates up timestep timesteps total_timesteps "
    "optimizer_step optim_step it round global_iter training_step current_step gradient_step micro_step num_timesteps "
    "episode episodes generation"
)
_STEP = frozenset(_STEP_WORDS.split())
_COARSE = frozenset(("episode", "episodes", "generation", "round", "it", "up"))
# Words that may stand before a counter which governs what follows ("Starting epoch 3", "=== Results for epoch 3").
_OPENING = (
    "begin beginning of start starting started running results for at end after finished completed summary metrics "
    "current evaluating the new on in during stats done loss report performance"
)
OPENERS = frozenset(_OPENING.split())
COUNTER_WORDS = _EPOCH | {"epochs"} | _BATCH | {part for word in _STEP for part in word.split("_")}

_MEASURED = ("loss", "score", "reward", "grad_norm", "lr")
_DECORATION = " .#[(<*>-"
_QUANTITY = re.compile(
    r"(?i)^(?P<quantity>.*\S)\s+(?:(?:at|for|of|in|on|after|during)\s+(?:the\s+)?(?:end\s+of\s+)?|@\s*)(?P<counter>\S+)$"
)


def kind_of(label: str, before: Kind | None, seen: frozenset[Kind]) -> Kind | None:
    """The counter a label names, or None.

    Args:
        label: The words before a number.
        before: The kind of the number before it in the line.
        seen: The kinds the line has had.
    """
    if " " not in label.strip() and names.role(names.parse(label).metric) in _MEASURED:
        return None  # train_loss_step
    plain = plain_words(label)
    if plain in _EPOCH and "epoch" not in seen:
        return "epoch" if plain != "ep" or before is None else None  # in "tp=2, ep=1" it counts experts
    joined = plain.replace(" ", "_")
    within = before in ("epoch", "epochs") and joined in _STEP and "global" not in plain
    if plain in _BATCH or within:
        return "batch"
    return "step" if joined in _STEP and (" " in plain or "step" not in seen) else None


def is_step(label: str) -> bool:
    """Whether a label names steps, which count finer than episodes and rounds."""
    joined = plain_words(label).replace(" ", "_")
    return joined in _STEP and joined not in _COARSE


def plain_words(label: str) -> str:
    """A label in lower case and English without splits and the words that may open a heading."""
    words = [word for word in names.words(label.strip(_DECORATION)) if names.split_word(word) is None]
    if len(words) > 1 and words[-1] in ("idx", "index", "id", "no", "num", "number", "#"):
        del words[-1]
    while len(words) > 1 and words[0] in OPENERS:
        del words[0]
    return " ".join(words)


def quantity_at(label: str) -> tuple[str, str] | None:
    """The measurement and the counter of ``Training loss at epoch``, or None."""
    found = _QUANTITY.match(label)
    if not found or kind_of(found["counter"], None, frozenset()) is None:
        return None
    known = names.role(names.parse(found["quantity"]).metric) not in ("other", "count")
    return (found["quantity"], found["counter"]) if known else None
