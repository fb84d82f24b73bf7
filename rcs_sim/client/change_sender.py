"""The user's hands on earlier messages: reply, react, edit, recall (digest §5.5, §10.3, §10.4).

All of them are messages of their own, with ids and receipts of their own. Reactions, edits and recalls are never sent
as SMS, and what cannot be done fails visibly.
"""

from __future__ import annotations

from ims_core.errors import LocalProtocolError
from rcs_sim.client.chat_mode import ContentKind
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.message_changes import OWN
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.messages import Change, ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger
from rcs_sim.client.pager import epoch_of
from rcs_sim.devices.policy import ReferenceUse
from rcs_sim.wire.emoji import is_one_emoji
from rcs_sim.wire.message_reference import MessageReference, ReferenceType, reference_headers, write_reaction
from rcs_sim.wire.reaction_text import write_reaction_text

__all__ = ["ChangeSender"]

_KINDS = {
    ReferenceType.ADD_REACTION: ContentKind.REACTION,
    ReferenceType.REMOVE_REACTION: ContentKind.REACTION,
    ReferenceType.EDIT: ContentKind.EDIT,
    ReferenceType.RECALL: ContentKind.RECALL,
}
_SPEC = "digest §5.5"
_POSSIBLE = FallbackReason.NONE
_R = FallbackReason
_Target = SentMessage | ReceivedMessage


