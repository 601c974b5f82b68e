"""The terminal report: complete, true to the numbers, readable at any width, and safe."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_reports import LOG, NO_GRADIENTS, curve, finding, judged, report, run

from postmortem.errors import Problem
from postmortem.model import Cause, Clue, Evidence, NotApplicable, Severity
from postmortem.report.numbers import duration, number, numbers, printed, share, sparkline
from postmortem.report.terminal import render
from postmortem.report.text import clean, clean_block, fit

HOSTILE = "\x1b[2J\x1b]0;owned\x07[red]x[/red]\r\x08\u202eevil\x9b31m\x00"


class TestNumbers:
    """Digits, shares and neighbours."""

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0.0, "0"),
            (5.0, "5"),
            (-3.0, "-3"),
            (1052081.0, "1,052,081"),
            (0.5829, "0.5829"),
            (1 / 62910, "1.58957e-05"),
            (0.08177260619898637, "0.0817726"),
            (1986.86, "1986.86"),
            (123456.789, "123,457"),
            (1e300, "1e+300"),
            (math.nan, "NaN"),
            (math.inf, "inf"),
            (-math.inf, "-inf"),
            (1e-320, "9.99989e-321"),
        ],
    )
    def test_as_many_digits_as_needed(self, value: float, shown: str) -> None:
        """A number is shown with the digits it carries, at most six significant ones."""
        assert number(value) == shown

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            (0.0818, "0.0818"),
            (0.0000159, "1.59e-05"),
            (12.34567, "12.34567"),
            (0.9270304568527919, "0.92703"),
        ],
    )
    def test_evidence_as_printed(self, value: float, shown: str) -> None:
        """What a log printed with up to seven digits is shown digit by digit; longer numbers are rounded."""
        assert printed(value) == shown

    @pytest.mark.parametrize(
        ("seconds", "shown"),
        [(0.25, "0.25 s"), (59.9, "59.9 s"), (60, "1 min"), (4830, "1 h 20 min"), (363_600, "4 d 5 h")],
    )
    def test_durations(self, seconds: float, shown: str) -> None:
        """A length of time is shown in its two largest units."""
        assert duration(seconds) == shown

    @given(st.floats())
    def test_never_long(self, value: float) -> None:
        """No float, however odd, takes more than 20 characters or fails."""
        assert len(number(value)) <= 20

    def test_close_values_stay_apart(self) -> None:
        """Different values side by side never look alike when nine digits tell them apart."""
        assert numbers([0.99101, 0.99104]) == ["0.99101", "0.99104"]
        assert numbers([0.5, 0.5, math.nan]) == ["0.5", "0.5", "NaN"]

    def test_share_keeps_its_ends(self) -> None:
        """100 % means all and 0 % means none."""
        assert [share(99_999, 100_000), share(1, 100_000), share(0, 5), share(5, 5), share(0, 0)] == [
            "99.9 %",
            "0.1 %",
            "0 %",
            "100 %",
            "100 %",
        ]


class TestSparkline:
    """Curves in a few characters."""

    def test_follows_the_series(self) -> None:
        """A rising series rises from the lowest to the highest block."""
        assert sparkline([0.0, 1, 2, 3, 4, 5, 6, 7], 8) == "▁▂▃▄▅▆▇█"

    def test_shows_what_is_not_finite(self) -> None:
        """NaN and infinities are marked, also in a series that holds nothing else."""
        assert sparkline([1.0, math.nan, 2.0, math.inf], 4) == "▁×█×"
        assert sparkline([math.nan], 4) == "×"

    @given(st.lists(st.floats(), max_size=50), st.integers(1, 20))
    def test_fits(self, values: list[float], width: int) -> None:
        """Any series gives one character a stretch and no more than the width."""
        assert len(sparkline(values, width)) == min(len(values), width)

    def test_flat_series_is_level(self) -> None:
        """A constant touches neither floor nor ceiling, which would look like the end of a movement."""
        assert sparkline([3.0, 3.0], 2) == "▄▄"


def a_cause(verdict: str, **clues: object) -> Cause:
    """A cause with what a reader must see of it."""
    return Cause(f"c-{verdict}", f"The {verdict} one", verdict, settle="Try it.", fix="Mend it.", **clues)  # type: ignore[arg-type]


def clue(says: str, **more: object) -> Clue:
    """A clue with two numbers of one file."""
    known: dict[str, object] = {
        "holds": True,
        "evidence": (Evidence("a", 1.5, source=LOG, line=3), Evidence("b", 2.0, source=LOG, line=9)),
    }
    return Clue(says, **{**known, **more})  # type: ignore[arg-type]


class TestCauses:
    """What a reader sees of rival causes."""

    CAUSES = (
        a_cause("contradicted", excluded_by=(clue("it was excluded"),), kept=(clue("seen by chance"),)),
        a_cause("supported", kept=(clue("it was seen"),)),
        a_cause(
            "open",
            broken=(clue("it was not seen"),),
            unobservable=(clue("u", holds=None, missing="no x", log_this="the x"),),
        ),
    )

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_each_verdict_shows_what_decides_it(self, width: int) -> None:
        """Supported before open before contradicted, with clues, places, the missing and the next experiment."""
        text = " ".join(render(report(judged(findings=[finding(causes=self.CAUSES)])), width).split())
        found = [text.index(f"{word}: The {word} one") for word in ("supported", "open", "contradicted")]

        assert found == sorted(found)
        assert "+ it was seen seed42/train.log:3, 9" in text
        assert "- it was excluded seed42/train.log:3, 9" in text
        assert "- not so: it was not seen a 1.5 seed42/train.log:3, b 2 seed42/train.log:9" in text
        assert "? no x → log the x" in text
        assert "seen by chance" not in text
        assert [text.count("fix: Mend it."), text.count("settle: Try it.")] == [1, 2]

    def test_verdicts_that_differ_name_what_they_are_about(self) -> None:
        """Findings of one rule share a verdict where they agree; where they do not, the metric is named."""
        ours, theirs = (a_cause(verdict, kept=(clue("k"),)) for verdict in ("supported", "open"))
        other = Cause("c-supported", ours.title, "open", settle="Try it.")
        found = [finding(causes=(ours, theirs)), finding(metric="f1", causes=(other, theirs))]
        text = " ".join(render(report(judged(findings=found)), 120).split())

        assert "supported for val.auroc: The supported one" in text
        assert "open for val.f1: The supported one" in text
        assert text.count("open: The open one") == 1

    def test_what_follows_from_a_finding_across_runs_points_there(self) -> None:
        """It is no head of its own, and its remedy is not offered."""
        leading = finding("identical", runs=("a", "b"))
        folded = finding("plateau", folded_under="identical", do=("Tune it.",))
        text = render(report(judged(findings=[folded]), judged(run("b")), across_runs=(leading,)), 100)

        assert "Follows from identical (see across runs)" in text
        assert "plateau: the message of plateau" in text
        assert "Tune it." not in text


class TestHostileText:
    """What a log may not do to a terminal."""

    @given(st.text(st.characters(codec=None)))
    def test_clean_is_one_harmless_line(self, text: str) -> None:
        """Whatever goes in, nothing that moves a cursor, changes colours or reverses text comes out."""
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ud800-\udfff]", clean(text))

    def test_escapes_vanish_whole(self) -> None:
        """The parameters of an escape sequence do not stay behind as text."""
        assert clean("a\x1b[31;1mb\x1b]8;;http://x\x1b\\c\x1b(Bd") == "abcd"

    def test_real_languages_stay(self) -> None:
        """Korean, accents and composed emoji are text like any other."""
        assert clean("학습 완료 é 👩\u200d🔬") == "학습 완료 é 👩\u200d🔬"

    def test_caret_stays_under_its_column(self) -> None:
        """An excerpt keeps its lines and tabs."""
        assert clean_block("a\tb\n \t^") == "a\tb\n \t^"

    def test_hostile_report(self) -> None:
        """Every text of a report is neutralised, and markup is shown as it stands in the log."""
        hint = Clue(HOSTILE, None, (Evidence(HOSTILE, HOSTILE, 1, 1.0, HOSTILE, 1),), HOSTILE, HOSTILE)
        bad = finding(
            HOSTILE,
            title=HOSTILE,
            message=HOSTILE,
            because=HOSTILE,
            do=(HOSTILE,),
            wrong_when=HOSTILE,
            evidence=(Evidence(HOSTILE, HOSTILE, 1, 1.0, HOSTILE, 1),),
            runs=(HOSTILE,),
            causes=(Cause(HOSTILE, HOSTILE, "open", broken=(hint,), unobservable=(hint,), settle=HOSTILE),),
        )
        sick = judged(
            run(HOSTILE, unread=[(HOSTILE, 90)]),
            [bad],
            headline=HOSTILE,
            curves=(curve(HOSTILE),),
            clear=(HOSTILE,),
            not_applicable=(NotApplicable(HOSTILE, HOSTILE, HOSTILE),),
        )
        text = render(report(sick, judged(), across_runs=(bad,), problems=(Problem(HOSTILE, HOSTILE, 1, 1, HOSTILE),)))

        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "[red]x[/red]" in text


class TestReport:
    """What a reader finds in the report."""

    def test_says_everything_of_a_finding(self) -> None:
        """A finding shows its severity, message, evidence with file and line, reason, remedy and limits."""
        text = render(report())

        for part in (
            "ERROR",
            "The title of overfit",
            "the message of overfit",
            "best(val.auroc)",
            "0.5829",
            "epoch 1, step 514",
            f"{LOG}:57",
            "0.5513 < 0.5829",
            "Stop earlier.",
            "the validation set changed",
        ):
            assert part in text, part

    def test_says_what_could_not_be_checked(self) -> None:
        """Rules that are not applicable are named with the reason and what to log; so are clear rules."""
        text = render(report())

        assert re.search(
            r"not applicable \(1\)\s+exploding-gradient: no gradient norm is logged → log the global", text
        )
        assert re.search(r"clear \(1\) +nan-loss", text)

    def test_one_reason_stands_once(self) -> None:
        """Rules stopped by the same lack are listed together."""
        both = (NO_GRADIENTS, NotApplicable("vanishing-gradient", NO_GRADIENTS.reason, NO_GRADIENTS.log_this))

        text = render(report(judged(not_applicable=both)))

        assert text.count(NO_GRADIENTS.reason) == 1
        assert "exploding-gradient, vanishing-gradient" in text

    def test_severe_first(self) -> None:
        """Findings stand in the order of their severity, whatever order they came in."""
        found = [finding("a", Severity.INFO), finding("b", Severity.WARNING), finding("c", Severity.ERROR)]

        text = render(report(judged(findings=found)))

        assert text.index("title of c") < text.index("title of b") < text.index("title of a")

    def test_folded_findings_take_one_line(self) -> None:
        """A finding that follows from another is one line under it, without its own evidence."""
        late = finding("late-stopping", Severity.WARNING, folded_under="overfit")

        text = render(report(judged(findings=[late, finding()])))

        assert re.search(r"hence +late-stopping: the message of late-stopping", text)
        assert "The title of late-stopping" not in text

    def test_folded_under_nothing_stands_alone(self) -> None:
        """A finding folded under one that is not in the report is still shown."""
        assert "The title of x" in render(report(judged(findings=[finding("x", folded_under="gone")])))

    @pytest.mark.parametrize("first", ["a", "b"])
    def test_circular_folding_loses_nothing(self, first: str) -> None:
        """Two findings folded under each other, or one under itself, are shown."""
        pair = [
            finding("a", folded_under="b"),
            finding("b", folded_under="a"),
            finding("c", folded_under="c"),
        ]

        text = render(report(judged(findings=sorted(pair, key=lambda f: f.id != first))))

        assert all(f"the message of {rule}" in text for rule in "abc")

    def test_same_rule_shares_its_remedy(self) -> None:
        """Three findings of one rule show three messages and one remedy."""
        found = [finding(message=f"metric {i} fell") for i in range(3)]

        text = render(report(judged(findings=found)))

        assert [text.count(f"metric {i} fell") for i in range(3)] == [1, 1, 1]
        assert text.count("Stop earlier.") == 1

    def test_unread_lines_are_shown_when_many(self) -> None:
        """Below 95 % read, the commonest unread shapes are named with a line to look at."""
        badly, well = (render(report(judged(run(unread=[("foo 0", count)])))) for count in (50, 1))

        assert "50 × foo 0" in badly
        assert "train.log:1" in badly
        assert "foo 0" not in well

    def test_runs_are_compared_before_details(self) -> None:
        """Several runs open with a table; healthy ones have no section of their own."""
        text = render(report(judged(run("sick"), [finding()]), judged(run("fine")), judged(run("mute"), clear=())))

        assert text.startswith("3 runs: 1 error, 1 clear, 1 not judged\n")
        assert re.search(r"^fine +clear", text, re.M)
        assert re.search(r"^mute +not judged", text, re.M)
        assert text.count("The headline.") == 1

    def test_many_runs_stay_readable(self) -> None:
        """Of very many sick runs the worst are shown in full, every one in the table, and the rest is said."""
        mild = [judged(run(f"mild{i}"), [finding(severity=Severity.INFO)]) for i in range(60)]
        text = render(report(*mild, judged(run("bad"), [finding()])))

        assert text.count("The headline.") == 40
        assert re.search(r"^bad ─", text, re.M)
        assert all(re.search(rf"^mild{i} +info", text, re.M) for i in range(60))
        assert "21 more with findings" in text

    def test_curve_shows_ends_and_best(self) -> None:
        """A curve's first, last and best value are read off it, with where the best was."""
        assert re.search(r"val.auroc +█▅▁ +0.5829 → 0.5513 +best 0.5829 at epoch 1", render(report()))

    def test_no_runs(self) -> None:
        """An empty report says so, with its problems."""
        text = render(report(judged(), problems=()).__class__(runs=(), problems=(Problem("empty file", "a.log"),)))

        assert "No training run was found." in text
        assert "a.log: empty file" in text

    @pytest.mark.parametrize("width", [1, 40, 80, 100, 160, 10_000])
    @pytest.mark.parametrize("color", [True, False])
    def test_fits_the_width(self, width: int, color: bool) -> None:
        """No line is wider than the terminal, none ends in blanks, and no location is lost."""
        text = render(
            report(judged(findings=[finding()]), judged(run("b"), [finding(message="long " * 80)])),
            width,
            color,
        )
        plain = re.sub(r"\x1b\[[0-9;]*m", "", text)

        assert max(map(len, plain.splitlines())) <= max(width, 40)
        assert f"{LOG}:57" in plain
        assert ("\x1b[" in text) == color
        if not color:
            assert not re.search(r" $", text, re.M)

    def test_ascii_streams(self) -> None:
        """On a stream without Unicode the report keeps its columns and its curve."""
        text = render(report())
        poor = fit(text, "ascii")

        assert poor.isascii()
        assert list(map(len, poor.splitlines())) == list(map(len, text.splitlines()))
        assert "#=_" in poor
        assert fit(text, "utf-8") == text
