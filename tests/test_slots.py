"""What the numbers of a line are called: labels, counters, splits, and the value with its unit."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from postmortem.ingest.lines import from_bytes
from postmortem.ingest.text import shapes

# A line, and (kind, label, split, value) of each number that means something.
_TOLD: list[tuple[str, list[tuple[str, str, str | None, float]]]] = [
    ("Loss: train 0.3, val 0.4", [("value", "Loss", "train", 0.3), ("value", "Loss", "val", 0.4)]),
    ("loss: 0.3 (val 0.4)", [("value", "loss", None, 0.3), ("value", "loss", "val", 0.4)]),
    ("acc (train/val) = 0.9/0.8", [("value", "acc", "train", 0.9), ("value", "acc", "val", 0.8)]),
    ("Train: 0.85, Val: 0.79", [("value", "Train", None, 0.85), ("value", "Val", None, 0.79)]),
    ("class 0: 0.9, class 12: 0.8", [("value", "class 0", None, 0.9), ("value", "class 12", None, 0.8)]),
    ("coco/AP: 0.5  coco/AP .75: 0.4", [("value", "coco/AP", None, 0.5), ("value", "coco/AP .75", None, 0.4)]),
    ("{'gen': {'loss': 0.3}, 'val': {'loss': 0.4}}", [("value", "gen/loss", None, 0.3), ("value", "loss", "val", 0.4)]),
    ("Training loss at step 300: 0.5", [("step", "step", None, 300), ("value", "Training loss", "train", 0.5)]),
    ("TRAIN epoch 3 loss 0.4", [("epoch", "TRAIN epoch", None, 3), ("value", "loss", "train", 0.4)]),
    (
        "step 2k/8k | loss 0.4",
        [("step", "step", None, 2000), ("steps", "step", None, 8000), ("value", "loss", None, 0.4)],
    ),
    (
        "loss: 1.13  [12800/60000]",
        [("value", "loss", None, 1.13), ("sample", "sample", None, 12800), ("samples", "sample", None, 60000)],
    ),
    ("第3轮 损失：0.4", [("epoch", "epoch", None, 3), ("value", "损失", None, 0.4)]),
    ("ep012 loss 0.4", [("epoch", "ep", None, 12), ("value", "loss", None, 0.4)]),
    ("time 1d 03h 06m loss 0.4", [("value", "time", None, 97560), ("value", "loss", None, 0.4)]),
    ("time 13m 25.5s loss 0.4", [("value", "time", None, 805.5), ("value", "loss", None, 0.4)]),
    ("throughput 2.5K wps, time 0.2s", [("value", "throughput", None, 2.5), ("value", "time", None, 0.2)]),
    ("loss 0.4 took 10:32 min, v1.2.3 of 2025-01-02", [("value", "loss", None, 0.4)]),
    ("cost=0.43..8.45 rows=10", [("value", "rows", None, 10)]),
    ("Epoch 3... loss 0.4", [("epoch", "Epoch", None, 3), ("value", "loss", None, 0.4)]),
    ("        dict(thr=0.5,", []),
    ("            pos_iou_thr=0.7,", []),
]


def _told(*lines: str) -> list[tuple[Any, ...]]:
    found = shapes.numbers(shapes.messages(from_bytes("\n".join(lines).encode() + b"\n").lines))
    fields = found.fields.filter(pl.col("kind") != "part")
    rows = found.values(fields).join(fields, on=["shape", "slot"], maintain_order="left")
    return rows.select("kind", "label", "split", pl.col("value").round(6)).rows()


@pytest.mark.parametrize(("line", "want"), _TOLD, ids=[line for line, _ in _TOLD])
def test_numbers_have_names(line: str, want: list[tuple[str, str, str | None, float]]) -> None:
    """Every number that means something, in order; no other."""
    got = [(kind, label, split if kind == "value" else None, value) for kind, label, split, value in _told(line)]

    assert got == want


def test_ranks_are_told_apart() -> None:
    """Lines of several processes are several series; the first process has the plain name."""
    told = _told("[rank0]: step 1 | loss 0.5", "[rank1]: step 1 | loss 0.6")

    assert [(label, value) for kind, label, _, value in told if kind == "value"] == [
        ("loss", 0.5),
        ("loss [rank 1]", 0.6),
    ]


def test_units_that_differ_are_made_one() -> None:
    """What is printed in one unit stays as printed; in several it is brought to seconds."""
    assert [value for *_, value in _told("time 2.5min", "time 3.5min")] == [2.5, 3.5]
    assert [value for *_, value in _told("time 45.5s", "time 2.5min")] == [45.5, 150]


def test_many_numbers_are_no_names() -> None:
    """A number in front of a colon that is different in every line names nothing."""
    told = _told(*(f"item {n}: {n / 7:.3f}" for n in range(500)))

    assert told == []
