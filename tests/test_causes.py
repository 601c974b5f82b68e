"""Rival causes: what makes one supported, contradicted or open, and what a writer of causes is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmortem.cases import Case, run_cases, synthetic
from postmortem.engine import RunView, load_rules
from postmortem.engine.judge import judge
from postmortem.engine.library import read_rules
from postmortem.errors import RuleError
from postmortem.model import Cause

RULE = """\
id: high
title: High
severity: warning
params: {limit: {default: 3, help: The limit.}}
checks:
  - name: by value
    each: {x: {metric: [y], what: y}}
    let: {top: max(x)}
    when: top > $limit
    message: "x is {top}"
  - name: by another
    let: {second: max(z)}
    when: second > $limit
    message: "z is {second}"
finds: Something.
why: It matters.
do: [Look.]
wrong_when: Never.
"""


def causes(tmp_path: Path, text: str, **given: str) -> dict[str, Cause]:
    """The causes of the finding of ``high`` on a run with these metrics."""
    folder = tmp_path / "causes"
    folder.mkdir(exist_ok=True)
    (tmp_path / "high.yaml").write_text(RULE)
    (folder / "high.yaml").write_text(f"symptom: high\n{text}")
    (rule,) = read_rules([tmp_path])
    case = Case.model_validate({"name": "a", "given": given, "silent": True})
    outcome = judge(rule, RunView(synthetic(case), {}))
    assert not outcome.problems
    return {cause.id: cause for cause in outcome.findings[0].causes}


def rival(name: str, predicts: str, excluded_by: str = "[]") -> str:
    """The YAML of one cause; predictions are flow mappings without ``says``."""
    return (
        f"  - id: {name}\n    title: {name}\n    predicts: [{predicts}]\n    excluded_by: {excluded_by}\n"
        "    settle: Try.\n    fix: Mend.\n"
    )


OTHER = rival("other", "{when: max(w) > 100, says: w is huge}")

VERDICTS = {
    "a prediction is kept": ("{when: a > 0, says: s}", "[]", "supported"),
    "it is broken": ("{when: a < 0, says: s}", "[]", "open"),
    "it must hold and is broken": ("{when: a < 0, says: s, strength: must}", "[]", "contradicted"),
    "it may hold and is broken": ("{when: a > 0, says: s}, {when: b < 0, says: s, strength: may}", "[]", "supported"),
    "what only may hold supports nothing": ("{when: a > 0, says: s, strength: may}", "[]", "open"),
    "it cannot be observed": ("{when: max(v) > 0, says: s}", "[]", "open"),
    "one is kept, one cannot be observed": ("{when: a > 0, says: s}, {when: max(v) > 0, says: s}", "[]", "supported"),
    "one is kept, one broken": ("{when: a > 0, says: s}, {when: b < 0, says: s}", "[]", "open"),
    "something excludes it": ("{when: a > 0, says: s}", "[{when: b > 0, says: s}]", "contradicted"),
    "what would exclude it is unknown": ("{when: a > 0, says: s}", "[{when: max(v) > 0, says: s}]", "supported"),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdict(tmp_path: Path, name: str) -> None:
    """Exclusions and broken necessities contradict; support needs a kept prediction and no broken one."""
    predicts, excluded_by, verdict = VERDICTS[name]
    text = f"let: {{a: max(x), b: min(x)}}\ncauses:\n{rival('one', predicts, excluded_by)}{OTHER}"

    assert causes(tmp_path, text, y="1 2 5")["one"].verdict == verdict


def test_what_a_rival_predicts_as_well_does_not_support(tmp_path: Path) -> None:
    """A shared prediction tells nothing, until the rival that shares it is contradicted."""
    shared = "{when: max(x) > 0, says: s}"
    one = rival("one", f"{shared}, {{when: max(v) > 0, says: s}}")
    two = rival("two", f"{shared}, {{when: max(w) > 0, says: s}}", "[{when: max(u) > 0, says: u is there}]")
    text = f"causes:\n{one}{two}"

    assert [cause.verdict for cause in causes(tmp_path, text, y="5").values()] == ["open", "open"]
    told_apart = causes(tmp_path, text, y="5", u="1")
    assert {name: cause.verdict for name, cause in told_apart.items()} == {"one": "supported", "two": "contradicted"}


def test_clues_lead_to_lines_and_say_what_is_missing(tmp_path: Path) -> None:
    """Each number a verdict rests on has its line; what could not be observed has its reason and what to log."""
    text = (
        "let: {a: max(x)}\ncauses:\n"
        + rival("one", "{when: a > last(x), says: 'the top {a} is at {a_at}'}, {when: max(v) > 0, says: s}")
        + OTHER
    )
    cause = causes(tmp_path, text, y="1 7 2")["one"]
    (kept,), (unknown,) = cause.kept, cause.unobservable

    assert kept.says == "the top 7 is at epoch 2"
    assert [(piece.name, piece.value, piece.line) for piece in kept.evidence] == [("a", 7.0, 2), ("last(y)", 2.0, 3)]
    assert (unknown.missing, unknown.log_this) == ("v is not logged", "v")
    assert cause.because == ("the top 7 is at epoch 2",)


def test_a_name_of_another_check_is_missing(tmp_path: Path) -> None:
    """A finding of one check lacks the names of the others, which leaves a clue unobservable."""
    text = f"causes:\n{rival('one', '{when: second > 0, says: s}')}{OTHER}"
    (unknown,) = causes(tmp_path, text, y="5")["one"].unobservable

    assert unknown.missing == "this check of the rule does not know second"


def test_a_further_series_may_be_bound(tmp_path: Path) -> None:
    """``with`` binds the most preferred series; one that is not logged is named as a reader would log it."""
    one = rival("one", "{when: max(memory) > 10, says: s}")
    text = f"with: {{memory: {{role: memory, what: the memory in use}}}}\ncauses:\n{one}{OTHER}"

    assert causes(tmp_path, text, y="5", gpu_mem="10 20")["one"].verdict == "supported"
    assert causes(tmp_path, text, y="5")["one"].unobservable[0].missing == "the memory in use is not logged"


WRONG = {
    "symptom: hihg\ncauses: []": "at least 2 items",
    f"causes:\n{rival('one', '{when: top >, says: s}')}{OTHER}": "the expression ends too early",
    f"causes:\n{rival('one', '{when: top, says: s}')}{OTHER}": "expected a truth",
    f"causes:\n{rival('one', '{when: top > 1, says: s}', '[{when: tpo(x) > 1, says: s}]')}{OTHER}": "no function tpo()",
    "causes:\n" + rival("one", "{when: top > 1, says: '{tpo}'}") + OTHER: "the text names 'tpo'",
    f"causes:\n{rival('other', '{when: top > 1, says: s}')}{OTHER}": "the id 'other' is used twice",
    f"causes:\n{rival('one', '{when: max(w) > 100, says: s}')}{OTHER}": "nothing that one predicts tells it from other",
}


@pytest.mark.parametrize("text", WRONG)
def test_mistakes_are_named_with_their_place(tmp_path: Path, text: str) -> None:
    """A wrong file of causes is refused with the line of each mistake."""
    with pytest.raises(RuleError) as refused:
        causes(tmp_path, text.removeprefix("symptom: hihg\n"), y="5")

    assert any(WRONG[text] in problem.message and problem.line for problem in refused.value.problems)


def test_an_unknown_symptom_is_named(tmp_path: Path) -> None:
    """Causes of a rule that does not exist are refused with the nearest rule."""
    (tmp_path / "causes").mkdir()
    text = f"symptom: overfti\ncauses:\n{rival('one', '{when: a > 1, says: s}')}{OTHER}"
    (tmp_path / "causes" / "overfti.yaml").write_text(text)

    with pytest.raises(RuleError) as refused:
        load_rules([tmp_path])
    assert [problem.hint for problem in refused.value.problems] == ["did you mean 'overfit'?"]


def test_causes_of_the_user_take_the_place_of_shipped_ones(tmp_path: Path) -> None:
    """A user explains a shipped symptom anew without copying the rule."""
    (tmp_path / "causes").mkdir()
    text = f"symptom: overfit\ncauses:\n{rival('one', '{when: last(it) > 1, says: s}')}{OTHER}"
    (tmp_path / "causes" / "overfit.yaml").write_text(text)
    (rule,) = [rule for rule in load_rules([tmp_path]) if rule.id == "overfit"]

    assert rule.causes is not None
    assert [cause.source.id for cause in rule.causes.rivals] == ["one", "other"]


def test_a_clue_that_cannot_be_computed_harms_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing function leaves its clue unobservable; the finding and the other clues stay."""
    from dataclasses import replace

    from postmortem.engine.functions import FUNCTIONS

    def fail(*_: object) -> None:
        raise ZeroDivisionError("boom")

    text = f"causes:\n{rival('one', '{when: sum(x) > 0, says: s}, {when: top > 0, says: s}')}{OTHER}"
    monkeypatch.setitem(FUNCTIONS, "sum", replace(FUNCTIONS["sum"], compute=fail))
    cause = causes(tmp_path, text, y="5")["one"]

    assert (cause.verdict, cause.unobservable[0].missing) == ("supported", "ZeroDivisionError: boom")


def test_cases_beside_causes_are_run(tmp_path: Path) -> None:
    """A verdict that differs from the case is reported with what decided it; so is a symptom that is not found."""
    text = f"causes:\n{rival('one', '{when: top > 100, says: it is huge}')}{OTHER}"
    causes(tmp_path, text, y="5")
    (tmp_path / "causes" / "high.test.yaml").write_text(
        "symptom: high\ncases:\n  - {name: a, given: {y: '5'}, verdicts: {one: supported}}\n"
        "  - {name: b, given: {y: '1'}, verdicts: {one: open}}\n  - {name: c, given: {y: '5'}, verdicts: {one: open}}\n"
    )
    results = [each for each in run_cases([tmp_path]) if each.rule == "causes of high"]

    assert [each.message for each in results] == [
        "expected one supported, got open (not so: it is huge)",
        "the symptom is not found: by another: z is not logged",
        "",
    ]


def test_causes_without_cases_fail(tmp_path: Path) -> None:
    """A file of causes with nothing beside it is reported."""
    causes(tmp_path, f"causes:\n{rival('one', '{when: top > 0, says: s}')}{OTHER}", y="5")

    assert "there is no high.test.yaml beside it" in [each.message for each in run_cases([tmp_path])]
