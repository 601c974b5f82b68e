"""``postmortem rules``: list, explain, write, try, check and test rules, ours and the user's own."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import click

from postmortem.cli import common
from postmortem.errors import ConfigError, Problem

_EPILOG = """\b
Examples:
  postmortem rules list --family metrics
  postmortem rules explain overfit
  postmortem rules try 'val.loss > 1.2 * best(val.loss)' logs/
  postmortem rules new my-rule -o my-rules/
  postmortem rules check my-rules/
  postmortem rules test my-rules/"""

_paths = click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(exists=True, path_type=Path))


@click.group(epilog=_EPILOG)
def rules() -> None:
    """List, explain, write, try, check and test rules."""


@rules.command("list", epilog="\b\nExample:\n  postmortem rules list --family optimization --rules my-rules/")
@click.option("--family", metavar="NAME", help="Only the rules of this family: the folder they lie in.")
@common.rules_option
@common.ends_on_error
def list_rules(family: str | None, rules: tuple[Path, ...]) -> None:
    """Show all rules by family."""
    from postmortem.engine.library import load_rules
    from postmortem.report.catalog import rules_list

    known = [each.rule for each in load_rules(rules)]
    families = sorted({rule.family for rule in known})
    if family is not None and family not in families:
        raise _unknown("family", family, families)
    color = common.use_color("auto")
    wanted = [rule for rule in known if family in (None, rule.family)]
    common.deliver(rules_list(wanted, common.width_of_output(None), color), None, color=color)


@rules.command(epilog="\b\nExample:\n  postmortem rules explain late-stopping")
@click.argument("rule_id", metavar="ID")
@common.rules_option
@common.ends_on_error
def explain(rule_id: str, rules: tuple[Path, ...]) -> None:
    """Show everything about one rule.

    What it finds and when, why that matters, what to do, when the rule is wrong, its parameters, and what may lie
    behind a finding: rival causes with what speaks for each and against it.
    """
    from postmortem.engine.library import load_rules
    from postmortem.report.catalog import rule_page

    known = {each.id: each for each in load_rules(rules)}
    if rule_id not in known:
        raise _unknown("rule", rule_id, list(known))
    color = common.use_color("auto")
    common.deliver(rule_page(known[rule_id], common.width_of_output(None), color), None, color=color)


def _unknown(what: str, given: str, known: list[str]) -> ConfigError:
    close = difflib.get_close_matches(given, known, n=1)
    hint = f"did you mean {close[0]}?" if close else "see `postmortem rules list`"
    return ConfigError(Problem(f"there is no {what} {given!r}", hint=hint))


@rules.command(epilog="\b\nExample:\n  postmortem rules new sharpe-too-low -o my-rules/")
@click.argument("rule_id", metavar="ID")
@click.option(
    "-o",
    "--output",
    "folder",
    metavar="DIR",
    default=Path(),
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to; default: this one.",
)
@common.ends_on_error
def new(rule_id: str, folder: Path) -> None:
    """Write a new rule and its test.

    ID names the smell, such as sharpe-too-low. Both files work as they are; the texts wait to be written, and
    `postmortem rules check` says which.
    """
    from postmortem.engine.library import TEST_SUFFIX
    from postmortem.engine.scaffold import cases_text, rule_text

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", rule_id):
        raise ConfigError(Problem(f"{rule_id!r} is no id of a rule", hint="use words of small letters with hyphens"))
    rule, cases = folder / f"{rule_id}.yaml", folder / f"{rule_id}{TEST_SUFFIX}"
    common.refuse_existing(rule)
    common.refuse_existing(cases)
    with common.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    common.deliver(rule_text(rule_id), rule)
    common.deliver(cases_text(rule_id), cases)
    common.complain(f"{rule} and {cases.name} written\n  next: postmortem rules check {rule}")


@rules.command("try", epilog="\b\nExample:\n  postmortem rules try 'val.loss > 1.2 * best(val.loss)' logs/run3/")
@click.argument("expression", metavar="EXPR")
@common.paths_argument
@click.option(
    "-p",
    "--param",
    "params",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=lambda _c, _p, given: _numbers(common.parse_settings(given)),
    help="A value for $NAME in the expression. Repeatable.",
)
@common.formats_option
@common.settings_option
@common.config_option
@common.ends_on_error
def try_expression(
    expression: str,
    paths: tuple[Path, ...],
    params: Mapping[str, float],
    formats: tuple[Path, ...],
    settings: Mapping[str, str],
    config: Path | None,
) -> None:
    """Show what an expression says of each run.

    For a condition: whether it holds, or where, with the values of its parts and their lines; for a number: the number
    and its line. What cannot be told is said with the reason.
    """
    from postmortem import load
    from postmortem.engine import RunView
    from postmortem.engine.trial import read, tried
    from postmortem.errors import InputError
    from postmortem.report import tried as report

    checked = read(expression, params)
    with closing(common.Progress()) as progress:
        logs = load(paths, settings=settings, packs=common.packs(formats, config), progress=progress)
    if not logs.runs:
        raise InputError("no training run was found, so nothing was tried")
    views: list[RunView] = []
    views += [RunView(run, {}, views) for run in logs.runs]
    color = common.use_color("auto")
    shown = report.tried(checked, [tried(checked, view) for view in views], common.width_of_output(None), color)
    common.deliver(shown, None, color=color)


def _numbers(settings: Mapping[str, str]) -> dict[str, float]:
    try:
        return {key: float(value) for key, value in settings.items()}
    except ValueError as error:
        raise click.BadParameter(f"{error}; write for example -p rise=0.2") from None


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

    Takes the rules in PATH, or the shipped ones, runs none of them, and shows every mistake at once: what cannot be
    loaded, names that nothing logs or uses, conditions that cannot change, texts that are missing or out of form.
    """
    from postmortem.builtin import shipped
    from postmortem.engine.lint import examine
    from postmortem.errors import RuleError
    from postmortem.report.numbers import plural

    found = examine(paths or (shipped("rules"),))
    if found.problems:
        raise RuleError(found.problems)
    if not found.rules:
        raise ConfigError(Problem("no rule was found", hint="a rule is a YAML file named <id>.yaml"))
    common.deliver(f"no mistake in {plural(len(found.rules), 'rule')}\n", None)
