"""A message offered to one device: what its answer, or its silence, means (digest §15.5, §19.4)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import Protocol

from ims_core.wire.sip.message import Response
from rcs_sim.server.device_registry import Device

__all__ = ["OFFER_TRANSITIONS", "DeviceOffer", "OfferAction", "OfferInput", "OfferKeeper", "OfferState", "verdict_of"]


class OfferState(Enum):
    OFFERED = auto()
    LATE = auto()  # the deadline has passed, the transaction has not ended
    CLOSED = auto()


class OfferInput(Enum):
    TAKEN = auto()  # 2xx
    ABSENT = auto()  # it is not there: 408, 430, 480, 404 of the core, server errors
    REFUSED = auto()  # it is there and will not take this message
    DEADLINE = auto()


class OfferAction(Enum):
    TAKE = auto()
    KEEP = auto()  # the copy stays for it
    SKIP = auto()
    SETTLE = auto()  # of a copy that is kept already: it is certain now that it was not taken


OFFER_TRANSITIONS: Mapping[tuple[OfferState, OfferInput], tuple[OfferState, OfferAction]] = {
    (OfferState.OFFERED, OfferInput.TAKEN): (OfferState.CLOSED, OfferAction.TAKE),
    (OfferState.OFFERED, OfferInput.ABSENT): (OfferState.CLOSED, OfferAction.KEEP),
    (OfferState.OFFERED, OfferInput.REFUSED): (OfferState.CLOSED, OfferAction.SKIP),
    (OfferState.OFFERED, OfferInput.DEADLINE): (OfferState.LATE, OfferAction.KEEP),
    (OfferState.LATE, OfferInput.TAKEN): (OfferState.CLOSED, OfferAction.TAKE),
    (OfferState.LATE, OfferInput.ABSENT): (OfferState.CLOSED, OfferAction.SETTLE),
    (OfferState.LATE, OfferInput.REFUSED): (OfferState.CLOSED, OfferAction.SETTLE),
}
"""An absent pair is illegal: a transaction ends once, and a deadline that no longer matters does not fire."""

_SILENCE = 408
_ABSENT = frozenset((404, 408, 430, 480, 604))
_NEVER = frozenset((501, 505, 513))  # server errors that say that this message will never be taken


def verdict_of(status: int) -> OfferInput:
    """What a final status of one device means for its copy."""
    if 200 <= status < 300:
        return OfferInput.TAKEN
    if status in _ABSENT or (500 <= status < 600 and status not in _NEVER):
        return OfferInput.ABSENT
    return OfferInput.REFUSED


class OfferKeeper(Protocol):
    """Whoever offered the message."""

    def taken(self, offer: DeviceOffer, now: float) -> None: ...

    def absent(self, offer: DeviceOffer, status: int, now: float) -> None: ...

    def refused(self, offer: DeviceOffer, status: int, response: Response | None, now: float) -> None: ...

    def settled(self, offer: DeviceOffer, now: float) -> None:
        """The transaction of a copy whose deadline had passed ended, and not with a 2xx."""
        ...


class DeviceOffer:
    """One copy on its way to one device; errand and deadline in one. *status* is its last outcome, 408 for silence."""

    __slots__ = ("_keeper", "device", "offered_at", "state", "status")

    def __init__(self, keeper: OfferKeeper, device: Device, now: float) -> None:
        self._keeper = keeper
        self.device = device
        self.offered_at = now
        self.state = OfferState.OFFERED
        self.status = _SILENCE

    @property
    def instance(self) -> str:
        return self.device.instance

    @property
    def came_back(self) -> bool:
        """Whether the device has registered anew since: what it did with this copy says nothing about the next."""
        return self.device.appeared_at > self.offered_at

    @property
    def is_over(self) -> bool:
        return self.state is not OfferState.OFFERED

    def finished(self, status: int, response: Response | None, now: float) -> None:
        self._step(verdict_of(status), status, response, now)

    def expired(self, now: float) -> None:
        self._step(OfferInput.DEADLINE, _SILENCE, None, now)

    def _step(self, event: OfferInput, status: int, response: Response | None, now: float) -> None:
        self.state, action = OFFER_TRANSITIONS[self.state, event]
        self.status = status
        match action:
            case OfferAction.TAKE:
                self._keeper.taken(self, now)
            case OfferAction.KEEP:
                self._keeper.absent(self, status, now)
            case OfferAction.SKIP:
                self._keeper.refused(self, status, response, now)
            case OfferAction.SETTLE:
                self._keeper.settled(self, now)
