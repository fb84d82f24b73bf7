"""Calls of ours: forks, challenges, 422, PRACK, CANCEL, late answers."""

from __future__ import annotations

import pytest

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import (
    Answered,
    CallConfig,
    CallOutput,
    Ended,
    EndReason,
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
from ims_core.wire.sip.dialog import MAX_FORKS
from ims_core.wire.sip.message import HeaderInput, Request, Response
from ims_core.wire.sip.session_timer import SessionTimerConfig
from tests.support.call_pair import ANSWER, OFFER, arrived, make_invite, only, those

_ROUTES = ("<sip:p2.example;lr>", "<sip:192.0.2.9:5060;lr;x=y>")


def _call(
    *headers: tuple[str, str], body: bytes = OFFER, config: CallConfig | None = None, knows_password: bool = False
) -> Call:
    call = Call.outgoing(
        make_invite(*headers, body=body),
        uniform=Tokens("x").uniform,
        config=config or CallConfig(),
        authorize=_authorize if knows_password else None,
    )
    assert only(SendRequest, call.start(0.0)).request is call.invite
    return call


def _authorize(request: Request, challenge: Response) -> Request | None:
    return request.edit().set("Authorization", "Digest x").set("CSeq", f"99 {request.method}").done()


def _answer(
    request: Request,
    status: int,
    *headers: HeaderInput,
    tag: str = "bt",
    body: bytes = b"",
    contact: str | None = "<sip:b@192.0.2.2>",
) -> Response:
    request = request if request.has("Via") else arrived(request)
    fields = [*headers, *([("Contact", contact)] if contact else [])]
    return Response.to(
        request, status, to_tag=tag, headers=fields, body=body, content_type="application/sdp" if body else None
    )


def _answered(call: Call, *headers: HeaderInput) -> list[CallOutput]:
    return call.response_received(_answer(call.invite, 200, *headers, body=ANSWER), 1.0)


def test_what_is_missing_in_the_invite_is_added() -> None:
    invite = _call().invite
    assert (invite.text("Supported"), invite.text("Session-Expires"), invite.text("Min-SE")) == ("timer", "1800", None)
    assert invite.text("Allow") == "INVITE, ACK, CANCEL, BYE, UPDATE, PRACK"
    invite = _call(("Supported", "gruu"), ("Session-Expires", "600;refresher=uac"), ("Allow", "INVITE, BYE")).invite
    assert invite.texts("Supported") == ("gruu", "timer")
    assert (invite.text("Session-Expires"), invite.text("Allow")) == ("600;refresher=uac", "INVITE, BYE")
    assert invite.body == OFFER
    config = CallConfig(session=SessionTimerConfig(interval_s=900, min_se_s=300))
    invite = _call(("k", "timer"), config=config).invite
    assert invite.texts("Supported") == ("timer",)
    assert (invite.text("Session-Expires"), invite.text("Min-SE")) == ("900", "300")


def test_a_100_says_nothing_and_other_provisional_responses_ring() -> None:
    call = _call()
    assert call.response_received(_answer(call.invite, 100, tag=""), 0.1) == []
    assert call.state is CallState.EARLY
    ringing = only(Ringing, call.response_received(_answer(call.invite, 183), 0.2))
    assert ringing.response.status == 183
    assert call.dialog is None


def test_the_ack_follows_the_route_set_and_carries_the_credentials() -> None:
    config = CallConfig(headers=(("User-Agent", "x/1"), ("P-Access-Network-Info", "3GPP-E-UTRAN-FDD")))
    call = _call(("Proxy-Authorization", "Digest y"), config=config)
    outputs = _answered(call, *(("Record-Route", route) for route in _ROUTES))
    assert [type(output) for output in outputs] == [SendAck, Answered]
    ack = only(SendAck, outputs).request
    assert str(ack.cseq) == "1 ACK"
    assert ack.request_uri_text == "sip:b@192.0.2.2"
    assert ack.texts("Route") == _ROUTES[::-1]
    assert (ack.text("Proxy-Authorization"), ack.text("User-Agent")) == ("Digest y", "x/1")
    assert not ack.has("P-Access-Network-Info")
    bye = only(SendRequest, call.bye(2.0)).request
    assert bye.has("P-Access-Network-Info")
    assert (str(bye.cseq), bye.text("Reason")) == ("2 BYE", None)


@pytest.mark.parametrize("status", [302, 404, 486, 500, 603])
def test_a_failure_refuses_the_call_once(status: int) -> None:
    call = _call()
    response = _answer(call.invite, status)
    assert call.response_received(response, 1.0) == [Refused(status, response)]
    assert call.response_received(response, 1.1) == []
    assert call.bye(1.2) == []
    assert call.handle_deadline(33.0) == [Released()]


@pytest.mark.parametrize("status", [408, 503])
def test_no_answer_at_all_counts_as_its_status(status: int) -> None:
    call = _call()
    assert call.request_failed(call.invite, status, 32.0) == [Refused(status, None)]
    assert call.state is CallState.ENDED


def test_a_2xx_that_makes_no_dialog_is_a_failure() -> None:
    call = _call()
    assert call.response_received(_answer(call.invite, 180, contact="<<"), 0.5) == []
    response = _answer(call.invite, 200, contact="<<")
    assert call.response_received(response, 1.0) == [Refused(500, response)]


# --- forks ------------------------------------------------------------------------------------------------------------


def test_of_several_answers_the_first_is_kept_and_the_others_get_bye() -> None:
    call = _call()
    for tag in ("t1", "t2"):
        call.response_received(_answer(call.invite, 180, tag=tag), 0.5)
    call.response_received(_answer(call.invite, 200, tag="t2", body=ANSWER), 1.0)
    late = _answer(call.invite, 200, tag="t3", body=ANSWER, contact="<sip:c@192.0.2.3>")
    outputs = call.response_received(late, 1.1)
    assert [type(output) for output in outputs] == [SendAck, SendRequest]
    ack, bye = only(SendAck, outputs).request, only(SendRequest, outputs).request
    assert ack.request_uri_text == bye.request_uri_text == "sip:c@192.0.2.3"
    assert (bye.method, bye.text("To")) == ("BYE", "<sip:bob@blue.example>;tag=t3")
    assert call.response_received(late, 1.6) == [SendAck(ack)]
    assert call.response_received(_answer(bye, 200, tag="t3"), 1.7) == []
    assert call.state is CallState.ESTABLISHED
    assert call.dialog is not None
    assert call.dialog.id.remote_tag == "t2"


def test_the_peer_may_end_a_fork_before_we_do() -> None:
    call = _call()
    _answered(call)
    call.response_received(_answer(call.invite, 200, tag="t3"), 1.1)
    fields = [("From", "<sip:bob@blue.example>;tag=t3"), ("To", "<sip:alice@red.example>;tag=at"), ("Call-ID", "c1")]
    for method, status in (("UPDATE", 481), ("BYE", 200)):
        request = Request.new(method, "sip:a@h", [*fields, ("CSeq", f"1 {method}")])
        assert only(Respond, call.request_received(request, 1.2)).response.status == status
    assert call.state is CallState.ESTABLISHED


def test_endless_forks_are_passed_over() -> None:
    call = _call()
    _answered(call)
    for number in range(2 * MAX_FORKS):
        outputs = call.response_received(_answer(call.invite, 200, tag=f"t{number}"), 1.1)
        assert bool(outputs) == (number < MAX_FORKS - 1)


def test_a_2xx_after_the_end_still_gets_ack_and_bye_until_the_call_is_released() -> None:
    call = _call()
    call.request_failed(call.invite, 408, 32.0)
    outputs = call.response_received(_answer(call.invite, 200, body=ANSWER), 40.0)
    assert [type(output) for output in outputs] == [SendAck, SendRequest]
    assert call.next_deadline() == 72.0
    assert call.handle_deadline(72.0) == [Released()]
    assert call.response_received(_answer(call.invite, 200, tag="t9", body=ANSWER), 80.0) == []


# --- CANCEL -----------------------------------------------------------------------------------------------------------


def test_cancel_waits_for_a_provisional_response() -> None:
    call = _call()
    assert call.cancel(0.5, reason=Reason.of(480)) == [Ended(EndReason.HUNG_UP)]
    cancel = only(SendCancel, call.response_received(_answer(call.invite, 100, tag=""), 0.6))
    assert (cancel.invite, cancel.headers) == (call.invite, (Reason.of(480),))
    assert call.state is CallState.CANCELLING
    assert call.response_received(_answer(call.invite, 487), 0.7) == []
    assert call.state is CallState.ENDED


def test_a_cancelled_call_without_any_answer_ends_after_64_t1() -> None:
    call = _call()
    call.response_received(_answer(call.invite, 180), 0.1)
    only(SendCancel, call.cancel(1.0))
    assert call.next_deadline() == 33.0
    assert call.handle_deadline(33.0) == []
    assert call.state is CallState.ENDED
    assert call.handle_deadline(65.0) == [Released()]


def test_a_2xx_instead_of_the_487_gets_ack_and_bye_with_the_reason() -> None:
    call = _call()
    call.response_received(_answer(call.invite, 180), 0.1)
    call.cancel(1.0, reason="SIP;cause=200")
    outputs = _answered(call)
    assert [type(output) for output in outputs] == [SendAck, SendRequest]
    bye = only(SendRequest, outputs).request
    assert bye.text("Reason") == "SIP;cause=200"
    assert call.state is CallState.MORTAL
    assert call.response_received(_answer(bye, 200), 2.0) == []
    assert call.state is CallState.ENDED


def test_a_call_that_waits_for_the_owners_answer_can_be_ended() -> None:
    call = _call(body=b"")
    outputs = call.response_received(_answer(call.invite, 200, body=OFFER), 1.0)
    assert [type(output) for output in outputs] == [Answered]
    assert call.response_received(_answer(call.invite, 200, body=OFFER), 1.5) == []
    outputs = call.bye(2.0)
    assert [type(output) for output in outputs] == [SendAck, SendRequest, Ended]
    assert only(SendAck, outputs).request.body == b""


def test_a_bye_of_an_early_callee_ends_the_call() -> None:
    call = _call()
    call.response_received(_answer(call.invite, 180), 0.1)
    fields = [("From", "<sip:bob@blue.example>;tag=bt"), ("To", "<sip:alice@red.example>;tag=at"), ("Call-ID", "c1")]
    outputs = call.request_received(Request.new("BYE", "sip:a@h", [*fields, ("CSeq", "1 BYE")]), 0.5)
    assert [type(output) for output in outputs] == [Respond, SendCancel, Ended]
    assert only(Ended, outputs).reason is EndReason.PEER_HUNG_UP


# --- the INVITE again -------------------------------------------------------------------------------------------------


def test_a_challenge_is_answered_with_the_next_number() -> None:
    call = _call(knows_password=True)
    call.response_received(_answer(call.invite, 100, tag=""), 0.1)
    again = only(SendRequest, call.response_received(_answer(call.invite, 407), 0.5)).request
    assert again is call.invite
    assert (str(again.cseq), again.text("Authorization")) == ("2 INVITE", "Digest x")
    assert call.state is CallState.PREPARATIVE
    ack = only(SendAck, _answered(call)).request
    assert (str(ack.cseq), ack.text("Authorization")) == ("2 ACK", "Digest x")
    bye = only(SendRequest, call.bye(2.0)).request
    assert str(bye.cseq) == "3 BYE"
    again = only(SendRequest, call.response_received(_answer(bye, 401), 2.1)).request
    assert (str(again.cseq), again.text("Authorization")) == ("4 BYE", "Digest x")
    assert call.state is CallState.MORTAL
    call.response_received(_answer(again, 200), 2.2)
    assert call.state is CallState.ENDED


def test_challenges_without_end_refuse_the_call() -> None:
    call = _call(knows_password=True)
    for _ in range(2):
        only(SendRequest, call.response_received(_answer(call.invite, 401), 0.5))
    assert only(Refused, call.response_received(_answer(call.invite, 401), 0.6)).status == 401
    assert only(Refused, (plain := _call()).response_received(_answer(plain.invite, 401), 0.5)).status == 401


def test_a_challenge_to_a_cancelled_invite_is_its_end() -> None:
    call = _call(knows_password=True)
    call.cancel(0.1)
    assert call.response_received(_answer(call.invite, 401), 0.5) == []
    assert call.state is CallState.ENDED


def test_422_asks_again_with_a_longer_interval() -> None:
    call = _call(("Session-Expires", "600;refresher=uac"))
    for number, least in ((2, 900), (3, 1200), (4, 3600)):
        again = only(
            SendRequest, call.response_received(_answer(call.invite, 422, ("Min-SE", str(least))), 0.5)
        ).request
        assert str(again.cseq) == f"{number} INVITE"
        assert (again.text("Session-Expires"), again.text("Min-SE")) == (str(least), str(least))
        assert again.texts("Supported") == ("timer",)
    assert only(Refused, call.response_received(_answer(call.invite, 422, ("Min-SE", "7200")), 0.9)).status == 422


def test_422_without_a_use_refuses_the_call() -> None:
    call = _call()
    assert only(Refused, call.response_received(_answer(call.invite, 422), 0.5)).status == 422


# --- reliable provisional responses -----------------------------------------------------------------------------------


def _reliable(call: Call, number: int, status: int = 183, tag: str = "bt") -> list[CallOutput]:
    headers = (("Require", "100rel"), ("RSeq", str(number)))
    return call.response_received(_answer(call.invite, status, *headers, tag=tag), 0.5)


def test_a_reliable_provisional_response_gets_its_prack_once() -> None:
    call = _call()
    outputs = _reliable(call, 10)
    prack = only(SendRequest, outputs).request
    assert (prack.method, prack.text("RAck"), str(prack.cseq)) == ("PRACK", "10 1 INVITE", "2 PRACK")
    assert len(those(Ringing, outputs)) == 1
    assert _reliable(call, 10) == []
    assert _reliable(call, 12) == []
    assert only(SendRequest, _reliable(call, 11)).request.text("RAck") == "11 1 INVITE"
    assert only(SendRequest, _reliable(call, 700, tag="t2")).request.text("RAck") == "700 1 INVITE"
    assert call.response_received(_answer(prack, 481), 0.7) == []
    assert call.request_failed(prack, 408, 0.7) == []
    assert call.state is CallState.EARLY


def test_a_peer_that_only_supports_it_gets_no_prack() -> None:
    call = _call()
    outputs = call.response_received(_answer(call.invite, 180, ("Supported", "100rel"), ("RSeq", "1")), 0.5)
    assert [type(output) for output in outputs] == [Ringing]
    assert call.response_received(_answer(call.invite, 183, ("Require", "100rel")), 0.6) == []
