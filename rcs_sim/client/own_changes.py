"""What the user of this phone changed about messages, on the own screen: there while it is on its way, gone if it
reaches nobody (digest §5.5)."""

from __future__ import annotations

from rcs_sim.client.conversation import Conversation
from rcs_sim.client.message_changes import OWN, MessageChanges, NewText, Reaction
from rcs_sim.client.message_state import MessageState
from rcs_sim.client.messages import Change, SentMessage
from rcs_sim.wire.message_reference import ReferenceType

__all__ = ["apply_change", "follow_change"]

_ARRIVED = (MessageState.DELIVERED, MessageState.DISPLAYED)


def follow_change(message: SentMessage) -> None:
    """The state of *message* has moved: what it changes is shown or is not, accordingly."""
    change, changes = message.change, message.conversation.changes
    if change is None or not change.key:
        return
    if message.state is MessageState.FAILED:
        if changes is not None:
            changes.withdraw(change.key, message.id)
    elif message.state is MessageState.SENDING or (message.state in _ARRIVED and _has_failed(message)):
        apply_change(message.conversation.changing(), change, OWN, message.created_at, message.id)
        if change.kind is ReferenceType.RECALL:
            _keep_from_sms(message.conversation, change.key)


def _keep_from_sms(conversation: Conversation, message_id: str) -> None:
    """What its author has recalled is not sent again in another way."""
    for target in reversed(conversation.messages):
        if target.id == message_id and isinstance(target, SentMessage):
            target.delivery.may_fall_back = False
            return


def _has_failed(message: SentMessage) -> bool:
    """A receipt has come about what was given up."""
    return any(change.state is MessageState.FAILED for change in message.history)


def apply_change(changes: MessageChanges, change: Change, member: str, at: float, change_id: str) -> bool:
    """Makes *change* of *member*, who is entitled to it. False if a later one has overtaken it."""
    match change.kind:
        case ReferenceType.ADD_REACTION:
            return changes.react(change.key, member, Reaction(change.emoji, at, change_id))
        case ReferenceType.REMOVE_REACTION:
            return changes.take_back(change.key, member, Reaction(change.emoji, at, change_id))
        case ReferenceType.EDIT:
            return changes.edit(change.key, NewText(change.text, at, change_id))
        case ReferenceType.RECALL:
            return changes.recall(change.key, change_id)
    return False
