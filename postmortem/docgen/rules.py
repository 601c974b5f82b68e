"""``docs/rules``: a page a rule, made from its YAML, its tests and its causes, and the list of all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from postmortem.builtin import shipped
from postmortem.cases import Case, CaseFile
from postmortem.docgen.markdown import code, table
from postmortem.engine import CompiledRule
from postmortem.engine.library import TEST_SUFFIX, load_rules
from postmortem.engine.rivals import RivalCause
from postmortem.engine.rule import Check, Selector
from postmortem.engine.template import bare
from postmortem.errors import RuleError
from postmortem.report.numbers import number
from postmortem.yamlfile import load, validate


def pages() -> dict[str, str]:
    """The page of each shipped rule, and the list of them, by path under ``docs``."""
    known = sorted(load_rules(), key=lambda each: (each.rule.family, each.id))
    leads = {rule.id: [other.id for other in known if rule.id in other.rule.leads_to] for rule in known}
    found = {f"rules/{rule.id}.md": "".join(_page(rule, leads[rule.id])) for rule in known}
    return {"rules/README.md": "".join(_index(known)), **found}


def _index(known: Sequence[CompiledRule]) -> Iterator[str]:
    yield f"# Rules\n\nThe {len(known)} smells that are looked for. `postmortem rules explain ID` shows them as well.\n"
    for family, rules in groupby(known, key=lambda each: each.rule.family):
        yield f"\n## {family.capitalize()}\n\n"
        yield table(
            ("rule", "severity", "what it says"),
            ((f"[{each.id}]({each.id}.md)", _severity(each), each.rule.title) for each in rules),
        )


def _page(compiled: CompiledRule, follows: Sequence[str]) -> Iterator[str]:
    rule = compiled.rule
    yield f"# {rule.id}\n\n**{rule.title}.** {_severity(compiled).capitalize()}; {rule.family}; {rule.status}.\n\n"
    yield f"{rule.finds.strip()}\n\n"
    yield f"**Why it matters.** {rule.why.strip()}\n\n"
    yield "**What to do.**\n\n" + "".join(f"{at}. {step.strip()}\n" for at, step in enumerate(rule.do, 1))
    yield f"\n**When it is wrong.** {rule.wrong_when.strip()}\n"
    yield from _links(rule.leads_to, follows)
    yield "\n## How it is found\n"
    for check in rule.checks:
        yield from _check(check)
    if rule.params:
        yield "\n## Parameters\n\n"
        rows = ((code(name), number(param.default), param.help) for name, param in rule.params.items())
        yield table(("parameter", "default", "meaning"), rows)
        yield f"\nChanged in `postmortem.toml`, under `[rules.{rule.id}]`.\n"
    if compiled.causes:
        yield "\n## What may lie behind it\n"
        for rival in compiled.causes.rivals:
            yield from _cause(rival.source)
    yield from _examples(rule.path)
    if rule.references:
        yield "\n## References\n\n" + "".join(f"- {reference}\n" for reference in rule.references)


def _severity(compiled: CompiledRule) -> str:
    levels = list(dict.fromkeys(str(level) for _, level in reversed(compiled.severity)))
    return levels[0] if len(levels) == 1 else f"{levels[0]} (or {', '.join(levels[1:])})"


def _links(leads_to: Sequence[str], follows: Sequence[str]) -> Iterator[str]:
    for words, ids in (("It leads to", leads_to), ("It may follow from", follows)):
        if ids:
            yield f"\n{words} {', '.join(f'[{name}]({name}.md)' for name in ids)}.\n"


def _check(check: Check) -> Iterator[str]:
    if check.name:
        yield f"\n### {check.name}\n"
    for name, selector in check.each.items():
        yield f"\n- {code(name)} stands for {_selected(selector)}"
    yield "\n" if check.each else ""
    for need in check.needs:
        yield f"\nNot applicable where {bare(need.otherwise, '`')}.\n"
    parts = "".join(f"{name} = {' '.join(text.split())}\n" for name, text in check.let.items())
    lasting = f"\nfor {check.lasting}" if check.lasting else ""
    then = f"\nthen {' '.join(check.then.when.split())} within {check.then.within}" if check.then else ""
    yield f"\n```text\n{parts}when {' '.join(check.when.split())}{lasting}{then}\n```\n"
    yield f"\nIt says: {bare(check.message, '`')}\n"


def _selected(selector: Selector) -> str:
    """A selector in words: what it is for, and the keys that make it so."""
    keys = selector.model_dump(exclude_defaults=True, exclude={"what"})
    told = ", ".join(
        f"{key}: {', '.join(map(str, value)) if isinstance(value, tuple) else value}" for key, value in keys.items()
    )
    return f"{selector.what} ({code(told, 300)})" if told else selector.what


def _cause(cause: RivalCause) -> Iterator[str]:
    yield f"\n### {cause.title}\n\n"
    yield "".join(f"- It {each.strength} be seen that {bare(each.says, '`')}.\n" for each in cause.predicts)
    yield "".join(f"- It is excluded if {bare(each.says, '`')}.\n" for each in cause.excluded_by)
    yield f"- To settle it: {cause.settle.strip()}\n- If it is the cause: {cause.fix.strip()}\n"


def _examples(path: Path) -> Iterator[str]:
    tests = path.with_name(path.stem + TEST_SUFFIX)
    if not tests.is_file():
        return
    cases = validate(CaseFile, load(tests, error=RuleError), RuleError).cases
    yield "\n## Examples\n\nThe tests of the rule. `3-0.1x9` is 3 followed by nine steps of -0.1.\n\n"
    yield table(("a run", "what it logs", "the rule"), ((case.name, _given(case), _expected(case)) for case in cases))
    yield f"\nSource: `rules/{path.relative_to(shipped('rules')).as_posix()}`.\n"


def _given(case: Case) -> str:
    given = [code(f"{name}: {each.values}", 60) for name, each in case.given.items()]
    told = [code(f"{key} = {value}") for key, value in case.facts.items()]
    events = [code(f"{kind}: {text}", 60) for kind, text in case.events.items()]
    files = [*([case.log] if case.log else []), *case.texts]
    beside = [f"{len(case.others)} other runs"] if case.others else []
    return "<br>".join([*given, *told, *events, *map(code, files), *beside])


def _expected(case: Case) -> str:
    if case.fires is not None:
        return f"finds it {len(case.fires)} times" if len(case.fires) > 1 else "finds it"
    return "is clear" if case.silent else f"is not applicable: {case.not_applicable}"
