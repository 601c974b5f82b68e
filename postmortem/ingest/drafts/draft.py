"""Drafts a format pack from a log, for a person to finish: patterns, samples, and comments that say what to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from postmortem import names
from postmortem.errors import InputError, Problem
from postmortem.ingest.drafts.draft_columns import draft_columns
from postmortem.ingest.drafts.draft_text import comment, plain, quoted, sample
from postmortem.ingest.drafts.mining import Template, mine
from postmortem.ingest.drafts.patterns import Drafted, Slot, drafted
from postmortem.ingest.lines import clip, read_lines
from postmortem.ingest.packs.pack import FormatPack, Pack, given_by, load_pack
from postmortem.ingest.packs.regex import ascii_only
from postmortem.ingest.text import events, shapes
from postmortem.ingest.text.template import header_split

_LEAST = 3  # lines that make a template worth a pattern
_MOST_LINES, _MOST_CONTEXT = 12, 6
_LONGEST_PATTERN = 2_000


def draft(name: str, path: Path) -> str:
    """The text of a pack that reads a log as far as that can be told from the log alone.

    Args:
        name: Id of the pack.
        path: The log.

    Raises:
        InputError: It holds no text, or no line that repeats with other numbers.
    """
    text = read_lines(path)
    lines, _ = clip(text.lines, str(path))
    if lines.is_empty():
        raise InputError(text.problems or Problem("holds no text", str(path)))
    columns = draft_columns(name, lines, path.name)
    if columns is not None:
        return with_gives(columns)
    found = _drafts(lines)
    lines_of = [each for each in found if each.measured][:_MOST_LINES]
    if not lines_of:
        hint = "a pack is drafted from at least 3 lines that differ in their numbers; is this the log of a training?"
        raise InputError(Problem("no line in it repeats with other numbers", str(path), hint=hint))
    context = [each for each in found if not each.measured][:_MOST_CONTEXT]
    return with_gives("".join(_written(name, path.name, lines_of, context, _headings(lines))))


def with_gives(text: str) -> str:
    """The text of a pack with its samples giving what the pack reads in them now; its samples must come last."""
    head, _, samples = text.partition("\nsamples:\n")
    if not samples:
        raise InputError(Problem("its samples are not its last key, so they cannot be rewritten"))
    pack = load_pack(text, "draft", prove=False)
    given = given_by(pack, pack.samples)
    return f"{head}\nsamples:\n" + "".join(
        sample(each.line, found) for each, found in zip(pack.samples, given, strict=True)
    )


def unnamed(pack: Pack) -> list[str]:
    """Labels of a draft that are still placeholders."""
    labels = [label for line in pack.lines for label in line.labels.values()] if isinstance(pack, FormatPack) else []
    return [label for label in labels if label[0] == "n" and label[1:].isdigit()]


def _drafts(lines: pl.DataFrame) -> list[Drafted]:
    """Patterns of the lines that repeat with numbers that change, those with most lines first."""
    told = shapes.messages(lines)
    telling = set(events.find_with_lines(told, "")[1].to_list())
    mined = [each for each in mine(lines) if len(each.lines) >= _LEAST and _changes(each)]
    mined = [each for each in mined if len(telling.intersection(each.lines)) * 2 < len(each.lines)]
    found = [drafted(each) for each in sorted(mined, key=lambda each: -len(each.lines))]
    return [each for each in found if any(slot.capture for slot in each.slots) and _takes_its_lines(each)]


def _takes_its_lines(each: Drafted) -> bool:
    if len(each.regex) > _LONGEST_PATTERN:
        return False
    return bool(pl.Series(each.template.texts).str.contains(ascii_only(each.regex)).all())


def _changes(template: Template) -> bool:
    return any(len(set(template.told(at))) > 1 for at in template.numbers())


def _headings(lines: pl.DataFrame) -> dict[str, str]:
    """Lines without numbers that come again and open a split, with the split."""
    texts = lines["text"].filter(lines["text"].str.len_bytes() < 80).value_counts().filter(pl.col("count") > 1)["text"]
    return {text: split for text in sorted(texts) if (split := header_split(text)) and not any(map(str.isdigit, text))}


# --- the file -----------------------------------------------------------------------------------------------


def _written(
    name: str, log: str, lines: Sequence[Drafted], context: Sequence[Drafted], headings: Mapping[str, str]
) -> Iterator[str]:
    yield _HEAD.format(name=name, log=log)
    yield f"id: {name}\ntitle: {name}   # the name people know the format by\nkind: lines\n"
    epochs = [each.starts_at for each in (*lines, *context) if each.starts_at is not None]
    if epochs:
        yield f"epochs_from: {0 if min(epochs) == 0 else 1}   # the number of the first epoch: 0 or 1\n"
    yield _LINES
    for each in lines:
        yield from _line(each)
    if context or headings:
        yield _CONTEXT
    for each in context:
        # What a heading said ends where the next part of the training begins.
        ends = ", split: ''" if headings and each.split is None else ""
        yield f"  - {{name: line-{each.template.lines[0]}, regex: {quoted(each.regex)}{ends}}}\n"
    for at, (text, split) in enumerate(headings.items(), 1):
        yield f"  - {{name: heading-{at}, regex: {quoted(_exactly(text))}, split: {split}}}\n"
    yield _SAMPLES
    for each in (*lines, *context):
        yield from (sample(text, {}) for text in _shown_lines(each.template))
    yield from (sample(text, {}) for text in headings)


_HEAD = """\
# A draft, made from {log}. It teaches postmortem to read logs of this kind.
#
#   postmortem formats try {name}.yaml {log}            shows what it reads, and what it misses
#   postmortem formats try {name}.yaml {log} --accept   the same, and writes the samples anew after a change
#   postmortem analyze {log} --formats {name}.yaml      uses it
#
# You need not touch the patterns. Look at `labels`: to the left stands a number of the line, to the right what it is.
"""
_LINES = """
# Lines with measurements. What may stand to the right under `labels`:
#   a name         as reports shall show it; say the split too where there is one: `train loss`, `val accuracy`
#   step, epoch, batch, batches    the number says where in the training the line stands
#   nothing        the number is not read
# `split: train` (or val, test) beside `regex` holds for all numbers of the line. Delete what is no measurement.
lines:
"""
_CONTEXT = """
# Lines that say where the lines after them stand.
context:
"""
_SAMPLES = """
# Lines of the log and what they give. They are read again whenever the pack is loaded, so it cannot break unseen.
samples:
"""


def _line(each: Drafted) -> Iterator[str]:
    template = each.template
    yield f"  # {len(template.lines):,} lines like line {template.lines[0]}: {comment(template.texts[0])}\n"
    yield f"  - name: line-{template.lines[0]}\n    regex: {quoted(each.regex)}\n"
    if each.split:
        yield f"    split: {each.split}\n"
    read = [slot for slot in each.slots if (slot.capture and slot.capture != slot.label) or slot in each.measured]
    if read:
        yield "    labels:\n"
    width = max((len(f"{slot.capture}: {plain(slot.label)}") for slot in read), default=0)
    for slot in read:
        entry = f"{slot.capture}: {plain(slot.label)}"
        yield f"      {entry:{width}}   # {_remark(slot)}\n"


def _remark(slot: Slot) -> str:
    values = f"{slot.first} … {slot.last}" if slot.first != slot.last else slot.first
    if not slot.named:
        return f"{values}   <- the log gives it no name: what is it?"
    unknown = not slot.position and names.role(names.parse(slot.label).metric) == "other"
    return f"{values}   <- no name of a metric we know: what is it?" if unknown else values


def _shown_lines(template: Template) -> list[str]:
    """The first line and the last, and one with a number that is not finite, if there is one."""
    odd = [text for text, row in zip(template.texts, template.rows, strict=True) if any(map(_is_odd, row))]
    return list(dict.fromkeys([template.texts[0], *odd[:1], template.texts[-1]]))


def _is_odd(token: Any) -> bool:
    return bool(token.kind == "number" and token.text.lower().strip("+-")[:3] in ("nan", "inf"))


def _exactly(text: str) -> str:
    escaped = "".join(f"\\{char}" if char in "\\.+*?()|[]{}^$" else char for char in text)
    return f"^{escaped}$"
