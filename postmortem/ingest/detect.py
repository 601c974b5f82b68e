"""Chooses the reader of a file: the one that makes most of a sample of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from postmortem import names
from postmortem.errors import Problem
from postmortem.ingest.lines import Text, clip, sample
from postmortem.ingest.packs import column_reader, regex_reader
from postmortem.ingest.packs.pack import ColumnPack, FormatPack, Pack, with_metrics
from postmortem.ingest.reading import LINES, NOTES, POINTS, Reading
from postmortem.ingest.structured import box_reader, json_reader, table_reader
from postmortem.ingest.text import events, keyvalue, settings, shapes
from postmortem.ingest.text.gaps import MARK
from postmortem.ingest.text.slots import Field
from postmortem.ingest.text.template import SLOT, understand
from postmortem.ingest.text.unfinished import without_cut
from postmortem.ingest.text.wrapped import unwrapped

CERTAIN = 0.5
"""Share of the sample from which a structured reader is taken at its word."""

ENOUGH = 0.9
"""A pack is preferred when it reads at least this part of the lines the generic text reader does."""

_SOME = 8  # lines of a pack that are looked at closely
_EVALUATIONS = ("val", "test")


@dataclass(frozen=True)
class Reader:
    """One way to read a file.

    Attributes:
        name: For ``formats explain`` and ``Source.format``.
        share: From a LINES sample, how much of it the reader makes something of: 0 to 1.
        read: From the whole text and its shown name; None when it turns out not to be the reader's.
        of_text: It takes lines one by one, so any part of a file can be scored.
    """

    name: str
    share: Callable[[pl.DataFrame], float]
    read: Callable[[Text, str], Reading | None]
    of_text: bool = False


def choose(lines: pl.DataFrame, packs: Iterable[Pack] = ()) -> Iterator[Reader]:
    """The readers worth trying on a file, best first; the generic text reader is always the last.

    First come the packs that are the user's own, then readers of files that are one structure, then text. A reader is
    only scored when none before it was taken.

    Args:
        lines: Frame of LINES.
        packs: Format packs to try.
    """
    probe = sample(lines)
    packs = list(packs)
    own = [reader_of(pack) for pack in packs if pack.own]
    yield from (reader for reader in own if reader.share(probe) >= CERTAIN)
    yield from (reader for reader in _structured(packs) if reader.share(probe) >= CERTAIN)
    scored = [(pack.share(probe), pack) for pack in with_metrics(packs, probe)]
    score, best = max(scored, key=lambda item: item[0], default=(0.0, None))
    enough = best is not None and (score >= ENOUGH * _most(probe) or score >= ENOUGH * _GENERIC.share(probe))
    if best is not None and enough and not _drops_evaluations(best, probe):
        yield reader_of(best)
    yield _GENERIC


def _drops_evaluations(pack: FormatPack, lines: pl.DataFrame) -> bool:
    """Whether a pack takes lines that tell of an evaluation and reads none in them: it describes other lines."""
    taken = lines.filter(pl.col("text").str.contains(pack.metric_pattern)).head(_SOME)
    texts = taken["text"].str.replace_all(SLOT, "${1}" + MARK)
    telling = taken["line"].filter([any(map(_evaluates, understand(text).fields)) for text in texts])
    if telling.is_empty():
        return False
    points = regex_reader.read(taken, pack, "").points
    read = {
        line for line, *told in points.select("line", "label", "split").iter_rows() if _split(*told) in _EVALUATIONS
    }
    return 2 * len(read & set(telling)) < len(telling)


def _evaluates(item: Field) -> bool:
    role = names.role(names.parse(item.label).metric)
    return item.kind == "value" and role in ("loss", "score") and _split(item.label, item.split) in _EVALUATIONS


def _split(label: str, split: str | None) -> str | None:
    return split or names.parse(label).split


def _most(lines: pl.DataFrame) -> float:
    """The largest share that the generic reader can reach, found without it: of the lines that hold a number."""
    return float(lines["text"].str.contains("[0-9]|(?i:nan|inf)").sum()) / max(lines.height, 1)


def read(text: Text, source: str, packs: Iterable[Pack] = ()) -> Reading:
    """Reads a text with the first reader that finds something in it."""
    problems: list[Problem] = list(text.problems)
    text = unwrapped(text)
    for reader in choose(text.lines, packs):
        try:
            reading = reader.read(text, source)
        except Exception as error:  # a reader that fails on one file must not lose the others
            problems.append(Problem(f"the {reader.name} reader failed: {error!s:.200}", source))
            continue
        reading = None if reading is None else without_cut(reading, text)
        decided = reader.name == keyvalue.NAME or (reading is not None and bool(reading.problems))
        if reading is not None and (reading.points.height or reading.settings.height or decided):
            return replace(reading, problems=(*reading.problems, *problems))
    return Reading(source, keyvalue.NAME, lines=text.count, problems=tuple(problems))


def readers(packs: Iterable[Pack] = ()) -> list[Reader]:
    """Every reader there is, in the order in which they are asked."""
    packs = list(packs)
    return [*_structured(packs), *(reader_of(pack) for pack in packs if isinstance(pack, FormatPack)), _GENERIC]


_GENERIC = Reader(keyvalue.NAME, keyvalue.share, keyvalue.read, of_text=True)


def _structured(packs: Iterable[Pack]) -> list[Reader]:
    """Readers of files that are one structure, those that know the names first."""
    return [
        *(reader_of(pack) for pack in packs if isinstance(pack, ColumnPack)),
        Reader("json", json_reader.share, partial(_read_structured, json_reader.read)),
        Reader("table", table_reader.share, partial(_read_structured, table_reader.read)),
        Reader("box", box_reader.share, partial(_read_structured, box_reader.read)),
    ]


def reader_of(pack: Pack) -> Reader:
    """The reader a pack describes."""
    if isinstance(pack, FormatPack):
        return Reader(pack.id, pack.share, partial(_read_with_pack, pack), of_text=True)
    read = partial(_read_structured, lambda lines, source: column_reader.read(lines, pack, source))
    return Reader(pack.id, lambda lines: column_reader.share(lines, pack), read)


def _read_structured(read: Callable[[pl.DataFrame, str], Reading | None], text: Text, source: str) -> Reading | None:
    """A structured reading, completed by what is said between the records: a traceback ends many a file of them."""
    reading = read(text.lines, source)
    if reading is None or reading.unread.is_empty():
        return reading
    lines, problems = clip(reading.unread, source)
    rest = shapes.messages(lines)
    reading = replace(reading, points=keyvalue.under_headings(reading.points, rest))
    return _completed(reading, rest, events.find_with_lines(rest, source), text, (*reading.problems, *problems))


def _read_with_pack(pack: FormatPack, text: Text, source: str) -> Reading:
    """A pack's reading, completed by what the generic reader makes of the lines it left."""
    lines, problems = clip(text.lines, source)
    reading = regex_reader.read(lines, pack, source)
    if reading.unread.is_empty():
        return replace(reading, lines=text.count, understood=text.count, problems=problems)
    rest = shapes.messages(lines).only(reading.unread)
    told = events.find_with_lines(rest, source)
    found = keyvalue.measured(rest, told[0], text, source, _first_line(reading))
    if found.points.height:
        reading = _with_more(reading, found)
    return _completed(reading, rest, told, text, problems)


