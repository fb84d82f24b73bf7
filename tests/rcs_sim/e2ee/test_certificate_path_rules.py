"""The path to a trust anchor (RFC 5280 §6.1). The mutations of test_certificate_validator have each rule, too."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.certificate_path_rules import (
    check_algorithm,
    check_critical_extensions,
    check_link,
    check_path_lengths,
    link_problem,
)
from rcs_sim.e2ee.certificate_profile import CertificateRule
from rcs_sim.e2ee.public_key_info import ECDSA_SHA224, encode_algorithm
from tests.support.certificate_chains import make_device, make_pki


def path_of(vendor_id: int) -> tuple[Certificate, ...]:
    pki = make_pki(vendor_id)
    return tuple(map(read_certificate, (*make_device(pki).chain, pki.root_der)))


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_a_good_path_breaks_none(vendor_id: int) -> None:
    path = path_of(vendor_id)
    assert [*check_link(path), *check_path_lengths(path)] == []
    for certificate in path:
        assert [*check_algorithm(certificate), *check_critical_extensions(certificate)] == []


def test_each_link_is_checked_by_name_then_signature() -> None:
    leaf, client_ca, ica, root = path_of(2)
    assert link_problem(leaf, client_ca) is None
    by_name, by_key = link_problem(leaf, ica), link_problem(replace(leaf, issuer=ica.subject), ica)
    assert by_name is not None
    assert by_name.rule is CertificateRule.ISSUER_NAME
    assert by_key is not None
    assert by_key.rule is CertificateRule.SIGNATURE
    assert [each.rule for each in check_link((leaf, ica, root))] == [CertificateRule.ISSUER_NAME]


def test_self_issued_certificates_do_not_count_in_a_path_length() -> None:
    leaf, client_ca, ica, root = path_of(2)
    assert [*check_path_lengths((leaf, client_ca, ica, root))] == []
    found = [*check_path_lengths((leaf, client_ca, client_ca, root))]
    assert [each.rule for each in found] == [CertificateRule.PATH_LENGTH]
    rolled_over = replace(client_ca, issuer=client_ca.subject)
    assert [*check_path_lengths((leaf, rolled_over, client_ca, root))] == []


def test_sha_224_signs_no_certificate() -> None:
    leaf = path_of(1)[0]
    algorithm = encode_algorithm(ECDSA_SHA224)
    found = check_algorithm(replace(leaf, outer_algorithm=algorithm, inner_algorithm=algorithm))
    assert [each.rule for each in found] == [CertificateRule.ALGORITHM]
