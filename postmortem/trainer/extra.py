"""Says what to install when the part that computes is missing."""

from __future__ import annotations

from importlib.util import find_spec

from postmortem.errors import ConfigError, Problem


def need_torch() -> None:
    """Does nothing if torch is there.

    Raises:
        ConfigError: It is not; says how to get it.
    """
    if find_spec("torch") is None:
        raise ConfigError(
            Problem("this needs torch, which is not installed", hint="pip install 'postmortem-ml[trainer]'")
        )
