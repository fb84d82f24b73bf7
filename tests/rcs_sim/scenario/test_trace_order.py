"""A trace is judged in the order of its numbers, and says which of them it does not have."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import TraceRecord
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.trace_order import in_order, missing_numbers
from tests.support.oracle_traces import SealedConversation


def _records() -> list[TraceRecord]:
    return SealedConversation().records


def test_what_is_in_order_stays_as_it_is() -> None:
    assert in_order(_records()[3:9]) == _records()[3:9]
    assert in_order([]) == []


@given(st.randoms(use_true_random=False))
def test_lines_that_changed_places_or_stand_there_twice_are_put_right(random: Random) -> None:
    mixed = [*_records(), *_records()[4:12]]
    random.shuffle(mixed)
    assert in_order(mixed) == _records()
    assert Oracle(mixed).violations() == []


def test_files_that_were_put_together_are_counted_anew() -> None:
    other = SealedConversation()
    other.send_sealed("two", "of another day")
    later = [replace(record, at=record.at + 1000) for record in other.records]
    joined = in_order([*_records(), *later])
    assert [record.number for record in joined] == list(range(1, len(_records()) + len(later) + 1))
    assert [record.at for record in joined] == [record.at for record in (*_records(), *later)]


def test_records_that_are_not_there_are_told() -> None:
    records = _records()
    assert missing_numbers(records) == []
    assert missing_numbers([]) == []
    assert missing_numbers([*records[3:6], *records[7:]]) == [(1, 3), (7, 7)]
    oracle = Oracle([*records[3:6], *records[7:]])
    assert oracle.document().missing == [(1, 3), (7, 7)]
    assert "not in this trace, and not judged: records 1 to 3, 7" in oracle.table()
    assert "not judged" not in Oracle(records).table()


def test_of_many_gaps_the_first_are_named() -> None:
    records = _records()
    assert Oracle(records[::2]).document().missing[0] == (2, 2)
    assert "and" in Oracle(records[::2]).table().partition("not judged")[2]
