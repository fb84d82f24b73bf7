"""Autoconfiguration at the client (RCC.14, digest §1), sans-IO: when to ask the server, how, and what answers change.

Inputs are events and `now`; outputs are values of `rcs_sim.client.provisioning_values`. The caller sends each
SendHttpRequest, gives back its answer, and calls `handle_deadline` when `next_deadline` has come.
"""

from __future__ import annotations

import zlib
from dataclasses import replace

from ims_core.errors import LocalProtocolError
from ims_core.transport.http_message import HttpResponse
from ims_core.transport.tokens import Tokens
from rcs_sim.client.provisioning_request import (
    Answer,
    CookieJar,
    configuration_url,
    is_trigger,
    one_time_password,
    otp_url,
    read_answer,
    redirect_target,
    retry_after_s,
)
from rcs_sim.client.provisioning_table import IGNORED, PROCEDURE, STARTS, Action, Input, Procedure, Start, Trigger
from rcs_sim.client.provisioning_values import (
    Access,
    AskMsisdn,
    ConfigurationKept,
    Postponed,
    PostponedReason,
    ProvisioningOutput,
    ProvisioningSettings,
    ProvisioningSnapshot,
    Save,
    SendHttpRequest,
    ServiceState,
    ShowMessage,
    StartService,
    StopReason,
    StopService,
    Subscription,
    pack_document,
    unpack_document,
)
from rcs_sim.wire.autoconfig import (
    AutoconfigParseError,
    DocumentVersion,
    ProvisioningDocument,
    VersionMeaning,
)
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["Provisioning"]

Outputs = list[ProvisioningOutput]

_GUARD_S = 5.0  # after the time limit of a request, for a driver that lost it
# a back-off ends with the next trigger (digest §1.3), though not a Retry-After; so does a question nobody answers
_INTERRUPTIBLE = (Procedure.BACKING_OFF, Procedure.MSISDN_WAITING)
_OTP_PORTS = (10_000, 40_000)  # digest §1.1
_RCS_STATES = {ServiceState.DORMANT: -3, ServiceState.OFF_UNTIL_USER: -2, ServiceState.OFF_FOR_GOOD: -1}
_NO_RESPONSE = HttpResponse(0)
_STOPPED = {
    VersionMeaning.RESET: (ServiceState.RESET, StopReason.RESET),
    VersionMeaning.OFF_FOR_GOOD: (ServiceState.OFF_FOR_GOOD, StopReason.OFF_FOR_GOOD),
    VersionMeaning.OFF_UNTIL_USER: (ServiceState.OFF_UNTIL_USER, StopReason.OFF_UNTIL_USER),
    VersionMeaning.DORMANT: (ServiceState.DORMANT, StopReason.DORMANT),
}


