"""What a start costs: ``--help``, and the analysis of 60 points, against an idle Python and ``import polars``.

Fails when a start imports what it must not: torch or matplotlib ever, Polars for ``--help``.

    python -m benchmarks.startup [--repeat 9]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import generate
from benchmarks.measure import HEAD, PYTHON, ROOT, in_turns, rows
from benchmarks.table import show

_HEAVY = ("torch", "matplotlib")


def imported(arguments: Sequence[str]) -> set[str]:
    """Top-level modules that ``python -m postmortem`` imports for some arguments."""
    command = [PYTHON, "-X", "importtime", "-m", "postmortem", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=9)
    repeat = parser.parse_args().repeat
    with tempfile.TemporaryDirectory() as temporary:
        run = str(generate.small_run(Path(temporary) / "metrics.jsonl"))
        commands = {
            "python -c pass": [PYTHON, "-c", "pass"],
            "import polars": [PYTHON, "-c", "import polars"],
            "--help": [PYTHON, "-m", "postmortem", "--help"],
            "analyze, 60 points": [PYTHON, "-m", "postmortem", "analyze", run],
        }
        costs = in_turns(commands, repeat, quiet=True)
        show(HEAD[:-1], [row[:-1] for row in rows(costs, "import polars")])
        wrong = [f"--help imports {name}" for name in imported(["--help"]) & {*_HEAVY, "polars"}]
        wrong += [f"analyze imports {name}" for name in imported(["analyze", run]) & {*_HEAVY}]
    print("\n".join(wrong) or "\nNeither torch nor matplotlib is imported; --help imports no Polars either.")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
