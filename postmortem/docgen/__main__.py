"""``python -m postmortem.docgen [--check]``: writes the generated pages of a checkout, or says which are stale."""

from __future__ import annotations

import sys
from pathlib import Path

from postmortem.docgen import stale, write


def main(arguments: list[str]) -> int:
    """Returns the exit code: 1 when pages are out of date."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    if not docs.is_dir():
        sys.stderr.write("there is no docs/ folder beside the package: run this in a checkout\n")
        return 2
    if "--check" in arguments:
        problems = stale(docs)
        sys.stderr.write("".join(f"{problem.render()}\n" for problem in problems))
        return int(bool(problems))
    sys.stdout.write("".join(f"{path.relative_to(docs.parent)}\n" for path in write(docs)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
