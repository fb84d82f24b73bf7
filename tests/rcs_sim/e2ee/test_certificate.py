"""Certificates are read as the library reads them, and nothing else is (RFC 5280 §4.1)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate import certificate_number, read_certificate, read_name, read_uri_names, tel_digits
from rcs_sim.e2ee.der import DerError, element, sequence, show_oid
from rcs_sim.e2ee.participant_key import leaf_subject, leaf_subject_alt_name
from tests.support.certificate_chains import CLIENT_ID, DIGITS, ChainDraft, make_device, make_pki

PKIS = {vendor: make_pki(vendor) for vendor in (1, 2)}
CERTIFICATES = [der for vendor, pki in PKIS.items() for der in (*make_device(pki).chain, pki.root_der)] + list(
    ChainDraft().build()[0]
)
LEAF = CERTIFICATES[0]


@pytest.mark.parametrize("der", CERTIFICATES)
def test_every_field_is_what_the_library_reads(der: bytes) -> None:
    ours, theirs = read_certificate(der), x509.load_der_x509_certificate(der)
    assert ours.der == theirs.public_bytes(Encoding.DER)
    assert ours.to_be_signed == theirs.tbs_certificate_bytes
    assert ours.signature == theirs.signature
    assert int.from_bytes(ours.serial, "big") == theirs.serial_number
    assert ours.subject == theirs.subject.public_bytes()
    assert ours.issuer == theirs.issuer.public_bytes()
    assert ours.not_before_s == int(theirs.not_valid_before_utc.timestamp())
    assert ours.not_after_s == int(theirs.not_valid_after_utc.timestamp())
    assert ours.spki == theirs.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert ours.version == theirs.version.value
    assert ours.is_self_issued == (theirs.subject == theirs.issuer)
    found = [(show_oid(each.oid), each.critical) for each in ours.extensions]
    assert found == [(each.oid.dotted_string, each.critical) for each in theirs.extensions]


@pytest.mark.parametrize("vendor", [1, 2])
def test_signatures_verify_as_the_library_verifies_them(vendor: int) -> None:
    path = [*make_device(PKIS[vendor]).chain, PKIS[vendor].root_der]
    for der, issuer in zip(path, [*path[1:], path[-1]], strict=True):
        theirs = x509.load_der_x509_certificate(der)
        theirs.verify_directly_issued_by(x509.load_der_x509_certificate(issuer))
        assert read_certificate(der).is_signed_by(read_certificate(issuer).public_key)
    assert not read_certificate(path[0]).is_signed_by(read_certificate(path[-1]).public_key)


def test_who_a_leaf_is() -> None:
    leaf = read_certificate(LEAF)
    assert (leaf.msisdn, leaf.common_name) == (DIGITS, CLIENT_ID)
    assert leaf.subject == leaf_subject(CLIENT_ID)
    assert leaf.san == leaf_subject_alt_name(DIGITS)
    root = read_certificate(PKIS[1].root_der)
    assert (root.msisdn, root.san) == ("", b"")


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_octets_are_a_certificate_or_a_der_error(octets: bytes) -> None:
    with pytest.raises(DerError):
        read_certificate(octets)


@settings(deadline=None)
@given(st.integers(0, len(LEAF) - 1), st.integers(0, 255))
def test_any_changed_octet_is_a_certificate_or_a_der_error(place: int, octet: int) -> None:
    changed = LEAF[:place] + bytes((octet,)) + LEAF[place + 1 :]
    try:
        assert read_certificate(changed).der == changed
    except DerError:
        return


@settings(deadline=None)
@given(st.integers(0, len(LEAF) - 1))
def test_a_part_of_a_certificate_is_none(length: int) -> None:
    with pytest.raises(DerError):
        read_certificate(LEAF[:length])


def test_the_same_octets_are_read_once() -> None:
    assert read_certificate(bytes(bytearray(LEAF))) is read_certificate(LEAF)


@pytest.mark.parametrize(
    ("uri", "digits"),
    [
        ("tel:+12025550101", "12025550101"),
        ("tel:+1", "1"),
        ("tel:12025550101", None),
        ("tel:+", None),
        ("tel:+02025550101", None),
        ("tel:+1202555010123456", None),
        ("tel:+1202-555-0101", None),
        ("tel:+12025550101;phone-context=x", None),
        ("TEL:+12025550101", None),
        ("tel:+١٢٣", None),
        ("+12025550101", None),
    ],
)
def test_numbers_have_one_form(uri: str, digits: str | None) -> None:
    assert tel_digits(uri) == digits


def test_serial_numbers_are_compared_without_leading_zeros() -> None:
    assert certificate_number(b"\x00\x80\x01") == certificate_number(b"\x80\x01")
    assert certificate_number(b"\x00") == b"\x00"
    assert certificate_number(b"\x01\x00") != certificate_number(b"\x01")


def test_names_with_an_empty_part_and_uris_of_other_characters_are_refused() -> None:
    with pytest.raises(DerError):
        read_name(sequence(element(0x31, b"")))
    with pytest.raises(DerError):
        read_uri_names(sequence(element(0x86, b"tel:\xff")))
