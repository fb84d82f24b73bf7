"""Certificates and enrolments made without any encoder of ours: by the OpenSSL program, by the library `cryptography`,
and by hand from the octets that RCC.16 digest §1.3, §3.4 and §14.2 show."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

__all__ = ["ForeignDevice", "OpensslAuthority", "der", "general_names", "name_of", "proof_octets", "varint"]

_ECDSA_OIDS = {"sha256": "2a8648ce3d040302", "sha384": "2a8648ce3d040303", "sha512": "2a8648ce3d040304"}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    length = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def name_of(client_id: str, tag: int = 0x0C) -> bytes:
    """A bare CN, a UTF8String."""
    return der(0x30, der(0x31, der(0x30, bytes.fromhex("0603550403"), der(tag, client_id.encode()))))


def general_names(digits: str) -> bytes:
    return der(0x30, der(0x86, f"tel:+{digits}".encode()))


def varint(octets: bytes) -> bytes:
    """MLS variable-length vector."""
    assert len(octets) < 0x4000
    if len(octets) < 64:
        return bytes((len(octets),)) + octets
    return (0x4000 | len(octets)).to_bytes(2, "big") + octets


def proof_octets(expiry_s: int, digits: str, participant_spki: bytes, sign: object) -> bytes:
    """The proof of a configuration server; *sign* makes ECDSA of octets."""
    expiry = expiry_s.to_bytes(8, "big")
    signed = varint(b"rcs-sim acs-proof v1") + expiry + varint(digits.encode()) + varint(participant_spki)
    assert callable(sign)
    return expiry + varint(sign(signed))


def _utc(at_s: int) -> bytes:
    return der(0x17, dt.datetime.fromtimestamp(at_s, dt.UTC).strftime("%y%m%d%H%M%SZ").encode())


def _spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class ForeignDevice:
    """Keys of a client that has nothing of ours. *vendor_id* is what it writes into ``.4``."""

    digits: str
    client_id: str
    vendor_id: int
    now_s: int
    digest: str = "sha256"
    leaf: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    participant: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def point(self) -> bytes:
        return self.leaf.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    @property
    def participant_spki(self) -> bytes:
        return _spki(self.participant)

    def sign(self, octets: bytes) -> bytes:
        return self.leaf.sign(octets, ec.ECDSA(hashes.SHA256()))

    def participant_information(self) -> bytes:
        """``.4``, signed over subject, vendor, validity, the leaf's key and number."""
        vendor = der(0x02, bytes((self.vendor_id,)))
        validity = der(0x30, _utc(self.now_s - 3600), _utc(self.now_s + 86_400 * 400))
        algorithm = der(0x30, der(0x06, bytes.fromhex(_ECDSA_OIDS[self.digest])))
        signed = der(0x30, name_of(self.client_id), vendor, validity, _spki(self.leaf), general_names(self.digits))
        signature = self.participant.sign(signed, ec.ECDSA(_HASHES[self.digest]))
        return der(0x30, vendor, validity, algorithm, der(0x03, b"\0", signature), self.participant_spki)


class OpensslAuthority:
    """Root, intermediate and leaves by the OpenSSL program, in *folder*."""

    def __init__(self, folder: Path, vendor_id: int, *, curve: str = "P-384", root_key: tuple[str, ...] = ()) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl program at hand")
        self._folder = folder
        self._files = 0
        usage = "keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
        self._key("root", root_key or ("EC", f"ec_paramgen_curve:{curve}"))
        self._key("ica", ("EC", f"ec_paramgen_curve:{curve}"))
        root = f"basicConstraints=critical,CA:TRUE\n{usage}2.23.146.2.1.6=ASN1:INTEGER:{vendor_id}\n"
        self.root = self._certificate("root", "/O=stranger/CN=stranger root", root, days=3650, issuer=None)
        ica = f"basicConstraints=critical,CA:TRUE,pathlen:0\n{usage}authorityKeyIdentifier=keyid\n"
        ica += "extendedKeyUsage=2.23.146.2.1.3\n"
        self.ica = self._certificate("ica", "/O=stranger/CN=stranger ica", ica, days=1825, issuer="root")

    def leaf(self, device: ForeignDevice, proof: bytes | None, *, days: int = 60, **changes: str | None) -> bytes:
        """A leaf with every extension of A.3.8; *changes* replace values, None leaves one out. *subject* and *key* are
        changes too."""
        subject = changes.pop("subject", None) or f"/CN={device.client_id}"
        conversion = changes.pop("key", None)
        pem = device.leaf.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self._folder / "leaf.key").write_bytes(pem)
        if conversion is not None:
            self._run("ec", "-in", "leaf.key", "-out", "leaf.key", *conversion.split())
        values: dict[str, str | None] = {
            "keyUsage": "critical,digitalSignature",
            "extendedKeyUsage": "2.23.146.2.1.3",
            "subjectKeyIdentifier": "hash",
            "authorityKeyIdentifier": "keyid",
            "subjectAltName": f"URI:tel:+{device.digits}",
            "certificatePolicies": "2.23.146.2.1.2",
            "2.23.146.2.1.4": f"critical,DER:{device.participant_information().hex(':')}",
            "2.23.146.2.1.5": None if proof is None else f"DER:{proof.hex(':')}",
        }
        written = {name: value for name, value in (values | changes).items() if value is not None}
        extensions = "".join(f"{name}={value}\n" for name, value in written.items())
        return self._certificate("leaf", subject, extensions, days=days, issuer="ica")

    def _key(self, name: str, kind: tuple[str, ...]) -> None:
        algorithm, *options = kind
        more = [part for option in options for part in ("-pkeyopt", option)]
        self._run("genpkey", "-algorithm", algorithm, *more, "-out", f"{name}.key")

    def _certificate(self, name: str, subject: str, extensions: str, *, days: int, issuer: str | None) -> bytes:
        self._files += 1
        (self._folder / "ext").write_text(extensions, encoding="ascii")
        mask = ["-utf8", "-multivalue-rdn"]
        self._run("req", "-new", "-key", f"{name}.key", "-subj", subject, *mask, "-out", "csr")
        signer = ["-signkey", f"{name}.key"] if issuer is None else ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"]
        serial = ["-set_serial", f"0x{4096 + self._files:x}"]
        out = ["-days", str(days), "-extfile", "ext", "-sha384", "-out", f"{name}.pem"]
        self._run("x509", "-req", "-in", "csr", *signer, *serial, *out)
        loaded = x509.load_pem_x509_certificate((self._folder / f"{name}.pem").read_bytes())
        return loaded.public_bytes(Encoding.DER)

    def _run(self, *command: str) -> None:
        subprocess.run(["openssl", *command], cwd=self._folder, check=True, capture_output=True, timeout=60)
