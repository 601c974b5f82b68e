"""What a run says of the rival causes of a finding: supported, contradicted, or open for want of evidence.

Each cause predicts something observable. In the order of this list:

- contradicted: something excludes it, or a prediction that ``must`` hold is broken;
- supported: no prediction that ``must`` or ``should`` hold is broken, and one of these that is kept tells it from every
  rival that is not contradicted, as none of them predicts the same;
- open: everything else. What could not be observed is named with what to log.

No weights and no probabilities: a reader sees which predictions were kept, broken or not to be observed, and where.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from postmortem.engine import syntax, template
from postmortem.engine.bind import select
from postmortem.engine.causes import PLACES
from postmortem.engine.compile import CompiledCause, CompiledCauses
from postmortem.engine.evaluate import Scope
from postmortem.engine.explain import spelled, write
from postmortem.engine.functions import FUNCTIONS
from postmortem.engine.rivals import Exclusion, Prediction
from postmortem.engine.syntax import Node
from postmortem.engine.values import Point, Scalar, Series, absent
from postmortem.model import Cause, Clue, Evidence, Position

_ORDER = ("supported", "open", "contradicted")


def weigh(causes: CompiledCauses, scope: Scope, first: Position, last: Position) -> tuple[Cause, ...]:
    """The causes of one finding with their verdicts, supported ones first.

    Args:
        scope: What the names of the finding stand for.
        first, last: Where the finding begins and ends.
    """
    unknown = {name: absent(f"this check of the rule does not know {name}") for name in causes.names}
    names = {**unknown, **scope.names}
    lead = scope.base if isinstance(scope.base, Series) else absent("the finding is about no single series")
    names |= {"it": lead, **{name: _place(at) for name, at in zip(PLACES, (first, last), strict=True)}}
    for name, selector in causes.beside.items():
        found = select(selector, scope.view, names)
        names[name] = found[0] if found else absent(f"{selector.what} is not logged", selector.what)
    inner = Scope(scope.view, names, scope.params, scope.base)
    for name, node in causes.let.items():
        names[name] = inner.evaluate(node)  # inner.names is this same dict
    trials = [_Trial(cause, inner) for cause in causes.rivals]
    weighed = [trial.cause([rival for rival in trials if rival is not trial]) for trial in trials]
    return tuple(sorted(weighed, key=lambda cause: _ORDER.index(cause.verdict)))


def _place(at: Position) -> Scalar:
    number = at.step if at.step is not None else at.epoch
    return Scalar(float(number or 0), Point(at.step, at.epoch, at.time))


@dataclass(frozen=True)
class _Trial:
    """One cause before the evidence."""

    source: CompiledCause
    scope: Scope

    @cached_property
    def predictions(self) -> list[tuple[Prediction, Node, Clue]]:
        """Each prediction with its condition and what became of it."""
        told = zip(self.source.source.predicts, self.source.predicts, strict=True)
        return [(each, node, _clue(each, node, self.scope)) for each, node in told]

    @cached_property
    def excluded_by(self) -> tuple[Clue, ...]:
        """Exclusions that hold."""
        told = zip(self.source.source.excluded_by, self.source.excluded_by, strict=True)
        clues = (_clue(each, node, self.scope) for each, node in told)
        return tuple(clue for clue in clues if clue.holds)

    @cached_property
    def contradicted(self) -> bool:
        """Whether the evidence rules it out."""
        return bool(self.excluded_by) or any(
            each.strength == "must" and c.holds is False for each, _, c in self.predictions
        )

    def predicted(self) -> set[str]:
        """Texts of what it predicts, to see which of it rivals predict as well."""
        return {write(node) for _, node, _ in self.predictions}

    def cause(self, rivals: Sequence[_Trial]) -> Cause:
        """The cause with its verdict."""
        shared = set().union(*(rival.predicted() for rival in rivals if not rival.contradicted))
        kept = [write(node) for each, node, clue in self.predictions if clue.holds and each.strength != "may"]
        telling = any(condition not in shared for condition in kept)
        broken = tuple(clue for each, _, clue in self.predictions if clue.holds is False and each.strength != "may")
        supported = telling and not broken
        meta = self.source.source
        return Cause(
            meta.id,
            meta.title,
            "contradicted" if self.contradicted else "supported" if supported else "open",
            kept=tuple(clue for _, _, clue in self.predictions if clue.holds),
            broken=broken,
            unobservable=tuple(c for each, _, c in self.predictions if c.holds is None and each.strength != "may"),
            excluded_by=self.excluded_by,
            settle=meta.settle,
            fix=meta.fix,
        )


def _clue(told: Prediction | Exclusion, node: Node, scope: Scope) -> Clue:
    """What the run says of one condition; one that cannot be computed is unobservable, and harms no other."""
    try:
        value = scope.evaluate(node)
    except Exception as error:
        value = absent(f"{type(error).__name__}: {error}")
    says = template.fill(told.says, scope.texts())
    if not isinstance(value, Scalar) or value.value is None:
        missing = value if isinstance(value, Scalar) else absent("it is no single truth")
        return Clue(says, None, (), missing.missing, missing.log_this)
    return Clue(says, bool(value.value), tuple(dict.fromkeys(_evidence(node, scope))))


def _evidence(node: Node, scope: Scope) -> Iterator[Evidence]:
    """The numbers a condition was decided on, each with the place it was read from."""
    if not isinstance(node, syntax.Name | syntax.Call):
        for child in node.children():
            yield from _evidence(child, scope)
        return
    value = scope.evaluate(node)
    if isinstance(value, Scalar) and value.value is not None:
        if isinstance(node, syntax.Call) and FUNCTIONS[node.function].returns == "truth":
            value = Scalar("yes" if value.value else "no", value.at)
        name = node.name.replace("_", " ") if isinstance(node, syntax.Name) else write(spelled(node, scope))
        yield value.evidence(name)
