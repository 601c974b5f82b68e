"""Finds the formats and rules that ship with the product, in a wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(kind: str) -> Path:
    """The folder of shipped ``parsers`` or ``rules``.

    A wheel carries them inside the package (``postmortem/_shipped``); a checkout has them beside it.

    Raises:
        FileNotFoundError: The installation is broken: neither place has the folder.
    """
    for folder in (_PACKAGE / "_shipped" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the shipped {kind}/ folder is missing beside {_PACKAGE}; reinstall postmortem-ml")
