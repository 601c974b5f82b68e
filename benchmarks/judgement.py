"""How well the shipped rules judge the fixtures: per rule what was found, missed and falsely accused.

Every fixture says in ``expected.json`` what must fire, what may, and what must not. Exits with 1 when a healthy
fixture has a finding at warning or above, or when anything fired that must not.

    python -m benchmarks.judgement [--only PATTERN]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from benchmarks.table import show
from postmortem.analysis import analyze
from postmortem.engine import load_rules
from postmortem.model import Finding, Report, Severity

ROOT = Path(__file__).resolve().parent.parent
_BESIDE = ("ORIGIN.md", "expected.json")
_EPOCHS_OFF = 2.0  # an onset is "around" an epoch when it is this near


@dataclass(frozen=True)
class Verdict:
    """What one fixture's expectation says of what was found in it.

    Attributes:
        hit, missed: Ids of ``fires`` that were found (with the metric, where one is named), or not.
        false: Ids found though they must not be.
        allowed: Ids found that may be, or that the fixture does not mention.
        displaced: Ids found, but with a first epoch far from the expected one.
        loud: Findings at warning or above on a healthy fixture.
    """

    fixture: str
    hit: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    false: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    displaced: tuple[str, ...] = ()
    loud: tuple[Finding, ...] = ()
    problems: tuple[str, ...] = ()  # of reading or judging it


def findings_of(report: Report) -> list[Finding]:
    return [*report.across_runs, *(finding for run in report.runs for finding in run.findings)]


def answers(want: Mapping[str, Any], finding: Finding) -> bool:
    """True when a finding is the expected one: the same id, and the metric if one is named."""
    return finding.id == want["id"] and want.get("metric") in (None, finding.metric)


def displaced(want: Mapping[str, Any], found: Sequence[Finding]) -> bool:
    """True when every answering finding starts, and ends, far from the expected epoch."""
    epoch = want.get("around_epoch")
    if epoch is None:
        return False
    places = [p.epoch for f in found if answers(want, f) for p in (f.first, f.last) if p.epoch is not None]
    return bool(places) and min(abs(place - epoch) for place in places) > _EPOCHS_OFF


def judge(folder: Path, expected: Mapping[str, Any], report: Report) -> Verdict:
    found = findings_of(report)
    ids = {finding.id for finding in found}
    wanted = expected["fires"]
    wanted_ids = {want["id"] for want in wanted}
    hit = tuple(want["id"] for want in wanted if any(answers(want, finding) for finding in found))
    forbidden = set(expected["must_not_fire"])
    healthy = folder.parent.name == "healthy"
    return Verdict(
        f"{folder.parent.name}/{folder.name}",
        hit,
        tuple(want["id"] for want in wanted if want["id"] not in hit),
        tuple(sorted(ids & forbidden)),
        tuple(sorted(ids - forbidden - wanted_ids)),
        tuple(want["id"] for want in wanted if displaced(want, found)),
        tuple(f for f in found if healthy and f.severity.rank >= Severity.WARNING.rank),
        (*(problem.render() for problem in report.problems), *([] if report.runs else ["no run was read"])),
    )


def judged(folder: Path) -> Verdict:
    """Analyses a copy of the fixture without the files that describe it, as a user's folder would be."""
    expected = json.loads((folder / "expected.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns(*_BESIDE))
        return judge(folder, expected, analyze([copy]))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _row(name: str, counts: Sequence[int]) -> list[str | int | float | None]:
    """One line of the table, from (hit, missed, false, allowed)."""
    hit, missed, false, allowed = counts
    return [name, hit, missed, false, allowed, _ratio(hit, hit + false), _ratio(hit, hit + missed)]


def show_rules(verdicts: Sequence[Verdict]) -> None:
    """Prints the table per rule; an id that may fire counts neither for nor against it."""
    columns = [Counter(i for v in verdicts for i in getattr(v, name)) for name in ("hit", "missed", "false", "allowed")]
    ids = sorted(set().union(*columns))
    shipped = {rule.id for rule in load_rules()}
    rows = [
        _row(rule if rule in shipped else f"{rule} (no such rule)", [column[rule] for column in columns])
        for rule in ids
    ]
    ours = _row("all shipped", [sum(column[rule] for rule in shipped) for column in columns])
    total = _row("all", [column.total() for column in columns])
    show(["rule", "found", "missed", "false", "allowed", "precision", "recall"], [*rows, ours, total])


def show_fixtures(verdicts: Sequence[Verdict]) -> None:
    """Prints what is wrong with single fixtures, one line each."""
    for verdict in verdicts:
        for word in ("missed", "false", "displaced", "problems"):
            for text in getattr(verdict, word):
                print(f"{verdict.fixture}: {word}: {text}")
        for finding in verdict.loud:
            print(f"{verdict.fixture}: healthy, but {finding.severity} {finding.id}: {finding.message}")


def folders(pattern: str) -> list[Path]:
    """The fixtures whose ``kind/name`` matches."""
    found = sorted(path.parent for path in (ROOT / "fixtures").glob("*/*/expected.json"))
    return [folder for folder in found if fnmatch(f"{folder.parent.name}/{folder.name}", pattern)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="*", metavar="PATTERN", help="fixtures to judge, such as 'sick/overfit*'")
    chosen = parser.parse_args().only
    verdicts = [judged(folder) for folder in folders(chosen)]
    if not verdicts:
        parser.error(f"no fixture matches {chosen!r}")
    show_rules(verdicts)
    print()
    show_fixtures(verdicts)
    accused = sum(bool(verdict.loud or verdict.false) for verdict in verdicts)
    print(f"\n{len(verdicts)} fixtures, {accused} falsely accused")
    return int(accused > 0)


if __name__ == "__main__":
    sys.exit(main())
