"""Thresholds over the messages of all runs."""

from __future__ import annotations

import pytest

from rcs_sim.scenario.story.scenario_file import SloEntry
from rcs_sim.scenario.story.slo import judge_slo
from tests.rcs_sim.scenario.story.rows import message, row

_ROWS = [
    row(messages=[message(delivered_after_s=float(n)) for n in range(1, 11)]),
    row(messages=[message(delivered_after_s=None, state="failed"), message(transport="sms", scheme="mls")]),
]


@pytest.mark.parametrize(
    ("slo", "measured"),
    [
        ("delivered_ratio", 11 / 12),
        ("delivered_p50_s", 5.0),
        ("delivered_p95_s", 10.0),
        ("delivered_max_s", 10.0),
        ("fallback_ratio", 1 / 12),
        ("failed_ratio", 1 / 12),
        ("encrypted_ratio", 1 / 12),
    ],
)
def test_what_is_measured_is_set_against_the_threshold(slo: str, measured: float) -> None:
    is_least = slo in ("delivered_ratio", "encrypted_ratio")
    for threshold, is_met in ((measured * 0.9, is_least), (measured * 1.05, not is_least)):
        (line,) = judge_slo("a.yaml", "A", SloEntry.model_validate({slo: threshold}), _ROWS)
        assert line.measured == pytest.approx(measured, abs=1e-6)
        assert line.verdict == ("pass" if is_met else "fail")


def test_what_cannot_be_measured_fails() -> None:
    for rows in ([], [row(messages=[message(delivered_after_s=None)])]):
        (line,) = judge_slo("a.yaml", "A", SloEntry(delivered_p95_s=5), rows)
        assert (line.measured, line.verdict) == (None, "fail")


def test_only_what_is_set_is_judged() -> None:
    assert judge_slo("a.yaml", "A", SloEntry(), _ROWS) == []
