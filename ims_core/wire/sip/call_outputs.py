"""What a call asks its owner to do and what it tells him, and how it is set up (RFC 3261 §13 to §15).

Messages to carry out come as SendRequest, SendAck, SendCancel and Respond; all else are events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.session_timer import SessionTimerConfig
from ims_core.wire.sip.transaction import CORE_TIMERS, TimerConfig

__all__ = [
    "CALL_METHODS",
    "Answered",
    "Authorize",
    "CallConfig",
    "CallOutput",
    "Confirmed",
    "EndReason",
    "Ended",
    "Modified",
    "ModifyRefused",
    "Offered",
    "Received",
    "Refreshed",
    "Refused",
    "Released",
    "Respond",
    "Ringing",
    "SendAck",
    "SendCancel",
    "SendRequest",
    "Uniform",
    "Withdrawn",
]

CALL_METHODS: Final = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK")
"""The methods that a call handles."""

Uniform: TypeAlias = Callable[[float, float], float]
"""A random number from the first up to the second argument."""
Authorize: TypeAlias = Callable[[Request, Response], Request | None]
"""A request again with credentials for its 401 or 407; None if there are none. The call sets the CSeq itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallConfig:
    """How a side of a call behaves."""

    timers: TimerConfig = CORE_TIMERS
    session: SessionTimerConfig = field(default_factory=SessionTimerConfig)
    allow: tuple[str, ...] = CALL_METHODS
    """Allow of our INVITE, UPDATE and their 2xx, unless the owner wrote another one into its INVITE."""
    headers: tuple[HeaderInput, ...] = ()
    """Of every request inside the dialog, such as User-Agent; P-Access-Network-Info stays out of ACK and CANCEL
    (TS 24.229 §5.1.2A.1.1)."""
    response_headers: tuple[HeaderInput, ...] = ()
    """Of every response of ours, such as Server."""
    is_secure: bool = False
    """Whether the INVITE goes, or came, over TLS to a SIPS URI (RFC 3261 §12.1)."""


class EndReason(Enum):
    """Why a call is over, but for Refused."""

    HUNG_UP = "hung up"  # by our owner
    PEER_HUNG_UP = "peer hung up"  # BYE
    REFUSED = "refused"  # by this machine: a session interval that is too small
    CANCELLED = "cancelled"  # by the peer, before we answered
    NO_ACK = "no ACK"  # to our 2xx (RFC 3261 §13.3.1.4)
    NO_PRACK = "no PRACK"  # to our reliable provisional response (RFC 3262 §3)
    EXPIRED = "session expired"  # RFC 4028 §10
    GONE = "unknown to the peer"  # 481
    SILENT = "no answer"  # to a request inside the dialog (RFC 3261 §12.2.1.2)


# ----------------------------------------------------------------------------------------------------------- messages


@dataclass(frozen=True, slots=True)
class SendRequest:
    """To be sent in a client transaction, without Via as yet. What comes of it goes to `Call.response_received` and
    `Call.request_failed`."""

    request: Request


@dataclass(frozen=True, slots=True)
class SendAck:
    """The ACK to a 2xx: to be sent without a transaction."""

    request: Request


@dataclass(frozen=True, slots=True)
class SendCancel:
    """CANCEL for the transaction of *invite*, the request of an earlier SendRequest (`cancel_of` needs its Via)."""

    invite: Request
    headers: tuple[HeaderInput, ...] = ()


@dataclass(frozen=True, slots=True)
class Respond:
    """A response for the server transaction of *request*; a 2xx to INVITE may be due more than once."""

    request: Request
    response: Response


# ------------------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Ringing:
    """A provisional response other than 100 to our INVITE."""

    response: Response


@dataclass(frozen=True, slots=True)
class Answered:
    """The 2xx to our INVITE. With *needs_answer* its body is an offer: `Call.confirm` answers it in the ACK."""

    response: Response
    needs_answer: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """Our INVITE has failed, and the call is over. *response* is None where nobody answered: *status* is then 408 or
    503 (RFC 3261 §8.1.3.1)."""

    status: int
    response: Response | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK to our 2xx, with the answer in its body if the offer was ours. None if it is lost, but the peer goes on
    in a way that shows that it has our 2xx (RFC 5407 §3.1)."""

    ack: Request | None


@dataclass(frozen=True, slots=True)
class Offered:
    """A re-INVITE or UPDATE to be answered by `Call.answer` or `Call.refuse`. A re-INVITE without a body asks for an
    offer: its answer comes with Confirmed."""

    request: Request


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The peer cancelled what was Offered; it needs no answer any more."""

    request: Request


@dataclass(frozen=True, slots=True)
class Modified:
    """The 2xx to a re-INVITE or UPDATE of our owner; *needs_answer* as in Answered."""

    response: Response
    needs_answer: bool = False


@dataclass(frozen=True, slots=True)
class ModifyRefused:
    """A re-INVITE or UPDATE of our owner has failed; the session is as before (RFC 3261 §14.1)."""

    status: int
    response: Response | None


@dataclass(frozen=True, slots=True)
class Received:
    """A request of another method inside the dialog, in order: the owner answers it."""

    request: Request


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The session timer begins anew without a change of the session, by either side (RFC 4028)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The call is over for its owner: told once, unless Refused was. *reason_header* is the text of the Reason fields
    in the BYE or CANCEL of the peer (RFC 3326), fit to be passed on."""

    reason: EndReason
    reason_header: str | None = None


@dataclass(frozen=True, slots=True)
class Released:
    """Nothing is expected any more, late 2xx included: the call can be dropped. Always the last output."""


CallOutput: TypeAlias = (
    SendRequest
    | SendAck
    | SendCancel
    | Respond
    | Ringing
    | Answered
    | Refused
    | Confirmed
    | Offered
    | Withdrawn
    | Modified
    | ModifyRefused
    | Received
    | Refreshed
    | Ended
    | Released
)
