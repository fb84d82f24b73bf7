"""How a message reaches a device: as a MESSAGE, or in a session that the server opens (digest §4.8, §19.4 step 4)."""

from __future__ import annotations

from typing import Protocol

from ims_core.wire.sip.message import HeaderInput, Request
from ims_core.wire.sip.uri import Uri
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.passing_message import ConversationFocus, Said, SpeakingSession
from rcs_sim.server.served_users import ServedUser

__all__ = ["DeliveryWays", "PeerDelivery", "SessionDelivery"]


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


class DeliveryWays:
    """The ways that there are besides MESSAGE, and who takes messages out of a conversation."""

    __slots__ = ("by_session", "focus", "to_peer")

    def __init__(self) -> None:
        self.by_session: SessionDelivery | None = None
        self.to_peer: PeerDelivery | None = None
        self.focus: ConversationFocus | None = None
