"""Keys of a device: what it publishes, when, and with which of them a session can begin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.transport.tokens import Tokens

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from rcs_sim.e2ee.legacy.prekeys import (
    ONE_TIME_KEYS,
    REFILL_AT,
    SIGNED_PREKEY_LIFE_S,
    LegacyKeys,
)
from rcs_sim.e2ee.legacy.refusal import LegacyRefusal, LegacyRefused
from rcs_sim.wire.prekey_directory import PrekeyBundle, PrekeyUpload

ALICE, BOB = "12025550101", "12025550152"
NOW = 1_790_000_000


def keys(name: str) -> LegacyKeys:
    return LegacyKeys.generate(Tokens(name).octets)


def bundle(upload: PrekeyUpload, number: int | None = 0) -> PrekeyBundle:
    return PrekeyBundle(upload.signed, None if number is None else upload.one_time[number])


@pytest.mark.parametrize("number", [0, None], ids=["one-time key", "none left"])
def test_both_sides_agree_on_the_secret_and_on_what_it_is_bound_to(number: int | None) -> None:
    alice, bob = keys("alice"), keys("bob")
    begun = alice.begin(bundle(bob.mint(BOB, NOW), number), ALICE, BOB)
    answered = bob.answer(begun.header, BOB, ALICE)
    assert answered.secret == begun.secret
    identities = b"\x05" + alice.identity_key + b"\x05" + bob.identity_key
    assert answered.associated_data == begun.associated_data == identities + b"\x0b12025550101\x0b12025550152"
    assert bool(begun.header.one_time_key) is (number is not None)


def test_other_numbers_are_another_agreement() -> None:
    alice, bob = keys("alice"), keys("bob")
    begun = alice.begin(bundle(bob.mint(BOB, NOW)), ALICE, BOB)
    assert bob.answer(begun.header, BOB, "12025550102").associated_data != begun.associated_data


def test_a_bundle_whose_signature_is_not_of_its_identity_key_is_refused() -> None:
    alice, upload = keys("alice"), keys("bob").mint(BOB, NOW)
    for name in ("identity_key", "signed_prekey", "signature"):
        octets = bytearray(getattr(upload.signed, name))
        octets[0] ^= 1
        with pytest.raises(LegacyRefused) as refused:
            alice.begin(PrekeyBundle(replace(upload.signed, **{name: bytes(octets)})), ALICE, BOB)
        assert refused.value.refusal is LegacyRefusal.BAD_BUNDLE


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32])
def test_a_bundle_with_a_key_of_small_order_is_refused(key: bytes) -> None:
    upload = keys("bob").mint(BOB, NOW)
    for signed in (replace(upload.signed, identity_key=key), replace(upload.signed, signed_prekey=key)):
        with pytest.raises(LegacyRefused):
            keys("alice").begin(PrekeyBundle(signed), ALICE, BOB)


def test_nobody_begins_a_session_with_himself() -> None:
    alice = keys("alice")
    own = alice.mint(ALICE, NOW)
    with pytest.raises(LegacyRefused):
        alice.begin(bundle(own), ALICE, BOB)
    other = keys("bob").begin(bundle(own), BOB, ALICE).header
    with pytest.raises(LegacyRefused):
        alice.answer(replace(other, identity_key=alice.identity_key), ALICE, BOB)


def test_a_one_time_key_begins_one_session() -> None:
    alice, bob = keys("alice"), keys("bob")
    header = alice.begin(bundle(bob.mint(BOB, NOW)), ALICE, BOB).header
    bob.answer(header, BOB, ALICE)
    bob.spend(header.one_time_key)
    with pytest.raises(LegacyRefused) as refused:
        bob.answer(header, BOB, ALICE)
    assert refused.value.refusal is LegacyRefusal.UNKNOWN_KEYS


def test_keys_of_the_upload_before_still_work_and_older_ones_not() -> None:
    alice, bob = keys("alice"), keys("bob")
    header = alice.begin(bundle(bob.mint(BOB, NOW)), ALICE, BOB).header
    bob.mint(BOB, NOW + SIGNED_PREKEY_LIFE_S)
    assert bob.answer(header, BOB, ALICE)
    bob.mint(BOB, NOW + 2 * SIGNED_PREKEY_LIFE_S)
    with pytest.raises(LegacyRefused):
        bob.answer(header, BOB, ALICE)


def test_the_signed_prekey_lasts_a_week_and_is_signed_anew_then() -> None:
    bob = keys("bob")
    first = bob.mint(BOB, NOW)
    assert bob.mint(BOB, NOW + SIGNED_PREKEY_LIFE_S - 1).signed == first.signed
    assert not bob.needs_refill(NOW + SIGNED_PREKEY_LIFE_S - 1)
    assert bob.needs_refill(NOW + SIGNED_PREKEY_LIFE_S)
    later = bob.mint(BOB, NOW + SIGNED_PREKEY_LIFE_S)
    assert later.signed.signed_prekey != first.signed.signed_prekey
    assert later.signed.identity_key == first.signed.identity_key
    assert keys("alice").begin(bundle(later), ALICE, BOB)


def test_keys_are_published_again_when_few_are_left() -> None:
    bob = keys("bob")
    assert bob.needs_refill(NOW)
    upload = bob.mint(BOB, NOW)
    assert len(set(upload.one_time)) == ONE_TIME_KEYS
    for key in upload.one_time[: ONE_TIME_KEYS - REFILL_AT - 1]:
        bob.spend(key)
    assert not bob.needs_refill(NOW)
    bob.spend(upload.one_time[-1])
    assert bob.needs_refill(NOW)


def test_a_snapshot_holds_everything() -> None:
    alice, bob = keys("alice"), keys("bob")
    upload = bob.mint(BOB, NOW)
    headers = [alice.begin(bundle(upload, number), ALICE, BOB).header for number in (0, 1)]
    bob.spend(headers[0].one_time_key)
    restored = LegacyKeys.restore(bob.snapshot())
    assert restored.identity_key == bob.identity_key
    assert restored.answer(headers[1], BOB, ALICE) == bob.answer(headers[1], BOB, ALICE)
    assert restored.minted_s == NOW
    assert restored.snapshot() == LegacyKeys.restore(restored.snapshot()).snapshot()
    with pytest.raises(LegacyRefused):
        restored.answer(headers[0], BOB, ALICE)


def test_the_same_seed_gives_the_same_identity_key() -> None:
    assert keys("alice").identity_key == keys("alice").identity_key != keys("bob").identity_key
