"""IMS registration of a phone (TS 24.229 §5.1.1, digest §2): a table-driven machine without I/O.

`receive` and `handle_deadline` return what the phone has to do. The machine builds the REGISTER requests and reads
their answers; the phone sends them, tells about its flow and passes on what NOTIFY says.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.address_headers import Contact
from ims_core.wire.sip.core_headers import MinExpires, RetryAfter
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.uri import Uri
from rcs_sim.client.account import Account
from rcs_sim.client.authenticator import AnswerKind, Authenticator
from rcs_sim.client.binding import Binding, read_binding
from rcs_sim.client.register_request import RegisterFields, build_register
from rcs_sim.client.security_agreement import SecurityAgreement
from rcs_sim.devices.policy import DevicePolicy

__all__ = [
    "IGNORED",
    "REGISTRATION_TABLE",
    "ConfigurationStale",
    "Ended",
    "Registered",
    "Registration",
    "RegistrationAction",
    "RegistrationInput",
    "RegistrationOutput",
    "RegistrationState",
    "SendRegister",
    "Unregistered",
]

MAX_AUTH_FAILURES = 3  # digest §2.5: after so many refused answers the phone stops
MAX_CHALLENGES = 8  # of any kind in one attempt: resynchronisations and stale nonces do not go on for ever
MAX_REDIRECTIONS = 1
MAX_EXPIRY_CORRECTIONS = 2
MAX_CONFIGURATION_QUERIES = 1  # digest §12 R15: one 403, one new query
_LONG_LIFE_S, _REFRESH_BEFORE_S = 1200, 600  # TS 24.229 §5.1.1.4.1


class RegistrationState(Enum):
    IDLE = "idle"
    REGISTERING = "registering"
    ANSWERING = "answering"  # a challenge was answered
    REGISTERED = "registered"
    REFRESHING = "refreshing"
    WAITING = "waiting"  # for the end of the back-off
    DEREGISTERING = "deregistering"
    REFUSED = "refused"  # by the network, until the configuration changes or the user acts


class RegistrationInput(Enum):
    START = auto()  # power on, network back, new flow wanted
    STOP = auto()
    CHALLENGED = auto()
    ACCEPTED = auto()
    TOO_BRIEF = auto()  # 423
    FORBIDDEN = auto()
    REDIRECTED = auto()
    SECURITY_REFUSED = auto()  # 421, 494
    FAILED = auto()  # anything that may pass with time
    GAVE_UP = auto()  # authentication is hopeless
    REFRESH_DUE = auto()
    RETRY_DUE = auto()
    FLOW_LOST = auto()
    DEACTIVATED = auto()  # NOTIFY: register again now
    PROBATION = auto()  # NOTIFY: register again after retry-after, or after the usual pause
    REJECTED = auto()  # NOTIFY: stop


class RegistrationAction(Enum):
    SEND_INITIAL = auto()
    SEND_ANSWER = auto()
    SEND_REFRESH = auto()
    SEND_DEREGISTER = auto()
    ADOPT = auto()
    BACK_OFF = auto()
    ASK_CONFIGURATION = auto()
    STOP_SERVICE = auto()
    END = auto()


_S, _I, _A = RegistrationState, RegistrationInput, RegistrationAction

_ANSWERS: Mapping[RegistrationInput, tuple[RegistrationState, RegistrationAction]] = {
    _I.ACCEPTED: (_S.REGISTERED, _A.ADOPT),
    _I.TOO_BRIEF: (_S.REGISTERING, _A.SEND_INITIAL),
    _I.REDIRECTED: (_S.REGISTERING, _A.SEND_INITIAL),
    _I.SECURITY_REFUSED: (_S.REGISTERING, _A.SEND_INITIAL),
    _I.FORBIDDEN: (_S.REFUSED, _A.ASK_CONFIGURATION),
    _I.FAILED: (_S.WAITING, _A.BACK_OFF),
    _I.GAVE_UP: (_S.REFUSED, _A.STOP_SERVICE),
    _I.STOP: (_S.IDLE, _A.END),
}
_DEREGISTERED = dict.fromkeys(
    (
        _I.ACCEPTED,
        _I.TOO_BRIEF,
        _I.FORBIDDEN,
        _I.REDIRECTED,
        _I.SECURITY_REFUSED,
        _I.FAILED,
        _I.GAVE_UP,
        _I.FLOW_LOST,
        _I.REJECTED,
        _I.DEACTIVATED,
    ),
    (_S.IDLE, _A.END),
)

_ROWS: Mapping[RegistrationState, Mapping[RegistrationInput, tuple[RegistrationState, RegistrationAction]]] = {
    _S.IDLE: {_I.START: (_S.REGISTERING, _A.SEND_INITIAL)},
    _S.REGISTERING: {_I.CHALLENGED: (_S.ANSWERING, _A.SEND_ANSWER), **_ANSWERS},
    _S.ANSWERING: {_I.CHALLENGED: (_S.ANSWERING, _A.SEND_ANSWER), **_ANSWERS},
    _S.REGISTERED: {
        _I.START: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.STOP: (_S.DEREGISTERING, _A.SEND_DEREGISTER),
        _I.REFRESH_DUE: (_S.REFRESHING, _A.SEND_REFRESH),
        _I.FLOW_LOST: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.DEACTIVATED: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.PROBATION: (_S.WAITING, _A.BACK_OFF),
        _I.REJECTED: (_S.REFUSED, _A.STOP_SERVICE),
    },
    _S.REFRESHING: {
        **_ANSWERS,
        _I.CHALLENGED: (_S.ANSWERING, _A.SEND_ANSWER),
        _I.STOP: (_S.DEREGISTERING, _A.SEND_DEREGISTER),
        _I.DEACTIVATED: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.PROBATION: (_S.WAITING, _A.BACK_OFF),
        _I.REJECTED: (_S.REFUSED, _A.STOP_SERVICE),
    },
    _S.WAITING: {
        _I.START: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.RETRY_DUE: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.DEACTIVATED: (_S.REGISTERING, _A.SEND_INITIAL),
        _I.REJECTED: (_S.REFUSED, _A.STOP_SERVICE),
        _I.STOP: (_S.IDLE, _A.END),
    },
    _S.DEREGISTERING: {_I.CHALLENGED: (_S.DEREGISTERING, _A.SEND_ANSWER), **_DEREGISTERED},
    _S.REFUSED: {_I.START: (_S.REGISTERING, _A.SEND_INITIAL), _I.STOP: (_S.IDLE, _A.END)},
}

REGISTRATION_TABLE: Mapping[
    tuple[RegistrationState, RegistrationInput], tuple[RegistrationState, RegistrationAction]
] = {(state, given): move for state, row in _ROWS.items() for given, move in row.items()}

_ANSWER_INPUTS = (*_ANSWERS, _I.CHALLENGED)
IGNORED: frozenset[tuple[RegistrationState, RegistrationInput]] = frozenset(
    # answers to a REGISTER that a newer decision has made pointless
    {(state, given) for state in (_S.IDLE, _S.REGISTERED, _S.WAITING, _S.REFUSED) for given in _ANSWER_INPUTS}
    # notifications about a binding that is being made anew, or is none; flows that nothing depends on
    | {
        (state, given)
        for state in _S
        for given in (_I.FLOW_LOST, _I.DEACTIVATED, _I.PROBATION, _I.REJECTED, _I.REFRESH_DUE, _I.RETRY_DUE)
    }
    # already on its way
    | {(state, _I.START) for state in (_S.REGISTERING, _S.ANSWERING, _S.REFRESHING, _S.DEREGISTERING)}
    | {(_S.DEREGISTERING, _I.STOP)}
) - frozenset(REGISTRATION_TABLE)
"""Pairs that are absorbed."""


_OF_EVENT: Mapping[str, RegistrationInput] = {
    "rejected": _I.REJECTED,
    "deactivated": _I.DEACTIVATED,
    "expired": _I.DEACTIVATED,
    "probation": _I.PROBATION,
    "unregistered": _I.PROBATION,
}


@dataclass(frozen=True, slots=True)
class SendRegister:
    """Send *request* to the P-CSCF, or to *target* of a redirection, and give the outcome to `Registration.receive`."""

    request: Request
    target: Uri | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """The binding stands. *is_new* is False for a refresh."""

    binding: Binding
    is_new: bool


@dataclass(frozen=True, slots=True)
class Unregistered:
    """The binding is gone. *retry_at* is when the machine tries again, None if it waits for somebody."""

    reason: str
    retry_at: float | None = None


@dataclass(frozen=True, slots=True)
class ConfigurationStale:
    """403: query the ACS again, then `start` with the account it gives (digest §2.5)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """De-registration is over (or was not needed)."""


