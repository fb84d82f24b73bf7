"""Key packages of everybody who shall be in a group: claimed at the own directory, and checked (RCC.16 §5.1, A.4.1)."""

from __future__ import annotations

from ims_core.errors import RemoteProtocolError
from rcs_sim.client.e2ee.credentials import Credentials
from rcs_sim.client.kds_client import ClaimResult, KdsClient
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.key_package_profile import VerifiedKeyPackage, verify_claimed_package
from rcs_sim.e2ee.profile import ClaimedLifetime
from rcs_sim.wire.key_directory import ClaimOutcome, ClaimRequest

__all__ = ["ClaimFailed", "Claims"]


class ClaimFailed(Exception):
    """There are no key packages for a group. *outcome* tells whether that says anything about the peer."""

    def __init__(self, outcome: ClaimOutcome, detail: str) -> None:
        super().__init__(f"{outcome.name.lower().replace('_', ' ')}: {detail}" if detail else outcome.name)
        self.outcome = outcome


class Claims:
    """The claims of one phone. A directory that asks for patience is not asked again before."""

    __slots__ = ("_not_before", "credentials")

    def __init__(self, credentials: Credentials) -> None:
        self.credentials = credentials
        self._not_before: dict[int | None, float] = {}

    async def packages(self, peer_number: str, peer_kds: int | None) -> tuple[VerifiedKeyPackage, ...]:
        """One for each device of the peer, and for each further device of the own user. Raises ClaimFailed."""
        kds, setting = self.credentials.kds, self.credentials.setting
        if kds is None or setting is None:
            raise ClaimFailed(ClaimOutcome.NOT_ATTEMPTED, "no directory")
        own = setting.identity
        theirs = await self._claim(
            kds, ClaimRequest(target_msisdn=peer_number, requester_msisdn=own.msisdn, kds=peer_kds)
        )
        if not theirs:
            raise ClaimFailed(ClaimOutcome.PEER_HAS_NONE, "none that passes the checks")
        ours = await self._claim_own(kds, own.msisdn, own.client_id)
        return (*theirs, *ours)

    async def own_clients(self) -> frozenset[str]:
        """Names of the own user's other devices that the directory serves. Raises ClaimFailed."""
        kds, setting = self.credentials.kds, self.credentials.setting
        if kds is None or setting is None:
            raise ClaimFailed(ClaimOutcome.NOT_ATTEMPTED, "no directory")
        result = await self._asked(kds, self._own_request(setting.identity.msisdn, setting.identity.client_id))
        if result.outcome not in (ClaimOutcome.SERVED, ClaimOutcome.PEER_HAS_NONE):
            raise ClaimFailed(result.outcome, result.detail)
        return frozenset(each.client_id for each in result.key_packages)

    def _own_request(self, msisdn: str, client_id: str) -> ClaimRequest:
        return ClaimRequest(
            target_msisdn=msisdn,
            requester_msisdn=msisdn,
            kds=self.credentials.kds_number,
            exclude_client_id=client_id,
        )

    async def _claim_own(self, kds: KdsClient, msisdn: str, client_id: str) -> tuple[VerifiedKeyPackage, ...]:
        """Of the user's other devices, of which there may be none."""
        try:
            return await self._claim(kds, self._own_request(msisdn, client_id))
        except ClaimFailed as failed:
            if failed.outcome is ClaimOutcome.PEER_HAS_NONE:
                return ()
            raise

    async def _claim(self, kds: KdsClient, request: ClaimRequest) -> tuple[VerifiedKeyPackage, ...]:
        result = await self._asked(kds, request)
        if result.outcome is not ClaimOutcome.SERVED:
            raise ClaimFailed(result.outcome, result.detail)
        return self._verified(result, request.target_msisdn)

    async def _asked(self, kds: KdsClient, request: ClaimRequest) -> ClaimResult:
        """The answer; none is asked for as long as that directory wants to be left alone."""
        left_s = self._not_before.get(request.kds, 0.0) - self.credentials.passed_s()
        if left_s > 0:
            detail = f"the directory asked to wait, {left_s:.0f} s are left"
            return ClaimResult(ClaimOutcome.NOT_ATTEMPTED, detail=detail)
        result = await kds.claim(request)
        if result.retry_after_s:
            self._not_before[request.kds] = self.credentials.passed_s() + result.retry_after_s
        return result

    def _verified(self, result: ClaimResult, msisdn: str) -> tuple[VerifiedKeyPackage, ...]:
        """Those that pass; a bad one is left out, and the trace says why."""
        credentials = self.credentials
        validator = credentials.validator
        if validator is None:
            return ()
        good: dict[bytes, VerifiedKeyPackage] = {}
        for claimed in result.key_packages:
            try:
                found = self._verify(claimed.key_package, msisdn, validator)
            except RemoteProtocolError as error:
                credentials.complain(f"a claimed key package is refused: {error}", claimed.key_package)
                continue
            if found.certificate.subject in good:  # two leaves of one device: no group takes them
                credentials.complain("a second key package of one device is left out", claimed.key_package)
            good.setdefault(found.certificate.subject, found)
        return tuple(good.values())

    def _verify(self, octets: bytes, msisdn: str, validator: CertificateValidator) -> VerifiedKeyPackage:
        return verify_claimed_package(
            octets,
            msisdn=msisdn,
            trust=validator,
            now_s=self.credentials.now_s(),
            requires_certificate_floor=self.credentials.profile.claimed_lifetime is ClaimedLifetime.REFUSE,
        )
