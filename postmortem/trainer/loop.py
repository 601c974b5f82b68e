"""The training loop. The step is the only clock: rate, batch, shards and random numbers are functions of it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch

from postmortem import names
from postmortem.errors import ConfigError, Problem
from postmortem.trainer import device as devices
from postmortem.trainer.engine import Done, Engine, rate_at
from postmortem.trainer.fetch import Fetched, Steps, fetched
from postmortem.trainer.journal import Journal, Row, replace
from postmortem.trainer.plan import Plan
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Split, Task, find, samples, take
from postmortem.trainer.ways import Tally
from postmortem.trainer.world import StuckError, World, joined

CHECKPOINT = "checkpoint.pt"


@dataclass
class Position:
    """How far training is: with the model and the optimizer, the whole checkpoint.

    Attributes:
        reads: Times each sample was read in the epoch under way.
        rows: The epochs so far, as logged.
    """

    reads: torch.Tensor
    step: int = 0
    loss_sum: float = 0.0
    count: int = 0
    steps: int = 0
    grad_norm: float = 0.0
    waited: float = 0.0
    rows: list[Row] = field(default_factory=list)

    def add(self, done: Done, given: Fetched) -> None:
        """Counts a step."""
        self.step += 1
        self.steps += 1
        self.loss_sum += done.loss_sum
        self.count += done.samples
        self.grad_norm = max(self.grad_norm, done.grad_norm)
        read = torch.cat([rows["id"] for part in given.parts for rows in part])
        self.reads += torch.bincount(read, minlength=len(self.reads))

    def next_epoch(self) -> None:
        """Begins to count anew."""
        self.loss_sum, self.count, self.steps, self.grad_norm, self.waited = 0.0, 0, 0, 0.0, 0.0
        self.reads = torch.zeros_like(self.reads)


@dataclass(frozen=True)
class Result:
    """A training that ended.

    Attributes:
        rows: A row an epoch, as in ``metrics.jsonl``.
        digest: SHA-256 of parameters and optimizer state.
        stopped: Why it ended: ``planned``, ``early``, ``asked`` or ``stuck``.
    """

    rows: tuple[Row, ...]
    digest: str
    steps: int
    stopped: str


def train(
    recipe: Recipe,
    out: Path | None = None,
    *,
    device: str = "cpu",
    resume: bool = False,
    stop_at: int | None = None,
    notes: Mapping[str, str] | None = None,
    settings: Row | None = None,
) -> Result:
    """Trains as the recipe says.

    Args:
        recipe: What to do.
        out: Folder for logs and checkpoints; None writes nothing.
        device: ``cpu``, ``cuda``, ``mps`` or ``auto``.
        resume: Go on from the checkpoint in ``out``, with any number of processes and workers.
        stop_at: Stop, with a checkpoint, after this step.
        notes: Remarks to write behind fields of the recipe.
        settings: More facts for the head of the log.

    Raises:
        ConfigError: The recipe cannot be honoured here.
        StuckError: Loader workers or other processes gave nothing in time.
    """
    where = devices.choose(device)
    with devices.settled(where), joined(recipe.world_size, where) as world:
        run = Run(recipe, world, where, out)
        if resume:
            run.restore()
        else:
            run.begin(notes or {}, settings)
        return run.go(math.inf if stop_at is None else stop_at)


class Run:
    """One training under way."""

    def __init__(self, recipe: Recipe, world: World, device: torch.device, out: Path | None) -> None:
        self._recipe, self._world, self._device = recipe, world, device
        self._leads = 0 in world.here
        self._out = out if self._leads else None
        self._saved = out / CHECKPOINT if out else None
        self._journal = Journal(self._out)
        self._task: Task = find(recipe)
        self._train, self._val = self._data()
        self._plan: Plan = recipe.plan(samples(self._train))
        self._scheduled = recipe.exact_plan(samples(self._train)).steps_per_epoch
        self._engine = Engine(self._task, recipe, world, device)
        self._at = Position(torch.zeros(samples(self._train), dtype=torch.int64))

    def _data(self) -> tuple[Split, Split]:
        train, val = self._task.data(self._recipe)
        return take(train, self._recipe.n_train, "the training set"), take(
            val, self._recipe.n_val, "the validation set"
        )

    def begin(self, notes: Mapping[str, str], settings: Row | None) -> None:
        """Writes the head of the log, and forgets an earlier run in the same folder."""
        if self._out:
            for name in ("train.log", "metrics.jsonl", "steps.csv", CHECKPOINT):
                (self._out / name).unlink(missing_ok=True)
        sizes = {"n_train": samples(self._train), "n_val": samples(self._val)}
        self._journal.begin(self._recipe, {**sizes, "steps_per_epoch": self._plan.steps_per_epoch}, notes, settings)
        self._journal.say("reproducibility: " + devices.tier(self._device, self._recipe.strict, self._plan.shards))

    def go(self, stop_at: float) -> Result:
        """The loop."""
        per_epoch, stopped = self._plan.steps_per_epoch, "planned"
        began = time.perf_counter()
        for given, waited in self._fetched(range(self._at.step, self._recipe.epochs * per_epoch)):
            number = self._at.step
            lr = rate_at(self._recipe, number, self._scheduled)
            done = self._engine.step(number, given.parts, given.count, lr)
            self._at.add(done, given)
            self._at.waited += waited
            self._log_step(done, lr)
            if self._at.step % per_epoch == 0:
                self._end_epoch(lr, time.perf_counter() - began)
                began = time.perf_counter()
                if self._should_stop():
                    stopped = "early"
                    break
            elif self._recipe.checkpoint_every and self._at.step % self._recipe.checkpoint_every == 0:
                self._save()
            if self._at.step >= stop_at:
                self._save()
                return Result(tuple(self._at.rows), self._engine.digest(), self._at.step, "asked")
        return self._finish(stopped)

    def _fetched(self, wanted: range) -> Iterator[tuple[Fetched, float]]:
        """The rows of each step, and the seconds that were spent waiting for them."""
        steps = Steps(self._train, self._plan, self._recipe, self._world.here, self._world.size)
        rows = fetched(steps, wanted)
        while True:
            asked = time.perf_counter()
            try:
                given = next(rows, None)
            except StuckError as error:
                self._journal.say(f"training failed: {error.problems[0].message}")
                raise
            if given is None:
                return
            yield given, time.perf_counter() - asked

    def _log_step(self, done: Done, lr: float) -> None:
        every, evaluate = self._recipe.log_every, self._recipe.eval_every
        if not every or self._at.step % every:
            return
        row: Row = {"step": self._at.step, "train_loss": done.loss_sum / done.samples, "lr": lr}
        if evaluate and self._at.step % evaluate == 0:
            batch = np.arange(self._at.step, self._at.step + self._recipe.batch_size) % samples(self._val)
            one = {name: values[batch] for name, values in self._val.items()}
            row["valid_loss"] = self._engine.evaluate(one).loss
            if self._at.step % self._plan.steps_per_epoch == 0:
                row["full_valid_loss"] = self._engine.evaluate(self._val).loss
        self._journal.step(row)

    def _end_epoch(self, lr: float, seconds: float) -> None:
        at, read = self._at, self._read()
        row: Row = {
            "epoch": at.step // self._plan.steps_per_epoch,
            "step": at.step,
            "lr": lr,
            "train_loss": at.loss_sum / max(1, at.count),
            **self._evaluated(),
            "grad_norm": at.grad_norm,
            "samples": read.read,
            "unique_samples": read.unique,
            "step_time": round(seconds / max(1, at.steps), 6),
            "data_time": round(at.waited / max(1, at.steps), 6),
        }
        at.rows.append(row)
        at.next_epoch()
        self._journal.epoch(row, self._recipe.epochs)
        self._save()

    def _evaluated(self) -> Row:
        val = self._engine.evaluate(self._val, self._recipe.eval_readers)
        row: Row = {"val_loss": val.loss, **{f"val_{name}": value for name, value in val.metrics.items()}}
        if self._recipe.eval_train:
            train = self._engine.evaluate(self._train)
            row |= {f"train_{name}": value for name, value in train.metrics.items()}
        return row

    def _read(self) -> Tally:
        """What all processes read in the epoch, counted from the rows they trained on."""
        reads = sum(self._world.collect(self._at.reads))
        return Tally(np.asarray(reads), (self._at.steps,) * self._world.size)

    def _should_stop(self) -> bool:
        """Whether the monitored value has not been better for ``patience`` epochs."""
        if not self._recipe.patience:
            return False
        name = self._recipe.monitor
        if name not in self._at.rows[-1]:
            raise ConfigError(Problem(f"{name!r} is not logged", hint=f"monitor one of {', '.join(self._at.rows[-1])}"))
        sign = -1.0 if names.direction(names.parse(name).metric) == "max" else 1.0
        values = [sign * row[name] for row in self._at.rows]
        since = len(values) - 1 - values.index(min(values))
        if since < self._recipe.patience:
            return False
        self._journal.say(f"early stopping: {name} was best {since} epochs ago")
        return True

    def _finish(self, stopped: str) -> Result:
        digest = self._engine.digest()
        self._journal.say(f"training finished after {self._at.step} steps, params_sha256={digest}")
        return Result(tuple(self._at.rows), digest, self._at.step, stopped)

    def _save(self) -> None:
        """A checkpoint: model, optimizer and position. Written whole or not at all, by the leading process."""
        reads = sum(self._world.collect(self._at.reads))
        if self._saved is None or not self._leads:
            return
        held = {**asdict(self._at), "reads": reads}
        content = BytesIO()
        torch.save({"recipe": self._recipe.digest, "at": held, **self._engine.state()}, content)
        replace(self._saved, content.getvalue())

    def restore(self) -> None:
        """Takes up the checkpoint.

        Raises:
            ConfigError: There is none, or it belongs to another recipe.
        """
        if self._saved is None or not self._saved.is_file():
            raise ConfigError(Problem(f"there is no checkpoint {self._saved}", hint="run without --resume first"))
        held: dict[str, Any] = torch.load(self._saved, map_location=self._device, weights_only=True)
        if held["recipe"] != self._recipe.digest:
            hint = "resume with the recipe in the folder, or choose another folder"
            raise ConfigError(Problem(f"the checkpoint belongs to recipe {held['recipe'][:12]}", hint=hint))
        self._engine.restore(held)
        self._at = Position(**held["at"])
        self._at.reads = self._at.reads.cpu() * int(self._leads)  # the leading process carries what all have read
        self._journal.say(f"resumed from step {self._at.step}")
