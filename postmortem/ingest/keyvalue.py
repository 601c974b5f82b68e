"""The generic text reader: any ``name: number``, ``name=number`` or ``name number`` of a log nobody described to us.

A number becomes a measurement when its label recurs on lines of the same shape with changing values, or stands at a
known place in training. What is said once before training is a setting. A file in which no known kind of measurement
does either (prose, source code, server logs) has none at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from postmortem import names
from postmortem.ingest import clock, context, events, settings
from postmortem.ingest.lines import Text, clip, sample
from postmortem.ingest.reading import LINES, POINTS, SETTINGS, Reading
from postmortem.ingest.template import MARK, NUMBER, SLOT, Field, Template, header_split, understand

NAME = "key-value"

MAX_SHAPES = 20_000
"""Most distinct line shapes that are looked at, the most frequent first."""

_MAX_SHAPE = 20_000
_DELIMITERS = " \t:=[](){},;|<>'\"/*#&%$!?~^`\\"
# Words that name a measurement beyond doubt, whatever else is in the log.
_CORE = re.compile(
    r"loss|(^|_)(acc|accuracy|auc|auroc|f1|precision|recall|bleu|ppl|perplexity|mse|mae|rmse|reward|return|m?iou|dice|psnr"
    r"|ssim|fid|m?ap|wer|cer|ndcg|mrr|r2|nll|xent|entropy|elbo|kl|grad_norm|logloss|rouge\w*|error|score|top1|top5|cost|mcc)"
    r"(_|@|\d|$)|loss$|acc$|return$|reward$")
_CONFIG = re.compile(
    r"(^|_|/)(weight|weights|coef|coeff|lambda|smoothing|ratio|threshold|size|dim|beta|eps|epsilon|momentum|decay|interval|every"
    r"|patience|warmup|layers|heads|hidden|target|clip|num|max|min_delta|factor|type|alpha|gamma|seed|workers|dropout)(_|$)")
_HEADING = (r"(?i)^[^a-z]*(?:[a-z]+\W+)?(?:train|training|validation|validating|validate|valid|val|eval|evaluation|evaluating|"
            r"test|testing|dev)\b[^0-9=]{0,24}$")


@dataclass(frozen=True)
class _Found:
    """The numbers of a file that could mean something, one row each, and what is known of each shape and slot.

    Attributes:
        numbers: ``line``, ``shape`` (u32), ``slot``, ``value``.
        fields: ``shape``, ``slot``, ``kind``, ``label``, ``split``, ``strong`` and what its shape says.
    """

    numbers: pl.DataFrame
    fields: pl.DataFrame


def read(text: Text, source: str) -> Reading:
    """Reads a text log without a description of its format.

    Args:
        text: The file's lines.
        source: Its path as it is to be shown.
    """
    lines, problems = clip(text.lines, source)
    stamped = clock.stamp(lines, sample(lines))
    happened = events.find(stamped, source)
    shaped = _shaped(stamped)
    found = _without_cut_number(_numbers(shaped), text, stamped)
    counters = _counters(found)
    headings = _headings(stamped, counters)
    accepted = _accepted(found, counters, happened)
    points = _points(accepted, counters, headings, stamped, source)
    told = pl.concat([settings.find(stamped, points), context.stated_totals(counters).pipe(_as_settings)]).sort("line")
    carrying = pl.concat([points["line"], happened["line"], told["line"], counters["line"], _empty_lines(stamped)]).unique()
    unread = stamped.filter(~pl.col("line").is_in(carrying.implode())).select(list(LINES))
    notes = events.placed(happened, context.positions(counters, headings, happened["line"].unique().sort()))
    understood = text.count - unread["line"].n_unique()
    return Reading(source, NAME, points, notes, told, understood, unread, text.count, (*text.problems, *problems))


def share(lines: pl.DataFrame) -> float:
    """The share of sampled lines that hold a measurement, 0 for text that is no training log."""
    reading = read(Text(b"", lines, lines.height), "")
    return reading.points["line"].n_unique() / max(lines.height, 1)


def _as_settings(totals: pl.DataFrame) -> pl.DataFrame:
    return totals.select(list(SETTINGS)).cast(dict(SETTINGS))


def _empty_lines(stamped: pl.DataFrame) -> pl.Series:
    """Lines known to carry nothing: blank, rules, bars without measurements."""
    nothing = ~pl.col("body").str.contains(r"[A-Za-z0-9\p{L}]") | pl.col("body").str.contains(r"[0-9]%\|")
    level = pl.col("body").str.contains(r"^\W*(?:INFO|DEBUG)\W*$")
    return stamped.filter(nothing | level)["line"]


def _shaped(stamped: pl.DataFrame) -> pl.DataFrame:
    """The lines with a number, and their shape."""
    has_number = pl.col("body").str.contains(r"[0-9]|(?i:nan|inf)")
    short = pl.col("body").str.len_bytes() <= _MAX_SHAPE
    shape = pl.col("body").str.replace_all(SLOT, "${1}" + MARK)
    return stamped.filter(has_number & short).select("line", "body", shape=shape)


def _numbers(shaped: pl.DataFrame) -> _Found:
    shapes = shaped.filter(pl.col("shape").str.contains(MARK, literal=True))["shape"].value_counts(sort=True)
    shapes = shapes.head(MAX_SHAPES).with_row_index("id")
    rows = [row for at, shape in zip(shapes["id"], shapes["shape"], strict=True) for row in _rows(at, understand(shape))]
    fields = pl.DataFrame(rows, schema=_FIELDS, orient="row")
    # "2.6K" is kept as printed, unless the same label is also printed without the K.
    mixed = pl.col("scale").n_unique().over("label") > 1
    fields = fields.with_columns(scale=pl.when(mixed).then("scale").otherwise(1.0))
    known = shapes.filter(pl.col("id").is_in(fields["shape"].unique().implode())).select("shape", "id")
    hits = shaped.join(known, on="shape", how="inner", maintain_order="left")
    exploded = hits.select("line", shape="id", text=pl.col("body").str.extract_all(SLOT)).with_columns(
        slot=pl.int_ranges(0, pl.col("text").list.len(), dtype=pl.UInt32)).explode("text", "slot")
    wanted = exploded.join(fields.select("shape", "slot", "scale"), on=["shape", "slot"], how="inner", maintain_order="left")
    return _Found(wanted.with_columns(value=_parsed("text") * pl.col("scale")).drop("scale"), fields)


_FIELDS = {
    "shape": pl.UInt32(), "slot": pl.UInt32(), "kind": pl.String(), "label": pl.String(), "split": pl.String(),
    "strong": pl.Boolean(), "scale": pl.Float64(), "counted": pl.Boolean(), "governs": pl.Boolean(),
    "coverage": pl.Float64(),
}


def _rows(at: int, template: Template) -> Iterator[tuple[object, ...]]:
    for item in template.fields:
        yield (at, item.slot, item.kind, item.label, item.split, item.strong, item.scale, template.counted,
               template.governs, template.coverage)


def _parsed(column: str) -> pl.Expr:
    """The number in a match of ``SLOT``, which starts with one delimiter (or the word a counter is glued to)."""
    bare = pl.col(column).str.strip_chars_start(_DELIMITERS).str.replace_all(",", "", literal=True)
    plain = bare.cast(pl.Float64, strict=False)
    rest = pl.col(column).str.extract(f"({NUMBER})$", 1).str.replace_all(",", "", literal=True)
    return pl.coalesce(plain, rest.cast(pl.Float64, strict=False))


def _without_cut_number(found: _Found, text: Text, stamped: pl.DataFrame) -> _Found:
    """Drops the last number of an unfinished last line, unless it is as long as its like always are.

    ``Loss: 0.18`` may be what was written of ``Loss: 0.1880``. Where something follows the number it is complete.
    """
    last = found.numbers.tail(1)
    if text.finished or last.is_empty() or last["line"][0] != stamped["line"][-1]:
        return found
    written = last["text"][0]
    if not stamped["body"][-1].endswith(written):
        return found
    like = found.numbers.head(-1).filter((pl.col("shape") == last["shape"][0]) & (pl.col("slot") == last["slot"][0]))
    decimals = like["text"].str.extract(r"\.([0-9]*)$", 1).str.len_bytes().unique().to_list()
    complete = decimals == [len(written.rpartition(".")[2])] and "." in written
    return found if complete else _Found(found.numbers.head(-1), found.fields)


def _counters(found: _Found) -> pl.DataFrame:
    """One row a counting line; see ``context.positions``."""
    kinds = found.fields.select("shape", "slot", "kind", "split", "governs")
    rows = found.numbers.join(kinds, on=["shape", "slot"], how="inner", maintain_order="left")
    each = [pl.col("value").filter(pl.col("kind") == kind).first().alias(kind) for kind in context.COUNTERS]
    measures = (pl.col("kind") == "value").any().alias("measures")
    split = pl.col("split").filter(pl.col("kind").is_in(["epoch", "step", "batch"])).first()
    lines = rows.group_by("line", maintain_order=True).agg(*each, split, pl.col("governs").any(), measures)
    return lines.filter(pl.any_horizontal(pl.col(list(context.COUNTERS)).is_not_null()))


def _accepted(found: _Found, counters: pl.DataFrame, happened: pl.DataFrame) -> pl.DataFrame:
    """The numbers that are measurements: ``line``, ``label``, ``split``, ``value``."""
    fields = found.fields.filter(pl.col("kind") == "value")
    rows = found.numbers.join(fields, on=["shape", "slot"], how="inner", maintain_order="left")
    announced = happened.filter(pl.col("kind").is_in(["best", "checkpoint", "early-stop", "restart"]))["line"]
    rows = rows.filter(pl.col("counted") | ~pl.col("line").is_in(announced.implode()))
    start = counters.filter("governs")["line"].min()
    keep = _judge(rows, start if isinstance(start, int) else None)
    return rows.join(keep, on=["shape", "slot"], how="semi", maintain_order="left")


def _judge(rows: pl.DataFrame, start: int | None) -> pl.DataFrame:
    """The ``shape`` and ``slot`` of the fields that are measurements.

    Args:
        rows: Candidate numbers with their fields.
        start: Line of the first counter that governs, or None.
    """
    begun = pl.col("line") >= start if start is not None else pl.lit(False)
    fields = rows.group_by("shape", "slot", "label", "strong", "counted", "coverage").agg(
        begun=begun.any(), integers=(~pl.col("text").str.contains(r"[.eEnN]")).all(), counts=pl.col("line").n_unique())
    by_label = rows.group_by("label").agg(distinct=pl.col("value").n_unique(), lines=pl.col("line").n_unique())
    judged = fields.join(by_label, on="label").with_columns(
        pl.col("label").map_elements(_is_core, return_dtype=pl.Boolean).alias("core"),
        pl.col("label").map_elements(_is_config, return_dtype=pl.Boolean).alias("config"),
        pl.col("label").map_elements(_is_known, return_dtype=pl.Boolean).alias("known"),
    )
    changing = (pl.col("distinct") >= 2) & (pl.col("lines") >= 2)
    measured = pl.col("counted") & (pl.col("strong") | pl.col("known") | pl.col("core"))
    dense = pl.col("coverage") >= 0.4
    alone = ~pl.col("config") & dense & pl.when("core").then(changing | pl.col("begun")).when("known").then(
        pl.col("begun") & pl.col("strong") | changing & pl.col("begun")).otherwise(
        pl.col("strong") & pl.col("begun") & (~pl.col("integers") | (changing & (pl.col("lines") >= 3))))
    told = pl.col("strong") | (pl.col("counted") & dense & ~pl.col("integers"))
    beside = told & ~pl.col("config") & (pl.col("core") & changing).any().over("shape")
    # Labels nobody knows (G_GAN) are measurements all the same when line after line counts and they change.
    series = pl.col("counted") & pl.col("strong") & ~pl.col("integers") & changing & (pl.col("counts") >= 3)
    trains = judged.select((~pl.col("config") & ((pl.col("core") & (pl.col("counted") | changing)) | series)).any()).item()
    return judged.filter((measured | alone | beside) & pl.lit(bool(trains))).select("shape", "slot")


def _is_core(label: str) -> bool:
    return bool(_CORE.search(_metric(label)))


def _is_config(label: str) -> bool:
    return bool(_CONFIG.search(_metric(label)))


def _is_known(label: str) -> bool:
    return names.role(_metric(label)) != "other"


def _metric(label: str) -> str:
    return names.parse(label.removesuffix(" (avg)")).metric


def _headings(stamped: pl.DataFrame, counters: pl.DataFrame) -> pl.DataFrame:
    """Lines that open a split (``line`` and ``split``): headings, and counters that name one (``Test: [10/391]``)."""
    lines = stamped.filter(pl.col("body").str.len_bytes() < 80).filter(pl.col("body").str.contains(_HEADING))
    found = lines.select("line", split=pl.col("body").map_elements(header_split, return_dtype=pl.String))
    return pl.concat([found.drop_nulls(), counters.select("line", "split").drop_nulls()]).unique("line").sort("line")


def _points(accepted: pl.DataFrame, counters: pl.DataFrame, headings: pl.DataFrame, stamped: pl.DataFrame,
            source: str) -> pl.DataFrame:
    """Measurements with their place and time, in file order."""
    lines = accepted["line"].unique().sort()
    placed = context.positions(counters, headings, lines)
    moments = stamped.filter(pl.col("line").is_in(lines.implode())).unique("line", keep="first", maintain_order=True)
    moments = moments.select("line", time=clock.times(moments["stamp"], source))
    rows = accepted.join(placed, on="line", how="left", suffix="_placed", maintain_order="left")
    rows = rows.join(moments, on="line", how="left", maintain_order="left")
    own = pl.when(_names_split("label")).then(None).otherwise(pl.coalesce("split", "split_placed"))
    return rows.select("line", "step", "epoch", own.alias("split"), "label", "value", "time").cast(dict(POINTS))


def _names_split(column: str) -> pl.Expr:
    """The label says the split itself, so no heading overrules it."""
    return pl.col(column).map_elements(lambda label: bool(names.parse(label).split), return_dtype=pl.Boolean)
