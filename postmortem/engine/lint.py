"""What is wrong with a rule that loads: texts out of form, names that nothing uses, conditions that cannot change."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from postmortem import names
from postmortem.engine import syntax, template
from postmortem.engine.bounds import Bounds
from postmortem.engine.check import COORDINATES
from postmortem.engine.compile import CompiledCheck, CompiledRule
from postmortem.engine.expressions import Path as Keys
from postmortem.engine.functions import FUNCTIONS
from postmortem.engine.library import TEST_SUFFIX, read_rule, read_rules, rule_files
from postmortem.engine.syntax import Node
from postmortem.errors import PostmortemError, Problem, RuleError
from postmortem.schema import EVENT_KINDS, FACT_KEYS
from postmortem.yamlfile import Document, did_you_mean, load

UNFILLED = "TODO"
"""Marks a text of a new rule that its writer has not written yet."""

SPLITS = ("train", "val", "test", "eval_train")

_LONGEST_TITLE, _LONGEST_TEXT = 100, 600
_NEAR, _VERY_NEAR = 0.8, 0.92
_WORDS_OF = {"kind": EVENT_KINDS, "role": typing.get_args(names.Role)}
"""Words that a text argument of a function can be, by the argument's name."""


@dataclass(frozen=True)
class Examined:
    """Rules that were checked: those that load, and everything a writer should change."""

    rules: tuple[CompiledRule, ...]
    problems: tuple[Problem, ...]


def examine(paths: Sequence[Path]) -> Examined:
    """Loads every rule under the paths with its causes, and lints those that load."""
    try:
        rules, problems = read_rules(paths), []
    except RuleError as error:
        rules, problems = list(_readable(paths)), list(error.problems)
    sound = not problems  # otherwise some causes may not be attached, and what they use is not known
    rules = [rule for rule in rules if rule.rule.path in set(rule_files(paths))]
    for rule in rules:
        problems += lint(rule, load(rule.rule.path, error=RuleError), usage=sound)
        tests = rule.rule.path.with_name(rule.rule.path.stem + TEST_SUFFIX)
        if not tests.exists():
            problems.append(Problem(f"there is no {tests.name} beside it", str(rule.rule.path)))
    return Examined(tuple(rules), tuple(problems))


def _readable(paths: Sequence[Path]) -> Iterator[CompiledRule]:
    for path in rule_files(paths):
        with suppress(PostmortemError):
            yield read_rule(path)


def lint(rule: CompiledRule, document: Document, *, usage: bool = True) -> list[Problem]:
    """Everything that a writer of a rule should change, each at its place; ``usage`` includes what nothing uses."""
    checks = _Lint(rule, document)
    return [*checks.problems(), *(checks.unused() if usage else ())]


