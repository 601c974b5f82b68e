"""Commands for writers of rules: a new rule, an expression on a log, what is wrong with a rule, and its pages."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from postmortem.cases import synthetic
from postmortem.cases.situation import Described
from postmortem.cli import main
from postmortem.docgen import language, rules
from postmortem.engine import RunView, syntax
from postmortem.engine.bounds import Bounds
from postmortem.engine.evaluate import Scope
from postmortem.engine.lint import UNFILLED, examine
from postmortem.engine.trial import read, tried
from postmortem.engine.values import Scalar, Series
from postmortem.errors import RuleError

RULE = """\
id: toy
title: A toy
severity: warning
params:
  least: {default: 0.1, help: Smallest rise that counts.}
each:
  loss: {split: [val], metric: [loss], what: a validation loss}
let:
  rise: last(loss) - best(loss)
needs:
  - {that: count(loss) > 3, else: "{loss} was evaluated too seldom"}
when: rise > $least
message: "{loss} rose by {rise}"
evidence: {"{loss}, last": last(loss)}
finds: A loss that rose.
why: It should fall.
do: [Look at it.]
wrong_when: It was meant to rise.
"""
W = "when: rise > $least"


def run(*words: object) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


def view(**given: str) -> RunView:
    """A run of the metrics given, ``__`` standing for a dot."""
    return RunView(
        synthetic(Described.model_validate({"given": {k.replace("__", "."): v for k, v in given.items()}})), {}
    )


def linted(folder: Path, text: str) -> list[tuple[int | None, str, str]]:
    """Line, message and hint of everything that is wrong with a rule."""
    (folder / "toy.yaml").write_text(text)
    (folder / "toy.test.yaml").write_text("")
    return [(problem.line, problem.message, problem.hint or "") for problem in examine([folder]).problems]


# --- check --------------------------------------------------------------------------------------------------


def test_a_sound_rule_has_no_mistake(tmp_path: Path) -> None:
    """Nothing is found where nothing is wrong."""
    assert linted(tmp_path, RULE) == []


@pytest.mark.parametrize(
    ("edit", "line", "message", "hint"),
    [
        (("title: A toy", "title: A toy."), 2, "no sentence", "full stop"),
        (("finds: A loss", "finds: a loss"), 15, "finds is no sentence", "capital"),
        (("It should fall.", "''"), 16, "why is empty", ""),
        (("[Look at it.]", f"[{UNFILLED}]"), 17, "do.0 is not written yet", ""),
        (("Smallest rise that counts.", "smallest rise"), 5, "help is no sentence", ""),
        (('rose by {rise}"', 'rose by {rise}."'), 13, "has no full stop", ""),
        (("{loss} rose by {rise}", "it rose"), 13, "shows nothing of the log", "{braces}"),
        (('evidence: {"{loss}, last": last(loss)}\n', ""), 13, "leads to no line", "evidence"),
        ((W, "when: rise > 1"), 5, "nothing uses the parameter $least", "remove"),
        ((W, f"{W} and last(trian.loss) > 1"), 12, "'trian' is no split", "train.loss"),
        ((W, f"{W} and last(val.acc) > 1"), 12, "kept as val.accuracy", ""),
        ((W, f"{W} and last(val_loss) > 1"), 12, "kept as val.loss", ""),
        ((W, f"{W} and last(train.acuracy) > 1"), 12, "no metric we know", "accuracy"),
        ((W, f'{W} and events("ooom") > 0'), 12, "no kind 'ooom'", "'oom'"),
        ((W, f'{W} and fact("num_epochs") > 0'), 12, "kept as 'epochs'", ""),
        (("metric: [loss]", "metric: [acc]"), 7, "'acc' is kept as 'accuracy'", ""),
        (("split: [val]", "split: [valid]"), 7, "'valid' is no split", "'val'"),
        ((W, f"{W} and count(loss) < 0"), 12, "can never be true, so the rule never", ""),
        ((W, f"{W} and rise < $least"), 12, "can never be true", ""),
        ((W, f"{W} or count(loss) >= 0"), 12, "always true", ""),
        ((W, "when: (rise > $least or 1 > 2) and rise < 9"), 12, "this part is never true", "out"),
        (("count(loss) > 3", "count(loss) >= 0"), 11, "asks for nothing", ""),
        (("  rise: last(loss)", "  spare: first(loss)\n  rise: last(loss)"), 9, "nothing uses 'spare'", "remove"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(
    tmp_path: Path, edit: tuple[str, str], line: int, message: str, hint: str
) -> None:
    """What a writer should change is told with its line and the next step, and nothing else is."""
    assert edit[0] in RULE
    found = linted(tmp_path, RULE.replace(*edit))

    assert [(at, hint in next_step) for at, _, next_step in found] == [(line, True)], found
    assert message in found[0][1]


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    """Files that do not load and lint of those that do come together; a missing test is told as well."""
    (tmp_path / "broken.yaml").write_text("id: broken\n")
    (tmp_path / "toy.yaml").write_text(RULE.replace("It should fall.", UNFILLED))
    code, output = run("rules", "check", tmp_path)

    assert code == 2
    assert "broken.yaml:1:1" in output
    assert "why is not written yet" in output
    assert "no toy.test.yaml beside it" in output


_TERMS = st.sampled_from(
    ["last(x)", "count(x)", "epoch", "progress", "$p", "-$p", "2", "x", "abs(last(x))", "(2 * progress)"]
)
_COMPARED = st.builds(
    lambda a, op, b: f"{a} {op} {b}", _TERMS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), _TERMS
)
_CONDITIONS = st.recursive(
    _COMPARED,
    lambda inner: (
        st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from(["and", "or"]), inner)
        | st.builds(lambda a: f"not ({a})", inner)
    ),
    max_leaves=4,
)


@given(text=_CONDITIONS, values=st.lists(st.integers(-3, 3), min_size=1, max_size=4))
def test_what_is_said_never_to_be_true_never_is(text: str, values: list[int]) -> None:
    """A condition that is decided before any log is read has that truth, or is unknown, on every log."""
    node = syntax.parse(text)
    truth = Bounds({}, {"p": 1.0}).truth(node)
    if truth is None:
        return
    value = Scope(view(x=" ".join(map(str, values))), {}, {"p": 1.0}).evaluate(node)
    seen = value.value if isinstance(value, Series) else [value.value] if isinstance(value, Scalar) else []

    assert all(each is None or np.isnan(float(each)) or bool(each) is truth for each in seen), text


# --- try ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("last(val.loss)", "3 at epoch 4, step 4 (case:4)"),
        ("val.loss > 1.5", "holds at 3 of 4 points, in 2 stretches"),
        ("val.loss > 9", "holds at none of 4 points"),
        ("best(val.loss) < 2", "holds"),
        ("best(val.loss) > 2", "does not hold"),
        ("vall.loss > 1", "not applicable: vall.loss is not logged"),
        ('fact("epochs") > 3', "not applicable: epochs is not stated in the log"),
        ("val.loss + 1", "4 points, from 3 to 4, between 2 and 4"),
    ],
)
def test_an_expression_is_tried(text: str, said: str) -> None:
    """A number has its place, a condition says where it holds, and what is missing has its reason."""
    from postmortem.report.tried import summary

    expression = read(text, {})
    assert summary(expression, tried(expression, view(val__loss="2 1 2 3"))).startswith(said)


def test_parts_and_near_names_are_shown() -> None:
    """The numbers a condition rests on have their lines, and a wrong name has the one that was meant."""
    expression = read("val.loss > 1.5 * best(val.loss) and trian.loss > 1", {})
    found = tried(expression, view(val__loss="2 1 2 3", train__loss="1x3"))

    assert [(part.name, part.value, part.line) for part in found.parts] == [("1.5 * best(val.loss)", 1.5, 2)]
    assert found.near == {"trian.loss": "train.loss"}

    expression = read("val.loss > 1.5 * best(val.loss)", {})
    (first, second) = tried(expression, view(val__loss="2 1 2 3")).stretches
    assert (first.points, second.points) == (1, 2)
    assert [(part.name, part.value, part.epoch) for part in second.parts] == [("val.loss", 2.0, 3.0)]


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [("worsned(val.loss)", 1, "worsened"), ("val.loss > $z", 12, "-p z=2"), ("val.loss >", 11, "follow"),
     ("val.loss[3]", 1, "median"), ("1 +\n  x y", 5, "operator")],
)  # fmt: skip
def test_a_wrong_expression_has_a_caret(text: str, column: int, hint: str) -> None:
    """The place is that of the mistake, also on a later line."""
    with pytest.raises(RuleError) as caught:
        read(text, {})

    assert (caught.value.problems[0].column, hint in (caught.value.problems[0].hint or "")) == (column, True)


def test_the_command_tries_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each run of the logs has its answer; parameters are given on the command line."""
    monkeypatch.chdir(tmp_path)
    for name, last in (("a", 9), ("b", 1)):
        (tmp_path / f"{name}.log").write_text(
            "".join(f"epoch {n} val_loss: {v}\n" for n, v in enumerate((3, 2, 2, last), 1))
        )
    code, output = run("rules", "try", "last(val.loss) > $f * best(val.loss)", "a.log", "b.log", "-p", "f=2")

    assert code == 0
    assert re.search(r"a +holds\n", output)
    assert re.search(r"b +does not hold\n", output)
    assert "a.log:4" in output
    assert run("rules", "try", "1 > 0", tmp_path, "-p", "f=x")[0] == 2


