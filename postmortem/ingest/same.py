"""Which readings tell of one training process: copies of a capture, and files that complete each other."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from postmortem import names
from postmortem.ingest.reading import Reading

_MOSTLY = 0.9
_FEW = 5  # stamped lines from which two captures can be told to be of one process


@dataclass(frozen=True)
class Capture:
    """A reading, the folder of its run, and what identifies its text.

    Attributes:
        lines: Hashes of the distinct non-empty lines, in file order.
        stamped: Those of them that carry a timestamp.
        copies: Other files that hold the same record.
    """

    reading: Reading
    folder: str
    lines: pl.Series
    stamped: pl.Series
    copies: tuple[str, ...] = ()


def without_copies(captures: Sequence[Capture]) -> list[Capture]:
    """Keeps, of several captures of one process, the one that tells most; the others become its copies.

    Two files are captures of one process when their timestamped lines are (nearly) the same, or when one is the
    beginning of the other: the shell's capture holds warnings in between, an earlier copy stops sooner.
    """
    kept: list[Capture] = []
    for one in sorted(captures, key=lambda item: (-len(item.stamped), -len(item.lines))):
        twin = next((at for at, other in enumerate(kept) if _is_copy(one, other)), None)
        if twin is None:
            kept.append(one)
        else:
            kept[twin] = replace(kept[twin], copies=(*kept[twin].copies, one.reading.source, *one.copies))
    order = {id(item.reading): at for at, item in enumerate(captures)}
    return sorted(kept, key=lambda item: order[id(item.reading)])


def processes(captures: Sequence[Capture]) -> list[list[Capture]]:
    """Groups captures of one folder into processes: a log and the history it wrote belong together."""
    groups: list[list[Capture]] = []
    for one in captures:
        home = next((group for group in groups if all(_complete(one, other) for other in group)), None)
        if home is None:
            groups.append([one])
        else:
            home.append(one)
    return groups


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
        return False
    if _apart(one.reading, other.reading):
        return False
    shared, agreeing = _agreement(one.reading, other.reading)
    if shared:
        return agreeing >= 0.8 * shared and shared >= 2
    return _stem(one) == _stem(other) or one.reading.format != other.reading.format


def _apart(one: Reading, other: Reading) -> bool:
    """Both tell the time, and one ended before the other began."""
    spans = [(reading.points["time"].min(), reading.points["time"].max()) for reading in (one, other)]
    (first, last), (start, end) = spans
    if first is None or start is None:
        return False
    return bool(last < start or end < first)  # type: ignore[operator]


def _stem(capture: Capture) -> str:
    """The file's name without the words for a split or a kind of file."""
    words = re.split(r"[\W_]+", Path(capture.reading.source).stem.lower())
    common = {"log", "logs", "loss", "losses", "metrics", "error", "history", "results", "learn", "events", "out"}
    return " ".join(word for word in words if names.split_word(word) is None and word not in common)


def _agreement(one: Reading, other: Reading) -> tuple[int, int]:
    """How many values stand at a place both tell of, and how many of them are equal to the precision printed."""
    for key in ("step", "epoch"):
        met = _keyed(one, key).join(_keyed(other, key), on=["split", "metric", "at"], how="inner")
        if met.height:
            return met.height, int(met.select(_equal_as_printed("value", "value_right").sum()).item())
    return 0, 0


def _equal_as_printed(one: str, other: str) -> pl.Expr:
    """Equal when the one with more decimals is rounded to those of the other; NaN equals NaN."""
    decimals = [pl.col(name).cast(pl.String).str.extract(r"\.([0-9]+)$", 1).str.len_bytes() for name in (one, other)]
    unit = pl.lit(10.0).pow(-pl.min_horizontal(decimals).cast(pl.Float64))
    tolerance = pl.coalesce(0.501 * unit, 1e-3 * pl.col(one).abs())  # exponents have no plain decimals
    near = (pl.col(one) - pl.col(other)).abs() <= tolerance
    return near | (pl.col(one).is_nan() & pl.col(other).is_nan()) | (pl.col(one) == pl.col(other))


def _keyed(reading: Reading, key: str) -> pl.DataFrame:
    labels = reading.points.select("label", "split").unique()
    parsed = [(label, split, *_place(label, split)) for label, split in labels.iter_rows()]
    schema = {"label": pl.String(), "split": pl.String(), "in": pl.String(), "metric": pl.String()}
    named = pl.DataFrame(parsed, schema=schema, orient="row")
    rows = reading.points.join(named, on=["label", "split"], how="left", nulls_equal=True, maintain_order="left")
    places = rows.select(split="in", metric="metric", at=pl.col(key).cast(pl.Float64), value="value").drop_nulls()
    return places.unique(["split", "metric", "at"], keep="last")


def _place(label: str, split: str | None) -> tuple[str, str]:
    name = names.parse(label)
    return (name.split if split is None else split) or "train", name.metric
