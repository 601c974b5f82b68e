"""The engine: the same bits whatever the topology, wherever it was stopped; and the right gradient."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.errors import ConfigError
from postmortem.trainer.recipe import Recipe, make

torch = pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'trainer')")

from postmortem.trainer.device import settled  # noqa: E402
from postmortem.trainer.engine import Engine, rate_at, tree_sum  # noqa: E402
from postmortem.trainer.fetch import Steps  # noqa: E402
from postmortem.trainer.loop import Result, train  # noqa: E402
from postmortem.trainer.task import find  # noqa: E402
from postmortem.trainer.world import Alone  # noqa: E402

CPU = torch.device("cpu")

# A tail of 3 in batches of 32, dropout, augmentation, clipping, warm-up: all that could depend on the topology.
BASE = make(
    {"n_train": 195, "n_val": 40, "epochs": 2, "batch_size": 32, "dropout": 0.1, "augment": 0.05}
    | {"clip": 1.0, "warmup_steps": 3, "options": {"hidden": 16}}
)


@pytest.fixture(scope="module")
def reference() -> Result:
    """The run in one process without workers."""
    return train(BASE)


def _numbers(result: Result) -> list[dict[str, float]]:
    clocks = ("step_time", "data_time")
    return [{name: value for name, value in row.items() if name not in clocks} for row in result.rows]


@pytest.mark.parametrize("world", [2, 4, 8])
def test_world_size_changes_no_bit(reference: Result, world: int) -> None:
    """I4: parameters, optimizer state and every logged number are the same for 1, 2, 4 and 8 processes."""
    found = train(BASE.changed(world_size=world))
    assert found.digest == reference.digest
    assert _numbers(found) == _numbers(reference)


@pytest.mark.parametrize(("world", "workers"), [(1, 1), (4, 2)])
def test_workers_change_no_bit(reference: Result, world: int, workers: int) -> None:
    """I4: loader workers only fetch; also augmentation, which they compute, is the same."""
    assert train(BASE.changed(world_size=world, num_workers=workers)).digest == reference.digest


@pytest.mark.parametrize(
    ("field", "value"), [("seed", 1), ("batch_size", 33), ("dropout", 0.2), ("augment", 0.06), ("shards", 4)]
)
def test_what_should_matter_does(reference: Result, field: str, value: float) -> None:
    """The hash can differ: each of these changes it, and the digest of the recipe too."""
    other = BASE.changed(**{field: value})
    assert train(other).digest != reference.digest
    assert other.digest != BASE.digest


@settings(max_examples=6)
@given(st.lists(st.tuples(st.integers(0, 14), st.sampled_from([1, 2, 4, 8])), max_size=3), st.sampled_from([1, 2, 8]))
def test_stop_anywhere_resume_with_any_world(
    tmp_path_factory: pytest.TempPathFactory, reference: Result, stops: Sequence[tuple[int, int]], last: int
) -> None:
    """I5: run(0, T) = run(0, k) + run(k, T), also at the edges of epochs, each part with another world size."""
    out = tmp_path_factory.mktemp("run")
    resume = False
    for stop, world in sorted(stops):
        train(BASE.changed(world_size=world), out, resume=resume, stop_at=stop)
        resume = (out / "checkpoint.pt").is_file()
    found = train(BASE.changed(world_size=last), out, resume=resume)
    assert found.digest == reference.digest
    assert _numbers(found) == _numbers(reference)


def test_history_conserves(reference: Result) -> None:
    """I11: each epoch counts N samples, all different, from the rows that were trained on."""
    assert [(row["samples"], row["unique_samples"], row["step"]) for row in reference.rows] == [
        (195, 195, 7),
        (195, 195, 14),
    ]


def test_global_generators_are_left_alone() -> None:
    """Nothing is drawn from the caller's generators, with dropout, augmentation, evaluation and initialisation."""
    torch.manual_seed(5)
    np.random.seed(5)
    before, drawn = torch.get_rng_state(), np.random.get_state()[1].copy()
    threads = torch.get_num_threads()
    train(BASE.changed(epochs=1))
    assert torch.equal(before, torch.get_rng_state())
    np.testing.assert_array_equal(drawn, np.random.get_state()[1])
    assert torch.get_num_threads() == threads


def test_logging_and_saving_change_no_bit(reference: Result, tmp_path: Path) -> None:
    """I4: how often the run logs, evaluates a batch or saves does not move training."""
    quiet = BASE.changed(log_every=1, eval_every=2, checkpoint_every=3)
    assert train(quiet, tmp_path).digest == reference.digest


def test_augmentation_depends_on_its_key_alone() -> None:
    """I6: a sample's noise is its own, another in each epoch, and the same whichever process fetches it."""
    recipe = BASE.changed(augment=1.0)
    plan = recipe.plan(195)
    split = {"x": np.zeros((195, 4), dtype=np.float32)}
    noise = [_noise(Steps(split, plan, recipe, range(8), 8), epoch) for epoch in (0, 1)]
    assert len({tuple(row) for each in noise for row in each.values()}) == 2 * 195
    other = _noise(Steps(split, plan, recipe, range(2), 2), 0)
    assert all(torch.equal(torch.tensor(other[at]), torch.tensor(noise[0][at])) for at in range(195))


def _noise(steps: Steps, epoch: int) -> dict[int, tuple[float, ...]]:
    given = [steps[epoch * 7 + at] for at in range(7)]
    rows = [each for one in given for part in one.parts for each in part]
    return {int(at): tuple(x.tolist()) for each in rows for at, x in zip(each["id"], each["x"], strict=True)}


