"""The YAML envelope of a rule."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from postmortem.model import Severity
from postmortem.names import Role

Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$")]
Variable = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Expression = Annotated[str, Field(min_length=1), BeforeValidator(lambda v: str(v) if isinstance(v, int | float) else v)]


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Strict(BaseModel):
    """Keys that are not declared are refused, and what was read does not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Param(Strict):
    """A number a user may change in ``postmortem.toml``.

    Attributes:
        default: Its value where the user does not change it.
        help: What the number means, in a sentence.
    """

    default: float
    help: str


class Selector(Strict):
    """Which series a variable stands for; every key that is given must hold.

    Attributes:
        split: Splits, in order of preference; ``none`` is a series without one.
        role: Roles of ``postmortem.names``.
        metric: Globs over canonical metric names, in order of preference.
        but: Globs of metrics left out.
        direction: ``known``, or the one direction wanted.
        like: Another variable: the same metric.
        unlike: Another variable: any other series.
        with_split_of: Another variable: the same split.
        evaluation: Only what is measured on held-out data: a held-out split, or no split and one point an epoch.
        per_epoch: Only series with at most one point an epoch.
        least: Fewest finite points.
        one: Only the most preferred series.
        pool: All of them, joined into one.
        optional: The check goes on without it; what is computed from it is missing.
        what: What a reader should log so that it is there.
    """

    split: Words = ()
    role: Annotated[tuple[Role, ...], BeforeValidator(_listed)] = ()
    metric: Words = ()
    but: Words = ()
    direction: Literal["known", "min", "max"] | None = None
    like: Variable | None = None
    unlike: Variable | None = None
    with_split_of: Variable | None = None
    evaluation: bool = False
    per_epoch: bool = False
    least: int = 1
    one: bool = False
    pool: bool = False
    optional: bool = False
    what: str = "such a series"


class Need(Strict):
    """What must be there before a check can say anything.

    Attributes:
        that: The condition.
        otherwise: ``else`` in YAML: why the check is not applicable where it does not hold.
        log: What to log so that it would hold.
    """

    that: Expression
    otherwise: str = Field(alias="else")
    log: str | None = None


class SeverityWhen(Strict):
    """A severity, and the condition under which it holds.

    Attributes:
        level: ``is`` in YAML: ``error``, ``warning`` or ``info``.
        when: The condition; the last severity has none.
    """

    level: Severity = Field(alias="is")
    when: Expression | None = None


class Later(Strict):
    """What must follow, and how soon.

    Attributes:
        when: The condition that must hold after the first one.
        within: How soon: ``5 points``, ``200 steps``, ``2 epochs``, ``10 min``.
    """

    when: Expression
    within: str


class Check(Strict):
    """One way to find the smell.

    Attributes:
        name: What is checked, for rules with several checks.
        each: Variables, each standing for every series its selector finds, in all combinations.
        let: Named expressions; later ones may use earlier ones.
        needs: Conditions without which the check is not applicable.
        when: The condition. One truth, or a truth at each point of its first series.
        lasting: ``for`` in YAML: how long a condition at points must hold unbroken.
        then: What must follow.
        begins: ``from`` in YAML: an expression at whose place the finding begins.
        ends: ``to`` in YAML: an expression at whose place it ends.
        message: What was found, in one line; ``{name}`` stands for a variable, a part, evidence or a parameter.
        evidence: Numbers the finding rests on, by what they are; each leads to the line it was logged in.
        merge: Findings of several combinations become one.
    """

    name: str = ""
    each: dict[Variable, Selector] = {}
    let: dict[Variable, Expression] = {}
    needs: tuple[Need, ...] = ()
    when: Expression
    lasting: str | None = Field(None, alias="for")
    then: Later | None = None
    begins: Expression | None = Field(None, alias="from")
    ends: Expression | None = Field(None, alias="to")
    message: str
    evidence: dict[str, Expression] = {}
    merge: bool = False

    @field_validator("lasting")
    @classmethod
    def _is_duration(cls, text: str | None) -> str | None:
        if text is not None and text != "to the end":
            parse_duration(text)
        return text


_CHECK_KEYS = frozenset(field.alias or name for name, field in Check.model_fields.items())


class Rule(Strict):
    """One smell, how it is found, and what a person should know about it.

    Attributes:
        id: Name of the smell and of the file.
        title: The smell in a few words.
        severity: How much a finding matters; a word, or a list of which the first that holds is taken.
        status: ``preview`` while it is new, ``stable`` when it has proved itself, ``deprecated`` before it goes.
        since: Version that brought it.
        tags: Words to find it by.
        params: Numbers a user may change; expressions write them with a dollar sign.
        finds: What it finds, in a sentence.
        why: Why that matters.
        do: What to do about it, most useful first.
        wrong_when: When the finding does not hold or does not matter.
        references: Where to read more.
        checks: Ways to find the smell; a rule with one way writes its keys at the top.
        leads_to: Ids of findings that follow from this one.
        alternatives: The checks ask the same by different evidence, so one that could be made is enough.
        across: What it finds is about several runs; findings that say the same of the same metric are one.
    """

    id: Identifier
    title: str
    severity: tuple[SeverityWhen, ...]
    status: Literal["preview", "stable", "deprecated"] = "preview"
    since: str = "0.1.0"
    tags: tuple[str, ...] = ()
    params: dict[Variable, Param] = {}
    finds: str
    why: str
    do: Annotated[tuple[str, ...], Field(min_length=1)]
    wrong_when: str
    leads_to: tuple[Identifier, ...] = ()
    alternatives: bool = False
    across: bool = False
    references: tuple[str, ...] = ()
    checks: Annotated[tuple[Check, ...], Field(min_length=1)]

    _path: Path = PrivateAttr(default_factory=Path)

    @model_validator(mode="before")
    @classmethod
    def _one_check(cls, data: Any) -> Any:
        """A rule with one check writes its keys at the top."""
        if not isinstance(data, dict) or "checks" in data:
            return data
        inline = {key: value for key, value in data.items() if key in _CHECK_KEYS}
        rest = {key: value for key, value in data.items() if key not in _CHECK_KEYS}
        return {**rest, "checks": [inline]} if inline else data

    @field_validator("severity", mode="before")
    @classmethod
    def _plain_severity(cls, value: Any) -> Any:
        return [{"is": value}] if isinstance(value, str) else value

    @field_validator("severity")
    @classmethod
    def _ends_plain(cls, value: tuple[SeverityWhen, ...]) -> tuple[SeverityWhen, ...]:
        if not value or value[-1].when is not None:
            raise ValueError("the last severity must have no `when`")
        return value

    @property
    def path(self) -> Path:
        """The file the rule came from."""
        return self._path

    @property
    def family(self) -> str:
        """Name of the folder the rule lies in."""
        return self._path.parent.name

    def at(self, path: Path) -> Rule:
        """This rule, said to come from a file."""
        self._path = path
        return self


_DURATION = re.compile(r"^(\d+(?:\.\d+)?) (points?|steps?|epochs?|seconds?|min(?:utes?)?|hours?)$")


def parse_duration(text: str) -> tuple[float, str]:
    """Size and unit of a text such as ``2 points``, ``200 steps`` or ``10 min``.

    Raises:
        ValueError: The text is none of these.
    """
    found = _DURATION.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no length; write `2 points`, `200 steps`, `1 epoch`, `10 min` or `to the end`")
    return float(found[1]), found[2]
