"""The table reader: CSV and its kin, sparse, padded, quoted, resumed and cut."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest.reading import LINES, Reading
from postmortem.ingest.structured import table_reader

SHARED = Path(__file__).resolve().parents[2] / "shared"


def lines_of(text: str) -> pl.DataFrame:
    """A LINES frame of a text."""
    texts = text.split("\n")
    texts = texts[:-1] if texts[-1] == "" else texts
    return pl.DataFrame({"line": range(1, len(texts) + 1), "text": texts}, schema=dict(LINES))


def reading_of(text: str, source: str = "log.csv") -> Reading:
    """The reading of a text that is a table."""
    reading = table_reader.read(lines_of(text), source)
    assert reading is not None
    return reading


def rows(text: str) -> list[tuple[object, ...]]:
    """Label, value, step, epoch and line of each point."""
    return reading_of(text).points.select("label", "value", "step", "epoch", "line").rows()


@pytest.mark.parametrize("separator", [",", "\t", ";", " | ", "   "])
def test_separators(separator: str) -> None:
    """The separator is found out; the line is the physical one."""
    text = "\n".join(
        separator.join(row) for row in (["epoch", "loss", "val_loss"], ["1", "0.5", "nan"], ["2", "1e-3", "inf"])
    )
    found = rows(text)

    assert found[0] == ("loss", 0.5, None, 1.0, 2)
    assert math.isnan(float(str(found[1][1])))
    assert found[2:] == [("loss", 0.001, None, 2.0, 3), ("val_loss", math.inf, None, 2.0, 3)]


def test_labels_may_have_any_name() -> None:
    """A metric called like one of our own columns collides with nothing."""
    found = rows("step,loss,value,label,record,line,split\n1,2,3,4,5,6,7\n")

    assert [row[:2] for row in found] == [
        ("loss", 2),
        ("value", 3),
        ("label", 4),
        ("record", 5),
        ("line", 6),
        ("split", 7),
    ]


def test_empty_cells_are_absent() -> None:
    """A sparse row gives only what it has, never a zero or a NaN."""
    assert rows("step,loss,val_acc\n49,0.5,\n49,,0.25\n") == [
        ("loss", 0.5, 49, None, 2),
        ("val_acc", 0.25, 49, None, 3),
    ]


def test_late_columns_are_numbers() -> None:
    """A column that is empty for a thousand rows and then holds numbers is read."""
    body = "".join(f"{n},{n / 3},\n" for n in range(3000)) + "3000,1.0,0.75\n"

    assert rows("step,loss,test_acc\n" + body)[-1] == ("test_acc", 0.75, 3000, None, 3002)


@pytest.mark.parametrize(
    "text",
    [
        "           epoch,      train/loss\n               0,             0.5\n               1,            0.25\n",
        "epoch, train/loss\n0 , 0.5 \n1,\t0.25\n",
        "\ufeffepoch,train/loss\n0,0.5\n1,0.25\n",
        '"epoch","train/loss"\n"0","0.5"\n1,0.25\n',
        "#  epoch     train/loss\n      0    5.0e-01\n      1    2.5e-01\n",
        "| epoch | train/loss |\n|---|---|\n| 0 | 0.5 |\n| 1 | 0.25 |\n",
    ],
)
def test_padding_quotes_marks_and_rules(text: str) -> None:
    """However the cells are dressed, labels and numbers are bare."""
    assert [row[:4] for row in rows(text)] == [("train/loss", 0.5, None, 0.0), ("train/loss", 0.25, None, 1.0)]


def test_a_header_that_comes_again_starts_a_segment() -> None:
    """A resume writes the header again, with other columns too."""
    text = "epoch,loss\n0,3\n1,2\nepoch,loss\n1,2.5\nepoch,loss,val_loss\n2,1.5,9\n"

    assert [row[:2] + row[3:] for row in rows(text)] == [
        ("loss", 3, 0, 2),
        ("loss", 2, 1, 3),
        ("loss", 2.5, 1, 5),
        ("loss", 1.5, 2, 7),
        ("val_loss", 9, 2, 7),
    ]


def test_a_cut_last_row_loses_its_last_cell() -> None:
    """The last cell may lack digits; full rows and rows with too many cells are kept."""
    assert [row[:2] for row in rows("step,loss,acc\n1,0.5,0.25\n2,0.5,0.3,77\n3,0.51")] == [
        ("loss", 0.5),
        ("acc", 0.25),
        ("loss", 0.5),
        ("acc", 0.3),
    ]


def test_cells_with_line_breaks_keep_the_line_their_row_starts_on() -> None:
    """RLlib writes arrays into quoted cells."""
    text = "step,reward,note\n1,5.5,\"[1\n 2\n 3]\"\n2,6.5,\"{'a': 1, 'b': 2}\"\n3,7.5,x\n"

    assert rows(text) == [("reward", 5.5, 1, None, 2), ("reward", 6.5, 2, None, 5), ("reward", 7.5, 3, None, 6)]


def test_an_index_column_is_no_metric() -> None:
    """Pandas writes an index without a name; a history without an epoch column has a row an epoch."""
    assert rows(",loss,val_loss\n0,3,4\n1,2,3\n")[2:] == [("loss", 2, None, 1.0, 3), ("val_loss", 3, None, 1.0, 3)]


def test_times() -> None:
    """Timestamps of any fraction become times, durations become seconds."""
    text = "step,loss,timestamp,time\n1,2,2025-09-11T06:01:13.1000000Z,04:39\n2,1,2025-09-11T06:01:14Z,1:00:01\n"
    points = reading_of(text).points

    assert points["time"][0] == datetime(2025, 9, 11, 6, 1, 13, 100_000, tzinfo=UTC)
    assert points.filter(pl.col("label") == "time")["value"].to_list() == [279.0, 3601.0]


def test_val_beside_avg_is_the_last_value() -> None:
    """``loss_val`` is no validation loss when ``loss_avg`` stands beside it; alone it is."""
    assert reading_of("epoch,loss_avg,loss_val\n0,1,2\n1,1,2\n").points["split"].to_list() == [None, "", None, ""]
    assert reading_of("epoch,loss,loss_val\n0,1,2\n1,1,2\n").points["split"].to_list() == [None] * 4


def test_step_and_value_without_a_header() -> None:
    """Two bare columns, a growing step and a number, are a series named by the file."""
    points = reading_of("".join(f"{n} {8 / n}\n" for n in range(1, 9)), "run/train_losses.txt").points

    assert points["label"].unique().to_list() == ["losses"]
    assert points.select("step", "value", "line").row(3) == (4, 2.0, 4)


def test_metadata_in_the_first_line() -> None:
    """A monitor file opens with ``#{...}``, which states settings and vouches for the columns."""
    reading = reading_of('#{"t_start": 17.5, "env_id": "Pong"}\nr,l,t\n80.0,1351,5.87\n')

    assert reading.settings.rows() == [(1, "t_start", "17.5"), (1, "env_id", "Pong")]
    assert reading.points["line"].to_list() == [3, 3, 3]


