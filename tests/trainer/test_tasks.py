"""The tasks: their metrics are right, their data are what they say, and one's own data and model fit in."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmortem.errors import PostmortemError
from postmortem.trainer import roc
from postmortem.trainer.catalog import TASKS
from postmortem.trainer.recipe import make

SMALL = {
    "digits": {"n_train": 64, "n_val": 32},
    "breast-cancer": {"n_train": 64, "n_val": 32},
    "arcs": {"n_train": 32, "n_val": 32, "batch_size": 16, "options": {"size": 12}},
    "clicks": {"n_train": 128, "n_val": 64},
    "characters": {"n_train": 20, "n_val": 20},
    "returns": {"n_train": 100, "n_val": 50},
}

scored = st.integers(2, 60).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 6), min_size=n, max_size=n), st.lists(st.booleans(), min_size=n, max_size=n)
    )
)


@given(scored)
def test_auroc_is_the_chance_to_rank_a_pair_right(drawn: tuple[list[int], list[bool]]) -> None:
    """Against the definition by all pairs, ties counted half; NaN exactly when a class is missing."""
    scores, positive = np.array(drawn[0], dtype=float), np.array(drawn[1])
    found = roc.auroc(scores, positive)
    if positive.all() or not positive.any():
        assert math.isnan(found)
        return
    a, b = scores[positive][:, None], scores[~positive]
    assert found == pytest.approx(np.mean((a > b) + 0.5 * (a == b)))


@given(scored, st.floats(0, 1))
def test_a_sound_rate_does_not_depend_on_the_order_of_ties(drawn: tuple[list[int], list[bool]], rate: float) -> None:
    """Shuffling samples of equal score changes neither rate; both are shares and grow with the other one."""
    scores, positive = np.array(drawn[0], dtype=float), np.array(drawn[1])
    order = np.random.default_rng(0).permutation(len(scores))
    one, two = roc.curve(scores, positive), roc.curve(scores[order], positive[order])
    assert roc.tpr_at(one, rate) == roc.tpr_at(two, rate)
    assert 0 <= roc.tpr_at(one, rate) <= roc.tpr_at(one, 1.0)
    assert roc.fpr_at(one, rate) <= roc.fpr_at(one, 1.0)


def test_ties_at_the_top_collapse_the_naive_rate_only() -> None:
    """The mechanism of a published cliff: one block of equal top scores holds most positives and one negative.

    Code that keeps the first sample of the block reports one positive, exactly 1 / positives; the sound rate and the
    AUROC stay near 1.
    """
    scores = np.r_[np.ones(901), np.zeros(1099)]
    positive = np.r_[np.ones(900, bool), False, np.ones(100, bool), np.zeros(999, bool)]
    sound, naive = roc.curve(scores, positive), roc.curve(scores, positive, naive=True)
    assert roc.tpr_at(naive, 1e-4, naive=True) == 1 / 1000
    assert roc.tpr_at(sound, 1e-3) == pytest.approx(0.9)
    assert roc.auroc(scores, positive) > 0.94
    assert roc.fpr_at(sound, 0.5) == roc.fpr_at(sound, 0.85) == 1 / 1000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"task": "digit"}, "did you mean 'digits'?"),
        ({"options": {"hiden": 3}}, "did you mean 'hidden'?"),
        ({"lr": "fast"}, "lr: input should be a valid number"),
        ({"epoch": 3}, "did you mean 'epochs'?"),
        ({"shards": 6}, "no power of two"),
        ({"strict": True, "world_size": 3}, "cannot share 8 shards evenly"),
    ],
)
def test_a_wrong_recipe_is_refused_with_the_way_out(fields: dict[str, object], said: str) -> None:
    """Unknown keys, options and tasks, and values out of range, each name what would fit."""
    with pytest.raises(PostmortemError, match="(?s)" + said.replace("?", "[?]")):
        make(fields)


def test_the_digest_names_what_is_computed() -> None:
    """Topology and what is written change no digest of a sound recipe; in a suspect one the topology counts."""
    base = make({})
    assert base.changed(world_size=4, num_workers=3, log_every=5).digest == base.digest
    assert base.changed(lr=0.002).digest != base.digest
    suspect = base.changed(sharding="rank-only")
    assert suspect.changed(num_workers=3).digest != suspect.digest


@pytest.mark.parametrize("task", [name for name in TASKS if name != "table"])
def test_each_task_trains_and_logs_finite_numbers(task: str) -> None:
    """One epoch of every task of the catalogue: the loss is finite and moves, every metric is a number."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'trainer')")
    from postmortem.trainer.loop import train

    done = train(make({"task": task, "epochs": 2, **SMALL[task]}))
    assert all(math.isfinite(value) for row in done.rows for value in row.values())
    assert done.rows[0]["train_loss"] != done.rows[1]["train_loss"]


def _fragments(folder: Path) -> None:
    rng = np.random.default_rng(3)
    for part in range(3):
        x = rng.standard_normal((40, 5))
        np.savez(folder / f"part{part}.npz", x=x, y=(x[:, 0] > 0).astype(np.int64))


def test_own_fragments_are_a_task(tmp_path: Path) -> None:
    """``--data parts/*.npz`` trains on one's own columns, and learns what is in them."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    from postmortem.trainer.loop import train

    _fragments(tmp_path)
    recipe = make({"task": "table", "data": str(tmp_path / "*.npz"), "lr": 0.01, "batch_size": 16, "epochs": 15})
    done = train(recipe)
    assert done.rows[-1]["samples"] == 96
    assert done.rows[-1]["val_accuracy"] > 0.85


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no file fits"),
        ({"x": np.ones(3)}, "name what to foretell y"),
        ({"x": np.ones(3), "y": np.array([{}, 1, 2], dtype=object)}, "cannot be read"),
    ],
)
def test_fragments_that_do_not_fit_are_errors(tmp_path: Path, content: dict[str, np.ndarray] | None, said: str) -> None:
    """Missing files, a missing target, and pickled objects (never loaded) end with a reason."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    from postmortem.trainer.loop import train

    if content:
        np.savez(tmp_path / "part.npz", **content, allow_pickle=True)
    with pytest.raises(PostmortemError, match=said):
        train(make({"task": "table", "data": str(tmp_path / "*.npz")}))


def test_own_model_is_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of the documentation: a task of one's own in twenty lines, named as module:Class."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    from postmortem.trainer.loop import train

    page = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
    code = page.split("```python\n# mytask.py\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) <= 24
    (tmp_path / "mytask.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    done = train(make({"task": "mytask:Halves", "epochs": 30, "lr": 0.05}))
    assert done.rows[-1]["val_loss"] < 0.1 * done.rows[0]["val_loss"]


@pytest.mark.parametrize("task", ["nowhere:Task", "json:JSONDecoder", "postmortem.trainer.task:Missing"])
def test_a_task_that_cannot_be_used_says_why(task: str) -> None:
    """A module that is not there, a class that is no task, a name that does not exist."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    from postmortem.trainer.loop import train

    with pytest.raises(PostmortemError, match=r"cannot be loaded|is no task"):
        train(make({"task": task}))
