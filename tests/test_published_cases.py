"""The published post-mortems: what their own logs prove must be said, and what they contradict must not."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest

from postmortem.analysis import Options, analyze
from postmortem.engine import RunView
from postmortem.engine.evaluate import Scope
from postmortem.engine.syntax import parse
from postmortem.engine.values import Scalar
from postmortem.model import Finding, Report, RunReport

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="the published logs are not beside this checkout")


@cache
def report(case: str, **settings: str) -> Report:
    """The report on one case."""
    return analyze([CASES / case], Options(settings=settings))


def ids(run: RunReport) -> set[str]:
    """Ids of everything found in a run."""
    return {finding.id for finding in run.findings}


def one(run: RunReport, name: str, metric: str | None = None) -> Finding:
    """The finding of a run with an id (and a metric)."""
    (found,) = [f for f in run.findings if f.id == name and metric in (None, f.metric)]
    return found


class TestDetector:
    """Case 1: a strict metric fell off a cliff, in the evaluation and not in the model."""

    def test_the_cliff_is_three_collapses(self) -> None:
        """Each collapsed metric is named with the epoch and the line it collapsed at; AUROC held."""
        (run,) = report("lens-gen2").runs
        source = (CASES / "lens-gen2" / "history.json").read_text().splitlines()
        collapses = {f.metric: f for f in run.findings if f.id == "threshold-collapse"}

        assert {metric: f.first.epoch for metric, f in collapses.items()} == {
            "tpr@fpr1e-05": 3,
            "tpr@fpr0.0001": 5,
            "tpr@fpr0.001": 7,
        }
        for metric, finding in collapses.items():
            value = finding.evidence[0]
            assert value.value == pytest.approx(1 / 62910)
            assert value.line is not None
            assert f'"{metric}": 1.5895' in source[value.line - 1]
            assert "auroc kept 0.99" in finding.message

    def test_the_evaluation_set_is_duplicated(self) -> None:
        """False positives come in pairs, beyond chance; nothing is said of the training set, and why not."""
        (run,) = report("lens-gen2").runs

        assert "multiples of 2" in one(run, "sample-duplication").message
        assert [n.log_this for n in run.not_applicable if n.reason.startswith("training set")] == [
            "the step beside the epoch, or steps_per_epoch"
        ]

    def test_one_metric_is_below_the_resolution_of_the_data(self) -> None:
        """1e-5 of 65,090 negatives is less than one; 1e-4 is not."""
        (run,) = report("lens-gen2").runs

        assert one(run, "metric-resolution").metric == "tpr@fpr1e-05"
        assert "0.65 of 65,090" in one(run, "metric-resolution").message

    def test_memorization_and_late_stopping(self) -> None:
        """The training loss fell 822-fold for nothing; the best epoch hangs on a metric that is broken later."""
        (run,) = report("lens-gen2").runs
        late = one(run, "late-stopping")

        assert "822-fold" in one(run, "memorization").message
        assert "tpr@fpr0.0001 was best at epoch 3" in late.message
        assert late.folded_under == "threshold-collapse"

    def test_tied_scores_and_not_a_lost_ranking(self) -> None:
        """Each collapse: one positive is left of 62,910 and operating points agree, while AUROC held at its lines."""
        (run,) = report("lens-gen2").runs
        for finding in [f for f in run.findings if f.id == "threshold-collapse"]:
            causes = {cause.id: cause for cause in finding.causes}
            (against,) = causes["lost-ranking"].excluded_by

            assert finding.causes[0].id == "tied-scores"
            assert [len(causes["tied-scores"].kept), causes["tied-scores"].broken] == [2, ()]
            assert "one sample at most (1 of 62,910 positives)" in causes["tied-scores"].kept[0].says
            assert causes["lost-ranking"].verdict == "contradicted"
            assert [(piece.name, round(float(piece.value or 0), 4), piece.line) for piece in against.evidence] == [
                ("last(auroc)", 0.99, 223),
                ("best(auroc)", 0.991, 3),
            ]
        assert "the highest scores are tied" in run.headline

    def test_it_does_not_blame_the_model(self) -> None:
        """Neither overfitting nor divergence is claimed, and the headline is the evaluation."""
        (run,) = report("lens-gen2").runs

        assert not ids(run) & {"overfit", "divergence", "late-degradation", "plateau", "frozen-metric"}
        assert "a metric at a threshold collapsed while the ranking behind it held" in run.headline

    def test_the_published_configuration_shows_eight_fold_duplication(self) -> None:
        """Given the sizes, 40,625 steps are eight times what 1.3 M samples in batches of 256 make."""
        (run,) = report(
            "lens-gen2", n_train="1300000", batch_size="256", steps_per_epoch="40625", num_workers="8", epochs="12"
        ).runs
        messages = [f.message for f in run.findings if f.id == "sample-duplication"]

        assert any("k = 8" in message and "5,079" in message for message in messages)


class TestRecommender:
    """Case 2: thirteen files, seven processes; the host stood still, the loader was not slow."""

    def test_thirteen_files_are_seven_runs(self) -> None:
        """Each process is reported once and its copies are named."""
        runs = report("ctr-phases").runs
        named = [path for run in runs for source in run.run.sources for path in (source.path, *source.copies)]

        assert len(runs) == 7
        assert len(named) == len(set(named)) == 13

    @pytest.mark.parametrize(
        ("seed", "best", "last"), [("seed42_5", (1, 0.1880), 0.2921), ("seed123_5", (2, 0.1898), 0.3058)]
    )
    def test_phase_one_overfits(self, seed: str, best: tuple[int, float], last: float) -> None:
        """Overfitting and late stopping, with the best epoch and the values of the log."""
        run = next(r for r in report("ctr-phases").runs if seed in r.run.name)
        finding = one(run, "overfit")
        shown = {piece.name: piece.value for piece in finding.evidence}

        assert finding.first.epoch == best[0]
        assert (shown["val.loss, best"], shown["val.loss, last"]) == (best[1], last)
        assert "late-stopping" in ids(run)

    STALLS: ClassVar = {
        "phase3_seed42_20251102_023608": [688],
        "phase3_seed42_final": [945],
        "seed123_5": [285, 236],
        "mdaf_mamba_seed42": [350, 229],
        "phase3_revised": [727],
    }

    @pytest.mark.parametrize("name", STALLS)
    def test_the_host_stood_still(self, name: str) -> None:
        """Each long gap is found with its length in minutes and the lines it lies between."""
        runs = [r for r in report("ctr-phases").runs if r.run.name.endswith(name) or name in r.run.name]
        run = min(runs, key=lambda r: len(r.run.name))
        stall = one(run, "stall")
        gaps = [piece for piece in stall.evidence if piece.name.startswith("minutes")]
        lengths = [round(float(piece.value or 0)) for piece in gaps]

        assert all(any(abs(length - want) <= 1 for length in lengths) for want in self.STALLS[name])
        assert all(piece.line is not None and "since line" in piece.name for piece in gaps)

    def test_an_undisturbed_stretch_runs_at_full_speed_without_workers(self) -> None:
        """Twenty-seven batches a minute in the run that was called forty times too slow."""
        run = next(r for r in report("ctr-phases").runs if r.run.name.endswith("023608"))
        shown = {piece.name: piece.value for piece in one(run, "stall").evidence}

        assert shown["steps a minute, undisturbed"] == pytest.approx(27.9, abs=0.2)

    @pytest.mark.parametrize("name", STALLS)
    def test_the_host_was_suspended_and_the_loader_is_not_slow(self, name: str) -> None:
        """Every stall: host suspension supported, a slow loader contradicted by the rate of an undisturbed stretch."""
        runs = [r for r in report("ctr-phases").runs if name in r.run.name]
        causes = {cause.id: cause for cause in one(min(runs, key=lambda r: len(r.run.name)), "stall").causes}

        assert {name: cause.verdict for name, cause in causes.items()} == {
            "host-suspension": "supported",
            "slow-loader": "contradicted",
            "unlogged-work": "contradicted",
            "cold-start": "contradicted",
        }
        assert all(piece.line for clue in causes["slow-loader"].excluded_by for piece in clue.evidence)

    def test_another_run_without_workers_at_full_speed_contradicts_as_well(self) -> None:
        """The run whose own best stretch is slow is contradicted by its sibling's 27.9 batches a minute."""
        run = next(r for r in report("ctr-phases").runs if r.run.name.endswith("seed42_final"))
        (loader,) = [cause for cause in one(run, "stall").causes if cause.id == "slow-loader"]
        clue = loader.excluded_by[-1]
        (elsewhere, *_) = clue.evidence

        assert clue.says == "another run with the same settings made 27.9 steps a minute"
        assert str(elsewhere.source).endswith("phase3_seed42_20251102_023608.log")

    @pytest.mark.parametrize("seed", ["seed42_5", "seed123_5"])
    def test_phase_one_was_trained_too_long(self, seed: str) -> None:
        """The model learns by heart; that it was validated on other data is contradicted."""
        run = next(r for r in report("ctr-phases").runs if seed in r.run.name)
        verdicts = {cause.id: cause.verdict for cause in one(run, "overfit").causes}

        assert verdicts["trained-too-long"] == "supported"
        assert verdicts["validation-differs"] == "contradicted"

    def test_phase_three_is_incomplete_and_nothing_more_is_claimed(self) -> None:
        """A run of one epoch is incomplete; it shows no trajectory, so none is judged."""
        phase3 = [r for r in report("ctr-phases").runs if "phase3" in r.run.name]

        assert len(phase3) == 4
        for run in phase3:
            assert "incomplete-run" in ids(run), run.run.name
            assert not ids(run) & {"overfit", "plateau", "late-stopping", "dead-component", "loader-bound"}


