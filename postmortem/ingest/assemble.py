"""Readings to runs: which files belong together, and what their labels mean."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import polars as pl

from postmortem import names, schema
from postmortem.ingest import restarts
from postmortem.ingest.reading import LINES, SETTINGS, Reading
from postmortem.ingest.same import Capture, aligned, equal_as_printed, processes, without_copies
from postmortem.ingest.stores.recorded import Recorded
from postmortem.model import Run, Source

_COMMAND_LINE = "--set"
_LOG_NAME = re.compile(r"(?i)log|out|txt|err")
_FEW = 3  # settings every training has, from which a text without measurements is a run that never got far
MAX_UNREAD = 2000
"""Most spans of unread lines kept of one run."""


def assemble(
    captures: Sequence[Capture],
    configs: Sequence[tuple[str, Reading]],
    settings: Mapping[str, str],
    stored: Sequence[tuple[str, Recorded]] = (),
) -> tuple[Run, ...]:
    """Turns readings into runs.

    Args:
        captures: Logs, each with the folder of its run.
        configs: Configuration files read as settings, each with its folder.
        settings: Facts from the command line, added to every run.
        stored: Runs as trackers recorded them, each with the folder of its store.
    """
    homes: dict[str, list[Capture]] = {}
    kept = [(capture, _store_of(capture, stored)) for capture in without_copies(captures)]
    for capture, store in kept:
        if store is None:
            homes.setdefault(capture.folder, []).append(capture)
    groups = [group for folder in sorted(homes) for group in processes(homes[folder])]
    runs: list[Run] = []
    for title, group in zip(_titles(groups), groups, strict=True):
        beside = _beside(group[0].folder, configs, homes)
        runs += _runs(title, group, beside, settings)
    for (folder, recorded), title in zip(stored, _stored_titles(stored), strict=True):
        group = [Capture(reading, folder) for reading in recorded.readings]
        group += [capture for capture, store in kept if store == folder]
        if any(capture.reading.points.height for capture in group):
            runs += _runs(title, group, (), settings)
    return tuple(runs)


def _store_of(capture: Capture, stored: Sequence[tuple[str, Recorded]]) -> str | None:
    """The folder of a tracker's only run that a file lies in: what the tracker captured is of that run."""
    alone = {folder for folder, count in Counter(folder for folder, _ in stored).items() if count == 1}
    own = (str(folder) for folder in (Path(capture.folder), *Path(capture.folder).parents))
    return next((folder for folder in own if folder in alone), None)


def _stored_titles(stored: Sequence[tuple[str, Recorded]]) -> list[str]:
    """The names trackers gave, with the folder of the store where two are alike."""
    taken = Counter(recorded.name for _, recorded in stored)
    return [
        recorded.name if taken[recorded.name] == 1 else f"{Path(folder).name}/{recorded.name}"
        for folder, recorded in stored
    ]


def _titles(groups: Sequence[Sequence[Capture]]) -> list[str]:
    """A short readable name for each process: its folder where that has one, else its file; common folders removed."""
    folders = Counter(group[0].folder for group in groups)
    full = [group[0].reading.source for group in groups]
    paths = [
        str(Path(source).with_suffix("")) if folders[group[0].folder] > 1 or len(groups) == 1 else group[0].folder
        for source, group in zip(full, groups, strict=True)
    ]
    short = _without_common(paths)
    taken = Counter(short)
    return [title if taken[title] == 1 else path for title, path in zip(short, full, strict=True)]


def _without_common(paths: Sequence[str]) -> list[str]:
    """The paths without the folders above all of them; as they are when some are absolute and some are not."""
    if len({Path(path).is_absolute() for path in paths}) != 1:
        return list(paths)
    root = os.path.commonpath([str(Path(path).parent) for path in paths])
    return [os.path.relpath(path, root or ".") for path in paths]


def _beside(folder: str, configs: Sequence[tuple[str, Reading]], homes: Container[str]) -> list[Reading]:
    """Configuration that applies to a run: of its own folder, or of a folder above that has no runs itself."""
    own = [reading for home, reading in configs if home == folder]
    parents = {str(parent) for parent in Path(folder).parents}
    return own or [reading for home, reading in configs if home not in homes and home in parents]


def _runs(title: str, group: Sequence[Capture], beside: Sequence[Reading], settings: Mapping[str, str]) -> list[Run]:
    readings = aligned(group)
    metrics = _metrics(readings)
    events = _stacked(readings, "notes")
    logs = [reading.source for reading in readings]
    facts = _facts([*readings, *beside], settings).with_columns(beside=~pl.col("source").is_in(logs))
    metrics = restarts.divide_sources(metrics, events.filter(pl.col("kind") == "restart"))
    parts = metrics["part"].n_unique() or 1
    marks = _marks(metrics)
    sources = tuple(_source(capture) for capture in group) + tuple(
        Source(reading.source, reading.format, reading.lines) for reading in beside
    )
    unread = _unread(readings)
    lines, understood = (sum(getattr(reading, name) for reading in readings) for name in ("lines", "understood"))
    # The end of a run stands after its last measurement, all else that stands there before the next one's first.
    ends = pl.col("kind").is_in(_ENDS)
    told = {
        "metrics": metrics,
        "events": _with_attempts(_parted(events, marks, "line", ends), marks),
        "facts": _parted(facts, marks, "line", pl.lit(False)),
        "unread": _parted(unread, marks, "first", pl.lit(False)),
    }
    runs = []
    for part in range(parts):
        name = title if parts == 1 else f"{title}#{part + 1}"
        own = told if parts == 1 else _of_part(told, part)
        frames = {kind: _named(frame, name, kind) for kind, frame in own.items()}
        runs.append(Run(name, sources, **frames, lines=lines, understood=understood))
    return runs


