"""Published logs of real frameworks are read in full: labels, counts, first, final and best values."""

from __future__ import annotations

import corpus
import pytest

# One sample of 82 files, which takes as long as all others together; `benchmarks.corpus_table` reads it.
_MANY_FILES = "kaldi-gmm-logs"

_PACKS = {pack.id for pack in corpus.packs()}

pytestmark = pytest.mark.skipif(not corpus.samples(), reason="the shared corpus of real logs is not present")


@pytest.mark.parametrize("file", [sample["file"] for sample in corpus.samples() if sample["format"] != _MANY_FILES])
def test_a_published_log_is_read(file: str) -> None:
    """What the manifest says of the file is what is read, but for the corrections that are listed with their reason."""
    verdict = corpus.judge(file)

    assert verdict.status == "read", "\n".join(verdict.faults)
    assert not verdict.readers & _PACKS - {corpus.PACK_OF.get(verdict.format)}, "another format's pack took it"


def test_corrections_are_of_formats_in_the_corpus() -> None:
    """A misspelt format would excuse nothing."""
    formats = {sample["format"] for sample in corpus.samples()}

    assert {format_ for format_, _, _ in corpus.CORRECTIONS} | {format_ for format_, _ in corpus.ALIASES} <= formats
