"""ParticipantInformation and its proof of possession (RCC.16 A.3.8.9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384, SHA512
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate_profile import CertificateRefused, CertificateRule
from rcs_sim.e2ee.der import OCTET_STRING, DerError, element, encode_integer, sequence
from rcs_sim.e2ee.participant_information import (
    ParticipantInformation,
    possession_tbs,
    sign_participant_information,
    validity_der,
)
from rcs_sim.e2ee.participant_key import ParticipantKey, leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.public_key_info import ECDSA_SHA384, ECDSA_SHA512, encode_algorithm, spki_of_point
from rcs_sim.e2ee.vendor_pki import derive_key

PARTICIPANT = ParticipantKey.of(derive_key(b"tests", "participant"))
LEAF_SPKI = spki_of_point(derive_key(b"tests", "leaf").public)
SUBJECT, SAN = leaf_subject("6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101"), leaf_subject_alt_name("12025550101")
INFORMATION = sign_participant_information(
    PARTICIPANT.key,
    PARTICIPANT.spki,
    vendor_id=2,
    not_before_s=1000,
    not_after_s=2000,
    subject_der=SUBJECT,
    leaf_spki=LEAF_SPKI,
    san_der=SAN,
)
VALUE = INFORMATION.encode()


def test_it_comes_back_also_with_one_octet_string_around_it() -> None:
    assert ParticipantInformation.decode(VALUE) == INFORMATION
    assert ParticipantInformation.decode(element(OCTET_STRING, VALUE)) == INFORMATION
    with pytest.raises(DerError):
        ParticipantInformation.decode(element(OCTET_STRING, element(OCTET_STRING, VALUE)))


def test_the_proof_is_over_leaf_key_subject_number_vendor_and_validity() -> None:
    INFORMATION.verify_possession(SUBJECT, LEAF_SPKI, SAN)
    for changed, arguments in (
        (INFORMATION, (leaf_subject("x"), LEAF_SPKI, SAN)),
        (INFORMATION, (SUBJECT, PARTICIPANT.spki, SAN)),
        (INFORMATION, (SUBJECT, LEAF_SPKI, leaf_subject_alt_name("12025550102"))),
        (replace(INFORMATION, vendor_id=1), (SUBJECT, LEAF_SPKI, SAN)),
        (replace(INFORMATION, validity=validity_der(1000, 2001)), (SUBJECT, LEAF_SPKI, SAN)),
        (replace(INFORMATION, participant_spki=LEAF_SPKI), (SUBJECT, LEAF_SPKI, SAN)),
        (replace(INFORMATION, participant_spki=b"no key"), (SUBJECT, LEAF_SPKI, SAN)),
        (replace(INFORMATION, algorithm=encode_algorithm(ECDSA_SHA384)), (SUBJECT, LEAF_SPKI, SAN)),
        (replace(INFORMATION, signature=b""), (SUBJECT, LEAF_SPKI, SAN)),
    ):
        with pytest.raises(CertificateRefused) as refused:
            changed.verify_possession(*arguments)
        assert refused.value.certificate_rule is CertificateRule.PROOF_OF_POSSESSION


@pytest.mark.parametrize(("algorithm", "hashed"), [(ECDSA_SHA384, SHA384()), (ECDSA_SHA512, SHA512())])
def test_longer_hashes_count_with_their_leftmost_octets(algorithm: bytes, hashed: SHA384 | SHA512) -> None:
    private = ec.derive_private_key(11, ec.SECP256R1())
    spki = spki_of_point(ParticipantKey.of(derive_key(b"x", "y")).key.public)
    point = private.public_key().public_numbers()
    spki = spki_of_point(b"\x04" + point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big"))
    signature = private.sign(possession_tbs(SUBJECT, 2, INFORMATION.validity, LEAF_SPKI, SAN), ec.ECDSA(hashed))
    changed = replace(INFORMATION, algorithm=encode_algorithm(algorithm), signature=signature, participant_spki=spki)
    ParticipantInformation.decode(changed.encode()).verify_possession(SUBJECT, LEAF_SPKI, SAN)


def test_key_rolls_are_kept_and_refused() -> None:
    rolled = replace(INFORMATION, key_rolls=element(0xA0, b"\x30\x00"))
    found = ParticipantInformation.decode(rolled.encode())
    assert found.has_rolls
    with pytest.raises(CertificateRefused) as refused:
        found.verify_possession(SUBJECT, LEAF_SPKI, SAN)
    assert refused.value.certificate_rule is CertificateRule.PARTICIPANT_KEY_ROLLS


def test_its_times_are_both_included() -> None:
    assert [INFORMATION.is_valid_at(at_s) for at_s in (999, 1000, 2000, 2001)] == [False, True, True, False]


@pytest.mark.parametrize(
    "value",
    [
        b"",
        sequence(),
        VALUE + b"\x00",
        VALUE[:-1],
        sequence(VALUE[3:], element(0xA1, b"")),
        sequence(encode_integer(0), VALUE[6:]),
        sequence(encode_integer(-1), VALUE[6:]),
    ],
)
def test_what_is_malformed_is_refused(value: bytes) -> None:
    with pytest.raises(DerError):
        ParticipantInformation.decode(value)


@given(st.integers(0, len(VALUE) - 1), st.integers(0, 255))
def test_any_changed_octet_is_read_back_as_it_stands_or_refused(place: int, octet: int) -> None:
    changed = VALUE[:place] + bytes((octet,)) + VALUE[place + 1 :]
    try:
        assert ParticipantInformation.decode(changed).encode() == changed
    except DerError:
        return
