"""Participant keys and the names in a leaf (RCC.16 §4.1, A.3)."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate import read_name, read_uri_names
from rcs_sim.e2ee.der import UTF8_STRING
from rcs_sim.e2ee.participant_key import (
    ParticipantKey,
    ParticipantKeyError,
    csr_pop_input,
    encode_participant_key,
    key_fingerprint,
    leaf_subject,
    leaf_subject_alt_name,
    read_participant_key,
)
from rcs_sim.e2ee.public_key_info import public_key_info, spki_of_point
from rcs_sim.e2ee.vendor_pki import derive_key
from rcs_sim.mls.signature import ECDSA_P256, ECDSA_P384


def test_keys_come_out_of_randomness_alone() -> None:
    one, other = (ParticipantKey.generate(lambda count, octet=octet: bytes((octet,)) * count) for octet in (1, 2))
    assert one.spki != other.spki
    assert one.spki == ParticipantKey.generate(lambda count: b"\x01" * count).spki
    assert public_key_info(one.spki).point == one.key.public


def test_a_drawn_key_is_loaded_when_it_signs_first_and_shows_nothing_of_itself() -> None:
    participant = ParticipantKey.generate(lambda count: b"\x07" * count)
    private = ECDSA_P256.draw(lambda count: b"\x07" * count)
    assert spki_of_point(participant.key.public) == participant.spki
    assert participant.key is participant.key
    assert participant.key.public == ECDSA_P256.key(private).public
    assert repr(participant) == f"ParticipantKey({key_fingerprint(participant.spki)})"
    assert private.octets.hex() not in repr(participant)


def test_keys_of_a_test_build_come_out_of_the_device_identifier() -> None:
    one = ParticipantKey.derive(b"tag", b"0123456789abcdef", b"label")
    assert one.spki == ParticipantKey.derive(b"tag", b"0123456789abcdef", b"label").spki
    assert one.spki != ParticipantKey.derive(b"tag", b"0123456789abcdee", b"label").spki
    assert ECDSA_P256.is_signed(one.key.public, b"octets", one.key.sign(b"octets"))


def test_the_query_parameter_comes_back() -> None:
    spki = ParticipantKey.of(derive_key(b"tests", "participant")).spki
    text = encode_participant_key(spki)
    assert "=" not in text
    assert read_participant_key(text) == spki
    assert read_participant_key(text + "=" * (-len(text) % 4)) == spki


def test_only_keys_on_p256_are_participant_keys() -> None:
    big = spki_of_point(derive_key(b"tests", "big", ECDSA_P384).public)
    for text in (encode_participant_key(big), "", "AAAA", "!!!!", "A" * 1000, "é"):
        with pytest.raises(ParticipantKeyError):
            read_participant_key(text)


@given(st.text(max_size=200))
def test_any_text_is_a_key_or_refused(text: str) -> None:
    with pytest.raises(ParticipantKeyError):
        read_participant_key(text)


def test_names_of_a_leaf() -> None:
    attributes = read_name(leaf_subject("6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101"))
    assert [(each.tag, each.value) for each in attributes] == [(UTF8_STRING, b"6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101")]
    assert read_uri_names(leaf_subject_alt_name("12025550101")) == ("tel:+12025550101",)


def test_what_a_request_is_signed_over() -> None:
    assert csr_pop_input("1", b"\x04point") == b"tel:+1\x04point"


def test_a_fingerprint_is_short() -> None:
    assert key_fingerprint(b"key") == hashlib.sha256(b"key").hexdigest()[:16]
