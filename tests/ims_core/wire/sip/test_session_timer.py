"""Session timers: negotiation with peers of both kinds, refreshes, the end (RFC 4028)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.core_headers import MinSe
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.session_timer import (
    SESSION_TIMER,
    SESSION_TIMER_IGNORED,
    SessionExpired,
    SessionRefreshDue,
    SessionTimer,
    SessionTimerConfig,
    SessionTimerInput,
    SessionTimerState,
)

_TIMER = ("Supported", "timer")


def _timer(**members: int | bool) -> SessionTimer:
    return SessionTimer(SessionTimerConfig(**members))  # type: ignore[arg-type]  # each test names its own


def _request(*headers: tuple[str, str]) -> Request:
    return Request.new("INVITE", "sip:b@h", headers)


def _answer(*headers: tuple[str, str], status: int = 200) -> Response:
    return Response.new(status, headers=headers)


def _texts(fields: tuple[object, ...]) -> list[str]:
    return [f"{type(field).__name__}: {field}" for field in fields]


def _refreshing(*headers: tuple[str, str], tolerates_silence: bool = False) -> SessionTimer:
    """We asked, the peer granted at 0, and the refresh of the half is out."""
    timer = _timer(tolerates_silence=tolerates_silence)
    timer.receive_success(_answer(*headers), 0.0)
    (due,) = timer.handle_deadline(timer.next_deadline() or 0.0)
    assert due == SessionRefreshDue()
    return timer


# --- as UAC -----------------------------------------------------------------------------------------------------------


def test_the_first_request_leaves_the_refresher_open() -> None:
    assert _texts(_timer().request_fields()) == ["SessionExpires: 1800"]
    assert _texts(_timer(min_se_s=300).request_fields()) == ["SessionExpires: 1800", "MinSe: 300"]


def test_intervals_that_the_rfc_forbids_are_refused_to_the_owner() -> None:
    for members in ({"min_se_s": 89}, {"interval_s": 100, "min_se_s": 200}, {"interval_s": 60}):
        with pytest.raises(LocalProtocolError):
            _timer(**members)


def test_what_the_owner_wrote_into_its_invite_counts() -> None:
    timer = _timer()
    timer.take_over(_request(("Session-Expires", "600"), ("Min-SE", "120")))
    assert _texts(timer.request_fields()) == ["SessionExpires: 600", "MinSe: 120"]
    timer.take_over(_request(("x", "600;refresher=uac"), ("Min-SE", "900")))
    assert timer.interval_s == 900


def test_as_refresher_we_refresh_at_half() -> None:
    timer = _timer()
    timer.receive_success(_answer(_TIMER, ("Session-Expires", "1800;refresher=uac")), 10.0)
    assert timer.state is SessionTimerState.REFRESHER
    assert timer.next_deadline() == 910.0
    assert timer.handle_deadline(909.0) == []
    assert timer.handle_deadline(910.0) == [SessionRefreshDue()]
    assert _texts(timer.request_fields()) == ["SessionExpires: 1800;refresher=uac"]
    timer.receive_success(_answer(_TIMER, ("Session-Expires", "1000;refresher=uac")), 911.0)
    assert timer.next_deadline() == 911.0 + 500


def test_a_peer_that_refreshes_is_watched_until_shortly_before_the_end() -> None:
    timer = _timer()
    timer.receive_success(_answer(_TIMER, ("Session-Expires", "1800;refresher=uas")), 0.0)
    assert timer.state is SessionTimerState.WATCHER
    assert _texts(timer.request_fields()) == ["SessionExpires: 1800;refresher=uas"]
    assert timer.next_deadline() == 1768.0
    assert timer.handle_deadline(1768.0) == [SessionExpired()]
    assert timer.next_deadline() is None


def test_the_lead_is_a_third_of_a_short_interval() -> None:
    timer = _timer()
    timer.receive_success(_answer(_TIMER, ("Session-Expires", "90;refresher=uas")), 0.0)
    assert timer.next_deadline() == 60.0


@pytest.mark.parametrize("session", [(), (("Session-Expires", "x"),), (("Session-Expires", "1800;refresher=uac"),)])
def test_a_peer_without_the_extension_is_refreshed_and_never_expires(session: tuple[tuple[str, str], ...]) -> None:
    timer = _refreshing(*session)
    assert timer.next_deadline() is None
    assert timer.handle_deadline(1e6) == []
    assert not timer.has_peer_timer
    assert timer.refresh_unanswered(1000.0) == []


def test_without_session_expires_in_the_2xx_nothing_expires() -> None:
    timer = _refreshing(_TIMER)
    assert timer.has_peer_timer
    assert timer.next_deadline() is None


def test_require_of_a_proxy_is_no_sign_of_the_peer() -> None:
    timer = _timer()
    timer.receive_success(_answer(("Require", "timer"), ("Session-Expires", "1800;refresher=uac")), 0.0)
    assert not timer.has_peer_timer
    assert timer.state is SessionTimerState.REFRESHER


def test_an_interval_below_the_minimum_of_the_rfc_is_raised() -> None:
    timer = _timer()
    timer.receive_success(_answer(_TIMER, ("Session-Expires", "1;refresher=uac")), 0.0)
    assert timer.next_deadline() == 45.0


def test_422_raises_the_interval_once_per_new_minimum() -> None:
    timer = _timer(interval_s=100)
    assert timer.receive_too_small(_answer(("Min-SE", "300"), status=422))
    assert _texts(timer.request_fields()) == ["SessionExpires: 300", "MinSe: 300"]
    assert not timer.receive_too_small(_answer(("Min-SE", "300"), status=422))
    assert timer.receive_too_small(_answer(("Min-SE", "400"), status=422))
    for useless in ((), (("Min-SE", "x"),), (("Min-SE", "90000"),)):
        assert not timer.receive_too_small(_answer(*useless, status=422))
    assert timer.interval_s == 400


# --- as UAS: Table 2 of RFC 4028 §9 ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("supports", "asked", "prefers", "refresher"),
    [
        (False, "", False, "uas"),
        (False, ";refresher=uac", False, "uas"),
        (False, ";refresher=uas", False, "uas"),
        (True, "", False, "uac"),
        (True, "", True, "uas"),
        (True, ";refresher=UAC", True, "uac"),
        (True, ";refresher=uas", False, "uas"),
        (True, ";refresher=x", False, "uac"),
    ],
)
def test_who_refreshes(supports: bool, asked: str, prefers: bool, refresher: str) -> None:
    timer = _timer(prefers_refreshing=prefers)
    request = _request(("Session-Expires", f"600{asked}"), *([_TIMER] if supports else []))
    assert timer.refusal(request) is None
    required = ["Require: timer"] if supports else []
    assert _texts(timer.grant(request, 0.0)) == [*required, f"SessionExpires: 600;refresher={refresher}"]
    is_peer = refresher == "uac"
    assert timer.state is (SessionTimerState.WATCHER if is_peer else SessionTimerState.REFRESHER)
    assert timer.next_deadline() == (568.0 if is_peer else 300.0)


def test_a_request_without_an_interval_gets_ours() -> None:
    assert _texts(_timer().grant(_request(), 0.0)) == ["SessionExpires: 1800;refresher=uas"]
    assert _texts(_timer().grant(_request(("Require", "timer")), 0.0)) == [
        "Require: timer",
        "SessionExpires: 1800;refresher=uac",
    ]
    assert _timer().grant(_request(("Min-SE", "3600")), 0.0) == _timer(interval_s=3600).grant(_request(), 0.0)


def test_an_interval_that_is_too_small_is_422_for_those_who_know_it() -> None:
    timer = _timer(min_se_s=120)
    rejection = timer.refusal(_request(("Session-Expires", "119"), _TIMER))
    assert rejection is not None
    assert (rejection.status, rejection.headers) == (422, (MinSe(120),))
    assert timer.refusal(_request(("Session-Expires", "120"), _TIMER)) is None
    unaware = _request(("Session-Expires", "1"))
    assert timer.refusal(unaware) is None
    assert _texts(timer.grant(unaware, 0.0)) == ["SessionExpires: 120;refresher=uas"]


@pytest.mark.parametrize("broken", [("Session-Expires", "x"), ("Min-SE", "-1"), ("Supported", "a b"), ("Require", '"')])
def test_what_cannot_be_granted_is_malformed(broken: tuple[str, str]) -> None:
    with pytest.raises(SipParseError):
        _timer().refusal(_request(broken))


def test_a_refresh_of_the_peer_starts_the_session_anew() -> None:
    timer = _timer()
    request = _request(("Session-Expires", "1800;refresher=uac"), _TIMER)
    timer.grant(request, 0.0)
    timer.grant(request, 900.0)
    assert timer.next_deadline() == 900.0 + 1768


# --- refreshes that fail ----------------------------------------------------------------------------------------------

_GRANTED = (_TIMER, ("Session-Expires", "1800;refresher=uac"))


def test_a_refresh_that_fails_is_tried_again_in_the_middle_of_what_is_left() -> None:
    timer = _refreshing(*_GRANTED)
    timer.refresh_failed(900.0)
    assert timer.next_deadline() == 900.0 + 434
    for at in (1334.0, 1551.0):
        assert timer.handle_deadline(at) == [SessionRefreshDue()]
        timer.refresh_failed(at)
    timer.handle_deadline(1760.0)
    timer.refresh_failed(1760.0)
    assert timer.next_deadline() == 1768.0
    assert timer.handle_deadline(1768.0) == [SessionExpired()]


def test_a_refresh_without_an_answer_ends_the_session_with_a_peer_that_has_to_answer() -> None:
    timer = _refreshing(*_GRANTED)
    assert timer.is_silence_fatal
    assert timer.refresh_unanswered(932.0) == [SessionExpired()]
    assert timer.refresh_unanswered(933.0) == []
    assert timer.state is SessionTimerState.OVER


def test_a_refresh_without_an_answer_means_nothing_with_a_peer_that_promised_none() -> None:
    timer = _refreshing()
    assert not timer.is_silence_fatal
    assert timer.refresh_unanswered(932.0) == []
    assert timer.next_deadline() == 932.0 + 900


def test_where_silence_is_tolerated_we_refresh_what_the_peer_forgets() -> None:
    timer = _timer(tolerates_silence=True)
    timer.grant(_request(("Session-Expires", "1800;refresher=uac"), _TIMER), 0.0)
    assert timer.next_deadline() == 1768.0
    assert timer.handle_deadline(1768.0) == [SessionRefreshDue()]
    assert _texts(timer.request_fields()) == ["SessionExpires: 1800;refresher=uac"]
    assert timer.refresh_unanswered(1800.0) == []
    assert timer.next_deadline() == 2700.0


def test_a_device_that_keeps_no_time_agrees_and_does_nothing() -> None:
    timer = _timer(keeps_time=False)
    assert _texts(timer.grant(_request(("Session-Expires", "600;refresher=uas"), _TIMER), 0.0)) == [
        "Require: timer",
        "SessionExpires: 600;refresher=uas",
    ]
    assert timer.next_deadline() is None
    timer.receive_success(_answer(*_GRANTED), 1.0)
    assert timer.next_deadline() is None
    assert timer.handle_deadline(1e6) == []


def test_a_refresh_that_cannot_be_sent_is_postponed() -> None:
    timer = _refreshing(*_GRANTED)
    timer.postpone(900.0)
    assert timer.next_deadline() == 904.0
    assert timer.handle_deadline(904.0) == [SessionRefreshDue()]


def test_a_refresh_of_the_peer_overtakes_ours() -> None:
    timer = _refreshing(*_GRANTED)
    timer.grant(_request(("Session-Expires", "1800;refresher=uac"), _TIMER), 901.0)
    timer.refresh_failed(902.0)
    timer.postpone(902.0)
    assert timer.next_deadline() == 901.0 + 1768


def test_a_session_that_is_over_has_no_deadline() -> None:
    timer = _refreshing(*_GRANTED)
    timer.stop()
    timer.receive_success(_answer(*_GRANTED), 1.0)
    timer.grant(_request(), 1.0)
    assert timer.next_deadline() is None
    assert timer.handle_deadline(1e9) == []


# --- the table --------------------------------------------------------------------------------------------------------


def test_every_pair_is_in_the_table_or_ignored_or_raises() -> None:
    assert not SESSION_TIMER.keys() & SESSION_TIMER_IGNORED
    for state, event in itertools.product(SessionTimerState, SessionTimerInput):
        timer = _timer()
        timer._state = state
        if (state, event) in SESSION_TIMER or (state, event) in SESSION_TIMER_IGNORED:
            assert timer._step(event) == ((state, event) in SESSION_TIMER)
        else:
            with pytest.raises(LocalProtocolError):
                timer._step(event)
        assert timer.state is SESSION_TIMER.get((state, event), state)


_EVENTS = st.sampled_from(["grant", "success", "failed", "silent", "busy", "time"])


@given(st.booleans(), st.lists(st.tuples(_EVENTS, st.integers(0, 2000))))
def test_a_session_expires_at_most_once_and_is_not_refreshed_all_the_time(
    tolerates: bool, events: list[tuple[str, int]]
) -> None:
    timer, now = _timer(tolerates_silence=tolerates), 0.0
    outputs: list[object] = []
    for event, after in events:
        now += after
        supported = [_TIMER] if after % 2 else []
        if event == "grant":
            timer.grant(_request(("Session-Expires", str(after)), *supported), now)
        elif event == "success":
            timer.receive_success(_answer(("Session-Expires", str(after)), *supported), now)
        elif event == "failed":
            timer.refresh_failed(now)
        elif event == "silent":
            outputs += timer.refresh_unanswered(now)
        elif event == "busy":
            timer.postpone(now)
        due = timer.next_deadline()
        assert due is None or event not in ("grant", "success") or due >= now + 45
        outputs += timer.handle_deadline(now)
        assert timer.state is not SessionTimerState.REFRESHING or timer.handle_deadline(now) in ([], [SessionExpired()])
    assert outputs.count(SessionExpired()) <= 1
    if tolerates:
        assert SessionExpired() not in outputs
