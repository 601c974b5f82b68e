"""Runs the commands that a page of the documentation shows, and compares what they print with what the page says.

Fenced blocks are taken in order: ``console`` runs each line after ``$`` and compares its output; ``yaml FILE`` must be
part of the file; ``diff FILE`` replaces lines of it. ``python -m tests.console PAGE`` writes the page anew.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from click.testing import CliRunner

from postmortem.cli import main

ROOT = Path(__file__).parents[1]
WIDTH = "96"
_BLOCK = re.compile(r"^```(?P<kind>console|yaml|diff)(?: (?P<file>\S+))?\n(?P<body>.*?)^```$", re.M | re.S)


def rerun(page: str, folder: Path) -> str:
    """The page with what its commands print now, run in an empty folder."""
    return _BLOCK.sub(lambda found: _block(found["kind"], found["file"], found["body"], folder), page)


def _block(kind: str, file: str | None, body: str, folder: Path) -> str:
    if kind == "console":
        commands = [line for line in body.splitlines() if line.startswith("$ ")]
        return "```console\n" + "".join(f"{each}\n{_output(each[2:], folder)}" for each in commands) + "```"
    if file is None:
        return f"```{kind}\n{body}```"
    path = folder / file
    if kind == "diff":
        path.write_text(_edited(path.read_text("utf-8"), body), "utf-8")
        return f"```diff {file}\n{body}```"
    return f"```yaml {file}\n{body if body.strip() and body in path.read_text('utf-8') else _lines(path)}```"


def _edited(text: str, diff: str) -> str:
    lines = diff.splitlines()
    for old, new in zip(lines[::2], lines[1::2], strict=True):
        assert old[0] == "-", old
        assert new[0] == "+", new
        assert text.count(f"{old[1:]}\n") == 1, f"{old[1:]!r} stands {text.count(old[1:])} times in\n{text}"
        text = text.replace(f"{old[1:]}\n", f"{new[1:]}\n")
    return text


def _lines(path: Path) -> str:
    """The part of a draft that a person looks at: its ``lines``, without the remarks above them."""
    return "lines:\n" + path.read_text("utf-8").partition("\nlines:\n")[2].partition("\n\n")[0] + "\n"


def _output(command: str, folder: Path) -> str:
    with _inside(folder):
        words = shlex.split(command)
        if words[0] == "python":
            Path(words[-1]).write_text(_printed(ROOT / words[1], words[2:-2]), "utf-8")
            return ""
        done = CliRunner().invoke(main, words[1:], env={"COLUMNS": WIDTH})
        assert done.exit_code in (0, 1), f"{command}: {done.output}"
        return done.output if not done.output or done.output.endswith("\n") else f"{done.output}\n"


def _printed(script: Path, arguments: list[str]) -> str:
    out = io.StringIO()
    with mock.patch.object(sys, "argv", [script.name, *arguments]), contextlib.redirect_stdout(out):
        runpy.run_path(str(script), run_name="__main__")
    return out.getvalue()


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            Path(name).write_text(rerun(Path(name).read_text("utf-8"), Path(folder)), "utf-8")
