"""``docs/functions.md``: the functions of the rule language, from their one table."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from postmortem.docgen.markdown import code, table
from postmortem.engine.functions import FUNCTIONS, Function

_INTRODUCTION = """\
# Functions

What an expression of [the rule language](language.md) can call. `x` is a series such as `val.loss`, *aggregates* also
take a window such as `train.loss[50]` and then give a series; `place` is any number whose place is meant, such as
`best(x)`; `n=20` may be left out. A number keeps the place it was read at, so that a report can show its line.
"""
_RETURNS = {
    "aggregate": "number, of a window a series",
    "pointwise": "like its argument",
    "truths": "truth at each point",
}


def page() -> str:
    """The page."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    ordered = sorted(FUNCTIONS.values(), key=lambda each: (each.family, each.name))
    for family, functions in groupby(ordered, key=lambda each: each.family):
        yield f"\n## {family.capitalize()}\n\n"
        yield table(("function", "gives", ""), map(_row, functions))


def _row(function: Function) -> tuple[str, str, str]:
    return code(function.signature), _RETURNS.get(function.returns, function.returns), function.sentence
