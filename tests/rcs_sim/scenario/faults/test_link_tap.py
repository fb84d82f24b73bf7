"""On the line: rules see whole messages, change them, and leave nothing behind."""

from __future__ import annotations

import pytest

from ims_core.transport.link import Address, AddressBook, Transport, VoidFlow
from rcs_sim.scenario.faults.link_tap import LinkTap
from rcs_sim.scenario.faults.passing import Line, Passing
from tests.rcs_sim.scenario.faults.test_msrp_frames import ONE, TWO

SIP = b"OPTIONS sip:a SIP/2.0\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"


class Wire(VoidFlow):
    """A flow that goes through the tap, and keeps what comes out."""

    __slots__ = ("book", "handed_in", "sent")

    def __init__(self, book: AddressBook, source: str = "alice", target: str = "red.pcscf") -> None:
        super().__init__(Address(Transport.TCP, "127.0.0.2", 5060))
        self.local = Address(Transport.TCP, "127.0.0.1", 49152)
        self.book = book
        book.register(self.local, source)
        book.register(self.remote, target)
        self.sent: list[bytes] = []
        self.handed_in: list[bytes] = []

    def send(self, octets: bytes) -> None:
        if self.book.tap is None or not self.book.tap.sending(self, octets):
            self.sent.append(octets)

    def hand_in(self, octets: bytes) -> None:
        self.handed_in.append(octets)


@pytest.fixture
def wire() -> Wire:
    return Wire(AddressBook())


@pytest.fixture
def tap(wire: Wire) -> LinkTap:
    return LinkTap(wire.book)


def test_it_is_on_the_line_from_the_first_rule_to_the_last(wire: Wire, tap: LinkTap) -> None:
    assert wire.book.tap is None
    first = tap.add((Line.SIP,), lambda passing: passing.octets)
    second = tap.add((Line.SM,), lambda passing: None)
    first()
    assert wire.book.tap is tap
    second()
    second()
    assert wire.book.tap is None


def test_what_no_rule_changes_goes_on_as_the_same_object(wire: Wire, tap: LinkTap) -> None:
    seen: list[tuple[str, str, str]] = []

    def look(passing: Passing) -> bytes:
        seen.append((passing.source, passing.target, passing.protocol))
        return passing.octets

    tap.add((Line.SIP,), look)
    wire.send(SIP)
    wire.send(b"\r\n\r\n")
    assert wire.sent[0] is SIP
    assert wire.sent[1] == b"\r\n\r\n"
    assert seen == [("alice", "red.pcscf", "SIP")]


def test_rules_act_one_after_the_other(wire: Wire, tap: LinkTap) -> None:
    tap.add((Line.SIP,), lambda passing: passing.octets.replace(b"Call-ID: x", b"Call-ID: xy"))
    tap.add((Line.SIP,), lambda passing: passing.octets.replace(b"xy", b"xyz"))
    wire.send(SIP)
    assert b"Call-ID: xyz\r\n" in wire.sent[0]
    tap.add((Line.SIP,), lambda passing: None)
    wire.send(SIP)
    assert len(wire.sent) == 1


def test_what_a_rule_sends_is_seen_by_no_rule(wire: Wire, tap: LinkTap) -> None:
    def twice(passing: Passing) -> bytes:
        passing.send()
        return passing.octets

    tap.add((Line.OCTETS,), twice)
    wire.send(b"x")
    assert wire.sent == [b"x", b"x"]


def test_a_rule_can_answer(wire: Wire, tap: LinkTap) -> None:
    def answer(passing: Passing) -> None:
        passing.answer_sip(486)

    tap.add((Line.SIP,), answer)
    wire.send(SIP)
    assert wire.sent == []
    assert wire.handed_in[0].startswith(b"SIP/2.0 486 ")
    assert b"Call-ID: x\r\n" in wire.handed_in[0]


def test_frames_of_msrp_are_seen_one_by_one(wire: Wire, tap: LinkTap) -> None:
    seen: list[bytes] = []

    def look(passing: Passing) -> bytes:
        seen.append(passing.octets)
        return passing.octets

    end = tap.add((Line.MSRP,), look)
    octets = ONE.encode() + TWO.encode()
    wire.send(octets[:100])
    wire.send(octets[100:-5])
    assert wire.sent[-1:] == [ONE.encode()]
    assert seen == [ONE.encode()]
    end()
    wire.send(octets[-5:])
    assert b"".join(wire.sent) == octets


def test_a_message_in_chunks_is_seen_whole_and_held_no_longer_than_its_rule(wire: Wire, tap: LinkTap) -> None:
    seen: list[int] = []

    def look(passing: Passing) -> bytes:
        seen.append(len(passing.frames))
        return passing.octets

    end = tap.add((Line.CONTENT,), look)
    wire.send(ONE.encode())
    assert wire.sent == []
    wire.send(TWO.encode())
    assert b"".join(wire.sent) == ONE.encode() + TWO.encode()
    assert seen == [2]
    wire.sent.clear()
    wire.send(ONE.encode())
    end()
    assert wire.sent == [ONE.encode()]


def test_each_chunk_of_a_message_that_goes_no_further_is_answered(wire: Wire, tap: LinkTap) -> None:
    tap.add((Line.CONTENT,), lambda passing: passing.answer_whole())
    wire.send(ONE.encode() + TWO.encode())
    assert wire.sent == []
    assert [octets[:18] for octets in wire.handed_in] == [b"MSRP tid0001 200 O", b"MSRP tid0002 200 O"]
