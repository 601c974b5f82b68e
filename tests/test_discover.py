"""Folders give the files that may tell of a run, once each, whatever else lies in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postmortem import ingest
from postmortem.errors import InputError
from postmortem.ingest.discover import discover, is_config

LOG = "".join(f"epoch {n} loss: {1 / n:.4f}\n" for n in range(1, 5))


def _write(root: Path, name: str, text: str = LOG) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _names(root: Path) -> list[str]:
    return [str(found.path.relative_to(root)) for found in discover([root]).files]


def test_code_weights_and_hidden_folders_are_passed_by(tmp_path: Path) -> None:
    """What cannot be a log by its name is not opened; what may be one is, in a fixed order."""
    for name in ("b.log", "a/train.out", "a/noext", "x.py", "w.pt", ".git/log.txt", "__pycache__/c.txt", "a/i.png"):
        _write(tmp_path, name)
    assert _names(tmp_path) == ["b.log", "a/noext", "a/train.out"]


def test_links_that_loop_end(tmp_path: Path) -> None:
    """A link to a folder above is walked once; a file reached twice is taken once."""
    _write(tmp_path, "run/train.log")
    (tmp_path / "run" / "up").symlink_to(tmp_path)
    (tmp_path / "again.log").symlink_to(tmp_path / "run" / "train.log")
    assert len(_names(tmp_path)) == 1


def test_a_missing_path_is_an_error_and_all_are_named(tmp_path: Path) -> None:
    """Paths given by name must exist; every missing one is said at once."""
    with pytest.raises(InputError) as caught:
        discover([tmp_path / "one", tmp_path, tmp_path / "two"])
    assert len(caught.value.problems) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser can read everything")
def test_an_unreadable_file_beside_a_good_one(tmp_path: Path) -> None:
    """The good file is read and the other is a problem."""
    _write(tmp_path, "good.log")
    _write(tmp_path, "secret.log").chmod(0)
    logs = ingest.read([tmp_path])
    assert len(logs.runs) == 1
    assert [Path(problem.source or "").name for problem in logs.problems] == ["secret.log"]


def test_empty_binary_and_senseless_files_are_said(tmp_path: Path) -> None:
    """Nothing is lost beside something bad, and a file named on purpose that holds nothing is a problem."""
    _write(tmp_path, "good.log")
    _write(tmp_path, "empty.log", "")
    (tmp_path / "bin.log").write_bytes(bytes(range(256)) * 40)
    prose = _write(tmp_path, "prose.log", "nothing to see here\n" * 5)
    (tmp_path / "gone.log").symlink_to(tmp_path / "nowhere")
    logs = ingest.read([tmp_path])
    assert [run.metrics.height for run in logs.runs] == [4]
    said = {Path(problem.source or "").name: problem.message for problem in logs.problems}
    assert set(said) >= {"empty.log", "gone.log"}
    assert "no training metrics" in ingest.read([prose]).problems[0].message


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("config.yaml", True),
        ("hparams.yaml", True),
        ("args.json", True),
        ("params.json", True),
        ("run_config.json", True),
        ("train_args.yml", True),
        ("history.json", False),
        ("trainer_state.json", False),
        ("tokenizer_config.json", False),
        ("generation_config.json", False),
        ("metrics.json", False),
    ],
)
def test_configuration_is_known_by_name(name: str, want: bool) -> None:
    """The usual names of configuration files, but not those that configure something else."""
    assert is_config(name) is want
