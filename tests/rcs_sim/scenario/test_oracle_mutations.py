"""Ways in which a phone or an element can be broken or bad so that one of the five things happens: each is seen.

Every one of them begins with a conversation that is as it should be, and changes one thing in it."""

from __future__ import annotations

import base64
import codecs
import gzip
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from ims_core.trace import RecordKind
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.oracle_rules import ViolationKind
from tests.support.oracle_traces import ALICE, BOB, SIP_WAY, SealedConversation, TraceScript, sealed_octets

_TEXT = "meet me at the old harbour"
_LONG = "See you at the rope walk by the water. Bring the key to box 14 and say nothing to anybody there."
_CAROL = "+12025550177"
_LEGACY = "application/vnd.google.rcs.encrypted"
_FIRST_HOP = ("alice", "red.pcscf")
_PEEK = ("red.messaging_server", "red.peeker")
_NS = "urn:ietf:params:xml:ns:imdn"

_Story = Callable[[], TraceScript]


def _found(script: TraceScript) -> list[tuple[str, str, str]]:
    return [(each.kind.value, each.message.name, each.phone) for each in Oracle(script.records).violations()]


def _locked(text: str = _TEXT) -> TraceScript:
    """One more message under the lock, as it should be."""
    script = SealedConversation()
    script.send_sealed("a", text)
    assert _found(script) == []
    return script


def _sends(script: TraceScript, body: bytes, content_type: str = "application/octet-stream", more: str = "") -> None:
    for source, target in pairwise(SIP_WAY[:3]):
        script.crosses(source, target, script.message(ALICE, BOB, body, content_type, more))


def _number_of(script: TraceScript, phone: str, number: str) -> None:
    answer = f"SIP/2.0 200 OK\r\nP-Associated-URI: <tel:{number}>\r\n\r\n"
    script.crosses("red.pcscf", phone, answer.encode(), reference_point="Gm")


def _shows(script: TraceScript, phone: str, message_id: str, text: str, peer: str, **more: str) -> None:
    details = {"what": "message", "peer": peer, "direction": "in", "text": text, "transport": "RCS", **more}
    script.add(RecordKind.SHOWN, phone, imdn_message_id=message_id, details=details)


def _in_pieces(octets: bytes, length: int, *, is_whole: bool = True) -> list[bytes]:
    """SEND requests without any CPIM around the octets."""
    frames = []
    for start in range(0, len(octets), length):
        piece, tid = octets[start : start + length], f"tid{start:04d}"
        is_last = start + length >= len(octets) and is_whole
        frames.append(
            f"MSRP {tid} SEND\r\nTo-Path: msrp://r:1/s;tcp\r\nFrom-Path: msrp://p:1/s;tcp\r\nMessage-ID: other\r\n"
            f"Byte-Range: {start + 1}-{start + len(piece)}/{len(octets)}\r\nContent-Type: text/x-log\r\n\r\n".encode()
            + piece
            + f"\r\n-------{tid}{'$' if is_last else '+'}\r\n".encode()
        )
    return frames


# --- lying lock -------------------------------------------------------------------------------------------------------


def _leak(body: bytes | Callable[[str], bytes], text: str = _TEXT, content_type: str = "application/x-log") -> _Story:
    def story() -> TraceScript:
        script = _locked(text)
        _sends(script, body if isinstance(body, bytes) else body(text), content_type)
        return script

    return story


def _over(protocol: str, *octets: bytes, text: str = _TEXT, target: str = "red.kds") -> _Story:
    def story() -> TraceScript:
        script = _locked(text)
        for each in octets:
            script.crosses("alice", target, each, protocol=protocol)
        return script

    return story


def _copy(body: bytes, text: str = _TEXT, *, content_type: str = "message/mls", more: str = "") -> _Story:
    """A copy of the message itself, seen by somebody on the way."""

    def story() -> TraceScript:
        script = _locked(text)
        script.carries("a", body, _PEEK, content_type=content_type, more=more)
        return script

    return story


