from __future__ import annotations

import itertools

import pytest

from rcs_sim.server.session_lifetime import CHAT_IGNORED, CHAT_TRANSITIONS, ChatInput, ChatState

ILLEGAL = {(ChatState.OPEN, ChatInput.TIME_UP)}


@pytest.mark.parametrize(("state", "event"), [*itertools.product(ChatState, ChatInput)])
def test_each_pair_of_the_table_is_an_arrow_or_ignored_or_illegal(state: ChatState, event: ChatInput) -> None:
    places = [(state, event) in table for table in (CHAT_TRANSITIONS, CHAT_IGNORED, ILLEGAL)]
    assert places.count(True) == 1


def test_every_session_comes_to_its_end() -> None:
    state = ChatState.OPEN
    for event in (ChatInput.REPLACED, ChatInput.TIME_UP, ChatInput.TIME_UP):
        state, _ = CHAT_TRANSITIONS[state, event]
    assert state is ChatState.ENDED
