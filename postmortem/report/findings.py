"""Findings as a person reads them: what, the numbers and their lines, why, what next, and when not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from postmortem.model import Cause, Evidence, Finding, Severity
from postmortem.report.numbers import number, place
from postmortem.report.page import add, labelled, numbered, prose
from postmortem.report.text import clean

STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
_VERDICT = {"supported": "green", "contradicted": "red", "open": "yellow"}
_ROWS = 8  # evidence rows of one finding; JSON has them all
_READ_DIGITS, _COMPUTED_DIGITS = (
    6,
    4,
)  # what a log printed is shown as printed, as far as it is not absurdly long
_GAP = "   "


def findings(found: Sequence[Finding]) -> list[RenderableType]:
    """Every finding that follows from no other, most severe first; under it, in a line each, those that do.

    Findings of one rule stand together and share their title and remedy.
    """
    known = {finding.id for finding in found}
    parents = {finding.id: finding.folded_under for finding in found if finding.folded_under}
    under: dict[str | None, list[Finding]] = {}
    for finding in found:
        under.setdefault(_root(finding, known, parents), []).append(finding)
    return [_group(group, under.get(group[0].id, [])) for group in _by_rule(under.get(None, []))]


def _root(finding: Finding, known: Set[str], parents: Mapping[str, str]) -> str | None:
    """Top of the chain that this finding is folded under; None for a head, a broken chain or a circle."""
    seen, at = {finding.id}, finding.folded_under
    while at is not None:
        if at not in known or at in seen:
            return None
        seen.add(at)
        if at not in parents:
            return at
        at = parents[at]
    return None


def _by_rule(heads: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[str, list[Finding]] = {}
    for finding in sorted(heads, key=lambda finding: -finding.severity.rank):
        groups.setdefault(finding.id, []).append(finding)
    return list(groups.values())


def _group(group: Sequence[Finding], folded: Sequence[Finding]) -> RenderableType:
    lead = group[0]
    word = (f"{lead.severity.upper():<8}", STYLE[lead.severity])
    title = Text.assemble(word, (clean(lead.title), "bold"), (f"  {clean(lead.id)}", "dim"))
    bodies = [part for finding in group for part in _body(finding)]
    return Group(title, Padding(Group(*bodies, *_notes(group, folded)), (0, 0, 1, 2)))


def _body(finding: Finding) -> list[RenderableType]:
    runs = [Text("runs " + ", ".join(map(clean, finding.runs)), style="dim")] if finding.runs else []
    evidence: list[RenderableType] = (
        [Padding(_EvidenceTable(finding.evidence), (0, 0, 0, 2))] if finding.evidence else []
    )
    return [prose(Text(clean(finding.message))), *runs, *evidence]


class _EvidenceTable:
    """Aligned rows of name, value, place and ``file:line``, which gets a line of its own where it must."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._rows = [_row(item) for item in evidence[:_ROWS]]
        self._hidden = len(evidence) - len(self._rows)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        names, values, places, lines = (
            [cell_len(cell) for cell in column] for column in zip(*self._rows, strict=True)
        )
        widths = max(names), max(values), max(places)
        beside = sum(widths) + 3 * len(_GAP) + max(lines) <= options.max_width
        for row in self._rows:
            yield row.left(*widths) + (Text.assemble(_GAP, (row.line, "blue")) if beside else Text())
            if row.line and not beside:
                yield Text(f"  {row.line}", style="blue", overflow="fold")
        if self._hidden:
            yield Text(f"and {self._hidden} more in --json", style="dim")


class _Row(NamedTuple):
    name: str
    value: str
    place: str
    line: str

    def left(self, name: int, value: int, at: int) -> Text:
        """The row without its ``file:line``, each cell padded to its column's width."""
        cells = (set_cell_size(self.name, name), self.value.rjust(value), self.place.ljust(at))
        return Text.assemble(cells[0], _GAP, (cells[1], "bold"), _GAP, (cells[2], "dim"))


def _row(item: Evidence) -> _Row:
    line = (
        f"{clean(item.source or '', 200)}:{item.line}"
        if item.line is not None
        else clean(item.source or "", 200)
    )
    return _Row(clean(item.name, 60), _value(item), place(item.step, item.epoch), line)


def _value(item: Evidence) -> str:
    if item.value is None:
        return "-"
    if isinstance(item.value, str):
        return clean(item.value, 60)
    return number(item.value, _READ_DIGITS if item.line is not None else _COMPUTED_DIGITS)


def _notes(group: Sequence[Finding], folded: Sequence[Finding]) -> list[RenderableType]:
    notes = labelled()
    add(notes, "because", _unique(finding.because for finding in group))
    add(notes, "cause", [_cause(cause) for finding in group for cause in finding.causes])
    add(notes, "next", numbered(_unique(step for finding in group for step in finding.do)))
    add(notes, "unless", _unique(finding.wrong_when for finding in group))
    add(notes, "hence", [_folded(finding) for finding in folded])
    return [prose(notes)] if notes.row_count else []


def _unique(texts: Iterable[str]) -> list[Text]:
    return [Text(clean(text)) for text in dict.fromkeys(texts) if text]


def _cause(cause: Cause) -> Text:
    because = "".join(f"; {clean(reason)}" for reason in cause.because)
    return Text.assemble((cause.verdict, _VERDICT[cause.verdict]), f": {clean(cause.title)}{because}")


def _folded(finding: Finding) -> Text:
    return Text.assemble((clean(finding.id), STYLE[finding.severity]), f": {clean(finding.message)}")
