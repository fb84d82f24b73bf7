"""Ends of MSRP sessions that write down what happens to them, and frames for them to say."""

from __future__ import annotations

from ims_core.errors import TransportError
from ims_core.transport.msrp_link import MsrpLink
from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import MsrpEvent, MsrpParseError, Piece

__all__ = ["RecordingEndpoint", "send_frame"]


class RecordingEndpoint:
    """Keeps every event in order, and answers each whole SEND with *status*, if any."""

    def __init__(self, status: int | None = 200) -> None:
        self.links: list[MsrpLink] = []
        self.events: list[MsrpEvent] = []
        self.ends: list[TransportError | None] = []
        self.lost_links: list[MsrpLink] = []
        self.drained_at: list[int] = []
        self._status = status

    def opened(self, link: MsrpLink) -> None:
        self.links.append(link)

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        self.events.append(event)
        request = event.head if isinstance(event, Piece) and event.continuation is not None else event
        if isinstance(request, MsrpRequest) and request.method == "SEND" and self._status is not None:
            response = MsrpResponse.to(request, self._status)
            link.send(response.encode(), response)

    def drained(self, link: MsrpLink) -> None:
        self.drained_at.append(link.backlog)

    def lost(self, link: MsrpLink, error: TransportError | None) -> None:
        self.lost_links.append(link)
        self.ends.append(error)

    @property
    def body(self) -> bytes:
        """The octets of every SEND, one after the other."""
        return b"".join(event.octets for event in self.events if isinstance(event, Piece))

    @property
    def statuses(self) -> list[int]:
        return [event.status for event in self.events if isinstance(event, MsrpResponse)]

    @property
    def faults(self) -> list[MsrpParseError]:
        return [event for event in self.events if isinstance(event, MsrpParseError)]


def send_frame(
    transaction_id: str,
    to: str,
    body: bytes | None = None,
    *,
    sender: str = "msrp://10.0.0.1:9/me;tcp",
    method: str = "SEND",
    headers: tuple[tuple[str, str], ...] = (),
    continuation: Continuation = Continuation.COMPLETE,
) -> MsrpRequest:
    """A chunk with *body*, or without one such as binds a connection. *to* is a session id or a whole To-Path."""
    size = 0 if body is None else len(body)
    fields: list[tuple[str, str]] = [
        ("Message-ID", f"m-{transaction_id}"),
        ("Byte-Range", f"1-{size}/{size}"),
        *headers,
    ]
    if body is not None:
        fields.append(("Content-Type", "text/plain"))
    path = to if ":" in to else f"msrp://10.0.0.2:2855/{to};tcp"
    return MsrpRequest(transaction_id, method, path, sender, fields, body, continuation)