def _first_line(reading: Reading) -> int | None:
    return int(reading.points["line"][0]) if reading.points.height else None


def _with_more(reading: Reading, found: keyvalue.Measured) -> Reading:
    """A pack's reading with measurements of lines it does not know; without a place of their own they take the last."""
    places = reading.points.select("line", "step", "epoch").unique("line", keep="last").sort("line")
    more = found.points.join_asof(places, on="line", strategy="backward")
    alone = pl.col("step").is_null() & pl.col("epoch").is_null()
    own = [pl.when(alone).then(f"{name}_right").otherwise(name).alias(name) for name in ("step", "epoch")]
    more = more.with_columns(own).select(list(POINTS))
    carrying = pl.concat([more["line"], found.counters["line"], found.tabled]).unique()
    return replace(
        reading,
        points=pl.concat([reading.points, more]).sort("line", maintain_order=True),
        settings=pl.concat([reading.settings, found.totals]),
        unread=reading.unread.filter(~pl.col("line").is_in(carrying.implode())),
    )


def _completed(
    reading: Reading,
    rest: shapes.Messages,
    told: tuple[pl.DataFrame, pl.Series],
    text: Text,
    problems: tuple[Problem, ...],
) -> Reading:
    """A reading with the events and settings found in the lines it left."""
    happened, telling = told
    places = reading.points.select("line", "epoch", "step").sort("line")
    notes = happened.join_asof(places, on="line", strategy="backward").select(list(NOTES)).cast(NOTES)
    stated = settings.find(rest, reading.points)
    carrying = pl.concat([telling, stated["line"]]).unique()
    unread = reading.unread.filter(~pl.col("line").is_in(carrying.implode())).select(list(LINES))
    return replace(
        reading,
        notes=pl.concat([reading.notes, notes]).sort("line"),
        unread=unread,
        lines=text.count,
        settings=pl.concat([reading.settings, stated]).sort("line"),
        problems=problems,
        understood=text.count - unread["line"].n_unique(),
    )
