"""Things that happened, as text logs tell them: crashes, kills, checkpoints, early stops, the end."""

from __future__ import annotations

import polars as pl

from postmortem.ingest import clock
from postmortem.ingest.reading import NOTES
from postmortem.ingest.shapes import Messages

MAX_WARNINGS = 1000
"""Most warning lines kept of one file."""

_TRACEBACK = "Traceback (most recent call last)"
_EXCEPTION = (
    r"^(?:\W*(?:\[?rank ?[0-9]+\]?:|\([^()]*pid=[0-9]+\))\s?)*"
    r"((?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt|Exit|Warning|Killed|Timeout|Abort"
    r"|Fault)\b.*)$"
)

# First match wins, so the order is from the certain to the general.
_KINDS: tuple[tuple[str, str], ...] = (
    (
        "oom",
        r"(?i)\bout of memory\b|OutOfMemoryError|CUBLAS_STATUS_ALLOC_FAILED|\boom[- ]kill|Cannot allocate memory"
        r"|std::bad_alloc|RESOURCE_EXHAUSTED|MemoryError\b"
        r"|Unable to allocate [0-9.]+ [KMGT]i?B|DefaultCPUAllocator: can't allocate",
    ),
    (
        "killed",
        r"(?i)^\W*killed\W*$|\bSIGKILL\b|\bSIGTERM\b|KeyboardInterrupt|exitcode\W+-(?:9|15|0{1,2})\b"
        r"|Signals\.SIG(?:KILL|TERM|INT)"
        r"|slurmstepd: error: .*CANCELLED|DUE TO TIME LIMIT|DUE TO PREEMPTION|\bkilled by (?:signal|the)"
        r"|received SIG(?:TERM|INT)"
        r"|^.*\bSegmentation fault\b",
    ),
    (
        "nan-warning",
        r"(?i)\b(?:loss|gradient|grad|grad_norm|activation|output|value|weights?|parameters?"
        r"|metric)s?\b[^.=:]*"
        r"\b(?:is|are|was|were|became|becomes?|contains?|has|have|went|turned|to|detected)\b:? (?:a "
        r"|an )?\W?"
        r"(?:nan|infs?\b|infinite|non-?finite|not finite)|\b(?:nan|non-?finite|infinite)\b[^.=:]*"
        r"\b(?:loss|gradients?|grad|values?|weights?|detected|encountered|found)\b",
    ),
    (
        "early-stop",
        r"(?i)\bearly[ -]?stopp(?:ing|ed)\b(?: (?:triggered|at|after|the|now|condition|criteri\w+|reached"
        r"|activated))"
        r"|^\W*(?:epoch \d+:? )?early[ -]?stopp(?:ing|ed)[\W]*$|\bepoch 0*\d+: early stopping"
        r"|\bstopp(?:ing|ed) early\b"
        r"|^\W*early[ -]?stopping, best\b"
        r"|\bno improvement (?:in|for) .*\bstopping\b|did(?:n't| not) improve .*[Ss]topping",
    ),
    (
        "restart",
        r"(?i)\bresum(?:ing|ed|e) (?:training |run )?(?:from|at|epoch|training)\b"
        r"|\b(?:loaded|loading|restor(?:ed|ing)|restored) (?:model |the )?(?:checkpoint|state|snapshot"
        r"|training state)\b"
        r"|^.*=> loaded checkpoint|\brestarting (?:training|from)\b|\bresumed epoch\b",
    ),
    (
        "best",
        r"(?i)\bnew best\b|\bbest (?:model|checkpoint|weights?)\b.*\b(?:saved|updated|found)|\bsav(?:ing"
        r"|ed) (?:new |the )?best\b"
        r"|\bimproved from\b|\bnew (?:record|highest|lowest) ",
    ),
    (
        "checkpoint",
        r"(?i)\bsav(?:ing|ed) (?:the |a |model |current |full |final )*(?:checkpoint|model|weights?|state"
        r"|snapshot)"
        r"|\b(?:checkpoint|model|weights?)(?: \S+)? (?:was |has been )?(?:saved|written)\b"
        r"|\bsnapshotting to\b|^\W*saving\W*$"
        r"|\bsaved checkpoint\b|\bsaving \S+\.(?:pt|pth|ckpt|bin|safetensors|h5|params)\b",
    ),
    (
        "finished",
        r"(?i)\b(?:training|train|optimi[sz]ation|run|fitting)(?: is| was| has)?(?: been)? (?:complete(?:d)?"
        r"|finished|done|ended)\b"
        r"(?:[\W]|$)|\bfinished training\b|\btraining (?:complete|done|finished)\b|^\W*(?:all )?done[.! ]*$"
        r"|\bfit.* stopped: `?max_(?:epochs|steps)",
    ),
    (
        "warning",
        r"\bWARNING\b|\b[A-Za-z]*Warning: |\bWARN\b|(?i:gradient overflow|overflow! |overflow detected"
        r"|skipping step)",
    ),
)
# One of these stands in every line a pattern above can hit; looking for them first is ten times cheaper.
_HINTS = [
    "memory",
    "oom",
    "alloc",
    "exhaust",
    "kill",
    "sig",
    "interrupt",
    "exit",
    "cancel",
    "due to",
    "segm",
    "nan",
    "inf",
    "finite",
    "stop",
    "resum",
    "load",
    "restor",
    "restart",
    "best",
    "improve",
    "record",
    "highest",
    "lowest",
    "sav",
    "written",
    "snapshot",
    "train",
    "complet",
    "finish",
    "done",
    "optimi",
    "fit",
    "warn",
    "overflow",
    "skipping",
]


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
    hits = _likely(told).filter(~pl.col("line").is_in(inside.implode()))
    found = hits.with_columns(kind=_kind("body")).filter(pl.col("kind").is_not_null())
    found = _limited(pl.concat([found.select("line", "stamp", "body", "kind"), raised]).sort("line"))
    return _timed(found, source), pl.concat([found["line"], inside])


