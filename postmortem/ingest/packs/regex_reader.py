"""Reads text with a format pack: every pattern over all lines that no pattern before it took, in bulk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from postmortem import names
from postmortem.ingest.packs.pack import NOTHING, POSITIONS, FormatPack, Line
from postmortem.ingest.packs.regex import captures as captures_of
from postmortem.ingest.reading import LINES, NOTES, POINTS, SETTINGS, Reading
from postmortem.ingest.structured import axes
from postmortem.ingest.text import clock

_PROBE = 200  # lines from which the form of a timestamp is learnt
_META = set("\\.+*?()|[]{}^$")


def read(lines: pl.DataFrame, pack: FormatPack, source: str) -> Reading:
    """Reads the lines a pack knows; the others are left in ``unread`` for the generic readers.

    Args:
        lines: A LINES frame of the whole file.
        pack: The format.
        source: The file's path as it is to be shown.
    """
    lines = lines.with_row_index("row")
    hits, rest = _sorted_out(lines, pack)
    places = _places(lines, hits, pack, source)
    metrics = [_metrics(hit, line) for hit, line in zip(hits["lines"], pack.lines, strict=True)]
    unread = rest.filter(pl.col("text").str.strip_chars() != "").select(list(LINES))
    return Reading(
        source=source,
        format=pack.id,
        points=_points(metrics, places),
        notes=_notes(hits["events"], pack, places),
        settings=_settings(hits["config"], pack),
        lines=int(lines["line"][-1]) if lines.height else 0,
        understood=lines["line"].n_unique() - unread["line"].n_unique(),
        unread=unread,
    )


def gives(pack: FormatPack, samples: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
    """What the lines of each sample give, in the words of a pack's samples; no sample knows of another."""
    texts = [(at, text) for at, sample in enumerate(samples) for text in sample]
    lines = pl.DataFrame(texts, schema={"part": pl.UInt32, "text": pl.String}, orient="row")
    lines = lines.with_row_index("line", offset=1).with_row_index("row")
    hits, _ = _sorted_out(lines, pack)
    places = _places(lines, hits, pack, "")
    points = _points([_metrics(hit, line) for hit, line in zip(hits["lines"], pack.lines, strict=True)], places)
    notes, settings = _notes(hits["events"], pack, places), _settings(hits["config"], pack)
    return [
        _told(part["line"], part, points, notes, settings)
        for part in places.join(lines.select("row", "part"), on="row").partition_by("part", maintain_order=True)
    ]


def _told(rows: pl.Series, part: pl.DataFrame, *frames: pl.DataFrame) -> dict[str, Any]:
    points, notes, settings = (frame.filter(pl.col("line").is_in(rows.implode())) for frame in frames)
    last = part.tail(1).to_dicts()[0]
    split = points["split"][-1] if points.height else last["context"]
    found = {
        "step": last["step"],
        "epoch": last["epoch"],
        "split": split or None,
        "event": notes["kind"][-1] if notes.height else None,
        "settings": dict(settings.select("key", "value").iter_rows()) or None,
    }
    values = dict(points.select("label", "value").iter_rows())
    return {**{name: value for name, value in found.items() if value is not None}, **values}


Hits = dict[str, list[pl.DataFrame]]  # for each part of the pack, a frame an entry: row, line, text, and "=capture"


def _sorted_out(lines: pl.DataFrame, pack: FormatPack) -> tuple[Hits, pl.DataFrame]:
    """The lines each pattern takes, first come first served, and the lines that none takes."""
    hits: Hits = {"lines": [], "context": [], "events": [], "config": [], "ignore": []}
    rest = lines
    for part, at, regex in pack.patterns():
        # What states a setting or tells of an event may say where the lines after it stand as well.
        again = {"config": [lines], "events": [rest, *hits["context"]]}.get(part, [])
        taken, left = _take(pl.concat(one.select(lines.columns) for one in again).sort("row") if again else rest, regex)
        hits[part].append(_with_positions(taken, pack.lines[at]) if part == "lines" else taken)
        rest = rest.join(taken, on="row", how="anti", maintain_order="left") if again else left
    return hits, rest


