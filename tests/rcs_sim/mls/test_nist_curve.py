"""The NIST curves (SP 800-186), compared with the library and with the definition of an order."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rcs_sim.mls.nist_curve import P256, P384, P521, NistCurve

_CURVES = pytest.mark.parametrize("curve", [P256, P384, P521], ids=lambda curve: curve.curve.name)


def _point(curve: NistCurve, scalar: int) -> bytes:
    private = curve.load_scalar(scalar.to_bytes(curve.octets, "big"))
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@_CURVES
def test_the_order_takes_a_point_to_its_negative_and_to_nothing(curve: NistCurve) -> None:
    one, minus_one = _point(curve, 1), _point(curve, curve.order - 1)
    assert one[: curve.octets + 1] == minus_one[: curve.octets + 1]
    assert one != minus_one
    with pytest.raises(ValueError, match=r"."):
        _point(curve, curve.order)


@_CURVES
def test_only_an_uncompressed_point_of_the_curve_is_a_public_key(curve: NistCurve) -> None:
    point = _point(curve, 7)
    numbers = curve.load_point(point).public_numbers()
    assert numbers.x.to_bytes(curve.octets, "big") + numbers.y.to_bytes(curve.octets, "big") == point[1:]
    compressed = bytes((2 + (point[-1] & 1),)) + point[1 : curve.octets + 1]
    hybrid = bytes((6 + (point[-1] & 1),)) + point[1:]
    beside = point[:-1] + bytes((point[-1] ^ 1,))
    for wrong in (b"", b"\x00", compressed, hybrid, beside, point[:-1], point + b"\x00"):
        with pytest.raises(ValueError, match=r"."):
            curve.load_point(wrong)


@_CURVES
def test_a_scalar_has_the_length_of_the_curve_and_is_not_zero(curve: NistCurve) -> None:
    for wrong in (b"", bytes(curve.octets), b"\x01" * (curve.octets - 1), b"\x00" * curve.octets + b"\x01"):
        with pytest.raises(ValueError, match=r"."):
            curve.load_scalar(wrong)
