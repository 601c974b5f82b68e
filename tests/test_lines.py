"""Bytes of any kind become clean numbered lines, or a problem that says why not."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest import lines, opening
from postmortem.ingest.reading import LINES
from postmortem.ingest.text import clock


def _texts(data: bytes) -> list[str]:
    return lines.from_bytes(data).lines["text"].to_list()


@pytest.mark.parametrize(
    ("data", "want"),
    [
        (b"a\r\nb\r\r\nc\n", ["a", "b", "c"]),
        (b"\xef\xbb\xbfloss 1\nb", ["loss 1", "b"]),
        ("loss: 0.5\nä\n".encode("utf-16"), ["loss: 0.5", "ä"]),
        ("loss: 0.5 epoch 1\n".encode("utf-16-le"), ["loss: 0.5 epoch 1"]),
        ("größe: 1\n".encode("latin-1"), ["größe: 1"]),
        ("é\n".encode() + b"\xff\n", ["é", "\ufffd"]),
        (b"\x1b[31mloss: 1\x1b[0m\n", ["loss: 1"]),
        (b"\x00\x00\x00loss: 1\n", ["loss: 1"]),
        (b"", []),
    ],
)
def test_line_ends_encodings_and_escapes(data: bytes, want: list[str]) -> None:
    """Every usual line end, encoding and terminal escape gives the text a person sees."""
    assert _texts(data) == want


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), max_size=20), max_size=20))
@settings(max_examples=60, deadline=None)
def test_physical_line_numbers(rows: list[str]) -> None:
    """Row n of a plain text is physical line n, unchanged but for trailing carriage returns."""
    data = "".join(f"x{row}\n" for row in rows).encode()
    frame = lines.from_bytes(data).lines
    assert frame["line"].to_list() == list(range(1, len(rows) + 1))
    assert frame["text"].to_list() == [f"x{row}" for row in rows]
    assert dict(frame.schema) == dict(LINES)


def test_of_each_bar_the_last_state_counts() -> None:
    """A bar drawn anew each epoch counts once; text that follows it on the line survives."""
    bar = "\r".join(
        f"Epoch {e}: {n * 50}%|{'#' * n} | {n}/2 [00:0{n}<00:00, 1.0it/s, loss={e}.{n}]"
        for e in (1, 2)
        for n in (0, 1, 2)
    )
    assert [text[:7] + text[-9:] for text in _texts((bar + "\r   \r{'loss': 0.5}\n").encode())] == [
        "Epoch 1loss=1.2]",
        "Epoch 2loss=2.2]",
        "{'loss'" + "'loss': 0.5}"[-9:],
    ]


def test_a_bar_that_is_the_whole_run_keeps_its_numbers() -> None:
    """When one bar holds the whole run, each change of its numbers counts, across interruptions."""
    frames = [f"Train: {n}%|# | {n}/100 [00:0{n}<00:09, 1.0it/s, loss={9 - n // 2}.0]" for n in range(6)]
    data = "\r".join(frames[:4]) + "\n[ITER 3] saved\n" + "\r".join(["", *frames[4:]]) + "\n"
    kept = [text for text in _texts(data.encode()) if "loss" in text]
    assert [text.split("loss=")[1] for text in kept] == ["9.0]", "8.0]", "7.0]", "7.0]"]


def test_backspace_bars() -> None:
    """A Keras bar drawn with backspaces keeps its last state."""
    states = [f"{n}/3 [{'=' * n}{'.' * (3 - n)}] - loss: 0.{9 - n}" for n in (1, 2, 3)]
    assert _texts(("\b" * 30).join(states).encode() + b"\n") == [states[-1]]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files_read_as_what_they_hold(tmp_path: Path, pack: object) -> None:
    """Gzip and xz are recognised by content, whatever the name."""
    (tmp_path / "train.log").write_bytes(pack(b"epoch 1 loss 0.5\n" * 3))  # type: ignore[operator]
    assert lines.read_lines(tmp_path / "train.log").count == 3


def test_a_broken_archive_keeps_what_came_before(tmp_path: Path) -> None:
    """A truncated gzip file gives its readable part and a problem."""
    rows = b"".join(b"step %d loss 0.%d\n" % (n, n * 7919) for n in range(20000))
    (tmp_path / "a.log").write_bytes(gzip.compress(rows)[:-2000])
    text = lines.read_lines(tmp_path / "a.log")
    assert text.count > 1000
    assert "breaks off" in text.problems[0].message


def test_a_decompression_bomb_is_bounded(tmp_path: Path) -> None:
    """An archive that unpacks beyond any real log is cut and says so."""
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"0" * (64 << 20)))
    content = opening.read_content(tmp_path / "bomb.gz", "bomb.gz")
    assert len(content.data) <= max(opening.MAX_RATIO * (tmp_path / "bomb.gz").stat().st_size, 1 << 20)
    assert "only the first" in content.problems[0].message


def test_binary_is_no_text(tmp_path: Path) -> None:
    """A binary file gives no lines and a problem, not an exception."""
    (tmp_path / "x.log").write_bytes(bytes(range(256)) * 100)
    text = lines.read_lines(tmp_path / "x.log")
    assert text.lines.is_empty()
    assert "binary" in text.problems[0].message


def test_gigantic_lines_are_cut_and_named() -> None:
    """A line of megabytes is cut, said with its number; its neighbours stay."""
    text = lines.from_bytes(b"a\n" + b"x" * 3_000_000 + b"\nb\n")
    cut, problems = lines.clip(text.lines, "f")
    assert cut["text"].str.len_bytes().to_list() == [1, lines.MAX_LINE, 1]
    assert problems[0].line == 2


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("2025-11-01 01:09:28,969 [INFO] x", "2025-11-01T01:09:28.969"),
        ("[2023-04-18 01:46:59,142] [INFO] x", "2023-04-18T01:46:59.142"),
        ("2025-01-02T03:04:05.5Z x", "2025-01-02T03:04:05.500"),
        ("2025-01-02T03:04:05+02:00 x", "2025-01-02T01:04:05"),
        ("2024/01/02 03:04:05 - mmengine - INFO - x", "2024-01-02T03:04:05"),
        ("[01/02 03:04:05] d2 INFO: x", "2021-01-02T03:04:05"),
        ("I0102 03:04:05.123456 77 a.cpp:1] x", "2021-01-02T03:04:05.123456"),
        ("2025-13-45 99:99:99 x", None),
    ],
)
def test_timestamps(text: str, want: str | None) -> None:
    """The usual logging prefixes give UTC moments; a missing year comes from the file's name."""
    frame = lines.from_bytes(text.encode()).lines
    moment = clock.times(clock.stamp(frame, frame)["stamp"], "run_2021-05-01.log")[0]
    assert (moment and moment.replace(tzinfo=None).isoformat().removesuffix("000")) == (
        want and want.removesuffix("000")
    )


