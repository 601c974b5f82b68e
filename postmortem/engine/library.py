"""Finds, loads and configures rules: the shipped ones, the user's, and what ``postmortem.toml`` says of them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from postmortem.builtin import shipped
from postmortem.engine.causes import FOLDER, cause_files, with_causes
from postmortem.engine.compile import CompiledRule, compile_rule
from postmortem.engine.rule import Rule
from postmortem.errors import ConfigError, PostmortemError, Problem, RuleError
from postmortem.model import Severity
from postmortem.yamlfile import did_you_mean, load, validate

TEST_SUFFIX = ".test.yaml"


@dataclass(frozen=True)
class RuleConfig:
    """What the user changed about rules.

    Attributes:
        off: Ids that are not run.
        params: Parameter values by rule id. severity: Fixed severities by rule id.
        source: The file it came from, for messages.
    """

    off: frozenset[str] = frozenset()
    params: dict[str, dict[str, float]] = field(default_factory=dict)
    severity: dict[str, Severity] = field(default_factory=dict)
    source: str = "postmortem.toml"


def load_config(path: Path) -> RuleConfig:
    """Reads ``[rules]`` of a TOML file: ``off = [ids]``, and a table per rule with parameters and ``severity``.

    Raises:
        ConfigError: Not readable, no TOML, or a value of the wrong type.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(Problem(f"cannot be read: {error}", str(path))) from None
    rules = data.get("rules", {})
    problems: list[Problem] = []
    params: dict[str, dict[str, float]] = {}
    severity: dict[str, Severity] = {}
    off = rules.get("off", []) if isinstance(rules, dict) else []
    if not isinstance(rules, dict) or not isinstance(off, list):
        raise ConfigError(Problem("[rules] must be a table, and off in it a list of ids", str(path)))
    for rule, table in rules.items():
        if rule == "off":
            continue
        for key, value in (table if isinstance(table, dict) else {"": table}).items():
            if key == "severity" and value in list(Severity):
                severity[rule] = Severity(value)
            elif key != "severity" and isinstance(value, int | float) and not isinstance(value, bool) and key:
                params.setdefault(rule, {})[key] = float(value)
            else:
                problems.append(
                    Problem(
                        f"[rules.{rule}] {key} = {value!r} is neither a number nor a severity",
                        str(path),
                        hint=f"severities: {', '.join(Severity)}",
                    )
                )
    if problems:
        raise ConfigError(problems)
    return RuleConfig(frozenset(map(str, off)), params, severity, str(path))


def load_rules(folders: Sequence[Path] = (), config: RuleConfig | None = None) -> list[CompiledRule]:
    """The shipped rules and those under ``folders`` (or single files), configured, in the order of their ids.

    A user's rule with the id of a shipped one takes its place, and so do a user's causes of a symptom.

    Raises:
        RuleError: One or more rule files are wrong; all problems of all files.
        ConfigError: The configuration names rules or parameters that do not exist.
    """
    rules = {rule.id: rule for rule in _shipped_rules()}
    rules |= {rule.id: rule for rule in read_rules(folders)}
    configured = _configure(rules, config) if config else rules
    return [configured[name] for name in sorted(configured)]


@lru_cache(maxsize=1)
def _shipped_rules() -> tuple[CompiledRule, ...]:
    return tuple(_read([shipped("rules")], {}))


def read_rules(paths: Sequence[Path]) -> list[CompiledRule]:
    """Loads every rule file under the paths, with the causes that lie there; causes may explain shipped rules.

    Raises:
        RuleError: With the problems of all files.
    """
    return _read(paths, {rule.id: rule for rule in _shipped_rules()} if cause_files(paths, TEST_SUFFIX) else {})


def _read(paths: Sequence[Path], others: Mapping[str, CompiledRule]) -> list[CompiledRule]:
    rules: list[CompiledRule] = []
    problems: list[Problem] = []
    refused: set[str] = set()
    for path in rule_files(paths):
        try:
            rules.append(read_rule(path))
        except PostmortemError as error:
            problems += error.problems
            refused.add(path.stem)
    problems += _duplicates(rules)
    known = {rule.id: rule for rule in rules}
    files = [path for path in cause_files(paths, TEST_SUFFIX) if path.stem not in refused]
    explained, wrong = with_causes({**others, **known}, files)
    if problems or wrong:
        raise RuleError([*problems, *wrong])
    return list({**known, **{rule.id: rule for rule in explained}}.values())


def rule_files(paths: Iterable[Path]) -> list[Path]:
    """Rule files among and under the paths, sorted; tests and causes are not rules.

    Raises:
        RuleError: A path does not exist.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise RuleError(Problem("there is no such rule file or folder", str(path)))
        inside = sorted(path.rglob("*.y*ml")) if path.is_dir() else [path]
        found += [p for p in inside if p.parent.name != FOLDER and not p.name.endswith(TEST_SUFFIX)]
    return found


def read_rule(path: Path) -> CompiledRule:
    """Loads and compiles one rule file.

    Raises:
        RuleError: With every problem of the file.
    """
    document = load(path, error=RuleError)
    rule = validate(Rule, document, RuleError).at(path)
    if rule.id != path.name.partition(".")[0]:
        raise RuleError(
            document.problem(
                ("id",), f"the id {rule.id!r} differs from the file name", f"rename the file to {rule.id}.yaml"
            )
        )
    return compile_rule(rule, document)


def _duplicates(rules: Sequence[CompiledRule]) -> list[Problem]:
    seen: dict[str, Path] = {}
    problems = []
    for rule in rules:
        if rule.id in seen:
            problems.append(Problem(f"the id {rule.id!r} is also used by {seen[rule.id]}", str(rule.rule.path)))
        seen.setdefault(rule.id, rule.rule.path)
    return problems


def _configure(rules: dict[str, CompiledRule], config: RuleConfig) -> dict[str, CompiledRule]:
    problems = [
        Problem(f"there is no rule {name!r}", config.source, hint=did_you_mean(name, list(rules), "rules"))
        for name in sorted({*config.off, *config.params, *config.severity} - set(rules))
    ]
    problems += [
        Problem(
            f"rule {name} has no parameter {key!r}",
            config.source,
            hint=did_you_mean(key, list(rules[name].params), "parameters"),
        )
        for name, values in config.params.items()
        if name in rules
        for key in values
        if key not in rules[name].params
    ]
    if problems:
        raise ConfigError(problems)
    return {name: _adjusted(rule, config) for name, rule in rules.items() if name not in config.off}


def _adjusted(rule: CompiledRule, config: RuleConfig) -> CompiledRule:
    fixed = config.severity.get(rule.id)
    return replace(
        rule,
        params={**rule.params, **config.params.get(rule.id, {})},
        severity=((None, fixed),) if fixed else rule.severity,
    )
