"""The text before a number: which words of it name the number, and which only surround it."""

from __future__ import annotations

import re
from typing import NamedTuple

MARK = "\x01"
"""Stands for one number in a shape."""

_UNIT = re.compile(
    r"(?:%|(?:ms|us|µs|ns|s|secs?|seconds?|mins?|minutes?|m|hours?|hrs?|h|days?|d|[KMGTkB]|[KMGTkm]i?B|bytes?|it/s|s/it|x|W|"
    r"轮|步|回|エポック目?|[a-z]+/s(?:ec|tep|ample)?|tks/s|wps|[mk]?eV|dB|BPC|bpc|nats?|bits?|rows|samples?(?:/s(?:ec)?)?)(?![A-Za-z0-9_]))"
)
_NUMBER_SIGN = re.compile(r"(?<=[a-z])\s*#$")  # "epoch #3"
_SPACED_UNIT = re.compile(
    r"^[ ]?(?:[A-Za-z]{1,10}/(?:s|sec|second|step|batch|epoch|it|iter|sample|min)s?|[KMG]?i?B|ms|secs?|seconds|mins?"
    r"|minutes|"
    r"hours|BPC|nats|bits|wps|tks/s|K tks/s|[mk]?eV(?: / [A-Za-z^0-9\x01]+)*)(?![A-Za-z0-9_=:])"
)
_QUOTED = re.compile(r"""(['"])(?P<label>[^'"]{1,80})\1\s*[:=]\s*(?P<open>[\[({'"]*|[\w.]+\(\[*)$""")
_STRONG = re.compile(
    r"(?P<text>.*?)\s*(?::|：|=|:=|=>|->)\s*(?P<open>[\[({'\"$]*|(?:j?np\.|torch\.|numpy\.)?(?:float\d*"
    r"|int\d*|tensor|[aA]rray)"
    r"\(\[*)\s*$",
    re.DOTALL,
)
_WEAK = re.compile(
    r"(?P<text>.*?\S)(?P<verb>\s+(?:is|was)|\s+-)?\s+(?:(?:j?np\.|torch\.)?(?:tensor|[aA]rray|float\d*)\(\[*)?$",
    re.DOTALL,
)
_GLUED = re.compile(r"(?P<text>.*(?:epoch|step|iter|\bep))$", re.DOTALL | re.IGNORECASE)
_BRACKETED = re.compile(r"(?P<text>.*?[A-Za-z.])(?:\([a-z]+\))?:?\s*[\[(]\s*$", re.DOTALL)
# Where a label begins: after punctuation, a closing quote, the word given to a key, a symbol (box lines, emoji).
_CUT = re.compile(
    r"[,;|\t{}]|\s+--?\s+|  +|[>\]](?:\s|\[|$)|:\s|\)\s(?=\S)|\*\*+|==+|--+|[\"']\s+|=[^\s=]+\s+|[^\x00-\x7f\w]+"
    r"|(?<=[a-z]{6})[.!?]\s+(?=[A-Z])"
)
_SMALL_WORDS = re.compile(
    r"(?i)^(?:[0-9][0-9.,]*\s+)?(?:(?:and|the|a|an|with|at|to|has|had|got|its|our|this|then|gives|giving|yields|achieved|reached)\s+)*"
)
_PREPOSITIONS = frozenset(
    ("to", "from", "at", "by", "than", "of", "in", "for", "about", "over", "under", "near", "until")
)
_PRINTED = re.compile(r",\s*(?:device|dtype|grad_fn|requires_grad|shape|size)=(?:'[^']*'|<[^<>]*>|\([^()]*\)|[\w.]+)")
_LOG_WORDS = re.compile(
    r"^\W*(?:\[[\w.-]+\]\[(?:INFO|DEBUG|WARNING|ERROR)\][\s-]*|(?:[\w.]+\s+(?:-\s+)?)?\(?\[?(?:INFO|DEBUG|WARNING|WARN|ERROR)\b(?::\w[\w.]*:)?[\]):]*[\s|:-]*"
    r"|\[?[Rr]ank\s?\x01\]?:?\s*|\([A-Z]\w+ pid=\x01\)\s*"
    r"|\[GPU\s?\x01\]:?\s*|(?:\x01:|\[\x01\]:?)\s(?=\W*(?i:epoch|step|iter)[a-z]*\W+\x01)"
    r"|\[?[\w./-]+\.py:\x01(?::\w+)?\]\s*|\([\w./-]+\.py[: ]\x01\):?\s*|[\w./-]+\.py:\w+:\s+|[\w.]+:\x01\s+>>\s+"
    r"|root\s+-\s+|[A-Za-z_]\w*(?:\.\w+)+\s+-\s+|[\w.<>]+:[\w.<>]+:\x01\s+-\s+|(?:stdout|stderr)\s[FP]\s|\[default\x01\]:\s*)+"
)
_RANK = re.compile(r"(?i)\[(?:rank\s?|default|gpu\s?)\x01\]|\brank\s?\x01\]?:|^(?:\x01:|\[\x01\]:?)\s$")


