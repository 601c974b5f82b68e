"""Sacred's ``FileStorageObserver``: a folder a run, with ``run.json``, ``config.json``, ``metrics.json``, ``cout.txt``.

``cout.txt`` is a text log and left to the text readers.
Source: https://github.com/IDSIA/sacred/blob/master/sacred/observers/file_storage.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

import polars as pl

from postmortem.errors import Problem
from postmortem.ingest.lines import read_lines
from postmortem.ingest.reading import NOTES, Reading
from postmortem.ingest.stores.points import Points, number, whole
from postmortem.ingest.stores.recorded import Recorded, ending, moment, printed
from postmortem.ingest.structured.json_document import Leaf, parse
from postmortem.ingest.text import settings as configuration

MAX_DOCUMENT = 64_000_000
"""Largest JSON file read, in bytes."""

_HEAD = 4096  # bytes by which metrics are told
_RUN_HEAD = 4 << 20  # bytes by which ``run.json`` is told; its keys are sorted, and "status" is the last
_METRICS = re.compile(rb'^\s*\{\s*"[^"\n]*":\s*\{\s*"steps":\s*\[')
_RUN = (b'"experiment"', b'"heartbeat"', b'"status"')
_NONE: Mapping[str, Any] = {}


def claims(path: Path) -> bool:
    """True for the folder of a run: its ``run.json``, or its ``metrics.json`` beside a configuration, is Sacred's."""
    run = _head(path / "run.json", _RUN_HEAD)
    if run and all(word in run for word in _RUN):
        return True
    return (path / "config.json").is_file() and bool(_METRICS.match(_head(path / "metrics.json", _HEAD)))


def read(path: Path, shown: str) -> list[Recorded]:
    """Reads one run: its series, its configuration and how it ended."""
    shown = str(Path(shown))
    run, readings = _run(path / "run.json", f"{shown}/run.json")
    if (path / "metrics.json").is_file():
        readings.append(_metrics(path / "metrics.json", f"{shown}/metrics.json"))
    if (path / "config.json").is_file():
        readings.append(configuration.read_config(path / "config.json", f"{shown}/config.json"))
    own = (path / name for name in ("run.json", "metrics.json", "config.json"))
    experiment = run.get("experiment", _NONE)
    name = _value(experiment.get("name")) if isinstance(experiment, dict) else None
    title = f"{name}/{path.name}" if name else path.name
    return [Recorded(title, readings, frozenset(each for each in own if each.is_file()))]


def _head(file: Path, size: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(size)
    except OSError:
        return b""


def _document(file: Path, shown: str) -> tuple[Mapping[str, Any], int, list[Problem]]:
    """The object a JSON file holds, its number of lines, and what is wrong with it."""
    if file.stat().st_size > MAX_DOCUMENT:
        return _NONE, 0, [Problem(f"larger than {MAX_DOCUMENT:,} bytes; not read", shown)]
    text = read_lines(file, shown)
    problems = list(text.problems)
    whole_text = "\n".join(text.lines["text"])
    try:
        tree = parse(whole_text, text.lines["line"].to_list())
    except (ValueError, RecursionError):
        return _NONE, text.count, [*problems, Problem("not readable as JSON", shown)]
    if not whole_text.rstrip().endswith("}"):
        problems.append(Problem("breaks off; what was complete was read", shown, text.count))
    return tree if isinstance(tree, dict) else _NONE, text.count, problems


def _value(node: object) -> Any:
    return node.value if isinstance(node, Leaf) else None


def _metrics(file: Path, shown: str) -> Reading:
    tree, lines, problems = _document(file, shown)
    table = Points()
    lost = 0
    for label, series in tree.items():
        for leaf, step, time in _points(series):
            value = number(leaf.value)
            if value is None:
                lost += 1
            else:
                table.add(leaf.line, label, value, step=whole(_value(step)), time=moment(_value(time)))
    if lost:
        problems.append(Problem(f"{lost:,} values are no numbers (pickled objects are never opened)", shown))
    points = table.frame()
    problems += table.problems(shown)
    return Reading(shown, "sacred", points, understood=lines, lines=lines, problems=tuple(problems))


def _points(series: object) -> Iterator[tuple[Leaf, object, object]]:
    """Value, step and time of each point of a series; NumPy's numbers are wrapped in an object of their own."""
    if not isinstance(series, dict):
        return
    values, steps, times = (
        found if isinstance(found := series.get(name), list) else [] for name in ("values", "steps", "timestamps")
    )
    for value, step, time in zip_longest(values, steps[: len(values)], times[: len(values)]):
        bare = value.get("value", Leaf(None, 0)) if isinstance(value, dict) else value
        yield bare if isinstance(bare, Leaf) else Leaf(None, 0), step, time


def _run(file: Path, shown: str) -> tuple[Mapping[str, Any], list[Reading]]:
    """What ``run.json`` says, and how the run ended as a reading."""
    if not file.is_file():
        return _NONE, []
    tree, lines, problems = _document(file, shown)
    told = Reading(shown, "sacred", notes=_end(tree, shown), understood=lines, lines=lines, problems=tuple(problems))
    return tree, [told]


def _end(run: Mapping[str, Any], shown: str) -> pl.DataFrame:
    status = run.get("status")
    if not isinstance(status, Leaf):
        return pl.DataFrame(schema=NOTES)
    time = moment(_value(run.get("stop_time")))
    if status.value == "COMPLETED":
        return ending("finished", "Sacred status COMPLETED", status.line, time)
    if status.value == "FAILED":
        return _failure(run, shown, status.line, time)
    if status.value == "INTERRUPTED":  # what Sacred makes of a KeyboardInterrupt
        return ending("killed", "KeyboardInterrupt (Sacred status INTERRUPTED)", status.line, time)
    if status.value == "TIMEOUT":
        return ending("killed", "Sacred status TIMEOUT", status.line, time)
    return pl.DataFrame(schema=NOTES)


def _failure(run: Mapping[str, Any], shown: str, line: int, time: int | None) -> pl.DataFrame:
    """The exception of a failed run, at its line in ``fail_trace``."""
    trace = run.get("fail_trace")
    parts = [leaf for leaf in trace if isinstance(leaf, Leaf)] if isinstance(trace, list) else []
    texts = [(leaf.line, text) for leaf in parts for text in str(leaf.value).splitlines() if text.strip()]
    found = printed(texts, shown).filter(pl.col("kind").is_in(["traceback", "oom", "killed"])).tail(1)
    if found.height:
        at, kind, text = found.select("line", "kind", "text").row(0)
        return ending(kind, text, at, time)
    at, text = texts[-1] if texts else (line, "Sacred status FAILED")
    return ending("traceback", text.strip(), at, time)
