"""Functions that look beyond the run: at its siblings, and at every run that is analysed with it."""

from __future__ import annotations

from collections.abc import Callable

from postmortem import stats
from postmortem.engine.functions.shape import is_rate
from postmortem.engine.functions.table import RunView, function
from postmortem.engine.twins import Alike, alike
from postmortem.engine.values import Scalar, Series, Value, absent

_TOLD = 1e-10
_SAMPLES = 10_000.0


@function("number", "other runs", x="elsewhere number", alike="text")
def lowest_elsewhere(view: RunView, x: list[tuple[RunView, Value]], alike: str) -> Value:
    """Lowest value of x among the other runs of the same program that state the same for the facts named in alike."""
    return _extreme(view, x, alike, min)


@function("number", "other runs", x="elsewhere number", alike="text")
def highest_elsewhere(view: RunView, x: list[tuple[RunView, Value]], alike: str) -> Value:
    """Highest value of x among the other runs of the same program that state the same for the facts named in alike."""
    return _extreme(view, x, alike, max)


def _extreme(
    view: RunView, found: list[tuple[RunView, Value]], alike: str, pick: Callable[..., tuple[float, Scalar]]
) -> Scalar:
    told = [(value.value, value) for other, value in found if isinstance(value, Scalar) and _alike(view, other, alike)]
    numbers = [(value, scalar) for value, scalar in told if isinstance(value, float)]
    if numbers:
        return pick(numbers, key=lambda each: each[0])[1]
    if told:
        return told[0][1]
    settings = f" with the same {', '.join(alike.split())}" if alike else ""
    return absent(f"no other run of the same program{settings} is among the logs", "another run beside this one")


def _alike(a: RunView, b: RunView, keys: str) -> bool:
    return all(a.fact(key).value == b.fact(key).value for key in keys.split())


@function("number", "other runs", x="series", apart="number")
def twins(view: RunView, x: Series, apart: Scalar) -> Value:
    """Number of runs that end at the very same x although they differ by more than a share in something else."""
    found = _alike_runs(view, x)
    if isinstance(found, Scalar):
        return found
    different = found.different(float(apart.value or 0))
    if different is None:
        return absent(f"nothing but {x.name} is logged that tells the runs apart", "the losses beside it")
    return Scalar(float(different), x.finite.point(len(x.finite) - 1))


@function("number", "other runs", x="series", n="number", scatter="number")
def twins_chance(view: RunView, x: Series, n: Scalar, scatter: Scalar) -> Value:
    """Chance that n of all runs end at the same x, if its values scatter by a share of it at least."""
    found = _alike_runs(view, x)
    if isinstance(found, Scalar) or not isinstance(n.value, float):
        return found if isinstance(found, Scalar) else n
    end = x.finite.scalar(len(x.finite) - 1)
    if n.value < 2:
        return Scalar(1.0, end.at)
    value = float(end.value or 0)
    spread = float(scatter.value or 0) * abs(value)
    return Scalar(stats.coincidence(_grain(view, x, value), spread, int(n.value), found.runs), end.at)


def _grain(view: RunView, x: Series, value: float) -> float:
    """The step that values of x can be told apart by; a share of samples has no finer one than their number allows.

    With ten digits and more, a share of any usual number of samples is told by its digits. With fewer, the number is
    what the log states, or ten thousand.
    """
    step = stats.grain(value)
    if step < _TOLD or not is_rate(view, x).value:
        return step
    samples = view.fact("n_val").value
    return max(step, 1.0 / (samples if isinstance(samples, float) and samples > 0 else _SAMPLES))


@function("series", "other runs", x="series")
def differing(view: RunView, x: Series) -> Value:
    """What differs most between the runs that end at the same x, as this run logs it."""
    found = _alike_runs(view, x)
    if isinstance(found, Scalar):
        return found
    spread = found.spread
    ours = [series for series in view.series if series.name in spread]
    best = max(ours, key=lambda series: spread[series.name].share, default=None)
    return best or absent(f"nothing but {x.name} is logged")


@function("text", "other runs", x="series")
def differences(view: RunView, x: Series) -> Value:
    """What differs between the runs that end at the same x, in words, such as "val.loss (0.201 to 0.793)"."""
    found = _alike_runs(view, x)
    if isinstance(found, Scalar):
        return found
    spread = sorted(found.spread.items(), key=lambda item: -item[1].share)
    words = [f"{name} ({each.low:.4g} to {each.high:.4g})" for name, each in spread[:3] if each.share > 0]
    return Scalar(", ".join(words)) if words else absent(f"nothing but {x.name} is logged")


@function("text", "other runs", x="series")
def metric_of(_: RunView, x: Series) -> Value:
    """Name of x without its split, which another run may not tell."""
    return Scalar(x.metric)


def _alike_runs(view: RunView, x: Series) -> Alike | Scalar:
    found = alike(view, x)
    if found is None:
        return absent(f"{x.name} was only logged before training")
    if found.runs < 2:
        return absent(f"no other run logs {x.name}", f"{x.name} in several runs and analyse them together")
    return found
