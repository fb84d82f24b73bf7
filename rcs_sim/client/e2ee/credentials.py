"""What a phone needs before it can encrypt: trust anchors, a certificate, key packages in the directory (RCC.16 §5).

It is announced as capable of MLS only when it has all of them, and goes on trying by itself until then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from ims_core.errors import RemoteProtocolError, TransportError
from ims_core.transport.tokens import Tokens
from rcs_sim.client.alarms import Alarms
from rcs_sim.client.display import Display
from rcs_sim.client.e2ee.revocations import Revocations
from rcs_sim.client.e2ee.trusted_roots import RETRY_S, TrustedRoots
from rcs_sim.client.errands import Errands
from rcs_sim.client.kds_client import KdsCallRefused, KdsClient
from rcs_sim.e2ee.certificate_floor import FLOOR_S
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.credential_identity import X509Identity
from rcs_sim.e2ee.member.device_identity import DeviceIdentity
from rcs_sim.e2ee.member.enrolment import Enrolment
from rcs_sim.e2ee.member.key_package_pool import KeyPackagePool
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.participant_key import ParticipantKey
from rcs_sim.e2ee.profile import E2eeProfile
from rcs_sim.e2ee.trust_anchors import TrustAnchorList
from rcs_sim.mls.key_log import WriteLine
from rcs_sim.mls.signature import ECDSA_P256, SignatureKey
from rcs_sim.wire.encryption_parameters import EncryptionParameters, MlsServerProperties
from rcs_sim.wire.key_directory import KdsErrorCode, UploadRequest

__all__ = ["CredentialState", "Credentials"]

RENEW_BEFORE_S = FLOOR_S + 24 * 3600  # of a certificate: a day before nobody may commit any more (choice)
RENEW_EVERY_S = 24 * 3600  # of certificates that are old when they come (choice)
BACKDATED_S = 3600  # certificates begin so long before they come (choice)
PUBLISH_EVERY_S = 24 * 3600  # fresh key packages (digest RCC.16 §2.4)
PROOF_PAUSE_S = 3600.0  # between two configurations that are asked for because of a proof (choice)
_DEPLOYED = MlsServerProperties()
_FIRST_RETRIES, _SHORT_S, _LONG_S = 3, 30.0, 300.0  # retry ladder (digest RCC.16 §10.8)


class CredentialState(Enum):
    """How far enrolment is."""

    OFF = "off"
    ENROLLING = "enrolling"
    READY = "ready"
    WAITING = "waiting"  # until the next attempt


class Credentials:
    """Of one phone, for as long as it is not reset. *changed* is called whenever `is_ready` or the certificate has
    changed, *proof_refused* when the directory does not take the proof in the configuration: a fresh one is to be had
    (digest RCC.16 §14.2). *participant* and *client_id* last until the reset; *kds_number* is what its tag names,
    *roots* are those that it trusts."""

    __slots__ = (
        "_alarm",
        "_alarms",
        "_asks_proof_at",
        "_changed",
        "_display",
        "_errands",
        "_failures",
        "_is_doubted",
        "_is_outdated",
        "_judged",
        "_kds",
        "_key_log",
        "_leaf_key",
        "_msisdn",
        "_owes_packages",
        "_parameters",
        "_proof_refused",
        "_random",
        "_revocations",
        "_verdict",
        "_work",
        "client_id",
        "kds_number",
        "participant",
        "pool",
        "profile",
        "roots",
        "setting",
        "state",
    )

    def __init__(
        self,
        profile: E2eeProfile,
        participant: ParticipantKey,
        tokens: Tokens,
        alarms: Alarms,
        errands: Errands,
        display: Display,
        changed: Callable[[], None],
        proof_refused: Callable[[], None],
        key_log: WriteLine | None = None,
    ) -> None:
        self.profile = profile
        self.client_id = tokens.uuid()
        self.participant = participant
        self.pool = KeyPackagePool()
        self.setting: MemberSetting | None = None
        self.kds_number = profile.kds
        self.state = CredentialState.OFF
        self._random = tokens.child("mls").octets
        self._key_log = key_log
        self._leaf_key: SignatureKey | None = None  # a directory that has answered knows the client by it
        self._alarms, self._errands, self._display = alarms, errands, display
        self._changed, self._proof_refused = changed, proof_refused
        self._alarm = alarms.new(self._rang)
        self._kds: KdsClient | None = None
        self._parameters: EncryptionParameters | None = None
        self._msisdn = ""
        self.roots = TrustedRoots(display)
        self._failures = 0
        self._is_outdated = False
        self._asks_proof_at = 0.0
        self._work: asyncio.Task[None] | None = None
        self._verdict: asyncio.Event | None = None
        self._judged: tuple[MemberSetting, bool] | None = None
        self._owes_packages = False  # those that were made last have not reached the directory
        self._revocations = Revocations(alarms, errands, display, self._revoked)

    @property
    def is_ready(self) -> bool:
        """Whether there is a certificate that is valid now, and key packages that others can claim."""
        return self.state is CredentialState.READY and self.is_certificate_valid

    @property
    def kds(self) -> KdsClient | None:
        """The own directory, while a configuration names one."""
        return self._kds

    @property
    def server(self) -> MlsServerProperties:
        """What the carrier's messaging server does; as deployed ones do where no configuration says it."""
        parameters = self._parameters
        return _DEPLOYED if parameters is None or parameters.server is None else parameters.server

    @property
    def msisdn(self) -> str:
        """Bare digits of the number that the configuration is for, "" before the first one."""
        return self._msisdn

    @property
    def validator(self) -> CertificateValidator | None:
        """Judges certificates by the anchors in force."""
        return None if self.setting is None else self.setting.trust.validator

    def now_s(self) -> int:
        """Unix seconds by the phone's calendar."""
        return int(self._alarms.wall())

    def passed_s(self) -> float:
        """Seconds as they pass, whatever becomes of the calendar."""
        return self._alarms.now()

    def complain(self, what: str, octets: bytes = b"") -> None:
        """Something of the directory goes into the trace."""
        self._display.error(what, octets)

    # --- what the phone tells ----------------------------------------------------------------------------------------

    def configured(self, kds: KdsClient, parameters: EncryptionParameters, msisdn: str) -> None:
        """A configuration with encryption is in force; *msisdn* is bare digits."""
        if msisdn != self._msisdn:  # another number: another participant
            self._stop()
            self.setting, self.pool, self._leaf_key = None, KeyPackagePool(), None
            self.roots.forget()
        self._is_outdated = self._is_working
        self._kds, self._parameters, self._msisdn = kds, parameters, msisdn
        self._failures = 0
        self._begin()

    def unconfigured(self) -> None:
        """No configuration, or one without encryption."""
        self._kds = self._parameters = None
        self._revocations.stop()
        self._stop()
        self._move(CredentialState.OFF)

    def stop(self) -> None:
        """The phone is switched off: what is under way ends, what it has stays."""
        self._stop()
        self._revocations.stop()

    def welcome_came(self) -> None:
        """A key package was used, or should have been: the pool is filled again if it is time."""
        now_s = int(self._alarms.wall())
        if self.setting is not None and self.pool.needs_refill(self.setting, now_s):
            self._begin()

    def clock_set(self) -> None:
        """The calendar has jumped: what was made by the other one may be of no use."""
        self._is_outdated = self._is_working
        if self.setting is not None:
            self._begin()

    def enrol_anew(self) -> None:
        """The certificate is not to be used any longer than it takes to get another one."""
        self._is_doubted = True
        self._begin()

    async def first_verdict(self, within_s: float) -> None:
        """Returns when it is ready, or has failed for the first time, or after *within_s*."""
        if self.state is not CredentialState.ENROLLING:
            return
        self._verdict = asyncio.Event()
        try:
            async with asyncio.timeout(within_s):
                await self._verdict.wait()
        except TimeoutError:
            pass  # it goes on by itself
        self._verdict = None

    # --- inside ------------------------------------------------------------------------------------------------------

    @property
    def is_certificate_valid(self) -> bool:
        """Whether there is one, and it has neither run out nor been revoked, nor lost its root."""
        setting = self.setting
        if setting is None or self._alarms.wall() >= setting.identity.ends_s:
            return False
        if self._judged is None or self._judged[0] is not setting:
            self._judged = setting, setting.trust.validator.is_revoked(setting.identity.chain)
        return not self._judged[1]

    def _revoked(self) -> None:
        """Other certificates are revoked than before: every group looks at its members again, and a certificate of our
        own that is among them is replaced."""
        setting = self.setting
        if setting is None:
            return
        validator = setting.trust.validator.with_revoked(self._revocations.revoked)
        trust = X509Identity(validator)
        self.setting = MemberSetting.of(setting.identity, self.profile, trust, self._random, self._key_log)
        self._changed()
        if validator.is_revoked(setting.identity.chain):
            self._display.state("encryption", "certificate revoked")
            self.enrol_anew()

    @property
    def _is_working(self) -> bool:
        return self._work is not None and not self._work.done()

    def _begin(self) -> None:
        if self._kds is None or self._is_working:
            return
        if self.state is not CredentialState.READY:
            self._move(CredentialState.ENROLLING)
        self._work = self._errands.create_task(self._enrol(self._kds), name="enrolment")

    def _stop(self) -> None:
        self._alarm.set(None)
        work, self._work = self._work, None
        if work is not None and not work.done():
            work.cancel()
        if self.state is CredentialState.ENROLLING:
            self.state = CredentialState.WAITING

    async def _enrol(self, kds: KdsClient) -> None:
        try:
            trust = await self._fetch_trust(kds)
            identity = await self._certify(kds, trust)
            is_new = self.setting is None or self.setting.identity is not identity
            if is_new or self.setting is None or self.setting.trust is not trust:
                self.setting = MemberSetting.of(identity, self.profile, trust, self._random, self._key_log)
            if self.roots.held is not None:  # whatever becomes of the packages: a list may tell why they are refused
                self._revocations.watch(kds, self.roots.held.trust(), self.kds_number)
            if is_new or self._owes_packages or self.pool.needs_refill(self.setting, int(self._alarms.wall())):
                await self._publish(kds, self.setting)
        except (TransportError, RemoteProtocolError) as error:
            self._failed(str(error), getattr(error, "retry_after_s", None))
            if isinstance(error, KdsCallRefused) and error.error == KdsErrorCode.BAD_PROOF:
                self._ask_for_proof()
        else:
            self._succeeded()
        if self._is_outdated:  # it began with an earlier configuration, or calendar
            self._is_outdated = False
            self._alarm.set(self._alarms.now())

    async def _fetch_trust(self, kds: KdsClient) -> X509Identity:
        """By the anchors that the configuration names, or those held where these cannot be had."""
        is_new = await self.roots.fetch(kds, self._parameters or EncryptionParameters())
        if self.setting is not None and not is_new:
            return self.setting.trust
        assert self.roots.held is not None
        return X509Identity(self._validator(self.roots.held))

    def _validator(self, anchors: TrustAnchorList) -> CertificateValidator:
        return CertificateValidator(
            anchors.trust(),
            Strictness.STRICT if self.profile.strict_certificates else Strictness.TOLERANT,
            self._revocations.revoked,
            refuses_expired_proof=self.profile.refuses_expired_acs_proof,
        )

    async def _certify(self, kds: KdsClient, trust: X509Identity) -> DeviceIdentity:
        now_s = int(self._alarms.wall())
        held = None if self.setting is None else self.setting.identity
        is_good = held is not None and now_s < _renewal_s(held) and not trust.validator.is_revoked(held.chain)
        if held is not None and is_good and not self._is_doubted:
            return held
        vendor_id = await self._vendor_of(kds)
        if held is not None:
            enrolment = Enrolment.renewal(held, vendor_id, self._random, now_s)
        else:
            self._leaf_key = self._leaf_key or ECDSA_P256.generate(self._random)
            enrolment = Enrolment.start(
                self._msisdn,
                self.client_id,
                vendor_id,
                self._random,
                now_s,
                participant=self.participant,
                leaf_key=self._leaf_key,
            )
        proof = b"" if self._parameters is None else self._parameters.identity_proof
        response = await kds.enrol(enrolment.certificate_request(proof))
        identity = enrolment.accept(response.leaf, response.chain, trust, int(self._alarms.wall()))
        self._is_doubted = False
        self.kds_number = self.profile.kds if response.kds is None else response.kds
        self._display.state("encryption", "certified", reason="renewed" if held is not None else "enrolled")
        return identity

    async def _vendor_of(self, kds: KdsClient) -> int:
        """Whose directory this is. A phone of any maker can be at any carrier, and its certificate has to name the
        vendor of that carrier's root (RCC.16 A.3.8.9)."""
        vendor_id = (await kds.directory()).vendor_id
        return self.profile.vendor_id if vendor_id is None else vendor_id

    async def _publish(self, kds: KdsClient, setting: MemberSetting) -> None:
        self._owes_packages = True
        upload = self.pool.mint(setting, int(self._alarms.wall()))
        await kds.upload(
            UploadRequest(
                msisdn=setting.identity.msisdn,
                client_id=setting.identity.client_id,
                key_packages=upload.one_time,
                last_resort=upload.last_resort,
            )
        )
        self._owes_packages = False

    def _succeeded(self) -> None:
        self._failures = 0
        self._alarm.set(self._alarms.now() if self._is_doubted else self._next_work_at())
        self._move(CredentialState.READY)
        self._decided()

    def _failed(self, why: str, wait_s: float | None) -> None:
        """*wait_s* is what the directory asked for, if it did."""
        self._failures += 1
        ladder = _SHORT_S if self._failures <= _FIRST_RETRIES else _LONG_S * (self._failures - _FIRST_RETRIES)
        self._alarm.set(self._alarms.now() + max(ladder, wait_s or 0.0))
        self._display.state("encryption", "not enrolled", reason=why)
        if self.state is CredentialState.ENROLLING:
            self._move(CredentialState.WAITING)
        self._decided()

    def _ask_for_proof(self) -> None:
        """Once in a while: a directory that takes no proof at all is not a reason to configure without end."""
        now = self._alarms.now()
        if now >= self._asks_proof_at:
            self._asks_proof_at = now + PROOF_PAUSE_S
            self._proof_refused()

    def _decided(self) -> None:
        if self._verdict is not None:
            self._verdict.set()

    def _next_work_at(self) -> float:
        """Of fresh key packages, or of the next certificate."""
        publish_at = (self.pool.minted_s or 0) + PUBLISH_EVERY_S
        renew_at = 0 if self.setting is None else _renewal_s(self.setting.identity)
        now = self._alarms.now()
        next_at = max(self._alarms.when(min(publish_at, renew_at)), now + _LONG_S)
        return float(min(next_at, now + RETRY_S) if self.roots.is_behind else next_at)

    def _rang(self, now: float) -> None:
        self._begin()

    def _move(self, state: CredentialState) -> None:
        before, self.state = self.state, state
        if before is not state:
            self._display.state("encryption", state.value)
        if state is CredentialState.READY or before is CredentialState.READY:
            self._changed()


def _renewal_s(identity: DeviceIdentity) -> int:
    """When a certificate is to be replaced, Unix seconds. One that was old when it came, such as under an authority at
    its end, is asked for again once a day, or halfway to its end: before that it has no better one (choice)."""
    issued_s = identity.certificate.not_before_s + BACKDATED_S
    pause_s = min(RENEW_EVERY_S, (identity.ends_s - issued_s) // 2)
    return max(identity.ends_s - RENEW_BEFORE_S, issued_s + pause_s)
