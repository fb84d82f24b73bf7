"""Key packages as a desk hands them out (RCC.16 §5.1, digest §14.5, §14.7): those of the own directory, and those of
another carrier's, which are checked again."""

from __future__ import annotations

from ims_core.store.key_directory import ANSWERED_CLAIMS
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.key_package_profile import KeyPackageRefused, verify_claimed_package
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


class KeyPackageStock:
    """One package of each client of a number."""

    __slots__ = ("_anchors", "_directory", "_equivocated")

    call = KdsPath.CLAIM
    federation_call = KdsPath.FEDERATION_CLAIM
    answers = ANSWERED_CLAIMS

    def __init__(self, directory: KeyDirectory, anchors: AnchorBook) -> None:
        self._directory = directory
        self._anchors = anchors
        self._equivocated: dict[str, bool] = {}

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
        trust = self._anchors.validator(peer.kds)
        good: list[ClaimedKeyPackage] = []
        actions: list[KdsAction] = []
        for package in told.key_packages:
            reason = _problem(package, target, trust, now_s)
            if reason is None:
                good.append(package)
            else:
                details = {"outcome": "peer_lying", "peer": peer.host, "target": target, "reason": reason}
                actions.append(Note(f"a package of {peer.host} for +{target} dropped: {reason}", details))
        if self._anchors.is_behind(peer, told.anchors_generation):
            actions.append(PollAnchors(peer))
        return Accepted(good or None, tuple(actions), "peer_lying" if told.key_packages else "peer_empty")

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


def _problem(package: ClaimedKeyPackage, target: str, trust: CertificateValidator, now_s: int) -> str | None:
    """Why a package of another directory is dropped (§14.7)."""
    try:
        verify_claimed_package(
            package.key_package, msisdn=target, trust=trust, now_s=now_s, requires_certificate_floor=True
        )
    except KeyPackageRefused as refused:
        return str(refused)
    return None
