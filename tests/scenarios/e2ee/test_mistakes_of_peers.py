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
from typing import Any

import pytest

from rcs_sim.client.message_state import MessageState
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.certificate_issuer import LeafRequest
from rcs_sim.e2ee.member.commit_plans import extension_plan
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.operations import OperationKind, PendingOperation
from rcs_sim.e2ee.vendor_pki import VendorPki
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.identifiers import ExtensionType
from rcs_sim.scenario.faults.passing import Line, Passing, with_cpim_body
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
    reinstalled,
    rekey,
    sealed_octets,
    thread_of,
)
from tests.support.outside_member import aad, sealed_text
from tests.support.outside_reading import carried, group_info, leaves_of, public
from tests.support.outside_wire import compose, der, fields, first, framed, sequence, uint, value

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


# --- 5 ----------------------------------------------------------------------------------------------------------------

_Change = Callable[[bytes], bytes]


def _rewritten(octets: bytes, change: _Change, *path: int) -> bytes:
    """Protobuf with another value at the end of *path*; an empty one leaves the field out."""
    parts = []
    for number, held in fields(octets):
        if isinstance(held, int):
            parts.append(uint(number, held))
            continue
        if number == path[0]:
            held = change(held) if len(path) == 1 else _rewritten(held, change, *path[1:])
        parts.append(value(number, held) if held or number != path[0] else b"")
    return b"".join(parts)


def _on_the_way(stage: Stage, kind: str, change: _Change, *, source: str = "", target: str = "") -> list[bytes]:
    """Bodies of this type are changed as they pass; gives those that were."""
    changed = list[bytes]()

    def apply(passing: Passing) -> bytes | None:
        cpim = passing.cpim
        if cpim is None or cpim.content_type.essence != kind or source not in ("", passing.source):
            return passing.octets
        body = change(cpim.body) if target in ("", passing.target) else cpim.body
        if body == cpim.body:
            return passing.octets
        changed.append(body)
        return passing.with_cpim(with_cpim_body(cpim, body))

    stage.sim.faults.tap.add((Line.CONTENT,), apply)
    return changed


def _refusals(stage: Stage, phone: str) -> set[tuple[str, str]]:
    """Tokens and details that the focus has told a phone."""
    found = [each.cpim for each in carried(stage.sink.records, "", phone)]
    return {(each.reason, each.detail) for each in found if each.reason}


@pytest.mark.parametrize("kind", ["no tree", "leaves alone", "an empty tree"])
@scenario("two-carriers", is_read_by_others=False)
async def test_5_a_focus_takes_no_group_whose_tree_is_not_beside_it(stage: Stage, kind: str) -> None:
    alice, bob = await locked(stage)
    rekey(alice, BOB)  # parents have keys from here on
    await asyncio.sleep(10)
    before = _state(alice, BOB)
    change = {"no tree": lambda _: b"", "leaves alone": _leaves_alone, "an empty tree": lambda _: b"\x00"}[kind]
    changed = _on_the_way(stage, "message/mls-rcs-client", lambda body: _rewritten(body, change, 9, 2), source="alice")
    rekey(alice, BOB)
    await asyncio.sleep(20)
    assert changed
    assert {reason for reason, _ in _refusals(stage, "alice")} <= {"invalid-input", "invalid-commit"} != set()
    assert _state(alice, BOB) == _state(bob, ALICE) == before  # what was refused is undone
    await _goes_on(stage, alice, bob)


def _leaves_alone(tree: bytes) -> bytes:
    """Parents are left out and blank."""
    nodes = [b"\x01\x01" + leaf.octets for leaf in leaves_of(tree).values()]
    return framed(b"\x00".join(nodes))


