"""``docs/formats.md``: every format that is read, with an example line, and how real logs are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postmortem.docgen.markdown import between, code, first_sentence, table
from postmortem.ingest.packs.pack import FormatPack, Pack, Sample, load_packs
from postmortem.ingest.stores import STORES, tfevents
from postmortem.ingest.structured import box_reader, json_reader, table_reader
from postmortem.ingest.text import keyvalue

CORPUS_BEGIN, CORPUS_END = "<!-- corpus -->\n", "<!-- end of corpus -->\n"
"""Marks of the table that `python -m benchmarks.corpus_table --write` makes where the corpus is present."""

EXAMPLES = {
    keyvalue: "Epoch 3/30 | train_loss=0.4031 val_loss: 0.4417 acc 0.871",
    json_reader: '{"epoch": 3, "train_loss": 0.4031, "val": {"loss": 0.4417}}',
    table_reader: "epoch,train_loss,val_loss",
    box_reader: "|    ep_rew_mean     | 21.7     |",
}
"""A line for each generic reader."""

_INTRODUCTION = """\
# Formats

What is read without being told anything: `postmortem formats explain FILE` shows for one file how, and why. A log that
is not read, or read wrongly, gets [a format of its own](own-format.md) in a few minutes.

Files may be packed (gzip, xz, zstd), in UTF-8, UTF-16 or Latin-1, with colours and progress bars, interleaved or cut
off.

## Files of any framework

The generic readers take what no format below describes.

"""
_TEXT = """
## Text formats

Each is one file in `parsers/`, with samples that prove it.

"""
_STORES = """
## Trackers and event files

Read from their files, without the tracker or a server; databases are opened read-only.

"""
_CORPUS = """
## How published logs are read

Of each format, how many logs that others published are read in full: every metric, with the number of its values, the
first, the last and the best one, and where it was best. The logs are not part of this repository.

"""


def page(present: str) -> str:
    """The page; the table of published logs is taken from the page as it is."""
    return "".join(_parts(between(present, CORPUS_BEGIN, CORPUS_END)))


def _parts(corpus: str) -> Iterator[str]:
    yield _INTRODUCTION
    rows = ((first_sentence(reader.__doc__), code(line)) for reader, line in EXAMPLES.items())
    yield table(("reader", "a line"), rows)
    yield _TEXT
    yield table(("format", "id", "what is read", "a line"), map(_row, load_packs()))
    yield _STORES
    yield "".join(f"- {first_sentence(store.__doc__)}\n" for store in (tfevents, *STORES))
    yield _CORPUS + CORPUS_BEGIN + corpus + CORPUS_END


def _row(pack: Pack) -> Sequence[str]:
    title = f"[{pack.title}]({pack.home})" if pack.home else pack.title
    return title, code(pack.id), ", ".join(_what(pack)), code(_example(pack).strip())


def _example(pack: Pack) -> str:
    """The last line of the first sample that measures something, if possible something finite."""
    measured = [sample for sample in pack.samples if any(isinstance(value, float) for value in _values(sample))]
    finite = [sample for sample in measured if all(value == value for value in _values(sample))]  # noqa: PLR0124 - NaN
    return (finite or measured or pack.samples)[0].line.splitlines()[-1]


def _values(sample: Sample) -> Iterable[object]:
    return () if sample.gives == "nothing" else sample.gives.values()


def _what(pack: Pack) -> Iterable[str]:
    if not isinstance(pack, FormatPack):
        return list(pack.columns.values())
    names = [line.name for line in pack.lines]
    return [*names, *sorted({event.kind for event in pack.events}), *(["settings"] if pack.config else [])]
