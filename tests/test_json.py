"""The JSON contract ``postmortem/1``: every key always there, strict JSON whatever the numbers."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from made_reports import LOG, finding, judged, report, run

from postmortem.errors import Problem
from postmortem.model import Cause, Clue, Evidence, Finding, Position, Report, Severity
from postmortem.report.json import to_json

KEYS = {
    "report": {"schema", "headline", "runs", "across_runs", "problems"},
    "run": {"run", "sources", "summary", "findings", "clear", "not_applicable", "read"},
    "finding": {
        "id",
        "severity",
        "title",
        "message",
        "split",
        "metric",
        "first",
        "last",
        "evidence",
        "causes",
        "folded_under",
    },
    "position": {"step", "epoch", "time"},
    "evidence": {"name", "value", "step", "epoch", "source", "line"},
    "cause": {"id", "verdict", "because", "kept", "broken", "unobservable", "excluded_by", "settle", "fix"},
    "clue": {"says", "evidence", "missing", "log_this"},
    "not_applicable": {"id", "reason", "log_this"},
    "read": {"lines", "understood", "unread_shapes"},
    "problem": {"source", "line", "message"},
}
SCHEMA = Path(__file__).parents[1] / "docs" / "postmortem-1.schema.json"


def strict(text: str) -> dict:
    """Parses JSON and refuses the NaN and Infinity that Python would let pass."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def full() -> Report:
    """A report in which every part occurs, once with everything and once bare."""
    kept = (Clue("one block", True, (Evidence("value", 1.0),)),)
    cause = Cause("tied-scores", "Tied scores", "supported", kept, settle="Count.")
    rich = finding(causes=(cause,), first=Position(1, 2.0, datetime(2026, 1, 2, tzinfo=UTC)), folded_under="crash")
    bare = Finding("x", Severity.INFO, "t", "m", evidence=(Evidence("v", None),))
    return report(
        judged(run(unread=[("foo 0", 3)]), [rich, bare]),
        judged(run("empty"), curves=(), clear=(), not_applicable=()),
        across_runs=(finding(runs=("a", "b")),),
        problems=(Problem("binary", "x.bin"),),
    )


class TestContract:
    """What other tools rely on."""

    def test_keys_never_vanish(self) -> None:
        """Every key of the contract is there, in a full report as in a bare one."""
        data = strict(to_json(full()))
        runs = data["runs"]
        findings = [found for run in runs for found in run["findings"]] + data["across_runs"]

        assert data["schema"] == "postmortem/1"
        assert data.keys() >= KEYS["report"]
        assert all(run.keys() >= KEYS["run"] for run in runs)
        assert all(run["read"].keys() >= KEYS["read"] for run in runs)
        assert all(each.keys() >= KEYS["finding"] for each in findings)
        assert all(each[end].keys() >= KEYS["position"] for each in findings for end in ("first", "last"))
        assert all(each.keys() >= KEYS["evidence"] for found in findings for each in found["evidence"])
        assert [each.keys() >= KEYS["cause"] for found in findings for each in found["causes"]] == [True]
        assert all(each.keys() >= KEYS["clue"] for found in findings for c in found["causes"] for each in c["kept"])
        assert all(each.keys() >= KEYS["not_applicable"] for run in runs for each in run["not_applicable"])
        assert data["problems"][0].keys() >= KEYS["problem"]
        assert data["across_runs"][0]["runs"] == ["a", "b"]

    def test_absent_is_null(self) -> None:
        """What the log lacks is null, not a missing key, an empty text or a zero."""
        bare = strict(to_json(full()))["runs"][0]["findings"][1]

        assert bare["first"] == {"step": None, "epoch": None, "time": None}
        assert bare["evidence"][0] == {
            "name": "v",
            "value": None,
            "step": None,
            "epoch": None,
            "source": None,
            "line": None,
        }
        assert [bare[key] for key in ("split", "metric", "folded_under")] == [None, None, None]

    def test_values_survive(self) -> None:
        """Numbers keep every bit, times are ISO 8601, evidence keeps its line."""
        found = strict(to_json(full()))["runs"][0]["findings"][0]

        assert found["evidence"][0]["value"] == 0.5829
        assert (found["evidence"][0]["source"], found["evidence"][0]["line"]) == (LOG, 57)
        assert found["first"]["time"] == "2026-01-02T00:00:00+00:00"

    @pytest.mark.parametrize(
        ("value", "written"), [(math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")]
    )
    def test_numbers_that_json_lacks(self, value: float, written: str) -> None:
        """NaN and infinities are named by strings, wherever they stand."""
        odd = finding(evidence=(Evidence("loss", value, epoch=value),), first=Position(epoch=value))

        run = strict(to_json(report(judged(findings=[odd], summary={"loss": [value]}))))["runs"][0]

        assert run["findings"][0]["evidence"][0]["value"] == written
        assert run["findings"][0]["first"]["epoch"] == written
        assert run["summary"] == {"loss": [written]}

    def test_summaries_may_hold_anything(self) -> None:
        """Numbers of numpy, times, durations, tuples and enums become plain JSON."""
        summary = {
            "n": np.int64(3),
            "x": np.float32(0.5),
            "took": timedelta(minutes=1),
            "s": Severity.INFO,
            "t": (True, None),
        }

        run = strict(to_json(report(judged(summary=summary))))["runs"][0]

        assert run["summary"] == {"n": 3, "x": 0.5, "took": 60.0, "s": "info", "t": [True, None]}

    def test_hostile_text(self) -> None:
        """Escapes, quotes and undecodable file names are escaped; the output is ASCII."""
        text = to_json(report(judged(run('\x1b[2J"\\\u202e\udc80'))))

        assert text.isascii()
        assert "\x1b" not in text
        assert strict(text)["runs"][0]["run"] == '\x1b[2J"\\\u202e\udc80'


class TestSchemaFile:
    """The machine-readable contract in docs/."""

    def test_documents_every_key_we_write(self) -> None:
        """The published schema and the output name the same keys, and the schema requires all of them."""
        schema = json.loads(SCHEMA.read_text())
        data = strict(to_json(full()))
        found = data["runs"][0]["findings"][0]
        written = {
            "run": data["runs"][0],
            "source": data["runs"][0]["sources"][0],
            "finding": found,
            "position": found["first"],
            "evidence": found["evidence"][0],
            "cause": found["causes"][0],
            "clue": found["causes"][0]["kept"][0],
            "read": data["runs"][0]["read"],
            "not_applicable": data["runs"][0]["not_applicable"][0],
            "problem": data["problems"][0],
            "shape": data["runs"][0]["read"]["unread_shapes"][0],
        }

        assert set(schema["properties"]) == set(schema["required"]) == set(data)
        for name, part in written.items():
            definition = schema["$defs"][name]
            assert set(definition["properties"]) == set(definition["required"]) == set(part), name
