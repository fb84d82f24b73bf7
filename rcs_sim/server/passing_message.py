"""A message on its way through the messaging server, as those see it who may take it out of the conversation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ims_core.wire.sip.message import HeaderInput
from rcs_sim.server.pager_content import PagerContent
from rcs_sim.server.served_users import ServedUser

__all__ = ["ConversationFocus", "PassingMessage", "Said", "SpeakingSession"]

Said: TypeAlias = Callable[[int, float], None]
"""Told the final status of a message that the server said (408: nobody can tell), and the time."""


class SpeakingSession(Protocol):
    """A session in which the server itself can say something."""

    def say(self, content_type: str, body: bytes, said: Said, now: float, *, to_user: bool) -> bool:
        """Sends to the own user, or away from him; *said* learns what became of it. False if that leg is not up."""
        ...


@dataclass(frozen=True, slots=True)
class PassingMessage:
    """*user* is ours, *peer_key* the identity key of the other party. *ids* are the identifiers of the conversation;
    *session* is the one that it came in, None for a MESSAGE; *instance* the device of the user, if known."""

    user: ServedUser
    peer_key: str
    content: PagerContent
    is_from_user: bool
    ids: tuple[HeaderInput, ...] = ()
    session: SpeakingSession | None = None
    instance: str = ""

    @property
    def conversation_id(self) -> str:
        """Conversation-ID, empty without one."""
        for field in self.ids:
            if isinstance(field, tuple) and field[0] == "Conversation-ID":
                return field[1]
        return ""


class ConversationFocus(Protocol):
    """The arbiter of encrypted conversations."""

    def looks_at(self, content: PagerContent, *, is_from_user: bool) -> bool:
        """Whether content of this kind may be for it: most is not, and goes on without further ado."""
        ...

    def is_control(self, content: PagerContent) -> bool:
        """Whether it is said to a focus, or by one: never in large message mode."""
        ...

    def takes(self, message: PassingMessage, now: float) -> bool:
        """Whether *message*, at whose content it looks, ends here: its sender is told that it was received whole, and
        nobody else gets it."""
        ...
