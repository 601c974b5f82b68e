"""Text logs tell of crashes, kills, checkpoints and ends in many words; each is known for what it is."""

from __future__ import annotations

import polars as pl
import pytest

from postmortem.ingest import lines
from postmortem.ingest.text import events, keyvalue, shapes


def _find(*rows: str) -> list[tuple[int, str, str]]:
    told = shapes.messages(lines.from_bytes(("\n".join(rows) + "\n").encode()).lines)
    return events.find(told, "train.log").select("line", "kind", "text").rows()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "oom"),
        ("RuntimeError: MPS backend out of memory (MPS allocated: 9 GB)", "oom"),
        ("slurmstepd: error: Detected 1 oom-kill event(s) in step 3.batch", "oom"),
        ("numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8.58 GiB for an array", "oom"),
        ("_ArrayMemoryError: Unable to allocate 8.58 GiB", "oom"),
        ("Killed", "killed"),
        ("slurmstepd: error: *** JOB 3073097 ON c17 CANCELLED AT 2024-01-01 DUE TO TIME LIMIT ***", "killed"),
        ("exitcode  : -9 (pid: 77)", "killed"),
        ("Loss is nan, stopping training", "nan-warning"),
        ("WARNING: non-finite gradients detected at step 7", "nan-warning"),
        ("Epoch 00012: early stopping", "early-stop"),
        ("Early stopping, best iteration is:", "early-stop"),
        ("Early stopping triggered after 12 epochs", "early-stop"),
        ("Early stopping at epoch 12", "early-stop"),
        ("Resuming from checkpoint out/step_500", "restart"),
        ("=> loaded checkpoint 'm.pth' (epoch 5)", "restart"),
        ("New best model saved! Val AUC: 0.58", "best"),
        ("val_loss improved from 0.5 to 0.4, saving model to x", "best"),
        ("Saving model checkpoint to out/checkpoint-500", "checkpoint"),
        ("saved checkpoint epoch_3.pt", "checkpoint"),
        ("Saving..", "checkpoint"),
        ("Training completed in 3 h", "finished"),
        ("2024-01-01 00:00:00 INFO Training finished", "finished"),
        ("x/y.py:7: UserWarning: odd", "warning"),
        ("OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536", "warning"),
        ("Gradient overflow. Skipping step, loss scaler 0 reducing loss scale to 1024", "warning"),
    ],
)
def test_kinds(text: str, kind: str) -> None:
    """Each way to say it gives its kind."""
    assert [found for _, found, _ in _find("epoch 1 loss: 0.5", text)] == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "Early Stopping Patience: 5",
        "early_stopping: true",
        "best_acc: 0.5",
        "Epoch 3 loss: 0.5 (best 0.4)",
        "checkpoint_dir: out",
        "Training set: 50000",
        "Starting training",
        "Loading data from cache",
        "resume: False",
        "memory: 8582",
        "nan_policy: skip",
        "step 3 loss: nan",
        "Test banana detected",
        "finetune done=0",
        "save_every: 5",
        "inf values: 0",
        "kill switch installed",
    ],
)
def test_settings_and_values_are_no_events(text: str) -> None:
    """Configuration and measurements that share a word with an event are none."""
    assert _find("epoch 1 loss: 0.5", text) == []


def test_a_traceback_is_one_event_with_its_exception() -> None:
    """The text is the exception, the line is its line; what it prints inside is not read again."""
    found = _find(
        "step 1 loss: 0.5",
        "Traceback (most recent call last):",
        '  File "t.py", line 9, in f',
        "    raise KilledError",
        "During handling of the above exception, another exception occurred:",
        "Traceback (most recent call last):",
        '  File "t.py", line 12, in <module>',
        "    saved checkpoint",
        "my.lib.ShapeError: expected 3, got 4",
        "Killed",
    )
    assert found == [(9, "traceback", "my.lib.ShapeError: expected 3, got 4"), (10, "killed", "Killed")]


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("KeyboardInterrupt", "killed"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "oom"),
        ("KeyError: 'x'", "traceback"),
    ],
)
def test_what_a_traceback_ends_in(last: str, kind: str) -> None:
    """An interrupt and want of memory are told from a fault of the program."""
    assert [found for _, found, _ in _find("Traceback (most recent call last):", '  File "t.py", line 9', last)] == [
        kind
    ]


def test_a_traceback_that_a_launcher_quotes_ends_in_its_exception() -> None:
    """The exception stands where the traceback began, and code inside it stands deeper."""
    found = _find(
        "  traceback : Traceback (most recent call last):",
        '    File "t.py", line 9, in f',
        "      ValueError(x)",
        "  torch.OutOfMemoryError: CUDA out of memory.",
    )
    assert [(line, kind) for line, kind, _ in found] == [(4, "oom")]


def test_repeated_warnings_are_kept_once() -> None:
    """A warning that comes a thousand times with other numbers is one event."""
    assert len(_find(*(f"x/y.py:{n}: UserWarning: odd {n}" for n in range(1000)))) == 1


def test_every_line_of_a_traceback_is_understood() -> None:
    """The event stands at the exception; the frames above it are part of it, whatever they hold."""
    text = "Epoch 1 loss: 0.5\nEpoch 2 loss: 0.4\nTraceback (most recent call last):\n"
    text += '  File "a.py", line 3, in <module>\n    loss = step(0.5)\n           ^^^^\n'
    text += "IndexError: Target 10 is out of bounds.\n"
    reading = keyvalue.read(lines.from_bytes(text.encode()), "x.log")
    assert reading.notes.filter(pl.col("kind") == "traceback")["line"].to_list() == [7]
    assert (reading.understood, reading.unread.height) == (7, 0)
