"""The fixtures are complete, small, reproducible by command, and their expectations name real ids."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FIXTURES = Path(__file__).parents[1] / "fixtures"
FOLDERS = sorted(path.parent for kind in ("healthy", "sick") for path in FIXTURES.glob(f"{kind}/*/expected.json"))
TEXTS = {"ORIGIN.md", "expected.json"}
INDISPENSABLE = [
    "overfit",
    "memorization",
    "late-stopping",
    "plateau",
    "divergence",
    "nan-loss",
    "oscillation",
    "threshold-collapse",
    "metric-resolution",
    "sample-duplication",
    "frozen-metric",
    "stall",
    "slowdown",
    "incomplete-run",
    "crash",
    "out-of-memory",
]


def _maker() -> ModuleType:
    """The module that makes the fixtures; a script, hence in no package."""
    spec = importlib.util.spec_from_file_location("make_fixtures", FIXTURES / "make" / "all.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKER = _maker()
CATALOGUE = MAKER.catalogue()
IDS = {word for words in MAKER.FAMILIES.values() for word in words.split()}


def _expected(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text())  # type: ignore[no-any-return]


def _logs(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name not in TEXTS]


def _name(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


each_fixture = pytest.mark.parametrize("folder", FOLDERS, ids=_name)


def test_catalogue_and_folders_agree() -> None:
    """Every folder has an entry in a catalogue, and every entry its folder."""
    assert {_name(folder) for folder in FOLDERS} == set(CATALOGUE)


@each_fixture
def test_logs_are_there_and_small(folder: Path) -> None:
    """A fixture holds at least one log, none empty, each below 200 kB."""
    sizes = [path.stat().st_size for path in _logs(folder)]
    assert sizes
    assert all(0 < size < 200_000 for size in sizes)


@each_fixture
def test_expectation_is_the_catalogues(folder: Path) -> None:
    """``expected.json`` says what the catalogue says, so that an edit of either alone is noticed."""
    assert _expected(folder) == MAKER.expected(CATALOGUE[_name(folder)])


@each_fixture
def test_expectation_names_known_ids_once(folder: Path) -> None:
    """The three lists hold known ids, and no id is both wanted and forbidden."""
    expected = _expected(folder)
    fires = [fire["id"] for fire in expected["fires"]]
    lists = [set(fires), set(expected["may_fire"]), set(expected["must_not_fire"])]
    assert set().union(*lists) <= IDS
    assert sum(map(len, lists)) == len(set().union(*lists))


@each_fixture
def test_only_sick_runs_fire(folder: Path) -> None:
    """Something must fire on a sick run and nothing need fire on a healthy one."""
    assert bool(_expected(folder)["fires"]) == (folder.parent.name == "sick")


@each_fixture
def test_origin_tells_the_command(folder: Path) -> None:
    """``ORIGIN.md`` has the commands of the catalogue and its two texts."""
    origin = (folder / "ORIGIN.md").read_text()
    entry = CATALOGUE[_name(folder)]
    assert all(command.rpartition(": ")[2] in origin for command in MAKER.commands(entry))
    assert entry["purpose"].strip() in origin
    assert entry["see"].strip() in origin


def test_every_indispensable_smell_has_a_run() -> None:
    """Each of the smells that the product promises first is shown by at least one sick run."""
    shown = {fire["id"] for folder in FOLDERS for fire in _expected(folder)["fires"]}
    assert set(INDISPENSABLE) <= shown
