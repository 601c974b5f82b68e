"""A run as the rules see it: series by name, events and facts, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from postmortem import names
from postmortem.engine.values import Point, Scalar, Series, absent
from postmortem.model import Run

T = TypeVar("T")
_MOST_SIBLINGS = 20


@dataclass(frozen=True)
class Event:
    """One row of the events frame."""

    kind: str
    text: str
    at: Point
    order: int  # rank among the run's records; see Series.order


@dataclass(frozen=True, eq=False)
class RunView:
    """Read-only access of rules to one run.

    Attributes:
        directions: What the user said about which way is better, by metric or ``split.metric``.
        together: All runs that are analysed together, this one among them; empty when it stands alone.
    """

    run: Run
    directions: Mapping[str, names.Direction]
    together: Sequence[RunView] = field(default=(), repr=False)
    _memory: dict[object, tuple[object, Any]] = field(default_factory=dict, repr=False)

    def remember(self, key: object, holding: object, compute: Callable[[], T]) -> T:
        """What ``compute`` gives, computed once for a key; several rules ask the same of the same series.

        Args:
            holding: Objects whose identity is part of the key, kept alive with it.
        """
        if key not in self._memory:
            self._memory[key] = (holding, compute())
        found: T = self._memory[key][1]
        return found

    @cached_property
    def siblings(self) -> tuple[RunView, ...]:
        """The other runs of the same program: from the same or a neighbouring folder, logging much the same series.

        At most twenty, the first ones, so that the work grows with the number of runs and not with its square.
        """
        kin = (other for other in self.together if other is not self and self._is_kin(other))
        return tuple(islice(kin, _MOST_SIBLINGS))

    def _is_kin(self, other: RunView) -> bool:
        if self._folder != other._folder and self._folder.parent != other._folder.parent:
            return False
        return 2 * len(self._names & other._names) >= max(1, min(len(self._names), len(other._names)))

    @cached_property
    def _folder(self) -> PurePath:
        return PurePath(self.run.sources[0].path if self.run.sources else "").parent

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(series.name for series in self.series)

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """Every series of the run, in the order of its first point; one per split, metric and printed label."""
        frame = self.run.metrics
        if frame.height == 0:
            return ()
        seconds = pl.col("time").dt.timestamp("us") / 1e6
        coded = frame.with_columns(
            pl.col("value", "step", "epoch").cast(pl.Float64).fill_null(float("nan")),
            pl.col("line").cast(pl.Int64),
            pl.Series("order", self._order),
            pl.col("source").cast(pl.Enum(self._sources)).to_physical().cast(pl.Int64).alias("origin"),
            seconds.fill_null(float("nan")).alias("seconds"),
        )
        parts = coded.partition_by("split", "metric", "label", maintain_order=True)
        return tuple(self._series(part) for part in parts)

    @cached_property
    def _sources(self) -> list[str]:
        return self.run.metrics["source"].unique(maintain_order=True).to_list()

    @cached_property
    def _order(self) -> NDArray[np.int64]:
        """Rank of the record (line of a file) each metric row stands in."""
        return self.run.metrics.select(pl.struct("source", "line").rle_id()).to_series().cast(pl.Int64).to_numpy()

    def _series(self, part: pl.DataFrame) -> Series:
        split, metric, label = part.row(0, named=False)[4:7]
        name = f"{split}.{metric}" if split else metric
        series = Series(
            name=name,
            split=split,
            metric=metric,
            label=label,
            sources=tuple(self._sources),
            value=part["value"].to_numpy(),
            step=part["step"].to_numpy(),
            epoch=part["epoch"].to_numpy(),
            seconds=part["seconds"].to_numpy(),
            line=part["line"].to_numpy(),
            source=part["origin"].to_numpy(),
            order=part["order"].to_numpy(),
            role=self._role(name, metric),
            direction=self._direction(name, metric),
        )
        attempts = part["attempt"].to_numpy()
        return series if attempts[0] == attempts[-1] else _without_superseded(series, attempts)

    def _role(self, name: str, metric: str) -> names.Role:
        """A metric whose direction the user states is a score, whatever its name."""
        role = names.role(metric)
        return "score" if role == "other" and (name in self.directions or metric in self.directions) else role

    def _direction(self, name: str, metric: str) -> names.Direction | None:
        return self.directions.get(name) or self.directions.get(metric) or names.direction(metric)

    def find(self, name: str) -> Series | str:
        """The series a rule means by ``name``, or the reason why there is none.

        ``val.loss`` names split and metric; ``loss`` names the series without a split, else the one split that has it.
        Among labels of one split and metric the one with the most points is meant, among equals the shortest label.
        """
        hits = [s for s in self.series if name in (s.name, s.label)]
        if not hits:
            hits = [s for s in self.series if s.metric == name]
            splits = sorted({s.split for s in hits})
            if len(splits) > 1:
                found = ", ".join(splits)
                return f"{name} is logged for several splits ({found}); name one, such as {splits[0]}.{name}"
        best = min(hits, key=lambda s: (-len(s), len(s.label), s.label), default=None)
        return best if best is not None else f"{name} is not logged"

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """All events in log order."""
        return tuple(
            Event(
                row["kind"],
                row["text"],
                Point(row["step"], row["epoch"], row["time"], row["source"], row["line"]),
                self._rank(row["source"], row["line"]),
            )
            for row in self.run.events.iter_rows(named=True)
        )

    @cached_property
    def _ranks(self) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
        frame = self.run.metrics.select("source", "line").with_columns(pl.Series("order", self._order))
        return {
            str(key[0]): (part["line"].cast(pl.Int64).to_numpy(), part["order"].to_numpy())
            for key, part in frame.partition_by("source", as_dict=True).items()
        }

    def _rank(self, source: str, line: int) -> int:
        """Rank of the last metric record before an event of the same file; -1 when there is none.

        What a file without measurements tells, such as the error stream, is put at the end: it tells of failures.
        """
        if source not in self._ranks:
            return int(self._order[-1]) if len(self._order) else -1
        lines, order = self._ranks[source]
        before = np.searchsorted(lines, line, side="left") - 1
        return int(order[before]) if before >= 0 else -1

    def fact(self, key: str) -> Scalar:
        """The number (or text) the run states for a canonical fact; the last statement wins.

        What the command line states is put last by ingest, and so overrules the log.
        """
        found = self._facts.get(key)
        return found or absent(f"{key} is not stated in the log", f"{key} (or pass --set {key}=...)")

    @cached_property
    def _facts(self) -> dict[str, Scalar]:
        return {
            row["key"]: Scalar(
                row["value"] if row["number"] is None else row["number"], Point(source=row["source"], line=row["line"])
            )
            for row in self.run.facts.iter_rows(named=True)
        }


def _without_superseded(series: Series, attempts: NDArray[np.uint16]) -> Series:
    """Drops points that a later attempt trained again: after a resume the replayed steps count once, the last time."""
    clock = series.step if not np.isnan(series.step).any() else series.epoch
    keep = np.ones(len(series), dtype=bool)
    limit = np.inf
    for attempt in np.unique(attempts)[::-1]:
        mine = attempts == attempt
        keep[mine] = ~(clock[mine] >= limit)  # a missing clock keeps its point
        limit = min(limit, np.nanmin(clock[mine], initial=np.inf))
    return series.take(np.flatnonzero(keep))
