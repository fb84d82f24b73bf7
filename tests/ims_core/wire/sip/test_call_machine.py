"""What both ends of a call have in common."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call_machine import reason_header_of
from ims_core.wire.sip.call_outgoing import OutgoingCall
from ims_core.wire.sip.call_outputs import CallConfig, Respond, SendRequest
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.offer_answer import Description
from tests.support.call_pair import CALLER, CallPair, arrived, make_invite, only


def _machine() -> OutgoingCall:
    return OutgoingCall(make_invite(), CallConfig(), Tokens("x").uniform, None)


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ((), None),
        ((("Reason", 'SIP ;cause=200 ;text="Call completed"'),), 'SIP;cause=200;text="Call completed"'),
        ((("Reason", "SIP;cause=1, Q.850;cause=16"), ("Reason", "x")), "SIP;cause=1, Q.850;cause=16, x"),
        ((("Reason", "<<"),), None),
    ],
)
def test_reasons_are_passed_on_as_one_text(headers: tuple[tuple[str, str], ...], text: str | None) -> None:
    assert reason_header_of(Request.new("BYE", "sip:b@h", headers)) == text


def test_there_is_no_request_inside_a_dialog_that_is_not_there() -> None:
    with pytest.raises(LocalProtocolError):
        _machine().send("UPDATE")


def test_glare_names_a_time_only_with_500() -> None:
    machine = _machine()
    update = arrived(Request.new("UPDATE", "sip:a@h", [("Call-ID", "c1"), ("CSeq", "1 UPDATE")]))
    for status, has_time in ((491, False), (500, True)):
        machine.refuse_glare(update, status)
        response = only(Respond, machine.take()).response
        assert (response.status, response.has("Retry-After")) == (status, has_time)


def test_what_is_agreed_stays_until_something_else_is() -> None:
    machine = _machine()
    one, other = Description(b"1"), Description(b"2")
    machine.agree(one, other, is_answer=True)
    machine.agree(None, None, is_answer=False)
    assert (machine.local, machine.remote, machine.is_local_answer) == (one, other, False)
    assert machine.refresh_offer is one


def test_allow_of_the_peer_is_remembered_and_a_broken_one_is_not() -> None:
    machine = _machine()
    machine.note_peer(Response.new(200, headers=[("Allow", "INVITE,UPDATE"), ("Allow", "BYE")]))
    assert machine.peer_allow == {"INVITE", "UPDATE", "BYE"}
    machine.note_peer(Response.new(200, headers=[("Allow", "a b")]))
    machine.note_peer(Response.new(200))
    assert machine.peer_allow == {"INVITE", "UPDATE", "BYE"}


def test_a_response_that_lost_its_tag_finds_its_request() -> None:
    pair = CallPair().establish()
    bye = only(SendRequest, pair.do(CALLER, lambda call: call.bye(1.0))).request
    response = Response.to(arrived(bye), 200).edit().set("To", "<sip:bob@blue.example>").done()
    call = pair.caller.call
    assert call is not None
    call.response_received(response, 1.0)
    assert call.state.name == "ENDED"
