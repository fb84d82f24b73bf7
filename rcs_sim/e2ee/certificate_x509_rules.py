"""What holds for every certificate, and for every CA (RCC.16 A.1, A.2, A.3.8; RFC 5280 §4). One function per rule."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator

from rcs_sim.e2ee.certificate import Certificate, NameAttribute
from rcs_sim.e2ee.certificate_extensions import (
    CRL_SIGN,
    KEY_CERT_SIGN,
    read_authority_key_identifier,
    read_basic_constraints,
    read_certificate_policies,
    read_extended_key_usage,
    read_key_usage,
    read_subject_key_identifier,
)
from rcs_sim.e2ee.certificate_profile import (
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    CERTIFICATE_POLICIES,
    COMMON_NAME,
    EXTENDED_KEY_USAGE,
    KEY_USAGE,
    RCS_MLS_CLIENT,
    ROOT_LIFE_S,
    SUBJECT_KEY_IDENTIFIER,
    SUBORDINATE_LIFE_S,
    CertificateRule,
    Finding,
)
from rcs_sim.e2ee.der import UTF8_STRING, DerError, encode_oid, show_oid

__all__ = [
    "check_authority_key",
    "check_ca_basic_constraints",
    "check_ca_extended_key_usage",
    "check_ca_key_usage",
    "check_ca_life",
    "check_ca_policies",
    "check_client_identifier",
    "check_repeated_extensions",
    "check_serial_number",
    "check_subject",
    "check_subject_key_identifier",
    "check_unique_identifiers",
    "check_validity_form",
    "check_version",
]

_V3 = 2
_LONGEST_SERIAL = 20  # octets
_ANY_POLICY = encode_oid("2.5.29.32.0")
_BOUNDS = {  # characters
    encode_oid("2.5.4.6"): 2,  # C
    encode_oid("2.5.4.10"): 64,  # O
    COMMON_NAME: 64,
    encode_oid("2.5.4.8"): 128,  # ST
    encode_oid("2.5.4.7"): 128,  # L
}
_BMP_STRING, _UNIVERSAL_STRING = 0x1E, 0x1C


def check_version(certificate: Certificate) -> Iterator[Finding]:
    """Version 3."""
    if certificate.version != _V3:
        yield Finding(CertificateRule.VERSION, f"a certificate has the version number {certificate.version}")


def check_serial_number(certificate: Certificate) -> Iterator[Finding]:
    """Positive, 20 octets at most."""
    serial = certificate.serial
    if serial[0] & 0x80 or serial == b"\x00" or len(serial) > _LONGEST_SERIAL:
        yield Finding(CertificateRule.SERIAL_NUMBER, "a serial number is not positive or too long", serial)


def check_validity_form(certificate: Certificate) -> Iterator[Finding]:
    """It begins before it ends, and each time has the form of its year."""
    times = (certificate.not_before, certificate.not_after)
    if certificate.not_before_s > certificate.not_after_s or not all(time.is_in_its_form() for time in times):
        yield Finding(CertificateRule.VALIDITY_FORM, "a validity ends before it begins, or has the other form of time")


def check_subject(certificate: Certificate) -> Iterator[Finding]:
    """There is one, of single-valued RDNs within their bounds."""
    if not certificate.subject_attributes:
        yield Finding(CertificateRule.SUBJECT, "a subject is empty")
    for attribute in certificate.subject_attributes:
        length, bound = _characters(attribute), _BOUNDS.get(attribute.oid)
        if not attribute.is_alone or length is None or not length or (bound is not None and length > bound):
            message = f"a subject has several values in one place, or a wrong {show_oid(attribute.oid)}"
            yield Finding(CertificateRule.SUBJECT, message, attribute.value)


def check_client_identifier(leaf: Certificate) -> Iterator[Finding]:
    """A leaf is named by its client's UUID: its one commonName, a UTF8String, with ``urn:uuid:`` before it or not.
    The attribute clientIdentifier is known by name only; deployed peers have the commonName (choice)."""
    names = [each for each in leaf.subject_attributes if each.oid == COMMON_NAME]
    if len(names) == 1 and names[0].tag == UTF8_STRING and _is_uuid(names[0].value):
        return
    raw = names[0].value if names else b""
    yield Finding(CertificateRule.CLIENT_IDENTIFIER, "the commonName of a leaf is no UUID in a UTF8String", raw)


def check_unique_identifiers(certificate: Certificate) -> Iterator[Finding]:
    """Issuer and subject have no unique identifiers."""
    if certificate.has_unique_ids:
        yield Finding(CertificateRule.UNIQUE_IDENTIFIERS, "a certificate has unique identifiers")


def check_repeated_extensions(certificate: Certificate) -> Iterator[Finding]:
    """One extension of a kind."""
    for oid, count in Counter(each.oid for each in certificate.extensions).items():
        if count > 1:
            yield Finding(CertificateRule.REPEATED_EXTENSION, f"the extension {show_oid(oid)} is there {count} times")


def check_subject_key_identifier(certificate: Certificate) -> Iterator[Finding]:
    """It is there, and not critical."""
    extension = certificate.extension(SUBJECT_KEY_IDENTIFIER)
    try:
        if extension is not None and not extension.critical:
            read_subject_key_identifier(extension.value)
            return
    except DerError:
        pass
    yield Finding(CertificateRule.KEY_IDENTIFIER, "a certificate has no subjectKeyIdentifier, or a critical one")


def check_authority_key(certificate: Certificate, issuer: Certificate) -> Iterator[Finding]:
    """If it is there it has a keyIdentifier and nothing more, not critical, and that is the issuer's."""
    extension = certificate.extension(AUTHORITY_KEY_IDENTIFIER)
    if extension is None:
        return
    try:
        found = read_authority_key_identifier(extension.value)
        of_issuer = read_subject_key_identifier(issuer.extension_value(SUBJECT_KEY_IDENTIFIER) or b"")
        if not extension.critical and not found.has_more and found.key_identifier == of_issuer:
            return
    except DerError:
        pass
    message = "an authorityKeyIdentifier is not the keyIdentifier of the issuer alone"
    yield Finding(CertificateRule.AUTHORITY_KEY, message, extension.value)