class TestFineTuning:
    """Case 3: a count compared over runs of different length."""

    # Steps, oscillations, median change in %, volatility, last loss and accuracy, valid rows, full valid rows.
    TABLE: ClassVar = {
        "2": (683, 654, 12.2, 0.0375, 0.3144, 80.95, 69, 1),
        "3": (291, 269, 7.8, 0.0254, 0.2858, 84.44, 30, 1),
        "4": (560, 517, 8.3, 0.0244, 0.3170, 83.33, 56, 2),
        "5": (280, 256, 8.9, 0.0262, 0.2721, 87.30, 28, 1),
    }
    COLUMNS = (
        ("count(train.loss)", 0, 1),
        ("oscillations(train.loss, 0.01)", 0, 1),
        ("median(abs(change(train.loss)))", 1, 100),
        ("volatility(train.loss, 20)", 4, 1),
        ("last(train.loss)", 4, 1),
        ("last(train.mean_token_accuracy)", 2, 100),
        ("count(val.loss)", 0, 1),
        ("count(val.full_loss)", 0, 1),
    )

    @pytest.mark.parametrize("number", TABLE)
    def test_the_table_to_the_printed_digit(self, number: str) -> None:
        """Every figure of the table comes out of the rule language as published."""
        run = next(r.run for r in report("finetune-runs").runs if r.run.name.endswith(f"_{number}"))
        scope = Scope(RunView(run, {}), {}, {})

        for (text, digits, factor), expected in zip(self.COLUMNS, self.TABLE[number], strict=True):
            value = scope.evaluate(parse(text))
            assert isinstance(value, Scalar)
            # Published figures may have been rounded twice: 8.847 % by way of 8.85 % to 8.9 %.
            twice = round(round(float(value.value or 0) * factor, digits + 1) + 1e-9, digits)
            assert expected in (round(float(value.value or 0) * factor, digits), twice), text

    def test_the_second_epoch_of_run_four_is_not_worse(self) -> None:
        """Full validation improved from 0.2976 to 0.2957."""
        run = next(r.run for r in report("finetune-runs").runs if r.run.name.endswith("_4"))
        scope = Scope(RunView(run, {}), {}, {})
        ends = [scope.evaluate(parse(text)) for text in ("first(val.full_loss)", "last(val.full_loss)")]

        assert [f"{end.value:.4f}" for end in ends if isinstance(end, Scalar)] == ["0.2976", "0.2957"]

    def test_nothing_is_claimed_against_any_of_the_four(self) -> None:
        """Neither oscillation nor overfitting nor a degradation; single batches prove nothing."""
        for run in report("finetune-runs").runs:
            assert not [f for f in run.findings if f.severity != "info"], run.run.name


class TestSharpe:
    """Case 4, from its published figures: one number in six runs that differ."""

    def test_the_evaluation_is_wrong_and_not_the_training(self) -> None:
        """The finding across runs leads; a plateau and constant predictions are contradicted; no rate is blamed."""
        folder = Path(__file__).resolve().parents[1] / "fixtures" / "sick" / "identical-across-runs-published"
        found = analyze([folder])
        (leading,) = found.across_runs
        verdicts = {cause.id: cause.verdict for cause in leading.causes}

        assert (leading.id, leading.severity, len(leading.runs)) == ("identical-across-runs", "error", 6)
        assert "0.08177260619898637" in leading.message
        assert verdicts == {
            "not-computed-from-the-model": "supported",
            "constant-predictions": "contradicted",
            "plateau": "contradicted",
        }
        assert found.headline.startswith("a metric is the same to the last digit")
        own = {finding.id: finding.folded_under for run in found.runs for finding in run.findings}
        assert own["behind-schedule"] == "identical-across-runs"
        assert not any("learning rate" in step for finding in found.across_runs for step in finding.do)
        assert not own.keys() & {"plateau", "lr-too-high", "lr-decayed-too-early", "exploding-gradient", "overfit"}
