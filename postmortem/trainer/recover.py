"""A recipe from what a run states: each field recovered from a line, or assumed and said to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from postmortem.trainer.catalog import TASKS
from postmortem.trainer.recipe import Recipe, make, parse_value

_LARGER = 10  # times a task's usual size up to which a stated size is taken over


@dataclass(frozen=True)
class Fact:
    """What a run states under one key, and where."""

    value: str
    where: str


@dataclass(frozen=True)
class Recovered:
    """A recipe, and where each value comes from: ``recovered from FILE:LINE``, or ``assumed`` with a reason."""

    recipe: Recipe
    notes: Mapping[str, str]

    @property
    def recovered(self) -> tuple[str, ...]:
        """Fields that the run states."""
        return tuple(name for name, note in self.notes.items() if note.startswith("recovered"))

    @property
    def assumed(self) -> tuple[str, ...]:
        """Fields that it does not, or that could not be taken over."""
        return tuple(name for name, note in self.notes.items() if note.startswith("assumed"))


def facts_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Fact]:
    """The facts of a run by key, from the rows of its facts frame; the first statement of each counts."""
    found: dict[str, Fact] = {}
    for row in rows:
        if str(row["value"]) not in ("None", "null", ""):
            found.setdefault(row["key"], Fact(str(row["value"]), f"{row['source']}:{row['line']}"))
    return found


def recover(facts: Mapping[str, Fact], task: str | None = None) -> Recovered:
    """The recipe a run states.

    Args:
        facts: What it states, by canonical key.
        task: The task to run it on; by default the one it names, else digits.

    Raises:
        ConfigError: A stated value is out of the range a recipe allows.
    """
    reader = _Reader(facts)
    stated = facts.get("task")
    if task is None and stated and stated.value in TASKS:
        reader.take("task", stated.value, "task")
    else:
        # Code and files that a log names are never touched; the user names them.
        reader.assume("task", task or "digits", "given" if task else "the run names no task of the catalogue")
    for read in (_words, _numbers, _batch, _sizes, _options):
        read(reader)
    recipe = make(reader.fields)
    for name in Recipe.model_fields:
        reader.notes.setdefault(name, "assumed")
    return Recovered(recipe, {name: reader.notes[name] for name in Recipe.model_fields} | _confirmed(recipe, facts))


class _Reader:
    """Fields found so far, and where each comes from."""

    def __init__(self, facts: Mapping[str, Fact]) -> None:
        self.facts = facts
        self.fields: dict[str, Any] = {}
        self.notes: dict[str, str] = {}

    def take(self, field: str, value: object, *keys: str) -> None:
        places = dict.fromkeys(self.facts[key].where for key in keys)
        self.fields[field] = value
        self.notes[field] = f"recovered from {', '.join(places)}"

    def assume(self, field: str, value: object, reason: str) -> None:
        self.fields[field] = value
        self.notes[field] = f"assumed: {reason}"

    def number(self, key: str) -> float | None:
        value = parse_value(f'"{self.facts[key].value}"') if key in self.facts else None
        try:
            return float(str(value).replace(",", "").replace("_", "")) if value is not None else None
        except ValueError:
            return None


_SPELLINGS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "optimizer": (("sgd", "sgd"), ("adam", "adamw")),
    "scheduler": (
        ("cos", "cosine"),
        ("linear", "linear"),
        ("exp", "exponential"),
        ("const", "constant"),
        ("none", "constant"),
    ),
    "precision": (("bf16", "bf16"), ("bfloat16", "bf16"), ("fp32", "fp32"), ("float32", "fp32"), ("32", "fp32")),
}
"""What to look for in a stated word, and what it means here; the first that occurs counts."""


def _words(reader: _Reader) -> None:
    for field, spellings in _SPELLINGS.items():
        if field not in reader.facts:
            continue
        said = reader.facts[field].value
        meant = next((meaning for part, meaning in spellings if part in said.lower()), None)
        if meant is None:
            default = Recipe.model_fields[field].default
            reader.assume(field, default, f"{said!r} ({reader.facts[field].where}) is not known here")
        else:
            reader.take(field, meant, field)


def _numbers(reader: _Reader) -> None:
    """Fields that a run states under their own name; of another framework, the usual ones."""
    skip = {"task", "data", "options", "n_train", "n_val", "batch_size", *_SPELLINGS}
    for field in Recipe.model_fields.keys() - skip & reader.facts.keys():
        said = reader.facts[field].value
        try:
            value = make({field: parse_value(said)}).model_dump()[field]
        except Exception as error:  # whatever a log may state: the rest of it still counts
            reason = str(error).splitlines()[0].rpartition(": ")[2]
            reader.assume(
                field, Recipe.model_fields[field].default, f"{said!r} ({reader.facts[field].where}): {reason}"
            )
            reader.fields.pop(field)
        else:
            reader.take(field, value, field)


def _batch(reader: _Reader) -> None:
    whole = reader.number("global_batch_size")
    if whole:
        reader.take("batch_size", int(whole), "global_batch_size")
    elif each := reader.number("batch_size"):
        factors = [key for key in ("world_size", "grad_accum") if reader.number(key)]
        for key in factors:
            each *= reader.number(key) or 1
        reader.take("batch_size", int(each), "batch_size", *factors)


def _sizes(reader: _Reader) -> None:
    usual = TASKS[reader.fields["task"]].recipe if reader.fields["task"] in TASKS else {}
    own = "recipe_sha256" in reader.facts
    for field in ("n_train", "n_val"):
        stated, typical = reader.number(field), usual.get(field)
        if not stated:
            continue
        most = TASKS[reader.fields["task"]].most if usual else 0
        small = not typical or stated <= (int(typical) if most else _LARGER * int(typical))
        if own or small:
            reader.take(field, int(stated), field)
        else:
            reason = f"the run has {int(stated):,} ({reader.facts[field].where}); the task is kept to {typical:,}"
            reader.assume(field, typical, reason)


def _options(reader: _Reader) -> None:
    keys = [key for key in reader.facts if key.startswith("options_")]
    if keys:
        reader.take(
            "options", {key.removeprefix("options_"): parse_value(reader.facts[key].value) for key in keys}, *keys
        )


def _confirmed(recipe: Recipe, facts: Mapping[str, Fact]) -> dict[str, str]:
    """For a log of the trainer itself, whether the recipe is the one the log was made by."""
    stated = facts.get("recipe_sha256")
    if stated is None:
        return {}
    same = stated.value == recipe.digest
    return {"recipe": f"{'recovered' if same else 'assumed'}: the log states the digest {stated.value[:12]}"}
