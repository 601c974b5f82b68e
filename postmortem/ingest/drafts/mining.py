"""Templates of a log: lines that say the same with other numbers, grouped.

The method is that of online log parsers, Drain (He et al., ICWS 2017) and Spell (Du and Li, ICDM 2016): lines are cut
into tokens, numbers are masked, lines of one structure are compared word by word, and words that differ become places
that vary. Unlike theirs, a word that names a number never varies: ``loss 0.5`` and ``acc 0.5`` say different things.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import polars as pl

from postmortem import names
from postmortem.ingest.lines import sample
from postmortem.ingest.text import clock, gaps

Kind = Literal["number", "word", "mark"]

_ALIKE = 0.5  # share of words two lines of one template have in common; the threshold Drain is published with
_LONGEST = 2_000  # characters of a line that can be a record a person would describe
_MOST = 2_000  # templates; the lines of a log that has more are not made by one program
_SEPARATORS = {":", "=", "(", "[", "{", "<", ">", "~", "→", '"', "'"}

_PLAIN = r"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NUMBER = rf"[-+]?(?:\d{{1,3}}(?:,\d{{3}})+(?!\d)(?:\.\d+)?|{_PLAIN}|(?:nan|NaN|NAN|[iI]nf|INF|Infinity)\b)"
_LETTERS = r"(?i:epoch|ep|e|step|st|s|iter|it|i|batch|b|update|u|round|r)"
_COUNTER = rf"{_LETTERS}(?=\d+(?:[^\w.]|$|{_LETTERS}\d))"  # `E3`, `step120`, `E03B017`
_TOKEN = re.compile(
    rf"(?P<gap>\s*)(?:(?P<clock>\d+(?:[-/:]\d+){{2,}}(?:[.,]\d+)?|\d+:\d\d\b(?:\.\d+)?)|(?P<counter>{_COUNTER})"
    rf"|(?P<number>{_NUMBER})|(?P<word>\w(?:[\w./@%+\-]*[\w%])?)|(?P<mark>\S))"
)


class Token(NamedTuple):
    """A piece of a line; ``gap`` is the white space before it."""

    kind: Kind
    text: str
    gap: str


@dataclass
class Template:
    """Lines of one template.

    Attributes:
        tokens: Those of its first line.
        stamp: The timestamp before the first line, or "".
        rows: The tokens of every line, in file order.
        lines, texts: Line number and text of every line.
        varies: Places of words that are not always the same.
    """

    tokens: tuple[Token, ...]
    stamp: str
    rows: list[tuple[Token, ...]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    varies: set[int] = field(default_factory=set)

    def told(self, place: int) -> list[str]:
        """What stood at a place, line by line."""
        return [row[place].text for row in self.rows]

    def gaps(self, place: int) -> set[str]:
        """The white space that stood before a place."""
        return {row[place].gap for row in self.rows}

    def numbers(self) -> list[int]:
        """The places of numbers."""
        return [at for at, token in enumerate(self.tokens) if token.kind == "number"]


def mine(lines: pl.DataFrame) -> list[Template]:
    """The templates of a LINES frame, in the order in which they come; of a large file those of a sample."""
    probe = sample(lines)
    probe = probe.filter(pl.col("text").str.len_chars() <= _LONGEST)
    stamped = clock.stamp(probe, probe).select("line", "text", "stamp", "body")
    found: dict[tuple[str, ...], list[Template]] = {}
    count = 0
    for line, text, stamp, body in stamped.iter_rows():
        tokens = tuple(tokenize(body))
        alike = found.setdefault(_structure(tokens), [])
        template = next((each for each in alike if _joins(each, tokens)), None)
        if template is None and tokens and count < _MOST:
            template = Template(tokens, stamp if stamp and text.startswith(stamp) else "")
            alike.append(template)
            count += 1
        if template is not None:
            _add(template, line, text, tokens)
    return sorted((each for alike in found.values() for each in alike), key=lambda each: each.lines[0])


def tokenize(text: str) -> Iterator[Token]:
    """Numbers, words and single marks of a line."""
    at, counter = 0, False
    while found := _TOKEN.match(text, at):
        kind = found.lastgroup or "mark"
        if kind == "number" and not counter and gaps.goes_on(text[found.end() :]):
            # A version, a hash, a name such as `3x3`: a word.
            found = _WORD.match(text, at) or found
            kind = "word"
        yield Token(_KINDS[kind], found[0][len(found["gap"]) :], found["gap"])
        at, counter = found.end(), kind == "counter"


_WORD = re.compile(r"(?P<gap>\s*)[-+]?[\w.](?:[\w./@%+\-]*[\w%])?")
_KINDS: dict[str, Kind] = {"clock": "word", "counter": "word", "number": "number", "word": "word", "mark": "mark"}


def _structure(tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(token.text if token.kind == "mark" else token.kind for token in tokens)


def _joins(template: Template, tokens: Sequence[Token]) -> bool:
    """Whether a line of a template's structure says the same."""
    words = [at for at, token in enumerate(tokens) if token.kind == "word"]
    differing = [at for at in words if template.tokens[at].text != tokens[at].text]
    if not all(_may_vary(template.tokens[at].text, tokens[at].text, at, tokens) for at in differing):
        return False
    return not words or len(words) - len(differing) >= _ALIKE * len(words) or _all_given(template, tokens, differing)


def _all_given(template: Template, tokens: Sequence[Token], differing: Sequence[int]) -> bool:
    """Whether lines differ in nothing but their split and names with digits, of which a short line has little else."""
    return all(_is_name(template.tokens[at].text, tokens[at].text) for at in differing)


def _may_vary(one: str, other: str, at: int, tokens: Sequence[Token]) -> bool:
    return _is_name(one, other) or not names_number(tokens, at)


def _is_name(one: str, other: str) -> bool:
    both = (one, other)
    return all(names.split_word(word) for word in both) or all(any(map(str.isdigit, word)) for word in both)


def names_number(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word is part of the words before a number: ``grad`` and ``norm`` of ``grad norm = 3``."""
    after = at + 1
    while after < len(tokens) and tokens[after].kind == "word":
        after += 1
    while after < len(tokens) and tokens[after].text in _SEPARATORS:
        after += 1
    return after < len(tokens) and tokens[after].kind == "number"


def _add(template: Template, line: int, text: str, tokens: tuple[Token, ...]) -> None:
    template.varies.update(
        at for at, (one, other) in enumerate(zip(template.tokens, tokens, strict=True))
        if one.kind == "word" and one.text != other.text
    )  # fmt: skip
    template.rows.append(tokens)
    template.lines.append(line)
    template.texts.append(text)
