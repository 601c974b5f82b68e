"""What the numbers of a line mean, from the text between them.

Lines are grouped by shape (the line with every number replaced by ``MARK``), so each distinct shape is understood
once, however many lines have it. A number's meaning comes from the gap before it: a label, a counter such as
``Epoch [`` or ``Batch [200/``, a running average in brackets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal

from postmortem import names
from postmortem.ingest import gaps
from postmortem.ingest.gaps import MARK

NUMBER = (
    r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
    r"|(?:nan|NaN|NAN|inf|Inf|INF|Infinity)(?-u:\b))"
)
"""One printed number; Rust regex syntax."""

SLOT = rf"(^|[^0-9A-Za-z_@.\-+]|(?i:epoch|step|iter)){NUMBER}"
"""A number where one can stand: not inside a word, a version or a name such as ``Acc@1``."""

Kind = Literal["value", "epoch", "epochs", "step", "steps", "batch", "batches", "sample", "samples", "bar", "bars"]


@dataclass(frozen=True)
class Field:
    """One number of a shape.

    Attributes:
        slot: 0-based position among the shape's numbers.
        kind: ``value`` for a measurement; else a counter, or (plural) the total it runs to.
        label: The name as printed; of a list's members with their index, of a running average with ``(avg)``.
        split: The split that the line gives it, or None.
        strong: A ``:`` or ``=`` stands between label and number.
        scale: Factor of a glued unit prefix (``131.5K`` is 131500).
    """

    slot: int
    kind: Kind
    label: str
    split: str | None = None
    strong: bool = True
    scale: float = 1.0


@dataclass(frozen=True)
class Template:
    """A shape, understood.

    Attributes:
        fields: Its numbers that mean something.
        governs: Its counters hold for the lines that follow.
        bar: It is a progress bar.
        coverage: Share of the letters that belong to labels; low in prose.
        dump: One quoted pair and nothing else, as pretty-printed configuration has it.
    """

    fields: tuple[Field, ...]
    governs: bool = False
    bar: bool = False
    coverage: float = 0.0
    dump: bool = False

    @property
    def counted(self) -> bool:
        """The line says where in training it stands."""
        return any(item.kind in _COUNTERS for item in self.fields)


_COUNTERS = ("epoch", "step", "batch", "sample")

_EPOCH = frozenset(("epoch", "ep", "epochs"))
_STEP = frozenset(
    (
        "step",
        "global step",
        "global_step",
        "globalstep",
        "iter",
        "iters",
        "iteration",
        "update",
        "num_updates",
        "up",
        "timestep",
        "timesteps",
        "total_timesteps",
        "optimizer step",
        "optim step",
        "it",
        "round",
        "global iter",
        "training step",
        "current step",
        "gradient step",
        "micro step",
    )
)
_BATCH = frozenset(("batch", "minibatch", "mini-batch", "batch_idx", "n_batch", "batch idx"))
# Words that may stand before a counter which governs what follows ("Starting epoch 3", "=== Results for epoch 3").
_OPENERS = frozenset(
    (
        "begin",
        "beginning",
        "of",
        "start",
        "starting",
        "started",
        "running",
        "results",
        "for",
        "at",
        "end",
        "after",
        "finished",
        "completed",
        "summary",
        "metrics",
        "current",
        "evaluating",
        "the",
        "new",
        "on",
        "in",
        "stats",
        "done",
        "loss",
        "report",
        "performance",
    )
)

_CALL = re.compile(r"(?P<name>[A-Za-z_][\w.]*)?\(|\)")
_NO_CALLS = re.compile(r"(?:np\.|torch\.|numpy\.)?(?:tensor|array|float\d*|int\d*)$")
_NO_LABEL = re.compile(r"['\"\\]|\.(?:py|h|hpp|cc|cpp|c|cu|go|rs|js|ts|java|yaml|yml|json|txt|sh)$|^https?$|//")
_DUMP = re.compile(rf"\s*[{{\[]?\s*(['\"])[^'\"]+\1\s*:\s*{MARK}\s*[,}}]?\s*$")
_MOST_MEMBERS = 16
_SKIPPED = frozenset(("eta", "remaining", "elapsed", "pid", "port", "line"))
_WORDS = re.compile(r"[^\W\d_]+")
_AVERAGE = re.compile(r"^%?[A-Za-z]{0,3}\s*\(\s*$")
_NEXT_COUNTER = re.compile(r"^\]?\s*,?\s*[\[(]\s*$")
_BARRED = re.compile(r"%\|[^|]*\|\s*$|^\s*\|[^|]*\|\s*$")


@dataclass
class _State:
    """What has been read of the line so far."""

    fields: list[Field] = field(default_factory=list)
    split: str | None = None
    section: str = ""
    listed: Field | None = None
    calls: list[bool] = field(default_factory=list)


@lru_cache(maxsize=65536)
def understand(shape: str) -> Template:
    """The meaning of a shape's numbers.

    Args:
        shape: A line with ``MARK`` for each number.
    """
    message = gaps.without_log_words(shape)
    skipped = shape.count(MARK) - message.count(MARK)
    texts = message.split(MARK)
    state = _State()
    for at in range(len(texts) - 1):
        _read_slot(state, texts[at], texts[at + 1], at)
    fields = tuple(replace(item, slot=item.slot + skipped) for item in _shared_best(_shared_splits(state.fields)))
    return Template(
        fields,
        _governs(texts[0], fields),
        "%|" in shape or _is_keras_bar(shape),
        _coverage(message, fields),
        bool(_DUMP.match(shape)),
    )


def header_split(line: str) -> str | None:
    """The split a heading without numbers opens (``Validation:``, ``--- Training ---``), or None."""
    words = [word.lower() for word in _WORDS.findall(line)]
    splits = {names.split_word(word) for word in words} - {None}
    rest = [
        word for word in words if names.split_word(word) is None and word not in _OPENERS | {"epoch", "set", "phase"}
    ]
    return splits.pop() if len(splits) == 1 and not rest and len(words) <= 4 else None


def _read_slot(state: _State, gap: str, after: str, at: int) -> None:
    _track_calls(state, gap)
    last = state.fields[-1] if state.fields and state.fields[-1].slot == at - 1 else None
    if state.listed is not None and _read_member(state, state.listed, gap, at):
        return
    if gap == ":" or after == ":" or gaps.goes_on(after):
        return  # a clock, a version, a hash
    if last is not None and _follows(state, last, gap, after, at):
        return
    found = _counter_without_label(gap, after, at, state) or _labelled(state, gap, after, at)
    if found is not None:
        state.fields.append(found)


def _counter(state: _State, kind: Kind, label: str, after: str, at: int) -> Field | None:
    # "Epoch 3: 45%|###" counts; "epoch 45%|" is the share of a bar.
    return None if after.startswith("%") else Field(at, kind, label, state.split)


def _follows(state: _State, last: Field, gap: str, after: str, at: int) -> bool:
    """Numbers that belong to the one before: its total, its running average, the next counter."""
    total: dict[str, Kind] = {
        "epoch": "epochs",
        "step": "steps",
        "batch": "batches",
        "sample": "samples",
        "bar": "bars",
    }
    if last.label == "round" and gap == "/" and re.match(r"\]\s*\[", after):  # "[3/25][100/782]"
        last = replace(last, kind="epoch", label="epoch")
        state.fields[-1] = last
    if gap.strip() in ("/", "of", "]/["):
        if last.kind in total:
            state.fields.append(Field(at, total[last.kind], last.label))
        return True
    if last.kind == "value" and _AVERAGE.match(gap) and re.match(r"\s*%?\s*\)", after):
        state.fields.append(replace(last, slot=at, label=f"{last.label} (avg)"))
        return True
    if last.kind == "batches" and re.match(r"\s*\(\s*$", gap) and after.startswith("%"):
        # "[640/60000 (1%)]" counts samples, not batches.
        state.fields[-2:] = [replace(state.fields[-2], kind="sample"), replace(last, kind="samples")]
        return True
    return False


def _counter_without_label(gap: str, after: str, at: int, state: _State) -> Field | None:
    r"""``Epoch: [0][ 200/10010]``, ``Epoch 1 [640/60000 (1%)]``, ``| 1030/30000 [``, ``[10]\tloss``."""
    totalled = after.strip() == "/"
    counters = [item.kind for item in state.fields]
    if totalled and (_BARRED.search(gap) or (at == 0 and not gap.strip())):
        return Field(at, "bar", "bar")
    if totalled and counters and counters[-1] in ("epoch", "epochs") and _NEXT_COUNTER.match(gap):
        return Field(at, "batch", "batch")
    if counters == ["epoch"] and _NEXT_COUNTER.match(gap) and after.startswith("]"):
        return Field(at, "batch", "batch")
    if at == 0 and gap.strip() == "[" and (totalled or re.match(r"\]\s", after)):
        return Field(at, "step", "round")
    return None


def _labelled(state: _State, gap: str, after: str, at: int) -> Field | None:
    name = gaps.label(gap if at == 0 else gaps.without_unit(gap))
    if name is None:
        return None
    _note_section(state, name.before, at)
    if not any(char.isalpha() for char in name.label):
        return None
    if name.bracketed:
        kind = _counter_kind(name.label, state, after)
        return _counter(state, kind, name.label, after, at) if kind else None
    return _field(state, name, after, at)


def _track_calls(state: _State, gap: str) -> None:
    """Notes which brackets are open and whether a name stands before them, as in ``Conv2d(3, stride=``."""
    for found in _CALL.finditer(gap):
        if found[0] == ")":
            del state.calls[-1:]
        else:
            state.calls.append(bool(found["name"]) and not _NO_CALLS.match(found["name"]))


def _field(state: _State, name: gaps.Name, after: str, at: int) -> Field | None:
    label = name.label
    kind = _counter_kind(label, state, after)
    if kind is not None:
        return _counter(state, kind, label, after, at)
    # An argument in a model dump or source code, a part of a fraction, the share of a bar.
    if any(state.calls) or after.strip() == "/" or after.startswith("%|"):
        return None
    # A time to go; and no name of a measurement holds quotes or is a file.
    if label.lower() in _SKIPPED or _NO_LABEL.search(label):
        return None
    printed = f"{state.section} - {label}" if state.section else label
    scale = 1e3 if re.match(r"K(?![A-Za-z0-9_])", after) else 1.0
    found = Field(at, "value", printed, state.split, name.strong, scale)
    if name.opened.endswith("[") and re.match(r"\s*,\s*$|\s+$", after):
        found = replace(found, label=f"{printed}[0]")
        state.listed = found
    return found


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


def _counter_kind(label: str, state: _State, after: str) -> Kind | None:
    split = names.split_word(label)
    if split and after.strip() == "/":  # "Test: [ 10/391]"
        state.split = split
        return "batch"
    words = label.lower().strip(" .#[(").replace("_", " ").split()
    plain = " ".join(word for word in words if names.split_word(word) is None)
    plain = plain.removeprefix("current ")
    first = not any(item.kind == "epoch" for item in state.fields)
    if plain in _EPOCH and first and plain != "epochs":
        return "epoch"
    if plain in _BATCH or (
        plain in _STEP and state.fields and state.fields[-1].kind in ("epoch", "epochs") and "global" not in plain
    ):
        return "batch"
    already = any(item.kind == "step" for item in state.fields)
    return "step" if plain.replace(" ", "_") in _STEP | {"micro_step"} or (plain in _STEP and not already) else None


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
    if not fields or fields[0].kind not in _COUNTERS:
        return False
    words = [word.lower() for word in _WORDS.findall(opening)]
    own = _EPOCH | _BATCH | {word for words_ in _STEP for word in words_.replace("_", " ").split()}
    return all(word in own | _OPENERS or names.split_word(word) for word in words)


def _coverage(message: str, fields: tuple[Field, ...]) -> float:
    letters = sum(map(len, _WORDS.findall(message)))
    labels = {item.slot: item.label for item in fields if not item.label.endswith("(avg)")}
    return sum(len(word) for label in labels.values() for word in _WORDS.findall(label)) / max(letters, 1)


def _is_keras_bar(shape: str) -> bool:
    return bool(re.search(r"\[[=>.━╸ ]{8,}\]|━{8,}", shape))