def test_a_year_that_wraps_goes_on() -> None:
    """Without a year, January after December is later, not earlier."""
    frame = lines.from_bytes(b"I1231 23:59:00.000000 1 a:1] x\nI0101 00:01:00.000000 1 a:1] y\n").lines
    moments = clock.times(clock.stamp(frame, frame)["stamp"], "solver_2020_12.log")
    assert (moments[1] - moments[0]).total_seconds() == 120


def test_a_record_over_two_lines_has_one_time() -> None:
    """The line after an empty message takes its time; other lines without a time have none."""
    frame = lines.from_bytes(b"2025-11-01 12:44:45,153 [INFO] \nTrain - Loss: 0.1\nprinted later\n").lines
    stamped = clock.stamp(frame, frame)
    assert stamped["stamp"].is_null().to_list() == [False, False, True]
    assert stamped.filter(pl.col("line") == 2)["body"][0] == "Train - Loss: 0.1"


def test_a_keras_bar_is_drawn_again_with_its_validation() -> None:
    """The finished bar comes once more with the validation behind it: one state, and one for each epoch."""
    epoch = "1/2 [=>..] - loss: {0}.9\b\b\b\r2/2 [====] - loss: {0}.5\b\b\r2/2 [====] - loss: {0}.4 - val_loss: {0}.3\n"
    kept = _texts("".join(f"Epoch {n}/3\n" + epoch.format(n) for n in (1, 2, 3)).encode())
    assert kept[1::2] == [f"2/2 [====] - loss: {n}.4 - val_loss: {n}.3" for n in (1, 2, 3)]
