r"""Format packs: a YAML file that teaches a text format, with the samples that prove it.

A pack is refused when a sample does not give what it says, or when no sample hits one of its patterns.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from postmortem import names, yamlfile
from postmortem.builtin import shipped
from postmortem.errors import ConfigError, FormatError, InputError, Problem
from postmortem.ingest.packs.needed import needed_text
from postmortem.ingest.packs.regex import Pattern, captures, either
from postmortem.schema import EVENT_KINDS

POSITIONS = ("step", "epoch", "split", "batch", "batches")
"""Captures, and labels of captures, that say where a line stands; every other capture is a metric."""

NOTHING = "nothing"
"""Label of a capture or a column that is not to be read."""

_STRETCH = 30  # written lines


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
        labels: Capture to label, for labels that cannot name a capture (``val/loss``, ``grad norm``); one of
            ``POSITIONS`` makes the capture that position, ``nothing`` drops it.
        scale: Capture or pair key to the factor its number is multiplied by (a ``K`` printed behind it is 1000).
        pairs: Pattern with the captures ``key`` and ``value``, applied over and over to ``rest``. A capture ``split``
            (``[valid] loss=0.5, acc=0.8``) holds until the next one.
    """

    name: str
    regex: Pattern
    split: str | None = None
    splits: dict[str, str] = {}
    labels: dict[str, str] = {}
    scale: dict[str, float] = {}
    pairs: Pattern | None = None

    @property
    def positions(self) -> dict[str, str]:
        """Captures that a label makes a position."""
        return {capture: label for capture, label in self.labels.items() if label in POSITIONS}


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


class _Pack(_Strict):
    """What every pack says of itself."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    home: str | None = None
    samples: Annotated[list[Sample], Field(min_length=1)]

    _own: bool = PrivateAttr(default=False)

    @property
    def own(self) -> bool:
        """Whether it is the user's own, which is asked before all others."""
        return self._own

    def owned(self) -> Self:
        """This pack, said to be the user's own."""
        self._own = True
        return self


class FormatPack(_Pack):
    """A text format: patterns by what their lines mean, and samples.

    Attributes:
        epochs_from: Number of the first epoch, which turns ``batch`` of ``batches`` into a step of the run.
        lines, context: A line belongs to the first pattern that hits it.
        events: May hit lines of ``context`` too.
        config: May hit lines of all other patterns too.
        ignore: Lines known to carry nothing; tried before all others.
    """

    kind: Literal["lines"] = "lines"
    epochs_from: Literal[0, 1] = 1
    lines: Annotated[list[Line], Field(min_length=1)]
    context: list[Context] = []
    events: list[Event] = []
    config: list[Setting] = []
    ignore: list[Pattern] = []

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
        return either(line.regex for line in self.lines)

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """One of these stands in every text with metrics; see ``needed_text``."""
        return tuple(needed_text(line.regex) for line in self.lines)

    def metric_pattern_in(self, text: str) -> str:
        """``metric_pattern`` without the lines that a text (in lower case) cannot hold; "" when it can hold none."""
        return either(line.regex for line, need in zip(self.lines, self.needed, strict=True) if need in text)

    @cached_property
    def _any_pattern(self) -> str:
        return either(regex for _, _, regex in self.patterns())


class ColumnPack(_Pack):
    """A JSON or table format whose keys or columns have names of their own.

    Attributes:
        kind: ``json`` is one document or an object a line; ``table`` has a header and one separator.
        columns: Name as printed (of JSON the key alone, without those around it) to what it means: ``step``,
            ``epoch``, ``time``, ``split``, ``batch``, ``nothing``, or a metric as a log would print it (``val loss``).
            Names that are not listed keep their own meaning.
    """

    kind: Literal["json", "table"]
    columns: Annotated[dict[str, Annotated[str, Field(min_length=1)]], Field(min_length=1)]


Pack = FormatPack | ColumnPack


def with_metrics(packs: Iterable[Pack], lines: pl.DataFrame) -> list[FormatPack]:
    """The packs that find metrics in a LINES sample, all asked in one pass."""
    by_id = {pack.id: pack for pack in packs if isinstance(pack, FormatPack)}
    text = "\n".join(lines["text"]).lower()
    asked = {id: pattern for id, pack in by_id.items() if (pattern := pack.metric_pattern_in(text))}
    hits = lines.select(pl.col("text").str.contains(pattern).any().alias(id) for id, pattern in asked.items())
    return [by_id[id] for id, hit in zip(hits.columns, hits.row(0), strict=True) if hit] if asked else []


@dataclass(frozen=True)
class Packs:
    """The packs of one invocation, by id."""

    by_id: Mapping[str, Pack]

    def __iter__(self) -> Iterator[Pack]:
        """The packs in the order of their ids."""
        return iter(self.by_id.values())


def load_packs(paths: Iterable[Path] = ()) -> Packs:
    """The shipped packs and those of the folders or files given; a pack of the same id replaces the one before it.

    The samples of the shipped ones are run by the tests, and not again at every start.

    Raises:
        InputError: A path is missing.
        FormatError: Some packs are wrong; holds the problems of all.
    """
    found = {pack.id: pack for pack in _shipped_packs()}
    found |= {pack.id: pack.owned() for pack in _loaded(paths, prove=True)}
    return Packs(dict(sorted(found.items())))


@lru_cache(maxsize=1)
def _shipped_packs() -> tuple[Pack, ...]:
    return tuple(_loaded([shipped("parsers")], prove=False))


