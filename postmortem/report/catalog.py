"""The list of rules, and the page of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from postmortem.engine.compile import CompiledRule
from postmortem.engine.rivals import RivalCause
from postmortem.engine.rule import Check, Rule
from postmortem.engine.template import bare
from postmortem.model import Severity
from postmortem.report.findings import STYLE
from postmortem.report.numbers import number
from postmortem.report.page import add, columns, labelled, numbered, prose, to_text
from postmortem.report.text import clean


def rules_list(rules: Sequence[Rule], width: int, color: bool) -> str:
    """All rules by family, one line each."""
    ordered = sorted(rules, key=lambda rule: (rule.family, rule.id))
    families = groupby(ordered, key=lambda rule: rule.family)
    return to_text((part for name, group in families for part in _family(name, list(group))), width, color)


def rule_page(compiled: CompiledRule, width: int, color: bool) -> str:
    """Everything a rule says of itself: what it finds and when, why, what to do, when it is wrong, and its causes."""
    rule = compiled.rule
    table = labelled()
    add(table, "finds", [_text(rule.finds)])
    add(table, "when", [_condition(check) for check in rule.checks])
    add(table, "needs", [_text(bare(need.otherwise)) for check in rule.checks for need in check.needs])
    add(table, "why", [_text(rule.why)])
    add(table, "do", numbered([_text(step) for step in rule.do]))
    add(table, "unless", [_text(rule.wrong_when)])
    add(
        table,
        "params",
        [_text(f"{name} = {number(param.default)}: {param.help}") for name, param in rule.params.items()],
    )
    add(table, "leads to", [_text(", ".join(rule.leads_to))] if rule.leads_to else [])
    add(table, "see", [_text(reference) for reference in rule.references])
    add(table, "file", [_text(str(rule.path))])
    rivals = compiled.causes.rivals if compiled.causes else ()
    return to_text([_title(rule), prose(table), *_causes([rival.source for rival in rivals])], width, color)


def _condition(check: Check) -> Text:
    lasting = f", for {check.lasting}" if check.lasting else ""
    name = f"{check.name}: " if check.name else ""
    return Text(clean(f"{name}{check.when}{lasting}", 2000))


def _causes(rivals: Sequence[RivalCause]) -> Iterable[RenderableType]:
    """What may lie behind a finding, with what would speak for it and against it."""
    if rivals:
        yield Text("\nwhat may lie behind it", style="bold")
    for rival in rivals:
        table = labelled()
        add(table, "predicts", [_text(f"{bare(each.says)} ({each.strength})") for each in rival.predicts])
        add(table, "excluded if", [_text(bare(each.says)) for each in rival.excluded_by])
        add(table, "settle it", [_text(rival.settle)])
        add(table, "fix", [_text(rival.fix)])
        yield Padding(Text.assemble((rival.id, "bold"), f"  {clean(rival.title)}"), (0, 0, 0, 2))
        yield Padding(prose(table), (0, 0, 1, 4))


def _family(name: str, rules: Sequence[Rule]) -> Iterable[RenderableType]:
    yield Text(clean(name), style="bold")
    rows = ((Text(rule.id), _severity(rule), _text(rule.title)) for rule in rules)
    yield Padding(columns(rows), (0, 0, 1, 2))


def _title(rule: Rule) -> Text:
    return Text.assemble((rule.id, "bold"), ("  ", ""), _severity(rule), f"  {clean(rule.title)}")


def _severity(rule: Rule) -> Text:
    worst = max((case.level for case in rule.severity), key=lambda level: level.rank)
    return Text(str(worst), style=STYLE[Severity(worst)].removeprefix("bold "))


def _text(text: str) -> Text:
    return Text(clean(text, 2000))
