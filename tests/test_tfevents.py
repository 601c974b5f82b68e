"""TensorBoard event files: what is decoded, what is stepped over, and what damage costs."""

from __future__ import annotations

import json
import math
import random
import struct
from collections.abc import Iterable, Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest.reading import POINTS, SETTINGS, Reading
from postmortem.ingest.stores import tfevents, tfrecord
from postmortem.ingest.stores.stretches import crc32c, padded

SHARED = Path(__file__).resolve().parents[2] / "shared"
START = 1_700_000_000.25

# --- a writer of our own, so that the files need nothing installed -----------------------------------------------


def slow_crc(data: bytes) -> int:
    """CRC-32C a bit at a time, from its definition."""
    register = 0xFFFFFFFF
    for byte in data:
        register = reduce(lambda r, _: (r >> 1) ^ (0x82F63B78 if r & 1 else 0), range(8), register ^ byte)
    return register ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    """The checksum as it stands in a file."""
    crc = slow_crc(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(payload: bytes) -> bytes:
    """A payload in its frame."""
    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; negative numbers as 64 bits."""
    number &= (1 << 64) - 1
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def put(number: int, value: int | bytes | tuple[str, float]) -> bytes:
    """A field: an integer as varint, bytes with their length, ``("<d", x)`` or ``("<f", x)`` with fixed width."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3 | (1 if value[0] == "<d" else 5)) + struct.pack(*value)


def event(*values: bytes, step: int = 0, time: float = START) -> bytes:
    """An event; protocol buffers leave out a step of zero."""
    summary = put(5, b"".join(put(1, value) for value in values)) if values else b""
    return put(1, ("<d", time)) + (put(2, step) if step else b"") + summary


def simple(tag: str, value: float) -> bytes:
    """A value as PyTorch writes it."""
    return put(1, tag.encode()) + put(2, ("<f", value))


def shape(*sizes: int) -> bytes:
    """The shape field of a tensor."""
    return put(2, b"".join(put(2, put(1, size) if size else b"") for size in sizes))


def tensor(tag: str, content: bytes, plugin: str = "") -> bytes:
    """A value that is a tensor, with or without metadata."""
    metadata = put(9, put(1, put(1, plugin.encode()))) if plugin else b""
    return put(1, tag.encode()) + put(8, content) + metadata


def number(value: float) -> bytes:
    """A float tensor without dimensions, as TensorFlow 2 writes scalars."""
    return put(1, 1) + shape() + put(4, struct.pack("<f", value))


HEADER = record(put(1, ("<d", START)) + put(3, b"brain.Event:2"))


def read(folder: Path, content: bytes) -> Reading:
    """Reads the bytes as an event file."""
    path = folder / "events.out.tfevents.1.host"
    path.write_bytes(content)
    return tfevents.read(path, "shown")


def read_all(folder: Path, contents: Iterable[bytes]) -> Iterator[Reading]:
    """Reads each of the bytes as an event file; together, which costs a tenth and gives the same (see below)."""
    paths = []
    for at, content in enumerate(contents):
        paths.append(folder / f"events.out.tfevents.1.{at}")
        paths[-1].write_bytes(content)
    return tfevents.read_files([(path, "shown") for path in paths])


def rows(reading: Reading) -> list[tuple[Any, ...]]:
    """Line, step, label and value of the points."""
    columns = (reading.points[name].to_list() for name in ("line", "step", "label", "value"))
    return list(zip(*columns, strict=True))


def single(value: float) -> float:
    """The nearest single-precision number."""
    return float(np.float32(value))


# --- checksums ---------------------------------------------------------------------------------------------------


def test_the_checksum_is_the_published_one() -> None:
    """RFC 3720, appendix B.4."""
    cases = {bytes(32): 0x8A9136AA, b"\xff" * 32: 0x62A8AB43, bytes(range(32)): 0x46DD794E, b"123456789": 0xE3069283}
    for content, expected in cases.items():
        assert crc32c(padded(content), np.array([0]), np.array([len(content)])).tolist() == [expected]


@given(st.lists(st.one_of(st.binary(max_size=70), st.integers(120, 700).map(lambda n: random.Random(n).randbytes(n)))))
@settings(max_examples=60, deadline=None)
def test_many_checksums_at_once_are_those_of_each(pieces: list[bytes]) -> None:
    """Whatever the lengths, mixed: beside the pieces of 64 bytes the sums are taken in, empty ones too."""
    end = np.cumsum([0, *map(len, pieces)])
    found = crc32c(padded(b"".join(pieces)), end[:-1], end[1:])
    assert found.tolist() == [slow_crc(piece) for piece in pieces]


# --- what is decoded ---------------------------------------------------------------------------------------------


def test_simple_values_keep_tag_step_time_and_value(tmp_path: Path) -> None:
    """The line is the record's ordinal, the time is UTC, a step of zero is not written, values are not rounded."""
    values = [0.1, math.inf, -math.inf, math.nan, 1e-42]
    events = [record(event(simple("Loss/train", v), step=300 * i, time=START + i)) for i, v in enumerate(values)]
    reading = read(tmp_path, HEADER + b"".join(events))
    assert reading.points.schema == POINTS
    assert reading.settings.schema == SETTINGS
    assert (reading.lines, reading.understood, reading.problems, reading.source) == (6, 6, (), "shown")
    assert reading.points["line"].to_list() == [2, 3, 4, 5, 6]
    assert reading.points["step"].to_list() == [0, 300, 600, 900, 1200]
    assert np.array_equal(reading.points["value"], np.array(values, np.float32), equal_nan=True)
    assert reading.points["label"].unique().to_list() == ["Loss/train"]
    assert reading.points["time"].dt.epoch("us").to_list() == [int((START + i) * 1e6) for i in range(5)]
    assert reading.points.select("epoch", "split").null_count().row(0) == (5, 5)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (number(0.1), single(0.1)),
        (put(1, 1) + put(5, struct.pack("<f", 2.5)), 2.5),
        (put(1, 1) + put(5, ("<f", 2.5)), 2.5),
        (put(1, 2) + put(6, struct.pack("<d", 0.1)), 0.1),
        (put(1, 2) + shape(1) + put(4, struct.pack("<d", -0.1)), -0.1),
        (put(1, 3) + put(7, varint(-7)), -7.0),
        (put(1, 3) + put(4, struct.pack("<i", -7)), -7.0),
        (put(1, 9) + put(10, 1 << 40), float(1 << 40)),
        (put(1, 9) + shape(1, 1) + put(10, varint(12)), 12.0),
        (put(1, 10) + put(11, 1), 1.0),
        (put(1, 14) + put(13, 0x3FC0), 1.5),
        (put(1, 14) + put(4, b"\xc0\x3f"), 1.5),
        (put(1, 19) + put(13, varint(0x3E00)), 1.5),
        (put(1, 19) + put(4, b"\x00\x3e"), 1.5),
        (put(1, 22) + put(16, 4_000_000_000), 4e9),
        (put(1, 23) + put(17, (1 << 64) - 1), float(1 << 64)),
        (put(1, 1) + shape(100) + put(5, struct.pack("<f", 0.0)), None),  # a hundred zeros, written once
        (put(1, 1) + shape(2) + put(4, struct.pack("<2f", 1, 2)), None),
        (put(1, 1) + shape(0), None),
        (put(1, 7) + put(8, b"a text"), None),
        (put(1, 8) + put(4, struct.pack("<2f", 1, 2)), None),
    ],
)
def test_a_tensor_is_a_scalar_when_it_holds_one_number(tmp_path: Path, content: bytes, expected: float | None) -> None:
    """In every type, as raw content, packed or not; more numbers, texts and complex numbers are none."""
    reading = read(tmp_path, HEADER + record(event(tensor("t", content), step=4)))
    assert rows(reading) == ([] if expected is None else [(2, 4, "t", expected)])
    assert (reading.understood, reading.problems) == (2, ())