def _header_beside(header: str, text: str) -> _Story:
    """In the head of the SIP message around the sealed content."""

    def story() -> TraceScript:
        script = _locked(text)
        number = script.seals("a", _FIRST_HOP)[0]
        record = script.records[number - 1]
        script.records[number - 1] = replace(
            record, raw=record.raw.replace(b"Max-Forwards", f"{header}\r\nMax-Forwards".encode(), 1)
        )
        return script

    return story


def _part_beside() -> TraceScript:
    """A text/plain part in the same SIP message as the sealed CPIM."""
    script = _locked("ok")
    number = script.seals("a", _FIRST_HOP)[0]
    cpim = script.records[number - 1].raw.partition(b"\r\n\r\n")[2]
    parts = (b"message/cpim\r\n\r\n" + cpim, b"text/plain\r\n\r\nok")
    body = b"".join(b"--b\r\nContent-Type: " + part + b"\r\n" for part in parts) + b"--b--\r\n"
    octets = script.message(ALICE, BOB, body, "multipart/mixed;boundary=b")
    script.records[number - 1] = replace(script.records[number - 1], raw=octets)
    return script


def _two_parts(second: bytes) -> bytes:
    parts = (b"message/mls\r\n\r\n" + sealed_octets("a"), second)
    return b"".join(b"--b\r\nContent-Type: " + part + b"\r\n" for part in parts) + b"--b--\r\n"


def _receipt_with(text: str) -> _Story:
    def story() -> TraceScript:
        script = _locked(text)
        body = (
            f'<imdn xmlns="{_NS}"><message-id>a</message-id><datetime>2026-03-02T10:15:03Z</datetime>'
            f"<subject>{text}</subject><delivery-notification><status><delivered/></status></delivery-notification></imdn>"
        )
        script.carries("r", body.encode(), SIP_WAY[::-1], content_type="message/imdn+xml")
        return script

    return story


def _locked_over(octets: bytes, text: str = _TEXT, content_type: str = "message/mls") -> _Story:
    """Both phones show a lock over these octets."""

    def story() -> TraceScript:
        script = SealedConversation()
        script.says("alice", "a", text)
        script.carries("a", octets, content_type=content_type)
        script.got("bob", "a", text, scheme="mls")
        script.tick("alice", "displayed", "a", scheme="mls")
        return script

    return story


def _sms_with_a_lock() -> TraceScript:
    script = TraceScript()
    script.says("alice", "a", _TEXT)
    script.carries("a", _TEXT.encode())
    script.got("bob", None, _TEXT, scheme="mls", transport="SMS")
    return script


def _a_third_phone_shows_it() -> TraceScript:
    script = _locked()
    _number_of(script, "carol", _CAROL)
    _shows(script, "carol", "a", _TEXT, ALICE, scheme="mls")
    return script


def _masked(octets: bytes) -> bytes:
    return bytes(octet ^ 0x5A for octet in octets)


