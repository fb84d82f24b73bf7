"""Autoconfiguration server, ACS (RCC.14, digest §1): hands each client the configuration document of its subscription.

`ConfigServer` decides, `ConfigServerListener` is its HTTP handler on one listener. The number of a client is known from
the access network (header enrichment), from a one-time password sent by SMS, or from a token of an earlier document.
"""

from __future__ import annotations

import base64
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import replace

from ims_core.errors import LocalProtocolError
from ims_core.store.configuration import ConfigurationRecord, ConfigurationStore, StoredToken
from ims_core.store.record_table import StoreError
from ims_core.transport.clock import Clock
from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.server.config_actions import ConfigAction, Persist, Respond, SendSms, SmsSender
from rcs_sim.server.config_encryption import EncryptionService
from rcs_sim.server.config_exchange import (
    COOKIE,
    ConfigQuery,
    ConfigRefused,
    authentication_required,
    busy,
    document_response,
    enriched_msisdn,
    plain_response,
    redirect_location,
    session_cookie,
)
from rcs_sim.server.config_sessions import ConfigSession, ConfigSessions, OtpResult, RateLimit
from rcs_sim.server.config_settings import ConfigFault, ConfigServerSettings, ProvisioningSource
from rcs_sim.wire.autoconfig import Characteristic, ConfigurationToken, DocumentVersion, ProvisioningDocument
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["RECONFIGURATION_PORT", "ConfigServer", "ConfigServerListener"]

RECONFIGURATION_PORT = 37273  # application port of the SMS that triggers a configuration (digest §1.1)
MAX_TOKENS = 8  # devices of one subscriber that can hold a token at a time
_log = logging.getLogger(__name__)


