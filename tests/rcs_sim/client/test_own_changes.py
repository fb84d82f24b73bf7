"""The user's own changes follow the messages that carry them: shown on their way, undone when they reach nobody."""

from __future__ import annotations

import pytest

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.delivery import Delivery, Do
from rcs_sim.client.fallback import FallbackReason, Route, RouteDecision
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_changes import OWN, MessageChanges
from rcs_sim.client.message_rules import delivery_rules
from rcs_sim.client.messages import Change, SentMessage
from rcs_sim.client.own_changes import apply_change, follow_change
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.wire.message_reference import ReferenceType
from rcs_sim.wire.rcs_configuration import RcsConfiguration

_RULES = delivery_rules(RcsConfiguration(), DevicePolicy(name="test"))


def _message(conversation: Conversation, message_id: str, text: str, *, may_fall_back: bool) -> SentMessage:
    delivery = Delivery(_RULES, lambda low, high: low, 0.0, may_fall_back=may_fall_back)
    return SentMessage(conversation, message_id, "c", text, "", delivery, lambda message: None, has_report=False)


def _changing(kind: ReferenceType, emoji: str = "", text: str = "") -> tuple[SentMessage, SentMessage]:
    conversation = Conversation(ContactKey("+12025550152"), "c1")
    target = _message(conversation, "m1", "old", may_fall_back=True)
    conversation.add(target)
    change = _message(conversation, "x1", emoji or text, may_fall_back=False)
    change.change = Change(kind, "m1", "m1", emoji, text)
    return target, change


@pytest.mark.parametrize(
    ("kind", "emoji", "text", "seen"),
    [
        (ReferenceType.ADD_REACTION, "👍", "", ({OWN: "👍"}, "old")),
        (ReferenceType.EDIT, "", "new", ({}, "new")),
        (ReferenceType.RECALL, "", "", ({}, "")),
    ],
)
def test_a_change_is_there_from_its_first_transmission_until_it_fails(
    kind: ReferenceType, emoji: str, text: str, seen: tuple[dict[str, str], str]
) -> None:
    target, change = _changing(kind, emoji, text)
    follow_change(change)
    assert (target.reactions, target.shown_text) == ({}, "old")
    assert change.delivery.start(RouteDecision(Route.RCS, FallbackReason.NONE), 1.0) == [Do.SEND_RCS]
    follow_change(change)
    assert (target.reactions, target.shown_text) == seen
    change.delivery.rcs_outcome(404, 2.0, can_revoke=False)
    follow_change(change)
    assert (target.reactions, target.shown_text) == ({}, "old")
    change.delivery.delivered(3.0)  # it was none after all
    follow_change(change)
    assert (target.reactions, target.shown_text) == seen


def test_what_was_recalled_is_not_sent_again_as_sms() -> None:
    target, change = _changing(ReferenceType.RECALL)
    change.delivery.start(RouteDecision(Route.RCS, FallbackReason.NONE), 1.0)
    follow_change(change)
    assert not target.delivery.may_fall_back


def test_a_message_that_changes_nothing_changes_nothing() -> None:
    target, change = _changing(ReferenceType.EDIT, text="new")
    follow_change(target)
    assert target.conversation.changes is None
    changes = MessageChanges()
    assert change.change is not None
    assert not apply_change(changes, Change(ReferenceType.REPLY, "m1", "m1"), OWN, 1.0, "x")
    assert apply_change(changes, change.change, OWN, 2.0, "x1")
    assert not apply_change(changes, change.change, OWN, 1.0, "x0")