@pytest.mark.parametrize("kind", ["no tree", "leaves alone", "another length", "not a Welcome"])
@scenario("two-carriers", is_read_by_others=False)
async def test_5_a_welcome_that_joins_nowhere_is_made_good(stage: Stage, kind: str) -> None:
    changes: dict[str, tuple[_Change, tuple[int, ...]]] = {
        "no tree": (lambda _: b"", (2, 1, 1, 2)),
        "leaves alone": (lambda tree: _leaves_alone(tree)[:-1] + b"\x00", (2, 1, 1, 2)),
        "another length": (_not_the_shortest, (2, 1, 1, 1)),
        "not a Welcome": (lambda welcome: welcome[:3] + b"\x05" + welcome[4:], (2, 1, 1, 1)),
    }
    change, path = changes[kind]
    once = list[bytes]()

    def first_one(body: bytes) -> bytes:
        if once or not first(body, 2, 1, 1, 1):
            return body
        once.append(body)
        return _rewritten(body, change, *path)

    changed = _on_the_way(stage, "message/mls-rcs-server", first_one, target="bob")
    alice, bob = await stage.alice_and_bob()
    message = await alice.chat(BOB).send("you cannot join")
    await message.delivered(within_s=900)
    assert changed
    assert texts(bob) == ["you cannot join"]
    assert message.label == LOCKED
    await _goes_on(stage, alice, bob)


def _not_the_shortest(welcome: bytes) -> bytes:
    """The list of its secrets with a length of four octets."""
    length = int.from_bytes(welcome[6:8], "big") & 0x3FFF
    return welcome[:6] + (0x8000_0000 | length).to_bytes(4, "big") + welcome[8:]


# --- 6 ----------------------------------------------------------------------------------------------------------------


@scenario("two-carriers", is_read_by_others=False)
async def test_6_what_a_peer_has_put_into_the_group_is_carried_octet_by_octet_whatever_its_frame(stage: Stage) -> None:
    alice, bob = await locked(stage)
    odd = {0xF020: b"\x01\x02\x03", 0xF006: bytes(range(32)), 0xF021: b"", 0xF004: b"\x20" + bytes(range(32))}
    held = engine_of(alice, BOB).group
    assert held is not None
    listed = (*held.group.context.extensions, *(Extension(ExtensionType(kind), odd[kind]) for kind in odd))
    bodies = _on_the_way(stage, "message/mls-rcs-client", _with_metadata, source="alice")
    mls_of(alice)._requests.submit(
        thread_of(alice, BOB),
        lambda engine, control_id, now_s: _operation(engine, control_id, now_s, listed),
        lambda _: None,
    )
    await asyncio.sleep(10)
    assert bodies
    assert _state(alice, BOB) == _state(bob, ALICE)
    rekey(bob, ALICE)
    await asyncio.sleep(10)
    await reinstalled(bob)  # and a new era, or a commit from outside
    await _goes_on(stage, alice, bob)
    sent = [each.cpim.body for each in carried(stage.sink.records, "bob") if each.cpim.content_type == _CLIENT]
    later = [group_info(first(each, 9, 1)).group_extensions for each in sent]
    assert len(later) >= 2
    assert all({kind: one[kind] for kind in odd} == odd for one in later)


_CLIENT = "message/mls-rcs-client"


def _with_metadata(body: bytes) -> bytes:
    """What goes with a changed commitment: a key delivery and group data, which nobody here looks into."""
    delivery = b"\x00\x01\x00\x02" + framed(first(body, 2)) + bytes(8) + b"\x01" + framed(b"") + framed(bytes(28)) * 2
    data = b'<groupdata xmlns="urn:oma:xml:cpm:groupdata"/>'
    return body if first(body, 13) else body + value(10, delivery) + value(13, data)


def _operation(
    engine: EncryptedConversation, control_id: str, now_s: int, listed: tuple[Extension, ...]
) -> PendingOperation:
    assert engine.group is not None
    return engine.group.commit(OperationKind.GROUP_METADATA, control_id, now_s, extension_plan(listed))


