"""The four transactions of SIP, driven by messages and by a clock of the caller (RFC 3261 §17, RFC 6026, RFC 4320).

A transaction is one object with few slots: it keeps octets to send again, never a task or a timer. Its owner finds it
by `transaction_key` (server) or `response_key` (client), calls `handle_deadline` when `next_deadline` has come, carries
the outputs out in their order, and drops it at Terminated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import ClassVar, Final, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip import transaction_table as table
from ims_core.wire.sip.address_headers import Route
from ims_core.wire.sip.core_headers import CSeq
from ims_core.wire.sip.memo import slot_setters
from ims_core.wire.sip.message import HeaderInput, Request, Response, SipMessage
from ims_core.wire.sip.transaction_key import (
    MAGIC_COOKIE,
    TransactionKey,
    cancelled_key,
    client_key,
    response_key,
    transaction_key,
)
from ims_core.wire.sip.transaction_table import Input, State

__all__ = [
    "CORE_TIMERS",
    "GM_TIMERS",
    "MAGIC_COOKIE",
    "Deliver",
    "InviteClient",
    "InviteServer",
    "NonInviteClient",
    "NonInviteServer",
    "Output",
    "Outputs",
    "Send",
    "State",
    "Terminated",
    "TimedOut",
    "TimerConfig",
    "TransactionKey",
    "TransportFailed",
    "ack_of",
    "cancel_of",
    "cancelled_key",
    "client_key",
    "response_key",
    "transaction_key",
]

_TRYING_AFTER_S: Final = 0.2  # §17.2.1: an INVITE that the TU leaves unanswered for 200 ms gets a 100
_MAX_FORWARDS: Final = "70"  # §8.1.1.6


# ------------------------------------------------------------------------------------------------------------- timers


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerConfig:
    """T1, T2 and T4 in seconds (RFC 3261 §17.1.1.1, §17.1.2.1) and what follows from them."""

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    timeout_s: float = field(init=False)
    """64*T1: timers B, F, H, J, L, M, and D over unreliable transports. D has to last as long as H, for which RFC 3261
    writes 32 s; it follows T1 here (choice)."""
    trying_s: float = field(init=False)
    """When Timer E has grown to T2, which is when a non-INVITE request is due a 100 (RFC 4320 §4.1)."""

    def __post_init__(self) -> None:
        if not 0 < self.t1_s <= self.t2_s or self.t4_s < 0:
            raise LocalProtocolError("expected 0 < T1 <= T2 and T4 >= 0", spec="RFC 3261 §17.1.1.1")
        object.__setattr__(self, "timeout_s", 64 * self.t1_s)
        object.__setattr__(self, "trying_s", self._growth_of_timer_e())

    def _growth_of_timer_e(self) -> float:
        elapsed_s, interval_s = 0.0, self.t1_s
        while interval_s < self.t2_s:
            elapsed_s += interval_s
            interval_s *= 2
        return elapsed_s or self.t1_s


CORE_TIMERS: Final = TimerConfig()
GM_TIMERS: Final = TimerConfig(t1_s=2.0, t2_s=16.0, t4_s=17.0)
"""Between UE and P-CSCF (TS 24.229 §7.7)."""


# ------------------------------------------------------------------------------------------------------------ outputs


@dataclass(frozen=True, slots=True, init=False)
class Send:
    """Octets for the transport of this transaction."""

    octets: bytes

    def __init__(self, octets: bytes) -> None:
        _set_octets(self, octets)


(_set_octets,) = slot_setters(Send)


@dataclass(frozen=True, slots=True, init=False)
class Deliver:
    """A message for the transaction user."""

    message: SipMessage

    def __init__(self, message: SipMessage) -> None:
        _set_message(self, message)


(_set_message,) = slot_setters(Deliver)


@dataclass(frozen=True, slots=True)
class TimedOut:
    """Nobody answered: at a client as if a 408 had come (RFC 3261 §8.1.3.1), at a server no ACK or no answer."""


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The transport could not carry a message: at a client as if a 503 had come (RFC 3261 §8.1.3.1)."""


