"""Every pair of state and input: an arrow, ignored, or refused."""

from __future__ import annotations

import itertools

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.transaction import (
    Deliver,
    InviteClient,
    InviteServer,
    NonInviteClient,
    NonInviteServer,
    Outputs,
    Send,
    Terminated,
)
from ims_core.wire.sip.transaction_table import Action, Input, State

Machine = type[InviteClient] | type[NonInviteClient] | type[InviteServer] | type[NonInviteServer]

_MACHINES: list[Machine] = [InviteClient, NonInviteClient, InviteServer, NonInviteServer]
_STATUS_OF = {Input.STATUS_1XX: 180, Input.STATUS_2XX: 200, Input.STATUS_408: 408, Input.STATUS_3XX_6XX: 404}
# The shortest way from INITIAL into each state
_WAYS: dict[Machine, dict[State, tuple[Input, ...]]] = {
    InviteClient: {
        State.CALLING: (Input.START,),
        State.PROCEEDING: (Input.START, Input.STATUS_1XX),
        State.ACCEPTED: (Input.START, Input.STATUS_2XX),
        State.COMPLETED: (Input.START, Input.STATUS_3XX_6XX),
        State.TERMINATED: (Input.START, Input.TIMER_B),
    },
    NonInviteClient: {
        State.TRYING: (Input.START,),
        State.PROCEEDING: (Input.START, Input.STATUS_1XX),
        State.COMPLETED: (Input.START, Input.STATUS_2XX),
        State.TERMINATED: (Input.START, Input.TIMER_F),
    },
    InviteServer: {
        State.PROCEEDING: (Input.START,),
        State.ACCEPTED: (Input.START, Input.STATUS_2XX),
        State.COMPLETED: (Input.START, Input.STATUS_3XX_6XX),
        State.CONFIRMED: (Input.START, Input.STATUS_3XX_6XX, Input.ACK),
        State.TERMINATED: (Input.START, Input.STATUS_2XX, Input.TIMER_L),
    },
    NonInviteServer: {
        State.TRYING: (Input.START,),
        State.PROCEEDING: (Input.START, Input.TIMER_TRYING),
        State.COMPLETED: (Input.START, Input.STATUS_2XX),
        State.TERMINATED: (Input.START, Input.TIMER_EXPIRY),
    },
}
# Which inputs only our own caller, or its clock, can cause
_OWN = {
    InviteClient: {Input.START},
    NonInviteClient: {Input.START},
    InviteServer: {Input.START, *_STATUS_OF},
    NonInviteServer: {Input.START, *_STATUS_OF},
}


def _request(machine: Machine) -> Request:
    method = "INVITE" if machine in (InviteClient, InviteServer) else "MESSAGE"
    fields = [
        ("Via", "SIP/2.0/UDP a.example;branch=z9hG4bK1"),
        ("From", "<sip:a@a.example>;tag=1"),
        ("To", "<sip:b@b.example>"),
        ("Call-ID", "c"),
        ("CSeq", f"1 {method}"),
    ]
    return Request.new(method, "sip:b@b.example", fields)


def _in_state(machine: Machine, state: State) -> InviteClient | NonInviteClient | InviteServer | NonInviteServer:
    transaction = machine(_request(machine), is_reliable=False)
    for event in _WAYS[machine].get(state, ()):
        _take(transaction, machine, event)
    assert transaction.state is state
    return transaction


def _take(
    transaction: InviteClient | NonInviteClient | InviteServer | NonInviteServer, machine: Machine, event: Input
) -> Outputs:
    request = _request(machine)
    message = Response.to(request, _STATUS_OF[event], to_tag="t") if event in _STATUS_OF else request
    return transaction.step(event, 1.0, message)


def _states(machine: Machine) -> list[State]:
    return [State.INITIAL, *_WAYS[machine]]


@pytest.mark.parametrize("machine", _MACHINES, ids=lambda machine: machine.__name__)
def test_every_pair_is_in_the_table_or_ignored_or_raises(machine: Machine) -> None:
    for state, event in itertools.product(_states(machine), Input):
        transaction = _in_state(machine, state)
        if (state, event) in machine.TABLE:
            outputs = _take(transaction, machine, event)
            assert transaction.state is machine.TABLE[state, event][0]
            assert (Terminated() in outputs) == (transaction.state is State.TERMINATED)
        elif (state, event) in machine.IGNORED:
            assert _take(transaction, machine, event) == ()
            assert transaction.state is state
        else:
            with pytest.raises(LocalProtocolError, match=event.name):
                _take(transaction, machine, event)
            assert transaction.state is state


@pytest.mark.parametrize("machine", _MACHINES, ids=lambda machine: machine.__name__)
def test_table_and_ignored_are_apart_and_name_only_reachable_states(machine: Machine) -> None:
    assert not machine.IGNORED & machine.TABLE.keys()
    named = {state for state, _ in machine.TABLE} | {state for state, _ in machine.IGNORED}
    assert named == set(_states(machine))
    assert {state for state, _ in machine.TABLE.values()} == set(_states(machine)) - {State.INITIAL}


@pytest.mark.parametrize("machine", _MACHINES, ids=lambda machine: machine.__name__)
def test_no_peer_can_cause_an_illegal_pair(machine: Machine) -> None:
    statuses = set(_STATUS_OF) - {Input.STATUS_408}
    is_client = machine in (InviteClient, NonInviteClient)
    from_peer = statuses if is_client else {Input.REQUEST, Input.ACK} if machine is InviteServer else {Input.REQUEST}
    for state, event in itertools.product(_WAYS[machine], from_peer | {Input.TRANSPORT_ERROR}):
        assert (state, event) in machine.TABLE or (state, event) in machine.IGNORED


def test_every_action_is_used_by_some_figure() -> None:
    used = {action for machine in _MACHINES for _, action in machine.TABLE.values()}
    assert used == set(Action)


@pytest.mark.parametrize("machine", _MACHINES, ids=lambda machine: machine.__name__)
def test_a_terminated_transaction_wants_no_deadline_and_holds_no_message(machine: Machine) -> None:
    transaction = _in_state(machine, State.TERMINATED)
    assert transaction.next_deadline() is None
    assert transaction.handle_deadline(1e9) == ()
    assert (transaction._request, transaction._octets) == (None, b"")


def test_outputs_compare_by_value() -> None:
    request = _request(NonInviteServer)
    assert NonInviteServer(request, is_reliable=True).start(0.0) == (Deliver(request),)
    assert Send(b"x") == Send(b"x") != Send(b"y")
