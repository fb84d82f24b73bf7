"""Signature schemes of the cipher suites (RFC 9420 §5.1.1)."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given, settings
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.signature import ECDSA_P256, ECDSA_P384, ECDSA_P521, ED448, ED25519, SignatureScheme

_SCHEMES = (ECDSA_P256, ECDSA_P384, ECDSA_P521, ED25519, ED448)
_each = pytest.mark.parametrize("scheme", _SCHEMES, ids=lambda scheme: scheme.name)


def _seeded(length: int) -> bytes:
    return bytes(range(length))


@_each
def test_the_owner_signed_and_nobody_else(scheme: SignatureScheme) -> None:
    key, other = scheme.generate(_seeded), scheme.generate(lambda length: b"\x07" * length)
    signature = key.sign(b"content")
    assert scheme.is_signed(key.public, b"content", signature)
    assert not scheme.is_signed(other.public, b"content", signature)
    assert not scheme.is_signed(key.public, b"other", signature)


@_each
def test_the_same_content_has_the_same_signature(scheme: SignatureScheme) -> None:
    first, again = scheme.generate(_seeded), scheme.generate(_seeded)
    assert first.public == again.public
    assert first.sign(b"content") == again.sign(b"content")


@_each
@settings(deadline=None, max_examples=40)
@given(public=st.binary(max_size=140), signature=st.binary(max_size=140))
def test_any_octets_are_no_signature(scheme: SignatureScheme, public: bytes, signature: bytes) -> None:
    assert not scheme.is_signed(public, b"content", signature)
    assert not scheme.is_signed(scheme.generate(_seeded).public, b"content", signature)


@_each
def test_a_key_of_another_scheme_is_none(scheme: SignatureScheme) -> None:
    public = scheme.generate(_seeded).public
    assert scheme.is_public_key(public)
    assert not scheme.is_public_key(public[:-1])
    assert not scheme.is_public_key(public + b"\x00")


@pytest.mark.parametrize("scheme", [ECDSA_P256, ECDSA_P384, ECDSA_P521], ids=lambda scheme: scheme.name)
def test_a_compressed_point_signed_nothing(scheme: SignatureScheme) -> None:
    key = scheme.generate(_seeded)
    half = len(key.public) // 2
    compressed = bytes((2 + (key.public[-1] & 1),)) + key.public[1 : half + 1]
    assert not scheme.is_public_key(compressed)
    assert not scheme.is_signed(compressed, b"content", key.sign(b"content"))


@pytest.mark.parametrize("scheme", [ECDSA_P256, ECDSA_P384, ECDSA_P521], ids=lambda scheme: scheme.name)
def test_a_scalar_may_lack_its_leading_zeros(scheme: SignatureScheme) -> None:
    assert scheme.key(Secret(b"\x05")).public == scheme.key(Secret(bytes(20) + b"\x05")).public


@_each
def test_what_is_no_private_key_is_our_own_mistake(scheme: SignatureScheme) -> None:
    for wrong in (b"", bytes(67)):
        with pytest.raises(LocalProtocolError):
            scheme.key(Secret(wrong))


def test_a_key_that_the_library_has_loaded_can_be_used() -> None:
    private = ec.derive_private_key(5, ec.SECP256R1())
    assert ECDSA_P256.key_of(private).public == ECDSA_P256.key(Secret(b"\x05")).public
    for wrong in (ECDSA_P384, ED25519):
        with pytest.raises(LocalProtocolError):
            wrong.key_of(private)
    with pytest.raises(LocalProtocolError):
        ED448.key_of(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))


def test_a_key_shows_its_scheme_only() -> None:
    assert repr(ECDSA_P256.generate(_seeded)) == "SignatureKey(ecdsa_secp256r1_sha256)"
