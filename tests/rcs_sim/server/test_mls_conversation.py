"""What the focus knows of a conversation, and what the store has of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.store.mls_conversations import MLS_CONTROL_MESSAGES, MLS_CONVERSATIONS, StoredAnswer
from ims_core.store.record_codec import RecordCodec
from rcs_sim.server.mls_conversation import ConversationUnreadable, MlsConversation, pair_of
from tests.rcs_sim.server.focus_lab import Table
from tests.support.focus_devices import ALICE, BOB, seams


def answer(control_id: str, sender: str = ALICE) -> StoredAnswer:
    return StoredAnswer(sender, control_id, bytes(32), "", "", 1, 1, bytes(32), b"")


def test_both_carriers_find_the_same_focus() -> None:
    assert pair_of("12", "13") == pair_of("13", "12") == ("12", "13")
    assert pair_of("2", "10") == ("10", "2")  # octets, not numbers
    conversation = MlsConversation(pair_of(BOB, ALICE))
    assert (conversation.other(ALICE), conversation.other(BOB)) == (BOB, ALICE)
    assert (conversation.state, conversation.group_id) == (None, b"")


def test_so_many_answers_are_remembered_by_sender_and_id() -> None:
    conversation = MlsConversation(pair_of(ALICE, BOB))
    for number in range(5):
        conversation = conversation.with_answer(answer(str(number)), 3)
    assert [each.control_id for each in conversation.answers] == ["2", "3", "4"]
    assert conversation.answer_to(ALICE, "4") == answer("4")
    assert conversation.answer_to(BOB, "4") is None
    assert conversation.answer_to(ALICE, "0") is None


def test_records_survive_their_encoding() -> None:
    table = Table()
    table.established()
    record = table.conversation.to_record()
    codec = RecordCodec(MLS_CONVERSATIONS)
    assert codec.decode(codec.encode(record)) == record
    entries = RecordCodec(MLS_CONTROL_MESSAGES)
    assert entries.decode(entries.encode(table.conversation.log[0])) == table.conversation.log[0]
    assert MLS_CONVERSATIONS.key(record) == f"{ALICE} {BOB}"


def test_an_entry_that_is_ahead_of_its_conversation_is_left_out() -> None:
    table = Table()
    table.established()
    record = table.conversation.to_record()
    ahead = replace(table.conversation.log[0], number=record.next_message)
    restored = MlsConversation.of_record(record, (*table.conversation.log, ahead), seams())
    assert restored.log == table.conversation.log


@pytest.mark.parametrize("change", [{"key": "one"}, {"group": b"junk"}, {"authenticators": ()}])
def test_a_record_that_is_none_is_told(change: dict[str, object]) -> None:
    table = Table()
    table.established()
    record = replace(table.conversation.to_record(), **change)
    with pytest.raises(ConversationUnreadable):
        MlsConversation.of_record(record, (), seams())


def test_what_is_outstanding_ends_with_its_fan_out() -> None:
    table = Table()
    table.established()
    assert [each.control_id for each in table.conversation.outstanding] == ["create"]
    assert table.conversation.without_outstanding("create").outstanding == ()
