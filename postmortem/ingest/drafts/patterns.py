"""From a mined template to the pattern of a pack: which numbers say where a line stands, and what the others are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from postmortem import names
from postmortem.ingest.drafts.mining import Template, Token, names_number
from postmortem.ingest.structured import axes
from postmortem.ingest.text import gaps

_SHORT = {"e": "epoch", "ep": "epoch", "b": "batch", "i": "step", "s": "step", "st": "step", "u": "step", "r": "step"}
_PASSING = frozenset(("eta", "remaining", "left", "pid", "port"))  # numbers that are nobody's measurement
_TIMES = {"s": "seconds", "sec": "seconds", "secs": "seconds", "ms": "ms", "min": "minutes"}
_TAKING = ("in", "took", "after")  # words before a time
_META = re.compile(r"([\\.+*?()|\[\]{}^$])")


@dataclass(frozen=True)
class Slot:
    """One number of a template.

    Attributes:
        place: Of its token.
        capture: Name in the pattern; None for a number that is not read.
        label: A position, or what the number is called.
        named: The log names it; else the label is a placeholder.
        first, last: As printed.
    """

    place: int
    capture: str | None
    label: str
    named: bool
    first: str
    last: str

    @property
    def position(self) -> bool:
        """Whether it says where the line stands."""
        return self.label in ("epoch", "step", "batch", "batches")


@dataclass(frozen=True)
class Drafted:
    """A pattern for the lines of a template.

    Attributes:
        regex: In Rust's syntax; all of the line.
        split: Split of every line, when one word of the lines says it.
        starts_at: Least epoch in it, or None.
    """

    template: Template
    regex: str
    slots: tuple[Slot, ...] = field(default=())
    split: str | None = None
    starts_at: float | None = None

    @property
    def measured(self) -> list[Slot]:
        """The numbers it reads as metrics."""
        return [slot for slot in self.slots if slot.capture and not slot.position]


def drafted(template: Template) -> Drafted:
    """A pattern for a template."""
    kinds = _positions(template)
    slots = tuple(_named(template, kinds))
    captures = {slot.place: slot.capture for slot in slots if slot.capture}
    splits = [at for at in template.varies if all(names.split_word(word) for word in template.told(at))]
    epochs = [_value(text) for slot in slots if slot.label == "epoch" for text in template.told(slot.place)]
    regex = "".join(_regex(template, captures | dict.fromkeys(splits[:1], "split")))
    split = None if splits else _split(template, [slot.label for slot in slots])
    return Drafted(template, f"^{regex}$", slots, split, min(epochs, default=None))


# --- positions ----------------------------------------------------------------------------------------------


def _positions(template: Template) -> dict[int, str]:
    """What the counters of a template are, by place.

    By their names; a counter without one by what it does: one that never goes back counts epochs when another one
    follows it and steps when none does, one that goes back counts batches.
    """
    kinds: dict[int, str] = {}
    for at in template.numbers():
        if at in kinds:
            continue
        kind = _named_position(template, at) or _silent_position(template, at)
        if kind is None and kinds.get(at - 2) == "epoch" and _label(template, at) is None and _goes_back(template, at):
            kind = "batch"
        if kind and kind not in kinds.values() and _whole(template, at):
            kinds[at] = kind
            if (total := _total(template, at)) is not None:
                kinds[total] = "batches" if kind == "batch" else "total"
    return _as_batches(template, kinds)


def _as_batches(template: Template, kinds: dict[int, str]) -> dict[int, str]:
    """A step beside an epoch that starts again with it is a batch."""
    at = {kind: place for place, kind in kinds.items()}
    if "epoch" in at and "step" in at and "batch" not in at and _goes_back(template, at["step"]):
        kinds[at["step"]] = "batch"
        if (total := _total(template, at["step"])) is not None:
            kinds[total] = "batches"
    return kinds


def _named_position(template: Template, at: int) -> str | None:
    label = _label(template, at)
    if label is None:
        return None
    words = [word for word in re.split(r"[\s_.#]+", label.lower()) if word and names.split_word(word) is None]
    plain = "_".join(words)
    if plain in ("batch", "minibatch", "batch_idx"):
        return "batch"
    found = axes.choose([plain])
    return "epoch" if found.epoch else "step" if found.step else _SHORT.get(plain)


def _silent_position(template: Template, at: int) -> str | None:
    """The kind of a counter without a name: ``12/100``, a whole number that opens the line, one that counts by ones."""
    if _label(template, at) is not None:
        return None
    later = [other for other in template.numbers() if other > at and _total(template, other) is not None]
    if _total(template, at) is not None:
        return "batch" if _goes_back(template, at) else "epoch" if later else "step"
    if not _whole(template, at) or _goes_back(template, at) or len(set(template.told(at))) < 3:
        return None
    after = at + 2
    if after in template.numbers() and _label(template, after) is None and _goes_back(template, after):
        return "epoch"  # the batch within it follows
    return "step" if at == template.numbers()[0] or _counts(template, at) else None


def _counts(template: Template, at: int) -> bool:
    """Whether a number grows by one and the same step from line to line."""
    told = [_value(text) for text in template.told(at)]
    return len({other - one for one, other in pairwise(told)}) == 1


def _total(template: Template, at: int) -> int | None:
    """The place of the number that a counter runs to, as in ``12/100`` and ``12 of 100``."""
    tokens = template.tokens
    counted = at + 2 < len(tokens) and tokens[at + 1].text in ("/", "of") and tokens[at + 2].kind == "number"
    return at + 2 if counted and len(set(template.told(at + 2))) == 1 else None


def _whole(template: Template, at: int) -> bool:
    return all(re.fullmatch(r"[\d,]+(?:\.0*)?", text) for text in template.told(at))


def _goes_back(template: Template, at: int) -> bool:
    told = template.told(at)
    return _whole(template, at) and any(_value(one) > _value(other) for one, other in pairwise(told))


def _value(text: str) -> float:
    return float(text.replace(",", ""))


# --- names --------------------------------------------------------------------------------------------------


def _named(template: Template, kinds: dict[int, str]) -> Iterator[Slot]:
    taken: set[str] = {"split", "rest"}
    above, number = "", 0
    for at in template.numbers():
        told = template.told(at)
        printed = _label(template, at)
        if at not in kinds:
            took = _unit(template, at) if printed in _TAKING else None
            printed = took or printed or _average_of(template, at, above) or _unit(template, at)
            above = printed or above
        number += printed is None and kinds.get(at) not in ("total", "batches")
        label = kinds.get(at) or printed or f"n{number}"
        named = printed is not None or label == "batches"
        read = label != "total" and label.lower() not in _PASSING and (bool(kinds.get(at)) or _measures(label, told))
        capture = _capture(label if named else f"n{number}", taken) if read else None
        yield Slot(at, capture, label, named, told[0], told[-1])


def _measures(label: str, told: Sequence[str]) -> bool:
    """Whether numbers can be a metric: a whole one that never changes is a size or an id, if its name tells nothing."""
    return len(set(told)) > 1 or "." in told[0] or names.role(names.parse(label).metric) not in ("other", "count")


def _capture(label: str, taken: set[str]) -> str:
    """A name for a group of a pattern that no other group has."""
    plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_") or "n"
    plain = plain if plain[0].isalpha() else f"n_{plain}"
    name = next(each for each in (plain, *(f"{plain}_{n}" for n in range(2, 1000))) if each not in taken)
    taken.add(name)
    return name


def _label(template: Template, at: int) -> str | None:
    """The words that name a number, as printed before it; without the word that tells the lines' splits apart."""
    tokens = template.tokens
    if at and tokens[at - 1].kind == "word" and not tokens[at].gap:
        return tokens[at - 1].text  # `E3`
    first = max((place for place in template.numbers() if place < at), default=-1) + 1
    before = [tokens[place] for place in range(first, at) if place not in template.varies]
    text = "".join(token.gap + token.text for token in before) + tokens[at].gap
    found = gaps.label(text if first == 0 else gaps.without_unit(text))
    if found and any(map(str.isalpha, found.label)):
        return found.label
    return _word_in_brackets(before)


