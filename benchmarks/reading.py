"""Reading logs: this tool against a bare Polars scan, the loop people write, and rival tools.

Every contender is a fresh process, imports included; they take turns, and the medians are compared. The columns
``x`` are multiples of the bare scan (of the first command, for whole commands). Rivals are run when ``--rivals``
names a virtual environment that has them:

    python -m venv RIVALS && RIVALS/bin/pip install runmedic trainproof
    python -m benchmarks.reading [--rows N] [--folders N] [--repeat 3] [--rivals RIVALS] [--only text csv]
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import generate
from benchmarks.contenders import CONTENDERS
from benchmarks.measure import HEAD, LIMIT, PYTHON, in_turns, rows
from benchmarks.table import show

_RIVALS = {
    "runmedic": ("text", "jsonl", "csv"),  # over many folders it takes one file for another
    "trainproof": ("jsonl", "csv"),  # reads no text logs
}


def write(kind: str, folder: Path, given: argparse.Namespace) -> Path:
    """The input of one kind, generated."""
    if kind == "folders":
        return generate.folders(folder / "runs", given.folders)
    name, lines = {
        "text": ("train.log", generate.text_lines),
        "jsonl": ("metrics.jsonl", generate.json_lines),
        "csv": ("metrics.csv", generate.csv_lines),
    }[kind]
    return generate.write(folder / name, lines(given.rows))


def rival_commands(kind: str, path: Path, environment: Path | None) -> dict[str, list[str]]:
    """How each installed rival judges the file; says why the others are left out."""
    commands = {}
    for name, kinds in _RIVALS.items():
        program = (environment or Path()) / "bin" / name
        if environment is None or not program.exists():
            print(f"{name}: left out, not installed (see --rivals)")
        elif kind not in kinds:
            print(f"{name}: left out, it does not read this kind of input")
        elif name == "runmedic":
            commands[name] = [str(program), "diagnose", str(path), "--json"]
        else:
            commands[name] = [str(program), "epoch", str(path), "--format", kind, "--json"]
    return commands


def compare(kind: str, given: argparse.Namespace) -> None:
    """Prints both tables of one kind of input: reading alone, and the whole command."""
    with tempfile.TemporaryDirectory() as temporary:
        path = write(kind, Path(temporary), given)
        size = sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*.*"))) / 1e6
        print(f"\n## {kind}: {size:.0f} MB\n\nReading, x of the bare scan:\n")
        readers = {name: [PYTHON, "-m", "benchmarks.contenders", name, kind, str(path)] for name in CONTENDERS[kind]}
        show(HEAD, rows(in_turns(readers, given.repeat, limit=given.limit), "bare"))
        print("\nThe whole command, x of `postmortem analyze`:\n")
        whole = {"postmortem analyze": [PYTHON, "-m", "postmortem", "analyze", str(path), "--json"]}
        whole |= rival_commands(kind, path, given.rivals)
        show(
            HEAD[:-1],
            [
                row[:-1]
                for row in rows(in_turns(whole, given.repeat, quiet=True, limit=given.limit), "postmortem analyze")
            ],
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=generate.ROWS)
    parser.add_argument("--folders", type=int, default=generate.FOLDERS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="S", help="stop a process after S seconds")
    parser.add_argument("--rivals", type=Path, help="virtual environment with runmedic and trainproof")
    parser.add_argument("--only", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    given = parser.parse_args()
    for kind in given.only:
        compare(kind, given)


if __name__ == "__main__":
    main()
