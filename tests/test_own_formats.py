"""A user's own format: drafts of logs that nobody knows, what a pack on trial reads, packs of columns, packs in use."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import console
import polars as pl
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from postmortem import ingest
from postmortem.cli import main
from postmortem.errors import FormatError, InputError
from postmortem.ingest.drafts.draft import draft, unnamed, with_gives
from postmortem.ingest.drafts.mining import mine, tokenize
from postmortem.ingest.drafts.trial import tried
from postmortem.ingest.lines import read_lines
from postmortem.ingest.packs.pack import load_pack, load_packs

PAGE = Path(__file__).parents[1] / "docs" / "own-format.md"


def log(folder: Path, *lines: str, name: str = "train.log") -> Path:
    """A log of the lines given."""
    path = folder / name
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def points(folder: Path, *lines: str, name: str = "train.log", **renamed: str) -> list[tuple[object, ...]]:
    """What the draft of a log reads of it: line, step, epoch, split, label, value."""
    path = log(folder, *lines, name=name)
    text = draft("mine", path)
    for old, new in renamed.items():
        text = text.replace(f" {old}: {old}", f" {old}: {new}")
    reading = tried(load_pack(with_gives(text)), (), path).reading
    return reading.points.select("line", "step", "epoch", "split", "label", "value").rows()


# --- drafts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["it 1 loss=0.5", "it 2 loss=nan", "it 3 loss=.25"], [(1, 1, None, None, "loss", 0.5)]),
        (["E3|0.5", "E4|0.25", "E5|0.125"], [(1, None, 3.0, None, "n1", 0.5)]),
        (["1;0.5;7e-4", "2;0.4;6e-4", "3;0.3;5e-4"], [(1, 1, None, None, "n2", 0.5), (1, 1, None, None, "n3", 7e-4)]),
        (["[1/9][5/20] 0.5", "[1/9][10/20] 0.4", "[2/9][5/20] 0.3"], [(1, 5, 1.0, None, "n3", 0.5)]),
        (["<train> 3.0 (4.0) x", "<val> 2.0 (3.0) x", "<train> 1.0 (2.0) x"], [(1, None, None, "train", "n1", 3.0)]),
        (["acc 51.2% (50.1%)", "acc 52.2% (51.1%)", "acc 53.2% (52.1%)"], [(1, None, None, None, "acc", 51.2)]),
        (["step  1 l{ 9.0}", "step 10 l{10.0}", "step 20 l{11.0}"], [(1, 1, None, None, "l", 9.0)]),
        (["grad norm: 1,234.5 eta 0:01", "grad norm: 9.5 eta 0:02", "grad norm: 8.5 eta 0:03"],
         [(1, None, None, None, "grad norm", 1234.5)]),
    ],
)  # fmt: skip
def test_a_draft_reads_the_log_it_was_made_from(tmp_path: Path, lines: list[str], first: list[tuple[object]]) -> None:
    """Counters are positions by their name, or by what they do; what has no name has a placeholder."""
    found = points(tmp_path, *lines)

    assert found[: len(first)] == first
    assert {row[0] for row in found} == {1, 2, 3}


@settings(max_examples=12)
@given(
    words=st.lists(st.sampled_from(["loss", "acc", "|g|", "to go", "é", "a.b"]), min_size=1, max_size=4, unique=True),
    sign=st.sampled_from([": ", "=", " ", " -> ", "{", " | ", "'"]),
    values=st.lists(st.floats(-1e6, 1e6, width=32).filter(lambda x: x != int(x)), min_size=3, max_size=5, unique=True),
    stamp=st.sampled_from(["", "2025-01-02 03:04:05,678 INFO ", "[01/02 03:04:05] "]),
)  # fmt: skip
def test_every_draft_proves_itself(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], sign: str, values: list[float], stamp: str
) -> None:
    """Whatever the style, a draft is a sound pack whose samples hold, and it takes every line it was made from."""
    lines = [stamp + " ".join(f"{word}{sign}{value}" for word in words) for value in values]
    path = log(tmp_path_factory.mktemp("draft"), *lines)
    reading = tried(load_pack(draft("mine", path)), (), path).reading

    assert reading.unread.is_empty()
    assert reading.points["value"].to_list() == [float(str(value)) for value in values for _ in words]


def test_lines_that_say_other_things_are_not_merged(tmp_path: Path) -> None:
    """A word that names a number never varies, unless it is a split or a name with digits."""
    path = log(
        tmp_path, *(f"{word} {0.5 + n}" for n in range(3) for word in ("loss", "acc", "train", "val", "gpu0", "gpu1"))
    )

    assert [(each.texts[0], len(each.lines)) for each in mine(read_lines(path).lines)] == [
        ("loss 0.5", 3),
        ("acc 0.5", 3),
        ("train 0.5", 6),
        ("gpu0 0.5", 6),
    ]


def test_tokens_hold_the_whole_line() -> None:
    """Nothing of a line is lost between its tokens."""
    line = " E03B017 loss=-1.5e-3 (nan) 3x3 v1.2.3 12:30:01 99% a->b …"

    assert "".join(token.gap + token.text for token in tokenize(line)) == line


def test_headings_govern_and_end(tmp_path: Path) -> None:
    """What stands under a heading is of its split until the next epoch opens."""
    lines = [
        line for n in range(3) for line in (f"== {n} ==", f"loss {n + 0.5}", "-- validation --", f"loss {n + 0.7}")
    ]
    found = points(tmp_path, *lines)

    assert [(row[3], row[5]) for row in found[:4]] == [(None, 0.5), ("val", 0.7), (None, 1.5), ("val", 1.7)]


def test_placeholders_become_names_and_positions(tmp_path: Path) -> None:
    """One word under `labels` says what a number is, be it a metric, a position or nothing."""
    lines = [f"run 7 :: {3 * n} :: {0.5 / n} :: {9 - n}.5" for n in (1, 2, 3)]
    path = log(tmp_path, *lines)
    text = draft("mine", path)
    assert unnamed(load_pack(text)) == ["n2", "n3"]

    text = text.replace("n1: step", "n1: epoch").replace("n2: n2", "n2: val loss").replace("n3: n3", "n3: nothing")
    found = tried(load_pack(with_gives(text)), (), path).reading.points
    assert found.select("step", "epoch", "label", "value").rows()[0] == (None, 3.0, "val loss", 0.5)
    assert found["label"].unique().to_list() == ["val loss"]


@pytest.mark.parametrize("lines", [["nothing to see"] * 9, ["once 1", "twice 2"], [""]])
def test_no_draft_of_what_does_not_repeat(tmp_path: Path, lines: list[str]) -> None:
    """A text without lines that repeat with other numbers is refused with a reason."""
    with pytest.raises(InputError, match="repeats"):
        draft("mine", log(tmp_path, *lines))


# --- columns ------------------------------------------------------------------------------------------------

JSON_LINES = [
    json.dumps({"it": 10 * n, "who": {"tl": 1 / n}, "vl": 2 / n, "phase": "train", "note": "x"}) for n in (1, 2, 3)
]
DOCUMENT = [json.dumps({"hist": {"tl": [3.5, 2.5, 1.5], "vl": [4.5, 3.5, 2.5]}})]
TABLE = ["k;tl;vl;note", *(f"{n};{1 / n};{2 / n};x" for n in (1, 2, 3))]


@pytest.mark.parametrize(
    ("name", "lines", "first"),
    [
        ("a.jsonl", JSON_LINES, [(1, 10, None, None, "who/train loss", 1.0), (1, 10, None, None, "val loss", 2.0)]),
        ("a.json", DOCUMENT, [(1, None, 0.0, None, "train loss", 3.5), (1, None, 0.0, None, "val loss", 4.5)]),
        ("a.csv", TABLE, [(2, 1, None, None, "train loss", 1.0), (2, 1, None, None, "val loss", 2.0)]),
        ("a.txt", [line.replace(";", "  ") for line in TABLE],
         [(2, 1, None, None, "train_loss", 1.0), (2, 1, None, None, "val_loss", 2.0)]),
    ],
)  # fmt: skip
def test_columns_have_the_names_the_pack_gives_them(
    tmp_path: Path, name: str, lines: list[str], first: list[tuple[object]]
) -> None:
    """Keys of JSON at any depth and columns of tables are translated; the generic readers do the rest."""
    if name == "a.txt":
        (tmp_path / "mine.yaml").write_text(
            "id: mine\ntitle: mine\nkind: table\ncolumns: {k: step, tl: train loss, vl: val loss}\n"
            "samples:\n  - line: |\n      k tl vl\n      1 2.5 3.5\n      2 2.0 3.0\n    gives: nothing\n"
        )
        pack = load_pack(with_gives((tmp_path / "mine.yaml").read_text()))
        found = tried(pack, (), log(tmp_path, *lines)).reading.points
        assert found.select("line", "step", "epoch", "split", "label", "value").rows()[:2] == first
    else:
        assert points(tmp_path, *lines, name=name, tl="train loss", vl="val loss")[:2] == first


def test_a_pack_of_columns_claims_its_files_alone(tmp_path: Path) -> None:
    """A table that has few of a pack's names is left to others, and keeps its own names."""
    (tmp_path / "mine.yaml").write_text(draft("mine", log(tmp_path, *TABLE, name="a.csv")))
    packs = load_packs([tmp_path / "mine.yaml"])
    log(tmp_path, "epoch,train_loss,vl", "1,0.5,1", "2,0.4,2", name="b.csv")

    formats = {
        each.path.rpartition("/")[2]: each.format
        for run in ingest.read([tmp_path], packs=packs).runs
        for each in run.sources
    }
    assert formats == {"a.csv": "mine", "b.csv": "table"}


