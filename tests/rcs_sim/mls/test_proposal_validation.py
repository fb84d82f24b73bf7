"""The rules of proposals (ValSem101 to 113, 208, 209, 401 to 403), each broken once in a message that is signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rcs_sim.mls.client import capabilities_of, sign_leaf
from rcs_sim.mls.credential import BasicCredential, Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import Extension, RequiredCapabilities
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    Epoch,
    ExtensionType,
    LeafIndex,
    LeafNodeSource,
    ProposalType,
    ProtocolVersion,
    ResumptionPskUsage,
    WireFormat,
)
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import LeafNode, Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import NEW_MEMBER_PROPOSAL
from rcs_sim.mls.proposals import (
    Add,
    CustomProposal,
    ExternalInit,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    ReInit,
    Remove,
    Update,
)
from rcs_sim.mls.psk_id import ExternalPskID, ResumptionPskID
from rcs_sim.mls.seams import AnyIdentity, Seams
from rcs_sim.mls.tree_validation import verify_tree
from tests.support.forge import commit_of, public_message, refusal, resigned_key_package, signed
from tests.support.mls_groups import (
    CUSTOM,
    GROUP_ID,
    LIFETIME,
    NOW_S,
    Party,
    commit,
    established,
    share,
    the_same_epoch,
)

_NONCE = bytes(32)
_UNKNOWN = ExtensionType(0xF0F0)
_REQUIRING = (RequiredCapabilities(extension_types=(ExtensionType(0xF001),)).as_extension(),)


@pytest.fixture
def parties() -> list[Party]:
    return established("alice", "bob", "carol")


def package(name: str = "dave", party: Party | None = None) -> tuple[Party, KeyPackage]:
    party = party or Party(name)
    return party, party.key_package().key_package


def refused_commit(parties: list[Party], *proposals: Proposal) -> str:
    """Both members refuse it, for the same reason."""
    alice, bob, carol = parties
    octets = commit_of(alice, proposals)
    rules = {refusal(bob, octets), refusal(carol, octets)}
    assert len(rules) == 1
    return rules.pop()


def own_update(party: Party, **changes: object) -> Update:
    """An Update of *party*, with *changes* to its leaf that it has signed."""
    group = party.group
    pair = group.suite.generate_key_pair(party.random)
    leaf = party.client.unsigned_leaf(pair.public, LeafNodeSource.UPDATE)
    changed: LeafNode = replace(leaf, **changes)  # type: ignore[arg-type]  # any of its fields
    return Update(sign_leaf(group.suite, changed, party.client.signature_key, group.group_id, group.own_leaf))


def refused_update(parties: list[Party], update: Update) -> str:
    alice, bob, _ = parties
    return refusal(alice, public_message(bob, signed(bob, update)))


# --- Adds -------------------------------------------------------------------------------------------------------------


def test_valsem101_the_signature_key_of_an_add_is_new(parties: list[Party]) -> None:
    _, of_member = package(party=parties[1])
    assert refused_commit(parties, Add(of_member)) == "ValSem101"
    dave, first = package()
    _, second = package(party=dave)
    assert refused_commit(parties, Add(first), Add(second)) == "ValSem101"


def test_val837_no_client_is_added_twice_or_stays_twice(parties: list[Party]) -> None:
    """Though every key is another."""
    assert refused_commit(parties, Party("bob", seed="2").add()) == "VAL-837"
    assert refused_commit(parties, Party("dave").add(), Party("dave", seed="2").add()) == "VAL-837"


def test_a_client_may_come_back_by_the_commit_that_removes_it(parties: list[Party]) -> None:
    alice, bob, carol = parties
    again = Party("bob", seed="2")
    commit(alice, (bob, carol), Remove(LeafIndex(1)), joiners=[again])
    assert not bob.is_member
    assert the_same_epoch(alice, again, carol)


def test_val837_the_application_says_who_is_the_same_client() -> None:
    class ByFirstLetter(AnyIdentity):
        def identity_of(self, credential: Credential) -> bytes:
            assert isinstance(credential, BasicCredential)
            return credential.identity[:1]

    policy = MemberPolicy(seams=Seams(identity=ByFirstLetter()), handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
    parties = established("alice", "bob", "carol", policy=policy)
    assert refused_commit(parties, Party("bruno").add()) == "VAL-837"
    alice, bob, carol = parties
    commit(alice, (bob, carol), joiners=[Party("dave", policy)])


def test_valsem102_the_init_keys_of_adds_differ(parties: list[Party]) -> None:
    _, first = package("dave")
    erin, second = package("erin")
    second = resigned_key_package(erin.client, replace(second, init_key=first.init_key))
    assert refused_commit(parties, Add(first), Add(second)) == "ValSem102"


def test_valsem103_the_encryption_key_of_an_add_is_new(parties: list[Party]) -> None:
    dave, added = package()
    key = parties[2].group.own_leaf_node.encryption_key
    added = resigned_key_package(dave.client, replace(added, leaf_node=replace(added.leaf_node, encryption_key=key)))
    assert refused_commit(parties, Add(added)) == "ValSem103"


def test_valsem104_init_key_and_encryption_key_of_an_add_differ(parties: list[Party]) -> None:
    dave, added = package()
    added = resigned_key_package(dave.client, replace(added, init_key=added.leaf_node.encryption_key))
    assert refused_commit(parties, Add(added)) == "ValSem104"


@pytest.mark.parametrize(
    "changes", [{"version": ProtocolVersion(2)}, {"cipher_suite": CipherSuiteId(3)}], ids=["version", "suite"]
)
def test_valsem105_version_and_suite_of_an_add_are_those_of_the_group(parties: list[Party], changes: object) -> None:
    dave, added = package()
    added = resigned_key_package(dave.client, replace(added, **changes))  # type: ignore[arg-type]  # of its fields
    assert refused_commit(parties, Add(added)) == "ValSem105"


def test_valsem106_who_is_added_has_the_required_capabilities() -> None:
    parties = established("alice", "bob", "carol", extensions=_REQUIRING)
    dave = Party("dave")
    dave.client = replace(dave.client, capabilities=capabilities_of(dave.client.credential))
    assert refused_commit(parties, dave.add()) == "ValSem106"


# --- Removes and Updates ----------------------------------------------------------------------------------------------


def test_valsem107_no_leaf_is_changed_twice(parties: list[Party]) -> None:
    alice, bob, carol = parties
    assert refused_commit(parties, Remove(LeafIndex(2)), Remove(LeafIndex(2))) == "ValSem107"
    share(carol, (alice, bob), own_update(carol))
    reference = next(iter(bob.group.proposals)).reference
    assert reference is not None
    octets = commit_of(alice, [reference, Remove(LeafIndex(2))])
    assert refusal(bob, octets) == "ValSem107"


@pytest.mark.parametrize("leaf", [3, 4, 2**32 - 1])
def test_valsem108_who_is_removed_is_a_member(parties: list[Party], leaf: int) -> None:
    assert refused_commit(parties, Remove(LeafIndex(leaf))) == "ValSem108"
    alice, bob, _ = parties
    assert refusal(bob, public_message(alice, signed(alice, Remove(LeafIndex(leaf))))) == "ValSem108"


def test_valsem109_who_updates_has_the_required_capabilities() -> None:
    alice, bob, carol = established("alice", "bob", "carol", extensions=_REQUIRING)
    share(bob, (alice, carol), own_update(bob, capabilities=capabilities_of(BasicCredential(b"bob"))))
    reference = next(iter(carol.group.proposals)).reference
    assert reference is not None
    assert refusal(carol, commit_of(alice, [reference])) == "ValSem109"


def test_valsem110_the_encryption_key_of_an_update_is_new(parties: list[Party]) -> None:
    alice, bob, carol = parties
    for key in (bob.group.own_leaf_node.encryption_key, alice.group.own_leaf_node.encryption_key):
        update = own_update(bob, encryption_key=key)
        share(bob, (alice, carol), update)
        reference = list(carol.group.proposals)[-1].reference
        assert reference is not None
        assert refusal(carol, commit_of(alice, [reference])) == "ValSem110"


def test_valsem111_a_commit_covers_no_update_of_its_sender(parties: list[Party]) -> None:
    assert refused_commit(parties, own_update(parties[0])) == "ValSem111"


def test_valsem112_an_update_is_from_a_member(parties: list[Party]) -> None:
    alice, bob, _ = parties
    forged = signed(alice, own_update(alice), sender=NEW_MEMBER_PROPOSAL)
    assert refusal(bob, public_message(alice, forged)) == "ValSem112"


def test_valsem113_a_proposal_type_is_one_that_all_members_support(parties: list[Party]) -> None:
    unknown = CustomProposal.of_opaque(ProposalType(0xF0F0), b"x")
    assert refused_commit(parties, unknown) == "ValSem113"
    alice, bob, _ = parties
    assert refusal(bob, public_message(alice, signed(alice, unknown))) == "ValSem113"
    known = CustomProposal.of_opaque(CUSTOM, b"x")
    share(alice, parties[1:], known)


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("VAL-709", {"leaf_node_source": LeafNodeSource.COMMIT, "parent_hash": b""}),
        ("VAL-709", {"leaf_node_source": LeafNodeSource.KEY_PACKAGE, "lifetime": LIFETIME}),
        ("VAL-711", {"extensions": (Extension(_UNKNOWN, b""),)}),
        ("VAL-712", {"extensions": (Extension(ExtensionType.APPLICATION_ID, b"\0"),) * 2}),
        ("VAL-717", {"encryption_key": b"short"}),
        ("VAL-812", {"credential": BasicCredential(b"somebody else")}),
    ],
)
def test_an_update_keeps_the_rules_of_leaves(parties: list[Party], rule: str, changes: dict[str, object]) -> None:
    assert refused_update(parties, own_update(parties[1], **changes)) == rule


def test_val708_an_update_is_signed_for_its_place(parties: list[Party]) -> None:
    update = own_update(parties[2])
    assert refused_update(parties, update) == "VAL-708"


def test_val707_the_signature_key_of_an_update_is_no_other_members(parties: list[Party]) -> None:
    alice, bob, carol = parties
    update = own_update(bob)
    stolen = replace(update.leaf_node, signature_key=alice.client.signature_key.public)
    signed_leaf = sign_leaf(bob.group.suite, stolen, alice.client.signature_key, GROUP_ID, bob.group.own_leaf)
    share(bob, (alice, carol), Update(signed_leaf))
    reference = next(iter(carol.group.proposals)).reference
    assert reference is not None
    assert refusal(carol, commit_of(alice, [reference])) == "VAL-707"


# --- key packages -----------------------------------------------------------------------------------------------------


def test_val710_a_key_package_whose_lifetime_is_over_is_refused(parties: list[Party]) -> None:
    dave = Party("dave")
    late = dave.client.create_key_package(dave.random, Lifetime(NOW_S - 10, NOW_S - 1))
    assert refused_commit(parties, Add(late.key_package)) == "VAL-710"


def test_val803_a_key_package_lists_the_suite_of_the_group(parties: list[Party]) -> None:
    dave = Party("dave")
    dave.client = replace(dave.client, capabilities=capabilities_of(dave.client.credential, (CipherSuiteId(3),)))
    assert refused_commit(parties, dave.add()) == "VAL-803"


def test_val804_a_key_package_is_signed(parties: list[Party]) -> None:
    _, added = package()
    assert refused_commit(parties, Add(replace(added, signature=b"none"))) == "VAL-804"
    assert refused_commit(parties, Add(replace(added, init_key=b"\1" * 32))) == "VAL-804"


def test_val817_a_compressed_or_broken_key_is_refused() -> None:
    parties = established("alice", "bob", "carol", suite=CipherSuite.of(2))
    dave = Party("dave", suite=CipherSuite.of(2))
    added = dave.key_package().key_package
    compressed = bytes((2 + added.init_key[-1] % 2,)) + added.init_key[1:33]
    package = resigned_key_package(dave.client, replace(added, init_key=compressed))
    assert refused_commit(parties, Add(package)) == "VAL-817"
    leaf = replace(added.leaf_node, encryption_key=compressed)
    assert refused_commit(parties, Add(resigned_key_package(dave.client, replace(added, leaf_node=leaf)))) == "VAL-717"


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_valsem208_there_is_one_group_context_extensions_at_most(parties: list[Party]) -> None:
    change = GroupContextExtensions(())
    assert refused_commit(parties, change, change) == "ValSem208"


@pytest.mark.parametrize(
    "extension",
    [Extension(_UNKNOWN, b""), RequiredCapabilities(proposal_types=(ProposalType(0xF0F0),)).as_extension()],
    ids=["unsupported", "required"],
)
def test_valsem209_all_members_support_new_extensions(parties: list[Party], extension: Extension) -> None:
    assert refused_commit(parties, GroupContextExtensions((extension,))) == "ValSem209"


def test_valsem401_a_psk_nonce_has_the_length_of_the_kdf(parties: list[Party]) -> None:
    for nonce in (b"", bytes(31), bytes(33)):
        assert refused_commit(parties, PreSharedKey(ExternalPskID(b"psk", nonce))) == "ValSem401"


@pytest.mark.parametrize("usage", [ResumptionPskUsage.REINIT, ResumptionPskUsage.BRANCH])
def test_valsem402_reinit_and_branch_psks_are_for_other_groups(parties: list[Party], usage: ResumptionPskUsage) -> None:
    psk = PreSharedKey(ResumptionPskID(usage, GROUP_ID, Epoch(1), _NONCE))
    assert refused_commit(parties, psk) == "ValSem402"


def test_valsem403_no_psk_stands_twice(parties: list[Party]) -> None:
    psk = PreSharedKey(ExternalPskID(b"psk", _NONCE))
    assert refused_commit(parties, psk, psk) == "ValSem403"


def test_val805_a_new_member_proposes_only_itself(parties: list[Party]) -> None:
    alice, bob, _ = parties
    forged = signed(alice, Remove(LeafIndex(2)), sender=NEW_MEMBER_PROPOSAL)
    assert refusal(bob, public_message(alice, forged)) == "VAL-805"


def test_val806_a_reinit_does_not_go_back(parties: list[Party]) -> None:
    proposal = ReInit(b"new", ProtocolVersion(0), CipherSuiteId(1), ())
    assert refused_commit(parties, proposal) == "VAL-806"


def test_val807_no_extension_stands_twice_in_a_context(parties: list[Party]) -> None:
    extension = Extension(ExtensionType(0xF001), b"")
    assert refused_commit(parties, GroupContextExtensions((extension, extension))) == "VAL-807"


def test_val808_a_reinit_is_alone(parties: list[Party]) -> None:
    proposal = ReInit(b"new", ProtocolVersion.MLS10, CipherSuiteId(1), ())
    assert refused_commit(parties, proposal, Remove(LeafIndex(2))) == "VAL-808"


def test_val809_a_member_sends_no_external_init(parties: list[Party]) -> None:
    assert refused_commit(parties, ExternalInit(bytes(32))) == "VAL-809"


def test_a_refused_list_leaves_the_tree_as_it_was(parties: list[Party]) -> None:
    refused_commit(parties, Remove(LeafIndex(9)))
    group = parties[1].group
    verify_tree(group.tree, GROUP_ID, group.context.tree_hash)


def test_val818_no_extension_stands_twice_in_a_key_package(parties: list[Party]) -> None:
    dave, added = package()
    twice = (Extension(ExtensionType.LAST_RESORT, b""),) * 2
    assert (
        refused_commit(parties, Add(resigned_key_package(dave.client, replace(added, extensions=twice)))) == "VAL-818"
    )


@pytest.mark.parametrize("kind", [ExtensionType.REQUIRED_CAPABILITIES, ExtensionType.EXTERNAL_SENDERS])
def test_val836_extensions_of_a_context_can_be_read(parties: list[Party], kind: ExtensionType) -> None:
    assert refused_commit(parties, GroupContextExtensions((Extension(kind, b"\xff"),))) == "VAL-836"
