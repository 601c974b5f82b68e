"""Prints what is made of the corpus: ``python -m benchmarks.corpus_table [FORMAT ...]`` (with -v: every fault).

With ``--write`` the table goes into ``docs/formats.md``.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from postmortem.docgen.formats import CORPUS_BEGIN, CORPUS_END
from postmortem.docgen.markdown import between, table
from tests import corpus

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
_STATES = ("read", "partly", "unread", "crashed")


def main(arguments: list[str]) -> None:
    """Prints a line a format, or a line a sample with its faults."""
    verbose, to_page = "-v" in arguments, "--write" in arguments
    wanted = {argument for argument in arguments if argument not in ("-v", "--write")}
    verdicts: dict[str, list[corpus.Verdict]] = defaultdict(list)
    seconds: dict[str, float] = defaultdict(float)
    for sample in corpus.samples():
        if not wanted or sample["format"] in wanted:
            start = time.perf_counter()
            verdicts[sample["format"]].append(corpus.judge(sample["file"]))
            seconds[sample["format"]] += time.perf_counter() - start
    for format_, told in sorted(verdicts.items()):
        count = {status: sum(verdict.status == status for verdict in told) for status in _STATES}
        states = "  ".join(f"{status} {n}" for status, n in count.items() if n)
        print(f"{format_:34} {states:28} {seconds[format_]:6.2f} s")
        for verdict in told if verbose else ():
            print(f"    {verdict.status:8} {verdict.agreed}/{verdict.expected} {verdict.file}")
            print("".join(f"        {fault}\n" for fault in verdict.faults[:12]), end="")
    everything = [verdict for told in verdicts.values() for verdict in told]
    print(f"{sum(verdict.status == 'read' for verdict in everything)} of {len(everything)} samples read in full")
    if to_page and not wanted:
        write(verdicts)


def write(verdicts: Mapping[str, Sequence[corpus.Verdict]]) -> None:
    """Puts the table into the page."""
    text = PAGE.read_text("utf-8")
    old = CORPUS_BEGIN + between(text, CORPUS_BEGIN, CORPUS_END) + CORPUS_END
    PAGE.write_text(text.replace(old, CORPUS_BEGIN + markdown(verdicts) + CORPUS_END), "utf-8")


def markdown(verdicts: Mapping[str, Sequence[corpus.Verdict]]) -> str:
    """The table of the page: of each format the samples read in full, and the metrics that agree."""
    rows = [
        (
            format_,
            f"{sum(each.status == 'read' for each in told)} of {len(told)}",
            f"{sum(each.agreed for each in told)} of {sum(each.expected for each in told)}",
        )
        for format_, told in sorted(verdicts.items())
    ]
    everything = [each for told in verdicts.values() for each in told]
    total = f"**{sum(each.status == 'read' for each in everything)} of {len(everything)}**"
    return table(("format", "read in full", "metrics that agree"), [*rows, ("**all**", total, "")])


if __name__ == "__main__":
    main(sys.argv[1:])