@dataclass(frozen=True)
class _Lint:
    rule: CompiledRule
    document: Document

    def problems(self) -> Iterator[Problem]:
        yield from self._texts()
        for index, check in enumerate(self.rule.checks):
            path: Keys = ("checks", index)
            yield from self._message(check, path)
            yield from self._names(check, path)
            yield from self._conditions(check, path)

    def unused(self) -> Iterator[Problem]:
        for index, check in enumerate(self.rule.checks):
            yield from self._unused(check, ("checks", index))
        used = {name for check in self.rule.checks for name in _used(check)}
        for name in set(self.rule.params) - used - self._used_elsewhere():
            yield self.document.problem(("params", name), f"nothing uses the parameter ${name}", "remove it", key=True)

    # --- texts ----------------------------------------------------------------------------------------------

    def _texts(self) -> Iterator[Problem]:
        meta = self.rule.rule
        if meta.title.endswith("."):
            yield self.document.problem(("title",), "a title is no sentence", "leave the full stop out")
        if len(meta.title) > _LONGEST_TITLE:
            yield self.document.problem(("title",), f"a title has at most {_LONGEST_TITLE} characters")
        sentences = [(("finds",), meta.finds), (("why",), meta.why), (("wrong_when",), meta.wrong_when)]
        for path, text in [
            (("title",), f"{meta.title}."),
            *sentences,
            *((("do", i), t) for i, t in enumerate(meta.do)),
        ]:
            yield from self._sentence(path, text.strip())
        for name, param in meta.params.items():
            yield from self._sentence(("params", name, "help"), param.help.strip())

    def _sentence(self, path: Keys, text: str) -> Iterator[Problem]:
        where = ".".join(map(str, path))
        if UNFILLED in text:
            yield self.document.problem(path, f"{where} is not written yet", "say it in a sentence or two")
        elif not text:
            yield self.document.problem(path, f"{where} is empty", "say it in a sentence or two")
        elif not text.endswith((".", "?", "!", ".)")) or text[0].islower():
            yield self.document.problem(path, f"{where} is no sentence", "begin with a capital, end with a full stop")
        elif len(text) > _LONGEST_TEXT:
            yield self.document.problem(path, f"{where} has more than {_LONGEST_TEXT} characters", "say it shorter")

    def _message(self, check: CompiledCheck, path: Keys) -> Iterator[Problem]:
        text = check.source.message.strip()
        if UNFILLED in text:
            yield self.document.problem((*path, "message"), "message is not written yet", "say what was found")
        elif text.endswith("."):
            yield self.document.problem((*path, "message"), "a message has no full stop", "leave it out")
        if not list(template.fields(text)):
            hint = "name at least one number or text in {braces}"
            yield self.document.problem((*path, "message"), "the message shows nothing of the log", hint)
        if not check.evidence:
            hint = "list under `evidence` what the finding rests on"
            yield self.document.problem((*path, "message"), "the finding leads to no line of the log", hint)

    # --- names ----------------------------------------------------------------------------------------------

    def _names(self, check: CompiledCheck, path: Keys) -> Iterator[Problem]:
        bound = {*check.source.each, *check.let, *COORDINATES}
        for where, node in _expressions(check, path):
            for part in node.walk():
                if isinstance(part, syntax.Name) and part.name not in bound:
                    yield from self._metric(part, where)
                elif isinstance(part, syntax.Call):
                    yield from self._words(part, where)
        for name, selector in check.source.each.items():
            for key in ("split", "metric", "but"):
                yield from self._selected(getattr(selector, key), key, (*path, "each", name, key))

    def _metric(self, node: syntax.Name, path: Keys) -> Iterator[Problem]:
        head, dot, metric = node.name.partition(".")
        parsed = names.parse(metric if dot else node.name)
        if dot and head not in SPLITS:
            near = difflib.get_close_matches(head, SPLITS, n=1)
            yield self._at(path, node, f"{head!r} is no split", f"did you mean {near[0]}.{metric}?" if near else None)
        elif not dot and parsed.split:
            yield self._at(path, node, f"{node.name} is kept as {parsed.split}.{parsed.metric}", "write it so")
        elif parsed.metric != (metric or head):
            kept = f"{head}.{parsed.metric}" if dot else parsed.metric
            yield self._at(path, node, f"{node.name} is kept as {kept}", "write it so")
        elif names.role(parsed.metric) == "other":
            near = difflib.get_close_matches(parsed.metric, names.CANONICAL, n=1, cutoff=_NEAR)
            if near and near[0] != parsed.metric:
                yield self._at(path, node, f"{node.name} is no metric we know", f"did you mean {near[0]}?")

    def _words(self, node: syntax.Call, path: Keys) -> Iterator[Problem]:
        """Texts that no log can match."""
        for argument, given in zip(FUNCTIONS[node.function].arguments, node.arguments, strict=False):
            if not isinstance(given, syntax.Text):
                continue
            allowed = _WORDS_OF.get(argument.name)
            if allowed and given.value not in allowed:
                hint = did_you_mean(given.value, allowed, f"{argument.name}s")
                yield self._at(path, given, f"there is no {argument.name} {given.value!r}", hint)
            elif argument.name == "key" and names.fact_key(given.value) != given.value:
                yield self._at(
                    path, given, f"{given.value!r} is kept as {names.fact_key(given.value)!r}", "write it so"
                )
            elif argument.name == "key" and given.value not in FACT_KEYS:
                near = difflib.get_close_matches(given.value, FACT_KEYS, n=1, cutoff=_VERY_NEAR)
                if near:
                    yield self._at(path, given, f"{given.value!r} is no fact we know", f"did you mean {near[0]!r}?")

    def _selected(self, words: Iterable[str], key: str, path: Keys) -> Iterator[Problem]:
        for at, word in enumerate(words):
            if key == "split" and word not in (*SPLITS, "none"):
                hint = did_you_mean(word, (*SPLITS, "none"), "splits")
                yield self.document.problem((*path, at), f"{word!r} is no split", hint)
            elif key != "split" and not re.search(r"[*?\[]", word) and names.parse(word).metric != word:
                yield self.document.problem(
                    (*path, at), f"{word!r} is kept as {names.parse(word).metric!r}", "write it so"
                )

    # --- conditions -----------------------------------------------------------------------------------------

    def _conditions(self, check: CompiledCheck, path: Keys) -> Iterator[Problem]:
        bounds = Bounds(check.let, self.rule.params)
        told: list[tuple[Keys, Node, str, str]] = [
            (("when",), check.when, "the rule never fires", "the rule fires on every log"),
            *((("needs", i, "that"), need.that, "the check is never made", "it asks for nothing")
              for i, need in enumerate(check.needs)),
        ]  # fmt: skip
        if check.then is not None:
            told.append((("then", "when"), check.then[0], "the rule never fires", "it asks for nothing"))
        for where, node, never, always in told:
            truth = bounds.truth(node)
            if truth is not None:
                what, so = ("can never be true", never) if truth is False else ("is always true", always)
                yield self._at((*path, *where), node, f"this condition {what}, so {so}")
            else:
                yield from self._dead_parts(node, bounds, (*path, *where))

    def _dead_parts(self, node: Node, bounds: Bounds, path: Keys) -> Iterator[Problem]:
        """Parts of a condition that cannot change it."""
        for part in node.parts if isinstance(node, syntax.Logic) else ():
            truth = bounds.truth(part)
            if truth is not None:
                yield self._at(path, part, f"this part is {'always' if truth else 'never'} true", "leave it out")
            else:
                yield from self._dead_parts(part, bounds, path)

    # --- use ------------------------------------------------------------------------------------------------

    def _unused(self, check: CompiledCheck, path: Keys) -> Iterator[Problem]:
        used = _used(check) | self._used_elsewhere()
        for key, found in (("let", check.let), ("each", check.source.each)):
            for name in found:
                if name not in used:
                    yield self.document.problem((*path, key, name), f"nothing uses {name!r}", "remove it", key=True)

    def _used_elsewhere(self) -> set[str]:
        """Names that the severity and the causes of the rule use."""
        nodes = [node for node, _ in self.rule.severity if node is not None]
        texts: list[str] = []
        if self.rule.causes is not None:
            nodes += self.rule.causes.let.values()
            for rival in self.rule.causes.rivals:
                nodes += [*rival.predicts, *rival.excluded_by]
                texts += [each.says for each in rival.source.predicts]
                texts += [each.says for each in rival.source.excluded_by]
        return _names_in(nodes, texts)

    def _at(self, path: Keys, node: Node, message: str, hint: str | None = None) -> Problem:
        line, column, excerpt = self.document.within(path, node.start)
        return Problem(message, self.document.source, line, column, excerpt, hint)