# --- new, list, explain -------------------------------------------------------------------------------------


def test_a_new_rule_works_and_waits_for_its_texts(tmp_path: Path) -> None:
    """Its own tests pass at once; once the texts are written, nothing is wrong with it."""
    assert run("rules", "new", "my-smell", "-o", tmp_path)[0] == 0
    assert run("rules", "test", tmp_path) == (0, "5 of 5 cases of 1 rule pass\n")
    code, output = run("rules", "check", tmp_path)
    assert code == 2
    assert output.count("is not written yet") == output.count("next:") == 5

    path = tmp_path / "my-smell.yaml"
    path.write_text(re.sub(rf"{UNFILLED} (\w)", lambda found: found[1].upper(), path.read_text()).replace("it.", "it."))
    text = re.sub(r"^(  - The first thing to do about it)$", r"\1.", path.read_text(), flags=re.M)
    path.write_text(text)
    assert run("rules", "check", tmp_path) == (0, "no mistake in 1 rule\n")


def test_a_new_rule_replaces_nothing(tmp_path: Path) -> None:
    """Neither a rule nor a test is overwritten, and an id has the form of one."""
    (tmp_path / "my-smell.test.yaml").write_text("mine")

    assert run("rules", "new", "my-smell", "-o", tmp_path)[0] == 2
    assert run("rules", "new", "My smell", "-o", tmp_path)[0] == 2
    assert (tmp_path / "my-smell.test.yaml").read_text() == "mine"


