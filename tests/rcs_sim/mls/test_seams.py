"""Where an application joins in."""

from __future__ import annotations

from dataclasses import replace

from rcs_sim.mls.client import capabilities_of
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential, Credential
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, find_extension
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex, WireFormat
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import ProposalList
from rcs_sim.mls.proposals import CustomProposal, Remove, fixed_body
from rcs_sim.mls.seams import AnyIdentity, CommitScene, CustomEffect, CustomProposalRule, Seams
from tests.support.forge import commit_of, refusal
from tests.support.mls_groups import CUSTOM, NOW_S, Party, commit, established, share, the_same_epoch

_COUNTER = ExtensionType(0xF001)


def counts(proposal: CustomProposal, _sender: Sender, scene: CommitScene) -> CustomEffect:
    """Adds its four octets to an extension of the GroupContext."""
    before = int.from_bytes(find_extension(scene.extensions, _COUNTER) or b"", "big")
    after = before + int.from_bytes(proposal.body, "big")
    kept = [each for each in scene.extensions if each.extension_type != _COUNTER]
    return CustomEffect(extensions=(*kept, Extension(_COUNTER, after.to_bytes(4, "big"))))


_RULE = CustomProposalRule(proposal_type=CUSTOM, read_body=fixed_body(4), apply=counts)
_POLICY = MemberPolicy(seams=Seams(custom_proposals={CUSTOM: _RULE}), handshake_wire_format=WireFormat.PUBLIC_MESSAGE)


def test_a_custom_proposal_without_length_changes_the_context_of_all() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_POLICY)
    for number in (3, 4):
        share(alice, (bob, carol), CustomProposal(CUSTOM, number.to_bytes(4, "big")))
    commit(bob, (alice, carol), with_path=False)
    assert the_same_epoch(alice, bob, carol)
    assert find_extension(carol.group.context.extensions, _COUNTER) == b"\0\0\0\7"


def no_removals(proposals: ProposalList, scene: CommitScene) -> None:
    """Only the first member removes others."""
    if proposals.removes and scene.committer != 0:
        raise MlsValidationError("APP-1", "not allowed", spec="this test")


def test_the_application_has_rules_of_its_own_for_commits() -> None:
    policy = MemberPolicy(seams=Seams(verify_proposals=no_removals))
    alice, bob, carol = established("alice", "bob", "carol", policy=policy)
    assert refusal(alice, commit_of(bob, [Remove(LeafIndex(2))])) == "APP-1"
    commit(alice, (bob, carol), Remove(LeafIndex(2)))


def test_the_application_asks_for_paths_where_the_rfc_does_not() -> None:
    policy = MemberPolicy(seams=Seams(needs_path=lambda proposals: bool(proposals.adds)))
    alice, bob = established("alice", "bob", policy=policy)
    carol = Party("carol", policy)
    request = CommitRequest(proposals=(carol.add(),), with_path=False)
    assert refusal(bob, commit_of(alice, request.proposals)) == "ValSem201"


class Expiring(AnyIdentity):
    """Takes credentials until a time."""

    def verify_credential(self, credential: Credential, signature_key: bytes, now_s: int | None) -> None:
        if now_s is not None and now_s > NOW_S - 1 and credential == BasicCredential(b"late"):
            raise MlsValidationError("APP-2", "expired", spec="this test")


def test_credentials_are_verified_at_the_given_time() -> None:
    policy = MemberPolicy(seams=Seams(identity=Expiring()))
    alice, bob = established("alice", "bob", policy=policy)
    assert refusal(bob, commit_of(alice, [Party("late", policy).add()])) == "APP-2"


def test_who_is_removed_need_not_support_the_proposals_beside_its_removal() -> None:
    alice, bob, carol = [Party(name, _POLICY) for name in ("alice", "bob", "carol")]
    bob.client = replace(bob.client, capabilities=capabilities_of(bob.client.credential))
    alice.create()
    commit(alice, (), joiners=[bob, carol])
    custom = CustomProposal(CUSTOM, b"\0\0\0\1")
    assert refusal(carol, commit_of(alice, [custom])) == "ValSem113"
    commit(alice, (bob, carol), custom, Remove(LeafIndex(1)))
    assert the_same_epoch(alice, carol)
