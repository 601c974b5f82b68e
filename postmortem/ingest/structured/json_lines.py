"""One JSON object (or Python dict) a line to records, decoded in bulk.

Polars decodes a million rows a second but refuses NaN, a mixed type or a cut line, and drops keys it was not told
of. So keys are learnt first, lines go through in bulk, and only what is refused goes through Python.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from postmortem.ingest.structured.json_document import Leaf, Path, configuration, flat, label_of
from postmortem.ingest.structured.records import Records

_SAMPLE = 64
_CHUNK = 100_000
_MANY_KEYS = 2000
_PER_LINE = 32  # chunks this small are no longer halved in search of the offending line
_LONGEST_REPR = 20_000  # characters; a longer Python repr is not parsed

# Stand-ins for what JSON has no word for; no measurement has these values.
_NAN, _INF, _NEG_INF = -1.797e308, 1.796e308, -1.796e308
_STAND_INS = {_NAN: float("nan"), _INF: float("inf"), _NEG_INF: float("-inf")}
_STAND_IN = r"1\.79[67]e\+?308"


def read(lines: pl.DataFrame) -> tuple[Records, pl.Series]:
    """Decodes lines that are mostly objects.

    Args:
        lines: A LINES frame.

    Returns:
        The records, and a mask of the lines that held one.
    """
    likely = looks_like_objects(lines["text"])
    texts = _as_json(lines["text"] if likely.all() else lines["text"].filter(likely))
    sample = _sample(texts)
    fields = _fields(sample)
    values, decoded = _decode(texts, fields)
    rare = _fields(_with_other_keys(texts.filter(decoded), values, _keys(sample)))
    if rare.keys() - fields.keys():
        values, decoded = _decode(texts, rare | fields)
    held = likely.scatter(likely.arg_true().filter(~decoded), False)
    return Records(values, lines["line"].filter(held)), held


def first_configuration(lines: pl.DataFrame) -> list[tuple[int, str, str]]:
    """Line, key and value of the configuration inside the first record of a LINES frame."""
    line, text = lines.row(0)
    found = configuration(_leaves(object_of(text) or {}))
    return [(line, key, str(leaf.value)) for key, leaf in found if leaf.value is not None]


def looks_like_objects(texts: pl.Series) -> pl.Series:
    """A mask of the texts that can be a whole object."""
    if not texts.str.contains("{", literal=True).any():
        return pl.repeat(False, len(texts), eager=True)  # spares most logs the pattern
    bare = texts.str.starts_with("{") & texts.str.ends_with("}")
    return bare if bare.all() else texts.str.contains(r"^\s*\{.*\}\s*$")


def _sample(texts: pl.Series) -> pl.Series:
    """The first lines, and as many spread over the file: validation records come late."""
    spread = (len(texts) * at // _SAMPLE for at in range(_SAMPLE) if len(texts))
    return texts.gather(sorted({*range(min(_SAMPLE, len(texts))), *spread}))


def _as_json(texts: pl.Series) -> pl.Series:
    """Python reprs and the bare words of Python's JSON, rewritten as strict JSON where that is sure."""
    if texts.str.starts_with("{'").any():
        plain = texts.str.starts_with("{'") & ~texts.str.contains(r'["\\]')
        words = {"None": "null", "True": "true", "False": "false", "nan": "NaN", "inf": "Infinity"}
        texts = texts.zip_with(~plain, _bare_words(texts.str.replace_all("'", '"', literal=True), words))
    odd = texts.str.contains("NaN|Infinity")
    if odd.any():
        words = {"NaN": f"{_NAN}", "-Infinity": f"{_NEG_INF}", "Infinity": f"{_INF}"}
        texts = texts.scatter(odd.arg_true(), _bare_words(texts.filter(odd), words))
    return texts


def _bare_words(texts: pl.Series, words: Mapping[str, str]) -> pl.Series:
    """Replaces whole words that stand where a value stands, never inside a text."""
    for word, other in words.items():
        texts = texts.str.replace_all(rf"([:\[,]\s*){word}(\s*[,\]}}])", f"${{1}}{other}${{2}}")
    return texts


def object_of(text: str) -> dict[str, Any] | None:
    """The object a line holds, as JSON or as the repr of a Python dict; None when it holds none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = _python_dict(text)
    return found if isinstance(found, dict) else None


def _python_dict(text: str) -> Any:
    if len(text) > _LONGEST_REPR or "'" not in text:
        return None
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return ast.literal_eval(_Constants().visit(tree))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


class _Constants(ast.NodeTransformer):
    """``nan`` and ``inf`` stand bare in a repr; ``literal_eval`` knows neither."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = {"nan": float("nan"), "inf": float("inf")}
        return ast.copy_location(ast.Constant(known[node.id]), node) if node.id in known else node


class _Field(NamedTuple):
    path: Path
    text: bool  # whether some of its values are texts


Fields = dict[str, _Field]


def _fields(texts: Iterable[str]) -> Fields:
    """The labels of some lines, with what is needed to decode them."""
    found: Fields = {}
    for text in texts:
        for path, leaf in flat(_leaves(object_of(text) or {})):
            if isinstance(leaf.value, (int, float, str)) and not isinstance(leaf.value, bool):
                label = label_of(path)
                known = found.setdefault(label, _Field(path, False))
                found[label] = _Field(known.path, known.text or isinstance(leaf.value, str))
    return found


def _leaves(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _leaves(child) for key, child in node.items()}
    return [_leaves(child) for child in node] if isinstance(node, (list, tuple)) else Leaf(node, 0)


