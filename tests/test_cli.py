"""The command line: exit codes, streams, help, and what it does with input nobody should trust."""

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from postmortem.cli import main
from postmortem.cli.common import parse_settings

HEAVY = ("polars", "numpy", "pydantic", "matplotlib", "rich", "torch", "lark", "yaml")
COMMANDS = (
    "analyze",
    "export",
    "rules list",
    "rules explain",
    "rules test",
    "rules check",
    "rules new",
    "rules try",
    "formats list",
    "formats explain",
    "formats new",
    "formats try",
    "formats test",
    "rules",
    "formats",
    "",
)

HEALTHY = "".join(
    f"Epoch {e}/12 train_loss: {1 / e + 0.01 * (e % 3):.4f} val_loss: {1.1 / e + 0.01 * (e % 2):.4f}\n"
    for e in range(1, 13)
)
BROKEN = "".join(f"Epoch {e}/12 train_loss: {1 / e:.4f} val_loss: {1.1 / e:.4f}\n" for e in range(1, 8)) + "".join(
    f"Epoch {e}/12 train_loss: nan val_loss: nan\n" for e in range(8, 13)
)


@pytest.fixture
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a healthy run and one whose loss becomes NaN."""
    for name, text in (("healthy", HEALTHY), ("broken", BROKEN)):
        folder = tmp_path / "logs" / name
        folder.mkdir(parents=True)
        (folder / "train.log").write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: object, **environment: str) -> Result:
    """Runs a command as a user would, in this process."""
    return CliRunner().invoke(main, [str(word) for word in words], env=environment)


def shell(*words: str, stdout: int) -> subprocess.CompletedProcess[bytes]:
    """Runs a command in a process of its own."""
    root = str(Path(__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": root}
    return subprocess.run(
        [sys.executable, "-m", "postmortem", *words],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=env,
        check=False,
    )


class TestStart:
    """What a user meets first."""

    @pytest.mark.parametrize(
        "words", [["--help"], ["--version"], ["analyze", "--bogus"], ["analyse"], ["analyze", "--help"]]
    )
    def test_starts_light(self, words: list[str]) -> None:
        """Help, version and usage errors load nothing heavy."""
        code = (
            "import sys; from postmortem.cli import main\n"
            f"try: main({words!r})\n"
            f"except SystemExit: print('loaded', [m for m in {HEAVY!r} if m in sys.modules])"
        )
        root = str(Path(__file__).parents[1])
        env = {**os.environ, "PYTHONPATH": root}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)

        assert done.stdout.endswith("loaded []\n")

    @pytest.mark.parametrize("command", COMMANDS)
    def test_help_has_an_example(self, command: str) -> None:
        """Every command explains itself, with a command line to copy."""
        result = call(*command.split(), "--help")

        assert result.exit_code == 0
        assert "Example" in result.output
        assert f"  postmortem {command}".rstrip() in result.output

    @pytest.mark.parametrize(
        ("words", "hint"),
        [
            (["analyse", "."], "analyze"),
            (["analyze", "--jsn", "."], "--json"),
            (["analyze"], "PATH"),
            (["analyze", ".", "--set", "n_train"], "--set batch_size=256"),
            (["analyze", ".", "--set", "=3"], "KEY=VALUE"),
            (["analyze", ".", "--metric", "sharpe"], "--metric sharpe:max"),
            (["analyze", ".", "--metric", ":max"], "NAME"),
            (["analyze", ".", "--fail-on", "fatal"], "warning"),
            (["analyze", ".", "--rules", "nowhere"], "nowhere"),
            (["export", "."], "-o"),
            (["export", ".", "-o", "m.xls"], ".parquet"),
            (["rules", "explain", "overfitt"], "overfit"),
        ],
    )
    def test_usage_errors_name_the_next_step(self, words: list[str], hint: str) -> None:
        """A mistake on the command line ends with 2, says what would be right, and leaves stdout empty."""
        result = call(*words)

        assert result.exit_code == 2
        assert hint in result.stderr
        assert result.stdout == ""

    @given(st.lists(st.text()))
    def test_settings_parse_or_refuse(self, given: list[str]) -> None:
        """Any words are either key=value pairs or a usage error, never a crash."""
        import click

        try:
            settings = parse_settings(given)
        except click.BadParameter:
            assert any("=" not in text or not all(map(str.strip, text.split("=", 1))) for text in given)
        else:
            assert all(settings.values())
            assert len(settings) <= len(given)


@pytest.mark.usefixtures("logs")
class TestAnalyze:
    """``postmortem analyze``."""

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["logs/broken"], 1),
            (["logs/broken", "--fail-on", "never"], 0),
            (["logs/healthy"], 0),
            (["logs"], 1),
            (["logs", "--run", "healthy"], 0),
            (["logs", "--run", "bro*"], 1),
            (["logs", "--run", "nobody"], 2),
            (["nowhere"], 2),
            (["logs/healthy", "--fail-on", "info"], 0),
        ],
    )
    def test_exit_codes(self, words: list[str], code: int) -> None:
        """0 for nothing at or above --fail-on, 1 for something, 2 for nothing to judge."""
        result = call("analyze", *words)

        assert result.exit_code == code, result.output

    def test_finds_with_line(self) -> None:
        """The report names the sick run, its smell, and the line where it begins."""
        result = call("analyze", "logs")

        assert "nan-loss" in result.stdout
        assert "logs/broken/train.log:8" in result.stdout
        assert result.stderr == ""

    def test_json_is_all_of_stdout(self) -> None:
        """--json prints JSON and nothing else, with NaN as a string."""
        result = call("analyze", "logs", "--json")
        data = json.loads(result.stdout, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
        found = {run["run"]: [finding["id"] for finding in run["findings"]] for run in data["runs"]}

        assert data["schema"] == "postmortem/1"
        assert found["healthy"] == []
        assert "nan-loss" in found["broken"]

    def test_missing_path(self) -> None:
        """A path that does not exist is named on stderr, with 2 and no traceback."""
        result = call("analyze", "logs/brokn")

        assert (result.exit_code, result.stdout) == (2, "")
        assert "there is no 'logs/brokn'; did you mean 'logs/broken'?" in result.stderr
        assert "Traceback" not in result.stderr

    def test_empty_folder(self, tmp_path: Path) -> None:
        """A folder without logs could not be judged, which is not the same as fine."""
        (tmp_path / "empty").mkdir()

        result = call("analyze", tmp_path / "empty")

        assert result.exit_code == 2
        assert "No training run was found." in result.stdout

    def test_bad_rule(self, logs: Path) -> None:
        """A wrong rule ends the command before anything is judged, with the place in the file."""
        (logs / "mine").mkdir()
        (logs / "mine" / "my-rule.yaml").write_text("id: my-rule\ntitel: typo\n")

        result = call("analyze", "logs", "--rules", "mine")

        assert (result.exit_code, result.stdout) == (2, "")
        assert "mine/my-rule.yaml:" in result.stderr

    @pytest.mark.parametrize(
        "content", [b"", b"\x00\xff\x80" * 5000, b"\x1f\x8b\x08broken", b'{"loss": [1, 2,', b"\n" * 9]
    )
    def test_bad_file_beside_good(self, logs: Path, content: bytes) -> None:
        """Whatever lies beside a good log, the good log is judged."""
        (logs / "logs" / "bad.log").write_bytes(content)

        result = call("analyze", "logs", "--json")

        assert result.exit_code == 1
        assert {run["run"].split("/")[-1] for run in json.loads(result.stdout)["runs"]} >= {
            "healthy",
            "broken",
        }

    def test_hostile_log(self, logs: Path) -> None:
        """Escapes and markup in a log, a file name or a run name do not reach the terminal."""
        evil = logs / "logs" / "evil\x1b[2J[red]"
        evil.mkdir()
        (evil / "train.log").write_text(BROKEN + "\x1b]0;owned\x07 [bold]x 3 \u202e\n" * 90)

        result = call("analyze", "logs", "--color", "never")

        assert result.exit_code == 1
        assert not any(char in result.output for char in "\x1b\x07\u202e")
        assert "evil[red]" in result.stdout

    def test_output_file(self, logs: Path) -> None:
        """-o writes the report to a file, without colours, and leaves stdout empty."""
        result = call("analyze", "logs", "-o", "report.txt", "--width", "80")

        assert (result.exit_code, result.stdout) == (1, "")
        assert "nan-loss" in (logs / "report.txt").read_text("utf-8")

    def test_output_nowhere(self) -> None:
        """A file that cannot be written is a clear error."""
        result = call("analyze", "logs", "-o", "nowhere/report.txt")

        assert result.exit_code == 2
        assert "nowhere/report.txt" in result.stderr

    @pytest.mark.parametrize(
        ("words", "environment", "colored"),
        [
            ([], {}, False),
            (["--color", "always"], {}, True),
            (["--color", "always"], {"NO_COLOR": "1"}, True),
            (["--color", "never"], {}, False),
        ],
    )
    def test_colors(self, words: list[str], environment: dict[str, str], colored: bool) -> None:
        """A pipe gets no colours unless they are asked for by name."""
        assert ("\x1b[" in call("analyze", "logs/broken", *words, **environment).stdout) == colored

    def test_configuration_file(self, logs: Path) -> None:
        """./postmortem.toml is used when it is there."""
        (logs / "postmortem.toml").write_text('[rules]\noff = ["nan-loss"]\n')

        ids = [f["id"] for run in json.loads(call("analyze", "logs", "--json").stdout)["runs"] for f in run["findings"]]

        assert "nan-loss" not in ids

    def test_stdout_without_utf8(self) -> None:
        """A stream that only knows ASCII gets ASCII, and no traceback."""
        done = CliRunner(charset="ascii").invoke(main, ["analyze", "logs/broken"])

        assert done.exit_code == 1, done.output
        assert done.stdout_bytes.decode("ascii").count("val.loss") > 0
        assert b"Traceback" not in done.stderr_bytes

    def test_closed_pipe(self) -> None:
        """A reader that goes away early, such as head, ends the command quietly."""
        reader, writer = os.pipe()
        os.close(reader)
        done = shell("analyze", "logs", "--json", stdout=writer)
        os.close(writer)

        assert b"Traceback" not in done.stderr
        assert b"Exception" not in done.stderr


@pytest.mark.usefixtures("logs")
class TestExport:
    """``postmortem export``."""

    @pytest.mark.parametrize("suffix", ["parquet", "csv", "ndjson", "jsonl"])
    def test_every_value_survives(self, logs: Path, suffix: str) -> None:
        """Each format holds every printed value, with its line, and NaN stays NaN."""
        result = call("export", "logs/broken", "-o", f"m.{suffix}")
        read = {"parquet": pl.read_parquet, "csv": pl.read_csv}.get(suffix, _read_lines)
        data = read(logs / f"m.{suffix}").filter(pl.col("metric") == "loss")

        assert result.exit_code == 0, result.output
        assert data.height == 24
        assert data["value"].cast(pl.Float64).is_nan().sum() == 10
        assert sorted(data["line"].unique()) == list(range(1, 13))

    def test_other_frames(self, logs: Path) -> None:
        """--frame chooses the frame; one without rows still has its columns."""
        assert call("export", "logs", "--frame", "facts", "-o", "f.csv").exit_code == 0
        assert (logs / "f.csv").read_text().startswith("run,key,value,number,source,line")

    def test_nothing_found(self, tmp_path: Path) -> None:
        """Without a run there is nothing to write, and no file."""
        (tmp_path / "empty").mkdir()

        result = call("export", tmp_path / "empty", "-o", tmp_path / "m.csv")

        assert result.exit_code == 2
        assert not (tmp_path / "m.csv").exists()


class TestRules:
    """``postmortem rules``."""

    def test_list_and_explain(self) -> None:
        """Every listed rule can be explained."""
        listed = call("rules", "list")
        page = call("rules", "explain", "overfit")

        assert (listed.exit_code, page.exit_code) == (0, 0)
        assert "overfit" in listed.stdout
        assert all(label in page.stdout for label in ("finds", "why", "do", "unless", "overfit.yaml"))

    def test_check_shows_every_mistake(self, tmp_path: Path) -> None:
        """A rule with several mistakes is refused once, with all of them."""
        (tmp_path / "bad.yaml").write_text("id: bad\ntitle: x\nseverity: fatal\nwhn: 1 > 0\n")

        result = call("rules", "check", tmp_path)

        assert result.exit_code == 2
        assert "whn" in result.stderr
        assert "fatal" in result.stderr

    def test_check_and_test_need_rules(self, tmp_path: Path) -> None:
        """A folder without rules is not a success."""
        assert [call("rules", word, tmp_path).exit_code for word in ("check", "test")] == [2, 2]

    def test_shipped_rules_are_sound(self) -> None:
        """What we ship passes its own check."""
        assert call("rules", "check").exit_code == 0


@pytest.mark.usefixtures("logs")
class TestFormats:
    """``postmortem formats``."""

    def test_list_and_test(self) -> None:
        """What we ship is listed, and a format reads its own samples (`test_packs.py` proves each)."""
        pack = Path(__file__).parents[1] / "parsers" / "nanogpt.yaml"

        assert [call("formats", *words).exit_code for words in (["list"], ["test", pack])] == [0, 0]

    def test_explain(self) -> None:
        """A file's readers are shown with the share each makes sense of."""
        result = call("formats", "explain", "logs/broken/train.log")

        assert result.exit_code == 0
        assert "%" in result.stdout


@pytest.mark.usefixtures("logs")
class TestPublicInterface:
    """``import postmortem``."""

    def test_every_name_loads(self) -> None:
        """Everything in __all__ is there, and nothing else pretends to be."""
        import postmortem

        assert all(getattr(postmortem, name) is not None for name in postmortem.__all__)
        assert set(postmortem.__all__) <= set(dir(postmortem))
        with pytest.raises(AttributeError, match="no_such"):
            _ = postmortem.no_such

    def test_a_whole_analysis(self) -> None:
        """The library gives the report that the command prints."""
        import postmortem

        report = postmortem.analyze(["logs/broken"])

        assert [run.run.name for run in report.runs] == [run.name for run in postmortem.load(["logs/broken"]).runs]
        assert "nan-loss" in postmortem.render(report)


def _read_lines(path: Path) -> pl.DataFrame:
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return pl.DataFrame(rows, strict=False, infer_schema_length=None)
