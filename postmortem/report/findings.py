"""Findings as a person reads them: what, the numbers and their lines, why, what next, and when not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from postmortem.model import Evidence, Finding, Severity
from postmortem.report.causes import causes
from postmortem.report.numbers import place, printed
from postmortem.report.page import add, labelled, numbered, prose, shortened
from postmortem.report.text import clean

STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.INFO: "bold cyan"}
_ALIKE = 4  # findings of one rule that are shown in full
_ROWS = 8  # evidence rows of one finding; JSON has them all
_GAP = "   "
_LABEL = len("because")


def findings(found: Sequence[Finding], across: Sequence[Finding] = ()) -> list[RenderableType]:
    """Every finding that follows from no other, most severe first; under it, in a line each, those that do.

    Findings of one rule stand together and share their title and remedy. What follows from a finding ``across`` runs
    stands last, in a line each.
    """
    beyond = {finding.id for finding in across}
    known = {finding.id for finding in found} | beyond
    parents = {finding.id: finding.folded_under for finding in found if finding.folded_under}
    under: dict[str | None, list[Finding]] = {}
    for finding in found:
        under.setdefault(_root(finding, known, parents), []).append(finding)
    own = [_group(group, under.get(group[0].id, [])) for group in _by_rule(under.get(None, []))]
    return [*own, *(_follows(name, under[name]) for name in sorted(beyond & set(filter(None, under))))]


def _follows(name: str, folded: Sequence[Finding]) -> RenderableType:
    """What follows from a finding that is shown once for several runs."""
    head = Text.assemble("Follows from ", (clean(name), "bold"), " (see across runs)")
    return Padding(Group(head, *_notes([("hence", [_folded(finding) for finding in folded])])), (0, 0, 1, 0))


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
    bodies = [part for finding in group[:_ALIKE] for part in (*_body(finding), Text())][:-1]
    briefly = [prose(Text(clean(finding.message))) for finding in group[_ALIKE:]]
    below = [*causes(group, _LABEL), *_remedy(group, folded)]
    return Group(title, Padding(Group(*bodies, *briefly, *below), (0, 0, 1, 2)))


def _body(finding: Finding) -> list[RenderableType]:
    known = [item for item in finding.evidence if item.value is not None]
    runs = (
        [Text(f"{len(finding.runs)} runs: " + ", ".join(map(clean, finding.runs)), style="dim")] if finding.runs else []
    )
    evidence: list[RenderableType] = [Padding(_EvidenceTable(known), (0, 0, 0, 2))] if known else []
    because = [("because", [Text(clean(finding.because))])] if finding.because else []
    return [prose(Text(clean(finding.message))), *runs, *evidence, *_notes(because)]


class _EvidenceTable:
    """Aligned rows of name, value, place and ``file:line``, which gets a line of its own where it must."""

    def __init__(self, evidence: Sequence[Evidence]) -> None:
        self._rows = [_row(item) for item in evidence[:_ROWS]]
        self._hidden = max(len(evidence) - _ROWS, 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[RenderableType]:
        columns = zip(*((row.name, row.value, row.place) for row in self._rows), strict=True)
        widths = [max(map(cell_len, column)) for column in columns]
        room = options.max_width - sum(widths) - len(_GAP) * len(widths)
        for row in self._rows:
            line = shortened(row.line, room)
            yield row.left(*widths) + (Text.assemble(_GAP, (line, "blue")) if line else Text())
            if row.line and not line:
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
    name, value = clean(item.name, 60), ""
    if isinstance(item.value, str):  # a text stands with its name, lest it push the numbers aside
        name = f"{name}: {clean(item.value, 60)}"
    elif item.value is not None:
        value = printed(item.value)
    source = clean(item.source or "", 1000)
    line = source if item.line is None else f"{source}:{item.line}"
    return _Row(name, value, place(item.step, item.epoch), line)


def _remedy(group: Sequence[Finding], folded: Sequence[Finding]) -> list[RenderableType]:
    """What findings of one rule share: what to do, when not to, and what follows from them."""
    return _notes(
        [
            ("next", numbered(_unique(step for finding in group for step in finding.do))),
            ("unless", _unique(finding.wrong_when for finding in group)),
            ("hence", [_folded(finding) for finding in folded]),
        ]
    )


def _notes(entries: Iterable[tuple[str, Sequence[Text]]]) -> list[RenderableType]:
    table = labelled(_LABEL)
    for label, texts in entries:
        add(table, label, texts)
    return [prose(table)] if table.row_count else []


def _unique(texts: Iterable[str]) -> list[Text]:
    return [Text(clean(text)) for text in dict.fromkeys(texts) if text]


def _folded(finding: Finding) -> Text:
    return Text.assemble((clean(finding.id), STYLE[finding.severity]), f": {clean(finding.message)}")
