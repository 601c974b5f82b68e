"""Where in training a line stands, and of which pass: headings, totals, bars and ranks that say it in passing."""

from __future__ import annotations

from typing import Any

import pytest

from postmortem.ingest import lines
from postmortem.ingest.reading import Reading
from postmortem.ingest.text import keyvalue


def _read(*rows: str) -> Reading:
    return keyvalue.read(lines.from_bytes(("\n".join(rows) + "\n").encode()), "train.log")


def _points(reading: Reading, *columns: str) -> list[tuple[Any, ...]]:
    return reading.points.select(columns).rows()


def _stated(reading: Reading) -> dict[str, str]:
    return dict(reading.settings.select("key", "value").rows())


@pytest.mark.parametrize(
    ("numbers", "epochs"),
    [(range(4), "4"), (range(3), "4"), (range(5), "5"), (range(1, 5), "4")],
    ids=["from 0", "from 0, cut", "from 0 up to the total", "from 1"],
)
def test_the_total_is_a_count_unless_it_is_reached_from_zero(numbers: range, epochs: str) -> None:
    """``Epoch 0/4`` to ``Epoch 3/4`` are four epochs, and to ``Epoch 4/4`` five."""
    assert _stated(_read(*(f"Epoch {n}/4 loss {1 / (n + 1):.3f}" for n in numbers)))["epochs"] == epochs


def test_an_evaluation_before_training_is_no_epoch_and_bases_are_made_one() -> None:
    """Evaluations are counted from 0, headings from 1 and the lines under them from 0: three epochs all the same."""
    body = [
        row
        for n in range(3)
        for row in (
            f"Beginning of Epoch {n + 1}/3, Total Micro Batches 20",
            f"epoch={n}/micro_step=10/global_step={20 * n + 10}, speed=17.{n}, loss=0.{9 - n}",
            f"***** Evaluating perplexity, Epoch {n + 1}/3 *****",
        )
    ]
    reading = _read("***** Evaluating perplexity, Epoch 0/3 *****", *body)

    assert _stated(reading)["epochs"] == "3"
    assert _points(reading, "epoch", "step")[1::2] == [(1.0, 10), (2.0, 30), (3.0, 50)]


def test_the_heading_of_an_evaluation_holds_until_training_goes_on() -> None:
    """Trainers announce evaluations, not the training after them; a log that heads both is taken at its word."""
    body = [
        row
        for n in (1, 2, 3)
        for row in (f"step {n} loss: 0.{9 - n}", "***** Running Evaluation *****", f"perplexity: 1.{n}")
    ]
    reading = _read(*body)
    assert _points(reading, "label", "split") == [("loss", None), ("perplexity", "val")] * 3

    headed = _read(
        *(row for n in (1, 2) for row in ("Validation", f"step {n} acc: 0.{n}", "Train", f"step {n} acc: 0.5{n}"))
    )
    assert [split for (split,) in _points(headed, "split")] == ["val", "train"] * 2


def test_what_is_said_of_an_evaluation_is_no_setting_of_the_training() -> None:
    """The examples of an evaluation do not replace those of the training."""
    reading = _read(
        "***** Running training *****",
        "  Num examples = 1,000",
        *(f"step {n} loss: 0.{9 - n}" for n in (1, 2)),
        "***** Running Evaluation *****",
        "  Num examples = 277",
        "  Batch size = 8",
        "eval_loss: 0.5",
    )
    assert _stated(reading) == {"Num examples": "1,000", "eval Num examples": "277", "eval Batch size": "8"}


def test_an_unnamed_bar_that_is_shorter_is_another_pass() -> None:
    """Two bars an epoch with the same labels are two passes; a shorter epoch of a later fit is not."""
    bars = [
        row
        for n in (1, 2)
        for row in (f"Epoch: {n}", f" [===>] | Loss: 0.{n} 391/391 ", f" [===>] | Loss: 0.{n}5 100/100 ")
    ]
    assert [split for (split,) in _points(_read(*bars), "split")] == [None, "other"] * 2

    fits = [row for n in (1, 2) for row in (f"Epoch {n}/2", f"{40 // n}/{40 // n} [=====] - 2s - loss: 0.{n}")]
    assert [split for (split,) in _points(_read(*fits), "split")] == [None, None]


@pytest.mark.parametrize(("counted", "total", "key"), [(50, 1251, "steps_per_epoch"), (6400, 60000, "n_train")])
def test_samples_are_told_from_batches(counted: int, total: int, key: str) -> None:
    """``[1250/1251 (100%)]`` is the last batch, ``[57600/60000 (96%)]`` some samples before the end."""
    rows = [
        f"Train Epoch: 1 [{n}/{total} ({100 * n // total}%)]\tLoss: {1 / (n + 1):.5f}" for n in range(0, total, counted)
    ]
    assert {key: value for key, value in _stated(_read(*rows)).items() if key != "epoch"} == {key: str(total)}


@pytest.mark.parametrize("prefix", ["{}: ", "[{}] ", "[GPU{}] ", "[rank{}]: "])
def test_ranks_are_series_of_their_own(prefix: str) -> None:
    """Whatever the launcher puts before the lines of each process, the processes stay apart."""
    reading = _read(*(f"{prefix.format(rank)}epoch {n} loss 0.{rank}{n}" for n in (1, 2, 3) for rank in (0, 1, 2)))
    series = reading.points.partition_by("label", as_dict=True)
    assert {label: frame["value"].to_list() for (label,), frame in series.items()} == {
        "loss": [0.01, 0.02, 0.03],
        "loss [rank 1]": [0.11, 0.12, 0.13],
        "loss [rank 2]": [0.21, 0.22, 0.23],
    }


def test_a_number_before_each_line_that_counts_is_no_rank() -> None:
    """``3: epoch 3`` counts the lines; every line would be a rank of its own."""
    reading = _read(*(f"{n}: epoch {n} loss 0.{n}" for n in range(1, 6)))
    assert {label for (label,) in _points(reading, "label")} == {"loss"}


def test_a_tag_of_gradients_governs_the_numbers_of_its_line() -> None:
    """The l2 of a component behind ``[GRAD-MONITOR]`` is a norm of its gradient, and no error of a prediction."""
    rows = (row for n in (1, 2, 3) for row in (f"epoch {n} loss 0.{n}", f"[GRAD-MONITOR] encoder: l2={n}.0e+00"))
    labels = {label for (label,) in _points(_read(*rows), "label")}
    assert labels == {"loss", "GRAD-MONITOR encoder - l2"}