class Name(NamedTuple):
    """A label, as it stands before its number.

    Attributes:
        before: What stands before the label; may name a split or a section.
        label: The name as printed, without decoration; "" when there is none.
        strong: A ``:``, ``=``, ``is`` or ``-`` stands between label and number.
        opened: The brackets and quotes opened between them.
        bracketed: Only a bracket stands between them, as in ``Batch [``.
    """

    before: str
    label: str
    strong: bool = True
    opened: str = ""
    bracketed: bool = False


def label(gap: str) -> Name | None:
    """The label a gap ends in, or None."""
    gap = _NUMBER_SIGN.sub(" ", gap)
    if found := _QUOTED.search(gap):
        return Name(gap[: found.start()], found["label"], opened=found["open"])
    if found := _STRONG.match(gap):
        return Name(*_cut(found["text"]), opened=found["open"])
    if found := _WEAK.match(gap):
        name = Name(*_cut(found["text"]), strong=bool(found["verb"]))
        # "the loss falls to 0.3" is said, not measured.
        return name if name.label.rpartition(" ")[2].lower() not in _PREPOSITIONS else name._replace(label="")
    if found := _GLUED.match(gap):
        return Name(*_cut(found["text"]), strong=False)
    found = _BRACKETED.match(gap)
    return Name(*_cut(found["text"]), bracketed=True) if found else None


def without_log_words(shape: str) -> str:
    """A message without level, logger, file and rank, which loggers put before it."""
    prefix = _LOG_WORDS.match(shape)
    return shape[prefix.end() :] if prefix else shape


def rank_slot(prefix: str) -> int | None:
    """Which number of what a logger put before a message is the rank of the process that wrote it."""
    found = _RANK.search(prefix)
    return prefix[: found.end()].count(MARK) - 1 if found else None


def without_printing(message: str) -> str:
    """A message without what tensors and arrays say of themselves (``, device='cuda:0'``); its numbers stay."""
    if "=" not in message:
        return message
    return _PRINTED.sub(lambda found: "".join(f",\x03{MARK}" for _ in range(found[0].count(MARK))), message)


def goes_on(after: str) -> bool:
    """The number goes on in letters that are no unit: a version, a date, a hash, a file name."""
    return bool(
        re.match(r"[.\-+]\d|[.][A-Za-z]|\.\.\d|-[A-Za-z0-9]", after)
        or (re.match(r"[A-Za-z_]", after) and not _UNIT.match(after))
    )


def without_unit(gap: str) -> str:
    """The gap without the unit of the number before it."""
    spaced = _SPACED_UNIT.match(gap)  # first, because of "2s/epoch"
    glued = None if spaced else _UNIT.match(gap)
    if glued:
        gap = gap[glued.end() :]
        spaced = _SPACED_UNIT.match(gap)
    return gap[spaced.end() :] if spaced else gap


def _cut(text: str) -> tuple[str, str]:
    """What stands before the label, and the label."""
    kept = text.rstrip(" \t")
    if kept.endswith("|"):  # |g_param|=
        word = kept.rsplit(None, 1)[-1]
        return kept[: -len(word)], word if len(word) > 2 else ""
    guarded = re.sub(r"(?:\([^()]*\)|(?<=\w)\[[A-Za-z_]\w*\])\s*$", lambda found: "\x02" * len(found[0]), kept)
    cuts = list(_CUT.finditer(guarded))
    start = cuts[-1].end() if cuts else 0
    label = _SMALL_WORDS.sub("", kept[start:].strip(" \t*#<>-.'\"([{!~").lstrip("/ "))
    return kept[:start], label if len(label) <= 60 and len(label.split()) <= 6 else ""