def _expressions(check: CompiledCheck, path: Keys) -> Iterator[tuple[Keys, Node]]:
    """Every expression of a check with its place."""
    yield from (((*path, "let", name), node) for name, node in check.let.items())
    yield from (((*path, "needs", i, "that"), need.that) for i, need in enumerate(check.needs))
    yield (*path, "when"), check.when
    if check.then is not None:
        yield (*path, "then", "when"), check.then[0]
    yield from (((*path, key), node) for key, node in (("from", check.begins), ("to", check.ends)) if node is not None)
    yield from (((*path, "evidence", name), node) for name, node in check.evidence.items())


def _used(check: CompiledCheck) -> set[str]:
    """Names of series, parts and parameters that a check uses."""
    selectors = check.source.each.values()
    others = {getattr(each, key) for each in selectors for key in ("like", "unlike", "with_split_of")}
    texts = [check.source.message, *check.evidence, *(need.otherwise for need in check.needs)]
    needed = [each.what for each in selectors]
    nodes = [node for _, node in _expressions(check, ())]
    return _names_in(nodes, [*texts, *needed]) | others


def _names_in(nodes: Iterable[Node], texts: Iterable[str]) -> set[str]:
    parts = [part for node in nodes for part in node.walk()]
    named = {part.name for part in parts if isinstance(part, syntax.Name | syntax.Param)}
    fields = {name for text in texts for name, _ in template.fields(text)}
    return named | fields | {name.removesuffix("_at") for name in fields}
