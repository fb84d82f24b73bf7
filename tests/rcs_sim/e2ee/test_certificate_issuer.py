"""Certificates are made as asked for, the same ones again for the same request (RCC.16 A.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_issuer import (
    CertificateAuthority,
    CertificateContent,
    LeafRequest,
    LeafStyle,
    authority_name,
    positive_serial,
    root_content,
    sign_certificate,
    signature_algorithm,
    subordinate_content,
)
from rcs_sim.e2ee.certificate_profile import (
    ACS_PARTICIPANT_INFORMATION,
    AUTHORITY_KEY_IDENTIFIER,
    BASIC_CONSTRAINTS,
    PARTICIPANT_INFORMATION,
    VENDOR_ID,
)
from rcs_sim.e2ee.der import PRINTABLE_STRING, element
from rcs_sim.e2ee.participant_key import leaf_subject, leaf_subject_alt_name
from rcs_sim.e2ee.vendor_pki import derive_key
from rcs_sim.mls.signature import ED25519
from tests.support.certificate_chains import CLIENT_ID, DAY_S, NOW_S

KEY, LEAF_KEY = derive_key(b"tests", "root"), derive_key(b"tests", "leaf")
CONTENT: CertificateContent = root_content(
    KEY, authority_name("tests", "root"), 1, b"\x01", NOW_S, NOW_S + 3650 * DAY_S
)
ROOT = CertificateAuthority.root(CONTENT, KEY)
REQUEST = LeafRequest(
    subject=leaf_subject(CLIENT_ID),
    san=leaf_subject_alt_name("12025550101"),
    point=LEAF_KEY.public,
    participant_information=b"\x30\x00",
    acs_proof=bytes(9),
)
WINDOW = (NOW_S, NOW_S + 60 * DAY_S)


def test_subject_name_and_extensions_go_in_octet_for_octet() -> None:
    odd_subject = REQUEST.subject.replace(element(0x0C, b"")[:1], bytes((PRINTABLE_STRING,)), 1)
    for request in (REQUEST, replace(REQUEST, subject=odd_subject)):
        leaf = read_certificate(ROOT.issue_leaf(request, LeafStyle(), *WINDOW))
        assert leaf.subject == request.subject
        assert leaf.san == request.san
        assert leaf.point == request.point
        assert leaf.extension_value(PARTICIPANT_INFORMATION) == request.participant_information
        assert leaf.extension_value(ACS_PARTICIPANT_INFORMATION) == request.acs_proof


def test_the_same_request_has_the_same_certificate_and_another_has_another_number() -> None:
    one = ROOT.issue_leaf(REQUEST, LeafStyle(), *WINDOW)
    assert one == ROOT.issue_leaf(REQUEST, LeafStyle(), *WINDOW)
    changes = (
        replace(REQUEST, subject=leaf_subject("x")),
        replace(REQUEST, san=leaf_subject_alt_name("12025550102")),
        replace(REQUEST, point=KEY.public),
        replace(REQUEST, participant_information=b"\x30\x01"),
        replace(REQUEST, acs_proof=b""),
    )
    serials = {read_certificate(ROOT.issue_leaf(each, LeafStyle(), *WINDOW)).serial for each in changes}
    serials.add(read_certificate(ROOT.issue_leaf(REQUEST, LeafStyle(), NOW_S + 1, NOW_S + 60 * DAY_S)).serial)
    serials.add(read_certificate(one).serial)
    assert len(serials) == 7


def test_a_style_adds_and_leaves_out() -> None:
    plain = read_certificate(ROOT.issue_leaf(REQUEST, LeafStyle(), *WINDOW))
    assert plain.extension(AUTHORITY_KEY_IDENTIFIER) is not None
    assert plain.extension(BASIC_CONSTRAINTS) is None
    assert plain.extension(VENDOR_ID) is None
    style = LeafStyle(has_basic_constraints=True, has_authority_key=False, vendor_id=2)
    other = read_certificate(ROOT.issue_leaf(REQUEST, style, *WINDOW))
    assert other.extension(AUTHORITY_KEY_IDENTIFIER) is None
    constraints = other.extension(BASIC_CONSTRAINTS)
    assert constraints is not None
    assert constraints.critical
    assert other.extension(VENDOR_ID) is not None
    without = read_certificate(ROOT.issue_leaf(replace(REQUEST, acs_proof=b""), LeafStyle(), *WINDOW))
    assert without.extension(ACS_PARTICIPANT_INFORMATION) is None


def test_nothing_outlives_its_issuer() -> None:
    short = CertificateAuthority.root(replace(CONTENT, not_after_s=NOW_S + DAY_S), KEY)
    assert read_certificate(short.issue_leaf(REQUEST, LeafStyle(), *WINDOW)).not_after_s == NOW_S + DAY_S
    below = subordinate_content(short, LEAF_KEY, authority_name("tests", "ica"), b"\x02", *WINDOW)
    assert below.not_after_s == NOW_S + DAY_S


def test_authorities_are_what_the_library_takes_for_them() -> None:
    content = subordinate_content(ROOT, LEAF_KEY, authority_name("tests", "ica"), b"\x02", *WINDOW)
    ica = ROOT.subordinate(content, LEAF_KEY)
    theirs = x509.load_der_x509_certificate(ica.certificate.der)
    theirs.verify_directly_issued_by(x509.load_der_x509_certificate(ROOT.certificate.der))
    assert theirs.issuer.rfc4514_string() == "CN=root,O=tests"
    assert theirs.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert ica.key_identifier == x509.SubjectKeyIdentifier.from_public_key(theirs.public_key()).digest


def test_only_ecdsa_signs() -> None:
    key = ED25519.generate(lambda count: bytes(count))
    for sign in (lambda: signature_algorithm(key), lambda: sign_certificate(CONTENT, key)):
        with pytest.raises(LocalProtocolError):
            sign()


def test_serials_are_positive_and_of_twenty_octets() -> None:
    for digest in (bytes(32), b"\xff" * 32):
        serial = positive_serial(digest)
        assert len(serial) == 20
        assert 0x40 <= serial[0] <= 0x7F
