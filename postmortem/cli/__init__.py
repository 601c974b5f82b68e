"""The command line: reads the words, calls the library, prints, and says with the exit code how it went.

Nothing heavy is imported before a command runs, so ``postmortem --help`` answers at once.
"""

from __future__ import annotations

import click

import postmortem
from postmortem.cli.analyze import analyze
from postmortem.cli.audit import audit
from postmortem.cli.case import case
from postmortem.cli.export import export
from postmortem.cli.formats import formats
from postmortem.cli.plan import plan
from postmortem.cli.rerun import rerun
from postmortem.cli.rules import rules
from postmortem.cli.verify import verify

_EPILOG = """\b
Examples:
  postmortem analyze logs/
  postmortem analyze run3/train.log --set n_train=1300000 --json
  postmortem rules explain overfit

\b
Exit codes:
  0  nothing at or above --fail-on
  1  something at or above --fail-on
  2  wrong usage, unreadable input, a wrong rule or format, or nothing that could be judged"""


class _Group(click.Group):
    """Commands in the order in which a new user meets them."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"postmortem {postmortem.__version__}")
        ctx.exit()


@click.group(cls=_Group, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def main() -> None:
    """Reads training logs and says what went wrong, on what evidence, and what could not be checked."""


for _command in (analyze, export, rules, formats, plan, rerun, case, verify, audit):
    main.add_command(_command)
