"""The mistakes of digest RCC.16 §17, made by a peer on the wire: our phone, focus or directory refuses or survives them
as the digest says, and the lock goes on. The octets are put together by hand; the numbers are those of the list."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate_issuer import LeafRequest
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.scenario.faults.passing import Line, Passing
from rcs_sim.wire.cpim import CpimMessage
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    LOCKED,
    engine_of,
    hand_in,
    inject,
    locked,
    mls_of,
    next_generation,
    notes,
    rekey,
    sealed_octets,
)
from tests.support.outside_member import aad, sealed_text
from tests.support.outside_reading import carried
from tests.support.outside_wire import compose, der, framed, sequence

_WISHES = "positive-delivery, negative-delivery, display"
_MLS = "http://www.gsma.com/rcs/mls"


def _state(phone: Phone, peer: str) -> tuple[int, int, bytes]:
    held = engine_of(phone, peer).identifier
    assert held is not None
    return held.era_id, held.epoch_id, held.epoch_authenticator


def _sealed(phone: Phone, peer: str, text: str, message_id: str, *, bound: bytes | None = None) -> bytes:
    payload = sealed_text(text, next_generation(phone, peer))
    return sealed_octets(phone, peer, payload, aad(message_id, _state(phone, peer)[0]) if bound is None else bound)


def _wrapped(phone: Phone, peer: str, message_id: str, body: bytes) -> bytes:
    era, _, authenticator = _state(phone, peer)
    return compose(message_id, "message/mls", body, era=era, authenticator=authenticator, wishes=_WISHES)


def _told_about(stage: Stage, phone: Phone, message_id: str) -> list[bytes]:
    """Notifications of the phone about a message."""
    found = [each.cpim for each in carried(stage.sink.records, phone.name)]
    about = f"<message-id>{message_id}</message-id>".encode()
    return [each.body for each in found if each.content_type == "message/imdn+xml" and about in each.body]


async def _goes_on(stage: Stage, alice: Phone, bob: Phone) -> None:
    """Both ways, under the lock."""
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        message = await phone.chat(peer).send(f"{phone.name} goes on")
        await message.delivered(within_s=120)
        assert message.label == LOCKED
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
    assert texts(bob)[-1] == "alice goes on"
    assert texts(alice)[-1] == "bob goes on"


# --- 1 ----------------------------------------------------------------------------------------------------------------


@scenario("two-carriers")
async def test_1_a_peer_who_stamps_every_message_with_the_first_generation_is_read_once_an_epoch(stage: Stage) -> None:
    alice, bob = await locked(stage)
    begun = next_generation(alice, BOB)
    for number in range(3):
        message_id = f"MxSTAMPEDwithzero0000{number:03d}"
        body = sealed_octets(alice, BOB, sealed_text(f"stamp {number}", begun), aad(message_id, 1))
        inject(alice, BOB, _wrapped(alice, BOB, message_id, body))
        await asyncio.sleep(20)
        told = _told_about(stage, bob, message_id)
        assert (f"stamp {number}" in texts(bob)) is (number == 0)
        assert any(b"<delivered" in each for each in told) is (number == 0)
        assert any(b"<failed-to-decrypt/>" in each for each in told) is (number > 0)
    await _goes_on(stage, alice, bob)


# --- 2 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "bound", "is_shown"),
    [
        ("nothing", b"", True),  # absent or unreadable passes (§4.4)
        ("no era", b"\x00\x01" + framed(b"MxBOUND000000000000000id"), True),
        ("the epoch for the era", aad("MxBOUND000000000000000id", 2), False),
        ("another id", aad("MxBOUND000000000000001id", 1), False),
        ("the id in other capitals", aad("MXBOUND000000000000000ID", 1), False),
        ("the right ones", aad("MxBOUND000000000000000id", 1), True),
    ],
)
@scenario("two-carriers", is_read_by_others=False)
async def test_2_what_is_bound_to_something_else_is_not_shown_and_not_a_failure_to_decrypt(
    stage: Stage, kind: str, bound: bytes, is_shown: bool
) -> None:
    alice, bob = await locked(stage)
    rekey(alice, BOB)  # so that era and epoch are different numbers
    await asyncio.sleep(10)
    assert _state(bob, ALICE)[:2] == (1, 2)
    inject(alice, BOB, _wrapped(alice, BOB, "MxBOUND000000000000000id", _sealed(alice, BOB, kind, "", bound=bound)))
    await asyncio.sleep(30)
    assert (kind in texts(bob)) is is_shown
    told = _told_about(stage, bob, "MxBOUND000000000000000id")
    assert any(b"<delivered" in each for each in told) is is_shown
    assert not any(b"failed" in each for each in told)
    await _goes_on(stage, alice, bob)


# --- 3 ----------------------------------------------------------------------------------------------------------------

_NS = f"NS: e2e <{_MLS}>\r\n"


def _declared_behind(cpim: bytes) -> bytes:
    """Behind the headers that use it."""
    return cpim.replace(_NS.encode(), b"", 1).replace(b"\r\n\r\n", b"\r\n" + _NS.encode() + b"\r\n", 1)


def _declared_late(cpim: bytes) -> bytes:
    """Behind the first header with a prefix, before the first of its own."""
    return cpim.replace(_NS.encode(), b"", 1).replace(b"e2e.Era-ID", _NS.encode() + b"e2e.Era-ID", 1)


_SPELLINGS: dict[str, tuple[Callable[[bytes], bytes], bool]] = {
    "another URI": (lambda cpim: cpim.replace(_MLS.encode(), b"http://www.gsma.com/rcs/MLS"), False),
    "the URI with a slash": (lambda cpim: cpim.replace(_MLS.encode(), _MLS.encode() + b"/"), False),
    "the URI of another namespace": (lambda cpim: cpim.replace(_MLS.encode(), b"http://www.gsma.com"), False),
    "nowhere declared": (lambda cpim: cpim.replace(_NS.encode(), b""), False),
    "declared behind": (_declared_behind, False),
    "declared late": (_declared_late, True),
    "names in small letters": (lambda cpim: cpim.replace(b"Era-ID", b"era-id"), True),
    "no prefix": (lambda cpim: cpim.replace(b"e2e.", b""), False),
}


@pytest.mark.parametrize("kind", _SPELLINGS)
@scenario("two-carriers", is_read_by_others=False)
async def test_3_headers_that_are_of_no_known_namespace_are_none_and_nobody_is_told(stage: Stage, kind: str) -> None:
    alice, bob = await locked(stage)
    change, is_shown = _SPELLINGS[kind]
    body = _sealed(alice, BOB, kind, "MxNAMESPACE00000000000id")
    hand_in(alice, bob, CpimMessage.parse(change(_wrapped(alice, BOB, "MxNAMESPACE00000000000id", body))))
    await asyncio.sleep(30)
    assert (kind in texts(bob)) is is_shown
    told = _told_about(stage, bob, "MxNAMESPACE00000000000id")
    assert (told != []) is is_shown
    assert any(each.startswith("dropped: no Era-ID") for each in notes(stage, bob)) is not is_shown
    hand_in(alice, bob, CpimMessage.parse(_wrapped(alice, BOB, "MxNAMESPACE00000000000id", body)))
    await asyncio.sleep(5)
    assert texts(bob).count(kind) == 1  # what was dropped had used nothing up
    await _goes_on(stage, alice, bob)


@pytest.mark.parametrize("sender", ["alice", "bob"])
@scenario("two-carriers")
async def test_3_an_authenticator_of_another_moment_passes_if_it_was_one_and_is_refused_if_not(
    stage: Stage, sender: str
) -> None:
    alice, bob = await locked(stage)
    writer, reader, peer = (alice, bob, BOB) if sender == "alice" else (bob, alice, ALICE)
    _, _, older = _state(writer, peer)
    rekey(alice, BOB)
    await asyncio.sleep(10)
    for message_id, authenticator in (("MxAUTHENTICATORolder0000", older), ("MxAUTHENTICATORmadeup000", bytes(32))):
        body = _sealed(writer, peer, message_id, message_id)
        cpim = compose(message_id, "message/mls", body, era=1, authenticator=authenticator, wishes=_WISHES)
        inject(writer, peer, cpim)
        await asyncio.sleep(20)
    assert "MxAUTHENTICATORolder0000" in texts(reader)
    assert "MxAUTHENTICATORmadeup000" not in texts(reader)
    told = [each.cpim for each in carried(stage.sink.records, "", writer.name) if each.cpim.reason]
    assert [(each.reason, b"MxAUTHENTICATORmadeup000" in each.body) for each in told] == [
        ("incorrect-epoch-authenticator", True)
    ]
    await _goes_on(stage, alice, bob)


# --- 4 ----------------------------------------------------------------------------------------------------------------


def _over_http(stage: Stage, is_it: Callable[[Passing], bool], change: Callable[[dict[str, object]], None]) -> None:
    """Changes members of JSON that goes by."""

    def apply(passing: Passing) -> bytes | None:
        head, _, body = passing.octets.partition(b"\r\n\r\n")
        if not is_it(passing) or not body.startswith(b"{"):
            return passing.octets
        members = json.loads(body)
        change(members)
        written = json.dumps(members).encode()
        length = re.sub(rb"(?i)content-length: *\d+", b"Content-Length: %d" % len(written), head)
        return length + b"\r\n\r\n" + written

    stage.sim.faults.tap.add((Line.HTTP,), apply)


_P256_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")


def _vouching(phone: Phone, *, for_participant: bool, subject: bytes) -> bytes:
    """``.4`` by hand, signed by the participant key of the phone over its leaf key, or over the wrong one."""
    setting = mls_of(phone).credentials.setting
    assert setting is not None
    identity = setting.identity
    spki = [_P256_SPKI + key.public for key in (identity.participant_key, identity.leaf_key)]
    vendor, now_s = der(0x02, b"\x01"), mls_of(phone).credentials.now_s()
    validity = sequence(*(der(0x17, _utc(at)) for at in (now_s - 86_400, now_s + 80 * 86_400)))
    san = sequence(der(0x86, f"tel:{phone.number}".encode()))
    signed = sequence(subject, vendor, validity, spki[0] if for_participant else spki[1], san)
    signature = der(0x03, b"\x00" + identity.participant_key.sign(signed))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    return sequence(vendor, validity, algorithm, signature, spki[0])


def _utc(at_s: int) -> bytes:
    return datetime.fromtimestamp(at_s, UTC).strftime("%y%m%d%H%M%SZ").encode()


def _named(client_id: str, tag: int) -> bytes:
    return sequence(der(0x31, sequence(bytes.fromhex("0603550403"), der(tag, client_id.encode()))))


@pytest.mark.parametrize("mistake", ["none", "over the participant key", "a PrintableString"])
@scenario("two-carriers", is_read_by_others=False)
async def test_4_the_directory_certifies_no_leaf_for_which_nobody_vouches_and_no_printable_name(
    stage: Stage, mistake: str
) -> None:
    alice, bob = await locked(stage)
    credentials = mls_of(bob).credentials
    setting = credentials.setting
    assert setting is not None
    subject = _named(setting.identity.client_id, 0x13 if mistake == "a PrintableString" else 0x0C)
    ext4 = _vouching(bob, for_participant=mistake == "over the participant key", subject=subject)

    def change(members: dict[str, object]) -> None:
        members["subject_der"] = base64.b64encode(subject).decode()
        members["ext4_participant_info"] = base64.b64encode(ext4).decode()

    _over_http(stage, lambda each: each.source == "bob" and b"POST /mls/v1/certificate" in each.octets[:40], change)
    before = len(stage.sink.records)
    credentials.enrol_anew()
    await asyncio.sleep(20)
    answers = [one for one in list(stage.sink.records)[before:] if (one.source, one.target) == ("blue.kds", "bob")]
    told = b"".join(one.raw for one in answers)
    assert (b'"error"' in told) is (mistake != "none"), told
    await _goes_on(stage, alice, bob)


class _Reencoding(VendorPki):
    """An issuer that writes names as it likes them."""

    __slots__ = ()

    def issue_leaf(self, request: LeafRequest, now_s: int) -> bytes:
        other = replace(request, subject=request.subject.replace(b"\x55\x04\x03\x0c", b"\x55\x04\x03\x13", 1))
        return VendorPki.issue_leaf(self, other, now_s)


@scenario("two-carriers", is_read_by_others=False)
async def test_4_a_phone_uses_no_certificate_in_which_its_name_was_written_anew(stage: Stage) -> None:
    service = stage.sim.lab.carriers["blue"].key_service
    assert service is not None
    own = service.server.pki
    service.server.pki = _Reencoding(**{name: getattr(own, name) for name in VendorPki.__slots__})
    alice, bob = await stage.alice_and_bob()
    assert any("not as sent" in each or "subject" in each for each in [*stage.errors(), *notes(stage, bob)])
    message = await alice.chat(BOB).send("no lock")
    await message.delivered(within_s=60)
    assert message.label == alice.chat(BOB).label == bob.chat(ALICE).label == "RCS"
    service.server.pki = own
    await asyncio.sleep(400)
    await (await bob.chat(ALICE).send("and now?")).delivered(within_s=60)
    await (await alice.chat(BOB).send("a lock")).delivered(within_s=60)
    assert alice.chat(BOB).label == bob.chat(ALICE).label == LOCKED
