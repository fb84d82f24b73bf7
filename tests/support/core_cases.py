"""What tests of the decision cores of network functions have in common: flows, requests, and reading of decisions."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.nodes.decision import Answer, Decision, Forward, Reject, Target
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.sip_stack import Hop
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import SipUri, Uri

__all__ = ["NOW", "StillFlow", "answer_of", "forward_of", "hop_to", "make_request", "only_target", "status_of"]

NOW = 1_000_000.0


class StillFlow:
    """A flow that carries nothing: the cores only look at its ends."""

    def __init__(self, host: str, port: int = 40_000, transport: Transport = Transport.TCP) -> None:
        self.local = Address(transport, "127.0.1.10", 5060)
        self.remote = Address(transport, host, port)
        self.user: object | None = None
        self.is_open = True
        self.is_bulk = False
        self.backlog = 0
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None

    def send(self, octets: bytes) -> None:
        """Nobody listens."""

    def pause(self) -> None:
        """Nobody speaks."""

    def resume(self) -> None:
        """Nobody speaks."""

    def close(self) -> None:
        self.is_open = False


def hop_to(uri: Uri) -> Hop | None:
    """A name service that knows addresses, and ``NAME.DOMAIN`` as 10.0.0.1; nothing in ``.invalid``."""
    if not isinstance(uri, SipUri) or uri.host.endswith(".invalid"):
        return None
    host = uri.address if uri.address[0].isdigit() or ":" in uri.address else "10.0.0.1"
    transport = Transport[(uri.params.get("transport") or "tcp").upper()]
    return Hop(address=Address(transport, host, uri.port or 5060))


def make_request(
    method: str,
    uri: str,
    *headers: HeaderInput,
    sender: str = "sip:alice@home.test",
    to: str = "",
    to_tag: str = "",
    call_id: str = "call-1",
    cseq: int = 1,
    body: bytes = b"",
    content_type: str | None = None,
    via: str = "SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK-1",
) -> Request:
    """A request as it arrives at a node."""
    tag = f";tag={to_tag}" if to_tag else ""
    fields: list[HeaderInput] = [
        ("Via", via),
        ("Max-Forwards", "70"),
        ("From", f"<{sender}>;tag=f1"),
        ("To", f"<{to or uri}>{tag}"),
        ("Call-ID", call_id),
        ("CSeq", f"{cseq} {method}"),
        *headers,
    ]
    return Request.new(method, uri, fields, body, content_type)


def forward_of(decision: Decision) -> Forward:
    assert isinstance(decision, Forward), decision
    return decision


def only_target(decision: Decision) -> Target:
    (target,) = forward_of(decision).targets
    return target


def status_of(decision: Decision) -> int:
    if isinstance(decision, Answer):
        return decision.response.status
    assert isinstance(decision, Reject), decision
    return decision.status


def answer_of(decision: Decision) -> Response:
    assert isinstance(decision, Answer), decision
    return decision.response