def test_the_plugin_named_once_holds_for_the_whole_file(tmp_path: Path) -> None:
    """TensorFlow 2 writes metadata with the first event of a tag; a number of another plugin is no scalar."""
    events = [
        event(tensor("loss", number(1), "scalars"), tensor("curve", number(7), "pr_curves")),
        event(tensor("loss", number(2)), tensor("curve", number(8)), step=1),
    ]
    assert rows(read(tmp_path, b"".join(map(record, events)))) == [(1, 0, "loss", 1.0), (2, 1, "loss", 2.0)]


def test_hyperparameters_become_settings(tmp_path: Path) -> None:
    """Numbers, texts and switches of the hparams plugin; a list is left out."""
    entries = {"lr": put(2, ("<d", 3e-4)), "batch": put(2, ("<d", 32.0)), "net": put(3, b"gru"), "amp": put(4, 1)}
    entries["list"] = put(6, b"")
    start = b"".join(put(1, put(1, key.encode()) + put(2, value)) for key, value in entries.items())
    metadata = put(9, put(1, put(1, b"hparams") + put(2, put(3, start))))
    reading = read(tmp_path, HEADER + record(event(put(1, b"_hparams_/session_start_info") + metadata)))
    assert reading.settings.rows() == [(2, "lr", "0.0003"), (2, "batch", "32"), (2, "net", "gru"), (2, "amp", "True")]
    assert reading.points.is_empty()