def test_kinds_are_told_apart() -> None:
    """An unknown kind is refused with the kinds there are."""
    with pytest.raises(FormatError, match="did you mean 'json'"):
        load_pack("id: x\ntitle: x\nkind: jsno\ncolumns: {a: b}\nsamples: [{line: x, gives: nothing}]\n")


# --- in use -------------------------------------------------------------------------------------------------


@pytest.fixture
def arrows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a log in a style of its own, and a pack for it."""
    monkeypatch.chdir(tmp_path)
    path = log(
        tmp_path,
        *(f">> {n} :: {1 / n + 0.001:.3f} / {2 / n}" for n in range(1, 30)),
        "loss: 9.0 is the last",
        name="a.log",
    )
    text = draft("arrows", path).replace("n2: n2", "n2: train loss").replace("n3: n3", "n3: val loss")
    (tmp_path / "formats").mkdir()
    (tmp_path / "formats" / "arrows.yaml").write_text(with_gives(text))
    return tmp_path


def run(*words: object) -> tuple[int, str]:
    """Exit code and output of a command."""
    done = CliRunner().invoke(main, [str(word) for word in words])
    return done.exit_code, done.output


@pytest.mark.parametrize("words", [["--formats", "formats"], ["--formats", "formats/arrows.yaml"], []])
def test_own_packs_are_asked_first(arrows: Path, words: list[str]) -> None:
    """From a folder, a file, or `[formats] use` of the configuration, for every command that reads."""
    if not words:
        (arrows / "postmortem.toml").write_text('[formats]\nuse = ["formats/"]\n')
    assert run("export", "a.log", "-o", "m.csv", *words)[0] == 0
    labels = pl.read_csv("m.csv").filter(pl.col("value") < 9)["label"].unique().sort().to_list()

    assert labels == ["train loss", "val loss"]


def test_own_packs_are_everywhere(arrows: Path) -> None:
    """The configuration's formats are listed, explained and used in an analysis."""
    (arrows / "postmortem.toml").write_text('[formats]\nuse = ["formats/"]\n')

    assert "arrows" in run("formats", "list")[1]
    assert "read as arrows" in run("formats", "explain", "a.log")[1]
    assert "val.loss" in run("analyze", "a.log")[1]


