"""SubjectPublicKeyInfo of elliptic curve keys (RFC 5480 §2), and ECDSA checked with them (RFC 5758 §3.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384, SHA512, HashAlgorithm

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.der import BIT_STRING, OID, SEQUENCE, DerError, DerReader, element, encode_oid, sequence
from rcs_sim.mls.nist_curve import P256, P384, P521, NistCurve

__all__ = [
    "ECDSA_SHA224",
    "ECDSA_SHA256",
    "ECDSA_SHA384",
    "ECDSA_SHA512",
    "PublicKeyInfo",
    "checked_public_key_info",
    "encode_algorithm",
    "is_ecdsa_signed",
    "public_key_info",
    "read_algorithm",
    "spki_of_point",
]

ECDSA_SHA224 = encode_oid("1.2.840.10045.4.3.1")
ECDSA_SHA256 = encode_oid("1.2.840.10045.4.3.2")
ECDSA_SHA384 = encode_oid("1.2.840.10045.4.3.3")
ECDSA_SHA512 = encode_oid("1.2.840.10045.4.3.4")

_ID_EC_PUBLIC_KEY = encode_oid("1.2.840.10045.2.1")
_CURVES = {
    encode_oid("1.2.840.10045.3.1.7"): P256,
    encode_oid("1.3.132.0.34"): P384,
    encode_oid("1.3.132.0.35"): P521,
}
_HASHES: dict[bytes, HashAlgorithm] = {
    ECDSA_SHA224: SHA224(),
    ECDSA_SHA256: SHA256(),
    ECDSA_SHA384: SHA384(),
    ECDSA_SHA512: SHA512(),
}
_KEPT_KEYS = 4096  # keys of members and issuers, loaded
_SPEC = "RFC 5480 §2"


@dataclass(frozen=True, slots=True)
class PublicKeyInfo:
    """A key on one of the three NIST curves: its ``SubjectPublicKeyInfo`` and its uncompressed *point*."""

    der: bytes
    curve: NistCurve
    point: bytes

    @property
    def key_identifier(self) -> bytes:
        """SHA-1 of the point (RFC 5280 §4.2.1.2, method 1)."""
        return hashlib.sha1(self.point, usedforsecurity=False).digest()


@lru_cache(maxsize=_KEPT_KEYS)
def public_key_info(der: bytes) -> PublicKeyInfo:
    """Reads ``SubjectPublicKeyInfo``. Raises DerError on anything but an uncompressed point of P-256, P-384 or
    P-521."""
    return _on_its_curve(_read(der), _loaded)


def checked_public_key_info(der: bytes) -> PublicKeyInfo:
    """The same for a key that is not used here: the library's form of it, of 2 kB, is not kept."""
    return _on_its_curve(_read(der), _loaded.__wrapped__)


def _on_its_curve(found: PublicKeyInfo, load: Callable[[NistCurve, bytes], object | None]) -> PublicKeyInfo:
    if load(found.curve, found.point) is None:
        raise DerError("not a point of its curve", spec=_SPEC, raw=found.der)
    return found


def _read(der: bytes) -> PublicKeyInfo:
    reader = DerReader(der)
    body = reader.nested()
    reader.finish()
    algorithm, point = body.nested(), body.bit_string()
    body.finish()
    if algorithm.oid() != _ID_EC_PUBLIC_KEY or algorithm.next_tag() != OID:
        raise DerError("not a key on a named elliptic curve", spec=_SPEC, raw=der)
    curve = _CURVES.get(algorithm.oid())
    algorithm.finish()
    if curve is None:
        raise DerError("not a key on P-256, P-384 or P-521", spec=_SPEC, raw=der)
    return PublicKeyInfo(der, curve, point)


def spki_of_point(point: bytes) -> bytes:
    """``SubjectPublicKeyInfo`` of an uncompressed point, whose length tells the curve. Raises LocalProtocolError."""
    for oid, curve in _CURVES.items():
        if len(point) == 2 * curve.octets + 1:
            algorithm = sequence(element(OID, _ID_EC_PUBLIC_KEY), element(OID, oid))
            return element(SEQUENCE, algorithm + element(BIT_STRING, b"\x00" + point))
    raise LocalProtocolError(f"{len(point)} octets are no point of a known curve", spec=_SPEC)


def encode_algorithm(oid: bytes) -> bytes:
    """``AlgorithmIdentifier`` without parameters, as ECDSA has it (RFC 5758 §3.2)."""
    return sequence(element(OID, oid))


def read_algorithm(octets: bytes) -> bytes:
    """Object identifier of an ``AlgorithmIdentifier`` without parameters. Raises DerError."""
    reader = DerReader(octets)
    body = reader.nested()
    reader.finish()
    oid = body.oid()
    body.finish()
    return oid


def is_ecdsa_signed(key: PublicKeyInfo, algorithm: bytes, octets: bytes, signature: bytes) -> bool:
    """Whether *signature* (DER) is the owner's over *octets*; *algorithm* is one of the four ECDSA identifiers. A
    digest longer than the curve counts with its leftmost octets (FIPS 186-5 §6.4.2)."""
    loaded, hashed = _loaded(key.curve, key.point), _HASHES.get(algorithm)
    if loaded is None or hashed is None:
        return False
    try:
        loaded.verify(signature, octets, ec.ECDSA(hashed))
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=_KEPT_KEYS)
def _loaded(curve: NistCurve, point: bytes) -> ec.EllipticCurvePublicKey | None:
    try:
        return curve.load_point(point)
    except ValueError:
        return None
