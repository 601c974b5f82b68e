"""``postmortem rules``: list, explain, test and check rules, ours and the user's own."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

import click

from postmortem.cli import common
from postmortem.errors import ConfigError, Problem

_EPILOG = """\b
Examples:
  postmortem rules list
  postmortem rules explain overfit
  postmortem rules check my-rules/
  postmortem rules test my-rules/"""

_paths = click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))


@click.group(epilog=_EPILOG)
def rules() -> None:
    """List, explain, test and check rules."""


@rules.command("list", epilog="\b\nExample:\n  postmortem rules list --rules my-rules/")
@common.rules_option
@common.ends_on_error
def list_rules(rules: tuple[Path, ...]) -> None:
    """Show all rules by family."""
    from postmortem.engine.library import load_rules
    from postmortem.report.catalog import rules_list

    color = common.use_color("auto")
    shown = rules_list([each.rule for each in load_rules(rules)], common.width_of_output(None), color)
    common.deliver(shown, None, color=color)


@rules.command(epilog="\b\nExample:\n  postmortem rules explain late-stopping")
@click.argument("rule_id", metavar="ID")
@common.rules_option
@common.ends_on_error
def explain(rule_id: str, rules: tuple[Path, ...]) -> None:
    """Show everything about one rule.

    What it finds, why that matters, what to do, when the rule is wrong, and its parameters.
    """
    from postmortem.engine.library import load_rules
    from postmortem.report.catalog import rule_page

    known = {each.id: each.rule for each in load_rules(rules)}
    if rule_id not in known:
        close = difflib.get_close_matches(rule_id, known, n=1)
        hint = f"did you mean {close[0]}?" if close else "see `postmortem rules list`"
        raise ConfigError(Problem(f"there is no rule {rule_id!r}", hint=hint))
    color = common.use_color("auto")
    common.deliver(rule_page(known[rule_id], common.width_of_output(None), color), None, color=color)


@rules.command(epilog="\b\nExample:\n  postmortem rules test my-rules/sharpe-too-low.yaml")
@_paths
@common.ends_on_error
def test(paths: tuple[Path, ...]) -> None:
    """Run the cases beside rules.

    Takes the rules in PATH, or the shipped ones; exits with 1 when a case fails.
    """
    from postmortem.builtin import shipped
    from postmortem.cases import run_cases
    from postmortem.report.numbers import plural

    results = run_cases(paths or (shipped("rules"),))
    failed = [result for result in results if not result.passed]
    for result in failed:
        problem = Problem(f"{result.rule}: {result.name}: {result.message}", str(result.path), result.line)
        common.complain(problem.render())
    if not results:
        raise ConfigError(
            Problem(
                "no case was found",
                hint="name a rule <id>.yaml, or a folder of rules with <id>.test.yaml beside each",
            )
        )
    tested = plural(len({result.rule for result in results}), "rule")
    common.deliver(f"{len(results) - len(failed)} of {plural(len(results), 'case')} of {tested} pass\n", None)
    sys.exit(int(bool(failed)))


@rules.command(epilog="\b\nExample:\n  postmortem rules check my-rules/")
@_paths
@common.ends_on_error
def check(paths: tuple[Path, ...]) -> None:
    """Check rules for mistakes.

    Takes the rules in PATH, or the shipped ones, runs none of them, and shows every mistake at once.
    """
    from postmortem.builtin import shipped
    from postmortem.engine.library import read_rules
    from postmortem.report.numbers import plural

    count = len(read_rules(paths or (shipped("rules"),)))
    if not count:
        raise ConfigError(Problem("no rule was found", hint="a rule is a YAML file named <id>.yaml"))
    common.deliver(f"no mistake in {plural(count, 'rule')}\n", None)
