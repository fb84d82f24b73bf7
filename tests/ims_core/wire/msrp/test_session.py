"""Playbooks: what goes in, and exactly what comes out. Then two sessions on a wire, and peers that mean harm."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.message import Continuation, FailureReport, MsrpParseError, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.session import (
    Bound,
    Closed,
    FailureReason,
    MessageFailed,
    MessageReceived,
    MessageSent,
    MsrpSession,
    OutgoingMessage,
    Output,
    Outputs,
    SessionConfig,
    SessionFailed,
    State,
    Transmit,
)
from ims_core.wire.msrp.uri import parse_path
from tests.support.msrp_pair import ALICE, BOB, Pair, counter, of_type

BIND = (
    f"MSRP alice0001 SEND\r\nTo-Path: {BOB}\r\nFrom-Path: {ALICE}\r\nMessage-ID: alice0002\r\n"
    "Byte-Range: 1-0/0\r\nSuccess-Report: no\r\nFailure-Report: yes\r\n-------alice0001$\r\n"
)


def text(message_id: str, body: bytes = b"hi", **members: Any) -> OutgoingMessage:
    return OutgoingMessage(message_id, "text/plain", body, **members)


def wire(outputs: list[Output]) -> str:
    return b"".join([each.octets for each in of_type(outputs, Transmit)]).decode()


def told(outputs: list[Output]) -> list[Output]:
    return [each for each in outputs if not isinstance(each, Transmit)]


def alice(**members: Any) -> MsrpSession:
    return MsrpSession(SessionConfig(**members), parse_path(ALICE), parse_path(BOB), counter("alice"))


def answer(transaction_id: str, status: int = 200) -> MsrpResponse:
    return MsrpResponse(transaction_id, status, None, ALICE, BOB)


def from_bob(octets: str) -> Any:
    """The one event of *octets*, in which ``{paths}`` stands for the lines of both paths."""
    paths = f"To-Path: {ALICE}\r\nFrom-Path: {BOB}\r\n"
    (event,) = FrameDecoder().feed(octets.replace("{paths}", paths).encode())
    return event


def open_session(**members: Any) -> MsrpSession:
    session = alice(**members)
    session.start(True, 0.0)
    assert told(session.receive(answer("alice0001"), 0.0)) == [Bound()]
    return session


class TestBinding:
    def test_the_active_side_binds_with_a_send_without_a_body(self) -> None:
        session = alice()
        outputs = session.start(True, 0.0)
        assert wire(outputs) == BIND
        assert session.state is State.BINDING
        assert session.receive(answer("alice0001"), 0.1) == [Bound()]
        assert session.state is State.OPEN
        assert session.next_deadline() is None

    def test_content_that_is_answered_binds_as_well(self) -> None:
        session = alice()
        assert session.send(text("m1"), 0.0) == []
        outputs = session.start(True, 0.0)
        assert wire(outputs).count("MSRP ") == 1
        assert "Byte-Range: 1-2/2" in wire(outputs)
        assert session.receive(answer("alice0001"), 0.1) == [MessageSent("m1"), Bound()]

    def test_content_that_is_not_answered_comes_after_a_bind(self) -> None:
        session = alice()
        session.send(text("typing", failure_report=FailureReport.NO, is_urgent=True), 0.0)
        outputs = session.start(True, 0.0)
        assert wire(outputs).startswith(BIND)
        assert told(outputs) == [MessageSent("typing")]

    def test_the_active_side_does_not_wait_for_the_answer_to_its_bind(self) -> None:
        session = alice()
        session.start(True, 0.0)
        assert "Message-ID: m1" in wire(session.send(text("m1"), 0.0))

    def test_the_passive_side_waits_until_it_is_spoken_to(self) -> None:
        session = alice()
        assert session.start(False, 0.0) == []
        assert session.send(text("m1"), 0.0) == []
        assert session.writable(0.0) == []
        outputs = session.receive(from_bob("MSRP bind SEND\r\n{paths}-------bind$\r\n"), 0.1)
        assert outputs[1] == Bound()
        assert wire(outputs[:1]).startswith("MSRP bind 200 OK\r\n")
        assert "Message-ID: m1" in wire(outputs[2:])

    def test_a_bind_without_message_id_and_byte_range_is_answered_and_gives_nothing(self) -> None:
        session = open_session()
        outputs = session.receive(from_bob("MSRP bind SEND\r\n{paths}-------bind$\r\n"), 0.1)
        assert wire(outputs) == (f"MSRP bind 200 OK\r\nTo-Path: {BOB}\r\nFrom-Path: {ALICE}\r\n-------bind$\r\n")
        assert told(outputs) == []

    @pytest.mark.parametrize("is_active", [True, False])
    def test_a_session_that_nobody_binds_fails(self, is_active: bool) -> None:
        session = alice(bind_s=10.0)
        session.start(is_active, 0.0)
        session.send(text("m1"), 0.0)
        assert session.next_deadline() == 10.0
        assert session.handle_deadline(9.9) == []
        outputs = session.handle_deadline(10.0)
        assert [type(each) for each in outputs] == [SessionFailed, MessageFailed]
        assert outputs[1] == MessageFailed("m1", FailureReason.LOST, 408, is_active)

    @pytest.mark.parametrize("status", [481, 506, 408])
    def test_a_bind_that_is_refused_ends_the_session(self, status: int) -> None:
        session = alice()
        session.start(True, 0.0)
        session.send(text("m1"), 0.0)
        outputs = session.receive(answer("alice0001", status), 0.1)
        assert outputs == [
            SessionFailed(status, "said the peer"),
            MessageFailed("m1", FailureReason.LOST, status, True),
        ]
        assert session.state is State.FAILED

    def test_another_answer_to_the_bind_shows_the_session_too(self) -> None:
        session = alice()
        session.start(True, 0.0)
        assert session.receive(answer("alice0001", 400), 0.1) == [Bound()]

    def test_a_peer_that_speaks_need_not_answer_the_bind(self) -> None:
        session = alice()
        session.start(True, 0.0)
        outputs = session.receive(from_bob("MSRP bob1 SEND\r\n{paths}-------bob1$\r\n"), 0.1)
        assert Bound() in outputs
        assert session.next_deadline() is None
        assert session.receive(answer("alice0001"), 0.2) == []

    def test_nothing_can_come_before_the_start(self) -> None:
        with pytest.raises(LocalProtocolError):
            alice().receive(answer("alice0001"), 0.0)

    def test_a_session_has_two_paths(self) -> None:
        with pytest.raises(LocalProtocolError):
            MsrpSession(SessionConfig(), (), parse_path(BOB), counter("a"))

    def test_own_relays_come_first_in_to_path_and_not_in_from_path(self) -> None:
        inner, outer = "msrps://inner.example:2855/r1;tcp", "msrps://outer.example:2855/r2;tcp"
        local = parse_path(f"{outer} {inner} {ALICE}")
        session = MsrpSession(SessionConfig(), local, parse_path(f"msrps://theirs.example/r3;tcp {BOB}"), counter("a"))
        outputs = session.start(True, 0.0)
        assert f"To-Path: {inner} {outer} msrps://theirs.example/r3;tcp {BOB}\r\nFrom-Path: {ALICE}\r\n" in wire(
            outputs
        )


class TestEnding:
    def test_a_response_that_does_not_come_ends_the_session(self) -> None:
        session = open_session()
        session.send(text("m1"), 1.0)
        session.send(text("m2"), 2.0)
        session.send(text("typing", failure_report=FailureReport.NO), 2.0)
        assert session.next_deadline() == 31.0
        assert session.handle_deadline(30.9) == []
        assert session.handle_deadline(31.0) == [
            SessionFailed(408, "no response in 30 s"),
            MessageFailed("m1", FailureReason.TIMED_OUT, 408, True),
            MessageFailed("m2", FailureReason.LOST, 408, True),
        ]

    @pytest.mark.parametrize("status", [481, 506, 408])
    def test_an_answer_that_ends_the_session_lists_what_to_send_elsewhere(self, status: int) -> None:
        session = open_session(window_octets=4, chunk_octets=2)
        for message_id in ("m1", "m2", "m3"):
            session.send(text(message_id), 1.0)
        assert session.receive(answer("alice0003", status), 1.1) == [
            SessionFailed(status, "said the peer"),
            MessageFailed("m1", FailureReason.LOST, status, True),
            MessageFailed("m2", FailureReason.LOST, status, True),
            MessageFailed("m3", FailureReason.LOST, status, False),
        ]
        assert session.send(text("m4"), 2.0) == [MessageFailed("m4", FailureReason.LOST, 481, False)]
        assert session.close(3.0) == [Closed()]

    def test_a_lost_connection_gives_each_message_back_once(self) -> None:
        session = open_session(window_octets=2)
        session.send(text("m1"), 1.0)
        session.send(text("m2"), 1.0)
        assert session.lost(2.0) == [
            MessageFailed("m1", FailureReason.LOST, 408, True),
            MessageFailed("m2", FailureReason.LOST, 408, False),
        ]
        assert session.lost(2.0) == []
        assert session.handle_deadline(1e9) == []

    def test_close_waits_for_what_is_under_way(self) -> None:
        session = open_session()
        session.send(text("m1"), 1.0)
        assert session.close(1.0) == []
        assert session.send(text("m2"), 1.0) == [MessageFailed("m2", FailureReason.LOST, 481, False)]
        assert session.receive(answer("alice0003"), 1.1) == [MessageSent("m1"), Closed()]
        assert session.state is State.CLOSED

    def test_close_with_nothing_under_way_is_done_at_once(self) -> None:
        assert open_session().close(1.0) == [Closed()]

    def test_close_before_the_peer_has_spoken_ends_when_it_does_not(self) -> None:
        session = alice()
        session.start(False, 0.0)
        session.send(text("m1"), 0.0)
        assert session.close(1.0) == []
        assert session.next_deadline() == 10.0
        assert session.handle_deadline(10.0) == [MessageFailed("m1", FailureReason.LOST, 408, False), Closed()]

    def test_a_peer_that_speaks_while_the_session_closes_gets_what_was_queued(self) -> None:
        session = alice()
        session.start(False, 0.0)
        session.send(text("m1"), 0.0)
        session.close(1.0)
        outputs = session.receive(from_bob("MSRP bob1 SEND\r\n{paths}-------bob1$\r\n"), 1.0)
        assert "Message-ID: m1" in wire(outputs)
        assert session.receive(answer("alice0001"), 1.1) == [MessageSent("m1"), Closed()]

    @pytest.mark.parametrize("status", [481, 408])
    def test_a_session_that_fails_while_it_closes_is_closed(self, status: int) -> None:
        session = open_session()
        session.send(text("m1"), 1.0)
        session.close(1.0)
        assert session.receive(answer("alice0003", status), 1.1) == [
            MessageFailed("m1", FailureReason.LOST, status, True),
            Closed(),
        ]

    def test_a_time_out_while_it_closes_closes_it(self) -> None:
        session = open_session()
        session.send(text("m1"), 1.0)
        session.close(1.0)
        assert session.handle_deadline(31.0) == [MessageFailed("m1", FailureReason.TIMED_OUT, 408, True), Closed()]

    def test_close_waits_for_the_owner_to_settle(self) -> None:
        session = open_session(is_settled_by_owner=True)
        outputs = session.receive(
            from_bob("MSRP bob1 SEND\r\n{paths}Message-ID: b1\r\nByte-Range: 1-2/2\r\n\r\nhi\r\n-------bob1$\r\n"), 1.0
        )
        (received,) = of_type(outputs, MessageReceived)
        assert session.close(1.0) == []
        outputs = session.settle(received.delivery, 2.0)
        assert wire(outputs).startswith("MSRP bob1 200 OK\r\n")
        assert told(outputs) == [Closed()]

    def test_a_half_closed_connection_still_carries_our_answers(self) -> None:
        session = open_session(is_settled_by_owner=True)
        session.send(text("m1"), 1.0)
        outputs = session.receive(
            from_bob("MSRP bob1 SEND\r\n{paths}Message-ID: b1\r\nByte-Range: 1-2/2\r\n\r\nhi\r\n-------bob1$\r\n"), 1.0
        )
        (received,) = of_type(outputs, MessageReceived)
        assert session.peer_finished(2.0) == [MessageFailed("m1", FailureReason.LOST, 408, True)]
        outputs = session.settle(received.delivery, 2.0)
        assert wire(outputs).startswith("MSRP bob1 200 OK\r\n")
        assert told(outputs) == [Closed()]

    def test_a_half_closed_connection_without_debts_is_closed(self) -> None:
        assert open_session().peer_finished(2.0) == [Closed()]

    def test_who_speaks_after_the_end_is_told_that_there_is_no_session(self) -> None:
        session = open_session()
        session.close(1.0)
        bind = from_bob("MSRP bob1 SEND\r\n{paths}-------bob1$\r\n")
        assert wire(session.receive(bind, 2.0)).startswith("MSRP bob1 481 ")
        quiet = from_bob("MSRP bob2 SEND\r\n{paths}Failure-Report: no\r\n-------bob2$\r\n")
        assert session.receive(quiet, 2.0) == []

    def test_a_chunk_after_the_end_is_answered_once(self) -> None:
        session = open_session()
        session.close(1.0)
        head = MsrpRequest("bob1", "SEND", ALICE, BOB, (("Message-ID", "b1"),), None, None)
        pieces = [Piece(head, 1, b"a", None), Piece(head, 2, b"b", None), Piece(head, 3, b"", Continuation.COMPLETE)]
        outputs = [output for piece in pieces for output in session.receive(piece, 2.0)]
        assert wire(outputs).count("481") == 1

    def test_octets_that_cannot_be_read_end_the_session(self) -> None:
        session = open_session()
        session.send(text("m1"), 1.0)
        (fault,) = FrameDecoder().feed(b"HELLO\r\n")
        assert isinstance(fault, MsrpParseError)
        failed, lost = session.receive(fault, 1.0)
        assert isinstance(failed, SessionFailed)
        assert failed.status == 400
        assert lost == MessageFailed("m1", FailureReason.LOST, 400, True)
        assert session.receive(fault, 1.0) == []


class TestRequests:
    def test_a_method_that_is_not_known_is_a_501(self) -> None:
        event = from_bob("MSRP bob1 FETCH\r\n{paths}-------bob1$\r\n")
        assert wire(open_session().receive(event, 1.0)).startswith("MSRP bob1 501 ")

    def test_auth_is_for_relays(self) -> None:
        event = from_bob("MSRP bob1 AUTH\r\n{paths}-------bob1$\r\n")
        assert wire(open_session().receive(event, 1.0)).startswith("MSRP bob1 501 ")

    def test_a_malformed_request_is_a_400_and_the_session_goes_on(self) -> None:
        session = open_session()
        event = from_bob("MSRP bob1 SEND\r\n{paths}Message-ID: b1\r\nByte-Range: 9-2/2\r\n\r\nhi\r\n-------bob1$\r\n")
        assert isinstance(event, MsrpParseError)
        assert wire(session.receive(event, 1.0)).startswith("MSRP bob1 400 ")
        assert session.state is State.OPEN

    def test_a_malformed_report_gets_no_answer(self) -> None:
        event = from_bob("MSRP bob1 REPORT\r\n{paths}Byte-Range: 1-2/2\r\nStatus: 000 200\r\n-------bob1$\r\n")
        assert isinstance(event, MsrpParseError)
        assert open_session().receive(event, 1.0) == []

    def test_a_whole_send_that_was_made_here_is_taken_like_a_received_one(self) -> None:
        headers = (("Message-ID", "b1"), ("Byte-Range", "1-2/2"), ("Content-Type", "text/plain"))
        request = MsrpRequest("bob1", "SEND", ALICE, BOB, headers, b"hi")
        (received,) = of_type(open_session().receive(request, 1.0), MessageReceived)
        assert received.body == b"hi"


# --- two sessions on a wire ------------------------------------------------------------------------------------------

BODIES = st.binary(min_size=1, max_size=6000)
CHUNKS = st.sampled_from([1, 7, 300, 2048, 2049, 5000, 100_000])


class TestPair:
    def test_a_text_and_its_report(self) -> None:
        pair = Pair().start().exchange()
        pair.alice.take(pair.alice.session.send(text("m1", success_report=True), 0.0))
        pair.exchange()
        (received,) = pair.bob.told(MessageReceived)
        assert (received.content_type, received.body, received.wants_report) == ("text/plain", b"hi", True)
        names = [type(each).__name__ for each in pair.alice.events]
        assert names == ["Bound", "MessageSent", "Reported"]

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(BODIES, st.booleans(), st.sampled_from(FailureReport)), min_size=1, max_size=6),
        CHUNKS,
        CHUNKS,
        st.integers(1, 9000),
        st.lists(st.integers(1, 4000), max_size=40),
    )
    def test_whatever_the_chunks_and_cuts_everything_arrives_in_order(
        self,
        contents: list[tuple[bytes, bool, FailureReport]],
        chunk_octets: int,
        window_octets: int,
        burst_octets: int,
        cuts: list[int],
    ) -> None:
        config = SessionConfig(
            chunk_octets=chunk_octets, window_octets=window_octets, burst_octets=max(burst_octets, 64)
        )
        pair = Pair(config, SessionConfig(is_settled_by_owner=False)).start()
        pair.bob.take(pair.bob.session.send(text("from bob", b"yes"), 0.0))
        for number, (body, is_urgent, failure_report) in enumerate(contents):
            message = text(f"m{number}", body, is_urgent=is_urgent, failure_report=failure_report)
            pair.alice.take(pair.alice.session.send(message, 0.0))
            for cut in cuts[number::6]:
                pair.carry(pair.alice, pair.bob, cut)
                pair.carry(pair.bob, pair.alice, cut)
        pair.exchange()
        bodies = {each.message_id: each.body for each in pair.bob.told(MessageReceived)}
        assert bodies == {f"m{number}": body for number, (body, _, _) in enumerate(contents)}
        plain = [f"m{number}" for number, (_, is_urgent, _) in enumerate(contents) if not is_urgent]
        assert [each for each in bodies if each in plain] == plain
        assert {each.message_id for each in pair.alice.told(MessageSent)} == set(bodies)
        assert [each.body for each in pair.alice.told(MessageReceived)] == [b"yes"]
        assert not pair.alice.told(MessageFailed)
        assert pair.alice.session.is_idle
        assert pair.alice.session.unanswered_octets == 0
        pair.alice.take(pair.alice.session.handle_deadline(1000.0))
        assert pair.alice.session.state is State.OPEN

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.tuples(BODIES, st.sampled_from(FailureReport)), min_size=1, max_size=8),
        CHUNKS,
        st.lists(st.integers(0, 3000), max_size=30),
    )
    def test_when_the_connection_breaks_each_message_was_sent_or_is_given_back_once(
        self, contents: list[tuple[bytes, FailureReport]], chunk_octets: int, cuts: list[int]
    ) -> None:
        config = SessionConfig(chunk_octets=chunk_octets, window_octets=3000, burst_octets=3000)
        pair = Pair(config).start()
        for number, (body, failure_report) in enumerate(contents):
            message = text(f"m{number}", body, failure_report=failure_report)
            pair.alice.take(pair.alice.session.send(message, 0.0))
        for cut in cuts:
            pair.carry(pair.alice, pair.bob, cut)
            pair.carry(pair.bob, pair.alice, cut)
        pair.break_wire()
        received = {each.message_id for each in pair.bob.told(MessageReceived)}
        sent = [each.message_id for each in pair.alice.told(MessageSent)]
        lost = [each.message_id for each in pair.alice.told(MessageFailed)]
        assert sorted(sent + lost) == [f"m{number}" for number in range(len(contents))]
        answered = {f"m{n}" for n, (_, failure_report) in enumerate(contents) if failure_report is FailureReport.YES}
        assert set(sent) & answered <= received
        assert {each.reason for each in pair.alice.told(MessageFailed)} <= {FailureReason.LOST}
        assert all(each.was_begun for each in pair.alice.told(MessageFailed) if each.message_id in received)

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.tuples(BODIES, st.sampled_from([200, 400, 403, 413, 415])), min_size=1, max_size=6), CHUNKS)
    def test_what_the_owner_settles_is_what_the_sender_is_told(
        self, contents: list[tuple[bytes, int]], chunk_octets: int
    ) -> None:
        pair = Pair(SessionConfig(chunk_octets=chunk_octets), SessionConfig(is_settled_by_owner=True)).start()
        for number, (body, _) in enumerate(contents):
            pair.alice.take(pair.alice.session.send(text(f"m{number}", body), 0.0))
        pair.exchange()
        received = pair.bob.told(MessageReceived)
        assert pair.bob.session.is_idle is False
        for each, (_, status) in zip(received, contents, strict=True):
            pair.bob.take(pair.bob.session.settle(each.delivery, 1.0, status))
        pair.exchange()
        assert pair.bob.session.is_idle
        seen: dict[str, int] = {each.message_id: 200 for each in pair.alice.told(MessageSent)}
        seen |= {each.message_id: each.status for each in pair.alice.told(MessageFailed)}
        assert seen == {f"m{number}": status for number, (_, status) in enumerate(contents)}

    def test_nothing_that_was_sent_again_is_shown_twice(self) -> None:
        pair = Pair().start().exchange()
        pair.alice.take(pair.alice.session.send(text("m1", b"once" * 1000), 0.0))
        again = bytes(pair.alice.to_send)
        pair.exchange()
        for event in FrameDecoder().feed(again):
            pair.bob.take(pair.bob.session.receive(event, 1.0))
        assert len(pair.bob.told(MessageReceived)) == 1


# --- peers that mean harm --------------------------------------------------------------------------------------------

_PATHS = [ALICE, BOB, "msrp://10.0.0.9:1/nobody;tcp", f"{ALICE} {BOB}", "msrps://relay.example;tcp"]
_METHODS = ["SEND", "SEND", "SEND", "REPORT", "AUTH", "FETCH"]
_RANGES = ["1-4/4", "1-*/4", "1-*/*", "3-4/4", "1-2/4", "5-8/4", "1-4/99999999", "900000-900003/900003", "1-0/0", "x"]
_FIELDS = st.lists(
    st.one_of(
        st.sampled_from(["Message-ID: m1", "Message-ID: m2", "Message-ID: out1"]),
        st.sampled_from([f"Byte-Range: {each}" for each in _RANGES]),
        st.sampled_from(["Failure-Report: no", "Failure-Report: partial", "Success-Report: yes"]),
        st.sampled_from(["Status: 000 200 OK", "Status: 000 413 Stop", "Status: 001 200", "Status: x"]),
        st.sampled_from(["Content-Type: text/plain", "Content-Type: application/x-evil", "Subject: none"]),
    ),
    max_size=5,
)


@st.composite
def hostile_frames(draw: st.DrawFn) -> bytes:
    transaction_id = draw(st.sampled_from(["alice0001", "alice0003", "alice0004", "evil1", "evil2", "x"]))
    start = draw(
        st.one_of(
            st.sampled_from(_METHODS),
            st.sampled_from(["200 OK", "200", "400 No", "413 Stop", "481 Gone", "999 What", "100 Trying", "20 Short"]),
        )
    )
    lines = [f"MSRP {transaction_id} {start}"]
    lines.append(f"To-Path: {draw(st.sampled_from([ALICE, ALICE, ALICE, *_PATHS]))}")
    lines.append(f"From-Path: {draw(st.sampled_from([BOB, BOB, BOB, *_PATHS]))}")
    lines += draw(_FIELDS)
    body = draw(st.sampled_from([None, "", "abcd", "ab", "abcdefgh", "x" * 5000]))
    if body is not None:
        lines += ["", body]
    flag = draw(st.sampled_from("$$$+#"))
    return ("\r\n".join(lines) + f"\r\n-------{transaction_id}{flag}\r\n").encode()


def _wants_answer(event: object) -> bool:
    """Whether a request has to be answered with an error or 200, as RFC 4975 §7.1.1 has it."""
    if isinstance(event, Piece):
        return event.continuation is not None and event.head.failure_report is FailureReport.YES
    if isinstance(event, MsrpRequest):
        return event.method != "REPORT" and event.failure_report is FailureReport.YES
    return False


class TestHostilePeer:
    @settings(max_examples=150, deadline=None)
    @given(st.lists(st.one_of(hostile_frames(), st.binary(max_size=60)), max_size=12), st.booleans(), st.booleans())
    def test_no_frames_raise_and_every_request_is_answered(
        self, stream: list[bytes], is_active: bool, is_long: bool
    ) -> None:
        session = alice(chunk_octets=5000 if is_long else 2048, max_octets=100_000, burst_octets=3000)
        session.start(is_active, 0.0)
        session.send(text("out1", b"o" * 9000, success_report=True), 0.0)
        session.send(text("out2", b"o", failure_report=FailureReport.PARTIAL), 0.0)
        decoder = FrameDecoder()
        settled: list[str] = []
        for now, octets in enumerate(stream):
            for event in decoder.feed(octets):
                outputs = session.receive(event, float(now))
                answers = [each for each in _frames_of(outputs) if isinstance(each, MsrpResponse)]
                assert len(answers) <= 1
                assert not _wants_answer(event) or answers
                settled += [each.message_id for each in told(outputs) if isinstance(each, MessageFailed)]
                settled += [each.message_id for each in told(outputs) if isinstance(each, MessageSent)]
                session.writable(float(now))
            session.handle_deadline(float(now))
        settled += [each.message_id for each in of_type(session.lost(100.0), MessageFailed)]
        assert settled.count("out1") == 1
        assert session.next_deadline() is None

    def test_reports_about_what_was_never_sent_are_nothing(self) -> None:
        session = open_session()
        for status in ("000 200 OK", "000 408 Late"):
            event = from_bob(f"MSRP bob1 REPORT\r\n{{paths}}Message-ID: x\r\nStatus: {status}\r\n-------bob1$\r\n")
            assert session.receive(event, 1.0) == []

    def test_answers_to_what_was_never_sent_are_nothing(self) -> None:
        session = open_session()
        for status in (200, 413, 481):
            assert session.receive(answer("never", status), 1.0) == []
        assert session.state is State.OPEN


def _frames_of(outputs: Outputs) -> list[Any]:
    """The responses among what is sent, which are never cut."""
    responses = [each.octets for each in of_type(outputs, Transmit) if each.octets[:5] == b"MSRP "]
    events = itertools.chain.from_iterable(FrameDecoder().feed(octets) for octets in responses)
    return [event for event in events if isinstance(event, MsrpResponse)]
