"""The JSON reader: documents and JSON lines, whole and broken."""

from __future__ import annotations

import json
import math
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem.ingest import read
from postmortem.ingest.reading import LINES, Reading
from postmortem.ingest.structured import json_document, json_reader

SHARED = Path(__file__).resolve().parents[2] / "shared"


def lines_of(text: str) -> pl.DataFrame:
    """A LINES frame of a text."""
    texts = text.split("\n")
    texts = texts[:-1] if texts[-1] == "" else texts
    return pl.DataFrame({"line": range(1, len(texts) + 1), "text": texts}, schema=dict(LINES))


def reading_of(text: str) -> Reading:
    """The reading of a text that is JSON."""
    reading = json_reader.read(lines_of(text), "log.json")
    assert reading is not None
    return reading


def rows(text: str) -> list[tuple[object, ...]]:
    """Label, value, step, epoch and line of each point."""
    return reading_of(text).points.select("label", "value", "step", "epoch", "line").rows()


def test_each_value_of_a_document_has_its_own_line() -> None:
    """A pretty-printed list of records gives the line of every single value."""
    text = json.dumps([{"epoch": 0, "loss": 0.5, "val": {"acc": 0.1}}, {"epoch": 1, "loss": 0.4}], indent=2)

    assert rows(text) == [("loss", 0.5, None, 0.0, 4), ("val/acc", 0.1, None, 0.0, 6), ("loss", 0.4, None, 1.0, 11)]


def test_the_published_history_points_at_the_lines_of_the_file() -> None:
    """Every value of the detector's history stands on the line that is named for it."""
    path = SHARED / "cases" / "lens-gen2" / "history.json"
    if not path.is_file():
        pytest.skip("the shared cases are not present")
    text = path.read_text("utf-8")
    points = reading_of(text).points
    written = text.splitlines()

    assert points.height == 12 * 17
    for label, value, line in points.select("label", "value", "line").rows():
        assert json.loads("{" + written[line - 1].strip().rstrip(",") + "}") == {label: value}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"loss": [3, 2, 1], "val_loss": [4, 3, 2]}, {("loss", 3): 0.0, ("val_loss", 2): 2.0}),
        ({"train": {"loss": [3, 2]}, "val": {"loss": [5, 4]}}, {("train/loss", 3): 0.0, ("val/loss", 4): 1.0}),
        ({"history": {"loss": [3, 2], "val_loss": [3, 2]}, "config": {"layers": [1, 2, 3]}}, {("loss", 2): 1.0}),
        ({"epoch_1": {"loss": 3}, "epoch_2": {"loss": 2}}, {("loss", 3): 1.0, ("loss", 2): 2.0}),
        ({"epoch": [5, 6], "loss": [3, 2]}, {("loss", 3): 5.0, ("loss", 2): 6.0}),
        ({"runs": [{"epoch": 1, "loss": "0.5"}, {"epoch": 2, "loss": "0.25"}]}, {("loss", 0.5): 1.0}),
        ([{"epoch": 1, "loss": {"mean": 2, "std": 1, "num": 8}}], {("loss", 2): 1.0}),
        ([{"epoch": 1, "loss": 1, "bbox": [0.5, 0.75]}], {("bbox[1]", 0.75): 1.0}),
    ],
)
def test_shapes_of_histories(document: object, expected: dict[tuple[str, float], float]) -> None:
    """The shapes that people write all give points at their epoch."""
    found = {(label, value): epoch for label, value, _, epoch, _ in rows(json.dumps(document, indent=1))}

    assert found.items() >= expected.items()
    assert not any(label.startswith("layers") for label, _ in found)


def test_lists_of_another_length_are_no_metric_unless_their_name_is() -> None:
    """``layer_sizes`` beside a history is configuration; a sparser ``val_loss`` is kept, without a guessed epoch."""
    document = {"loss": [1, 2, 3, 4, 5, 6], "acc": [1, 2, 3, 4, 5, 6], "val_loss": [7, 8], "layer_sizes": [64, 32, 10]}
    found = rows(json.dumps(document))

    assert {label for label, *_ in found} == {"loss", "acc", "val_loss"}
    assert [epoch for label, _, _, epoch, _ in found if label == "val_loss"] == [None, None]


def test_own_axes_of_a_series_are_used() -> None:
    """Sacred's metrics bring their steps and timestamps."""
    series = {
        "steps": [10, 20],
        "timestamps": ["2023-07-08T17:36:26.6188", "2023-07-08T17:37:26"],
        "values": [1, math.nan],
    }
    points = reading_of(json.dumps({"training.loss": series})).points

    assert points["step"].to_list() == [10, 20]
    assert points["time"].dt.epoch("s").to_list() == [1688837786, 1688837846]
    assert math.isnan(points["value"][1])


