"""How a file would be read, and why: what every reader makes of it, the choice, and what it leaves unread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from postmortem.ingest import detect
from postmortem.ingest.lines import read_lines, sample
from postmortem.ingest.packs.pack import ColumnPack, Pack, with_metrics
from postmortem.ingest.reading import Reading
from postmortem.ingest.stores import claiming, tfevents
from postmortem.ingest.text import keyvalue, settings

_WINDOW = 400  # lines of each part of the file that is scored
_HEAD = 64  # bytes that tell an event file


@dataclass(frozen=True)
class Score:
    """What one reader makes of a file: shares of its lines, 0 to 1.

    Attributes:
        whole: Of the sample that decides.
        parts: Of the head, the middle and the tail; empty for readers that judge a file from its beginning.
    """

    name: str
    whole: float
    parts: tuple[float, ...] = ()


@dataclass(frozen=True)
class Explanation:
    """How a file is read.

    Attributes:
        scores: Of the readers that make something of it, in the order in which they are asked.
        silent: Packs that find no metric in it.
        reading: What the chosen reader read.
        why: Why it was chosen, in a sentence.
    """

    scores: tuple[Score, ...]
    silent: int
    reading: Reading
    why: str


def explain(path: Path, packs: Iterable[Pack] = ()) -> Explanation:
    """Reads a file as an analysis would, and tells how the reader was chosen."""
    recorded = _recorded(path)
    if recorded is not None:
        return recorded
    text = read_lines(path)
    packs = list(packs)
    reading = detect.read(text, str(path), packs)
    probe = sample(text.lines)
    known = {pack.id for pack in with_metrics(packs, probe)} | {p.id for p in packs if isinstance(p, ColumnPack)}
    unknown = {pack.id for pack in packs} - known
    scores = [_score(each, text.lines, probe) for each in detect.readers(packs) if each.name not in unknown]
    told = tuple(score for score in scores if score.whole > 0)
    return Explanation(told, len(packs) - len({score.name for score in told} & known), reading, _why(reading, told))


def _recorded(path: Path) -> Explanation | None:
    """How a file is read that no text reader is asked about: by what its bytes or its name say it is."""
    store = claiming(path)
    if store is not None:
        readings = [reading for run in store.read(path, str(path)) for reading in run.readings]
        what = (store.__doc__ or "").partition(":")[0]
        return Explanation((), 0, _joined(readings, path), f"it is a store of a tracker ({what})")
    if path.suffix in (".yaml", ".yml"):
        return Explanation((), 0, settings.read_config(path, str(path)), "YAML is read as configuration")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if tfevents.claims(path, head):
        return Explanation(
            (), 0, tfevents.read(path, str(path)), "its records are framed as TensorBoard's event files are"
        )
    return None


def _joined(readings: Sequence[Reading], path: Path) -> Reading:
    """What several readings of one store said, as one."""
    if not readings:
        return Reading(str(path), "store")
    frames = {name: pl.concat(getattr(each, name) for each in readings) for name in ("points", "notes", "settings")}
    counts = {name: sum(getattr(each, name) for each in readings) for name in ("lines", "understood")}
    problems = tuple(problem for each in readings for problem in each.problems)
    return Reading(str(path), readings[0].format, **frames, **counts, problems=problems)


def _score(reader: detect.Reader, lines: pl.DataFrame, probe: pl.DataFrame) -> Score:
    if not reader.of_text or lines.is_empty():
        return Score(reader.name, reader.share(probe) if lines.height else 0.0)
    size = min(_WINDOW, max(lines.height // 3, 1))
    starts = (0, (lines.height - size) // 2, lines.height - size)
    return Score(reader.name, reader.share(probe), tuple(reader.share(lines.slice(at, size)) for at in starts))


def _why(reading: Reading, scores: tuple[Score, ...]) -> str:
    """The rule of ``detect.choose`` that led to a reading."""
    of = {score.name: score for score in scores}
    generic = of.get(keyvalue.NAME, Score(keyvalue.NAME, 0.0)).whole
    packs = [score for score in scores if score.parts and score.name != keyvalue.NAME]
    best = max(packs, key=lambda score: score.whole, default=None)
    if reading.lines == 0:
        return "there is no text in it"
    if reading.format == keyvalue.NAME:
        return _why_generic(best, generic)
    if best is not None and best.name == reading.format:
        return (
            f"the format {best.name} knows {best.whole:.0%} of the lines where it is at its best, which is at least "
            f"{detect.ENOUGH:.0%} of what the generic text reader makes of the sample ({generic:.0%})"
        )
    return "the file is one structure, and a reader of such files is taken at its word"


def _why_generic(best: Score | None, generic: float) -> str:
    if not generic:
        return "no reader finds a measurement in a sample of it"
    if best is None:
        return "no format knows its lines, so the generic text reader takes what stands beside a name as its value"
    return (
        f"the best format, {best.name}, knows {best.whole:.0%} of the lines where it is at its best, less than "
        f"{detect.ENOUGH:.0%} of what the generic text reader makes of the sample ({generic:.0%})"
    )
