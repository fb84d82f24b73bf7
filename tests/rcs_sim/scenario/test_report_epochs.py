"""Epochs of conversations, out of records."""

from __future__ import annotations

from typing import Any

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.report_epochs import epochs_of


def _record(number: int, source: str, summary: str, conversation: str | None = "c1", **details: Any) -> TraceRecord:
    return TraceRecord(
        number, float(number), RecordKind.STATE, source, source, summary=summary, conversation_id=conversation,
        details=details,
    )  # fmt: skip


def _moved(number: int, source: str, era: Any, epoch: Any, **more: Any) -> TraceRecord:
    return _record(number, source, "encryption: moved", machine="encryption", era=era, epoch=epoch, **more)


def test_only_changes_are_told_each_element_for_itself() -> None:
    records = [_moved(1, "alice", 1, 1), _moved(2, "alice", 1, 1), _moved(3, "bob", 1, 1), _moved(4, "alice", 1, 2)]
    (changes,) = epochs_of(records).values()
    assert [(each.record, each.element, each.point) for each in changes] == [
        (1, "alice", (1, 1)),
        (3, "bob", (1, 1)),
        (4, "alice", (1, 2)),
    ]


def test_a_server_says_it_in_its_reason() -> None:
    record = _record(1, "red.messaging_server", "focus accepted", reason="era 2, epoch 14")
    assert [each.point for each in epochs_of([record])["c1"]] == [(2, 14)]


def test_conversations_are_kept_apart() -> None:
    other = _record(2, "alice", "encryption: moved", "c2", machine="encryption", era=1, epoch=1)
    assert list(epochs_of([_moved(1, "alice", 1, 1), other])) == ["c1", "c2"]


def test_what_tells_no_epoch_is_left_out() -> None:
    records = [
        _record(1, "alice", "encryption: set-up", machine="encryption"),
        _moved(2, "alice", "1", None),
        _record(3, "red.messaging_server", "focus accepted", reason="who knows"),
        _record(4, "red.messaging_server", "focus accepted"),
        _record(5, "alice", "encryption: moved", None, machine="encryption", era=1, epoch=1),
        TraceRecord(6, 6.0, RecordKind.MESSAGE, "alice", "bob", conversation_id="c1", details={"era": 1, "epoch": 1}),
    ]
    assert epochs_of(records) == {}
