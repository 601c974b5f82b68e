"""Readers of the stores that experiment trackers keep: a module each, with ``claims`` and ``read``."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from postmortem.ingest.stores import aim, clearml, mlflow, sacred, sqlite_stores, wandb
from postmortem.ingest.stores.recorded import Recorded


class Store(Protocol):
    """What a module of this package offers."""

    def claims(self, path: Path) -> bool:
        """Whether a file or folder is a store of this kind; looks at little of it."""

    def read(self, path: Path, shown: str) -> list[Recorded]:
        """The runs of a store; ``shown`` is its path as it is to be shown."""


STORES: tuple[Store, ...] = (wandb, mlflow, sacred, clearml, aim, sqlite_stores)
"""In the order in which they are asked."""


def claiming(path: Path) -> Store | None:
    """The store that a file or folder is, or None."""
    return next((store for store in STORES if store.claims(path)), None)
