from __future__ import annotations

import itertools

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.client.chat_session import (
    CHAT_SESSION,
    CHAT_SESSION_IGNORED,
    ChatSession,
    SessionDo,
    SessionInput,
    SessionState,
    SessionTimes,
)

_TIMES = SessionTimes()


def _in(state: SessionState) -> ChatSession:
    session = ChatSession(_TIMES)
    session.state = state
    return session


def _after(*given: SessionInput) -> ChatSession:
    session = ChatSession(_TIMES)
    for each in given:
        session.step(each, 0)
    return session


@pytest.mark.parametrize(("state", "given"), list(itertools.product(SessionState, SessionInput)))
def test_every_pair_is_in_the_table_or_ignored_or_raises(state: SessionState, given: SessionInput) -> None:
    session = _in(state)
    if (state, given) in CHAT_SESSION:
        after, action = CHAT_SESSION[state, given]
        assert session.step(given, 0) is action
        assert session.state is after
    elif (state, given) in CHAT_SESSION_IGNORED:
        assert session.step(given, 0) is SessionDo.NOTHING
        assert session.state is state
    else:
        with pytest.raises(LocalProtocolError):
            session.step(given, 0)


def test_no_pair_is_both_in_the_table_and_ignored() -> None:
    assert not CHAT_SESSION_IGNORED & set(CHAT_SESSION)


def test_whatever_ends_a_session_hangs_up_unless_the_call_is_over_already() -> None:
    for (state, given), (after, action) in CHAT_SESSION.items():
        if after is SessionState.ENDED:
            assert action in (SessionDo.HANG_UP, SessionDo.END), (state, given)


def test_each_state_has_its_time_limit() -> None:
    invited = _after(SessionInput.INVITE)
    assert invited.deadline == 32
    invited.step(SessionInput.PROVISIONAL, 1)
    assert invited.deadline == 61
    invited.step(SessionInput.ANSWER, 2)
    assert invited.deadline == 12
    invited.step(SessionInput.BOUND, 3)
    assert invited.deadline == 303
    invited.step(SessionInput.LEAVE, 4)
    assert invited.deadline == 34
    invited.step(SessionInput.DRAINED, 5)
    assert invited.deadline is None


def test_traffic_begins_the_idle_time_anew_and_its_end_hangs_up_s13() -> None:
    session = _after(SessionInput.OFFER, SessionInput.ANSWER, SessionInput.BOUND)
    session.traffic(100)
    assert session.handle_deadline(399.9, is_busy=False) is SessionDo.NOTHING
    assert session.handle_deadline(400, is_busy=False) is SessionDo.HANG_UP
    assert session.state is SessionState.ENDED


def test_what_waits_for_an_answer_is_not_idle() -> None:
    session = _after(SessionInput.INVITE, SessionInput.ANSWER, SessionInput.BOUND)
    assert session.handle_deadline(300, is_busy=True) is SessionDo.NOTHING
    assert session.deadline == 600


def test_a_session_that_is_left_takes_no_more_messages() -> None:
    session = _after(SessionInput.INVITE, SessionInput.ANSWER, SessionInput.BOUND, SessionInput.LEAVE)
    assert not session.takes_messages
    assert not session.is_established
