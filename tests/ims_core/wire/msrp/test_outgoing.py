"""Order, chunks, window, interruption, answers and reports of what is sent."""

from __future__ import annotations

from typing import Any

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.media import Direction, MsrpMedia
from ims_core.wire.msrp.message import ByteRange, Continuation, FailureReport, MsrpRequest, MsrpResponse
from ims_core.wire.msrp.outgoing import Outgoing
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from ims_core.wire.msrp.session_events import (
    FailureReason,
    MessageFailed,
    MessageSent,
    OutgoingMessage,
    Output,
    Outputs,
    Reported,
    SessionConfig,
    Transmit,
)
from ims_core.wire.msrp.uri import parse_msrp_uri, parse_path
from tests.support.msrp_pair import ALICE, BOB, counter, of_type


def sender(**members: Any) -> Outgoing:
    return Outgoing(SessionConfig(**members), parse_msrp_uri(ALICE), parse_path(BOB), counter("tr"))


def text(message_id: str, body: bytes = b"hi", **members: Any) -> OutgoingMessage:
    return OutgoingMessage(message_id, "text/plain", body, **members)


def submit(outgoing: Outgoing, *messages: OutgoingMessage, now: float = 0.0) -> Outputs:
    out: Outputs = []
    for message in messages:
        outgoing.submit(message, out)
    outgoing.pump(now, out)
    return out


def respond(outgoing: Outgoing, transaction_id: str, status: int = 200, now: float = 1.0) -> Outputs:
    out: Outputs = []
    outgoing.answered(MsrpResponse(transaction_id, status, None, ALICE, BOB), now, out)
    outgoing.pump(now, out)
    return out


def report(message_id: str, status: str, byte_range: str = "1-2/2") -> MsrpRequest:
    headers = (("Message-ID", message_id), ("Byte-Range", byte_range), ("Status", status))
    return MsrpRequest("rep1", "REPORT", ALICE, BOB, headers)


def told(outputs: list[Output]) -> list[Output]:
    return [each for each in outputs if not isinstance(each, Transmit)]


class Wire:
    """What a peer has read so far: Message-ID, Byte-Range, octets and flag of each chunk."""

    def __init__(self) -> None:
        self.decoder = FrameDecoder()
        self.begun: dict[str, bytes] = {}

    def chunks(self, outputs: list[Output]) -> list[tuple[str, str, str, str]]:
        found = []
        for each in of_type(outputs, Transmit):
            for event in self.decoder.feed(each.octets):
                if isinstance(event, MsrpRequest):
                    found.append((event.transaction_id, event.message_id, event.text("Byte-Range") or "", "bodiless"))
                assert isinstance(event, Piece | MsrpRequest)
                if isinstance(event, Piece):
                    octets = self.begun.pop(event.head.transaction_id, b"") + event.octets
                    if event.continuation is None:
                        self.begun[event.head.transaction_id] = octets
                        continue
                    shown = f"{len(octets)}{event.continuation.value}"
                    head = event.head
                    found.append((head.transaction_id, head.message_id, head.text("Byte-Range") or "", shown))
        return found


