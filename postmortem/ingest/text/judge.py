"""Which numbers of a log are measurements, and which are settings, sizes, or no business of ours.

The principle: a measurement's label recurs on lines of the same shape with changing values, or it stands at a known
place in training. A file in which no known kind of measurement does either has none at all.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl

from postmortem import names

# Words that name a measurement beyond doubt, whatever else is in the log.
_CORE = re.compile(
    r"loss|(^|_)(acc|accuracy|auc|auroc|f1(?!\d)|precision|recall|bleu|ppl|perplexity|mse|mae|rmse|reward|return|m?iou|dice"
    r"|psnr"
    r"|ssim|fid|m?ap|wer|cer|ndcg|mrr|r2|nll|xent|entropy|elbo|kl|grad_norm|logloss|rouge\w*|error|score|fitness|top1|top5"
    r"|cost|mcc)"
    r"(_|@|\d|$)|loss$|acc$|return$|reward$"
)
_COMMON_WORDS = ("return", "error", "cost", "map", "score", "precision", "recall", "reward", "dice", "kl", "ap")
_ELSEWHERE = (["error"], ["cost"], ["return"], ["map"], ["ap"])  # what controllers, shops and planners print as well
_SPARSE = 0.4  # share of a line's letters that labels make up, below which it is prose
_SERIES = 3  # lines from which a label nobody knows is taken for a series


def measurements(
    fields: pl.DataFrame, values: pl.DataFrame, start: int | None, *, trains: bool = False
) -> pl.DataFrame:
    """The fields that are measurements.

    Args:
        fields: Candidate fields, see ``shapes.Numbers``.
        values: Their numbers.
        start: Line of the first counter that governs what follows, or None.
        trains: The file is known to be a training log.

    Returns:
        The rows of ``fields`` that are.
    """
    facts = _facts(fields, values, start)
    told = [fact for fact in facts if fact is not None]
    if not (trains or _trains(told)):
        return fields.clear()
    measuring = {fact.shape for fact in told if fact.core and fact.changing}
    kept = [
        fact is not None
        and (fact.measured or fact.alone or fact.beside(measuring) or fact.recurring(headed=start is not None))
        for fact in facts
    ]
    return fields.filter(pl.Series(kept, dtype=pl.Boolean))


class _Said(NamedTuple):
    """What the values of a field say."""

    begun: bool
    integers: bool
    lines: int
    least: float
    most: float
    odd: bool


class _Label(NamedTuple):
    """What a label says, and ``lines`` and ``changing``: what all values under it do."""

    elsewhere: bool
    core: bool
    config: bool
    known: bool
    lr: bool
    lines: int
    changing: bool


@dataclass(frozen=True, slots=True)
class _Fact:
    """What the values and the label of a field say.

    A file has few fields, and asking a frame costs more than asking each of them.
    """

    shape: int
    strong: bool
    counted: bool
    dense: bool
    dump: bool
    begun: bool
    floats: bool
    core: bool
    label: _Label

    @property
    def changing(self) -> bool:
        return self.label.changing

    @property
    def long(self) -> bool:
        return self.label.lines >= _SERIES

    @property
    def measured(self) -> bool:
        """A sentence about a run counts too ("after epoch 3 the loss is 0.4"); a log says so again and again."""
        return self.counted and (self.strong or self.label.known or self.core) and (self.dense or self.long)

    @property
    def alone(self) -> bool:
        """A measurement wherever it stands, unless it is a setting or one cell of a dump that stays the same."""
        if self.label.config or not self.dense:
            return False
        if self.dump and not ((self.core or self.label.known) and self.changing):
            return False
        return self.changing or self.begun if self.core else self.begun and self._placed

    @property
    def _placed(self) -> bool:
        """What stays the same is a setting repeated, but for the learning rate, which many logs print each epoch."""
        novel = self.changing or self.label.lines == 1
        if self.label.known:
            return self.changing or (self.strong and (self.label.lr or novel))
        return self.strong and novel and (self.floats or (self.changing and self.long))

    def beside(self, measuring: Container[int]) -> bool:
        """It stands on lines (``measuring``: their shapes) that measure something."""
        told = self.strong or (self.counted and self.dense and self.floats)
        return told and not self.label.config and self.shape in measuring

    def recurring(self, *, headed: bool) -> bool:
        """A known kind of measurement that changes, below the first counter if the file has one (``headed``)."""
        plain = self.label.known and self.strong and not self.label.config and not self.dump
        return plain and (self.begun or not headed) and self.changing and self.long

    @property
    def trains(self) -> bool:
        """Tells of training: something known is counted or changes, or a label nobody knows makes a series."""
        # Labels such as G_GAN are measurements all the same when line after line counts and they change.
        series = self.counted and self.strong and self.floats and self.changing and self.long
        uncounted = self.changing and self.floats and self.long and self.dense and not self.label.elsewhere
        headed = self.begun and self.strong and self.floats
        return not self.label.config and ((self.core and (self.counted or uncounted or headed)) or series)


def _trains(facts: Iterable[_Fact]) -> bool:
    """The file is a training log."""
    return any(fact.trains for fact in facts)


def _facts(fields: pl.DataFrame, values: pl.DataFrame, start: int | None) -> list[_Fact | None]:
    """One for each field; None for a field without values."""
    said = _said(values, start)
    rows = list(fields.select(_ASKED).iter_rows())
    by_label: dict[str, list[_Said]] = {}
    for shape, slot, label, *_ in rows:
        by_label.setdefault(label, []).extend([said[shape, slot]] if (shape, slot) in said else [])
    labels = {label: _label(label, each) for label, each in by_label.items() if each}
    return [_fact(row, said[row[:2]], labels[row[2]]) if row[:2] in said else None for row in rows]


def _fact(row: tuple[Any, ...], said: _Said, label: _Label) -> _Fact:
    shape, _, text, strong, counted, coverage, dump = row
    # "return 0.5" is source code, "error 404" a server's; with a colon they may be measured.
    core = label.core and (strong or text.lower() not in _COMMON_WORDS)
    return _Fact(shape, strong, counted, coverage >= _SPARSE, dump, said.begun, not said.integers, core, label)


_ASKED = ("shape", "slot", "label", "strong", "counted", "coverage", "dump")


def _said(values: pl.DataFrame, start: int | None) -> dict[tuple[int, int], _Said]:
    begun = pl.col("line").max() >= start if start is not None else pl.lit(False)
    value = pl.col("value")
    rows = values.group_by("shape", "slot").agg(
        begun=begun,
        integers=(value == value.floor()).all(),
        lines=pl.len(),
        least=value.min(),
        most=value.max(),
        odd=value.is_nan().any() & value.is_not_nan().any(),
    )
    return {(shape, slot): _Said(*said) for shape, slot, *said in rows.iter_rows()}


def _label(label: str, said: Iterable[_Said]) -> _Label:
    said = list(said)
    least = min((each.least for each in said if each.least == each.least), default=0.0)  # not NaN
    most = max((each.most for each in said if each.most == each.most), default=0.0)
    changing = most > least or any(each.odd for each in said)
    return _Label(*_named(label), sum(each.lines for each in said), changing)


@lru_cache(maxsize=4096)
def _named(label: str) -> tuple[bool, bool, bool, bool, bool]:
    return _is_elsewhere(label), _is_core(label), names.is_setting(label), _is_known(label), _is_lr(label)


def _metric(label: str) -> str:
    return names.parse(label.removesuffix(" (avg)")).metric


def _is_core(label: str) -> bool:
    return bool(_CORE.search(metric := _metric(label))) and metric != "packet_loss"


def _is_known(label: str) -> bool:
    return names.role(_metric(label)) not in ("other", "count")


def _is_lr(label: str) -> bool:
    return names.role(_metric(label)) == "lr"


def _is_elsewhere(label: str) -> bool:
    return names.words(label)[-1:] in _ELSEWHERE
