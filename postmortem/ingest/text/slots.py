"""The numbers of one shape, read from left to right: labels, counters and their totals, averages, lists."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from postmortem import names
from postmortem.ingest.text import counting, gaps
from postmortem.ingest.text.counting import TOTAL_OF, Kind
from postmortem.ingest.text.gaps import MARK


@dataclass(frozen=True)
class Field:
    """One number of a shape.

    Attributes:
        slot: 0-based position among the shape's numbers.
        kind: ``value`` for a measurement, ``part`` for what is added to one; else a counter, or (plural) its total.
        label: The name as printed; of a list's members with their index, of a running average with ``(avg)``. Each
            ``MARK`` in it stands for the number of a slot in ``named``.
        split: The split that the line gives it, or None.
        strong: A ``:`` or ``=`` stands between label and number.
        scale: Factor of a glued unit: ``131.5K`` is 131500, ``2m`` is 120 seconds.
        named: Slots whose numbers are part of the label, as in ``AP .75: 0.31``.
        part_of: The slot a ``part`` is added to, as the 25 in ``13m 25s``.
    """

    slot: int
    kind: Kind
    label: str
    split: str | None = None
    strong: bool = True
    scale: float = 1.0
    named: tuple[int, ...] = ()
    part_of: int | None = None


_CALL = re.compile(r"(?P<name>[A-Za-z_][\w.]*)?\(|\)")
NUMBER_CALL = r"(?:j?np\.|torch\.|numpy\.)?(?:tensor|[aA]rray|float\d*|int\d*)"
"""What wraps a number when Python prints it."""

_NO_CALLS = re.compile(f"{NUMBER_CALL}$")
_NO_LABEL = re.compile(r"['\"\\`]|\.(?:py|h|hpp|cc|cpp|c|cu|go|rs|js|ts|java|yaml|yml|json|txt|sh)$|^https?$|//")
_MOST_MEMBERS = 16
_SKIPPED = frozenset(("eta", "remaining", "pid", "port", "line", "in"))
_WORDS = re.compile(r"[^\W\d_]+")
_PASS = re.compile(r"\w\((\w+)\)\s*[\[(]\s*$")
_OF_MEAN = re.compile(r"(?i)(?:avg|average|mean)[ _]")
_AVERAGE = re.compile(r"^%?[A-Za-z]{0,3}\s*\(\s*$")
_NEXT_COUNTER = re.compile(r"^\]?\s*,?\s*[\[(]\s*$")
_BARRED = re.compile(r"%\|[^|]*\|\s*$|^\s*\|[^|]*\|\s*$")
_DRAWN = re.compile(r"\s*\[=*>?\.*\]\s")  # with its counter at the end: "[===>..] | Loss: 0.3 | 128/391"
# "epoch complete epoch=3": behind the message of a structured log, a field is one word.
_FIELD = re.compile(
    r"(?i)(?!.*\b(?:per|max|min|best|total|num|number|of|warm-?up|last|first|start|final|every|next)\b)"
    r".* (?P<name>\w+)$"
)
_NAMES = re.compile(r"\)?\s*[:=]\s+$")
_TELLS = re.compile(r"[\s)\],]*(?::|=|\bis|\bwas|->)\s*$")
_KNOWN = ("loss", "score", "reward")
_PAIR = re.compile(r"(?P<head>.*?)\(?\b(?P<one>[A-Za-z]+)\s*/\s*(?P<other>[A-Za-z]+)\b\)?(?P<tail>.*)$")
_OF_GRADIENTS = re.compile(r"\W*\[(?P<tag>(?i:grad)[\w -]*)\]\s*(?P<part>[\w./ \[\]-]*:\s+|)")
_KEYS = re.compile(r"""(['"])(?P<key>[^'"]{1,60})\1\s*:\s*\{|\}""")
_TIMES = {"d": 86400.0, "h": 3600.0, "hr": 3600.0, "m": 60.0, "min": 60.0, "s": 1.0, "sec": 1.0, "ms": 1e-3}
_TIME_UNIT = re.compile(r"(d|hr?|m(?:in)?|s(?:ec)?|ms)(?![A-Za-z0-9_/])")
_THOUSANDS = re.compile(r"[Kk](?![A-Za-z0-9_])")


@dataclass
class _State:
    """What has been read of the line so far.

    Attributes:
        texts: What stands before, between and behind the numbers.
        section: A heading within the line, put before labels (``Gate - ``).
        path: Keys of the nested dicts that are open.
        listed: The first member of the list that is open.
        calls: For each open bracket, whether a function's name stands before it.
        naming: Slot and words that become part of the next number's label.
        quantity: What following numbers measure that name only a split.
        pending: The measurement of a counter read just now (``Loss at epoch 3: ``).
        barred: A bar follows the number (``loss 0.3: 45%|###``).
        fraction: The label of a number that goes on in ``/``: ``Accuracy: 9815/10000 (98%)``.
        pair: Slot and split of the second number of ``loss (train/val) = 0.3/0.4``.
    """

    texts: list[str]
    fields: list[Field] = field(default_factory=list)
    split: str | None = None
    section: str = ""
    path: list[str] = field(default_factory=list)
    listed: Field | None = None
    calls: list[bool] = field(default_factory=list)
    naming: tuple[int, str] | None = None
    quantity: str = ""
    pending: str = ""
    barred: bool = False
    fraction: str = ""
    pair: tuple[int, str] | None = None


def read(message: str) -> list[Field]:
    """What the numbers of a message mean that mean something.

    Args:
        message: A line with ``MARK`` for each number.
    """
    texts = message.split(MARK)
    state = _State(texts)
    for at in range(len(texts) - 1):
        _read_slot(state, at)
    return state.fields


def _read_slot(state: _State, at: int) -> None:
    texts = state.texts
    gap, after = texts[at], texts[at + 1]
    state.barred = at + 2 < len(texts) and texts[at + 2].startswith("%")
    _track_brackets(state, gap)
    last = state.fields[-1] if state.fields and state.fields[-1].slot == at - 1 else None
    if state.listed is not None and _read_member(state, state.listed, gap, at):
        return
    if gap == ":" or (after == ":" and at + 2 < len(texts)) or gaps.goes_on(after):
        return  # a clock, a version, a hash
    if last is not None and _follows(state, last, gap, after, at):
        return
    found = _counter_without_label(gap, after, at, state) or _told_of_counter(state, gap, at)
    found = found or _labelled(state, gap, after, at)
    if found is not None:
        state.fields.append(found)


def _follows(state: _State, last: Field, gap: str, after: str, at: int) -> bool:
    """Numbers that belong to the one before: its total, its running average, its seconds, the next counter."""
    if state.pair is not None and state.pair[0] == at and gap.strip() in ("/", ","):
        state.fields.append(replace(last, slot=at, split=state.pair[1]))
        return True
    if last.label == "round" and gap == "/" and re.match(r"\]\s*\[", after):  # "[3/25][100/782]"
        last = replace(last, kind="epoch", label="epoch")
        state.fields[-1] = last
    if gap.strip() in ("/", "of", "]/[") or (last.kind in TOTAL_OF and re.fullmatch(r"[Kk]\s?/\s?", gap)):
        if last.kind in TOTAL_OF:
            state.fields.append(Field(at, TOTAL_OF[last.kind], last.label, scale=_thousands(after)))
        return True
    if last.kind == "value" and _AVERAGE.match(gap) and re.match(r"\s*%?\s*\)", after):
        if not _OF_MEAN.match(last.label):  # "avg_loss: 18.2 (-0.4)": the change since the last one
            state.fields.append(replace(last, slot=at, label=f"{last.label} (avg)"))
        return True
    if last.kind in ("value", "part") and _read_time_part(state, last, gap, after, at):
        return True
    if last.kind == "batches" and re.match(r"\s*\(\s*$", gap) and after.startswith("%"):
        # "[640/60000 (1%)]" counts samples, not batches.
        state.fields[-2:] = [replace(state.fields[-2], kind="sample"), replace(last, kind="samples")]
        return True
    return False


def _read_time_part(state: _State, last: Field, gap: str, after: str, at: int) -> bool:
    """The 25 of ``13m 25s``: smaller units than those before it, next to each other."""
    unit, next_unit = _TIME_UNIT.match(gap), _TIME_UNIT.match(after)
    if not unit or gap[unit.end() :].strip() or (after and not next_unit):
        return False
    scale = _TIMES[next_unit[1]] if next_unit else _TIMES[unit[1]] / 60  # "1m 2" was cut or left its unit out
    if scale >= _TIMES[unit[1]]:
        return False
    head = last.slot if last.part_of is None else last.part_of
    state.fields.append(replace(last, slot=at, kind="part", scale=scale, part_of=head))
    return True


def _counter_without_label(gap: str, after: str, at: int, state: _State) -> Field | None:
    r"""``Epoch: [0][ 200/10010]``, ``Epoch 1 [640/60000 (1%)]``, ``| 1030/30000 [``, ``[10]\tloss``, ``第3轮``."""
    totalled = after.strip() == "/"
    counters = [item.kind for item in state.fields]
    if gap.endswith("第"):
        unit = names.english(after.lstrip("个").lower()).split()[:1]
        kind = counting.kind_of(unit[0], None, frozenset(counters)) if unit else None
        return Field(at, kind, unit[0], state.split) if kind else None
    drawn = _DRAWN.match(state.texts[0]) and at == len(state.texts) - 3 and not state.texts[-1].strip()
    if totalled and (_BARRED.search(gap) or drawn or (at == 0 and not gap.strip())):
        return Field(at, "bar", "bar")
    if totalled and counters and counters[-1] in ("epoch", "epochs") and _NEXT_COUNTER.match(gap):
        return Field(at, "batch", "batch")
    if totalled and counters == ["value"] and gap.strip() == "[" and _role_of(state.fields[0].label) == "loss":
        return Field(at, "sample", "sample")  # "loss: 0.3  [ 6400/60000]"
    if counters == ["epoch"] and (_NEXT_COUNTER.match(gap) or gap.strip() == ",") and after.startswith("]"):
        return Field(at, "batch", "batch")
    if at == 0 and gap.strip() == "[" and after.strip() == "," and state.texts[2].startswith("] "):
        return Field(at, "epoch", "epoch")  # "[2,  2000] loss: 1.134"
    if at == 0 and gap.endswith("after ") and (found := re.match(r"\s*([A-Za-z]+)\b", after)):
        kind = counting.kind_of(found[1].removesuffix("s"), None, frozenset(counters))
        return Field(at, kind, found[1], state.split) if kind else None
    if at == 0 and gap.strip() == "[" and (totalled or re.match(r"\]\s", after)):
        return Field(at, "step", "round")
    return None


def _told_of_counter(state: _State, gap: str, at: int) -> Field | None:
    """The number of ``Training loss at epoch 3: 0.5``, which stands behind its counter."""
    quantity, state.pending = state.pending, ""
    return Field(at, "value", quantity, state.split) if quantity and _TELLS.match(gap) else None


def _labelled(state: _State, gap: str, after: str, at: int) -> Field | None:
    naming, state.naming = state.naming, None
    if naming is not None and _NAMES.match(gap):
        slot, words = naming
        return Field(at, "value", words, state.split, named=(slot,))
    fraction, state.fraction = state.fraction, ""
    if fraction and gap.strip() == "/":
        state.fraction = fraction
        return None
    if fraction and gap.endswith("(") and after.startswith("%"):
        return Field(at, "value", fraction, state.split)
    name = gaps.label(gap if at == 0 else gaps.without_unit(gap))
    if name is None:
        return None
    _note_section(state, name.before, at)
    if not any(char.isalpha() for char in name.label):
        return None
    if name.bracketed and (passing := _PASS.search(gap)):  # "Epoch(val) [3][20/20]"
        state.split = names.split_word(passing[1]) or state.split
    if told := None if name.bracketed else counting.quantity_at(name.label):
        found = _counter(state, counting.kind_of(told[1], None, frozenset()) or "step", told[1], after, at)
        state.pending, state.split = told[0], names.parse(told[0]).split or state.split  # of this line alone
        return found
    kind = _counter_kind(name.label, state, after)
    if kind is None and gap.endswith("=") and (field := _FIELD.match(name.label)):
        kind = _counter_kind(field["name"], state, after)
    if kind is not None:
        return _counter(state, kind, name.label, after, at)
    if name.bracketed and not (gap.endswith(" (") and after.startswith(")")):
        return None
    return _measurement(state, name, gap, after, at)


def _counter(state: _State, kind: Kind, label: str, after: str, at: int) -> Field | None:
    if after.startswith("%") or _TIME_UNIT.match(
        after
    ):  # "Step: 42ms"; "Epoch 3: 45%|###" counts; "epoch 45%|" is the share of a bar
        return None
    found = Field(at, kind, label, state.split, scale=_thousands(after))
    # "TRAIN epoch 3 loss 0.4" says where its own numbers belong, not those of the lines after it.
    state.split = next((split for word in _WORDS.findall(label) if (split := names.split_word(word))), state.split)
    return found


def _thousands(after: str) -> float:
    return 1e3 if _THOUSANDS.match(after) else 1.0


def _counter_kind(label: str, state: _State, after: str) -> Kind | None:
    split = names.split_word(label)
    if split and after.strip() == "/":  # "Test: [ 10/391]"
        state.split = split
        return "batch"
    if split and after.strip() == "[" and not state.fields and state.texts[2].strip() == "/":  # "Train: 3 [ 10/391"
        state.split = split
        return "epoch"
    before = state.fields[-1].kind if state.fields else None
    return counting.kind_of(label, before, frozenset(item.kind for item in state.fields))


def _measurement(state: _State, name: gaps.Name, gap: str, after: str, at: int) -> Field | None:
    label = name.label
    pair = _pair(label)
    if after.startswith("%|"):  # the share of a bar, which may be named by its split
        state.split = next((split for word in label.split() if (split := names.split_word(word))), state.split)
        return None
    if after.strip() == "/" and pair is None:
        state.fraction = label if _role_of(label) == "score" else ""
        return None
    if any(state.calls):  # an argument in a model dump or source code
        return None
    # A time to go; and no name of a measurement holds quotes or is a file.
    if label.lower() in _SKIPPED or label.lower().startswith("next ") or _NO_LABEL.search(label):
        return None
    if (name.bracketed or not name.strong) and _NAMES.match(after) and not state.barred:
        state.naming = (at, f"{label} ({MARK})" if name.bracketed else f"{label} {MARK}")
        return None
    if pair is not None:
        label, own, other = pair
        state.pair = (at + 1, other)
        return Field(at, "value", label, own, name.strong)
    label, split = _of_quantity(state, name, at, gap.lstrip(" %").startswith("("))
    printed = "/".join([*filter(None, state.path), label])
    printed = f"{state.section} - {printed}" if state.section else printed
    found = Field(at, "value", printed, split or state.split, name.strong, _scale(after))
    if name.opened.endswith("[") and re.match(r"\s*,\s*$|\s+$", after):
        found = replace(found, label=f"{printed}[0]")
        state.listed = found
    return found


def _scale(after: str) -> float:
    unit = _TIME_UNIT.match(after)
    return _TIMES[unit[1]] if unit else _thousands(after)


def _pair(label: str) -> tuple[str, str, str] | None:
    """``loss (train/val)``: the quantity and the splits of the two numbers behind it."""
    found = _PAIR.match(label)
    if found is None:
        return None
    one, other = names.split_word(found["one"]), names.split_word(found["other"])
    rest = f"{found['head'].strip()} {found['tail'].strip()}".strip()
    return (rest, one, other) if one and other and one != other and rest else None


def _of_quantity(state: _State, name: gaps.Name, at: int, bracketed: bool) -> tuple[str, str | None]:
    """The label, and the split: of ``val`` in ``Loss: train 0.3, val 0.4`` or ``loss: 0.3 (val 0.4)`` the loss."""
    split = names.split_word(name.label)
    if split is None:
        state.quantity = name.label
        return name.label, None
    before = name.before.rstrip()
    if before.endswith(":") and (told := gaps.label(f"{before} ")) and _role_of(told.label) in _KNOWN:
        state.quantity = told.label
        return told.label, split
    last = state.fields[-1] if state.fields and state.fields[-1].slot == at - 1 else None
    beside = last is not None and last.label == state.quantity and (bracketed or last.split is not None)
    if beside and _role_of(state.quantity) in _KNOWN:
        state.quantity = _without_split(state.quantity)
        return state.quantity, split
    return name.label, None


def _without_split(label: str) -> str:
    return " ".join(word for word in label.split() if names.split_word(word) is None) or label


def _role_of(label: str) -> names.Role:
    return names.role(names.parse(label).metric)


def _track_brackets(state: _State, gap: str) -> None:
    """Notes which calls are open, as in ``Conv2d(3, stride=``, and which nested dicts."""
    for found in _CALL.finditer(gap):
        if found[0] == ")":
            del state.calls[-1:]
        else:
            state.calls.append(bool(found["name"]) and not _NO_CALLS.match(found["name"]))
    for found in _KEYS.finditer(gap):
        if found[0] == "}":
            del state.path[-1:]
            state.split = None if not state.path else state.split
        elif split := names.split_word(found["key"]):
            state.path.append("")
            state.split = split
        else:
            state.path.append(found["key"])


def _read_member(state: _State, listed: Field, gap: str, at: int) -> bool:
    """Reads a further number of a list (``Dice: [0.87, 0.80``); False, and the list closed, when it is none."""
    if "]" in gap or not re.fullmatch(r"[\s,]*(?:[\w.]+\()?", gap.replace(")", "")):
        state.listed = None
        return False
    index = at - listed.slot
    if index < _MOST_MEMBERS:
        state.fields.append(replace(listed, slot=at, label=f"{listed.label.removesuffix('[0]')}[{index}]"))
    else:  # an array in source code, not what one step measured
        state.fields = [item for item in state.fields if item.slot < listed.slot]
    return True


def _note_section(state: _State, before: str, at: int) -> None:
    """A split or a section named before the label: ``Train - ``, ``| valid | ``, ``Gate  - ``."""
    words = [word.lower() for word in _WORDS.findall(before)]
    split = next((found for word in reversed(words) if (found := names.split_word(word))), None)
    if split and len(words) <= 4:
        state.split, state.section = split, ""
    elif at == 0 and re.fullmatch(r"\s*[A-Z][A-Za-z ]{0,24}?\s+-\s+", before):
        state.section = before.rstrip(" -").strip()
    elif at == 0 and (tagged := _OF_GRADIENTS.fullmatch(before)):
        state.section = " ".join(filter(None, (tagged["tag"], tagged["part"].rstrip(" :-"))))
