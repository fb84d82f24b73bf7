"""What goes into a message session and what comes out of it, beside the frames (RFC 4975 §5-7)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.media import MsrpMedia
from ims_core.wire.msrp.message import ByteRange, FailureReport, MsrpRequest, MsrpResponse

__all__ = [
    "UNINTERRUPTIBLE_OCTETS",
    "Bound",
    "Closed",
    "FailureReason",
    "MessageAborted",
    "MessageFailed",
    "MessageReceived",
    "MessageSent",
    "OutgoingMessage",
    "Output",
    "Outputs",
    "Reported",
    "SessionConfig",
    "SessionFailed",
    "Transmit",
]

UNINTERRUPTIBLE_OCTETS: Final = 2048  # a longer chunk has to be interruptible (RFC 4975 §7.1.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionConfig:
    """Policy of one session.

    *local* and *remote* are the two sides of the SDP: types, sizes and directions that they allow; None allows all.
    *max_octets* bounds a message that is received whatever the SDP says. Of the messages that are sent,
    *window_octets* may be unanswered, and *burst_octets* written between two calls of `writable`; a burst as large as
    the window needs no such call unless Failure-Report is not ``yes``. *is_settled_by_owner*: the chunk that completes
    a message is answered by `settle`, else at once; *reports_success*: the REPORT that the sender asked for follows it.
    """

    local: MsrpMedia | None = None
    remote: MsrpMedia | None = None
    chunk_octets: int = 2048
    window_octets: int = 128 * 1024
    burst_octets: int = 128 * 1024
    max_octets: int = 1024 * 1024
    max_queued: int = 4096  # messages that wait to be sent
    max_unsettled: int = 256  # messages that wait for `settle`; so many make the session congested
    max_unsettled_octets: int = 1024 * 1024  # the same for their bodies together
    response_s: float = 30.0
    bind_s: float = 10.0
    incomplete_s: float = 60.0  # how long a message may lack its next chunk
    is_settled_by_owner: bool = False
    reports_success: bool = True
    most_received: int = field(init=False)
    most_sent: int | None = field(init=False)
    receives: bool = field(init=False)
    sends: bool = field(init=False)

    def __post_init__(self) -> None:
        """Raises LocalProtocolError for a window, burst or chunk of nothing."""
        flow = (self.chunk_octets, self.window_octets, self.burst_octets)
        if min(*flow, self.max_queued, self.max_unsettled, self.max_unsettled_octets) < 1:
            raise LocalProtocolError("a session that could never send", spec="RFC 4975 §7.1")
        local, remote = self.local, self.remote
        limit = None if local is None else local.max_size
        receives = (local is None or local.direction.receives) and (remote is None or remote.direction.sends)
        sends = (local is None or local.direction.sends) and (remote is None or remote.direction.receives)
        object.__setattr__(self, "most_received", self.max_octets if limit is None else min(limit, self.max_octets))
        object.__setattr__(self, "most_sent", None if remote is None else remote.max_size)
        object.__setattr__(self, "receives", receives)
        object.__setattr__(self, "sends", sends)


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message to send. *message_id* is the Message-ID: fresh, and never shown to a user. An urgent one (typing, a
    receipt) goes between the chunks of others; it should be short."""

    message_id: str
    content_type: str
    body: bytes
    success_report: bool = False
    failure_report: FailureReport = FailureReport.YES
    is_urgent: bool = False


class FailureReason(Enum):
    """Why a message was not sent. After all but LOST and TIMED_OUT it is no use to send it again in a session."""

    REFUSED = "refused"  # a response with that status
    REPORTED = "reported"  # a failure REPORT with that status, from a relay or from the peer
    UNACCEPTABLE = "unacceptable"  # the peer's SDP does not allow it: 403, 413 or 415 without asking
    QUEUE_FULL = "queue full"
    TIMED_OUT = "timed out"  # its response did not come in time; the session is unusable
    LOST = "lost"  # session or connection ended first: to be sent again elsewhere

    @property
    def is_resendable(self) -> bool:
        return self in (FailureReason.TIMED_OUT, FailureReason.LOST, FailureReason.QUEUE_FULL)


@dataclass(frozen=True, slots=True)
class Transmit:
    """Octets for the connection. *frame* is the message that they are, where one was made for them; for a long chunk it
    is the head, in the first of the octets; None for what was put together from texts or goes on with such a chunk."""

    octets: bytes
    frame: MsrpRequest | MsrpResponse | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A whole message. *delivery* is what `settle` and `report` take; *wants_report*: a success REPORT is wanted."""

    message_id: str
    content_type: str
    body: bytes
    wants_report: bool
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class MessageAborted:
    """The sender gave up a message of which some octets had come: forget it (continuation flag ``#``)."""

    message_id: str


@dataclass(frozen=True, slots=True)
class MessageSent:
    """Every chunk was answered with 200, or was written and no answer is wanted. The next MSRP node has it, no more.

    A failure REPORT, or with Failure-Report ``partial`` a negative response, can still make it a MessageFailed."""

    message_id: str


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """The message did not get through, as far as known. *status* is that of MSRP (RFC 4975 §10): for LOST, that of the
    session. *was_begun*: octets of it had been sent, so the peer may have it all the same."""

    message_id: str
    reason: FailureReason
    status: int
    was_begun: bool


@dataclass(frozen=True, slots=True)
class Reported:
    """A REPORT about a message of ours (RFC 4975 §7.1.2). If *status* is not 2xx a MessageFailed follows."""

    message_id: str
    status: int
    byte_range: ByteRange


@dataclass(frozen=True, slots=True)
class Bound:
    """The peer has shown that it has this session: it answered, or sent a request with the right paths."""


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """The session cannot be used any more: end the dialog and the connection. A MessageFailed for each message that is
    not answered follows. *status*: 481 or 506 as the peer said, 408 as it said or for want of an answer, 400 if its
    octets cannot be read any further."""

    status: int
    why: str


@dataclass(frozen=True, slots=True)
class Closed:
    """`close` is done: nothing is under way any more, the connection can be closed. Always the last output."""


Output: TypeAlias = (
    Transmit
    | MessageReceived
    | MessageAborted
    | MessageSent
    | MessageFailed
    | Reported
    | Bound
    | SessionFailed
    | Closed
)
Outputs: TypeAlias = list[Output]
