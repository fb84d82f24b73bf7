"""A phone's circuit-switched link to its SMSC, reference point CS: short messages without IMS (design.md §14.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ims_core.errors import TransportError
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Network
from ims_core.transport.sm_link import SmLink, SmLinkEndpoint
from ims_core.wire.sms.sm_link import (
    Accepted,
    Attach,
    Detach,
    Failure,
    Forward,
    ForwardKind,
    Refused,
    Result,
    SmLinkMessage,
)
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display

__all__ = ["CircuitSwitchedLink"]

REATTACH_S = 30.0  # after the link was lost or refused (choice)


class CircuitSwitchedLink:
    """*received* gets an RP message toward the phone and the frame reference to answer it with; *answered* the RP
    answer to our own, None if the network gave it back."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_display",
        "_endpoint",
        "_host",
        "_imsi",
        "_is_on",
        "_link",
        "_reference",
        "_smsc",
        "_stale",
        "_waiter",
        "answered",
        "is_attached",
        "msisdn",
        "received",
    )

    def __init__(
        self,
        name: str,
        imsi: str,
        host: str,
        smsc: Address,
        alarms: Alarms,
        display: Display,
        *,
        network: Network,
        clock: Clock,
        trace: Trace,
    ) -> None:
        self._imsi, self._host, self._smsc = imsi, host, smsc
        self._display = display
        self._endpoint = SmLinkEndpoint(name, self, network=network, clock=clock, trace=trace)
        self._alarms = alarms
        self._alarm = alarms.new(self._rang)
        self._link: SmLink | None = None
        self._stale: SmLink | None = None  # of before the power was lost
        self._reference = 0
        self._is_on = False
        self._waiter: asyncio.Future[None] | None = None
        self.is_attached = False
        self.msisdn = ""
        self.received: Callable[[bytes, int], None] = lambda octets, reference: None
        self.answered: Callable[[bytes | None], None] = lambda octets: None

    async def attach(self, within_s: float) -> bool:
        """Whether the network accepted the SIM within *within_s*; it is tried again later if not."""
        self._is_on = True
        self._waiter = asyncio.get_running_loop().create_future()
        self._connect()
        await asyncio.wait((self._waiter,), timeout=within_s)
        return self.is_attached

    def detach(self) -> None:
        """The phone is switched off in an orderly way."""
        link = self._link
        if link is not None and self.is_attached:
            link.send(Detach())
        self.lost()
        self._drop_stale()

    def lost(self) -> None:
        """Power is gone: the network is not told."""
        self._is_on = self.is_attached = False
        self._alarm.set(None)
        self._stale, self._link = self._link, None

    def send(self, octets: bytes) -> None:
        """An RP message of the phone (RP-DATA, RP-SMMA)."""
        link = self._link
        if link is None or not self.is_attached:
            self.answered(None)
            return
        self._reference = self._reference % 0xFFFFFFFF + 1
        link.send(Forward(reference=self._reference, kind=ForwardKind.MO, rpdu=octets))

    def answer(self, octets: bytes, reference: int) -> None:
        """The RP answer to what came with *reference*."""
        if self._link is not None:
            self._link.send(Result(reference, octets))

    # --- SmLinkUser --------------------------------------------------------------------------------------------------

    def link_opened(self, link: SmLink) -> None:
        link.close()  # nobody calls a phone

    def frame_received(self, link: SmLink, message: SmLinkMessage) -> None:
        if link is not self._link:
            return
        match message:
            case Accepted():
                self.is_attached = True
                self.msisdn = message.msisdn or self.msisdn
                self._display.state("circuit-switched link", "attached")
                self._settle()
            case Refused():
                self._display.state("circuit-switched link", "refused", error=message.error)
                self._settle()
            case Forward():
                self.received(message.rpdu, message.reference)
            case Result() if message.reference == self._reference:
                self.answered(message.rpdu)
            case Failure() if message.reference == self._reference:
                self.answered(None)
            case _:
                pass

    def link_closed(self, link: SmLink, error: TransportError | None) -> None:
        if link is not self._link:
            return
        self._link = None
        was_attached, self.is_attached = self.is_attached, False
        if was_attached:
            self._display.state("circuit-switched link", "lost", reason=str(error or ""))
        self._settle()
        if self._is_on:
            self._alarm.set(self._alarms.now() + REATTACH_S)

    def _drop_stale(self) -> None:
        stale, self._stale = self._stale, None
        if stale is not None:
            stale.close()

    def _connect(self) -> None:
        self._drop_stale()
        self._link = self._endpoint.connect(self._host, self._smsc)
        self._reference = self._reference % 0xFFFFFFFF + 1
        self._link.send(Attach(self._reference, self._imsi))

    def _rang(self, now: float) -> None:
        if self._is_on and self._link is None:
            self._connect()

    def _settle(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