class ChangeSender:
    """Of one phone. *anyway* sends what a handset would send that does not look who wrote a message, and when."""

    __slots__ = ("_messenger", "_policy")

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._policy = messenger.policy.references

    # --- what the user does ------------------------------------------------------------------------------------------

    def reply(self, conversation: Conversation, target: _Target, text: str) -> SentMessage:
        """A text in answer to *target*. It is a text first: where nothing can name what it answers, it goes without.
        Raises LocalProtocolError for an empty text."""
        if not text:
            raise LocalProtocolError("an empty text", spec="RCC.07 §3.2.1")
        messenger, target_id = self._messenger, _id_of(target)
        message = messenger.maker.new(conversation, text)
        if target_id and self._may(self._policy.replies, conversation):
            message.reply_to = target.id
            reference = MessageReference(target_id, ReferenceType.REPLY)
            message.about = reference_headers(reference, self._policy.reply_dialects)
        if conversation.own_typing is not None:
            conversation.own_typing.message_sent()
        messenger.send(message)
        return message

    def react(self, conversation: Conversation, target: _Target, emoji: str) -> SentMessage:
        """Raises LocalProtocolError for anything but exactly one emoji."""
        if not is_one_emoji(emoji):
            raise LocalProtocolError(f"a reaction is exactly one emoji, not {emoji[:40]!r}", spec=_SPEC)
        return self._reaction(conversation, target, ReferenceType.ADD_REACTION, emoji)

    def take_back(self, conversation: Conversation, target: _Target) -> SentMessage:
        """The own reaction. Raises LocalProtocolError if there is none."""
        emoji = target.reactions.get(OWN)
        if emoji is None:
            raise LocalProtocolError("there is no reaction of this user on that message", spec=_SPEC)
        return self._reaction(conversation, target, ReferenceType.REMOVE_REACTION, emoji)

    def edit(self, conversation: Conversation, target: _Target, text: str, *, anyway: bool = False) -> SentMessage:
        """Raises LocalProtocolError for an empty text."""
        if not text:
            raise LocalProtocolError("an empty text", spec=_SPEC)
        return self._change_text(conversation, target, ReferenceType.EDIT, text, anyway=anyway)

    def recall(self, conversation: Conversation, target: _Target, *, anyway: bool = False) -> SentMessage:
        """The message is to be gone for everybody."""
        return self._change_text(conversation, target, ReferenceType.RECALL, "", anyway=anyway)

    # --- what is possible --------------------------------------------------------------------------------------------

    @staticmethod
    def _may(use: ReferenceUse, conversation: Conversation) -> bool:
        return use is ReferenceUse.ALWAYS or (use is ReferenceUse.SEALED and conversation.is_encrypted)

    def _is_read_by_peer(self, conversation: Conversation) -> bool:
        """Whether the peer is taken to read Reference headers: of one who never said what it can do nobody knows, and
        encryption came with a profile that has them."""
        tags = self._messenger.capabilities.entry(conversation.peer).tags
        return conversation.is_encrypted or not tags.services or tags.reads_references

    def _ban(self, target: _Target) -> FallbackReason:
        """Why nobody honest changes that text."""
        if not isinstance(target, SentMessage):
            return _R.NOT_AUTHOR
        written = epoch_of(target.date_time)
        if written is not None and self._messenger.alarms.wall() - written > self._policy.change_within_s:
            return _R.TOO_LATE
        return _POSSIBLE

    # --- putting it on its way ---------------------------------------------------------------------------------------

    def _change_text(
        self, conversation: Conversation, target: _Target, kind: ReferenceType, text: str, *, anyway: bool
    ) -> SentMessage:
        use = self._policy.edits if kind is ReferenceType.EDIT else self._policy.recalls
        ban = self._ban(target)
        is_forged = anyway and ban is not _POSSIBLE
        refusal = _POSSIBLE if anyway else ban
        if not self._may(use, conversation):
            refusal = _R.NOT_OFFERED
        elif refusal is _POSSIBLE and not anyway and not self._is_read_by_peer(conversation):
            refusal = _R.PEER_WITHOUT_FEATURE
        return self._send(conversation, target, kind, text, refusal, is_forged=is_forged)

    def _reaction(self, conversation: Conversation, target: _Target, kind: ReferenceType, emoji: str) -> SentMessage:
        if not self._policy.reacts_by_text and self._is_read_by_peer(conversation):
            return self._send(conversation, target, kind, write_reaction(emoji, self._policy.dialects), emoji=emoji)
        form, quote = self._policy.text_form, target.shown_text
        if form is None or not quote:
            return self._send(conversation, target, kind, emoji, _R.PEER_WITHOUT_FEATURE, emoji=emoji)
        text = write_reaction_text(form, emoji, quote, is_removal=kind is ReferenceType.REMOVE_REACTION)
        return self._send(conversation, target, kind, text, emoji=emoji, is_text=True)

    def _send(
        self,
        conversation: Conversation,
        target: _Target,
        kind: ReferenceType,
        text: str,
        refusal: FallbackReason = _POSSIBLE,
        *,
        emoji: str = "",
        is_text: bool = False,
        is_forged: bool = False,
    ) -> SentMessage:
        """*is_text*: it goes as a text that names nothing; *is_forged*: nothing changes on the own screen. What is
        about a sealed message is sealed, or goes not at all: a text that quotes it would tell what it said."""
        target_id = _id_of(target)
        if refusal is _POSSIBLE and (target.is_recalled or not target_id):
            refusal = _R.RECALLED if target.is_recalled else _R.NO_TARGET
        message = self._messenger.maker.new(conversation, text, _KINDS[kind])
        key = "" if is_forged else target.id
        message.change = Change(kind, target_id, key, emoji, text if kind is ReferenceType.EDIT else "")
        message.was_locked |= target.scheme is not None
        if target_id and not is_text:
            at_ms = round(self._messenger.alarms.wall() * 1000)
            reference = MessageReference(target_id, kind)
            message.about = reference_headers(reference, self._policy.dialects, at_ms=at_ms)
        self._messenger.send(message, refusal=refusal)
        return message


def _id_of(target: _Target) -> str:
    """By which the peer knows it; "" for a short message, which nothing can name, also where RCS was tried before."""
    if isinstance(target, SentMessage):
        is_known = target.delivery.was_rcs and target.transport is MessageTransport.RCS
        return target.wire_id if is_known else ""
    return target.id
