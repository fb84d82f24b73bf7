"""The line of time of a run."""

from __future__ import annotations

from typing import Any

from lxml import etree

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.report_timeline import MAX_LANES, lanes_of_time, timeline_svg


def _record(at: float, kind: RecordKind, source: str, summary: str, of: str | None = None, **more: Any) -> TraceRecord:
    return TraceRecord(1, at, kind, source, source, summary=summary, imdn_message_id=of, details=more)


def _fault(at: float, event: str, number: int = 1) -> TraceRecord:
    return _record(at, RecordKind.FAULT, "red", f"kds.down {event}", fault="kds.down", number=number)


def _sent(at: float, text: str, message_id: str) -> TraceRecord:
    said = {"what": "message", "direction": "out", "text": text}
    return _record(at, RecordKind.SHOWN, "alice", f"message bob {text}", message_id, **said)


def _texts(svg: str) -> list[str]:
    return [str(each.text) for each in etree.fromstring(svg).iter("{*}text")]


def test_a_fault_lasts_until_it_ends() -> None:
    (ended, lasting) = lanes_of_time(
        [_fault(1, "begins"), _fault(2, "begins", 2), _fault(3, "acts"), _fault(4, "ends")]
    )
    assert [mark.sign for mark in ended.marks] == ["[", "!", "]"]
    assert (ended.lasts, lasting.lasts) == (False, True)


def test_steps_come_first_and_messages_last() -> None:
    records = [
        _sent(1, "hello", "i1"),
        _record(2, RecordKind.STATE, "scenario", "step 1: alice: send", machine="scenario", step=1),
        _fault(3, "begins"),
        _record(4, RecordKind.SHOWN, "alice", "delivered", "i1", what="delivered"),
        _record(5, RecordKind.SHOWN, "bob", "message", "i1", what="message", direction="in"),
    ]
    lanes = lanes_of_time(records)
    assert [lane.kind for lane in lanes] == ["step", "fault", "message"]
    assert [mark.sign for mark in lanes[2].marks] == ["○", "◆", "■"]


def test_each_new_epoch_of_a_conversation_is_marked_once() -> None:
    moved = [
        TraceRecord(
            n,
            n,
            RecordKind.STATE,
            who,
            who,
            conversation_id="c",
            details={"machine": "encryption", "era": 1, "epoch": e},
        )
        for n, (who, e) in enumerate([("alice", 1), ("bob", 1), ("alice", 2), ("bob", 2)])
    ]
    (lane,) = lanes_of_time(moved)
    assert [mark.sign for mark in lane.marks] == ["1.1", "1.2"]


def test_a_day_leaves_room_for_a_second() -> None:
    svg = etree.fromstring(timeline_svg([_sent(0, "a", "1"), _sent(1, "b", "2"), _sent(86_401, "c", "3")]))
    first, second, third = (float(line.get("x1", "")) for line in svg.findall("{*}line[@stroke-width]"))
    assert second - first > (third - second) / 10


def test_marks_that_would_cover_each_other_become_one() -> None:
    steps = [
        _record(0, RecordKind.STATE, "scenario", f"step {n}: expect", machine="scenario", step=n) for n in range(1, 4)
    ]
    texts = _texts(timeline_svg([*steps, _sent(9, "x", "1")]))
    assert "1…3" in texts
    assert not {"1", "2", "3"} & set(texts)


def test_texts_stay_texts() -> None:
    svg = timeline_svg([_sent(0, "<script>alert(1)</script>", "1")])
    assert "<script" not in svg
    assert "alice: <script>alert(1)</script>" in _texts(svg)


def test_rows_beyond_what_can_be_read_are_counted() -> None:
    svg = timeline_svg([_sent(n, "x", str(n)) for n in range(MAX_LANES + 3)])
    assert "and 3 more rows" in _texts(svg)


def test_nothing_makes_no_figure() -> None:
    assert timeline_svg([]) == ""
