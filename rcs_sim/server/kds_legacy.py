"""Prekeys of the legacy scheme at a key distribution server (RCC.16 digest §14.12, choice): stored, and claimed once.

One device per participant. A bundle says nothing that this server could check: its signature is for whoever claims it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ims_core.store.prekey_directory import ANSWERED_PREKEY_CLAIMS, PREKEYS, StoredPrekeys
from rcs_sim.server.kds_actions import AskPeer, Change, Drop, KdsRefused, Keep, Note
from rcs_sim.server.kds_claims import Accepted, PeerLied
from rcs_sim.server.kds_settings import KdsFault
from rcs_sim.wire.key_directory import ClaimOutcome, FederationClaimRequest, KdsErrorCode
from rcs_sim.wire.prekey_directory import (
    FederationPrekeyResponse,
    PrekeyBundle,
    PrekeyPath,
    PrekeyUpload,
    SignedPrekey,
)

__all__ = ["PrekeyStock"]

MAX_SERVED = 1024  # one-time keys of a number that are remembered as served; older ones are forgotten


class PrekeyStock:
    """The prekeys of one carrier, and how a desk hands them out. Numbers are bare digits."""

    __slots__ = ("_held",)

    call = PrekeyPath.CLAIM
    federation_call = PrekeyPath.FEDERATION_CLAIM
    answers = ANSWERED_PREKEY_CLAIMS

    def __init__(self) -> None:
        self._held: dict[str, StoredPrekeys] = {}

    def restore(self, records: Iterable[StoredPrekeys]) -> None:
        """Takes over what an earlier process kept."""
        self._held = {record.msisdn: record for record in records}

    def left(self, msisdn: str) -> int | None:
        """How many one-time keys a number has; None for one that has published nothing."""
        held = self._held.get(msisdn)
        return None if held is None else len(held.one_time)

    def replace(self, upload: PrekeyUpload) -> tuple[int, list[Change]]:
        """Puts these in the place of all that the number had. One that was served before is left out. Returns how many
        one-time keys there are now."""
        before, signed = self._held.get(upload.msisdn), upload.signed
        served = () if before is None else before.served
        one_time = tuple(key for key in upload.one_time if key not in served)
        record = StoredPrekeys(
            msisdn=upload.msisdn,
            identity_key=signed.identity_key,
            signed_prekey=signed.signed_prekey,
            signature=signed.signature,
            one_time=one_time,
            served=served,
        )
        return len(one_time), [self._keep(record)]

    def forget(self, msisdn: str) -> list[Change]:
        """The number has another owner now."""
        return [] if self._held.pop(msisdn, None) is None else [Drop(PREKEYS, msisdn)]

    def _keep(self, record: StoredPrekeys) -> Keep:
        self._held[record.msisdn] = record
        return Keep(PREKEYS, record)

    # --- for a desk --------------------------------------------------------------------------------------------------

    def take(
        self, target: str, requester: str, exclude: str | None, fault: KdsFault, now_s: int
    ) -> tuple[PrekeyBundle, list[Change]]:
        """The bundle of a number, with its next one-time key if one is left. Raises KdsRefused without a bundle."""
        held = None if fault.empty_pool else self._held.get(fault.wrong_identity or target)
        if held is None:
            raise KdsRefused(KdsErrorCode.NO_KEY_PACKAGES, "nothing to serve")
        signed = SignedPrekey(
            identity_key=held.identity_key, signed_prekey=held.signed_prekey, signature=held.signature
        )
        if not held.one_time or fault.last_resort_only:
            return PrekeyBundle(signed), []
        first, *others = held.one_time
        if fault.reuses_one_time:
            return PrekeyBundle(signed, first), []
        served = (*held.served, first)[-MAX_SERVED:]
        return PrekeyBundle(signed, first), [self._keep(replace(held, one_time=tuple(others), served=served))]

    def body(self, served: PrekeyBundle) -> bytes:
        return served.encode()

    def federation_body(self, request: FederationClaimRequest, served: PrekeyBundle) -> bytes:
        return FederationPrekeyResponse(
            request_id=request.request_id, target_msisdn=request.target_msisdn, bundle=served
        ).encode()

    def accept(self, ask: AskPeer, body: bytes, now_s: int) -> Accepted[PrekeyBundle]:
        """Raises KeyDirectoryParseError, PeerLied."""
        told, asked = FederationPrekeyResponse.parse(body), ask.request
        if (told.request_id, told.target_msisdn) != (asked.request_id, asked.target_msisdn):
            raise PeerLied("answered another claim")
        return Accepted(told.bundle)

    def note(self, target: str, served: PrekeyBundle, way: str) -> Note:
        has_one_time = served.one_time is not None
        details = {
            "call": self.call,
            "outcome": int(ClaimOutcome.SERVED),
            "target": target,
            "way": way,
            "has_one_time_key": has_one_time,
        }
        return Note(f"prekeys of +{target} served{'' if has_one_time else ' without one-time key'}, {way}", details)