def test_families_and_causes_are_shown() -> None:
    """A list can be of one family; a page says what may lie behind a finding."""
    code, output = run("rules", "list", "--family", "metrics")
    assert (code, "threshold-collapse" in output, "overfit" in output) == (0, True, False)
    assert "did you mean metrics?" in run("rules", "list", "--family", "metric")[1]

    page = run("rules", "explain", "crash")[1]
    assert all(words in page for words in ("what may lie behind it", "predicts", "settle it", "when "))


# --- pages --------------------------------------------------------------------------------------------------


def test_every_rule_has_a_page_that_is_linked() -> None:
    """The list links every page, and every link of a page leads to one."""
    made = rules.pages()
    links = {name: set(re.findall(r"\]\(([\w-]+\.md)\)", text)) for name, text in made.items()}

    assert {f"rules/{name}" for name in links["rules/README.md"]} == set(made) - {"rules/README.md"}
    assert all(f"rules/{name}" in made for found in links.values() for name in found)


def test_every_key_of_a_rule_is_explained() -> None:
    """The page of the language has a meaning for each key, and a value for each example."""
    page = language.page()

    assert not re.findall(r"^\| `\w+`(?:, required)? \|  \|$", page, re.M)
    assert page.count("not applicable: test.loss is not logged") == 1
