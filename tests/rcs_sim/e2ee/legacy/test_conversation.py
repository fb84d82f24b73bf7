"""What two devices make of each other's messages, whatever the network does to them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from rcs_sim.e2ee.encrypted_entity import EncryptedEntity, text_entity
from rcs_sim.e2ee.legacy.body import LegacyBody
from rcs_sim.e2ee.legacy.conversation import MAX_SESSIONS, LegacyConversation
from rcs_sim.e2ee.legacy.prekeys import LegacyKeys
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.wire.prekey_directory import PrekeyBundle, PrekeyUpload
from tests.rcs_sim.e2ee.legacy.test_prekeys import ALICE, BOB, NOW, keys


class Side:
    """One device, with what the directory has of it."""

    def __init__(self, name: str, own: str, peer: str) -> None:
        self.keys = keys(name)
        self.upload: PrekeyUpload = self.keys.mint(own, NOW)
        self.claimed = 0
        self.held = LegacyConversation(self.keys, own, peer)

    def claim(self) -> PrekeyBundle:
        """As a directory does: each one-time key once, then none."""
        one_time = self.upload.one_time[self.claimed : self.claimed + 1]
        self.claimed += 1
        return PrekeyBundle(self.upload.signed, one_time[0] if one_time else None)

    def seal(self, text: str, message_id: str, peer: Side) -> bytes:
        if not self.held.can_seal:
            self.held.begin(peer.claim())
        return self.held.seal(text_entity(text).encode(), message_id)

    def open(self, octets: bytes, message_id: str) -> str:
        return EncryptedEntity.decode(self.held.open(octets, message_id).plaintext).text

    def refused(self, octets: bytes, message_id: str) -> LegacyRefusal:
        with pytest.raises(LegacyRefused) as refused:
            self.held.open(octets, message_id)
        return refused.value.refusal


def _two() -> tuple[Side, Side]:
    return Side("alice", ALICE, BOB), Side("bob", BOB, ALICE)


def test_text_goes_both_ways() -> None:
    alice, bob = _two()
    for n in range(6):
        sender, receiver = (alice, bob) if n % 3 else (bob, alice)
        assert receiver.open(sender.seal(f"text {n} ✓", f"id {n}", receiver), f"id {n}") == f"text {n} ✓"
    assert alice.claimed + bob.claimed == 1
    assert (alice.held.peer_identity, bob.held.peer_identity) == (bob.keys.identity_key, alice.keys.identity_key)


def test_without_session_and_bundle_nothing_is_sealed() -> None:
    alice, _ = _two()
    assert not alice.held.can_seal
    with pytest.raises(LegacyRefused) as refused:
        alice.held.seal(b"clear?", "id")
    assert refused.value.refusal is LegacyRefusal.NO_BUNDLE


def test_the_plaintext_is_the_entity_without_the_header_of_rcc16() -> None:
    alice, bob = _two()
    opened = bob.held.open(alice.seal("hello", "id", bob), "id")
    assert opened.plaintext.startswith(b"\r\nContent-Type: text/plain;charset=UTF-8\r\n")
    assert opened.plaintext.endswith(b"\r\n\r\nhello")


def test_who_both_begin_at_once_understand_each_other() -> None:
    alice, bob = _two()
    crossing = alice.seal("from alice", "a0", bob), bob.seal("from bob", "b0", alice)
    assert bob.open(crossing[0], "a0") == "from alice"
    assert alice.open(crossing[1], "b0") == "from bob"
    for n in range(1, 6):
        pair = alice.seal(f"a {n}", f"a{n}", bob), bob.seal(f"b {n}", f"b{n}", alice)
        assert (bob.open(pair[0], f"a{n}"), alice.open(pair[1], f"b{n}")) == (f"a {n}", f"b {n}")


def test_a_first_message_that_comes_late_opens_after_those_behind_it() -> None:
    alice, bob = _two()
    bodies = [alice.seal(f"{n}", f"id {n}", bob) for n in range(3)]
    for n in (2, 0, 1):
        assert bob.open(bodies[n], f"id {n}") == f"{n}"


def test_a_message_is_opened_once() -> None:
    alice, bob = _two()
    first, second = alice.seal("0", "id 0", bob), alice.seal("1", "id 1", bob)
    for octets, message_id in ((first, "id 0"), (second, "id 1")):
        bob.open(octets, message_id)
        assert bob.refused(octets, message_id) is LegacyRefusal.REPLAYED
    alice.open(bob.seal("answer", "b", alice), "b")
    bob.open(alice.seal("2", "id 2", bob), "id 2")
    for octets, message_id in ((first, "id 0"), (second, "id 1")):
        assert bob.refused(octets, message_id) in (LegacyRefusal.REPLAYED, LegacyRefusal.NOT_AUTHENTIC)


@pytest.mark.parametrize("has_one_time_key", [True, False])
def test_no_beginning_begins_twice_even_when_its_session_is_gone(has_one_time_key: bool) -> None:
    alice, bob = _two()
    bob.claimed = 0 if has_one_time_key else len(bob.upload.one_time)
    first = alice.seal("0", "id 0", bob)
    bob.open(first, "id 0")
    for n in range(MAX_SESSIONS + 1):
        alice.held.void()
        bob.open(alice.seal("anew", f"n {n}", bob), f"n {n}")
    assert bob.refused(first, "id 0") is LegacyRefusal.REPLAYED


def test_a_one_time_key_is_used_once() -> None:
    alice, bob = _two()
    carol = Side("carol", ALICE, BOB)
    bundle = bob.claim()
    alice.held.begin(bundle)
    carol.held.begin(bundle)
    bob.open(alice.seal("0", "id 0", bob), "id 0")
    assert bob.refused(carol.seal("0", "id 1", bob), "id 1") is LegacyRefusal.UNKNOWN_KEYS


def test_a_message_for_another_number_or_from_another_is_not_opened() -> None:
    alice, bob = _two()
    octets = alice.seal("0", "id 0", bob)
    elsewhere = LegacyConversation(bob.keys, BOB, "12025550102")
    with pytest.raises(LegacyRefused) as refused:
        elsewhere.open(octets, "id 0")
    assert refused.value.refusal is LegacyRefusal.NOT_AUTHENTIC
    assert bob.open(octets, "id 0") == "0"


def test_a_refused_beginning_costs_no_one_time_key() -> None:
    alice, bob = _two()
    octets = alice.seal("0", "id 0", bob)
    assert bob.refused(octets, "another id") is LegacyRefusal.NOT_AUTHENTIC
    assert bob.refused(octets[:-1] + bytes([octets[-1] ^ 1]), "id 0") is LegacyRefusal.NOT_AUTHENTIC
    assert bob.open(octets, "id 0") == "0"


def test_own_messages_that_come_back_are_not_opened() -> None:
    alice, bob = _two()
    assert alice.refused(alice.seal("0", "id 0", bob), "id 0") is LegacyRefusal.UNKNOWN_KEYS


def test_who_has_lost_everything_is_heard_again_and_seen_to_have_another_key() -> None:
    alice, bob = _two()
    bob.open(alice.seal("0", "id 0", bob), "id 0")
    alice.open(bob.seal("1", "id 1", alice), "id 1")
    new = Side("bob anew", BOB, ALICE)
    assert new.refused(alice.seal("2", "id 2", new), "id 2") is LegacyRefusal.NO_SESSION
    alice.held.void()
    assert not alice.held.can_seal
    assert alice.held.begin(new.claim())
    assert new.open(alice.seal("2", "id 2 again", new), "id 2 again") == "2"
    opened = alice.held.open(new.seal("3", "id 3", alice), "id 3")
    assert not opened.is_new_identity


def test_a_session_that_a_new_device_begins_tells_of_its_new_key() -> None:
    alice, bob = _two()
    bob.open(alice.seal("0", "id 0", bob), "id 0")
    new = Side("bob anew", BOB, ALICE)
    assert alice.held.open(new.seal("1", "id 1", alice), "id 1").is_new_identity
    assert new.open(alice.seal("2", "id 2", new), "id 2") == "2"


def test_few_sessions_are_kept() -> None:
    alice, bob = _two()
    for n in range(MAX_SESSIONS + 3):
        alice.held.void()
        bob.open(alice.seal("0", f"id {n}", bob), f"id {n}")
    assert repr(bob.held) == f"LegacyConversation(with +{ALICE}, {MAX_SESSIONS} sessions)"


@given(st.binary(max_size=400))
@settings(max_examples=50)
def test_any_octets_are_opened_or_refused(octets: bytes) -> None:
    _, bob = _two()
    with pytest.raises(LegacyRefused):
        bob.held.open(octets, "id")


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_changed_octet_never_opens_as_another_text_and_moves_no_key(data: st.DataObject) -> None:
    alice, bob = _two()
    octets = alice.seal("hello", "id 0", bob)
    changed = bytearray(octets)
    changed[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        text = bob.open(bytes(changed), "id 0")
    except LegacyRefused:
        text = bob.open(octets, "id 0")
    assert text == "hello"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(("now", "late", "lost", "twice"))), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None)
def test_what_arrives_is_read_once_whatever_the_order(steps: list[tuple[bool, str]]) -> None:
    alice, bob = _two()
    late: list[tuple[Side, bytes, str]] = []
    for n, (is_alice, fate) in enumerate(steps):
        sender, receiver = (alice, bob) if is_alice else (bob, alice)
        octets, message_id = sender.seal(f"text {n}", f"id {n}", receiver), f"id {n}"
        if fate == "late":
            late.append((receiver, octets, message_id))
        elif fate != "lost":
            assert receiver.open(octets, message_id) == f"text {n}"
        if fate == "twice":
            receiver.refused(octets, message_id)
    for receiver, octets, message_id in reversed(late):
        assert receiver.open(octets, message_id) == f"text {message_id[3:]}"


def test_a_conversation_goes_on_after_a_snapshot() -> None:
    alice, bob = _two()
    first = alice.seal("0", "id 0", bob)
    bob.open(first, "id 0")
    missing = alice.seal("1", "id 1", bob)
    for side in (alice, bob):
        side.keys = LegacyKeys.restore(side.keys.snapshot())
        side.held = LegacyConversation.restore(side.keys, side.held.snapshot())
    assert bob.refused(first, "id 0") is LegacyRefusal.REPLAYED
    assert bob.open(missing, "id 1") == "1"
    octets = bob.seal("2", "id 2", alice)
    assert LegacyBody.decode(octets).agreement is None
    assert alice.open(octets, "id 2") == "2"
    assert alice.held.peer_identity == bob.keys.identity_key
