"""Certificate extensions of the profile, written and read (RFC 5280 §4.2, RCC.16 A.3.8)."""

from __future__ import annotations

from dataclasses import dataclass

from rcs_sim.e2ee.certificate import CertificateExtension
from rcs_sim.e2ee.certificate_profile import (
    ACS_PARTICIPANT_INFORMATION,
    AUTHORITY_INFORMATION_ACCESS,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    CRL_DISTRIBUTION_POINTS,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    PARTICIPANT_INFORMATION,
    SUBJECT_ALTERNATIVE_NAME,
    SUBJECT_KEY_IDENTIFIER,
    VENDOR_ID,
)
from rcs_sim.e2ee.der import (
    BOOLEAN,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    DerError,
    DerReader,
    element,
    encode_integer,
    encode_named_bits,
    encode_oid,
    sequence,
)

__all__ = [
    "CRL_SIGN",
    "DIGITAL_SIGNATURE",
    "KEY_CERT_SIGN",
    "AuthorityKey",
    "BasicConstraints",
    "Policy",
    "acs_proof_extension",
    "authority_key_identifier",
    "basic_constraints",
    "certificate_policies",
    "crl_distribution_point",
    "extended_key_usage",
    "issuer_location",
    "key_usage",
    "participant_information_extension",
    "read_authority_key_identifier",
    "read_basic_constraints",
    "read_certificate_policies",
    "read_extended_key_usage",
    "read_key_usage",
    "read_subject_key_identifier",
    "read_vendor_id",
    "subject_alternative_name",
    "subject_key_identifier",
    "unwrapped",
    "vendor_id_extension",
]

DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN = 0, 5, 6  # bits of KeyUsage

_CA_ISSUERS = encode_oid("1.3.6.1.5.5.7.48.2")
_KEY_IDENTIFIER, _URI = 0x80, 0x86
_LONGEST_LIST = 32  # policies or purposes: the profile has one


@dataclass(frozen=True, slots=True)
class BasicConstraints:
    """``BasicConstraints``."""

    is_ca: bool
    path_length: int | None


@dataclass(frozen=True, slots=True)
class AuthorityKey:
    """``AuthorityKeyIdentifier``: its keyIdentifier, and whether anything else is there."""

    key_identifier: bytes | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """``PolicyInformation``."""

    oid: bytes
    has_qualifiers: bool


def key_usage(*bits: int) -> CertificateExtension:
    return CertificateExtension(KEY_USAGE, True, encode_named_bits(*bits))


def read_key_usage(value: bytes) -> frozenset[int]:
    """Bits that are set. Raises DerError."""
    reader = DerReader(value)
    bits = reader.named_bits()
    reader.finish()
    return bits


def extended_key_usage(*purposes: bytes) -> CertificateExtension:
    value = sequence(*(element(OID, purpose) for purpose in purposes))
    return CertificateExtension(EXTENDED_KEY_USAGE, False, value)


def read_extended_key_usage(value: bytes) -> tuple[bytes, ...]:
    """Purposes, one at least. Raises DerError."""
    reader = DerReader(value)
    listed = reader.nested(SEQUENCE)
    reader.finish()
    found: list[bytes] = []
    while not listed.is_at_end:
        found.append(listed.oid())
    _verify_count(len(found), value)
    return tuple(found)


def subject_key_identifier(key_identifier: bytes) -> CertificateExtension:
    return CertificateExtension(SUBJECT_KEY_IDENTIFIER, False, element(OCTET_STRING, key_identifier))


def read_subject_key_identifier(value: bytes) -> bytes:
    """Raises DerError."""
    reader = DerReader(value)
    key_identifier = reader.content(OCTET_STRING)
    reader.finish()
    if not key_identifier:
        raise DerError("an empty key identifier", spec="RFC 5280 §4.2.1.2")
    return key_identifier


def authority_key_identifier(key_identifier: bytes) -> CertificateExtension:
    value = sequence(element(_KEY_IDENTIFIER, key_identifier))
    return CertificateExtension(AUTHORITY_KEY_IDENTIFIER, False, value)


