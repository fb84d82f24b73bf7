"""The table says in words what the JSON says."""

from __future__ import annotations

from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_table import table_text
from tests.support.oracle_traces import SealedConversation, TraceScript


def test_a_row_has_the_label_and_the_readers() -> None:
    text = Oracle(SealedConversation().records).table()
    row = next(line for line in text.splitlines() if "the first one" in line)
    assert "RCS · encrypted" in row
    assert "mls" in row
    assert "alice, bob" in row
    assert "no violation" in text
    assert "red could read none of 1 messages" in text


def test_a_violation_names_its_records() -> None:
    script = SealedConversation()
    number = script.got("bob", "one", "the first one is sealed")
    text = Oracle(script.records).table()
    first = next(record.number for record in script.records if record.details.get("direction") == "in")
    assert f"duplicate: m1 on bob: shown 2 times (RCS, RCS) (records {first}, {number})" in text


def test_texts_are_shown_as_they_are() -> None:
    script = TraceScript()
    script.says("alice", "a", "[bold]one\nline[/]")
    text = table_text(Oracle(script.records).document())
    assert "[bold]one line[/]" in text


def test_a_trace_without_messages_says_so() -> None:
    assert "no phone of this trace sent or showed a message" in Oracle([]).table()