def _word_in_brackets(before: Sequence[Token]) -> str | None:
    """``L{0.5}``, ``|g| <0.5>``: the word before whatever brackets and bars a number is set in."""
    bare = list(before)
    while bare and bare[-1].kind == "mark" and bare[-1].text in "{[(<|~→>":
        bare.pop()
    return bare[-1].text if bare and len(bare) < len(before) and bare[-1].text.isalpha() else None


def _average_of(template: Template, at: int, above: str) -> str | None:
    """``loss 0.5 (0.6)``: the running average of what stands before it."""
    text = [token.text for token in template.tokens]
    inside = at > 1 and text[at - 1] == "(" and at + 1 < len(text) and text[at + 1] in (")", "%")
    directly = inside and (template.tokens[at - 2].kind == "number" or text[at - 2] == "%")
    return f"{above} (avg)" if above and directly else None


def _unit(template: Template, at: int) -> str | None:
    """The unit printed behind a number, which names it when nothing before it does: ``12.3 it/s``, ``4.1s``."""
    after = template.tokens[at + 1] if at + 1 < len(template.tokens) else None
    if after is None or after.kind != "word":
        return None
    rate = re.fullmatch(r"[A-Za-z]+/[A-Za-z]+", after.text)
    return after.text if rate else None if after.gap else _TIMES.get(after.text)


