"""The one table of functions: checker, evaluator, documentation and "did you mean" all read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from postmortem.engine.values import Value
from postmortem.engine.view import RunView

Kind = Literal["series", "window", "number", "truth", "truths", "text"]
"""Type of an expression: ``truth`` is one truth, ``truths`` is one at each point."""


@dataclass(frozen=True)
class Argument:
    """One argument of a function.

    Attributes:
        kinds: The types it may have.
        default: Its value when left out, or None when it is required.
        elsewhere: It is evaluated in each sibling run instead of this one; the function takes the values by run.
    """

    name: str
    kinds: tuple[Kind, ...]
    default: float | None = None
    elsewhere: bool = False


@dataclass(frozen=True)
class Function:
    """One function of the rule language.

    Attributes:
        returns: Its type; ``like`` means the type of its first argument, with a window giving a series and a
            series giving a number (an aggregate).
        sentence: What it gives, for a writer of rules.
        family: Heading in the documentation.
    """

    name: str
    arguments: tuple[Argument, ...]
    returns: Kind | Literal["aggregate", "pointwise"]
    sentence: str
    family: str
    compute: Callable[..., Value]

    @property
    def signature(self) -> str:
        """The call as a writer would type it, optional arguments with their default."""
        parts = [a.name if a.default is None else f"{a.name}={a.default:g}" for a in self.arguments]
        return f"{self.name}({', '.join(parts)})"


FUNCTIONS: dict[str, Function] = {}


def function(
    returns: Kind | Literal["aggregate", "pointwise"], family: str, **arguments: str
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function of the rule language; its docstring's first line is its sentence.

    Each keyword names an argument and gives its types, such as ``x="series"`` or ``n="number=50"``;
    ``x="elsewhere number"`` is a number of each sibling run.
    The decorated function takes the run's view and the evaluated arguments.
    """

    def register(compute: Callable[..., Any]) -> Callable[..., Any]:
        name = compute.__name__.rstrip("_")
        sentence = (compute.__doc__ or "").split("\n")[0]
        FUNCTIONS[name] = Function(
            name, tuple(_argument(*item) for item in arguments.items()), returns, sentence, family, compute
        )
        return compute

    return register


def _argument(name: str, text: str) -> Argument:
    kinds, _, default = text.removeprefix("elsewhere ").partition("=")
    elsewhere = text.startswith("elsewhere ")
    return Argument(name, tuple(kinds.split("|")), float(default) if default else None, elsewhere)  # type: ignore[arg-type]


__all__ = ["FUNCTIONS", "Argument", "Function", "Kind", "RunView", "function"]
