"""Two calls over a wire that reorders and loses: they end up with one opinion, whatever the owners do."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    Answered,
    CallConfig,
    Confirmed,
    Ended,
    EndReason,
    Modified,
    ModifyRefused,
    Offered,
    Received,
    Refreshed,
    Refused,
    Released,
    Respond,
    Ringing,
    SendAck,
    SendCancel,
    SendRequest,
)
from ims_core.wire.sip.call_table import CallState
from ims_core.wire.sip.core_headers import Reason
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import check
from tests.support.call_pair import (
    ANSWER,
    CALLEE,
    CALLER,
    OFFER,
    CallPair,
    arrived,
    make_invite,
    only,
    those,
)

_ESTABLISHED = (CallState.ESTABLISHED, CallState.ESTABLISHED)
_ENDED = (CallState.ENDED, CallState.ENDED)
_NEW_OFFER = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\n"


def _requests(pair: CallPair, name: str) -> list[str]:
    return [output.request.method for output in pair.end(name).told(SendRequest)]


# --- a call -----------------------------------------------------------------------------------------------------------


def test_a_call_rings_is_answered_and_confirmed() -> None:
    pair = CallPair().establish()
    assert [type(event) for event in pair.caller.events] == [SendRequest, Ringing, SendAck, Answered]
    assert [type(event) for event in pair.callee.events] == [Respond, Respond, Confirmed]
    caller, callee = pair.caller.call, pair.callee.call
    assert caller is not None
    assert callee is not None
    assert caller.local_description == callee.remote_description
    assert callee.local_description == caller.remote_description
    assert caller.is_outgoing
    assert not callee.is_outgoing
    assert (caller.call_id, caller.local_tag, callee.local_tag) == ("c1", "at", "bt")
    assert caller.dialog is not None
    assert caller.owns(only(Answered, pair.caller.events).response)
    assert callee.owns(arrived(pair.caller.told(SendAck)[0].request))
    assert not callee.owns(caller.invite)


@pytest.mark.parametrize("name", [CALLER, CALLEE])
def test_either_side_ends_it_once_and_both_are_released(name: str) -> None:
    pair = CallPair().establish()
    ended = pair.do(name, lambda call: call.bye(pair.now, reason=Reason.of(200, "Call completed")))
    assert only(Ended, ended) == Ended(EndReason.HUNG_UP)
    assert pair.do(name, lambda call: call.bye(pair.now)) == []
    pair.deliver_all()
    assert pair.states == _ENDED
    other = pair.end(CALLEE if name == CALLER else CALLER)
    assert other.told(Ended) == [Ended(EndReason.PEER_HUNG_UP, 'SIP;cause=200;text="Call completed"')]
    pair.pass_time(until=pair.now + 33)
    for end in (pair.caller, pair.callee):
        assert end.events[-1] == Released()
        assert end.call is not None
        assert end.call.is_released
        assert end.call.next_deadline() is None


def test_the_offer_may_come_in_the_2xx_and_its_answer_in_the_ack() -> None:
    pair = CallPair(body=b"")
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(OFFER, pair.now))
    pair.deliver_all()
    assert only(Answered, pair.caller.events).needs_answer
    assert pair.states == (CallState.MORATORIUM, CallState.MORATORIUM)
    pair.do(CALLER, lambda call: call.confirm(ANSWER, pair.now))
    pair.deliver_all()
    assert pair.states == _ESTABLISHED
    confirmed = only(Confirmed, pair.callee.events)
    assert confirmed.ack is not None
    assert confirmed.ack.body == ANSWER
    assert pair.callee.call is not None
    assert pair.callee.call.remote_description == pair.caller.call.local_description  # type: ignore[union-attr]  # it is there


def test_a_refused_call_ends_both() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.refuse(486, pair.now))
    pair.deliver_all()
    assert pair.states == _ENDED
    assert only(Refused, pair.caller.events).status == 486
    assert pair.caller.told(Ended) == []
    assert pair.callee.told(Ended) == [Ended(EndReason.HUNG_UP)]


def test_a_cancelled_call_ends_both_with_the_reason() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.ring(pair.now))
    pair.deliver_all()
    pair.do(CALLER, lambda call: call.cancel(pair.now, reason='SIP;cause=200;text="Call completed elsewhere"'))
    pair.deliver_all()
    assert pair.states == _ENDED
    assert pair.callee.told(Ended) == [Ended(EndReason.CANCELLED, 'SIP;cause=200;text="Call completed elsewhere"')]
    assert [final.response.status for final in pair.callee.finals] == [200, 487]
    assert pair.caller.told(Refused) == []


# --- races (RFC 5407) -------------------------------------------------------------------------------------------------


def test_a_cancel_that_crosses_the_2xx_becomes_ack_and_bye() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.ring(pair.now))
    pair.deliver_all()
    pair.do(CALLER, lambda call: call.cancel(pair.now))
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    pair.deliver_all()
    assert pair.states == _ENDED
    assert _requests(pair, CALLER) == ["INVITE", "BYE"]
    assert len(pair.caller.told(SendAck)) == 1
    assert pair.callee.told(Confirmed) != []
    assert only(Ended, pair.callee.events).reason is EndReason.PEER_HUNG_UP


def test_a_2xx_that_is_lost_comes_again_until_its_ack() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    pair.lose()
    pair.fire(0.5)
    pair.lose()
    pair.fire(1.5)
    pair.deliver()  # the 2xx
    pair.lose()  # its ACK
    assert pair.states == (CallState.ESTABLISHED, CallState.MORATORIUM)
    pair.pass_time(until=10)
    assert pair.states == _ESTABLISHED
    first, second = pair.caller.told(SendAck)
    assert first.request == second.request


def test_a_call_that_is_never_acknowledged_ends() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    times = []
    while pair.states[1] is CallState.MORATORIUM:
        pair.lose()
        due = pair.next_deadline()
        assert due is not None
        times.append(due)
        pair.fire(due)
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
    assert pair.callee.told(Ended) == [Ended(EndReason.NO_ACK)]
    pair.deliver_all()
    assert pair.states[1] is CallState.ENDED


def test_two_bye_that_cross_end_both() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.bye(pair.now))
    pair.do(CALLEE, lambda call: call.bye(pair.now))
    pair.deliver_all()
    assert pair.states == _ENDED
    assert [final.response.status for final in pair.caller.finals] == [200]
    assert [final.response.status for final in pair.callee.finals][-1] == 200


def test_the_callee_says_bye_after_the_ack_only() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    pair.do(CALLEE, lambda call: call.bye(pair.now, reason=Reason.of(503)))
    assert pair.states[1] is CallState.LEAVING
    assert _requests(pair, CALLEE) == []
    pair.deliver_all()
    assert pair.states == _ENDED
    assert pair.caller.told(Ended) == [Ended(EndReason.PEER_HUNG_UP, "SIP;cause=503")]


def test_a_bye_may_overtake_the_ack() -> None:
    pair = CallPair()
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    pair.deliver()
    pair.do(CALLER, lambda call: call.bye(pair.now))
    pair.deliver(1)
    assert pair.states[1] is CallState.ENDED
    pair.deliver_all()
    assert pair.states == _ENDED


def test_a_bye_crosses_a_reinvite_of_the_other_side() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.reinvite(_NEW_OFFER, pair.now))
    pair.do(CALLEE, lambda call: call.bye(pair.now))
    pair.deliver_all()
    assert pair.states == _ENDED
    assert [final.response.status for final in pair.callee.finals][-1] == 481
    assert pair.caller.told(ModifyRefused) == []


def test_a_bye_while_a_reinvite_waits_for_its_answer_gets_487_too() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.reinvite(_NEW_OFFER, pair.now))
    pair.deliver_all()
    assert len(pair.callee.told(Offered)) == 1
    pair.do(CALLER, lambda call: call.bye(pair.now))
    pair.deliver_all()
    assert pair.states == _ENDED
    assert [final.response.status for final in pair.callee.finals][-2:] == [200, 487]
    assert pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now)) == []


def test_the_2xx_to_a_reinvite_that_comes_after_bye_is_acknowledged() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.reinvite(_NEW_OFFER, pair.now))
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    pair.do(CALLER, lambda call: call.bye(pair.now))
    acks = len(pair.caller.told(SendAck))
    pair.deliver()
    assert len(pair.caller.told(SendAck)) == acks + 1
    pair.deliver_all()
    assert pair.states == _ENDED


def test_offers_that_cross_are_refused_and_the_callee_goes_first() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.reinvite(_NEW_OFFER, pair.now))
    pair.do(CALLEE, lambda call: call.reinvite(_NEW_OFFER, pair.now))
    pair.deliver_all()
    assert [pair.end(name).finals[-1].response.status for name in (CALLER, CALLEE)] == [491, 491]
    first = pair.next_deadline()
    assert first is not None
    assert first <= 2.0
    pair.fire(first)
    pair.deliver_all()
    pair.do(CALLER, lambda call: call.answer(ANSWER, pair.now))
    pair.deliver_all()
    assert len(pair.callee.told(Modified)) == 1
    second = pair.next_deadline()
    assert second is not None
    assert 2.1 <= second <= 4.0
    pair.fire(second)
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, pair.now))
    pair.deliver_all()
    assert len(pair.caller.told(Modified)) == 1
    assert pair.states == _ESTABLISHED


# --- what is not about the call ---------------------------------------------------------------------------------------


def _in_dialog(method: str, number: int, *headers: tuple[str, str], to: str = "bt", body: bytes = b"") -> Request:
    fields = [
        ("Via", "SIP/2.0/TCP a.example;branch=z9hG4bKx"),
        ("Max-Forwards", "70"),
        ("From", "<sip:alice@red.example>;tag=at"),
        ("To", f"<sip:bob@blue.example>;tag={to}"),
        ("Call-ID", "c1"),
        ("CSeq", f"{number} {method}"),
        *headers,
    ]
    return Request.new(method, "sip:bob@192.0.2.2", fields, body, "application/sdp" if body else None)


def _status(outputs: list[object]) -> int:
    (output,) = [each for each in outputs if isinstance(each, Respond)]
    return output.response.status


def test_requests_of_another_dialog_get_481_and_old_ones_500() -> None:
    pair = CallPair().establish()
    call = pair.callee.call
    assert call is not None
    for method in ("BYE", "UPDATE", "INVITE", "PRACK", "INFO"):
        assert _status([*call.request_received(_in_dialog(method, 9, to="other"), 1.0)]) == 481
        assert _status([*call.request_received(_in_dialog(method, 0), 1.0)]) == 500
    assert call.request_received(_in_dialog("ACK", 9, to="other"), 1.0) == []
    assert _status([*call.request_received(_in_dialog("CANCEL", 9), 1.0)]) == 481
    assert call.state is CallState.ESTABLISHED


def test_malformed_requests_get_400_and_change_nothing() -> None:
    pair = CallPair().establish()
    call = pair.callee.call
    assert call is not None
    for headers in ((("Contact", "<<"),), (("Session-Expires", "soon"),), (("Supported", "a b"),)):
        assert _status([*call.request_received(_in_dialog("UPDATE", 5, *headers), 1.0)]) == 400
    assert _status([*call.request_received(_in_dialog("BYE", 5).edit().set("To", "<<").done(), 1.0)]) == 400
    assert call.request_received(_in_dialog("ACK", 1).edit().set("To", "<<").done(), 1.0) == []
    assert call.state is CallState.ESTABLISHED


def test_requests_of_other_methods_are_the_owners_in_their_order() -> None:
    pair = CallPair().establish()
    call = pair.callee.call
    assert call is not None
    received = only(Received, call.request_received(_in_dialog("REFER", 7), 1.0))
    assert received.request.method == "REFER"
    assert _status([*call.request_received(_in_dialog("INFO", 6), 1.0)]) == 500
    call.bye(1.0)
    assert _status([*call.request_received(_in_dialog("REFER", 8), 1.0)]) == 481


def test_the_invite_once_more_is_left_to_its_transaction() -> None:
    call = Call.incoming(arrived(make_invite()), "bt", contact="<sip:b@h>", uniform=Tokens("x").uniform)
    assert call.start(0.0) == []
    assert call.request_received(arrived(make_invite()), 0.1) == []


def test_what_makes_no_sense_is_refused_to_the_owner() -> None:
    pair = CallPair()
    caller = pair.caller.call
    assert caller is not None
    for wrong in (caller.ring, lambda now: caller.answer(ANSWER, now), lambda now: caller.refuse(486, now)):
        with pytest.raises(LocalProtocolError):
            wrong(0.0)
    assert not caller.can_offer
    with pytest.raises(LocalProtocolError):
        caller.reinvite(_NEW_OFFER, 0.0)
    with pytest.raises(LocalProtocolError):
        caller.confirm(ANSWER, 0.0)
    with pytest.raises(LocalProtocolError):
        caller.refuse(200, 0.0)
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(ANSWER, 0.0))
    callee = pair.callee.call
    assert callee is not None
    with pytest.raises(LocalProtocolError):
        callee.answer(ANSWER, 0.0)


def test_an_ended_call_passes_over_what_its_owner_still_asks() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.bye(pair.now))
    pair.deliver_all()
    for name in (CALLER, CALLEE):
        call = pair.end(name).call
        assert call is not None
        assert call.is_over
        assert call.reinvite(_NEW_OFFER, 1.0) == call.update(b"", 1.0) == call.bye(1.0) == call.cancel(1.0) == []
        assert call.confirm(ANSWER, 1.0) == call.answer(ANSWER, 1.0) == call.refuse(486, 1.0) == []


def test_invites_that_make_no_dialog_are_refused_at_once() -> None:
    with pytest.raises(SipParseError):
        Call.outgoing(make_invite().edit().remove("Contact").done(), uniform=Tokens("x").uniform)
    for broken in (("Contact", "<<"), ("Session-Expires", "soon"), ("Min-SE", "x"), ("Supported", "a b")):
        invite = arrived(make_invite().edit().set(*broken).done())
        with pytest.raises(SipParseError):
            Call.incoming(invite, "bt", contact="<sip:b@h>", uniform=Tokens("x").uniform)


# --- properties -------------------------------------------------------------------------------------------------------

_OWNER = ("ring", "answer", "refuse", "bye", "cancel", "reinvite", "update", "ask", "confirm", "plain")


def _owner_acts(pair: CallPair, name: str, what: str) -> None:
    """What an owner might do now; he knows of what was Offered, and of the state of his call."""
    call = pair.end(name).call
    if call is None or call.is_released:
        return
    now, state = pair.now, call.state
    can_ring = name == CALLEE and state in (CallState.PREPARATIVE, CallState.EARLY)
    has_offer = bool(pair.end(name).told(Offered)) and state is CallState.ESTABLISHED
    if what == "ring" and can_ring:
        pair.do(name, lambda call: call.ring(now))
    elif what == "answer" and (can_ring or has_offer):
        pair.do(name, lambda call: call.answer(ANSWER, now))
    elif what == "refuse" and (can_ring or has_offer):
        pair.do(name, lambda call: call.refuse(488, now))
    elif what in ("bye", "cancel"):
        pair.do(name, lambda call: call.bye(now))
    elif what in ("reinvite", "update", "ask", "plain") and call.can_offer:
        method = call.update if what in ("update", "plain") else call.reinvite
        pair.do(name, lambda call: method(b"" if what in ("ask", "plain") else _NEW_OFFER, now))
    elif what == "confirm" and state in (CallState.MORATORIUM, CallState.ESTABLISHED) and name == CALLER:
        pair.do(name, lambda call: call.confirm(ANSWER, now))


def _come_to_rest(pair: CallPair) -> None:
    """Owners answer everything; the wire loses nothing any more."""
    until = pair.now + 400
    for _ in range(60):
        pair.deliver_all()
        for name in (CALLER, CALLEE):
            call = pair.end(name).call
            if call is not None and not call.is_over:
                unanswered = call.state in (CallState.PREPARATIVE, CallState.EARLY)
                if name == CALLEE or not unanswered:
                    pair.do(name, lambda call: call.answer(ANSWER, pair.now) if _may_answer(call) else [])
                if name == CALLER and not unanswered:
                    pair.do(name, lambda call: call.confirm(ANSWER, pair.now))
        due = pair.next_deadline()
        if not pair.flights and (due is None or due > until):
            break
        if due is not None and due <= until and not pair.flights:
            pair.fire(due)


def _may_answer(call: Call) -> bool:
    return call.state is not CallState.MORATORIUM


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_both_sides_come_to_the_same_end(data: st.DataObject) -> None:
    pair = CallPair(body=data.draw(st.sampled_from([OFFER, b""])))
    for _ in range(data.draw(st.integers(0, 25))):
        kind = data.draw(st.sampled_from(["deliver", "deliver", "deliver", "lose", "time", "owner", "owner"]))
        if kind == "owner":
            _owner_acts(pair, data.draw(st.sampled_from([CALLER, CALLEE])), data.draw(st.sampled_from(_OWNER)))
        elif kind == "time" and (due := pair.next_deadline()) is not None:
            pair.fire(due)
        elif kind == "deliver" and pair.flights:
            pair.deliver(data.draw(st.integers(0, len(pair.flights) - 1)))
        elif kind == "lose" and (lost := [n for n, flight in enumerate(pair.flights) if flight.can_be_lost]):
            pair.lose(data.draw(st.sampled_from(lost)))
    _come_to_rest(pair)
    assert pair.states in (_ESTABLISHED, _ENDED)
    for end in (pair.caller, pair.callee):
        assert len(those(Ended, end.events)) + len(those(Refused, end.events)) == (pair.states == _ENDED)


_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "UPDATE", "PRACK", "INFO", "REFER")
_VALUES = st.sampled_from(
    [
        "",
        "x",
        "1",
        "90",
        "0",
        "1 2 INVITE",
        "<sip:a@h>",
        "<<",
        "timer",
        "timer, 100rel",
        "SIP;cause=1",
        "1800;refresher=uas",
    ]
)
_FIELDS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("Contact", "Session-Expires", "Min-SE", "Supported", "Require", "Allow", "RSeq", "RAck", "Reason"),
                *("Record-Route", "Retry-After", "Content-Type"),
            ]
        ),
        _VALUES,
    ),
    max_size=4,
)
_TAGS = st.sampled_from(["at", "bt", "ct", ""])


@st.composite
def _any_message(draw: st.DrawFn) -> Request | Response:
    one, other = draw(_TAGS), draw(_TAGS)
    method, number = draw(st.sampled_from(_METHODS)), draw(st.integers(0, 6))
    fields = [
        ("Via", "SIP/2.0/TCP a.example;branch=z9hG4bKx"),
        ("From", "<sip:alice@red.example>" + (f";tag={one}" if one else "")),
        ("To", "<sip:bob@blue.example>" + (f";tag={other}" if other else "")),
        ("Call-ID", draw(st.sampled_from(["c1", "c1", "c2"]))),
        ("CSeq", f"{number} {method}"),
        *draw(_FIELDS),
    ]
    body = draw(st.sampled_from([b"", OFFER, ANSWER]))
    if draw(st.booleans()):
        return Request.new(method, "sip:b@192.0.2.2", fields, body)
    status = draw(st.sampled_from([100, 180, 183, 200, 202, 302, 401, 408, 422, 480, 481, 487, 491, 500, 503, 600]))
    return Response.new(status, headers=fields, body=body)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from([CALLER, CALLEE]),
    st.sampled_from(["new", "early", "established", "bye", "reinvite", "offered"]),
    st.lists(_any_message(), max_size=8),
)
def test_nothing_that_a_peer_sends_raises(name: str, how: str, messages: list[Request | Response]) -> None:
    pair = CallPair(callee=CallConfig())
    pair.deliver_all()
    if how != "new":
        pair.do(CALLEE, lambda call: call.ring(0.0))
        pair.deliver_all()
    if how not in ("new", "early"):
        pair.do(CALLEE, lambda call: call.answer(ANSWER, 0.0))
        pair.deliver_all()
    other = CALLEE if name == CALLER else CALLER
    if how in ("reinvite", "offered"):
        sender = name if how == "reinvite" else other
        pair.do(sender, lambda call: call.reinvite(_NEW_OFFER, 0.0))
        pair.deliver_all()
    if how == "bye":
        pair.do(name, lambda call: call.bye(0.0))
    call = pair.end(name).call
    assert call is not None
    ends = 0
    for number, message in enumerate(messages):
        now = float(number)
        received = isinstance(message, Request)
        outputs = call.request_received(message, now) if received else call.response_received(message, now)  # type: ignore[arg-type]  # told apart
        answered = [output for output in outputs if isinstance(output, Respond) and output.request is message]
        assert len([output for output in answered if output.response.status >= 200]) <= 1
        for output in outputs:
            if isinstance(output, SendRequest | SendAck):
                check(output.request.edit().push("Via", "SIP/2.0/TCP h;branch=z9hG4bK1").done())
        ends += len(those(Ended, outputs)) + len(those(Refused, outputs))
        if (due := call.next_deadline()) is not None and due <= now:
            ends += len(those(Ended, call.handle_deadline(now)))
    assert ends <= 1
    assert (ends == 1) >= (call.is_over and how != "bye")


def test_a_call_over_lossless_links_refreshes_for_a_day() -> None:
    pair = CallPair().establish()
    pair.pass_time(until=86_400)
    assert pair.states == _ESTABLISHED
    assert len(pair.caller.told(Refreshed)) == len(pair.callee.told(Refreshed)) == 96
    assert pair.caller.told(SendCancel) == []
