"""The number of a phone is what the network calls it, not what anybody else says."""

from __future__ import annotations

import pytest

from ims_core.trace import RecordKind, TraceRecord
from ims_core.wire.sms.sm_link import Accepted, Attach, encode_frame
from rcs_sim.scenario.oracle_numbers import number_told, number_used


def _record(source: str, target: str, octets: bytes, point: str = "Gm", protocol: str = "SIP") -> TraceRecord:
    return TraceRecord(1, 0.0, RecordKind.MESSAGE, source, target, point, protocol, raw=octets)


@pytest.mark.parametrize(
    ("header", "number"),
    [
        ("P-Associated-URI: <sip:+12025550101@ims.test>, <tel:+12025550101>", "12025550101"),
        ("p-associated-uri: <sip:+12025550101@ims.test;user=phone>", "12025550101"),
        ("P-Associated-URI: <sip:alice@ims.test>", None),
        ("P-Asserted-Identity: <tel:+12025550101>", None),
    ],
)
def test_the_answer_to_a_registration_tells_it(header: str, number: str | None) -> None:
    told = number_told(_record("red.pcscf", "alice", f"SIP/2.0 200 OK\r\n{header}\r\n\r\n".encode()))
    assert told == (None if number is None else ("alice", number))


def test_a_phone_that_prefers_an_identity_tells_it() -> None:
    octets = b"MESSAGE tel:+12025550152 SIP/2.0\r\nP-Preferred-Identity: <tel:+12025550101>\r\n\r\n"
    assert number_told(_record("alice", "red.pcscf", octets)) == ("alice", "12025550101")
    assert number_told(_record("red.pcscf", "red.scscf", octets, "Mw")) is None


def test_the_service_centre_tells_it_to_who_attaches() -> None:
    accepted = encode_frame(Accepted(1, "+12025550101"))
    assert number_told(_record("red.smsc", "alice", accepted, "CS", "SM")) == ("alice", "12025550101")
    attach = encode_frame(Attach(1, "001010000000101"))
    assert number_told(_record("alice", "red.smsc", attach, "CS", "SM")) is None
    assert number_told(_record("alice", "red.smsc", b"\xff" * 40, "CS", "SM")) is None


def test_without_a_registration_what_a_phone_sends_and_gets_tells_it() -> None:
    octets = b"MESSAGE sip:x SIP/2.0\r\nt: <tel:+12025550152>\r\nFrom: A <sip:+12025550101@ims.test>;tag=1\r\n\r\n"
    assert number_used(_record("alice", "red.pcscf", octets)) == ("alice", "12025550101")
    assert number_used(_record("blue.pcscf", "bob", octets)) == ("bob", "12025550152")
    assert number_used(_record("red.pcscf", "red.scscf", octets, "Mw")) is None
    assert number_used(_record("blue.pcscf", "bob", b"SIP/2.0 200 OK\r\nTo: <tel:+12025550152>\r\n\r\n")) is None
    assert number_used(_record("alice", "red.pcscf", b"MESSAGE x SIP/2.0\r\nFrom: <sip:anonymous@x>\r\n\r\n")) is None
