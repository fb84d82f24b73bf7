"""Every pair of state and input: a row, ignored, or refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.message import Continuation, MsrpParseError, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import Piece
from ims_core.wire.msrp.session import Closed, MessageReceived, MsrpSession, OutgoingMessage, Outputs, SessionConfig
from ims_core.wire.msrp.session_table import IGNORED, TABLE, Action, Input, State
from ims_core.wire.msrp.uri import parse_path
from tests.support.msrp_pair import ALICE, BOB, counter, of_type

_TEXT = (("Message-ID", "m1"), ("Byte-Range", "1-2/2"), ("Content-Type", "text/plain"))
_FRAMES = {
    Input.CHUNK: Piece(MsrpRequest("tran1", "SEND", ALICE, BOB, _TEXT, None, None), 1, b"hi", Continuation.COMPLETE),
    Input.EMPTY_SEND: MsrpRequest("tran2", "SEND", ALICE, BOB, (("Message-ID", "m2"),)),
    Input.REPORT: MsrpRequest("tran3", "REPORT", ALICE, BOB, (("Message-ID", "m3"), ("Status", "000 200 OK"))),
    Input.OTHER_REQUEST: MsrpRequest("tran4", "FETCH", ALICE, BOB),
    Input.MALFORMED: MsrpParseError("no", spec="here"),
    Input.RESPONSE: MsrpResponse("tran5", 200, "OK", ALICE, BOB),
}
_FOLLOWING = {Input.BOUND: None, Input.UNUSABLE: (481, "said the peer"), Input.DRAINED: None}
_FOLLOWED = {  # a frame that shows that the peer has the session; the end of the one message under way
    (State.BINDING, Input.CHUNK): State.OPEN,
    (State.BINDING, Input.EMPTY_SEND): State.OPEN,
    (State.OPEN, Input.PEER_FINISHED): State.CLOSED,
    (State.CLOSING, Input.PEER_FINISHED): State.CLOSED,
}


def _message(message_id: str = "out1") -> OutgoingMessage:
    return OutgoingMessage(message_id, "text/plain", b"hello")


def _in_state(state: State) -> MsrpSession:
    """A session in *state*; something is under way, so that CLOSING lasts."""
    session = MsrpSession(SessionConfig(), parse_path(ALICE), parse_path(BOB), counter("alice"))
    if state is State.IDLE:
        return session
    session.start(True, 0.0)
    session.send(_message(), 0.0)
    if state is State.OPEN or state is State.CLOSING:
        session.receive(_FRAMES[Input.EMPTY_SEND], 0.0)
    if state is State.CLOSING or state is State.CLOSED:
        session.close(0.0)
    if state is State.CLOSED or state is State.FAILED:
        session.lost(0.0)
    assert session.state is state
    return session


def _delivery(state: State) -> object:
    """What a session that owes an answer was given; any will do where it is ignored."""
    other = MsrpSession(SessionConfig(), parse_path(ALICE), parse_path(BOB), counter("other"))
    other.start(False, 0.0)
    return of_type(other.receive(_FRAMES[Input.CHUNK], 0.0), MessageReceived)[0].delivery


def _take(session: MsrpSession, event: Input) -> Outputs:
    orders: dict[Input, Callable[[], Outputs]] = {
        Input.START_ACTIVE: lambda: session.start(True, 1.0),
        Input.START_PASSIVE: lambda: session.start(False, 1.0),
        Input.SUBMIT: lambda: session.send(_message("out2"), 1.0),
        Input.WRITABLE: lambda: session.writable(1.0),
        Input.CLOSE: lambda: session.close(1.0),
        Input.PEER_FINISHED: lambda: session.peer_finished(1.0),
        Input.LOST: lambda: session.lost(1.0),
    }
    if event in orders:
        return orders[event]()
    if event in _FRAMES:
        return session.receive(_FRAMES[event], 1.0)
    if event is Input.SETTLE:
        return session._step(event, 1.0, (_delivery(session.state), 200, None, True, True))
    return session._step(event, 1.0, _FOLLOWING.get(event))


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Input)))
def test_every_pair_is_in_the_table_or_ignored_or_raises(state: State, event: Input) -> None:
    session = _in_state(state)
    if (state, event) in TABLE:
        _take(session, event)
        assert session.state is _FOLLOWED.get((state, event), TABLE[state, event][0])
    elif (state, event) in IGNORED:
        assert _take(session, event) == []
        assert session.state is state
    else:
        with pytest.raises(LocalProtocolError, match=event.name):
            _take(session, event)
        assert session.state is state


def test_table_and_ignored_are_apart() -> None:
    assert not IGNORED & TABLE.keys()


def test_every_state_is_reached_and_every_action_used() -> None:
    assert {state for state, _ in TABLE.values()} == set(State)
    assert {action for _, action in TABLE.values()} == set(Action)


@pytest.mark.parametrize("state", [state for state in State if state is not State.IDLE])
def test_no_frame_is_illegal_once_the_session_has_begun(state: State) -> None:
    legal = TABLE.keys() | IGNORED
    assert {(state, event) for event in _FRAMES} <= legal


@pytest.mark.parametrize("state", list(State))
def test_closed_is_told_once_whatever_comes_before(state: State) -> None:
    session = _in_state(state)
    outputs = [*session.close(1.0), *session.lost(2.0), *session.close(3.0)]
    assert session.state in (State.CLOSED, State.FAILED)
    assert outputs.count(Closed()) == (0 if state is State.CLOSED else 1)


@pytest.mark.parametrize("state", [State.CLOSED, State.FAILED])
def test_nothing_is_timed_any_more_after_the_end(state: State) -> None:
    session = _in_state(state)
    assert session.next_deadline() is None
    assert session.handle_deadline(1e9) == []
