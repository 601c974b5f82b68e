"""Pieces of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', _BAR) for cell in line)} |\n" for line in lines)


_BAR = r"\|"  # within a table a bar is escaped even in code


def code(text: str, limit: int = 90) -> str:
    """A piece of text as code within a line, cut if it is long."""
    shown = " ".join(text.split())
    shown = shown if len(shown) <= limit else f"{shown[: limit - 1]}…"
    if "`" in shown:
        return f"`` {shown} ``"
    return f"`{shown}`" if shown else ""


def first_sentence(docstring: str | None) -> str:
    """The first sentence of a docstring, as Markdown."""
    return (docstring or "").strip().partition("\n")[0].replace("``", "`").removesuffix(".")


def between(text: str, begin: str, end: str) -> str:
    """What stands between two marks, "" when they are not there."""
    return text.partition(begin)[2].partition(end)[0]
