"""Format packs: what a pack may say, how it is proved, and what reading with one gives."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest

from postmortem import ingest
from postmortem.builtin import shipped
from postmortem.errors import FormatError, InputError
from postmortem.ingest.packs import regex_reader
from postmortem.ingest.packs.pack import FormatPack, load_pack, load_packs
from postmortem.ingest.packs.regex import ascii_only, captures
from postmortem.ingest.reading import LINES

PACK = r"""
id: toy
title: A toy
lines:
  - name: train
    regex: '^it (?P<step>\d+) \| loss (?P<loss>\S+)'
    split: train
  - name: pairs
    regex: '^(?P<split>\w+) summary: (?P<rest>.+)'
    pairs: '(?P<key>[\w/]+)=(?P<value>[^,\s]+?)K?(?:,|$)'
    scale: {speed: 1000}
context:
  - name: epoch
    regex: '^== epoch (?P<epoch>\d+)'
events:
  - {kind: checkpoint, regex: '^wrote (?P<text>\S+)'}
config:
  - {regex: '^cfg (?P<key>\w+): (?P<value>.+)'}
ignore: ['^-+$']
samples:
  - line: |
      == epoch 3
      it 1,200 | loss nan
    gives: {epoch: 3, step: 1200, split: train, loss: .nan}
  - line: 'valid summary: loss=0.5, speed=1.5K'
    gives: {split: val, loss: 0.5, speed: 1500}
  - line: wrote a.pt
    gives: {event: checkpoint}
  - line: 'cfg lr: 0.1'
    gives: {settings: {lr: 0.1}}
  - line: '----'
    gives: nothing
"""
PACK = PACK.replace(r"it (?P<step>\d+)", r"it (?P<step>[\d,]+)")


def toy() -> FormatPack:
    """The pack above."""
    return load_pack(PACK, "toy.yaml")


def lines_of(*texts: str) -> pl.DataFrame:
    """A LINES frame."""
    return pl.DataFrame({"line": range(1, len(texts) + 1), "text": texts}, schema=dict(LINES))


@pytest.mark.parametrize("path", sorted(shipped("parsers").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_pack_proves_itself(path: Path) -> None:
    """All samples give what they say, every pattern is hit, and the file is named for its id."""
    assert load_pack(path).id == path.stem


def test_reading_with_a_pack() -> None:
    """Positions govern the lines after them, pairs are read, and what is not known is left."""
    reading = regex_reader.read(
        lines_of(
            "== epoch 1",
            "it 5 | loss 2.5",
            "",
            "noise",
            "valid summary: loss=0.5, speed=2K",
            "== epoch 2",
            "it 6 | loss inf",
            "wrote b.pt",
            "----",
        ),
        toy(),
        "x.log",
    )

    assert reading.points.select("line", "step", "epoch", "split", "label", "value").rows() == [
        (2, 5, 1.0, "train", "loss", 2.5),
        (5, 5, 1.0, "val", "loss", 0.5),
        (5, 5, 1.0, "val", "speed", 2000.0),
        (7, 6, 2.0, "train", "loss", math.inf),
    ]
    assert reading.notes.select("line", "step", "epoch", "kind", "text").rows() == [(8, 6, 2.0, "checkpoint", "b.pt")]
    assert (reading.understood, reading.lines, reading.unread.rows()) == (8, 9, [(4, "noise")])


def test_share_counts_known_lines_only_where_metrics_are() -> None:
    """A pack that knows banners but no metric of a file has no claim to it."""
    assert toy().share(lines_of("it 1 | loss 2", "----", "noise", "")) == pytest.approx(2 / 3)
    assert toy().share(lines_of("----", "== epoch 1")) == 0.0


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("loss (?P<loss>\\S+)'\n    split", "loss (?P<loss>[\\d.]+|nan)'\n    split", None, None),
        ("loss (?P<loss>\\S+)'\n    split", "loss (?P<loss>[\\d.]+)'\n    split", "misses nan and inf", 6),
        ("(?P<loss>\\S+)'\n    split", "(?P<loss>\\S+)(?!x)'\n    split", "look-around", 6),
        ("(?P<loss>\\S+)'\n    split", "(?P<loss>\\S++)'\n    split", "possessive", 6),
        ("ignore: ['^-+$']", "ignore: ['^-+$', '^never']", "no sample hits this pattern", 19),
        ("split: val, loss: 0.5", "split: val, loss: 0.6", "the sample gives loss: 0.5, not 0.6", 26),
        ("gives: {event: checkpoint}", "gives: nothing", "the sample gives event: 'checkpoint', not nothing", 27),
        ("scale: {speed: 1000}", "scales: {speed: 1000}", "unknown key 'scales'", 11),
        ("kind: checkpoint,", "kind: checkpiont,", "events[0].kind", 16),
        ("id: toy", "id: Toy Pack", "id:", 2),
        ("    pairs: '(?P<key>[\\w/]+)=(?P<value>[^,\\s]+?)K?(?:,|$)'\n", "", "need each other", 9),
        ("    split: train", "    labels: {los: train loss}", "'los' is no capture", 5),
    ],
)
def test_wrong_packs_are_refused_at_the_place(old: str, new: str, message: str | None, line: int | None) -> None:
    """Every kind of mistake is told with its line; a pattern that spells nan out is right."""
    assert old in PACK
    text = PACK.replace(old, new)
    if message is None:
        assert load_pack(text.replace("loss nan", "loss nan")).id == "toy"
        return
    with pytest.raises(FormatError) as caught:
        load_pack(text, "toy.yaml")
    found = next(problem for problem in caught.value.problems if message in problem.message)

    assert (found.source, found.line) == ("toy.yaml", line)
    assert found.column


def test_all_mistakes_come_at_once() -> None:
    """A pack with two wrong samples and a dead pattern gives three problems."""
    text = PACK.replace("loss: 0.5, speed: 1500", "loss: 0.6, speed: 15").replace("['^-+$']", "['^-+$', '^never']")
    with pytest.raises(FormatError) as caught:
        load_pack(text)

    assert len(caught.value.problems) == 3


def test_packs_of_a_folder_join_the_shipped_ones(tmp_path: Path) -> None:
    """A user's folder adds packs and replaces those of the same id; a missing folder is the user's error."""
    (tmp_path / "nanogpt.yaml").write_text(PACK.replace("id: toy", "id: nanogpt"), "utf-8")
    packs = load_packs([tmp_path])

    assert packs.by_id["nanogpt"].title == "A toy"
    assert len(packs.by_id) == len(load_packs().by_id)
    with pytest.raises(InputError):
        load_packs([tmp_path / "missing"])


def test_wrong_packs_of_a_folder_are_told_together(tmp_path: Path) -> None:
    """The problems of all files come in one error."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text("id: x\n", "utf-8")
    with pytest.raises(FormatError) as caught:
        load_packs([tmp_path])

    assert {Path(problem.source or "").name for problem in caught.value.problems} == {"a.yaml", "b.yaml"}


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        (r"\d+", "[0-9]+"),
        (r"[\d.]+", "[0-9.]+"),
        (r"\S", "[!-~]"),
        (r"\\d", r"\\d"),
        (r"[^\s,]", "[^ \\t\\r\\n,]"),
        (r"\[\w\]", r"\[[0-9A-Za-z_]\]"),
    ],
)
def test_classes_are_rewritten_for_ascii(regex: str, expected: str) -> None:
    """Also inside brackets, and not where the backslash itself is escaped."""
    assert ascii_only(regex) == expected


