"""The shipped rules: every case beside them holds, and every rule has the cases it needs."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from postmortem.builtin import shipped
from postmortem.cases import CaseFile, CaseResult, expand, run_cases
from postmortem.engine import load_rules
from postmortem.engine.library import TEST_SUFFIX
from postmortem.errors import RuleError
from postmortem.yamlfile import load, validate

RULES = shipped("rules")
RESULTS = run_cases([RULES])


@pytest.mark.parametrize("result", RESULTS, ids=[f"{r.rule}: {r.name}" for r in RESULTS])
def test_case(result: CaseResult) -> None:
    """A rule says what the case beside it expects."""
    assert result.passed, f"{result.path}:{result.line}: {result.message}"


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.id)
def test_rule_has_firing_and_silent_cases(rule) -> None:
    """Every shipped rule shows when it fires and when it is silent; its texts are sentences."""
    tests = validate(CaseFile, load(rule.rule.path.with_name(rule.id + TEST_SUFFIX)), RuleError)
    kinds = [("fires", case.fires) if case.fires is not None else ("silent", case.silent) for case in tests.cases]

    assert {"fires", "silent"} <= {kind for kind, said in kinds if said}
    assert all(
        text.strip().endswith(".") for text in (rule.rule.finds, rule.rule.why, rule.rule.wrong_when, *rule.rule.do)
    )
    assert rule.rule.title[0].isupper()


def test_what_rules_lead_to_exists() -> None:
    """A rule folds only under ids that exist or are reserved names of the design."""
    known = {path.stem for path in RULES.rglob("*.yaml")}

    assert {name for rule in load_rules() for name in rule.rule.leads_to} <= known


NOTATION = {
    "3": [3.0],
    "3x2": [3.0, 3.0, 3.0],
    "3-0.5x2 _ nan": [3.0, 2.5, 2.0, None, "nan"],
    "1e-3+1e-3x1": [0.001, 0.002],
    "-1+1x1 inf -inf": [-1.0, 0.0, float("inf"), float("-inf")],
    "_x2 nanx2": [None, None, "nan", "nan"],
}


@pytest.mark.parametrize("text", NOTATION)
def test_notation(text: str) -> None:
    """The series notation of cases gives the values its description promises."""
    shown = ["nan" if value is not None and math.isnan(value) else value for value in expand(text)]

    assert (
        shown == pytest.approx(NOTATION[text]) if all(isinstance(v, float) for v in shown) else shown == NOTATION[text]
    )


def test_unknown_term_is_named() -> None:
    """A term that is no notation is refused by name."""
    with pytest.raises(ValueError, match="'3y2' is no term"):
        expand("1 2 3y2")


def test_failing_case_says_what_came_instead(tmp_path: Path) -> None:
    """A case that does not hold tells the writer what the rule said."""
    (tmp_path / "low.yaml").write_text(RULE.format(when="x > 3"))
    (tmp_path / "low.test.yaml").write_text("rule: low\ncases:\n  - {name: a, given: {x: '1x9'}, fires: [{}]}\n")

    (result,) = run_cases([tmp_path])

    assert not result.passed
    assert "got clear" in result.message


def test_rule_without_cases_fails(tmp_path: Path) -> None:
    """A rule with nothing beside it is reported, not passed over."""
    (tmp_path / "low.yaml").write_text(RULE.format(when="x > 3"))

    (result,) = run_cases([tmp_path])

    assert (result.passed, result.message) == (False, "there is no low.test.yaml beside it")


RULE = """\
id: low
title: Low
severity: info
when: {when}
message: "x is high"
finds: Something.
why: It matters.
do: [Look.]
wrong_when: Never.
"""
