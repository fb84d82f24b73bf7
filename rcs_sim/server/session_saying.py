"""Messages that the server itself says in a session, and who learns what became of them."""

from __future__ import annotations

from ims_core.wire.msrp.session_events import OutgoingMessage
from rcs_sim.server.passing_message import Said
from rcs_sim.server.session_leg import SessionLeg

__all__ = ["SayingBook"]


class SayingBook:
    """Of one session. Each message that was said is settled once."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[tuple[bool, str], Said] = {}

    def say(self, leg: SessionLeg, message_id: str, content_type: str, body: bytes, said: Said) -> None:
        """Sends on *leg*, which is up. *message_id* is MSRP's."""
        self._pending[leg.is_to_user, message_id] = said
        leg.send(OutgoingMessage(message_id, content_type, body))

    def settle(self, leg: SessionLeg, message_id: str, status: int, now: float) -> bool:
        """Whether that message was said here; who said it is told."""
        said = self._pending.pop((leg.is_to_user, message_id), None)
        if said is not None:
            said(status, now)
        return said is not None

    def give_up(self, now: float, *, is_to_user: bool | None = None) -> None:
        """A leg is gone (None: all of them): nobody will answer there."""
        for key in [key for key in self._pending if is_to_user in (None, key[0])]:
            self._pending.pop(key)(408, now)
