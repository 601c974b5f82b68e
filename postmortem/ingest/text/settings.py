"""Configuration as text logs print it, and as files beside the log hold it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from postmortem import names, schema
from postmortem.errors import Problem
from postmortem.ingest.opening import read_content
from postmortem.ingest.reading import SETTINGS, Reading
from postmortem.ingest.text.shapes import Messages

MAX_SETTINGS = 5000
"""Most settings kept of one file."""

MAX_CONFIG = 2_000_000
"""Largest configuration file read, in bytes."""

MAX_DEPTH = 20
"""Deepest nesting of a configuration that is followed."""

FEW = 3
"""Settings every training has, from which a text without measurements is taken for a training log."""

_PAIR = (
    r"^[\s\-*•·>#|+=]*(?:[0-9]{1,2}[.)] |\[[A-Za-z]+\] )?((?:--)?[\p{L}_][\p{L}0-9_./ \-()#]*?)\s*(?::|=+>?|\.{3,})\s*"
    r"(['\"]?[^\s'\"].*?)[\s,;]*$"
)
_SEVERAL = r"[:=]\s*[^\s:=][^:=]*[,;|\s]\s*[A-Za-z_][\w ./-]*\s*[:=]\s*\S"
_MEMBER = re.compile(
    r"(?P<key>[A-Za-z_][\w./ -]*?)\s*[:=]\s*(?P<value>'[^']*'|\"[^\"]*\"|\([^()]*\)|\[[^\]]*\]|[^\s,;|=:(){}\[\]]+)"
    r"(?:\s*[,;|]\s*|\s+(?=[A-Za-z_][\w.-]*=)|\s*$)"
)
_LONGEST_KEY, _LONGEST_VALUE = 50, 160  # in characters; longer ones are prose
_NAMESPACE = re.compile(
    r"(?:Namespace|Config|Args|Arguments|argparse\.Namespace|TrainingArguments"
    r"|HParams)\((?P<inside>.*)\)"
)
_ASSIGNED = re.compile(r"([A-Za-z_][\w.]*)=('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\]|\([^)]*\)|[^,\s()]+)")
_DICT = re.compile(
    r"['\"]([A-Za-z_][\w./ -]*)['\"]\s*:\s*('(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\[[^\]]*\]|[^,{}\[\]]+)"
)
_FLAG = re.compile(r"(?<!\S)--([A-Za-z][\w-]*)(?:[= ](?!--)('[^']*'|\"[^\"]*\"|[^\s'\"]+))?")
_DUMP = (
    r"Namespace\(|(?:Config|Args|Arguments|HParams)\(|(?:\.py|^\S*python\S*|torchrun|accelerate) .*--[a-z]"
    r"|(?:\w=(?:True|False|None)\b.*){5}"
)
_OF_DUMPS = ("(", "--", "=true", "=false", "=none")
_LEVEL = r"^[\s\[\](|:,-]*(?:(?:[IWEF] )?[\w.]+:[0-9]+(?: >>|\]) *)?(?:(?:[A-Za-z_.]+\s-\s)?(?:INFO|DEBUG)[\]\s:)|-]*)?"


_EVALUATES = r"(?i)^\W*(?:.* )?running (?:evaluation|prediction)\b[^0=]*$"
_NEAR = 3  # lines under a heading that are about it
_A_BAR = pl.col("body").str.contains(r"%\||it/s|s/it")


def find(told: Messages, points: pl.DataFrame) -> pl.DataFrame:
    """The settings printed in a text.

    Args:
        told: Its messages.
        points: Measurements found in the same text; their lines state no settings.

    Returns:
        Frame of SETTINGS in file order. Pairs printed before the first measurement are settings whatever their name;
        later ones only when the key is one every training has (``batch_size``, ``lr``).
    """
    first = points["line"].min() if points.height else None
    body = pl.col("body").str.replace(_LEVEL, "")
    pairs = told.having((pl.col("body").str.len_bytes() < 240) & body.str.contains(_PAIR) & ~_A_BAR).with_columns(body)
    dumps = told.having((pl.col("body").str.len_bytes() < 60_000) & pl.col("body").str.contains(_DUMP), *_OF_DUMPS)
    measured = pl.col("line").is_in(points["line"].unique().implode())
    stated = _of_evaluation(_pairs(pairs.filter(~measured), first), told)
    found = pl.concat([stated, _dumps(dumps.filter(~measured))])
    found = found.sort("line", maintain_order=True)
    return found.unique(["key", "value"], keep="first", maintain_order=True).head(MAX_SETTINGS)


def _of_evaluation(stated: pl.DataFrame, told: Messages) -> pl.DataFrame:
    """Marks what a trainer says of each evaluation under its heading: ``Num examples = 277`` is not of the training."""
    heads = told.having(pl.col("body").str.contains(_EVALUATES), "running ")["line"]
    if heads.is_empty() or stated.is_empty():
        return stated
    lines = stated["line"].to_numpy()
    last = np.searchsorted(heads.to_numpy(), lines) - 1
    near = (last >= 0) & (lines - heads.to_numpy()[last] <= _NEAR)
    return stated.with_columns(key=pl.when(pl.Series(near)).then(pl.lit("eval ") + pl.col("key")).otherwise("key"))


def _pairs(lines: pl.DataFrame, first: object) -> pl.DataFrame:
    """Lines that are ``key: value`` pairs (or ``key = value``) and nothing else."""
    if lines.is_empty():
        return pl.DataFrame(schema=SETTINGS)
    several = lines.filter(pl.col("body").str.contains(_SEVERAL))
    told = {line: pairs for line, body in several.select("line", "body").iter_rows() if (pairs := _listed(body))}
    listed = [(line, key, value) for line, pairs in told.items() for key, value in pairs]
    single = lines.filter(~pl.col("line").is_in(list(told))).with_columns(pair=pl.col("body").str.extract_groups(_PAIR))
    pair = pl.col("pair").struct
    rows = single.select("line", key=pair.field("1").str.strip_chars(), value=pair.field("2")).drop_nulls()
    rows = pl.concat([rows, pl.DataFrame(listed, schema=SETTINGS, orient="row")]).sort("line", maintain_order=True)
    canonical = pl.col("key").map_elements(lambda key: names.fact_key(key) in _CANONICAL, return_dtype=pl.Boolean)
    short = (pl.col("key").str.len_chars() <= _LONGEST_KEY) & (pl.col("value").str.len_chars() <= _LONGEST_VALUE)
    plain = short & ~pl.col("value").str.contains(r"[({\[]$|^\{|^//|://") & (pl.col("key").str.count_matches(" ") <= 4)
    rows = rows.filter(plain).with_columns(canonical=canonical)
    if first is None and rows["canonical"].sum() < FEW:
        return pl.DataFrame(schema=SETTINGS)
    # Later on "patience: 4/5" is a counter, and "lr" on its own line a measurement nobody asked for.
    late = pl.col("canonical") & ~pl.col("value").str.contains(r"[0-9]\s*/\s*[0-9]")
    rows = rows.filter(pl.lit(first is None) | (pl.col("line") < pl.lit(first or 0)) | late).drop("canonical")
    return rows.with_columns(pl.col("value").str.strip_chars("'\" ")).cast(SETTINGS)


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CANONICAL = frozenset(schema.FACT_KEYS)


def _listed(body: str) -> list[tuple[str, str]]:
    """The pairs of a line that lists several (``batch_size: 50, lr: 0.001``); none when anything else stands there."""
    text = body.strip(" \t-*#|>,;")
    pairs = [(found["key"].strip(), found["value"].strip(" '\"")) for found in _MEMBER.finditer(text)]
    whole = _MEMBER.sub("", text).strip(" ,;|") == ""
    return pairs if len(pairs) > 1 and whole else []


def _dumps(lines: pl.DataFrame) -> pl.DataFrame:
    """``Namespace(lr=0.1, ...)``, ``{'lr': 0.1, ...}`` of many keys, and ``python train.py --lr 0.1``."""
    rows: list[dict[str, object]] = []
    for line, body in lines.select("line", "body").head(50).iter_rows():
        rows += [{"line": line, "key": key, "value": value} for key, value in _assigned(body)]
    return pl.DataFrame(rows, schema=SETTINGS)


def _assigned(body: str) -> list[tuple[str, str]]:
    namespace = _NAMESPACE.search(body)
    flags = [] if namespace else _FLAG.findall(body)
    if flags:
        return [(key, value.strip("'\"") or "true") for key, value in flags]
    return [(key, value.strip("'\"")) for key, value in _ASSIGNED.findall(namespace["inside"] if namespace else body)]


def read_config(path: Path, shown: str) -> Reading:
    """Reads a YAML or JSON configuration file as settings, nested keys joined with dots.

    Nothing is constructed or executed, whatever the tags say, and no file larger than ``MAX_CONFIG`` bytes is read.
    """
    content = read_content(path, shown)
    if len(content.data) > MAX_CONFIG:
        return Reading(shown, "config", problems=(Problem(f"larger than {MAX_CONFIG:,} bytes; not read", shown),))
    try:
        root = yaml.compose(content.data.decode("utf-8", "replace"), Loader=_LOADER)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else None
        return Reading(
            shown, "config", problems=(Problem("not readable as YAML or JSON", shown, line), *content.problems)
        )
    rows = list(islice(_flattened(root, "", 0, _Budget()), MAX_SETTINGS)) if root is not None else []
    count = content.data.count(b"\n") + (not content.data.endswith(b"\n"))
    told = pl.DataFrame(rows, schema=SETTINGS, orient="row")
    return Reading(shown, "config", settings=told, understood=count, lines=count, problems=content.problems)


class _Budget:
    """How many nodes may still be looked at: aliases make a small file unfold into a large one."""

    left = 10 * MAX_SETTINGS


def _flattened(node: yaml.Node, key: str, depth: int, budget: _Budget) -> Iterator[tuple[int, str, str]]:
    """Line, dotted key and text of every scalar; lists of scalars as one text. Tags are read over, never obeyed."""
    budget.left -= 1
    if budget.left < 0 or depth > MAX_DEPTH:
        return
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            # W&B writes each setting as {desc: ..., value: ...}.
            word = str(name.value)
            inner = key if word == "value" and key else f"{key}.{word}" if key else word
            yield from _flattened(value, inner, depth + 1, budget)
    elif isinstance(node, yaml.ScalarNode):
        yield node.start_mark.line + 1, key, str(node.value)
    elif isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        yield node.start_mark.line + 1, key, "[" + ", ".join(str(item.value) for item in node.value) + "]"
