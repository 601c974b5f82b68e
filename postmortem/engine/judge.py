"""One rule over one run: found, clear, or not applicable."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from postmortem.engine import syntax, template
from postmortem.engine.bind import Binding, bindings
from postmortem.engine.compile import CompiledCheck, CompiledRule
from postmortem.engine.evaluate import Names, Scope
from postmortem.engine.explain import explain
from postmortem.engine.rule import parse_duration
from postmortem.engine.values import Array, Point, Scalar, Series, Value, absent, align, stretches
from postmortem.engine.view import RunView
from postmortem.engine.weigh import weigh
from postmortem.errors import Problem
from postmortem.model import Evidence, Finding, NotApplicable, Outcome, Position, Severity

_SHOWN = 6  # points of a series that evidence lists


def judge(rule: CompiledRule, view: RunView) -> Outcome:
    """What a rule says of a run; a rule that fails is a problem of that rule alone."""
    try:
        verdicts = [_judge_check(rule, check, view) for check in rule.checks]
    except Exception as error:  # a rule must never take the others down with it
        source = str(rule.rule.path)
        return Outcome(rule.id, problems=(Problem(f"rule {rule.id} failed: {type(error).__name__}: {error}", source),))
    findings = tuple(finding for verdict in verdicts for finding in verdict.findings)
    missing = [verdict for verdict in verdicts if verdict.missing is not None]
    if rule.rule.alternatives:
        missing = missing[:1] if len(missing) == len(verdicts) else []
    return Outcome(
        rule.id,
        findings,
        not findings and any(verdict.clear for verdict in verdicts),
        tuple(_not_applicable(rule, verdict) for verdict in missing),
    )


@dataclass(frozen=True)
class _Verdict:
    check: CompiledCheck
    findings: tuple[Finding, ...] = ()
    clear: bool = False
    missing: Scalar | None = None


def _not_applicable(rule: CompiledRule, verdict: _Verdict) -> NotApplicable:
    missing, name = verdict.missing or Scalar(None), verdict.check.source.name
    return NotApplicable(rule.id, f"{name}: {missing.missing}" if name else missing.missing, missing.log_this)


def _judge_check(rule: CompiledRule, check: CompiledCheck, view: RunView) -> _Verdict:
    """Joins the outcomes of all combinations: found before clear before not applicable."""
    findings: list[Finding] = []
    missing: list[Scalar] = []
    clear = False
    for binding in bindings(check.source.each, view):
        outcome = binding if isinstance(binding, Scalar) else _Trial(rule, check, view, binding).outcome()
        if isinstance(outcome, Finding):
            findings.append(outcome)
        elif outcome.value is None:
            missing.append(outcome)
        else:
            clear = True
    if findings:
        return _Verdict(check, (_merged(findings),) if check.source.merge else tuple(findings))
    return _Verdict(check, clear=True) if clear else _Verdict(check, missing=missing[0])


def _merged(findings: list[Finding]) -> Finding:
    """One finding that leads with the worst, with the causes of the one in which fewest are open."""
    first = max(findings, key=lambda finding: finding.severity.rank)
    rest = [finding for finding in findings if finding is not first]
    evidence = tuple(dict.fromkeys(piece for finding in (first, *rest) for piece in finding.evidence))
    causes = min((f.causes for f in (first, *rest)), key=lambda rivals: [c.verdict for c in rivals].count("open"))
    message = "; ".join(finding.message for finding in (first, *rest))
    return replace(first, message=message, evidence=evidence, causes=causes)


@dataclass(frozen=True)
class _Span:
    """Points ``start`` to ``end`` (inclusive) of ``series`` at which a condition holds."""

    series: Series
    start: int
    end: int


class _Trial:
    """One check with one combination of series."""

    def __init__(self, rule: CompiledRule, check: CompiledCheck, view: RunView, binding: Binding) -> None:
        self.rule, self.check = rule, check
        self.bound = [value for value in binding.values() if isinstance(value, Series)]
        lead = self.bound[0] if self.bound else None
        self.names = Names(Scope(view, binding, rule.params, lead), check.let)
        self.scope = Scope(view, self.names, rule.params, lead)

    def outcome(self) -> Finding | Scalar:
        """A finding, a truth of 0.0 for clear, or a missing number with the reason."""
        unmet = self._unmet()
        if unmet is not None:
            return unmet
        value = self.scope.evaluate(self.check.when)
        if isinstance(value, Series):
            return self._pointwise(value)
        if not isinstance(value, Scalar) or value.value is None:
            return value if isinstance(value, Scalar) else absent("the condition has no value")
        return self._finding(None, 0) if value.value else value

    def _unmet(self) -> Scalar | None:
        for need in self.check.needs:
            value = self.scope.evaluate(need.that)
            if not isinstance(value, Scalar) or value.value is None:
                return value if isinstance(value, Scalar) else absent(need.otherwise, need.log)
            if not value.value:
                texts = self._texts({}) if "{" in need.otherwise else {}
                return absent(template.fill(need.otherwise, texts), need.log)
        return None

    def _pointwise(self, truths: Series) -> Finding | Scalar:
        if np.isnan(truths.value).all():
            return absent("nothing it compares is there at the same points")
        spans = [_Span(truths, start, end) for start, end in stretches(truths.value)]
        spans = [span for span in spans if self._lasts(span, truths) and self._followed(span)]
        if not spans:
            return Scalar(0.0)
        return self._finding(_Span(truths, spans[0].start, spans[-1].end), len(spans))

    def _lasts(self, span: _Span, truths: Series) -> bool:
        lasting = self.check.source.lasting
        if lasting is None:
            return True
        if lasting == "to the end":
            return not np.any(truths.value[span.end + 1 :] == 0.0)
        size, unit = syntax.duration(*parse_duration(lasting))
        if unit == "points":
            return span.end - span.start + 1 >= size
        clock = _clock(truths, unit)
        return bool(clock[span.end] - clock[span.start] >= size)

    def _followed(self, span: _Span) -> bool:
        if self.check.then is None:
            return True
        node, size, unit = self.check.then
        value = self.scope.evaluate(node)
        if isinstance(value, Scalar):
            return bool(value.value)
        if not isinstance(value, Series):
            return False
        if unit == "points":
            reach = value.order > span.series.order[span.start]
            reach &= np.cumsum(reach) <= size
        else:
            ahead = _clock(value, unit) - _clock(span.series, unit)[span.start]
            reach = (ahead > 0) & (ahead <= size)
        return bool(np.any(value.value[reach] == 1.0))

    def _finding(self, span: _Span | None, spans: int) -> Finding:
        bare = self._texts({})
        evidence = [
            (template.fill(name, bare), name, self._shown(self.scope.evaluate(node), span))
            for name, node in self.check.evidence.items()
        ]
        texts = self._texts({name: values[0].value if values else None for _, name, values in evidence}, span)
        pieces = tuple(itertools.chain.from_iterable(_pieces(name, values) for name, _, values in evidence))
        first, last = self._extent(span, pieces)
        lead = self.bound[0] if self.bound else None
        meta, causes = self.rule.rule, self.rule.causes
        return Finding(
            meta.id,
            self._severity(),
            meta.title,
            template.fill(self.check.source.message, texts),
            lead.split if lead else None,
            (lead.metric or None) if lead else None,
            first,
            last,
            pieces,
            because=explain(self.check.when, self.scope, span.start if span else None, spans),
            do=meta.do,
            wrong_when=meta.wrong_when,
            causes=weigh(causes, self.scope, first, last) if causes else (),
        )

    def _severity(self) -> Severity:
        for node, level in self.rule.severity:
            value = self.scope.evaluate(node) if node is not None else Scalar(1.0)
            if isinstance(value, Scalar) and value.value:
                return level
        return self.rule.severity[-1][1]

    def _shown(self, value: Value, span: _Span | None) -> list[_Piece]:
        if isinstance(value, Scalar):
            return [_Piece(value.value, value.at)]
        if not isinstance(value, Series) or not len(value):
            return []
        if span is not None:
            return [_at_start(value, span)]
        return [
            _Piece(float(value.value[i]), value.point(i), value.since[i] if value.since else None)
            for i in range(min(_SHOWN, len(value)))
        ]

    def _texts(
        self, evidence: Mapping[str, float | str | None], span: _Span | None = None
    ) -> dict[str, float | str | None]:
        texts = self.scope.texts()
        if span is not None:
            at = span.series.point(span.start)
            texts |= {"epoch": at.epoch, "step": at.step, "here": at.words, "points": float(span.end - span.start + 1)}
        return {**texts, **evidence}

    def _extent(self, span: _Span | None, pieces: tuple[Evidence, ...]) -> tuple[Position, Position]:
        begins, ends = (self._place(node) for node in (self.check.begins, self.check.ends))
        if span is not None:
            begins, ends = begins or span.series.point(span.start), ends or span.series.point(span.end)
        placed = [Position(piece.step, piece.epoch) for piece in pieces if piece.line is not None]
        lead = self.bound[0].finite if self.bound else None
        end = lead.point(len(lead) - 1).position if lead is not None and len(lead) else None
        first = begins.position if begins else placed[0] if placed else Position()
        return first, ends.position if ends else end or (placed[-1] if placed else Position())

    def _place(self, node: syntax.Node | None) -> Point | None:
        value = self.scope.evaluate(node) if node is not None else None
        return value.at if isinstance(value, Scalar) else None


@dataclass(frozen=True)
class _Piece:
    value: float | str | None
    at: Point | None
    since: int | None = None


def _at_start(value: Series, span: _Span) -> _Piece:
    """The value of a series at the first point of a span, at the place where it was logged."""
    here = span.series.take(np.array([span.start]))
    index = align(value.with_values(np.arange(len(value), dtype=np.float64)), here)[0]
    if np.isnan(index):
        return _Piece(None, None)
    return _Piece(float(value.value[int(index)]), value.point(int(index)))


def _pieces(name: str, values: list[_Piece]) -> Iterator[Evidence]:
    for piece in values:
        label = f"{name} since line {piece.since}" if piece.since is not None else name
        yield Scalar(piece.value, piece.at).evidence(label)


def _clock(series: Series, unit: str) -> Array:
    return {"steps": series.step, "epochs": series.epoch, "seconds": series.seconds}[unit]