def stated_in(config: Path) -> list[Path]:
    """The folders and files that ``use`` in ``[formats]`` of a ``postmortem.toml`` names, from the folder it lies in.

    Raises:
        ConfigError: Not readable, no TOML, or ``use`` is no list of texts.
    """
    try:
        section = tomllib.loads(config.read_text(encoding="utf-8")).get("formats", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(Problem(f"cannot be read: {error}", str(config))) from None
    use = section.get("use", []) if isinstance(section, dict) else None
    if not isinstance(use, list) or not all(isinstance(path, str) for path in use):
        raise ConfigError(Problem('[formats] use must be a list of paths, as in use = ["my-formats/"]', str(config)))
    return [config.parent / path for path in use]


def prove(paths: Iterable[Path]) -> list[Pack]:
    """The packs in folders or files, linted and with their samples run.

    Raises:
        InputError: A path is missing.
        FormatError: Some packs are wrong; holds the problems of all.
    """
    return _loaded(paths, prove=True)


def _loaded(paths: Iterable[Path], *, prove: bool) -> list[Pack]:
    found: list[Pack] = []
    problems: list[Problem] = []
    for path in (file for each in paths for file in _pack_files(each)):
        try:
            found.append(load_pack(path, prove=prove))
        except FormatError as wrong:
            problems.extend(wrong.problems)
    if problems:
        raise FormatError(problems)
    return found


def _pack_files(path: Path) -> list[Path]:
    if not path.exists():
        raise InputError(Problem("there is no such format pack or folder of them", str(path)))
    return sorted(path.glob("*.y*ml")) if path.is_dir() else [path]


def load_pack(path_or_text: Path | str, source: str | None = None, *, prove: bool = True) -> Pack:
    """One pack; ``prove`` lints it and runs its samples.

    Raises:
        FormatError: With every problem of the file, each at its place.
    """
    document = yamlfile.load(path_or_text, source, FormatError)
    pack = _validated(document)
    problems = proof(pack, document) if prove else []
    if problems:
        raise FormatError(problems)
    return pack


def load_unproved(path: Path) -> tuple[Pack, list[Problem]]:
    """One pack, and what its lint and its samples say against it.

    Raises:
        FormatError: The file is no pack.
    """
    document = yamlfile.load(path, None, FormatError)
    pack = _validated(document)
    return pack, proof(pack, document)


def _validated(document: yamlfile.Document) -> Pack:
    kind = document.data.get("kind", "lines") if isinstance(document.data, dict) else "lines"
    if kind not in ("lines", "json", "table"):
        hint = yamlfile.did_you_mean(str(kind), ("lines", "json", "table"), "kinds")
        raise FormatError(document.problem(("kind",), f"{kind!r} is no kind of format", hint))
    if kind == "lines":
        return yamlfile.validate(FormatPack, document, FormatError)
    return yamlfile.validate(ColumnPack, document, FormatError)


def proof(pack: Pack, document: yamlfile.Document) -> list[Problem]:
    """Everything that speaks against a pack: its lint, and samples that do not give what they say."""
    found = [*_lint(pack, document), *_unhit(pack, document)] if isinstance(pack, FormatPack) else []
    return [*found, *_check_samples(pack, document)]


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


def _misses_nan(label: str, body: str) -> bool:
    if names.role(names.parse(label).metric) not in ("loss", "grad_norm", "adversarial"):
        return False
    return not pl.Series(["nan"]).str.contains(f"^(?:{body})$")[0]


def _unhit(pack: FormatPack, document: yamlfile.Document) -> Iterator[Problem]:
    """Patterns that no sample proves."""
    texts = [text for sample in pack.samples for text in sample.line.splitlines()]
    for part, at, regex in pack.patterns():
        if not pl.Series(texts, dtype=pl.String).str.contains(regex).any():
            where = (part, at) if part == "ignore" else (part, at, "regex")
            yield document.problem(where, "no sample hits this pattern", "add a sample line for it, or mend it")


def given_by(pack: Pack, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """What a pack reads in each sample, in the words of ``gives``."""
    from postmortem.ingest.packs import column_reader, regex_reader  # noqa: PLC0415 - readers need the models above

    texts = [sample.line.splitlines() for sample in samples]
    return regex_reader.gives(pack, texts) if isinstance(pack, FormatPack) else column_reader.gives(pack, texts)


def _check_samples(pack: Pack, document: yamlfile.Document) -> Iterator[Problem]:
    given = given_by(pack, pack.samples)
    for at, (sample, got) in enumerate(zip(pack.samples, given, strict=True)):
        want = {} if sample.gives == "nothing" else dict(sample.gives)
        for name in sorted({*got, *want}, key=str):
            if not _same(got.get(name), want.get(name)):
                yield document.problem(
                    ("samples", at, "gives", name) if name in want else ("samples", at, "line"),
                    f"the sample gives {name}: {_shown(got, name)}, not {_shown(want, name)}",
                    f"if that is right, `postmortem formats try {document.source} LOG --accept` writes it here",
                )


def _same(got: Any, want: Any) -> bool:
    if isinstance(got, float) and isinstance(want, (int, float)) and not isinstance(want, bool):
        return bool(got == want or (got != got and want != want))  # noqa: PLR0124 - NaN differs from itself
    if isinstance(got, dict) and isinstance(want, dict):
        return got == {key: str(value) for key, value in want.items()}
    return bool(got == want)


def _shown(values: Mapping[str, Any], name: str) -> str:
    return repr(values[name]) if name in values else "nothing"
