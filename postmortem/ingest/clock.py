"""Timestamps of the usual logging prefixes.

Naive times are taken as UTC. A prefix without a year takes it from the file's name, and else ``UNKNOWN_YEAR``: the
differences between lines are right, the date is not.
"""

from __future__ import annotations

import re

import polars as pl

from postmortem.schema import TIME

UNKNOWN_YEAR = 1904
"""Stands for a year the log does not tell; a leap year, so that every date exists in it."""

_CLOCK = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]{1,9}))?"
_DATED = (
    r"^([ -~]*?\b)((?:19|20)[0-9]{2})[-/.]([0-9]{2})[-/.]([0-9]{2})[T _-]\s?"
    + _CLOCK
    + r"\s?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)
_SHORT = r"^([ -~]*?\[|)()([0-9]{2})[/-]([0-9]{2}) " + _CLOCK + r"()"
_GLOG = r"^([ -~]*?\b[IWEFD])()([0-9]{2})([0-9]{2}) " + _CLOCK + r"()"
_FORMS = (_DATED, _SHORT, _GLOG)
_LEVEL = "(?:INFO|DEBUG|WARNING|WARN|ERROR|CRITICAL)"
_EMPTY = rf"^[\s\[\]():|,-]*(?:(?:[A-Za-z_.]+[\s|:-]+)?{_LEVEL}[\s\[\]():|-]*)?$"
_YEAR_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_.]?(?:0?[1-9]|1[0-2])(?!\d{5})")
_WRAP_DAYS = 300
_PREFIX = 64  # characters of a line in which its time is looked for


def stamp(lines: pl.DataFrame, probe: pl.DataFrame) -> pl.DataFrame:
    """Splits a timestamp off each line.

    Args:
        lines: Frame of LINES.
        probe: A sample of it, from which the form of the prefix is learnt.

    Returns:
        ``lines`` with ``stamp`` (the text of the prefix up to the end of its time, null where there is none; the line
        after an empty message takes that message's) and ``body`` (the rest).
    """
    form = _form(probe)
    if form is None:
        return lines.with_columns(stamp=pl.lit(None, pl.String), body=pl.col("text"))
    lines = lines.with_columns(own=pl.col("text").str.slice(0, _PREFIX).str.extract(f"^({form.removeprefix('^')})", 1))
    body = pl.when(pl.col("own").is_null()).then("text").otherwise(pl.col("text").str.strip_prefix(pl.col("own")))
    lines = lines.with_columns(body=body)
    # A record broken over two lines: the logger printed the time, then the message's own line end.
    empty = pl.col("own").is_not_null() & pl.col("body").str.contains(_EMPTY)
    inherited = pl.when(empty.shift()).then(pl.col("own").shift())
    return lines.with_columns(stamp=pl.coalesce("own", inherited)).drop("own")


def times(stamps: pl.Series, source: str) -> pl.Series:
    """The moments of prefixes cut off by ``stamp``, in file order.

    Args:
        stamps: Prefix texts; null where a line has none.
        source: Name of the file, which may tell the year.
    """
    if stamps.null_count() == len(stamps):
        return pl.Series("time", [None] * len(stamps), TIME)
    first = stamps.drop_nulls().head(1)
    form = next((form for form in _FORMS if first.str.contains(form).any()), None)
    if form is None:
        return pl.Series("time", [None] * len(stamps), TIME)
    return _parse(stamps, form, source).rename("time")


def _form(probe: pl.DataFrame) -> str | None:
    """The form most sampled lines have, if any has one."""
    heads = probe["text"].str.slice(0, _PREFIX)
    hits = [(int(heads.str.contains(form).sum()), -at) for at, form in enumerate(_FORMS)]
    best, at = max(hits)
    return _FORMS[-at] if best else None


def _parse(stamps: pl.Series, form: str, source: str) -> pl.Series:
    names = ["head", "year", "month", "day", "hour", "minute", "second", "fraction", "zone"]
    caught = pl.col("stamp").str.extract_groups(form).struct.rename_fields(names)
    rows = pl.LazyFrame({"stamp": stamps}).select(caught).unnest("stamp")
    year = pl.col("year").cast(pl.Int32, strict=False).fill_null(_year(source)) + _years_passed()
    fraction = pl.col("fraction").fill_null("").str.pad_end(6, "0").str.slice(0, 6).cast(pl.Int32, strict=False)
    rows = rows.with_columns(pl.col(*names[2:7]).cast(pl.Int32, strict=False), year=year, fraction=fraction)
    # Polars raises on dates that do not exist, so these are taken out first.
    rows = rows.with_columns(pl.when(pl.col("month").is_between(1, 12)).then("month"))
    days = pl.date("year", "month", 1).dt.month_end().dt.day()
    exists = (
        pl.col("day").is_between(1, days) & (pl.col("hour") < 24) & (pl.col("minute") < 60) & (pl.col("second") < 60)
    )
    rows = rows.with_columns(pl.when(exists).then("day"))
    clock = [pl.col(name) for name in ("year", "month", "day", "hour", "minute", "second", "fraction")]
    return rows.select((pl.datetime(*clock, time_zone="UTC") - _offset()).cast(TIME)).collect().to_series()


def _years_passed() -> pl.Expr:
    """How often the year has turned since the first line, where the log does not print it."""
    months = pl.col("month").cast(pl.Int32, strict=False).forward_fill()
    turned = (months.diff() * 30 < -_WRAP_DAYS).fill_null(False) & (pl.col("year") == "").fill_null(False)
    return turned.cast(pl.Int32).cum_sum()


def _offset() -> pl.Expr:
    """What a zone such as ``+02:00`` is ahead of UTC."""
    digits = pl.col("zone").str.replace_all(r"[^0-9]", "").str.pad_start(4, "0")
    minutes = digits.str.slice(0, 2).cast(pl.Int64, strict=False) * 60 + digits.str.slice(2, 2).cast(
        pl.Int64, strict=False
    )
    sign = pl.when(pl.col("zone").str.starts_with("-")).then(-1).otherwise(1)
    return pl.duration(minutes=(sign * minutes).fill_null(0))


def _year(source: str) -> int:
    found = _YEAR_IN_NAME.search(source)
    return int(found.group(1)) if found else UNKNOWN_YEAR
