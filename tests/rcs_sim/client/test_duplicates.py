from __future__ import annotations

from rcs_sim.client.duplicates import CopyMerger, SeenMessages
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageTransport

_BOB, _CAROL = ContactKey("+12025550152"), ContactKey("+12025550103")
_RCS, _SMS = MessageTransport.RCS, MessageTransport.SMS


def test_a_message_id_is_known_per_sender_p06() -> None:
    seen = SeenMessages()
    seen.remember(_BOB, "m1", "shown")
    assert seen.find(_BOB, "m1") == "shown"
    assert seen.find(_CAROL, "m1") is None


def test_the_window_of_message_ids_is_bounded() -> None:
    seen = SeenMessages(limit=3)
    for number in range(10):
        seen.remember(_BOB, str(number), number)
    assert len(seen) == 3
    assert seen.find(_BOB, "9") == 9
    assert seen.find(_BOB, "0") is None


def _admit(merger: CopyMerger, transport: MessageTransport, at: float, sent_at: float | None = None) -> object | None:
    return merger.admit(_BOB, "hi", transport, arrived_at=at, sent_at=sent_at, message=(transport, at))


def test_the_sms_copy_of_an_rcs_message_is_merged() -> None:
    merger = CopyMerger(600)
    assert _admit(merger, _RCS, 0) is None
    assert _admit(merger, _SMS, 60) == (_RCS, 0)


def test_two_equal_texts_over_one_transport_are_two_messages() -> None:
    merger = CopyMerger(600)
    assert _admit(merger, _RCS, 0) is None
    assert _admit(merger, _RCS, 5) is None


def test_a_copy_is_paired_once() -> None:
    merger = CopyMerger(600)
    assert _admit(merger, _RCS, 0) is None
    assert _admit(merger, _SMS, 1) is not None
    assert _admit(merger, _SMS, 2) is None


def test_an_equal_text_after_the_window_is_another_message() -> None:
    merger = CopyMerger(600)
    assert _admit(merger, _RCS, 0) is None
    assert _admit(merger, _SMS, 601) is None


def test_a_stored_copy_is_paired_by_the_time_it_was_written() -> None:
    merger = CopyMerger(600)
    assert _admit(merger, _SMS, 100, sent_at=95) is None
    assert _admit(merger, _RCS, 9000, sent_at=60) == (_SMS, 100)


def test_memory_for_copies_is_bounded() -> None:
    merger = CopyMerger(600)
    for number in range(2000):
        merger.admit(_BOB, str(number), _RCS, arrived_at=0, sent_at=None, message=number)
    assert merger.admit(_BOB, "1999", _SMS, arrived_at=1, sent_at=None, message="sms") == 1999
    assert merger.admit(_BOB, "0", _SMS, arrived_at=1, sent_at=None, message="sms") is None
