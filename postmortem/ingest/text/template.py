"""What the numbers of a line mean, from the text between them.

Lines are grouped by shape (the line with every number replaced by ``MARK``), so each distinct shape is understood
once, however many lines have it. A number's meaning comes from the gap before it: a label, a counter such as
``Epoch [`` or ``Batch [200/``, a running average in brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from postmortem import names
from postmortem.ingest.text import counting, gaps, slots
from postmortem.ingest.text.counting import COUNTER_WORDS, COUNTING, OPENERS, Kind
from postmortem.ingest.text.gaps import MARK
from postmortem.ingest.text.slots import Field

_WORD_VALUE = re.compile(r"\w['\"]?\s*[=:]\s*['\"]?(?:True|False|None|true|false|null)\b")
_MANY_WORDS = 5
_PLURALS: dict[str, Kind] = {"steps": "step", "iterations": "step", "epochs": "epoch"}

NUMBER = (
    r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|(?:nan|NaN|NAN|inf|Inf|INF|Infinity)(?-u:\b))"
)
"""One printed number; Rust regex syntax."""

SLOT = rf"(^|[^0-9A-Za-z_@.\-+]|(?i:epoch|step|iter|rank|default)|\[GPU|\b(?i:ep)){NUMBER}"
"""A number where one can stand: not inside a word, a version or a name such as ``Acc@1``."""


@dataclass(frozen=True)
class Template:
    """A shape, understood.

    Attributes:
        fields: Its numbers that mean something.
        governs: Its counters hold for the lines that follow.
        bar: It is a progress bar.
        coverage: Share of the letters that belong to labels; low in prose.
        dump: One quoted pair and nothing else, as pretty-printed configuration has it.
        rank: The slot that says which of several processes wrote the line, or None.
    """

    fields: tuple[Field, ...]
    governs: bool = False
    bar: bool = False
    coverage: float = 0.0
    dump: bool = False
    rank: int | None = None

    @property
    def counted(self) -> bool:
        """The line says where in training it stands."""
        return any(item.kind in COUNTING for item in self.fields)


WHOLE_RUN = "run"
"""The split of a mean over all of training."""

_DUMP = re.compile(rf"\s*[{{\[]?\s*(['\"])[^'\"]+\1\s*:\s*{MARK}\s*[,}}]?\s*$")
_ARGUMENT = re.compile(rf"\s*[\w.]+={MARK}\)*,\s*$")  # of a call that is printed over many lines
_WORDS = re.compile(r"[^\W\d_]+")
_WRAPPED = re.compile(rf"\b{slots.NUMBER_CALL}(?=\()")


@lru_cache(maxsize=65536)
def understand(shape: str) -> Template:
    """The meaning of a shape's numbers.

    Args:
        shape: A line with ``MARK`` for each number.
    """
    if _ARGUMENT.match(shape) or states_settings(shape):
        return Template(())
    message = gaps.without_log_words(shape)
    prefix = shape[: len(shape) - len(message)]
    message = gaps.without_printing(message)
    fields = tuple(_moved(item, prefix.count(MARK)) for item in _read(message))
    return Template(
        fields,
        _governs(message.split(MARK, 1)[0], fields),
        "%|" in shape or _is_keras_bar(shape),
        _coverage(message, fields),
        bool(_DUMP.match(shape)),
        gaps.rank_slot(prefix),
    )


def _read(message: str) -> list[Field]:
    return _of_whole_run(_shared_best(_shared_splits(_best_counter(_counted(slots.read(message))))))


def _best_counter(fields: list[Field]) -> list[Field]:
    """In ``episode=10 timesteps=187`` the steps count, whatever else is counted."""
    at = next((n for n, item in enumerate(fields) if counting.is_step(item.label) and item.kind == "value"), None)
    coarse = next(
        (n for n, item in enumerate(fields) if item.kind == "step" and not counting.is_step(item.label)), None
    )
    if at is None or coarse is None:
        return fields
    kinds: dict[int, counting.Kind] = {at: "step", coarse: "value"}
    return [replace(item, kind=kinds.get(n, item.kind)) for n, item in enumerate(fields)]


def _of_whole_run(fields: list[Field]) -> list[Field]:
    """Beside ``train_runtime``, ``train_loss`` is Hugging Face's mean over the whole run."""
    if "train_runtime" not in {item.label for item in fields}:
        return fields
    return [replace(item, split=WHOLE_RUN) if item.label == "train_loss" else item for item in fields]