_LYING_LOCKS: dict[str, _Story] = {
    "a text/plain part beside the sealed one": _copy(
        _two_parts(b"text/plain\r\n\r\nok"), "ok", content_type="multipart/mixed;boundary=b"
    ),
    "a text/plain part beside the whole CPIM message": _part_beside,
    "a compressed part beside the sealed one": _copy(
        _two_parts(b"application/x\r\n\r\n" + gzip.compress(b"ok", mtime=0)),
        "ok",
        content_type="multipart/mixed;boundary=b",
    ),
    "SIP Subject": _header_beside(f"Subject: {_TEXT}", _TEXT),
    "SIP Subject, a short text": _header_beside("Subject: ok", "ok"),
    "SIP Subject as an encoded word": _header_beside("Subject: =?UTF-8?B?b2s=?=", "ok"),
    "SIP header of its own in base64": _header_beside(f"X-T: {base64.b64encode(_TEXT.encode()).decode()}", _TEXT),
    "CPIM Subject": _copy(sealed_octets("a"), "ok", more="Subject: ok\r\n"),
    "typing": _leak(lambda text: f"<isComposing><state>active</state><x>{text}</x></isComposing>".encode()),
    "receipt of the receiver": _receipt_with(_TEXT),
    "receipt of the receiver, a short text": _receipt_with("ok"),
    "SDP": _leak(lambda text: f"v=0\r\ns=-\r\ni={text}\r\n".encode(), content_type="application/sdp"),
    "base64 in lines": _leak(lambda text: base64.encodebytes(text.encode() * 3)),
    "base64 of gzip in JSON": _leak(
        lambda text: b'{"log":"' + base64.b64encode(gzip.compress(text.encode(), mtime=0)) + b'"}'
    ),
    "every octet escaped": _leak(lambda text: b"".join(b"%%%02X" % octet for octet in text.encode())),
    "every octet quoted-printable": _leak(lambda text: b"".join(b"=%02X" % octet for octet in text.encode())),
    "hexadecimal with colons": _leak(lambda text: text.encode().hex(":").encode()),
    "base32": _leak(lambda text: b'{"k":"' + base64.b32encode(text.encode()) + b'"}'),
    "base32 in small letters, behind something": _leak(lambda text: base64.b32encode(b"log " + text.encode()).lower()),
    "base32 of the other alphabet": _leak(lambda text: b"id=" + base64.b32hexencode(b"?" + text.encode())),
    "rot13": _leak(lambda text: codecs.encode(text, "rot13").encode()),
    "rot13 in base64": _leak(lambda text: base64.b64encode(codecs.encode(text, "rot13").encode())),
    "the letters turned round": _leak(lambda text: b"x=" + text[::-1].encode()),
    "letters of two octets turned round": _leak(lambda text: text[::-1].encode(), "Grüße aus Köln"),
    "base64 turned round": _leak(lambda text: base64.b64encode(text.encode())[::-1]),
    "rot13 under the lock itself": _copy(codecs.encode(_TEXT, "rot13").encode() * 5),
    "UTF-32": _leak(lambda text: text.encode("utf-32-be")),
    "other capitals": _leak(lambda text: text.upper().encode()),
    "other line ends": _leak(lambda text: text.replace("\n", "\r\n").encode(), "one line of it\nand another"),
    "a text without spaces": _leak(lambda text: text.encode(), "今晚八点在港口见"),
    "a password": _leak(lambda text: text.encode(), "Tr0ub4dor&3x"),
    "a composed text taken apart": _leak(lambda text: "Grüße aus Köln".encode(), "Gru\u0308ße aus Ko\u0308ln"),
    "the beginning, in a preview": _leak(lambda text: text[:38].encode() + b"\xe2\x80\xa6", _LONG),
    "the end": _leak(lambda text: text[39:].encode(), _LONG),
    "pieces over MSRP": _over("MSRP", *_in_pieces(_TEXT.encode(), 5)),
    "pieces over MSRP that never end": _over("MSRP", *_in_pieces(_TEXT.encode(), 5, is_whole=False)),
    "two records of one HTTP head": _over("HTTP", b"GET / HTTP/1.1\r\nX: meet me at th", b"e old harbour\r\n\r\n"),
    "a chunked HTTP body": _over(
        "HTTP",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"1\r\n%c\r\n" % octet for octet in _TEXT.encode())
        + b"0\r\n\r\n",
    ),
    "a protocol that nobody knows": _over("MQTT", b"\x30\x1a" + _TEXT.encode(), target="red.analytics"),
    "an answer": _over("SIP", b"SIP/2.0 202 " + _TEXT.encode() + b"\r\n\r\n"),
    "a copy in clear at one element": _copy(_TEXT.encode()),
    "a copy in base64 at one element, a short text": _copy(base64.b64encode(b"ok"), "ok"),
    "turned round": _locked_over(_TEXT[::-1].encode() * 5, _TEXT * 5),
    "masked with one octet": _locked_over(_masked(_TEXT.encode() * 5), _TEXT * 5),
    "zeros": _locked_over(bytes(200)),
    "sealed in another scheme than the lock says": _locked_over(sealed_octets("a"), content_type=_LEGACY),
    "the text itself": _locked_over(_TEXT.encode()),
    "a lock on an SMS": _sms_with_a_lock,
    "a third phone shows it": _a_third_phone_shows_it,
}