def _split(template: Template, labels: Sequence[str]) -> str | None:
    """The split that a line's own words name, unless its labels do."""
    if any(names.parse(label).split for label in labels):
        return None
    words = {
        names.split_word(token.text)
        for at, token in enumerate(template.tokens)
        if token.kind == "word" and not (names_number(template.tokens, at) and at > 2)
    }
    known = words - {None}
    return known.pop() if len(known) == 1 else None


# --- the pattern --------------------------------------------------------------------------------------------


def _regex(template: Template, captures: dict[int, str]) -> Iterator[str]:
    yield re.sub(r"\d+", r"\\d+", _escaped(template.stamp))
    for at, token in enumerate(template.tokens):
        yield _space(template, at)
        if token.kind == "number":
            body = _number(template, at)
            yield f"(?P<{captures[at]}>{body})" if at in captures else f"(?:{body})" if "|" in body else body
        elif at in captures:
            yield rf"(?P<{captures[at]}>\w+)"
        else:
            yield r"[^\s]+" if at in template.varies else _escaped(token.text)
    yield r"\s*"


def _escaped(text: str) -> str:
    return _META.sub(r"\\\1", text)


def _space(template: Template, at: int) -> str:
    """White space before a token: as it always was; before a number any, because numbers are set in columns."""
    seen = template.gaps(at)
    if template.tokens[at].kind == "number" and at and template.tokens[at - 1].kind != "word":
        return r"\s*" if template.tokens[at - 1].kind == "mark" else r"\s+"
    if "" in seen:
        return r"\s*" if len(seen) > 1 else ""
    return " " if seen == {" "} and template.tokens[at].kind != "number" else r"\s+"


def _number(template: Template, at: int) -> str:
    """A number as it may come in another run too, ``nan`` included: all up to what always follows it.

    Where no word of the line is fixed, the pattern must say itself that it is a number.
    """
    after = template.tokens[at + 1] if at + 1 < len(template.tokens) else None
    glued = after is not None and "" in template.gaps(at + 1)
    fixed = any(token.kind == "word" and place not in template.varies for place, token in enumerate(template.tokens))
    inside = after is not None and (after.text in ".+-" or any(after.text in text for text in template.told(at)))
    if after is not None and after.kind == "mark" and template.gaps(at + 1) == {""} and not inside:
        digits = rf"[^{_in_class(after.text)}\s]"
        return f"{digits}+" if fixed else rf"-?\d{digits}*|nan|inf"
    some = "?" if glued else ""
    return rf"\S+{some}" if fixed else rf"-?\d\S*{some}|nan|inf"


def _in_class(mark: str) -> str:
    return f"\\{mark}" if mark in "]^-[\\" else mark
