"""YAML text to plain data with the position of every value, and pydantic errors as problems with carets.

The scalars are those of YAML 1.2 (``1e-3`` is a number, ``on`` and ``no`` are text). What makes YAML files
surprising or dangerous is refused: duplicate keys, anchors, aliases, tags, several documents, depth and size.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from postmortem.errors import ConfigError, PostmortemError, Problem

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_CHARACTERS = 2_000_000
_MAX_DEPTH = 40

Key = str | int
Model = TypeVar("Model", bound=BaseModel)


class Place(NamedTuple):
    """A position in a YAML text: 1-based line and column, and the line itself."""

    line: int
    column: int
    excerpt: str


@dataclass
class _Node:
    """A value with the marks (0-based line and column) where its text, and the key that names it, start."""

    data: Any
    at: tuple[int, int]
    key_at: tuple[int, int] | None = None
    children: dict[Key, _Node] = field(default_factory=dict)


class Document:
    """Plain data read from YAML, which remembers where each value stood.

    Attributes:
        data: Dicts, lists and scalars.
        source: Name of the file, for messages.
    """

    def __init__(self, root: _Node, lines: Sequence[str], source: str) -> None:
        self.data: Any = root.data
        self.source = source
        self._root = root
        self._lines = lines

    def where(self, path: Sequence[Key] = (), *, key: bool = False) -> Place:
        """Where the text of the value at ``path`` starts; with ``key``, where the key that names it starts.

        Quotes and the ``|`` of a block are not part of the text. Parts of the path that do not exist (names
        that pydantic adds for unions, keys that are missing) are passed over, so some place is always given.
        """
        node = self._find(path)
        return self._place(*(node.key_at if key and node.key_at else node.at))

    def within(self, path: Sequence[Key], offset: int) -> Place:
        """Where character ``offset`` of the text value at ``path`` stands in the file.

        Line breaks and indentation differ between a value and its text, so both are aligned by their
        characters that are no whitespace; escapes inside quotes shift the column by their own length.
        """
        node = self._find(path)
        line, column = node.at
        ahead = sum(not ch.isspace() for ch in str(node.data)[:offset])
        for number, text in enumerate(self._lines[line:], line):
            for at, ch in enumerate(text[column:], column):
                if not ch.isspace():
                    if ahead == 0:
                        return self._place(number, at)
                    ahead -= 1
            column = 0
        return self._place(*node.at)

    def problem(self, path: Sequence[Key], message: str, hint: str | None = None, *, key: bool = False) -> Problem:
        """A problem at ``path``, with its excerpt."""
        return Problem(message, self.source, *self.where(path, key=key), hint=hint)

    def _find(self, path: Sequence[Key]) -> _Node:
        node = self._root
        for part in path:
            node = node.children.get(part, node)
        return node

    def _place(self, line: int, column: int) -> Place:
        excerpt = self._lines[line] if line < len(self._lines) else ""
        return Place(line + 1, column + 1, excerpt)


def load(path_or_text: Path | str, source: str | None = None, error: type[PostmortemError] = ConfigError) -> Document:
    """Reads one YAML document.

    Args:
        path_or_text: A ``Path`` is opened; a string is the text itself.
        source: Name of the file in messages; the path when not given.
        error: Class of what is raised.

    Raises:
        PostmortemError: Unreadable, wrong syntax or a refused construct; holds all problems, with positions.
    """
    name = source or (str(path_or_text) if isinstance(path_or_text, Path) else "<text>")
    text = _text(path_or_text, name, error)
    lines = re.split(r"\r\n|[\n\r\x85\u2028\u2029]", text)
    builder = _Builder(lines, name)
    try:
        root = builder.document(iter(yaml.parse(text, Loader=_LOADER)))
    except yaml.YAMLError as wrong:
        raise error([*builder.problems, builder.syntax_problem(wrong)]) from None
    if builder.problems:
        raise error(builder.problems)
    return Document(root, lines, name)


def _text(path_or_text: Path | str, name: str, error: type[PostmortemError]) -> str:
    try:
        if isinstance(path_or_text, Path):
            with path_or_text.open("rb") as file:
                raw = file.read(4 * _MAX_CHARACTERS + 1)
            path_or_text = raw.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as wrong:
        raise error(Problem(f"cannot be read: {wrong}", name)) from None
    if len(path_or_text) > _MAX_CHARACTERS:
        raise error(Problem(f"is larger than {_MAX_CHARACTERS:,} characters", name))
    return path_or_text.removeprefix("\ufeff")


class _TooDeep(yaml.YAMLError):
    """Nesting beyond the limit; carries the mark of the place."""

    def __init__(self, mark: Any) -> None:
        super().__init__(f"is nested deeper than {_MAX_DEPTH} levels")
        self.problem_mark = mark


class _Builder:
    """Builds nodes from parser events, collecting what is refused.

    Events instead of ``yaml.compose``: a bomb is seen before anything is built from it.
    """

    def __init__(self, lines: Sequence[str], source: str) -> None:
        self.problems: list[Problem] = []
        self._lines = lines
        self._source = source

    def document(self, events: Iterator[Any]) -> _Node:
        root = _Node(None, (0, 0))
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document", "keep one document a file")
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event, events, 1)
                root = node if documents == 1 else root
        return root

    def syntax_problem(self, wrong: yaml.YAMLError) -> Problem:
        mark = getattr(wrong, "problem_mark", None) or getattr(wrong, "context_mark", None)
        message = getattr(wrong, "problem", None) or str(wrong) or "is not YAML"
        context = getattr(wrong, "context", None)
        text = f"{context}: {message}" if context else message
        if mark is None:
            return Problem(text, self._source)
        return self._problem(mark, text, "check indentation, quotes and brackets near this place")

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise _TooDeep(event.start_mark)
        self._check(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(event, events, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(event, events, depth)
        return _Node(_value(event), self._text_start(event))

    def _check(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"an alias (*{event.anchor})", "write the value out")
        elif event.anchor is not None:
            self._refuse(event, f"an anchor (&{event.anchor})", "write the value out where it is needed")
        if getattr(event, "tag", None) not in (None, "!"):
            self._refuse(event, f"a tag ({event.tag})", "plain values need no tag")

    def _mapping(self, start: Any, events: Iterator[Any], depth: int) -> _Node:
        node = _Node({}, _mark(start))
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._node(event, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            value.key_at = key.at
            name = self._key(event, key.data)
            if name in node.children:
                self._refuse(event, f"the key {name!r} twice in one mapping", "remove one of the two")
            node.data[name] = value.data
            node.children[name] = value
        return node

    def _key(self, event: Any, key: Any) -> str:
        """Keys are text, as written: ``1:`` and ``true:`` are the names "1" and "true"."""
        if isinstance(event, yaml.ScalarEvent):
            return str(event.value)
        self._refuse(event, "a key that is no scalar", "use a plain name")
        return repr(key)

    def _sequence(self, start: Any, events: Iterator[Any], depth: int) -> _Node:
        node = _Node([], _mark(start))
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            item = self._node(event, events, depth + 1)
            node.children[len(node.data)] = item
            node.data.append(item.data)
        return node

    def _text_start(self, event: Any) -> tuple[int, int]:
        line, column = _mark(event)
        style = getattr(event, "style", None)
        if style in ("'", '"'):
            return line, column + 1
        if style in ("|", ">"):
            below = ((n, text) for n, text in enumerate(self._lines[line + 1 :], line + 1) if text.strip())
            return next(((n, len(text) - len(text.lstrip())) for n, text in below), (line, column))
        return line, column

    def _refuse(self, event: Any, what: str, hint: str) -> None:
        self.problems.append(self._problem(event.start_mark, f"{what} is not allowed", hint))

    def _problem(self, mark: Any, message: str, hint: str | None) -> Problem:
        excerpt = self._lines[mark.line] if mark.line < len(self._lines) else ""
        return Problem(message, self._source, mark.line + 1, mark.column + 1, excerpt, hint)


def _mark(event: Any) -> tuple[int, int]:
    return event.start_mark.line, event.start_mark.column


_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_WORDS: Mapping[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


def _value(event: Any) -> Any:
    """The YAML 1.2 core value of a scalar event; None for an alias, which is refused anyway."""
    if isinstance(event, yaml.AliasEvent):
        return None
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def validate(model: type[Model], document: Document, error: type[PostmortemError]) -> Model:
    """Builds ``model`` from a document.

    Raises:
        PostmortemError: Of class ``error``, with a positioned problem for each thing that pydantic refused.
    """
    try:
        return model.model_validate(document.data)
    except ValidationError as wrong:
        raise error([_problem_of(model, document, dict(each)) for each in wrong.errors()]) from None


def _problem_of(model: type[BaseModel], document: Document, wrong: Mapping[str, Any]) -> Problem:
    path: tuple[Key, ...] = wrong["loc"]
    name = str(path[-1]) if path else "the file"
    if wrong["type"] == "extra_forbidden":
        allowed = _keys_at(model, path[:-1])
        return document.problem(path, f"unknown key {name!r}", did_you_mean(name, allowed, "keys"), key=True)
    if wrong["type"] == "missing":
        return document.problem(path, f"the key {name!r} is missing", f"add {name!r} here")
    message = str(wrong["msg"]).removeprefix("Value error, ")
    allowed = re.findall(r"'([^']*)'", str(wrong.get("ctx", {}).get("expected", "")))
    # A validator of one's own gives its hint along.
    hint = did_you_mean(str(wrong["input"]), allowed, "values") if allowed else wrong.get("ctx", {}).get("hint")
    return document.problem(path, f"{_dotted(path)}: {message[:1].lower()}{message[1:]}", hint)


def _dotted(path: Sequence[Key]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).lstrip(".") or "the file"


def did_you_mean(word: str, allowed: Sequence[str], what: str) -> str | None:
    """A hint that names the nearest of the allowed words, or all of them; None when there are none."""
    if not allowed:
        return None
    near = difflib.get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"allowed {what}: {', '.join(allowed)}"


def _keys_at(model: type[BaseModel], path: Sequence[Key]) -> list[str]:
    """Keys that the models at ``path`` accept; parts that pydantic adds for unions are passed over."""
    models = [model]
    for part in path:
        inner = [
            each
            for one in models
            if part in one.model_fields
            for each in _models_in(one.model_fields[str(part)].annotation)
        ]
        models = inner or models
    names = [info.alias or name for one in models for name, info in one.model_fields.items()]
    return list(dict.fromkeys(names))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in islice(typing.get_args(annotation), 20):
        yield from _models_in(inner)
