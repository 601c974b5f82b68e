"""The YAML envelope of the rival causes of a symptom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from postmortem.engine.rule import Expression, Identifier, Selector, Strict, Variable

Strength = Literal["must", "should", "may"]


class Prediction(Strict):
    """Something a cause says about the log.

    Attributes:
        when: The condition, over the whole run.
        says: What the cause predicts, as a sentence that is right when the condition holds.
        strength: ``must`` follows without exception, so that the opposite contradicts the cause; ``should`` is
            expected, so that the opposite leaves the cause without support; ``may`` is typical, and is shown when it is
            seen without deciding anything.
    """

    when: Expression
    says: str
    strength: Strength = "should"


class Exclusion(Strict):
    """Something that cannot be seen if the cause is true.

    Attributes:
        when: The condition, over the whole run.
        says: What is seen, as a sentence that is right when the condition holds.
    """

    when: Expression
    says: str


class RivalCause(Strict):
    """One explanation of a symptom.

    Attributes:
        id: Name of the cause, for its tests and for JSON.
        title: The cause in a few words.
        predicts: What must, should or may be seen if it is the cause.
        excluded_by: What cannot be seen if it is the cause.
        settle: The cheapest experiment that would decide.
        fix: What to do if it is the cause.
    """

    id: Identifier
    title: str
    predicts: Annotated[tuple[Prediction, ...], Field(min_length=1)]
    excluded_by: tuple[Exclusion, ...] = ()
    settle: str
    fix: str


class CauseFile(Strict):
    """``rules/causes/<symptom>.yaml``.

    Attributes:
        symptom: Id of the rule whose findings have these causes.
        beside: ``with`` in YAML: further series, each the most preferred that its selector finds; one that is not
            logged is missing.
        let: Named expressions for all causes; later ones may use earlier ones.
        causes: The rivals, at least two.
    """

    symptom: Identifier
    beside: dict[Variable, Selector] = Field(default_factory=dict, alias="with")
    let: dict[Variable, Expression] = Field(default_factory=dict)
    causes: Annotated[tuple[RivalCause, ...], Field(min_length=2)]
