"""Faults of a story begin and end when it says so, at the latest with its last step."""

from __future__ import annotations

from pathlib import Path

from ims_core.trace import RecordKind
from tests.rcs_sim.scenario.story.stories import played


def test_a_fault_ends_by_word_by_time_or_with_the_story(tmp_path: Path) -> None:
    steps = (
        "- fault: {net.partition: {element: red.smsc}}\n- end_fault: net.partition\n"
        "- fault: {net.partition: {element: red.ipsmgw, for_s: 5}}\n- age: {seconds: 9}\n"
        "- fault: {net.partition: {element: blue.smsc}}"
    )
    result = played(tmp_path, steps)
    assert result.row.verdict == "pass", result.row.failure
    marks = [
        record.summary.rpartition(" ")[2] + " " + record.source
        for record in result.records
        if record.kind is RecordKind.FAULT and record.summary.endswith((" begins", " ends"))
    ]
    elements = ("red.smsc", "red.ipsmgw", "blue.smsc")
    assert marks == [f"{word} {element}" for element in elements for word in ("begins", "ends")]


def test_a_fault_that_is_not_there_cannot_end(tmp_path: Path) -> None:
    row = played(tmp_path, "- end_fault: net.partition").row
    assert row.verdict == "broken"
    assert row.failure is not None
    assert "no net.partition is under way" in row.failure.seen