@pytest.mark.parametrize("way", _LYING_LOCKS)
def test_a_lock_that_lies_is_seen_whatever_the_way(way: str) -> None:
    assert "lying lock" in {kind for kind, _, _ in _found(_LYING_LOCKS[way]())}


# --- missing lock -----------------------------------------------------------------------------------------------------


def _sealed(*, at_alice: str | None = "mls", at_bob: str | None = "mls", **how: str) -> _Story:
    def story() -> TraceScript:
        script = TraceScript()
        script.says("alice", "a", how.get("text", _TEXT))
        script.carries("a", sealed_octets("a"), content_type=how.get("content_type", "message/mls"))
        if how.get("mark", "displayed") != "sent":
            script.got("bob", "a", how.get("text", _TEXT), scheme=at_bob)
        script.tick("alice", how.get("mark", "displayed"), "a", scheme=at_alice, transport=how.get("transport", "RCS"))
        return script

    return story


def _lock_lost_at_the_end() -> TraceScript:
    script = _locked()
    script.tick("alice", "displayed", "a")
    return script


def _only_the_label_says_so() -> TraceScript:
    script = TraceScript()
    script.label("alice", "RCS")
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.got("bob", "a", _TEXT, scheme="mls")
    script.shows("alice", "delivered", "a")
    return script


def _second_device() -> TraceScript:
    script = _locked()
    _number_of(script, "bob2", BOB)
    _shows(script, "bob2", "a", _TEXT, ALICE)
    return script


def _own_second_device() -> TraceScript:
    """It shows what Alice has said as something that came to it, and without a lock."""
    script = _locked()
    _number_of(script, "alice2", ALICE)
    _shows(script, "alice2", "a", _TEXT, BOB)
    return script


def _an_edit() -> TraceScript:
    script = _locked()
    script.shows("alice", "change", "e", direction="out", kind="Edit", target="a", text="at nine", transport="RCS")
    script.seals("e")
    script.shows("bob", "change", "e", direction="in", kind="Edit", target="a", text="at nine", transport="RCS")
    script.tick("alice", "delivered", "e", scheme="mls")
    return script


_MISSING_LOCKS: dict[str, _Story] = {
    "at the receiver": _sealed(at_bob=None),
    "at the sender": _sealed(at_alice=None),
    "at both": _sealed(at_alice=None, at_bob=None),
    "while it is only sent": _sealed(at_alice=None, mark="sent"),
    "shown as SMS": _sealed(at_alice=None, transport="SMS"),
    "a short text": _sealed(at_bob=None, text="a"),
    "the older scheme": _sealed(at_bob=None, at_alice="legacy", content_type=_LEGACY),
    "gone when it was displayed": _lock_lost_at_the_end,
    "the label of the conversation": _only_the_label_says_so,
    "the second device of the receiver": _second_device,
    "the second device of the sender": _own_second_device,
    "an edit": _an_edit,
}


@pytest.mark.parametrize("way", _MISSING_LOCKS)
def test_a_lock_that_is_missing_is_seen_whatever_the_way(way: str) -> None:
    assert "missing lock" in {kind for kind, _, _ in _found(_MISSING_LOCKS[way]())}


# --- silent loss ------------------------------------------------------------------------------------------------------


