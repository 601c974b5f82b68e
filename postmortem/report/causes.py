"""Rival causes as a person reads them: the verdict on each, what was seen for and against it and where, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from postmortem.model import Cause, Clue, Evidence, Finding
from postmortem.report.numbers import printed
from postmortem.report.page import labelled, prose
from postmortem.report.text import clean

_VERDICT = {"supported": "bold green", "open": "yellow", "contradicted": "red"}  # in the order they are shown
_PLACES = 4  # places named beside one clue; JSON has them all
_COMMON = 16  # characters of names such as train.log


def causes(group: Sequence[Finding], label_width: int) -> list[RenderableType]:
    """The causes of findings of one rule, supported ones first, with what a verdict is about where they differ."""
    judged: dict[tuple[str, str], tuple[Cause, list[str]]] = {}
    for finding in group:
        for cause in finding.causes:
            judged.setdefault((cause.id, cause.verdict), (cause, []))[1].append(_subject(finding))
    if not judged:
        return []
    ordered = sorted(judged.values(), key=lambda each: list(_VERDICT).index(each[0].verdict))
    parts = [part for cause, about in ordered for part in _cause(cause, about if len(about) < len(group) else [])]
    table = labelled(label_width)
    table.add_row("causes", Group(*parts))
    return [prose(table)]


def _subject(finding: Finding) -> str:
    return ".".join(filter(None, (finding.split, finding.metric)))


def _cause(cause: Cause, about: Sequence[str]) -> Iterator[RenderableType]:
    what = f" for {clean(', '.join(dict.fromkeys(about)))}" if any(about) else ""
    yield Text.assemble((cause.verdict, _VERDICT[cause.verdict]), what, f": {clean(cause.title)}")
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for mark, text in _rows(cause):
        table.add_row(mark, text)
    yield Padding(table, (0, 0, 0, 2))


def _rows(cause: Cause) -> Iterator[tuple[Text, Text]]:
    """A mark and a text for each thing to know of a cause: of a contradicted one, only what contradicts it."""
    for clue in cause.excluded_by:
        yield Text("-", style="red"), _seen(clue)
    for clue in cause.broken if not cause.excluded_by else ():
        yield Text("-", style="red"), _not_so(clue)
    if cause.verdict == "contradicted":
        return
    for clue in cause.kept:
        yield Text("+", style="green"), _seen(clue)
    for unknown in dict.fromkeys(map(_unknown, cause.unobservable)):
        yield Text("?", style="yellow"), Text(unknown, style="dim")
    for word in ("fix", "settle") if cause.verdict == "supported" else ("settle",):
        yield Text(""), Text.assemble((f"{word}: ", "dim"), clean(getattr(cause, word)))


def _seen(clue: Clue) -> Text:
    return Text.assemble(clean(clue.says), *_shown(_places(clue.evidence)))


def _places(evidence: Iterable[Evidence]) -> Iterator[str]:
    """``file:line`` of each piece, and ``file:line, line`` where several stand in one file."""
    lines: dict[str, dict[int, None]] = {}
    for item in evidence:
        if item.source and item.line:
            lines.setdefault(_file(item.source), {})[item.line] = None
    return (f"{file}:{', '.join(map(str, list(known)[:_PLACES]))}" for file, known in lines.items())


def _not_so(clue: Clue) -> Text:
    numbers = [f"{clean(item.name, 60)} {_value(item)} {_place(item)}".rstrip() for item in clue.evidence]
    return Text.assemble(("not so: ", "dim"), clean(clue.says), *_shown(dict.fromkeys(numbers)))


def _unknown(clue: Clue) -> str:
    remedy = f" → log {clean(clue.log_this)}" if clue.log_this and clue.log_this not in clue.missing else ""
    return f"{clean(clue.missing)}{remedy}"


def _shown(places: Iterable[str]) -> list[tuple[str, str]]:
    names = list(places)
    more = ", ..." if len(names) > _PLACES else ""
    return [("  " + ", ".join(names[:_PLACES]) + more, "blue")] if names else []


def _value(item: Evidence) -> str:
    return printed(item.value) if isinstance(item.value, float | int) else clean(str(item.value), 60)


def _place(item: Evidence) -> str:
    """``file:line`` without folders, which the evidence above names; empty where a number stands in no line."""
    return f"{_file(item.source)}:{item.line}" if item.source and item.line else ""


def _file(source: str) -> str:
    """The name of a file; one so short that other runs have it too, with its folder."""
    path = PurePath(clean(source, 1000))
    return "/".join(path.parts[-2:]) if len(path.name) <= _COMMON else path.name
