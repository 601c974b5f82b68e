"""Texts that are looked for before a pattern is compiled: nothing the pattern can hit goes without one."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest.lines import from_bytes
from postmortem.ingest.text import coco, events, keyvalue, shapes, trials, turned
from postmortem.ingest.text import settings as configuration

HINTED = {
    "heading": (keyvalue._HEADING, keyvalue._OF_HEADINGS),
    "dump": (configuration._DUMP, configuration._OF_DUMPS),
    "evaluation": (configuration._EVALUATES, ("running ",)),
    "turned table": (turned._HEAD, ("|", "│", "┃")),
    "trial": (trials._OPENS, ("result for ", "│ trial ")),
    "figure": (coco._ROW, ("iou",)),
    **{kind.name: (kind.pattern, kind.hints) for kind in events._KINDS},
}


@pytest.mark.parametrize("name", HINTED)
@settings(max_examples=15)
@given(data=st.data())
def test_whatever_a_pattern_hits_holds_a_hint(name: str, data: st.DataObject) -> None:
    """Of texts made from the pattern itself."""
    pattern, hints = HINTED[name]
    text = data.draw(st.from_regex(re.compile(pattern), alphabet=st.characters(codec="latin-1")))

    assert any(hint in text.lower() for hint in hints)


@pytest.mark.parametrize("little", [0, 1 << 30])
def test_kinds_are_the_same_in_short_and_long_texts(little: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's patterns, asked of short texts, and those of Polars, asked of long ones, say the same."""
    said = [
        "CUDA out of memory", "Killed", "slurmstepd: error: *** STEP 1 CANCELLED", "loss is NaN at 3", "early stopping",
        "Resuming training from a.pt", "New best model", "Saved checkpoint to x.ckpt", "Training complete.", "done",
        "UserWarning: odd", "KeyboardInterrupt", "best of luck", "nothing", "Überlauf, overflow detected", "",
    ]  # fmt: skip
    monkeypatch.setattr(events, "_LITTLE", little)
    kinds = events._kinds_of(pl.Series(said), events._KINDS).to_list()

    assert kinds == [
        "oom", "killed", "killed", "nan-warning", "early-stop", "restart", "best", "checkpoint", "finished",
        "finished", "warning", "killed", None, None, "warning", None,
    ]  # fmt: skip


def test_a_condition_without_its_hint_is_not_asked() -> None:
    """The hints of a condition are looked for in any case of letters."""
    told = shapes.messages(from_bytes(b"Result for x:\nloss 3\n").lines)

    assert told.having(pl.col("body").str.starts_with("Result"), "result for ")["line"].to_list() == [1]
    assert told.having(pl.lit(True), "no such text").is_empty()
