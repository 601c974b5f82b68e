"""Functions of optimisation: leaps, levels, layers, schedules and two curves at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_engine import value, view

from postmortem import ingest
from postmortem.engine import RunView

RUN = view(
    {
        "train.loss": "2-0.1x14 0.59 0.58 0.57 0.56 1.9 0.6 0.55 0.54 0.53 0.52 0.51 0.5 0.5 0.49 0.49",
        "lr": "0.1 0.1 0.05 0.01 0.001 0.0005x24",
        "val.accuracy": "50 90 90 90",
        "short": "1",
        "cycle": "1-0.2x5 0.2+0.2x4 0.8-0.2x4 0.2+0.2x4",
        "restart": "1 0.5 0.2 0 1 0.5 0.2 0 1 0.5 0.2 0 1",
    },
    facts={"scheduler": "CosineAnnealingLR"},
)

EXPRESSIONS = [
    ("surges(train.loss)", [1.9]),
    ("step_of(surge_height(train.loss))", 20.0),
    ("round(10 * surge_height(train.loss)) / 10", 1.3),
    ("count(surges(train.loss, 2))", 0.0),
    ("round(10 * climb(train.loss)) / 10", 1.3),
    ("ending(lr)", 25.0),
    ("step_of(ending(lr))", 6.0),
    ("stays_below(lr, 0.001)", 26.0),
    ("stays_below(lr, 0.0001)", 0.0),
    ("step_of(last_above(lr, 0.05))", 3.0),
    ("last_above(lr, 1)", "lr never reaches that level"),
    ("turns_back(cycle)", 2.0),
    ("step_of(turns_back(cycle))", 9.0),
    ("turns_back(restart)", 0.0),
    ("fraction(val.accuracy)", [0.5, 0.9, 0.9, 0.9]),
    ("guesses(log(10) + 0 * first(lr))", 10.0),
    ("guesses(first(short) * 2.35)", "no number of classes has that cross-entropy"),
    ("growth(short)", "short has 1 finite points, 2 are needed"),
    ("fall_bound(short)", "short has 1 finite points, too few to bound its fall"),
    ('says("scheduler", "COSINE")', 1.0),
    ('says("optimizer", "sgd")', 0.0),
    ("starts_over(lr)", "lr does not start over after a resume"),
    ("layer_gradients()", "gradient norms are not logged layer by layer"),
    ("advantage(val.accuracy, train.accuracy)", "train.accuracy is not logged"),
]


@pytest.mark.parametrize(("text", "expected"), EXPRESSIONS)
def test_value(text: str, expected: object) -> None:
    """The expression has the value that its sentence promises, or says why it has none."""
    result = value(text, RUN)

    assert result == (pytest.approx(expected) if isinstance(expected, float | list) else expected)


def test_layers_come_in_the_order_they_are_logged() -> None:
    """The median of the second half counts; the norm of the whole model and that of an optimiser are no layers."""
    run = view(
        {
            "grad_norm": "9x5",
            "grad_norm/total": "9x5",
            "grad_norm_0": "9x5",
            "layer2/grad_norm": "2 4 4 4 4",
            "grad_norm/z": "5 1 1 1 2",
            "grad_norm/a": "7 3 3 3 3",
        }
    )

    assert value("layer_gradients()", run) == [4.0, 1.0, 3.0]


LAGS = [
    # The training loss of an epoch is that of the model half an epoch ago: no advantage, whatever it looks like.
    ("2 1 0.5 0.25 0.125 0.0625 0.03125 0.015625", "1 0.5 0.25 0.125 0.0625 0.03125 0.015625 0.0078", 0.0, 1.0),
    ("1x7", "0.5x7", 0.5, 1 / 16),
]


@pytest.mark.parametrize(("train", "val", "share", "chance"), LAGS)
def test_advantage_is_over_the_training_that_follows(train: str, val: str, share: float, chance: float) -> None:
    """A validation value is compared with the training values up to the next one, by a sign test."""
    run = view({"train.loss": train, "val.loss": val})

    assert value("advantage(val.loss, train.loss)", run) == pytest.approx(share)
    assert value("advantage_p(val.loss, train.loss)", run) == pytest.approx(chance)


@pytest.mark.parametrize(("facts", "harder"), [({}, 0.0), ({"dropout": 0}, 0.0), ({"hidden_dropout_prob": 0.1}, 1.0)])
def test_stated_dropout_makes_training_harder(facts: dict[str, float], harder: float) -> None:
    """A dropout of zero is none."""
    assert value("harder_training()", view({"train.loss": "1 2"}, facts=facts)) == harder


SCHEDULES = {
    "starts over": ("0.1 0.08 0.06 0.04 0.02", "0.1 0.08", 0.1),
    "goes on": ("0.1 0.08 0.06 0.04 0.02", "0.018 0.016", "lr does not start over after a resume"),
}


@pytest.mark.parametrize(("before", "after", "expected"), SCHEDULES.values(), ids=SCHEDULES)
def test_a_schedule_after_a_resume(before: str, after: str, expected: object, tmp_path: Path) -> None:
    """Only a rate that repeats the very first one, and not the last one, has started over."""
    rates = before.split() + after.split()
    lines = [f"epoch {epoch} train_loss {1 / epoch:.4f} lr {rate}" for epoch, rate in enumerate(rates, 1)]
    lines.insert(5, "Resumed training from checkpoint.pt")
    (tmp_path / "train.log").write_text("\n".join(lines) + "\n")
    (run,) = ingest.read([tmp_path], settings={}).runs

    assert value("starts_over(lr)", RunView(run, {})) == expected