# --- 7 ----------------------------------------------------------------------------------------------------------------

_OWN = "C0FFEE00-1234-4ABC-8DEF-0123456789AB"


def _displayed(own: str, about: str, tail: bytes = b"\x00") -> bytes:
    """What is signed of a display notification in era 1 (digest §6.3)."""
    inner = b"\x00\x01\x00\x01" + framed(about.encode())
    return b"\x00\x01" + framed(own.encode()) + (1).to_bytes(4, "big") + b"\x02" + inner + tail


_SIGNED: dict[str, tuple[Callable[[str], bytes], str, bool]] = {
    "the whole form": (lambda about: _displayed(_OWN, about), "", True),
    "the inner struct only, an old form": (lambda about: b"\x00\x01\x00\x01" + framed(about.encode()), "", True),
    "ids swapped": (lambda about: _displayed(about, _OWN), "", False),
    "without the octet at its end": (lambda about: _displayed(_OWN, about, b""), "", False),
    "with another octet at its end": (lambda about: _displayed(_OWN, about, b"\x02"), "", False),
    "of a delivery": (lambda about: _displayed(_OWN, about).replace(b"\x02\x00\x01", b"\x01\x00\x01", 1), "", False),
    "nothing": (lambda _: b"", "", False),
    "with an authenticator beside it": (
        lambda about: _displayed(_OWN, about),
        "e2e.Epoch-Authenticator: " + base64.b64encode(bytes(32)).decode(),
        True,
    ),
    "as if it were sent again": (
        lambda about: _displayed(_OWN, about),
        "e2e.Original-Message-ID: 5FF9708B-07D8-48D4-AB27-8167531C35AA",
        True,
    ),
}


@pytest.mark.parametrize("kind", [*_SIGNED, "not signed"])
@scenario("two-carriers", is_read_by_others=False)
async def test_7_a_receipt_counts_if_all_of_it_is_signed_and_the_lock_stays_if_not(stage: Stage, kind: str) -> None:
    alice, bob = await locked(stage)
    message = await alice.chat(BOB).send("read me")
    await message.delivered(within_s=30)
    statement, more, is_believed = _SIGNED.get(kind, (lambda _: b"", "", False))
    if kind != "not signed":
        signature = base64.b64encode(engine_of(bob, ALICE).sign_receipt(statement(message.id))).decode()
        more = f"e2e.MLS-Derived-Content-Signature: {signature}\ne2e.Era-ID: 1\n{more}"
    document = (
        f'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>{message.id}</message-id>'
        "<datetime>2026-03-02T10:15:00Z</datetime><display-notification><status><displayed/></status>"
        "</display-notification></imdn>"
    )
    inject(bob, ALICE, compose(_OWN, "message/imdn+xml", document.encode(), wishes="", more=more))
    await asyncio.sleep(10)
    assert message.state is (MessageState.DISPLAYED if is_believed else MessageState.DELIVERED)
    assert alice.chat(BOB).label == LOCKED
    await _goes_on(stage, alice, bob)


# --- 8 ----------------------------------------------------------------------------------------------------------------


@scenario("two-carriers", is_read_by_others=False)
async def test_8_what_a_peer_seals_in_an_epoch_of_his_own_is_not_shown_and_he_comes_back(stage: Stage) -> None:
    alice, bob = await locked(stage)
    engine, now_s = engine_of(bob, ALICE), mls_of(bob).credentials.now_s()
    engine.control.rekey("never-sent", now_s)
    assert engine.group is not None
    engine.group.confirm(now_s)  # as if it had been accepted
    assert _state(bob, ALICE)[1] == 2
    early = _wrapped(bob, ALICE, _OWN, _sealed(bob, ALICE, "of an epoch of mine", _OWN))
    hand_in(bob, alice, CpimMessage.parse(early))
    await asyncio.sleep(5)
    assert _told_about(stage, alice, _OWN) == []  # a moment to come is waited for (§5.12)
    message = bob.chat(ALICE).send("and by the way of the focus")
    await asyncio.sleep(600)
    assert ("incorrect-epoch-authenticator", "") in _refusals(stage, "bob")
    assert message.state is MessageState.DELIVERED
    assert "of an epoch of mine" not in texts(alice)
    assert texts(alice)[-1] == "and by the way of the focus"
    await _goes_on(stage, alice, bob)


