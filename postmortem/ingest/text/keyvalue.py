"""The generic text reader: any ``name: number``, ``name=number`` or ``name number`` of a log nobody described to us."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from postmortem import names
from postmortem.ingest.lines import Text, clip
from postmortem.ingest.reading import LINES, POINTS, SETTINGS, Reading
from postmortem.ingest.structured import records
from postmortem.ingest.text import clock, coco, context, events, headed, judge, settings, shapes, trials, turned
from postmortem.ingest.text.shapes import Messages, Numbers
from postmortem.ingest.text.template import WHOLE_RUN, header_split

NAME = "key-value"

_HEADING = (
    r"(?i)^[^a-z]*(?:[a-z]+\W+)?(?:train|training|validation|validating|validate|valid|val|eval|evaluation"
    r"|evaluating|"
    r"test|testing|dev)\b[^0=]*$"
)
_OF_HEADINGS = ("train", "val", "eval", "test", "dev")
_ANNOUNCEMENTS = ("best", "checkpoint", "early-stop", "restart", "finished")


def read(text: Text, source: str) -> Reading:
    """Reads a text log without a description of its format.

    Args:
        text: The file's lines.
        source: Its path as it is to be shown.
    """
    lines, problems = clip(text.lines, source)
    drawn_over = bool((lines["line"].diff() == 0).any())
    if not drawn_over:
        return replace(_read(replace(text, lines=lines), source), problems=problems)
    # What a terminal drew over one line, bars of several epochs perhaps, are messages one after the other.
    numbers = pl.int_range(1, lines.height + 1, dtype=pl.UInt32, eager=True).alias("line")
    reading = _read(replace(text, lines=lines.with_columns(numbers)), source)
    return replace(_relined(reading, lines["line"]), problems=problems)


def _relined(reading: Reading, physical: pl.Series) -> Reading:
    """A reading of messages numbered one by one, with the physical line of each instead of its number."""
    points, notes, stated, unread = (
        frame.with_columns(physical.gather(frame["line"] - 1).alias("line"))
        for frame in (reading.points, reading.notes, reading.settings, reading.unread)
    )
    told = pl.Series([True]).new_from_index(0, len(physical)).scatter(reading.unread["line"] - 1, False)
    unread = unread.filter(~pl.col("line").is_in(physical.filter(told).unique().implode()))
    understood = reading.lines - unread["line"].n_unique()
    return replace(reading, points=points, notes=notes, settings=stated, unread=unread, understood=understood)


def _rejoined(lines: pl.DataFrame) -> pl.DataFrame:
    """Repeats a label at the start of a line when Rich broke the line of a bar between it and its number."""
    bars = lines["text"].str.contains("━", literal=True)
    if not bars.any():
        return lines
    label = pl.when(bars).then(pl.col("text").str.extract(r"([A-Za-z_][\w/.@-]*:)\s*$")).shift()
    broken = label.is_not_null() & pl.col("text").str.contains(r"^\s+[-+]?(?:[0-9.]+|nan|inf)(?:\s|$|e)")
    return lines.with_columns(text=pl.when(broken).then(label + pl.col("text")).otherwise("text"))


def _read(text: Text, source: str) -> Reading:
    lines = text.lines
    told = shapes.messages(_rejoined(lines))
    happened, telling = events.find_with_lines(told, source)
    found = measured(told, happened, text, source)
    points, counters = found.points, found.counters
    stated = pl.concat([settings.find(told, points), found.totals]).sort("line")
    if counters.height:
        happened = pl.concat([happened, _openings(told, counters, source)]).sort("line", maintain_order=True)
    notes = events.placed(happened, context.positions(counters, found.headings, happened["line"].unique().sort()))
    carrying = pl.concat(
        [points["line"], telling, stated["line"], counters["line"], found.tabled, _empty(told)]
    ).unique()
    unread = lines.filter(~pl.col("line").is_in(carrying.implode())).select(list(LINES))
    understood = text.count - unread["line"].n_unique()
    return Reading(source, NAME, points, notes, stated, understood, unread, text.count)


@dataclass(frozen=True)
class Measured:
    """The measurements of a text (a frame of POINTS), and what says where they stand.

    Attributes:
        counters, headings: See ``context.positions``.
        totals: What the counters say was planned, as a frame of SETTINGS.
        tabled: Lines of a tracker's summary and of tables.
    """

    points: pl.DataFrame
    counters: pl.DataFrame
    headings: pl.DataFrame
    totals: pl.DataFrame
    tabled: pl.Series


def measured(told: Messages, happened: pl.DataFrame, text: Text, source: str, since: int | None = None) -> Measured:
    """The measurements in some messages of a text.

    Args:
        told: The messages.
        happened: The events found in them; an announcement repeats a measurement.
        text: The whole file, whose last line may be cut.
        source: Its path as it is to be shown.
        since: The line from which a pack has found the file to be a training log, if one has.
    """
    tables = headed.read(told, text, source)
    cells, turned_lines = turned.read(told)
    figures, figure_lines = coco.read(told)
    tried = trials.read(told)
    # A tracker's summary repeats the last values at the end.
    summary = told.having(pl.col("body").str.starts_with("wandb:"), "wandb:")["line"]
    tabled = pl.concat([tables.lines, turned_lines, figure_lines, tried.lines, summary])
    rest = told.without(tabled) if len(tabled) else told
    cut = None if text.finished or text.lines.is_empty() else int(text.lines["line"][-1])
    found = _without_cut_number(shapes.numbers(rest, cut), text)
    counters = context.counted(_counters(found))
    headings = _headings(rest, counters)
    accepted = pl.concat([_accepted(found, counters, happened, since), cells, figures], how="diagonal").sort("line")
    points = _without_old_states(_points(accepted, counters, headings, told, source), counters)
    tabular = _under_headings(tables.points, counters, headings)
    points = pl.concat([points, tabular, tried.points]).sort("line", maintain_order=True)
    totals = pl.concat([_stated_totals(counters, points), tables.totals, tried.settings])
    return Measured(points, counters, headings, totals, tabled)


def under_headings(points: pl.DataFrame, told: Messages) -> pl.DataFrame:
    """Points of a structure with the place and split told between its rows; see ``_under_headings``."""
    counters = context.counted(_counters(shapes.numbers(told)))
    return _under_headings(points, counters, _headings(told, counters))


def share(lines: pl.DataFrame) -> float:
    """The share of sampled lines that hold a measurement; 0 for text that is no training log."""
    points = read(Text(lines, lines.height), "").points
    return points["line"].n_unique() / max(lines.height, 1)


def _empty(told: Messages) -> pl.Series:
    """Lines known to carry nothing: blank, rules, bars without measurements."""
    nothing = ~pl.col("body").str.contains(r"[A-Za-z0\p{L}]") | pl.col("body").str.contains("0%|", literal=True)
    level = pl.col("body").str.contains(r"^\W*(?:INFO|DEBUG)\W*$")
    return told.having(nothing | level)["line"]


def _without_cut_number(found: Numbers, text: Text) -> Numbers:
    """Drops the last number of an unfinished last line, unless it is as long as its like always are.

    ``Loss: 0.18`` may be what was written of ``Loss: 0.1880``. Where something follows the number it is complete.
    """
    last = found.lines.tail(1)
    if text.finished or last.is_empty() or last["line"][0] != text.lines["line"][-1]:
        return found
    texts = last["texts"][0].to_list()
    if not texts or not text.lines["text"][-1].endswith(texts[-1]):
        return found
    like = found.lines.head(-1).filter(pl.col("shape") == last["shape"][0])["texts"].list.last()
    decimals = like.str.extract(r"\.([0-9]*)$", 1).str.len_bytes().unique().to_list()
    if "." in texts[-1] and decimals == [len(texts[-1].rpartition(".")[2])]:
        return found
    cut = last.with_columns(texts=pl.Series([[*texts[:-1], None]], dtype=pl.List(pl.String)))
    return Numbers(pl.concat([found.lines.head(-1), cut]), found.fields)


def _counters(found: Numbers) -> pl.DataFrame:
    """One row a counting line; see ``context.counted``."""
    counting = found.counters(context.COUNTERS)
    if counting.is_empty():
        return _NO_COUNTERS
    kinds = {kind: pl.col("value").filter(pl.col("kind") == kind).first() for kind in context.COUNTERS}
    rows = counting.group_by("line", maintain_order=True).agg(pl.col("shape").first(), **kinds)
    rows = rows.filter(pl.any_horizontal(pl.col(list(context.COUNTERS)).is_not_null()))
    said = found.fields.group_by("shape").agg(
        pl.col("split").filter(pl.col("kind").is_in(["epoch", "step", "batch"])).first(),
        pl.col("governs").any(),
        measures=(pl.col("kind") == "value").any(),
    )
    return rows.join(said, on="shape", how="left", maintain_order="left").drop("shape")


_NO_COUNTERS = pl.DataFrame(
    schema={
        "line": pl.UInt32(),
        **dict.fromkeys(context.COUNTERS, pl.Float64()),
        "split": pl.String(),
        "governs": pl.Boolean(),
        "measures": pl.Boolean(),
    }
)


def _stated_totals(counters: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """What the totals of counters say (``Epoch 1/15``), in a training log or what looks like the start of one."""
    if points.is_empty() and counters["epochs"].null_count() == counters.height:
        return pl.DataFrame(schema=SETTINGS)
    return context.stated_totals(counters).select(list(SETTINGS)).cast(SETTINGS)


def _accepted(found: Numbers, counters: pl.DataFrame, happened: pl.DataFrame, since: int | None) -> pl.DataFrame:
    """The numbers that are measurements: ``line``, ``label``, ``split``, ``value``."""
    fields = found.fields.filter(pl.col("kind") == "value")
    values = found.values(fields)
    announced = _announced(found, happened)
    if values["value"].has_nulls() or len(announced):
        values = values.filter(pl.col("value").is_not_null() & ~pl.col("line").is_in(announced.implode()))
    values = values if since is None else values.filter(pl.col("line") >= since)
    starts = [*counters.filter("governs")["line"].head(1), *([] if since is None else [since])]
    kept = judge.measurements(fields, values, min(starts, default=None), trains=since is not None)
    return values.join(
        kept.select("shape", "slot", "label", "split"), on=["shape", "slot"], how="inner", maintain_order="left"
    )


def _announced(found: Numbers, happened: pl.DataFrame) -> pl.Series:
    """Lines that repeat a value in an announcement (``New best! AUC: 0.58 at epoch 3``), headed by no counter."""
    lines = happened.filter(pl.col("kind").is_in(_ANNOUNCEMENTS))["line"]
    if lines.is_empty():
        return lines
    heads: dict[int, tuple[int, str]] = {}
    for shape, slot, kind in found.fields.select("shape", "slot", "kind").iter_rows():
        heads[shape] = min(heads.get(shape, (slot, kind)), (slot, kind))
    counted = pl.Series([shape for shape, (_, kind) in heads.items() if kind != "value"], dtype=pl.UInt32)
    rows = found.lines.filter(pl.col("line").is_in(lines.implode()) & ~pl.col("shape").is_in(counted.implode()))
    return rows["line"]


def _openings(told: Messages, counters: pl.DataFrame, source: str) -> pl.DataFrame:
    """Headings that open an epoch, as events: the only sign of an epoch that ended before its first measurement."""
    opening = pl.col("governs") & ~pl.col("measures") & pl.col("epoch").is_not_null() & pl.col("batch").is_null()
    opened = counters.filter(opening & (pl.col("epoch") != pl.col("epoch").shift()).fill_null(True))
    return events.said(told.lines.join(opened.select("line"), on="line", how="semi"), "epoch", source)


def _headings(told: Messages, counters: pl.DataFrame) -> pl.DataFrame:
    """Lines that open a split (``line`` and ``split``): headings, and counters that name one (``Test: [10/391]``)."""
    lines = told.having((pl.col("body").str.len_bytes() < 80) & pl.col("body").str.contains(_HEADING), *_OF_HEADINGS)
    opened = [(line, header_split(body)) for line, body in zip(lines["line"], lines["body"], strict=True)]
    found = pl.DataFrame(opened, schema={"line": pl.UInt32(), "split": pl.String()}, orient="row")
    headings = pl.concat([found, counters.select("line", "split")])
    if headings["split"].null_count() == headings.height:
        return headings.clear()
    return headings.drop_nulls().unique("line").sort("line")


def _points(
    accepted: pl.DataFrame, counters: pl.DataFrame, headings: pl.DataFrame, told: Messages, source: str
) -> pl.DataFrame:
    """Measurements with their place and time, in file order."""
    if accepted.is_empty():
        return pl.DataFrame(schema=POINTS)
    lines = accepted["line"].unique().sort()
    stamps = told.lines["stamp"].gather(np.searchsorted(told.lines["line"].to_numpy(), lines.to_numpy()))
    placed = context.positions(counters, headings, lines).with_columns(time=clock.times(stamps, source))
    rows = accepted.join(placed, on="line", how="left", suffix="_placed", maintain_order="left")
    beside = records.splits_beside(accepted["label"].unique().to_list())
    known = pl.col("label").replace_strict(beside, default=None, return_dtype=pl.String)
    return rows.with_columns(split=pl.coalesce(known, _own_split(accepted["label"]))).select(list(POINTS)).cast(POINTS)


def _without_old_states(points: pl.DataFrame, counters: pl.DataFrame) -> pl.DataFrame:
    """Without what the bar of an epoch shows again: until a value is measured anew, the bar holds the old one.

    Of equal states one after the other the last counts, and of the state an epoch began with, none that is replaced.
    """
    if counters["bar"].null_count() == counters.height:
        return points
    bars = counters.filter(pl.col("governs") & pl.col("epoch").is_not_null() & pl.col("bar").is_not_null())["line"]
    if bars.is_empty():
        return points
    drawn, value = pl.col("line").is_in(bars.implode()), pl.col("value")
    shown = points.filter(drawn).with_columns(turn=(pl.col("epoch").diff() != 0).fill_null(True).cum_sum())
    shown = shown.filter((value != value.shift(-1).over("turn", "label")).fill_null(True))
    begins = (pl.col("turn") != pl.col("turn").shift().over("label")).fill_null(False)
    old = begins & (value == value.shift().over("label")) & (pl.len().over("turn", "label") > 1)
    kept = shown.filter(~old.fill_null(False)).drop("turn")
    return pl.concat([points.filter(~drawn), kept]).sort("line", maintain_order=True)


def _under_headings(points: pl.DataFrame, counters: pl.DataFrame, headings: pl.DataFrame) -> pl.DataFrame:
    """Points of tables with the place and the split that the lines above them tell, where they tell none themselves."""
    if points.is_empty():
        return points
    placed = context.positions(counters, headings, points["line"].unique().sort())
    rows = points.join(placed, on="line", how="left", suffix="_placed", maintain_order="left")
    own = (rows[name].cast(pl.Float64).to_numpy() for name in ("epoch", "step"))
    ended = context.outrun(headings, rows["line"].to_numpy(), *own)
    rows = rows.with_columns(split_placed=pl.when(~pl.Series(ended)).then("split_placed"))
    told = pl.col("step").is_not_null() | pl.col("epoch").is_not_null()
    place = [pl.when(told).then(name).otherwise(f"{name}_placed").alias(name) for name in ("step", "epoch")]
    return rows.with_columns(*place, split=_own_split(points["label"])).select(list(POINTS)).cast(POINTS)


def _own_split(labels: pl.Series) -> pl.Expr:
    """The split a line or the heading above gives; null for labels that name one, which no heading overrules."""
    telling = [label for label in labels.unique() if names.parse(label).split]
    given = pl.coalesce("split", "split_placed")
    return pl.when(~pl.col("label").is_in(telling) | (pl.col("split") == WHOLE_RUN)).then(given)