TEXTS = {
    "args": ('{"lr": 0.0001, "fp16": true, "sub": {"a": 1}}', {"lr": "0.0001", "fp16": "true", "sub.a": "1"}),
    "hyperparameters": ("|param|value|\n|-|-|\n|seed|7|\n|env_id|Ant-v4|", {"seed": "7", "env_id": "Ant-v4"}),
    "model_config": ('{"hidden_size": 768}', {"model_config.hidden_size": "768"}),
    "sample": ('{"learning_rate": 1}', {}),
    "config": ("no configuration at all: 1 | 2 |", {}),
}


@pytest.mark.parametrize(("tag", "text", "told"), [(tag, *case) for tag, case in TEXTS.items()])
def test_configuration_logged_as_text_becomes_settings(
    tmp_path: Path, tag: str, text: str, told: dict[str, str]
) -> None:
    """Objects and Markdown tables under the tags that trainers use; what a model wrote is no configuration."""
    content = put(1, 7) + shape(1) + put(8, text.encode())
    reading = read(
        tmp_path,
        HEADER + record(event(tensor(f"{tag}/text_summary", content, "text"))) + record(event(simple("loss", 1.0))),
    )
    assert dict(reading.settings.select("key", "value").rows()) == told
    assert [row[2] for row in rows(reading)] == ["loss"]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 400), st.booleans()), max_size=8))
@settings(max_examples=15, deadline=None)
def test_files_read_together_are_those_read_alone(
    tmp_path_factory: pytest.TempPathFactory, made: list[tuple[int, int, bool]]
) -> None:
    """Sound, cut, damaged, empty and missing files in one folder, a tag of another plugin in one of them alone."""
    folder = tmp_path_factory.mktemp("many")
    files = []
    for at, (kind, place, missing) in enumerate(made):
        content = bytearray(CONTENT + (record(event(tensor("a", number(9.0), "pr_curves"))) if kind == 3 else b""))
        if kind == 1:
            del content[place:]
        elif kind == 2:
            content[place % len(content)] ^= 8
        path = folder / f"events.out.tfevents.{at}.host"
        if not missing:
            path.write_bytes(content)
        files.append((path, f"shown{at}"))
    together = list(tfevents.read_files(files))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tfevents, "_BATCH", -1)  # a block at a time
        alone = [tfevents.read(*file) for file in files]
    for one, other in zip(together, alone, strict=True):
        assert one.points.equals(other.points)
        assert (one.source, one.lines, one.understood, one.problems) == (
            other.source, other.lines, other.understood, other.problems,
        )  # fmt: skip


