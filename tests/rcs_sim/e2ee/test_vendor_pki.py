"""The authorities of a vendor in the lab."""

from __future__ import annotations

import datetime as dt
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from rcs_sim.e2ee.certificate import read_certificate
from rcs_sim.e2ee.certificate_profile import Strictness
from rcs_sim.e2ee.certificate_validator import CertificateValidator
from rcs_sim.e2ee.trust_anchors import TrustAnchors, verify_trust_anchor
from rcs_sim.e2ee.vendor_pki import LAB_SHAPE, VENDOR_2_SHAPE, VendorPki, derive_key
from rcs_sim.mls.signature import ECDSA_P384
from tests.support.certificate_chains import DAY_S, NOW_S, make_device, make_pki


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_the_same_seed_and_time_have_the_same_octets(vendor_id: int) -> None:
    one, same = make_pki(vendor_id), make_pki(vendor_id)
    assert (one.root_der, one.ica_chain) == (same.root_der, same.ica_chain)
    assert make_device(one).chain == make_device(same).chain
    for other in (make_pki(vendor_id, seed=b"other"), make_pki(vendor_id, now_s=NOW_S + 1)):
        assert other.root_der != one.root_der
    assert make_pki(vendor_id, now_s=NOW_S + 1).root.key.public == one.root.key.public


def test_a_second_vendor_looks_like_the_one_that_was_seen() -> None:
    pki = make_pki(2)
    leaf, client_ca, ica = map(x509.load_der_x509_certificate, make_device(pki).chain)
    assert pki.shape is VENDOR_2_SHAPE
    assert isinstance(client_ca.public_key(), ec.EllipticCurvePublicKey)
    for authority, path_length in ((client_ca, 0), (ica, 1)):
        assert authority.public_key().curve.name == "secp384r1"  # type: ignore[union-attr] # an EC key, as asserted
        assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == path_length
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == dt.timedelta(days=75.5)
    with pytest.raises(x509.ExtensionNotFound):
        leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert leaf.signature_algorithm_oid.dotted_string == "1.2.840.10045.4.3.3"


def test_the_first_vendor_looks_like_the_vectors() -> None:
    pki = make_pki(1)
    assert pki.shape is LAB_SHAPE
    assert len(pki.ica_chain) == 1
    leaf = read_certificate(make_device(pki).chain[0])
    assert pki.leaf_window(NOW_S) == (leaf.not_before_s, leaf.not_after_s) == (NOW_S - 3600, NOW_S + 60 * DAY_S)


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_roots_are_anchors_and_chains_have_no_root(vendor_id: int) -> None:
    pki = make_pki(vendor_id)
    verify_trust_anchor(pki.anchor)
    assert pki.root_der not in pki.chain(b"leaf")
    assert pki.chain(b"leaf")[0] == b"leaf"
    assert pki.ica_der == pki.ica_chain[0]


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_intermediates_say_where_to_ask(vendor_id: int) -> None:
    uri = "http://kds.red.example/mls/v1"
    pki = VendorPki.derive(b"seed", vendor_id=vendor_id, kds=2, operator="red", now_s=NOW_S, publication_uri=uri)
    points = x509.load_der_x509_certificate(pki.ica_der).extensions.get_extension_for_class(x509.CRLDistributionPoints)
    assert [name.value for point in points.value for name in point.full_name or ()] == [f"{uri}/crl"]
    chain = make_device(pki).chain
    CertificateValidator(TrustAnchors((pki.anchor,)), Strictness.STRICT).validate(chain, NOW_S)


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_revocations_are_signed_by_the_root(vendor_id: int) -> None:
    pki = make_pki(vendor_id)
    root_key = x509.load_der_x509_certificate(pki.root_der).public_key()
    for revoked in ((), (pki.issuer.certificate.serial,)):
        listed = x509.load_der_x509_crl(pki.crl_der(NOW_S, revoked))
        assert isinstance(root_key, ec.EllipticCurvePublicKey)
        assert listed.is_signature_valid(root_key)
        assert [each.serial_number for each in listed] == [int.from_bytes(each, "big") for each in revoked]


def test_keys_come_out_of_seed_and_label() -> None:
    assert derive_key(b"a", "b").public == derive_key(b"a", "b").public
    found = {derive_key(*each).public for each in ((b"a", "b"), (b"a", "c"), (b"b", "b"))}
    assert len(found) == 3
    assert len(derive_key(b"a", "b", ECDSA_P384).public) == 97
    assert hashlib.sha256(b"a").digest() not in derive_key(b"a", "b").public