def _lost(mark: str = "delivered", *, shown: str | None = None, text: str = _TEXT, **how: object) -> _Story:
    def story() -> TraceScript:
        script = SealedConversation()
        script.says("alice", "a", text)
        if how.get("leaves", True):
            script.seals("a", SIP_WAY if how.get("arrives", True) else SIP_WAY[:4])
        if shown is not None:
            script.got("bob", "a", shown, scheme="mls")
        script.tick("alice", mark, "a", scheme="mls")
        script.waits(60)
        script.crosses("blue.pcscf", "bob", b"SIP/2.0 200 OK\r\n\r\n")
        return script

    return story


def _reset_after(seconds: float, mark: str = "sent") -> _Story:
    """The receiver's phone has got it, and is reset then."""

    def story() -> TraceScript:
        script = SealedConversation()
        script.says("alice", "a", _TEXT)
        script.seals("a")
        script.tick("alice", mark, "a", scheme="mls")
        script.waits(seconds)
        script.state("bob", "phone", "wiped")
        script.waits(60)
        script.crosses("blue.pcscf", "bob", b"SIP/2.0 200 OK\r\n\r\n")
        return script

    return story


def _shown_elsewhere(phone: str, number: str, peer: str) -> _Story:
    def story() -> TraceScript:
        script = _lost()()
        _number_of(script, phone, number)
        _shows(script, phone, "a", _TEXT, peer, scheme="mls")
        return script

    return story


def _a_replay_in_its_place() -> TraceScript:
    """The first of two equal texts comes twice, the second never."""
    script = SealedConversation()
    for message_id in ("a", "b"):
        script.says("alice", message_id, _TEXT)
        script.seals(message_id)
        script.tick("alice", "delivered", message_id, scheme="mls")
    script.got("bob", "a", _TEXT, scheme="mls")
    script.carries("z", sealed_octets("a"), ("red.ibcf", "blue.ibcf", "bob"), content_type="message/mls")
    script.got("bob", "z", _TEXT, scheme="mls")
    return script


def _one_of_two_alike() -> TraceScript:
    script = SealedConversation()
    for message_id in ("a", "b"):
        script.says("alice", message_id, "ok")
        script.seals(message_id)
        script.tick("alice", "delivered", message_id, scheme="mls")
    script.got("bob", "a", "ok", scheme="mls")
    return script


def _a_part_by_sms() -> TraceScript:
    text = f"{_TEXT} and then on. " * 9
    script = TraceScript()
    script.says("alice", "a", text)
    script.carries("a", text.encode())
    script.got("bob", None, text[:150], transport="SMS")
    script.tick("alice", "delivered", "a", transport="SMS")
    return script


def _told_and_taken_back() -> TraceScript:
    script = SealedConversation()
    script.says("alice", "a", _TEXT)
    script.tick("alice", "failed", "a")
    script.tick("alice", "displayed", "a", scheme="mls")
    return script


def _without_its_beginning() -> TraceScript:
    """The phones had registered before the trace began: what they send and get says their numbers."""
    script = SealedConversation()
    for phone, source, target in (("alice", "alice", "red.pcscf"), ("bob", "blue.pcscf", "bob")):
        octets = script.message(ALICE, BOB, b"x", "text/x")
        script.crosses(source, target, octets, reference_point="Gm", summary=phone)
    script.says("alice", "a", _TEXT)
    script.seals("a")
    script.tick("alice", "delivered", "a", scheme="mls")
    script.records = [replace(record, number=number) for number, record in enumerate(script.records[2:], 1)]
    return script


