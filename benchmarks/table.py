"""Prints rows as an aligned table that also reads well pasted into Markdown."""

from __future__ import annotations

from collections.abc import Sequence

Cell = str | int | float | None


def show(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
    """Prints a Markdown table; None gives a dash, floats two decimals."""
    cells = [list(head), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
    cells.insert(1, ["-" * width for width in widths])
    for row in cells:
        print("|", " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)), "|", flush=True)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:.2f}" if isinstance(cell, float) else str(cell)
