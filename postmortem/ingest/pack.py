r"""Format packs: a YAML file that teaches a text format, with the samples that prove it.

A pack is refused when a sample does not give what it says, or when no sample hits one of its patterns. Patterns run
in Polars (Rust: linear time, no look-around); ``\d``, ``\w``, ``\s`` and ``\S`` mean ASCII, which is faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from postmortem import names, yamlfile
from postmortem.builtin import shipped
from postmortem.errors import FormatError, InputError, Problem
from postmortem.schema import EVENT_KINDS

POSITIONS = ("step", "epoch", "split", "batch", "batches")
"""Captures that say where a line stands; every other capture is a metric."""

_STRETCH = 30  # written lines
_CLASSES = {"d": "0-9", "w": "0-9A-Za-z_", "s": " \\t\\r\\n"}


def ascii_only(regex: str) -> str:
    """The pattern with its Perl classes rewritten for ASCII: 2 to 3 times faster in Rust's engine."""
    out: list[str] = []
    inside = False
    for token in re.findall(r"\\.|.", regex, re.S):
        letter = token[1:] if token[0] == "\\" else ""
        if letter in _CLASSES:
            out.append(_CLASSES[letter] if inside else f"[{_CLASSES[letter]}]")
        elif letter == "S":
            out.append("!-~" if inside else "[!-~]")
        else:
            inside = (token == "[" or inside) and token != "]"
            out.append(token)
    return "".join(out)


def _compiled(regex: Any) -> Any:
    if not isinstance(regex, str):
        return regex
    if re.search(r"(?<!\\)[*+?}]\+", regex):
        raise ValueError("possessive quantifiers (`++`) mean something else here; write a single one")
    pattern = ascii_only(regex)
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError as wrong:
        raise ValueError(
            f"not a pattern of Rust's regex (no look-around, no back-references): {_last_line(wrong)}"
        ) from None
    return pattern


def _last_line(wrong: Exception) -> str:
    lines = [line.strip() for line in str(wrong).splitlines() if line.strip()]
    return next((line for line in reversed(lines) if line.startswith("error:")), lines[-1] if lines else "invalid")


