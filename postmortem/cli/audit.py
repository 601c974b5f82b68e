"""``postmortem audit``: how often each sample really comes."""

from __future__ import annotations

import sys
from typing import Any

import click

from postmortem.cli import common

_EPILOG = """\b
Examples:
  postmortem audit mypkg.data:make_loader --workers 8 --world-size 2
  postmortem audit mypkg.data:TrainSet --workers 4 --id sample_id

\b
Exit codes: 0 each sample comes exactly once, 1 it does not, 2 wrong usage, a
loader that fails, or a question that could not be decided."""


@click.command(epilog=_EPILOG)
@click.argument("factory", metavar="MODULE:NAME")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Loader workers.")
@click.option(
    "--world-size", type=click.IntRange(1), default=1, show_default=True, help="Processes, simulated in turn."
)
@click.option("--epochs", type=click.IntRange(1), default=2, show_default=True, help="Times to go through it.")
@click.option("--id", "id_of", metavar="KEY", help="Key or position of the sample ids in a batch.")
@click.option("--set-epoch", is_flag=True, help="Call set_epoch of sampler and data set before each epoch.")
@common.ends_on_error
def audit(factory: str, workers: int, world_size: int, epochs: int, id_of: str | None, set_epoch: bool) -> None:
    """Count how often each sample of your own loader comes, over workers and processes.

    MODULE:NAME is imported and called; it returns a DataLoader or a data set. This runs your code, nothing else does.
    """
    from postmortem.trainer.audit import audit as count
    from postmortem.trainer.audit import told
    from postmortem.trainer.extra import need_torch

    need_torch()
    key = int(id_of) if id_of is not None and id_of.lstrip("-").isdigit() else id_of
    found = count(
        _named(factory), workers=workers, world_size=world_size, epochs=epochs, id_of=key, set_epoch=set_epoch
    )
    common.deliver(told(found), None)
    sys.exit(common.UNUSABLE if found.undecided else 0 if found.exactly_once else 1)


def _named(name: str) -> Any:
    """What ``module:name`` stands for.

    Raises:
        ConfigError: It cannot be imported.
    """
    from importlib import import_module

    from postmortem.errors import ConfigError, Problem

    module, _, inside = name.partition(":")
    sys.path.insert(0, "")  # modules beside the user, as ``python -m`` finds them
    try:
        return getattr(import_module(module), inside)
    except (ImportError, AttributeError, ValueError) as error:
        hint = "write MODULE:NAME of something importable from here, such as mypkg.data:make_loader"
        raise ConfigError(Problem(f"{name!r} cannot be imported: {error}", hint=hint)) from error
