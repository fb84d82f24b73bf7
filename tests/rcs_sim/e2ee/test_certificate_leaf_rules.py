"""Rules of a client's certificate. The mutations of test_certificate_validator have each of them, too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from rcs_sim.e2ee import certificate_leaf_rules as rules
from rcs_sim.e2ee.certificate import Certificate, read_certificate
from rcs_sim.e2ee.certificate_profile import CertificateRule, Finding
from tests.support.certificate_chains import make_device, make_pki

RULES: tuple[Callable[[Certificate], Iterator[Finding]], ...] = (
    rules.check_leaf_extended_key_usage,
    rules.check_leaf_key_usage,
    rules.check_leaf_name,
    rules.check_leaf_life,
    rules.check_leaf_key,
    rules.check_leaf_basic_constraints,
    rules.check_leaf_policies,
    rules.check_leaf_policies_are_there,
    rules.check_participant_information,
    rules.check_participant_key_rolls,
    rules.check_leaf_acs_proof,
    rules.check_leaf_acs_proof_is_there,
    rules.check_proof_of_possession,
    rules.check_leaf_key_identifier,
    rules.check_leaf_extensions,
    rules.check_leaf_criticality,
)


@pytest.mark.parametrize("vendor_id", [1, 2])
def test_leaves_of_the_lab_break_none(vendor_id: int) -> None:
    pki = make_pki(vendor_id)
    leaf, root = read_certificate(make_device(pki).chain[0]), read_certificate(pki.root_der)
    assert [finding for rule in RULES for finding in rule(leaf)] == []
    assert [*rules.check_vendor(leaf, root)] == []
    assert (rules.vendor_of(root), rules.vendor_of(leaf)) == (vendor_id, None)


def test_a_leaf_without_extensions_breaks_what_asks_for_them() -> None:
    bare = replace(read_certificate(make_device(make_pki(1)).chain[0]), extensions=(), msisdn="")
    found = {finding.rule for rule in RULES for finding in rule(bare)}
    assert found == {
        CertificateRule.LEAF_EXTENDED_KEY_USAGE,
        CertificateRule.LEAF_KEY_USAGE,
        CertificateRule.LEAF_NAME,
        CertificateRule.LEAF_POLICY,
        CertificateRule.PARTICIPANT_INFORMATION,
        CertificateRule.ACS_PROOF,
    }
    assert (rules.participant_of(bare), rules.acs_proof_of(bare)) == (None, None)


def test_the_vendor_is_compared_only_where_there_is_one() -> None:
    leaf = read_certificate(make_device(make_pki(1)).chain[0])
    red, blue = (read_certificate(make_pki(vendor).root_der) for vendor in (2, 1))
    assert [each.rule for each in rules.check_vendor(leaf, red)] == [CertificateRule.VENDOR]
    assert [*rules.check_vendor(leaf, blue)] == []
    assert [*rules.check_vendor(leaf, replace(red, extensions=()))] == []
    assert [*rules.check_vendor(replace(leaf, extensions=()), red)] == []