_LOSSES: dict[str, _Story] = {
    "delivered, and never shown": _lost(),
    "displayed, and never shown": _lost("displayed"),
    "delivered, and it never left": _lost(leaves=False),
    "sent, and it came no further than a server": _lost("sent", arrives=False),
    "sent, and the phone of the receiver swallows it": _lost("sent"),
    "sent, and it never left": _lost("sent", leaves=False),
    "sent, and the phone of the receiver swallows it long before a reset": _reset_after(40),
    "delivered, and the phone of the receiver is reset": _reset_after(5, "delivered"),
    "a placeholder is shown in its place": _lost(shown="This message could not be read"),
    "nothing is shown in its place": _lost(shown=""),
    "the beginning is shown in its place": _lost(shown=_LONG[:40], text=_LONG),
    "the first part of a long SMS": _a_part_by_sms,
    "one of two that are alike": _one_of_two_alike,
    "a replay in its place": _a_replay_in_its_place,
    "shown by another phone of the sender only": _shown_elsewhere("alice2", ALICE, BOB),
    "shown by somebody else only": _shown_elsewhere("carol", _CAROL, ALICE),
    "told as failed, and then as displayed": _told_and_taken_back,
    "the trace has no registration": _without_its_beginning,
}


@pytest.mark.parametrize("way", _LOSSES)
def test_a_loss_is_seen_whatever_the_way(way: str) -> None:
    assert "silent loss" in {kind for kind, _, _ in _found(_LOSSES[way]())}


def test_what_was_on_a_phone_that_is_reset_before_it_can_show_it_is_no_loss() -> None:
    """Its sender sees "sent", and nobody knows more."""
    assert _found(_reset_after(5)()) == []


# --- duplicate --------------------------------------------------------------------------------------------------------


def _again(message_id: str | None, text: str = _TEXT, **how: str) -> _Story:
    def story() -> TraceScript:
        script = _locked()
        script.got("bob", message_id, text, scheme=how.get("scheme"), transport=how.get("transport", "RCS"))
        return script

    return story


def _twice_on_the_second_device() -> TraceScript:
    script = _locked()
    _number_of(script, "bob2", BOB)
    for _ in range(2):
        _shows(script, "bob2", "a", _TEXT, ALICE, scheme="mls")
    return script


def _replayed(message_id: str) -> _Story:
    def story() -> TraceScript:
        script = _locked()
        script.carries(message_id, sealed_octets("a"), ("blue.ibcf", "bob"), content_type="message/mls")
        script.got("bob", message_id, _TEXT, scheme="mls")
        return script

    return story


def _thrice_what_was_said_twice() -> TraceScript:
    script = SealedConversation()
    for message_id in ("a", "b"):
        script.send_sealed(message_id, "ok")
    script.got("bob", "c", "ok", scheme="mls")
    return script


def _of_somebody_outside() -> TraceScript:
    script = TraceScript()
    for _ in range(2):
        script.got("bob", "x", _TEXT)
    return script


def _after_a_reset() -> TraceScript:
    script = _locked()
    script.state("bob", "phone", "wiped")
    for _ in range(2):
        script.got("bob", "a", _TEXT, scheme="mls")
    return script


_DUPLICATES: dict[str, _Story] = {
    "the same id": _again("a", scheme="mls"),
    "another id": _again("b", scheme="mls"),
    "no id": _again(None, scheme="mls"),
    "by SMS": _again(None, transport="SMS"),
    "the same id, without a lock": _again("a"),
    "another id and other white space": _again("b", f" {_TEXT.replace(' ', '  ')}", scheme="mls"),
    "the id in other capitals": _again("A", scheme="mls"),
    "the same id with other words": _again("a", "something else", scheme="mls"),
    "on the second device": _twice_on_the_second_device,
    "replayed under the same id": _replayed("a"),
    "replayed under another id": _replayed("z"),
    "thrice what was said twice": _thrice_what_was_said_twice,
    "of somebody outside": _of_somebody_outside,
    "after a reset": _after_a_reset,
}


@pytest.mark.parametrize("way", _DUPLICATES)
def test_a_duplicate_is_seen_whatever_the_way(way: str) -> None:
    assert "duplicate" in {kind for kind, _, _ in _found(_DUPLICATES[way]())}


# --- silent downgrade -------------------------------------------------------------------------------------------------


