"""Records (rows of a table, objects of a JSON file) to the frames of a ``Reading``.

A record says where it stands in some columns (``axes``) and what was measured in the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from postmortem import names
from postmortem.ingest.reading import POINTS, SETTINGS
from postmortem.ingest.structured import axes

# A canonical fact that is repeated in every record with one value is a setting as well.
_CONSTANT_FACTS = frozenset(
    {
        "epochs",
        "steps",
        "steps_per_epoch",
        "batch_size",
        "global_batch_size",
        "num_workers",
        "world_size",
        "grad_accum",
        "n_train",
        "n_val",
        "seed",
        "patience",
    }
)
_CELLS = 1 << 21  # values looked at together
_FEW = 3  # records from which they can be told to be a list of things
_APART = 0.7  # share of records with a text of their own from which the text names them
_LONGEST_TEXT = 200  # a constant text longer than this is a dump, no setting


@dataclass(frozen=True)
class Records:
    """Records in file order.

    Attributes:
        values: A column a label, Float64 or String; null where a record lacks the label.
        lines: Physical line of each record (UInt32), or a frame with the line of each value of ``values``.
    """

    values: pl.DataFrame
    lines: pl.Series | pl.DataFrame

    def line_of(self, label: str) -> pl.Series:
        """The lines of one label's values."""
        return self.lines if isinstance(self.lines, pl.Series) else self.lines[label]


def points(records: Records) -> pl.DataFrame:
    """The metric points of records as a frame of POINTS."""
    values = records.values
    at = axes.choose(values.columns)
    step, epoch = axes.positions(values, at)
    time, split = axes.time_of(values, at), axes.split_of(values, at)
    # A column that gave no moment (`time` as a duration) is a metric after all; a batch within its epoch never is.
    spent = [
        label
        for label, found in zip(at, (step, epoch, time, split), strict=True)
        if label is not None and (found.null_count() < len(found) or label in (at.step, at.epoch))
    ]
    measured = _numeric(values.select(pl.exclude(spent)))
    if step.null_count() == epoch.null_count() == values.height and _one_row_an_epoch(measured):
        epoch = pl.Series("epoch", range(values.height), dtype=pl.Float64)
    return _long(pl.DataFrame([step, epoch, time, split]), measured, records)


def _numeric(values: pl.DataFrame) -> pl.DataFrame:
    """The columns that hold numbers, as Float64. A text column counts when some of its texts are numbers."""
    columns = (
        values[label] if values[label].dtype == pl.Float64 else axes.number(values[label]) for label in values.columns
    )
    return pl.DataFrame([column for column in columns if column.null_count() < len(column)])


def _one_row_an_epoch(measured: pl.DataFrame) -> bool:
    """Whether records without any axis are epochs: each carries a validation value beside the training value.

    That is what Keras' ``History`` and hand-written histories look like; their index is the epoch, from 0.
    """
    full = [label for label in measured.columns if measured[label].null_count() <= 1]
    parsed = [names.parse(label) for label in full]
    trained = {name.metric for name in parsed if name.split in ("", "train")}
    return any(name.split == "val" and name.metric in trained for name in parsed)


def _long(base: pl.DataFrame, measured: pl.DataFrame, records: Records) -> pl.DataFrame:
    """One row a value, in file order; a slice of the records at a time, so that absent values cost no memory."""
    size = max(1, _CELLS // max(measured.width, 1))
    slices = (_slice(base, measured, records, at, size) for at in range(0, measured.height, size))
    return pl.concat([pl.DataFrame(schema=POINTS), *slices])


def _slice(base: pl.DataFrame, measured: pl.DataFrame, records: Records, at: int, size: int) -> pl.DataFrame:
    columns, labels = measured.slice(at, size).get_columns(), measured.columns
    present = np.column_stack([column.is_not_null().to_numpy() for column in columns])
    record, label = np.nonzero(present)
    rows = base.slice(at, size)[record]
    if splits := splits_beside(labels):
        told = pl.Series([splits.get(name) for name in labels], dtype=pl.String)
        rows = rows.with_columns(split=pl.coalesce("split", told[label]))
    if isinstance(records.lines, pl.Series):
        line = records.lines.slice(at, size)[record]
    else:
        lines = records.lines.slice(at, size)
        line = pl.Series(np.column_stack([lines[name].to_numpy() for name in labels])[present])
    value = np.column_stack([column.to_numpy() for column in columns])[present]
    rows = rows.with_columns(line.alias("line"), pl.Series("label", labels)[label], pl.Series("value", value))
    return rows.select(pl.col(name).cast(dtype) for name, dtype in POINTS.items())


def splits_beside(labels: Sequence[str]) -> dict[str, str]:
    """Splits of labels that would be misread without the labels beside them.

    Beside ``loss_avg``, ``loss_val`` is the last batch, not validation. Beside ``train_runtime``, ``train_loss`` is
    Hugging Face's mean over the whole run, and ``loss`` the training loss.
    """
    known = {label: "" for label in labels if label.endswith("_val") and f"{label.removesuffix('val')}avg" in labels}
    if {"loss", "train_loss", "train_runtime"} <= set(labels):
        known |= {"loss": "train", "train_loss": "run"}
    return known


def is_catalogue(records: Records) -> bool:
    """Whether records list things rather than moments: few say when, and a text tells each from all others.

    Names that differ in a number alone (``checkpoint-100``) are those of moments.
    """
    values = records.values
    at = axes.choose(values.columns)
    placed = [*axes.positions(values, at), axes.time_of(values, at)]
    if values.height < _FEW or any(2 * column.null_count() < values.height for column in placed):
        return False
    texts = (values[label] for label in values.columns if values[label].dtype == pl.String)
    named = (text for text in texts if axes.number(text).null_count() == values.height)
    return any(text.str.replace_all("[0-9]+", "").n_unique() > _APART * values.height for text in named)


def settings(records: Records) -> pl.DataFrame:
    """What the records repeat without change: texts, and canonical facts. A frame of SETTINGS."""
    rows = [
        (int(records.line_of(label)[0]), label, _shown(value))
        for label in records.values.columns
        if (value := _constant(label, records.values[label])) is not None
    ]
    return pl.DataFrame(rows, schema=SETTINGS, orient="row")


def _constant(label: str, column: pl.Series) -> float | str | None:
    """The one value of a column that states a setting, or None."""
    if column.dtype != pl.String and names.fact_key(label) not in _CONSTANT_FACTS:
        return None
    if len(column) < 2 or column[0] is None or column[0] != column[-1] or column.n_unique() != 1:
        return None
    value: float | str = column[0]
    if isinstance(value, str) and (len(value) > _LONGEST_TEXT or axes.number(column.head(1))[0] is not None):
        return None
    return value


def _shown(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