_ENDS = ("traceback", "oom", "killed", "finished", "early-stop", "checkpoint", "best", "nan-warning")


def _marks(metrics: pl.DataFrame) -> pl.DataFrame:
    """``source``, ``line``, ``part`` and ``attempt`` of the lines that measure, by line; empty when all is one part."""
    marks = metrics.select("source", "line", "part", "attempt")
    if not any(marks.select((pl.col("part", "attempt") != pl.col("part", "attempt").first()).any()).rows()[0]):
        return marks.clear()
    last = (pl.col("line") != pl.col("line").shift(-1)) | (pl.col("source") != pl.col("source").shift(-1))
    return marks.filter(last.fill_null(True)).unique(["source", "line"], keep="last").sort("line")


def _parted(frame: pl.DataFrame, marks: pl.DataFrame, line: str, backward: pl.Expr) -> pl.DataFrame:
    """Adds ``part``: the run within the record that rows belong to, by the measurement after them or ``backward``."""
    if marks.is_empty():
        return frame.with_columns(part=pl.lit(0, pl.UInt32))
    marks = marks.select("source", pl.col("line").alias(line), "part")
    rows = frame.with_row_index("order").with_columns(pl.col(line).cast(pl.UInt32)).sort(line)
    after, before = (
        rows.join_asof(marks, on=line, by="source", strategy=way, check_sortedness=False)["part"]
        for way in ("forward", "backward")
    )
    part = pl.when(backward).then(pl.coalesce(before, after)).otherwise(pl.coalesce(after, before))
    return rows.with_columns(part=part.fill_null(0)).sort("order").drop("order")


def _of_part(told: Mapping[str, pl.DataFrame], part: int) -> dict[str, pl.DataFrame]:
    own = {kind: frame.filter(pl.col("part") == part) for kind, frame in told.items() if kind != "facts"}
    return {**own, "facts": _facts_of(told["facts"], part)}


def _facts_of(facts: pl.DataFrame, part: int) -> pl.DataFrame:
    """Facts stated for a part, those stated before that its own do not replace, and those of no log's line."""
    everywhere = pl.col("source").is_in(facts.filter(pl.col("beside"))["source"].unique().implode())
    own = facts.filter((pl.col("part") == part) | everywhere)
    earlier = facts.filter((pl.col("part") < part) & ~everywhere & ~pl.col("key").is_in(own["key"].implode()))
    return pl.concat([earlier.unique("key", keep="last", maintain_order=True), own])


def _named(frame: pl.DataFrame, run: str, kind: str) -> pl.DataFrame:
    columns = schema.FRAMES[kind]
    named = frame.lazy().with_columns(run=pl.lit(run)).select(list(columns)).cast(columns).collect()
    return schema.check(kind, named)


def _stacked(readings: Sequence[Reading], name: str) -> pl.DataFrame:
    frames: list[pl.DataFrame] = [getattr(reading, name) for reading in readings]
    return pl.concat(
        frame.with_columns(source=pl.lit(reading.source)) for frame, reading in zip(frames, readings, strict=True)
    )


def _metrics(readings: Sequence[Reading]) -> pl.DataFrame:
    """Points with their meaning; of a value told by several files the one with most digits is kept."""
    points = _stacked(readings, "points").with_row_index("row")
    labels = points.select("label", "split").unique()
    rows = [(label, split, *_meaning(label, split)) for label, split in labels.iter_rows()]
    named = pl.DataFrame(rows, schema={key: pl.String() for key in ("label", "split", "in", "metric")}, orient="row")
    points = points.join(named, on=["label", "split"], how="left", nulls_equal=True, maintain_order="left")
    points = points.drop("split").rename({"in": "split"})
    points = _with_train(points)
    return (_without_repeats(points) if len(readings) > 1 else points).drop("row")


def _meaning(label: str, split: str | None) -> tuple[str, str]:
    plain = label.removesuffix(" (avg)")
    bare = names.split_word(plain)
    if bare:
        return bare, "value"  # "Train: 0.85, Val: 0.79" names no quantity
    name = names.parse(plain)
    return name.split if split is None else split, name.metric