def _in_clear(script: TraceScript, text: str = _TEXT, message_id: str = "z", way: tuple[str, ...] = SIP_WAY) -> None:
    script.says("alice", "z", text)
    script.carries(message_id, text.encode(), way)
    script.got("bob", message_id, text)
    script.tick("alice", "delivered", "z")


def _downgrade(*before: Callable[[TraceScript], object], text: str = _TEXT, message_id: str = "z") -> _Story:
    def story() -> TraceScript:
        script = SealedConversation()
        for each in before:
            each(script)
        _in_clear(script, text, message_id)
        return script

    return story


def _elsewhere(kind: RecordKind, **details: str) -> Callable[[TraceScript], object]:
    """Something that is about the conversation with Carol."""
    return lambda script: script.add(kind, "alice", conversation_id="other", details={"peer": _CAROL, **details})


def _tombstone_too_late() -> TraceScript:
    script = _downgrade()()
    script.shows("alice", "tombstone", text="encryption ended")
    return script


def _to_the_older_scheme() -> TraceScript:
    script = SealedConversation()
    script.says("alice", "z", _TEXT)
    script.carries("z", sealed_octets("z"), content_type=_LEGACY)
    script.got("bob", "z", _TEXT, scheme="legacy")
    script.tick("alice", "delivered", "z", scheme="legacy")
    return script


def _answer_of_the_receiver() -> TraceScript:
    """Bob has no label; what he was shown under a lock was one."""
    script = SealedConversation()
    kept = [each for each in script.records if not (each.source == "bob" and each.details.get("what") == "label")]
    script.records = [replace(record, number=number) for number, record in enumerate(kept, 1)]
    script.says("bob", "z", _TEXT)
    script.carries("z", _TEXT.encode(), SIP_WAY[::-1])
    script.got("alice", "z", _TEXT)
    script.tick("bob", "delivered", "z")
    return script


def _copy_after_the_sealed_one() -> TraceScript:
    script = SealedConversation()
    script.says("alice", "z", _TEXT)
    script.seals("z")
    script.tick("alice", "sent", "z", scheme="mls")
    script.carries("y", _TEXT.encode())
    return script


def _refused_before_the_lock() -> TraceScript:
    script = TraceScript()
    script.label("alice", "RCS")
    script.says("alice", "z", _TEXT)
    script.carries("z", _TEXT.encode(), SIP_WAY[:2])
    for phone in ("alice", "bob"):
        script.label(phone, "RCS · encrypted", "mls")
    return script


def _sent_anew_under_the_lock() -> TraceScript:
    script = _refused_before_the_lock()
    script.carries("z", _TEXT.encode())
    script.got("bob", "z", _TEXT)
    script.tick("alice", "delivered", "z")
    return script


def _arrives_under_the_lock(*, retransmitted: bool) -> TraceScript:
    """It has left before, and a store, or the other end of a lossy link, has it only now."""
    script = _refused_before_the_lock()
    first = next(each for each in script.records if each.source == "alice" and each.target == "red.pcscf")
    if retransmitted:
        script.crosses("alice", "red.pcscf", first.raw, imdn_message_id="z", summary=first.summary)
    script.carries("z", _TEXT.encode(), SIP_WAY[1:])
    script.got("bob", "z", _TEXT)
    script.tick("alice", "delivered", "z")
    return script


