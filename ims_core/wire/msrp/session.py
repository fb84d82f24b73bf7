"""One end of an MSRP session (RFC 4975 §5-7): frames, orders and the time in, octets and events out.

The owner carries the outputs out in their order, gives it what comes for its session, calls `handle_deadline` when
`next_deadline` has come, and `writable` when the connection has taken what was written. After SessionFailed or Closed
the session only says 481.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp import session_table as table
from ims_core.wire.msrp.delivery import Delivery
from ims_core.wire.msrp.incoming import Incoming
from ims_core.wire.msrp.message import Continuation, MsrpParseError, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.outgoing import Outgoing
from ims_core.wire.msrp.parser import MsrpEvent, Piece
from ims_core.wire.msrp.session_events import (
    Bound,
    Closed,
    FailureReason,
    MessageAborted,
    MessageFailed,
    MessageReceived,
    MessageSent,
    OutgoingMessage,
    Output,
    Outputs,
    Reported,
    SessionConfig,
    SessionFailed,
    Transmit,
)
from ims_core.wire.msrp.session_table import Input, State
from ims_core.wire.msrp.uri import MsrpUri

__all__ = [
    "Bound",
    "Closed",
    "Delivery",
    "FailureReason",
    "MessageAborted",
    "MessageFailed",
    "MessageReceived",
    "MessageSent",
    "MsrpSession",
    "OutgoingMessage",
    "Output",
    "Outputs",
    "Reported",
    "SessionConfig",
    "SessionFailed",
    "State",
    "Transmit",
]

_SPEC: Final = "RFC 4975 §7"
_NO_SESSION: Final = 481
_TIMED_OUT: Final = 408
_LOST: Final = 408  # digest §8.6: a lost connection is treated like a time-out

_Step: TypeAlias = Callable[["MsrpSession", float, Any, Outputs], None]


class MsrpSession:
    """One message session, from before its connection stands until it is closed.

    *local_path* and *remote_path* are those of the two a=path lines: own relays first, the endpoint last. *word* gives
    new transaction ids, with at least 64 bits of randomness (RFC 4975 §7.1)."""

    __slots__ = (
        "_bind_at",
        "_config",
        "_incoming",
        "_is_active",
        "_may_write",
        "_outgoing",
        "_reporters",
        "_row",
        "_state",
    )

    def __init__(
        self,
        config: SessionConfig,
        local_path: Sequence[MsrpUri],
        remote_path: Sequence[MsrpUri],
        word: Callable[[], str],
    ) -> None:
        if not local_path or not remote_path:
            raise LocalProtocolError("a session has two paths", spec="RFC 4975 §8.2")
        self._config = config
        to_path = (*local_path[-2::-1], *remote_path)
        self._incoming = Incoming(config, local_path[-1], remote_path[-1], word)
        self._outgoing = Outgoing(config, local_path[-1], to_path, word)
        self._reporters = frozenset(uri.session_id for uri in to_path) if len(to_path) > 1 else None
        self._bind_at: float | None = None
        self._is_active = False
        self._may_write = False  # the passive side has to be spoken to first
        self._enter(State.IDLE)

    # --- state -------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._state

    @property
    def is_usable(self) -> bool:
        """Whether `send` is of use."""
        return self._state < State.CLOSING

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way: no message that is to be sent, answered or settled."""
        return self._outgoing.is_idle and not self._incoming.unsettled_count

    @property
    def awaits_writable(self) -> bool:
        """Whether `writable` would give more to write. To be asked after each call, while the connection has room."""
        return self._outgoing.awaits_writable

    @property
    def unanswered_octets(self) -> int:
        return self._outgoing.unanswered_octets

    @property
    def is_congested(self) -> bool:
        """Whether too much waits for `settle`: time to stop reading the connection."""
        incoming, config = self._incoming, self._config
        return (
            incoming.unsettled_count >= config.max_unsettled or incoming.unsettled_octets >= config.max_unsettled_octets
        )

    # --- orders of the owner -----------------------------------------------------------------------------------------

    def start(self, is_active: bool, now: float) -> Outputs:
        """The connection stands. The active side speaks first (RFC 4975 §5.4): with what is queued if that is answered,
        else with a SEND that has no body."""
        return self._step(Input.START_ACTIVE if is_active else Input.START_PASSIVE, now)

    def send(self, message: OutgoingMessage, now: float) -> Outputs:
        """Sends *message*, or queues it. It ends in one MessageSent or MessageFailed. The Message-ID has to be another
        than those before it: the peer would take it for a repetition."""
        return self._step(Input.SUBMIT, now, message)

    def settle(
        self, delivery: Delivery, now: float, status: int = 200, comment: str | None = None, *, reports: bool = True
    ) -> Outputs:
        """What became of a received message: the answer to its last chunk. For `is_settled_by_owner`; *reports* False
        leaves the REPORT of a success to `report`."""
        return self._step(Input.SETTLE, now, (delivery, status, comment, True, reports))

    def report(self, delivery: Delivery, now: float, status: int = 200, comment: str | None = None) -> Outputs:
        """A REPORT about a received message, if its sender wants one of that kind and had none (RFC 4975 §7.1.2)."""
        return self._step(Input.SETTLE, now, (delivery, status, comment, False, True))

    def writable(self, now: float) -> Outputs:
        """The connection has taken what was written."""
        return self._step(Input.WRITABLE, now)

    def close(self, now: float) -> Outputs:
        """Takes no new messages, ends what is under way, and gives Closed when that is done."""
        return self._step(Input.CLOSE, now)

    def lost(self, now: float) -> Outputs:
        """The connection is gone."""
        return self._step(Input.LOST, now)

    def peer_finished(self, now: float) -> Outputs:
        """The peer will send nothing more, but still reads: answers can go out, none will come (a half-closed
        connection). Ends in Closed."""
        return self._step(Input.PEER_FINISHED, now)

    # --- frames ------------------------------------------------------------------------------------------------------

    def receive(self, event: MsrpEvent, now: float) -> Outputs:
        """What the decoder gave. Never raises once started, whatever it is."""
        kind = type(event)
        if kind is Piece:
            return self._step(Input.CHUNK, now, event)
        if kind is MsrpResponse:
            return self._step(Input.RESPONSE, now, event)
        if isinstance(event, MsrpParseError):
            return self._step(Input.MALFORMED, now, event)
        assert isinstance(event, MsrpRequest)
        return self._receive_request(event, now)

    def _receive_request(self, request: MsrpRequest, now: float) -> Outputs:
        if request.method == "REPORT":
            return self._step(Input.REPORT, now, request)
        if request.method != "SEND":
            return self._step(Input.OTHER_REQUEST, now, request)
        if request.body is None:
            return self._step(Input.EMPTY_SEND, now, request)
        flag = request.continuation or Continuation.COMPLETE
        return self._step(Input.CHUNK, now, Piece(request, request.byte_range.start, request.body, flag))

    # --- time --------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When to call `handle_deadline`; None = never."""
        deadline = self._outgoing.deadline
        for other in (self._bind_at, self._incoming.deadline):
            if other is not None and (deadline is None or other < deadline):
                deadline = other
        return deadline

    def handle_deadline(self, now: float) -> Outputs:
        """Fires the timers that are due, nothing if none is."""
        out: Outputs = []
        bind_at, answer_at, chunk_at = self._bind_at, self._outgoing.deadline, self._incoming.deadline
        if chunk_at is not None and chunk_at <= now:
            out += self._step(Input.TIMER_INCOMPLETE, now)
        if bind_at is not None and bind_at <= now:
            out += self._step(Input.TIMER_BIND, now)
        elif answer_at is not None and answer_at <= now and self._outgoing.expire(now):
            out += self._step(Input.TIMER_RESPONSE, now)
        return out

    # --- the machine -------------------------------------------------------------------------------------------------

    def _enter(self, state: State) -> None:
        self._state = state
        self._row = _ROWS[state]

    def _step(self, event: Input, now: float, argument: Any = None) -> Outputs:
        out: Outputs = []
        self._go(event, now, argument, out)
        if self._state is State.CLOSING and self.is_idle:
            self._go(Input.DRAINED, now, None, out)
        return out

    def _go(self, event: Input, now: float, argument: Any, out: Outputs) -> None:
        """Goes along one row of the table. Raises LocalProtocolError if there is none."""
        found = self._row[event]
        if found is None:
            raise LocalProtocolError(f"a session that is {self._state.name} cannot take {event.name}", spec=_SPEC)
        state, act = found
        if state is not self._state:
            self._enter(state)
        act(self, now, argument, out)

    def _absorb(self, now: float, argument: Any, out: Outputs) -> None:
        """Nothing to do."""

    # --- binding -----------------------------------------------------------------------------------------------------

    def _bind(self, now: float, argument: None, out: Outputs) -> None:
        self._is_active = self._may_write = True
        if not self._outgoing.is_first_answered:
            self._bind_at = now + self._config.bind_s
            self._outgoing.bind(now, out)
        self._outgoing.pump(now, out)

    def _await_bind(self, now: float, argument: None, out: Outputs) -> None:
        self._bind_at = now + self._config.bind_s

    def _open(self, now: float, argument: None, out: Outputs) -> None:
        out.append(Bound())
        self._go_on(now, argument, out)

    def _go_on(self, now: float, argument: None, out: Outputs) -> None:
        self._bind_at = None
        self._may_write = True
        self._outgoing.drop_bind()
        self._outgoing.pump(now, out)

    # --- sending -----------------------------------------------------------------------------------------------------

    def _queue(self, now: float, message: OutgoingMessage, out: Outputs) -> None:
        self._outgoing.submit(message, out)

    def _send(self, now: float, message: OutgoingMessage, out: Outputs) -> None:
        self._outgoing.submit(message, out)
        if self._may_write:
            self._outgoing.pump(now, out)

    def _refuse_message(self, now: float, message: OutgoingMessage, out: Outputs) -> None:
        out.append(MessageFailed(message.message_id, FailureReason.LOST, _NO_SESSION, False))

    def _pump(self, now: float, argument: None, out: Outputs) -> None:
        self._outgoing.writable()
        if self._may_write:
            self._outgoing.pump(now, out)

    def _take_response(self, now: float, response: MsrpResponse, out: Outputs) -> None:
        goes_on = self._outgoing.answered(response, now, out)
        if goes_on is None:
            return
        if not goes_on:
            self._go(Input.UNUSABLE, now, (response.status, response.comment or "said the peer"), out)
            return
        if self._state is not State.OPEN:
            self._go(Input.BOUND, now, None, out)
        self._outgoing.pump(now, out)

    def _take_report(self, now: float, report: MsrpRequest, out: Outputs) -> None:
        """Nobody answers a REPORT, whatever is wrong with it (RFC 4975 §7.1.2). A relay on the way may send one in its
        own name (RFC 4976 §6.4.1)."""
        is_of_relay = self._reporters is not None and report.from_path[-1].session_id in self._reporters
        fault = self._incoming.fault_of_target(report) if is_of_relay else self._incoming.fault_of_paths(report)
        if fault is None and self._outgoing.reported(report, now, out):
            self._outgoing.pump(now, out)

    # --- receiving ---------------------------------------------------------------------------------------------------

    def _take_chunk(self, now: float, piece: Piece, out: Outputs) -> None:
        incoming = self._incoming
        if incoming.skips(piece):
            return
        fault = incoming.fault_of_paths(piece.head)
        if fault is not None:
            incoming.refuse_chunk(piece, fault, out)
            return
        if self._state is not State.OPEN:
            self._go(Input.BOUND, now, None, out)
        incoming.take(piece, now, out)

    def _take_empty_send(self, now: float, request: MsrpRequest, out: Outputs) -> None:
        fault = self._incoming.fault_of_paths(request)
        if fault is not None:
            self._incoming.answer(request, *fault, out)
            return
        self._incoming.answer(request, 200, None, out)
        self._go(Input.BOUND, now, None, out)

    def _refuse_method(self, now: float, request: MsrpRequest, out: Outputs) -> None:
        fault = self._incoming.fault_of_paths(request) or (501, "SEND and REPORT are known here")
        self._incoming.answer(request, *fault, out)

    def _refuse_malformed(self, now: float, error: MsrpParseError, out: Outputs) -> None:
        if error.head is not None and error.head.method != "REPORT":
            self._incoming.answer(error.head, error.status, None, out)
        if error.is_fatal:
            self._go(Input.UNUSABLE, now, (error.status, str(error)), out)

    def _refuse_session(self, now: float, request: Piece | MsrpRequest, out: Outputs) -> None:
        incoming = self._incoming
        if isinstance(request, MsrpRequest):
            incoming.answer(request, _NO_SESSION, None, out)
        elif not incoming.skips(request):
            incoming.refuse_chunk(request, (_NO_SESSION, "the session has ended"), out)

    def _settle(self, now: float, argument: tuple[Delivery, int, str | None, bool, bool], out: Outputs) -> None:
        delivery, status, comment, answers, reports = argument
        if answers:
            self._incoming.settle(delivery, status, comment, out, reports=reports)
        else:
            self._incoming.report(delivery, status, comment, out)

    def _forget_incomplete(self, now: float, argument: None, out: Outputs) -> None:
        self._incoming.expire(now)

    # --- the end -----------------------------------------------------------------------------------------------------

    def _lose(self, now: float, argument: None, out: Outputs) -> None:
        self._end_with(_LOST, out)

    def _lose_and_end(self, now: float, argument: None, out: Outputs) -> None:
        self._end_with(_LOST, out)
        out.append(Closed())

    def _lose_unanswered(self, now: float, argument: None, out: Outputs) -> None:
        self._bind_at = None
        self._outgoing.lose(_LOST, out)
        self._incoming.clear_incomplete()

    def _fail(self, now: float, argument: tuple[int, str], out: Outputs) -> None:
        status, why = argument
        out.append(SessionFailed(status, why))
        self._end_with(status, out)

    def _fail_to_bind(self, now: float, argument: None, out: Outputs) -> None:
        why = "no answer to the bind" if self._is_active else "no request of the peer"
        self._fail(now, (_TIMED_OUT, f"{why} in {self._config.bind_s:g} s"), out)

    def _time_out(self, now: float, argument: None, out: Outputs) -> None:
        out.append(SessionFailed(_TIMED_OUT, f"no response in {self._config.response_s:g} s"))
        self._outgoing.time_out(now, out)
        self._end_with(_TIMED_OUT, out)

    def _fail_while_closing(self, now: float, argument: tuple[int, str], out: Outputs) -> None:
        self._end_with(argument[0], out)
        out.append(Closed())

    def _time_out_while_closing(self, now: float, argument: None, out: Outputs) -> None:
        self._outgoing.time_out(now, out)
        self._lose_and_end(now, argument, out)

    def _drain(self, now: float, argument: None, out: Outputs) -> None:
        """What is under way goes on."""

    def _end_with(self, status: int, out: Outputs) -> None:
        self._bind_at = None
        self._outgoing.lose(status, out)
        self._incoming.clear()


_Row: TypeAlias = tuple[tuple[State, _Step] | None, ...]


def _row_of(state: State) -> _Row:
    found: dict[Input, tuple[State, _Step]] = {}
    for event in Input:
        if (state, event) in table.TABLE:
            after, action = table.TABLE[state, event]
            found[event] = (after, getattr(MsrpSession, action.value))
        elif (state, event) in table.IGNORED:
            found[event] = (state, MsrpSession._absorb)
    return tuple([found.get(event) for event in Input])


_ROWS: Final[tuple[_Row, ...]] = tuple([_row_of(state) for state in State])
