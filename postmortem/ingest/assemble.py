"""Readings to runs: which files belong together, and what their labels mean."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import polars as pl

from postmortem import names, schema
from postmortem.ingest import numbered, repeats, restarts
from postmortem.ingest.reading import LINES, SETTINGS, Reading
from postmortem.ingest.same import Capture, aligned, processes, without_copies
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
    groups = [group for folder in sorted(homes) for group in processes(numbered.in_order(homes[folder]))]
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
    points, disagreements = _metrics(readings)
    events = pl.concat([_stacked(readings, "notes"), disagreements])
    metrics = restarts.divide_sources(points, events.filter(pl.col("kind") == "restart"))
    marks = _marks(metrics)
    frames = {
        "metrics": metrics,
        "events": _with_attempts(events, marks),
        "facts": _facts([*beside, *readings], settings),
        "unread": _unread(readings),
    }
    sources = tuple(_source(capture) for capture in group) + tuple(
        Source(reading.source, reading.format, reading.lines) for reading in beside
    )
    lines, understood = (sum(getattr(reading, name) for reading in readings) for name in ("lines", "understood"))
    parts = _divided(frames, marks, [reading.source for reading in readings])
    named = [title] if len(parts) == 1 else [f"{title}#{part}" for part in range(1, len(parts) + 1)]
    return [
        Run(
            name,
            sources,
            **{kind: _named(frame, name, kind) for kind, frame in part.items()},
            lines=lines,
            understood=understood,
        )
        for name, part in zip(named, parts, strict=True)
    ]


def _divided(
    frames: Mapping[str, pl.DataFrame], marks: pl.DataFrame, logs: Sequence[str]
) -> list[Mapping[str, pl.DataFrame]]:
    """The frames of each run in a record; ``logs`` are the files whose lines say where a run begins."""
    parts = _last(frames["metrics"], "part") + 1
    if parts == 1:
        return [frames]
    # The end of a run stands after its last measurement, all else that stands there before the next one's first.
    ends = pl.col("kind").is_in(_ENDS)
    facts = frames["facts"].with_columns(beside=~pl.col("source").is_in(logs))
    told = {
        "metrics": frames["metrics"],
        "events": _parted(frames["events"], marks, "line", ends),
        "facts": _parted(facts, marks, "line", pl.lit(False)),
        "unread": _parted(frames["unread"], marks, "first", pl.lit(False)),
    }
    return [_of_part(told, part) for part in range(parts)]


_ENDS = ("traceback", "oom", "killed", "finished", "early-stop", "checkpoint", "best", "nan-warning")


def _marks(metrics: pl.DataFrame) -> pl.DataFrame:
    """``source``, ``line``, ``part`` and ``attempt`` of the lines that measure, by line; empty when all is one part."""
    marks = metrics if _last(metrics, "part") or _last(metrics, "attempt") else metrics.clear()
    last = (pl.col("line") != pl.col("line").shift(-1)) | (pl.col("source") != pl.col("source").shift(-1))
    marks = marks.filter(last.fill_null(True)).select(pl.col("source").cast(pl.String), "line", "part", "attempt")
    return marks.unique(["source", "line"], keep="last").sort("line")


def _last(metrics: pl.DataFrame, of: str) -> int:
    return int(metrics[of].max() or 0)  # type: ignore[arg-type]


def _parted(frame: pl.DataFrame, marks: pl.DataFrame, line: str, backward: pl.Expr) -> pl.DataFrame:
    """Adds ``part``: the run within the record that rows belong to, by the measurement after them or ``backward``."""
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
    if frame.is_empty():
        return schema.empty(kind)
    columns = schema.FRAMES[kind]
    named = frame.with_columns(run=pl.lit(run))
    return schema.check(kind, named.select(pl.col(name).cast(dtype) for name, dtype in columns.items()))


def _stacked(readings: Sequence[Reading], name: str) -> pl.DataFrame:
    """The frames of one kind, with the file each row is from."""
    told: list[tuple[pl.DataFrame, str]] = [(getattr(reading, name), reading.source) for reading in readings]
    some = [(frame, source) for frame, source in told if frame.height] or told[:1]
    return pl.concat(frame.with_columns(source=pl.lit(source)) for frame, source in some)


def _metrics(readings: Sequence[Reading]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Points with their meaning, each value once; and where files disagree, see ``repeats``."""
    points = _stacked(readings, "points").with_columns(pl.col("label", "split", "source").cast(schema.NAME))
    seen = points.select("label", "split", "source").unique().rows()
    rows = _with_train([(*label, *_meaning(*label)) for label in {(label, split) for label, split, _ in seen}])
    named = pl.DataFrame(rows, schema=dict.fromkeys(("label", "split", "in", "metric"), schema.NAME), orient="row")
    points = points.join(named, on=["label", "split"], how="left", nulls_equal=True, maintain_order="left")
    points = points.drop("split").rename({"in": "split"})
    return repeats.dropped(points) if _meet(seen, rows) else (points, repeats.NO_DISAGREEMENTS)


