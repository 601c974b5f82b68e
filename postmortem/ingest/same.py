"""Which readings tell of one training process: copies of a capture, and files that complete each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from math import isclose
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import polars as pl

from postmortem import names
from postmortem.ingest.reading import Reading

_MOSTLY = 0.9
_AGREEING = 0.8  # share of the values told twice that must be equal for one process
_MEETINGS = 2  # places from which that can be said
_OPENING = 64  # values looked at first
_PLAIN = 8  # of them told by both, from which none near the other says that the records differ
_NEAR = 0.02  # relative, or absolute below 1: wider than what rounding does to a value printed with two digits
_PROBES = 16  # stamped lines asked for in other captures; a copy lacks at most a tenth of them
_NAMED = dict.fromkeys(("label", "was", "split", "metric"), pl.String())
_PLACES = {"split": pl.String(), "metric": pl.String(), "value": pl.Float64(), "at": pl.Float64()}
_STRUCTURED = ("json", "json-lines", "table", "box")
_STREAMS = ("out", "err", "stdout", "stderr", "log", "txt")
_FEW = 5  # stamped lines from which two captures can be told to be of one process


class Places(NamedTuple):
    """First and last step or epoch, and the usual distance between neighbours, 0 for a single one."""

    first: float
    last: float
    apart: float


@dataclass(frozen=True)
class Capture:
    """A reading, the folder of its run, and what identifies its text.

    Attributes:
        lines: Hashes of the distinct non-empty lines, in file order.
        stamped: Those of them that carry a timestamp.
        copies: Other files that hold the same record.
        series: Of a file that one step of many wrote, what the names of all of them have in common.
    """

    reading: Reading
    folder: str
    lines: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt64))
    stamped: pl.Series = field(default_factory=lambda: pl.Series([], dtype=pl.UInt64))
    copies: tuple[str, ...] = ()
    series: str = ""

    @cached_property
    def span(self) -> tuple[Any, Any]:
        """The first and the last moment told, or None twice."""
        time = self.reading.points["time"]
        return (time.min(), time.max()) if time.null_count() < len(time) else (None, None)

    @cached_property
    def told(self) -> pl.DataFrame:
        """``split``, ``metric``, ``step``, ``epoch`` and ``value`` of each point."""
        labels = self.reading.points.select("label", "split").unique()
        parsed = [(label, split, *_place(label, split)) for label, split in labels.iter_rows()]
        named = pl.DataFrame(parsed, schema=_NAMED, orient="row")
        points = self.reading.points.select("label", "step", "epoch", "value", was="split")
        return points.join(named, on=["label", "was"], how="left", nulls_equal=True, maintain_order="left")

    @cached_property
    def by_step(self) -> pl.DataFrame:
        """The last value at each step: ``split``, ``metric``, ``at`` and ``value``."""
        return self._placed("step")

    @cached_property
    def by_epoch(self) -> pl.DataFrame:
        """The same for each epoch."""
        return self._placed("epoch")

    @cached_property
    def opening(self) -> dict[tuple[str, str, float], float]:
        """The first finite values with their split, metric and place."""
        places = self.by_epoch if self.by_step.is_empty() else self.by_step
        first = places.filter(pl.col("value").is_finite()).sort("at", "split", "metric").head(_OPENING)
        return {(split, metric, at): value for split, metric, value, at in first.iter_rows()}

    @cached_property
    def start(self) -> float | None:
        """The first epoch told."""
        return self.by_epoch["at"].min()  # type: ignore[return-value]

    @cached_property
    def places(self) -> Places | None:
        """The steps told, else the epochs; None without any."""
        told = self.by_epoch if self.by_step.is_empty() else self.by_step
        at = told["at"].unique().sort().to_list()
        return Places(at[0], at[-1], median(b - a for a, b in pairwise(at)) if len(at) > 1 else 0.0) if at else None

    @cached_property
    def letters(self) -> str:
        """The name of the file without numbers and punctuation."""
        return re.sub(r"[\W\d_]+", " ", Path(self.reading.source).name).strip()

    @cached_property
    def program(self) -> str:
        """The name of the file without the words for a stream: ``job.out`` and ``job.err`` are of one program."""
        words = re.split(r"[\W_]+", Path(self.reading.source).name.lower())
        return " ".join(word for word in words if word not in _STREAMS)

    def _placed(self, key: str) -> pl.DataFrame:
        if self.reading.points[key].null_count() == self.reading.points.height:
            return pl.DataFrame(schema=_PLACES)
        places = self.told.select("split", "metric", "value", at=pl.col(key).cast(pl.Float64)).drop_nulls()
        return places.unique(["split", "metric", "at"], keep="last")


def without_copies(captures: Sequence[Capture]) -> list[Capture]:
    """Keeps, of several captures of one process, the one that tells most; the others become its copies.

    Two files are captures of one process when their timestamped lines are (nearly) the same, or when one is the
    beginning of the other: the shell's capture holds warnings in between, an earlier copy stops sooner.
    """
    kept: list[Capture] = []
    candidates = _Candidates(captures)
    for one in sorted(captures, key=lambda item: (-len(item.stamped), -len(item.lines))):
        twin = next((at for at in candidates.of(one) if _is_copy(one, kept[at])), None)
        if twin is None:
            candidates.add(one, len(kept))
            kept.append(one)
        else:
            kept[twin] = replace(kept[twin], copies=(*kept[twin].copies, one.reading.source, *one.copies))
    order = {id(item.reading): at for at, item in enumerate(captures)}
    return sorted(kept, key=lambda item: order[id(item.reading)])


class _Candidates:
    """Which of the captures kept can be a copy of another one, without comparing each with each.

    A capture of stamped lines shares nearly all of them with its copy, so it shares some of a few spread over it. Of
    other lines it shares the first ones: as many as the largest power of two that leaves out its last, cut line.
    """

    def __init__(self, captures: Sequence[Capture]) -> None:
        """Finds the stamped lines that several captures could share."""
        self._probes = {id(one.reading): _spread(one.stamped) for one in captures if len(one.stamped) >= _FEW}
        asked = pl.concat([*self._probes.values(), pl.Series([], dtype=pl.UInt64)]).unique()
        self._asked = asked.implode()
        self._kept: dict[Any, list[int]] = {}

    def add(self, one: Capture, at: int) -> None:
        """Takes in a capture that is kept, under its place."""
        probed = one.stamped.filter(one.stamped.is_in(self._asked)).to_list() if len(one.stamped) >= _FEW else []
        for key in (*probed, *(_head(one.lines, 1 << power) for power in range(len(one.lines).bit_length()))):
            self._kept.setdefault(key, []).append(at)

    def of(self, one: Capture) -> list[int]:
        """The places of the captures kept that may hold the same record, in the order they were kept."""
        probes = self._probes.get(id(one.reading))
        head = _head(one.lines, 1 << (max(len(one.lines) - 1, 1).bit_length() - 1))
        keys = [head] if probes is None else [head, *probes.to_list()]
        return sorted({at for key in keys for at in self._kept.get(key, ())})


def _spread(hashes: pl.Series) -> pl.Series:
    return hashes.gather(sorted({len(hashes) * at // _PROBES for at in range(_PROBES)}))


def _head(hashes: pl.Series, count: int) -> tuple[int, int]:
    return count, hash(hashes.head(count).to_numpy().tobytes())


def processes(captures: Sequence[Capture]) -> list[list[Capture]]:
    """Groups captures of one folder into processes: a log and the history it wrote belong together."""
    groups: list[list[Capture]] = []
    for one in captures:
        home = next((group for group in groups if all(_complete(one, other) for other in group)), None)
        home = home or next((group for group in groups if _follows(one, group[-1])), None)
        later = None if home else next((group for group in groups if _follows(group[0], one)), None)
        if home:
            home.append(one)
        elif later:
            later.insert(0, one)
        else:
            groups.append([one])
    return groups


def _follows(one: Capture, other: Capture) -> bool:
    """Whether a file begins where another of its kind ends, numbers in their names aside: one log over two files."""
    alike = one.letters == other.letters and one.reading.format == other.reading.format
    if not alike or one.folder != other.folder or not one.places or not other.places:
        return False
    gap, apart = one.places.first - other.places.last, other.places.apart
    return 0 < gap <= 1.5 * (apart or one.places.apart) or gap == 0 < apart  # the last place may be cut in two


def _is_copy(one: Capture, other: Capture) -> bool:
    if len(one.stamped) >= _FEW and len(other.stamped) >= _FEW:
        return _overlap(one.stamped, other.stamped) >= _MOSTLY
    if len(one.lines) < _FEW or one.reading.points.is_empty():
        return bool(len(one.lines)) and one.lines.equals(other.lines)
    head = other.lines.head(len(one.lines))
    return len(head) == len(one.lines) and bool((head.head(-1) == one.lines.head(-1)).all())


def _overlap(one: pl.Series, other: pl.Series) -> float:
    smaller, larger = sorted((one, other), key=len)
    return float(smaller.is_in(larger.implode()).mean() or 0.0)  # type: ignore[arg-type]


def _complete(one: Capture, other: Capture) -> bool:
    """Whether two different records can be of one process: they agree where they meet, or tell of different things."""
    if one.folder != other.folder:
        return False
    if one.reading.points.is_empty() or other.reading.points.is_empty():
        return one.reading.points.height != other.reading.points.height and one.program == other.program
    if one.series or other.series:
        return set(one.reading.points["label"]) == set(other.reading.points["label"])
    if one.reading.format == other.reading.format == "tfevents":
        return True  # a folder of event files is one run, whoever wrote them and however often it was started
    if _apart(one, other) or _plainly_different(one, other):
        return False
    agreement = _agreement(one, other)
    if agreement.shared:
        return agreement.share >= _AGREEING and agreement.shared >= _MEETINGS
    return _stem(one) == _stem(other) or one.reading.format != other.reading.format


def aligned(group: Sequence[Capture]) -> list[Reading]:
    """The readings of one process with the epochs numbered as its log numbers them.

    A history is a list whose index is the epoch, so its epochs start from 0 where those of the log start from 1.
    """
    log = next((one for one in group if one.reading.format not in _STRUCTURED), group[0])
    others = (one for one in group if one is not log and _start_apart(log, one))
    shifts = {id(one): _agreement(log, one).shift for one in others}
    return [_shifted(one.reading, shifts.get(id(one), 0)) for one in group]


def _start_apart(one: Capture, other: Capture) -> bool:
    """The epochs of one start from 0, those of the other from 1."""
    return not (one.series or other.series) and {one.start, other.start} == {0.0, 1.0}


def _shifted(reading: Reading, shift: int) -> Reading:
    return replace(reading, points=reading.points.with_columns(pl.col("epoch") + shift)) if shift else reading


def _plainly_different(one: Capture, other: Capture) -> bool:
    """None of the first values that both tell are even near each other; spares a folder of many logs the full look."""
    shared = one.opening.keys() & other.opening.keys()
    near = any(isclose(one.opening[key], other.opening[key], rel_tol=_NEAR, abs_tol=_NEAR) for key in shared)
    return len(shared) >= _PLAIN and not near and not _start_apart(one, other)


def _apart(one: Capture, other: Capture) -> bool:
    """Both tell the time, and one ended before the other began."""
    (first, last), (start, end) = one.span, other.span
    if first is None or start is None:
        return False
    return bool(last < start or end < first)


def _stem(capture: Capture) -> str:
    """The file's name without the words for a split or a kind of file."""
    words = re.split(r"[\W_]+", Path(capture.reading.source).stem.lower())
    common = {"log", "logs", "loss", "losses", "metrics", "error", "history", "results", "learn", "events", "out"}
    return " ".join(word for word in words if names.split_word(word) is None and word not in common)


