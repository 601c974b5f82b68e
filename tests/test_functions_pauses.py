"""Gaps in the clock of a run: when they were, what they lie between, and the pace around them."""

from __future__ import annotations

import pytest

from postmortem.cases import Case, synthetic
from postmortem.engine import RunView
from postmortem.engine.evaluate import Scope
from postmortem.engine.syntax import parse
from postmortem.engine.values import Scalar


def value(text: str, minutes: str, **more: object) -> Scalar:
    """An expression on a run whose ten records took these minutes, from midnight on."""
    given = {"train.loss": {"values": "1-0.01x9", "minutes": minutes}}
    case = Case.model_validate({"name": "a", "given": given, "axis": "step", "silent": True, **more})
    found = Scope(RunView(synthetic(case), {}), {}, {}).evaluate(parse(text))
    assert isinstance(found, Scalar)
    return found


NIGHT = {
    "from midnight on": ("1 1 1 120 1 1 1 1 1 1", 1.0),
    "from noon on": ("720 1 1 120 1 1 1 1 1 1", 0.0),
    "from eight in the evening, for four hours": ("1200 1 1 240 1 1 1 1 1 1", 0.5),
    "a whole day": ("1 1 1 1440 1 1 1 1 1 1", 9 / 24),
}


@pytest.mark.parametrize("name", NIGHT)
def test_share_of_gaps_at_night(name: str) -> None:
    """The share of the lost time between 22:00 and 07:00, by the clock of the log."""
    minutes, share = NIGHT[name]

    assert value("night(gaps())", minutes).value == pytest.approx(share, abs=0.02)


def test_gaps_between_batches_are_told_from_those_around_evaluations() -> None:
    """A gap between two batches lies inside training; one that holds an evaluation does not."""
    minutes = "1 1 1 120 1 1 1 1 1 1"

    assert value("gaps_inside()", minutes).value == 1
    assert value("gaps_inside()", minutes, events={"checkpoint @ 4": "saved"}).value == 0
    assert value("gaps_inside()", "1 1 1 1 1 1 1 1 1 1").value == 0


def test_the_pace_around_the_first_gap() -> None:
    """Undisturbed intervals are split at the first gap; without a gap there is nothing to split at."""
    minutes = "1 1 1 120 2 1 1 1 1 1"

    assert value("count(unit_seconds_before())", minutes).value == 2
    assert value("count(unit_seconds_after())", minutes).value == 6
    assert value("first(unit_seconds_after())", minutes).value == 120
    assert value("count(unit_seconds_after())", "1 1 1 1 1 1 1 1 1 1").missing == "there is no gap"