@dataclass(frozen=True, slots=True)
class Terminated:
    """The transaction is over and can be dropped. Always the last output."""


Output: TypeAlias = Send | Deliver | TimedOut | TransportFailed | Terminated
Outputs: TypeAlias = tuple[Output, ...]

_NOTHING: Final[Outputs] = ()
_TERMINATED: Final[Outputs] = (Terminated(),)
_TIMED_OUT: Final[Outputs] = (TimedOut(), Terminated())
_TRANSPORT_FAILED: Final[Outputs] = (TransportFailed(),)
_FAILED: Final[Outputs] = (TransportFailed(), Terminated())


# ------------------------------------------------------------------------------------------- requests for the same hop


def ack_of(invite: Request, response: Response) -> Request:
    """The ACK to a non-2xx final *response* to *invite*: same branch, Request-URI and Route (RFC 3261 §17.1.1.3)."""
    to = response.text("To")
    if not to or "\0" in to:  # nobody has parsed it yet, and an ACK has to go out all the same
        to = invite.text("To") or ""
    return _same_hop(invite, "ACK", to, ())


def cancel_of(invite: Request, headers: Iterable[HeaderInput] = ()) -> Request:
    """The CANCEL of *invite*, to be sent once a provisional response came (RFC 3261 §9.1); *headers*: say, Reason."""
    return _same_hop(invite, "CANCEL", invite.text("To") or "", headers)


def _same_hop(invite: Request, method: str, to: str, headers: Iterable[HeaderInput]) -> Request:
    return Request.new(
        method,
        invite.request_uri_text,
        (
            invite.top_via,
            ("Max-Forwards", _MAX_FORWARDS),
            *invite.get_all(Route),
            ("From", invite.text("From") or ""),
            ("To", to),
            ("Call-ID", invite.call_id),
            CSeq(invite.cseq.number, method),
            *headers,
        ),
    )


# ------------------------------------------------------------------------------------------------------- the machines

_Step: TypeAlias = Callable[["_Transaction", float, SipMessage | None], Outputs]

# By hundreds of the status. There is no class beyond 6; should one come it ends the transaction as a failure.
_STATUS_INPUTS: Final = (Input.STATUS_1XX, Input.STATUS_1XX, Input.STATUS_2XX, *[Input.STATUS_3XX_6XX] * 7)


