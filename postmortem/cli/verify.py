"""``postmortem verify``: does a rerun reproduce the original?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from postmortem.cli import common

_EPILOG = """\b
Examples:
  postmortem verify logs/run4 runs/again
  postmortem verify logs/run4 runs/seeds/ --metric val.auroc --delta 0.02

\b
Exit codes: 0 identical, equal or equivalent, 1 it does not reproduce or that is
not decided, 2 wrong usage or unreadable input."""


@click.command(epilog=_EPILOG)
@click.argument("original", type=click.Path(exists=True, path_type=Path))
@click.argument("reruns", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--metric", metavar="NAME", help="Curve to compare over seeds; default: val.loss.")
@click.option(
    "--delta", type=click.FloatRange(0), metavar="D", help="Difference of the mean log curve that does not matter."
)
@common.ends_on_error
def verify(original: Path, reruns: tuple[Path, ...], metric: str | None, delta: float | None) -> None:
    """Say whether RERUNS reproduce ORIGINAL, by the highest rung that holds.

    Structure, identical bits, equal numbers, and for several seeds: equivalent within a bound. Failing to see a
    difference is not reproduction; then the answer is "inconclusive", with what could have been noticed.
    """
    from postmortem import load
    from postmortem.errors import InputError, Problem
    from postmortem.trainer.traces import trace_of
    from postmortem.trainer.verify import verify as climb

    first = load([original]).runs
    if len(first) != 1:
        raise InputError(Problem(f"holds {len(first)} runs; one is wanted", source=str(original)))
    others = [trace_of(run) for run in load(list(reruns)).runs]
    if not others:
        raise InputError(Problem("no training run was found", source=str(reruns[0])))
    found = climb(trace_of(first[0]), others, metric, delta)
    lines = [
        found.outcome,
        *(f"  {each}" for each in found.evidence),
        *([f"  power: {found.power}"] if found.power else []),
    ]
    common.deliver("\n".join(lines) + "\n", None)
    sys.exit(0 if found.outcome in ("identical", "equal", "equivalent") else 1)
