"""``postmortem formats``: which log formats are known, how a file would be read, and formats of one's own."""

from __future__ import annotations

import re
from pathlib import Path

import click

from postmortem.cli import common
from postmortem.errors import ConfigError, Problem

_EPILOG = """\b
Examples:
  postmortem formats list
  postmortem formats explain logs/train.log
  postmortem formats new my-format logs/train.log
  postmortem formats try my-format.yaml logs/train.log
  postmortem formats test my-formats/"""

_log = click.argument("log", metavar="LOG", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group(epilog=_EPILOG)
def formats() -> None:
    """List, explain, draft, try and test log formats."""


@formats.command("list", epilog="\b\nExample:\n  postmortem formats list --formats my-formats/")
@common.formats_option
@common.config_option
@common.ends_on_error
def list_formats(formats: tuple[Path, ...], config: Path | None) -> None:
    """Show the known formats.

    The generic readers (text, JSON, table) take every file that none of these knows.
    """
    from postmortem.report.formats import formats_list

    color = common.use_color("auto")
    packs = list(common.packs(formats, config))
    common.deliver(formats_list(packs, common.width_of_output(None), color), None, color=color)


@formats.command(epilog="\b\nExample:\n  postmortem formats explain logs/train.log")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@common.formats_option
@common.config_option
@common.ends_on_error
def explain(file: Path, formats: tuple[Path, ...], config: Path | None) -> None:
    """Show how a file is read, and why.

    Shows what each reader makes of FILE, which one is used and why, what it reads, and the lines that nobody reads.
    """
    from postmortem.ingest.drafts.explain import explain
    from postmortem.report.formats import explanation

    color = common.use_color("auto")
    found = explain(file, common.packs(formats, config))
    common.deliver(explanation(found, common.width_of_output(None), color), None, color=color)


@formats.command(epilog="\b\nExample:\n  postmortem formats new my-format logs/train.log")
@click.argument("name")
@_log
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Default: NAME.yaml."
)
@common.ends_on_error
def new(name: str, log: Path, output: Path | None) -> None:
    """Draft a format from a log.

    Finds the lines of LOG that repeat with changing numbers, and writes a file that reads them, with remarks on what
    to change. Go on with `postmortem formats try`.
    """
    from postmortem.ingest.drafts.draft import draft
    from postmortem.ingest.drafts.explain import explain
    from postmortem.report.formats import already_read

    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise ConfigError(Problem(f"{name!r} is no name of a format", hint="use small letters, digits and hyphens"))
    output = output or Path(f"{name}.yaml")
    common.refuse_existing(output)
    common.deliver(draft(name, log), output)
    known = already_read(explain(log, common.packs((), None)))
    common.complain(f"{output} written\n{known}  next: postmortem formats try {output} {log}")


@formats.command("try", epilog="\b\nExample:\n  postmortem formats try my-format.yaml logs/train.log")
@click.argument("pack", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_log
@click.option("--accept", is_flag=True, help="Write what PACK reads now into its samples.")
@common.ends_on_error
def try_format(pack: Path, log: Path, accept: bool) -> None:
    """Show what a format reads of a log.

    Reads LOG with PACK alone, and shows which part it reads, its first readings, the lines it leaves, and the numbers
    it overlooks in lines it takes.
    """
    from postmortem.ingest.drafts.draft import with_gives
    from postmortem.ingest.drafts.trial import tried
    from postmortem.ingest.packs.pack import load_unproved
    from postmortem.report.formats import trial

    if accept:
        common.deliver(with_gives(pack.read_text(encoding="utf-8")), pack)
    color = common.use_color("auto")
    shown = trial(tried(*load_unproved(pack), log), str(pack), common.width_of_output(None), color)
    common.deliver(shown, None, color=color)


@formats.command(epilog="\b\nExample:\n  postmortem formats test my-formats/")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))
@common.ends_on_error
def test(paths: tuple[Path, ...]) -> None:
    """Run formats on their own samples.

    Takes the formats in PATH, or the shipped ones, and shows every mistake at once.
    """
    from postmortem.builtin import shipped
    from postmortem.ingest.packs.pack import prove
    from postmortem.report.numbers import plural

    packs = prove(paths or (shipped("parsers"),))
    samples = sum(len(pack.samples) for pack in packs)
    common.deliver(f"{plural(len(packs), 'format')}: all of {plural(samples, 'sample')} read as they should\n", None)
