"""Published logs of real frameworks: none crashes the reader, and the covered formats are read in full."""

from __future__ import annotations

import corpus
import pytest

_TEXT = [sample["file"] for sample in corpus.samples() if sample["format"] not in corpus.STORES]

pytestmark = pytest.mark.skipif(not corpus.samples(), reason="the shared corpus of real logs is not present")


@pytest.mark.parametrize("file", _TEXT)
def test_a_published_log_is_read(file: str) -> None:
    """Labels, counts, first, final and best values are those of the file, for every format listed as covered."""
    verdict = corpus.judge(file)

    assert verdict.status != "crashed", verdict.faults
    if verdict.format in corpus.covered():
        assert verdict.status == "read", "\n".join(verdict.faults)


def test_covered_formats_are_in_the_corpus() -> None:
    """A misspelt format in the list would be covered by nothing."""
    assert corpus.covered() <= {sample["format"] for sample in corpus.samples()}


@pytest.mark.parametrize("file", [sample["file"] for sample in corpus.samples() if sample["format"] == "tfevents"])
def test_binary_files_do_not_crash(file: str) -> None:
    """What no reader knows yet gives no invented metric."""
    assert corpus.judge(file).status != "crashed"
