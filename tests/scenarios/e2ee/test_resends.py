"""Messages that replace an earlier one (RCC.16 §7.2.3, §10.3, digest §4.5): shown once, and they hide nothing else.

Original-Message-ID stands outside of the seal: the network writes it as it likes. The resent component is bound to the
message; its octets are built here by hand.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import replace

import pytest

from rcs_sim.client.content import Content
from rcs_sim.client.display import Shown
from rcs_sim.client.encryption import Scheme
from rcs_sim.client.identity import ContactKey
from rcs_sim.client.inbox import Arrival
from rcs_sim.client.phone import Phone
from rcs_sim.e2ee.encrypted_entity import text_entity
from rcs_sim.e2ee.mls_headers import MLS_NAMESPACE
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.message_reference import MessageReference, ReferenceType
from tests.scenarios.stage import ALICE, BOB, Stage, scenario, texts
from tests.support.encrypted_phones import (
    hand_in,
    headers_of_state,
    locked,
    next_generation,
    notes,
    sealed_cpim,
    sealed_octets,
)

_X, _Y, _Z = (f"Mx{letter * 20}id" for letter in "XYZ")
_KEY = bytes(range(32))


def _component(original: str, key: bytes = _KEY, outer: bytes = b"") -> bytes:
    """Tag 02, some framing, u32 A, B<V>, C<V>, D<V> with key and tag (digest §4.5)."""
    tag = hmac.new(key, original.encode("ascii"), hashlib.sha256).digest()
    return b"\x02" + outer + b"\x00\x00\x00\x01" + b"\x01B" + b"\x00" + b"\x40\x40" + key + tag


def _sealed(
    phone: Phone, peer: str, text: str, message_id: str, resent: bytes = b"\x00", claimed: str = ""
) -> CpimMessage:
    number = next_generation(phone, peer)
    content = text_entity(text).encode()
    framed = len(content).to_bytes(1, "big") if len(content) < 64 else (0x4000 | len(content)).to_bytes(2, "big")
    payload = b"\x00\x01\x00\x01" + number.to_bytes(4, "big") + framed + content
    bound = b"\x00\x01" + bytes([len(message_id)]) + message_id.encode() + b"\x00\x00\x00\x01" + resent
    headers = list(headers_of_state(phone, peer))
    if claimed:
        headers.append(CpimHeader.of(MLS_NAMESPACE, "Original-Message-ID", claimed))
    octets = sealed_octets(phone, peer, payload, bound)
    return CpimMessage.parse(sealed_cpim(phone, message_id, octets, headers))


async def _handed(stage: Stage, *messages: tuple[str, str, bytes, str]) -> list[str]:
    """What bob shows of these texts, ids, components and claims of the network, after they came one by one."""
    alice, bob = await locked(stage)
    before = len(texts(bob))
    for text, message_id, resent, claimed in messages:
        hand_in(alice, bob, _sealed(alice, BOB, text, message_id, resent, claimed))
        await asyncio.sleep(1)
    return texts(bob)[before:]


@scenario("two-carriers", is_read_by_others=False)
async def test_what_is_sent_again_is_shown_once_whichever_comes_first(stage: Stage) -> None:
    shown = await _handed(
        stage,
        ("once", _X, b"\x00", ""),
        ("once", _Y, b"\x00", _X),
        ("again", _Z, b"\x00", "Mx0id"),
        ("again", "Mx0id", b"\x00", ""),
    )
    assert shown == ["once", "again"]


@scenario("two-carriers", is_read_by_others=False)
async def test_the_network_hides_no_message_behind_another(stage: Stage) -> None:
    """It names an id of its choice: what says something else is shown all the same, and so is the one named."""
    shown = await _handed(
        stage,
        ("see you at eight", _X, b"\x00", ""),
        ("no, do not come", _Y, b"\x00", _X),
        ("and bring nothing", _Z, b"\x00", "Mx0id"),
        ("it is off", "Mx0id", b"\x00", ""),
    )
    assert shown == ["see you at eight", "no, do not come", "and bring nothing", "it is off"]


@pytest.mark.parametrize("outer", [b"", b"\x40\x4c", b"\x01\x02\x03"])
@scenario("two-carriers", is_read_by_others=False)
async def test_the_component_tells_a_copy_though_the_header_was_taken_off(stage: Stage, outer: bytes) -> None:
    shown = await _handed(stage, ("once", _X, b"\x00", ""), ("once", _Y, _component(_X, outer=outer), ""))
    assert shown == ["once"]


@scenario("two-carriers", is_read_by_others=False)
async def test_a_header_that_the_component_does_not_bear_out_counts_for_nothing(stage: Stage) -> None:
    shown = await _handed(
        stage,
        ("yes", _X, b"\x00", ""),
        ("no", "Mx0id", b"\x00", ""),
        ("yes", _Y, _component("Mx0id"), _X),
        ("yes", _Z, _component("gone"), _X),
    )
    assert shown == ["yes", "no", "yes"]


@pytest.mark.parametrize(
    "resent", [b"\x02", b"\x02abc", b"\x01" * 70, b"\x02" + b"\x40\x40" + bytes(63), b"\x03" + _component(_X)[1:]]
)
@scenario("two-carriers", is_read_by_others=False)
async def test_a_component_that_cannot_be_read_is_noted_and_stops_nothing(stage: Stage, resent: bytes) -> None:
    shown = await _handed(stage, ("one", _X, b"\x00", ""), ("two", _Y, resent, ""), ("two", _Z, resent, _Y))
    assert shown == ["one", "two"]
    assert any("resent component" in note for note in notes(stage, stage.sim.phones["bob"]))


@pytest.mark.parametrize("device", ["android", "lineage-like"])
@pytest.mark.parametrize("kind", [ReferenceType.EDIT, ReferenceType.ADD_REACTION, ReferenceType.REPLY])
@scenario("two-carriers")
async def test_a_copy_of_what_a_device_knows_or_not_is_shown_once_if_it_names_the_same(
    stage: Stage, device: str, kind: ReferenceType
) -> None:
    """Sealed anew for another device of the user: only what is about the same message is a copy."""
    alice = await stage.phone("alice", ALICE, device)
    arrival = Arrival(ContactKey(BOB), "thread", "contribution")
    first = Content("👍", "text/plain", b"", "m1", reference=MessageReference("t1", kind))
    another = replace(first, message_id="m3", reference=MessageReference("t2", kind))
    times = []
    for content, replaces in ((first, ""), (replace(first, message_id="m2"), "m1"), (another, "m1")):
        alice._inbox.content_received(arrival, content, Scheme.MLS, replaces=replaces)
        await asyncio.sleep(60)
        times.append(sum(len(stage.shown(alice, what)) for what in (Shown.MESSAGE, Shown.CHANGE)))
    assert times == [1, 1, 2]
