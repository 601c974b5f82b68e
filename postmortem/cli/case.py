"""``postmortem case``: breaks a run on purpose, mends it, and compares what the two logs say."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import fill

import click

from postmortem.cli import common

_EPILOG = """\b
Examples:
  postmortem case recipe.yaml --break rank-only
  postmortem case logs/run4 --task arcs --break tied-scores --out runs/cliff

\b
Exit codes: 0 every prediction was met and removed, 1 one was not, 2 wrong usage."""


@click.command(epilog=_EPILOG)
@click.argument("run", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--break", "faults", multiple=True, metavar="FAULT", help="Break this on purpose. Repeatable.")
@click.option("--fix", "fixes", multiple=True, metavar="NAME", help="Remedy to apply; default: those of the faults.")
@click.option("--task", metavar="NAME", help="Task to run it on: of the catalogue, or module:Class.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/case"), show_default=True)
@click.option("--device", default="cpu", show_default=True, metavar="NAME", help="cpu, cuda, mps or auto.")
@common.settings_option
@common.ends_on_error
def case(
    run: Path | None,
    faults: tuple[str, ...],
    fixes: tuple[str, ...],
    task: str | None,
    out: Path,
    device: str,
    settings: Mapping[str, str],
) -> None:
    """Test a cause: run RUN broken and mended, on the same data, and report cause, symptom and fix.

    RUN is a recipe file or a run's logs; without it, the recipe of the task. Without --break the faults are listed.
    """
    from postmortem.cli.rerun import recovered
    from postmortem.trainer.faults import FAULTS
    from postmortem.trainer.recipe import make, with_settings

    if not faults:
        listed = (fill(f"{name:<22}  {each.says}", 100, subsequent_indent=" " * 24) for name, each in FAULTS.items())
        common.deliver("\n".join(listed) + "\n", None)
        return
    from postmortem.trainer.extra import need_torch

    need_torch()
    from postmortem.trainer.case import case as put_to_the_test
    from postmortem.trainer.case import told

    task = task or next((FAULTS[name].tasks[0] for name in faults if name in FAULTS and FAULTS[name].tasks), None)
    recipe = recovered(run, task).recipe if run else make({"task": task or "digits"})
    with common.writing(out):
        found = put_to_the_test(with_settings(recipe, settings), faults, fixes, out, device)
    common.deliver(told(found), None)
    sys.exit(0 if found.holds else 1)
