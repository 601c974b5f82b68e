"""The rule language: what parses, and where the caret stands when it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmortem.engine import syntax
from postmortem.engine.explain import write
from postmortem.engine.functions import FUNCTIONS
from postmortem.engine.syntax import SyntaxProblem, parse

WRONG = [
    ("loss > 3 andd", 9, "operator"),
    ("a < b < c", 6, "chained"),
    ("a && b", 2, "`and`"),
    ("a || b", 2, "`or`"),
    ("a = 3", 2, "`==`"),
    ("a + 'b'", 4, "double quotes"),
    ("train loss > 3", 6, "operator"),
    ("loss ** 2 > 3", 6, "no power"),
    ("loss > ", 7, "must follow"),
    ("f(", 2, "must follow"),
    ("(" * 60 + "1" + ")" * 60, 50, None),
    ("1 + " * 200 + "1", syntax.MAX_LENGTH, "let"),
]


@pytest.mark.parametrize(("text", "offset", "hint"), WRONG, ids=[text[:20] for text, _, _ in WRONG])
def test_mistake_is_placed_and_cured(text: str, offset: int, hint: str | None) -> None:
    """A mistake is reported at the first character that does not fit, with the next step."""
    with pytest.raises(SyntaxProblem) as caught:
        parse(text)

    assert caught.value.offset == offset
    assert (hint is None) or (hint in (caught.value.hint or ""))


def test_precedence() -> None:
    """``not`` binds closer than ``and``, ``and`` than ``or``; products closer than sums, left to right."""
    assert write(parse("not a or b and c")) == "(not a) or (b and c)"
    assert write(parse("1 - 2 - 3 * 4")) == "(1 - 2) - (3 * 4)"
    assert write(parse("-a * b")) == "(-a) * b"


def test_window_units() -> None:
    """Minutes and hours are seconds; a bare number counts points."""
    windows = {text: parse(f"mean(x[{text}])") for text in ("50", "50 before", "2 epochs", "30 min", "1 hour")}
    shapes = {text: (w.arguments[0].size, w.arguments[0].unit, w.arguments[0].before) for text, w in windows.items()}

    assert shapes == {
        "50": (50, "points", False),
        "50 before": (50, "points", True),
        "2 epochs": (2, "epochs", False),
        "30 min": (1800, "seconds", False),
        "1 hour": (3600, "seconds", False),
    }


@given(st.text(alphabet='abct.loss@$`"()[]<>=!+-*/ 0123456789,andort', max_size=60))
def test_any_text_gives_a_tree_or_our_error(text: str) -> None:
    """No text raises anything but our own error, and a tree written out parses to the same text."""
    tree = problem = None
    try:
        tree = parse(text)
    except SyntaxProblem as caught:
        problem = caught

    assert problem is None or 0 <= problem.offset <= max(len(text), syntax.MAX_LENGTH)
    assert tree is None or write(parse(write(tree))) == write(tree)


_NAMES = st.sampled_from(["loss", "val.loss", "tpr@fpr1e-05", "grad/layer.0", "x"])
_LEAVES = st.one_of(
    st.floats(0, 1e6, allow_nan=False).map(lambda v: syntax.Number(0, 0, float(f"{v:.6g}"))),
    _NAMES.map(lambda name: syntax.Name(0, 0, name)),
)


def _trees(leaf: st.SearchStrategy[syntax.Node]) -> st.SearchStrategy[syntax.Node]:
    return st.one_of(
        st.builds(lambda a, op, b: syntax.Arithmetic(0, 0, a, op, b), leaf, st.sampled_from("+-*/"), leaf),
        st.builds(lambda a: syntax.Call(0, 0, "median", (a,)), leaf),
        st.builds(lambda a, n: syntax.Window(0, 0, a, float(n), "points", False), leaf, st.integers(1, 99)),
    )


@given(st.recursive(_LEAVES, _trees, max_leaves=8))
def test_writing_and_parsing_are_inverse(tree: syntax.Node) -> None:
    """A tree written as text parses to the same tree."""
    assert write(parse(write(tree))) == write(tree)


def test_every_function_is_described() -> None:
    """Each function of the table has a sentence of its own that ends with a full stop."""
    sentences = [function.sentence for function in FUNCTIONS.values()]

    assert all(sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(sentences)
