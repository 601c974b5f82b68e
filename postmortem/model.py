"""The nouns of the product: runs, evidence, findings, outcomes, reports. Frozen, and without any I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

import polars as pl

from postmortem.errors import Problem


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"  # worth knowing
    WARNING = "warning"  # a person should act
    ERROR = "error"  # the result cannot be trusted, or the run failed

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for error."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Source:
    """One file of a run.

    Attributes:
        path: As given on the command line, or under the folder given.
        format: Name of the pack or reader that read it.
        lines: Number of physical lines (records, for binary files).
        copies: Other paths that hold the same record, byte for byte or line for line.
    """

    path: str
    format: str
    lines: int
    copies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """The record of one training process, however many files it wrote.

    The frames have the schemas of ``postmortem.schema``; ``metrics`` is in log order.

    Attributes:
        lines: Non-empty lines in the sources.
        understood: How many of them gave a metric, an event or a fact, or were known to carry none.
    """

    name: str
    sources: tuple[Source, ...]
    metrics: pl.DataFrame
    events: pl.DataFrame
    facts: pl.DataFrame
    unread: pl.DataFrame
    lines: int = 0
    understood: int = 0


@dataclass(frozen=True)
class Logs:
    """Everything found under the paths given: the runs, and what could not be read."""

    runs: tuple[Run, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Position:
    """Where in a run: any of step, epoch and time, as far as the log has them."""

    step: int | None = None
    epoch: float | None = None
    time: datetime | None = None


@dataclass(frozen=True)
class Evidence:
    """A number, and the line it was read from (or computed at).

    Attributes:
        name: What the number is, for example ``val.loss`` or ``best(val.auroc)``.
        value: A number, a text, or None when the log lacks it.
    """

    name: str
    value: float | str | None
    step: int | None = None
    epoch: float | None = None
    source: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class Clue:
    """Something that a cause predicts or that would exclude it, and what the log says of it.

    Attributes:
        holds: None when the log cannot tell; ``missing`` then says why, and ``log_this`` what to log.
        evidence: The numbers it was decided on.
    """

    says: str
    holds: bool | None
    evidence: tuple[Evidence, ...] = ()
    missing: str = ""
    log_this: str | None = None


@dataclass(frozen=True)
class Cause:
    """A rival explanation of a symptom, and what the evidence says of it.

    Attributes:
        kept, broken, unobservable: Its predictions, by what became of them.
        excluded_by: What cannot be seen if it is true, and was seen.
        settle: The cheapest experiment that would decide.
        fix: What to do if it is the cause.
    """

    id: str
    title: str
    verdict: Literal["supported", "contradicted", "open"]
    kept: tuple[Clue, ...] = ()
    broken: tuple[Clue, ...] = ()
    unobservable: tuple[Clue, ...] = ()
    excluded_by: tuple[Clue, ...] = ()
    settle: str = ""
    fix: str = ""

    @property
    def because(self) -> tuple[str, ...]:
        """What decided the verdict: what is seen, what is seen against it, or what is missing."""
        if self.verdict == "supported":
            return tuple(clue.says for clue in self.kept)
        against = (*(clue.says for clue in self.excluded_by), *(f"not so: {clue.says}" for clue in self.broken))
        missing = dict.fromkeys(f"not known: {clue.missing}" for clue in self.unobservable)
        return against if self.verdict == "contradicted" else (*against, *missing)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong in a run.

    Attributes:
        id: The rule's id, which names the smell.
        message: One sentence with the numbers.
        because: The rule's condition with the values it had.
        do: Next steps, most useful first.
        wrong_when: When this finding does not hold; shown so that the reader can overrule us.
        folded_under: Id of the finding this one follows from, or None.
        runs: Names of the runs, for findings across runs.
    """

    id: str
    severity: Severity
    title: str
    message: str
    split: str | None = None
    metric: str | None = None
    first: Position = Position()
    last: Position = Position()
    evidence: tuple[Evidence, ...] = ()
    because: str = ""
    do: tuple[str, ...] = ()
    wrong_when: str = ""
    causes: tuple[Cause, ...] = ()
    folded_under: str | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True)
class NotApplicable:
    """A check that could not be made, the reason, and what to log so that it can."""

    id: str
    reason: str
    log_this: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What one rule says of one run. A rule with several checks may find, clear and miss evidence at once.

    ``clear`` is true when at least one check could be made and none found anything.
    """

    rule: str
    findings: tuple[Finding, ...] = ()
    clear: bool = False
    not_applicable: tuple[NotApplicable, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Curve:
    """A series worth drawing in a report.

    Attributes:
        values: At most a few hundred numbers in log order, NaN kept.
        better: Which way is better, or None when unknown.
    """

    name: str
    values: tuple[float, ...]
    first: float
    last: float
    best: float | None
    best_at: Position
    better: Literal["min", "max"] | None
    points: int


@dataclass(frozen=True)
class RunReport:
    """A run with everything said of it."""

    run: Run
    headline: str
    summary: Mapping[str, object]
    curves: tuple[Curve, ...]
    findings: tuple[Finding, ...]
    clear: tuple[str, ...]
    not_applicable: tuple[NotApplicable, ...]


@dataclass(frozen=True)
class Report:
    """The answer to ``postmortem analyze``.

    Attributes:
        headline: All runs in one sentence.
    """

    runs: tuple[RunReport, ...]
    across_runs: tuple[Finding, ...] = ()
    problems: tuple[Problem, ...] = ()
    rules: int = 0
    headline: str = ""
    seconds: float = field(default=0.0, compare=False)
