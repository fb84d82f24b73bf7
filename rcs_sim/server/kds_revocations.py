"""The lists of revoked certificates of the other carriers' key services, which a KDS fetches, checks and hands on to
its phones as they are signed (RCC.16 digest §2.6, §14.7; choice)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ims_core.store.key_directory import DIRECTORY_REVOCATIONS, HeldRevocations
from rcs_sim.e2ee.revocation_list import RevocationList, RevocationListRefused
from rcs_sim.e2ee.trust_anchors import TrustAnchors
from rcs_sim.server.kds_actions import Change, Keep, Note
from rcs_sim.server.kds_settings import KdsPeer

__all__ = ["ASKED_S", "FRESH_S", "PeerRevocations"]

FRESH_S = 3600  # a list that came within so long is not asked for again, whoever wants it (choice)
ASKED_S = 60  # nor is one that was asked for so lately, whatever became of that (choice)


class PeerRevocations:
    """One list for each other key service, the last that was believed."""

    __slots__ = ("_asked_s", "_held", "_read")

    def __init__(self) -> None:
        self._asked_s: dict[int, int] = {}
        self._held: dict[int, HeldRevocations] = {}
        self._read: dict[int, RevocationList] = {}

    def restore(self, kept: Iterable[HeldRevocations], trust: TrustAnchors, now_s: int) -> None:
        """Takes over what an earlier process kept, as far as it is still signed by somebody who is trusted."""
        for each in kept:
            try:
                self._read[each.kds] = RevocationList.read(each.der, trust.of_kds(each.kds), now_s)
            except RevocationListRefused:
                continue
            self._held[each.kds] = each

    @property
    def serials(self) -> Mapping[int, frozenset[bytes]]:
        """Contents of serial numbers by the number of the key service that lists them."""
        return {kds: each.serials for kds, each in self._read.items()}

    def held(self, kds: int) -> bytes | None:
        """The list of a key service as it came."""
        found = self._held.get(kds)
        return None if found is None else found.der

    def is_fresh(self, kds: int, now_s: int) -> bool:
        """Whether it is too early to ask for the list again."""
        found = self._held.get(kds)
        return found is not None and 0 <= now_s - found.fetched_s < FRESH_S

    def ask(self, kds: int, now_s: int) -> bool:
        """Whether the list is to be asked for now, which counts as done then."""
        if self.is_fresh(kds, now_s) or 0 <= now_s - self._asked_s.get(kds, now_s - ASKED_S) < ASKED_S:
            return False
        self._asked_s[kds] = now_s
        return True

    def learn(self, peer: KdsPeer, der: bytes, trust: TrustAnchors, now_s: int) -> list[Change | Note]:
        """What *peer* says: believed if one of its roots has signed it, and no older than what is held."""
        try:
            found = RevocationList.read(der, trust.of_kds(peer.kds), now_s, self._read.get(peer.kds))
        except RevocationListRefused as refused:
            details = {"outcome": "revocations_refused", "peer": peer.host, "reason": str(refused)}
            return [Note(f"revoked certificates of {peer.host} refused", details)]
        self._read[peer.kds] = found
        kept = self._held[peer.kds] = HeldRevocations(peer.kds, der, now_s)
        return [Keep(DIRECTORY_REVOCATIONS, kept)]