def _with_other_keys(texts: pl.Series, values: pl.DataFrame, known: set[str]) -> list[str]:
    """A few lines for each key that is not known, so that no metric is lost because it came seldom.

    Only lines with more keys than decoded values can hold one.
    """
    decoded = values.select(pl.sum_horizontal(pl.all().is_not_null())).to_series() if values.width else 0
    texts = texts.filter(texts.str.count_matches('":', literal=True) != decoded)
    other = _keys(texts) - known
    if len(other) > _MANY_KEYS:  # keys that are data (ids); no name of a metric among them
        return []
    return [line for key in other for line in texts.filter(texts.str.contains(key, literal=True)).head(4)]


def _keys(texts: pl.Series) -> set[str]:
    """All keys of some texts, with their quotes and colon."""
    quoted = pl.col("text").str.extract_all(r'"[^"\\]+"\s*:').explode().unique()
    return set(pl.LazyFrame({"text": texts}).select(quoted).collect(engine="streaming").to_series().drop_nulls())


def _decode(texts: pl.Series, fields: Fields) -> tuple[pl.DataFrame, pl.Series]:
    """Values of the lines that could be decoded, and a mask of them."""
    if not fields:
        return pl.DataFrame(), pl.repeat(False, len(texts), eager=True)
    schema = _schema(fields)
    parts = [_decode_chunk(texts.slice(at, _CHUNK), fields, schema) for at in range(0, len(texts), _CHUNK)]
    return pl.concat([values for values, _ in parts]), pl.concat([held for _, held in parts])


def _decode_chunk(
    texts: pl.Series, fields: Fields, schema: Mapping[str, pl.DataType] | None
) -> tuple[pl.DataFrame, pl.Series]:
    whole = _in_bulk(texts, schema) if schema else None
    if whole is not None:
        values = whole.select(_value_at(field).alias(label) for label, field in fields.items())
        values = _without_stand_ins(values) if texts.str.contains(_STAND_IN).any() else values
        return values, pl.repeat(True, len(texts), dtype=pl.Boolean, eager=True)
    if len(texts) <= _PER_LINE or not schema:
        return _decode_singly(texts, fields)
    # Some line is refused: halve until it stands nearly alone.
    half = len(texts) // 2
    parts = [_decode_chunk(part, fields, schema) for part in (texts.slice(0, half), texts.slice(half))]
    return pl.concat([values for values, _ in parts]), pl.concat([held for _, held in parts])


def _in_bulk(texts: pl.Series, schema: Mapping[str, pl.DataType]) -> pl.DataFrame | None:
    try:
        whole = pl.read_ndjson(texts.str.join("\n").item().encode(), schema=dict(schema))
    except pl.exceptions.PolarsError:
        return None
    return whole if whole.height == len(texts) else None


def _schema(fields: Fields) -> dict[str, pl.DataType] | None:
    """The Polars schema of the fields; None when a key holds values of different shapes.

    Keys without a field are skipped by the decoder.
    """
    tree: dict[str, Any] = {}
    for field in fields.values():
        *above, last = _steps(field)
        node = tree
        for part in above:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                return None
        key, kind = last
        if node.setdefault(key, kind) != kind:
            return None
    return {key: _struct(node) for key, node in tree.items()}


def _steps(field: _Field) -> list[Any]:
    """Keys down to a field, then its own key with its type."""
    path: list[Any] = ["mean" if part is None else part for part in field.path]
    if isinstance(path[-1], int):
        return [*path[:-2], (path[-2], pl.List(pl.Float64))]
    return [*path[:-1], (path[-1], pl.String() if field.text else pl.Float64())]


def _struct(node: Any) -> pl.DataType:
    return pl.Struct({key: _struct(child) for key, child in node.items()}) if isinstance(node, dict) else node


def _value_at(field: _Field) -> pl.Expr:
    first, *rest = field.path
    value = pl.col(str(first))
    for part in rest:
        if isinstance(part, int):
            value = value.list.get(part, null_on_oob=True)
        else:
            value = value.struct.field("mean" if part is None else part)
    return value


def _without_stand_ins(values: pl.DataFrame) -> pl.DataFrame:
    return pl.DataFrame([_meant(column) for column in values.iter_columns()])


def _meant(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.Float64, strict=False)
    for stand_in, meant in _STAND_INS.items():
        here = (numbers == stand_in).fill_null(False)
        column = column.set(here, str(meant) if column.dtype == pl.String else meant)
    return column


def _decode_singly(texts: pl.Series, fields: Fields) -> tuple[pl.DataFrame, pl.Series]:
    objects = [object_of(text) for text in texts]
    rows = [_row(found, fields) for found in objects if found is not None]
    kinds = {label: pl.String() if field.text else pl.Float64() for label, field in fields.items()}
    held = pl.Series([found is not None for found in objects], dtype=pl.Boolean)
    return pl.DataFrame(rows, schema=kinds, orient="row"), held


def _row(record: Mapping[str, Any], fields: Fields) -> list[float | str | None]:
    values = {label_of(path): leaf.value for path, leaf in flat(_leaves(record))}
    return [_as_kind(values.get(label), field) for label, field in fields.items()]


def _as_kind(value: Any, field: _Field) -> float | str | None:
    if value is None or isinstance(value, bool):
        return None
    if field.text:
        return str(_STAND_INS.get(value, value))
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return _STAND_INS.get(number, number)
