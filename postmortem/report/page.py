"""Rich renderables to plain text: one console, so that colours, widths and markup have one home."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

_NARROWEST, _WIDEST = 40, 140
_PROSE = 100  # characters of a line that the eye still follows back


def to_text(parts: Iterable[RenderableType], width: int, color: bool) -> str:
    """The parts one below the other, without trailing blanks; markup in texts is never interpreted."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=min(max(width, _NARROWEST), _WIDEST),
        force_terminal=color,
        highlight=False,
        markup=False,
        emoji=False,
        color_system="standard" if color else None,
        legacy_windows=False,
        _environ={},
    )
    for part in parts:
        console.print(part)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().split("\n")[:-1])


def labelled(label_width: int = 0) -> Table:
    """Two columns: a dim label of at least ``label_width`` characters, and wrapped text beside it."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True, min_width=label_width)
    table.add_column(overflow="fold")
    return table


def add(table: Table, label: str, texts: Sequence[Text]) -> None:
    """Adds texts one below the other, the label beside the first."""
    for at, text in enumerate(texts):
        table.add_row(label if at == 0 else "", text)


def columns(rows: Iterable[Sequence[Text]]) -> Table:
    """A table without rules, of as many columns as the longest row; the first does not wrap."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def numbered(texts: Sequence[Text]) -> list[Text]:
    """The texts with their numbers, if there are several."""
    return [Text(f"{at}. ") + text for at, text in enumerate(texts, 1)] if len(texts) > 1 else list(texts)


def prose(text: RenderableType) -> RenderableType:
    """Wrapped at a width the eye can follow, however wide the terminal."""
    table = Table.grid()
    table.add_column(max_width=_PROSE, overflow="fold")
    table.add_row(text)
    return table


def shortened(location: str, width: int) -> str:
    """A ``path:line`` in at most ``width`` columns, without its first folders if need be; or ""."""
    parts = location.split("/")
    tails = [location, *("…/" + "/".join(parts[at:]) for at in range(1, len(parts)))]
    return next((tail for tail in tails if cell_len(tail) <= width), "")
