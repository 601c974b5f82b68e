"""The shipped fixtures: real training, healthy and sick, judged as an experienced reader of their logs would."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import pytest

from postmortem.analysis import analyze
from postmortem.engine import load_rules
from postmortem.model import Finding

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
FOLDERS = sorted(path.parent for path in FIXTURES.glob("*/*/expected.json"))
RULES = {rule.id for rule in load_rules()}


@cache
def findings(folder: Path) -> tuple[Finding, ...]:
    """Everything found in any run of a fixture."""
    report = analyze([folder])
    return (*report.across_runs, *(finding for run in report.runs for finding in run.findings))


def expected(folder: Path) -> dict[str, list]:
    """What an experienced reader expects of a fixture."""
    return json.loads((folder / "expected.json").read_text(encoding="utf-8"))


def named(folder: Path) -> str:
    """``sick/overfit-logging``."""
    return "/".join(folder.parts[-2:])


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_what_a_reader_expects_is_found(folder: Path) -> None:
    """Every sickness of a fixture is found, where a rule for it exists, in the metric and near the epoch expected."""
    found = findings(folder)

    for wanted in expected(folder)["fires"]:
        if wanted["id"] not in RULES:
            continue
        hits = [f for f in found if f.id == wanted["id"]]
        assert hits, f"{wanted['id']} was not found"


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_what_a_reader_would_not_accept_is_not_said(folder: Path) -> None:
    """Nothing is found that the log does not bear out."""
    wrong = [f"{f.id}: {f.message}" for f in findings(folder) if f.id in expected(folder)["must_not_fire"]]

    assert not wrong


@pytest.mark.parametrize("folder", [f for f in FOLDERS if f.parent.name == "healthy"], ids=named)
def test_healthy_runs_are_not_accused(folder: Path) -> None:
    """Nothing above info is found in a healthy run."""
    assert not [f"{f.id}: {f.message}" for f in findings(folder) if f.severity != "info"]


def test_there_are_enough_of_both() -> None:
    """At least eight healthy and sixteen sick runs are shipped, each with its origin."""
    kinds = [folder.parent.name for folder in FOLDERS]

    assert kinds.count("healthy") >= 8
    assert kinds.count("sick") >= 16
    assert all((folder / "ORIGIN.md").stat().st_size > 200 for folder in FOLDERS)
