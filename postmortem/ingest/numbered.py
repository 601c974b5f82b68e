"""Folders in which every step wrote a file of its own: ``acc.1.log``, ``acc.2.log``, ``metrics_epoch_7.json``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from postmortem.ingest.same import Capture

_FEWEST = 3  # files from which names that differ in a number are a series
_DIGITS = re.compile(r"\d+")
# Numbers behind these words tell runs apart, not steps of one run.
_APART = re.compile(r"(?i)(?:seed|fold|run|trial|rank|worker|job|exp|task|gpu|node|version|split|client|v)[\W_]*$")


def in_order(captures: Sequence[Capture]) -> list[Capture]:
    """Captures of one folder, the series of numbered files first and by their number, which is the step.

    Files are such a series when their names differ in one number only, and each tells of one place: no value twice,
    and the same labels. Where they name no step or epoch themselves, the number of the file is the step.
    """
    alike: dict[str, list[Capture]] = {}
    for one in captures:
        alike.setdefault(_DIGITS.sub("#", _name(one)), []).append(one)
    series = {name: found for name, group in alike.items() if (found := _series(name, group))}
    others = [one for one in captures if _DIGITS.sub("#", _name(one)) not in series]
    return [*(one for group in series.values() for one in group), *others]


def _name(capture: Capture) -> str:
    return Path(capture.reading.source).name


def _series(name: str, group: Sequence[Capture]) -> list[Capture] | None:
    """The captures by number, as members of a series; None when they are none."""
    if len(group) < _FEWEST or not all(_tells_of_one_place(one) for one in group):
        return None
    numbers = [[int(digits) for digits in _DIGITS.findall(_name(one))] for one in group]
    varying = [at for at, values in enumerate(zip(*numbers, strict=True)) if len(set(values)) > 1]
    if len(varying) != 1 or len({each[varying[0]] for each in numbers}) < len(group):
        return None
    if _APART.search("#".join(name.split("#")[: varying[0] + 1])):
        return None
    ordered = sorted(zip((each[varying[0]] for each in numbers), group, strict=True), key=lambda item: item[0])
    return [_at_step(one, number, name) for number, one in ordered]


def _tells_of_one_place(capture: Capture) -> bool:
    points = capture.reading.points
    return points.height > 0 and not points.select(pl.struct("split", "label").is_duplicated().any()).item()


def _at_step(capture: Capture, number: int, series: str) -> Capture:
    points = capture.reading.points
    if points["step"].null_count() == points["epoch"].null_count() == points.height:
        points = points.with_columns(step=pl.lit(number, pl.Int64))
    return replace(capture, reading=replace(capture.reading, points=points), series=series)
