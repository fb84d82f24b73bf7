from __future__ import annotations

import itertools

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.client.message_state import IGNORED, MESSAGE_STATES, MessageInput, MessageState, next_state

_RANK = {
    MessageState.QUEUED: 0,
    MessageState.SENDING: 1,
    MessageState.SENT: 2,
    MessageState.SENT_AS_SMS: 3,
    MessageState.INTERWORKED: 3,
    MessageState.DELIVERED: 4,
    MessageState.DISPLAYED: 5,
}


@pytest.mark.parametrize(("state", "given"), list(itertools.product(MessageState, MessageInput)))
def test_each_pair_is_in_the_table_or_absorbed_or_illegal(state: MessageState, given: MessageInput) -> None:
    if (state, given) in MESSAGE_STATES:
        assert (state, given) not in IGNORED
        assert next_state(state, given) is MESSAGE_STATES[state, given]
    elif (state, given) in IGNORED:
        assert next_state(state, given) is state
    else:
        with pytest.raises(LocalProtocolError, match=state.value):
            next_state(state, given)


def test_states_never_go_backwards() -> None:
    for (state, _), after in MESSAGE_STATES.items():
        if state in _RANK and after in _RANK:
            assert _RANK[after] >= _RANK[state], (state, after)


@pytest.mark.parametrize("state", list(MessageState))
def test_a_receipt_is_understood_in_every_state_after_the_first_transmission(state: MessageState) -> None:
    if state is not MessageState.QUEUED:
        assert next_state(state, MessageInput.DELIVERED) in (MessageState.DELIVERED, MessageState.DISPLAYED)


def test_a_late_delivered_after_displayed_is_ignored() -> None:
    assert next_state(MessageState.DISPLAYED, MessageInput.DELIVERED) is MessageState.DISPLAYED
