"""Extensions of the profile, written as the library writes them and read back (RFC 5280 §4.2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.certificate_extensions import (
    CRL_SIGN,
    DIGITAL_SIGNATURE,
    KEY_CERT_SIGN,
    AuthorityKey,
    BasicConstraints,
    Policy,
    acs_proof_extension,
    authority_key_identifier,
    basic_constraints,
    certificate_policies,
    crl_distribution_point,
    extended_key_usage,
    issuer_location,
    key_usage,
    participant_information_extension,
    read_authority_key_identifier,
    read_basic_constraints,
    read_certificate_policies,
    read_extended_key_usage,
    read_key_usage,
    read_subject_key_identifier,
    read_vendor_id,
    subject_alternative_name,
    subject_key_identifier,
    unwrapped,
    vendor_id_extension,
)
from rcs_sim.e2ee.certificate_profile import E2EE_POLICY, RCS_MLS_CLIENT
from rcs_sim.e2ee.der import OCTET_STRING, DerError, element, encode_oid, sequence
from rcs_sim.e2ee.participant_key import leaf_subject_alt_name

_URI = "http://kds.red.example/mls/v1/crl"
_KEY_ID = bytes(range(20))


def usage(**bits: bool) -> x509.KeyUsage:
    names = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    more = ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{name: bits.get(name, False) for name in (*names, *more)})


def test_values_are_those_of_the_library() -> None:
    pairs = (
        (key_usage(DIGITAL_SIGNATURE), usage(digital_signature=True)),
        (key_usage(KEY_CERT_SIGN, CRL_SIGN), usage(key_cert_sign=True, crl_sign=True)),
        (
            extended_key_usage(RCS_MLS_CLIENT),
            x509.ExtendedKeyUsage([x509.ObjectIdentifier("2.23.146.2.1.3")]),
        ),
        (subject_key_identifier(_KEY_ID), x509.SubjectKeyIdentifier(_KEY_ID)),
        (authority_key_identifier(_KEY_ID), x509.AuthorityKeyIdentifier(_KEY_ID, None, None)),
        (basic_constraints(is_ca=False), x509.BasicConstraints(ca=False, path_length=None)),
        (basic_constraints(is_ca=True, path_length=1), x509.BasicConstraints(ca=True, path_length=1)),
        (
            certificate_policies(E2EE_POLICY),
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.146.2.1.2"), None)]),
        ),
        (
            subject_alternative_name(leaf_subject_alt_name("12025550101")),
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("tel:+12025550101")]),
        ),
        (
            crl_distribution_point(_URI),
            x509.CRLDistributionPoints(
                [x509.DistributionPoint([x509.UniformResourceIdentifier(_URI)], None, None, None)]
            ),
        ),
        (
            issuer_location(_URI),
            x509.AuthorityInformationAccess(
                [
                    x509.AccessDescription(
                        x509.AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(_URI)
                    )
                ]
            ),
        ),
    )
    for ours, theirs in pairs:
        assert ours.value == theirs.public_bytes()
        assert ours.oid == encode_oid(theirs.oid.dotted_string)


def test_values_come_back() -> None:
    assert read_key_usage(key_usage(DIGITAL_SIGNATURE).value) == {DIGITAL_SIGNATURE}
    assert read_extended_key_usage(extended_key_usage(RCS_MLS_CLIENT).value) == (RCS_MLS_CLIENT,)
    assert read_subject_key_identifier(subject_key_identifier(_KEY_ID).value) == _KEY_ID
    assert read_authority_key_identifier(authority_key_identifier(_KEY_ID).value) == AuthorityKey(_KEY_ID, False)
    assert read_basic_constraints(basic_constraints(is_ca=True, path_length=0).value) == BasicConstraints(True, 0)
    assert read_certificate_policies(certificate_policies(E2EE_POLICY).value) == (Policy(E2EE_POLICY, False),)
    assert read_vendor_id(vendor_id_extension(2).value) == 2


def test_what_is_critical() -> None:
    assert participant_information_extension(b"").critical
    assert key_usage(0).critical
    assert basic_constraints(is_ca=False).critical
    assert not acs_proof_extension(b"").critical


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("30068004aabbccdd", AuthorityKey(bytes.fromhex("aabbccdd"), False)),
        ("30098004aabbccdd820101", AuthorityKey(bytes.fromhex("aabbccdd"), True)),
        ("3000", AuthorityKey(None, False)),
        ("3003820101", AuthorityKey(None, True)),
    ],
)
def test_authority_keys_tell_whether_more_is_there(octets: str, expected: AuthorityKey) -> None:
    assert read_authority_key_identifier(bytes.fromhex(octets)) == expected


def test_lists_are_neither_empty_nor_endless() -> None:
    for read in (read_extended_key_usage, read_certificate_policies):
        with pytest.raises(DerError):
            read(sequence())
    with pytest.raises(DerError):
        read_extended_key_usage(extended_key_usage(*[RCS_MLS_CLIENT] * 33).value)


def test_a_proof_may_be_wrapped_once_more() -> None:
    assert unwrapped(element(OCTET_STRING, b"\x00proof")) == b"\x00proof"
    assert unwrapped(b"\x00proof") == b"\x00proof"
    assert unwrapped(b"") == b""


_READERS: tuple[Callable[[bytes], object], ...] = (
    read_authority_key_identifier,
    read_basic_constraints,
    read_certificate_policies,
    read_extended_key_usage,
    read_key_usage,
    read_subject_key_identifier,
    read_vendor_id,
    unwrapped,
)


@given(st.binary(max_size=60), st.sampled_from(_READERS))
def test_readers_raise_nothing_but_their_error(octets: bytes, read: Callable[[bytes], object]) -> None:
    try:
        read(octets)
    except DerError:
        return
