"""Every pair of state and input of both ends: an arrow, ignored, or refused."""

from __future__ import annotations

import itertools

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call_incoming import IncomingCall
from ims_core.wire.sip.call_machine import CallMachine
from ims_core.wire.sip.call_outgoing import OutgoingCall
from ims_core.wire.sip.call_outputs import CallConfig
from ims_core.wire.sip.call_table import (
    INCOMING_CALL,
    INCOMING_CALL_IGNORED,
    OUTGOING_CALL,
    OUTGOING_CALL_IGNORED,
    CallAction,
    CallInput,
    CallState,
)
from tests.support.call_pair import arrived, make_invite

_UNIFORM = Tokens("table").uniform
_OF_PEERS = {CallInput.CANCEL, CallInput.ACK, CallInput.BYE}
_TO_INVITE = {CallInput.STATUS_1XX, CallInput.STATUS_2XX, CallInput.OFFER_2XX, CallInput.STATUS_3XX_6XX}
_OF_CALLEES = {CallState.LEAVING}
_OF_CALLERS = {CallState.CANCEL_DUE, CallState.CANCELLING}


def _machine(is_outgoing: bool) -> CallMachine:
    if is_outgoing:
        return OutgoingCall(make_invite(), CallConfig(), _UNIFORM, None)
    return IncomingCall(arrived(make_invite()), "bt", "<sip:b@h>", CallConfig(), _UNIFORM, None)


@pytest.mark.parametrize("is_outgoing", [True, False])
def test_every_pair_is_in_the_table_or_ignored_or_raises(is_outgoing: bool) -> None:
    for state, event in itertools.product(CallState, CallInput):
        machine = _machine(is_outgoing)
        assert not machine.TABLE.keys() & machine.IGNORED
        machine.state = state
        after, action = machine.TABLE.get((state, event), (state, CallAction.NOTHING))
        if (state, event) in machine.TABLE or (state, event) in machine.IGNORED:
            assert machine.step(event, 0.0) is action
        else:
            with pytest.raises(LocalProtocolError):
                machine.step(event, 0.0)
        assert machine.state is after


@pytest.mark.parametrize(
    ("table", "ignored", "inputs", "others"),
    [
        (OUTGOING_CALL, OUTGOING_CALL_IGNORED, _OF_PEERS | _TO_INVITE, _OF_CALLEES),
        (INCOMING_CALL, INCOMING_CALL_IGNORED, _OF_PEERS, _OF_CALLERS),
    ],
)
def test_whatever_a_peer_can_cause_is_provided_for(
    table: dict[tuple[CallState, CallInput], object],
    ignored: frozenset[tuple[CallState, CallInput]],
    inputs: set[CallInput],
    others: set[CallState],
) -> None:
    for state, event in itertools.product(set(CallState) - others, inputs):
        assert (state, event) in table or (state, event) in ignored


@pytest.mark.parametrize(("table", "others"), [(OUTGOING_CALL, _OF_CALLEES), (INCOMING_CALL, _OF_CALLERS)])
def test_every_state_leads_to_the_end(
    table: dict[tuple[CallState, CallInput], tuple[CallState, CallAction]], others: set[CallState]
) -> None:
    leads = {CallState.ENDED}
    while (more := {state for (state, _), (after, _) in table.items() if after in leads} - leads) != set():
        leads |= more
    assert leads == set(CallState) - others
    assert all(after is CallState.ENDED for (state, _), (after, _) in table.items() if state is CallState.ENDED)
