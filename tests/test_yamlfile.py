"""YAML loading: YAML 1.2 values, positions, and what is refused."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from postmortem import yamlfile
from postmortem.errors import ConfigError, RuleError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("12", 12),
        ("-3", -3),
        ("+.inf", math.inf),
        ("-.inf", -math.inf),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("'1'", "1"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("2025-01-01", "2025-01-01"),
        ("12:30", "12:30"),
        ("1.2.3", "1.2.3"),
        ("9" * 5000, math.inf),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """Numbers with exponents are numbers; the old booleans, dates and sexagesimals stay text."""
    loaded = yamlfile.load(f"key: {text}").data["key"]

    assert (loaded, type(loaded)) == (value, type(value))


def test_nan_is_read() -> None:
    """``.nan`` is a float."""
    assert math.isnan(yamlfile.load("x: .nan").data["x"])


def test_positions_point_at_the_text_of_a_value() -> None:
    """Quotes and block signs are passed over; keys have positions too."""
    text = "a: plain\nb: 'quoted'\nc: |\n\n   block\nd:\n  - x\n  - {e: 1}\n"
    doc = yamlfile.load(text)

    assert doc.where(("a",)) == (1, 4, "a: plain")
    assert doc.where(("b",))[:2] == (2, 5)
    assert doc.where(("c",))[:2] == (5, 4)
    assert doc.where(("d", 1, "e"))[:2] == (8, 9)
    assert doc.where(("d", 1, "e"), key=True)[:2] == (8, 6)


@pytest.mark.parametrize(
    "written",
    [
        "x: a > b and  c",
        "x: 'a > b and  c'",
        "x: |\n  a > b\n  and c",
        "x: >-\n  a\n  > b and\n  c",
        "x: a > b\n  and c",
    ],
)
def test_an_offset_inside_a_value_is_found_in_the_file(written: str) -> None:
    """A caret can stand under any token of an expression, however the text is broken over lines."""
    doc = yamlfile.load(written)
    place = doc.within(("x",), doc.data["x"].index("c"))

    assert place.excerpt[place.column - 1 :][0] == "c"


@pytest.mark.parametrize(
    ("text", "message", "line", "column"),
    [
        ("a: 1\na: 2\n", "the key 'a' twice", 2, 1),
        ("a: &x 1\n", "an anchor (&x)", 1, 4),
        ("a: &x 1\nb: *x\n", "an alias (*x)", 2, 4),
        ("a: !!python/object:os.system 1\n", "a tag", 1, 4),
        ("a: 1\n---\nb: 2\n", "a second document", 2, 1),
        ("? [1]\n: 2\n", "a key that is no scalar", 1, 3),
        ("a: [1\nb: 2\n", "flow sequence", 2, 2),
        ("a: 'x\n", "quoted scalar", 2, 1),
    ],
)
def test_what_is_refused_is_refused_with_its_place(text: str, message: str, line: int, column: int) -> None:
    """Constructs that surprise and syntax errors name line, column and the way out."""
    with pytest.raises(RuleError) as caught:
        yamlfile.load(text, "r.yaml", RuleError)
    problem = next(p for p in caught.value.problems if message in p.message)

    assert (problem.line, problem.column) == (line, column)
    assert problem.hint


def test_all_refusals_come_at_once() -> None:
    """A file is mended in one go."""
    with pytest.raises(ConfigError) as caught:
        yamlfile.load("a: &x 1\na: *x\nb: !t 2\n")

    assert len(caught.value.problems) == 4


@pytest.mark.parametrize("bomb", ["[" * 50_000, "a: " + "{b: " * 3000, "x" * 3_000_000, "- " * 2000])
def test_bombs_are_refused_quickly(bomb: str) -> None:
    """Depth and size have limits, and an error is raised in place of a crash."""
    with pytest.raises(ConfigError):
        yamlfile.load(bomb)


@given(st.text(max_size=200))
def test_any_text_gives_data_or_our_error(text: str) -> None:
    """No input makes another exception."""
    try:
        yamlfile.load(text)
    except ConfigError:
        return


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")
    regex: str
    kind: Literal["lines", "table"] = "lines"


class _Pack(BaseModel):
    model_config = ConfigDict(extra="forbid")
    parts: list[_Part]
    size: int = 0


def test_validation_reports_everything_with_place_and_hint() -> None:
    """Unknown keys get a suggestion from the model at that depth; wrong values list what is allowed."""
    doc = yamlfile.load("parts:\n  - regexp: x\n    kind: line\nsize: many\n", "p.yaml")
    with pytest.raises(ConfigError) as caught:
        yamlfile.validate(_Pack, doc, ConfigError)
    found = {each.message: (each.line, each.column, each.hint) for each in caught.value.problems}
    starting = {message.partition(":")[0]: place for message, place in found.items()}

    assert found["unknown key 'regexp'"] == (2, 5, "did you mean 'regex'?")
    assert found["the key 'regex' is missing"][:2] == (2, 5)
    assert starting["parts[0].kind"] == (3, 11, "did you mean 'lines'?")
    assert starting["size"][:2] == (4, 7)


def test_valid_data_becomes_the_model() -> None:
    """The model comes back typed."""
    doc = yamlfile.load("parts: []\nsize: 3")

    assert yamlfile.validate(_Pack, doc, ConfigError) == _Pack(parts=[], size=3)