class ConfigServer:
    """The decisions of an ACS. `handle` answers any request and never raises; the other methods are the operator's.

    *encryption* is None for a carrier without RCC.16."""

    __slots__ = (
        "_by_token",
        "_encryption",
        "_otp_rate",
        "_rate",
        "_records",
        "_sessions",
        "_settings",
        "_source",
        "_tokens",
        "fault",
    )

    def __init__(
        self,
        source: ProvisioningSource,
        settings: ConfigServerSettings,
        tokens: Tokens,
        encryption: EncryptionService | None = None,
    ) -> None:
        self._encryption = encryption
        self._source = source
        self._settings = settings
        self._tokens = tokens
        self._sessions = ConfigSessions(tokens, settings.otp_s)
        self._otp_rate = RateLimit(settings.otp_requests, settings.otp_window_s)
        self._rate = RateLimit(settings.max_requests_per_s, 1.0) if settings.max_requests_per_s is not None else None
        self._records: dict[str, ConfigurationRecord] = {}
        self._by_token: dict[str, str] = {}
        self.fault = ConfigFault()

    def restore(self, records: Iterable[ConfigurationRecord]) -> None:
        """Takes over what an earlier process kept."""
        for record in records:
            self._keep(record)

    def record(self, msisdn: str) -> ConfigurationRecord:
        """What is remembered of a subscriber."""
        return self._records.get(msisdn) or ConfigurationRecord(msisdn)

    def impose(self, msisdn: str, version: int, validity_s: int | None = None) -> list[ConfigAction]:
        """The next answers say *version*: 0, -1, -2 and -3 without settings; a positive one becomes the subscriber's
        version. *validity_s* None is what goes with the version (digest §1.4). Raises LocalProtocolError below -3."""
        if version < -3:
            raise LocalProtocolError(f"version {version} has no meaning", spec="RCC.14 §2.6")
        record = self.record(msisdn)
        if version > 0:
            return self._persist(replace(record, version=version, imposed_version=None, imposed_validity_s=validity_s))
        return self._persist(replace(record, imposed_version=version, imposed_validity_s=validity_s))

    def release(self, msisdn: str) -> list[ConfigAction]:
        """Ends what `impose` began: the settings are handed out again."""
        return self._persist(replace(self.record(msisdn), imposed_version=None, imposed_validity_s=None))

    def revoke_tokens(self, msisdn: str) -> list[ConfigAction]:
        """No token of the subscriber is valid any more."""
        return self._persist(replace(self.record(msisdn), tokens=()))

    def reconfigure(self, msisdn: str) -> list[ConfigAction]:
        """The SMS that makes the client ask now (digest §1.1); nothing for an unknown number."""
        subscriber = self._source.by_msisdn(msisdn)
        if subscriber is None:
            return []
        is_configured = self.record(msisdn).version > 0
        user = subscriber.configuration.private_identity if is_configured else subscriber.imsi
        return [SendSms(msisdn, f"{user}-rcscfg".encode(), RECONFIGURATION_PORT)]

    def handle(self, request: HttpRequest, now: float, *, trusts_enrichment: bool) -> list[ConfigAction]:
        """The actions for one request, in order, the last a Respond. *trusts_enrichment*: it came by the listener that
        only the access network reaches, so its X-MSISDN counts."""
        try:
            self._check(request, now)
            query = ConfigQuery.read(request)
            enriched = enriched_msisdn(request) if trusts_enrichment and not self.fault.requires_otp else None
            if query.is_empty:
                return self._announce(enriched, query, now)
            if self._settings.uses_tls and request.scheme == "http":
                return self._redirect(request, query, enriched, now)
            return self._configure(request, query, enriched, now)
        except ConfigRefused as refusal:
            return [Respond(refusal.response)]

    def _check(self, request: HttpRequest, now: float) -> None:
        wait_s = self._rate.wait_s("", now) if self._rate is not None else 0.0
        if self.fault.retry_after_s is not None or wait_s > 0:
            raise busy(self.fault.retry_after_s if self.fault.retry_after_s is not None else wait_s)
        if request.method != "GET":
            raise ConfigRefused(405, "only GET is known here", ("Allow", "GET"))
        if request.path not in ("", "/"):
            raise ConfigRefused(404, "the configuration is at /")
        if self.fault.is_disabled:
            raise ConfigRefused(403, "RCS is not available")

    def _announce(self, enriched: str | None, query: ConfigQuery, now: float) -> list[ConfigAction]:
        """Step 1 of header enrichment: the number is known, here is the cookie that says so over https."""
        if enriched is None:
            raise authentication_required()
        if self._source.by_msisdn(enriched) is None:
            raise ConfigRefused(403, "RCS is not available for this subscription")
        session = self._sessions.open(enriched, now, query)
        return [Respond(plain_response(200, b"", session_cookie(session.cookie, self._settings.otp_s)))]

    def _redirect(
        self, request: HttpRequest, query: ConfigQuery, enriched: str | None, now: float
    ) -> list[ConfigAction]:
        location = redirect_location(request, self._settings.server_name, self._settings.https_port)
        headers = [("Location", location)]
        if enriched is not None and self._source.by_msisdn(enriched) is not None:
            headers.append(session_cookie(self._sessions.open(enriched, now, query).cookie, self._settings.otp_s))
        return [Respond(plain_response(302, b"", *headers))]

    def _configure(
        self, request: HttpRequest, query: ConfigQuery, enriched: str | None, now: float
    ) -> list[ConfigAction]:
        """Who asks? A one-time password, a cookie, the access network or a token tells; else the phone gets an SMS."""
        session = self._sessions.find(request.cookie(COOKIE), now)
        if query.otp is not None:
            return self._check_code(session, query.otp, now)
        if session is not None and session.is_authenticated and not (session.code == "" and self.fault.requires_otp):
            return self._grant(session.msisdn, query, now)
        if enriched is not None:
            return self._grant(enriched, query, now)
        if query.token:
            return self._check_token(query, now)
        if query.sms_port is not None:
            if session is not None:
                self._sessions.close(session)  # asked anew: the older password is void
            return self._send_code(query, query.sms_port, now)
        raise authentication_required()

    def _check_code(self, session: ConfigSession | None, code: str, now: float) -> list[ConfigAction]:
        if session is None:
            raise authentication_required()
        match session.try_code(code.strip()):
            case OtpResult.RIGHT:
                return self._grant(session.msisdn, session.query, now)
            case OtpResult.WRONG:
                raise authentication_required()
            case OtpResult.EXHAUSTED:
                self._sessions.close(session)
                raise ConfigRefused(403, "too many wrong one-time passwords")

    def _check_token(self, query: ConfigQuery, now: float) -> list[ConfigAction]:
        digest = _token_digest(query.token)
        msisdn = self._by_token.get(digest)
        held = next((t for t in self.record(msisdn).tokens if t.digest == digest), None) if msisdn is not None else None
        if msisdn is None or held is None or held.expires_at <= now or self.fault.requires_otp:
            raise authentication_required()
        return self._grant(msisdn, query, now, held)

    def _send_code(self, query: ConfigQuery, port: int, now: float) -> list[ConfigAction]:
        subscriber = self._source.by_msisdn(query.msisdn) if query.msisdn else None
        if subscriber is None and query.imsi:
            subscriber = self._source.by_imsi(query.imsi)
        if subscriber is None:
            raise ConfigRefused(403, "the number is not known, or RCS is not available for it")
        wait_s = self._otp_rate.wait_s(subscriber.msisdn, now)
        if wait_s > 0:
            raise busy(wait_s)
        code = f"{self._tokens.number(0, 999_999):06d}"
        session = self._sessions.open(subscriber.msisdn, now, query, code=code, tries=self._settings.otp_tries)
        content: str | bytes = code.encode() if port else self._settings.otp_text.replace("{otp}", code)
        answer = plain_response(200, b"", session_cookie(session.cookie, self._settings.otp_s))
        return [SendSms(subscriber.msisdn, content, port), Respond(answer)]

    def _grant(
        self, msisdn: str, query: ConfigQuery, now: float, shown: StoredToken | None = None
    ) -> list[ConfigAction]:
        """The document for a client whose number is certain; *shown* is the token that made it so, if one did."""
        subscriber = self._source.by_msisdn(msisdn)
        if subscriber is None:
            raise ConfigRefused(403, "RCS is not available for this subscription")
        record = self.record(msisdn)
        if record.imposed_version is not None:
            validity_s = _imposed_validity(record.imposed_version, record.imposed_validity_s, self._settings)
            vers = DocumentVersion(record.imposed_version, validity_s)
            return [Respond(document_response([vers.characteristic()]))]
        record, settings = self._settings_for(subscriber.configuration, record, query, now)
        record, token = self._with_token(record, query, now, shown)
        version = query.vers if self.fault.is_stale and query.vers > 0 else record.version
        validities = (record.imposed_validity_s, subscriber.validity_s, self._settings.validity_s)
        vers = DocumentVersion(version, next(each for each in validities if each is not None))
        document = [vers.characteristic(), token.characteristic()]
        if query.vers != version:  # else nothing is new, and VERS and TOKEN say that (digest §1.4)
            document += [subscriber.message.characteristic()] if subscriber.message is not None else []
            document += settings
        return [*self._persist(record), Respond(document_response(document))]

    def _settings_for(
        self, configuration: RcsConfiguration, record: ConfigurationRecord, query: ConfigQuery, now: float
    ) -> tuple[ConfigurationRecord, tuple[Characteristic, ...]]:
        """The settings for this device. What is about encryption goes to devices that name a participant key (choice);
        the version counts it for every device of a subscriber with one."""
        if self._encryption is not None:
            record = self._encryption.learn(record, query.participant_key, now, is_fresh=not query.token)
        parameters = None if self._encryption is None else self._encryption.parameters(record)
        if parameters is None:
            settings = configuration.characteristics()
            return _with_settings(record, settings), settings
        extensions = (*configuration.extensions, parameters.characteristic())
        settings = replace(configuration, extensions=extensions).characteristics()
        record = _with_settings(record, settings)
        return record, settings if query.participant_key else configuration.characteristics()

    def _with_token(
        self, record: ConfigurationRecord, query: ConfigQuery, now: float, shown: StoredToken | None
    ) -> tuple[ConfigurationRecord, ConfigurationToken]:
        """The token the client showed while half of its life is left, else a new one in place of its device's others.

        The one shown stays valid: the answer with the new one may be lost."""
        lifetime_s = self._settings.token_validity_s
        if shown is not None and shown.expires_at - now > lifetime_s / 2:
            return record, ConfigurationToken(query.token, int(shown.expires_at - now))
        token = base64.urlsafe_b64encode(self._tokens.octets(24)).decode("ascii")
        kept = [held for held in record.tokens if held.expires_at > now]
        kept = [held for held in kept if held == shown or not query.imei or held.device != query.imei]
        fresh = StoredToken(_token_digest(token), now + lifetime_s, query.imei)
        return replace(record, tokens=(*kept[1 - MAX_TOKENS :], fresh)), ConfigurationToken(token, lifetime_s)

    def _persist(self, record: ConfigurationRecord) -> list[ConfigAction]:
        if self._records.get(record.msisdn) == record:
            return []
        self._keep(record)
        return [Persist(record)]

    def _keep(self, record: ConfigurationRecord) -> None:
        for old in self.record(record.msisdn).tokens:
            self._by_token.pop(old.digest, None)
        self._records[record.msisdn] = record
        self._by_token.update((held.digest, record.msisdn) for held in record.tokens)


