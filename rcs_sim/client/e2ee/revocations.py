"""The list of revoked certificates that a phone keeps: fetched from its directory, believed when it is signed, looked
at again each day (RCC.16 digest §2.5, §2.6).

No list is no reason to stop: what was listed stays revoked, and the phone goes on asking (choice).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ims_core.errors import RemoteProtocolError, TransportError
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display
from rcs_sim.client.errands import Errands
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.e2ee.revocation_list import RevocationList
from rcs_sim.e2ee.trust_anchors import TrustAnchors

__all__ = ["REFRESH_S", "RETRY_S", "Revocations"]

REFRESH_S = 24 * 3600.0  # between two looks at the list, or earlier if it says that the next one comes (choice)
RETRY_S = 1800.0  # after a list that could not be had (choice)


class Revocations:
    """Of one phone. *changed* is called when other certificates are revoked than before."""

    __slots__ = ("_alarm", "_alarms", "_anchors", "_changed", "_display", "_errands", "_held", "_kds", "_work")

    def __init__(self, alarms: Alarms, errands: Errands, display: Display, changed: Callable[[], None]) -> None:
        self._alarms, self._errands, self._display, self._changed = alarms, errands, display, changed
        self._alarm = alarms.new(lambda now: self._begin())
        self._kds: KdsClient | None = None
        self._anchors = TrustAnchors()
        self._held: RevocationList | None = None
        self._work: asyncio.Task[None] | None = None

    @property
    def serials(self) -> frozenset[bytes]:
        """Contents of the serial numbers of certificates that are revoked."""
        return frozenset() if self._held is None else self._held.serials

    def watch(self, kds: KdsClient, anchors: TrustAnchors) -> None:
        """From now on the list of *kds* is kept, signed by one of *anchors*: the roots of its vendor."""
        is_new = self._kds is None or self._kds.uri != kds.uri or self._anchors != anchors
        self._kds, self._anchors = kds, anchors
        if is_new:
            self._begin()

    def stop(self) -> None:
        """The phone goes off, or has no directory any more. What is held stays."""
        self._kds = None
        self._alarm.set(None)
        if self._work is not None and not self._work.done():
            self._work.cancel()

    def _begin(self) -> None:
        if self._kds is not None and (self._work is None or self._work.done()):
            self._work = self._errands.create_task(self._fetch(self._kds), name="revocation list")

    async def _fetch(self, kds: KdsClient) -> None:
        try:
            octets = await kds.revocation_list()
            found = RevocationList.read(octets, self._anchors, self._now_s(), self._held)
        except (TransportError, RemoteProtocolError) as error:
            self._failed(str(error))
            return
        before, self._held = self.serials, found
        now = self._alarms.now()
        self._alarm.set(max(now + RETRY_S, min(now + REFRESH_S, float(found.next_s))))
        if found.is_stale(self._now_s()):
            self._display.state("revocation list", "stale", reason=f"the next one was due at {found.next_s}")
        if found.serials != before:
            self._display.state("revocation list", "changed", reason=f"{len(found.serials)} certificates")
            self._changed()

    def _failed(self, why: str) -> None:
        is_stale = self._held is not None and self._held.is_stale(self._now_s())
        self._display.state("revocation list", "stale" if is_stale else "not fetched", reason=why)
        self._alarm.set(self._alarms.now() + RETRY_S)

    def _now_s(self) -> int:
        return int(self._alarms.now())