_Meaning = tuple[str, str | None, str, str]  # label and split as read, split and metric as meant


def _meet(seen: Sequence[tuple[str, str | None, str]], meanings: Sequence[_Meaning]) -> bool:
    """Several files tell of the same series."""
    meant = {(label, split): (own, metric) for label, split, own, metric in meanings}
    tellers = Counter(series for series, _ in {(meant[label, split], source) for label, split, source in seen})
    return any(count > 1 for count in tellers.values())


def _meaning(label: str, split: str | None) -> tuple[str, str]:
    plain = label.removesuffix(" (avg)")
    bare = names.split_word(plain)
    if bare:
        return bare, "value"  # "Train: 0.85, Val: 0.79" names no quantity
    name = names.parse(plain)
    return name.split if split is None else split, name.metric


def _with_train(meanings: Sequence[_Meaning]) -> list[_Meaning]:
    """Gives the split ``train`` to what a log prints without one beside its validation.

    That is a metric that also has a split of evaluation but no train of its own, and a bare loss, or a known part of
    one (``box_loss``), where there is no train loss of the name.
    """
    seen: dict[str, set[str]] = {}
    for *_, split, metric in meanings:
        seen.setdefault(split, set()).add(metric)
    evaluated = seen.get("val", set()) | seen.get("test", set()) | {"loss"}
    bare = seen.get("", set()) - seen.get("train", set())
    given = {metric for metric in bare if metric in evaluated or names.is_part_of_loss(metric)}
    return [
        (label, told, "train" if split == "" and metric in given else split, metric)
        for label, told, split, metric in meanings
    ]


def _with_attempts(events: pl.DataFrame, marks: pl.DataFrame) -> pl.DataFrame:
    """Events in the attempt of the last measurement before them in their file."""
    if marks.is_empty():
        return events.with_columns(attempt=pl.lit(0, pl.UInt16))
    marks = marks.select("source", "line", "attempt")
    placed = events.sort("line").join_asof(marks, on="line", by="source", strategy="backward", check_sortedness=False)
    return placed.with_columns(pl.col("attempt").fill_null(0))


def _facts(readings: Sequence[Reading], settings: Mapping[str, str]) -> pl.DataFrame:
    """Settings under canonical keys, in the order stated; the last one wins.

    What a run printed of itself comes after the files beside it, and what the command line states after both.
    """
    told = _stacked(readings, "settings")
    if settings:
        given = pl.DataFrame({"line": None, "key": key, "value": value} for key, value in settings.items())
        told = pl.concat([told, given.cast(SETTINGS).with_columns(source=pl.lit(_COMMAND_LINE))])
    if told.is_empty():
        return schema.empty("facts").drop("run")
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
    spans = [_spans(reading.unread, reading.source) for reading in readings if reading.unread.height]
    return pl.concat(spans) if spans else schema.empty("unread").drop("run")


def _spans(unread: pl.DataFrame, source: str) -> pl.DataFrame:
    lines = unread.select(list(LINES)).filter(pl.col("text").str.strip_chars() != "")
    spans = lines.group_by((pl.col("line").cast(pl.Int64).diff() > 1).fill_null(True).cum_sum(), maintain_order=True)
    return (
        spans.agg(
            first=pl.col("line").min(),
            last=pl.col("line").max(),
            lines=pl.col("line").n_unique().cast(pl.UInt32),
            shape=pl.col("text").first().str.slice(0, 200).str.replace_all(r"[0-9]+(?:\.[0-9]+)?", "0"),
        )
        .select(pl.lit(source).alias("source"), "first", "last", "lines", "shape")
        .head(MAX_UNREAD)
    )


def is_log(reading: Reading) -> bool:
    """A file that tells of training: it has measurements, or it says how a run was configured and how it went."""
    if reading.points.height:
        return True
    telling = reading.notes.filter(~pl.col("kind").is_in(["warning", "checkpoint"])).height
    known = {names.fact_key(key) for key in reading.settings["key"]} & set(schema.FACT_KEYS)
    crashed = reading.notes["kind"].is_in(["traceback", "oom", "killed"]).any()
    told = crashed or (known and (telling or len(known) >= _FEW))
    return bool(told and _LOG_NAME.search(Path(reading.source).name))