class ConfigServerListener:
    """HTTP handler of one listener. *trusts_enrichment* is for the listener that only the access network reaches."""

    __slots__ = ("_clock", "_send_sms", "_server", "_store", "_trusts_enrichment")

    def __init__(
        self,
        server: ConfigServer,
        clock: Clock,
        store: ConfigurationStore,
        send_sms: SmsSender,
        *,
        trusts_enrichment: bool,
    ) -> None:
        self._server = server
        self._clock = clock
        self._store = store
        self._send_sms = send_sms
        self._trusts_enrichment = trusts_enrichment

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        actions = self._server.handle(request, self._clock.now(), trusts_enrichment=self._trusts_enrichment)
        return await self.carry_out(actions)

    async def carry_out(self, actions: Iterable[ConfigAction]) -> HttpResponse:
        """Also for the operator's actions, which end without a Respond: the response is then an empty 200."""
        response = plain_response(200, b"")
        for action in actions:
            match action:
                case Persist(record):
                    try:
                        await self._store.put(record)
                    except StoreError as error:
                        _log.error("configuration of %s not stored: %s", record.msisdn, error)
                        return busy(1).response
                case SendSms(msisdn, content, port):
                    self._send_sms(msisdn, content, port)
                case Respond(answer):
                    response = answer
        return response


def _token_digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _with_settings(record: ConfigurationRecord, settings: tuple[Characteristic, ...]) -> ConfigurationRecord:
    """*record* with a higher version if its settings are others than before."""
    fingerprint = hashlib.sha256(ProvisioningDocument(settings).encode()).hexdigest()
    if fingerprint == record.fingerprint:
        return record
    # version n without a fingerprint comes from the operator: it is the version of whatever is handed out first
    is_change = bool(record.fingerprint) or record.version == 0
    return replace(record, version=record.version + is_change, fingerprint=fingerprint)


def _imposed_validity(version: int, validity_s: int | None, settings: ConfigServerSettings) -> int:
    """Validity that goes with a version that is not positive (digest §1.4): 0/0, -1/-1, -2/-2, -3 with seconds."""
    if validity_s is not None:
        return validity_s
    return settings.validity_s if version == -3 else version
