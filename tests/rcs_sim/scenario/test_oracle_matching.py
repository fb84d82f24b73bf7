"""A text on a screen finds the message that it is."""

from __future__ import annotations

from rcs_sim.scenario.oracle import Oracle
from tests.support.oracle_traces import TraceScript


def _showings(script: TraceScript) -> dict[str, list[int]]:
    return {each.name: [showing.number for showing in each.showings] for each in Oracle(script.records).messages}


def test_an_id_counts_more_than_the_order() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    script.says("alice", "b", "ok")
    second = script.got("bob", "b", "ok")
    first = script.got("bob", "a", "ok")
    assert _showings(script) == {"m1": [first], "m2": [second]}


def test_texts_without_an_id_come_in_the_order_in_which_they_were_sent() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    first = script.got("bob", None, "ok", transport="SMS")
    script.says("alice", "b", "ok")
    second = script.got("bob", None, "ok", transport="SMS")
    assert _showings(script) == {"m1": [first], "m2": [second]}


def test_a_copy_that_was_sealed_anew_names_the_one_before() -> None:
    script = TraceScript()
    script.says("alice", "a", "once more")
    script.seals("b", more="mls.Original-Message-ID: a\r\n")
    shown = script.got("bob", "b", "once more", scheme="mls")
    oracle = Oracle(script.records)
    assert _showings(script) == {"m1": [shown]}
    assert oracle.find("b").name == "m1"
    assert oracle.verdict("m1") == "sealed"


def test_words_of_nobody_in_the_trace_are_a_message_from_outside() -> None:
    script = TraceScript()
    script.says("alice", "a", "one")
    script.got("bob", "x", "hello from elsewhere")
    script.got("bob", None, "your code is 123456", transport="SMS")
    foreign = [each for each in Oracle(script.records).messages if each.is_foreign]
    assert [each.text for each in foreign] == ["hello from elsewhere", "your code is 123456"]


def test_words_that_the_sender_got_himself_are_not_his() -> None:
    script = TraceScript()
    script.says("alice", "a", "ok")
    script.got("alice", None, "ok", transport="SMS")
    assert _showings(script)["m1"] == []


def test_thousands_of_equal_texts_are_matched_one_by_one() -> None:
    script = TraceScript()
    for number in range(5000):
        script.says("alice", f"a{number}", "ok")
        script.got("bob", None, "ok", transport="SMS")
    assert all(len(numbers) == 1 for numbers in _showings(script).values())
