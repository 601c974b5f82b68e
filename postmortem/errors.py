"""One root for every error a user can meet, and the one place that draws a caret.

An error says what is wrong, where (``file:line:column``), shows the offending text with a caret under it, and
names the next step. Loaders collect every problem of a file before they raise, so a file is mended in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in one place.

    Attributes:
        message: What is wrong, in one sentence, without the place.
        source: The file (or a name such as ``--set``), or None when there is none.
        line: 1-based line, or None.
        column: 1-based column of the caret, or None.
        excerpt: The offending line as it stands in the file, or None.
        hint: The next step, or None.
    """

    message: str
    source: str | None = None
    line: int | None = None
    column: int | None = None
    excerpt: str | None = None
    hint: str | None = None

    @property
    def where(self) -> str:
        """The place as ``file:line:column``, as far as it is known."""
        parts = [self.source or "", *(str(n) for n in (self.line, self.column) if n is not None)]
        return ":".join(part for part in parts if part)

    def render(self) -> str:
        """The problem as text: place and message, the excerpt with a caret, the next step."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        return "\n".join([head, *_excerpt(self), *([f"  next: {self.hint}"] if self.hint else [])])


def _excerpt(problem: Problem) -> list[str]:
    if problem.excerpt is None:
        return []
    gutter = str(problem.line) if problem.line is not None else ""
    lines = [f"  {gutter} | {problem.excerpt}"]
    if problem.column is not None:
        # A tab before the caret must stay a tab, or the caret drifts.
        pad = "".join("\t" if ch == "\t" else " " for ch in problem.excerpt[: problem.column - 1])
        lines.append(f"  {' ' * len(gutter)} | {pad}^")
    return lines


class PostmortemError(Exception):
    """Root of all errors that are the user's to mend; holds every problem found at once."""

    def __init__(self, problems: Problem | str | Sequence[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(problem.render() for problem in self.problems))


class InputError(PostmortemError):
    """The user pointed at something that cannot be read as training logs."""


class RuleError(PostmortemError):
    """A rule file, or an expression in it, is wrong."""


class FormatError(PostmortemError):
    """A format pack is wrong: its shape, a pattern, or one of its own samples."""


class ConfigError(PostmortemError):
    """``postmortem.toml``, or an option on the command line, is wrong."""