def states_settings(line: str) -> bool:
    """Whether a line gives many names words such as ``True`` and ``None`` beside numbers: no measurement does."""
    words = len(_WORD_VALUE.findall(line))
    return words >= _MANY_WORDS and words * 4 >= line.count(MARK)


def _counted(fields: list[Field]) -> list[Field]:
    """In ``steps: 10 loss: 2.98`` the first number counts: beside a measurement, ``steps`` is not what is planned."""
    first = fields[0] if fields else None
    kind = _PLURALS.get(first.label.lower()) if first is not None and first.kind == "value" else None
    measured = any(names.role(names.parse(item.label).metric) in ("loss", "score", "reward") for item in fields[1:])
    if first is None or kind is None or not measured or any(item.kind != "value" for item in fields):
        return fields
    return [replace(first, kind=kind), *fields[1:]]


def _moved(item: Field, by: int) -> Field:
    """A field of a message as one of the line, which has numbers before it."""
    part_of = None if item.part_of is None else item.part_of + by
    return replace(item, slot=item.slot + by, named=tuple(slot + by for slot in item.named), part_of=part_of)


def header_split(line: str) -> str | None:
    """The split a heading without numbers opens (``Validation:``, ``--- Training ---``), or None."""
    words = [word.lower() for word in _WORDS.findall(line)]
    splits = {names.split_word(word) for word in words} - {None}
    rest = [
        word for word in words if names.split_word(word) is None and word not in OPENERS | {"epoch", "set", "phase"}
    ]
    return splits.pop() if len(splits) == 1 and not rest and len(words) <= 4 else None


def _shared_splits(fields: list[Field]) -> list[Field]:
    """Gives labels without a split the one of the label before: ``Train Loss | Acc | Val Loss | Acc``.

    Only labels in prose hand theirs on (``Val Loss``; ``val_loss`` is complete in itself), and only to measurements of
    quality whose counterpart is not named in the line.
    """
    named = {(names.parse(item.label).split or item.split, names.parse(item.label).metric) for item in fields}
    shared: list[Field] = []
    running: str | None = None
    for item in fields:
        split, metric = names.parse(item.label)
        if split and item.kind == "value":
            running = split if " " in item.label or "-" in item.label else None
        heir = running and not split and item.split is None and item.kind == "value"
        if heir and (running, metric) not in named and names.role(metric) in ("loss", "score"):
            item = replace(item, split=running)  # noqa: PLW2901
        shared.append(item)
    return shared


def _shared_best(fields: list[Field]) -> list[Field]:
    """In ``Best model: loss=1.4, ppl=4.3`` everything is the best one's, not the last one's."""
    first = next((item for item in fields if item.kind == "value"), None)
    if first is None or not first.label.lower().startswith("best"):
        return fields
    return [
        item if item.kind != "value" or "best" in item.label.lower() else replace(item, label=f"best {item.label}")
        for item in fields
    ]


def _governs(opening: str, fields: tuple[Field, ...]) -> bool:
    """The line's first counter heads it, so its position holds for what follows."""
    if not fields or fields[0].kind not in COUNTING or fields[0].kind == "bar":
        return False
    words = _WORDS.findall(names.english(opening.lower()).replace("第", " "))
    known = COUNTER_WORDS | OPENERS
    return all(names.english_word(word) in known or names.split_word(word) for word in words)


def _coverage(message: str, fields: tuple[Field, ...]) -> float:
    letters = sum(map(len, _WORDS.findall(_WRAPPED.sub("", message))))
    labels = {item.slot: item.label for item in fields if not item.label.endswith("(avg)")}
    return sum(len(word) for label in labels.values() for word in _WORDS.findall(label)) / max(letters, 1)


def _is_keras_bar(shape: str) -> bool:
    return bool(re.search(r"\[[=>.━╸ ]{8,}\]|━{8,}", shape))