def _take(rest: pl.DataFrame, regex: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines a pattern hits, with a column a capture, and the lines it leaves."""
    prefix = literal_prefix(regex)
    if prefix:
        # Cheap, and it spares the pattern most lines.
        maybe = rest["text"].str.starts_with(prefix)
        likely = rest.filter(maybe)
        hit = maybe.scatter(maybe.arg_true(), likely["text"].str.contains(regex))
    else:
        hit = rest["text"].str.contains(regex)
    hits = rest.filter(hit)
    return hits.hstack(_caught(hits["text"], regex)), rest.filter(~hit)


def _caught(texts: pl.Series, regex: str) -> pl.DataFrame:
    """What each capture of a pattern takes of the texts it hits, in a column ``=capture``."""
    groups = list(captures_of(regex))
    caught = texts.str.extract_groups(regex).struct if groups else None
    return pl.DataFrame([] if caught is None else [caught.field(name).alias(f"={name}") for name in groups])


def _with_positions(taken: pl.DataFrame, line: Line) -> pl.DataFrame:
    """The captures under the names of the positions that labels make of them."""
    return taken.rename({f"={capture}": f"={position}" for capture, position in line.positions.items()})


def literal_prefix(regex: str) -> str:
    """The text every match begins with, "" when there is none: a cheap filter before the pattern itself."""
    if not regex.startswith("^") or "|" in re.sub(r"\([^()]*\)|\[[^\]]*\]|\\.", "", regex):
        return ""
    prefix = ""
    tokens = re.findall(r"\\.|.", regex[1:], re.S)
    for token, after in zip(tokens, [*tokens[1:], ""], strict=True):
        escaped = token[0] == "\\" and not token[1:].isalnum()
        if (token in _META or (len(token) == 2 and not escaped)) or after in ("?", "*", "{"):
            break
        prefix += token[-1]
    return prefix


def _places(lines: pl.DataFrame, hits: Hits, pack: FormatPack, source: str) -> pl.DataFrame:
    """Where each line stands: what it says itself, else what was said last before it. One row a line."""
    said = [_position(hit, line.split, False) for hit, line in zip(hits["lines"], pack.lines, strict=True)]
    said += [_position(hit, each.split, True) for hit, each in zip(hits["context"], pack.context, strict=True)]
    within = (pl.col("epoch").forward_fill() - pack.epochs_from) * pl.col("batches") + pl.col("batch")
    rows = lines.drop("text").join(pl.concat(said), on="row", how="left", maintain_order="left")
    rows = rows.with_columns(step=pl.coalesce("step", within.cast(pl.Int64, strict=False)))
    carried = pl.col("step", "epoch", "context").forward_fill()
    stamped = clock.stamp(lines.select("line", "text"), lines.select("line", "text").head(_PROBE))
    return rows.with_columns(
        carried.over("part") if "part" in rows.columns else carried, time=clock.times(stamped["stamp"], source)
    ).drop("part", "batch", "batches", strict=False)


def _position(hit: pl.DataFrame, fixed: str | None, governs: bool) -> pl.DataFrame:
    """Step, epoch and split that lines state; ``context`` is the split that governs the lines after them."""
    split = _split(hit, fixed)
    return pl.DataFrame(
        {
            "row": hit["row"],
            "step": _numbers(hit, "step").cast(pl.Int64, strict=False),
            "epoch": _numbers(hit, "epoch"),
            "batch": _numbers(hit, "batch"),
            "batches": _numbers(hit, "batches"),
            "own": split,
            "context": split if governs else split.clear(hit.height),
        }
    )


def _numbers(hit: pl.DataFrame, capture: str) -> pl.Series:
    if f"={capture}" not in hit.columns:
        return pl.Series([None] * hit.height, dtype=pl.Float64)
    return _value(hit[f"={capture}"])


def _value(texts: pl.Series) -> pl.Series:
    """Numbers, also with thousands separators."""
    grouped = texts.str.contains(r"^[-+]?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?$")
    return axes.number(texts.zip_with(~grouped.fill_null(False), texts.str.replace_all(",", "", literal=True)))


def _split(hit: pl.DataFrame, fixed: str | None) -> pl.Series:
    """The split of each line: the pattern's own, or what the capture ``split`` names."""
    if fixed is not None or "=split" not in hit.columns:
        return pl.Series([fixed] * hit.height, dtype=pl.String)
    words = hit["=split"].drop_nulls().unique().to_list()
    known = {word: names.split_word(word) or word.lower() for word in words}
    return hit["=split"].replace_strict(known, default=None, return_dtype=pl.String)


def _metrics(hit: pl.DataFrame, line: Line) -> pl.DataFrame:
    """Row, order within the line, label, value of every metric of one pattern's lines."""
    labels = {name: line.labels.get(name, name) for name in captures_of(line.regex)}
    frames = [
        hit.select(
            "row",
            order=pl.lit(at),
            label=pl.lit(label),
            value=_value(hit[f"={name}"]) * line.scale.get(name, 1.0),
            fixed=pl.lit(line.splits.get(name), pl.String),
        )
        for at, (name, label) in enumerate(labels.items())
        if label not in (*POSITIONS, "rest", NOTHING)
    ]
    if line.pairs is not None:
        frames.append(_pairs(hit, line))
    return pl.concat([_NO_METRICS, *(frame.cast(_NO_METRICS.schema) for frame in frames)])


_NO_METRICS = pl.DataFrame(
    schema={"row": pl.UInt32, "order": pl.Int32, "label": pl.String, "value": pl.Float64, "fixed": pl.String}
)
_LAST = 1000  # the place of pairs in a line: behind its captures


def _pairs(hit: pl.DataFrame, line: Line) -> pl.DataFrame:
    pattern = line.pairs or ""
    found = hit.select("row", pair=pl.col("=rest").str.extract_all(pattern)).explode("pair").drop_nulls()
    # "[valid] loss=0.5, acc=0.8": a split holds until the next one.
    split = _split(_caught(found["pair"], pattern), None)
    parts = found["pair"].str.extract_groups(pattern).struct
    labels = parts.field("key").str.strip_chars()
    factors = labels.replace_strict(line.scale, default=1.0, return_dtype=pl.Float64)
    labels = labels.replace(line.labels) if line.labels else labels
    values = _value(parts.field("value")) * factors
    named = found.with_columns(split.alias("fixed"), order=pl.lit(_LAST), label=labels, value=values)
    return named.select("row", "order", "label", "value", pl.col("fixed").forward_fill().over("row"))


def _points(metrics: Sequence[pl.DataFrame], places: pl.DataFrame) -> pl.DataFrame:
    found = pl.concat(metrics).filter(pl.col("value").is_not_null()).sort("row", "order", maintain_order=True)
    placed = found.join(places, on="row", how="left", maintain_order="left")
    # A governing split of "" has ended: then the label decides.
    governed = pl.when(pl.col("context") != "").then("context")
    return placed.select(
        pl.coalesce("fixed", "own", governed).alias("split") if name == "split" else pl.col(name).cast(dtype)
        for name, dtype in POINTS.items()
    )


def _notes(hits: Sequence[pl.DataFrame], pack: FormatPack, places: pl.DataFrame) -> pl.DataFrame:
    told = [
        hit.select("row", kind=pl.lit(event.kind), text=pl.col("=text" if "=text" in hit.columns else "text"))
        for hit, event in zip(hits, pack.events, strict=True)
    ]
    empty = pl.DataFrame(schema={"row": pl.UInt32, "kind": pl.String, "text": pl.String})
    found = pl.concat([empty, *told]).sort("row").join(places, on="row", how="left", maintain_order="left")
    return found.select(pl.col(name).cast(dtype) for name, dtype in NOTES.items())


def _settings(hits: Sequence[pl.DataFrame], pack: FormatPack) -> pl.DataFrame:
    stated = [
        hit.select("line", key=pl.lit(setting.key) if setting.key else pl.col("=key"), value=pl.col("=value"))
        for hit, setting in zip(hits, pack.config, strict=True)
    ]
    return pl.concat([pl.DataFrame(schema=SETTINGS), *stated]).sort("line")
