"""What crossed a link is read from its octets: identifiers, texts, receipts, and what is learned without reading."""

from __future__ import annotations

import base64
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ims_core.trace import RecordKind, TraceRecord
from rcs_sim.scenario.oracle_contents import ContentReader
from rcs_sim.scenario.oracle_hops import Carried, Metadata
from tests.support.oracle_traces import ALICE, BOB, TraceScript, sealed_octets

_CPIM = b"From: <tel:+1>\r\nNS: i <urn:ietf:params:imdn>\r\ni.Message-ID: a\r\n\r\nContent-Type: text/plain\r\n"


def _contents(script: TraceScript) -> list[Carried]:
    reader = ContentReader()
    found = [carried for record in script.records for carried in reader.read(record)]
    return [*found, *reader.rest()]


def test_a_text_in_a_message_has_its_ids_and_parties() -> None:
    script = TraceScript()
    script.carries("a", b"hello", ("alice", "red.pcscf"))
    (carried,) = _contents(script)
    assert (carried.ids, carried.text, carried.media_type) == (("a",), "hello", "text/plain")
    assert (carried.sender, carried.recipient) == (ALICE[1:], BOB[1:])
    assert carried.metadata == {
        Metadata.NUMBERS,
        Metadata.MESSAGE_ID,
        Metadata.CONVERSATION,
        Metadata.TIME,
        Metadata.SIZE,
    }


def test_a_sealed_content_shows_its_era_and_its_padded_size() -> None:
    script = TraceScript()
    script.seals("a", ("alice", "red.pcscf"), more="mls.Original-Message-ID: before\r\n")
    (carried,) = _contents(script)
    assert (carried.ids, carried.text, carried.era) == (("a", "before"), None, 1)
    assert carried.octets == sealed_octets("a")
    assert {Metadata.ERA, Metadata.EPOCH, Metadata.PADDED_SIZE} <= carried.metadata


def test_a_receipt_says_what_it_is_about() -> None:
    script = TraceScript()
    imdn = (
        b'<?xml version="1.0"?><imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>a</message-id><datetime>'
        b"2026-03-02T10:15:03Z</datetime><delivery-notification><status><delivered/></status></delivery-notification>"
        b"</imdn>"
    )
    script.carries("r", imdn, ("bob", "blue.pcscf"), content_type="message/imdn+xml")
    (carried,) = _contents(script)
    assert (carried.ids, carried.about, carried.receipt) == (("r",), "a", "delivered")
    assert Metadata.RECEIPT in carried.metadata


def test_transfer_and_content_codings_are_undone() -> None:
    script = TraceScript()
    mime = "Content-Transfer-Encoding: base64\r\n"
    script.carries("a", base64.b64encode(b"hello there"), ("alice", "red.pcscf"), mime=mime)
    packed = script.message(ALICE, BOB, gzip.compress(_CPIM + b"\r\nhi"), more="Content-Encoding: gzip\r\n")
    script.crosses("alice", "red.pcscf", packed)
    mime = "Content-Encoding: gzip\r\n"
    script.carries("b", gzip.compress(b"hello again"), ("alice", "red.pcscf"), mime=mime)
    first, second, third = _contents(script)
    assert (third.text, third.is_derived) == ("hello again", True)
    assert (first.text, first.is_derived) == ("hello there", True)
    assert (second.ids, second.text, second.is_derived) == (("a",), "hi", True)


def test_a_cpim_in_a_multipart_is_found() -> None:
    script = TraceScript()
    cpim = (
        b"From: <tel:+1>\r\nNS: i <urn:ietf:params:imdn>\r\ni.Message-ID: a\r\n\r\nContent-Type: text/plain\r\n\r\nhi"
    )
    body = (
        b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\nContent-Type: message/cpim\r\n\r\n"
        + cpim
        + b"\r\n--b--"
    )
    octets = script.message(ALICE, BOB, body, 'multipart/mixed;boundary="b"').replace(b"MESSAGE", b"INVITE")
    script.crosses("alice", "red.pcscf", octets)
    assert [(each.media_type, each.ids) for each in _contents(script)] == [
        ("application/sdp", ()),
        ("text/plain", ("a",)),
    ]


def test_the_beginning_of_a_message_in_chunks_is_read_too() -> None:
    script = TraceScript()
    cpim = _CPIM + b"Content-Length: 500\r\n\r\nhello"
    head = b"MSRP tttt SEND\r\nTo-Path: msrp://h:1/b;tcp\r\nFrom-Path: msrp://h:2/a;tcp\r\nMessage-ID: m\r\n"
    head += b"Byte-Range: 1-%d/900\r\nContent-Type: message/cpim\r\n\r\n" % len(cpim)
    script.crosses("alice", "red.msrp_relay", head + cpim + b"\r\n-------tttt+\r\n", protocol="MSRP")
    (carried,) = _contents(script)
    assert (carried.ids, carried.text, carried.is_whole) == (("a",), "hello", False)


@pytest.mark.parametrize("protocol", ["SIP", "MSRP", "SM", "HTTP", "other", ""])
@given(octets=st.binary(max_size=200))
def test_any_octets_are_read_without_an_error(protocol: str, octets: bytes) -> None:
    reader = ContentReader()
    for raw in (octets, b"MESSAGE tel:+1 SIP/2.0\r\nContent-Type: message/cpim\r\n\r\n" + octets):
        reader.read(TraceRecord(1, 0.0, RecordKind.MESSAGE, "a", "b", protocol=protocol, raw=raw))
    list(reader.rest())
