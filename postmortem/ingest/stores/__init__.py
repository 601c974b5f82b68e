"""Readers of the stores that experiment trackers keep: a module each, with ``claims`` and ``read``."""

from __future__ import annotations

from postmortem.ingest.stores import aim, clearml, mlflow, sacred, sqlite_stores, wandb

STORES = (wandb, mlflow, sacred, clearml, aim, sqlite_stores)
"""In the order in which they are asked whether a file or folder is theirs."""
