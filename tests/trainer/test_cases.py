"""Causes put to the test: every fault meets its prediction and its fix removes it, as the analysis sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from postmortem.errors import ConfigError
from postmortem.trainer.faults import FAULTS, broken, mended
from postmortem.trainer.recipe import make

pytest.importorskip("torch", reason="torch is not installed (extra 'trainer')")
pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra 'trainer')")

from postmortem.trainer.case import Case, case, told

QUICK = {"n_train": 300, "batch_size": 30, "epochs": 20, "shards": 2, "options": {"hidden": 32}}
TASKS = {
    "digits": QUICK,
    "arcs": {"n_train": 1024, "n_val": 2048, "shards": 1, "options": {"size": 24}},
    "clicks": {"n_train": 1000, "n_val": 300, "shards": 1, "lr": 0.03},
    "returns": {"n_train": 400, "n_val": 200, "shards": 1},
}


FEW = {"n_train": 117, "batch_size": 30, "epochs": 6, "shards": 1, "options": {"hidden": 16}}
FIELDS = {
    "fork-deadlock": FEW,
    "slow-loader": FEW,
    "rank-only": FEW,
    "padded-tail": FEW,
    "forgotten-set-epoch": FEW,
    "nan": FEW,
}


def _case(name: str, out: Path) -> Case:
    task = (FAULTS[name].tasks or ("digits",))[0]
    return case(make({"task": task, **FIELDS.get(name, TASKS[task])}), [name], [], out)


# Those left out have a test of their own below.
@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"tied-scores", "duplicated-evaluation", "rank-only"}))
def test_each_fault_meets_its_prediction_and_its_fix_removes_it(name: str, tmp_path: Path) -> None:
    """I10: the predicted finding (or the count, where no log shows the fault) is there, and gone after the fix."""
    found = _case(name, tmp_path)
    assert [(each.met, each.removed) for each in found.predictions] == [(True, True)], told(found)
    assert found.holds


def test_the_cliff_of_a_detector(tmp_path: Path) -> None:
    """A published case on drawn stamps: ties in bf16, a naive ROC, and an evaluation that two workers read.

    Said: threshold-collapse, and duplication in the evaluation by the parity of counts. Not said: overfitting, or that
    the ranking was lost. The mended run has the same weights: nothing but the evaluation was wrong.
    """
    recipe = make({"task": "arcs", **TASKS["arcs"]})
    found = case(recipe, ["tied-scores", "duplicated-evaluation"], [], tmp_path)
    assert found.holds, told(found)
    assert {"threshold-collapse", "sample-duplication"} <= found.broken.ids
    assert not found.broken.ids & {"overfit", "divergence", "late-degradation"}
    assert found.broken.result.digest == found.mended.result.digest
    last = found.broken.result.rows[-1]
    assert last["val_tpr@fpr1e-05"] <= 1 / 1024  # the first sample of the tied block, and no other
    assert last["val_auroc"] > 0.97


def test_eight_workers_that_read_everything(tmp_path: Path) -> None:
    """Rank-only sharding by eight workers is found as duplication with k = 8, and every sample came eight times."""
    found = _case("rank-only", tmp_path)
    assert found.holds, told(found)
    (finding,) = [each for each in found.broken.findings if each.id == "sample-duplication"]
    assert "k = 8" in finding.message
    assert found.broken.result.rows[0]["samples"] == 8 * found.broken.result.rows[0]["unique_samples"]


def test_a_recommender_overfits(tmp_path: Path) -> None:
    """A published case on generated clicks: training AUC climbs, validation is best early, the gate is fine."""
    from postmortem import analyze
    from postmortem.trainer.loop import train

    train(make({"task": "clicks", "n_train": 4000, "n_val": 2000, "shards": 1, "epochs": 6}), tmp_path)
    (run,) = analyze([tmp_path]).runs
    ids = {finding.id for finding in run.findings}
    assert "overfit" in ids
    assert "dead-component" not in ids


def test_more_steps_are_no_instability(tmp_path: Path) -> None:
    """A published case on generated text: of two fine-tunings the longer one is not called unstable."""
    from postmortem import analyze
    from postmortem.trainer.loop import train

    base = make({"task": "characters", "n_train": 1000, "n_val": 100, "shards": 1})
    train(base.changed(lr_multiplier=0.5), tmp_path / "short")
    train(base.changed(lr_multiplier=0.75, epochs=2), tmp_path / "long")
    ids = {finding.id for run in analyze([tmp_path]).runs for finding in run.findings}
    assert not ids & {"oscillation", "late-degradation", "overfit"}


def test_a_metric_that_ignores_the_model(tmp_path: Path) -> None:
    """A published case: the same Sharpe ratio to the last digit in runs of other length, rate and predictions."""
    from postmortem import analyze
    from postmortem.trainer.loop import train

    base = broken(make({"task": "returns", **TASKS["returns"]}), "unwired-metric")
    values = set()
    for at, (epochs, lr) in enumerate([(8, 5e-4), (14, 5e-4), (14, 2e-3)]):
        done = train(base.changed(epochs=epochs, lr=lr), tmp_path / f"run{at}")
        values.add(done.rows[-1]["val_sharpe"])
    assert len(values) == 1
    assert "identical-across-runs" in {finding.id for finding in analyze([tmp_path]).across_runs}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 0, "Loader workers do not ask"),
        (["--break", "rank-onyl"], 2, "did you mean 'rank-only'?"),
        (["--break", "rank-only", "--fix", "sample-duplicatoin"], 2, "did you mean 'sample-duplication'?"),
        (["--break", "tied-scores", "--task", "digits"], 2, "use --task arcs"),
    ],
)
def test_the_command(words: list[str], code: int, said: str, tmp_path: Path) -> None:
    """``postmortem case`` lists the faults, and says what was meant by one that does not exist."""
    from postmortem.cli.case import case as command

    done = CliRunner().invoke(command, [*words, "--out", str(tmp_path)])
    assert done.exit_code == code
    assert said in done.output


def test_a_finding_names_its_remedy() -> None:
    """``--fix`` takes what an analysis found: late stopping is mended by patience."""
    recipe = broken(make({}), "no-early-stopping")
    assert mended(recipe, "late-stopping").patience == 5
    with pytest.raises(ConfigError, match="no remedy is known"):
        mended(recipe, "crash")