@pytest.mark.parametrize(
    ("regex", "prefix"),
    [
        (r"^iter (?P<step>[0-9]+)", "iter "),
        (r"^\[a\] b", "[a] b"),
        (r"^ab?c", "a"),
        (r"^a|b", ""),
        (r"iter", ""),
        (r"^step(?:s|x)? 1", "step"),
        (r"^a\d", "a"),
        (r"^x*", ""),
    ],
)
def test_literal_prefixes(regex: str, prefix: str) -> None:
    """The prefix is what every match begins with, and no more."""
    assert regex_reader.literal_prefix(regex) == prefix


def test_captures_with_nested_groups() -> None:
    """The body of a capture ends at its own bracket."""
    assert captures(r"(?P<a>x(?:y|\))+) (?<b>[^ ]+)") == {"a": r"x(?:y|\))+", "b": "[^ ]+"}


def test_lines_a_pack_leaves_go_to_the_generic_reader(tmp_path: Path) -> None:
    """Measurements beside a known format are kept, at their own place or the last one told; ignored lines are not."""
    lines = [f"iter {n}: loss {3 - n / 1000:.4f}, time 21.50ms, mfu 12.10%" for n in range(0, 400, 10)]
    lines += ["compiling the model... loss: 9.0"]
    lines += [f"{{'eval_loss': {2.5 - n / 10:.2f}, 'eval_accuracy': 0.{50 + n}, 'epoch': {n}.0}}" for n in range(1, 4)]
    lines += [f"Epoch {n}/3 | Train Loss: {2 - n / 10:.2f} | Val Loss: {2.1 - n / 10:.2f}" for n in range(1, 4)]
    (tmp_path / "train.log").write_text("\n".join(lines) + "\n")
    (run,) = ingest.read([tmp_path / "train.log"]).runs
    counts = dict(run.metrics.group_by("label").len().iter_rows())
    assert run.sources[0].format == "nanogpt"
    assert {label: counts.get(label) for label in ("mfu", "eval_loss", "eval_accuracy", "Train Loss", "Val Loss")} == {
        "mfu": 40,
        "eval_loss": 3,
        "eval_accuracy": 3,
        "Train Loss": 3,
        "Val Loss": 3,
    }
    assert 9.0 not in run.metrics["value"]
    assert run.unread.is_empty()


def test_a_pack_that_reads_half_of_its_lines_is_not_used(tmp_path: Path) -> None:
    """Lines of another program can begin like those of a pack; where it would drop their evaluation it stands back."""
    half = load_pack(
        """id: half
title: Half
lines:
  - {name: train, regex: '^\\S+ \\S+: train_loss (?P<train_loss>\\S+)', split: train}
samples:
  - line: 'a b: train_loss 0.5'
    gives: {split: train, train_loss: 0.5}
""",
        "half.yaml",
    )
    whole, both = tmp_path / "whole.log", tmp_path / "both.log"
    whole.write_text("".join(f"epoch {n}: train_loss 0.{9 - n}\n" for n in range(1, 5)))
    both.write_text("".join(f"epoch {n}: train_loss 0.{9 - n} val_loss 0.{n}\n" for n in range(1, 5)))

    told = [ingest.read([path], packs=[half]).runs[0] for path in (whole, both)]
    assert [run.sources[0].format for run in told] == ["half", "key-value"]
    assert set(told[1].metrics["split"]) == {"train", "val"}
