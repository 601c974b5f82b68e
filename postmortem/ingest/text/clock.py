"""Timestamps of the usual logging prefixes.

Naive times are taken as UTC. A prefix without a year takes it from the file's name, and else ``UNKNOWN_YEAR``: the
differences between lines are right, the date is not.
"""

from __future__ import annotations

import re

import numpy as np
import polars as pl
from numpy.typing import NDArray

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
    first = stamps.drop_nulls()[0]
    form = next((form for form in _FORMS if re.match(form, first)), None)
    if form is None:
        return pl.Series("time", [None] * len(stamps), TIME)
    return _parse(stamps, form, source)


def _form(probe: pl.DataFrame) -> str | None:
    """The form most sampled lines have, if any has one."""
    heads = probe["text"].str.slice(0, _PREFIX)
    hits = [(int(heads.str.contains(form).sum()), -at) for at, form in enumerate(_FORMS)]
    best, at = max(hits)
    return _FORMS[-at] if best else None


def _parse(stamps: pl.Series, form: str, source: str) -> pl.Series:
    """In arrays, because a log of a few stamped lines pays for the number of queries alone."""
    caught = pl.DataFrame({"stamp": stamps}).select(pl.col("stamp").str.extract_groups(form)).to_series()
    parts = caught.struct.unnest().get_columns()[1:]
    date, time = [_whole(part) for part in parts[:3]], [_whole(part) for part in parts[3:6]]
    if form != _DATED:
        date[0] = _years_passed(date[1]) + _year(source)
    fraction, zone = parts[6:]
    moments = _dates(*date) + _clocks(*time) + _fractions(fraction) - _offsets(zone)
    return pl.Series("time", moments.astype("datetime64[us]")).cast(TIME)


def _whole(texts: pl.Series) -> NDArray[np.float64]:
    """Digits as numbers; NaN where there are none."""
    return texts.cast(pl.Int32, strict=False).cast(pl.Float64).to_numpy()


def _dates(year: NDArray[np.float64], month: NDArray[np.float64], day: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Days; NaT for those that do not exist."""
    sound = (month >= 1) & (month <= 12) & (day >= 1) & (year > 0)
    months = np.where(sound, (year - 1970) * 12 + month - 1, 0).astype(np.int64).astype("datetime64[M]")
    dates = months.astype("datetime64[D]") + np.where(sound, day - 1, 0).astype(np.int64)
    return np.where(sound & (dates.astype("datetime64[M]") == months), dates, np.datetime64("NaT", "D"))


def _clocks(
    hour: NDArray[np.float64], minute: NDArray[np.float64], second: NDArray[np.float64]
) -> NDArray[np.timedelta64]:
    """Times of the day; NaT for those that do not exist."""
    sound = (hour < 24) & (minute < 60) & (second < 60)
    seconds = np.where(sound, (hour * 60 + minute) * 60 + second, 0).astype("timedelta64[s]")
    return np.where(sound, seconds, np.timedelta64("NaT", "s"))


def _fractions(texts: pl.Series) -> NDArray[np.timedelta64]:
    """Digits after the second's point."""
    if texts.null_count() == len(texts):
        return np.zeros(len(texts), "timedelta64[us]")
    digits = texts.str.len_bytes().cast(pl.Float64).to_numpy()
    return np.nan_to_num(np.floor(_whole(texts) * 10.0 ** (6 - digits))).astype("timedelta64[us]")


def _years_passed(month: NDArray[np.float64]) -> NDArray[np.float64]:
    """How often the year has turned since the first line, where the log does not print it."""
    known = np.flatnonzero(~np.isnan(month))
    turned = np.zeros(month.size)
    turned[known[1:]] = np.diff(month[known]) * 30 < -_WRAP_DAYS
    return np.cumsum(turned)


def _offsets(zone: pl.Series) -> NDArray[np.timedelta64]:
    """What a zone such as ``+02:00`` is ahead of UTC."""
    if zone.null_count() == len(zone) or zone.max() == "":
        return np.zeros(len(zone), "timedelta64[m]")
    digits = zone.str.replace_all(r"[^0-9]", "").str.pad_start(4, "0")
    minutes = _whole(digits.str.slice(0, 2)) * 60 + _whole(digits.str.slice(2, 2))
    signed = np.where(zone.str.starts_with("-").fill_null(False).to_numpy(), -minutes, minutes)
    return np.nan_to_num(signed).astype("timedelta64[m]")


def _year(source: str) -> int:
    found = _YEAR_IN_NAME.search(source)
    return int(found.group(1)) if found else UNKNOWN_YEAR
