"""One step: gradients shard by shard, summed in a fixed tree, so that the bits do not depend on who computed them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from postmortem.errors import ConfigError, Problem
from postmortem.trainer.fetch import rows_of
from postmortem.trainer.keys import key
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.task import Array, Rows, Split, Task, samples
from postmortem.trainer.world import World

_CHUNK = 256  # samples evaluated at once; part of what a run is, since a row's bits depend on the size of its batch

Tensors = list[torch.Tensor] | tuple[torch.Tensor, ...]


def tree_sum(parts: Sequence[Tensors]) -> Tensors:
    """The sum of the parts by neighbouring pairs, then pairs of pairs; each part is a list of tensors.

    For a power of two, the sum of a neighbouring group is a subtree: each process may sum its own shards first.
    Nothing is added in place, since autograd may give two parameters one and the same tensor.
    """
    while len(parts) > 1:
        pairs = [torch._foreach_add(a, b) for a, b in zip(parts[::2], parts[1::2], strict=False)]
        parts = [*pairs, *parts[2 * len(pairs) :]]
    return parts[0]


def rate_at(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The learning rate of a step: a pure function, clamped at the planned end.

    ``steps_per_epoch`` is what the schedule was made for. A loader that takes more steps runs past its end.
    """
    if step < recipe.warmup_steps:
        return recipe.lr_multiplier * recipe.lr * (step + 1) / recipe.warmup_steps
    total = max(1, recipe.epochs * steps_per_epoch - recipe.warmup_steps)
    done = min(1.0, (step - recipe.warmup_steps) / total)
    share = {
        "constant": 1.0,
        "linear": 1 - done,
        "cosine": (1 + math.cos(math.pi * done)) / 2,
        "exponential": recipe.gamma ** (step // max(1, steps_per_epoch)),
    }[recipe.scheduler]
    low = recipe.min_lr if recipe.scheduler in ("linear", "cosine") else 0.0
    return recipe.lr_multiplier * (low + (recipe.lr - low) * share)


@dataclass(frozen=True)
class Done:
    """What a step gave: the sum of its losses, its samples, and the norm of the gradient before clipping."""

    loss_sum: float
    samples: int
    grad_norm: float


@dataclass(frozen=True)
class Evaluation:
    """The mean loss over a split, and its metrics."""

    loss: float
    metrics: dict[str, float]


class Engine:
    """The model and its optimizer, and the two things that are done with them: a step, and an evaluation."""

    def __init__(self, task: Task, recipe: Recipe, world: World, device: torch.device) -> None:
        self._task, self._recipe, self._world, self._device = task, recipe, world, device
        with _own_rng(device):
            torch.default_generator.manual_seed(key(recipe.seed, "model"))  # models are made on the CPU
            self.model = task.model(recipe).to(device)
        if recipe.strict:
            _refuse_batch_statistics(self.model)
        self._parameters = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = _optimizer(recipe, self._parameters)

    def step(self, number: int, parts: Sequence[Sequence[Rows]], count: int, lr: float) -> Done:
        """Trains on one global batch.

        Args:
            number: The step.
            parts: For each rank here, the rows of each of its shards.
            count: Samples in the global batch, over all ranks.
            lr: The learning rate.
        """
        self.model.train()
        sums, losses = [], []
        with _own_rng(self._device):
            for rank, shards in zip(self._world.here, parts, strict=True):
                computed = [
                    self._gradient(rows, count, key(self._recipe.seed, "step", number, rank * len(shards) + at))
                    for at, rows in enumerate(shards)
                ]
                sums.append(_flat(tree_sum([gradient for gradient, _ in computed])))
                losses.append(_sums([each for _, each in computed]))
        (gradient,) = tree_sum([[each] for each in self._world.gather(sums)])
        loss_sum = math.fsum(torch.cat(self._world.gather(losses)).tolist())
        return Done(loss_sum, count, self._apply(gradient, lr))

    def _gradient(self, rows: Rows, count: int, seed: int) -> tuple[Tensors, torch.Tensor]:
        """Gradient of the shard's part of the mean loss, a tensor for each parameter, and its losses."""
        if len(rows["id"]) == 0:  # an empty shard takes part, with nothing
            return [torch.zeros_like(each) for each in self._parameters], torch.zeros(0, device=self._device)
        _seed(self._device, seed)
        with self._autocast():
            losses = self._task.losses(self.model, _on(rows, self._device))
        # The gradient of sum(losses) / count, without a sum and a division to go back through.
        share = torch.full_like(losses, 1 / count)
        found = torch.autograd.grad(losses, self._parameters, share, allow_unused=True, materialize_grads=True)
        return found, losses.detach()

    def _apply(self, gradient: torch.Tensor, lr: float) -> float:
        norm = float(gradient.norm())
        if self._recipe.clip is not None and norm > self._recipe.clip:
            gradient = gradient * (self._recipe.clip / norm)
        pieces = torch.split(gradient, [each.numel() for each in self._parameters])
        for parameter, piece in zip(self._parameters, pieces, strict=True):
            parameter.grad = piece.view_as(parameter)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return norm

    def evaluate(self, split: Split, readers: int = 1) -> Evaluation:
        """Loss and metrics over a split, each id once; ``readers`` repeats every sample as careless workers do."""
        self.model.eval()
        ids = np.repeat(np.arange(samples(split)), readers)
        chunks = [ids[at : at + _CHUNK] for at in range(0, len(ids), _CHUNK)]
        size = self._world.size
        # One process here stands for all ranks, so it takes all chunks; otherwise each takes every size-th.
        mine = [at for at in range(len(chunks)) if at % size in self._world.here]
        computed = {at: self._evaluated(rows_of(split, chunks[at])) for at in mine}
        merged = {at: found for each in self._world.collect(computed) for at, found in each.items()}
        losses = np.concatenate([merged[at][0] for at in range(len(chunks))])
        outputs = np.concatenate([merged[at][1] for at in range(len(chunks))])
        rows = {name: values[ids] for name, values in split.items()}
        return Evaluation(float(np.mean(losses)), self._task.metrics(outputs, rows, self._recipe))

    def _evaluated(self, rows: Rows) -> tuple[Array, Array]:
        rows = _on(rows, self._device)
        with torch.no_grad(), self._autocast():
            losses = self._task.losses(self.model, rows)
            outputs = self._task.outputs(self.model, rows)
        return losses.cpu().double().numpy(), outputs.float().cpu().numpy()

    def _autocast(self) -> AbstractContextManager[Any]:
        if self._recipe.precision == "fp32":
            return nullcontext()
        low: AbstractContextManager[Any] = torch.autocast(self._device.type, dtype=torch.bfloat16)
        return low

    def state(self) -> dict[str, Any]:
        """All that a step depends on, apart from its number: there is no state of a generator."""
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Takes up a state."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])

    def digest(self) -> str:
        """SHA-256 over the bytes of all parameters, buffers and optimizer state."""
        seen = sha256()
        inner = self.optimizer.state_dict()["state"]
        moments = {f"{at}.{name}": value for at, each in inner.items() for name, value in each.items()}
        for name, value in (*self.model.state_dict().items(), *sorted(moments.items())):
            tensor = torch.as_tensor(value).detach().cpu().contiguous()
            seen.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
            seen.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return seen.hexdigest()


def _flat(tensors: Tensors) -> torch.Tensor:
    return torch.cat([each.reshape(-1) for each in tensors])


def _sums(losses: Sequence[torch.Tensor]) -> torch.Tensor:
    """The exact sum of each shard's losses, rounded once to float64: on the CPU, where every device can give it."""
    values = iter(torch.cat(list(losses)).tolist())  # one wait for the device, not one a shard
    sums = [math.fsum(islice(values, len(each))) for each in losses]
    return torch.tensor(sums, dtype=torch.float64)


def _own_rng(device: torch.device) -> AbstractContextManager[None]:
    """Draws inside leave the caller's generators where they were."""
    devices = [device] if device.type == "cuda" else []
    return torch.random.fork_rng(devices=devices)  # type: ignore[no-any-return,no-untyped-call,unused-ignore]


def _seed(device: torch.device, seed: int) -> None:
    """Seeds the generator that dropout draws from; ``torch.manual_seed`` takes a millisecond to seed all devices."""
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


def _on(rows: Rows, device: torch.device) -> Rows:
    return rows if device.type == "cpu" else {name: each.to(device) for name, each in rows.items()}


def _optimizer(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, foreach=False
        )
    fused = all(each.device.type in ("cpu", "cuda") for each in parameters)
    return torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=fused)


def _refuse_batch_statistics(model: nn.Module) -> None:
    named = [name for name, each in model.named_modules() if isinstance(each, nn.modules.batchnorm._BatchNorm)]
    if named:
        hint = "use GroupNorm or LayerNorm, or strict: false"
        raise ConfigError(
            Problem(f"{named[0]} normalises by batch, so the number of shards would change the model", hint=hint)
        )
