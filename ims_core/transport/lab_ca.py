"""The lab's certificate authority, made in a folder on first use (X.509, RFC 5280). It vouches for itself alone."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import ssl
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ims_core.errors import TransportError

__all__ = ["LabCa", "LabCaError"]

_ROOT_LIFE = dt.timedelta(days=3650)
_LEAF_LIFE = dt.timedelta(days=90)
_RENEW_BEFORE = dt.timedelta(days=14)  # what runs out sooner is made anew at the next start
_BACKDATED = dt.timedelta(minutes=5)  # for peers whose clock is a little behind


class LabCaError(TransportError):
    """The folder of the authority cannot be used, or what lies in it is no certificate."""


class LabCa:
    """Root certificate ``ca.pem`` and its key, and a certificate per server name, in *folder* (files 0600)."""

    __slots__ = ("_folder", "_key", "_root")

    def __init__(self, folder: Path) -> None:
        """Reads the authority, or makes it. Raises LabCaError with one sentence that says what to do."""
        self._folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._root, self._key = self._read_or_make_root()
        except OSError as error:
            raise LabCaError(f"{folder} cannot hold the lab's certificates ({error.strerror}): use --state") from error
        except ValueError as error:
            raise LabCaError(f"{folder} holds a damaged certificate or key: delete ca.pem and ca.key there") from error

    @property
    def certificate_path(self) -> Path:
        """The root certificate, for peers to trust."""
        return self._folder / "ca.pem"

    def server_context(
        self, name: str, hosts: Sequence[str], *, requires_client_certificate: bool = False
    ) -> ssl.SSLContext:
        """TLS context of the server *name* whose certificate covers *hosts* (names and IP literals)."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.certificate_path))
        context.verify_mode = ssl.CERT_REQUIRED if requires_client_certificate else ssl.CERT_NONE
        context.load_cert_chain(*self._server_files(name, hosts))
        return context

    def client_context(self, name: str | None = None) -> ssl.SSLContext:
        """TLS context that trusts this authority alone; with *name* it also presents that server's certificate."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(self.certificate_path))
        if name is not None:
            context.load_cert_chain(*self._server_files(name, ()))
        return context

    def _read_or_make_root(self) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
        """Raises LabCaError if half of it is gone: peers may trust the other half."""
        halves = (self._folder / "ca.pem", self._folder / "ca.key")
        for path, other in (halves, halves[::-1]):
            if other.exists() and not path.exists():
                raise LabCaError(f"{path} is missing: put it back, or delete {other} to have a new authority")
        found = self._read("ca")
        if found is not None and found[0].not_valid_after_utc - _now() > _LEAF_LIFE:
            return found
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rcs-sim lab authority")])
        builder = _builder(subject, subject, key.public_key(), _ROOT_LIFE)
        usage = _key_usage(signs_certificates=True)
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self._write("ca", certificate, key)
        return certificate, key

    def _server_files(self, name: str, hosts: Sequence[str]) -> tuple[Path, Path]:
        try:
            found = self._read(name)
        except ValueError:  # damaged: peers trust the authority, not this certificate, so another one will do
            found = None
        if found is None or found[0].public_key() != found[1].public_key() or not self._is_usable(found[0], hosts):
            self._issue(name, hosts)
        return self._folder / f"{name}.pem", self._folder / f"{name}.key"

    def _is_usable(self, certificate: x509.Certificate, hosts: Sequence[str]) -> bool:
        if certificate.not_valid_after_utc - _now() < _RENEW_BEFORE or certificate.issuer != self._root.subject:
            return False
        try:
            certificate.verify_directly_issued_by(self._root)
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except Exception:  # cryptography raises several kinds; whichever it was, the certificate is made anew
            return False
        return set(_alternative_names(hosts)) <= set(names)

    def _issue(self, name: str, hosts: Sequence[str]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _builder(subject, self._root.subject, key.public_key(), _LEAF_LIFE)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(usages, critical=False)
            .add_extension(x509.SubjectAlternativeName(_alternative_names(hosts or [name])), critical=False)
            .add_extension(authority, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self._write(name, certificate, key)

    def _read(self, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
        certificate_path, key_path = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        if not certificate_path.exists() or not key_path.exists():
            return None
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError("not an EC key")
        return certificate, key

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_private(self._folder / f"{name}.key", private)
        _write_private(self._folder / f"{name}.pem", certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, life: dt.timedelta
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return names


def _write_private(path: Path, octets: bytes) -> None:
    """Whole or not at all, readable by the owner alone."""
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(octets)
    draft.replace(path)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
