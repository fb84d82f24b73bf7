"""re-INVITE and UPDATE: offers of both sides, refreshes, peers that do not answer."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_changes import is_silence
from ims_core.wire.sip.call_outputs import (
    CallConfig,
    CallOutput,
    Confirmed,
    Ended,
    EndReason,
    Modified,
    ModifyRefused,
    Offered,
    Refreshed,
    Respond,
    SendAck,
    SendCancel,
    SendRequest,
    Withdrawn,
)
from ims_core.wire.sip.call_table import CallState
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.offer_answer import Description
from ims_core.wire.sip.session_timer import SessionTimerConfig
from ims_core.wire.sip.transaction import cancel_of
from tests.support.call_pair import ANSWER, CALLEE, CALLER, OFFER, CallPair, arrived, make_invite, only, those

_MORE = b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\n"
_ALLOW = "INVITE, ACK, BYE, CANCEL"


def _calling(*headers: tuple[str, str], body: bytes = ANSWER, config: CallConfig | None = None) -> Call:
    """A call of ours that a peer with these headers has answered at 0."""
    call = Call.outgoing(make_invite(), uniform=lambda low, high: (low + high) / 2, config=config or CallConfig())
    call.start(0.0)
    fields = [("Contact", "<sip:b@192.0.2.2>"), *headers]
    answer = Response.to(
        arrived(call.invite), 200, to_tag="bt", headers=fields, body=body, content_type="application/sdp"
    )
    call.response_received(answer, 0.0)
    assert call.state is CallState.ESTABLISHED
    return call


_GRANTED = (("Supported", "timer"), ("Session-Expires", "1800;refresher=uac"))


def _refresh(call: Call) -> Request:
    """What goes out when the next deadline comes."""
    due = call.next_deadline()
    assert due is not None
    return only(SendRequest, call.handle_deadline(due)).request


def _answer(
    call: Call, request: Request, status: int, *headers: tuple[str, str], body: bytes = b"", now: float = 900.0
) -> list[CallOutput]:
    content_type = "application/sdp" if body else None
    response = Response.to(arrived(request), status, headers=headers, body=body, content_type=content_type)
    return call.response_received(response, now)


def _from_peer(method: str, number: int, *headers: tuple[str, str], body: bytes = b"") -> Request:
    fields = [
        ("From", "<sip:bob@blue.example>;tag=bt"),
        ("To", "<sip:alice@red.example>;tag=at"),
        ("Call-ID", "c1"),
        ("CSeq", f"{number} {method}"),
        ("Contact", "<sip:b@192.0.2.22>"),
        *headers,
    ]
    return arrived(Request.new(method, "sip:alice@192.0.2.1", fields, body, "application/sdp" if body else None))


def _status(outputs: list[CallOutput]) -> int:
    return only(Respond, outputs).response.status


# --- refreshes --------------------------------------------------------------------------------------------------------


def test_a_peer_that_allows_update_gets_one_without_an_offer() -> None:
    call = _calling(*_GRANTED, ("Allow", f"{_ALLOW}, UPDATE"))
    update = _refresh(call)
    assert (update.method, update.body) == ("UPDATE", b"")
    assert update.text("Session-Expires") == "1800;refresher=uac"
    assert (update.text("Supported"), update.has("Contact"), update.has("Allow")) == ("timer", True, True)
    assert _answer(call, update, 200, *_GRANTED, ("Contact", "<sip:b@192.0.2.33>")) == [Refreshed()]
    assert call.next_deadline() == 1800.0
    assert call.dialog is not None
    assert str(call.dialog.remote_target) == "sip:b@192.0.2.33"


@pytest.mark.parametrize("allow", [(("Allow", _ALLOW),), ()])
def test_another_one_gets_a_reinvite_with_the_same_description(allow: tuple[tuple[str, str], ...]) -> None:
    call = _calling(*_GRANTED, *allow)
    reinvite = _refresh(call)
    assert (reinvite.method, reinvite.body) == ("INVITE", OFFER)
    outputs = _answer(call, reinvite, 200, *_GRANTED, body=ANSWER)
    assert [type(output) for output in outputs] == [SendAck, Refreshed]
    assert str(only(SendAck, outputs).request.cseq) == "2 ACK"
    assert len(those(SendAck, _answer(call, reinvite, 200, *_GRANTED, body=ANSWER))) == 1


def test_the_owner_may_say_what_a_refresh_offers() -> None:
    call = _calling(*_GRANTED)
    call.refresh_offer = Description(_MORE)
    assert _refresh(call).body == _MORE


def test_a_peer_that_promised_nothing_may_leave_the_update_unanswered() -> None:
    """Real clients, rows 9 and 10."""
    call = _calling()
    for at in (900.0, 1832.0, 2764.0):
        assert call.next_deadline() == at
        update = _refresh(call)
        assert update.method == "UPDATE"
        assert call.request_failed(update, 408, at + 32) == []
    assert call.state is CallState.ESTABLISHED


def test_a_proxy_that_answers_for_a_silent_peer_is_silence_too() -> None:
    assert is_silence(408, None)
    assert is_silence(480, Response.new(480, headers=[("Reason", "SIP;cause=408")]))
    for headers in ((), (("Reason", "SIP;cause=480"),), (("Reason", "Q.850;cause=408"),), (("Reason", "<<"),)):
        assert not is_silence(480, Response.new(480, headers=headers))
    assert not is_silence(503, None)
    assert not is_silence(480, None)
    call = _calling(*_GRANTED)
    outputs = _answer(call, _refresh(call), 480, ("Reason", "SIP;cause=408"))
    assert only(Ended, outputs).reason is EndReason.SILENT


def test_a_refresh_without_an_answer_ends_the_call_of_a_peer_with_session_timers() -> None:
    call = _calling(*_GRANTED, ("Allow", "UPDATE"))
    outputs = call.request_failed(_refresh(call), 408, 932.0)
    assert only(Ended, outputs) == Ended(EndReason.SILENT)
    bye = only(SendRequest, outputs).request
    assert (bye.method, bye.text("Reason")) == ("BYE", 'SIP;cause=408;text="No answer"')


def test_where_silence_is_tolerated_the_call_lives_on_by_update() -> None:
    call = _calling(*_GRANTED, config=CallConfig(session=SessionTimerConfig(tolerates_silence=True)))
    update = _refresh(call)
    assert update.method == "UPDATE"
    assert call.request_failed(update, 408, 932.0) == []
    assert call.state is CallState.ESTABLISHED


def test_a_peer_that_does_not_know_update_gets_a_reinvite_at_once() -> None:
    call = _calling()
    reinvite = only(SendRequest, _answer(call, _refresh(call), 405)).request
    assert (reinvite.method, str(reinvite.cseq)) == ("INVITE", "3 INVITE")
    _answer(call, reinvite, 200, body=ANSWER)
    assert _refresh(call).method == "INVITE"


def test_a_peer_that_has_forgotten_the_call_ends_it() -> None:
    call = _calling()
    assert _answer(call, _refresh(call), 481) == [Ended(EndReason.GONE)]
    assert call.state is CallState.ENDED


@pytest.mark.parametrize("status", [488, 500, 503])
def test_another_failure_of_a_refresh_is_tried_again_until_the_end(status: int) -> None:
    call = _calling(*_GRANTED)
    outputs: list[CallOutput] = []
    tries = 0
    while not call.is_over:
        due = call.next_deadline()
        assert due is not None
        outputs = call.handle_deadline(due)
        for sent in those(SendRequest, outputs):
            if sent.request.method != "BYE":
                tries += 1
                call.request_failed(sent.request, 503, due) if status == 503 else call.response_received(
                    Response.to(arrived(sent.request), status), due
                )
    assert only(Ended, outputs).reason is EndReason.EXPIRED
    assert due == 1768.0
    assert 3 < tries < 12


def test_a_refresh_whose_interval_is_too_small_is_sent_again_with_a_longer_one() -> None:
    call = _calling(*_GRANTED)
    again = only(SendRequest, _answer(call, _refresh(call), 422, ("Min-SE", "3600"))).request
    assert (again.text("Session-Expires"), again.text("Min-SE")) == ("3600;refresher=uac", "3600")


def test_a_refresh_waits_while_an_offer_is_under_way() -> None:
    call = _calling(*_GRANTED)
    only(Offered, call.request_received(_from_peer("INVITE", 1, body=_MORE), 899.0))
    assert call.handle_deadline(900.0) == []
    assert call.next_deadline() == 904.0
    assert _status(call.answer(OFFER, 901.0)) == 200
    assert call.session_timer.interval_s == 1800


def test_refreshes_of_the_peer_are_answered_without_the_owner() -> None:
    pair = CallPair().establish()
    call = pair.callee.call
    assert call is not None
    pair.pass_time(until=1000)
    assert only(Refreshed, pair.callee.events) == Refreshed()
    assert pair.callee.told(Offered) == []


def test_the_offer_that_was_answered_last_is_answered_the_same_way_again() -> None:
    plain = CallConfig(allow=("INVITE", "ACK", "BYE", "CANCEL"))
    pair = CallPair(callee=plain).establish()
    pair.pass_time(until=1000)
    assert [each.request.method for each in pair.caller.told(SendRequest)] == ["INVITE", "INVITE"]
    assert pair.callee.told(Offered) == []
    assert len(pair.callee.told(Confirmed)) == 1
    assert pair.callee.finals[-1].response.body == ANSWER
    assert len(pair.callee.told(Refreshed)) == len(pair.caller.told(Refreshed)) == 1


def test_an_answer_of_the_peer_that_comes_back_as_an_offer_is_the_owners() -> None:
    call = _calling(*_GRANTED)
    assert len(those(Offered, call.request_received(_from_peer("INVITE", 1, body=ANSWER), 1.0))) == 1


def test_an_interval_of_the_peer_that_is_too_small_is_422() -> None:
    call = _calling(*_GRANTED)
    small = (("Session-Expires", "30"), ("Supported", "timer"))
    for number, method in enumerate(("UPDATE", "INVITE"), 1):
        response = only(Respond, call.request_received(_from_peer(method, number, *small), 1.0)).response
        assert (response.status, response.text("Min-SE")) == (422, "90")


# --- offers of ours ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["reinvite", "update"])
def test_an_offer_is_answered(method: str) -> None:
    pair = CallPair().establish()
    pair.do(CALLEE, lambda call: getattr(call, method)(_MORE, pair.now))
    assert not pair.callee.call.can_offer  # type: ignore[union-attr]  # it is there
    pair.deliver_all()
    assert only(Offered, pair.caller.events).request.body == _MORE
    pair.do(CALLER, lambda call: call.answer(ANSWER, pair.now))
    pair.deliver_all()
    assert only(Modified, pair.callee.events).response.body == ANSWER
    for end in (pair.caller, pair.callee):
        assert end.call is not None
        assert end.call.can_offer
        assert {end.call.local_description, end.call.remote_description} == {Description(_MORE), Description(ANSWER)}
    assert len(pair.caller.told(Confirmed)) == (method == "reinvite")


def test_an_offer_that_is_refused_leaves_the_session_as_it_was() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.reinvite(_MORE, pair.now))
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.refuse(488, pair.now))
    pair.deliver_all()
    assert only(ModifyRefused, pair.caller.events).status == 488
    assert pair.states == (CallState.ESTABLISHED, CallState.ESTABLISHED)
    assert pair.caller.call is not None
    assert pair.caller.call.local_description == Description(OFFER)
    assert pair.caller.call.can_offer


def test_a_reinvite_may_ask_for_an_offer() -> None:
    pair = CallPair().establish()
    pair.do(CALLER, lambda call: call.reinvite(b"", pair.now))
    pair.deliver_all()
    pair.do(CALLEE, lambda call: call.answer(_MORE, pair.now))
    pair.deliver_all()
    assert only(Modified, pair.caller.events).needs_answer
    assert _status(pair.do(CALLER, lambda call: call.request_received(_from_peer("INVITE", 9), pair.now))) == 491
    pair.flights.clear()
    pair.do(CALLER, lambda call: call.confirm(ANSWER, pair.now))
    pair.deliver_all()
    confirmed = pair.callee.told(Confirmed)[-1]
    assert confirmed.ack is not None
    assert confirmed.ack.body == ANSWER
    assert pair.callee.call is not None
    assert pair.callee.call.remote_description == Description(ANSWER)


def test_one_change_at_a_time() -> None:
    call = _calling()
    call.reinvite(_MORE, 1.0)
    with pytest.raises(LocalProtocolError):
        call.update(_MORE, 1.0)
    call = _calling()
    call.request_received(_from_peer("UPDATE", 1, body=_MORE), 1.0)
    with pytest.raises(LocalProtocolError):
        call.reinvite(_MORE, 1.0)


def test_an_offer_that_is_not_answered_ends_the_call_unless_it_was_an_update_that_nobody_owed() -> None:
    call = _calling()
    update = only(SendRequest, call.update(_MORE, 1.0)).request
    assert call.request_failed(update, 408, 33.0) == [ModifyRefused(408, None)]
    reinvite = only(SendRequest, call.reinvite(_MORE, 40.0)).request
    assert only(Ended, call.request_failed(reinvite, 408, 72.0)).reason is EndReason.SILENT
    call = _calling(*_GRANTED)
    assert only(Ended, call.request_failed(only(SendRequest, call.update(_MORE, 1.0)).request, 408, 33.0))
    call = _calling(*_GRANTED)
    reinvite = only(SendRequest, call.reinvite(_MORE, 1.0)).request
    assert call.request_failed(reinvite, 503, 1.0) == [ModifyRefused(503, None)]


def test_a_challenge_inside_the_dialog_is_answered() -> None:
    call = Call.outgoing(
        make_invite(),
        uniform=lambda low, high: low,
        authorize=lambda request, _: request.edit().set("Authorization", "Digest x").done(),
    )
    call.start(0.0)
    invite = arrived(call.invite)
    call.response_received(Response.to(invite, 200, to_tag="bt", headers=[("Contact", "<sip:b@h>")], body=ANSWER), 0.0)
    reinvite = only(SendRequest, call.reinvite(_MORE, 1.0)).request
    again = only(SendRequest, _answer(call, reinvite, 407)).request
    assert (str(again.cseq), again.text("Authorization"), again.body) == ("3 INVITE", "Digest x", _MORE)
    outputs = _answer(call, again, 200, body=ANSWER)
    assert only(SendAck, outputs).request.text("Authorization") == "Digest x"
    assert len(those(Modified, outputs)) == 1
    assert str(only(SendRequest, call.update(b"", 2.0)).request.cseq) == "4 UPDATE"


def test_after_glare_the_owner_of_the_call_id_waits_longer() -> None:
    call = _calling()
    reinvite = only(SendRequest, call.reinvite(_MORE, 1.0)).request
    assert _answer(call, reinvite, 491, now=2.0) == []
    assert call.next_deadline() == 2.0 + 3.05
    again = _refresh(call)
    assert (again.body, str(again.cseq)) == (_MORE, "3 INVITE")
    for _ in range(6):
        _answer(call, again, 491, now=10.0)
        again = _refresh(call)
    assert only(ModifyRefused, _answer(call, again, 491)).status == 491
    assert call.can_offer


def test_after_glare_an_offer_of_the_peer_is_let_through_first() -> None:
    call = _calling()
    _answer(call, only(SendRequest, call.reinvite(_MORE, 1.0)).request, 491, now=2.0)
    only(Offered, call.request_received(_from_peer("UPDATE", 1, body=_MORE), 3.0))
    due = call.next_deadline()
    assert due is not None
    assert call.handle_deadline(due) == []
    assert _status(call.answer(ANSWER, due)) == 200
    assert _refresh(call).method == "INVITE"


def test_a_reinvite_that_rings_for_ever_is_cancelled() -> None:
    call = _calling()
    reinvite = only(SendRequest, call.reinvite(_MORE, 1.0)).request
    assert _answer(call, reinvite, 180) == []
    assert call.next_deadline() == 182.0
    outputs = call.handle_deadline(182.0)
    assert outputs == [SendCancel(reinvite), ModifyRefused(408, None)]
    assert [type(output) for output in _answer(call, reinvite, 200, body=ANSWER)] == [SendAck]
    assert call.state is CallState.ESTABLISHED
    assert call.local_description == Description(OFFER)


def test_an_unreadable_contact_leaves_the_target() -> None:
    call = _calling()
    update = only(SendRequest, call.update(b"", 1.0)).request
    assert len(those(Modified, _answer(call, update, 200, ("Contact", "<<")))) == 1
    assert call.dialog is not None
    assert str(call.dialog.remote_target) == "sip:b@192.0.2.2"


# --- offers of the peer -----------------------------------------------------------------------------------------------


def test_offers_against_ours_get_491_and_against_their_own_500() -> None:
    call = _calling()
    call.reinvite(_MORE, 1.0)
    for number, method in enumerate(("INVITE", "UPDATE"), 1):
        assert _status(call.request_received(_from_peer(method, number, body=_MORE), 1.1)) == 491
    assert _status(call.request_received(_from_peer("UPDATE", 3), 1.2)) == 200
    call = _calling()
    call.request_received(_from_peer("INVITE", 1, body=_MORE), 1.0)
    for number, method in enumerate(("INVITE", "UPDATE"), 2):
        response = only(Respond, call.request_received(_from_peer(method, number, body=_MORE), 1.1)).response
        assert (response.status, response.has("Retry-After")) == (500, True)
    assert call.request_received(_from_peer("INVITE", 1, body=_MORE), 1.2) != []


def test_a_pending_reinvite_once_more_is_left_to_its_transaction() -> None:
    call = _calling()
    call.request_received(_from_peer("INVITE", 1, body=_MORE), 1.0)
    assert call.request_received(_from_peer("INVITE", 1, body=_MORE), 1.2) == []
    assert _status(call.answer(ANSWER, 1.3)) == 200


def test_a_reinvite_can_be_cancelled() -> None:
    call = _calling()
    reinvite = _from_peer("INVITE", 1, body=_MORE)
    call.request_received(reinvite, 1.0)
    assert _status(call.request_received(cancel_of(_from_peer("INVITE", 2)), 1.1)) == 481
    outputs = call.request_received(cancel_of(reinvite), 1.2)
    assert [output.response.status for output in those(Respond, outputs)] == [200, 487]
    assert outputs[-1] == Withdrawn(reinvite)
    assert call.answer(ANSWER, 1.3) == []
    assert call.can_offer


def test_a_cancel_after_the_2xx_to_a_reinvite_changes_nothing() -> None:
    call = _calling()
    reinvite = _from_peer("INVITE", 1, body=_MORE)
    call.request_received(reinvite, 1.0)
    call.answer(ANSWER, 1.1)
    assert _status(call.request_received(cancel_of(reinvite), 1.2)) == 200
    assert call.remote_description == Description(_MORE)


def test_a_reinvite_whose_2xx_is_not_acknowledged_ends_the_call() -> None:
    call = _calling()
    call.request_received(_from_peer("INVITE", 1, body=_MORE), 1.0)
    call.answer(ANSWER, 1.0)
    outputs = call.handle_deadline(33.0)
    assert only(Ended, outputs).reason is EndReason.NO_ACK
    assert only(SendRequest, outputs).request.method == "BYE"


def test_the_next_reinvite_stands_for_the_ack_of_the_last() -> None:
    call = _calling()
    call.request_received(_from_peer("INVITE", 1, body=_MORE), 1.0)
    call.answer(ANSWER, 1.0)
    outputs = call.request_received(_from_peer("INVITE", 2, body=OFFER), 1.1)
    assert [type(output) for output in outputs] == [Confirmed, Offered]


def test_a_bodiless_reinvite_gets_our_offer_and_its_ack_the_answer() -> None:
    call = _calling()
    only(Offered, call.request_received(_from_peer("INVITE", 1), 1.0))
    response = only(Respond, call.answer(_MORE, 1.1)).response
    assert response.body == _MORE
    assert _status(call.request_received(_from_peer("UPDATE", 2, body=OFFER), 1.2)) == 491
    ack = _from_peer("ACK", 1, body=ANSWER)
    assert call.request_received(ack, 1.3) == [Confirmed(ack)]
    assert (call.local_description, call.remote_description) == (Description(_MORE), Description(ANSWER))
