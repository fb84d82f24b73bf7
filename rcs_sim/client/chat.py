"""One conversation as whoever uses the phone drives it."""

from __future__ import annotations

from ims_core.errors import SimulatorError
from rcs_sim.client.change_sender import ChangeSender
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.encryption import SealStep
from rcs_sim.client.fallback import FallbackReason
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.messenger import Messenger

__all__ = ["Chat"]


class Chat:
    """A view of the thread with one peer; several views of one thread are equal."""

    __slots__ = ("_conversation", "_inbox", "_messenger")

    def __init__(self, conversation: Conversation, messenger: Messenger, inbox: Inbox) -> None:
        self._conversation = conversation
        self._messenger = messenger
        self._inbox = inbox

    @property
    def peer(self) -> ContactKey:
        return self._conversation.peer

    @property
    def conversation_id(self) -> str:
        return self._conversation.id

    @property
    def label(self) -> str:
        """What the next message would be: ``SMS``, ``RCS`` or ``RCS · encrypted``."""
        return self._messenger.label(self._conversation)

    @property
    def scheme(self) -> str | None:
        """How the conversation is encrypted: ``mls``, ``legacy``, or None."""
        scheme = self._messenger.scheme(self._conversation) if self._conversation.is_encrypted else None
        return None if scheme is None else scheme.value

    @property
    def security_code(self) -> str | None:
        """What both users compare to be sure of each other (RCC.16 Annex C.5); None while there is nothing to compare.
        Its digits are ours: no other client shows the same (choice)."""
        encryption = self._messenger.encryption
        return None if encryption is None else encryption.security_code(self._conversation)

    def end_encryption(self) -> None:
        """The user consents to go on without encryption, for both sides; without effect where there is none, and
        nothing is refused because there may be."""
        encryption, conversation = self._messenger.encryption, self._conversation
        if encryption is None:
            return
        decision = encryption.decide(conversation, may_wait=False)
        may_be_locked = decision.step is SealStep.REFUSE or decision.reason is FallbackReason.FOCUS_ASKED
        if conversation.is_encrypted or may_be_locked:
            encryption.end(conversation)

    def revive_encryption(self) -> None:
        """The user wants it back."""
        encryption = self._messenger.encryption
        if encryption is not None:
            encryption.revive(self._conversation)

    @property
    def messages(self) -> tuple[SentMessage | ReceivedMessage, ...]:
        """Shown messages in order; content that is kept unseen has ``shown_count`` 0."""
        return tuple(self._conversation.messages)

    @property
    def is_peer_typing(self) -> bool:
        return self._conversation.peer_typing.is_typing

    def send(self, text: str, *, as_sms: bool | None = None) -> SentMessage:
        """Sends *text*; await the result to wait until it has left the phone. *as_sms* is the user's choice for this
        message only (digest §8.2). Raises LocalProtocolError for an empty text."""
        message = self._messenger.send_text(self._conversation, text, as_sms=as_sms)
        self._inbox.arm(self._conversation)
        return message

    def find(self, message_id: str) -> SentMessage | ReceivedMessage | None:
        """The message of the thread that is known by that imdn.Message-ID here or at the other end."""
        sent = self._messenger.find(message_id)
        if sent is not None and sent.conversation is self._conversation and sent.change is None:
            return sent
        found = self._inbox.changes.find(self.peer, message_id)
        return found if isinstance(found, ReceivedMessage) else None

    def reply(self, target: SentMessage | ReceivedMessage | str, text: str) -> SentMessage:
        """Answers a message of this thread, given itself or by its id. As `send`."""
        message = self._changing.reply(self._conversation, self._target(target), text)
        self._inbox.arm(self._conversation)
        return message

    def react(self, target: SentMessage | ReceivedMessage | str, emoji: str) -> SentMessage:
        """Puts *emoji*, exactly one, on a message of this thread, in the place of an earlier one of this user. The
        result is the message that tells the peer: it is no message of the thread, and never an SMS."""
        return self._changing.react(self._conversation, self._target(target), emoji)

    def unreact(self, target: SentMessage | ReceivedMessage | str) -> SentMessage:
        """Takes the own reaction back. Raises LocalProtocolError if there is none."""
        return self._changing.take_back(self._conversation, self._target(target))

    def edit(self, target: SentMessage | ReceivedMessage | str, text: str, *, anyway: bool = False) -> SentMessage:
        """Gives an own message of the last 15 minutes a new text. *anyway*: as a handset that does not look whose it
        is, and of when."""
        return self._changing.edit(self._conversation, self._target(target), text, anyway=anyway)

    def recall(self, target: SentMessage | ReceivedMessage | str, *, anyway: bool = False) -> SentMessage:
        """Takes an own message of the last 15 minutes back, for everybody. *anyway* as in `edit`."""
        return self._changing.recall(self._conversation, self._target(target), anyway=anyway)

    @property
    def _changing(self) -> ChangeSender:
        return ChangeSender(self._messenger)

    def _target(self, target: SentMessage | ReceivedMessage | str) -> SentMessage | ReceivedMessage:
        if not isinstance(target, str):
            return target
        found = self.find(target)
        if found is None:
            raise SimulatorError(f"there is no message {target!r} in the conversation with {self.peer}")
        return found

    @property
    def session(self) -> str:
        """State of the message session with the peer, "" without one: "inviting", "ringing", "open" and so on."""
        sessions = self._messenger.sessions
        found = sessions.session_with(self.peer) if sessions is not None else None
        return "" if found is None else found.state.value

    @property
    def is_invited(self) -> bool:
        """Whether the peer's invitation waits for the user (``AutAccept`` 0)."""
        sessions = self._messenger.sessions
        return sessions is not None and sessions.ringing_with(self.peer) is not None

    def accept(self) -> bool:
        """The user takes the invitation; False if there is none. Writing an answer takes it too."""
        sessions = self._messenger.sessions
        found = sessions.ringing_with(self.peer) if sessions is not None else None
        if sessions is None or found is None:
            return False
        sessions.accept(found)
        return True

    def decline(self) -> bool:
        """The user does not want to chat; False if there is no invitation."""
        sessions = self._messenger.sessions
        found = sessions.ringing_with(self.peer) if sessions is not None else None
        if sessions is None or found is None:
            return False
        sessions.decline(found)
        return True

    def end_session(self) -> None:
        """The message session is left, after the answers that are outstanding; the next message opens a new one."""
        sessions = self._messenger.sessions
        if sessions is not None:
            sessions.leave(self.peer)

    def type(self) -> None:
        """The user presses a key."""
        self._inbox.key_pressed(self._conversation)

    def read(self) -> None:
        """The user looks at the conversation."""
        self._inbox.read(self._conversation)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chat) and other._conversation is self._conversation

    def __hash__(self) -> int:
        return hash(id(self._conversation))

    def __repr__(self) -> str:
        return f"<Chat with {self.peer}: {len(self._conversation.messages)} messages, {self.label}>"
