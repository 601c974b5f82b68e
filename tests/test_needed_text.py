"""The text a pattern cannot match without."""

from __future__ import annotations

import pytest

from postmortem.ingest.lines import from_bytes
from postmortem.ingest.packs.needed import needed_text
from postmortem.ingest.packs.pack import FormatPack, load_packs


@pytest.mark.parametrize(
    ("regex", "needed"),
    [
        (r"^iter (\d+): loss (\S+), time", ": loss "),
        (r"^(?P<label>\w+)=(?:long optional text)? end", " end"),
        (r"colou?r", "colo"),
        (r"ab{2,3}cd", "cd"),
        (r"ab*c", "a"),
        (r"\[Epoch\] x+y", "[epoch] x"),
        (r"train|val", ""),
        (r"[abc|]def", "def"),
        (r"[]x]longer", ""),
        (r"[[:alpha:]]+longer", ""),
        (r"(?x) free spacing", ""),
    ],
)
def test_only_what_is_certain(regex: str, needed: str) -> None:
    """What is optional, repeated, in a class or an alternative is not needed; letters in lower case."""
    assert needed_text(regex) == needed


def test_every_sample_of_the_shipped_packs_holds_it() -> None:
    """A line with metrics holds the text of one of its pack's patterns, so that no pack is passed over."""
    for pack in load_packs():
        for sample in pack.samples if isinstance(pack, FormatPack) else ():
            if sample.gives != "nothing" and pack.share(from_bytes(sample.line.encode()).lines):
                assert any(need in sample.line.lower() for need in pack.needed)
