"""Values of trackers to metric points: collected one by one, packed as they grow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.reading import POINTS, SETTINGS
from postmortem.ingest.structured import axes
from postmortem.ingest.text.settings import MAX_SETTINGS
from postmortem.schema import TIME

MAX_POINTS = 10_000_000
"""Most values kept of one store."""

_PACK = 50_000  # rows held as Python objects before they become a frame
_DEEPEST = 8  # nesting of a logged value or a setting that is followed
_LONGEST = 1000  # characters of a setting's text; a longer one is a dump
_WORDS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_BOOKKEEPING = r"^_(?:step|runtime|timestamp|wandb\b.*)$"
_ROWS = pl.Schema({"run": pl.String(), **POINTS, "time": pl.Int64()})


class Points:
    """A growing table of points of one or several runs."""

    def __init__(self) -> None:
        self._rows: list[tuple[object, ...]] = []
        self._packed: list[pl.DataFrame] = []
        self._count = 0

    def add(
        self,
        line: int,
        label: str,
        value: float,
        *,
        step: int | None = None,
        time: int | None = None,
        run: str = "",
    ) -> None:
        """Takes one value; ``time`` in microseconds since 1970. Dropped, and counted, past ``MAX_POINTS``."""
        self._count += 1
        if self._count > MAX_POINTS:
            return
        self._rows.append((run, line, step, None, None, label, value, time))
        if len(self._rows) >= _PACK:
            self._pack()

    def extend(self, line: pl.Series, label: pl.Series, value: pl.Series) -> None:
        """Takes many values of the one run of a table; see ``add``."""
        room = max(MAX_POINTS - self._count, 0)
        self._count += len(line)
        frame = pl.DataFrame({"line": line, "label": label, "value": value}).head(room)
        told = (
            pl.col(name) if name in frame.columns else pl.lit("" if name == "run" else None).alias(name)
            for name in _ROWS
        )
        self._packed.append(frame.select(told).cast(_ROWS))

    def _pack(self) -> None:
        self._packed.append(pl.DataFrame(self._rows, schema=_ROWS, orient="row"))
        self._rows = []

    def of_runs(self) -> dict[str, pl.DataFrame]:
        """A frame of POINTS for each run, in the order they came."""
        self._pack()
        table = pl.concat(self._packed).with_columns(pl.col("time").cast(TIME))
        parts = table.partition_by("run", as_dict=True, maintain_order=True)
        return {str(run): part.select(list(POINTS)) for (run,), part in parts.items()}

    def frame(self) -> pl.DataFrame:
        """All points of a table that holds one run."""
        return next(iter(self.of_runs().values()), pl.DataFrame(schema=POINTS))

    def problems(self, shown: str) -> tuple[Problem, ...]:
        """What had to be left out."""
        if self._count <= MAX_POINTS:
            return ()
        return (Problem(f"only the first {MAX_POINTS:,} of {self._count:,} values were read", shown),)


def number(value: object) -> float | None:
    """A logged value as a number; trackers write NaN and infinities as texts. None when it is none."""
    if isinstance(value, str):
        return _WORDS.get(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def whole(value: object) -> int | None:
    """A logged step as an integer that a step column can hold, or None."""
    found = number(value)
    return int(found) if found is not None and abs(found) < 2**63 and found == int(found) else None


def parsed(text: str | bytes) -> object:
    """The value of a JSON text, bare NaN and Infinity included; None when it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def leaves(value: object, label: str = "", depth: int = 0) -> Iterator[tuple[str, object]]:
    """The scalars of a logged value with dotted labels; media and histograms (objects with ``_type``) have none."""
    if not isinstance(value, Mapping):
        yield label, value
    elif "_type" not in value and depth < _DEEPEST:
        for key, inner in value.items():
            yield from leaves(inner, f"{label}.{key}" if label else str(key), depth + 1)


def settings(line: int, told: object) -> pl.DataFrame:
    """A configuration object as a frame of SETTINGS, without the tracker's own entries (``_wandb``, ``_Username``)."""
    rows = (
        (line, key, text)
        for key, value in leaves(told)
        if key and not key.startswith("_") and len(text := shown(value)) <= _LONGEST
    )
    return pl.DataFrame(list(islice(rows, MAX_SETTINGS)), schema=SETTINGS, orient="row")


def shown(value: object) -> str:
    """A setting's value as configuration files write it."""
    return str(value).lower() if isinstance(value, bool) or value is None else str(value)


def in_history(points: pl.DataFrame) -> pl.DataFrame:
    """Gives the points of records their step, epoch and time, which are logged as values among the others.

    The step is ``global_step`` (also ``train/global_step``, ``trainer/global_step``) where at least half of the
    records have it, carried forward into those that lack it; else the tracker's ``_step``, which counts calls of its
    log function. The columns that gave a position are no metrics.

    Args:
        points: Frame of POINTS in which ``line`` tells records apart.
    """
    counts = dict(points.group_by("label", maintain_order=True).agg(pl.len()).iter_rows())
    counter = _global_step(counts, points["line"].n_unique())
    at = {"step": counter or "_step", "epoch": axes.choose(list(counts)).epoch or "", "time": "_timestamp"}
    records = points.select("line").unique(maintain_order=True)
    for column, label in at.items():
        own = points.filter(pl.col("label") == label).unique("line", keep="last").select("line", _position(column))
        records = records.join(own, on="line", how="left", maintain_order="left")
    if counter:
        records = records.with_columns(pl.col("step").forward_fill())
    spent = pl.col("label").is_in(list(at.values())) | pl.col("label").str.contains(_BOOKKEEPING)
    measured = points.filter(~spent).drop(list(at))
    return measured.join(records, on="line", how="left", maintain_order="left").select(list(POINTS))


def _global_step(counts: Mapping[str, int], records: int) -> str | None:
    known = (label for label in counts if axes.key(label) == "global_step" and 2 * counts[label] >= records)
    return next(known, None)


def _position(column: str) -> pl.Expr:
    value = pl.when(pl.col("value").is_finite()).then("value")
    if column == "time":
        return (pl.when(value.is_between(1e9, 4e9)).then(value) * 1e6).round().cast(pl.Int64).cast(TIME).alias("time")
    if column == "step":
        return pl.when(value == value.floor()).then(value).cast(pl.Int64, strict=False).alias("step")
    return value.alias(column)


def without_default_steps(points: pl.DataFrame) -> pl.DataFrame:
    """Forgets the steps of series whose every step is 0: it is what a tracker writes when it was told none."""
    default = ((pl.col("step") == 0).all() & (pl.len() > 1)).over("label")
    return points.with_columns(step=pl.when(~default).then("step"))