class _Transaction:
    """What the four have in common: the state, one deadline for sending again and one for the end of the state."""

    __slots__ = ("_end_at", "_interval_s", "_is_reliable", "_octets", "_repeat_at", "_request", "_state", "_timers")

    TABLE: ClassVar[table.Table] = {}
    IGNORED: ClassVar[table.Ignored] = frozenset()
    _REPEAT_TIMERS: ClassVar[Mapping[State, Input]] = {}
    _END_TIMERS: ClassVar[Mapping[State, Input]] = {}
    _STEPS: ClassVar[dict[tuple[State, Input], tuple[State, _Step]]] = {}

    def __init_subclass__(cls) -> None:
        steps = {pair: (state, getattr(cls, action.value)) for pair, (state, action) in cls.TABLE.items()}
        absorbed = {(state, event): (state, _Transaction._absorb) for state, event in cls.IGNORED}
        cls._STEPS = steps | absorbed

    def __init__(self, request: Request, timers: TimerConfig = CORE_TIMERS, *, is_reliable: bool) -> None:
        self._request: Request | None = request
        self._timers = timers
        self._is_reliable = is_reliable
        self._state = State.INITIAL
        self._repeat_at = inf
        self._end_at = inf
        self._interval_s = timers.t1_s
        self._octets = b""

    @property
    def state(self) -> State:
        return self._state

    def start(self, now: float) -> Outputs:
        """A client sends its request, a server delivers it. Once only."""
        return self.step(Input.START, now)

    def transport_failed(self, now: float) -> Outputs:
        """The transport could not send what this transaction gave it (RFC 3261 §17.1.4, §17.2.4)."""
        return self.step(Input.TRANSPORT_ERROR, now)

    def next_deadline(self) -> float | None:
        """When to call `handle_deadline`; None = never."""
        earliest = self._repeat_at if self._repeat_at < self._end_at else self._end_at
        return None if earliest == inf else earliest

    def handle_deadline(self, now: float) -> Outputs:
        """Fires the one timer that is due, nothing if none is."""
        if self._end_at <= now:
            self._end_at = inf
            return self.step(self._END_TIMERS[self._state], now)
        if self._repeat_at <= now:
            self._repeat_at = inf
            return self.step(self._REPEAT_TIMERS[self._state], now)
        return _NOTHING

    def step(self, event: Input, now: float, message: SipMessage | None = None) -> Outputs:
        """Goes along one arrow of the figure. Raises LocalProtocolError if there is none."""
        found = self._STEPS.get((self._state, event))
        if found is None:
            text = f"{type(self).__name__} in {self._state.name} cannot take {event.name}"
            raise LocalProtocolError(text, spec="RFC 3261 §17")
        self._state, act = found
        return act(self, now, message)

    def _absorb(self, now: float, message: SipMessage | None) -> Outputs:
        return _NOTHING

    def _deliver(self, now: float, message: SipMessage | None) -> Outputs:
        return (Deliver(_given(message)),)

    def _report_failure(self, now: float, message: SipMessage | None) -> Outputs:
        return _TRANSPORT_FAILED

    def _end(self, now: float, message: SipMessage | None) -> Outputs:
        self._let_go()
        return _TERMINATED

    def _time_out(self, now: float, message: SipMessage | None) -> Outputs:
        self._let_go()
        return _TIMED_OUT

    def _fail(self, now: float, message: SipMessage | None) -> Outputs:
        self._let_go()
        return _FAILED

    def _let_go(self) -> None:
        self._repeat_at = self._end_at = inf
        self._request = None
        self._octets = b""


def _given(message: SipMessage | None) -> SipMessage:
    if message is None:
        raise LocalProtocolError("this input comes with a message", spec="RFC 3261 §17")
    return message