class TestOrder:
    def test_a_short_message_is_one_frame_with_the_headers_in_their_order(self) -> None:
        (frame,) = submit(sender(), text("m1", b"Hello Bob", success_report=True))
        assert isinstance(frame, Transmit)
        assert (
            frame.octets
            == (
                f"MSRP tr0001 SEND\r\nTo-Path: {BOB}\r\nFrom-Path: {ALICE}\r\nMessage-ID: m1\r\nByte-Range: 1-9/9\r\n"
                "Success-Report: yes\r\nFailure-Report: yes\r\nContent-Type: text/plain\r\n\r\nHello Bob\r\n"
                "-------tr0001$\r\n"
            ).encode()
        )

    def test_both_ways_of_writing_give_the_same_octets(self) -> None:
        whole = of_type(submit(sender(), text("m1", b"x" * 2048)), Transmit)[0]
        assert whole.octets == written_by_the_codec(whole.octets)

    def test_messages_go_one_after_the_other(self) -> None:
        outputs = submit(sender(chunk_octets=4), text("m1", b"abcdefghi"), text("m2", b"jk"))
        assert Wire().chunks(outputs) == [
            ("tr0001", "m1", "1-4/9", "4+"),
            ("tr0002", "m1", "5-8/9", "4+"),
            ("tr0003", "m1", "9-9/9", "1$"),
            ("tr0004", "m2", "1-2/2", "2$"),
        ]

    def test_an_urgent_message_goes_between_the_chunks_of_another(self) -> None:
        outgoing, wire = sender(chunk_octets=4, window_octets=8), Wire()
        wire.chunks(submit(outgoing, text("m1", b"abcdefghijkl")))
        submit(outgoing, text("typing", b"abcdef", failure_report=FailureReport.NO, is_urgent=True))
        assert wire.chunks(respond(outgoing, "tr0001")) == [
            ("tr0003", "typing", "1-4/6", "4+"),
            ("tr0004", "typing", "5-6/6", "2$"),
            ("tr0005", "m1", "9-12/12", "4$"),
        ]

    def test_urgent_ones_keep_their_order_before_those_that_wait(self) -> None:
        messages = [text("m1"), text("u1", is_urgent=True), text("u2", is_urgent=True)]
        found = Wire().chunks(submit(sender(), *messages))
        assert [message_id for _, message_id, _, _ in found] == ["u1", "u2", "m1"]

    def test_a_transaction_id_that_is_in_the_body_is_drawn_again(self) -> None:
        outputs = submit(sender(), text("m1", b"\r\n-------tr0001$\r\n"))
        assert Wire().chunks(outputs) == [("tr0002", "m1", "1-18/18", "18$")]

    def test_a_line_break_in_a_header_is_refused(self) -> None:
        with pytest.raises(LocalProtocolError):
            submit(sender(), OutgoingMessage("m1", "text/plain\r\nStatus: 000 200", b"x"))

    def test_an_empty_message_is_a_send_without_a_body(self) -> None:
        outgoing = sender()
        assert Wire().chunks(submit(outgoing, text("m1", b""))) == [("tr0001", "m1", "1-0/0", "bodiless")]
        assert respond(outgoing, "tr0001") == [MessageSent("m1")]


def written_by_the_codec(octets: bytes) -> bytes:
    """The same frame, written by the codec."""
    (piece,) = FrameDecoder().feed(octets)
    assert isinstance(piece, Piece)
    head = piece.head
    return MsrpRequest(
        head.transaction_id, "SEND", head.to_path, head.from_path, head.headers, piece.octets, Continuation.COMPLETE
    ).encode()


class TestWindow:
    def test_no_more_than_the_window_is_unanswered(self) -> None:
        outgoing, wire = sender(chunk_octets=4, window_octets=8), Wire()
        assert len(wire.chunks(submit(outgoing, text("m1", b"x" * 20)))) == 2
        assert outgoing.unanswered_octets == 8
        assert wire.chunks(respond(outgoing, "tr0002")) == [("tr0003", "m1", "9-12/20", "4+")]
        assert outgoing.unanswered_octets == 8

    def test_nobody_waits_for_what_is_not_answered(self) -> None:
        outgoing = sender(chunk_octets=4, window_octets=8)
        outputs = submit(outgoing, text("m1", b"x" * 20, failure_report=FailureReport.NO))
        assert told(outputs) == [MessageSent("m1")]
        assert (outgoing.unanswered_octets, outgoing.deadline) == (0, None)

    def test_a_burst_waits_until_the_connection_has_taken_it(self) -> None:
        outgoing, wire = sender(chunk_octets=4, burst_octets=8), Wire()
        outputs = submit(outgoing, text("m1", b"x" * 18, failure_report=FailureReport.NO))
        assert len(wire.chunks(outputs)) == 2
        assert outgoing.awaits_writable
        outgoing.writable()
        assert len(wire.chunks(submit(outgoing))) == 2
        outgoing.writable()
        assert told(submit(outgoing)) == [MessageSent("m1")]
        assert not outgoing.awaits_writable

    def test_a_queue_has_an_end(self) -> None:
        outgoing = sender(max_queued=2, window_octets=1)
        outputs = submit(outgoing, text("m1"), text("m2"), text("m3"))
        assert told(outputs) == [MessageFailed("m3", FailureReason.QUEUE_FULL, 413, False)]


