"""Checks, reassembly, answers and reports of what is received."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.wire.msrp.incoming import Incoming
from ims_core.wire.msrp.media import Direction, MsrpMedia
from ims_core.wire.msrp.message import Continuation, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.session import MsrpSession
from ims_core.wire.msrp.session_events import (
    Bound,
    MessageAborted,
    MessageReceived,
    Output,
    Outputs,
    SessionConfig,
    Transmit,
)
from ims_core.wire.msrp.uri import parse_msrp_uri, parse_path
from tests.support.msrp_pair import ALICE, BOB, counter, of_type


def session(**members: Any) -> MsrpSession:
    made = MsrpSession(SessionConfig(**members), parse_path(ALICE), parse_path(BOB), counter("rep"))
    made.start(False, 0.0)
    return made


def chunk(
    body: bytes,
    byte_range: str | None = None,
    transaction_id: str = "bob1",
    flag: str = "$",
    *,
    message_id: str = "m1",
    to_path: str = ALICE,
    from_path: str = BOB,
    headers: str = "Content-Type: text/plain\r\n",
) -> bytes:
    field = "" if byte_range is None else f"Byte-Range: {byte_range}\r\n"
    head = (
        f"MSRP {transaction_id} SEND\r\nTo-Path: {to_path}\r\nFrom-Path: {from_path}\r\n"
        f"Message-ID: {message_id}\r\n{field}{headers}\r\n"
    )
    return head.encode() + body + f"\r\n-------{transaction_id}{flag}\r\n".encode()


def give(target: MsrpSession, *octets: bytes, now: float = 1.0) -> Outputs:
    decoder = FrameDecoder()
    events = [event for each in octets for event in decoder.feed(each)]
    return [output for event in events for output in target.receive(event, now)]


def answers(outputs: list[Output]) -> list[tuple[str, int]]:
    """Transaction and status of each response; a REPORT as its method and status."""
    found = []
    for each in of_type(outputs, Transmit):
        (event,) = FrameDecoder().feed(each.octets)
        if isinstance(event, MsrpResponse):
            found.append((event.transaction_id, event.status))
        elif isinstance(event, MsrpRequest) and event.status is not None:
            found.append((event.method, event.status.code))
    return found


def bodies(outputs: list[Output]) -> list[bytes]:
    return [each.body for each in of_type(outputs, MessageReceived)]


class TestMessages:
    def test_a_whole_message_is_answered_and_delivered(self) -> None:
        outputs = give(session(), chunk(b"hello", "1-5/5"))
        assert answers(outputs) == [("bob1", 200)]
        (received,) = of_type(outputs, MessageReceived)
        assert (received.message_id, received.content_type, received.body) == ("m1", "text/plain", b"hello")
        assert not received.wants_report

    def test_a_missing_byte_range_is_a_whole_message(self) -> None:
        assert bodies(give(session(), chunk(b"hello"))) == [b"hello"]

    def test_each_chunk_is_answered_and_the_message_delivered_once(self) -> None:
        outputs = give(
            session(), chunk(b"hel", "1-3/5", "bob1", "+"), chunk(b"lo", "4-5/5", "bob2", headers="Subject: x\r\n")
        )
        assert answers(outputs) == [("bob1", 200), ("bob2", 200)]
        (received,) = of_type(outputs, MessageReceived)
        assert (received.content_type, received.body) == ("text/plain", b"hello")

    def test_chunks_in_any_order(self) -> None:
        outputs = give(session(), chunk(b"lo", "4-5/5", "bob1"), chunk(b"hel", "1-3/5", "bob2", "+"))
        assert bodies(outputs) == [b"hello"]

    def test_a_chunk_that_comes_in_pieces_is_answered_at_its_end(self) -> None:
        target = session()
        decoder = FrameDecoder()
        outputs: Outputs = []
        for octet in chunk(b"hello" * 30, "1-*/150"):
            for event in decoder.feed(bytes([octet])):
                outputs += target.receive(event, 1.0)
        assert answers(outputs) == [("bob1", 200)]
        assert bodies(outputs) == [b"hello" * 30]

    def test_messages_may_be_interleaved(self) -> None:
        outputs = give(
            session(),
            chunk(b"ab", "1-2/4", "bob1", "+"),
            chunk(b"receipt", "1-7/7", "bob2", message_id="m2"),
            chunk(b"cd", "3-4/4", "bob3"),
        )
        assert bodies(outputs) == [b"receipt", b"abcd"]

    def test_an_empty_body_is_a_message_and_no_body_is_none(self) -> None:
        target = session()
        assert bodies(give(target, chunk(b"", "1-0/0"))) == [b""]
        bare = f"MSRP bob2 SEND\r\nTo-Path: {ALICE}\r\nFrom-Path: {BOB}\r\nMessage-ID: m2\r\n-------bob2$\r\n"
        outputs = give(target, bare.encode())
        assert answers(outputs) == [("bob2", 200)]
        assert bodies(outputs) == []

    def test_an_aborted_message_is_forgotten(self) -> None:
        target = session()
        outputs = give(target, chunk(b"hel", "1-3/5", "bob1", "+"), chunk(b"l", "4-*/5", "bob2", "#"))
        assert answers(outputs) == [("bob1", 200), ("bob2", 200)]
        assert MessageAborted("m1") in outputs
        assert target.next_deadline() is None
        assert bodies(give(target, chunk(b"lo", "4-5/5", "bob3"))) == []

    def test_a_message_without_its_rest_is_forgotten_after_a_while(self) -> None:
        target = session(incomplete_s=60.0)
        give(target, chunk(b"hel", "1-3/5", "bob1", "+"), now=1.0)
        give(target, chunk(b"x", "1-1/5", "bob2", "+", message_id="m2"), now=2.0)
        assert target.next_deadline() == 61.0
        assert target.handle_deadline(61.0) == []
        assert target.next_deadline() == 62.0
        assert bodies(give(target, chunk(b"lo", "4-5/5", "bob3"), now=61.5)) == []

    def test_every_chunk_keeps_a_message_alive(self) -> None:
        target = session(incomplete_s=60.0)
        give(target, chunk(b"a", "1-1/3", "bob1", "+"), now=1.0)
        give(target, chunk(b"b", "2-2/3", "bob2", "+"), now=50.0)
        target.handle_deadline(61.0)
        assert bodies(give(target, chunk(b"c", "3-3/3", "bob3"), now=100.0)) == [b"abc"]


class TestAnswers:
    @pytest.mark.parametrize(
        ("failure_report", "good", "bad"),
        [("yes", 1, 1), ("partial", 0, 1), ("no", 0, 0), ("YES", 1, 1), ("nonsense", 1, 1)],
    )
    def test_who_wants_which_answer(self, failure_report: str, good: int, bad: int) -> None:
        target = session()
        headers = f"Failure-Report: {failure_report}\r\nContent-Type: text/plain\r\n"
        assert len(answers(give(target, chunk(b"hi", "1-2/2", headers=headers)))) == good
        assert len(answers(give(target, chunk(b"hi", "1-2/3", "bob2", headers=headers, to_path=BOB)))) == bad

    def test_the_answer_goes_to_the_last_hop_only(self) -> None:
        hop = "msrp://relay.example:2855/r1;tcp"
        outputs = give(session(), chunk(b"hi", "1-2/2", from_path=f"{hop} msrp://relay2.example:2855/r2;tcp {BOB}"))
        (frame,) = of_type(outputs, Transmit)
        expected = f"MSRP bob1 200 OK\r\nTo-Path: {hop}\r\nFrom-Path: {ALICE}\r\n-------bob1$\r\n"
        assert frame.octets == expected.encode()

    def test_a_repeated_message_is_answered_and_not_delivered_again(self) -> None:
        target = session()
        assert bodies(give(target, chunk(b"hi", "1-2/2", "bob1"))) == [b"hi"]
        outputs = give(target, chunk(b"hi", "1-2/2", "bob2"))
        assert answers(outputs) == [("bob2", 200)]
        assert bodies(outputs) == []
        assert bodies(give(target, chunk(b"i", "2-2/2", "bob3"), chunk(b"h", "1-1/2", "bob4", "+"))) == []

    def test_another_message_with_a_used_id_is_not_lost(self) -> None:
        target = session()
        give(target, chunk(b"hi", "1-2/2"))
        assert bodies(give(target, chunk(b"ho", "1-2/2"))) == [b"ho"]

    def test_only_the_latest_messages_are_remembered(self) -> None:
        target = session()
        for number in range(300):
            give(target, chunk(b"hi", "1-2/2", message_id=f"m{number}"))
        assert bodies(give(target, chunk(b"hi", "1-2/2", message_id="m0"))) == [b"hi"]
        assert bodies(give(target, chunk(b"hi", "1-2/2", message_id="m299"))) == []


class TestSettling:
    WANTED = "Success-Report: yes\r\nContent-Type: text/plain\r\n"

    def test_the_owner_answers_the_chunk_that_completes_a_message(self) -> None:
        target = session(is_settled_by_owner=True)
        outputs = give(target, chunk(b"he", "1-2/4", "bob1", "+"), chunk(b"ll", "3-4/4", "bob2"))
        assert answers(outputs) == [("bob1", 200)]
        (received,) = of_type(outputs, MessageReceived)
        assert not target.is_idle
        assert answers(target.settle(received.delivery, 2.0)) == [("bob2", 200)]
        assert target.settle(received.delivery, 2.0) == []
        assert target.is_idle

    @pytest.mark.parametrize("status", [403, 413, 415])
    def test_a_refusal_of_the_owner_is_the_answer(self, status: int) -> None:
        target = session(is_settled_by_owner=True)
        (received,) = of_type(give(target, chunk(b"hi", "1-2/2", headers=self.WANTED)), MessageReceived)
        assert answers(target.settle(received.delivery, 2.0, status)) == [("bob1", status)]

    def test_what_was_refused_may_be_sent_again(self) -> None:
        target = session(is_settled_by_owner=True)
        (received,) = of_type(give(target, chunk(b"hi", "1-2/2")), MessageReceived)
        target.settle(received.delivery, 2.0, 403)
        assert bodies(give(target, chunk(b"hi", "1-2/2", "bob2"))) == [b"hi"]

    def test_who_repeats_himself_is_answered_when_the_owner_has_decided(self) -> None:
        target = session(is_settled_by_owner=True)
        (received,) = of_type(give(target, chunk(b"hi", "1-2/2", "bob1")), MessageReceived)
        assert give(target, chunk(b"hi", "1-2/2", "bob2")) == []
        assert answers(target.settle(received.delivery, 2.0)) == [("bob1", 200), ("bob2", 200)]

    def test_two_messages_with_one_id_are_two_messages(self) -> None:
        target = session(is_settled_by_owner=True)
        first, second = of_type(
            give(target, chunk(b"hi", "1-2/2", "bob1"), chunk(b"ho", "1-2/2", "bob2")), MessageReceived
        )
        assert answers(target.settle(first.delivery, 2.0)) == [("bob1", 200)]
        assert answers(target.settle(second.delivery, 2.0, 403)) == [("bob2", 403)]
        assert target.is_idle

    def test_too_many_that_wait_make_the_session_congested(self) -> None:
        target = session(is_settled_by_owner=True, max_unsettled=2)
        outputs = give(target, chunk(b"a", "1-1/1", message_id="m1"), chunk(b"b", "1-1/1", message_id="m2"))
        assert target.is_congested
        target.settle(of_type(outputs, MessageReceived)[0].delivery, 2.0)
        assert not target.is_congested

    def test_too_many_octets_that_wait_do_so_too(self) -> None:
        target = session(is_settled_by_owner=True, max_unsettled_octets=3)
        outputs = give(target, chunk(b"ab", "1-2/2", message_id="m1"))
        assert not target.is_congested
        outputs += give(target, chunk(b"cd", "1-2/2", message_id="m2"))
        assert target.is_congested
        target.settle(of_type(outputs, MessageReceived)[0].delivery, 2.0, 403)
        assert not target.is_congested

    def test_a_message_that_is_repeated_without_end_is_refused_in_the_end(self) -> None:
        target = session(is_settled_by_owner=True)
        outputs = give(target, *(chunk(b"hi", "1-2/2", f"bob{number:04}") for number in range(20)))
        assert answers(outputs) == [(f"bob{number:04}", 413) for number in range(16, 20)]
        (received,) = of_type(outputs, MessageReceived)
        assert len(answers(target.settle(received.delivery, 2.0))) == 16

    def test_a_success_report_follows_the_answer_over_the_whole_path(self) -> None:
        relayed = f"msrp://relay.example:2855/r1;tcp {BOB}"
        outputs = give(session(), chunk(b"hi", "1-2/2", headers=self.WANTED, from_path=relayed))
        assert answers(outputs) == [("bob1", 200), ("REPORT", 200)]
        assert (
            of_type(outputs, Transmit)[1].octets
            == (
                f"MSRP rep0001 REPORT\r\nTo-Path: {relayed}\r\nFrom-Path: {ALICE}\r\nMessage-ID: m1\r\n"
                "Byte-Range: 1-2/2\r\nStatus: 000 200 OK\r\n-------rep0001$\r\n"
            ).encode()
        )
        assert of_type(outputs, MessageReceived)[0].wants_report

    def test_a_success_report_is_about_the_whole_message(self) -> None:
        outputs = give(
            session(),
            chunk(b"he", "1-2/4", "bob1", "+", headers=self.WANTED),
            chunk(b"ll", "3-4/4", "bob2", headers=self.WANTED),
        )
        assert b"Byte-Range: 1-4/4\r\n" in of_type(outputs, Transmit)[2].octets

    def test_an_anchor_reports_when_it_knows_more(self) -> None:
        target = session(reports_success=False)
        outputs = give(target, chunk(b"hi", "1-2/2", headers=self.WANTED))
        assert answers(outputs) == [("bob1", 200)]
        (received,) = of_type(outputs, MessageReceived)
        assert answers(target.report(received.delivery, 2.0)) == [("REPORT", 200)]
        assert target.report(received.delivery, 2.0) == []

    @pytest.mark.parametrize(("failure_report", "count"), [("yes", 1), ("partial", 1), ("no", 0)])
    def test_an_anchor_reports_a_later_failure_to_who_wants_to_know(self, failure_report: str, count: int) -> None:
        target = session(reports_success=False)
        headers = f"Failure-Report: {failure_report}\r\nContent-Type: text/plain\r\n"
        (received,) = of_type(give(target, chunk(b"hi", "1-2/2", headers=headers)), MessageReceived)
        assert len(answers(target.report(received.delivery, 2.0, 408))) == count


class TestRefusals:
    @pytest.mark.parametrize(
        ("members", "status"),
        [
            ({"to_path": "msrp://10.0.0.1:51001/nobody;tcp"}, 481),
            ({"to_path": f"{ALICE} {BOB}"}, 481),
            ({"to_path": f"{BOB} {ALICE}"}, 481),
            ({"to_path": "msrp://10.0.0.1:51001;tcp"}, 481),
            ({"from_path": "msrp://10.0.0.9:1/mallory;tcp"}, 403),
            ({"from_path": f"{BOB} msrp://10.0.0.9:1/mallory;tcp"}, 403),
        ],
    )
    def test_wrong_paths(self, members: dict[str, str], status: int) -> None:
        target = session()
        outputs = give(target, chunk(b"hi", "1-2/2", **members))
        assert answers(outputs) == [("bob1", status)]
        assert not of_type(outputs, Bound)
        assert bodies(outputs) == []
        assert bodies(give(target, chunk(b"hi", "1-2/2", "bob2"))) == [b"hi"]

    def test_a_path_is_matched_by_its_session_id_as_cema_has_it(self) -> None:
        to_path = ALICE.replace("10.0.0.1", "192.0.2.99")
        assert bodies(give(session(), chunk(b"hi", "1-2/2", to_path=to_path))) == [b"hi"]

    def test_wrong_paths_of_a_report_are_ignored(self) -> None:
        target = session()
        octets = (
            f"MSRP bob1 REPORT\r\nTo-Path: {BOB}\r\nFrom-Path: {BOB}\r\nMessage-ID: m1\r\nByte-Range: 1-2/2\r\n"
            "Status: 000 200 OK\r\n-------bob1$\r\n"
        )
        assert give(target, octets.encode()) == []

    def test_content_that_is_not_accepted_is_a_415(self) -> None:
        media = MsrpMedia(
            host="a.example", port=1, is_tls=False, path=parse_path(ALICE), accept_types=("message/cpim",)
        )
        target = session(local=media)
        outputs = give(target, chunk(b"hi", "1-2/2", "bob1"))
        assert answers(outputs) == [("bob1", 415)]
        headers = "Content-Type: Message/CPIM;charset=utf-8\r\n"
        assert bodies(give(target, chunk(b"hi", "1-2/2", "bob2", headers=headers))) == [b"hi"]
        assert answers(give(target, chunk(b"hi", "1-2/2", "bob3", headers="Subject: none\r\n"))) == [("bob3", 415)]

    def test_content_that_the_direction_forbids_is_a_403(self) -> None:
        path = parse_path(ALICE)
        media = MsrpMedia(host="a.example", port=1, is_tls=False, path=path, direction=Direction.SENDONLY)
        assert answers(give(session(local=media), chunk(b"hi", "1-2/2"))) == [("bob1", 403)]

    def test_a_message_above_the_limit_is_a_413_before_it_has_come(self) -> None:
        target = session(max_octets=100)
        decoder = FrameDecoder()
        outputs: Outputs = []
        for octets in (chunk(b"x" * 500, "1-*/500")[:300], chunk(b"x" * 500, "1-*/500")[300:]):
            for event in decoder.feed(octets):
                outputs += target.receive(event, 1.0)
        assert answers(outputs) == [("bob1", 413)]
        assert bodies(outputs) == []

    def test_a_message_that_grows_above_the_limit_is_a_413(self) -> None:
        target = session(max_octets=4)
        outputs = give(target, chunk(b"abcd", "1-4/*", "bob1", "+"), chunk(b"e", "5-5/*", "bob2", "+"))
        assert answers(outputs) == [("bob1", 200), ("bob2", 413)]
        assert target.next_deadline() is None

    @pytest.mark.parametrize(
        "chunks",
        [
            [chunk(b"abcde", "1-4/5")],
            [chunk(b"abc", "1-4/4")],
            [chunk(b"ab", "1-2/4", "bob0", "+"), chunk(b"cd", "3-4/5")],
            [chunk(b"abcd", "1-*/3")],
        ],
    )
    def test_octets_that_disagree_with_their_range_are_a_400(self, chunks: list[bytes]) -> None:
        target = session()
        outputs = give(target, *chunks)
        assert answers(outputs)[-1] == ("bob1", 400)
        assert bodies(outputs) == []
        assert bodies(give(target, chunk(b"hi", "1-2/2", "bob9", message_id="m9"))) == [b"hi"]

    def test_the_rest_of_a_refused_chunk_is_no_part_of_anything(self) -> None:
        target = session()
        head = MsrpRequest("bob1", "SEND", ALICE, BOB, (("Message-ID", "m1"), ("Byte-Range", "1-2/4")), None, None)
        pieces = [Piece(head, 1, b"abc", None), Piece(head, 4, b"d", None), Piece(head, 5, b"", Continuation.COMPLETE)]
        outputs = [output for piece in pieces for output in target.receive(piece, 1.0)]
        assert answers(outputs) == [("bob1", 400)]
        assert bodies(give(target, chunk(b"hi", "1-2/2", "bob2"))) == [b"hi"]

    def test_many_types_cost_no_memory(self) -> None:
        media = MsrpMedia(host="a.example", port=1, is_tls=False, path=parse_path(ALICE), accept_types=("text/plain",))
        incoming = Incoming(SessionConfig(local=media), parse_msrp_uri(ALICE), parse_msrp_uri(BOB), counter("rep"))
        for number in range(200):
            fields = (("Message-ID", "m"), ("Content-Type", f"text/{number}"))
            head = MsrpRequest("bob1", "SEND", ALICE, BOB, fields, None, None)
            incoming.take(Piece(head, 1, b"x", Continuation.COMPLETE), 0.0, [])
        assert len(incoming._accepted) <= 32
