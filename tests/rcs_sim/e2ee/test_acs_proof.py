"""SignedEncryptionIdentityProof (RCC.16 §7.12)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.acs_proof import PROOF_LIFE_S, AcsProof, AcsProofRefused, acs_proof_tbs, sign_acs_proof
from rcs_sim.e2ee.participant_key import ParticipantKey
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.vendor_pki import derive_key
from rcs_sim.mls.codec import TlsDecodeError

ACS = derive_key(b"tests", "acs")
ACS_SPKI = spki_of_point(ACS.public)
SPKI = ParticipantKey.of(derive_key(b"tests", "participant")).spki


@given(st.integers(0, 2**64 - 1), st.binary(max_size=200))
def test_proofs_come_back(expiry_s: int, signature: bytes) -> None:
    proof = AcsProof(expiry_s, signature)
    assert AcsProof.decode(proof.encode()) == proof


@given(st.binary(max_size=90))
def test_any_octets_are_a_proof_or_a_decode_error(octets: bytes) -> None:
    try:
        assert len(AcsProof.decode(octets).signature) < len(octets)
    except TlsDecodeError:
        return


@pytest.mark.parametrize("header", ["05", "4005", "80000005"])
def test_each_width_of_the_length_is_taken(header: str) -> None:
    assert AcsProof.decode(bytes(8) + bytes.fromhex(header) + b"12345").signature == b"12345"


def test_a_proof_is_for_one_number_and_key() -> None:
    proof = sign_acs_proof(ACS, PROOF_LIFE_S, "12025550101", SPKI)
    proof.verify(ACS_SPKI, "12025550101", SPKI)
    wrong = (
        (ACS_SPKI, "12025550102", SPKI, proof),
        (ACS_SPKI, "12025550101", ACS_SPKI, proof),
        (SPKI, "12025550101", SPKI, proof),
        (b"no key", "12025550101", SPKI, proof),
        (ACS_SPKI, "12025550101", SPKI, AcsProof(PROOF_LIFE_S + 1, proof.signature)),
        (ACS_SPKI, "12025550101", SPKI, AcsProof(PROOF_LIFE_S, b"")),
    )
    for acs_spki, digits, spki, each in wrong:
        with pytest.raises(AcsProofRefused):
            each.verify(acs_spki, digits, spki)


def test_what_is_signed_is_delimited() -> None:
    assert acs_proof_tbs(1, "12", b"3") != acs_proof_tbs(1, "1", b"23")
    assert acs_proof_tbs(1, "12", b"3")[:21] == b"\x14rcs-sim acs-proof v1"


def test_it_ends_at_its_second() -> None:
    proof = AcsProof(100, b"")
    assert (proof.is_expired(99), proof.is_expired(100)) == (False, True)


def test_the_same_proof_has_the_same_octets() -> None:
    assert sign_acs_proof(ACS, 5, "1", SPKI) == sign_acs_proof(ACS, 5, "1", SPKI)
