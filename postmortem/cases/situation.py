"""What a case gives: a run described in a few lines, or a log, and the runs beside it.

``a+bxn`` is a followed by n steps of b (``3-0.01x99`` is a hundred falling points), ``axn`` is a repeated n times more,
``_`` is a missing point, ``nan`` and ``inf`` are themselves. Metrics share one step axis unless ``every`` says
otherwise.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BeforeValidator, Field

from postmortem import ingest, names, schema
from postmortem.engine import RunView
from postmortem.engine.rule import Strict
from postmortem.errors import Problem, RuleError
from postmortem.model import Run

_START = datetime(2026, 1, 1, tzinfo=UTC)


class Given(Strict):
    """A metric of a case: its values, and how they lie on the step axis.

    Attributes:
        values: In the notation above.
        start, every: Step of the first value and distance of the next.
        minutes: Minutes each value took; in the same notation.
    """

    values: str
    start: int = 1
    every: int = 1
    minutes: str | None = None


def _plain(value: Any) -> Any:
    return {"values": str(value)} if isinstance(value, str | int | float) else value


class Described(Strict):
    """A run.

    Attributes:
        given: Metrics by ``split.metric``, on a step axis; epochs equal steps.
        facts: Facts of the run. events: Kinds of events, each after all points, or ``kind @ step``.
        axis: What the axis counts: ``epoch`` (also the step), ``step`` (no epochs), or ``none``.
    """

    given: dict[str, Annotated[Given, BeforeValidator(_plain)]] = Field(default_factory=dict)
    facts: dict[str, str | int | float] = Field(default_factory=dict)
    events: dict[str, str] = Field(default_factory=dict)
    axis: Literal["epoch", "step", "none"] = "epoch"


class Situation(Described):
    """The run a case is about.

    Attributes:
        log: Instead of ``given``, a log file or folder, relative to the test file.
        texts: Instead of ``given``, files of one run by name, as they would be logged.
        others: Runs that are analysed with it.
    """

    name: str
    log: str | None = None
    texts: dict[str, str] = Field(default_factory=dict)
    others: tuple[Described, ...] = ()

    def view(self, folder: Path) -> RunView:
        """The run among the others.

        Args:
            folder: Where the test file lies.

        Raises:
            PostmortemError: The log cannot be read, or is not of one run.
            ValueError: A series is not understood.
        """
        together: list[RunView] = []
        first = self._run(folder)
        beside = [synthetic(each, f"other {i}") for i, each in enumerate(self.others, 1)]
        together += [RunView(run, {}, together) for run in (first, *beside)]
        return together[0]

    def _run(self, folder: Path) -> Run:
        if self.log:
            return _logged(folder / self.log)
        return _written(self.texts) if self.texts else synthetic(self)


def _written(texts: Mapping[str, str]) -> Run:
    """The run that files of these names and texts tell of."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (Path(folder) / Path(name).name).write_text(text, encoding="utf-8")
        return _logged(Path(folder))


def _logged(path: Path) -> Run:
    runs = ingest.read([path]).runs
    if len(runs) != 1:
        raise RuleError(Problem(f"{path.name} holds {len(runs)} runs, a case needs one"))
    return runs[0]


_TERM = re.compile(
    r"^(?P<start>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)"
    r"(?:(?P<by>[-+](?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?))?(?:x(?P<times>\d+))?$"
)


def expand(notation: str) -> list[float | None]:
    """The values of a series in the notation of the module's docstring; None is a missing point.

    Raises:
        ValueError: A term is not understood; names it.
    """
    values: list[float | None] = []
    for term in notation.split():
        base, _, times = term.partition("x")
        if base in ("_", "nan", "inf", "-inf"):
            values += [None if base == "_" else float(base)] * (int(times) if times else 1)
            continue
        found = _TERM.match(term)
        if not found:
            raise ValueError(f"{term!r} is no term; write 3, 3x10, 3-0.1x10, _, _x5, nan or inf")
        start, by, count = float(found["start"]), float(found["by"] or 0), int(found["times"] or 0)
        values += [start + by * i for i in range(count + 1)]
    return values


def synthetic(case: Described, name: str = "case") -> Run:
    """The run a case describes; every line of it lies in a file of its name."""
    rows = [row for name, given in case.given.items() for row in _rows(case, name, given)]
    rows.sort(key=lambda row: row["line"])
    metrics = pl.DataFrame(rows, schema=schema.METRICS)
    last = max((row["line"] for row in rows), default=0)
    facts = [_fact(key, value) for key, value in case.facts.items()]
    events = [_event(kind, text, last) for kind, text in case.events.items()]
    return Run(
        name,
        (),
        metrics,
        pl.DataFrame(events, schema=schema.EVENTS),
        pl.DataFrame(facts, schema=schema.FACTS),
        schema.empty("unread"),
    )


def _rows(case: Described, name: str, given: Given) -> Iterator[dict[str, Any]]:
    head, _, rest = name.partition(".")
    split, metric = (head, rest) if head in ("train", "val", "test", "eval_train") else names.parse(name)
    minutes = expand(given.minutes) if given.minutes else []
    clock = _START
    for i, value in enumerate(expand(given.values)):
        step = given.start + i * given.every
        clock += timedelta(minutes=float((minutes[i] if i < len(minutes) else None) or 0))
        if value is None:
            continue
        yield {
            "run": "case",
            "attempt": 0,
            "step": None if case.axis == "none" else step,
            "epoch": float(step) if case.axis == "epoch" else None,
            "split": split,
            "metric": names.parse(metric).metric,
            "label": name,
            "value": value,
            "time": clock if minutes else None,
            "source": "case",
            "line": step,
        }


def _fact(key: str, value: str | float) -> dict[str, Any]:
    number = None if isinstance(value, str) else float(value)
    return {"run": "case", "key": key, "value": str(value), "number": number, "source": "case", "line": 0}


def _event(kind: str, text: str, last: int) -> dict[str, Any]:
    name, _, step = kind.partition("@")
    line = int(step) if step else last + 1
    return {
        "run": "case",
        "attempt": 0,
        "step": None,
        "epoch": None,
        "time": None,
        "kind": name.strip(),
        "text": text,
        "source": "case",
        "line": line,
    }
