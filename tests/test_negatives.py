"""What is no training log gives no metrics, and the command line says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from postmortem.cli import main
from postmortem.ingest import read
from postmortem.ingest.packs.pack import load_packs

_FOLDER = Path(__file__).with_name("negatives")
_FILES = sorted(_FOLDER.iterdir())
_PACKS = load_packs()


def test_there_are_many_kinds() -> None:
    """The folder was not lost."""
    assert len(_FILES) >= 25


@pytest.mark.parametrize("file", _FILES, ids=lambda file: file.name)
def test_no_metrics_are_made_up(file: Path) -> None:
    """Prose, code, installers, servers, tables of other things: no point, and a problem that says so."""
    logs = read([file], packs=_PACKS)

    assert [run.metrics.height for run in logs.runs] == []
    assert "no training metrics" in str(logs.problems[0].message)


def test_the_command_line_says_so() -> None:
    """Nothing but such files is an error of the input, not a healthy run."""
    result = CliRunner().invoke(main, ["analyze", *(str(file) for file in _FILES[:4])])

    assert result.exit_code == 2, result.output
    assert "no training" in result.output.lower()