class _Agreement(NamedTuple):
    """How many values stand at a place two records tell of, and how many of them are equal as printed.

    ``shift`` is what to add to the epochs of the second to number them as the first does.
    """

    shared: int
    equal: int
    shift: int = 0

    @property
    def share(self) -> float:
        return self.equal / max(self.shared, 1)


def _agreement(one: Capture, other: Capture) -> _Agreement:
    """Epochs from 0 in one and from 1 in the other are the same epochs when more values agree that way."""
    stepped = _met(one.by_step, other.by_step)
    plain = stepped if stepped.shared else _met(one.by_epoch, other.by_epoch)
    if not _start_apart(one, other):
        return plain
    moved = _met(one.by_epoch, other.by_epoch, 1 if one.start else -1)
    return moved if moved.share > plain.share else plain


def _met(one: pl.DataFrame, other: pl.DataFrame, shift: int = 0) -> _Agreement:
    if one.is_empty() or other.is_empty():
        return _Agreement(0, 0)
    moved = other.with_columns(pl.col("at") + shift) if shift else other
    met = one.join(moved, on=["split", "metric", "at"], how="inner")
    return _Agreement(met.height, int(met.select(equal_as_printed("value", "value_right").sum()).item()), shift)


def equal_as_printed(one: str, other: str) -> pl.Expr:
    """Equal when the one with more decimals is rounded to those of the other; NaN equals NaN."""
    decimals = [pl.col(name).cast(pl.String).str.extract(r"\.([0-9]+)$", 1).str.len_bytes() for name in (one, other)]
    unit = pl.lit(10.0).pow(-pl.min_horizontal(decimals).cast(pl.Float64))
    tolerance = pl.coalesce(0.501 * unit, 1e-3 * pl.col(one).abs())  # exponents have no plain decimals
    near = (pl.col(one) - pl.col(other)).abs() <= tolerance
    return near | (pl.col(one).is_nan() & pl.col(other).is_nan()) | (pl.col(one) == pl.col(other))


def _place(label: str, split: str | None) -> tuple[str, str]:
    name = names.parse(label)
    return (name.split if split is None else split) or "train", name.metric
