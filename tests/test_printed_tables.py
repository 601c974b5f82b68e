"""Tables, trials and COCO summaries that stand in the middle of text logs."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest import lines
from postmortem.ingest.text import coco, headed, shapes, trials

NAMES = ("epoch", "iteration", "train loss", "val/loss", "accuracy", "lr", "elapsed_time")


def _points(text: str) -> pl.DataFrame:
    read = lines.from_bytes(text.encode())
    return headed.read(shapes.messages(read.lines), read, "train.log").points


def _rows(text: str) -> list[tuple[object, ...]]:
    return _points(text).select("line", "epoch", "step", "label", "value").rows()


@st.composite
def _tables(draw: st.DrawFn) -> tuple[str, list[tuple[object, ...]]]:
    """A table with some cells missing, all set to the left or all to the right, with other lines between its rows."""
    names = ["epoch", *draw(st.lists(st.sampled_from(NAMES[2:]), min_size=2, max_size=5, unique=True))]
    widths = [max(len(name), 9) + draw(st.integers(2, 5)) for name in names]
    set_to = draw(st.sampled_from((str.ljust, str.rjust)))
    ruled = draw(st.booleans()) and set_to is str.ljust
    texts = ["".join(map(set_to, names, widths))]
    texts += ["  ".join("-" * (width - 2) for width in widths)] if ruled else []
    wanted: list[tuple[object, ...]] = []
    for epoch in range(1, draw(st.integers(1, 6)) + 1):
        values = [float(epoch), *draw(st.lists(st.floats(0.01, 99), min_size=len(names) - 1, max_size=len(names) - 1))]
        kept = [True, True, *draw(st.lists(st.booleans(), min_size=len(names) - 2, max_size=len(names) - 2))]
        cells = [f"{value:.4g}" if keep else "" for value, keep in zip(values, kept, strict=True)]
        texts += [
            draw(st.sampled_from(("saved a checkpoint", "     total [####....] 50.00%", ""))),
            "".join(map(set_to, cells, widths)),
        ]
        told = [(name, float(cell)) for name, cell in zip(names, cells, strict=True) if cell][1:]
        wanted += [(len(texts), float(epoch), None, name, value) for name, value in told]
    return "\n".join(texts) + "\n", wanted


@given(_tables())
@settings(max_examples=15, deadline=None)
def test_cells_belong_to_the_names_they_stand_under(table: tuple[str, list[tuple[object, ...]]]) -> None:
    """Missing cells, either alignment, a rule under the header and lines in between change nothing."""
    text, wanted = table
    assert _rows(text) == wanted


def test_a_table_cut_anywhere_gives_a_beginning_of_it() -> None:
    """No number is invented or kept that may miss digits."""
    rows = ("epoch     train_loss  valid_loss  time", "0         0.6123      0.5123      00:12")
    text = "\n".join(("starting", *rows, "1         0.5123      0.4123      00:11", ""))
    whole = _rows(text)
    cuts = [_rows(text[:end]) for end in range(40, len(text), 3)]

    assert len(whole) == 6
    assert all(rows == whole[: len(rows)] for rows in cuts)


@pytest.mark.parametrize(
    "text",
    [
        "total 8\n-rw-r--r--  1 user  user  1024 Jan  1 10:00 loss\n-rw-r--r--  1 user  user  2048 Jan  1 10:00 acc\n",
        " PID USER      PR  NI    VIRT  %CPU     TIME+ COMMAND\n1234 root      20   0    1000  99.0   0:01.0 python\n",
        "          precision    recall  f1-score   support\n\n       0       0.97      0.98      0.98        53\n",
        "step  what it does  loss function\n1  reads the data  none\n2  trains  focal\n",
        "The loss is   shown per epoch.\n1   2   3\n",
        "epoch  loss\nnothing below\nfits at all\nor is near\n1  0.5\n",
    ],
)
def test_other_columns_are_no_tables_of_training(text: str) -> None:
    """Listings, reports without an epoch or a step, prose, and rows far from their header."""
    assert _rows(text) == []


def test_counters_that_run_to_a_total_state_the_epochs() -> None:
    """``1/3`` says three epochs; ``0/2`` counts from 0, so it does too once the last one is seen."""
    for counts, epochs in ((("1/3", "2/3"), "3"), (("0/2", "1/2", "2/2"), "3"), (("0/2",), None)):
        text = "Epoch   GPU_mem   box_loss\n" + "".join(
            f"{at:>5}     0.16G      1.234: 100%|##| 8/8 [00:01]\n" for at in counts
        )
        read = lines.from_bytes(text.encode())
        told = headed.read(shapes.messages(read.lines), read, "x").totals
        assert told["value"].to_list() == ([epochs] if epochs else [])


RESULT = """Result for PPO_{trial}:
  episode_reward_mean: {reward}
  info:
    learner:
      kl: 0.5
  pid: 12
  timesteps_total: {step}

"""


def test_results_of_one_trial_are_records() -> None:
    """Nested keys are joined; the step may come last in the block."""
    text = "".join(RESULT.format(trial=1, reward=at / 2, step=100 * at) for at in (1, 2))
    found = trials.read(shapes.messages(lines.from_bytes(text.encode()).lines))

    assert found.points.select("line", "step", "label", "value").rows() == [
        (2, 100, "episode_reward_mean", 0.5),
        (5, 100, "info/learner/kl", 0.5),
        (10, 200, "episode_reward_mean", 1.0),
        (13, 200, "info/learner/kl", 0.5),
    ]


def test_several_trials_in_one_log_are_left_alone() -> None:
    """They are several runs told in turns, which no order of steps can hold apart."""
    text = "".join(RESULT.format(trial=at, reward=0.5, step=100) for at in (1, 2))
    assert trials.read(shapes.messages(lines.from_bytes(text.encode()).lines)).lines.is_empty()


def test_coco_summaries() -> None:
    """Each figure under its own name; -1 says that there was nothing to measure."""
    text = (
        "IoU metric: segm\n"
        " Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.345\n"
        " Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | maxDets=100 ] = -1.000\n"
    )
    figures, told = coco.read(shapes.messages(lines.from_bytes(text.encode()).lines))

    assert figures.rows() == [(2, "segm AP @[ IoU=0.50:0.95 | area=all | maxDets=100 ]", "val", 0.345)]
    assert told.to_list() == [1, 2, 3]