def test_the_gradient_is_that_of_the_mean_loss() -> None:
    """I7: the shards' sums over n make the gradient of the mean over the batch, tail included, to float64 rounding."""
    recipe = BASE.changed(dropout=0.0, augment=0.0, optimizer="sgd", momentum=0.0, lr=1.0, clip=None, warmup_steps=0)
    task = find(recipe)
    with settled(CPU):
        engine = Engine(task, recipe, Alone(4), CPU)
        engine.model.double()
        train_split, _ = task.data(recipe)
        wide = {"x": train_split["x"].astype(np.float64), "y": train_split["y"]}
        plan = recipe.plan(195)
        for step in (0, 6):  # a full batch, and the tail of three samples
            given = Steps(wide, plan, recipe, range(4), 4)[step]
            before = [each.detach().clone() for each in engine.model.parameters()]
            ids = plan.batch(step)
            rows = {"x": torch.from_numpy(wide["x"][ids]), "y": torch.from_numpy(wide["y"][ids])}
            expected = torch.autograd.grad(task.losses(engine.model, rows).mean(), list(engine.model.parameters()))
            engine.step(step, given.parts, given.count, 1.0)
            for old, new, want in zip(before, engine.model.parameters(), expected, strict=True):
                torch.testing.assert_close(old - new.detach(), want, rtol=1e-6, atol=1e-8)


def test_one_shard_is_a_plain_loop() -> None:
    """Differential: with one shard the parameters are bit for bit those of the loop everybody writes."""
    recipe = BASE.changed(shards=1, dropout=0.0, augment=0.0, clip=None, warmup_steps=0, scheduler="constant")
    assert train(recipe).digest == _plain(recipe)


def _plain(recipe: Recipe) -> str:
    task = find(recipe)
    split, _ = task.data(recipe)
    with settled(CPU):
        engine = Engine(task, recipe, Alone(), CPU)  # for the initial parameters and the hash only
        model, optimizer = engine.model, engine.optimizer
        plan = recipe.plan(195)
        for step in range(2 * plan.steps_per_epoch):
            ids = plan.batch(step)
            loss = torch.nn.functional.cross_entropy(
                model(torch.from_numpy(split["x"][ids])), torch.from_numpy(split["y"][ids]), reduction="sum"
            )
            optimizer.zero_grad()
            (loss / len(ids)).backward()
            optimizer.step()
        return engine.digest()


@given(st.integers(0, 5), st.integers(0, 2**32 - 1))
def test_neighbouring_groups_are_subtrees(levels: int, seed: int) -> None:
    """Summing each process's own shards first, then the processes, gives the same bits as summing all shards."""
    drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal((2**levels, 7)).astype(np.float32))
    parts = [list(each.split([5, 2])) for each in drawn]
    whole = tree_sum(parts)
    for world in (2**k for k in range(levels + 1)):
        each = len(parts) // world
        ranks = [tree_sum(parts[rank * each : (rank + 1) * each]) for rank in range(world)]
        assert all(torch.equal(a, b) for a, b in zip(tree_sum(ranks), whole, strict=True))


@pytest.mark.parametrize(
    ("scheduler", "at", "share"),
    [
        ("constant", 99, 1.0),
        ("linear", 50, 0.5),
        ("linear", 200, 0.0),
        ("cosine", 50, 0.5),
        ("cosine", 100, 0.0),
        ("cosine", 800, 0.0),
        ("exponential", 25, 0.25),
    ],
)
def test_the_rate_is_a_function_of_the_step(scheduler: str, at: int, share: float) -> None:
    """Rates at known points of a plan of 100 steps; past the planned end a schedule stays at its end."""
    recipe = make({"scheduler": scheduler, "epochs": 10, "lr": 0.1, "gamma": 0.5})
    assert rate_at(recipe, at, 10) == pytest.approx(0.1 * share)
    assert rate_at(recipe.changed(lr_multiplier=0.5), at, 10) == pytest.approx(0.05 * share)


def test_plain_mode_says_what_it_gives_up(tmp_path: Path) -> None:
    """Without strict, one process and two differ in their bits, and the log says that they may."""
    recipe = BASE.changed(strict=False, dropout=0.0)
    one, two = train(recipe, tmp_path), train(recipe.changed(world_size=2))
    assert one.digest != two.digest
    assert one.rows[-1]["val_loss"] == pytest.approx(two.rows[-1]["val_loss"], rel=1e-3)
    assert "another number sums in another order" in (tmp_path / "train.log").read_text()


def test_batch_statistics_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that normalises by batch cannot be honoured in strict mode: an error with the way out."""
    from postmortem.trainer.tasks.tables import Digits

    net = torch.nn.Sequential(torch.nn.Linear(64, 10), torch.nn.BatchNorm1d(10))
    monkeypatch.setattr(Digits, "model", lambda *_: net)
    with pytest.raises(ConfigError, match="normalises by batch"):
        train(BASE)


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    """A checkpoint of another recipe is not taken up, and a missing one is named."""
    with pytest.raises(ConfigError, match="there is no checkpoint"):
        train(BASE, tmp_path, resume=True)
    train(BASE, tmp_path, stop_at=2)
    with pytest.raises(ConfigError, match="belongs to recipe"):
        train(BASE.changed(lr=0.5), tmp_path, resume=True)
