"""Identifiers, limits and rule names of the certificate profile (RCC.16 Annex A)."""

from __future__ import annotations

from rcs_sim.e2ee import certificate_profile
from rcs_sim.e2ee.certificate_profile import (
    ACS_PARTICIPANT_INFORMATION,
    E2EE_POLICY,
    FLOOR_S,
    LEAF_EXTENSIONS,
    LEAF_LIFE_S,
    PARTICIPANT_INFORMATION,
    RCS_MLS_CLIENT,
    ROOT_LIFE_S,
    SUBORDINATE_LIFE_S,
    VENDOR_ID,
    CertificateRefused,
    CertificateRule,
    Finding,
)
from rcs_sim.e2ee.der import show_oid


def test_the_arc_of_the_gsma() -> None:
    own = (E2EE_POLICY, RCS_MLS_CLIENT, PARTICIPANT_INFORMATION, ACS_PARTICIPANT_INFORMATION, VENDOR_ID)
    assert [show_oid(each) for each in own] == [f"2.23.146.2.1.{number}" for number in range(2, 7)]
    assert E2EE_POLICY.hex() == "678112020102"


def test_the_limits() -> None:
    assert (FLOOR_S, LEAF_LIFE_S) == (2_592_000, 76 * 86400)
    assert (SUBORDINATE_LIFE_S, ROOT_LIFE_S) == (1827 * 86400, 3652 * 86400)
    assert len(LEAF_EXTENSIONS) == 12


def test_a_refusal_carries_rule_clause_and_octets() -> None:
    refused = CertificateRefused(Finding(CertificateRule.LEAF_EXTENDED_KEY_USAGE, "why", b"raw"))
    assert refused.rule == "A.3.8.7 extKeyUsage"
    assert refused.certificate_rule is CertificateRule.LEAF_EXTENDED_KEY_USAGE
    assert (refused.spec, refused.raw) == ("RCC.16 A.3.8.7", b"raw")
    assert str(refused).startswith("A.3.8.7 extKeyUsage: why")
    of_x509 = CertificateRefused(Finding(CertificateRule.SIGNATURE, "why"))
    assert of_x509.spec == "RCC.16 Annex A"


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.value for rule in CertificateRule]
    assert len(set(names)) == len(names)
    assert all(name.startswith(("A.", "RFC ")) for name in names)
    assert set(certificate_profile.__all__) >= {"CertificateRule", "CertificateRefused"}
