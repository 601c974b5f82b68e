"""Finds the files under the paths given that may tell of a training run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from postmortem.errors import InputError, Problem
from postmortem.ingest.stores import Store, claiming

MAX_FILES = 100_000
"""Most files looked at in one call."""

_SKIPPED_FOLDERS = frozenset(
    ("__pycache__", "node_modules", "site-packages", "checkpoints", "weights", "images", "venv", "src", "_sources")
)
_KEPT_HIDDEN = frozenset((".hydra", ".aim"))
_NO_LOG = re.compile(
    r"(?i)\.(?:py[cio]?|ipynb|[ch]|cc|cpp|cu|hpp|rs|go|java|js|ts|css|html?|sh|bash|bat|ps1|r|jl|m|lua"  # source
    r"|proto|toml|lock|cfg|ini|rst|tex|bib|svg|png|jpe?g|gif|bmp|webp|tiff?|pdf|mp[34]|avi|mov|wav|flac|ttf"  # media
    r"|pth?|ckpt|bin|safetensors|h5|hdf5|keras|onnx|pb|tflite|params|solverstate|caffemodel"  # weights
    r"|np[yz]|pkl|pickle|joblib|parquet|arrow|feather|zip|tar|tgz|7z|rar|whl|so|dll|exe|db|sqlite|lmdb)$"  # data
)
_STORE = re.compile(r"(?i)\.(?:wandb|zip|db|sqlite3?)$")
_CONFIG = re.compile(
    r"(?i)^(?:\w+[_-])?(?:config|hparams|hyperparams|hyperparameters|args|params|run_config|train_args|training_args|flags|opts?|cfg"
    r"|settings|hydra|overrides)\.(?:ya?ml|json)$"
)
_NOT_CONFIG = re.compile(r"(?i)token|special|preprocess|vocab|adapter|generation|package|feature|processor")


@dataclass(frozen=True)
class Found:
    """A file that may tell of a run.

    Attributes:
        path: Where it is.
        shown: As given on the command line, or under the folder given.
        config: It is a configuration file lying beside logs.
        named: It was given by name, so it is a problem when it holds nothing.
        store: The tracker's store that it is, a file or a folder, or None.
    """

    path: Path
    shown: str
    config: bool = False
    named: bool = False
    store: Store | None = None

    @property
    def folder(self) -> str:
        """The folder of the run it belongs to."""
        parent = Path(self.shown) if self.path.is_dir() else Path(self.shown).parent
        return str(parent.parent if parent.name == ".hydra" else parent)


@dataclass
class Finding:
    """What was found, and what could not be looked at."""

    files: list[Found] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def discover(paths: Sequence[str | os.PathLike[str]]) -> Finding:
    """The files under files and folders, in the order given and sorted within a folder.

    Raises:
        InputError: A path does not exist; names all that do not.
    """
    missing = [Problem("no such file or folder", str(path)) for path in paths if not os.path.lexists(path)]
    if missing:
        raise InputError(missing)
    finding = Finding()
    seen: set[tuple[int, int]] = set()
    for path in map(Path, paths):
        found = _walk(path, seen, finding.problems) if path.is_dir() else [_alone(path)]
        for item in found:
            _take(item, seen, finding)
            if len(finding.files) >= MAX_FILES:
                finding.problems.append(Problem(f"only the first {MAX_FILES:,} files were read", str(path)))
                return finding
    return finding


def _alone(path: Path) -> Found:
    store = claiming(path) if _STORE.search(path.name) else None
    return Found(path, str(path), is_config(path.name), named=True, store=store)


def is_config(name: str) -> bool:
    """True for file names that configuration is usually kept under (``hparams.yaml``, ``args.json``)."""
    return bool(_CONFIG.match(name)) and not _NOT_CONFIG.search(name)


def _take(item: Found, seen: set[tuple[int, int]], finding: Finding) -> None:
    """Keeps a file unless it was seen before, is empty or cannot be reached; a store says of itself what it lacks."""
    if item.store and item.path.is_dir():
        finding.files.append(item)
        return
    try:
        status = item.path.stat()
    except OSError as error:
        finding.problems.append(Problem(f"cannot be read: {error.strerror}", item.shown))
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    if status.st_size == 0 and not item.store:
        finding.problems.append(Problem("empty: nothing was ever written to it", item.shown))
    elif item.path.is_file():
        finding.files.append(item)
    else:
        finding.problems.append(Problem("not a regular file", item.shown))


def _walk(folder: Path, seen: set[tuple[int, int]], problems: list[Problem]) -> Iterator[Found]:
    """Files of a folder, sorted; a folder reached twice (through a link) is walked once."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror}", str(folder)))
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    store = claiming(folder)
    if store:
        yield Found(folder, str(folder), store=store)
    yield from _files(entry for entry in entries if not _is_folder(entry))
    for entry in entries:
        if _is_folder(entry) and _wanted_folder(entry.name):
            yield from _walk(Path(entry.path), seen, problems)


def _files(entries: Iterable[os.DirEntry[str]]) -> Iterator[Found]:
    for entry in entries:
        path = Path(entry.path)
        store = claiming(path) if _STORE.search(entry.name) else None
        if store or not (entry.name.startswith(".") or _NO_LOG.search(entry.name)):
            yield Found(path, str(path), is_config(entry.name), store=store)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _wanted_folder(name: str) -> bool:
    return name in _KEPT_HIDDEN or not (name.startswith(".") or name.lower() in _SKIPPED_FOLDERS)
