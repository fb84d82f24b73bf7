"""A hop is judged by its octets: what can be read, what cannot, and what nobody can tell."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from urllib.parse import quote

import pytest

from ims_core.wire.sms.alphabet import encode_gsm7, pack_septets
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_hops import Carried, Hop
from rcs_sim.scenario.oracle_readings import Verdict, judge
from tests.support.oracle_traces import ALICE, BOB, SIP_WAY, TraceScript, sealed_octets

_TEXT = "meet me at the old harbour"
_HOP = Hop(1, 0.0, "alice", "red.pcscf", "Gm", "SIP", "TCP")


def _verdict(text: str, octets: bytes, media_type: str = "message/mls", seen: str | None = None) -> Verdict:
    return judge(text, Carried(hop=_HOP, ids=("a",), media_type=media_type, octets=octets, text=seen))[0]


def _said(text: str = _TEXT) -> TraceScript:
    script = TraceScript()
    script.says("alice", "a", text)
    return script


def _readers(script: TraceScript) -> set[str]:
    return Oracle(script.records).readers("a")


# --- in its own content -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        _TEXT.encode(),
        _TEXT.encode("utf-16-be"),
        _TEXT.encode("utf-16-le"),
        base64.b64encode(b"x" + _TEXT.encode()),
        pack_septets(encode_gsm7("abc" + _TEXT)),
        quote(_TEXT).encode(),
        json.dumps({"body": _TEXT}).encode(),
        _TEXT.encode().hex().encode(),
        _TEXT.encode().hex().upper().encode(),
    ],
)
def test_no_media_type_hides_a_text(octets: bytes) -> None:
    assert _verdict(_TEXT, octets) is Verdict.READABLE
    assert _verdict(_TEXT, b"\x00\x01\x00\x02" + octets + bytes(40)) is Verdict.READABLE


@pytest.mark.parametrize("packed", [gzip.compress(_TEXT.encode(), mtime=0), zlib.compress(_TEXT.encode())])
def test_what_is_only_compressed_is_readable(packed: bytes) -> None:
    assert _verdict(_TEXT, packed) is Verdict.READABLE
    assert _verdict("something else", packed) is Verdict.SEALED


def test_ciphertext_is_sealed() -> None:
    assert _verdict(_TEXT, sealed_octets("a")) is Verdict.SEALED


def test_what_no_cipher_has_made_is_not_decided() -> None:
    assert _verdict("ok", bytes(100)) is Verdict.UNDECIDED
    assert _verdict(_TEXT, bytes(octet ^ 0x5A for octet in _TEXT.encode() * 4)) is Verdict.UNDECIDED
    assert _verdict(_TEXT, _TEXT[::-1].encode() * 4) is Verdict.READABLE


def test_a_short_text_that_stands_in_ciphertext_by_chance_is_not_there() -> None:
    octets = bytearray(sealed_octets("a"))
    octets[100:104] = b"\xf0ok\x92"
    assert _verdict("ok", bytes(octets)) is Verdict.SEALED


def test_a_short_text_in_the_id_of_its_message_is_not_there() -> None:
    octets = b'\x00{"id": "message b of the day"}\x00' + sealed_octets("a")
    assert (
        judge("b", Carried(hop=_HOP, ids=("message b of the day",), media_type="message/mls", octets=octets))[0]
        is Verdict.SEALED
    )


@pytest.mark.parametrize("text", ["a", "7", "k", "6b", "ok"])
def test_no_short_text_stands_in_the_head_of_an_mls_message(text: str) -> None:
    head = b"\0\1\0\2" + b"\x24" + b"7f3a6b5e-2b91-4d6f-8e10-5c9d2a4b6e01" + bytes(8) + b"\1" + b"\x05k 7 a"
    assert _verdict(text, head + b"\xff" * 20) is Verdict.SEALED


def test_a_short_text_between_octets_that_mean_something_else_is_not_decided() -> None:
    octets = b"\xf0\x01ok\x92\x00" + bytes(60)
    assert _verdict("ok", octets) is Verdict.UNDECIDED


@pytest.mark.parametrize("octets", [b"ok", b"\x00\x01Content-Type: text/plain\r\n\r\nok", b"o\0k\0"])
def test_a_short_text_in_something_written_is_readable(octets: bytes) -> None:
    assert _verdict("ok", octets) is Verdict.READABLE


def test_another_text_in_its_place_is_not_decided() -> None:
    assert _verdict(_TEXT, b"something else", "text/plain", "something else") is Verdict.UNDECIDED


def test_a_part_of_it_is_enough_to_read() -> None:
    carried = Carried(hop=_HOP, media_type="text/plain", octets=b"meet me at", text="meet me at", is_whole=False)
    assert judge(_TEXT, carried)[0] is Verdict.READABLE


# --- on the way -------------------------------------------------------------------------------------------------------


def test_the_readers_are_both_ends_of_every_hop_that_shows_it() -> None:
    script = _said()
    script.carries("a", _TEXT.encode(), SIP_WAY[:4])
    script.seals("a", SIP_WAY[3:])
    assert _readers(script) == set(SIP_WAY[:4])


def test_a_sealed_message_has_its_ends_as_readers() -> None:
    script = _said()
    script.seals("a")
    assert _readers(script) == {"alice"}
    script.got("bob", "a", _TEXT, scheme="mls")
    assert _readers(script) == {"alice", "bob"}


def test_with_tls_the_two_ends_of_the_link_read_it_all_the_same() -> None:
    script = _said()
    octets = script.message(ALICE, BOB, _TEXT.encode(), "text/plain")
    script.crosses("alice", "red.pcscf", octets, transport="TLS")
    assert _readers(script) == {"alice", "red.pcscf"}


@pytest.mark.parametrize("text", ["ok", _TEXT])
def test_a_sealed_text_is_not_taken_from_a_message_of_another(text: str) -> None:
    script = _said(text)
    script.seals("a")
    script.says("bob", "b", text)
    script.carries("b", text.encode(), tuple(reversed(SIP_WAY)))
    assert Oracle(script.records).verdict("a") == "sealed"
    assert Oracle(script.records).verdict("b") == "readable"


def test_a_quotation_is_the_message_that_quotes() -> None:
    script = _said()
    script.seals("a")
    quoting = f"you said {_TEXT!r}, and I say no"
    script.says("bob", "b", quoting)
    script.carries("b", quoting.encode(), tuple(reversed(SIP_WAY)))
    assert Oracle(script.records).verdict("a") == "sealed"


# --- anywhere else ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets",
    [
        b"POST /log HTTP/1.1\r\nContent-Length: 40\r\n\r\n" + _TEXT.encode() + b"              ",
        b"GET /?q=" + quote(_TEXT, safe="").encode() + b" HTTP/1.1\r\n\r\n",
        b"X-Note: base64\r\n" + base64.b64encode(_TEXT.encode())[:20] + b"\r\n" + base64.b64encode(_TEXT.encode())[20:],
    ],
)
def test_a_text_that_leaks_somewhere_is_found(octets: bytes) -> None:
    script = _said()
    script.seals("a")
    script.crosses("red.messaging_server", "red.archive", octets, protocol="HTTP")
    assert {"red.messaging_server", "red.archive"} <= _readers(script)


def test_a_text_in_a_compressed_body_is_found() -> None:
    script = _said()
    script.seals("a")
    packed = gzip.compress(json.dumps({"text": _TEXT}).encode())
    head = b"POST / HTTP/1.1\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    for piece in (head + packed[:10], packed[10:]):
        script.crosses("red.messaging_server", "red.archive", piece, protocol="HTTP")
    assert "red.archive" in _readers(script)


def test_a_text_in_a_header_beside_its_sealed_content_is_found() -> None:
    script = _said()
    (number,) = script.seals("a", SIP_WAY[:2])
    record = script.records[number - 1]
    octets = record.raw.replace(b"Conversation-ID", b"Subject: " + _TEXT.encode() + b"\r\nConversation-ID")
    script.crosses("red.pcscf", "red.scscf", octets, imdn_message_id="a")
    assert _readers(script) == {"alice", "red.pcscf", "red.scscf"}


def test_words_that_stood_there_before_are_not_decided() -> None:
    script = TraceScript()
    script.crosses("red.acs", "alice", b"HTTP/1.1 200 OK\r\nX: " + _TEXT.encode() + b"\r\n\r\n", protocol="HTTP")
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.crosses("red.acs", "alice", b"HTTP/1.1 200 OK\r\nX: " + _TEXT.encode() + b"\r\n\r\n", protocol="HTTP")
    assert Oracle(script.records).verdict("a") == "undecided"
    assert _readers(script) == {"alice"}


def test_words_that_are_a_name_in_the_protocol_are_not_searched_for() -> None:
    script = _said("text/plain")
    script.seals("a")
    script.says("bob", "b", "hello")
    script.carries("b", b"hello", tuple(reversed(SIP_WAY)))
    assert Oracle(script.records).verdict("a") == "sealed"


def test_a_copy_under_another_id_is_its_copy() -> None:
    script = _said()
    script.seals("a")
    script.carries("other", _TEXT.encode(), SIP_WAY[:3])
    assert _readers(script) == set(SIP_WAY[:3])


def test_who_passed_on_the_invitation_knows_between_whom_a_session_is() -> None:
    script = _said()
    invite = script.message(ALICE, BOB, b"v=0\r\n", "application/sdp").replace(b"MESSAGE", b"INVITE")
    script.crosses("red.pcscf", "red.scscf", invite, conversation_id="conversation")
    cpim = (
        b"From: <tel:+1>\r\nNS: i <urn:ietf:params:imdn>\r\ni.Message-ID: a\r\n\r\nContent-Type: message/mls\r\n\r\n\1"
    )
    head = b"MSRP tttt SEND\r\nTo-Path: msrp://h:1/b;tcp\r\nFrom-Path: msrp://h:2/a;tcp\r\nMessage-ID: m\r\n"
    head += b"Byte-Range: 1-%d/%d\r\nContent-Type: message/cpim\r\n\r\n" % (len(cpim), len(cpim))
    script.crosses("alice", "red.msrp_relay", head + cpim + b"\r\n-------tttt$\r\n", protocol="MSRP")
    seen = Oracle(script.records).metadata("a")
    assert seen["red.scscf"] == {"numbers", "conversation id"}
    assert "numbers" not in seen["red.msrp_relay"]


def test_the_metadata_of_a_sealed_message_are_told_by_element() -> None:
    script = _said()
    script.seals("a")
    seen = Oracle(script.records).metadata("a")
    assert set(seen) == set(SIP_WAY)
    assert {"numbers", "message id", "era", "epoch authenticator", "padded size", "time"} <= seen["red.ibcf"]
