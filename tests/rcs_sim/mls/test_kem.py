"""KEMs of Diffie-Hellman groups (RFC 9180 §4.1): what a peer may get wrong."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import x448, x25519

from ims_core.wire.secret import Secret
from rcs_sim.mls.kem import DHKEMS, CryptoError, HpkeKeyPair, verify_x25519

_KEMS = (0x0010, 0x0011, 0x0012, 0x0020, 0x0021)
_each_kem = pytest.mark.parametrize("kem_id", _KEMS, ids=hex)


def _pair(kem_id: int, seed: int = 1) -> HpkeKeyPair:
    return DHKEMS[kem_id].derive_key_pair(Secret(bytes((seed,)) * 64))


@_each_kem
def test_both_ends_have_the_same_secret_and_another_key_has_not(kem_id: int) -> None:
    kem, receiver = DHKEMS[kem_id], _pair(kem_id)
    shared, kem_output = kem.encapsulate(receiver.public, Secret(b"ephemeral"))
    assert kem.decapsulate(receiver, kem_output) == shared
    assert kem.decapsulate(_pair(kem_id, 2), kem_output) != shared
    assert kem.encapsulate(receiver.public, Secret(b"other"))[1] != kem_output


@_each_kem
def test_what_is_no_public_key_is_refused(kem_id: int) -> None:
    kem, good = DHKEMS[kem_id], _pair(kem_id)
    kem.verify_public_key(good.public)
    for wrong in (b"", good.public[:-1], good.public + b"\x00", bytes(len(good.public))):
        with pytest.raises(CryptoError):
            kem.verify_public_key(wrong)
        with pytest.raises(CryptoError):
            kem.encapsulate(wrong, Secret(b"ephemeral"))
        with pytest.raises(CryptoError):
            kem.decapsulate(good, wrong)


@pytest.mark.parametrize("kem_id", [0x0010, 0x0011, 0x0012], ids=hex)
def test_compressed_and_hybrid_points_are_refused(kem_id: int) -> None:
    kem, point = DHKEMS[kem_id], _pair(kem_id).public
    half = len(point) // 2
    for wrong in (bytes((2 + (point[-1] & 1),)) + point[1 : half + 1], bytes((6 + (point[-1] & 1),)) + point[1:]):
        with pytest.raises(CryptoError):
            kem.verify_public_key(wrong)


_P25519, _P448 = 2**255 - 19, 2**448 - 2**224 - 1
_ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
# Reduced or not, and for X25519 with the bit that is not looked at.
_SMALL_25519 = [
    (u + multiple * _P25519 | high << 255).to_bytes(32, "little")
    for u in (0, 1, _P25519 - 1, *_ORDER_8)
    for multiple in (0, 1)
    for high in (0, 1)
    if u + multiple * _P25519 < 2**255
]
_SMALL_448 = [
    (u + multiple * _P448).to_bytes(56, "little")
    for u in (0, 1, _P448 - 1)
    for multiple in (0, 1)
    if u + multiple * _P448 < 2**448
]
_small_points = pytest.mark.parametrize(
    ("kem_id", "point"), [*((0x0020, each) for each in _SMALL_25519), *((0x0021, each) for each in _SMALL_448)]
)


@_small_points
def test_points_of_small_order_are_refused_before_they_are_used(kem_id: int, point: bytes) -> None:
    kem = DHKEMS[kem_id]
    with pytest.raises(CryptoError):
        kem.verify_public_key(point)
    with pytest.raises(CryptoError):
        kem.encapsulate(point, Secret(b"ephemeral"))


def _exchange_with(kem_id: int, point: bytes) -> bytes:
    if kem_id == 0x0020:
        return x25519.X25519PrivateKey.generate().exchange(x25519.X25519PublicKey.from_public_bytes(point))
    return x448.X448PrivateKey.generate().exchange(x448.X448PublicKey.from_public_bytes(point))


@_small_points
def test_the_library_exchanges_nothing_with_points_of_small_order(kem_id: int, point: bytes) -> None:
    """So those are the ones."""
    with pytest.raises(ValueError, match="shared key"):
        _exchange_with(kem_id, point)


@pytest.mark.parametrize("u", [2, 3, 9, _P25519 - 2])
def test_other_points_are_taken(u: int) -> None:
    verify_x25519(u.to_bytes(32, "little"))
    DHKEMS[0x0020].encapsulate(u.to_bytes(32, "little"), Secret(b"ephemeral"))


@_each_kem
def test_a_private_key_of_another_form_is_refused(kem_id: int) -> None:
    with pytest.raises(CryptoError):
        DHKEMS[kem_id].key_pair_of(Secret(b"short"))
