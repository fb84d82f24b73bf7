"""Key packages as a desk hands them out (RCC.16 §5.1, digest §14.5, §14.7): those of the own directory, and those of
another carrier's, which are checked again."""

from __future__ import annotations

from ims_core.store.key_directory import ANSWERED_CLAIMS
from rcs_sim.e2ee.key_package_profile import KeyPackageRefused, VerifiedKeyPackage, verify_claimed_package
from rcs_sim.server.kds_actions import AskPeer, Change, KdsAction, KdsRefused, Note, PollAnchors
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.server.kds_claims import Accepted, PeerLied
from rcs_sim.server.kds_directory import KeyDirectory
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import (
    ClaimedKeyPackage,
    ClaimOutcome,
    ClaimResponse,
    FederationClaimRequest,
    FederationClaimResponse,
    KdsErrorCode,
    KdsPath,
)

__all__ = ["KeyPackageStock"]

_KEPT_REFERENCES = 50_000  # of foreign one-time packages that were passed on
_SHOWN = 500  # characters of the reasons of one claim


class KeyPackageStock:
    """One package of each client of a number."""

    __slots__ = ("_anchors", "_directory", "_equivocated", "_foreign")

    call = KdsPath.CLAIM
    federation_call = KdsPath.FEDERATION_CLAIM
    answers = ANSWERED_CLAIMS

    def __init__(self, directory: KeyDirectory, anchors: AnchorBook) -> None:
        self._directory = directory
        self._anchors = anchors
        self._equivocated: dict[str, bool] = {}
        self._foreign: dict[bytes, None] = {}

    def take(
        self, target: str, requester: str, exclude: str | None, fault: KdsFault, now_s: int
    ) -> tuple[list[ClaimedKeyPackage], list[Change]]:
        """Raises KdsRefused if there is nothing to serve."""
        if fault.equivocation and self._is_deceived(requester):
            return list(fault.equivocation), []
        served: list[ClaimedKeyPackage] = []
        changes: list[Change] = []
        if not fault.empty_pool:
            served, changes = self._directory.claim(
                fault.wrong_identity or target,
                now_s,
                exclude=exclude,
                last_resort_only=fault.last_resort_only,
                ignores_floor=fault.serves_stale,
                keeps_one_time=fault.reuses_one_time,
            )
        if not served:
            withheld = self._directory.withheld(target, now_s)
            detail = f"{withheld} withheld: under 30 days (A.4.2.2)" if withheld else "nothing to serve"
            raise KdsRefused(KdsErrorCode.NO_KEY_PACKAGES, detail)
        return served, changes

    def _is_deceived(self, requester: str) -> bool:
        """Every second requester, the first one not."""
        return self._equivocated.setdefault(requester, len(self._equivocated) % 2 == 1)

    def body(self, served: list[ClaimedKeyPackage]) -> bytes:
        return ClaimResponse(tuple(served)).encode()

    def federation_body(self, request: FederationClaimRequest, served: list[ClaimedKeyPackage]) -> bytes:
        return FederationClaimResponse(
            request_id=request.request_id,
            target_msisdn=request.target_msisdn,
            key_packages=tuple(served),
            anchors_generation=self._anchors.generation,
        ).encode()

    def accept(self, ask: AskPeer, body: bytes, now_s: int) -> Accepted[list[ClaimedKeyPackage]]:
        """The packages that pass. Raises KeyDirectoryParseError, PeerLied."""
        told, peer, target = FederationClaimResponse.parse(body), ask.peer, ask.request.target_msisdn
        if (told.request_id, told.target_msisdn) != (ask.request.request_id, target):
            raise PeerLied("answered another claim")
        good, reasons = self._checked(told, ask, now_s)
        actions = [*_dropped(ask, reasons), *self._reused(ask, good)]
        if self._anchors.is_behind(peer, told.anchors_generation):
            actions.append(PollAnchors(peer))
        served = [_as_verified(each) for each in good]
        outcome = "peer_lying" if told.key_packages else "peer_empty"
        return Accepted(served or None, tuple(actions), outcome, "; ".join(dict.fromkeys(reasons))[:_SHOWN])

    def _checked(
        self, told: FederationClaimResponse, ask: AskPeer, now_s: int
    ) -> tuple[list[VerifiedKeyPackage], list[str]]:
        """The first package of each client that passes, and why the others are dropped (§14.7)."""
        trust = self._anchors.validator(ask.peer.kds)
        good: dict[bytes, VerifiedKeyPackage] = {}
        reasons: list[str] = []
        for package in told.key_packages:
            try:
                found = verify_claimed_package(
                    package.key_package,
                    msisdn=ask.request.target_msisdn,
                    trust=trust,
                    now_s=now_s,
                    requires_certificate_floor=True,
                )
                if found.certificate.subject in good:
                    raise PeerLied(f"serves the client {found.client_id} twice")
            except (KeyPackageRefused, PeerLied) as refused:
                reasons.append(str(refused))
            else:
                good[found.certificate.subject] = found
        return list(good.values()), reasons

    def _reused(self, ask: AskPeer, packages: list[VerifiedKeyPackage]) -> list[KdsAction]:
        """A one-time package that another directory serves a second time is noted, and served all the same: whose
        package it is will tell (choice)."""
        one_time = [each for each in packages if not each.is_last_resort]
        reused = [each.client_id for each in one_time if each.reference in self._foreign]
        self._foreign.update((each.reference, None) for each in one_time)
        while len(self._foreign) > _KEPT_REFERENCES:
            del self._foreign[next(iter(self._foreign))]
        if not reused:
            return []
        target, host = ask.request.target_msisdn, ask.peer.host
        details = {"outcome": "peer_reuses", "peer": host, "target": target, "clients": reused}
        return [Note(f"{host} has served a one-time package of +{target} before", details)]

    def note(self, target: str, served: list[ClaimedKeyPackage], way: str) -> Note:
        details = {
            "call": self.call,
            "outcome": int(ClaimOutcome.SERVED),
            "target": target,
            "way": way,
            "clients": [each.client_id for each in served],
            "last_resort": [each.client_id for each in served if each.is_last_resort],
        }
        return Note(f"claim of +{target}: {len(served)} served, {way}", details)


def _dropped(ask: AskPeer, reasons: list[str]) -> list[KdsAction]:
    host, target = ask.peer.host, ask.request.target_msisdn
    lied = {"outcome": "peer_lying", "peer": host, "target": target}
    return [Note(f"a package of {host} for +{target} dropped: {each}", lied | {"reason": each}) for each in reasons]


def _as_verified(package: VerifiedKeyPackage) -> ClaimedKeyPackage:
    """As a phone is told: name and kind are what certificate and extension say, whatever the other directory wrote."""
    return ClaimedKeyPackage(
        client_id=package.client_id, key_package=package.message, is_last_resort=package.is_last_resort
    )
