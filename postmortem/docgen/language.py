"""``docs/language.md``: what a rule's file and its expressions can say; every example is evaluated when it is made."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib.resources import files

import numpy as np
from pydantic import BaseModel

from postmortem.cases import expand, synthetic
from postmortem.cases.situation import Described
from postmortem.docgen.markdown import code, table
from postmortem.engine import RunView
from postmortem.engine.rivals import CauseFile, Exclusion, Prediction, RivalCause
from postmortem.engine.rule import Check, Later, Need, Param, Rule, Selector, SeverityWhen
from postmortem.engine.trial import read, tried
from postmortem.engine.values import conjunction, disjunction
from postmortem.report.tried import summary

RUN = {"train.loss": "2-0.2x9", "val.loss": "2.1-0.2x5 1.2+0.1x3", "grad_norm": "1 1.2 9 1.1 1.3 1 1.2 1.1 nan 1"}
"""The run that the examples are evaluated on."""

EXAMPLES = (
    ("last(train.loss)", "a number of the run, with its place"),
    ("val.loss > train.loss", "a condition at points: those of the first metric that is named"),
    ("best(val.loss) < 1.5", "a condition over the run: one truth"),
    ("median(grad_norm[3 before])", "a window: the 3 points before each point"),
    ("grad_norm > 4 * median(grad_norm[3 before])", "a point against the points before it"),
    ("epoch > 5 and val.loss > best(val.loss)", "coordinates: `epoch`, `step` and `progress` (0 to 1) of each point"),
    ("last(val.loss) - best(val.loss) > $rise", "a parameter of the rule, here 0.2"),
    ("at(train.loss, best(val.loss))", "the value of one series at the place of another's"),
    ("test.loss > 1", "what is not logged makes it not applicable, never false"),
    ("test.loss > 1 or last(val.loss) > 1", "unless it does not matter"),
    ("test.loss > 1 and last(val.loss) > 2", "in either way"),
    ("given(last(test.loss)) and last(test.loss) > 1", "`given` asks whether something is there"),
    ("either(last(test.loss), last(val.loss))", "`either` takes the second where the first is missing"),
    ("grad_norm < 100", "a NaN is a missing number: at that point the condition is unknown"),
    ("nonfinite(grad_norm) > 0", "functions that ask for NaN see it"),
)
PARAMS = {"rise": 0.2}

_MODELS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("A rule", Rule),
    ("A check, or a rule with one check", Check),
    ("A parameter, under `params`", Param),
    ("A variable, under `each`", Selector),
    ("A need, under `needs`", Need),
    ("A severity with a condition, under `severity`", SeverityWhen),
    ("What must follow, under `then`", Later),
    ("Rival causes of a symptom, `rules/causes/<symptom>.yaml`", CauseFile),
    ("A cause, under `causes`", RivalCause),
    ("A prediction, under `predicts`", Prediction),
    ("An exclusion, under `excluded_by`", Exclusion),
)

_INTRODUCTION = """\
# The rule language

A rule is a YAML file: an envelope of keys around expressions. [Functions](functions.md) has a page of its own;
the shipped [rules](rules/README.md) are the examples. `postmortem rules new ID` writes a rule to begin with,
`postmortem rules try 'EXPR' LOG` shows what an expression says of a log, `postmortem rules check` finds mistakes.

## Expressions

An expression names series as `split.metric` (`val.loss`; `loss` alone where one split has it; a name with other
characters in backticks), calls functions, compares and computes. It has no assignment and no loop. Here is each kind on
one run of ten epochs:

"""
_TRUTH = """
## Three truths

A condition is true, false or unknown. Unknown is what compares a number that is missing: a metric that is not logged, a
fact that is not stated, a NaN. It travels on, unless the other side decides (Kleene's strong logic):

"""
_NOT = """
`not` of unknown is unknown. A rule whose condition is unknown is *not applicable*, with the reason; it is never clear.
A condition at points is not applicable where it is unknown at every point.

## Keys

"""
_GRAMMAR = """
## Grammar

In the notation of Lark. An expression has at most 500 characters and 50 nested brackets.

```text
"""


def page() -> str:
    """The page."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    yield _INTRODUCTION
    yield table(("series", "its points"), ((code(name), code(_points(text), 120)) for name, text in RUN.items())) + "\n"
    view = RunView(synthetic(Described.model_validate({"given": RUN})), {})
    yield table(("expression", "what it says of the run", ""), (_example(text, why, view) for text, why in EXAMPLES))
    yield _TRUTH + _truths() + _NOT
    for title, model in _MODELS:
        yield f"### {title}\n\n{table(('key', 'meaning'), _keys(model))}\n"
    grammar = files("postmortem.engine").joinpath("grammar.lark").read_text(encoding="utf-8")
    yield f"{_GRAMMAR.lstrip()}{grammar.strip()}\n```\n"


def _points(text: str) -> str:
    return ", ".join("–" if value is None else f"{value:.4g}" for value in expand(text))


def _example(text: str, why: str, view: RunView) -> tuple[str, str, str]:
    expression = read(text, PARAMS)
    return code(text), summary(expression, tried(expression, view), places=False), why


def _truths() -> str:
    words = {1.0: "true", 0.0: "false"}
    shown = [1.0, 0.0, np.nan]
    rows = []
    for a in shown:
        for b in shown[shown.index(a) :]:
            joined = (float(join([a, b])) for join in (conjunction, disjunction))
            rows.append([words.get(value, "unknown") for value in (a, b, *joined)])
    return table(("a", "b", "a and b", "a or b"), rows)


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    told = _attributes(model)
    for name, field in model.model_fields.items():
        required = ", required" if field.is_required() else ""
        yield f"`{field.alias or name}`{required}", _meaning(told.get(name, ""))


def _meaning(text: str) -> str:
    """A description without the remark that the key has another name in YAML, which the page shows already."""
    plain = re.sub(r"^``\w+`` in YAML: ", "", text).replace("``", "`")
    return plain[:1].upper() + plain[1:]


def _attributes(model: type[BaseModel]) -> dict[str, str]:
    """What the docstring of a class says of each attribute."""
    section = (inspect.getdoc(model) or "").partition("Attributes:\n")[2]
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", section, re.M)
    return {name: " ".join(text.split()) for name, text in entries}
