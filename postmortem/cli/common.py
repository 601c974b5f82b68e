"""What every command shares: options, how errors end a command, how text reaches a stream, progress."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from postmortem.errors import ConfigError, PostmortemError, Problem

if TYPE_CHECKING:
    from click.decorators import FC

    from postmortem.ingest.packs.pack import Packs

UNUSABLE = 2
"""Exit code for wrong usage, unreadable input, a wrong rule or format, and nothing that could be judged."""

_PIPED_WIDTH = 100
_NEIGHBOURS = 10_000  # names looked at for one that was meant
_PATIENCE = 1.0  # seconds before progress is shown

P = ParamSpec("P")
T = TypeVar("T")


def _existing(_: click.Context, __: click.Parameter, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    for path in paths:
        if not path.exists():
            raise click.BadParameter(f"there is no {shown(str(path), sys.stderr.encoding)!r}; {_near(path)}")
    return paths


def _near(path: Path) -> str:
    """What the user may have meant by a path that does not exist."""
    folder = path.parent
    try:
        names = [each.name for each in islice(folder.iterdir(), _NEIGHBOURS)]
    except OSError:
        names = []
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"did you mean {shown(str(folder / close[0]), sys.stderr.encoding)!r}?"
    return "name a log file, or a folder that holds logs"


paths_argument = click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(path_type=Path),
    callback=_existing,
)


def _also(name: str, what: str) -> Callable[[FC], FC]:
    """An option that adds YAML files of the user's own to the built-in ones."""
    return click.option(
        f"--{name}",
        multiple=True,
        metavar="DIR",
        type=click.Path(exists=True, path_type=Path),
        help=f"Also use the {what} in this folder (or this one file). Repeatable.",
    )


rules_option = _also("rules", "rules")
formats_option = _also("formats", "log formats")
config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Configuration file; ./postmortem.toml is used when it exists.",
)
settings_option = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    callback=lambda _c, _p, given: parse_settings(given),
    help="State a fact that the logs lack, such as n_train=1300000. Repeatable.",
)


def parse_settings(given: Sequence[str]) -> dict[str, str]:
    """``("n_train=1300000",)`` as a mapping.

    Raises:
        click.BadParameter: An entry has no ``=`` or no key.
    """
    pairs = [text.partition("=") for text in given]
    for key, sign, value in pairs:
        if not (key.strip() and sign and value.strip()):
            raise click.BadParameter(f"{key + sign + value!r} is not KEY=VALUE; write for example --set batch_size=256")
    return {key.strip(): value.strip() for key, _, value in pairs}


def config_path(given: Path | None) -> Path | None:
    """The configuration file to use: the one given, else ``./postmortem.toml`` if there is one."""
    default = Path("postmortem.toml")
    return given or (default if default.is_file() else None)


def packs(formats: Sequence[Path], config: Path | None) -> Packs:
    """The shipped formats, those the configuration names, and those given."""
    from postmortem.ingest.packs.pack import load_packs, stated_in

    config = config_path(config)
    return load_packs((*(stated_in(config) if config else ()), *formats))


def refuse_existing(output: Path) -> None:
    """Nothing of the user's is overwritten by a draft.

    Raises:
        ConfigError: The file exists.
    """
    if output.exists():
        raise ConfigError(Problem("exists, and is not overwritten", str(output), hint="name another file with -o"))


def ends_on_error(command: Callable[P, T]) -> Callable[P, T]:
    """Turns a user's error into its text on stderr and exit code 2."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return command(*args, **kwargs)
        except PostmortemError as error:
            complain(str(error))
            sys.exit(UNUSABLE)

    return wrapped


def complain(text: str) -> None:
    """Writes text that may quote hostile files to stderr, harmless."""
    click.echo(shown(text, sys.stderr.encoding), err=True)


def shown(text: str, encoding: str | None) -> str:
    """Text without colours that is safe on a stream of this encoding."""
    from postmortem.report.text import clean_block, fit

    return fit(clean_block(text), encoding)


def use_color(choice: str) -> bool:
    """Whether stdout gets colours: as asked, else only on a terminal and unless ``NO_COLOR`` is set."""
    if choice == "auto":
        return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return choice == "always"


def width_of_output(given: int | None) -> int:
    """Columns to fill: as asked, else those of the terminal (or ``COLUMNS``), else 100."""
    return given or shutil.get_terminal_size((_PIPED_WIDTH, 24)).columns


def deliver(text: str, output: Path | None, *, color: bool = False) -> None:
    """Writes a result to a file (UTF-8) or to stdout in its encoding.

    Raises:
        PostmortemError: The file cannot be written.
    """
    from postmortem.report.text import fit

    if output is None:
        click.echo(fit(text, sys.stdout.encoding), nl=False, color=color)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Turns a failure to write ``output`` into a user's error with its reason."""
    try:
        yield
    except OSError as error:
        raise PostmortemError(f"cannot write {output}: {error.strerror or error}") from error


class Progress:
    """A line on stderr that says how far we are; only on a terminal, and only past the first second."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._on = sys.stderr.isatty()
        self._drawn = False

    def __call__(self, done: int, total: int, what: str) -> None:
        """Shows how much is done and what comes now; cheap enough for every file."""
        if self._on and time.monotonic() - self._start > _PATIENCE:
            line = shown(f"{done}/{total} {what}", sys.stderr.encoding)
            click.echo(f"\r\x1b[2K{line[: width_of_output(None) - 1]}", err=True, nl=False)
            self._drawn = True

    def close(self) -> None:
        """Removes the line."""
        if self._drawn:
            click.echo("\r\x1b[2K", err=True, nl=False)