@pytest.mark.parametrize("text", ["[formats]\nuse = 3\n", "formats = 3\n", "[formats\n"])
def test_a_wrong_configuration_is_told(arrows: Path, text: str) -> None:
    """What is no list of paths is an error of the configuration."""
    (arrows / "postmortem.toml").write_text(text)
    code, output = run("formats", "list")

    assert code == 2
    assert "postmortem.toml" in output


def test_trying_shows_what_a_pack_misses(arrows: Path) -> None:
    """Numbers it overlooks in lines it takes, lines it leaves, samples that are no longer true, and what to do."""
    path = arrows / "formats" / "arrows.yaml"
    shorter = re.sub(r"\\s\*\(\?P<n3>.*?\$'", "'", path.read_text())
    path.write_text(re.sub(r"      n3: .*\n", "", shorter))
    lines = [f">> {n} :: 0.{n} / auc: 0.9{n}" for n in range(1, 5)]
    code, output = run("formats", "try", path, log(arrows, *lines, "saved 3 things", name="b.log"))

    assert code == 0
    assert "reads 4 of 5 lines" in output
    assert "auc  in 4 lines" in output
    assert "saved 0 things" in output
    assert "--accept" in output


def test_nothing_is_overwritten(arrows: Path) -> None:
    """A draft does not replace a file, and says so."""
    code, output = run("formats", "new", "arrows", "a.log")
    assert (code, "note:" in output) == (0, False)
    code, output = run("formats", "new", "arrows", "a.log")

    assert code == 2
    assert "is not overwritten" in output
    assert run("formats", "new", "No Name", "a.log")[0] == 2


def test_a_draft_that_is_not_needed(arrows: Path) -> None:
    """A log that is read as it is gets its draft, and a note."""
    path = log(arrows, *(f"epoch {n} loss: {1 / n}" for n in range(1, 9)), name="text.log")

    assert "note: without it 100 % of the lines are read as key-value" in run("formats", "new", "text", path)[1]


def test_explaining_says_why(arrows: Path) -> None:
    """The choice is told in words, for a text nobody knows, a text, a structure, and a pack."""
    log(arrows, *(f"epoch {n} loss: {1 / n}" for n in range(1, 9)), name="text.log")
    log(arrows, *(f"iter {n}: loss {1 / n:.4f}, time 2.1ms" for n in range(1, 9)), name="nano.log")
    log(arrows, *(json.dumps({"step": n, "loss": math.pi / n}) for n in range(1, 9)), name="a.jsonl")
    (arrows / "config.yaml").write_text("lr: 0.1\n")
    names = ("a.log", "text.log", "nano.log", "a.jsonl", "config.yaml")
    told = {name: run("formats", "explain", name)[1] for name in names}

    assert "read as key-value: no format knows its lines" in told["text.log"]
    assert "read as nanogpt: the format nanogpt knows 100%" in told["nano.log"]
    assert "is one structure" in told["a.jsonl"]
    assert "YAML is read as configuration" in told["config.yaml"]
    assert "29 ×  >> 0 :: 0 / 0" in told["a.log"]


def test_the_walkthrough_is_true(tmp_path: Path) -> None:
    """Every command of the page prints what the page says (`python -m tests.console PAGE` writes it anew)."""
    page = PAGE.read_text("utf-8")

    assert console.rerun(page, tmp_path) == page
