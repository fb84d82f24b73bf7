"""Certificates as values, with the octets that signatures and comparisons need (RFC 5280 §4.1).

Nothing is judged here beyond the syntax; the rules are in the modules certificate_*_rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from rcs_sim.e2ee.der import (
    BOOLEAN,
    OCTET_STRING,
    SEQUENCE,
    SET,
    DerError,
    DerReader,
    DerTime,
)
from rcs_sim.e2ee.public_key_info import PublicKeyInfo, is_ecdsa_signed, public_key_info, read_algorithm

__all__ = [
    "Certificate",
    "CertificateExtension",
    "NameAttribute",
    "certificate_number",
    "read_certificate",
    "read_name",
    "read_uri_names",
    "tel_digits",
]

_KEPT_CERTIFICATES = 4096  # parsed: those of the members and issuers of a lab
_KEPT_OCTETS = 4096  # longer ones are not kept: nobody fills the memory with certificates
_VERSION = 0xA0
_ISSUER_UNIQUE_ID, _SUBJECT_UNIQUE_ID, _EXTENSIONS = 0x81, 0x82, 0xA3
_URI = 0x86
_SPEC = "RFC 5280 §4.1"
_LONGEST_NUMBER = 15  # digits (ITU-T E.164)
_SAN = bytes.fromhex("551d11")


@dataclass(frozen=True, slots=True)
class CertificateExtension:
    """``Extension``: *oid* is the content of its identifier, *value* what its OCTET STRING holds."""

    oid: bytes
    critical: bool
    value: bytes


@dataclass(frozen=True, slots=True)
class NameAttribute:
    """``AttributeTypeAndValue`` of a Name, and whether it stands alone in its RelativeDistinguishedName."""

    oid: bytes
    tag: int
    value: bytes
    is_alone: bool


@dataclass(frozen=True, slots=True, eq=False)
class Certificate:
    """``Certificate`` (RFC 5280 §4.1). *subject*, *issuer* and *spki* are their DER octets; *serial* is the content of
    its INTEGER, *version* the number on the wire (2 is v3); *to_be_signed* is what *signature* covers. *msisdn* is the
    bare digits of the one number that the subjectAltName is, nothing if it is anything else."""

    der: bytes
    to_be_signed: bytes
    version: int
    serial: bytes
    inner_algorithm: bytes
    issuer: bytes
    not_before: DerTime
    not_after: DerTime
    subject: bytes
    subject_attributes: tuple[NameAttribute, ...]
    spki: bytes
    has_unique_ids: bool
    extensions: tuple[CertificateExtension, ...]
    outer_algorithm: bytes
    signature: bytes
    msisdn: str

    @property
    def not_before_s(self) -> int:
        return self.not_before.at_s

    @property
    def not_after_s(self) -> int:
        """The last second of the validity, which is part of it."""
        return self.not_after.at_s

    @property
    def is_self_issued(self) -> bool:
        return self.subject == self.issuer

    @property
    def point(self) -> bytes:
        """The certified key as an uncompressed point. Raises DerError if it is of another kind."""
        return self.public_key.point

    @property
    def public_key(self) -> PublicKeyInfo:
        """The certified key. Raises DerError if it is none on P-256, P-384 or P-521."""
        return public_key_info(self.spki)

    @property
    def san(self) -> bytes:
        """``GeneralNames`` of the subjectAltName as they stand there, nothing if there are none."""
        return self.extension_value(_SAN) or b""

    @property
    def common_name(self) -> str:
        """The last commonName, nothing if there is none."""
        values = [each.value for each in self.subject_attributes if each.oid == b"\x55\x04\x03"]
        return values[-1].decode("utf-8", "replace") if values else ""

    def extension_value(self, oid: bytes) -> bytes | None:
        """Content of the extension, None without it."""
        found = self.extension(oid)
        return None if found is None else found.value

    def extension(self, oid: bytes) -> CertificateExtension | None:
        """The first extension of this kind."""
        return next((each for each in self.extensions if each.oid == oid), None)

    def is_signed_by(self, issuer: PublicKeyInfo) -> bool:
        """Whether the owner of *issuer* signed, with one of the ECDSA algorithms."""
        return _is_signed(self.der, self.to_be_signed, self.outer_algorithm, self.signature, issuer)


def read_certificate(der: bytes) -> Certificate:
    """Reads one certificate. Raises DerError, and nothing else, on anything that is not one."""
    return _kept(der) if len(der) <= _KEPT_OCTETS else _read(der)


def certificate_number(serial: bytes) -> bytes:
    """A serial number for comparison: leading zeros off, one octet at least."""
    return serial.lstrip(b"\x00") or b"\x00"


def read_name(octets: bytes) -> tuple[NameAttribute, ...]:
    """Attributes of a ``Name``. Raises DerError."""
    reader = DerReader(octets)
    names = reader.nested(SEQUENCE)
    reader.finish()
    found: list[NameAttribute] = []
    while not names.is_at_end:
        found += _relative_name(names.nested(SET))
    return tuple(found)


def read_uri_names(general_names: bytes) -> tuple[str, ...]:
    """The names of a subjectAltName if all are of the kind uniformResourceIdentifier. Raises DerError."""
    reader = DerReader(general_names)
    names = reader.nested(SEQUENCE)
    reader.finish()
    found: list[str] = []
    while not names.is_at_end:
        octets = names.content(_URI)
        if not octets.isascii():
            raise DerError("a URI that is not ASCII", spec="RFC 5280 §4.2.1.6", raw=octets)
        found.append(octets.decode("ascii"))
    return tuple(found)


def tel_digits(uri: str) -> str | None:
    """Digits of ``tel:+E164`` in exactly this form, None for anything else."""
    digits = uri.removeprefix("tel:+")
    if digits == uri or not (digits.isascii() and digits.isdigit()):
        return None
    return digits if len(digits) <= _LONGEST_NUMBER and digits[0] != "0" else None


def _read(der: bytes) -> Certificate:
    reader = DerReader(der)
    body = reader.nested()
    reader.finish()
    signed, outer, signature = body.element(SEQUENCE), body.element(SEQUENCE).octets, body.bit_string()
    body.finish()
    fields = DerReader(signed.content)
    version = _version(fields)
    serial, inner = fields.integer_octets(), fields.element(SEQUENCE).octets
    issuer, (not_before, not_after) = fields.element(SEQUENCE).octets, _validity(fields.nested())
    read_name(issuer)
    subject, spki = fields.element(SEQUENCE).octets, fields.element(SEQUENCE).octets
    unique_ids = [fields.optional(_ISSUER_UNIQUE_ID), fields.optional(_SUBJECT_UNIQUE_ID)]
    extensions = _extensions(fields)
    fields.finish()
    return Certificate(
        der=der,
        to_be_signed=signed.octets,
        version=version,
        serial=serial,
        inner_algorithm=inner,
        issuer=issuer,
        not_before=not_before,
        not_after=not_after,
        subject=subject,
        subject_attributes=read_name(subject),
        spki=spki,
        has_unique_ids=any(each is not None for each in unique_ids),
        extensions=extensions,
        outer_algorithm=outer,
        signature=signature,
        msisdn=_number(extensions),
    )


_kept = lru_cache(maxsize=_KEPT_CERTIFICATES)(_read)


@lru_cache(maxsize=2 * _KEPT_CERTIFICATES)
def _is_signed(der: bytes, signed: bytes, algorithm: bytes, signature: bytes, issuer: PublicKeyInfo) -> bool:
    del der  # what the answer is kept by, with the issuer
    try:
        return is_ecdsa_signed(issuer, read_algorithm(algorithm), signed, signature)
    except DerError:
        return False


def _number(extensions: tuple[CertificateExtension, ...]) -> str:
    san = next((each.value for each in extensions if each.oid == _SAN), b"")
    try:
        names = read_uri_names(san)
    except DerError:
        return ""
    return (tel_digits(names[0]) or "") if len(names) == 1 else ""


def _version(fields: DerReader) -> int:
    if fields.next_tag() != _VERSION:
        return 0
    inner = fields.nested(_VERSION)
    version = inner.integer()
    inner.finish()
    return version


def _validity(reader: DerReader) -> tuple[DerTime, DerTime]:
    not_before, not_after = reader.time(), reader.time()
    reader.finish()
    return not_before, not_after


def _extensions(fields: DerReader) -> tuple[CertificateExtension, ...]:
    if fields.next_tag() != _EXTENSIONS:
        return ()
    outer = fields.nested(_EXTENSIONS)
    listed = outer.nested(SEQUENCE)
    outer.finish()
    found: list[CertificateExtension] = []
    while not listed.is_at_end:
        found.append(_extension(listed.nested(SEQUENCE)))
    return tuple(found)


def _extension(reader: DerReader) -> CertificateExtension:
    oid, critical = reader.oid(), reader.next_tag() == BOOLEAN
    if critical and not reader.boolean():
        raise DerError("the default value of critical is written out", spec=_SPEC)
    value = reader.content(OCTET_STRING)
    reader.finish()
    return CertificateExtension(oid, critical, value)


def _relative_name(reader: DerReader) -> list[NameAttribute]:
    pairs: list[tuple[bytes, int, bytes]] = []
    while not reader.is_at_end:
        attribute = reader.nested(SEQUENCE)
        oid, value = attribute.oid(), attribute.any()
        attribute.finish()
        pairs.append((oid, value.tag, value.content))
    if not pairs:
        raise DerError("an empty RelativeDistinguishedName", spec=_SPEC)
    return [NameAttribute(*pair, is_alone=len(pairs) == 1) for pair in pairs]
