"""JUnit XML as the common schemas have it."""

from __future__ import annotations

from datetime import UTC, datetime

from lxml import etree

from rcs_sim.scenario.story.junit import junit_xml
from rcs_sim.scenario.story.run_document import RunDocument, SloDocument
from tests.rcs_sim.scenario.story.rows import failure, row

_AT = datetime(2026, 3, 2, 10, 15, tzinfo=UTC)


def _document() -> RunDocument:
    rows = [
        row(),
        row(verdict="fail", failure=failure(), repetition=2, variant="phones.bob.device=ios"),
        row(file="s/b.yaml", verdict="broken", failure=failure(step=None)),
    ]
    slo = [SloDocument(file="s/a.yaml", name="A story", slo="delivered_p95_s", threshold=1, measured=2, verdict="fail")]
    return RunDocument(verdict="broken", passed=1, failed=1, broken=1, wall_s=1, runs=rows, slo=slo)


def test_a_suite_is_a_file_and_a_case_is_a_run_or_a_threshold() -> None:
    root = etree.fromstring(junit_xml(_document(), at=_AT))
    first, second = root
    assert (first.get("tests"), first.get("failures"), first.get("errors")) == ("3", "2", "0")
    assert (second.get("tests"), second.get("failures"), second.get("errors")) == ("1", "0", "1")
    assert [case.get("name") for case in first.findall("testcase")] == [
        "A story seed 7",
        "A story [phones.bob.device=ios] seed 7 #2",
        "A story: delivered_p95_s",
    ]
    assert first.get("timestamp") == "2026-03-02T10:15:00"


def test_the_order_of_the_children_is_that_of_the_schemas() -> None:
    """Ant's schema wants properties, cases, system-out and system-err in this order, and no attributes at the root."""
    root = etree.fromstring(junit_xml(_document(), at=_AT))
    assert dict(root.attrib) == {}
    for number, suite in enumerate(root):
        assert suite.get("id") == str(number)
        assert {"name", "package", "timestamp", "hostname", "tests", "failures", "errors", "time"} <= set(suite.attrib)
        tags = [child.tag for child in suite]
        assert tags == ["properties", *["testcase"] * (len(tags) - 3), "system-out", "system-err"]
        for case in suite.findall("testcase"):
            assert set(case.attrib) == {"name", "classname", "time"}
            assert len(case) <= 1
            assert all(set(child.attrib) == {"message", "type"} for child in case)


def test_a_failure_tells_all_that_the_terminal_tells_and_nothing_that_xml_forbids() -> None:
    text = junit_xml(_document(), at=_AT).decode()
    assert "message m1: expected state delivered; seen: sent \ufffd &lt;b&gt;" in text
    assert "alice → bob" in text
    assert "rcs-sim run s/a.yaml --seed 7" in text
