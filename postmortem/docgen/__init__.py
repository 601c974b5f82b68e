"""Pages of the documentation that are made from what the product knows of itself, and whether they are up to date.

``python -m postmortem.docgen`` writes them into ``docs/`` of a checkout, ``--check`` only compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from postmortem.docgen import formats, functions, language, rules
from postmortem.errors import Problem

Page = Callable[[str], str]
"""From the page as it is now ("" when there is none) to the page as it should be."""

_NEXT = "run `python -m postmortem.docgen`"


def pages() -> Mapping[str, Page]:
    """Every generated page by its path under ``docs``."""
    made = {"functions.md": functions.page(), "language.md": language.page(), **rules.pages()}
    return {"formats.md": formats.page, **{name: partial(_as_made, text) for name, text in made.items()}}


def _as_made(text: str, _present: str) -> str:
    return text


def write(docs: Path) -> list[Path]:
    """Writes the pages that are not up to date, removes those that should not be, and returns both."""
    wanted = _wanted(docs)
    changed = {docs / name: text for name, text in wanted.items() if _present(docs / name) != text}
    for path, text in changed.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in _left_over(docs, wanted):
        path.unlink()
        changed[path] = ""
    return sorted(changed)


def stale(docs: Path) -> list[Problem]:
    """The pages that differ from what they would be, with the first line that does."""
    wanted = _wanted(docs)
    problems = [
        Problem("is not up to date", str(docs / name), _first_difference(_present(docs / name), text), hint=_NEXT)
        for name, text in wanted.items()
        if _present(docs / name) != text
    ]
    return problems + [
        Problem("describes what is not there", str(path), hint=_NEXT) for path in _left_over(docs, wanted)
    ]


def _wanted(docs: Path) -> dict[str, str]:
    return {name: page(_present(docs / name)) for name, page in pages().items()}


def _present(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _left_over(docs: Path, wanted: Iterable[str]) -> list[Path]:
    """Pages of rules that are gone."""
    kept = {docs / name for name in wanted}
    return sorted(path for path in (docs / "rules").glob("*.md") if path not in kept)


def _first_difference(present: str, wanted: str) -> int:
    pairs = zip(present.splitlines(), wanted.splitlines(), strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), None)
    return 1 + (min(len(present.splitlines()), len(wanted.splitlines())) if same is None else same)
