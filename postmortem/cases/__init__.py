"""Tests of rules and of causes, written beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from postmortem.cases import causes, rules
from postmortem.cases.causes import CauseCaseFile
from postmortem.cases.result import CaseResult
from postmortem.cases.rules import Case, CaseFile
from postmortem.cases.situation import expand, synthetic
from postmortem.engine.causes import cause_files
from postmortem.engine.library import TEST_SUFFIX, load_rules, rule_files

__all__ = ["Case", "CaseFile", "CaseResult", "CauseCaseFile", "expand", "run_cases", "synthetic"]


def run_cases(paths: Sequence[Path]) -> list[CaseResult]:
    """Runs the tests beside every rule and every file of causes under the paths.

    One without a test file beside it gives one failed result.

    Raises:
        RuleError: A rule, a file of causes or a test file cannot be loaded.
    """
    results: list[CaseResult] = []
    for path in rule_files(paths):
        tests = path.with_name(path.stem + TEST_SUFFIX)
        results += rules.run_file(path, tests) if tests.exists() else [_untested(path, tests)]
    explained = cause_files(paths, TEST_SUFFIX)
    known = {rule.id: rule for rule in load_rules(paths)} if explained else {}
    for path in explained:
        tests = path.with_name(path.stem + TEST_SUFFIX)
        results += causes.run_file(path, tests, known) if tests.exists() else [_untested(path, tests)]
    return results


def _untested(path: Path, tests: Path) -> CaseResult:
    return CaseResult(path.stem, "has tests", False, f"there is no {tests.name} beside it", path, 1)
