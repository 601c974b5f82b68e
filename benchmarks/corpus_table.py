"""Prints what is made of the corpus: ``python -m benchmarks.corpus_table [FORMAT ...]`` (with -v: every fault)."""

from __future__ import annotations

import sys
import time
from collections import defaultdict

from tests import corpus


def main(arguments: list[str]) -> None:
    """Prints a line a format, or a line a sample with its faults."""
    verbose = "-v" in arguments
    wanted = {argument for argument in arguments if argument != "-v"}
    rows = defaultdict(list)
    for sample in corpus.samples():
        if not wanted or sample["format"] in wanted:
            start = time.perf_counter()
            verdict = corpus.judge(sample["file"])
            rows[verdict.format].append((verdict, time.perf_counter() - start))
    for format_, verdicts in sorted(rows.items()):
        count = {
            status: sum(verdict.status == status for verdict, _ in verdicts)
            for status in ("read", "partly", "unread", "crashed")
        }
        seconds = sum(took for _, took in verdicts)
        print(f"{format_:34} {'  '.join(f'{status} {n}' for status, n in count.items() if n):28} {seconds:6.2f} s")
        for verdict, _ in verdicts if verbose else ():
            print(f"    {verdict.status:8} {verdict.agreed}/{verdict.expected} {verdict.file}")
            for fault in verdict.faults[:12]:
                print(f"        {fault}")
    everything = [verdict for verdicts in rows.values() for verdict, _ in verdicts]
    print(f"{sum(verdict.status == 'read' for verdict in everything)} of {len(everything)} samples read in full")


if __name__ == "__main__":
    main(sys.argv[1:])
