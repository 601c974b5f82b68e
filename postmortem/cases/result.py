"""What became of a case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CaseResult:
    """Whether one case holds, and if not, what came instead."""

    rule: str
    name: str
    passed: bool
    message: str
    path: Path
    line: int