def _with_train(points: pl.DataFrame) -> pl.DataFrame:
    """Gives the split ``train`` to what a log prints without one beside its validation.

    That is a metric that also has a split of evaluation but no train of its own, and a bare loss where there is no
    train loss.
    """
    seen = points.select("split", "metric").unique()
    train = set(seen.filter(pl.col("split") == "train")["metric"])
    evaluated = set(seen.filter(pl.col("split").is_in(["val", "test"]))["metric"])
    bare = set(seen.filter(pl.col("split") == "")["metric"])
    given = [metric for metric in bare - train if metric in evaluated or metric == "loss"]
    unsaid = (pl.col("split") == "") & pl.col("metric").is_in(given)
    return points.with_columns(split=pl.when(unsaid).then(pl.lit("train")).otherwise("split"))


def _without_repeats(points: pl.DataFrame) -> pl.DataFrame:
    """Of values that several files tell at one place keeps those of the file that tells them in most digits.

    The place of a series is its step where all files have it, else its epoch. Where a file has several values in an
    epoch, one of another file repeats them only if it is equal.
    """
    series = ["split", "metric"]
    stepped = pl.col("step").is_not_null().all().over(series)
    at = pl.when(stepped).then(pl.col("step").cast(pl.Float64)).otherwise("epoch")
    digits = pl.col("value").cast(pl.String).str.len_bytes().mean().over("source", *series)
    marked = points.with_columns(at=at, digits=digits)
    place = [*series, "at"]
    marked = marked.with_columns(
        said=pl.col("value").last().over("source", *place),
        crowded=(pl.len().over("source", *place) > 1).any().over(series),
    )
    best = marked.filter(pl.col("at").is_not_null()).sort("digits", descending=True, maintain_order=True)
    told = best.unique(place, keep="first", maintain_order=True).select(*place, "said", teller="source")
    met = marked.drop("said").join(told, on=place, how="left", maintain_order="left")
    repeated = (pl.col("teller") != pl.col("source")) & (~pl.col("crowded") | equal_as_printed("value", "said"))
    return met.filter(~repeated.fill_null(False)).select(points.columns)


def _with_attempts(events: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Events in the attempt of the last measurement before them in their file."""
    if marks.is_empty():
        return events.with_columns(attempt=pl.lit(0, pl.UInt16))
    marks = marks.select("source", "line", "attempt")
    placed = events.sort("line").join_asof(marks, on="line", by="source", strategy="backward", check_sortedness=False)
    return placed.with_columns(pl.col("attempt").fill_null(0))


def _facts(readings: Sequence[Reading], settings: Mapping[str, str]) -> pl.DataFrame:
    """Settings under canonical keys, in the order stated; those of the command line last, so that they win."""
    told = _stacked(readings, "settings")
    given = (
        pl.DataFrame({"line": None, "key": key, "value": value} for key, value in settings.items())
        if settings
        else None
    )
    if given is not None:
        told = pl.concat([told, given.cast(SETTINGS).with_columns(source=pl.lit(_COMMAND_LINE))])
    grouped = pl.col("value").str.contains(r"^\s*[0-9]{1,3}(,[0-9]{3})+\b")
    plain = pl.when(grouped).then(pl.col("value").str.replace_all(",", "", literal=True)).otherwise("value")
    number = plain.str.extract(_LEADING_NUMBER, 1)
    return told.with_columns(
        key=pl.col("key").map_elements(names.fact_key, return_dtype=pl.String),
        number=number.cast(pl.Float64, strict=False),
    ).unique(["key", "value", "source"], keep="first", maintain_order=True)


_LEADING_NUMBER = r"^\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)\s*(?:%|[a-zA-Z]{0,8})?\s*$"


def _source(capture: Capture) -> Source:
    reading = capture.reading
    return Source(reading.source, reading.format, reading.lines, tuple(sorted(capture.copies)))


def _unread(readings: Sequence[Reading]) -> pl.DataFrame:
    """Spans of consecutive unread lines with the shape of their first line."""
    spans = []
    for reading in readings:
        lines = reading.unread.select(list(LINES)).filter(pl.col("text").str.strip_chars() != "")
        marked = lines.with_columns(span=(pl.col("line").cast(pl.Int64).diff() > 1).fill_null(True).cum_sum())
        spans.append(
            marked.group_by("span", maintain_order=True)
            .agg(
                first=pl.col("line").min(),
                last=pl.col("line").max(),
                lines=pl.col("line").n_unique().cast(pl.UInt32),
                shape=pl.col("text").first().str.slice(0, 200).str.replace_all(r"[0-9]+(?:\.[0-9]+)?", "0"),
            )
            .drop("span")
            .with_columns(source=pl.lit(reading.source))
            .head(MAX_UNREAD)
        )
    return pl.concat(spans)


def is_log(reading: Reading) -> bool:
    """A file that tells of training: it has measurements, or it says how a run was configured and how it went."""
    telling = reading.notes.filter(~pl.col("kind").is_in(["warning", "checkpoint"])).height
    known = {names.fact_key(key) for key in reading.settings["key"]} & set(schema.FACT_KEYS)
    crashed = bool((reading.notes["kind"] == "traceback").any())
    told = crashed or (known and (telling or len(known) >= _FEW))
    return bool(reading.points.height or (told and _LOG_NAME.search(Path(reading.source).name)))
