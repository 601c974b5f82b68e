"""``postmortem plan``: who reads which samples, and how often each is read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import click

from postmortem.cli import common

_EPILOG = """\b
Examples:
  postmortem plan recipe.yaml --world 4 --workers 8
  postmortem plan --set n_train=1300000 --set batch_size=256 --workers 8 --sharding rank-only

\b
Exit codes: 0 each sample comes exactly once, 1 it does not, 2 wrong usage."""


@click.command(epilog=_EPILOG)
@click.argument("recipe", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--world", type=click.IntRange(1), metavar="N", help="Number of processes; default: the recipe's.")
@click.option("--workers", type=click.IntRange(0), metavar="N", help="Loader workers in each; default: the recipe's.")
@click.option("--sharding", metavar="WAY", help="Judge this way of sharing samples out instead of the recipe's.")
@click.option("--epoch", type=click.IntRange(0), default=0, show_default=True, help="Epoch to lay out, from 0.")
@common.settings_option
@common.ends_on_error
def plan(
    recipe: Path | None,
    world: int | None,
    workers: int | None,
    sharding: str | None,
    epoch: int,
    settings: Mapping[str, str],
) -> None:
    """Show who reads which samples, how many steps that makes, and how often each sample is read.

    Nothing is trained and no data are opened: the answer comes from the numbers alone. RECIPE is a recipe file; without
    one, the recipe of the digits task with the given --set.
    """
    from postmortem.trainer.layout import layout
    from postmortem.trainer.recipe import load, make, with_settings

    asked = {"world_size": world, "num_workers": workers, "sharding": sharding}
    base = with_settings(load(recipe) if recipe else make({}), settings)
    found = layout(base.changed(**{name: value for name, value in asked.items() if value is not None}), epoch)
    common.deliver(found.text, None)
    sys.exit(0 if found.tally.exactly_once else 1)
