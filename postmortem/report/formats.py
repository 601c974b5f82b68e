"""What is shown of formats: the list, how a file is read and why, and what a pack on trial reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import polars as pl
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from postmortem import names
from postmortem.errors import Problem
from postmortem.ingest.drafts.draft import unnamed
from postmortem.ingest.drafts.explain import Explanation, Score
from postmortem.ingest.drafts.trial import Trial
from postmortem.ingest.packs.pack import FormatPack, Pack
from postmortem.ingest.reading import Reading
from postmortem.report.numbers import number, plural, printed, share
from postmortem.report.page import columns, prose, to_text
from postmortem.report.text import clean, clean_block
from postmortem.report.unread import commonest_lines

_BAR = "█"
_BAR_WIDTH = 20
_SHAPES, _SERIES, _READINGS, _EACH, _ROWS = 8, 12, 8, 2, 12
_INDENT = (0, 0, 1, 2)
_SHAPE_WIDTH = 60


def formats_list(packs: Sequence[Pack], width: int, color: bool) -> str:
    """All format packs, one line each, with where the format comes from."""
    rows = [(Text(pack.id, style="bold"), _text(pack.title), _dim(pack.home or "")) for pack in packs]
    return to_text([columns(rows)], width, color)


# --- how a file is read -------------------------------------------------------------------------------------


def explanation(found: Explanation, width: int, color: bool) -> str:
    """What each reader makes of a file, which one is used and why, what it reads and what nobody does."""
    return to_text(_explained(found), width, color)


def already_read(found: Explanation) -> str:
    """A line that says that a log needs no format of its own, or ""."""
    reading = found.reading
    if reading.points.is_empty():
        return ""
    part = share(reading.understood, reading.lines)
    return f"  note: without it {part} of the lines are read as {reading.format}; see `postmortem formats explain`\n"


def _explained(found: Explanation) -> Iterator[RenderableType]:
    reading = found.reading
    yield Text.assemble((clean(reading.source), "blue"), f": {plural(reading.lines, 'line')}")
    if found.scores:
        yield _head("who could read it, and how much of it")
        yield Padding(columns(_scores(found)), (0, 0, 0, 2))
    if found.silent or found.scores:
        which = "other" if found.scores else "known"
        yield Padding(_dim(f"no {which} format finds a metric in it"), (0, 0, 0, 2))
    yield Text()
    chosen = Text.assemble("read as ", (clean(reading.format), "bold"), f": {clean(found.why)}")
    read = reading.points.height or reading.settings.height
    yield prose(chosen if read else Text(f"not read: {clean(found.why)}"))
    yield Text()
    yield from _what_is_read(reading)
    yield from _left(reading, "nobody reads")
    yield from _problems(found.reading.problems)
    yield prose(Text.assemble(("next  ", "dim"), _after_explaining(found)))


def _scores(found: Explanation) -> Iterator[Sequence[Text]]:
    yield tuple(_dim(title) for title in ("", "head", "middle", "tail", "sample", ""))
    for score in sorted(found.scores, key=lambda score: -score.whole):
        used = score.name == found.reading.format or found.reading.format.startswith(f"{score.name}-")
        parts = [_percent(part) for part in score.parts] or [_dim("–")] * 3
        bar = _BAR * round(_BAR_WIDTH * score.whole)
        yield (_name(score, used), *parts, _percent(score.whole), Text(f"{bar}{'  ← used' if used else ''}"))


def _name(score: Score, used: bool) -> Text:
    return Text(clean(score.name), style="bold" if used else "")


def _percent(part: float) -> Text:
    return Text(f"{100 * part:.0f} %", justify="right")


def _after_explaining(found: Explanation) -> str:
    path = clean(found.reading.source)
    if found.reading.points.is_empty() and found.reading.settings.is_empty():
        return f"`postmortem formats new my-format {path}` drafts a format for it, if it is the log of a training"
    if found.reading.unread.height:
        return f"if a line above holds a measurement, `postmortem formats new my-format {path}` drafts a format"
    return f"`postmortem analyze {path}`"


# --- a pack on trial ----------------------------------------------------------------------------------------


def trial(found: Trial, pack_path: str, width: int, color: bool) -> str:
    """What a pack reads of a log by itself, what it leaves, what it overlooks, and what to do next."""
    return to_text(_tried(found, pack_path), width, color)


def _tried(found: Trial, pack_path: str) -> Iterator[RenderableType]:
    reading = found.reading
    yield Text.assemble((clean(found.pack.id), "bold"), " on ", (clean(reading.source), "blue"), "\n")
    yield from _what_is_read(reading)
    if reading.points.height:
        yield _head("its first readings")
        yield Padding(columns(_first(reading.points)), _INDENT)
    if found.overlooked.height:
        yield _head("numbers it overlooks in lines it takes")
        yield Padding(columns(_overlooked(found.overlooked)), _INDENT)
    yield from _left(reading, "it leaves to the generic readers")
    yield from _problems(found.problems)
    steps = list(_steps(found, pack_path))
    yield prose(Text("\n").join(Text.assemble(("next  ", "dim"), step) for step in steps))


def _first(points: pl.DataFrame) -> Iterator[Sequence[Text]]:
    """The first lines of each kind: of those that give the same labels."""
    yield tuple(_dim(title) for title in ("line", "step", "epoch", "split", "what", "value"))
    kinds = points.group_by("line", maintain_order=True).agg(pl.col("label").str.join("\n"))
    lines = kinds.group_by("label", maintain_order=True).head(_EACH)["line"].head(_READINGS).sort()
    for row in points.filter(pl.col("line").is_in(lines.implode())).head(_ROWS).iter_rows(named=True):
        split, metric = _meaning(row["label"], row["split"])
        place = ("" if row[name] is None else number(row[name]) for name in ("step", "epoch"))
        yield (Text(f"{row['line']}"), *map(Text, place), _text(split), _text(metric), Text(printed(row["value"])))


def _overlooked(found: pl.DataFrame) -> Iterator[Sequence[Text]]:
    for label, lines, line in found.head(_SHAPES).iter_rows():
        yield Text(f"{clean(label, 40)}"), Text(f"in {plural(lines, 'line')}"), _dim(f"the first is line {line}")


def _steps(found: Trial, pack_path: str) -> Iterator[str]:
    """What a person who has never seen a pack should do now."""
    path, where = clean(pack_path), "labels" if isinstance(found.pack, FormatPack) else "columns"
    placeholders = unnamed(found.pack)
    if found.reading.points.is_empty():
        what = (
            "compare each `regex` with the lines above" if where == "labels" else "say under `columns` what is a loss"
        )
        yield f"it reads nothing: {what}, in {path}"
        return
    if placeholders:
        yield f"say in {path}, under `labels`, what {', '.join(placeholders)} is: for example `train loss`"
    unknown = _unknown(found.reading.points["label"].unique(maintain_order=True), placeholders)
    if unknown:
        yield f"if {' or '.join(unknown)} is a loss or a score, say so in {path}, under `{where}`: `train loss`"
    if found.overlooked.height:
        yield "add the numbers it overlooks to the `regex` of their line, each as (?P<name>\\S+)"
    if any("the sample gives" in problem.message for problem in found.problems):
        yield f"if what it reads is right, `postmortem formats try {path} LOG --accept` writes its samples anew"
    if not placeholders and not found.problems:
        yield f"`postmortem analyze {clean(found.reading.source)} --formats {path}`"


def _unknown(labels: Iterable[str], placeholders: Sequence[str]) -> list[str]:
    """The first labels whose names tell nothing, when no label tells of a loss or a score."""
    roles = {label: names.role(names.parse(label).metric) for label in labels}
    if {"loss", "score", "reward"} & set(roles.values()):
        return []
    return [clean(label, 40) for label, role in roles.items() if role == "other" and label not in placeholders][:3]


# --- both ---------------------------------------------------------------------------------------------------


def _what_is_read(reading: Reading) -> Iterator[RenderableType]:
    points = reading.points
    series = _series(points)
    count = f"{plural(points.height, 'value')} of {len(series)} series" if points.height else "no value"
    events = f", {plural(reading.notes.height, 'event')}" if reading.notes.height else ""
    settings = f", {plural(reading.settings.height, 'setting')}" if reading.settings.height else ""
    part = share(reading.understood, reading.lines)
    lines = f"{reading.understood:,} of {plural(reading.lines, 'line')} ({part})"
    yield _head(f"reads {lines}: {count}{events}{settings}")
    if series:
        yield Padding(columns(_series_rows(series)), _INDENT)


def _series(points: pl.DataFrame) -> list[tuple[str, str, pl.DataFrame]]:
    """Split, metric and points of each printed label, in the order in which they come."""
    grouped = points.group_by("label", "split", maintain_order=True)
    return [(*_meaning(str(label), split), part) for (label, split), part in grouped]


def _series_rows(series: Sequence[tuple[str, str, pl.DataFrame]]) -> Iterator[Sequence[Text]]:
    yield tuple(_dim(title) for title in ("split", "metric", "points", "first", "last", "printed as"))
    for split, metric, part in series[:_SERIES]:
        ends = (Text(printed(part["value"][at])) for at in (0, -1))
        yield _text(split), _text(metric), Text(f"{part.height:,}"), *ends, _dim(part["label"][0])
    if len(series) > _SERIES:
        yield (_dim(f"and {len(series) - _SERIES} more"),)


def _meaning(label: str, split: str | None) -> tuple[str, str]:
    """Split (a dash when there is none) and metric, as an analysis names them."""
    name = names.parse(label.removesuffix(" (avg)"))
    return (name.split if split is None else split) or "–", name.metric


def _left(reading: Reading, what: str) -> Iterator[RenderableType]:
    unread = reading.unread
    shapes = commonest_lines(unread, reading.source, _SHAPES)
    if not shapes:
        return
    yield _head(f"{plural(unread['line'].n_unique(), 'line')} {what}; the commonest shapes")
    rows = [
        (
            Text(f"{shape.lines:,} ×", justify="right"),
            Text(clean(shape.shape, _SHAPE_WIDTH)),
            _dim(f"line {shape.line}"),
        )
        for shape in shapes
    ]
    yield Padding(columns(rows), _INDENT)


def _problems(problems: Sequence[Problem]) -> Iterator[RenderableType]:
    if problems:
        yield _head("problems")
        yield Padding(Text("\n".join(clean_block(problem.render()) for problem in problems)), _INDENT)


def _head(text: str) -> Text:
    return Text(text, style="bold")


def _text(text: str) -> Text:
    return Text(clean(text))


def _dim(text: str) -> Text:
    return Text(clean(text), style="dim")
