from __future__ import annotations

from rcs_sim.client.conversation import MAX_MESSAGES, Conversation
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.typing import TypingSender


def test_old_messages_scroll_away() -> None:
    conversation = Conversation(ContactKey("+1"), "id")
    for number in range(MAX_MESSAGES + 5):
        conversation.add(ReceivedMessage(conversation, str(number), MessageTransport.RCS, 0, None))
    assert len(conversation.messages) == MAX_MESSAGES
    assert conversation.messages[0].text == "5"


def test_its_deadline_is_the_earliest_of_typing_and_reading() -> None:
    conversation = Conversation(ContactKey("+1"), "id")
    assert conversation.next_deadline() is None
    conversation.peer_typing.active(60, 0)
    conversation.read_at = 70
    conversation.own_typing = TypingSender(15, 60)
    assert conversation.next_deadline() == 60
    conversation.own_typing.key_pressed(1)
    assert conversation.next_deadline() == 16


def test_no_conversation_is_encrypted_in_this_build() -> None:
    assert not Conversation(ContactKey("+1"), "id").is_encrypted
