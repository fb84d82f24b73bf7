"""The table: names, verdicts, both forms of output."""

from __future__ import annotations

import json

import pytest

from rcs_sim.bench.row import Measured, Unmeasured
from rcs_sim.bench.table import ROWS, exit_status, run_bench, to_json


def _measured(value: float) -> Measured:
    return Measured(row="r", what="w", value=value, unit="µs", limit=10.0)


def test_the_rows_have_different_names() -> None:
    names = [row.name for row in ROWS]
    assert len(set(names)) == len(names)
    assert {
        "parse",
        "proxy-step",
        "udp",
        "relay",
        "digest",
        "pager",
        "session",
        "msrp",
        "msrp-large",
        "memory",
        "idle",
        "mls-message",
        "mls-commit",
        "mls-tree",
        "mls-member",
    } <= set(names)


def test_an_unknown_row_is_refused_with_the_names_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_bench(["parse", "nonsense"], repeat=1, as_json=False) == 2
    error = capsys.readouterr().err
    assert "nonsense" in error
    assert "proxy-step" in error


def test_one_row_alone_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    status = run_bench(["proxy-step"], repeat=1, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert status in (0, 1)
    assert printed["repeat"] == 1
    (row,) = printed["rows"]
    assert row["row"] == "proxy-step"
    assert row["value"] > 0
    assert row["passes"] is (status == 0)


def test_the_table_shows_the_method(capsys: pytest.CaptureFixture[str]) -> None:
    run_bench(["proxy-step"], repeat=1, as_json=False)
    assert "serialise" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("results", "status"),
    [
        ([], 0),
        ([_measured(9.0)], 0),
        ([_measured(11.0), _measured(9.0)], 1),
        ([Unmeasured("r", "sipp is not installed")], 0),
        ([_measured(11.0), Unmeasured("r", "it crashed", is_broken=True)], 2),
    ],
)
def test_the_exit_status_tells_the_worst(results: list[Measured | Unmeasured], status: int) -> None:
    assert exit_status(results) == status


def test_a_row_that_was_not_measured_says_why_in_json() -> None:
    assert to_json(Unmeasured("r", "why")) == {"row": "r", "reason": "why", "is_broken": False}
