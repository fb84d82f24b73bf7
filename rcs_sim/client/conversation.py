"""One person's thread on a phone: RCS messages and short messages together (digest §4.2, §8.2)."""

from __future__ import annotations

from rcs_sim.client.alarms import Alarm
from rcs_sim.client.fallback import Latch
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.message_changes import MessageChanges
from rcs_sim.client.messages import ReceivedMessage, SentMessage
from rcs_sim.client.typing import TypingReceiver, TypingSender

__all__ = ["Conversation"]

MAX_MESSAGES = 2000  # shown messages kept per conversation; older ones scroll away


class Conversation:
    """*id* is the Conversation-ID, stable for the thread: the peer's if the peer began it. *is_encrypted* is the mark
    "shown as encrypted" (RCC.16 §7.2): while it is set, what the user writes is sealed or fails."""

    __slots__ = (
        "alarm",
        "changes",
        "id",
        "is_encrypted",
        "is_open",
        "latch",
        "messages",
        "own_typing",
        "peer",
        "peer_typing",
        "read_at",
        "shown_label",
        "unread",
    )

    def __init__(self, peer: ContactKey, conversation_id: str) -> None:
        self.peer = peer
        self.id = conversation_id
        self.latch = Latch.UNKNOWN
        self.messages: list[SentMessage | ReceivedMessage] = []
        self.unread: list[ReceivedMessage] = []
        self.own_typing: TypingSender | None = None
        self.peer_typing = TypingReceiver()
        self.read_at: float | None = None
        self.alarm: Alarm | None = None
        self.changes: MessageChanges | None = None  # most have none
        self.is_open = False  # the user has opened it
        self.is_encrypted = False
        self.shown_label: tuple[str, str | None] = "", None

    def add(self, message: SentMessage | ReceivedMessage) -> None:
        self.messages.append(message)
        if len(self.messages) > MAX_MESSAGES:
            del self.messages[0]

    def changing(self) -> MessageChanges:
        """What was changed about its messages, to be changed further."""
        if self.changes is None:
            self.changes = MessageChanges()
        return self.changes

    def next_deadline(self) -> float | None:
        """Of typing, and of reading by itself."""
        typing = self.own_typing.next_deadline() if self.own_typing is not None else None
        deadlines = (typing, self.peer_typing.next_deadline(), self.read_at)
        return min((each for each in deadlines if each is not None), default=None)
