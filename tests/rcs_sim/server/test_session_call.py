from __future__ import annotations

from ims_core.transport.tokens import Tokens
from ims_core.wire.sip.call import Call
from ims_core.wire.sip.call_outputs import Confirmed, Ended, Released
from ims_core.wire.sip.message import Request, Response
from rcs_sim.server.messaging_actions import (
    Action,
    Deadlines,
    Exchange,
    Outbox,
    Release,
    Respond,
    RespondInCall,
    SendAck,
    SendCancel,
    SendInCall,
)
from rcs_sim.server.session_call import CallBook, CallEvent, SessionCall
from tests.rcs_sim.server.messaging_lab import message

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


class User:
    def __init__(self) -> None:
        self.events: list[CallEvent] = []

    def call_event(self, event: CallEvent, now: float) -> None:
        self.events.append(event)


class Rig:
    def __init__(self) -> None:
        self.book, self.outbox, self.deadlines, self.user = CallBook(), Outbox(), Deadlines(), User()
        self.tokens = Tokens("call")
        self.invite = message(
            SDP, method="INVITE", content_type="application/sdp", headers=(("Contact", "<sip:a@192.0.2.1>"),)
        )

    def incoming(self) -> SessionCall:
        call = Call.incoming(self.invite, "mine", contact="<sip:pf@h>", uniform=self.tokens.uniform)
        made = SessionCall(self.book, self.outbox, self.deadlines, call, self.user)
        made.begin(Exchange(1), 0.0)
        return made

    def outgoing(self) -> SessionCall:
        call = Call.outgoing(self.invite.edit().remove("Via").done(), uniform=self.tokens.uniform)
        made = SessionCall(self.book, self.outbox, self.deadlines, call, self.user)
        made.run(call.start(0.0), 0.0)
        return made

    def take(self) -> list[Action]:
        return self.outbox.take(0.0)


def in_dialog(rig: Rig, method: str, cseq: int) -> Request:
    to = f"{rig.invite.text('To')};tag=mine"
    return rig.invite.edit().set("To", to).set("CSeq", f"{cseq} {method}").body(b"").done().edit().done()


def as_method(request: Request, method: str) -> Request:
    fields = [(name, text) for name in ("Via", "From", "To", "Call-ID", "CSeq") for text in request.texts(name)]
    return Request.new(method, request.request_uri_text, [("Max-Forwards", "70"), *fields])


def test_a_2xx_keeps_its_exchange_and_is_repeated_until_the_ack_comes() -> None:
    rig = Rig()
    call = rig.incoming()
    assert rig.book.of_invite(Exchange(1)) is call
    call.run(call.call.answer(SDP, 0.0), 0.0)
    (first,) = rig.take()
    assert isinstance(first, RespondInCall)
    assert first.response.status == 200
    rig.deadlines.fire(0.6)
    (again,) = rig.take()
    assert again == first
    ack = as_method(in_dialog(rig, "ACK", 1), "ACK")
    assert rig.book.of_request(ack) is call
    call.acknowledge(ack, 1.0)
    assert rig.take() == [Release(Exchange(1))]
    assert rig.book.of_invite(Exchange(1)) is None
    assert any(isinstance(event, Confirmed) for event in rig.user.events)


def test_a_refusal_ends_its_exchange_and_the_call_is_dropped_at_last() -> None:
    rig = Rig()
    call = rig.incoming()
    call.run(call.call.refuse(486, 0.0), 0.0)
    (answer,) = rig.take()
    assert isinstance(answer, RespondInCall)
    assert answer.response.status == 486
    assert rig.book.of_invite(Exchange(1)) is None
    rig.deadlines.fire(100.0)
    assert len(rig.book) == 0
    assert isinstance(rig.user.events[-1], Released)
    assert rig.deadlines.next() is None


def test_a_request_that_came_before_by_another_way_is_482() -> None:
    rig = Rig()
    call = rig.incoming()
    again = as_method(rig.invite, "INVITE")
    call.request(Exchange(2), again, 0.0)
    assert rig.take() == [Respond(Exchange(2), 482)]


def test_bye_is_answered_and_told() -> None:
    rig = Rig()
    call = rig.incoming()
    call.run(call.call.answer(SDP, 0.0), 0.0)
    call.acknowledge(as_method(in_dialog(rig, "ACK", 1), "ACK"), 0.1)
    rig.take()
    call.request(Exchange(3), as_method(in_dialog(rig, "BYE", 2), "BYE"), 0.2)
    (answer,) = rig.take()
    assert isinstance(answer, RespondInCall)
    assert (answer.exchange, answer.response.status) == (Exchange(3), 200)
    assert any(isinstance(event, Ended) for event in rig.user.events)
    assert call.is_over


def test_what_a_call_of_ours_sends_is_sent_and_its_answers_come_back() -> None:
    rig = Rig()
    call = rig.outgoing()
    (sent,) = rig.take()
    assert isinstance(sent, SendInCall)
    trying = Response.to(sent.request, 180, to_tag="b1", headers=(("Contact", "<sip:b@192.0.2.2>"),))
    sent.errand.progressed(trying.edit().push("Via", "SIP/2.0/TCP h;branch=z9hG4bK1").done(), 0.1)
    call.run(call.call.cancel(0.2), 0.2)
    (cancel,) = rig.take()
    assert cancel == SendCancel(sent.request, ())
    late = Response.to(sent.request, 200, to_tag="b1", headers=(("Contact", "<sip:b@192.0.2.2>"),))
    late = late.edit().push("Via", "SIP/2.0/TCP h;branch=z9hG4bK1").done()
    assert rig.book.of_response(late) is call
    sent.errand.finished(200, late, 0.3)
    ack, bye = rig.take()
    assert isinstance(ack, SendAck)
    assert isinstance(bye, SendInCall)
    assert bye.request.method == "BYE"


def test_the_contact_of_a_response_can_change() -> None:
    rig = Rig()
    call = rig.incoming()
    call.contact = "<sip:other@h>;+g.gsma.rcs.msgfallback"
    call.run(call.call.answer(SDP, 0.0), 0.0)
    (answer,) = rig.take()
    assert isinstance(answer, RespondInCall)
    assert answer.response.texts("Contact") == (call.contact,)


def test_numbers_of_contacts_differ() -> None:
    book = CallBook()
    assert book.next_number() != book.next_number()
