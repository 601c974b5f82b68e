"""A recipe: everything that decides what a training computes, checked, frozen and hashed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from postmortem import yamlfile
from postmortem.errors import ConfigError, Problem
from postmortem.trainer.catalog import TASKS, Option
from postmortem.trainer.plan import Plan, ShardPlan
from postmortem.trainer.ways import SuspectPlan

TOPOLOGY = ("world_size", "num_workers", "worker_start", "loader_timeout")
"""Fields that change nothing while samples are shared out exactly once."""

_QUIET = ("log_every", "checkpoint_every")  # fields that change what is written, not what is computed


class Recipe(BaseModel):
    """What is trained, on what, and how; the ``Field`` descriptions say what each key means."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: str = Field("digits", description="A task of the catalogue, or module:Class of one's own.")
    data: str | None = Field(None, description="Fragments (.npz, .parquet) of one's own data, as a glob pattern.")
    seed: int = Field(0, ge=0, lt=2**63)
    n_train: int | None = Field(None, ge=0, description="Training samples; all of them when not given.")
    n_val: int | None = Field(None, ge=0, description="Validation samples.")
    epochs: int = Field(10, ge=0)
    batch_size: int = Field(64, ge=1, description="Samples in a step, over all processes together.")
    lr: float = Field(1e-3, ge=0)
    lr_multiplier: float = Field(1.0, ge=0, description="Factor on all rates, as hosted fine-tuning has it.")
    optimizer: Literal["adamw", "sgd"] = "adamw"
    momentum: float = Field(0.9, ge=0, lt=1, description="Of sgd.")
    weight_decay: float = Field(0.0, ge=0)
    scheduler: Literal["constant", "linear", "cosine", "exponential"] = "constant"
    min_lr: float = Field(0.0, ge=0, description="Where linear and cosine end.")
    gamma: float = Field(0.95, gt=0, le=1, description="Factor an epoch of exponential.")
    warmup_steps: int = Field(0, ge=0)
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient.")
    dropout: float = Field(0.0, ge=0, lt=1)
    augment: float = Field(0.0, ge=0, description="Standard deviation of the noise added to the inputs.")
    precision: Literal["fp32", "bf16"] = "fp32"
    patience: int = Field(0, ge=0, description="Epochs without a better value after which to stop; 0: never.")
    monitor: str = Field("val_loss", description="The value that patience watches.")
    eval_train: bool = Field(False, description="Also evaluate the training samples after each epoch.")
    eval_readers: int = Field(1, ge=1, description="Workers that each read the whole evaluation set; 1 is right.")
    eval_every: int = Field(0, ge=0, description="Also evaluate one batch every so many steps; 0: never.")
    log_every: int = Field(0, ge=0, description="Log the loss every so many steps; 0: by epoch only.")
    checkpoint_every: int = Field(0, ge=0, description="Save every so many steps; 0: at the end of each epoch.")
    item_cost: float = Field(0.0, ge=0, description="Seconds that reading one sample takes, on purpose.")
    sharding: Literal["exact", "rank-only", "rank-and-worker", "unsharded", "padded", "drop-last"] = "exact"
    reshuffle: bool = Field(True, description="Whether each epoch has an order of its own.")
    shards: int = Field(8, ge=1, le=1024, description="Into how many shards a batch is cut, a power of two.")
    strict: bool = Field(True, description="The same bits for any number of processes; else one shard a process.")
    world_size: int = Field(1, ge=1, le=1024)
    num_workers: int = Field(0, ge=0, le=256)
    worker_start: Literal["safe", "fork"] = Field("safe", description="fork is the fault: it hangs after threads.")
    loader_timeout: float = Field(120.0, gt=0, description="Seconds to wait for loader workers before giving up.")
    options: dict[str, Option] = Field(default_factory=dict, description="Choices within the task.")

    @model_validator(mode="before")
    @classmethod
    def _on_the_task(cls, given: Any) -> Any:
        """Fills in what suits the task."""
        if not isinstance(given, Mapping) or (entry := TASKS.get(str(given.get("task", "digits")))) is None:
            return given
        options = given.get("options", {})
        merged = {**entry.options, **options} if isinstance(options, Mapping) else options
        return {**entry.recipe, **given, "options": merged}

    @field_validator("task")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in TASKS and ":" not in name:
            near = yamlfile.did_you_mean(name, list(TASKS), "tasks")
            raise _refused(f"there is no such task: {name}", f"{near} One of your own is written module:Class")
        return name

    @field_validator("shards")
    @classmethod
    def _form_a_tree(cls, shards: int) -> int:
        if shards & (shards - 1):
            raise _refused(f"{shards} is no power of two, so the sums would not form a tree", "use 1, 2, 4, 8, 16, ...")
        return shards

    @field_validator("world_size")
    @classmethod
    def _share_the_shards(cls, world: int, info: ValidationInfo) -> int:
        shards = info.data.get("shards", world)
        if info.data.get("strict") and shards % world:
            fit = ", ".join(str(2**k) for k in range(shards.bit_length()))
            raise _refused(f"{world} processes cannot share {shards} shards evenly", f"use {fit}, or strict: false")
        return world

    @field_validator("options")
    @classmethod
    def _of_the_task(cls, options: dict[str, Option], info: ValidationInfo) -> dict[str, Option]:
        if (entry := TASKS.get(info.data.get("task", ""))) is None:
            return options  # a task of one's own knows its options
        for name in options:
            if name not in entry.options:
                hint = yamlfile.did_you_mean(name, list(entry.options), "options") or "leave the options out"
                raise _refused(f"the task {info.data['task']} has no option {name!r}", hint)
        return options

    @property
    def digest(self) -> str:
        """64 hexadecimal digits that two recipes share exactly if they compute the same."""
        fields = self.model_dump(exclude=set(_QUIET))
        if self.sharding == "exact" and self.strict:
            fields = {name: value for name, value in fields.items() if name not in TOPOLOGY}
        return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()

    def plan(self, samples: int | None = None) -> Plan:
        """What is read when, for as many samples as there really are.

        Raises:
            ConfigError: The number of samples is not known.
        """
        count = self.n_train if samples is None else samples
        if count is None:
            raise ConfigError(Problem("the number of training samples is not known", hint="state n_train"))
        base = self.exact_plan(count)
        if self.sharding == "exact":
            return base
        return SuspectPlan(base, self.sharding, self.world_size, self.num_workers)

    def exact_plan(self, samples: int) -> ShardPlan:
        """What should be read when."""
        shards = self.shards if self.strict else self.world_size
        return ShardPlan(samples, self.batch_size, shards, self.seed, self.reshuffle)

    def changed(self, **fields: object) -> Recipe:
        """The recipe with some fields changed; ``options`` are merged, not replaced.

        Raises:
            ConfigError: A field or value is not allowed.
        """
        given = {**self.model_dump(), **fields}
        if isinstance(new := fields.get("options"), Mapping):
            given["options"] = {**self.options, **new}
        return make(given)

    def to_yaml(self, notes: Mapping[str, str] | None = None) -> str:
        """The recipe as a file, with a remark behind the fields that have one."""
        lines = [f"# recipe {self.digest}"]
        for name, value in self.model_dump(exclude={"options"}).items():
            lines.append(f"{name}: {json.dumps(value)}" + (f"  # {notes[name]}" if notes and name in notes else ""))
        lines += ["options:", *(f"  {name}: {json.dumps(value)}" for name, value in self.options.items())]
        return "\n".join(lines if self.options else lines[:-1]) + "\n"


