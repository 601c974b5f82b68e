"""Logs in the styles people print are read right, and a log that was cut or divided loses and invents nothing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import polars as pl
import pytest
import styles
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest import detect, read
from postmortem.ingest.lines import from_bytes
from postmortem.ingest.packs.pack import load_packs
from postmortem.ingest.reading import Reading

Point = tuple[int, str, float]
_PACKS = load_packs()


def _reading(data: bytes) -> Reading:
    return detect.read(from_bytes(data), "train.log", _PACKS)


def _points(reading: Reading, before: int) -> list[Point]:
    rows = reading.points.select("line", "label", "value").iter_rows()
    return [(line, label, value) for line, label, value in rows if line < before]


@cache
def _whole(style: str) -> tuple[bytes, Reading]:
    data = styles.made(style).encode()
    return data, _reading(data)


@pytest.mark.parametrize("style", styles.NAMES)
def test_a_style_is_read(style: str, tmp_path: Path) -> None:
    """Train and validation loss of every epoch, each in its split and at its epoch, whatever the line looks like."""
    path = tmp_path / "train.log"
    path.write_text(styles.made(style), "utf-8")
    (run,) = read([path], packs=_PACKS).runs
    losses = run.metrics.filter(pl.col("metric") == "loss")
    got = {(split, epoch): value for split, epoch, value in losses.select("split", "epoch", "value").iter_rows()}

    epochs = range(1, styles.EPOCHS + 1)
    want = {("train", epoch): styles.loss(epoch) for epoch in epochs}
    assert got == want | {("val", epoch): styles.val(epoch) for epoch in epochs}


@settings(max_examples=8)
@given(st.sampled_from(styles.NAMES), st.floats(0.4, 1))
def test_a_cut_loses_no_complete_record_and_invents_none(style: str, share: float) -> None:
    """The readings of a beginning are the beginning of the readings, but for its last line, which may be cut."""
    data, whole = _whole(style)
    part = data[: round(share * len(data))]
    last = part.count(b"\n") + 1
    cut = _reading(part)

    assert _points(cut, last) == _points(whole, last)
    assert {point for point in _points(cut, last + 1) if point[0] == last} <= set(_points(whole, last + 1))


@settings(max_examples=5)
@given(st.sampled_from(styles.NAMES), st.integers(1, 100))
def test_two_halves_are_the_whole(style: str, at: int) -> None:
    """A log that was divided at a line gives in two files what it gave in one."""
    data, whole = _whole(style)
    lines = data.splitlines(keepends=True)
    at = len(lines) * at // 100
    halves = [b"".join(lines[:at]), b"".join(lines[at:])]
    read_ = [_points(_reading(half), len(lines) + 1) for half in halves]
    joined = [*read_[0], *((line + at, label, value) for line, label, value in read_[1])]

    assert set(joined) <= set(_points(whole, len(lines) + 1))