class TestLongChunks:
    def test_a_long_chunk_has_an_open_end(self) -> None:
        outputs = submit(sender(chunk_octets=10_000), text("m1", b"x" * 15_000))
        assert Wire().chunks(outputs) == [
            ("tr0001", "m1", "1-*/15000", "10000+"),
            ("tr0002", "m1", "10001-*/15000", "5000$"),
        ]
        assert len(outputs) == 2
        frame = of_type(outputs, Transmit)[0].frame
        assert isinstance(frame, MsrpRequest)
        assert frame.transaction_id == "tr0001"

    def test_what_is_short_has_a_closed_end(self) -> None:
        outputs = submit(sender(chunk_octets=10_000), text("m1", b"x" * 12_048))
        assert [each[2] for each in Wire().chunks(outputs)] == ["1-*/12048", "10001-12048/12048"]

    def test_a_full_window_ends_the_chunk_because_only_an_answer_opens_it(self) -> None:
        outgoing, wire = sender(chunk_octets=10_000, window_octets=3000, burst_octets=3000), Wire()
        assert wire.chunks(submit(outgoing, text("m1", b"x" * 9000))) == [("tr0001", "m1", "1-*/9000", "3000+")]
        assert wire.chunks(respond(outgoing, "tr0001")) == [("tr0002", "m1", "3001-*/9000", "3000+")]
        assert wire.chunks(respond(outgoing, "tr0002")) == [("tr0003", "m1", "6001-*/9000", "3000$")]
        assert respond(outgoing, "tr0003") == [MessageSent("m1")]

    def test_a_chunk_stays_open_while_the_connection_is_busy(self) -> None:
        outgoing, wire = sender(chunk_octets=10_000, burst_octets=3000), Wire()
        assert wire.chunks(submit(outgoing, text("m1", b"x" * 9000))) == []
        assert outgoing.awaits_writable
        assert outgoing.deadline is None
        outgoing.writable()
        assert wire.chunks(submit(outgoing, now=1.0)) == []
        outgoing.writable()
        assert wire.chunks(submit(outgoing, now=2.0)) == [("tr0001", "m1", "1-*/9000", "9000$")]
        assert outgoing.deadline == 32.0

    def test_an_urgent_message_interrupts_an_open_chunk(self) -> None:
        outgoing, wire = sender(chunk_octets=10_000, burst_octets=3000), Wire()
        wire.chunks(submit(outgoing, text("m1", b"x" * 9000)))
        assert wire.chunks(submit(outgoing, text("typing", is_urgent=True))) == [
            ("tr0001", "m1", "1-*/9000", "3000+"),
            ("tr0002", "typing", "1-2/2", "2$"),
        ]
        outgoing.writable()
        assert wire.chunks(submit(outgoing)) == []
        assert wire.begun == {"tr0003": b"x" * 3000}

    def test_a_refusal_before_the_end_of_a_chunk_ends_it(self) -> None:
        outgoing, wire = sender(chunk_octets=10_000, burst_octets=3000), Wire()
        wire.chunks(submit(outgoing, text("m1", b"x" * 9000), text("m2")))
        outputs = respond(outgoing, "tr0001", 413)
        assert told(outputs) == [MessageFailed("m1", FailureReason.REFUSED, 413, True)]
        assert wire.chunks(outputs) == [("tr0001", "m1", "1-*/9000", "3000#")]
        outgoing.writable()
        assert wire.chunks(submit(outgoing)) == [("tr0002", "m2", "1-2/2", "2$")]
        assert outgoing.unanswered_octets == 2

    def test_a_200_before_the_end_of_a_chunk_is_its_answer(self) -> None:
        outgoing, wire = sender(chunk_octets=10_000, burst_octets=3000), Wire()
        wire.chunks(submit(outgoing, text("m1", b"x" * 5000)))
        assert respond(outgoing, "tr0001") == []
        outgoing.writable()
        assert told(submit(outgoing)) == [MessageSent("m1")]
        assert (outgoing.deadline, outgoing.unanswered_octets) == (None, 0)

    def test_a_481_before_the_end_of_a_chunk_ends_the_session(self) -> None:
        outgoing = sender(chunk_octets=10_000, burst_octets=3000)
        submit(outgoing, text("m1", b"x" * 5000))
        assert outgoing.answered(MsrpResponse("tr0001", 481, None, ALICE, BOB), 1.0, []) is False


