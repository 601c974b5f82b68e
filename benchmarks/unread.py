"""Measures what is not understood: ``python -m benchmarks.unread [FORMAT ...]`` (with -v: the commonest unread shapes).

Of the lines of the corpus's training logs that carry a metric, the share that no reader understood. A line carries a
metric when a word of ``WORDS`` stands in it and a number with a fraction follows within a few characters. The reader
has no say in that: the words are listed here, and neither its vocabulary nor its patterns are used.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from postmortem.ingest import detect
from postmortem.ingest.lines import read_lines
from tests import corpus

WORDS = (
    "loss losses acc accuracy top1 top5 auc auroc f1 fscore precision recall ppl perplexity bleu rouge wer cer mse mae "
    "rmse psnr ssim fid iou miou dice map reward return score error err nll entropy kl elbo logloss lr grad_norm gnorm"
)
_WORD = "|".join(WORDS.split())
CARRIES = (
    rf"(?i)(?:^|[^a-z])(?:[a-z0-9]+_)*(?:{_WORD})(?:_[a-z0-9]+)*['\"]?[\s:=(\[|]{{1,6}}-?(?:[0-9]+\.[0-9]+|nan\b|inf\b)"
)
"""Lines that carry a metric; Rust regex syntax."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?", re.I)


def unread(path: Path) -> tuple[int, list[str]]:
    """How many lines of a file carry a metric, and those of them that were not understood."""
    text = read_lines(path)
    reading = detect.read(text, str(path), corpus.packs())
    carrying = text.lines.filter(pl.col("text").str.contains(CARRIES))
    missed = reading.unread.filter(pl.col("text").str.contains(CARRIES))
    return carrying["line"].n_unique(), missed["text"].to_list()


def logs(formats: set[str]) -> Iterator[tuple[str, Path]]:
    """The text files among the corpus's samples of training."""
    for sample in corpus.samples():
        trained = sample["expected"].get("n_rows_hint") and not sample.get("is_directory")
        if trained and "tfevents" not in sample["format"] and (not formats or sample["format"] in formats):
            yield sample["format"], corpus.CORPUS / sample["file"]


def main(arguments: list[str]) -> None:
    """Prints a line a format with something unread, and the share over all."""
    total, missed = Counter[str](), Counter[str]()
    shapes: Counter[tuple[str, str]] = Counter()
    for format_, path in logs({argument for argument in arguments if argument != "-v"}):
        carrying, texts = unread(path)
        total[format_] += carrying
        missed[format_] += len(texts)
        shapes.update((format_, _NUMBER.sub("0", text.strip())[:150]) for text in texts)
    for format_, count in missed.most_common():
        if count:
            print(f"{format_:34} {count:6} of {total[format_]:7} lines unread")
    for (format_, shape), count in shapes.most_common(40) if "-v" in arguments else ():
        print(f"{count:6}  {format_:24} {shape}")
    share = missed.total() / max(total.total(), 1)
    print(f"{missed.total()} of {total.total()} lines that carry a metric were not understood: {100 * share:.3f} %")


if __name__ == "__main__":
    main(sys.argv[1:])
