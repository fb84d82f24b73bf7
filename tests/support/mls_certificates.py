"""X.509 credentials for groups of tests: self-signed certificates of P-256 or Ed25519 keys, and who checks them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from rcs_sim.mls.credential import Credential, X509Credential
from rcs_sim.mls.errors import MlsValidationError

__all__ = ["CertificateIdentity", "self_signed"]

_SPEC = "RFC 9420 §5.3.1"
_HOUR = timedelta(hours=1)


def self_signed(name: str, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, now_s: int) -> bytes:
    """A certificate of *name* for an hour before and after *now_s*, in DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.fromtimestamp(now_s, UTC)
    builder = (
        x509.CertificateBuilder(subject, subject, key.public_key())
        .serial_number(1 + now_s)
        .not_valid_before(now - _HOUR)
        .not_valid_after(now + _HOUR)
    )
    algorithm = SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


class CertificateIdentity:
    """Takes a certificate that is valid and of the leaf's own signature key; whoever signed it."""

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        certificate = _own_certificate(credential)
        if _key_of(certificate) != signature_key:
            raise MlsValidationError("TEST-key", "a certificate is of another key than its leaf", spec=_SPEC)
        now = None if now_s is None else datetime.fromtimestamp(now_s, UTC)
        if now is not None and not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise MlsValidationError("TEST-time", "a certificate is not valid now", spec=_SPEC)

    def identity_of(self, credential: Credential) -> bytes:
        return _own_certificate(credential).subject.public_bytes()

    def is_successor(self, before: Credential, after: Credential) -> bool:
        return self.identity_of(before) == self.identity_of(after)


def _own_certificate(credential: Credential) -> x509.Certificate:
    if not isinstance(credential, X509Credential) or not credential.certificates:
        raise MlsValidationError("TEST-x509", "a credential has no certificate", spec=_SPEC)
    return x509.load_der_x509_certificate(credential.certificates[0])


def _key_of(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key.public_bytes_raw()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
