"""Rules of every certificate and of CAs. The mutations of test_certificate_validator have each of them, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rcs_sim.e2ee import certificate_x509_rules as rules
from rcs_sim.e2ee.certificate import Certificate, NameAttribute, read_certificate
from rcs_sim.e2ee.certificate_profile import COMMON_NAME, CertificateRule, Finding
from rcs_sim.e2ee.der import UTF8_STRING, encode_oid
from tests.support.certificate_chains import make_device, make_pki

PKI = make_pki(2)
LEAF = read_certificate(make_device(PKI).chain[0])
CAS = [read_certificate(der) for der in (*PKI.ica_chain, PKI.root_der)]

Rule = Callable[[Certificate], Iterator[Finding]]
EVERY: tuple[Rule, ...] = (
    rules.check_version,
    rules.check_serial_number,
    rules.check_validity_form,
    rules.check_subject,
    rules.check_unique_identifiers,
    rules.check_repeated_extensions,
    rules.check_subject_key_identifier,
)
OF_CAS: tuple[Rule, ...] = (
    rules.check_ca_basic_constraints,
    rules.check_ca_key_usage,
    rules.check_ca_extended_key_usage,
    rules.check_ca_policies,
    rules.check_ca_life,
)


def test_good_certificates_break_none() -> None:
    for certificate in (LEAF, *CAS):
        assert [finding for rule in EVERY for finding in rule(certificate)] == []
    for certificate in CAS:
        assert [finding for rule in OF_CAS for finding in rule(certificate)] == []
    for certificate, issuer in zip((LEAF, *CAS), (*CAS, CAS[-1]), strict=True):
        assert [*rules.check_authority_key(certificate, issuer)] == []


def named(*values: bytes, tag: int = UTF8_STRING, oid: bytes = COMMON_NAME) -> Certificate:
    return replace(LEAF, subject_attributes=tuple(NameAttribute(oid, tag, value, True) for value in values))


@pytest.mark.parametrize(
    "value",
    [
        b"6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101",
        b"urn:uuid:6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101",
        b"6A1F0F0C-7A52-4C0E-9A51-0D8F3C1E0101",
    ],
)
def test_a_client_is_named_by_a_uuid(value: bytes) -> None:
    assert [*rules.check_client_identifier(named(value))] == []


@pytest.mark.parametrize(
    "leaf",
    [
        named(b"6a1f0f0c7a524c0e9a510d8f3c1e0101"),
        named(b"{6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101}"),
        named(b"\xff"),
        named(),
        named(b"6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101", b"6a1f0f0c-7a52-4c0e-9a51-0d8f3c1e0101"),
    ],
)
def test_a_client_is_named_by_nothing_else(leaf: Certificate) -> None:
    assert [each.rule for each in rules.check_client_identifier(leaf)] == [CertificateRule.CLIENT_IDENTIFIER]


def test_bounds_are_in_characters() -> None:
    assert [*rules.check_subject(named("é".encode() * 64))] == []
    assert [*rules.check_subject(named("é".encode() * 65))] != []
    assert [*rules.check_subject(named(b"x" * 128, oid=encode_oid("2.5.4.8")))] == []
    assert [*rules.check_subject(named(b"\xff"))] != []
    assert [*rules.check_subject(named(b"x\x00" * 64, tag=0x1E))] == []
