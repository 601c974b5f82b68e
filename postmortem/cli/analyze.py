"""``postmortem analyze``: what went wrong in each run."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postmortem.cli import common
from postmortem.errors import InputError, Problem

if TYPE_CHECKING:
    from postmortem.model import Report
    from postmortem.names import Direction

_EPILOG = """\b
Examples:
  postmortem analyze logs/
  postmortem analyze logs/ --run seed42 --set n_train=1300000 --set world_size=8
  postmortem analyze train.log --metric sharpe:max --rules my-rules/
  postmortem analyze logs/ --json -o report.json

\b
Exit codes: 0 nothing at or above --fail-on, 1 something, 2 wrong usage,
unreadable input, or nothing that could be judged."""


def _directions(_: click.Context, __: click.Parameter, given: Sequence[str]) -> dict[str, Direction]:
    directions: dict[str, Direction] = {}
    for text in given:
        name, _sign, direction = text.rpartition(":")
        if not name or direction not in ("min", "max"):
            hint = "write for example --metric sharpe:max"
            raise click.BadParameter(f"{text!r} is neither NAME:max nor NAME:min; {hint}")
        directions[name] = "min" if direction == "min" else "max"
    return directions


@click.command(epilog=_EPILOG)
@common.paths_argument
@click.option("--json", "as_json", is_flag=True, help="Print JSON (schema postmortem/1) instead of text.")
@click.option(
    "--fail-on",
    type=click.Choice(["info", "warning", "error", "never"]),
    default="error",
    show_default=True,
    help="Exit with 1 when a finding is at least this severe.",
)
@common.rules_option
@common.formats_option
@click.option(
    "--metric",
    "directions",
    multiple=True,
    metavar="NAME:max|min",
    callback=_directions,
    help="Say which way is better for a metric whose name does not tell. Repeatable.",
)
@common.settings_option
@common.config_option
@click.option("--run", "wanted", multiple=True, metavar="NAME", help="Only this run; * matches any text. Repeatable.")
@click.option("--width", type=click.IntRange(40), metavar="N", help="Columns of the report; default: the terminal's.")
@click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="Colours; auto means on a terminal, unless NO_COLOR is set.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the report to a file.",
)
@common.ends_on_error
def analyze(
    paths: tuple[Path, ...],
    as_json: bool,
    fail_on: str,
    rules: tuple[Path, ...],
    formats: tuple[Path, ...],
    directions: Mapping[str, Direction],
    settings: Mapping[str, str],
    config: Path | None,
    wanted: tuple[str, ...],
    width: int | None,
    color: str,
    output: Path | None,
) -> None:
    """Say what went wrong in each run.

    Reads every log under PATH, whatever framework wrote it. Each number shown names the line it comes from.
    """
    from postmortem import Options, analyze, render, to_json

    with closing(common.Progress()) as progress:
        options = Options(
            rules=rules,
            packs=common.packs(formats, config),
            settings=settings,
            directions=directions,
            config=common.config_path(config),
            progress=progress,
        )
        report = _only(analyze(paths, options), wanted)
    colored = common.use_color(color) if output is None else color == "always"
    columns = common.width_of_output(width)
    common.deliver(to_json(report) if as_json else render(report, columns, colored), output, color=colored)
    sys.exit(_exit_code(report, fail_on))


def _only(report: Report, wanted: Sequence[str]) -> Report:
    """The report of the wanted runs; a finding across runs stays while one of its runs does."""
    if not wanted:
        return report
    names = [run.run.name for run in report.runs]
    kept = {name for name in names if any(name == want or fnmatchcase(name, want) for want in wanted)}
    if not kept:
        hint = f"the runs are: {', '.join(names[:20]) or 'none'}"
        raise InputError(Problem(f"no run is named {' or '.join(wanted)}", source="--run", hint=hint))
    return replace(
        report,
        runs=tuple(run for run in report.runs if run.run.name in kept),
        across_runs=tuple(finding for finding in report.across_runs if kept.intersection(finding.runs)),
    )


def _exit_code(report: Report, fail_on: str) -> int:
    from postmortem.model import Severity

    found = [*report.across_runs, *(finding for run in report.runs for finding in run.findings)]
    if not found and not any(run.clear for run in report.runs):
        return common.UNUSABLE
    if fail_on == "never":
        return 0
    return int(any(finding.severity.rank >= Severity(fail_on).rank for finding in found))
