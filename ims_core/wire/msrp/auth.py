"""A client that asks an MSRP relay to be let in: AUTH, Digest, Use-Path, asking again in time (RFC 4976 §5.1, §9.1).

The Digest method is ``AUTH`` and the digest-uri the last URI of To-Path, which names the relay that is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest import (
    PASSWORD_ALGORITHMS,
    Algorithm,
    DigestAuthenticationInfo,
    DigestClient,
    DigestCredentials,
    DigestParseError,
    choose_challenge,
    parse_challenges,
)
from ims_core.wire.msrp import auth_table as table
from ims_core.wire.msrp.auth_table import AuthState, Input
from ims_core.wire.msrp.message import Field, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.session_events import Transmit
from ims_core.wire.msrp.uri import MsrpUri, MsrpUriError, parse_path
from ims_core.wire.secret import Secret

__all__ = [
    "AUTH",
    "AuthClient",
    "AuthClientConfig",
    "AuthFailed",
    "AuthOutput",
    "AuthOutputs",
    "AuthState",
    "Granted",
    "read_seconds",
]

AUTH: Final = "AUTH"
_MOST_SECONDS: Final = 2**31 - 1
_MOST_ATTEMPTS: Final = 4  # for one grant: the first, credentials, a stale nonce, another expiry
_TIMED_OUT: Final = 408
_BAD: Final = 400
_STATUS_INPUTS: Final = {401: Input.STATUS_401, 423: Input.STATUS_423}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthClientConfig:
    """Whom to ask and as whom. *relay_path* is To-Path: relays that let us in already first, the one to ask last.

    *expires_s* None leaves the time to the relay. *password* is kept out of ``repr``."""

    relay_path: tuple[MsrpUri, ...]
    own_uri: MsrpUri
    username: str
    password: Secret = field(repr=False)
    expires_s: int | None = None
    response_s: float = 30.0
    algorithms: frozenset[Algorithm] = PASSWORD_ALGORITHMS


@dataclass(frozen=True, slots=True)
class Granted:
    """The relay lets us in. *use_path* goes before our URI in a=path; *expires_s* is None if it has no end. *is_new*:
    it is another path than before."""

    use_path: tuple[MsrpUri, ...]
    expires_s: int | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class AuthFailed:
    """The relay does not let us in, or not any longer. *status* 408: it did not answer, 400: not to be understood."""

    status: int
    why: str


AuthOutput: TypeAlias = Transmit | Granted | AuthFailed
AuthOutputs: TypeAlias = list[AuthOutput]
_Step: TypeAlias = Callable[["AuthClient", float, Any, AuthOutputs], None]


class AuthClient:
    """One client at one relay. *word* gives transaction ids and client nonces, of at least 64 random bits.

    The owner sends what it is told on the connection to the first relay of the path, gives it the responses, and calls
    `handle_deadline` when `next_deadline` has come: half the time that was granted, the client asks again."""

    __slots__ = (
        *("_attempts", "_config", "_credentials", "_deadline", "_digest", "_expires_s", "_has_answered", "_state"),
        *("_to_path", "_transaction_id", "_use_path", "_word"),
    )

    def __init__(self, config: AuthClientConfig, word: Callable[[], str]) -> None:
        if not config.relay_path:
            raise LocalProtocolError("no relay to ask", spec="RFC 4976 §5.1")
        self._config = config
        self._word = word
        self._state = AuthState.IDLE
        self._deadline: float | None = None
        self._reset()

    def _reset(self) -> None:
        self._to_path = self._config.relay_path
        self._use_path: tuple[MsrpUri, ...] = ()
        self._digest: DigestClient | None = None
        self._begin_attempts()

    def _begin_attempts(self) -> None:
        self._expires_s = self._config.expires_s
        self._attempts = 0
        self._has_answered = False  # a challenge of this attempt: another one is a refusal, unless it says stale
        self._transaction_id = ""
        self._credentials: DigestCredentials | None = None

    @property
    def state(self) -> AuthState:
        return self._state

    @property
    def use_path(self) -> tuple[MsrpUri, ...]:
        """What the relay has granted, empty without."""
        return self._use_path

    # --- inputs ------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> AuthOutputs:
        """Asks for the first time, or again after AuthFailed."""
        return self._step(Input.START, now)

    def receive(self, response: MsrpResponse, now: float) -> AuthOutputs:
        """A response that came on the connection; nothing if it is to no AUTH of ours. Never raises."""
        if not self._transaction_id or response.transaction_id != self._transaction_id:
            return []
        self._transaction_id = ""
        event = Input.STATUS_2XX if response.is_success else _STATUS_INPUTS.get(response.status, Input.STATUS_OTHER)
        return self._step(event, now, response)

    def lost(self, now: float) -> AuthOutputs:
        """The connection to the relay is gone, and with it what was granted."""
        return self._step(Input.LOST, now)

    def next_deadline(self) -> float | None:
        return self._deadline

    def handle_deadline(self, now: float) -> AuthOutputs:
        """Fires the timer that is due, nothing if none is."""
        if self._deadline is None or self._deadline > now:
            return []
        self._deadline = None
        return self._step(Input.TIMER_REFRESH if self._state is AuthState.GRANTED else Input.TIMER_RESPONSE, now)

    # --- the machine -------------------------------------------------------------------------------------------------

    def _step(self, event: Input, now: float, argument: Any = None) -> AuthOutputs:
        out: AuthOutputs = []
        self._go(event, now, argument, out)
        return out

    def _go(self, event: Input, now: float, argument: Any, out: AuthOutputs) -> None:
        """Goes along one row of the table. Raises LocalProtocolError if there is none."""
        if (self._state, event) in table.IGNORED:
            return
        found = table.TABLE.get((self._state, event))
        if found is None:
            text = f"a client that is {self._state.name} cannot take {event.name}"
            raise LocalProtocolError(text, spec="RFC 4976 §5.1")
        self._state, action = found
        act: _Step = getattr(type(self), action.value)
        act(self, now, argument, out)

    def _begin(self, now: float, argument: None, out: AuthOutputs) -> None:
        self._reset()
        self._ask(now, out)

    def _ask_again(self, now: float, argument: None, out: AuthOutputs) -> None:
        self._begin_attempts()
        self._ask(now, out)

    def _ask(self, now: float, out: AuthOutputs) -> None:
        self._attempts += 1
        self._transaction_id = self._word()
        headers: list[Field] = []
        if self._digest is not None:
            self._credentials = self._digest.authorize(AUTH, str(self._to_path[-1]), self._word())
            headers.append(("Authorization", str(self._credentials)))
        if self._expires_s is not None:
            headers.append(("Expires", str(self._expires_s)))
        frame = MsrpRequest(self._transaction_id, AUTH, self._to_path, (self._config.own_uri,), headers)
        self._deadline = now + self._config.response_s
        out.append(Transmit(frame.encode(), frame))

    def _answer_challenge(self, now: float, response: MsrpResponse, out: AuthOutputs) -> None:
        challenge = choose_challenge(
            parse_challenges(response.texts("WWW-Authenticate")), algorithms=self._config.algorithms
        )
        if challenge is None:
            self._give_up(now, response, "no challenge that can be answered", out)
        elif self._attempts >= _MOST_ATTEMPTS or (self._has_answered and not challenge.stale):
            self._give_up(now, response, "the credentials are refused", out)
        else:
            self._digest = DigestClient(challenge, self._config.username, self._config.password)
            self._has_answered = True
            self._ask(now, out)

    def _adjust(self, now: float, response: MsrpResponse, out: AuthOutputs) -> None:
        """Asks for a time within the bounds of the relay (RFC 4976 §5.1)."""
        least, most = read_seconds(response.text("Min-Expires")), read_seconds(response.text("Max-Expires"))
        wanted = self._expires_s
        if least is not None and (wanted is None or wanted < least):
            wanted = least
        if most is not None and (wanted is None or wanted > most):
            wanted = most
        if wanted == self._expires_s or self._attempts >= _MOST_ATTEMPTS:
            self._give_up(now, response, "no expiry suits the relay", out)
            return
        self._expires_s = wanted
        self._ask(now, out)

    def _grant(self, now: float, response: MsrpResponse, out: AuthOutputs) -> None:
        fault = self._fault_of_server(response)
        try:
            use_path = parse_path(response.text("Use-Path") or "")
        except MsrpUriError:
            fault = fault or "no Use-Path in the answer"
        if fault is not None:
            self._go(Input.UNUSABLE, now, (_BAD, fault), out)
            return
        expires_s = read_seconds(response.text("Expires"))
        is_new, self._use_path = use_path != self._use_path, use_path
        self._to_path = use_path[::-1]  # asking again it names what it has, so that the relay can leave it (choice)
        self._deadline = None if expires_s is None else now + expires_s / 2
        out.append(Granted(use_path, expires_s, is_new))

    def _fault_of_server(self, response: MsrpResponse) -> str | None:
        """What is wrong with Authentication-Info; takes its next nonce."""
        text, sent, digest = response.text("Authentication-Info"), self._credentials, self._digest
        if text is None or sent is None or digest is None:
            return None
        try:
            is_right = digest.accept(DigestAuthenticationInfo.parse(text), sent)
        except DigestParseError:
            is_right = False
        return None if is_right else "the relay does not know the password"

    def _give_up(self, now: float, response: MsrpResponse, why: str, out: AuthOutputs) -> None:
        self._go(Input.UNUSABLE, now, (response.status, why), out)

    def _refuse(self, now: float, response: MsrpResponse, out: AuthOutputs) -> None:
        self._fail(now, (response.status, response.comment or "said the relay"), out)

    def _time_out(self, now: float, argument: None, out: AuthOutputs) -> None:
        self._fail(now, (_TIMED_OUT, f"no response in {self._config.response_s:g} s"), out)

    def _fail(self, now: float, argument: tuple[int, str], out: AuthOutputs) -> None:
        self._forget(now, None, out)
        out.append(AuthFailed(*argument))

    def _forget(self, now: float, argument: None, out: AuthOutputs) -> None:
        self._deadline = None
        self._reset()


def read_seconds(text: str | None) -> int | None:
    """Value of Expires, Min-Expires or Max-Expires (RFC 4976 §7), None if absent or no number of seconds."""
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > len(str(_MOST_SECONDS)):
        return None
    return min(int(text), _MOST_SECONDS)
