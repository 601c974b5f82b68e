"""The generic text reader takes measurements for measurements, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest import lines
from postmortem.ingest.reading import LINES, NOTES, POINTS, SETTINGS, Reading
from postmortem.ingest.text import keyvalue, template


def _read(*rows: str, end: str = "\n") -> Reading:
    return keyvalue.read(lines.from_bytes(("\n".join(rows) + end).encode()), "train.log")


def _rows(reading: Reading, *columns: str) -> list[Any]:
    frame = reading.points.select(columns)
    return frame.to_series().to_list() if len(columns) == 1 else frame.rows()


# One training line in the manner of each family of loops: the line, and (label, split, value) of all it says.
_LINES = [
    ("Epoch {e}/9 - loss: {v}, acc: 0.5", [("loss", None), ("acc", None)]),
    (
        "Epoch: [{e}][ 20/100]\tTime  6.7 ( 6.9)\tLoss {v} (7.2e+00)\tAcc@1   0.10 (  0.20)",
        [
            ("Time", None),
            ("Time (avg)", None),
            ("Loss", None),
            ("Loss (avg)", None),
            ("Acc@1", None),
            ("Acc@1 (avg)", None),
        ],
    ),
    ("[Epoch {e} Batch 30/99] avg loss {v}, throughput 2.58K wps", [("avg loss", None), ("throughput", None)]),
    (
        "Epoch {e} | Train Loss: {v} | Token Acc: 0.04 | Val Loss: 10.9 | Token Acc: 0.06",
        [("Train Loss", None), ("Token Acc", "train"), ("Val Loss", None), ("Token Acc", "val")],
    ),
    (
        "epoch {e}: train_loss={v} val_loss=0.4 acc=0.5 lr=1e-05",
        [("train_loss", None), ("val_loss", None), ("acc", None), ("lr", None)],
    ),
    (
        "{{'loss': {v}, 'grad_norm': 13.3, 'learning_rate': 1e-05, 'epoch': {e}}}",
        [("loss", None), ("grad_norm", None), ("learning_rate", None)],
    ),
    (
        "{{'loss': '{v}', 'mem (GiB)': '2.42', 'kl': np.float64(0.035), 'epoch': '{e}'}}",
        [("loss", None), ("mem (GiB)", None), ("kl", None)],
    ),
    ("step {e}: train loss {v}, val loss 4.5", [("train loss", None), ("val loss", None)]),
    ("iter {e}: loss {v}, time 363.34ms, mfu 12.30%", [("loss", None), ("time", None), ("mfu", None)]),
    (" iteration  {e}/ 500 | learning rate: 9.387E-06 | lm loss: {v} |", [("learning rate", None), ("lm loss", None)]),
    (
        "(epoch: {e}, iters: 500, time: 2.700) G_GAN: {v} D_real+fake: -18.108",
        [("time", None), ("G_GAN", None), ("D_real+fake", None)],
    ),
    (
        "INFO:root:[Epoch {e}] train={v} val=0.44 loss=1.89 time: 15.2",
        [("train", None), ("val", None), ("loss", None), ("time", None)],
    ),
    (
        "Epoch {e} - |param|=6.01e+02 |g_param|=3.32e+05 loss={v} ppl=137.87",
        [("|param|", None), ("|g_param|", None), ("loss", None), ("ppl", None)],
    ),
    (
        "Epoch {e}: loss={v}, RMSE_F=284.6 meV / A, RMSE_s=0.0 meV / A^3",
        [("loss", None), ("RMSE_F", None), ("RMSE_s", None)],
    ),
    (
        "2025-01-02 03:04:05,678 - root - INFO - [Epoch {e}] validation: acc-top1=69.4 loss={v}",
        [("acc-top1", "val"), ("loss", "val")],
    ),
    ("Epoch {e} | Dice: [0.87, 0.80] | loss: {v}", [("Dice[0]", None), ("Dice[1]", None), ("loss", None)]),
]


@pytest.mark.parametrize(("line", "said"), _LINES)
def test_every_number_of_a_training_line(line: str, said: list[tuple[str, str | None]]) -> None:
    """Labels are kept as printed, splits come from words before them, values are exact, counters are no metrics."""
    values = ["1.5", "0.25", "nan", "-3e-05"]
    reading = _read(*(line.format(e=e, v=v) for e, v in enumerate(values, 1)))
    assert _rows(reading, "label", "split") == said * 4
    label = next(name for name, _ in said if "oss" in name or name in ("G_GAN", "train"))
    got = reading.points.filter(pl.col("label") == label)["value"].to_list()
    assert [str(value) for value in got] == [str(float(value)) for value in values]
    assert reading.understood == 4


def test_header_lines_govern_what_follows() -> None:
    """Epoch and split of a line without its own come from the headings before it; a new epoch closes the split."""
    reading = _read(
        "Epoch 1/2",
        "Batch [20/50] Loss: 0.9",
        "Train - Loss: 0.8, AUC: 0.51",
        "Val   - Loss: 0.7, AUC: 0.52",
        "Epoch 2/2",
        "Batch [20/50] Loss: 0.6",
        "Validation:",
        "  loss: 0.5",
        "  acc: 0.75",
    )
    assert _rows(reading, "epoch", "step", "split", "label", "value") == [
        (1, 20, None, "Loss", 0.9),
        (1, None, "train", "Loss", 0.8),
        (1, None, "train", "AUC", 0.51),
        (1, None, "val", "Loss", 0.7),
        (1, None, "val", "AUC", 0.52),
        (2, 70, None, "Loss", 0.6),
        (2, None, "val", "loss", 0.5),
        (2, None, "val", "acc", 0.75),
    ]
    assert set(reading.settings.select("key", "value").rows()) == {("epochs", "2"), ("steps_per_epoch", "50")}


def test_batches_without_a_known_number_count_only_while_they_grow() -> None:
    """A batch index that starts anew each epoch, of unknown length, is no step of the run."""
    reading = _read(*(f"Epoch {e} Batch {b} loss: 0.{e}{b}" for e in (1, 2) for b in (1, 2, 3)))
    assert _rows(reading, "step") == [None] * 6
    reading = _read(*(f"Epoch {e} Step {e * 10 + b} loss: 0.{e}{b}" for e in (1, 2) for b in (1, 2, 3)))
    assert _rows(reading, "step") == [11, 12, 13, 21, 22, 23]


def test_bare_counters_in_brackets() -> None:
    """``[50/3000]`` counts steps of the run; ``[1/25][100/782]`` an epoch and its batches."""
    reading = _read(*(f"[{n}/3000] Loss_D: 1.{n} Loss_G: 0.{n}" for n in (50, 60, 70)))
    assert _rows(reading, "step") == [50, 50, 60, 60, 70, 70]
    assert reading.settings.select("key", "value").rows() == [("steps", "3000")]
    reading = _read(*(f"[{e}/25][{b}/782] Loss_D: 1.{b} Loss_G: 0.{e}" for e in (0, 1) for b in (0, 50)))
    assert _rows(reading, "epoch", "step") == [(e, e * 782 + b) for e in (0, 1) for b in (0, 50) for _ in "DG"]


def test_samples_seen_are_no_steps() -> None:
    """``[640/60000 (1%)]`` counts samples: it states the size of the training set and gives no step."""
    reading = _read(*(f"Train Epoch: 1 [{n * 640}/60000 ({n}%)]\tLoss: 2.{9 - n}" for n in range(4)))
    assert _rows(reading, "step") == [None] * 4
    assert _rows(reading, "epoch") == [1.0] * 4
    assert reading.settings.select("key", "value").rows() == [("n_train", "60000")]


def test_settings_are_no_metrics() -> None:
    """What is said once before training is a setting, in whatever manner; a command line and a dump are read too."""
    reading = _read(
        "python train.py --lr 5e-4 --fp16 --num_workers=2",
        "Namespace(batch_size=64, dataset='voc', lr=0.001)",
        "Batch Size: 2048",
        "   Train samples: 1,052,081",
        "2. Device: mps",
        "weight_decay = 5e-05",
        "Epoch 1 loss: 0.5",
        "Epoch 2 loss: 0.4",
    )
    said = dict(reading.settings.select("key", "value").rows())
    assert said["Train samples"] == "1,052,081"
    assert said["Device"] == "mps"
    assert said["weight_decay"] == "5e-05"
    assert (said["batch_size"], said["dataset"], said["num_workers"], said["fp16"]) == ("64", "voc", "2", "true")
    assert set(_rows(reading, "label")) == {"loss"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("batch_size: 50, num_workers: 4, lr: 0.001", {"batch_size": "50", "num_workers": "4", "lr": "0.001"}),
        ("train samples: 1,200, validation samples: 500", None),
        ("train samples: 1200, validation samples: 500", {"train samples": "1200", "validation samples": "500"}),
        ("data=digits, hidden=(128, 128), lr=0.002", {"data": "digits", "hidden": "(128, 128)", "lr": "0.002"}),
        ("epochs=30 seed=7 name='a b'", {"epochs": "30", "seed": "7", "name": "a b"}),
        ("Optimizer: Adam (lr=0.0003, weight_decay=5e-05)", {"Optimizer": "Adam (lr=0.0003, weight_decay=5e-05)"}),
    ],
)
def test_a_line_of_several_settings(line: str, said: dict[str, str] | None) -> None:
    """A line that lists pairs states each of them; one with anything else in it is not taken apart."""
    reading = _read(line, "Epoch 1 loss: 0.5", "Epoch 2 loss: 0.4")
    got = dict(reading.settings.select("key", "value").rows())
    assert got == said or (said is None and "validation samples" not in got)


def test_an_announcement_repeats_no_value() -> None:
    """``New best! Val AUC: 0.58`` says again what the line before said, so it is an event and no second point."""
    reading = _read(
        *(
            row
            for e in (1, 2)
            for row in (f"Epoch {e}/2", f"Val - AUC: 0.5{e}", f"New best model saved! Val AUC: 0.5{e}")
        )
    )
    assert _rows(reading, "value") == [0.51, 0.52]
    assert reading.notes.select("kind", "epoch").rows() == [
        ("epoch", 1.0),
        ("best", 1.0),
        ("epoch", 2.0),
        ("best", 2.0),
    ]


_PROSE = "The model reached an accuracy of 0.95 after 3 epochs.\nIn 2024 it had loss 0.3.\nSee section 4.2.\n"
_CODE = "def f(x):\n    loss = 0.0\n    for epoch in range(10):\n        loss += 0.5 * x\n    return 0.7\n"
_PIP = "Collecting torch==2.1.0\n  Downloading torch-2.1.0.whl (619.9 MB)\n  ━━━━ 619.9/619.9 MB 2.1 MB/s eta 0:00:00\n"
_NGINX = '10.0.0.{0} - - [10/Oct/2000:13:55:{0} -0700] "GET /x?id={0} HTTP/1.0" 200 23{0} rt=0.{0}\n'
_SERVER = "2024-01-01 00:00:{0},000 INFO request {0} took 1.{0} ms status=200 size=9{0}\n"
_NEGATIVES = {
    "prose": _PROSE * 9,
    "code": _CODE * 9,
    "pip": _PIP,
    "nginx": "".join(_NGINX.format(n) for n in range(10, 60)),
    "server": "".join(_SERVER.format(n) for n in range(10, 60)),
    "table": "name  alpha  beta\na 1 2\nb 3 4\nc 5 6\n",
    "references": "".join(f"torch/nn/loss.py:{n}: warning, see #{n * 3}\n" for n in range(30)),
}


@pytest.mark.parametrize("kind", _NEGATIVES)
def test_what_is_no_training_log_has_no_metrics(kind: str) -> None:
    """Prose, source code, package managers and servers print numbers beside names too."""
    assert _rows(_read(_NEGATIVES[kind]), "label") == []


@pytest.mark.parametrize(
    ("before", "last", "kept"),
    [
        (["Epoch 1 Loss: 0.1880", "Epoch 2 Loss: 0.1790"], "Epoch 3 Loss: 0.17", False),
        (["Epoch 1 Loss: 0.1880", "Epoch 2 Loss: 0.1790"], "Epoch 3 Loss: 0.1702", True),
        (["Epoch 1 Loss: 0.18801", "Epoch 2 Loss: 0.179"], "Epoch 3 Loss: 0.17", False),
        (["{'loss': 0.5, 'epoch': 1}", "{'loss': 0.4, 'epoch': 2}"], "{'loss': 0.3, 'epoch': 3}", True),
    ],
)
def test_an_unfinished_last_number_is_not_believed(before: list[str], last: str, kept: bool) -> None:
    """A number that ends the file without a line end counts only where its length shows that it is whole."""
    assert len(_rows(_read(*before, last, end=""), "value")) == 2 + kept
    assert len(_rows(_read(*before, last), "value")) == 3


@given(st.integers(0, 2**32), st.integers(3, 40))
@settings(max_examples=15)
def test_noise_changes_nothing(seed: int, count: int) -> None:
    """Whatever stands between the lines of a log, the same values are read, at their own lines."""
    chance = random.Random(seed)
    metric = [f"step {n}: loss {chance.random():.4f}, lr {chance.random():.3e}" for n in range(1, count)]
    noise = [
        "",
        "=" * 40,
        "/x/y.py:12: UserWarning: odd",
        "saved 3 files in 4 s",
        "ünïcode ✓ 12",
        "  at 0x7f3a, pid 77",
    ]
    rows: list[str] = []
    places: list[int] = []
    for line in metric:
        rows += chance.choices(noise, k=chance.randrange(3))
        rows.append(line)
        places += [len(rows)] * 2
    reading = _read(*rows)
    assert _rows(reading, "value") == _rows(_read(*metric), "value")
    assert _rows(reading, "line") == places


@given(st.text(st.characters(codec="utf-8"), max_size=400))
def test_any_text_is_read_without_an_error(text: str) -> None:
    """No text makes the reader fail, and its frames always have their schemas."""
    reading = keyvalue.read(lines.from_bytes(text.encode()), "x.log")
    for frame, schema in (
        (reading.points, POINTS),
        (reading.notes, NOTES),
        (reading.settings, SETTINGS),
        (reading.unread, LINES),
    ):
        assert dict(frame.schema) == dict(schema)
    assert 0 <= reading.understood <= reading.lines


def test_a_shape_is_understood_once() -> None:
    """Digits inside words tell labels apart; numbers do not make shapes."""
    frame = lines.from_bytes(b"Epoch 1 Acc@1 5.0 Acc@5 9.0\nEpoch 2 Acc@1 15.0 Acc@5 29.25\n").lines
    before = template.understand.cache_info().misses
    reading = keyvalue.read(lines.Text(frame, 2), "x.log")
    assert set(_rows(reading, "label")) == {"Acc@1", "Acc@5"}
    # The look of the lines, and what the digits in their labels make of it.
    assert template.understand.cache_info().misses - before <= 2
