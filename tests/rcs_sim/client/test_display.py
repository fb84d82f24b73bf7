from __future__ import annotations

from ims_core.trace import ListSink, RecordKind, Trace
from rcs_sim.client.display import Display, Shown, ShownEvent


class _StoppedClock:
    def now(self) -> float:
        return 5.0


def _display() -> tuple[Display, ListSink]:
    trace, sink = Trace(), ListSink()
    trace.add_sink(sink)
    return Display("alice", _StoppedClock(), trace), sink


def test_what_is_shown_is_a_record_and_an_event() -> None:
    display, sink = _display()
    events: list[ShownEvent] = []
    display.watchers.append(events.append)
    display.show(Shown.MESSAGE, "+1", message="m", message_id="id", conversation_id="c", text="hi", transport=None)
    record = sink.records[0]
    assert (record.kind, record.source, record.summary) == (RecordKind.SHOWN, "alice", "message +1 hi")
    assert record.details == {"what": "message", "peer": "+1", "text": "hi"}
    assert (record.imdn_message_id, record.conversation_id) == ("id", "c")
    assert (events[0].what, events[0].message, events[0].details) == (Shown.MESSAGE, "m", {"text": "hi"})


def test_states_and_errors_are_records() -> None:
    display, sink = _display()
    display.state("latch", "SMS", reason="404", peer="+1")
    display.error("refused", b"x")
    state, error = sink.records
    assert (state.kind, state.summary) == (RecordKind.STATE, "latch: SMS (404)")
    assert state.details == {"machine": "latch", "state": "SMS", "reason": "404", "peer": "+1"}
    assert (error.kind, error.raw) == (RecordKind.ERROR, b"x")


def test_nothing_is_made_where_nobody_looks() -> None:
    display = Display("alice", _StoppedClock(), Trace())
    display.show(Shown.MESSAGE, "+1", text=object())
    display.state("x", "y")
    display.error("z")
