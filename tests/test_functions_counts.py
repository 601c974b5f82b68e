"""Functions that count, plan and compare what was told: over logs as they are written."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_engine import value, view

from postmortem import ingest, names
from postmortem.engine import RunView

LOSS = {"train.loss": "4 3 2 1"}

STEPS = [
    # facts, fewest, most, what an epoch of 30 steps is
    ({"n_train": 1200, "batch_size": 40}, 28, 31, 1.0),
    ({"n_train": 1200, "batch_size": 40, "world_size": 4}, 5, 34, 1.0),
    ({"n_train": 1200, "batch_size": 10, "grad_accum": 4}, 28, 121, 1.0),
    ({"n_train": 1200, "global_batch_size": 40, "grad_accum": 2}, 28, 61, 1.0),
    ({"n_train": 1200, "batch_size": 10}, 118, 121, 1.0),  # four processes, perhaps
    ({"n_train": 1200, "batch_size": 10, "world_size": 1}, 118, 121, 0.0),
    ({"n_train": 1200, "batch_size": 160}, 5, 8, 0.0),
    ({"n_train": 1200, "batch_size": 40, "num_workers": 8}, 21, 38, 1.0),
]


@pytest.mark.parametrize(("facts", "fewest", "most", "explained"), STEPS)
def test_steps_an_epoch_can_have(facts: dict[str, float], fewest: float, most: float, explained: float) -> None:
    """Every reading of batch, process and update lies between the two, with room for partial batches."""
    run = view(LOSS, facts={**facts, "steps_per_epoch": 30})

    assert value("fewest_steps()", run) == fewest
    assert value("most_steps()", run) == most
    assert value("steps_explained()", run) == explained


COUNTED = [
    ({"steps_per_epoch": 30}, 75.0),  # the log's own steps say more than was stated
    ({"steps_per_epoch": 100}, 100.0),
    ({"steps_per_epoch": 30, "n_train": 75}, 30.0),  # a step that counts samples
    ({"n_train": 75}, "the step of the log counts samples"),
    ({}, 75.0),
]


@pytest.mark.parametrize(("facts", "steps"), COUNTED)
def test_steps_taken_are_stated_or_counted(facts: dict[str, float], steps: float | str, tmp_path: Path) -> None:
    """Whichever is more, unless the log counts samples."""
    lines = [f"epoch {e} step {75 * (e - 1) + s} loss {1 / (e + s):.4f}" for e in range(1, 5) for s in (25, 50, 75)]
    settings = {key: str(number) for key, number in facts.items()}

    assert value("steps_taken()", logged(tmp_path, "train.log", lines, settings)) == steps


def logged(folder: Path, name: str, lines: list[str], settings: dict[str, str] | None = None) -> RunView:
    """The only run of a log with these lines."""
    (folder / name).write_text("\n".join(lines) + "\n")
    (run,) = ingest.read([folder], settings=settings or {}).runs
    return RunView(run, {})


LIMITS = [
    ("24:00:00", 24.0),
    ("1-12:00:00", 36.0),
    ("02:00:30:00", 48.5),
    ("36h", 36.0),
    ("2 days, 6 hours", 54.0),
    ("90 min", 1.5),
    ("1d12h", 36.0),
]


@pytest.mark.parametrize(("text", "hours"), LIMITS)
def test_a_time_limit_is_read_with_its_unit(text: str, hours: float) -> None:
    """As Slurm, PBS, Lightning and people write it."""
    assert value("time_limit()", view(LOSS, facts={"time_limit": text})) == pytest.approx(hours)


@pytest.mark.parametrize("text", ["24", "1:30", "soon", "3 apples"])
def test_a_time_limit_without_unit_is_not_guessed(text: str) -> None:
    """What could be hours or minutes is missing."""
    assert "has no unit" in value("time_limit()", view(LOSS, facts={"time_limit": text}))


TARGETS = {
    "Target val_acc": "target.val.accuracy",
    "val_acc_target": "target.val.accuracy",
    "goal: val AUC": "target.val.auroc",
    "required accuracy": "target.accuracy",
    "target.tpr@fpr0.01": "target.tpr@fpr0.01",
    "target.val.accuracy@epoch20": "target.val.accuracy@epoch20",
    "Expected Sharpe by epoch 20": "target.sharpe@epoch20",
    "milestone val_loss (epoch 5)": "target.val.loss@epoch5",
}


@pytest.mark.parametrize("label", TARGETS)
def test_a_target_is_named_after_its_metric(label: str) -> None:
    """However it is written, and written canonically it stays as it is."""
    assert names.fact_key(label) == TARGETS[label]
    assert names.fact_key(TARGETS[label]) == TARGETS[label]


@pytest.mark.parametrize("label", ["target_kl", "target_modules", "target_entropy", "target_return", "target_tok/s"])
def test_settings_of_a_method_are_no_targets(label: str) -> None:
    """What methods call a target is kept under its own name."""
    assert not names.fact_key(label).startswith("target.")


WORDED = [
    ({"target": "val_acc >= 0.95"}, 0.95),
    ({"goal": "val accuracy of 95 %"}, 0.95),
    ({"target.accuracy": "95%"}, 0.95),
    ({"target.accuracy": "0.95-0.99"}, 0.95),
    ({"target": "val_loss < 0.2, val_acc: 0.9"}, 0.9),
    ({"target.accuracy": 0.8, "target.val.accuracy": 0.9}, 0.9),
]


@pytest.mark.parametrize(("facts", "wanted"), WORDED)
def test_a_target_is_found_in_words(facts: dict[str, object], wanted: float) -> None:
    """Metric and number in one text, percent signs, ranges; one with a split goes before one without."""
    assert value("target(val.acc)", view({"val.acc": "0.5 0.6"}, facts=facts)) == pytest.approx(wanted)


def test_milestones_that_are_due() -> None:
    """Only those of epochs that were reached, in order, compared with the best until then."""
    facts = {"milestone_epoch_2": "val_acc 0.7", "target.val.accuracy@epoch3": 0.6, "target.val.accuracy@epoch9": 0.9}

    assert value("behind(val.acc)", view({"val.acc": "0.5 0.65 0.4"}, facts=facts)) == pytest.approx([0.05, -0.05])


def epochs(first: int, last: int) -> list[str]:
    """Log lines of some epochs."""
    return [f"epoch {e}/20 step {10 * e} loss {1 / e:.4f}" for e in range(first, last + 1)]


SAID = "Resuming from checkpoint last.pt"
REPLAYS = [
    ([*epochs(1, 12)], 0, 0.0),
    ([*epochs(1, 7), SAID, *epochs(5, 12)], 1, 30.0),
    ([*epochs(1, 7), *epochs(5, 12)], 1, 30.0),
    ([*epochs(1, 7), SAID, *epochs(5, 6)], 1, 30.0),  # ended again before it had caught up
    ([*epochs(1, 7), *epochs(5, 7)], 0, 0.0),  # not said, and never went on: another training
    ([*epochs(1, 7), SAID, *epochs(6, 9), SAID, *epochs(8, 12)], 2, 40.0),
]


@pytest.mark.parametrize(("lines", "times", "steps"), REPLAYS)
def test_what_was_done_twice(lines: list[str], times: float, steps: float, tmp_path: Path) -> None:
    """Steps behind the furthest report that a later record trains again."""
    run = logged(tmp_path, "train.log", lines)

    assert value("resumes()", run) == times
    assert value("replayed()", run) == steps


@pytest.mark.parametrize("shuffled", [False, True])
def test_an_operating_point_is_compared_with_the_next_lower_one(shuffled: bool) -> None:
    """Whatever the order of the columns."""
    given = {"fpr@tpr0.9": "0.02 0.01", "fpr@tpr0.50": "0.001 0.01", "fpr@tpr0.7": "0.004 0.01", "neg_eval": "9000x1"}
    run = view(dict(reversed(given.items())) if shuffled else given)

    assert value("lower_level(`fpr@tpr0.9`)", run) == "fpr@tpr0.7"
    assert value("tied(`fpr@tpr0.9`, last(neg))", run) == pytest.approx([0.01])
    assert "no lower operating point" in value("lower_level(`fpr@tpr0.50`)", run)


@pytest.mark.parametrize(("place", "found"), [("run", True), ("run/.hydra", True), (".", False)])
def test_a_configuration_is_that_of_a_run_beside_or_below_its_log(place: str, found: bool, tmp_path: Path) -> None:
    """One in a folder above is the base of several runs, and each may override it."""
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / place / "config.yaml").write_text("training:\n  batch_size: 32\nlr: 0.1\n")
    (tmp_path / "run" / "train.log").write_text("\n".join(["batch_size: 64", "lr: 0.1", *epochs(1, 6)]) + "\n")
    (run,) = ingest.read([tmp_path]).runs

    assert (value("misfiled()", RunView(run, {})) == 1.0) is found


@pytest.mark.parametrize(("settings", "samples"), [({}, 1200.0), ({"n_train": "600"}, 600.0)])
def test_the_training_set_is_the_largest_one_named(settings: dict[str, str], samples: float, tmp_path: Path) -> None:
    """A trainer names training and evaluation set in the same words; the command line overrules the log."""
    lines = ["Num examples = 1,200", *epochs(1, 3), "***** Running Evaluation *****", "Num examples = 300"]

    assert value("train_samples()", logged(tmp_path, "train.log", lines, settings)) == samples


def test_the_batch_size_of_evaluation_accuses_nobody(tmp_path: Path) -> None:
    """Where two batch sizes are stated, the steps that either makes are explained."""
    lines = ["n_train: 1200", "batch_size: 40", "world_size: 1", *epochs(1, 3), "batch_size: 120"]
    run = logged(tmp_path, "train.log", lines, {"steps_per_epoch": "30"})

    assert value("steps_explained()", run) == 1.0
    assert value("most_steps()", run) == 31.0
    assert value("fewest_steps()", run) == 8.0
