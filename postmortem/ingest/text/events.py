"""Things that happened, as text logs tell them: crashes, kills, checkpoints, early stops, the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import polars as pl

from postmortem.ingest.reading import NOTES
from postmortem.ingest.text import clock
from postmortem.ingest.text.shapes import Messages

MAX_WARNINGS = 1000
"""Most warning lines kept of one file."""

_TRACEBACK = "Traceback (most recent call last)"
_LONGEST = 4000  # bytes of a line that announces something
_EXCEPTION = (
    r"^(?:\W*(?:\[?rank ?[0-9]+\]?:|\([^()]*pid=[0-9]+\))\s?)*"
    r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning|Killed|Timeout|Abort"
    r"|Fault)\b.*)$"
)


class _Kind(NamedTuple):
    """A kind of event.

    Attributes:
        name: One of ``schema.EVENT_KINDS``.
        hints: One of these stands in every line the pattern can hit, in lower case. Looking for them is a hundred
            times cheaper than compiling the pattern, which a log of a few lines would pay for alone.
        pattern: What its lines look like.
    """

    name: str
    hints: tuple[str, ...]
    pattern: str


# First match wins, so the order is from the certain to the general.
_KINDS = (
    _Kind(
        "oom",
        ("memory", "oom", "alloc", "exhaust"),
        r"(?i)\bout of memory\b|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|\boom[- ]kill|Cannot allocate memory"
        r"|std::bad_alloc|RESOURCE_EXHAUSTED|MemoryError\b"
        r"|Unable to allocate [0-9.]+ [KMGT]i?B|DefaultCPUAllocator: can't allocate",
    ),
    _Kind(
        "killed",
        ("kill", "sig", "interrupt", "exit", "cancel", "due to", "segm"),
        r"(?i)^\W*killed\W*$|\bSIGKILL\b|\bSIGTERM\b|KeyboardInterrupt|exitcode\W+-(?:9|15|0{1,2})\b"
        r"|Signals\.SIG(?:KILL|TERM|INT)"
        r"|slurmstepd: error: .*CANCELLED|DUE TO TIME LIMIT|DUE TO PREEMPTION|\bkilled by (?:signal|the)"
        r"|received SIG(?:TERM|INT)"
        r"|^.*\bSegmentation fault\b",
    ),
    _Kind(
        "nan-warning",
        ("nan", "inf", "finite"),
        r"(?i)\b(?:loss|gradient|grad|grad_norm|activation|output|value|weights?|parameters?"
        r"|metric)s?\b[^.=:]*"
        r"\b(?:is|are|was|were|became|becomes?|contains?|has|have|went|turned|to|detected)\b:? (?:a "
        r"|an )?\W?"
        r"(?:nan|infs?\b|infinite|non-?finite|not finite)|\b(?:nan|non-?finite|infinite)\b[^.=:]*"
        r"\b(?:loss|gradients?|grad|values?|weights?|detected|encountered|found)\b",
    ),
    _Kind(
        "early-stop",
        ("stop",),
        r"(?i)\bearly[ -]?stopp(?:ing|ed)\b(?: (?:triggered|at|after|the|now|condition|criteri\w+|reached"
        r"|activated))"
        r"|^\W*(?:epoch \d+:? )?early[ -]?stopp(?:ing|ed)[\W]*$|\bepoch 0*\d+: early stopping"
        r"|\bstopp(?:ing|ed) early\b"
        r"|^\W*early[ -]?stopping, best\b"
        r"|\bno improvement (?:in|for) .*\bstopping\b|did(?:n't| not) improve .*[Ss]topping",
    ),
    _Kind(
        "restart",
        ("resum", "load", "restor", "restart"),
        r"(?i)\bresum(?:ing|ed|e) (?:training |run )?(?:from|at|epoch|training)\b"
        r"|\b(?:loaded|loading|restor(?:ed|ing)|restored) (?:model |the )?(?:checkpoint|state|snapshot"
        r"|training state)\b"
        r"|^.*=> loaded checkpoint|\brestarting (?:training|from)\b|\bresumed epoch\b",
    ),
    _Kind(
        "best",
        ("best", "improved from", "new record", "new highest", "new lowest"),
        r"(?i)\bnew best\b|\bbest (?:model|checkpoint|weights?)\b.*\b(?:saved|updated|found)|\bsav(?:ing"
        r"|ed) (?:new |the )?best\b"
        r"|\bimproved from\b|\bnew (?:record|highest|lowest) ",
    ),
    _Kind(
        "checkpoint",
        ("sav", "written", "snapshot"),
        r"(?i)\bsav(?:ing|ed) (?:the |a |model |current |full |final )*(?:checkpoint|model|weights?|state"
        r"|snapshot)"
        r"|\b(?:checkpoint|model|weights?)(?: \S+)? (?:was |has been )?(?:saved|written)\b"
        r"|\bsnapshotting to\b|^\W*saving\W*$"
        r"|\bsaved checkpoint\b|\bsaving \S+\.(?:pt|pth|ckpt|bin|safetensors|h5|params)\b",
    ),
    _Kind(
        "finished",
        ("complet", "finish", "done", "ended", "stopped: "),
        r"(?i)\b(?:training|train|optimi[sz]ation|run|fitting)(?: is| was| has)?(?: been)? (?:complete(?:d)?"
        r"|finished|done|ended)\b"
        r"(?:[\W]|$)|\bfinished training\b|\btraining (?:complete|done|finished)\b|^\W*(?:all )?done[.! ]*$"
        r"|\bfit.* stopped: `?max_(?:epochs|steps)",
    ),
    _Kind(
        "warning",
        ("warn", "overflow", "skipping"),
        r"\bWARNING\b|\b[A-Za-z]*Warning: |\bWARN\b|(?i:gradient overflow|overflow! |overflow detected"
        r"|skipping step)",
    ),
)
_OF_EXCEPTIONS = _KINDS[:2]  # what an exception can be beside a traceback


def find(told: Messages, source: str) -> pl.DataFrame:
    """The events of a text.

    Args:
        told: Its messages.
        source: Name of the file, which may tell the year.

    Returns:
        ``line``, ``time``, ``kind`` and ``text``, in file order. A traceback is one event, at the line of its
        exception.
    """
    return find_with_lines(told, source)[0]


def find_with_lines(told: Messages, source: str) -> tuple[pl.DataFrame, pl.Series]:
    """What ``find`` returns, and the lines it was told in: of a traceback all of them."""
    inside, raised = _tracebacks(told)
    kinds = _hinted(told.written)
    hits = _likely(told, kinds).filter(~pl.col("line").is_in(inside.implode()))
    if hits.is_empty() and raised.is_empty():
        return _timed(told.lines.clear().with_columns(kind=pl.lit(None, pl.String)), source), inside
    found = hits.with_columns(kind=_kinds_of(hits["body"], kinds)).filter(pl.col("kind").is_not_null())
    found = _limited(pl.concat([found.select("line", "stamp", "body", "kind"), raised]).sort("line"))
    return _timed(found, source), pl.concat([found["line"], inside])


def _hinted(text: str) -> list[_Kind]:
    """The kinds whose hints stand somewhere in a text in lower case; the level ``INFO`` hints at no infinity."""
    text = text.replace("info", "")
    return [kind for kind in _KINDS if any(hint in text for hint in kind.hints)]


def _likely(told: Messages, kinds: Sequence[_Kind]) -> pl.DataFrame:
    """Lines whose mask reads like an event; what depends on digits is decided on the lines themselves."""
    hints = [hint for kind in kinds for hint in kind.hints]
    if not hints:
        return told.lines.clear()
    hinted = pl.col("body").str.contains_any(hints, ascii_case_insensitive=True)
    masks = told.masks.with_row_index("mask").filter(hinted & (pl.col("body").str.len_bytes() < _LONGEST))
    if masks.is_empty():
        return told.lines.clear()
    masks = masks.filter(_kinds_of(masks["body"], kinds).is_not_null())
    return told.lines.filter(pl.col("mask").is_in(masks["mask"].implode()))


def said(lines: pl.DataFrame, kind: str, source: str) -> pl.DataFrame:
    """Events of one kind at the lines given, as ``find`` gives them."""
    return _timed(lines.unique("line", keep="first", maintain_order=True).with_columns(kind=pl.lit(kind)), source)


def _timed(found: pl.DataFrame, source: str) -> pl.DataFrame:
    text = pl.col("body").str.strip_chars().str.slice(0, 400)
    return found.select("line", time=clock.times(found["stamp"], source), kind="kind", text=text)


def placed(found: pl.DataFrame, positions: pl.DataFrame) -> pl.DataFrame:
    """Events with the epoch and step they happened in, as a frame of NOTES."""
    if found.is_empty():
        return pl.DataFrame(schema=NOTES)
    rows = found.join(positions, on="line", how="left", maintain_order="left")
    return rows.select(list(NOTES)).cast(NOTES)


def _kind(column: str, kinds: Sequence[_Kind]) -> pl.Expr:
    named = pl.lit(None, pl.String)
    for kind in reversed(kinds):
        named = pl.when(pl.col(column).str.contains(kind.pattern)).then(pl.lit(kind.name)).otherwise(named)
    return named


def _kinds_of(bodies: pl.Series, kinds: Sequence[_Kind]) -> pl.Series:
    """The kind of each text, or null.

    Polars forgets a pattern after 32 others, so for a short log compiling costs far more than looking; of Python's own,
    which may take quadratic time, only little text is asked.
    """
    if bodies.str.len_bytes().sum() > _LITTLE:
        return pl.DataFrame({"body": bodies}).select(_kind("body", kinds)).to_series()
    found = (next((kind.name for kind in kinds if _compiled(kind.pattern).search(body)), None) for body in bodies)
    return pl.Series(list(found), dtype=pl.String)


_LITTLE = 20_000  # bytes


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _limited(found: pl.DataFrame) -> pl.DataFrame:
    """Warnings that repeat word for word are kept once, and no more than ``MAX_WARNINGS`` of them."""
    warning = pl.col("kind") == "warning"
    if not (found["kind"] == "warning").any():
        return found
    again = warning & ~pl.col("body").str.replace_all(r"[0-9.]+", "0").is_first_distinct()
    kept = found.filter(~again)
    return kept.filter(~(pl.col("kind") == "warning") | ((pl.col("kind") == "warning").cum_sum() <= MAX_WARNINGS))


def _tracebacks(told: Messages) -> tuple[pl.Series, pl.DataFrame]:
    """The lines inside tracebacks, and one row for the exception that ends each."""
    stamped = told.lines
    opening = told.having(pl.col("body").str.contains(_TRACEBACK, literal=True), _TRACEBACK.lower())["line"]
    starts = stamped["line"].search_sorted(opening)
    inside: list[int] = []
    raised: list[dict[str, object]] = []
    done = -1
    for start in starts:
        if start <= done:
            continue
        block = stamped.slice(start, 400)
        # A launcher indents the traceback of a worker that it quotes.
        text = block["text"].str.replace(rf"^ {{0,{len(opened := block['text'][0]) - len(opened.lstrip())}}}", "")
        ends = text.str.contains(_EXCEPTION).arg_true()
        end = int(ends[0]) if len(ends) else 0
        done = start + end
        inside += block["line"][: end + 1].to_list()
        said = text.str.extract(_EXCEPTION, 1)[end] if len(ends) else _TRACEBACK
        raised.append(
            {
                "line": block["line"][end],
                "stamp": block["stamp"][end] or block["stamp"][0],
                "body": said,
                "kind": _exception_kind(said),
            }
        )
    schema = {"line": pl.UInt32(), "stamp": pl.String(), "body": pl.String(), "kind": pl.String()}
    return pl.Series("line", inside, pl.UInt32), pl.DataFrame(raised, schema=schema)


def _exception_kind(text: str) -> str:
    """Out of memory and a user's interrupt end in a traceback too, but say more than that."""
    return _kinds_of(pl.Series([text], dtype=pl.String), _OF_EXCEPTIONS)[0] or "traceback"
