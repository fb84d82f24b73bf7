"""CipherSuite: what the vectors do not show (RFC 9420 §5)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite, CryptoError, kdf_label, labelled

_each = pytest.mark.parametrize("number", range(1, 8))


def _fixed(length: int) -> bytes:
    return b"\x2a" * length


def test_there_is_one_object_per_suite_and_seven_of_them() -> None:
    assert CipherSuite.supported() == (1, 2, 3, 4, 5, 6, 7)
    assert CipherSuite.of(2) is CipherSuite.of(2)
    for number in (0, 8, 0x0A0A, 0xFFFF):
        with pytest.raises(CryptoError):
            CipherSuite.of(number)


def test_labels_are_those_of_the_protocol() -> None:
    assert labelled("exporter") == b"\x10MLS 1.0 exporter"
    assert kdf_label("key", b"\x01\x02", 16) == b"\x00\x10\x0bMLS 1.0 key\x02\x01\x02"


@_each
def test_the_same_randomness_gives_the_same_octets(number: int) -> None:
    suite = CipherSuite.of(number)
    pair = suite.generate_key_pair(_fixed)
    assert suite.generate_key_pair(_fixed) == pair
    sealed = suite.encrypt_with_label(pair.public, "label", b"context", b"plaintext", _fixed)
    assert suite.encrypt_with_label(pair.public, "label", b"context", b"plaintext", _fixed) == sealed


@_each
def test_a_ciphertext_opens_with_its_key_label_and_context_only(number: int) -> None:
    suite = CipherSuite.of(number)
    pair, other = suite.derive_key_pair(Secret(b"one")), suite.derive_key_pair(Secret(b"two"))
    sealed = suite.encrypt_with_label(pair.public, "label", b"context", b"plaintext", _fixed)
    assert suite.decrypt_with_label(pair.private, "label", b"context", sealed) == b"plaintext"
    flipped = replace(sealed, ciphertext=sealed.ciphertext[:-1] + bytes((sealed.ciphertext[-1] ^ 1,)))
    for arguments in (
        (other.private, "label", b"context", sealed),
        (pair.private, "other", b"context", sealed),
        (pair.private, "label", b"other", sealed),
        (pair.private, "label", b"context", flipped),
        (pair.private, "label", b"context", replace(sealed, kem_output=b"")),
        (pair.private, "label", b"context", replace(sealed, kem_output=other.public)),
        (pair.private, "label", b"context", replace(sealed, ciphertext=b"")),
    ):
        with pytest.raises(CryptoError):
            suite.decrypt_with_label(*arguments)


@_each
def test_an_aead_ciphertext_opens_with_its_nonce_and_data_only(number: int) -> None:
    suite = CipherSuite.of(number)
    key, nonce = Secret(bytes(suite.key_octets)), Secret(bytes(suite.nonce_octets))
    sealed = suite.seal(key, nonce, b"aad", b"plaintext")
    assert suite.open(key, nonce, b"aad", sealed) == b"plaintext"
    for wrong in (b"", sealed[:-1], sealed + b"\x00"):
        with pytest.raises(CryptoError):
            suite.open(key, nonce, b"aad", wrong)
    with pytest.raises(CryptoError):
        suite.open(key, nonce, b"other", sealed)


@_each
def test_a_mac_is_of_its_key_and_octets(number: int) -> None:
    suite = CipherSuite.of(number)
    key = suite.draw_secret(_fixed)
    tag = suite.mac(key, b"octets")
    assert len(tag) == suite.hash_octets
    assert suite.is_mac(key, b"octets", tag)
    assert suite.hkdf_key(key).mac(b"octets") == tag
    for wrong in (b"", tag[:-1], tag + b"\x00", bytes(len(tag))):
        assert not suite.is_mac(key, b"octets", wrong)
    assert not suite.is_mac(suite.zero_secret(), b"octets", tag)


def test_references_of_different_kinds_differ() -> None:
    suite = CipherSuite.of(1)
    assert suite.key_package_ref(b"octets") != suite.proposal_ref(b"octets")
