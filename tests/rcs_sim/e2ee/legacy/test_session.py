"""One session: by hand from the definitions alone, and what moves its keys."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

import xeddsa

from rcs_sim.e2ee.legacy.body import LegacyBody
from rcs_sim.e2ee.legacy.prekeys import LegacyKeys
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.e2ee.legacy.session import LegacySession
from tests.rcs_sim.e2ee.legacy.test_prekeys import ALICE, BOB, NOW, bundle, keys
from tests.rcs_sim.e2ee.legacy.test_primitives import hkdf


def _octets(text: str) -> bytes:
    """Of the library's JSON: one character for each octet."""
    return bytes(map(ord, text))


def _dh(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def _pair() -> tuple[LegacySession, LegacySession]:
    """Alice's session, which she has begun, and Bob's."""
    alice, bob = keys("alice"), keys("bob")
    agreed = alice.begin(bundle(bob.mint(BOB, NOW)), ALICE, BOB)
    ours, octets = LegacySession.start(agreed, b"first", "id 0")
    theirs, plaintext = LegacySession.accept(bob.answer(agreed.header, BOB, ALICE), LegacyBody.decode(octets), "id 0")
    assert plaintext == b"first"
    return ours, theirs


def test_the_first_message_opens_by_hand_with_nothing_but_the_definitions() -> None:
    alice, bob = keys("alice"), keys("bob")
    upload = bob.mint(BOB, NOW)
    _, octets = LegacySession.start(alice.begin(bundle(upload), ALICE, BOB), b"hello", "the id")
    body = LegacyBody.decode(octets)
    header = body.agreement
    assert header is not None

    held = json.loads(bob.snapshot())["agreement"]
    identity = xeddsa.seed_to_priv(_octets(held["identity_key"]["secret"]))
    signed = _octets(held["signed_pre_key"]["priv"])
    one_time = next(
        private
        for private in map(_octets, held["pre_keys"])
        if xeddsa.priv_to_curve25519_pub(private) == header.one_time_key
    )
    agreed = (
        _dh(signed, header.identity_key)
        + _dh(identity, header.ephemeral_key)
        + _dh(signed, header.ephemeral_key)
        + _dh(one_time, header.ephemeral_key)
    )
    secret = hkdf(bytes(32), b"\xff" * 32 + agreed, b"rcs-sim legacy x3dh", 32)
    chain = hkdf(secret, _dh(signed, body.ratchet.public_key), b"rcs-sim legacy root", 64)[32:]
    message_key = hmac.digest(chain, b"\x01", "sha256")
    derived = hkdf(bytes(32), message_key, b"rcs-sim legacy message", 80)

    bound = b"\x05" + alice.identity_key + b"\x05" + bob.identity_key
    bound += bytes([len(ALICE)]) + ALICE.encode() + bytes([len(BOB)]) + BOB.encode()
    bound += b"\x06the id" + body.ratchet.encode()
    ciphertext, tag = body.ciphertext[:-32], body.ciphertext[-32:]
    assert tag == hmac.new(derived[32:64], bound + ciphertext, sha256).digest()
    decryptor = Cipher(algorithms.AES(derived[:32]), modes.CBC(derived[64:])).decryptor()
    assert decryptor.update(ciphertext) + decryptor.finalize() == b"hello" + b"\x0b" * 11


def test_the_agreement_is_told_until_the_first_answer() -> None:
    ours, theirs = _pair()
    again = LegacyBody.decode(ours.seal(b"second", "id 1"))
    assert again.agreement == ours.agreement
    answer = LegacyBody.decode(theirs.seal(b"answer", "id 2"))
    assert answer.agreement is None
    assert ours.open(answer, "id 2") == b"answer"
    assert LegacyBody.decode(ours.seal(b"third", "id 3")).agreement is None


def test_a_body_is_bound_to_the_id_that_it_came_with() -> None:
    ours, theirs = _pair()
    body = LegacyBody.decode(ours.seal(b"second", "id 1"))
    with pytest.raises(LegacyRefused) as refused:
        theirs.open(body, "id 2")
    assert refused.value.refusal is LegacyRefusal.NOT_AUTHENTIC
    assert theirs.open(body, "id 1") == b"second"


def test_headers_and_ciphertext_cannot_be_changed() -> None:
    ours, theirs = _pair()
    body = LegacyBody.decode(ours.seal(b"second", "id 1"))
    for changed in (
        replace(body, ciphertext=bytes([body.ciphertext[0] ^ 1]) + body.ciphertext[1:]),
        replace(body, ciphertext=body.ciphertext[:-1] + bytes([body.ciphertext[-1] ^ 1])),
        replace(body, ratchet=replace(body.ratchet, previous_length=1)),
        replace(body, ratchet=replace(body.ratchet, number=body.ratchet.number + 1)),
        replace(body, ratchet=replace(body.ratchet, public_key=ours.agreement.ephemeral_key)),
        replace(body, ratchet=replace(body.ratchet, public_key=bytes(32))),
    ):
        with pytest.raises(LegacyRefused) as refused:
            theirs.open(changed, "id 1")
        assert refused.value.refusal is LegacyRefusal.NOT_AUTHENTIC
    assert theirs.open(body, "id 1") == b"second"


def test_messages_open_in_any_order_and_once() -> None:
    ours, theirs = _pair()
    bodies = {f"id {n}": LegacyBody.decode(ours.seal(b"%d" % n, f"id {n}")) for n in range(1, 9)}
    late = list(reversed(bodies.items()))
    for message_id, body in late:
        assert theirs.open(body, message_id) == message_id[3:].encode()
    for message_id, body in late:
        with pytest.raises(LegacyRefused) as refused:
            theirs.open(body, message_id)
        assert refused.value.refusal is LegacyRefusal.REPLAYED


def test_a_message_of_an_earlier_chain_is_late_but_not_lost() -> None:
    ours, theirs = _pair()
    late = LegacyBody.decode(ours.seal(b"late", "id 1"))
    for n in range(2, 6):
        assert ours.open(LegacyBody.decode(theirs.seal(b"answer", f"a {n}")), f"a {n}") == b"answer"
        assert theirs.open(LegacyBody.decode(ours.seal(b"more", f"id {n}")), f"id {n}") == b"more"
    assert theirs.open(late, "id 1") == b"late"
    with pytest.raises(LegacyRefused):
        theirs.open(late, "id 1")


def test_a_thousand_may_be_missing_before_a_message_and_not_one_more() -> None:
    ours, theirs = _pair()
    bodies = [LegacyBody.decode(ours.seal(b"%d" % n, f"id {n}")) for n in range(1002)]
    with pytest.raises(LegacyRefused) as refused:
        theirs.open(bodies[1001], "id 1001")
    assert refused.value.refusal is LegacyRefusal.TOO_FAR
    assert theirs.open(bodies[1000], "id 1000") == b"1000"
    assert theirs.open(bodies[1001], "id 1001") == b"1001"
    assert theirs.open(bodies[0], "id 0") == b"0"


def test_no_more_than_a_thousand_keys_are_kept_and_the_oldest_go() -> None:
    ours, theirs = _pair()
    bodies = [LegacyBody.decode(ours.seal(b"%d" % n, f"id {n}")) for n in range(1600)]
    theirs.open(bodies[800], "id 800")
    theirs.open(bodies[1599], "id 1599")
    assert len(theirs.members()["ratchet"]["skipped_message_keys"]) == 1000
    with pytest.raises(LegacyRefused):
        theirs.open(bodies[0], "id 0")
    assert theirs.open(bodies[1598], "id 1598") == b"1598"


def test_a_chain_of_which_too_much_is_lost_does_not_end_the_session() -> None:
    ours, theirs = _pair()
    for n in range(1200):
        ours.seal(b"lost", f"id {n}")
    assert ours.open(LegacyBody.decode(theirs.seal(b"answer", "a")), "a") == b"answer"
    body = LegacyBody.decode(ours.seal(b"after", "id"))
    assert body.ratchet.previous_length == 1201
    assert theirs.open(body, "id") == b"after"


def test_a_session_goes_on_after_a_snapshot() -> None:
    ours, theirs = _pair()
    missing = LegacyBody.decode(ours.seal(b"missing", "id 1"))
    theirs.open(LegacyBody.decode(ours.seal(b"second", "id 2")), "id 2")
    ours, theirs = (LegacySession.of(json.loads(json.dumps(each.members()))) for each in (ours, theirs))
    assert LegacyBody.decode(ours.seal(b"x", "id 3")).agreement is not None
    assert theirs.open(missing, "id 1") == b"missing"
    assert ours.open(LegacyBody.decode(theirs.seal(b"answer", "a")), "a") == b"answer"
    assert ours.is_answered
    assert isinstance(LegacyKeys.restore(keys("alice").snapshot()), LegacyKeys)
