"""What an MSRP endpoint proves itself with in TLS: a key and the certificate it signs (RFC 4975 §14.4, RFC 8122)."""

from __future__ import annotations

import datetime as dt
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ims_core.transport.tokens import Tokens
from ims_core.wire.msrp.fingerprint import Fingerprint

__all__ = ["MsrpIdentity"]

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # FIPS 186-5, n of P-256
_SECRET_OCTETS = 48  # half as long again as n, so that the remainder has no bias (FIPS 186-5 A.2.1)
_LONGEST_NAME = 64  # characters of a common name (RFC 5280 A.1)
_SERIAL_OCTETS = 16
_BACKDATED = dt.timedelta(days=1)  # nobody checks the dates, but some libraries complain
_LIFE = dt.timedelta(days=3650)


class MsrpIdentity:
    """A P-256 key and its self-signed certificate: what counts is the SHA-256 fingerprint, never who signed."""

    __slots__ = ("certificate", "fingerprint", "key")

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self.key, self.certificate = key, certificate
        self.fingerprint = Fingerprint.of(certificate.public_bytes(serialization.Encoding.DER))

    @classmethod
    def make(cls, name: str, now: float, tokens: Tokens) -> Self:
        """A new identity. *now* is in seconds since the epoch; seeded *tokens* give the same one again."""
        secret = int.from_bytes(tokens.octets(_SECRET_OCTETS), "big") % (_P256_ORDER - 1) + 1
        key = ec.derive_private_key(secret, ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:_LONGEST_NAME] or "msrp")])
        made_at = dt.datetime.fromtimestamp(int(now), dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(int.from_bytes(tokens.octets(_SERIAL_OCTETS), "big") | 1)
            .not_valid_before(made_at - _BACKDATED)
            .not_valid_after(made_at + _LIFE)
            .sign(key, hashes.SHA256(), ecdsa_deterministic=True)
        )
        return cls(key, certificate)

    def __repr__(self) -> str:
        return f"MsrpIdentity({self.fingerprint})"
