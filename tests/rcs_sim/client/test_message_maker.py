"""Messages as they are made: ids of the device's form, and what may ever be an SMS."""

from __future__ import annotations

import pytest

from ims_core.transport.tokens import Tokens
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.chat_mode import ContentKind
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_maker import MessageMaker
from rcs_sim.client.message_rules import delivery_rules
from rcs_sim.client.messages import SentMessage
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.wire.rcs_configuration import RcsConfiguration

_BOB = ContactKey("+12025550152")


class _Noon:
    """A clock that stands."""

    def now(self) -> float:
        return 1_772_452_800.0


def _maker(calls: list[SentMessage]) -> MessageMaker:
    policy = DevicePolicy(name="test")
    rules = delivery_rules(RcsConfiguration(), policy)
    alarms, tokens = Alarms(_Noon()), Tokens("7")
    return MessageMaker(policy, alarms, tokens, rules, consented=calls.append, retried=calls.append)


def test_a_message_has_the_ids_of_the_device_and_calls_its_owner() -> None:
    calls: list[SentMessage] = []
    maker = _maker(calls)
    maker.new_id = lambda: "MxAAAA"
    message = maker.new(Conversation(_BOB, "c1"), "hello")
    assert (message.id, message.text, message.conversation_id) == ("MxAAAA", "hello", "c1")
    assert message.delivery.may_fall_back
    message.send_again()
    message.send_as_sms()
    assert calls == [message, message]


@pytest.mark.parametrize("kind", [ContentKind.REACTION, ContentKind.EDIT, ContentKind.RECALL])
def test_l13_what_is_no_text_may_never_be_an_sms(kind: ContentKind) -> None:
    message = _maker([]).new(Conversation(_BOB, "c1"), "👍", kind)
    assert not message.delivery.may_fall_back


def test_nor_may_what_is_too_long_or_is_for_nobody_with_a_number_or_is_locked() -> None:
    maker, locked = _maker([]), Conversation(_BOB, "c1")
    locked.is_encrypted = True
    assert not maker.new(Conversation(_BOB, "c1"), "x" * 5000).delivery.may_fall_back
    assert not maker.new(Conversation(ContactKey("sip:bot@example"), "c1"), "x").delivery.may_fall_back
    assert not maker.new(locked, "x").delivery.may_fall_back