_DOWNGRADES: dict[str, _Story] = {
    "in clear": _downgrade(),
    "a short text": _downgrade(text="ok"),
    "under another id": _downgrade(message_id="y"),
    "a copy behind the sealed one": _copy_after_the_sealed_one,
    "the answer of the receiver": _answer_of_the_receiver,
    "sent anew after the lock had come": _sent_anew_under_the_lock,
    "to the older scheme": _to_the_older_scheme,
    "the label changes without a word": _downgrade(lambda script: script.label("alice", "RCS")),
    "noted as ended, and not shown": _downgrade(lambda script: script.state("alice", "encryption", "ended")),
    "a tombstone of something else": _downgrade(
        lambda script: script.shows("alice", "tombstone", text="security code changed")
    ),
    "a tombstone that comes too late": _tombstone_too_late,
    "a tombstone at the receiver only": _downgrade(
        lambda script: script.shows("bob", "tombstone", text="encryption ended")
    ),
    "a tombstone of another conversation": _downgrade(
        _elsewhere(RecordKind.SHOWN, what="tombstone", text="encryption ended")
    ),
    "consent of the receiver": _downgrade(lambda script: script.state("bob", "consent", "given")),
    "consent for another conversation": _downgrade(_elsewhere(RecordKind.STATE, machine="consent", state="given")),
    "consent for another message": _downgrade(lambda script: script.state("alice", "consent", "given", "y")),
    "asked, and not answered": _downgrade(lambda script: script.state("alice", "consent", "asked")),
    "consent that the lock has used up": _downgrade(
        lambda script: script.state("alice", "consent", "given"),
        lambda script: script.label("alice", "RCS · encrypted", "mls"),
    ),
    "the receiver was reset": _downgrade(lambda script: script.state("bob", "phone", "wiped")),
    "a restart": _downgrade(
        lambda script: script.state("alice", "phone", "off"), lambda script: script.state("alice", "phone", "on")
    ),
}


@pytest.mark.parametrize("way", _DOWNGRADES)
def test_a_downgrade_is_seen_whatever_the_way(way: str) -> None:
    assert "silent downgrade" in {kind for kind, _, _ in _found(_DOWNGRADES[way]())}


# --- the other way round ----------------------------------------------------------------------------------------------


def test_every_kind_of_violation_has_ten_ways_here() -> None:
    ways = (_LYING_LOCKS, _MISSING_LOCKS, _LOSSES, _DUPLICATES, _DOWNGRADES)
    assert len(ways) == len(ViolationKind)
    assert all(len(each) >= 10 for each in ways)


@pytest.mark.parametrize(
    "text", ["ok", "k", "", "👍", "8", "text/plain", "今晚八点见", _LONG * 20, "one\ntwo", "%41=3D&#x41;"]
)
def test_no_text_whatever_it_is_makes_a_conversation_that_is_as_it_should_be_a_wrong_one(text: str) -> None:
    script = SealedConversation()
    for number in range(3):
        script.send_sealed(f"a{number}", text)
    assert _found(script) == []


def test_the_older_scheme_after_an_end_that_was_shown_is_no_downgrade() -> None:
    script = SealedConversation()
    script.shows("alice", "tombstone", text="encryption ended")
    script.says("alice", "z", _TEXT)
    script.carries("z", sealed_octets("z"), content_type=_LEGACY)
    script.got("bob", "z", _TEXT, scheme="legacy")
    script.tick("alice", "delivered", "z", scheme="legacy")
    assert _found(script) == []


@pytest.mark.parametrize("retransmitted", [False, True])
def test_what_had_left_before_the_lock_and_comes_under_it_is_no_downgrade(*, retransmitted: bool) -> None:
    assert _found(_arrives_under_the_lock(retransmitted=retransmitted)) == []


def test_from_the_older_scheme_to_mls_is_no_downgrade() -> None:
    script = TraceScript()
    script.label("alice", "RCS · encrypted", "legacy")
    script.says("alice", "z", _TEXT)
    script.seals("z")
    script.got("bob", "z", _TEXT, scheme="mls")
    script.tick("alice", "delivered", "z", scheme="mls")
    assert _found(script) == []


def test_a_quotation_of_a_sealed_text_by_its_receiver_is_his_own_message() -> None:
    script = _locked()
    script.says("bob", "q", f"you said {_TEXT}")
    script.carries("q", sealed_octets("q"), SIP_WAY[::-1], content_type="message/mls")
    script.got("alice", "q", f"you said {_TEXT}", scheme="mls")
    script.tick("bob", "delivered", "q", scheme="mls")
    assert _found(script) == []