class TestAnswers:
    def test_a_message_is_sent_when_every_chunk_is_answered(self) -> None:
        outgoing = sender(chunk_octets=4)
        submit(outgoing, text("m1", b"abcdefgh"))
        assert respond(outgoing, "tr0002") == []
        assert respond(outgoing, "tr0001") == [MessageSent("m1")]
        assert outgoing.is_idle

    def test_413_stops_the_message_with_an_abort_and_the_next_one_goes(self) -> None:
        outgoing, wire = sender(chunk_octets=4, window_octets=8), Wire()
        wire.chunks(submit(outgoing, text("m1", b"x" * 20), text("m2")))
        outputs = respond(outgoing, "tr0001", 413)
        assert told(outputs) == [MessageFailed("m1", FailureReason.REFUSED, 413, True)]
        assert wire.chunks(outputs) == [("tr0003", "m1", "9-*/20", "0#"), ("tr0004", "m2", "1-2/2", "2$")]
        assert respond(outgoing, "tr0002", 413) == []
        assert respond(outgoing, "tr0004") == [MessageSent("m2")]
        assert outgoing.unanswered_octets == 0

    @pytest.mark.parametrize("status", [400, 403, 413, 415, 423, 501, 302, 199])
    def test_any_other_refusal_fails_that_message_alone(self, status: int) -> None:
        outgoing = sender()
        submit(outgoing, text("m1"), text("m2"))
        assert respond(outgoing, "tr0001", status) == [MessageFailed("m1", FailureReason.REFUSED, status, True)]
        assert respond(outgoing, "tr0002") == [MessageSent("m2")]

    @pytest.mark.parametrize("status", [408, 481, 506])
    def test_a_status_that_ends_the_session_is_left_to_the_session(self, status: int) -> None:
        outgoing = sender()
        submit(outgoing, text("m1"))
        assert outgoing.answered(MsrpResponse("tr0001", status, None, ALICE, BOB), 1.0, []) is False

    def test_a_second_answer_is_to_nothing(self) -> None:
        outgoing = sender()
        submit(outgoing, text("m1"))
        respond(outgoing, "tr0001")
        assert outgoing.answered(MsrpResponse("tr0001", 413, None, ALICE, BOB), 1.0, []) is None

    def test_partial_hears_of_failures_only(self) -> None:
        outgoing = sender()
        outputs = submit(outgoing, text("m1", failure_report=FailureReport.PARTIAL))
        assert told(outputs) == [MessageSent("m1")]
        assert outgoing.is_idle
        failed = MessageFailed("m1", FailureReason.REFUSED, 415, True)
        assert respond(outgoing, "tr0001", 415) == [failed]

    def test_partial_is_forgotten_when_no_failure_came(self) -> None:
        outgoing = sender()
        submit(outgoing, text("m1", failure_report=FailureReport.PARTIAL))
        assert outgoing.deadline == 30.0
        assert not outgoing.expire(30.0)
        assert outgoing.deadline is None
        assert respond(outgoing, "tr0001", 415, now=31.0) == []

    def test_a_partial_message_that_takes_long_does_not_time_out(self) -> None:
        outgoing = sender(chunk_octets=4, burst_octets=4)
        submit(outgoing, text("m1", b"x" * 20, failure_report=FailureReport.PARTIAL))
        assert not outgoing.expire(1000.0)
        assert not outgoing.is_idle

    def test_only_what_is_overdue_has_timed_out(self) -> None:
        outgoing = sender()
        submit(outgoing, text("m1"), now=0.0)
        submit(outgoing, text("m2"), now=1.0)
        out: Outputs = []
        assert outgoing.expire(30.0)
        outgoing.time_out(30.0, out)
        outgoing.lose(408, out)
        assert out == [
            MessageFailed("m1", FailureReason.TIMED_OUT, 408, True),
            MessageFailed("m2", FailureReason.LOST, 408, True),
        ]
        assert outgoing.is_idle

    def test_nobody_waits_for_the_other_chunks_of_a_refused_message(self) -> None:
        outgoing = sender(chunk_octets=4)
        submit(outgoing, text("m1", b"abcdefgh"))
        respond(outgoing, "tr0001", 415)
        assert not outgoing.expire(1000.0)
        assert outgoing.unanswered_octets == 0


