"""MSRP as some clients in the field write and read it (real clients, row 8)."""

from __future__ import annotations

from ims_core.reference_points import MediaLegUser
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack
from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.message import MsrpResponse
from ims_core.wire.msrp.parser import MsrpEvent, Piece
from ims_core.wire.msrp.session_events import SessionConfig, Transmit
from rcs_sim.devices.policy import SessionPolicy

__all__ = ["DialectChannel", "rewrite_head"]

_TYPE, _RANGE = b"content-type:", b"byte-range:"
_MOVED = (b"success-report:", b"failure-report:", _RANGE)


def rewrite_head(octets: bytes, *, has_type_first: bool, has_bare_sends: bool) -> bytes:
    """A request with its header fields in the other order: Content-Type before the reports and Byte-Range. A SEND
    without body loses its Byte-Range. Octets that begin no SEND stay as they are."""
    line, _, rest = octets.partition(b"\r\n")
    if not line.startswith(b"MSRP ") or not line.endswith(b" SEND"):
        return octets
    head, blank, body = rest.partition(b"\r\n\r\n")
    end = b"-------" + line.split(b" ")[1]
    if head.startswith(end) or b"\r\n" + end in head:  # no body: the end line follows the header fields
        return _without_range(octets, end) if has_bare_sends else octets
    fields = head.split(b"\r\n")
    if not has_type_first:
        return octets
    types = [each for each in fields if each.lower().startswith(_TYPE)]
    moved = [each for each in fields if each.lower().startswith(_MOVED)]
    others = [each for each in fields if each not in types and each not in moved]
    return b"\r\n".join((line, *others, *types, *moved)) + blank + body


def _without_range(octets: bytes, end: bytes) -> bytes:
    head, separator, tail = octets.partition(b"\r\n" + end)
    kept = [each for each in head.split(b"\r\n") if not each.lower().startswith(_RANGE)]
    return b"\r\n".join(kept) + separator + tail


class DialectChannel(MsrpChannel):
    """A channel of such a client. Its owner hands it messages only when it is bound, where the first SEND is bare."""

    __slots__ = ("_policy",)

    def __init__(
        self,
        stack: MsrpStack,
        user: MediaLegUser,
        tokens: Tokens,
        deadlines: DeadlineHeap,
        config: SessionConfig,
        policy: SessionPolicy,
    ) -> None:
        super().__init__(stack, user, tokens, deadlines, config)
        self._policy = policy

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        """A SEND with a body and no Byte-Range is said to be fine, and is not."""
        if isinstance(event, Piece) and self._policy.drops_unranged and event.head.text("Byte-Range") is None:
            if event.continuation is not None:
                response = MsrpResponse.to(event.head, 200)
                link.send(response.encode(), response)
            return
        super().received(event, link)

    def write(self, output: Transmit) -> None:
        octets = rewrite_head(
            output.octets,
            has_type_first=self._policy.writes_type_first,
            has_bare_sends=self._policy.writes_bare_first_send,
        )
        super().write(output if octets is output.octets else Transmit(octets))