def test_what_is_no_scalar_is_stepped_over(tmp_path: Path) -> None:
    """Images, histograms, graphs and fields nobody knows cost nothing and are understood."""
    image = put(1, b"img") + put(4, put(1, 8) + put(4, bytes(100_000)))
    histogram = put(1, b"weights") + put(5, put(6, struct.pack("<3d", 1, 2, 3)))
    unknown = put(1, ("<d", START)) + put(4, bytes(500)) + put(999, b"new") + put(998, 3)
    content = HEADER + record(event(image)) + record(event(histogram, simple("a", 1.5), step=7)) + record(unknown)
    reading = read(tmp_path, content)
    assert rows(reading) == [(3, 7, "a", 1.5)]
    assert (reading.lines, reading.understood, reading.problems) == (4, 4, ())


finite = st.floats(width=32, allow_nan=False)
tags = st.sampled_from(["loss", "val/loss", "läuft", "x" * 70, "x" * 69 + "y", "a b"])
values = st.lists(st.tuples(tags, finite, st.booleans()), max_size=4)
steps = st.integers(-(2**63), 2**63 - 1) | st.integers(0, 300)


@given(st.lists(st.tuples(steps, values), max_size=12))
@settings(max_examples=40, deadline=None)
def test_tags_and_encodings_mixed_at_random_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[int, list[tuple[str, float, bool]]]]
) -> None:
    """In file order, several values in one event too, singles widened without a change."""
    content = [
        record(event(*(tensor(t, number(v)) if dense else simple(t, v) for t, v, dense in said), step=step))
        for step, said in events
    ]
    reading = read(tmp_path_factory.mktemp("mixed"), b"".join(content))
    wanted = [(line, step, t, v) for line, (step, said) in enumerate(events, 1) for t, v, _ in said]
    assert rows(reading) == wanted
    assert reading.problems == ()


# --- damage ------------------------------------------------------------------------------------------------------

SCALARS = [record(event(simple(f"tag{i % 3}", i), step=i * 50)) for i in range(4)]
CONTENT = HEADER + b"".join(SCALARS)
ENDS = np.cumsum([len(HEADER), *map(len, SCALARS)])


def test_a_file_cut_anywhere_keeps_its_whole_records(tmp_path: Path) -> None:
    """None is lost, none is invented, and the cut is said unless it falls between records."""
    whole = rows(read(tmp_path, CONTENT))
    readings = read_all(tmp_path, (CONTENT[:cut] for cut in range(len(CONTENT) + 1)))
    for cut, reading in enumerate(readings):
        complete = int(np.searchsorted(ENDS, cut, side="right"))
        assert rows(reading) == whole[: max(0, complete - 1)]
        torn = cut not in (0, *ENDS)
        assert [problem.line for problem in reading.problems] == [complete + 1] * torn
        assert (reading.understood, reading.lines) == (complete, complete + torn)


def test_a_byte_flipped_anywhere_costs_its_record_alone(tmp_path: Path) -> None:
    """The damage is named by the record's ordinal, and every other record is read, at its own ordinal."""
    whole = rows(read(tmp_path, CONTENT))
    flipped = (CONTENT[:at] + bytes([byte ^ (1 + at % 255)]) + CONTENT[at + 1 :] for at, byte in enumerate(CONTENT))
    for at, reading in enumerate(read_all(tmp_path, flipped)):
        hit = int(np.searchsorted(ENDS, at, side="right")) + 1
        assert rows(reading) == [row for row in whole if row[0] != hit]
        assert [problem.line for problem in reading.problems] == [hit]
        assert (reading.understood, reading.lines) == (4, 5)


