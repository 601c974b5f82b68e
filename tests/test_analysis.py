"""From paths to a report: order, folding, what the user adds, and what must not change a finding."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmortem.analysis import Options, analyze
from postmortem.model import Finding

OVERFIT = [
    f"2026-01-05 10:{epoch:02d}:00,000 [INFO] Epoch {epoch}/30 - train_loss: {1 / epoch:.5f} - val_loss: {value:.5f}"
    for epoch, value in enumerate([0.9 - 0.05 * e if e < 8 else 0.5 + 0.04 * (e - 8) for e in range(30)], 1)
]


def findings(tmp_path: Path, lines: list[str], **options: object) -> list[Finding]:
    """Findings of a text log with these lines."""
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    (folder / "train.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (run,) = analyze([folder], Options(**options)).runs
    return list(run.findings)


def said(found: list[Finding]) -> list[tuple[str, str | None, float | None, float | None]]:
    """What of findings must not change: id, metric, first and last epoch."""
    return sorted((f.id, f.metric, f.first.epoch, f.last.epoch) for f in found)


def test_consequences_are_folded_and_come_last(tmp_path: Path) -> None:
    """Late stopping follows from overfitting: it is named under it and after it."""
    found = findings(tmp_path, OVERFIT)

    assert [(f.id, f.folded_under) for f in found] == [("overfit", None), ("late-stopping", "overfit")]


CHANGES = {
    "noise between the lines": lambda lines: [
        x for line in lines for x in (line, "Saving checkpoint...", "", "=" * 40)
    ],
    "windows line ends": lambda lines: [line + "\r" for line in lines],
    "colours": lambda lines: [f"\x1b[32m{line}\x1b[0m" for line in lines],
    "a synonym": lambda lines: [
        line.replace("val_loss", "valid_loss").replace("train_loss", "training_loss") for line in lines
    ],
    "another separator": lambda lines: [line.replace(": ", "=").replace("] Epoch", "] epoch") for line in lines],
    "a thousand times the loss": lambda lines: [_scaled(line, 1000) for line in lines],
}


def _scaled(line: str, factor: float) -> str:
    words = line.split(" ")
    return " ".join(
        f"{float(word) * factor:.2f}" if word.count(".") == 1 and word[0].isdigit() else word for word in words
    )


@pytest.mark.parametrize("change", CHANGES)
def test_what_does_not_matter_changes_nothing(tmp_path: Path, change: str) -> None:
    """Noise lines, line ends, colours, synonyms, separators and the unit of a loss change no finding."""
    assert said(findings(tmp_path, CHANGES[change](OVERFIT))) == said(findings(tmp_path, OVERFIT))


def test_facts_from_the_command_line_reach_the_rules(tmp_path: Path) -> None:
    """A size the log lacks, given by the user, makes a check applicable; its source is named."""
    settings = {"n_train": "1200", "batch_size": "50", "steps_per_epoch": "96"}
    found = [f for f in findings(tmp_path, OVERFIT, settings=settings) if f.id == "sample-duplication"]

    assert ["k = 4" in f.message for f in found] == [True]
    assert {piece.source for piece in found[0].evidence if piece.name == "training samples"} == {"--set"}


def test_direction_from_the_command_line_reaches_the_rules(tmp_path: Path) -> None:
    """A metric whose name does not tell its direction is judged once the user says which way is better."""
    lines = [line.replace("val_loss", "val_zeta").replace("train_loss", "train_zeta") for line in OVERFIT]

    assert "overfit" not in {f.id for f in findings(tmp_path, lines)}
    assert "overfit" in {f.id for f in findings(tmp_path, lines, directions={"zeta": "min"})}


def test_user_rule_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    """A rule of the user with a shipped id replaces it."""
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "overfit.yaml").write_text(
        "id: overfit\ntitle: Mine\nseverity: info\nwhen: last(val.loss) > 0\nmessage: mine\n"
        "finds: It.\nwhy: So.\ndo: [Look.]\nwrong_when: Never.\n"
    )

    assert [f.message for f in findings(tmp_path, OVERFIT, rules=(rules,)) if f.id == "overfit"] == ["mine"]


def test_configuration_names_the_file(tmp_path: Path) -> None:
    """Rules switched off in ``postmortem.toml`` are not run."""
    config = tmp_path / "postmortem.toml"
    config.write_text('[rules]\noff = ["overfit", "late-stopping"]\n')

    assert findings(tmp_path, OVERFIT, config=config) == []


def test_a_few_alike_among_many_do_not_lead(tmp_path: Path) -> None:
    """What a few of many runs have in common stands behind what most of them need; among half of them it leads."""
    alike = Path(__file__).parents[1] / "fixtures" / "sick" / "identical-across-runs"
    for seed in range(4):
        values = [f"{epoch + 1},{1 / (epoch + 1) + 0.01 * seed:.5f}" for epoch in range(12)]
        (tmp_path / f"seed{seed}.csv").write_text("\n".join(["epoch,train_loss", *values]) + "\n", encoding="utf-8")

    assert analyze([alike]).headline.startswith("a metric is the same to the last digit")
    assert "identical-across-runs across 3" in analyze([alike, tmp_path]).headline