Pattern = Annotated[str, BeforeValidator(_compiled), Field(min_length=1, max_length=2000)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Line(_Strict):
    """A line that carries metrics.

    Attributes:
        name: For messages.
        regex: Named captures: ``step``, ``epoch`` and ``split`` say where the line stands, or ``batch`` of ``batches``
            in its epoch; ``rest`` holds key-value pairs; every other capture is a metric.
        split: Split of all metrics of the line.
        splits: Capture to split, where they differ within the line.
        labels: Capture to label, for labels that cannot name a capture (``val/loss``, ``grad norm``).
        scale: Capture or pair key to the factor its number is multiplied by (a ``K`` printed behind it is 1000).
        pairs: Pattern with the captures ``key`` and ``value``, applied over and over to ``rest``.
    """

    name: str
    regex: Pattern
    split: str | None = None
    splits: dict[str, str] = {}
    labels: dict[str, str] = {}
    scale: dict[str, float] = {}
    pairs: Pattern | None = None


class Context(_Strict):
    """A line that says where the lines after it stand, until the next one says otherwise.

    The captures ``epoch``, ``step`` and ``split`` are taken over; ``split`` as a key sets a fixed one ("" for none).
    """

    name: str
    regex: Pattern
    split: str | None = None


class Event(_Strict):
    """A line that tells of an event; the capture ``text`` is its text, else the whole line."""

    kind: Literal[EVENT_KINDS]  # type: ignore[valid-type]
    regex: Pattern


class Setting(_Strict):
    """A line that states configuration: the captures ``key`` and ``value``, or a fixed ``key`` and ``value``."""

    regex: Pattern
    key: str | None = None


class Sample(_Strict):
    """Lines of the format and what they give.

    Attributes:
        line: One line, or several when context matters.
        gives: ``nothing``, or what the lines give: ``step``, ``epoch``, ``split`` and ``event`` of the last of
            them, ``settings`` as a mapping, and the value of each label (the last, when it comes several times).
    """

    line: str
    gives: Literal["nothing"] | dict[str, Any]


class FormatPack(_Strict):
    """A text format: patterns by what their lines mean, and samples.

    Attributes:
        epochs_from: Number of the first epoch, which turns ``batch`` of ``batches`` into a step of the run.
        lines, context: A line belongs to the first pattern that hits it.
        events: May hit lines of ``context`` too.
        config: May hit lines of all other patterns too.
        ignore: Lines known to carry nothing; tried before all others.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    home: str | None = None
    kind: Literal["lines"] = "lines"
    epochs_from: Literal[0, 1] = 1
    lines: Annotated[list[Line], Field(min_length=1)]
    context: list[Context] = []
    events: list[Event] = []
    config: list[Setting] = []
    ignore: list[Pattern] = []
    samples: Annotated[list[Sample], Field(min_length=1)]

    def patterns(self) -> Iterator[tuple[str, int, str]]:
        """Every pattern of the pack with the list it stands in and its place there, in the order they are tried."""
        for at, regex in enumerate(self.ignore):
            yield "ignore", at, regex
        for part in ("lines", "context", "events", "config"):
            for at, entry in enumerate(getattr(self, part)):
                yield part, at, entry.regex

    def share(self, lines: pl.DataFrame) -> float:
        """The share of lines the pack knows in the best stretch of a LINES sample; 0 unless some carry metrics.

        A stretch, because logs open with source code, environments and model dumps of any length.
        """
        texts = lines["text"]
        texts = texts.filter(texts.str.strip_chars() != "")
        if not texts.str.contains(self.metric_pattern).any():
            return 0.0
        known = texts.str.contains(self._any_pattern)
        best = known.cast(pl.Float64).rolling_mean(min(_STRETCH, len(known))).max()
        return best if isinstance(best, float) else 0.0

    @cached_property
    def metric_pattern(self) -> str:
        """One pattern that hits what any of ``lines`` hits."""
        return _either(line.regex for line in self.lines)

    @cached_property
    def _any_pattern(self) -> str:
        return _either(regex for _, _, regex in self.patterns())


def _either(patterns: Iterable[str]) -> str:
    """One pattern for several, without captures, whose names must not come twice."""
    return "|".join(f"(?:{re.sub(_NAMED, '(?:', regex)})" for regex in patterns)


_NAMED = r"(?<!\\)\(\?P?<\w+>"


def with_metrics(packs: Iterable[FormatPack], lines: pl.DataFrame) -> list[FormatPack]:
    """The packs that find metrics in a LINES sample, all asked in one pass."""
    by_id = {pack.id: pack for pack in packs}
    hits = lines.select(pl.col("text").str.contains(pack.metric_pattern).any().alias(id) for id, pack in by_id.items())
    return [by_id[id] for id, hit in zip(hits.columns, hits.row(0), strict=True) if hit] if by_id else []


@dataclass(frozen=True)
class Packs:
    """The packs of one invocation, by id."""

    by_id: Mapping[str, FormatPack]

    def __iter__(self) -> Iterator[FormatPack]:
        """The packs in the order of their ids."""
        return iter(self.by_id.values())


def load_packs(folders: Iterable[Path] = ()) -> Packs:
    """The shipped packs and those of the folders given; a pack of the same id replaces the one before it.

    The samples of the shipped ones are run by the tests, and not again at every start.

    Raises:
        InputError: A folder is missing.
        FormatError: Some packs are wrong; holds the problems of all.
    """
    found: dict[str, FormatPack] = {}
    problems: list[Problem] = []
    ours = shipped("parsers")
    for folder in (ours, *folders):
        if not folder.is_dir():
            raise InputError(Problem("is no folder of format packs", str(folder)))
        for path in sorted(folder.glob("*.y*ml")):
            try:
                pack = load_pack(path, prove=folder != ours)
                found[pack.id] = pack
            except FormatError as wrong:
                problems.extend(wrong.problems)
    if problems:
        raise FormatError(problems)
    return Packs(dict(sorted(found.items())))


def load_pack(path_or_text: Path | str, source: str | None = None, *, prove: bool = True) -> FormatPack:
    """One pack; ``prove`` runs its samples.

    Raises:
        FormatError: With every problem of the file, each at its place.
    """
    document = yamlfile.load(path_or_text, source, FormatError)
    pack = yamlfile.validate(FormatPack, document, FormatError)
    problems = [*_lint(pack, document), *_check_samples(pack, document)] if prove else []
    if problems:
        raise FormatError(problems)
    return pack


def _lint(pack: FormatPack, document: yamlfile.Document) -> Iterator[Problem]:
    """Captures without a meaning, and patterns that would drop the very lines a post-mortem is for."""
    for at, line in enumerate(pack.lines):
        groups = captures(line.regex)
        where = ("lines", at, "regex")
        for name in sorted(({*line.splits} if line.pairs else {*line.splits, *line.labels, *line.scale}) - set(groups)):
            yield document.problem(
                ("lines", at),
                f"{name!r} is no capture of the pattern",
                yamlfile.did_you_mean(name, list(groups), "captures"),
            )
        if ("rest" in groups) != (line.pairs is not None):
            yield document.problem(where, "the capture `rest` and the key `pairs` need each other")
        for name, body in groups.items():
            if name not in (*POSITIONS, "rest") and _misses_nan(line.labels.get(name, name), body):
                yield document.problem(
                    where,
                    f"the capture {name!r} misses nan and inf, which a diverged run prints",
                    r"capture the number as \S+ (or [^,\s]+ before a comma)",
                )


_TOKEN = re.compile(r"\\.|\(\?P?<(?P<name>\w+)>|.", re.S)


def captures(regex: str) -> dict[str, str]:
    """Named captures of a pattern, in order, with their bodies."""
    found: dict[str, str] = {}
    opened: list[tuple[str | None, int]] = []
    inside = False  # a character class, in which brackets are plain
    for token in _TOKEN.finditer(regex):
        text = token.group()
        if inside or text == "[":
            inside = text != "]"
        elif text.startswith("("):
            opened.append((token["name"], token.end()))
            found.update({token["name"]: ""} if token["name"] else {})
        elif text == ")" and opened:
            name, start = opened.pop()
            found.update({name: regex[start : token.start()]} if name else {})
    return found


def _misses_nan(label: str, body: str) -> bool:
    if names.role(names.parse(label).metric) not in ("loss", "grad_norm", "adversarial"):
        return False
    return not pl.Series(["nan"]).str.contains(f"^(?:{body})$")[0]


def _check_samples(pack: FormatPack, document: yamlfile.Document) -> Iterator[Problem]:
    from postmortem.ingest import regex_reader  # noqa: PLC0415 - the reader needs the model, the check the reader

    texts = [text for sample in pack.samples for text in sample.line.splitlines()]
    for part, at, regex in pack.patterns():
        if not pl.Series(texts, dtype=pl.String).str.contains(regex).any():
            where = (part, at) if part == "ignore" else (part, at, "regex")
            yield document.problem(where, "no sample hits this pattern", "add a sample line for it, or mend it")
    given = regex_reader.gives(pack, [sample.line.splitlines() for sample in pack.samples])
    for at, (sample, got) in enumerate(zip(pack.samples, given, strict=True)):
        want = {} if sample.gives == "nothing" else dict(sample.gives)
        for name in sorted({*got, *want}, key=str):
            if not _same(got.get(name), want.get(name)):
                yield document.problem(
                    ("samples", at, "gives", name) if name in want else ("samples", at, "line"),
                    f"the sample gives {name}: {_shown(got, name)}, not {_shown(want, name)}",
                )


def _same(got: Any, want: Any) -> bool:
    if isinstance(got, float) and isinstance(want, (int, float)) and not isinstance(want, bool):
        return bool(got == want or (got != got and want != want))  # noqa: PLR0124 - NaN differs from itself
    if isinstance(got, dict) and isinstance(want, dict):
        return got == {key: str(value) for key, value in want.items()}
    return bool(got == want)


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "nothing"