class _Client(_Transaction):
    __slots__ = ()

    def receive(self, response: Response, now: float) -> Outputs:
        """A response with the `response_key` of this transaction. Never raises once started."""
        return self.step(_STATUS_INPUTS[response.status // 100], now, response)

    def begin(self, now: float) -> bytes:
        """`start` for an owner who sends the request, these octets, himself."""
        octets = _given(self._request).encode()
        self._state, _ = self._STEPS[State.INITIAL, Input.START]
        self._end_at = now + self._timers.timeout_s
        if not self._is_reliable:
            self._octets = octets
            self._repeat_at = now + self._interval_s
        return octets

    def _send_request(self, now: float, message: SipMessage | None) -> Outputs:
        return (Send(self.begin(now)),)


class InviteClient(_Client):
    """INVITE client transaction (RFC 3261 §17.1.1, RFC 6026 §7.2). The TU acknowledges a 2xx, this all the others."""

    __slots__ = ()
    TABLE = table.INVITE_CLIENT
    IGNORED = table.INVITE_CLIENT_IGNORED
    _REPEAT_TIMERS: ClassVar[Mapping[State, Input]] = {State.CALLING: Input.TIMER_A}
    _END_TIMERS: ClassVar[Mapping[State, Input]] = {
        State.CALLING: Input.TIMER_B,
        State.ACCEPTED: Input.TIMER_M,
        State.COMPLETED: Input.TIMER_D,
    }

    @property
    def can_cancel(self) -> bool:
        """Whether a CANCEL may be sent now (RFC 3261 §9.1)."""
        return self._state is State.PROCEEDING

    def _resend_request(self, now: float, message: SipMessage | None) -> Outputs:
        self._interval_s *= 2  # §17.1.1.2: doubles without a limit
        self._repeat_at = now + self._interval_s
        return (Send(self._octets),)

    def _deliver_provisional(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at = self._end_at = inf
        self._octets = b""
        return (Deliver(_given(message)),)

    def _accept(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at = inf
        self._end_at = now + self._timers.timeout_s
        self._octets = b""
        self._request = None
        return (Deliver(_given(message)),)

    def _acknowledge(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at = inf
        outputs: Outputs = (*self._acknowledge_again(now, message), Deliver(_given(message)))
        if self._is_reliable:  # Timer D is 0
            return outputs + self.step(Input.TIMER_D, now)
        self._end_at = now + self._timers.timeout_s
        return outputs

    def _acknowledge_again(self, now: float, message: SipMessage | None) -> Outputs:
        if self._request is None or not isinstance(message, Response):
            raise LocalProtocolError("an ACK needs the INVITE and its response", spec="RFC 3261 §17.1.1.3")
        return (Send(ack_of(self._request, message).encode()),)


_UNANSWERED: Final = frozenset((State.TRYING, State.PROCEEDING))


class NonInviteClient(_Client):
    """Non-INVITE client transaction (RFC 3261 §17.1.2)."""

    __slots__ = ()
    TABLE = table.NON_INVITE_CLIENT
    IGNORED = table.NON_INVITE_CLIENT_IGNORED
    _REPEAT_TIMERS: ClassVar[Mapping[State, Input]] = {
        State.TRYING: Input.TIMER_E,
        State.PROCEEDING: Input.TIMER_E,
    }
    _END_TIMERS: ClassVar[Mapping[State, Input]] = {
        State.TRYING: Input.TIMER_F,
        State.PROCEEDING: Input.TIMER_F,
        State.COMPLETED: Input.TIMER_K,
    }

    def begin(self, now: float) -> bytes:
        octets = super().begin(now)
        self._request = None  # the octets are all that is needed from now on
        return octets

    def end_at_once(self) -> bool:
        """All that `receive` comes to with a final response where Timer K is 0, for an owner who delivers it himself.
        False if there is more to it."""
        if not self._is_reliable or self._state not in _UNANSWERED:
            return False
        self._state = State.TERMINATED
        self._let_go()
        return True

    def _resend_request(self, now: float, message: SipMessage | None) -> Outputs:
        t2_s = self._timers.t2_s  # §17.1.2.2: grows up to T2; is T2 at once in Proceeding
        self._interval_s = t2_s if self._state is State.PROCEEDING else min(self._interval_s * 2, t2_s)
        self._repeat_at = now + self._interval_s
        return (Send(self._octets),)

    def _complete(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at = inf
        self._octets = b""
        if self._is_reliable:  # Timer K is 0
            return (Deliver(_given(message)), *self.step(Input.TIMER_K, now))
        self._end_at = now + self._timers.t4_s
        return (Deliver(_given(message)),)


class _Server(_Transaction):
    __slots__ = ()

    def begin(self, now: float) -> None:
        """`start` for an owner who has the request and delivers it himself."""
        self._state, _ = self._STEPS[State.INITIAL, Input.START]
        self._repeat_at = now + _TRYING_AFTER_S

    def respond(self, response: Response, now: float) -> Outputs:
        """A response of the TU. Raises LocalProtocolError if a final one was given before (but see the tables)."""
        return self.step(_STATUS_INPUTS[response.status // 100], now, response)

    def _deliver_request(self, now: float, message: SipMessage | None) -> Outputs:
        self.begin(now)
        return (Deliver(_given(self._request)),)

    def _send_trying(self, now: float, message: SipMessage | None) -> Outputs:
        if self._request is None:
            raise LocalProtocolError("a 100 needs the request", spec="RFC 3261 §17.2.1")
        return self._send(now, Response.to(self._request, 100))

    def _send(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at = inf
        self._request = None
        self._octets = octets = (message or _given(message)).encode()
        return (Send(octets),)

    def _repeat_response(self, now: float, message: SipMessage | None) -> Outputs:
        return (Send(self._octets),) if self._octets else _NOTHING


class InviteServer(_Server):
    """INVITE server transaction (RFC 3261 §17.2.1, RFC 6026 §7.1). The TU repeats a 2xx, this the other responses."""

    __slots__ = ()
    TABLE = table.INVITE_SERVER
    IGNORED = table.INVITE_SERVER_IGNORED
    _REPEAT_TIMERS: ClassVar[Mapping[State, Input]] = {
        State.PROCEEDING: Input.TIMER_TRYING,
        State.COMPLETED: Input.TIMER_G,
    }
    _END_TIMERS: ClassVar[Mapping[State, Input]] = {
        State.ACCEPTED: Input.TIMER_L,
        State.COMPLETED: Input.TIMER_H,
        State.CONFIRMED: Input.TIMER_I,
    }

    def receive(self, request: Request, now: float) -> Outputs:
        """An INVITE or ACK with the `transaction_key` of this transaction."""
        return self.step(Input.ACK if request.method == "ACK" else Input.REQUEST, now, request)

    def _send_success(self, now: float, message: SipMessage | None) -> Outputs:
        outputs = self._send(now, message)
        self._octets = b""  # the INVITE once more is absorbed: the TU repeats the 2xx
        self._end_at = now + self._timers.timeout_s
        return outputs

    def _send_failure(self, now: float, message: SipMessage | None) -> Outputs:
        outputs = self._send(now, message)
        self._end_at = now + self._timers.timeout_s
        if not self._is_reliable:
            self._repeat_at = now + self._interval_s
        return outputs

    def _resend_response(self, now: float, message: SipMessage | None) -> Outputs:
        self._interval_s = min(self._interval_s * 2, self._timers.t2_s)
        self._repeat_at = now + self._interval_s
        return (Send(self._octets),)

    def _confirm(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at = inf
        self._octets = b""
        if self._is_reliable:  # Timer I is 0
            return self.step(Input.TIMER_I, now)
        self._end_at = now + self._timers.t4_s
        return _NOTHING


class NonInviteServer(_Server):
    """Non-INVITE server transaction (RFC 3261 §17.2.2, RFC 4320). It ends unanswered when the client has given up."""

    __slots__ = ()
    TABLE = table.NON_INVITE_SERVER
    IGNORED = table.NON_INVITE_SERVER_IGNORED
    _REPEAT_TIMERS: ClassVar[Mapping[State, Input]] = {State.TRYING: Input.TIMER_TRYING}
    _END_TIMERS: ClassVar[Mapping[State, Input]] = {
        State.TRYING: Input.TIMER_EXPIRY,
        State.PROCEEDING: Input.TIMER_EXPIRY,
        State.COMPLETED: Input.TIMER_J,
    }

    def end_at_once(self) -> bool:
        """All that `respond` comes to with a final response, no 408, where Timer J is 0, for an owner who sends it
        himself. False if there is more to it."""
        if not self._is_reliable or self._state not in _UNANSWERED:
            return False
        self._state = State.TERMINATED
        self._let_go()
        return True

    def receive(self, request: Request, now: float) -> Outputs:
        """The request once more: it has the `transaction_key` of this transaction."""
        return self.step(Input.REQUEST, now, request)

    def respond(self, response: Response, now: float) -> Outputs:
        """The final response of the TU. A 408, and provisional ones, are absorbed (RFC 4320 §4.1, §4.2)."""
        status = response.status
        return self.step(Input.STATUS_408 if status == 408 else _STATUS_INPUTS[status // 100], now, response)

    def begin(self, now: float) -> None:
        self._state, _ = self._STEPS[State.INITIAL, Input.START]
        timers = self._timers
        self._repeat_at, self._end_at = now + timers.trying_s, now + timers.timeout_s

    def _send_final(self, now: float, message: SipMessage | None) -> Outputs:
        self._repeat_at, self._request = inf, None
        octets = (message or _given(message)).encode()
        if self._is_reliable:  # Timer J is 0
            return (Send(octets), *self.step(Input.TIMER_J, now))
        self._octets = octets
        self._end_at = now + self._timers.timeout_s
        return (Send(octets),)
