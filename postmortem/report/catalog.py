"""Lists and pages of what the product knows: its rules and its formats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from postmortem.engine.rule import Rule
from postmortem.ingest.pack import FormatPack
from postmortem.model import Severity
from postmortem.report.findings import STYLE
from postmortem.report.numbers import number
from postmortem.report.page import add, labelled, numbered, prose, to_text
from postmortem.report.text import clean

_BAR = "█"


def rules_list(rules: Sequence[Rule], width: int, color: bool) -> str:
    """All rules by family, one line each."""
    ordered = sorted(rules, key=lambda rule: (rule.family, rule.id))
    families = groupby(ordered, key=lambda rule: rule.family)
    return to_text((part for name, group in families for part in _family(name, list(group))), width, color)


def rule_page(rule: Rule, width: int, color: bool) -> str:
    """Everything a rule says of itself: what it finds, why, what to do, when it is wrong, its parameters."""
    table = labelled()
    add(table, "finds", [_text(rule.finds)])
    add(table, "why", [_text(rule.why)])
    add(table, "do", numbered([_text(step) for step in rule.do]))
    add(table, "unless", [_text(rule.wrong_when)])
    add(
        table,
        "params",
        [_text(f"{name} = {number(param.default)}: {param.help}") for name, param in rule.params.items()],
    )
    add(table, "see", [_text(reference) for reference in rule.references])
    add(table, "file", [_text(str(rule.path))])
    return to_text([_title(rule), prose(table)], width, color)


def formats_list(packs: Sequence[FormatPack], width: int, color: bool) -> str:
    """All format packs, one line each, with where the format comes from."""
    rows = [
        (Text(pack.id, style="bold"), _text(pack.title), Text(clean(pack.home or ""), style="dim")) for pack in packs
    ]
    return to_text([_columns(rows)], width, color)


def shares(scores: Sequence[tuple[str, float]], width: int, color: bool) -> str:
    """How much of a sample each reader makes something of, best first."""
    rows = [(Text(clean(name)), Text(f"{100 * score:.0f} %"), Text(_BAR * round(20 * score))) for name, score in scores]
    return to_text([_columns(rows)], width, color)


def _columns(rows: Iterable[Sequence[Text]]) -> Table:
    """A table whose last columns wrap and whose first does not."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def _family(name: str, rules: Sequence[Rule]) -> Iterable[RenderableType]:
    yield Text(clean(name), style="bold")
    rows = ((Text(rule.id), _severity(rule), _text(rule.title)) for rule in rules)
    yield Padding(_columns(rows), (0, 0, 1, 2))


def _title(rule: Rule) -> Text:
    return Text.assemble((rule.id, "bold"), ("  ", ""), _severity(rule), f"  {clean(rule.title)}")


def _severity(rule: Rule) -> Text:
    worst = max((case.level for case in rule.severity), key=lambda level: level.rank)
    return Text(str(worst), style=STYLE[Severity(worst)].removeprefix("bold "))


def _text(text: str) -> Text:
    return Text(clean(text, 2000))
