"""Evaluating expressions, and judging runs by rules a user writes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmortem.cases import Case, synthetic
from postmortem.engine import RunView, evaluate, load_config, load_rules
from postmortem.engine.evaluate import Scope
from postmortem.engine.judge import judge
from postmortem.engine.library import read_rule
from postmortem.engine.syntax import parse
from postmortem.engine.values import Scalar, Series, conjunction, disjunction
from postmortem.errors import ConfigError, RuleError


def view(given: dict[str, object], **case: object) -> RunView:
    """A run with the metrics given in the notation of rule cases."""
    return RunView(synthetic(Case.model_validate({"name": "case", "given": given, **case})), {})


def value(text: str, run: RunView) -> object:
    """An expression's value: a number, a list, or the reason why it is missing."""
    result = Scope(run, {}, {"two": 2.0}).evaluate(parse(text))
    if isinstance(result, Series):
        return [None if math.isnan(v) else v for v in result.value]
    assert isinstance(result, Scalar)
    return result.value if result.value is not None else result.missing


LOSS = {"train.loss": "4 3 2 1", "val.loss": {"values": "4 3.5", "start": 2, "every": 2}, "lr": "0.1x3"}

EXPRESSIONS = [
    ("first(train.loss) - last(train.loss)", 3.0),
    ("best(val.loss)", 3.5),
    ("$two * mean(train.loss)", 5.0),
    ("train.loss > 2", [1.0, 1.0, 0.0, 0.0]),
    ("train.loss / val.loss", [None, 0.75, 0.5, 1 / 3.5]),
    ("median(train.loss[2 before])", [None, 4.0, 3.5, 2.5]),
    ("max(train.loss[2 epochs])", [4.0, 4.0, 3.0, 2.0]),
    ("delta(train.loss[3])", [None, -1.0, -2.0, -2.0]),
    ("at(train.loss, best(val.loss))", 1.0),
    ("epoch > 2 and train.loss > 0", [0.0, 0.0, 1.0, 1.0]),
    ("progress * 4 - train.loss", [-3.0, -1.0, 1.0, 3.0]),
    ("count(after(train.loss, first(val.loss)))", 2.0),
    ("change(train.loss)", [None, -0.25, -1 / 3, -0.5]),
    ("log(0 * first(train.loss))", "the result is not a number"),
    ("1 / (first(lr) - last(lr))", "it is not a number"),
    ("last(test.loss)", "test.loss is not logged"),
    ("loss > 2", "loss is logged for several splits (train, val); name one, such as train.loss"),
    ('fact("n_train")', "n_train is not stated in the log"),
    ("given(last(test.loss)) and last(test.loss) > 1", 0.0),
    ('either(fact("world_size"), 1)', 1.0),
    ("best(lr)", "whether higher or lower is better is unknown for lr"),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS, ids=[text for text, _ in EXPRESSIONS])
def test_expression(text: str, expected: object) -> None:
    """An expression over a small run has the value worked out by hand."""
    got = value(text, view(LOSS))

    if isinstance(expected, list):
        assert got == pytest.approx(expected, nan_ok=True)
    else:
        assert got == (pytest.approx(expected) if isinstance(expected, float) else expected)


def test_nan_is_missing_except_for_those_who_ask() -> None:
    """A comparison with NaN is unknown, aggregates pass it over, ``nan`` and ``finite`` see it."""
    run = view({"loss": "1 nan 3 inf"})

    assert value("loss > 2", run) == [0.0, None, 1.0, 1.0]
    assert value("max(loss)", run) == 3.0
    assert value("nan(loss)", run) == [0.0, 1.0, 0.0, 0.0]
    assert value("finite(loss)", run) == [1.0, 0.0, 1.0, 0.0]
    assert value("nonfinite(loss)", run) == 2.0


TRUTHS = st.sampled_from([0.0, 1.0, float("nan")])


@given(st.lists(TRUTHS, min_size=1, max_size=4))
def test_three_valued_logic(truths: list[float]) -> None:
    """``and`` is false once any part is, ``or`` true once any part is; otherwise the unknown wins."""
    arrays = [np.asarray(truth) for truth in truths]
    both, any_of = float(conjunction(arrays)), float(disjunction(arrays))

    assert (both == 0.0) == (0.0 in truths)
    assert (any_of == 1.0) == (1.0 in truths)
    assert math.isnan(both) == (0.0 not in truths and any(map(math.isnan, truths)))


@given(st.lists(st.floats(-1e6, 1e6), min_size=4, max_size=40), st.integers(1, 8))
def test_window_median_is_the_median_of_the_window(values: list[float], size: int) -> None:
    """A window's median equals numpy's over the same points, where the window is at least half full."""
    run = view({"x": " ".join(repr(v) for v in values)})
    got = value(f"median(x[{size}])", run)

    for i, each in enumerate(got):
        window = values[max(0, i - size + 1) : i + 1]
        assert (each is None) if len(window) < size / 2 else each == pytest.approx(float(np.median(window)))


