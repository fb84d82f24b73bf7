"""Calls of the peer: ringing, the 2xx, refusals, CANCEL, reliable provisional responses, the session interval."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    CallConfig,
    CallOutput,
    Confirmed,
    Ended,
    EndReason,
    Refreshed,
    Released,
    Respond,
    SendRequest,
)
from ims_core.wire.sip.call_table import CallState
from ims_core.wire.sip.core_headers import RSeq
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.session_timer import SessionTimerConfig
from ims_core.wire.sip.transaction import cancel_of
from tests.support.call_pair import ANSWER, OFFER, arrived, make_invite, only

_CONTACT = "<sip:bob@192.0.2.2>;+g.gsma.rcs.msgrevoke"
_ROUTES = ("<sip:p1.example;lr>", "<sip:p2.example;lr>")


def _call(*headers: tuple[str, str], config: CallConfig | None = None, body: bytes = OFFER) -> Call:
    invite = arrived(make_invite(*headers, body=body))
    call = Call.incoming(invite, "bt", contact=_CONTACT, uniform=Tokens("x").uniform, config=config or CallConfig())
    assert call.start(0.0) == []
    return call


def _request(method: str, number: int, *headers: tuple[str, str], body: bytes = b"") -> Request:
    fields = [
        ("Max-Forwards", "70"),
        ("From", "<sip:alice@red.example>;tag=at"),
        ("To", "<sip:bob@blue.example>;tag=bt"),
        ("Call-ID", "c1"),
        ("CSeq", f"{number} {method}"),
        *headers,
    ]
    return arrived(Request.new(method, "sip:bob@192.0.2.2", fields, body, "application/sdp" if body else None))


def _response(outputs: list[CallOutput]) -> Response:
    return only(Respond, outputs).response


def test_responses_that_make_a_dialog_have_all_it_needs() -> None:
    config = CallConfig(response_headers=(("Server", "x/1"),))
    call = _call(*(("Record-Route", route) for route in _ROUTES), ("Supported", "timer"), config=config)
    for response in (
        _response(call.ring(1.0, headers=(("Alert-Info", "<urn:alert:x>"),))),
        _response(call.answer(ANSWER, 2.0, headers=(("P-Asserted-Identity", "<sip:bob@blue.example>"),))),
    ):
        assert response.texts("Record-Route") == _ROUTES
        assert response.text("Contact") == _CONTACT
        assert response.text("To") == "<sip:bob@blue.example>;tag=bt"
        assert response.text("Server") == "x/1"
    assert response.text("Session-Expires") == "1800;refresher=uac"
    assert (response.text("Require"), response.text("Supported")) == ("timer", "timer")
    assert response.has("Allow")
    assert response.has("P-Asserted-Identity")
    assert response.body == ANSWER


def test_a_caller_without_the_extension_is_not_asked_for_it() -> None:
    response = _response(_call().answer(ANSWER, 0.0))
    assert (response.text("Require"), response.text("Session-Expires")) == (None, "1800;refresher=uas")


def test_a_phone_that_rings_long_says_so_each_minute() -> None:
    call = _call()
    ringing = _response(call.ring(0.0))
    assert call.next_deadline() == 60.0
    assert _response(call.handle_deadline(60.0)) is ringing
    assert call.next_deadline() == 120.0
    with pytest.raises(LocalProtocolError):
        call.ring(61.0, status=100)


def test_a_session_interval_that_is_too_small_is_refused_at_once() -> None:
    invite = arrived(make_invite(("Session-Expires", "60"), ("Supported", "timer")))
    call = Call.incoming(invite, "bt", contact=_CONTACT, uniform=Tokens("x").uniform)
    outputs = call.start(0.0)
    response = _response(outputs)
    assert (response.status, response.text("Min-SE")) == (422, "90")
    assert outputs[1:] == [Ended(EndReason.REFUSED)]
    assert call.ring(1.0) == call.answer(ANSWER, 1.0) == []


def test_hanging_up_before_the_answer_refuses() -> None:
    outputs = _call().bye(1.0)
    assert _response(outputs).status == 480
    assert only(Ended, outputs).reason is EndReason.HUNG_UP
    assert _response(_call().refuse(603, 1.0, headers=(("Warning", '399 h "no"'),))).has("Warning")


def test_cancel_ends_what_is_not_answered() -> None:
    call = _call()
    cancel = cancel_of(call.invite, (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),))
    outputs = call.request_received(cancel, 1.0)
    responses = [output.response for output in outputs if isinstance(output, Respond)]
    assert [response.status for response in responses] == [200, 487]
    assert {response.text("To") for response in responses} == {"<sip:bob@blue.example>;tag=bt"}
    assert outputs[-1] == Ended(EndReason.CANCELLED, 'SIP;cause=200;text="Call completed elsewhere"')
    assert call.answer(ANSWER, 1.1) == []


def test_cancel_after_the_answer_changes_nothing() -> None:
    call = _call()
    invite = call.invite
    call.answer(ANSWER, 1.0)
    assert _response(call.request_received(cancel_of(invite), 1.1)).status == 200
    assert call.state is CallState.MORATORIUM
    call.request_received(_request("ACK", 1), 1.2)
    assert _response(call.request_received(cancel_of(invite), 1.3)).status == 200
    assert call.state is CallState.ESTABLISHED


def test_a_bye_before_the_answer_ends_the_invite_with_487() -> None:
    call = _call()
    call.ring(0.5)
    outputs = call.request_received(_request("BYE", 2, ("Reason", "broken reason")), 1.0)
    assert [output.response.status for output in outputs if isinstance(output, Respond)] == [200, 487]
    assert outputs[-1] == Ended(EndReason.PEER_HUNG_UP)


def test_offers_before_the_answer_are_refused_and_refreshes_of_the_target_are_not() -> None:
    call = _call()
    call.ring(0.5)
    for method in ("INVITE", "UPDATE"):
        response = _response(call.request_received(_request(method, 2, body=OFFER), 1.0))
        assert response.status == 500
        assert 0 <= int(response.text("Retry-After") or "x") <= 10
    outputs = call.request_received(_request("UPDATE", 3, ("Contact", "<sip:alice@192.0.2.77>")), 1.0)
    assert _response(outputs).status == 200
    assert not _response(outputs).has("Session-Expires")
    assert Refreshed() not in outputs
    assert call.dialog is not None
    assert str(call.dialog.remote_target) == "sip:alice@192.0.2.77"


def test_only_the_ack_of_this_invite_confirms() -> None:
    call = _call()
    call.answer(ANSWER, 1.0)
    assert call.request_received(_request("ACK", 2), 1.1) == []
    ack = _request("ACK", 1)
    assert call.request_received(ack, 1.2) == [Confirmed(ack)]
    assert call.request_received(ack, 1.3) == []
    assert call.next_deadline() is not None


def test_a_new_invite_shows_that_the_answer_has_come() -> None:
    call = _call()
    call.answer(ANSWER, 1.0)
    outputs = call.request_received(_request("INVITE", 2, body=ANSWER), 1.1)
    assert outputs[0] == Confirmed(None)
    assert call.state is CallState.ESTABLISHED


def test_but_not_where_its_ack_has_to_bring_an_answer() -> None:
    call = _call(body=b"")
    call.answer(OFFER, 1.0)
    for method in ("INVITE", "UPDATE"):
        assert _response(call.request_received(_request(method, 2, body=ANSWER), 1.1)).status == 491
    assert call.state is CallState.MORATORIUM


# --- reliable provisional responses -----------------------------------------------------------------------------------


def test_ringing_is_reliable_if_the_invite_requires_it() -> None:
    call = _call(("Require", "100rel"))
    ringing = _response(call.ring(0.0))
    number = ringing.require(RSeq).number
    assert 1 <= number < 2**31
    assert ringing.text("Require") == "100rel"
    assert _response(call.handle_deadline(0.5)) is ringing
    assert call.ring(0.6, status=181) == []
    assert _response(call.request_received(_request("PRACK", 2, ("RAck", f"{number + 1} 1 INVITE")), 0.7)).status == 481
    offer = _request("PRACK", 3, ("RAck", f"{number} 1 INVITE"), body=OFFER)
    assert _response(call.request_received(offer, 0.7)).status == 488
    outputs = call.request_received(_request("PRACK", 4, ("RAck", f"{number} 1 INVITE")), 0.8)
    assert [(each.response.status, each.request.method) for each in outputs if isinstance(each, Respond)] == [
        (200, "PRACK"),
        (181, "INVITE"),
    ]
    assert _response(call.request_received(_request("PRACK", 5), 0.9)).status == 400


def test_a_caller_that_only_supports_it_rings_plainly() -> None:
    call = _call(("Supported", "100rel, timer"))
    assert not _response(call.ring(0.0)).has("RSeq")


def test_without_a_prack_the_call_is_refused() -> None:
    call = _call(("Require", "100rel"))
    call.ring(0.0)
    outputs: list[CallOutput] = []
    while not call.is_over:
        due = call.next_deadline()
        assert due is not None
        outputs = call.handle_deadline(due)
    assert (_response(outputs).status, only(Ended, outputs).reason) == (500, EndReason.NO_PRACK)


def test_the_answer_does_not_wait_for_the_prack() -> None:
    call = _call(("Require", "100rel"))
    number = _response(call.ring(0.0)).require(RSeq).number
    assert _response(call.answer(ANSWER, 0.1)).status == 200
    assert call.next_deadline() == 0.6
    assert _response(call.request_received(_request("PRACK", 2, ("RAck", f"{number} 1 INVITE")), 0.2)).status == 481


# --- the end ----------------------------------------------------------------------------------------------------------


def test_a_call_without_ack_says_bye_with_a_reason() -> None:
    call = _call()
    call.answer(ANSWER, 0.0)
    outputs = call.handle_deadline(32.0)
    assert only(Ended, outputs).reason is EndReason.NO_ACK
    assert only(SendRequest, outputs).request.text("Reason") == 'SIP;cause=408;text="No ACK"'
    assert call.state is CallState.MORTAL
    assert call.request_failed(only(SendRequest, outputs).request, 408, 64.0) == []
    assert call.state is CallState.ENDED
    assert call.handle_deadline(96.0) == [Released()]
    assert _response(call.request_received(_request("BYE", 9), 97.0)).status == 481


def test_a_bye_whose_outcome_nobody_tells_is_over_some_time() -> None:
    call = _call()
    call.answer(ANSWER, 0.0)
    call.request_received(_request("ACK", 1), 0.1)
    call.bye(1.0)
    assert call.next_deadline() == 97.0
    assert call.handle_deadline(97.0) == []
    assert call.handle_deadline(129.0) == [Released()]


def test_a_session_that_the_caller_does_not_refresh_ends() -> None:
    call = _call(("Session-Expires", "90"), ("Supported", "timer"))
    call.answer(ANSWER, 0.0)
    call.request_received(_request("ACK", 1), 0.1)
    outputs = call.handle_deadline(60.0)
    assert only(Ended, outputs).reason is EndReason.EXPIRED
    assert only(SendRequest, outputs).request.text("Reason") == 'SIP;cause=408;text="Session timer expired"'


def test_where_silence_is_tolerated_it_lives_on() -> None:
    config = CallConfig(session=SessionTimerConfig(tolerates_silence=True))
    call = _call(("Session-Expires", "1800"), ("Supported", "timer"), config=config)
    call.answer(ANSWER, 0.0)
    call.request_received(_request("ACK", 1), 0.1)
    refreshes = 0
    while (due := call.next_deadline()) is not None and due < 86_400:
        for output in call.handle_deadline(due):
            assert isinstance(output, SendRequest)
            refreshes += 1
            assert output.request.method == "UPDATE"
            assert call.request_failed(output.request, 408, due + 32) == []
    assert call.state is CallState.ESTABLISHED
    assert 80 < refreshes < 100
