"""The lists of revoked certificates that a phone keeps: that of its own carrier, and through its directory those of the
others whose roots it trusts. Believed when they are signed, looked at again each day (RCC.16 digest §2.5, §2.6).

No list is no reason to stop: what was listed stays revoked, and the phone goes on asking (choice). What another carrier
lists counts under its own roots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ims_core.errors import RemoteProtocolError, TransportError
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display
from rcs_sim.client.errands import Errands
from rcs_sim.client.kds_client import KdsCallRefused, KdsClient
from rcs_sim.e2ee.revocation_list import RevocationList
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.trust_anchors import TrustAnchors

__all__ = ["REFRESH_S", "RETRY_S", "Revocations"]

REFRESH_S = 24 * 3600.0  # between two looks at a list, or earlier if it says that the next one comes (choice)
RETRY_S = 1800.0  # after a list that could not be had (choice)
_NOT_SERVED = 404


class Revocations:
    """Of one phone. *changed* is called when other certificates are revoked than before."""

    __slots__ = ("_alarm", "_alarms", "_anchors", "_changed", "_display", "_errands", "_held", "_kds", "_own", "_work")

    def __init__(self, alarms: Alarms, errands: Errands, display: Display, changed: Callable[[], None]) -> None:
        self._alarms, self._errands, self._display, self._changed = alarms, errands, display, changed
        self._alarm = alarms.new(lambda now: self._begin())
        self._kds: KdsClient | None = None
        self._own: int | None = None
        self._anchors = TrustAnchors()
        self._held: dict[int | None, RevocationList] = {}
        self._work: asyncio.Task[None] | None = None

    @property
    def serials(self) -> frozenset[bytes]:
        """Contents of the serial numbers of certificates that the own carrier has revoked."""
        held = self._held.get(self._own)
        return frozenset() if held is None else held.serials

    @property
    def revoked(self) -> RevokedCertificates:
        """What all lists say together."""
        others = {kds: held.serials for kds, held in self._held.items() if kds is not None and kds != self._own}
        return RevokedCertificates.of(self.serials, others)

    def watch(self, kds: KdsClient, anchors: TrustAnchors, own: int | None) -> None:
        """From now on the lists of *kds*, whose number is *own*, and of the other key services in *anchors* are kept,
        each signed by a root of its own."""
        is_new = self._kds is None or self._kds.uri != kds.uri or self._anchors != anchors or self._own != own
        self._kds, self._anchors, self._own = kds, anchors, own
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
            self._work = self._errands.create_task(self._fetch_all(self._kds), name="revocation list")

    async def _fetch_all(self, kds: KdsClient) -> None:
        """The own list, and then those of the others in the order of their numbers."""
        others = sorted({each.kds for each in self._anchors.anchors} - {self._own})
        due = [await self._fetch(kds, each) for each in (self._own, *others)]
        self._alarm.set(max(self._alarms.now() + RETRY_S, min(due)))

    async def _fetch(self, kds: KdsClient, whose: int | None) -> float:
        """When the list is due again."""
        try:
            octets = await kds.revocation_list(None if whose == self._own else whose)
            roots = self._anchors if whose is None else self._anchors.of_kds(whose)
            found = RevocationList.read(octets, roots, self._now_s(), self._held.get(whose))
        except (TransportError, RemoteProtocolError) as error:
            return self._failed(whose, error)
        self._take(whose, found)
        if found.is_stale(self._now_s()):
            self._tell(whose, "stale", f"the next one was due at {found.next_s}")
        return min(self._alarms.now() + REFRESH_S, self._alarms.when(found.next_s))

    def _take(self, whose: int | None, found: RevocationList) -> None:
        before, self._held[whose] = self.revoked, found
        if self.revoked != before:
            count = len(self.revoked.everywhere) + len(self.revoked.under)
            self._display.state("revocation list", "changed", reason=f"{count} certificates")
            self._changed()

    def _failed(self, whose: int | None, error: Exception) -> float:
        now, held = self._alarms.now(), self._held.get(whose)
        if whose != self._own and isinstance(error, KdsCallRefused) and error.status == _NOT_SERVED:
            return now + REFRESH_S  # a directory that has none of others, which need not have (choice)
        is_stale = held is not None and held.is_stale(self._now_s())
        self._tell(whose, "stale" if is_stale else "not fetched", str(error))
        return now + RETRY_S

    def _tell(self, whose: int | None, state: str, why: str) -> None:
        place = "" if whose == self._own else f"of key service {whose}: "
        self._display.state("revocation list", state, reason=f"{place}{why}")

    def _now_s(self) -> int:
        return int(self._alarms.wall())
