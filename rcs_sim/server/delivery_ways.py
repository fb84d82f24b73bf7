"""How a message reaches a device: as a MESSAGE, or in a session that the server opens (digest §4.8, §19.4 step 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ims_core.wire.sip.message import HeaderInput, Request
from ims_core.wire.sip.uri import Uri
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.mailbox import HeldMessage
from rcs_sim.server.pager_content import PagerContent
from rcs_sim.server.passing_message import ConversationFocus, Said, SpeakingSession
from rcs_sim.server.served_users import ServedUser

__all__ = ["DeliveryWays", "FallbackWay", "PeerDelivery", "SessionDelivery"]


class SessionDelivery(Protocol):
    """Hands messages out in sessions."""

    def takes(self, offer: DeviceOffer, template: Request) -> bool:
        """Whether that message goes to that device in a session."""
        ...

    def hand_out(self, offer: DeviceOffer, template: Request, identity: str, now: float) -> None:
        """Does so; *offer* learns the outcome."""
        ...


class PeerDelivery(Protocol):
    """Says something to the other side of a conversation in a session of its own, in the name of a user of ours."""

    def say(
        self, user: ServedUser, peer: Uri, ids: tuple[HeaderInput, ...], body: bytes, said: Said, now: float
    ) -> None:
        """Sends *body*, a CPIM message; *said* learns the outcome."""
        ...

    def standing(self, user_key: str, peer_key: str) -> SpeakingSession | None:
        """The session that stands between the two."""
        ...


class FallbackWay(Protocol):
    """Sends as SMS what no device of an RCS user has taken in time."""

    def watch(self, held: HeldMessage, now: float) -> None:
        """A message was stored that no device has taken."""
        ...

    def replaces(
        self, template: Request, content: PagerContent, sender: Uri, then: Callable[[bool, float], None], now: float
    ) -> bool:
        """Takes a message that would be refused for want of a store; *then* learns whether it is gone. False: it cannot
        be sent as SMS."""
        ...


class DeliveryWays:
    """The ways that there are besides MESSAGE, and who takes messages out of a conversation."""

    __slots__ = ("by_session", "fallback", "focus", "to_peer")

    def __init__(self) -> None:
        self.by_session: SessionDelivery | None = None
        self.to_peer: PeerDelivery | None = None
        self.focus: ConversationFocus | None = None
        self.fallback: FallbackWay | None = None
