"""Playbook of the IP-SM-GW: requests and frames in, exact outputs out."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.nodes.ipsmgw_actions import Action, IpSmGwConfig, Note, Respond, SendMessage, SendToSmsc
from ims_core.nodes.ipsmgw_core import IpSmGateway
from ims_core.nodes.third_party_register import third_party_register
from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sms.address import Address as SmsAddress
from ims_core.wire.sms.rpdu import Direction, RpAck, RpCause, RpData, RpError, RpSmma, parse_rpdu
from ims_core.wire.sms.sm_link import (
    AlertReason,
    Failure,
    Forward,
    ForwardKind,
    Party,
    Result,
    SmAlert,
    SmError,
    SmLinkMessage,
)
from tests.ims_core.wire.sms.test_sm_link import messages
from tests.support.short_messages import ALICE, BOB, CAROL, Directory, rp_ack, rp_error, rp_submit

NOW = 1772446684.0
SCSCF, MESSAGING_SERVER = "127.0.1.12", "127.0.1.20"
RP_DATA = RpData(Direction.TO_MS, 49, SmsAddress.international("+12025550199"), b"\x04").encode()
SMS = "application/vnd.3gpp.sms"


def config(**changes: object) -> IpSmGwConfig:
    values: dict[str, object] = {
        "name": "red.ipsmgw",
        "uri": "sip:ipsmgw.red",
        "listen": (Address(Transport.TCP, "127.0.1.30", 5060),),
        "smsc": Address(Transport.TCP, "127.0.1.31", 2775),
        "route": ("<sip:scscf.red;lr>",),
        "trusted_hosts": frozenset({SCSCF}),
        "application_servers": {MESSAGING_SERVER: "sip:rcsas.red"},
    }
    return IpSmGwConfig(**{**values, **changes})  # type: ignore[arg-type]  # a test's own keywords


def request(method: str = "MESSAGE", body: bytes = b"", **headers: str) -> Request:
    values = {
        "Via": "SIP/2.0/TCP 127.0.1.12;branch=z9hG4bK1",
        "Max-Forwards": "70",
        "From": f"<sip:{ALICE}@red>;tag=a91",
        "To": "<tel:+12025550199>",
        "Call-ID": "c1@192.0.2.11",
        "CSeq": f"1 {method}",
        "P-Asserted-Identity": f"<sip:{ALICE}@ims.mnc001.mcc001.3gppnetwork.org>, <tel:{ALICE}>",
    }
    values |= {name.replace("_", "-"): value for name, value in headers.items()}
    content_type = values.pop("Content-Type", SMS if method == "MESSAGE" else None)
    fields = [(name, value) for name, value in values.items() if value]
    return Request.new(method, "tel:+12025550199", fields, body, content_type or None)


class Bench:
    def __init__(self, settings: IpSmGwConfig | None = None, *, is_linked: bool = True) -> None:
        words = count(1)
        directory = Directory(ALICE, CAROL, barred=("+12025550109",))
        self.core = IpSmGateway(settings or config(), sh=directory, new_word=lambda: f"w{next(words)}")
        self.log: list[Action] = []
        self.now = NOW
        self.exchange = 0
        if is_linked:
            self.core.link_up()

    def receive(self, message: Request, source: str = SCSCF) -> Respond:
        """The answer to *message*."""
        self.exchange += 1
        actions = self.core.receive(self.exchange, message, source, self.now)
        (response,) = [action for action in actions if isinstance(action, Respond)]
        assert response.exchange == self.exchange
        self.log += actions
        return response

    def frame(self, message: SmLinkMessage) -> None:
        self.log += self.core.receive_frame(message, self.now)

    def answered(self, sent: SendMessage, status: int) -> None:
        self.log += self.core.message_answered(sent.errand, status, self.now)

    def sleep_until_deadline(self) -> float:
        deadline = self.core.next_deadline()
        assert deadline is not None
        self.now = deadline
        self.log += self.core.handle_deadline(deadline)
        return deadline - NOW

    def sent(self) -> SendMessage:
        """The one MESSAGE since the last look."""
        (found,) = [action for action in self.log if isinstance(action, SendMessage)]
        self.log.remove(found)
        return found

    def told(self) -> SmLinkMessage:
        """The one frame to the SMSC since the last look."""
        (found,) = [action for action in self.log if isinstance(action, SendToSmsc)]
        self.log.remove(found)
        return found.message

    def is_quiet(self) -> bool:
        return not any(isinstance(action, SendMessage | SendToSmsc) for action in self.log)

    def deliver(self, number: str = CAROL, reference: int = 5) -> SendMessage:
        self.frame(Forward(reference=reference, kind=ForwardKind.MT, rpdu=RP_DATA, destination=Party.msisdn(number)))
        return self.sent()


# --- mobile originated -----------------------------------------------------------------------------------------------


def test_rp_data_is_answered_202_submitted_and_acknowledged_with_in_reply_to() -> None:
    bench = Bench()
    body = rp_submit("hi", BOB)
    assert bench.receive(request(body=body)).status == 202
    forward = bench.told()
    assert isinstance(forward, Forward)
    assert (forward.kind, forward.rpdu, forward.originator) == (ForwardKind.MO, body, Party.msisdn(ALICE))
    ack = bytes.fromhex("03074109010062302001814000")
    bench.frame(Result(forward.reference, ack))
    message = bench.sent().request
    assert message.request_uri_text == f"sip:{ALICE}@ims.mnc001.mcc001.3gppnetwork.org"
    assert message.body == ack
    assert message.text("In-Reply-To") == "c1@192.0.2.11"
    assert message.text("P-Asserted-Identity") == "<sip:ipsmgw.red>"
    assert message.text("Accept-Contact") == "*;+g.3gpp.smsip;require;explicit"
    assert message.text("Request-Disposition") == "no-fork"
    assert message.text("Route") == "<sip:scscf.red;lr>"
    assert message.text("Content-Type") == SMS
    assert bench.core.open_transfers == (0, 0)
    assert bench.core.next_deadline() is None


def _error(bench: Bench) -> tuple[int, int]:
    rpdu = parse_rpdu(bench.sent().request.body)
    assert isinstance(rpdu, RpError)
    assert rpdu.direction is Direction.TO_MS
    return rpdu.reference, rpdu.cause


def test_a_refusal_of_the_smsc_is_passed_on() -> None:
    bench = Bench()
    bench.receive(request(body=rp_submit("hi", BOB)))
    forward = bench.told()
    bench.frame(Result(forward.reference, RpError(Direction.TO_MS, 7, RpCause.UNASSIGNED_NUMBER).encode()))
    assert _error(bench) == (7, RpCause.UNASSIGNED_NUMBER)


def test_no_answer_of_the_smsc_in_time_is_a_temporary_failure() -> None:
    bench = Bench()
    bench.receive(request(body=rp_submit("hi", BOB)))
    forward = bench.told()
    assert bench.sleep_until_deadline() == 34
    assert _error(bench) == (7, RpCause.TEMPORARY_FAILURE)
    bench.frame(Result(forward.reference, RpAck(Direction.TO_MS, 7).encode()))
    assert bench.is_quiet()


def test_a_failure_of_the_smsc_is_network_out_of_order() -> None:
    bench = Bench()
    bench.receive(request(body=rp_submit("hi", BOB)))
    bench.frame(Failure(bench.told().reference, SmError.SYSTEM_FAILURE))
    assert _error(bench) == (7, RpCause.NETWORK_OUT_OF_ORDER)


def test_without_link_rp_data_is_answered_with_cause_38() -> None:
    bench = Bench(is_linked=False)
    assert bench.receive(request(body=rp_submit("hi", BOB))).status == 202
    assert _error(bench) == (7, RpCause.NETWORK_OUT_OF_ORDER)


def test_a_link_that_breaks_fails_what_waits() -> None:
    bench = Bench()
    bench.receive(request(body=rp_submit("hi", BOB)))
    bench.told()
    bench.deliver()
    bench.log += bench.core.link_down()
    assert _error(bench) == (7, RpCause.TEMPORARY_FAILURE)
    assert bench.core.open_transfers == (0, 0)
    assert bench.core.next_deadline() is None


@pytest.mark.parametrize(
    ("body", "reference"), [("0007", 7), ("000700", 7), ("0709", 9), ("", 0), ("00", 0), ("00" * 300, 0)]
)
def test_an_unreadable_rp_message_is_answered_202_then_rp_error_111(body: str, reference: int) -> None:
    bench = Bench()
    assert bench.receive(request(body=bytes.fromhex(body))).status == 202
    assert _error(bench) == (reference, RpCause.PROTOCOL_ERROR)


def test_rp_data_in_the_wrong_direction_is_refused() -> None:
    bench = Bench()
    assert bench.receive(request(body=RP_DATA)).status == 202
    assert _error(bench) == (49, RpCause.MESSAGE_NOT_COMPATIBLE)
    assert bench.receive(request(body=RpAck(Direction.TO_MS, 1).encode())).status == 200
    assert bench.is_quiet()


def test_rp_smma_is_acknowledged_and_alerts_the_smsc() -> None:
    bench = Bench()
    assert bench.receive(request(body=RpSmma(8).encode())).status == 202
    assert parse_rpdu(bench.sent().request.body) == RpAck(Direction.TO_MS, 8)
    assert bench.told() == SmAlert(Party.msisdn(ALICE), AlertReason.MEMORY_AVAILABLE)


def test_too_many_open_submissions_are_congestion() -> None:
    bench = Bench(config(max_transfers=1))
    bench.receive(request(body=rp_submit("hi", BOB)))
    bench.told()
    bench.receive(request(body=rp_submit("hi", BOB, reference=8)))
    assert _error(bench) == (8, RpCause.CONGESTION)


# --- who may ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("identity", "source", "status"),
    [
        (f"<tel:{ALICE}>", SCSCF, 202),
        (f"<tel:{BOB}>", SCSCF, 403),
        ("<tel:+12025550109>", SCSCF, 403),
        ("", SCSCF, 403),
        (f"<tel:{ALICE}>", "192.0.2.66", 403),
        ("<<<", SCSCF, 400),
    ],
)
def test_only_own_subscribers_by_the_own_core_may_send(identity: str, source: str, status: int) -> None:
    bench = Bench()
    message = request(body=rp_submit("hi", BOB), P_Asserted_Identity=identity)
    assert bench.receive(message, source).status == status


@pytest.mark.parametrize(
    ("message", "status", "header"),
    [
        (request(Content_Type="message/cpim", body=b"x"), 415, "Accept"),
        (request(Content_Type="text/plain", body=b"x"), 415, "Accept"),
        (request(Content_Type="", body=b""), 415, "Accept"),
        (request("INVITE"), 405, "Allow"),
        (request("SUBSCRIBE"), 405, "Allow"),
        (request("REFER"), 405, "Allow"),
        (request("FROBNICATE"), 501, ""),
        (request("OPTIONS"), 200, "Allow"),
        (request(Require="frob", body=rp_submit("x", BOB)), 420, "Unsupported"),
        (request(In_Reply_To="<<< >>>", body=rp_ack(1)), 400, ""),
        (request("REGISTER", Expires="soon"), 400, ""),
    ],
)
def test_what_is_not_served_gets_its_status(message: Request, status: int, header: str) -> None:
    bench = Bench()
    response = bench.receive(message)
    assert response.status == status
    if header:
        assert header in [field[0] if isinstance(field, tuple) else field.NAME for field in response.headers]
    assert bench.is_quiet()


# --- mobile terminated -----------------------------------------------------------------------------------------------


def test_rp_data_of_the_smsc_becomes_a_message_and_its_rp_ack_goes_back() -> None:
    bench = Bench()
    sent = bench.deliver()
    message = sent.request
    assert message.request_uri_text == f"tel:{CAROL}"
    assert message.text("P-Asserted-Identity") == "<sip:ipsmgw.red>"
    assert message.text("Accept-Contact") == "*;+g.3gpp.smsip;require;explicit"
    assert message.text("Request-Disposition") == "no-fork"
    assert message.text("In-Reply-To") is None
    assert message.body == RP_DATA
    bench.answered(sent, 200)
    assert bench.is_quiet()
    ack = request(body=rp_ack(49), P_Asserted_Identity=f"<tel:{CAROL}>", In_Reply_To=message.call_id)
    assert bench.receive(ack).status == 200
    assert bench.told() == Result(5, rp_ack(49))
    assert bench.core.open_transfers == (0, 0)
    assert bench.core.next_deadline() is None


def test_an_rp_error_of_the_phone_goes_back_too_even_before_the_200() -> None:
    bench = Bench()
    sent = bench.deliver()
    octets = rp_error(49, RpCause.MEMORY_CAPACITY_EXCEEDED)
    assert bench.receive(request(body=octets, P_Asserted_Identity=f"<tel:{CAROL}>")).status == 200
    assert bench.told() == Result(5, octets)
    bench.answered(sent, 200)
    assert bench.is_quiet()


@pytest.mark.parametrize(
    ("identity", "reference", "in_reply_to"),
    [
        (f"<tel:{ALICE}>", 49, ""),  # somebody else
        (f"<tel:{CAROL}>", 48, ""),  # another RP-MR
        (f"<tel:{CAROL}>", 49, "other@red.ipsmgw"),  # the answer to an earlier one
    ],
)
def test_an_rp_answer_that_does_not_match_is_answered_200_and_ignored(
    identity: str, reference: int, in_reply_to: str
) -> None:
    bench = Bench()
    bench.answered(bench.deliver(), 200)
    message = request(body=rp_ack(reference), P_Asserted_Identity=identity, In_Reply_To=in_reply_to)
    assert bench.receive(message).status == 200
    assert bench.is_quiet()
    assert bench.core.open_transfers == (0, 1)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (480, SmError.ABSENT_SUBSCRIBER),
        (408, SmError.ABSENT_SUBSCRIBER),
        (430, SmError.ABSENT_SUBSCRIBER),
        (404, SmError.ABSENT_SUBSCRIBER),
        (503, SmError.SYSTEM_FAILURE),
        (403, SmError.SYSTEM_FAILURE),
        (603, SmError.SYSTEM_FAILURE),
    ],
)
def test_a_message_that_fails_is_told_to_the_smsc(status: int, error: SmError) -> None:
    bench = Bench()
    bench.answered(bench.deliver(), status)
    assert bench.told() == Failure(5, error)
    assert bench.core.open_transfers == (0, 0)


def test_no_rp_answer_in_tr1n_is_absence() -> None:
    bench = Bench()
    sent = bench.deliver()
    bench.now += 3
    bench.answered(sent, 202)
    assert bench.sleep_until_deadline() == 43
    assert bench.told() == Failure(5, SmError.ABSENT_SUBSCRIBER)
    late = request(body=rp_ack(49), P_Asserted_Identity=f"<tel:{CAROL}>", In_Reply_To=sent.request.call_id)
    assert bench.receive(late).status == 200
    assert bench.is_quiet()


@pytest.mark.parametrize(
    "forward",
    [
        Forward(reference=5, kind=ForwardKind.MT, rpdu=b"\x00", destination=Party.msisdn(CAROL)),
        Forward(reference=5, kind=ForwardKind.MT, rpdu=rp_submit("x", BOB), destination=Party.msisdn(CAROL)),
        Forward(reference=5, kind=ForwardKind.MT, rpdu=RP_DATA, destination=Party.imsi("00101")),
        Forward(reference=5, kind=ForwardKind.MT, rpdu=RP_DATA),
        Forward(reference=5, kind=ForwardKind.REPORT, rpdu=RP_DATA, report_to="sip:else.red"),
    ],
)
def test_what_cannot_be_delivered_is_a_system_failure(forward: Forward) -> None:
    bench = Bench()
    bench.frame(forward)
    assert bench.told() == Failure(5, SmError.SYSTEM_FAILURE)


def test_a_repetition_with_the_same_rp_mr_replaces_the_earlier_transfer() -> None:
    bench = Bench()
    bench.deliver(reference=5)
    bench.deliver(reference=6)
    assert bench.told() == Failure(5, SmError.SYSTEM_FAILURE)
    bench.receive(request(body=rp_ack(49), P_Asserted_Identity=f"<tel:{CAROL}>"))
    assert bench.told() == Result(6, rp_ack(49))


# --- reachability ----------------------------------------------------------------------------------------------------


def _third_party(expires_s: int, contact: str | None) -> Request:
    register = None if contact is None else request("REGISTER", Contact=contact, P_Asserted_Identity="")
    answer = None
    if register is not None:
        answer = Response.to(register, 200, to_tag="x", headers=[("Contact", contact or "")])
    return (
        third_party_register(
            "sip:ipsmgw.red",
            scscf_uri="sip:scscf.red",
            impu=f"sip:{ALICE}@ims.mnc001.mcc001.3gppnetwork.org",
            expires_s=expires_s,
            call_id="tp",
            cseq=1,
            tag="t",
            register=register,
            answer=answer,
        )
        .edit()
        .push("Via", "SIP/2.0/TCP 127.0.1.12;branch=z9hG4bK2")
        .done()
    )


def test_a_registration_with_the_tag_makes_reachable_and_alerts() -> None:
    bench = Bench()
    assert bench.core.is_reachable(ALICE, NOW) is None
    assert bench.receive(_third_party(600, "<sip:a@192.0.2.11>;+g.3gpp.smsip;expires=600")).status == 200
    assert bench.told() == SmAlert(Party.msisdn(ALICE), AlertReason.PRESENT)
    assert bench.core.is_reachable(ALICE, NOW + 599) is True
    assert bench.core.is_reachable(ALICE, NOW + 601) is None


def test_the_end_of_a_registration_is_absence_without_asking() -> None:
    bench = Bench()
    bench.receive(_third_party(0, "<sip:a@192.0.2.11>;+g.3gpp.smsip;expires=0"))
    assert bench.core.is_reachable(ALICE, NOW) is False
    bench.frame(Forward(reference=5, kind=ForwardKind.MT, rpdu=RP_DATA, destination=Party.msisdn(ALICE)))
    assert bench.told() == Failure(5, SmError.ABSENT_SUBSCRIBER)


def test_without_embedded_messages_the_criterion_is_believed() -> None:
    bench = Bench()
    bench.receive(_third_party(600, None))
    assert bench.core.is_reachable(ALICE, NOW) is True


def test_one_device_less_leaves_the_question_open() -> None:
    bench = Bench()
    bench.receive(_third_party(600, "<sip:a@192.0.2.11>;+g.3gpp.smsip;expires=600"))
    bench.receive(_third_party(600, "<sip:a@192.0.2.11>;expires=0"))
    assert bench.core.is_reachable(ALICE, NOW) is None


def test_a_registration_of_a_stranger_is_taken_and_forgotten() -> None:
    bench = Bench()
    stranger = _third_party(600, None).edit().set("To", "<sip:nobody@elsewhere.example>").done()
    assert bench.receive(stranger).status == 200
    assert bench.is_quiet()


# --- application servers ---------------------------------------------------------------------------------------------


def test_an_application_server_submits_for_anybody_and_gets_the_answers() -> None:
    bench = Bench()
    message = request(body=rp_submit("hi", CAROL, status_report=True), P_Asserted_Identity=f"<tel:{BOB}>")
    assert bench.receive(message, MESSAGING_SERVER).status == 202
    forward = bench.told()
    assert isinstance(forward, Forward)
    assert (forward.originator, forward.report_to) == (Party.msisdn(BOB), "sip:rcsas.red")
    assert forward.report_key == "c1@192.0.2.11"
    bench.frame(Result(forward.reference, RpAck(Direction.TO_MS, 7).encode()))
    answer = bench.sent().request
    assert answer.request_uri_text == "sip:rcsas.red"
    assert answer.text("Route") is None
    assert answer.text("In-Reply-To") == "c1@192.0.2.11"


def test_a_status_report_for_an_application_server_goes_to_its_uri_and_is_acknowledged_there() -> None:
    bench = Bench()
    bench.frame(
        Forward(
            reference=5,
            kind=ForwardKind.REPORT,
            rpdu=RP_DATA,
            destination=Party.msisdn(BOB),
            report_to="sip:rcsas.red",
            report_key="c1",
        )
    )
    sent = bench.sent()
    assert sent.request.request_uri_text == "sip:rcsas.red"
    bench.answered(sent, 200)
    ack = request(body=rp_ack(49), P_Asserted_Identity=f"<tel:{BOB}>", In_Reply_To=sent.request.call_id)
    assert bench.receive(ack, MESSAGING_SERVER).status == 200
    assert bench.told() == Result(5, rp_ack(49))


# --- hostile ---------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            messages,
            st.binary(max_size=60),
            st.builds(rp_ack, st.integers(0, 255)),
            st.integers(200, 699),
            st.none(),
        ),
        max_size=30,
    )
)
def test_no_sequence_of_inputs_breaks_the_core(steps: list[SmLinkMessage | bytes | int | None]) -> None:
    bench = Bench()
    for step in steps:
        if step is None:
            if bench.core.next_deadline() is not None:
                bench.sleep_until_deadline()
        elif isinstance(step, bytes):
            bench.receive(request(body=step))
        elif isinstance(step, int):
            for action in [action for action in bench.log if isinstance(action, SendMessage)]:
                bench.answered(action, step)
        else:
            bench.frame(step)
    while bench.core.next_deadline() is not None:
        bench.sleep_until_deadline()
    assert bench.core.open_transfers == (0, 0)


def test_notes_say_what_was_dropped() -> None:
    bench = Bench()
    bench.receive(request(body=rp_ack(3)))
    assert [action.summary for action in bench.log if isinstance(action, Note)] == ["RP answer to nothing"]
