"""What the participating function and its session part have to do with each other (TS 24.229 §5.7.1, digest §15.5)."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.messaging_actions import Exchange
from rcs_sim.server.served_users import ServedUser

__all__ = ["SessionCase", "SessionPart"]


class SessionCase(Enum):
    """For whom the S-CSCF handed a request to this server (TS 24.229 §5.7.1)."""

    ORIGINATING = auto()
    TERMINATING = auto()


class SessionPart(Protocol):
    """Session mode and large message mode: everything about INVITE and its dialogs. Its answers and requests are
    actions like those of the other parts."""

    def invite(self, exchange: Exchange, request: Request, case: SessionCase, user: ServedUser, now: float) -> None:
        """An INVITE that makes a dialog."""
        ...

    def knows(self, request: Request) -> bool:
        """Whether it is about one of the dialogs here. Raises SipParseError."""
        ...

    def in_dialog(self, exchange: Exchange, request: Request, now: float) -> None:
        """BYE, UPDATE, a further INVITE and the like."""
        ...

    def cancel(self, exchange: Exchange, cancel: Request, invite: Exchange | None, now: float) -> None:
        """A CANCEL, and the exchange of the INVITE that it is about, if there is one."""
        ...

    def acknowledge(self, ack: Request, now: float) -> None:
        """The ACK to a 2xx."""
        ...

    def shut_down(self, now: float, at_most: int) -> bool:
        """The server ends: so do sessions, with a reason, so many in this call; and none begins. Whether there are
        more."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether there is no session."""
        ...

    def stray_response(self, response: Response, now: float) -> None:
        """A response that no transaction waits for, such as a 2xx to INVITE once more."""
        ...
