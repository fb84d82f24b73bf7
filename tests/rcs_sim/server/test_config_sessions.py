"""Sessions, one-time passwords and rates of the autoconfiguration server."""

from __future__ import annotations

from ims_core.transport.http_message import HttpRequest
from ims_core.transport.tokens import Tokens
from rcs_sim.server import config_sessions
from rcs_sim.server.config_exchange import ConfigQuery
from rcs_sim.server.config_sessions import MAX_SESSIONS, ConfigSessions, OtpResult, RateLimit

_QUERY = ConfigQuery.read(HttpRequest("GET", "/?vers=3"))


def test_a_session_lives_for_its_time_and_is_found_by_its_cookie() -> None:
    sessions = ConfigSessions(Tokens("t"), 300)
    session = sessions.open("+1", 0.0, _QUERY)
    assert session.is_authenticated
    assert session.query.vers == 3
    assert sessions.find(session.cookie, 299.9) is session
    assert sessions.find(session.cookie, 300.0) is None
    assert sessions.find("other", 0.0) is None
    assert sessions.find(None, 0.0) is None


def test_expired_sessions_and_the_oldest_of_too_many_give_way() -> None:
    sessions = ConfigSessions(Tokens("t"), 300)
    first = sessions.open("+1", 0.0, _QUERY)
    sessions.open("+2", 400.0, _QUERY)
    assert len(sessions) == 1
    for _ in range(MAX_SESSIONS):
        sessions.open("+3", 400.0, _QUERY)
    assert len(sessions) == MAX_SESSIONS
    assert sessions.find(first.cookie, 0.0) is None


def test_a_code_may_be_tried_three_times_and_stays_right() -> None:
    session = ConfigSessions(Tokens("t"), 300).open("+1", 0.0, _QUERY, code="012345", tries=3)
    assert not session.is_authenticated
    assert [session.try_code("1"), session.try_code("é"), session.try_code("012345")] == [
        OtpResult.WRONG,
        OtpResult.WRONG,
        OtpResult.RIGHT,
    ]
    assert session.is_authenticated
    assert session.try_code("012345") is OtpResult.RIGHT
    assert session.try_code("2") is OtpResult.EXHAUSTED
    assert session.try_code("012345") is OtpResult.EXHAUSTED


def test_an_enriched_session_has_no_code_to_guess() -> None:
    session = ConfigSessions(Tokens("t"), 300).open("+1", 0.0, _QUERY)
    assert session.try_code("") is OtpResult.WRONG
    assert session.tries_left == 0


def test_a_rate_counts_events_of_one_key_in_a_sliding_window() -> None:
    rate = RateLimit(2, 10.0)
    assert [rate.wait_s("a", 0.0), rate.wait_s("a", 4.0), rate.wait_s("b", 4.0)] == [0.0, 0.0, 0.0]
    assert rate.wait_s("a", 5.0) == 5.0
    assert rate.wait_s("a", 10.0) == 0.0
    assert rate.wait_s("a", 11.0) == 3.0
    assert config_sessions.MAX_RATED_KEYS > 0