def test_configuration_beside_records_becomes_settings() -> None:
    """What stands beside the log history is stated with its key and its line."""
    text = json.dumps({"max_steps": 100, "config": {"lr": 0.1}, "log_history": [{"step": 1, "loss": 2.0}]}, indent=2)

    assert reading_of(text).settings.rows() == [(2, "max_steps", "100"), (4, "lr", "0.1")]


@pytest.mark.parametrize(
    "text",
    [
        '{"lr": 0.1, "batch_size": 3, "loss_weight": 1.0}',
        '{"a": [1, 2, 3]}',
        "[1, 2, 3]",
        '[{"name": "x", "size": 3}, {"name": "y", "size": 4}]',
        '{"name": "package"}',
    ],
)
def test_other_json_gives_no_points(text: str) -> None:
    """Configuration and data are not training records."""
    assert reading_of(text).points.is_empty()


def test_trailing_damage_keeps_the_complete_records() -> None:
    """A file cut anywhere gives a prefix of its records and never an invented value."""
    whole = json.dumps([{"epoch": n, "loss": 1 / (n + 1), "note": "a, [b"} for n in range(4)], indent=1)
    full = rows(whole)
    kept = []
    for cut in range(1, len(whole)):
        reading = json_reader.read(lines_of(whole[:cut]), "log.json")
        found = reading.points.select("label", "value", "step", "epoch", "line").rows() if reading else []
        assert found == full[: len(found)]
        kept.append(len(found))

    assert kept == sorted(kept)
    assert kept[-1] == 4


def test_a_cut_dict_of_lists_keeps_what_a_comma_follows() -> None:
    """The last number may lack digits, so it is dropped."""
    assert [row[:2] for row in rows('{"loss": [1.5, 2.25, 3.1')] == [("loss", 1.5), ("loss", 2.25)]


def test_json_lines_with_sparse_keys() -> None:
    """Keys that come seldom are found, lines lack what they lack, and the line number is the physical one."""
    text = "".join(
        json.dumps({"step": n, "loss": n / 7, **({"eval_loss": 1.0} if n == 777 else {})}) + "\n\n" for n in range(1000)
    )
    found = rows(text)

    assert len(found) == 1001
    assert ("eval_loss", 1.0, 777, None, 777 * 2 + 1) in found


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('{"step": 1, "loss": NaN}', math.nan),
        ('{"step": 1, "loss": -Infinity}', -math.inf),
        ('{"step": 1, "loss": "1.5"}', 1.5),
        ('{"step": 1, "loss": "nan"}', math.nan),
        ('{"step": 1, "loss": 1e999}', math.inf),
        ("{'step': 1, 'loss': 1.5}", 1.5),
        ("{'step': 1, 'loss': nan, 'note': None}", math.nan),
        ("{'step': 1, 'loss': '1.808e+04'}", 18080.0),
        ('{"step": 1, "loss": {"mean": 2.0, "std": 0.1}}', 2.0),
        ('{"step": 1, "other": {"loss": 4}}', 4.0),
        ('{"step": 1, "note": "it\'s NaN, or: Infinity]", "loss": 5}', 5.0),
    ],
)
def test_odd_values_in_json_lines(line: str, value: float) -> None:
    """NaN, infinities, quoted numbers, Python reprs and nested means are read, beside ordinary lines."""
    text = "\n".join(['{"step": 0, "loss": 9.0}'] * 40 + [line] + ['{"step": 2, "loss": 8.0}'] * 40)
    found = [row for row in rows(text) if row[4] == 41]

    assert len(found) == 1
    assert found[0][1] == value or (math.isnan(value) and math.isnan(float(str(found[0][1]))))
    assert found[0][2] == 1


def test_configuration_inside_records_is_stated_once() -> None:
    """RLlib repeats its configuration in every record: it is settings, and no metric."""
    record = {"training_iteration": 1, "episode_reward_mean": 5.0, "config": {"lr": 0.1, "model": {"dim": 64}}}
    reading = reading_of(f"{json.dumps(record)}\n" * 3)

    assert reading.settings.rows() == [(1, "lr", "0.1"), (1, "model.dim", "64")]
    assert reading.points["label"].unique().to_list() == ["episode_reward_mean"]


