"""One JSON document (a history, a trainer's state) to records, each value with the line it stands on."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from postmortem import names
from postmortem.ingest.structured import axes
from postmortem.ingest.structured.records import Records

_SAMPLE = 500  # records looked at to tell what a list of objects is
_SHORT_LIST = 16  # a list of up to this many numbers in a record is a value a place; longer ones are no metric
_CONFIGURATION = frozenset(
    {
        "config",
        "args",
        "hparams",
        "hyperparameters",
        "hyper_parameters",
        "cfg",
        "settings",
        "env_config",
        "options",
        "configuration",
        "training_args",
        "model_config",
        "params",
    }
)


class Leaf(NamedTuple):
    """A scalar of the document and its physical line."""

    value: Any
    line: int


@dataclass
class Content:
    """What a document holds: groups of records, and everything else as (key, leaf)."""

    records: list[Records] = field(default_factory=list)
    facts: list[tuple[str, Leaf]] = field(default_factory=list)


class _Pairs(list[tuple[str, Any]]):
    """A JSON object as it was written: duplicate keys are kept, so leaves and positions stay aligned."""


def parse(text: str, lines: Sequence[int] | None = None) -> Any:
    """A tree of dicts, lists and leaves.

    Args:
        text: The whole document; a document that breaks off gives what was complete.
        lines: Physical line of each line of ``text``, when they are not 1, 2, 3, ...

    Raises:
        ValueError: Not JSON, nor the beginning of JSON.
    """
    try:
        tree = _loads(text)
    except ValueError:
        text = mended(text)
        tree = _loads(text)
    return _with_lines(tree, _leaf_lines(text, lines))


def _loads(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Pairs)
    except RecursionError:
        raise ValueError("nested too deeply") from None


# Strings are matched whole, so that no bracket or number inside them counts.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?|[-+.0-9A-Za-z]+')
_MARK = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]')  # a string may lack its end


def _leaf_lines(text: str, lines: Sequence[int] | None) -> Iterator[int]:
    """The line of each scalar in document order; keys are no scalars."""
    starts = [match.end() for match in re.finditer("\n", text)]
    offsets = [match.start() for match in _TOKEN.finditer(text) if match.group(1) is None]
    at = np.searchsorted(starts, offsets, side="right")
    return iter((at + 1 if lines is None else np.asarray(lines)[at]).tolist())


def _with_lines(node: Any, lines: Iterator[int]) -> Any:
    """The tree with every scalar as a Leaf; of duplicate keys the last wins, as in Python."""
    if isinstance(node, _Pairs):
        return {key: _with_lines(value, lines) for key, value in node}
    if isinstance(node, list):
        return [_with_lines(value, lines) for value in node]
    return Leaf(node, next(lines))


def mended(text: str) -> str:
    """A document that breaks off, cut after what was complete and closed.

    A number at the very end may be cut in its digits, so only what a comma or a bracket follows is complete. A
    record that a list broke off in is dropped whole.
    """
    stack: list[tuple[str, int]] = []
    complete = 0
    for match in _MARK.finditer(text):
        mark = match.group()
        if mark in "[{":
            stack.append((mark, match.start()))
            complete = match.end()
        elif mark in "]}":
            if not stack:
                break
            stack.pop()
            complete = match.end()
        elif mark == ",":
            complete = match.start()
    if not stack and text[complete:].strip():
        return text  # something else follows: no document
    while stack and stack[-1][0] == "{" and len(stack) > 1 and stack[-2][0] == "[":
        complete = stack.pop()[1]
    closing = "".join("]" if mark == "[" else "}" for mark, _ in reversed(stack))
    return re.sub(r'(?:,\s*)?(?:"(?:[^"\\]|\\.)*"\s*:)?\s*$', "", text[:complete]) + closing


def content(tree: Any) -> Content:
    """Finds the records of a document, wherever they lie, and states the rest as facts."""
    found = Content()
    _collect("", tree, found)
    places = dict(_named_places(tree))
    found.records = [_renamed(records, places) for records in found.records]
    return found


def _named_places(node: Any) -> Iterator[tuple[str, str]]:
    """``"test_metrics": [{"name": "AUC"}]`` says what ``test[0]`` is (CatBoost): labels and their better names."""
    for key, child in node.items() if isinstance(node, dict) else ():
        if isinstance(child, dict):
            yield from _named_places(child)
        elif key.endswith("_metrics") and isinstance(child, list):
            owner = key.removesuffix("_metrics")
            for at, item in enumerate(child):
                if isinstance(item, dict) and isinstance(item.get("name"), Leaf):
                    yield f"{owner}[{at}]", f"{owner}/{item['name'].value}"


def _renamed(records: Records, places: Mapping[str, str]) -> Records:
    known = {label: places[label] for label in records.values.columns if label in places}
    lines = records.lines.rename(known) if isinstance(records.lines, pl.DataFrame) and known else records.lines
    return Records(records.values.rename(known), lines) if known else records


def _collect(path: str, node: Any, found: Content) -> None:
    if isinstance(node, list):
        _collect_list(path, node, found)
    elif isinstance(node, dict):
        rows = _numbered(node)
        columns = {} if rows else _columns(node)
        if rows:
            found.records.append(_of_rows(rows))
        elif columns:
            _collect_columns(path, node, columns, found)
        elif _is_result(node):
            found.records.append(_of_rows([node]))
        else:
            for key, child in node.items():
                _collect(_key_below(path, key), child, found)
    else:
        found.facts.append((path, node))


def _collect_list(path: str, items: Sequence[Any], found: Content) -> None:
    rows = [item for item in items if isinstance(item, dict)]
    if rows and len(rows) * 2 > len(items) and _are_records(rows):
        found.records.append(_of_rows(rows))
    elif items and all(isinstance(item, Leaf) for item in items) and len(items) <= _SHORT_LIST:
        shown = ", ".join(str(item.value) for item in items)
        found.facts.append((path, Leaf(f"[{shown}]", items[0].line)))


def _join(path: str, key: str) -> str:
    return f"{path}/{key}" if path else key


def _key_below(path: str, key: str) -> str:
    """The key of a fact: dotted, without the name of the object that merely holds the configuration."""
    above = path.rpartition(".")
    path = above[0] if axes.key(above[2]) in _CONFIGURATION else path
    return f"{path}.{key}" if path else key


# --- rows: a list of objects, or objects under numbered names -----------------------------------------------


def _are_records(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether objects are records of training: most say where they stand, or measure something known."""
    rows = rows[:: max(1, len(rows) // _SAMPLE)]
    telling = sum(any(axes.is_position(label) or _measures(label) for label in _numeric_labels(row)) for row in rows)
    return telling * 2 > len(rows)


def _measures(label: str) -> bool:
    return names.role(names.parse(label).metric) in ("loss", "score", "reward", "adversarial", "grad_norm")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_NUMBERED = re.compile(r"(?i)^(?:epoch|step|iter(?:ation)?)?[\s_\-]?([0-9]{1,9})$")


def _numbered(node: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of ``{"epoch_1": {...}, "epoch_2": {...}}`` or ``{"1": {...}, ...}``; empty for anything else."""
    matches = {key: _NUMBERED.match(key) for key, row in node.items() if isinstance(row, dict)}
    if len(matches) != len(node) or not node or not all(matches.values()):
        return []
    axis = "step" if next(iter(node)).lower().startswith(("step", "iter")) else "epoch"
    rows = [
        {axis: Leaf(int(match.group(1)), first_line(node[key])), **node[key]} for key, match in matches.items() if match
    ]
    return rows if any(_measures(label) for row in rows for label in _numeric_labels(row)) else []


def first_line(node: Any) -> int:
    """The line of the first scalar below a node; 1 when there is none."""
    while isinstance(node, (dict, list)) and node:
        node = next(iter(node.values())) if isinstance(node, dict) else node[0]
    return node.line if isinstance(node, Leaf) else 1


def _is_result(node: Mapping[str, Any]) -> bool:
    """Whether one flat object is a record (final metrics) and no configuration that mentions a loss."""
    numeric = _numeric_labels(node)
    measured = sum(_measures(label) and not names.is_setting(label) for label in numeric)
    set_up = sum(names.fact_key(axes.key(label)) in _SET_UP or names.is_setting(label) for label in numeric)
    return measured > set_up and measured * 3 >= len(numeric)


_SET_UP = frozenset(
    {
        "lr",
        "batch_size",
        "epochs",
        "steps",
        "weight_decay",
        "dropout",
        "num_workers",
        "seed",
        "patience",
        "grad_accum",
        "world_size",
    }
)


Path = tuple[str | int | None, ...]  # keys, places in short lists, and None for the mean of a summary


def flat(node: Any, path: Path = ()) -> Iterator[tuple[Path, Leaf]]:
    """The scalars of a record with their paths; see ``label_of``.

    ``{"mean": 1, "std": 2, "num": 3}`` is one value, its mean. Nested configuration and long lists are left out.
    """
    if isinstance(node, Leaf):
        yield path, node
    elif isinstance(node, dict):
        if _is_summary(node):
            yield (*path, None), node["mean"]
            return
        for key, child in node.items():
            if not (isinstance(child, dict) and axes.key(key) in _CONFIGURATION):
                yield from flat(child, (*path, key))
    elif len(node) <= _SHORT_LIST and all(isinstance(item, Leaf) and _is_number(item.value) for item in node):
        for at, item in enumerate(node):
            yield (*path, at), item


@lru_cache(maxsize=65536)
def label_of(path: Path) -> str:
    """The label of a path: keys joined by ``/``, a place in a list as ``bbox[0]``."""
    parts = (f"[{part}]" if isinstance(part, int) else f"/{part}" for part in path if part is not None)
    return "".join(parts).removeprefix("/")


def _labelled(row: Mapping[str, Any]) -> Mapping[str, Leaf]:
    if all(type(child) is Leaf for child in row.values()):
        return row  # nothing nested: the keys are the labels
    return {label_of(path): leaf for path, leaf in flat(row)}


def _numeric_labels(row: Any) -> list[str]:
    return [label for label, leaf in _labelled(row).items() if _is_number(leaf.value)]


_SUMMARY = frozenset({"mean", "std", "num", "count", "n", "min", "max", "var", "median"})


def _is_summary(node: Mapping[str, Any]) -> bool:
    return len(node) > 1 and "mean" in node and node.keys() <= _SUMMARY and isinstance(node["mean"], Leaf)


def _of_rows(rows: Sequence[Mapping[str, Any]]) -> Records:
    flats = [_labelled(row) for row in rows]
    labels = list(dict.fromkeys(label for row in flats for label in row))
    return _of_cells({label: [row.get(label) for row in flats] for label in labels})


def _of_cells(cells: Mapping[str, Sequence[Leaf | None]]) -> Records:
    """Records from columns of leaves; columns without a number or a text are left out."""
    values = {label: _column(label, column) for label, column in cells.items()}
    kept = [label for label, column in values.items() if column.null_count() < len(column)]
    lines = {label: [leaf.line if leaf else None for leaf in cells[label]] for label in kept}
    return Records(
        pl.DataFrame([values[label] for label in kept]), pl.DataFrame(lines, schema=dict.fromkeys(kept, pl.UInt32))
    )


def _column(label: str, leaves: Sequence[Leaf | None]) -> pl.Series:
    found = [leaf.value if leaf else None for leaf in leaves]
    if any(isinstance(value, str) for value in found):
        texts = [str(value) if isinstance(value, str) or _is_number(value) else None for value in found]
        return pl.Series(label, texts, dtype=pl.String)
    numbers = [float(value) if value is not None and _is_number(value) else None for value in found]
    return pl.Series(label, numbers, dtype=pl.Float64)


# --- columns: an object of lists ----------------------------------------------------------------------------


def _columns(node: Mapping[str, Any]) -> dict[str, list[Leaf]]:
    """The lists of scalars in an object and the objects below it, under labels joined by ``/``.

    Empty when none of them measures anything known: then the object is configuration.
    """
    lists = dict(_lists(node))
    longest = [label for label, items in lists.items() if items]
    return lists if longest and any(_measures(label) or axes.is_position(label) for label in longest) else {}


def _lists(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, list[Leaf]]]:
    for key, child in node.items():
        if isinstance(child, list) and all(isinstance(item, Leaf) for item in child):
            yield _join(path, key), child
        elif isinstance(child, dict) and axes.key(key) not in _CONFIGURATION:
            yield from _lists(child, _join(path, key))


def _collect_columns(path: str, node: Mapping[str, Any], lists: Mapping[str, list[Leaf]], found: Content) -> None:
    series = dict(_own_axes(lists))
    rest = {label: items for label, items in lists.items() if not any(label.startswith(f"{one}/") for one in series)}
    for label, own in series.items():
        found.records.append(_of_cells({**own.axes, label: own.values}))
    if rest:
        found.records.extend(_aligned(_unwrapped(rest)))
    found.facts.extend(_scalars(node, path))


class _Series(NamedTuple):
    values: list[Leaf]
    axes: dict[str, list[Leaf]]


def _own_axes(lists: Mapping[str, list[Leaf]]) -> Iterator[tuple[str, _Series]]:
    """Series that bring their own axes: ``{"loss": {"steps": [...], "timestamps": [...], "values": [...]}}``."""
    for label, items in lists.items():
        parent, _, last = label.rpartition("/")
        if parent and last in ("values", "value"):
            beside = {
                axis: lists[f"{parent}/{name}"] for name, axis in _OWN_AXES.items() if f"{parent}/{name}" in lists
            }
            yield parent, _Series(items, beside)


_OWN_AXES = {"steps": "step", "step": "step", "timestamps": "timestamp", "epochs": "epoch", "epoch": "epoch"}


def _unwrapped(lists: Mapping[str, list[Leaf]]) -> Mapping[str, list[Leaf]]:
    """Labels without a name that wraps all of them (``history/loss``) and tells nothing."""
    wrappers = {label.partition("/")[0] for label in lists}
    if len(wrappers) != 1 or names.split_word(next(iter(wrappers))) or not all("/" in label for label in lists):
        return lists
    return _unwrapped({label.partition("/")[2]: items for label, items in lists.items()})


def _aligned(lists: Mapping[str, list[Leaf]]) -> Iterator[Records]:
    """Lists that share the commonest length belong together; their index joins them.

    A list one shorter was cut by the end of the run. Other lengths have no known position: they are read only
    when their name is a metric's, each on its own.
    """
    lengths = Counter(len(items) for label, items in lists.items() if items and (_measures(label) or len(lists) == 1))
    if not lengths:
        return
    common = max(lengths, key=lambda length: (lengths[length], length))
    together = {label: items for label, items in lists.items() if items and common - len(items) in (0, 1)}
    yield _of_cells({label: [*items, *[None] * (common - len(items))] for label, items in together.items()})
    for label, items in lists.items():
        if items and label not in together and _measures(label):
            yield _of_cells({label: items})


def configuration(record: Mapping[str, Any]) -> Iterator[tuple[str, Leaf]]:
    """What a record states under ``config`` and the like, without lists: RLlib repeats it in every record."""
    for key, child in record.items():
        if isinstance(child, dict) and axes.key(key) in _CONFIGURATION:
            yield from _scalars(child, key)


def _scalars(node: Any, path: str) -> Iterator[tuple[str, Leaf]]:
    if isinstance(node, Leaf):
        yield path, node
    elif isinstance(node, dict):
        for key, child in node.items():
            yield from _scalars(child, _key_below(path, key))
