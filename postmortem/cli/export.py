"""``postmortem export``: the typed frames as a file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from postmortem.cli import common

_EPILOG = """\b
Examples:
  postmortem export logs/ -o metrics.parquet
  postmortem export logs/ --frame events -o events.csv
  postmortem export train.log -o metrics.ndjson"""


@click.command(epilog=_EPILOG)
@common.paths_argument
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write; its suffix (.parquet, .csv, .ndjson, .jsonl) names the format.",
)
@click.option(
    "--frame",
    "name",
    type=click.Choice(["metrics", "events", "facts", "unread"]),
    default="metrics",
    show_default=True,
    help="Which frame to write.",
)
@common.formats_option
@common.settings_option
@common.config_option
@common.ends_on_error
def export(
    paths: tuple[Path, ...],
    output: Path,
    name: str,
    formats: tuple[Path, ...],
    settings: Mapping[str, str],
    config: Path | None,
) -> None:
    """Write what was read as one table.

    The table is long: one row for each printed value, with its step, epoch, split, time, file and line.
    """
    from postmortem import load
    from postmortem.errors import InputError
    from postmortem.report.export import frame, writer_for
    from postmortem.report.numbers import plural

    write = writer_for(output)
    with closing(common.Progress()) as progress:
        logs = load(paths, settings=settings, packs=common.packs(formats, config), progress=progress)
    for problem in logs.problems:
        common.complain(problem.render())
    if not logs.runs:
        raise InputError("no training run was found, so nothing was written")
    data = frame(logs, name)
    with common.writing(output):
        write(data, output)
    common.complain(f"{plural(data.height, 'row')} of {plural(len(logs.runs), 'run')} written to {output}")