@scenario("two-carriers", is_read_by_others=False)
async def test_8_equal_numbers_are_no_equal_groups(stage: Stage) -> None:
    """Bob's commit was never sent, Alice's was accepted: both are at (1, 2)."""
    alice, bob = await locked(stage)
    engine, now_s = engine_of(bob, ALICE), mls_of(bob).credentials.now_s()
    engine.control.rekey("never-sent", now_s)
    assert engine.group is not None
    engine.group.confirm(now_s)
    rekey(alice, BOB)
    await asyncio.sleep(5)
    message = await alice.chat(BOB).send("which of the two is it")
    await message.delivered(within_s=900)
    assert _state(alice, BOB) == _state(bob, ALICE)
    assert texts(bob)[-1] == "which of the two is it"
    await _goes_on(stage, alice, bob)


# --- 10 ---------------------------------------------------------------------------------------------------------------


def _failed(own: str, about: str, reason: int, tail: bytes = b"\x00\x00\x00") -> bytes:
    """What is signed of a failure in era 1: two octets after the reason, then no resent component (digest §6.3)."""
    inner = b"\x00\x01\x00\x02" + framed(about.encode()) + reason.to_bytes(2, "big")
    return b"\x00\x01" + framed(own.encode()) + (1).to_bytes(4, "big") + b"\x01" + inner + tail


_REPORTS: dict[str, tuple[str, int, bytes | None, bool]] = {
    "the whole form": ("failed-to-decrypt", 4, b"\x00\x00\x00", True),
    "without the two octets": ("failed-to-decrypt", 4, b"\x00", False),
    "another number than its word": ("failed-to-decrypt", 3, b"\x00\x00\x00", False),
    "a word that nobody knows": ("failed-to-understand", 4, b"\x00\x00\x00", False),
    "the resent one, which is logged": ("resent-message-for-me-failed-to-decrypt", 6, b"\x00\x00\x00", False),
    "a reason without a signature": ("failed-to-decrypt", 4, None, False),
    "no reason and no signature": ("", 4, None, True),
}


@pytest.mark.parametrize("kind", _REPORTS)
@scenario("two-carriers", is_read_by_others=False)
async def test_10_a_failure_that_a_peer_tells_in_the_right_form_is_sealed_anew_once(stage: Stage, kind: str) -> None:
    alice, bob = await locked(stage)
    token, reason, tail, is_believed = _REPORTS[kind]
    message = await alice.chat(BOB).send("read me again")
    await message.delivered(within_s=30)
    more = "e2e.Era-ID: 1"
    if tail is not None:
        signed = engine_of(bob, ALICE).sign_receipt(_failed(_OWN, message.id, reason, tail))
        more = f"e2e.MLS-Derived-Content-Signature: {base64.b64encode(signed).decode()}\n{more}"
    arm = f"<mls-client-failure-reason><{token}/></mls-client-failure-reason>" if token else ""
    document = (
        f'<imdn xmlns="urn:ietf:params:xml:ns:imdn"><message-id>{message.id}</message-id>'
        "<datetime>2026-03-02T10:15:00Z</datetime><delivery-notification><status>"
        f"<failed>{arm}</failed></status></delivery-notification></imdn>"
    )
    inject(bob, ALICE, compose(_OWN, "message/imdn+xml", document.encode(), wishes="", more=more))
    await asyncio.sleep(60)
    sent = [each.cpim for each in carried(stage.sink.records, "alice") if each.cpim.content_type == "message/mls"]
    again = [each for each in sent if each.headers.get(f"{_MLS} Original-Message-ID") == message.id]
    assert len(again) == is_believed
    assert message.id not in {each.message_id for each in again}
    assert texts(bob).count("read me again") == 1
    assert alice.chat(BOB).label == LOCKED
    await _goes_on(stage, alice, bob)