class TestReports:
    def test_a_success_report_is_passed_on(self) -> None:
        outgoing = sender()
        submit(outgoing, text("m1", success_report=True))
        respond(outgoing, "tr0001")
        out: Outputs = []
        assert outgoing.reported(report("m1", "000 200 OK"), 2.0, out)
        assert out == [Reported("m1", 200, ByteRange(1, 2, 2))]

    def test_a_failure_report_fails_a_message_that_was_sent(self) -> None:
        outgoing = sender()
        submit(outgoing, text("m1"))
        respond(outgoing, "tr0001")
        out: Outputs = []
        outgoing.reported(report("m1", "000 408 Late"), 2.0, out)
        outgoing.reported(report("m1", "000 408 Late"), 2.0, out)
        assert out == [
            Reported("m1", 408, ByteRange(1, 2, 2)),
            MessageFailed("m1", FailureReason.REPORTED, 408, True),
        ]

    def test_a_failure_report_stops_a_message_under_way(self) -> None:
        outgoing, wire = sender(chunk_octets=4, window_octets=8), Wire()
        wire.chunks(submit(outgoing, text("m1", b"x" * 20)))
        out: Outputs = []
        outgoing.reported(report("m1", "000 413 Stop"), 2.0, out)
        assert told(out)[1] == MessageFailed("m1", FailureReason.REPORTED, 413, True)
        assert wire.chunks(out) == [("tr0003", "m1", "9-*/20", "0#")]
        assert outgoing.is_idle

    @pytest.mark.parametrize("status", ["001 200 OK", "000", "what"])
    def test_a_status_that_is_not_understood_is_ignored(self, status: str) -> None:
        outgoing = sender()
        submit(outgoing, text("m1"))
        assert not outgoing.reported(report("m1", status), 2.0, [])

    def test_a_report_about_what_is_not_sent_yet_is_ignored(self) -> None:
        outgoing = sender(window_octets=2)
        submit(outgoing, text("m1"), text("m2"))
        assert not outgoing.reported(report("m2", "000 413 Stop"), 2.0, [])
        assert not outgoing.reported(report("m9", "000 413 Stop"), 2.0, [])

    def test_only_the_latest_messages_are_remembered(self) -> None:
        outgoing = sender()
        for number in range(200):
            submit(outgoing, text(f"m{number}", failure_report=FailureReport.NO))
        assert not outgoing.reported(report("m0", "000 200 OK"), 2.0, [])
        assert outgoing.reported(report("m199", "000 200 OK"), 2.0, [])


class TestWhatThePeerTakes:
    def _media(self, **members: Any) -> MsrpMedia:
        return MsrpMedia(host="10.0.0.2", port=2855, is_tls=False, path=parse_path(BOB), **members)

    @pytest.mark.parametrize(
        ("members", "status"),
        [
            ({"accept_types": ("message/cpim",)}, 415),
            ({"max_size": 1}, 413),
            ({"direction": Direction.SENDONLY}, 403),
        ],
    )
    def test_what_its_sdp_does_not_allow_is_not_sent(self, members: dict[str, Any], status: int) -> None:
        outputs = submit(sender(remote=self._media(**members)), text("m1"))
        assert outputs == [MessageFailed("m1", FailureReason.UNACCEPTABLE, status, False)]

    def test_what_its_sdp_allows_is_sent(self) -> None:
        media = self._media(accept_types=("text/*",), max_size=2)
        assert len(submit(sender(remote=media), text("m1"))) == 1


def test_equal_ids_under_way_are_told_apart_by_their_transactions() -> None:
    outgoing = sender()
    submit(outgoing, text("m1"), text("m1", b"other"))
    assert respond(outgoing, "tr0001", 415) == [MessageFailed("m1", FailureReason.REFUSED, 415, True)]
    assert respond(outgoing, "tr0002") == [MessageSent("m1")]
    assert outgoing.is_idle
