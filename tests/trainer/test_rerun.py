"""A run is done again from what its log states; the log of the trainer is read in full, and suffices."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from postmortem import load
from postmortem.trainer.recipe import Recipe, make
from postmortem.trainer.recipe import load as load_recipe
from postmortem.trainer.recover import Fact, facts_of, recover

SICK = Path(__file__).parents[2] / "fixtures" / "sick"
FIELDS = {"n_train": 195, "n_val": 40, "epochs": 6, "batch_size": 32, "dropout": 0.1, "seed": 7, "clip": 1.0}
SMALL = make({**FIELDS, "options": {"hidden": 16}})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the trainer wrote."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'trainer')")
    from postmortem.trainer.loop import train

    out = tmp_path_factory.mktemp("written")
    train(SMALL.changed(world_size=2), out)
    return out


def test_the_log_is_read_in_full(written: Path) -> None:
    """One run, every line understood, and every number of metrics.jsonl in the frame with its digits."""
    (run,) = load([written]).runs
    assert run.understood == run.lines
    for at, line in enumerate((written / "metrics.jsonl").read_text().splitlines(), 1):
        row = json.loads(line)
        found = run.metrics.filter(run.metrics["epoch"] == at)
        values = dict(zip(found["label"].cast(str).to_list(), found["value"].to_list(), strict=True))
        assert values == pytest.approx({k: v for k, v in row.items() if k not in ("epoch", "step")}, rel=0, abs=0)
        assert set(found["step"].to_list()) == {row["step"]}


@pytest.mark.parametrize("source", [".", "train.log"])
def test_a_rerun_from_what_was_written_is_identical(written: Path, source: str, tmp_path: Path) -> None:
    """I8: from the folder, or from the log alone, into an empty folder: the same parameters, and nothing assumed."""
    from postmortem.cli.rerun import rerun

    done = CliRunner().invoke(rerun, [str(written / source), "--out", str(tmp_path / "again"), "--world", "1"])
    assert done.exit_code == 0, done.output
    (digest,) = re.findall(r"params_sha256=([0-9a-f]{64})", (written / "train.log").read_text())
    assert digest in done.output
    if source == "train.log":
        assert "the log states the digest" in done.output
        assert "recovered: the log states the digest" in done.output


def test_verify_calls_it_identical(written: Path, tmp_path: Path) -> None:
    """``postmortem verify`` reads both folders and finds the same hash; another rate is a finding in structure."""
    from postmortem.cli.verify import verify
    from postmortem.trainer.loop import train

    train(SMALL, tmp_path / "same")
    train(SMALL.changed(lr=0.01), tmp_path / "other")
    same = CliRunner().invoke(verify, [str(written), str(tmp_path / "same")])
    assert (same.exit_code, same.output.splitlines()[0]) == (0, "identical")
    other = CliRunner().invoke(verify, [str(written), str(tmp_path / "other")])
    assert (other.exit_code, other.output.splitlines()[0]) == (1, "does not reproduce")
    assert "learning rate" in other.output


def test_the_recipe_file_gives_the_recipe_back(tmp_path: Path) -> None:
    """A recipe written and read is the same recipe, notes and all."""
    path = tmp_path / "recipe.yaml"
    recipe = SMALL.changed(monitor="val_accuracy", options={"label_noise": 0.25})
    path.write_text(recipe.to_yaml({"lr": "recovered from a.log:3"}))
    assert load_recipe(path) == recipe
    assert "# recovered from a.log:3" in path.read_text()


def test_a_recipe_moves_to_another_task(tmp_path: Path) -> None:
    """Training settings go along, options of the old task do not; sizes the new task has by default fill in."""
    (tmp_path / "recipe.yaml").write_text("task: digits\nlr: 0.5\noptions:\n  hidden: 7\n")
    moved = load_recipe(tmp_path / "recipe.yaml", "returns")
    assert (moved.lr, moved.n_train, moved.options["hidden"]) == (0.5, 2000, 32)


@pytest.mark.parametrize("name", sorted(each.name for each in SICK.iterdir() if each.is_dir())[::6])
def test_what_a_foreign_log_states_is_recovered(name: str) -> None:
    """Every sixth sick fixture gives a recipe: what is recovered stands in the line it names, the rest is assumed."""
    for run in load([SICK / name]).runs:
        facts = facts_of(run.facts.iter_rows(named=True))
        found = recover(facts)
        assert set(found.notes) >= set(Recipe.model_fields)
        assert set(found.recovered).isdisjoint(found.assumed)
        for field in {"epochs", "lr", "seed", "dropout", "num_workers"}.intersection(found.recovered):
            path, _, line = found.notes[field].rpartition(" ")[2].rpartition(":")
            assert facts[field].value in Path(path).read_text(encoding="utf-8").splitlines()[int(line) - 1]


@pytest.mark.parametrize(
    ("facts", "field", "value", "note"),
    [
        ({"batch_size": "32", "world_size": "4", "grad_accum": "2"}, "batch_size", 256, "recovered"),
        ({"global_batch_size": "64", "batch_size": "32"}, "batch_size", 64, "recovered"),
        ({"lr": "3e-4"}, "lr", 3e-4, "recovered"),
        ({"optimizer": "torch.optim.SGD"}, "optimizer", "sgd", "recovered"),
        ({"optimizer": "lion"}, "optimizer", "adamw", "assumed: 'lion'"),
        ({"scheduler": "CosineAnnealingLR"}, "scheduler", "cosine", "recovered"),
        ({"n_train": "1,300,000"}, "n_train", 1437, "assumed: the run has 1,300,000"),
        ({"n_train": "1000"}, "n_train", 1000, "recovered"),
        ({"epochs": "many"}, "epochs", 20, "assumed: 'many'"),
        ({"dropout": "1.5"}, "dropout", 0.0, "assumed: '1.5'"),
        ({"task": "arcs"}, "task", "arcs", "recovered"),
        ({"task": "translation"}, "task", "digits", "assumed"),
        ({"task": "os:system"}, "task", "digits", "assumed"),
        ({"data": "/etc/*"}, "data", None, "assumed"),
        ({}, "lr", 1e-3, "assumed"),
    ],
)
def test_recovered_or_assumed(facts: dict[str, str], field: str, value: object, note: str) -> None:
    """Each field is taken from a line, or assumed with the reason; what cannot be used never loses the rest."""
    found = recover({key: Fact(text, f"a.log:{at}") for at, (key, text) in enumerate(facts.items(), 1)})
    assert getattr(found.recipe, field) == value
    assert found.notes[field].startswith(note)
    assert note != "recovered" or "a.log:" in found.notes[field]


def test_nothing_that_lies_among_logs_is_run(tmp_path: Path) -> None:
    """A recipe found in a folder of logs imports no code and opens no file, unless the user names it."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    from postmortem.cli.rerun import rerun

    for text in ("task: evil:Task\n", "task: table\ndata: /etc/*\n"):
        (tmp_path / "recipe.yaml").write_text(text)
        done = CliRunner().invoke(rerun, [str(tmp_path), "--out", str(tmp_path / "out")])
        assert done.exit_code == 2
        assert "nothing that logs name is opened or run" in done.output


def test_several_runs_are_not_guessed_between(tmp_path: Path) -> None:
    """A folder of two runs is an error that names them."""
    pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
    from postmortem.cli.rerun import rerun

    for level, name in enumerate(("one", "two")):
        rows = [{"epoch": at, "train_loss": 1 / at + level, "lr": 0.1 / at} for at in range(1, 9)]
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = CliRunner().invoke(rerun, [str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "one run is wanted, 2 were found" in done.output
