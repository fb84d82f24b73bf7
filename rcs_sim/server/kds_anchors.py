"""The roots that a carrier's phones trust, in signed lists that are never merged: a change makes a new generation
(RCC.16 digest §1.4, §14.7, §14.8, choice)."""

from __future__ import annotations

from collections.abc import Iterable

from ims_core.store.key_directory import (
    DIRECTORY_ANCHORS,
    REVOKED_CERTIFICATES,
    HeldAnchor,
    HeldRevocations,
    RevokedCertificate,
    SignedAnchors,
)
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.revoked_certificates import RevokedCertificates
from rcs_sim.e2ee.trust_anchors import (
    SignedTrustList,
    TrustAnchor,
    TrustAnchorList,
    TrustAnchors,
    TrustListRefused,
    sign_trust_list,
    verify_trust_anchor,
)
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.server.kds_actions import Change, Drop, Keep, Note
from rcs_sim.server.kds_revocations import PeerRevocations
from rcs_sim.server.kds_settings import KdsPeer
from rcs_sim.wire.key_directory import FederationAnchor, FederationAnchors

__all__ = ["AnchorBook"]

_KEPT_GENERATIONS = 8


class AnchorBook:
    """Own roots, those of the other directories, and every list that still can be asked for.

    *trust* has all roots of the current list, *revoked* what the own operator and the other directories have revoked:
    these two are what the carrier's servers judge certificates by."""

    __slots__ = (
        "_always_revoked",
        "_configured",
        "_kds",
        "_lists",
        "_network",
        "_own",
        "_peer_revocations",
        "_peers",
        "_revoked",
        "_signer",
        "_strictness",
        "_validators",
        "revoked",
        "trust",
    )

    def __init__(
        self,
        kds: int,
        own: Iterable[TrustAnchor],
        configured: Iterable[TrustAnchor],
        network: str,
        signer: SignatureKey,
        strictness: Strictness = Strictness.TOLERANT,
        revoked: Iterable[bytes] = (),
    ) -> None:
        """*configured* are the other directories' roots that came with the agreement to federate, *revoked* the serial
        numbers that each process is started with, beside those that an earlier one kept."""
        self._kds = kds
        self._own = tuple(own)
        self._configured = tuple(configured)
        self._network = network
        self._signer = signer
        self._strictness = strictness
        self._always_revoked = tuple(dict.fromkeys(revoked))
        self._revoked = self._always_revoked
        self._peer_revocations = PeerRevocations()
        self.revoked = RevokedCertificates()
        self._validators: dict[int, CertificateValidator] = {}
        self._lists: dict[int, SignedAnchors] = {}
        self._peers: dict[str, int] = {}
        self.trust = TrustAnchors()

    @property
    def generation(self) -> int:
        """Of the current list; 0 before `start`."""
        return max(self._lists, default=0)

    @property
    def signer(self) -> SignatureKey:
        return self._signer

    def start(
        self,
        kept: Iterable[SignedAnchors],
        now_s: int,
        revocations: Iterable[HeldRevocations] = (),
        revoked: Iterable[RevokedCertificate] = (),
    ) -> list[Change]:
        """Takes over what an earlier process kept; a new generation if the roots differ from its last."""
        changes = self._start(kept, now_s)
        self._revoked = tuple(dict.fromkeys((*self._always_revoked, *(each.serial for each in revoked))))
        self._peer_revocations.restore(revocations, self.trust, now_s)
        self._judge_anew()
        return changes

    def _start(self, kept: Iterable[SignedAnchors], now_s: int) -> list[Change]:
        self._lists = {each.generation: each for each in kept}
        last = self._lists.get(self.generation)
        if last is None:
            return self._adopt((*self._own, *self._configured), now_s)
        self._peers = dict(last.peers)
        polled = {int(kds) for kds in self._peers}
        others = [_of_held(each) for each in last.anchors if each.kds in polled and each.kds != self._kds]
        others += [each for each in self._configured if each.kds not in polled]
        return self._adopt((*self._own, *others), now_s)

    def signed(self, generation: int) -> bytes | None:
        """The list as it is served; None if there is none of that generation (any more)."""
        found = self._lists.get(generation)
        return None if found is None else SignedTrustList(found.payload, found.signature).encode()

    @property
    def revoked_serials(self) -> tuple[bytes, ...]:
        """Contents of the serial numbers that no certificate may have."""
        return self._revoked

    def revoke(self, serials: Iterable[bytes]) -> list[Change]:
        """The operator's: *serials* in the place of those before. A later process has to know them too: what was once
        revoked is not to be good again because a server was restarted."""
        before, self._revoked = self._revoked, tuple(dict.fromkeys(serials))
        self._judge_anew()
        kept = (each for each in self._revoked if each not in self._always_revoked)
        dropped = (each for each in before if each not in self._revoked)
        return [
            *(Keep(REVOKED_CERTIFICATES, RevokedCertificate(each)) for each in kept),
            *(Drop(REVOKED_CERTIFICATES, REVOKED_CERTIFICATES.key(RevokedCertificate(each))) for each in dropped),
        ]

    def _judge_anew(self) -> None:
        self.revoked = RevokedCertificates.of(self._revoked, self._peer_revocations.serials)
        self._validators.clear()

    def revocations_of(self, kds: int) -> bytes | None:
        """The list of another directory as it came, None without one."""
        return self._peer_revocations.held(kds)

    def asks_for_revocations(self, kds: int, now_s: int) -> bool:
        """Whether that directory is to be asked for its list now: not for every phone that wants it."""
        return self._peer_revocations.ask(kds, now_s)

    def learn_revocations(self, peer: KdsPeer, der: bytes, now_s: int) -> list[Change | Note]:
        """What *peer* says of the certificates that it has revoked; it counts under its own roots."""
        changes = self._peer_revocations.learn(peer, der, self.trust, now_s)
        self._judge_anew()
        return changes

    def validator(self, kds: int) -> CertificateValidator:
        """Checks certificates of one directory."""
        found = self._validators.get(kds)
        if found is None:
            anchors = self.trust.of_kds(kds)
            found = self._validators[kds] = CertificateValidator(anchors, self._strictness, self.revoked)
        return found

    def set_own(self, roots: Iterable[TrustAnchor], now_s: int) -> list[Change]:
        """The operator's: other roots of our own, a new generation of the list."""
        self._own = tuple(roots)
        others = (each for each in self.trust.anchors if each.kds != self._kds)
        return self._adopt((*self._own, *others), now_s)

    def own(self) -> FederationAnchors:
        """What another directory is told. The generation is that of our list, which counts foreign changes too."""
        listed = (FederationAnchor(vendor_id=each.vendor_id, kds=each.kds, der=each.der) for each in self._own)
        return FederationAnchors(self.generation, tuple(listed))

    def is_behind(self, peer: KdsPeer, generation: int) -> bool:
        """Whether *peer* has a newer list than the one that was last fetched from it."""
        configured = any(each.kds == peer.kds for each in self._configured)  # which counts as its first list
        return generation > self._peers.get(str(peer.kds), int(configured))

    def learn(self, peer: KdsPeer, told: FederationAnchors, now_s: int) -> list[Change | Note]:
        """What *peer* says of its own roots. One that is not its vendor's, or is no root, spoils the whole answer."""
        held = self._peers.get(str(peer.kds), 0)
        try:
            roots = tuple(_checked(peer, each) for each in told.anchors)
            if not roots:
                raise TrustListRefused("no anchor at all")
            if told.generation < held:
                raise TrustListRefused(f"generation {told.generation} after {held}")
        except TrustListRefused as refused:
            details = {"outcome": "anchors_refused", "peer": peer.host, "reason": str(refused)}
            return [Note(f"roots of {peer.host} refused", details)]
        self._peers[str(peer.kds)] = told.generation
        others = tuple(each for each in self.trust.anchors if each.kds != peer.kds)
        changes: list[Change | Note] = [*self._adopt((*others, *roots), now_s)]
        if not changes and told.generation != held:
            changes += self._rewrite()
        return changes

    def _adopt(self, anchors: Iterable[TrustAnchor], now_s: int) -> list[Change]:
        """A new generation if *anchors* are others than now."""
        anchors = tuple(sorted(set(anchors), key=lambda each: (each.kds, each.vendor_id, each.der)))
        current = self._lists.get(self.generation)
        self.trust = TrustAnchors(anchors)
        self._validators.clear()
        if current is not None and tuple(map(_of_held, current.anchors)) == anchors:
            return []
        payload = TrustAnchorList(self.generation + 1, now_s, self._network, anchors).payload()
        made = SignedAnchors(
            generation=self.generation + 1,
            payload=payload,
            signature=sign_trust_list(payload, self._signer),
            anchors=tuple(HeldAnchor(vendor_id=each.vendor_id, kds=each.kds, der=each.der) for each in anchors),
            peers=tuple(sorted(self._peers.items())),
        )
        self._lists[made.generation] = made
        return [Keep(DIRECTORY_ANCHORS, made), *self._drop_old()]

    def _rewrite(self) -> list[Change]:
        """The current list as it is, with the peers' generations of now."""
        current = self._lists[self.generation]
        made = SignedAnchors(
            generation=current.generation,
            payload=current.payload,
            signature=current.signature,
            anchors=current.anchors,
            peers=tuple(sorted(self._peers.items())),
        )
        self._lists[made.generation] = made
        return [Keep(DIRECTORY_ANCHORS, made)]

    def _drop_old(self) -> list[Change]:
        old = sorted(self._lists)[:-_KEPT_GENERATIONS]
        for generation in old:
            del self._lists[generation]
        return [Drop(DIRECTORY_ANCHORS, f"{generation:010d}") for generation in old]


def _checked(peer: KdsPeer, told: FederationAnchor) -> TrustAnchor:
    if (told.vendor_id, told.kds) != (peer.vendor_id, peer.kds):
        raise TrustListRefused(f"a root of vendor {told.vendor_id} and directory {told.kds}")
    anchor = TrustAnchor(told.vendor_id, told.kds, told.der)
    verify_trust_anchor(anchor)
    return anchor


def _of_held(held: HeldAnchor) -> TrustAnchor:
    return TrustAnchor(held.vendor_id, held.kds, held.der)
