"""The end-to-end encryption of one phone as its parts see it: keys for the configuration, tags for the registration.

A phone whose carrier has no key service makes none of what encrypts: ten thousand of them cost a key each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ims_core.transport.http_message import HttpClient
from ims_core.transport.tokens import Tokens
from rcs_sim.client.e2ee.credentials import Credentials, CredentialState
from rcs_sim.client.e2ee.mls_encryption import MlsEncryption
from rcs_sim.client.encryption import Encryption
from rcs_sim.client.errands import Errands
from rcs_sim.client.inbox import Inbox
from rcs_sim.client.kds_client import KdsClient
from rcs_sim.client.messenger import Messenger
from rcs_sim.e2ee.legacy.libraries import LegacyUnavailable, require_legacy_libraries
from rcs_sim.e2ee.participant_key import ParticipantKey
from rcs_sim.e2ee.profile import E2eeProfile
from rcs_sim.mls.key_log import WriteLine
from rcs_sim.wire.rcs_configuration import RcsConfiguration

if TYPE_CHECKING:
    from rcs_sim.client.e2ee.legacy_encryption import LegacyEncryption

__all__ = ["PhoneEncryption"]

ENROLS_WITHIN_S = 10.0  # a phone that boots does not wait longer before it registers without encryption (choice)


class PhoneEncryption:
    """*announce* is called when what the phone announces has changed, *proof_refused* when a fresh configuration is
    needed to enrol; *mls* is None until a configuration has named a key service, and on a phone that has the legacy
    scheme only."""

    __slots__ = (
        "_errands",
        "_http",
        "_inbox",
        "_key_log",
        "_legacy",
        "_messenger",
        "_participant",
        "_proof_refused",
        "_tokens",
        "announce",
        "mls",
        "profile",
    )

    def __init__(
        self,
        profile: E2eeProfile,
        messenger: Messenger,
        inbox: Inbox,
        http: HttpClient,
        errands: Errands,
        tokens: Tokens,
        *,
        proof_refused: Callable[[], None],
        key_log: WriteLine | None = None,
    ) -> None:
        self.profile = profile
        self.announce: Callable[[], None] | None = None
        self.mls: MlsEncryption | None = None
        self._messenger, self._inbox, self._http = messenger, inbox, http
        self._errands, self._tokens, self._key_log = errands, tokens, key_log
        self._proof_refused = proof_refused
        self._participant: ParticipantKey | None = None
        self._legacy: LegacyEncryption | None = None

    def __repr__(self) -> str:
        return f"<PhoneEncryption {self.state.value}>"

    @property
    def state(self) -> CredentialState:
        """How far enrolment is."""
        return CredentialState.OFF if self.mls is None else self.mls.credentials.state

    @property
    def is_ready(self) -> bool:
        """Whether there is a certificate, and others can claim key packages; of the legacy scheme, prekeys."""
        if self.mls is None:
            return self._legacy is not None and self._legacy.account.is_ready
        return self.mls.credentials.is_ready

    @property
    def participant(self) -> ParticipantKey:
        """Made when it is needed first; the autoconfiguration server is told its public half (RCC.16 §4.1)."""
        if self._participant is None:
            self._participant = ParticipantKey.generate(self._tokens.child("participant key").octets)
        return self._participant

    @property
    def contact_params(self) -> str:
        """Tags as Contact parameters."""
        return "".join(f";{param}" for side in (self.mls, self._legacy) if side for param in side.tags.to_params())

    async def configured(self, configuration: RcsConfiguration) -> None:
        """A configuration with encryption is in force: enrols, and returns when that is done or takes too long."""
        parameters = configuration.encryption
        if parameters is None or not parameters.is_complete:
            self.unconfigured()
            return
        self._start()
        kds, msisdn = KdsClient(self._http, parameters.kds_uri), configuration.msisdn.lstrip("+")
        if self._legacy is not None:
            self._legacy.configured(kds, msisdn)
        if self.mls is not None:
            self.mls.credentials.configured(kds, parameters, msisdn)
            await self.mls.credentials.first_verdict(ENROLS_WITHIN_S)
        if self._legacy is not None:
            await self._legacy.account.first_verdict(ENROLS_WITHIN_S)

    def unconfigured(self) -> None:
        """A configuration without encryption, or none. What is marked as encrypted stays so, and is refused."""
        if self.mls is not None:
            self.mls.credentials.unconfigured()
        if self._legacy is not None:
            self._legacy.unconfigured()

    def power_lost(self) -> None:
        """The phone goes off: what is under way has no answer any more; what it holds stays."""
        if self.mls is not None:
            self.mls.credentials.stop()
            self.mls.power_lost()
        if self._legacy is not None:
            self._legacy.power_lost()

    def clock_set(self) -> None:
        """The calendar has jumped."""
        if self.mls is not None:
            self.mls.credentials.clock_set()

    def registered(self) -> None:
        """The phone can be reached again."""
        if self.mls is not None:
            self.mls.registered()

    def _start(self) -> None:
        """Makes the schemes that the profile allows, once."""
        if self.mls is not None or self._legacy is not None:
            return
        if self.profile.legacy_allowed:
            self._legacy = self._new_legacy()
        if self.profile.mls_allowed:
            self.mls = self._new_mls()
        encryption = self._composed()
        if encryption is not None:
            self._messenger.encryption = encryption
            self._inbox.receipts.signed = encryption.receipt_headers

    def _composed(self) -> Encryption | None:
        if self.mls is None or self._legacy is None:
            return self.mls or self._legacy
        from rcs_sim.client.e2ee.legacy_choice import SchemeChoice

        return SchemeChoice(self.mls, self._legacy, self._messenger)

    def _new_mls(self) -> MlsEncryption:
        messenger, tokens = self._messenger, self._tokens
        credentials = Credentials(
            self.profile,
            self.participant,
            tokens,
            messenger.alarms,
            self._errands,
            messenger.display,
            self._changed,
            self._proof_refused,
            self._key_log,
        )
        mls = MlsEncryption(credentials, messenger, self._inbox, self._errands, tokens.child("control"))
        messenger.maker.new_id = self._inbox.receipts.new_id = mls.new_message_id
        return mls

    def _new_legacy(self) -> LegacyEncryption | None:
        """None without its libraries: the phone does not announce the scheme then."""
        messenger = self._messenger
        try:
            require_legacy_libraries()
        except LegacyUnavailable as missing:
            messenger.display.state("legacy encryption", "off", reason=str(missing))
            return None
        from rcs_sim.client.e2ee.legacy_account import LegacyAccount
        from rcs_sim.client.e2ee.legacy_encryption import LegacyEncryption

        tokens = self._tokens.child("legacy")
        account = LegacyAccount(tokens, messenger.alarms, self._errands, messenger.display, self._changed)
        return LegacyEncryption(account, messenger, self._inbox, self._errands)

    def _changed(self) -> None:
        if self.mls is not None:
            self.mls.credentials_changed()
        if self.announce is not None:
            self.announce()