def check_ca_basic_constraints(certificate: Certificate) -> Iterator[Finding]:
    """Present, critical, cA TRUE (A.2.8.5)."""
    extension = certificate.extension(BASIC_CONSTRAINTS)
    try:
        if extension is not None and extension.critical and read_basic_constraints(extension.value).is_ca:
            return
    except DerError:
        pass
    yield Finding(CertificateRule.CA_BASIC_CONSTRAINTS, "an issuer has no critical basicConstraints with cA TRUE")


def check_ca_key_usage(certificate: Certificate) -> Iterator[Finding]:
    """Present, critical, keyCertSign, with cRLSign beside it or nothing (A.2.8.3)."""
    extension = certificate.extension(KEY_USAGE)
    try:
        if extension is not None and extension.critical:
            bits = read_key_usage(extension.value)
            if KEY_CERT_SIGN in bits and bits <= {KEY_CERT_SIGN, CRL_SIGN}:
                return
    except DerError:
        pass
    yield Finding(CertificateRule.CA_KEY_USAGE, "the keyUsage of an issuer is not keyCertSign, with cRLSign or without")


def check_ca_extended_key_usage(certificate: Certificate) -> Iterator[Finding]:
    """Absent, or exactly id-kp-rcsMlsClient."""
    value = certificate.extension_value(EXTENDED_KEY_USAGE)
    try:
        if value is None or read_extended_key_usage(value) == (RCS_MLS_CLIENT,):
            return
    except DerError:
        pass
    yield Finding(CertificateRule.CA_EXTENDED_KEY_USAGE, "an issuer is for something else than RCS MLS clients")


def check_ca_policies(certificate: Certificate) -> Iterator[Finding]:
    """Absent, or not critical and without anyPolicy."""
    extension = certificate.extension(CERTIFICATE_POLICIES)
    if extension is None:
        return
    try:
        policies = [policy.oid for policy in read_certificate_policies(extension.value)]
        if not extension.critical and _ANY_POLICY not in policies:
            return
    except DerError:
        pass
    yield Finding(CertificateRule.CA_POLICY, "the certificatePolicies of an issuer are critical or have anyPolicy")


def check_ca_life(certificate: Certificate) -> Iterator[Finding]:
    """3652 days of a root (A.1.5), 1827 of an intermediate (A.2.5)."""
    is_root = certificate.is_self_issued
    rule = CertificateRule.ROOT_LIFE if is_root else CertificateRule.SUBORDINATE_LIFE
    longest_s = ROOT_LIFE_S if is_root else SUBORDINATE_LIFE_S
    life_s = certificate.not_after_s - certificate.not_before_s
    if life_s > longest_s:
        yield Finding(rule, f"an issuer is valid for {life_s} s, allowed are {longest_s}")


def _characters(attribute: NameAttribute) -> int | None:
    """Length of a text, None if it is no text."""
    if attribute.tag in (_BMP_STRING, _UNIVERSAL_STRING):
        return len(attribute.value) // (2 if attribute.tag == _BMP_STRING else 4)
    try:
        return len(attribute.value.decode("utf-8" if attribute.tag == UTF8_STRING else "latin-1"))
    except UnicodeDecodeError:
        return None


def _is_uuid(value: bytes) -> bool:
    text = value.removeprefix(b"urn:uuid:").decode("ascii", "replace").lower()
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
