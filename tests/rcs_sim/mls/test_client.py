"""Clients before they are in a group."""

from __future__ import annotations

from rcs_sim.mls.client import capabilities_of, is_last_resort
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import CredentialType, LeafNodeSource
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.proposal_validation import verify_key_package
from tests.support.mls_groups import LIFETIME, NOW_S, SUITE, Party


def test_a_key_package_keeps_all_rules_and_its_octets() -> None:
    for number in CipherSuite.supported():
        party = Party("alice", suite=CipherSuite.of(number))
        keys = party.key_package()
        verify_key_package(CipherSuite.of(number), KeyPackage.decode(keys.key_package.encode()), NOW_S)
        assert len(keys.reference()) == CipherSuite.of(number).hash_octets


def test_a_last_resort_package_says_so() -> None:
    party = Party("alice")
    assert is_last_resort(party.key_package(last_resort=True).key_package)
    assert not is_last_resort(party.key_package().key_package)


def test_capabilities_have_the_type_of_the_credential_once() -> None:
    credential = BasicCredential(b"alice")
    assert capabilities_of(credential).credentials == (CredentialType.BASIC,)
    both = (CredentialType.X509, CredentialType.BASIC)
    assert capabilities_of(credential, credentials=both).credentials == both


def test_an_initial_leaf_is_signed_and_bears_its_lifetime() -> None:
    party = Party("alice")
    leaf = party.client.initial_leaf(SUITE.generate_key_pair(party.random).public, LIFETIME)
    assert leaf.leaf_node_source is LeafNodeSource.KEY_PACKAGE
    assert SUITE.verify_with_label(leaf.signature_key, "LeafNodeTBS", leaf.to_be_signed(), leaf.signature)