def test_a_hole_of_zeros_at_the_end_is_said(tmp_path: Path) -> None:
    """A machine that goes down leaves blocks that were reserved and not written."""
    reading = read(tmp_path, CONTENT + bytes(5000))
    assert reading.points.height == 4
    assert [problem.line for problem in reading.problems] == [6]


def test_a_record_with_a_right_checksum_and_a_wrong_message_is_said(tmp_path: Path) -> None:
    """Torn messages, varints without an end and lengths past the end give no point and leave the next alone."""
    wrong = [
        b"\x09\x01",
        b"\x80" * 30,
        put(5, b"\x0a\x7f\x0a"),
        b"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x00\x00",
    ]
    for message in wrong:
        reading = read(tmp_path, HEADER + record(message) + SCALARS[1])
        assert rows(reading) == [(3, 50, "tag1", 1.0)]
        assert [(problem.line, "well-formed" in problem.message) for problem in reading.problems] == [(2, True)]


@given(st.lists(st.binary(max_size=40) | st.binary(max_size=30).map(lambda b: put(5, put(1, put(8, b)))), max_size=5))
@settings(max_examples=60, deadline=None)
def test_any_payload_is_read_or_said(tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]) -> None:
    """Random messages with right checksums never crash the reader or disturb the records around them."""
    content = SCALARS[1] + b"".join(map(record, payloads)) + SCALARS[2]
    reading = read(tmp_path_factory.mktemp("any"), content)
    lines = reading.points["line"].to_list()
    assert (lines[0], lines[-1], reading.lines) == (1, len(payloads) + 2, len(payloads) + 2)


def test_records_over_slices_and_too_long_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the slices fall changes nothing; a record longer than the limit is named and passed over."""
    long = record(event(put(1, b"img") + put(4, bytes(3000))))
    content = CONTENT + long + CONTENT
    whole = read(tmp_path, content)
    monkeypatch.setattr(tfevents, "_BATCH", 0)
    for size in (700, 64, 13):
        monkeypatch.setattr(tfrecord, "_SLICE", size)
        monkeypatch.setattr(tfrecord, "_BLOCK", 3)
        monkeypatch.setattr(tfrecord, "_STEPS", 2)
        assert read(tmp_path, content).points.equals(whole.points)
    monkeypatch.setattr(tfrecord, "_MAX_RECORD", 2000)
    limited = read(tmp_path, content)
    assert limited.points.equals(whole.points)
    assert [problem.line for problem in limited.problems] == [6]
    cut = read(tmp_path, (CONTENT + long)[:-1])
    assert [("unfinished" in problem.message, problem.line) for problem in cut.problems] == [(True, 6)]


def test_lengths_that_repeat_and_stop_repeating(tmp_path: Path) -> None:
    """Thousands of records, foretold from the period of their lengths, with breaks of it and damage in between."""
    blocks = {tag: record(event(simple(tag, len(tag)), step=200)) for tag in ("a", "bb", "ccc", "dddd")}
    noise = random.Random(7)
    order = ["a", "bb", "ccc"] * 700 + noise.choices(list(blocks), k=900) + ["dddd", "a"] * 900
    content = [blocks[tag] for tag in order]
    wanted = [(line, 200, tag, float(len(tag))) for line, tag in enumerate(order, 1)]
    assert rows(read(tmp_path, b"".join(content))) == wanted
    content[1500] = b"\xff" + content[1500][1:]
    assert rows(read(tmp_path, b"".join(content))) == [row for row in wanted if row[0] != 1501]


def test_a_wreck_is_given_up_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of broken lengths costs bounded time; what came before is kept."""
    monkeypatch.setattr(tfrecord, "_MAX_BREAKS", 5)
    reading = read(tmp_path, CONTENT + (b"\xff" * 20 + SCALARS[1]) * 50)
    assert reading.points["line"].to_list()[:4] == [2, 3, 4, 5]
    assert any("rest of the file" in problem.message for problem in reading.problems)
    assert reading.understood < reading.lines


