"""The NIST curves of the cipher suites, with the numbers that serialisation needs (SP 800-186, RFC 9180 §7.1)."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec

__all__ = ["P256", "P384", "P521", "NistCurve"]


@dataclass(frozen=True, slots=True, eq=False)
class NistCurve:
    """A curve, the *octets* of a scalar or coordinate, and the *order* of its group. ``load_point`` and
    ``load_scalar`` raise ValueError on octets that are neither."""

    curve: ec.EllipticCurve
    octets: int
    order: int

    def load_point(self, point: bytes) -> ec.EllipticCurvePublicKey:
        """A public key out of an uncompressed point: MLS has no other form (RFC 9420 §5.1.1, RFC 9180 §7.1.1)."""
        if len(point) != 2 * self.octets + 1 or point[0] != 4:
            raise ValueError("not an uncompressed point")
        return ec.EllipticCurvePublicKey.from_encoded_point(self.curve, point)

    def load_scalar(self, scalar: bytes) -> ec.EllipticCurvePrivateKey:
        """A private key out of its big-endian number."""
        if len(scalar) != self.octets:
            raise ValueError("not a scalar of this curve")
        return ec.derive_private_key(int.from_bytes(scalar, "big"), self.curve)


P256 = NistCurve(ec.SECP256R1(), 32, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551)
P384 = NistCurve(
    ec.SECP384R1(),
    48,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
)
P521 = NistCurve(
    ec.SECP521R1(),
    66,
    (1 << 521) - 0x5AE79787C40D069948033FEB708F65A2FC44A36477663B851449048E16EC79BF7,
)
