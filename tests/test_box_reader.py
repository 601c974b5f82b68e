"""Boxes printed by reinforcement-learning loggers."""

from __future__ import annotations

import polars as pl

from postmortem.ingest.reading import LINES, Reading
from postmortem.ingest.structured import box_reader

SB3 = """\
Using cpu device
---------------------------------
| rollout/           |          |
|    ep_rew_mean     | 21.4     |
| time/              |          |
|    total_timesteps | 2048     |
---------------------------------
---------------------------------
| rollout/           |          |
|    ep_rew_mean     | nan      |
| time/              |          |
|    total_timesteps | 4096     |
| train/             |          |
|    loss            | 7.06e+03 |
---------------------------------
saving model
"""


def lines_of(text: str) -> pl.DataFrame:
    """A LINES frame of a text."""
    texts = text.splitlines()
    return pl.DataFrame({"line": range(1, len(texts) + 1), "text": texts}, schema=dict(LINES))


def reading_of(text: str) -> Reading:
    """The reading of a text with boxes."""
    reading = box_reader.read(lines_of(text), "log.txt")
    assert reading is not None
    return reading


def test_sections_steps_and_lines() -> None:
    """Keys get their section, the box its step, each value its own line; text between boxes is left."""
    reading = reading_of(SB3)
    rows = reading.points.fill_nan(-1.0).select("label", "value", "step", "line").rows()

    assert rows == [
        ("rollout/ep_rew_mean", 21.4, 2048, 4),
        ("rollout/ep_rew_mean", -1.0, 4096, 10),
        ("train/loss", 7060.0, 4096, 14),
    ]
    assert reading.unread["text"].to_list() == ["Using cpu device", "saving model"]
    assert (reading.understood, reading.lines) == (14, 16)


def test_flat_boxes_without_a_step() -> None:
    """Older loggers have no sections, and may have no step."""
    box = "----------\n| loss | 1.5 |\n| kl   | -1e-05 |\n----------\n"
    points = reading_of(box + box.replace("1.5", "0.5")).points

    assert points.select("label", "value", "step").rows() == [
        ("loss", 1.5, None),
        ("kl", -1e-05, None),
        ("loss", 0.5, None),
        ("kl", -1e-05, None),
    ]


def test_share_counts_boxes_that_measure() -> None:
    """A parameter table is none of ours."""
    assert box_reader.share(lines_of(SB3)) == 14 / 16
    assert box_reader.share(lines_of("| Name | Type |\n| conv1 | Conv2d |\n")) == 0.0
    assert box_reader.read(lines_of("| Name | Type |\n| conv1 | Conv2d |\n"), "x") is None