# --- the runners-up ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padded", [0, 1, 7, 300])
@scenario("two-carriers", is_read_by_others=False)
async def test_the_length_of_the_padding_is_the_senders_choice(stage: Stage, padded: int) -> None:
    alice, bob = await locked(stage)
    held = engine_of(alice, BOB).group
    assert held is not None
    payload, bound = sealed_text("padded as I like", next_generation(alice, BOB)), aad(_OWN, 1)
    policy, held.group.policy = held.group.policy, replace(held.group.policy, padding=lambda _: padded)
    body = sealed_octets(alice, BOB, payload, bound)
    held.group.policy = policy
    inject(alice, BOB, _wrapped(alice, BOB, _OWN, body))
    await asyncio.sleep(10)
    assert texts(bob)[-1] == "padded as I like"
    await _goes_on(stage, alice, bob)


@scenario("two-carriers", is_read_by_others=False)
async def test_a_receipt_signature_is_not_kept_as_a_proposal(stage: Stage) -> None:
    """Commits go on after it, and messages, which would wait for one that sweeps it."""
    alice, bob = await locked(stage)
    for _ in range(3):
        await (await alice.chat(BOB).send("tell me")).delivered(within_s=30)
    for phone, peer in ((alice, BOB), (bob, ALICE)):
        held = engine_of(phone, peer).group
        assert held is not None
        assert list(held.group.proposals) == []
        rekey(phone, peer)
        await asyncio.sleep(10)
    assert _state(alice, BOB) == _state(bob, ALICE)
    assert _state(alice, BOB)[1] == 3
    assert _refusals(stage, "alice") | _refusals(stage, "bob") == set()
    await _goes_on(stage, alice, bob)


# --- 9 ----------------------------------------------------------------------------------------------------------------


class _Lax:
    """Takes any certificate for a successor of any other."""

    def __init__(self, strict: Any) -> None:
        self._strict = strict

    def __getattr__(self, name: str) -> Any:
        return getattr(self._strict, name)

    def is_successor(self, before: object, after: object) -> bool:
        return True


@scenario("two-carriers", is_read_by_others=False)
async def test_9_a_leaf_that_gets_another_name_is_refused_and_the_group_stands(stage: Stage) -> None:
    """Bob commits the certificate of his tablet, which is no renewal of his own."""
    alice, bob = await locked(stage)
    tablet = await stage.phone("tablet", BOB)
    await tablet.lose_power()
    await asyncio.sleep(60)
    before, setting = _state(alice, BOB), mls_of(tablet).credentials.setting
    held = engine_of(bob, ALICE).group
    assert held is not None
    assert setting is not None
    engine_of(bob, ALICE).control.renew(setting)
    policy = held.group.policy
    held.group.policy = replace(policy, seams=replace(policy.seams, identity=_Lax(policy.seams.identity)))
    mls_of(bob)._requests.submit(
        thread_of(bob, ALICE),
        lambda engine, control_id, now_s: engine.control.self_update(control_id, now_s),
        lambda _: None,
    )
    await asyncio.sleep(20)
    sent = [each.cpim.body for each in carried(stage.sink.records, "bob") if each.cpim.content_type == _CLIENT]
    assert sent, notes(stage, bob)
    leaf = public(first(sent[-1], 6)).path
    assert leaf is not None
    assert leaf.certificates[0] == setting.identity.chain[0]
    assert {reason for reason, _ in _refusals(stage, "bob")} == {"invalid-commit"}
    assert _state(alice, BOB) == before
