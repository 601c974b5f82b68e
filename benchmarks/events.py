"""Reading TensorBoard event files: this tool against TensorBoard's own EventAccumulator and tbparse.

One file of a million scalars under 20 tags, and 500 files of a thousand. Every contender is a fresh process, imports
included; they take turns, and the medians are compared. ``x`` is a multiple of this tool; ``unchecked`` is this tool
without the checksums of payloads, to show what they cost. Rivals are run when ``--rivals`` names a virtual environment
that has them:

    python -m venv RIVALS && RIVALS/bin/pip install tensorboard tbparse
    python -m benchmarks.events [--scalars N] [--files N] [--repeat 3] [--rivals RIVALS]
"""

from __future__ import annotations

import argparse
import random
import struct
import subprocess
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from benchmarks.measure import HEAD, PYTHON, in_turns, rows
from benchmarks.table import show

_START = 1_700_000_000.0


def ours(root: Path) -> int:
    """What ``postmortem`` does: every scalar, checksums verified."""
    from postmortem.ingest.stores import tfevents  # noqa: PLC0415 - only this contender pays for it

    files = [(path, path.name) for path in sorted(root.rglob("*tfevents*"))]
    return sum(reading.points.height for reading in tfevents.read_files(files))


def unchecked(root: Path) -> int:
    """The same, with payloads believed."""
    from postmortem.ingest.stores import tfrecord  # noqa: PLC0415

    tfrecord.damaged = lambda data, start, end: start != start  # noqa: ARG005, PLR0124
    return ours(root)


def accumulator(root: Path) -> int:
    """TensorBoard's reader, told to keep everything instead of a sample."""
    module = import_module("tensorboard.backend.event_processing.event_accumulator")
    values = 0
    for folder in sorted({path.parent for path in root.rglob("*tfevents*")}):
        events = module.EventAccumulator(str(folder), {"scalars": 0, "tensors": 0}).Reload()
        values += sum(len(events.Scalars(tag)) for tag in events.Tags()["scalars"])
    return values


def tbparse(root: Path) -> int:
    """The reader people use to get a data frame."""
    return len(import_module("tbparse").SummaryReader(str(root), extra_columns={"wall_time"}).scalars)


CONTENDERS: dict[str, Callable[[Path], int]] = {
    "postmortem": ours,
    "unchecked": unchecked,
    "EventAccumulator": accumulator,
    "tbparse": tbparse,
}
_RIVALS = {"EventAccumulator": "tensorboard", "tbparse": "tbparse"}  # and the packages they come in


def write(path: Path, scalars: int, tags: int, seed: int = 0) -> None:
    """Writes what PyTorch's SummaryWriter writes: a header, then one event a scalar, the tags in turn."""
    noise = random.Random(seed)
    names = [f"{'train' if tag % 2 else 'val/component'}/metric_{tag}".encode() for tag in range(tags)]
    payloads = [_double(_START) + _counted(0x1A, b"brain.Event:2")]
    for at in range(scalars):
        value = _counted(0x0A, names[at % tags]) + b"\x15" + struct.pack("<f", noise.random())
        step = b"\x10" + _varint(at // tags) if at >= tags else b""
        payloads.append(_double(_START + at / 100) + step + _counted(0x2A, _counted(0x0A, value)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_framed(payloads))


def _double(number: float) -> bytes:
    return b"\x09" + struct.pack("<d", number)


def _counted(key: int, content: bytes) -> bytes:
    return bytes([key]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + _varint(rest) if rest else bytes([low])


def _framed(payloads: list[bytes]) -> bytes:
    heads = [struct.pack("<Q", len(payload)) for payload in payloads]
    sums = zip(heads, _checksums(heads), payloads, _checksums(payloads), strict=True)
    return b"".join(part for record in sums for part in record)


def _checksums(pieces: list[bytes]) -> list[bytes]:
    import numpy as np  # noqa: PLC0415

    from postmortem.ingest.stores.stretches import padded  # noqa: PLC0415
    from postmortem.ingest.stores.tfrecord import masked_crc  # noqa: PLC0415

    end = np.cumsum([len(piece) for piece in pieces])
    start = end - np.array([len(piece) for piece in pieces])
    return [crc.tobytes() for crc in masked_crc(padded(b"".join(pieces)), start, end)]


def commands(root: Path, rivals: Path | None) -> dict[str, list[str]]:
    """How each contender is started; says why the others are left out."""
    found = {}
    for name in CONTENDERS:
        python = str(rivals / "bin" / "python") if rivals and name in _RIVALS else PYTHON
        if name in _RIVALS and not _has(python, _RIVALS[name]):
            print(f"{name}: left out, {_RIVALS[name]} is not installed (see --rivals)")
        else:
            found[name] = [python, "-m", "benchmarks.events", "--contender", name, "--root", str(root)]
    return found


def _has(python: str, package: str) -> bool:
    return (
        Path(python).exists()
        and not subprocess.run([python, "-c", f"import {package}"], stderr=subprocess.DEVNULL, check=False).returncode
    )


def compare(title: str, root: Path, given: argparse.Namespace) -> None:
    size = sum(path.stat().st_size for path in root.rglob("*tfevents*")) / 1e6
    print(f"\n## {title}: {size:.0f} MB\n")
    show(HEAD, rows(in_turns(commands(root, given.rivals), given.repeat), "postmortem"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scalars", type=int, default=1_000_000)
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rivals", type=Path, help="virtual environment with tensorboard and tbparse")
    parser.add_argument("--contender", choices=list(CONTENDERS), help="read --root with this one, and print how much")
    parser.add_argument(
        "--write", nargs=3, type=int, metavar=("FILES", "SCALARS", "TAGS"), help="only write into --root"
    )
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        print(CONTENDERS[given.contender](given.root))
        return
    if given.write:
        files, scalars, tags = given.write
        for number in range(files):
            write(given.root / f"run{number:05d}" / "events.out.tfevents.1", scalars, tags, number)
        return
    with tempfile.TemporaryDirectory() as temporary:
        one, many = Path(temporary) / "one", Path(temporary) / "many"
        for root, files, scalars, tags in ((one, 1, given.scalars, 20), (many, given.files, 1000, 5)):
            sizes = [str(number) for number in (files, scalars, tags)]
            # In a process of its own: what this one holds would count into the memory of every contender.
            subprocess.run([PYTHON, "-m", "benchmarks.events", "--root", str(root), "--write", *sizes], check=True)
        compare(f"one file of {given.scalars:,} scalars", one, given)
        compare(f"{given.files:,} files of 1,000 scalars", many, given)


if __name__ == "__main__":
    main()