# --- which files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "head", "claimed"),
    [
        ("events.out.tfevents.1.host", HEADER[:64], True),
        ("events.out.tfevents.1.host", b"", True),
        ("events.out.tfevents.1.host", HEADER[:9], True),
        ("renamed.bin", HEADER[:64], True),
        ("tfevents_notes.txt", b"the tfevents of this run are lost", False),
        ("samples.tfrecord", record(put(1, b"a training sample"))[:64], False),
        ("train.log", b"step 1 loss 2.0\n" * 4, False),
    ],
)
def test_files_are_claimed_by_name_or_by_first_record(name: str, head: bytes, claimed: bool) -> None:
    """A renamed event file is known by its first record; texts and files of training samples are left to others."""
    assert tfevents.claims(Path("logs") / name, head) is claimed


def test_empty_and_headed_files_say_nothing_wrong(tmp_path: Path) -> None:
    """Writers open their file long before the first scalar; a file that is gone is a problem, not a crash."""
    assert [(r.lines, r.problems) for r in (read(tmp_path, b""), read(tmp_path, HEADER))] == [(0, ()), (1, ())]
    assert tfevents.read(tmp_path / "gone", "gone").problems


def _published() -> list[dict[str, Any]]:
    manifest = SHARED / "corpus" / "manifest.jsonl"
    if not manifest.is_file():
        return []
    lines = map(json.loads, manifest.read_text("utf-8").splitlines())
    return [line for line in lines if "tfevents" in line["format"]]


def test_published_files_are_read_in_full() -> None:
    """Event files of PyTorch, Lightning, Hugging Face, AllenNLP, CatBoost and TensorFlow, against known values."""
    samples = _published()
    if not samples:
        pytest.skip("the shared corpus is not present")
    for sample in samples:
        path, expected = SHARED / "corpus" / sample["file"], sample["expected"]
        reading = tfevents.read(path, sample["file"])
        assert reading.problems == (), sample["file"]
        assert reading.points.height == expected["n_rows_hint"], sample["file"]
        assert reading.understood == reading.lines
        final = dict(reading.points.group_by("label").agg(pl.col("value").last()).iter_rows())
        assert final.items() >= expected["final"].items(), sample["file"]


def test_files_of_the_original_writer(tmp_path: Path) -> None:
    """Both encodings and hyperparameters, as PyTorch's SummaryWriter puts them on disk."""
    pytest.importorskip("tensorboard")
    writers = pytest.importorskip("torch.utils.tensorboard")
    with writers.SummaryWriter(str(tmp_path)) as writer:
        for step in range(300):
            writer.add_scalar("old", step / 7, step)
            writer.add_scalar("new", step / 7, step, new_style=True)
            writer.add_scalar("double", step / 7, step, new_style=True, double_precision=True)
        writer.add_text("note", "words")
        writer.add_histogram("weights", np.linspace(0, 1, 50))
        writer.add_hparams({"lr": 0.1, "batch": 8, "net": "gru"}, {"acc": 0.5}, run_name=".")
    readings = [tfevents.read(path, path.name) for path in sorted(tmp_path.glob("*tfevents*"))]
    points = pl.concat([reading.points for reading in readings])
    for label, width in (("old", single), ("new", single), ("double", float)):
        assert points.filter(label=label)["value"].to_list() == [width(step / 7) for step in range(300)]
    assert set(points["label"]) == {"old", "new", "double", "acc"}
    said = {key: value for reading in readings for key, value in reading.settings.select("key", "value").rows()}
    assert said == {"lr": "0.1", "batch": "8", "net": "gru"}
    assert all(reading.understood == reading.lines and not reading.problems for reading in readings)
