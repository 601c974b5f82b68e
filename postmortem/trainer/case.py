"""A cause put to the test: a run broken on purpose and mended, on the same data, both analysed like any other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

from postmortem.analysis import analyze
from postmortem.model import Finding
from postmortem.trainer.faults import Fault, broken, find, mended
from postmortem.trainer.loop import Result, train
from postmortem.trainer.recipe import Recipe
from postmortem.trainer.world import StuckError

_WIDTH = 100


@dataclass(frozen=True)
class Side:
    """One of the two runs: what was done, what came out, and what its log was found to say."""

    recipe: Recipe
    out: Path
    result: Result
    findings: tuple[Finding, ...]

    @property
    def ids(self) -> set[str]:
        """Ids of its findings."""
        return {finding.id for finding in self.findings}


@dataclass(frozen=True)
class Prediction:
    """What one fault must lead to, and whether it did: ``met`` in the broken run, ``removed`` in the mended one."""

    fault: str
    expected: str
    met: bool
    removed: bool


@dataclass(frozen=True)
class Case:
    """Two runs and what separates them."""

    broken: Side
    mended: Side
    predictions: tuple[Prediction, ...]

    @property
    def holds(self) -> bool:
        """Whether every fault met its prediction and every remedy removed it."""
        return all(each.met and each.removed for each in self.predictions)


def case(recipe: Recipe, faults: Sequence[str], fixes: Sequence[str], out: Path, device: str = "cpu") -> Case:
    """Runs a recipe with faults, and again with remedies on top, and analyses both.

    Args:
        recipe: What both start from.
        faults: Faults to put in.
        fixes: Faults or findings whose remedies to apply to the broken recipe; those of all faults when empty.
        out: Folder for ``broken/`` and ``mended/``.
        device: Where to train.

    Raises:
        ConfigError: There is no such fault or remedy, or the recipe cannot be honoured.
    """
    wrong = recipe
    for name in faults:
        wrong = broken(wrong, name)
    right = wrong
    for name in fixes or faults:
        right = mended(right, name)
    sides = _side(wrong, out / "broken", device), _side(right, out / "mended", device)
    return Case(*sides, tuple(_prediction(name, *sides) for name in faults))


def _side(recipe: Recipe, out: Path, device: str) -> Side:
    try:
        result = train(recipe, out, device=device)
    except StuckError:
        result = Result((), "", 0, "stuck")
    findings = [finding for report in analyze([out]).runs for finding in report.findings]
    return Side(recipe, out, result, tuple(findings))


def _prediction(name: str, wrong: Side, right: Side) -> Prediction:
    fault: Fault = find(name)
    if fault.shown:
        met, left = (fault.shown(side.recipe, side.result) for side in (wrong, right))
        return Prediction(name, fault.seen_by, met, not left)
    expected = set(fault.findings)
    return Prediction(name, " or ".join(fault.findings), bool(expected & wrong.ids), not expected & right.ids)


def told(case: Case) -> str:
    """Cause, symptom and fix in words."""
    lines = []
    for each in case.predictions:
        verdicts = "met" if each.met else "NOT met", "removed" if each.removed else "NOT removed"
        lines += [fill(f"cause    {each.fault}: {find(each.fault).says}", _WIDTH, subsequent_indent=" " * 9)]
        lines += [f"predicts {each.expected}: {verdicts[0]}; {verdicts[1]} by the fix"]
    lines += ["", f"broken   {case.broken.out}", *_listed(case.broken, case.broken.ids - case.mended.ids, "vanished")]
    lines += ["", f"mended   {case.mended.out}", *_listed(case.mended, case.mended.ids - case.broken.ids, "appeared")]
    return "\n".join([*lines, "", *_compared(case)]) + "\n"


def _listed(side: Side, marked: set[str], word: str) -> list[str]:
    found = [
        fill(
            f"{word if each.id in marked else 'stayed':<10}{each.id}: {each.message}",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent=" " * 12,
            break_long_words=False,
        )
        for each in side.findings
    ]
    return found or ["  nothing was found"]


def _compared(case: Case) -> list[str]:
    """The last epoch of both runs, number by number."""
    if not (case.broken.result.rows and case.mended.result.rows):
        return []
    before, after = case.broken.result.rows[-1], case.mended.result.rows[-1]
    shared = [name for name in before if name in after]
    return [
        f"{'at the end':<24}{'broken':>14}{'mended':>14}",
        *(f"{n:<24}{before[n]:>14.6g}{after[n]:>14.6g}" for n in shared),
    ]
