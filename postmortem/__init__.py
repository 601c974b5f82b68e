"""Reads training logs and says what went wrong, on what evidence, and what could not be checked.

The names below are the public interface. They load on first use, so that importing the package, and
``postmortem --help`` with it, stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmortem.analysis import Options, analyze
    from postmortem.errors import PostmortemError, Problem
    from postmortem.ingest import read as load
    from postmortem.model import Evidence, Finding, Logs, NotApplicable, Report, Run, RunReport, Severity
    from postmortem.report.json import to_json
    from postmortem.report.terminal import render

    __version__: str

_HOMES = {
    "postmortem.analysis": ("Options", "analyze"),
    "postmortem.errors": ("PostmortemError", "Problem"),
    "postmortem.ingest": ("load",),
    "postmortem.model": (
        "Evidence",
        "Finding",
        "Logs",
        "NotApplicable",
        "Report",
        "Run",
        "RunReport",
        "Severity",
    ),
    "postmortem.report.json": ("to_json",),
    "postmortem.report.terminal": ("render",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_RENAMED = {"load": "read"}

__all__ = [
    "Evidence",
    "Finding",
    "Logs",
    "NotApplicable",
    "Options",
    "PostmortemError",
    "Problem",
    "Report",
    "Run",
    "RunReport",
    "Severity",
    "__version__",
    "analyze",
    "load",
    "render",
    "to_json",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _version()
    if name not in _HOME_OF:
        raise AttributeError(f"module 'postmortem' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    metadata = import_module("importlib.metadata")
    try:
        return str(metadata.version("postmortem-ml"))
    except metadata.PackageNotFoundError:  # a checkout that was never installed
        return "0+unknown"
