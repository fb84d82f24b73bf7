"""A received message between its last chunk and the answer to that (RFC 4975 §7.2, §7.3)."""

from __future__ import annotations

from ims_core.wire.msrp.message import MsrpRequest

__all__ = ["Delivery"]


class Delivery:
    """Handle of a received message, for `MsrpSession.settle` and `MsrpSession.report`. It keeps heads, no bodies."""

    __slots__ = ("digest", "heads", "is_reported", "is_settled", "message_id", "total")

    def __init__(self, head: MsrpRequest, digest: int, total: int) -> None:
        self.message_id = head.message_id
        self.digest = digest
        self.total = total
        self.heads = [head]  # chunks to answer: more than one if the sender repeats itself
        self.is_settled = False
        self.is_reported = False

    @property
    def head(self) -> MsrpRequest:
        """Head of the chunk that completed the message: its paths and what reports it asks for."""
        return self.heads[0]

    def shed(self) -> None:
        """It is answered: one head is left for a REPORT, as small as may be."""
        del self.heads[1:]
        self.heads[0].shed()

    def __repr__(self) -> str:
        return f"<Delivery {self.message_id} of {self.total} octets>"
