"""Runs each maker of a log in a process of its own, whose whole output is the log."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def each_alone(made: Mapping[str, Callable[[], None]], **environment: str) -> None:
    """Makes ``FOLDER/NAME.log`` for the names on the command line of the script that calls it, or for all.

    Args:
        made: What makes each log, by name.
        environment: Further variables of the environment the makers see.
    """
    if os.environ.get("MAKE"):
        made[os.environ["MAKE"]]()
        return
    for name in sys.argv[2:] or made:
        with (Path(sys.argv[1]) / f"{name}.log").open("w") as log:
            seen = {**os.environ, "MAKE": name, "OMP_NUM_THREADS": "1", **environment}
            subprocess.run([sys.executable, sys.argv[0]], stdout=log, stderr=subprocess.STDOUT, check=False, env=seen)