def _refused(message: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{message}", {"message": message, "hint": hint})


def make(fields: Mapping[str, object]) -> Recipe:
    """A recipe of these fields.

    Raises:
        ConfigError: A field or value is not allowed; names every one.
    """
    given = {"task": "digits", **fields}
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in given.items())
    return yamlfile.validate(Recipe, yamlfile.load(text, "the recipe"), ConfigError)


def load(path: Path, task: str | None = None) -> Recipe:
    """Reads a recipe file, and puts it on another task if one is named; the options are left behind then.

    Raises:
        ConfigError: The file is wrong; every problem with its place.
    """
    document = yamlfile.load(path, error=ConfigError)
    recipe = yamlfile.validate(Recipe, document, ConfigError)
    if task is None or task == recipe.task:
        return recipe
    return make({name: value for name, value in document.data.items() if name != "options"} | {"task": task})


def parse_value(text: str) -> object:
    """A value as it stands in YAML: ``1e-3`` is a number, ``true`` a truth, ``digits`` a text."""
    value: Any = yamlfile.load(f"value: {text}\n", "--set").data
    return value["value"]


def with_settings(recipe: Recipe, settings: Mapping[str, str]) -> Recipe:
    """The recipe with ``KEY=VALUE`` pairs applied; ``options.NAME`` reaches into the options.

    Raises:
        ConfigError: A key or value is not allowed.
    """
    values = {name: parse_value(text) for name, text in settings.items()}
    options = {name.removeprefix("options."): v for name, v in values.items() if name.startswith("options.")}
    fields = {name: v for name, v in values.items() if not name.startswith("options.")}
    return recipe.changed(**fields, options=options)
