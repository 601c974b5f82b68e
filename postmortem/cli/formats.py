"""``postmortem formats``: which log formats are known, and how a file would be read."""

from __future__ import annotations

from pathlib import Path

import click

from postmortem.cli import common

_EPILOG = """\b
Examples:
  postmortem formats list
  postmortem formats explain logs/train.log
  postmortem formats test"""


@click.group(epilog=_EPILOG)
def formats() -> None:
    """List, explain and test log formats."""


@formats.command("list", epilog="\b\nExample:\n  postmortem formats list")
@common.ends_on_error
def list_formats() -> None:
    """Show the known formats.

    The generic readers (text, JSON, table) take every file that none of these knows.
    """
    from postmortem.ingest.pack import load_packs
    from postmortem.report.catalog import formats_list

    color = common.use_color("auto")
    common.deliver(formats_list(list(load_packs()), common.width_of_output(None), color), None, color=color)


@formats.command(epilog="\b\nExample:\n  postmortem formats explain logs/train.log")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common.ends_on_error
def explain(file: Path) -> None:
    """Show how a file would be read.

    Shows which share of a sample of FILE each reader makes something of; the best is used.
    """
    from postmortem.ingest.detect import explain
    from postmortem.report.catalog import shares

    color = common.use_color("auto")
    common.deliver(shares(explain(file), common.width_of_output(None), color), None, color=color)


@formats.command(epilog="\b\nExample:\n  postmortem formats test my-formats/")
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(exists=True, file_okay=False, path_type=Path))
@common.ends_on_error
def test(folders: tuple[Path, ...]) -> None:
    """Run formats on their own samples.

    Takes the shipped formats and those in DIR, and shows every mistake at once.
    """
    from postmortem.ingest.pack import load_packs
    from postmortem.report.numbers import plural

    packs = list(load_packs(folders))
    samples = sum(len(pack.samples) for pack in packs)
    common.deliver(f"{plural(len(packs), 'format')}: all of {plural(samples, 'sample')} read as they should\n", None)
