"""Generated pages: written, compared, and told to be out of date at the line where they are."""

from pathlib import Path

import polars as pl
import pytest

from postmortem.docgen import formats, pages, stale, write
from postmortem.docgen.__main__ import main
from postmortem.docgen.markdown import code, table
from postmortem.ingest.reading import LINES


def test_written_pages_are_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written is not written again; a change is told with its line, and what describes nothing is removed."""
    monkeypatch.setattr("postmortem.docgen.pages", lambda: {"formats.md": formats.page})
    assert [path.name for path in write(tmp_path)] == ["formats.md"]
    assert (write(tmp_path), stale(tmp_path)) == ([], [])

    page = tmp_path / "formats.md"
    page.write_text(page.read_text().replace("## Text formats", "## Texts", 1))
    (tmp_path / "rules").mkdir(exist_ok=True)
    (tmp_path / "rules" / "gone.md").write_text("A rule that was removed.")
    told = {Path(problem.source or "").name: problem.line for problem in stale(tmp_path)}
    assert told == {"formats.md": page.read_text().splitlines().index("## Texts") + 1, "gone.md": None}

    assert {path.name for path in write(tmp_path)} == {"formats.md", "gone.md"}
    assert not (tmp_path / "rules" / "gone.md").exists()


def test_the_table_of_published_logs_is_kept() -> None:
    """It is made where the logs are; elsewhere the page keeps the one it has."""
    page = formats.page("").replace(formats.CORPUS_END, f"| a table |\n{formats.CORPUS_END}")

    assert formats.page(page) == page


@pytest.mark.parametrize(("reader", "line"), formats.EXAMPLES.items(), ids=lambda part: getattr(part, "__name__", ""))
def test_examples_are_read(reader: object, line: str) -> None:
    """Each generic reader makes something of its example, given as often as a file would have it."""
    texts = (
        [line, *(f"{n},0.5,0.4" for n in range(9))] if line.startswith("epoch,") else ["-----", *[line] * 9, "-----"]
    )
    if line.startswith("{"):
        texts = [line] * 9
    lines = pl.DataFrame({"line": range(1, len(texts) + 1), "text": texts}, schema=dict(LINES))

    assert reader.share(lines) > 0.5  # type: ignore[attr-defined]


def test_cells_and_code_survive_bars_and_backticks() -> None:
    """A bar does not end a cell, and a backtick does not end code."""
    assert table(["a"], [[code("x | y")]]) == "| a |\n| --- |\n| `x \\| y` |\n"
    assert code("a `b` c") == "`` a `b` c ``"


def test_the_command_is_for_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without docs/ beside the package there is nothing to compare with."""
    monkeypatch.setattr("postmortem.docgen.__main__.__file__", str(tmp_path / "postmortem" / "docgen" / "__main__.py"))

    assert main(["--check"]) == 2


def test_what_is_generated() -> None:
    """Formats, functions, the language, and a page a rule."""
    assert {"formats.md", "functions.md", "language.md", "rules/README.md", "rules/overfit.md"} <= set(pages())