def test_bare_and_quoted_values_of_one_key() -> None:
    """A key whose values are now numbers, now texts, now NaN is read as numbers all through."""
    values = [
        row[1] for row in rows("".join(f'{{"step": 1, "loss": {value}}}\n' for value in ('"1.5"', "2.5", "NaN", '"x"')))
    ]

    assert values[:2] == [1.5, 2.5]
    assert len(values) == 3
    assert math.isnan(float(str(values[2])))


def test_the_mean_over_the_run_is_no_training_loss() -> None:
    """Hugging Face's last record sums the run up; its ``train_loss`` is no point of the curve."""
    history = [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.0}, {"step": 2, "train_loss": 1.5, "train_runtime": 9.0}]
    points = reading_of(json.dumps({"log_history": history})).points

    assert points.select("label", "split").rows() == [
        ("loss", "train"),
        ("loss", "train"),
        ("train_loss", "run"),
        ("train_runtime", None),
    ]


def test_a_bad_line_costs_only_itself() -> None:
    """Text between the records and a cut last line are left unread; all else is kept."""
    text = '{"step": 0, "loss": 1}\nWARNING: disk\n{"step": 1, "loss": 2}\n{"step": 2, "loss": [}\n{"step": 3, "lo'
    reading = reading_of(text)

    assert reading.points["value"].to_list() == [1.0, 2.0]
    assert reading.unread["line"].to_list() == [2, 4, 5]


def test_what_stands_between_the_records_is_read_too(tmp_path: Path) -> None:
    """A crash at the end of a file of records is an event of the run."""
    path = tmp_path / "train.log"
    crash = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\nValueError: bad batch\n'
    path.write_text("".join(f"{{'loss': {9 / n}, 'epoch': {n}}}\n" for n in range(1, 40)) + crash, "utf-8")
    run = read([path]).runs[0]

    assert run.metrics.height == 39
    assert run.events.select("kind", "text", "line").rows() == [("traceback", "ValueError: bad batch", 42)]


def test_the_whole_number_of_an_iteration_is_a_step_only_when_it_counts_on() -> None:
    """Where ``iter`` starts again each epoch its place in the run is unknown; ``mode`` gives the split."""
    text = "\n".join(
        json.dumps({"mode": "train", "epoch": e, "iter": i, "loss": 1.0}) for e in (1, 2, 3) for i in (5, 10)
    )
    points = reading_of(text).points.filter(pl.col("label") == "loss")

    assert points["step"].null_count() == 6
    assert points["epoch"].to_list() == [1, 1, 2, 2, 3, 3]
    assert points["split"].unique().to_list() == ["train"]


def test_validation_records_whose_step_is_the_epoch_stand_behind_their_training() -> None:
    """Mmengine writes the epoch as the step of a validation record."""
    records = [
        {"epoch": e, "step": e * 50, "loss": 1.0} if kind else {"step": e, "acc": 0.5}
        for e in (1, 2)
        for kind in (1, 0)
    ]
    points = reading_of("\n".join(map(json.dumps, records))).points

    assert points.select("label", "step", "epoch").rows() == [
        ("loss", 50, 1.0),
        ("acc", 50, 1.0),
        ("loss", 100, 2.0),
        ("acc", 100, 2.0),
    ]


@pytest.mark.parametrize("bomb", ["[" * 100_000, '{"a":' * 100_000, "[{" * 1000, '"' * 1000, "{" + '"a": [1,' * 5000])
def test_deep_or_broken_json_is_survived(bomb: str) -> None:
    """Hostile nesting gives None or an empty reading."""
    reading = json_reader.read(lines_of(bomb), "x")

    assert reading is None or reading.points.is_empty()


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet='{}[]",:0123456789.eE-+ \nabnulltruefsNaI\\', max_size=120))
def test_any_text_is_read_or_declined(text: str) -> None:
    """No text makes an exception."""
    json_reader.read(lines_of(text), "x")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=8))
def test_floats_come_back_exactly(values: list[float]) -> None:
    """Values of a document keep every digit."""
    text = json.dumps([{"step": n, "loss": value} for n, value in enumerate(values)], indent=1)
    got = [value for _, value, *_ in rows(text)]

    assert [str(value) for value in got] == [str(float(value)) for value in values]


def test_mending_closes_what_was_open() -> None:
    """Only what a comma or a bracket follows is complete."""
    assert json.loads(json_document.mended('{"a": {"b": [1, 2, 3')) == {"a": {"b": [1, 2]}}
    assert json.loads(json_document.mended('[{"a": 1}, {"b": 2, "c')) == [{"a": 1}]