def rule(tmp_path: Path, text: str) -> Path:
    """A rule file with the required texts and what is given."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "id: mine\ntitle: Mine\nseverity: warning\nfinds: It.\nwhy: So.\ndo: [Look.]\nwrong_when: Never.\n" + text,
        encoding="utf-8",
    )
    return path


def test_rule_of_a_user_fires_after_an_epoch(tmp_path: Path) -> None:
    """``sharpe < 0.1 and epoch > 20`` fires from the first such epoch to the last, with its value and line."""
    path = rule(
        tmp_path, 'when: sharpe < 0.1 and epoch > 20\nmessage: "Sharpe is {now} at {here}"\nevidence: {now: sharpe}\n'
    )
    outcome = judge(read_rule(path), view({"sharpe": "0.05x24"}))

    (finding,) = outcome.findings
    assert (finding.first.epoch, finding.last.epoch) == (21.0, 25.0)
    assert finding.message == "Sharpe is 0.05 at epoch 21"
    assert finding.evidence[0].line == 21
    assert finding.because == "sharpe < 0.1: 0.05 < 0.1; epoch > 20: 21 > 20"


def test_rule_without_its_metric_is_not_applicable(tmp_path: Path) -> None:
    """A missing metric is named; nothing is said to be fine."""
    outcome = judge(read_rule(rule(tmp_path, "when: sharpe < 0.1\nmessage: low\n")), view({"loss": "1x5"}))

    assert (outcome.findings, outcome.clear) == ((), False)
    assert outcome.not_applicable[0].reason == "sharpe is not logged"
    assert outcome.not_applicable[0].log_this == "sharpe"


LASTING = [
    ("for: 3 points", "1 9 9 1 9 9 9 1", (5, 7)),
    ("for: 2 epochs", "1 9 9 1 9 9 9 1", (5, 7)),
    ("for: to the end", "9 9 1 1 1 9 9 9", (6, 8)),
    ("for: to the end", "9 9 1 1 1 9 9 1", None),
    ("then: {when: x < 0, within: 2 points}", "9 1 1 -1 9 -1 1 1", (5, 5)),
]


@pytest.mark.parametrize(("key", "series", "span"), LASTING)
def test_persistence(tmp_path: Path, key: str, series: str, span: tuple[int, int] | None) -> None:
    """``for`` wants an unbroken stretch, ``then`` something that follows soon enough."""
    outcome = judge(read_rule(rule(tmp_path, f"when: x > 5\nmessage: high\n{key}\n")), view({"x": series}))

    got = [(finding.first.step, finding.last.step) for finding in outcome.findings]
    assert got == ([span] if span else [])


def test_all_mistakes_of_a_rule_come_at_once(tmp_path: Path) -> None:
    """A file with an unknown function, a wrong type and an unknown parameter names all three, each with a caret."""
    text = (
        "params: {level: {default: 1, help: It.}}\n"
        "let: {a: meadian(val.loss)}\n"
        "needs: [{that: count(val.loss), else: few}]\n"
        'when: val.loss > $levle\nmessage: "{nothing} is high"\n'
    )
    with pytest.raises(RuleError) as caught:
        read_rule(rule(tmp_path, text))

    problems = [(p.line, p.column, p.message, p.hint) for p in caught.value.problems]
    assert problems == [
        (9, 10, "there is no function meadian()", "did you mean median?"),
        (10, 16, "expected a truth, such as a comparison, got a number", None),
        (11, 18, "there is no parameter $levle", "did you mean level?"),
        (
            12,
            12,
            "the text names 'nothing', which is neither bound, let, evidence nor a parameter",
            "known: a, a_at, epoch, here, level, points, progress, step",
        ),
    ]
    assert "when: val.loss > $levle\n" in caught.value.problems[2].render()


def test_a_failing_rule_is_its_own_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that raises is reported by name, and the others still run."""
    from postmortem.engine.functions import FUNCTIONS

    def broken(*_: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(
        FUNCTIONS, "noise", FUNCTIONS["noise"].__class__(**{**FUNCTIONS["noise"].__dict__, "compute": broken})
    )
    rules = [read_rule(rule(tmp_path, "when: noise(x) > 1\nmessage: m\n")), *load_rules()]
    outcomes = evaluate(view({"x": "1x9", "train.loss": "1 nan nan"}), rules)

    assert "rule mine failed: ZeroDivisionError: oh" in outcomes[0].problems[0].message
    assert [outcome.rule for outcome in outcomes if outcome.findings] == ["nan-loss"]


def test_configuration_switches_and_sets(tmp_path: Path) -> None:
    """``postmortem.toml`` switches rules off, changes their parameters and fixes their severity."""
    config = tmp_path / "postmortem.toml"
    config.write_text('[rules]\noff = ["crash"]\n[rules.metric-resolution]\nleast = 100\nseverity = "error"\n')
    rules = {each.id: each for each in load_rules(config=load_config(config))}
    outcome = judge(rules["metric-resolution"], view({"tpr@fpr0.001": "0.7x3", "neg_eval": "65090x3"}))

    assert "crash" not in rules
    assert [finding.severity for finding in outcome.findings] == ["error"]


def test_configuration_of_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    """Unknown rules and parameters are named with what was probably meant."""
    config = tmp_path / "postmortem.toml"
    config.write_text("[rules.overfitt]\nz = 1\n[rules.overfit]\nrice = 1\n")

    with pytest.raises(ConfigError) as caught:
        load_rules(config=load_config(config))

    assert [problem.hint for problem in caught.value.problems] == ["did you mean 'overfit'?", "did you mean 'rise'?"]


def test_replayed_steps_count_once() -> None:
    """After a resume from a checkpoint the points trained again replace those of the first attempt."""
    import polars as pl

    run = view({"loss": {"values": "5 4 3 9 9 2 1"}}).run
    attempts = pl.Series("attempt", [0, 0, 0, 0, 0, 1, 1], dtype=pl.UInt16)
    steps = pl.Series("step", [1, 2, 3, 4, 5, 4, 5])
    resumed = RunView(run.__class__(**{**run.__dict__, "metrics": run.metrics.with_columns(attempts, steps)}), {})

    assert value("loss", resumed) == [5.0, 4.0, 3.0, 2.0, 1.0]