def test_a_dashboard_export_is_named_by_its_file() -> None:
    """TensorBoard exports ``Wall time,Step,Value``; the file's name holds the tag."""
    points = reading_of(
        "Wall time,Step,Value\n1700000000.5,10,0.5\n1700000001.5,20,0.25\n", "run-a-tag-val_loss.csv"
    ).points

    assert points["label"].to_list() == ["val_loss", "val_loss"]
    assert points["step"].to_list() == [10, 20]
    assert points["time"].null_count() == 0


@pytest.mark.parametrize(
    "text",
    [
        "name,age\nann,3\nbob,4\n",
        "id,text,label,score\n1,hello there,0,0.5\n2,good bye,1,0.75\n",
        "x,y\n1,2\n3,4\n",
        "Hello, epoch\nthis is, text\n",
        "batch_size,256\nlr,0.1\n",
        "date,open,close\n2020-01-01,1.5,2.5\n2020-01-02,1.5,2.5\n",
        "5.1 3.5 1.4 0.2 0\n4.9 3.0 1.4 0.2 0\n4.7 3.2 1.3 0.2 0\n4.6 3.1 1.5 0.2 0\n5.0 3.6 1.4 0.2 1\n",
        "epoch 1 loss 0.5\nepoch 2 loss 0.4\n",
        "",
        "\n\n",
        "step,loss\n",
    ],
)
def test_other_tables_are_declined(text: str) -> None:
    """Data sets, configuration and prose are no training records."""
    assert table_reader.read(lines_of(text), "x.csv") is None


def test_the_fine_tuning_runs_are_read_whole() -> None:
    """All four published runs give their steps, sparse validation rows and times."""
    folder = SHARED / "cases" / "finetune-runs"
    if not folder.is_dir():
        pytest.skip("the shared cases are not present")
    facts = {}
    for path in sorted(folder.glob("*.csv")):
        points = reading_of(path.read_text("utf-8")).points
        assert points["time"].null_count() == 0
        count = dict(points["label"].value_counts().rows())
        facts[path.stem[-1]] = (points["step"].max(), count["valid_loss"], count["full_valid_loss"])

    assert facts == {"2": (683, 69, 1), "3": (291, 30, 1), "4": (560, 56, 2), "5": (280, 28, 1)}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats() | st.none(), st.floats() | st.none()), min_size=1, max_size=12),
    st.sampled_from([",", "\t", ";"]),
)
def test_floats_come_back_exactly(cells: list[tuple[float | None, ...]], separator: str) -> None:
    """Whatever is sparse, every written number is read with all its digits, at its line, and no other."""
    cells = [(1.0, None), *cells]  # a table without any number is no table
    shown = [
        separator.join([str(n), *("" if cell is None else repr(cell) for cell in row)]) for n, row in enumerate(cells)
    ]
    found = [
        (str(value), line)
        for _, value, _, _, line in rows("\n".join([separator.join(["step", "loss", "acc"]), *shown]))
    ]

    assert found == [(str(cell), n + 2) for n, row in enumerate(cells) for cell in row if cell is not None]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet='ab,;\t"|# 01.e-\nstepo', max_size=120))
def test_any_text_is_read_or_declined(text: str) -> None:
    """No text makes an exception."""
    table_reader.read(lines_of(text), "x")
