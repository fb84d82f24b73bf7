"""How a message reaches a device: as a MESSAGE, or in a session that the server opens (digest §4.8, §19.4 step 4)."""

from __future__ import annotations

from typing import Protocol

from ims_core.wire.sip.message import Request
from rcs_sim.server.device_offer import DeviceOffer

__all__ = ["DeliveryWays", "SessionDelivery"]


class SessionDelivery(Protocol):
    """Hands messages out in sessions."""

    def takes(self, offer: DeviceOffer, template: Request) -> bool:
        """Whether that message goes to that device in a session."""
        ...

    def hand_out(self, offer: DeviceOffer, template: Request, identity: str, now: float) -> None:
        """Does so; *offer* learns the outcome."""
        ...


class DeliveryWays:
    """The ways that there are besides MESSAGE."""

    __slots__ = ("by_session",)

    def __init__(self) -> None:
        self.by_session: SessionDelivery | None = None