def _likely(told: Messages) -> pl.DataFrame:
    """Lines whose mask reads like an event; what depends on digits is decided on the lines themselves."""
    hinted = pl.col("body").str.contains_any(_HINTS, ascii_case_insensitive=True) & (
        pl.col("body").str.len_bytes() < 4000
    )
    masks = told.masks.with_row_index("mask").filter(hinted)
    if masks.is_empty():
        return told.lines.clear()
    masks = masks.filter(_kind("body").is_not_null())
    return told.lines.filter(pl.col("mask").is_in(masks["mask"].implode()))


def said(lines: pl.DataFrame, kind: str, source: str) -> pl.DataFrame:
    """Events of one kind at the lines given, as ``find`` gives them."""
    return _timed(lines.unique("line", keep="first", maintain_order=True).with_columns(kind=pl.lit(kind)), source)


def _timed(found: pl.DataFrame, source: str) -> pl.DataFrame:
    text = pl.col("body").str.strip_chars().str.slice(0, 400)
    return found.select("line", time=clock.times(found["stamp"], source), kind="kind", text=text)


def placed(found: pl.DataFrame, positions: pl.DataFrame) -> pl.DataFrame:
    """Events with the epoch and step they happened in, as a frame of NOTES."""
    rows = found.join(positions, on="line", how="left", maintain_order="left")
    return rows.select(list(NOTES)).cast(NOTES)


def _kind(column: str) -> pl.Expr:
    kinds = pl.lit(None, pl.String)
    for kind, pattern in reversed(_KINDS):
        kinds = pl.when(pl.col(column).str.contains(pattern)).then(pl.lit(kind)).otherwise(kinds)
    return kinds


def _limited(found: pl.DataFrame) -> pl.DataFrame:
    """Warnings that repeat word for word are kept once, and no more than ``MAX_WARNINGS`` of them."""
    warning = pl.col("kind") == "warning"
    again = warning & ~pl.col("body").str.replace_all(r"[0-9.]+", "0").is_first_distinct()
    kept = found.filter(~again)
    return kept.filter(~(pl.col("kind") == "warning") | ((pl.col("kind") == "warning").cum_sum() <= MAX_WARNINGS))


def _tracebacks(told: Messages) -> tuple[pl.Series, pl.DataFrame]:
    """The lines inside tracebacks, and one row for the exception that ends each."""
    stamped = told.lines
    opening = told.having(pl.col("body").str.contains(_TRACEBACK, literal=True))["line"]
    starts = stamped["line"].search_sorted(opening)
    inside: list[int] = []
    raised: list[dict[str, object]] = []
    done = -1
    for start in starts:
        if start <= done:
            continue
        block = stamped.slice(start, 400)
        ends = block["text"].str.contains(_EXCEPTION).arg_true()
        end = int(ends[0]) if len(ends) else 0
        done = start + end
        inside += block["line"][: end + 1].to_list()
        said = block["text"].str.extract(_EXCEPTION, 1)[end] if len(ends) else _TRACEBACK
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
    frame = pl.DataFrame({"body": [text]})
    kind = frame.select(_kind("body")).item()
    return kind if kind in ("oom", "killed") else "traceback"
