"""Looking beyond a run: which runs are of the same program, and numbers that are the same in several."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from postmortem.analysis import analyze
from postmortem.cases import Case, synthetic
from postmortem.engine import RunView
from postmortem.engine.evaluate import Scope
from postmortem.engine.syntax import parse
from postmortem.engine.values import Scalar
from postmortem.model import Report


def log(folder: Path, name: str, losses: list[float], score: float, extra: str = "") -> None:
    """A text log of a run that ends with a Sharpe ratio."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    lines = [f"Epoch {n}/{len(losses)} - train_loss: {loss:.4f}{extra}" for n, loss in enumerate(losses, 1)]
    (folder / name / "train.log").write_text("\n".join([*lines, f"Final sharpe: {score!r}", ""]))


def across(report: Report) -> list[tuple[str, tuple[str, ...]]]:
    """Findings across runs with their runs."""
    return [(found.id, tuple(sorted(Path(run).name for run in found.runs))) for found in report.across_runs]


SHARPE = 0.08177260619898637


def test_one_finding_names_all_runs(tmp_path: Path) -> None:
    """The same digits in three different runs are one finding with the line of each, first in the report."""
    for name, start in (("a", 0.9), ("b", 0.7), ("c", 0.5)):
        log(tmp_path, name, [start - 0.01 * epoch for epoch in range(5)], SHARPE)
    report = analyze([tmp_path])
    (found,) = report.across_runs

    assert across(report) == [("identical-across-runs", ("a", "b", "c"))]
    assert {Path(piece.source or "").parent.name for piece in found.evidence} == {"a", "b", "c"}
    assert all(piece.line for piece in found.evidence)
    assert report.headline.startswith("a metric is the same to the last digit in runs that differ")
    assert report.headline.endswith("3 of 3 runs")
    assert not any(f.id == found.id for run in report.runs for f in run.findings)
    assert not any(found.id in run.clear for run in report.runs)


def test_order_of_runs_does_not_matter(tmp_path: Path) -> None:
    """Whatever the order in which the runs are named, the same finding names the same runs."""
    losses = {"a": [0.9, 0.8], "b": [0.7, 0.5], "c": [0.6, 0.55], "d": [0.9, 0.8, 0.7]}
    for name, values in losses.items():
        log(tmp_path, name, values, SHARPE)
    paths = [tmp_path / name for name in losses]
    shown = []
    for seed in range(2):
        random.Random(seed).shuffle(paths)
        shown.append(across(analyze(paths)))

    assert shown == [[("identical-across-runs", ("a", "b", "c", "d"))]] * 2


def test_a_copy_or_a_continued_run_is_no_other_run(tmp_path: Path) -> None:
    """A run, its copy, and the same run continued for longer agree wherever both logged."""
    short = [0.9 - 0.01 * epoch for epoch in range(5)]
    log(tmp_path, "a", short, SHARPE)
    log(tmp_path, "copy", short, SHARPE)
    log(tmp_path, "longer", [*short, 0.8, 0.7, 0.6], SHARPE)

    assert across(analyze([tmp_path])) == []


def test_consequences_are_folded_under_the_finding_across_runs(tmp_path: Path) -> None:
    """A target missed by a number that does not depend on the model is no finding of its own."""
    for name, start in (("a", 0.9), ("b", 0.7)):
        log(tmp_path, name, [start - 0.01 * epoch for epoch in range(5)], SHARPE)
    report = analyze([tmp_path])
    text = (tmp_path / "a" / "train.log").read_text()
    (tmp_path / "a" / "train.log").write_text(f"Target sharpe: 0.849\n{text}")
    (run,) = [each for each in analyze([tmp_path]).runs if Path(each.run.name).name == "a"]

    assert [(f.id, f.folded_under) for f in run.findings] == [("target-missed", "identical-across-runs")]
    assert not any(each.findings for each in report.runs)


def views(*cases: dict[str, object]) -> list[RunView]:
    """Views of described runs that are analysed together."""
    together: list[RunView] = []
    runs = [
        synthetic(Case.model_validate({"name": "a", "silent": True, **case}), f"r{i}") for i, case in enumerate(cases)
    ]
    together += [RunView(run, {}, together) for run in runs]
    return together


def value(view: RunView, text: str) -> Scalar:
    """An expression on a run."""
    found = Scope(view, {}, {}).evaluate(parse(text))
    assert isinstance(found, Scalar)
    return found


def test_numbers_of_other_runs() -> None:
    """The extremes are taken over other runs alone, with the place in that run."""
    first, *_ = views({"given": {"loss": "5 4 3"}}, {"given": {"loss": "2 1"}}, {"given": {"loss": "9 8"}})

    assert value(first, 'lowest_elsewhere(last(loss), "")').value == 1
    highest = value(first, 'highest_elsewhere(last(loss), "")')
    assert (highest.value, highest.at and highest.at.line) == (8, 2)


def test_only_runs_that_state_the_same_are_compared() -> None:
    """A fact that is stated otherwise, or by one run only, makes runs incomparable."""
    workers = [{"given": {"loss": f"{i}"}, "facts": {"num_workers": n}} for i, n in ((1, 4), (2, 0), (3, 4))]
    first, second, _ = views(*workers)

    assert value(first, 'lowest_elsewhere(last(loss), "num_workers")').value == 3
    lone = value(second, 'lowest_elsewhere(last(loss), "num_workers")')
    assert lone.value is None
    assert lone.missing == "no other run of the same program with the same num_workers is among the logs"


@pytest.mark.parametrize(("other", "kin"), [("loss", 1), ("energy", 0)])
def test_runs_of_another_program_are_no_siblings(other: str, kin: int) -> None:
    """Runs that log other things are not compared."""
    first, _ = views({"given": {"loss": "5 4 3"}}, {"given": {other: "2 1"}})

    assert len(first.siblings) == kin


def test_a_run_alone_has_no_siblings() -> None:
    """Without other runs what is asked of them is missing, with what would help."""
    (alone,) = views({"given": {"loss": "5 4 3"}})
    missing = value(alone, 'lowest_elsewhere(last(loss), "")')

    assert (missing.value, missing.log_this) == (None, "another run beside this one")