def read_authority_key_identifier(value: bytes) -> AuthorityKey:
    """Raises DerError."""
    reader = DerReader(value)
    body = reader.nested(SEQUENCE)
    reader.finish()
    found = body.optional(_KEY_IDENTIFIER)
    has_more = not body.is_at_end
    while not body.is_at_end:
        body.any()
    return AuthorityKey(None if found is None else found.content, has_more)


def basic_constraints(*, is_ca: bool, path_length: int | None = None) -> CertificateExtension:
    ca = element(BOOLEAN, b"\xff") if is_ca else b""
    length = b"" if path_length is None else encode_integer(path_length)
    return CertificateExtension(BASIC_CONSTRAINTS, True, sequence(ca, length))


def read_basic_constraints(value: bytes) -> BasicConstraints:
    """Raises DerError."""
    reader = DerReader(value)
    body = reader.nested(SEQUENCE)
    reader.finish()
    is_ca = body.boolean() if body.next_tag() == BOOLEAN else False
    path_length = body.integer() if body.next_tag() == INTEGER else None
    body.finish()
    if path_length is not None and path_length < 0:
        raise DerError("a negative path length", spec="RFC 5280 §4.2.1.9", raw=value)
    return BasicConstraints(is_ca, path_length)


def certificate_policies(*policies: bytes) -> CertificateExtension:
    value = sequence(*(sequence(element(OID, policy)) for policy in policies))
    return CertificateExtension(CERTIFICATE_POLICIES, False, value)


def read_certificate_policies(value: bytes) -> tuple[Policy, ...]:
    """Policies, one at least. Raises DerError."""
    reader = DerReader(value)
    listed = reader.nested(SEQUENCE)
    reader.finish()
    found: list[Policy] = []
    while not listed.is_at_end:
        each = listed.nested(SEQUENCE)
        oid = each.oid()
        found.append(Policy(oid, each.optional(SEQUENCE) is not None))
        each.finish()
    _verify_count(len(found), value)
    return tuple(found)


def subject_alternative_name(general_names: bytes) -> CertificateExtension:
    """*general_names* are the octets as the client asked for them."""
    return CertificateExtension(SUBJECT_ALTERNATIVE_NAME, False, general_names)


def participant_information_extension(value: bytes) -> CertificateExtension:
    """*value* are the octets as the client asked for them."""
    return CertificateExtension(PARTICIPANT_INFORMATION, True, value)


def acs_proof_extension(value: bytes) -> CertificateExtension:
    """*value* is the proof as the configuration server made it."""
    return CertificateExtension(ACS_PARTICIPANT_INFORMATION, False, value)


def unwrapped(value: bytes) -> bytes:
    """The proof in an extension's value, which some issuers put into one OCTET STRING more. A proof begins with a zero
    octet as long as its expiry lies in a year of five digits or less, an OCTET STRING does not."""
    if value[:1] != bytes((OCTET_STRING,)):
        return value
    reader = DerReader(value)
    inner = reader.content(OCTET_STRING)
    reader.finish()
    return inner


def vendor_id_extension(vendor_id: int) -> CertificateExtension:
    return CertificateExtension(VENDOR_ID, False, encode_integer(vendor_id))


def read_vendor_id(value: bytes) -> int:
    """Raises DerError."""
    reader = DerReader(value)
    vendor_id = reader.integer()
    reader.finish()
    return vendor_id


def crl_distribution_point(uri: str) -> CertificateExtension:
    name = element(0xA0, element(0xA0, element(_URI, uri.encode("ascii"))))
    return CertificateExtension(CRL_DISTRIBUTION_POINTS, False, sequence(sequence(name)))


def issuer_location(uri: str) -> CertificateExtension:
    """``AuthorityInfoAccessSyntax`` with one caIssuers."""
    location = sequence(element(OID, _CA_ISSUERS), element(_URI, uri.encode("ascii")))
    return CertificateExtension(AUTHORITY_INFORMATION_ACCESS, False, sequence(location))


def _verify_count(count: int, value: bytes) -> None:
    if not 1 <= count <= _LONGEST_LIST:
        raise DerError(f"a list of {count} identifiers", spec="RFC 5280 §4.2", raw=value)