RegistrationOutput = SendRegister | Registered | Unregistered | ConfigurationStale | Ended


class Registration:
    """The machine of one phone. *contact* and *features* are URI and Contact parameters of its binding."""

    __slots__ = (
        "_authenticator",
        "_call_id",
        "_challenges",
        "_configuration_queries",
        "_contact",
        "_corrections",
        "_cseq",
        "_deadline",
        "_deregister_call_id",
        "_expires_s",
        "_failures",
        "_features",
        "_flow_lost_at",
        "_from_tag",
        "_policy",
        "_recalled_at",
        "_redirections",
        "_retries",
        "_retry_after_s",
        "_retry_base_s",
        "_retry_max_s",
        "_security",
        "_target",
        "_tokens",
        "_told_features",
        "account",
        "binding",
        "state",
    )

    def __init__(
        self,
        account: Account,
        policy: DevicePolicy,
        authenticator: Authenticator,
        tokens: Tokens,
        *,
        retry_base_s: float = 30.0,
        retry_max_s: float = 1800.0,
    ) -> None:
        self.account = account
        self._policy = policy
        self._authenticator = authenticator
        self._tokens = tokens
        self._retry_base_s, self._retry_max_s = retry_base_s, retry_max_s
        self._security = SecurityAgreement(tokens) if policy.registration.offers_security_agreement else None
        self._call_id = tokens.word()
        self._deregister_call_id = ""
        self._from_tag = tokens.word()
        self._cseq = 0
        self._contact = self._features = self._told_features = ""
        self._expires_s = policy.registration.requested_expiry_s
        self._challenges = self._failures = self._redirections = self._corrections = self._retries = 0
        self._configuration_queries = 0
        self._retry_after_s: float | None = None
        self._flow_lost_at = -math.inf
        self._recalled_at = -math.inf  # when the network last asked for a binding to be made anew
        self._target: Uri | None = None
        self._deadline: float | None = None
        self.binding: Binding | None = None
        self.state = _S.IDLE

    # ------------------------------------------------------------------------------------------------------ inputs

    def start(self, contact: str, features: str, now: float) -> list[RegistrationOutput]:
        """Initial registration from this address; also to make a binding anew over a new flow."""
        self._contact, self._features = contact, features
        return self._take(_I.START, now)

    def stop(self, now: float) -> list[RegistrationOutput]:
        """De-registers the own binding only."""
        return self._take(_I.STOP, now)

    def receive(self, outcome: Response | None, now: float) -> list[RegistrationOutput]:
        """Final outcome of the REGISTER that was sent last; None for a time-out or a transport error."""
        if outcome is None:
            return self._take(_I.FAILED, now, "no answer to REGISTER", is_lost=True)
        given = self._input_of(outcome)
        why = f"{outcome.status} {outcome.reason}"
        if given is _I.ACCEPTED:
            self._authenticator.accept(outcome)
            if self.state is not _S.DEREGISTERING:
                return self._accepted(outcome, now)
        if given is _I.CHALLENGED:
            return self._challenged(outcome, now)
        return self._take(given, now, why)

    def flow_lost(self, now: float) -> list[RegistrationOutput]:
        """The registered flow failed: a new one is used (RFC 5626 §4.2), after a pause if the one before has just
        failed too (RFC 5626 §4.5)."""
        given = _I.FLOW_LOST
        if self.state is _S.REGISTERED:
            given = _I.PROBATION if now - self._flow_lost_at < self._retry_base_s else given
            self._flow_lost_at = now
        return self._take(given, now, "the flow to the P-CSCF failed", is_lost=True)

    def notified(self, event: str, now: float, retry_after_s: float | None = None) -> list[RegistrationOutput]:
        """The own contact was terminated with *event* (RFC 3680 §5.3, digest §2.5).

        Nobody asks the phone back after ``unregistered``: it registers again as after a failure; the binding that ran
        out (``expired``) is made anew at once, unless that was done a moment ago (choice)."""
        given = _OF_EVENT.get(event)
        if given is None:
            return []
        self._retry_after_s = retry_after_s or None
        if given is _I.DEACTIVATED and self.binding is not None:
            given = _I.PROBATION if now - self._recalled_at < self._retry_base_s else given
            self._recalled_at = now
        return self._take(given, now, f"reg event: {event}")

    def reconfigured(self, account: Account, authenticator: Authenticator) -> None:
        """A new configuration came; the next `start` uses it."""
        self.account, self._authenticator = account, authenticator

    def move(self, contact: str) -> None:
        """The next REGISTER is for this Contact URI."""
        self._contact = contact

    def announce(self, features: str, now: float) -> list[RegistrationOutput]:
        """The phone can do more, or less, than the binding says: told by a refresh at once, or by the next REGISTER.
        Also to be called when a REGISTER has been answered that was under way meanwhile."""
        self._features = features
        return self._take(_I.REFRESH_DUE, now) if self.is_untold(features) and self.state is _S.REGISTERED else []

    def is_untold(self, features: str) -> bool:
        """Whether the last REGISTER said something else."""
        return features != self._told_features

    def lost(self) -> None:
        """Power or radio is gone without any signalling."""
        self.state, self.binding, self._deadline = _S.IDLE, None, None

    def next_deadline(self) -> float | None:
        return self._deadline

    def handle_deadline(self, now: float) -> list[RegistrationOutput]:
        if self._deadline is None or now < self._deadline:
            return []
        self._deadline = None
        return self._take(_I.REFRESH_DUE if self.state is _S.REGISTERED else _I.RETRY_DUE, now)

    def security_headers(self) -> tuple[HeaderInput, ...]:
        """What every later request repeats (digest §2.4)."""
        return () if self._security is None else self._security.of_request()

    # ------------------------------------------------------------------------------------------------- the machine

    def _take(
        self, given: RegistrationInput, now: float, why: str = "", *, is_lost: bool = False
    ) -> list[RegistrationOutput]:
        move = REGISTRATION_TABLE.get((self.state, given))
        if move is None:
            if (self.state, given) in IGNORED:
                return []
            raise LocalProtocolError(f"{given.name} while {self.state.value}", spec="TS 24.229 §5.1.1")
        before, (self.state, action) = self.state, move
        match action:
            case _A.SEND_INITIAL:
                return self._send_initial(given, now, why)
            case _A.SEND_REFRESH:
                self._challenges = self._failures = 0
                if self._security is not None:
                    self._security.renew()
                return [self._register(self._authorization(), self._expires_s)]
            case _A.SEND_DEREGISTER:
                return self._send_deregister()
            case _A.BACK_OFF:
                return self._back_off(before, now, why, is_lost)
            case _A.ASK_CONFIGURATION:
                return self._ask_configuration(why)
            case _A.STOP_SERVICE:
                self._deadline = None
                return self._drop(why or "the network refused the credentials", None)
            case _A.END:
                self._deadline = None
                return [*self._drop("de-registered", None), Ended()]
            case _:
                raise LocalProtocolError(f"{action.name} needs the response", spec="TS 24.229 §5.1.1")

    def _input_of(self, response: Response) -> RegistrationInput:
        status = response.status
        if 200 <= status < 300:
            return _I.ACCEPTED
        if status in (401, 407):
            return _I.CHALLENGED
        if status == 423:
            return _I.TOO_BRIEF if self._take_min_expires(response) else _I.FAILED
        if status in (302, 305):
            return _I.REDIRECTED if self._take_target(response) else _I.FAILED
        if status in (421, 494) and self._security is not None and self._challenges < MAX_CHALLENGES:
            return _I.SECURITY_REFUSED
        if status == 403:
            return _I.FORBIDDEN
        self._retry_after_s = _retry_after(response)
        return _I.FAILED

    def _challenged(self, response: Response, now: float) -> list[RegistrationOutput]:
        """Answers a 401 or 407, unless that has been done in vain too often."""
        is_repeated = self.state is _S.ANSWERING or (self.state is _S.DEREGISTERING and self._challenges > 0)
        self._challenges += 1
        answer = self._authenticator.answer(response, "REGISTER", self.account.request_uri, self._tokens.word())
        if answer is not None and is_repeated and answer.kind is AnswerKind.ANSWERED:
            self._failures += 1
        is_hopeless = answer is None or self._failures >= MAX_AUTH_FAILURES or self._challenges > MAX_CHALLENGES
        given = _I.GAVE_UP if is_hopeless else _I.CHALLENGED
        move = REGISTRATION_TABLE.get((self.state, given))
        if answer is None or is_hopeless or move is None:
            return self._take(given, now, "the challenges cannot be answered" if answer is None else "")
        if self._security is not None:
            self._security.challenged(response)
        self.state = move[0]
        if self._policy.registration.new_from_tag_with_credentials:
            self._from_tag = self._tokens.word()
        is_leaving = self.state is _S.DEREGISTERING
        return [
            self._register(
                ((answer.header, answer.value),), 0 if is_leaving else self._expires_s, is_leaving=is_leaving
            )
        ]

    def _accepted(self, response: Response, now: float) -> list[RegistrationOutput]:
        if (self.state, _I.ACCEPTED) in IGNORED:
            return []
        binding = read_binding(response, self._contact, self.account, self._expires_s, now)
        if binding is None:
            return self._take(_I.FAILED, now, "the 200 does not hold the own binding")
        is_new = self.binding is None
        self.state, self.binding = _S.REGISTERED, binding
        self._challenges = self._failures = self._redirections = self._corrections = self._retries = 0
        self._configuration_queries = 0
        self._retry_after_s, self._target = None, None
        life = binding.granted_s
        self._deadline = now + (life - _REFRESH_BEFORE_S if life > _LONG_LIFE_S else life / 2)
        return [Registered(binding, is_new)]

    def _send_initial(self, given: RegistrationInput, now: float, why: str) -> list[RegistrationOutput]:
        self._deadline = None
        dropped: list[RegistrationOutput] = []
        is_anew = given in (_I.START, _I.RETRY_DUE, _I.FLOW_LOST, _I.DEACTIVATED)
        if is_anew:
            self._challenges = self._failures = self._redirections = self._corrections = 0
            self._target = None
            dropped = self._drop(why or "registering anew", now)
        if self._security is not None and (is_anew or given is _I.SECURITY_REFUSED):
            self._challenges += not is_anew
            self._security.restart()
            self._authenticator.forget()  # only a challenge tells the P-CSCF's side of a new agreement
        return [*dropped, self._register(self._authorization(), self._expires_s)]

    def _authorization(self) -> tuple[HeaderInput, ...]:
        """Over the last challenge where there is one, else the empty form that names the IMPI (digest §12 R01)."""
        answer = self._authenticator.again("REGISTER", self.account.request_uri, self._tokens.word())
        if answer is not None:
            return ((answer.header, answer.value),)
        return (("Authorization", self._authenticator.unchallenged()),) if self.account.impi else ()

    def _send_deregister(self) -> list[RegistrationOutput]:
        self._deadline = None
        self._challenges = self._failures = 0
        if self._policy.registration.deregisters_in_new_call:
            self._deregister_call_id = self._tokens.word()
        return [self._register(self._authorization(), 0, is_leaving=True)]

    def _register(
        self, authorization: tuple[HeaderInput, ...], expires_s: int, *, is_leaving: bool = False
    ) -> SendRegister:
        self._cseq += 1
        self._told_features = self._features
        policy = self._policy.registration
        fields = RegisterFields(
            call_id=self._deregister_call_id if is_leaving and self._deregister_call_id else self._call_id,
            cseq=self._cseq,
            from_tag=self._from_tag,
            contact=self._contact,
            features=self._features,
            expires_s=expires_s,
            is_bare=is_leaving and policy.deregisters_bare_contact,
            authorization=authorization,
            security=() if self._security is None else self._security.of_register(),
        )
        return SendRegister(build_register(self.account, policy, self._policy.user_agent, fields), self._target)

    def _back_off(self, before: RegistrationState, now: float, why: str, is_lost: bool) -> list[RegistrationOutput]:
        """RFC 5626 §4.5: the delay is random in [W/2, W], W doubling up to its maximum; Retry-After wins."""
        window = min(self._retry_max_s, self._retry_base_s * 2 ** min(self._retries, 32))
        delay = self._tokens.uniform(window / 2, window) if self._retry_after_s is None else self._retry_after_s
        self._retries, self._retry_after_s = self._retries + 1, None
        self._deadline = now + delay
        binding = self.binding
        is_alive = binding is not None and before is not _S.REGISTERED and not is_lost
        if binding is not None and is_alive and self._deadline < binding.expires_at:
            return []  # the refusal of a refresh leaves the binding as it was (RFC 3261 §10.2.4)
        return self._drop(why, self._deadline)

    def _ask_configuration(self, why: str) -> list[RegistrationOutput]:
        self._deadline = None
        dropped = self._drop(why, None)
        if self._configuration_queries >= MAX_CONFIGURATION_QUERIES:
            return dropped
        self._configuration_queries += 1
        return [*dropped, ConfigurationStale()]

    def _drop(self, why: str, retry_at: float | None) -> list[RegistrationOutput]:
        had_binding, self.binding = self.binding is not None, None
        is_final = retry_at is None
        return [Unregistered(why, retry_at)] if had_binding or is_final or self.state is _S.WAITING else []

    def _take_min_expires(self, response: Response) -> bool:
        try:
            least = response.get(MinExpires)
        except SipParseError:
            return False
        if least is None or least.seconds <= self._expires_s or self._corrections >= MAX_EXPIRY_CORRECTIONS:
            return False
        self._corrections += 1
        self._expires_s = least.seconds
        return True

    def _take_target(self, response: Response) -> bool:
        try:
            contact = response.get(Contact)
        except SipParseError:
            return False
        if contact is None or contact.is_wildcard or self._redirections >= MAX_REDIRECTIONS:
            return False
        self._redirections += 1
        self._target = contact.uri
        return True


def _retry_after(response: Response) -> float | None:
    """Seconds; None without one, or for 0: a phone that always came back at once would be a storm (choice)."""
    try:
        value = response.get(RetryAfter)
    except SipParseError:
        return None
    return None if value is None else float(value.seconds) or None