class Provisioning:
    """One phone's configuration. *access* may be set at any time and counts for the next request; so may
    *participant_key*, the public key (DER) of a phone that encrypts (RCC.16 §4.1), b"" for others.

    Read-only: *state*, *procedure*, *configuration* (what is stored; in force in ACTIVE only), *snapshot*."""

    __slots__ = (
        "_answer",
        "_code",
        "_cookies",
        "_deadline",
        "_failures",
        "_is_user_start",
        "_msisdn",
        "_otp_port",
        "_poll_at",
        "_questions",
        "_redirects",
        "_refusals",
        "_request",
        "_response",
        "_settings",
        "_sms_asked",
        "_subscription",
        "_tokens",
        "access",
        "configuration",
        "participant_key",
        "procedure",
        "snapshot",
    )

    def __init__(
        self,
        settings: ProvisioningSettings,
        subscription: Subscription,
        tokens: Tokens,
        *,
        access: Access = Access.CELLULAR,
        snapshot: ProvisioningSnapshot | None = None,
    ) -> None:
        self._settings = settings
        self._subscription = subscription
        self._tokens = tokens
        self.access = access
        self.participant_key = b""
        self.snapshot = snapshot or ProvisioningSnapshot(imsi=subscription.imsi)
        self.configuration = _stored_configuration(self.snapshot)
        self.procedure = Procedure.IDLE
        self._poll_at = self.snapshot.expires_at
        self._deadline: float | None = None
        self._request: SendHttpRequest = SendHttpRequest(0, "", (), 0.0)
        self._response = _NO_RESPONSE
        self._answer = Answer(False)
        self._cookies = CookieJar()
        self._msisdn = subscription.msisdn
        self._otp_port = 0
        self._code: str | None = None
        self._failures = 0  # in a row, for the back-off
        self._is_user_start = False
        self._forget_attempts()

    @property
    def state(self) -> ServiceState:
        return self.snapshot.state

    # Events

    def boot(self, now: float) -> Outputs:
        """The phone was switched on. First event of all."""
        outputs = self._step(Input.ABORT, now)
        if self.snapshot.imsi != self._subscription.imsi:
            return outputs + self._trigger(Trigger.SIM_CHANGED, now)
        if self.state is ServiceState.ACTIVE and self.snapshot.is_switched_on and self.configuration is not None:
            outputs.append(StartService(self.configuration))
        return outputs + self._trigger(Trigger.BOOT, now)

    def sim_changed(self, subscription: Subscription, now: float) -> Outputs:
        """A SIM was inserted; the same one again is like a boot (digest §1.4)."""
        self._subscription, self._msisdn = subscription, subscription.msisdn
        return self.boot(now)

    def factory_reset(self, now: float) -> Outputs:
        """Everything stored is lost, also what said "off for good"."""
        return self._step(Input.ABORT, now) + self._trigger(Trigger.SIM_CHANGED, now)

    def switch_on(self, now: float) -> Outputs:
        """The user turned RCS on, which is also what ends "off until the user acts"."""
        was_on = self.snapshot.is_switched_on
        outputs = [] if was_on else self._save(replace(self.snapshot, is_switched_on=True))
        if not was_on and self.state is ServiceState.ACTIVE and self.configuration is not None:
            outputs.append(StartService(self.configuration))
        return outputs + self._trigger(Trigger.SWITCHED_ON, now)

    def switch_off(self, now: float) -> Outputs:
        """The user turned RCS off: the configuration is kept and nothing is asked until it is on again."""
        if not self.snapshot.is_switched_on:
            return []
        outputs = self._step(Input.ABORT, now) + self._save(replace(self.snapshot, is_switched_on=False))
        return [*outputs, StopService(StopReason.SWITCHED_OFF)] if self.state is ServiceState.ACTIVE else outputs

    def register_refused(self, now: float) -> Outputs:
        """REGISTER was answered 403: the configuration may be out of date (digest §2.5)."""
        return self._trigger(Trigger.REGISTER_REFUSED, now)

    def proof_refused(self, now: float) -> Outputs:
        """The KDS refused the proof in the configuration: it is asked for anew, without the token, because only then
        the server vouches for another participant key than the one it knows (RCC.16 digest §14.2)."""
        outputs = self._save(replace(self.snapshot, token="", token_expires_at=None)) if self.snapshot.token else []
        return outputs + self._trigger(Trigger.SERVER_SMS, now)

    def sms_received(self, content: str | bytes, port: int, now: float) -> Outputs:
        """An SMS: octets for an application *port*, or a text with port 0. Others than ours have no effect."""
        if is_trigger(content if isinstance(content, str) else content.decode("utf-8", "replace")):
            return self._trigger(Trigger.SERVER_SMS, now)
        if not self.awaits(content, port):
            return []
        self._code = one_time_password(content, port, self._otp_port)
        return self._step(Input.SMS, now)

    def awaits(self, content: str | bytes, port: int) -> bool:
        """Whether an SMS is the one-time password that is waited for."""
        is_password = one_time_password(content, port, self._otp_port) is not None
        return is_password and (self.procedure, Input.SMS) not in IGNORED

    def msisdn_given(self, msisdn: str, now: float) -> Outputs:
        """The user answered AskMsisdn."""
        if self.procedure is Procedure.MSISDN_WAITING:
            self._msisdn = msisdn
        return self._step(Input.MSISDN, now)

    def received(self, number: int, response: HttpResponse, now: float) -> Outputs:
        """The answer to request *number*; late answers have no effect."""
        if not self._is_out(number):
            return []
        self._response = response
        self._cookies.store(self._request.url, response)
        return self._step(self._classify(response, now), now)

    def failed(self, number: int, now: float) -> Outputs:
        """Request *number* has got no answer in time, or could not be sent."""
        return self._step(Input.FAILURE, now) if self._is_out(number) else []

    def next_deadline(self) -> float | None:
        """When to call `handle_deadline`; None = never."""
        if self.procedure is not Procedure.IDLE:
            return self._deadline
        return self._poll_at if self.snapshot.is_switched_on else None

    def handle_deadline(self, now: float) -> Outputs:
        """Nothing happens before the deadline."""
        deadline = self.next_deadline()
        if deadline is None or now < deadline:
            return []
        if self.procedure is not Procedure.IDLE:
            self._deadline = None
            return self._step(Input.TIMER, now)
        self._poll_at = None
        return self._trigger(Trigger.VALIDITY_ENDED, now)

    # Decisions

    def _trigger(self, trigger: Trigger, now: float) -> Outputs:
        start = STARTS[self.state, trigger]
        outputs = self._forget(StopReason.SIM_CHANGED) if start is Start.AFRESH else []
        if start is Start.NOT or not self.snapshot.is_switched_on:
            return outputs
        if start is Start.IF_EXPIRED and not self._is_expired(now):
            return outputs
        if self.procedure in _INTERRUPTIBLE:
            outputs += self._step(Input.ABORT, now)
        elif self.procedure is not Procedure.IDLE:
            return outputs
        self._is_user_start = trigger is Trigger.SWITCHED_ON
        self._forget_attempts()
        return outputs + self._step(self._start_input(now), now)

    def _is_expired(self, now: float) -> bool:
        return self.snapshot.expires_at is None or now >= self.snapshot.expires_at

    def _start_input(self, now: float) -> Input:
        if now < self.snapshot.not_before:
            return Input.START_HELD
        if self.access is Access.CELLULAR and self._settings.enrichment_url is not None:
            return Input.START_ENRICHED
        expires_at = self.snapshot.token_expires_at
        has_token = bool(self.snapshot.token) and (expires_at is None or now < expires_at)
        return Input.START_TOKEN if has_token else Input.START_OTP

    def _is_out(self, number: int) -> bool:
        return number == self._request.number and (self.procedure, Input.DOCUMENT) in PROCEDURE

    def _classify(self, response: HttpResponse, now: float) -> Input:
        match response.status:
            case 200:
                return self._classify_document(response)
            case 403:
                return Input.FORBIDDEN_CELLULAR if self.access is Access.CELLULAR else Input.FORBIDDEN_WIFI
            case 511:
                return Input.AUTHENTICATION
            case 503 if retry_after_s(response, now) is not None:
                return Input.BUSY
            case status if 300 <= status < 400 and self._redirects < self._settings.max_redirects:
                return Input.FAILURE if self._redirect_url() is None else Input.REDIRECT
        return Input.FAILURE

    def _classify_document(self, response: HttpResponse) -> Input:
        self._answer = read_answer(response, is_announcement=self.procedure is Procedure.ENRICHING)
        document = self._answer.document
        if document is None:
            return Input.NO_DOCUMENT if self._answer.is_readable else Input.UNREADABLE
        vers = document.vers
        if vers is not None and vers.version > 0 and not document.has_settings and self.configuration is None:
            return Input.UNREADABLE  # "nothing new" for a phone that has nothing
        return Input.DOCUMENT

    def _redirect_url(self) -> str | None:
        allows_http = self._settings.configuration_url.startswith("http:")
        return redirect_target(self._response, self._request.url, allows_http=allows_http)

    def _step(self, event: Input, now: float) -> Outputs:
        row = PROCEDURE.get((self.procedure, event))
        if row is None:
            if (self.procedure, event) in IGNORED:
                return []
            raise LocalProtocolError(f"{event.name} in {self.procedure.name}", spec="RCC.14 §2")
        self.procedure, action = row
        return self._act(action, now)

    def _act(self, action: Action, now: float) -> Outputs:
        match action:
            case Action.SEND_ENRICHMENT:
                self._cookies.clear()
                return self._send(self._settings.enrichment_url or self._settings.configuration_url, now)
            case Action.SEND_REQUEST:
                return self._send_request(now)
            case Action.SEND_OTP_REQUEST:
                return self._send_otp_request(now)
            case Action.SEND_OTP:
                return self._send(otp_url(self._settings, self._code or ""), now)
            case Action.FOLLOW:
                return self._follow(now)
            case Action.AWAIT_SMS:
                return self._await_sms(now)
            case Action.REMEMBER_SMS:
                return []
            case Action.PAUSE:
                return self._pause(now)
            case Action.ASK_MSISDN:
                return self._ask_msisdn(now)
            case Action.APPLY:
                return self._apply(now)
            case Action.FORBID:
                return self._forbid()
            case Action.HOLD:
                return self._hold(now)
            case Action.WAIT_OUT:
                return self._wait(self.snapshot.not_before, PostponedReason.BUSY)
            case Action.BACK_OFF:
                return self._back_off(now, PostponedReason.UNAVAILABLE)
            case Action.KEEP_OLD:
                return self._back_off(now, PostponedReason.UNREADABLE)
            case Action.RESTART:
                self._forget_attempts()
                return self._step(self._start_input(now), now)
            case Action.GIVE_UP:
                return self._give_up(now)
            case Action.STOP:
                self._deadline, self._code = None, None
                return []

    # Requests

    def _send(self, url: str, now: float) -> Outputs:
        headers = [("Accept-Language", self._settings.language), *self._cookies.headers(url)]
        if self._settings.user_agent:
            headers.insert(0, ("User-Agent", self._settings.user_agent))
        timeout_s = self._settings.request_timeout_s
        self._request = SendHttpRequest(self._request.number + 1, url, tuple(headers), timeout_s)
        self._deadline = now + timeout_s + _GUARD_S
        return [self._request]

    def _send_request(self, now: float) -> Outputs:
        """With the cookie of header enrichment, else with the token."""
        is_enriched = bool(self._cookies.headers(self._settings.configuration_url))
        token = None if is_enriched else self.snapshot.token
        return self._send(self._url(token=token), now)

    def _send_otp_request(self, now: float) -> Outputs:
        if self._sms_asked >= self._settings.otp_requests:
            return self._step(Input.EXHAUSTED, now)
        self._sms_asked += 1
        self._cookies.clear()
        self._code = None
        self._otp_port = (
            self._tokens.number(*_OTP_PORTS) if self._settings.draws_otp_port else self._settings.policy.otp_port
        )
        token = None if self.access is Access.CELLULAR else ""
        return self._send(self._url(token=token, otp_port=self._otp_port), now)

    def _url(self, *, token: str | None, otp_port: int | None = None) -> str:
        state, version = self.state, self.snapshot.version
        is_polling = state is ServiceState.DORMANT and not self._is_user_start
        return configuration_url(
            self._settings,
            self._subscription,
            vers=-3 if is_polling else version,
            rcs_state=_RCS_STATES.get(state, version),
            msisdn=self._msisdn,
            token=token,
            otp_port=otp_port,
            participant_key=self.participant_key,
        )

    def _follow(self, now: float) -> Outputs:
        self._redirects += 1
        return self._send(self._redirect_url() or self._request.url, now)

    # One-time password

    def _await_sms(self, now: float) -> Outputs:
        if self._answer.otp_port is not None:
            self._otp_port = self._answer.otp_port
        self._deadline = now + self._settings.otp_wait_s
        return self._step(Input.SMS, now) if self._code is not None else []

    def _pause(self, now: float) -> Outputs:
        """511: the token is worth nothing; again with a one-time password (digest §1.3)."""
        outputs = self._save(replace(self.snapshot, token="", token_expires_at=None)) if self.snapshot.token else []
        self._refusals += 1
        if self._refusals > self._settings.max_511:
            return outputs + self._step(Input.EXHAUSTED, now)
        self._deadline = now + self._settings.pause_511_s
        return outputs

    def _ask_msisdn(self, now: float) -> Outputs:
        self._deadline = None
        self._questions += 1
        if self._questions > self._settings.msisdn_questions:
            return self._step(Input.EXHAUSTED, now)
        return [AskMsisdn()]

    # Results

    def _apply(self, now: float) -> Outputs:
        """VERS decides (digest §1.4)."""
        document = self._answer.document
        vers = None if document is None else document.vers
        if document is None or vers is None:  # _classify_document saw both
            raise LocalProtocolError("no document to apply", spec="RCC.14 §2.6")
        self._failures, self._deadline = 0, None
        outputs: Outputs = [ShowMessage(document.message)] if document.message is not None else []
        snapshot = replace(self.snapshot, imsi=self._subscription.imsi, not_before=0.0, expires_at=_expiry(vers, now))
        if document.token is not None:
            lifetime_s = document.token.validity_s
            expires_at = now + lifetime_s if lifetime_s > 0 else None
            snapshot = replace(snapshot, token=document.token.token, token_expires_at=expires_at)
        self._poll_at = snapshot.expires_at
        if vers.meaning is VersionMeaning.ACTIVE:
            outputs += self._activate(snapshot, document, vers)
        else:
            outputs += self._deactivate(snapshot, vers.meaning)
        self._answer, self._response = Answer(False), _NO_RESPONSE  # the tree is the largest thing on a phone
        self._request = replace(self._request, url="", headers=())
        return outputs

    def _activate(
        self, snapshot: ProvisioningSnapshot, document: ProvisioningDocument, vers: DocumentVersion
    ) -> Outputs:
        was_active, before = self.state is ServiceState.ACTIVE, self.configuration
        snapshot = replace(snapshot, state=ServiceState.ACTIVE, version=vers.version)
        if document.has_settings:
            self.configuration = RcsConfiguration.from_document(document)
            snapshot = replace(snapshot, packed_document=pack_document(self._response.body))
        outputs = self._save(snapshot)
        if self.configuration is None or (was_active and self.configuration == before):
            return [*outputs, ConfigurationKept(vers.version)]
        return [*outputs, StartService(self.configuration)]

    def _deactivate(self, snapshot: ProvisioningSnapshot, meaning: VersionMeaning) -> Outputs:
        was_active = self.state is ServiceState.ACTIVE
        state, reason = _STOPPED[meaning]
        snapshot = replace(snapshot, state=state)
        if meaning in (VersionMeaning.RESET, VersionMeaning.OFF_FOR_GOOD):
            snapshot = _cleared(snapshot)
            self.configuration = None
        return [*self._save(snapshot), *([StopService(reason)] if was_active else [])]

    def _forbid(self) -> Outputs:
        """403 over mobile data: the configuration goes, version 0 (digest §1.3)."""
        was_active = self.state is ServiceState.ACTIVE
        self.configuration, self._poll_at, self._deadline = None, None, None
        outputs = self._save(replace(_cleared(self.snapshot), state=ServiceState.RESET, imsi=self._subscription.imsi))
        return [*outputs, *([StopService(StopReason.FORBIDDEN)] if was_active else [])]

    def _forget(self, reason: StopReason) -> Outputs:
        was_active = self.state is ServiceState.ACTIVE and self.snapshot.is_switched_on
        self.configuration, self._poll_at = None, None
        fresh = ProvisioningSnapshot(imsi=self._subscription.imsi, is_switched_on=self.snapshot.is_switched_on)
        outputs = self._save(replace(fresh, not_before=self.snapshot.not_before))
        return [*([StopService(reason)] if was_active else []), *outputs]

    # Waiting

    def _hold(self, now: float) -> Outputs:
        until = now + (retry_after_s(self._response, now) or 0.0)
        return self._save(replace(self.snapshot, not_before=until)) + self._wait(until, PostponedReason.BUSY)

    def _back_off(self, now: float, reason: PostponedReason) -> Outputs:
        delay_s = self._settings.back_off_base_s * 2.0 ** min(self._failures, 30)
        self._failures += 1
        return self._wait(now + min(delay_s, self._settings.back_off_max_s), reason)

    def _wait(self, until: float, reason: PostponedReason) -> Outputs:
        self._deadline = until
        return [Postponed(reason, until)]

    def _give_up(self, now: float) -> Outputs:
        """A configuration in force, or a dormant one, is asked about again after the longest back-off (choice)."""
        keeps_asking = self.state in (ServiceState.ACTIVE, ServiceState.DORMANT)
        self._poll_at = now + self._settings.back_off_max_s if keeps_asking else None
        self._deadline = None
        return [Postponed(PostponedReason.GIVEN_UP, self._poll_at)]

    def _forget_attempts(self) -> None:
        self._sms_asked = self._refusals = self._questions = self._redirects = 0
        self._cookies.clear()

    def _save(self, snapshot: ProvisioningSnapshot) -> Outputs:
        self.snapshot = snapshot
        return [Save(snapshot)]


def _cleared(snapshot: ProvisioningSnapshot) -> ProvisioningSnapshot:
    return replace(snapshot, version=0, packed_document=b"", expires_at=None, token="", token_expires_at=None)


def _expiry(vers: DocumentVersion, now: float) -> float | None:
    """When to ask again without a trigger; None where the next boot, or more, is needed (digest §1.4)."""
    polls = vers.meaning in (VersionMeaning.ACTIVE, VersionMeaning.DORMANT)
    return now + vers.validity_s if polls and vers.validity_s > 0 else None


def _stored_configuration(snapshot: ProvisioningSnapshot) -> RcsConfiguration | None:
    if not snapshot.packed_document:
        return None
    try:
        octets = unpack_document(snapshot.packed_document)
        return RcsConfiguration.from_document(ProvisioningDocument.parse(octets))
    except (zlib.error, AutoconfigParseError):
        return None
