"""Writes the logs the benchmarks read: large text, JSON lines and CSV, many small runs, and one run of 60 points.

The same size and seed give the same bytes. Nothing here is committed: the benchmarks write into a temporary folder.

    python -m benchmarks.generate FOLDER [--rows 1000000] [--folders 1000]
"""

from __future__ import annotations

import argparse
import json
import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

ROWS = 1_000_000
FOLDERS = 1_000
EPOCHS = 100
_LOG_BYTES = 20_000
_NAN_EVERY = 50_000
_COLUMNS = ("epoch", "step", "train_loss_step", "train_acc_step", "lr-AdamW", "val_loss", "val_acc", "train_loss_epoch")

_TRACEBACK = (
    "Traceback (most recent call last):",
    '  File "/app/train.py", line 214, in <module>',
    "    batch = next(loader)",
    "StopIteration",
)


def loss_at(step: int, noise: random.Random) -> float:
    """A loss that falls like a power of the step, with noise."""
    return 0.5 + 9.5 / math.sqrt(step + 10) + noise.gauss(0, 0.02)


def _bar(step: int, loss: float) -> str:
    """Three states of a progress bar in one physical line, as a captured terminal holds them."""
    states = (
        f"{p:3d}%|{'#' * (p // 10):10}| {(step + p) % 99999}/99999 [00:{p // 2:02d}<00:50, 12.31it/s]"
        for p in (10, 40, 90)
    )
    return "\r".join(states) + f" loss={loss:.3f}"


def _trainer_line(done: float, loss: float) -> str:
    """The dict a Hugging Face trainer prints; ``done`` is the share of the run."""
    row = {
        "loss": round(loss, 4),
        "grad_norm": loss / 2,
        "learning_rate": 3e-4 * (1 - done),
        "epoch": round(done * 10, 2),
    }
    return str(row)


def text_lines(rows: int, seed: int = 0) -> Iterator[str]:
    """Lines of a language model's log: metrics in four dialects between bars, warnings and a rare traceback."""
    noise = random.Random(seed)
    for at in range(rows):
        loss = loss_at(at, noise)
        kind = at % 100
        if at % 200_000 < len(_TRACEBACK) <= at:
            yield _TRACEBACK[at % 200_000]
        elif kind < 45:
            yield f"iter {at}: loss {loss:.4f}, time {noise.uniform(90, 110):.2f}ms, mfu {noise.uniform(20, 40):.2f}%"
        elif kind < 75:
            yield _trainer_line(at / rows, loss)
        elif kind < 80:
            yield f"step {at}: train loss {loss:.4f}, val loss {loss + 0.1:.4f}"
        elif kind < 85:
            yield f"Epoch {at * 50 // rows + 1}/50 | Train Loss: {loss:.4f} | Val Loss: {loss + 0.1:.4f} | LR=3e-4"
        elif kind < 90:
            yield _bar(at, loss)
        elif kind < 97:
            yield f"saving worker shard {noise.randrange(64)} to /data/cache/part-{noise.randrange(9999):05d}.bin"
        else:
            yield "/usr/lib/python3/site.py:88: UserWarning: this argument is deprecated and will be removed"


def json_lines(rows: int, seed: int = 0) -> Iterator[str]:
    """Ten fields a row; a row in fifty thousand holds a bare ``NaN``, as Python's ``json`` writes it."""
    noise = random.Random(seed)
    for at in range(rows):
        loss = loss_at(at, noise)
        row = {
            "step": at,
            "epoch": round(at * 10 / rows, 4),
            "train/loss": math.nan if at % _NAN_EVERY == _NAN_EVERY - 1 else loss,
            "train/accuracy": 1 - loss / 10,
            "val/loss": loss + 0.1,
            "grad_norm": noise.uniform(0.2, 2),
            "lr": 3e-4 * (1 - at / rows),
            "tokens_per_second": noise.uniform(9e4, 1e5),
            "memory_gb": 31.25,
            "time": 1_700_000_000 + at * 0.5,
        }
        yield json.dumps(row)


def csv_lines(rows: int, seed: int = 0) -> Iterator[str]:
    """A sparse table: every row has the training columns, one in a hundred the validation columns instead."""
    noise = random.Random(seed)
    yield ",".join(_COLUMNS)
    for at in range(rows):
        loss = loss_at(at, noise)
        place = f"{at * 10 // rows},{at}"
        if at % 100 == 99:
            yield f"{place},,,,{loss + 0.1:.6f},{1 - loss / 10:.6f},{loss:.6f}"
        else:
            yield f"{place},{loss:.6f},{1 - loss / 10:.6f},{3e-4 * (1 - at / rows):.8f},,,"


def epoch_log(epochs: int, seed: int = 0) -> Iterator[str]:
    """Two timestamped lines an epoch, as a script with Python's ``logging`` prints them."""
    noise = random.Random(seed)
    for epoch in range(1, epochs + 1):
        loss = loss_at(epoch * 100, noise)
        stamp = f"2026-03-01 {epoch // 60:02d}:{epoch % 60:02d}"
        yield f"{stamp}:00,118 - INFO - Epoch {epoch}/{epochs}"
        yield f"{stamp}:41,502 - Train - Loss: {loss:.4f}, Acc: {1 - loss / 10:.4f} | Val - Loss: {loss + 0.1:.4f}"


def history(epochs: int, seed: int = 0) -> dict[str, list[float]]:
    """A Keras history: five metrics, a list of epochs each; the losses ``epoch_log`` prints for the same seed."""
    noise = random.Random(seed)
    losses = [loss_at(epoch * 100, noise) for epoch in range(1, epochs + 1)]
    return {
        "loss": losses,
        "val_loss": [loss + 0.1 for loss in losses],
        "accuracy": [1 - loss / 10 for loss in losses],
        "val_accuracy": [0.98 - loss / 10 for loss in losses],
        "lr": [3e-4 * (1 - epoch / epochs) for epoch in range(epochs)],
    }


def write(path: Path, lines: Iterable[str]) -> Path:
    """Writes lines, and makes the folders they need."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(f"{line}\n" for line in lines)
    return path


def folders(root: Path, count: int) -> Path:
    """Runs in folders of their own: ``history.json`` and about 20 KB of ``train.log``, every run a different one."""
    for number in range(count):
        folder = root / f"run{number:05d}"
        log = "\n".join(epoch_log(EPOCHS, number))
        write(folder / "train.log", [log, *("worker heartbeat ok" for _ in range((_LOG_BYTES - len(log)) // 20))])
        write(folder / "history.json", [json.dumps(history(EPOCHS, number))])
    return root


def small_run(path: Path) -> Path:
    """A run of 60 epochs in JSON lines, to measure what every start costs."""
    noise = random.Random(0)
    losses = [loss_at(epoch * 100, noise) for epoch in range(60)]
    return write(path, (json.dumps({"epoch": e, "train_loss": x, "val_loss": x + 0.1}) for e, x in enumerate(losses)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folders", type=int, default=FOLDERS)
    given = parser.parse_args()
    write(given.folder / "train.log", text_lines(given.rows))
    write(given.folder / "metrics.jsonl", json_lines(given.rows))
    write(given.folder / "metrics.csv", csv_lines(given.rows))
    folders(given.folder / "runs", given.folders)
    small_run(given.folder / "small.jsonl")


if __name__ == "__main__":
    main()
