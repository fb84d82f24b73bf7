"""SubjectPublicKeyInfo and ECDSA checked with it (RFC 5480, RFC 5758)."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.der import DerError
from rcs_sim.e2ee.public_key_info import (
    ECDSA_SHA224,
    ECDSA_SHA256,
    ECDSA_SHA384,
    ECDSA_SHA512,
    checked_public_key_info,
    encode_algorithm,
    is_ecdsa_signed,
    public_key_info,
    read_algorithm,
    spki_of_point,
)

_CURVES = (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
_HASHES: dict[bytes, HashAlgorithm] = {
    ECDSA_SHA224: SHA224(),
    ECDSA_SHA256: SHA256(),
    ECDSA_SHA384: SHA384(),
    ECDSA_SHA512: SHA512(),
}


def spki_of(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("curve", _CURVES, ids=lambda curve: curve.name)
def test_keys_are_read_and_written_as_the_library_does(curve: ec.EllipticCurve) -> None:
    public = ec.derive_private_key(7, curve).public_key()
    found = public_key_info(spki_of(public))
    assert found.point == public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert spki_of_point(found.point) == found.der == spki_of(public)
    assert found.key_identifier == hashlib.sha1(found.point).digest()


@pytest.mark.parametrize("curve", _CURVES, ids=lambda curve: curve.name)
@pytest.mark.parametrize("algorithm", _HASHES)
def test_signatures_verify_with_each_hash_and_curve(curve: ec.EllipticCurve, algorithm: bytes) -> None:
    private = ec.derive_private_key(7, curve)
    signature = private.sign(b"octets", ec.ECDSA(_HASHES[algorithm]))
    key = public_key_info(spki_of(private.public_key()))
    assert is_ecdsa_signed(key, algorithm, b"octets", signature)
    assert not is_ecdsa_signed(key, algorithm, b"others", signature)
    assert not is_ecdsa_signed(key, b"\x2a\x03", b"octets", signature)
    assert not is_ecdsa_signed(key, algorithm, b"octets", b"no signature")


def test_other_kinds_of_keys_are_refused() -> None:
    good = spki_of(ec.derive_private_key(7, ec.SECP256R1()).public_key())
    compressed = ec.derive_private_key(7, ec.SECP256R1()).public_key()
    point = compressed.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    bad = (
        spki_of(rsa.generate_private_key(65537, 2048).public_key()),
        spki_of(ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()),
        spki_of(ec.derive_private_key(7, ec.SECP256K1()).public_key()),
        good[:2] + good[2:26] + b"\x00" * 65,
        good + b"\x00",
        good[:-1] + bytes((good[-1] ^ 1,)),
        good[:23].replace(good[1:2], b"\x39", 1) + b"\x03\x22\x00" + point,
    )
    for octets in bad:
        with pytest.raises(DerError):
            public_key_info(octets)
    with pytest.raises(LocalProtocolError):
        spki_of_point(bytes(64))


@given(st.binary(max_size=120))
def test_any_octets_are_a_key_or_a_der_error(octets: bytes) -> None:
    with pytest.raises(DerError):
        public_key_info(octets)


def test_algorithms_have_no_parameters() -> None:
    octets = encode_algorithm(ECDSA_SHA256)
    assert octets.hex() == "300a06082a8648ce3d040302"
    assert read_algorithm(octets) == ECDSA_SHA256
    with pytest.raises(DerError):
        read_algorithm(bytes.fromhex("300c06082a8648ce3d0403020500"))


def test_a_key_that_is_only_checked_is_read_the_same_and_not_kept() -> None:
    before = public_key_info.cache_info().currsize
    der = spki_of(ec.generate_private_key(ec.SECP256R1()).public_key())
    found = checked_public_key_info(der)
    assert public_key_info.cache_info().currsize == before
    assert found == public_key_info(der)


@given(st.binary(max_size=100))
def test_checked_octets_are_a_key_or_refused_as_others_are(octets: bytes) -> None:
    point = spki_of_point(b"\x04" + octets.ljust(64, b"\0")[:64])
    for der in (octets, point):
        with pytest.raises(DerError):
            checked_public_key_info(der)
        with pytest.raises(DerError):
            public_key_info(der)
