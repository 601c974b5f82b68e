"""What the reference trainer costs, and what it keeps that others lose, against the usual loaders and loop.

Contenders take turns, and each shows its fastest round: what else the machine does makes rounds slower, never faster.

    python -m benchmarks.trainer [--rounds 5] [--workers]     needs the extra [trainer]; --workers adds their starts
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, DistributedSampler, TensorDataset, default_collate

from benchmarks.table import show
from postmortem.trainer import ExactlyOnceSampler, ShardPlan, none_if_empty
from postmortem.trainer.device import settled
from postmortem.trainer.engine import Engine
from postmortem.trainer.fetch import Steps, fetched
from postmortem.trainer.loop import train
from postmortem.trainer.plan import order
from postmortem.trainer.recipe import Recipe, make
from postmortem.trainer.task import find
from postmortem.trainer.ways import ranks, tally
from postmortem.trainer.world import Alone

CPU = torch.device("cpu")


def fastest(contenders: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of the fastest of some rounds, in each of which every contender has its turn."""
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            began = time.perf_counter()
            work()
            taken[name].append(time.perf_counter() - began)
    return {name: min(each) for name, each in taken.items()}


class Vectorised(Dataset[Any]):
    """Rows fetched a batch at a time, through ``__getitems__``."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self._x, self._y = x, y

    def __len__(self) -> int:
        return len(self._y)

    def __getitems__(self, ids: list[int]) -> Any:
        return self._x[ids], self._y[ids]


def _read(loader: Iterable[object]) -> None:
    for _ in loader:
        pass


def data_path(rounds: int) -> None:
    """Microseconds a step of one epoch over rows in memory."""
    count, batch = 20_000, 64
    x, y = torch.randn(count, 64), torch.randint(0, 10, (count,))
    plan = ShardPlan(count, batch)
    rows = TensorDataset(x, y)
    collate = none_if_empty(default_collate)
    recipe = make({"n_train": count, "batch_size": batch})
    steps = Steps({"x": x.numpy(), "y": y.numpy()}, plan, recipe, range(1), 1)
    whole = Steps({"x": x.numpy(), "y": y.numpy()}, ShardPlan(count, batch, 1), recipe, range(1), 1)
    sampler = DistributedSampler(rows, 1, 0)
    contenders: dict[str, Callable[[], object]] = {
        "DataLoader(shuffle=True)": lambda: _read(DataLoader(rows, batch, shuffle=True)),
        "DistributedSampler": lambda: _read(DataLoader(rows, batch, sampler=sampler)),
        "ExactlyOnceSampler": lambda: _read(
            DataLoader(rows, batch_sampler=ExactlyOnceSampler(plan), collate_fn=collate)
        ),
        "ExactlyOnceSampler, __getitems__": lambda: _read(
            DataLoader(Vectorised(x, y), batch_sampler=ExactlyOnceSampler(plan), collate_fn=lambda rows: rows)
        ),
        "trainer, 1 shard": lambda: _read(fetched(whole, range(plan.steps_per_epoch))),
        "trainer, 8 shards": lambda: _read(fetched(steps, range(plan.steps_per_epoch))),
    }
    taken = fastest(contenders, rounds)
    floor = taken["DataLoader(shuffle=True)"]
    table = [[name, 1e6 * each / plan.steps_per_epoch, each / floor] for name, each in taken.items()]
    show(("data path, 20,000 rows of 64, batch 64", "us a step", "x DataLoader"), table)


def coverage() -> None:
    """Samples repeated and lost in one epoch of 1,797 over 8 processes."""
    samples, world, batch = 1797, 8, 32
    rows = range(samples)
    read: dict[str, list[list[np.ndarray]]] = {
        "DistributedSampler": [[np.array(list(DistributedSampler(rows, world, rank)))] for rank in range(world)],
        "DistributedSampler, drop_last": [
            [np.array(list(DistributedSampler(rows, world, rank, drop_last=True)))] for rank in range(world)
        ],
        "ShardPlan": ranks(ShardPlan(samples, batch), "exact", 0, world, 0),
    }
    try:
        from accelerate.data_loader import BatchSamplerShard  # noqa: PLC0415  a rival that may be missing
        from torch.utils.data import BatchSampler, SequentialSampler  # noqa: PLC0415

        whole = BatchSampler(SequentialSampler(rows), batch, drop_last=False)
        read["accelerate BatchSamplerShard"] = [
            [np.array(ids) for ids in BatchSamplerShard(whole, world, rank)] for rank in range(world)
        ]
    except ImportError:
        print("accelerate is not installed and left out")
    table = []
    for name, batches in read.items():
        found = tally(samples, batches)
        table.append([name, found.repeated, found.missing])
    show(("1,797 samples on 8 processes", "repeated", "lost"), table)


def strict_cost(rounds: int) -> None:
    """Milliseconds a step with 8 shards against 1, and what torch alone takes for the batch in one piece and in 8."""
    table = []
    for name, fields in {
        "perceptron, batch 64": {"task": "digits", "batch_size": 64},
        "perceptron, batch 256": {"task": "digits", "batch_size": 256},
        "convolutions 24x24, batch 64": {"task": "arcs", "n_train": 512, "batch_size": 64, "options": {"size": 24}},
        "convolutions 24x24, batch 256": {"task": "arcs", "n_train": 512, "batch_size": 256, "options": {"size": 24}},
        "convolutions 64x64, batch 64": {"task": "arcs", "n_train": 512, "batch_size": 64},
        "convolutions 64x64, batch 256": {"task": "arcs", "n_train": 512, "batch_size": 256},
    }.items():
        cut = {shards: make(fields).changed(shards=shards) for shards in (1, 8)}
        contenders = {f"torch {shards}": _backward_only(recipe) for shards, recipe in cut.items()}
        contenders |= {f"trainer {shards}": _steps(recipe) for shards, recipe in cut.items()}
        ms = {name: 1e3 * each / _STEPS for name, each in fastest(contenders, rounds).items()}
        ratios = [ms[f"{whose} 8"] / ms[f"{whose} 1"] for whose in ("trainer", "torch")]
        table.append([name, ms["trainer 1"], ms["trainer 8"], *ratios])
    show(("one step", "1 shard, ms", "8 shards, ms", "x", "x, torch alone"), table)


def _backward_only(recipe: Recipe) -> Callable[[], None]:
    """Losses and gradients of each shard and nothing else: no random numbers, no sum in a tree, no optimizer."""
    task = find(recipe)
    split, _ = task.data(recipe)
    model = task.model(recipe)
    given = Steps(split, recipe.plan(), recipe, range(1), 1)[0]

    def work() -> None:
        with settled(CPU):
            for _ in range(_STEPS):
                for rows in given.parts[0]:
                    (task.losses(model, rows).sum() / given.count).backward()
                model.zero_grad()

    return work


_STEPS = 10


def _steps(recipe: Recipe) -> Callable[[], None]:
    task = find(recipe)
    split, _ = task.data(recipe)
    engine = Engine(task, recipe, Alone(), CPU)
    steps = Steps(split, recipe.plan(), recipe, range(1), 1)
    given = steps[0]

    def work() -> None:
        with settled(CPU):
            for number in range(_STEPS):
                engine.step(number, given.parts, given.count, 1e-3)

    return work


def whole_run(rounds: int) -> None:
    """Twenty epochs on the digits, evaluation and history included, against the loop everybody writes."""
    recipe = make({"scheduler": "constant"})
    contenders: dict[str, Callable[[], object]] = {
        "plain loop": lambda: _plain(recipe),
        "trainer, 1 shard": lambda: train(recipe.changed(shards=1)),
        "trainer, 8 shards (strict)": lambda: train(recipe),
    }
    taken = fastest(contenders, rounds)
    floor = taken["plain loop"]
    show(("digits, 460 steps", "s", "x"), [[name, each, each / floor] for name, each in taken.items()])


def _plain(recipe: Recipe) -> None:
    task = find(recipe)
    train_split, val = task.data(recipe)
    rows = TensorDataset(torch.from_numpy(train_split["x"]), torch.from_numpy(train_split["y"]))
    x, y = torch.from_numpy(val["x"]), torch.from_numpy(val["y"])
    with settled(CPU):
        model = task.model(recipe)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.lr, weight_decay=0.0, fused=True)
        for _ in range(recipe.epochs):
            for inputs, labels in DataLoader(rows, recipe.batch_size, shuffle=True):
                loss = torch.nn.functional.cross_entropy(model(inputs), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            with torch.no_grad():
                float(torch.nn.functional.cross_entropy(model(x), y))


def topologies() -> None:
    """How many different results 12 topologies and a resume give."""
    base = make({"n_train": 437, "epochs": 2, "dropout": 0.1, "augment": 0.01})
    found = {
        train(base.changed(world_size=world, num_workers=workers)).digest
        for world in (1, 2, 4, 8)
        for workers in (0, 2, 4)
    }
    print(f"\n4 worlds x 3 worker counts: {len(found)} different result{'s' * (len(found) > 1)}")


def resume_state(rounds: int) -> None:
    """What a resume must rebuild."""
    sizes = (20_000, 1_000_000)
    taken = fastest({str(size): lambda size=size: order.__wrapped__(size, 0, 1) for size in sizes}, rounds)
    table = [[f"{int(name):,} samples", 1, 1e3 * each] for name, each in taken.items()]
    show(("resume", "integers of state", "order rebuilt, ms"), table)


def worker_start(rounds: int) -> None:
    """Seconds until the first batch of loader workers."""
    rows = TensorDataset(torch.randn(256, 8))
    torch.multiprocessing.get_context("forkserver").set_forkserver_preload(["torch", "postmortem.trainer.fetch"])
    contenders: dict[str, Callable[[], object]] = {
        f"{method}, {count} worker{'s' * (count > 1)}": lambda method=method, count=count: next(
            iter(DataLoader(rows, 8, num_workers=count, multiprocessing_context=method))
        )
        for method in ("spawn", "forkserver")
        for count in (1, 2)
    }
    taken = fastest(contenders, rounds)
    show(("first batch (forkserver with preload)", "s"), [[name, each] for name, each in taken.items()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    coverage()
    data_path(given.rounds)
    strict_cost(given.rounds)
    whole_run(given.rounds)
    resume_state(given.rounds)
    topologies()
    if given.workers:
        worker_start(given.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
