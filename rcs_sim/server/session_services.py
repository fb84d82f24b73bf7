"""What the sessions of a messaging server use of its other parts."""

from __future__ import annotations

from dataclasses import dataclass, field

from rcs_sim.server.deferred import StoreAndForward
from rcs_sim.server.duplicate_filter import MessageKey
from rcs_sim.server.interworking import Interworking
from rcs_sim.server.originating import OriginatingMessages
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.rate_limit import RateLimit
from rcs_sim.server.session_book import SessionBook
from rcs_sim.server.session_leg import SessionContext
from rcs_sim.server.session_passage import Passage
from rcs_sim.server.terminating import TerminatingMessages

__all__ = ["SessionServices"]


@dataclass(frozen=True, slots=True)
class SessionServices:
    """One per server. *pending* are the messages for users of ours that have not been settled, of all sessions."""

    shared: SessionContext
    book: SessionBook
    rate: RateLimit
    originating: OriginatingMessages
    terminating: TerminatingMessages
    forward: StoreAndForward
    interworking: Interworking | None = None
    pending: dict[MessageKey, Passage] = field(default_factory=dict)

    @property
    def context(self) -> PartContext:
        return self.shared.context

    @property
    def offers_tls(self) -> bool:
        """Whether our offers are for TLS."""
        return self.shared.offers_tls

    def has_room(self, owner: str) -> bool:
        """Whether another session of *owner* can be begun: there is room, and an anchor for its media."""
        return self.shared.media.is_in_service and self.book.has_room(owner)
