"""Making Commits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_builder import CommitRequest, choose_proposals
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, find_extension
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    ExtensionType,
    LeafIndex,
    ProposalType,
    ProtocolVersion,
    SenderType,
    WireFormat,
)
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, Sender
from rcs_sim.mls.proposal_list import ProposalCache
from rcs_sim.mls.proposals import GroupContextExtensions, Proposal, ProposalRef, ReInit, Remove
from rcs_sim.mls.public_state import VerifiedCommit
from rcs_sim.mls.seams import AnyIdentity
from rcs_sim.mls.welcome import Welcome
from tests.rcs_sim.mls.test_proposal_validation import own_update
from tests.support.mls_groups import NOW_S, SUITE, Party, commit, deliver, established, received, share, the_same_epoch

_REINIT = ReInit(b"new", ProtocolVersion.MLS10, CipherSuiteId(1), ())


def chosen(group: Group, committer: int, *proposals: tuple[int, Proposal]) -> list[Proposal]:
    cache = ProposalCache()
    for place, (sender, proposal) in enumerate(proposals):
        cache.add(ProposalRef(bytes([place])), proposal, Sender(SenderType.MEMBER, sender))
    return [each.proposal for each in choose_proposals(cache, LeafIndex(committer), group.tree, AnyIdentity())]


def test_of_what_was_proposed_what_goes_together_is_chosen() -> None:
    alice, bob = established("alice", "bob")
    update, newer = own_update(bob), own_update(bob)
    remove = Remove(LeafIndex(1))
    change = GroupContextExtensions(())
    assert chosen(alice.group, 0, (1, update), (1, newer)) == [newer]
    assert chosen(alice.group, 0, (1, update), (2, remove), (3, remove)) == [remove]
    assert chosen(alice.group, 1, (1, update), (0, remove)) == []
    assert chosen(alice.group, 0, (1, change), (2, change), (1, _REINIT)) == [change]
    assert chosen(alice.group, 0, (1, _REINIT), (2, _REINIT)) == [_REINIT]
    added = Party("carol").add()
    assert chosen(alice.group, 0, (1, added), (2, added)) == [added]


def test_what_goes_by_value_comes_before_what_was_proposed() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    cache, tree = ProposalCache(), alice.group.tree
    change, dave = GroupContextExtensions(()), Party("dave").add()
    proposed = (own_update(bob), Remove(LeafIndex(2)), change, dave)
    for place, proposal in enumerate(proposed):
        cache.add(ProposalRef(bytes([place])), proposal, Sender(SenderType.MEMBER, 1))

    def left(*by_value: Proposal) -> list[Proposal]:
        return [each.proposal for each in choose_proposals(cache, LeafIndex(0), tree, AnyIdentity(), by_value)]

    assert left() == list(proposed)
    assert left(Remove(LeafIndex(1))) == [Remove(LeafIndex(2)), change, dave]
    assert left(Remove(LeafIndex(2)), change) == [proposed[0], dave]
    assert left(Party("dave", seed="2").add()) == [*proposed[:2], change]
    assert left(_REINIT) == []
    only_reinit = ProposalCache()
    only_reinit.add(ProposalRef(b"r"), _REINIT, Sender(SenderType.MEMBER, 1))
    assert choose_proposals(only_reinit, LeafIndex(0), tree, AnyIdentity(), (change,)) == []
    for party in (alice, carol):
        party.keep(bob.group.propose_update(bob.random, now_s=NOW_S).encode())
    commit(alice, (bob, carol), Remove(LeafIndex(1)))
    assert the_same_epoch(alice, carol)


def test_an_add_of_who_is_there_already_is_left_out() -> None:
    """Else one member could keep all others from committing."""
    alice, bob, carol = established("alice", "bob", "carol")
    again, same_key, new = Party("bob", seed="2").add(), bob.add(), Party("dave").add()
    other_key = Party("dave", seed="2").add()
    assert chosen(alice.group, 0, (2, again), (2, same_key), (2, new), (1, other_key)) == [new]
    remove = Remove(LeafIndex(1))
    assert chosen(alice.group, 0, (2, again), (2, remove), (1, new)) == [remove, again, new]
    octets = carol.group.propose(Party("bob", seed="2").add(), carol.random, now_s=NOW_S).encode()
    for party in (alice, bob):
        party.keep(octets)
    commit(alice, (bob, carol))
    assert the_same_epoch(alice, bob, carol)


def test_a_path_is_made_only_where_it_is_asked_for_or_needed() -> None:
    alice, bob = established("alice", "bob")
    for request, has_path in (
        (CommitRequest(proposals=(Party("carol").add(),), with_path=False), False),
        (CommitRequest(proposals=(Party("dave").add(),)), True),
        (CommitRequest(proposals=(Remove(LeafIndex(1)),), with_path=False), True),
        (CommitRequest(with_path=False), True),
    ):
        pending = alice.group.commit(request, alice.random, NOW_S)
        made = pending.authenticated.content.content
        assert isinstance(made, Commit)
        assert (made.path is not None) is has_path
        alice.group.clear_pending()
    assert bob.is_member


def test_a_committer_may_change_its_key_by_a_path() -> None:
    alice, bob = established("alice", "bob")
    client = replace(alice.client, signature_key=SUITE.scheme.generate(alice.random))
    pending = alice.group.commit(CommitRequest(client=client), alice.random, NOW_S)
    deliver(pending, alice, (bob,))
    assert alice.group.signature_key is client.signature_key
    assert bob.read(alice.seal(b"with the new key")).application_data == b"with the new key"
    commit(alice, (bob,))
    assert the_same_epoch(alice, bob)


def test_a_member_may_change_its_key_by_an_update() -> None:
    alice, bob = established("alice", "bob")
    client = replace(bob.client, signature_key=SUITE.scheme.generate(bob.random))
    alice.keep(bob.group.propose_update(bob.random, client=client, now_s=NOW_S).encode())
    commit(alice, (bob,))
    assert alice.read(bob.seal(b"with the new key")).application_data == b"with the new key"


def test_authenticated_data_is_in_a_commit_and_extensions_in_its_welcome_alone() -> None:
    alice, bob = established("alice", "bob")
    carol = Party("carol")
    extension = Extension(ExtensionType(0xF010), b"token")
    request = CommitRequest(proposals=(carol.add(),), authenticated_data=b"id", welcome_extensions=(extension,))
    pending = alice.group.commit(request, alice.random, NOW_S)
    found = bob.group.verify(received(bob, pending.message.encode()), NOW_S)
    assert isinstance(found, VerifiedCommit)
    assert found.authenticated_data == b"id"
    assert pending.welcome is not None
    welcome = MLSMessage.decode(pending.welcome.encode()).body
    assert isinstance(welcome, Welcome)
    opened = open_welcome(welcome, carol.packages, carol.policy)
    assert find_extension(opened.group_info.extensions, 0xF010) == b"token"
    assert find_extension(pending.group_info().extensions, 0xF010) is None
    assert pending.group_info().group_context.epoch == 2
    assert pending.epoch_authenticator == alice.group.merge_pending().epoch_authenticator


def test_only_the_named_references_are_covered() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    share(alice, (bob, carol), Remove(LeafIndex(2)))
    pending = bob.group.commit(CommitRequest(references=()), bob.random, NOW_S)
    assert len(pending.staged.proposals) == 0


def test_a_commit_that_the_rules_forbid_is_not_made() -> None:
    alice, _ = established("alice", "bob")
    with pytest.raises(MlsValidationError) as refused:
        alice.group.commit(CommitRequest(proposals=(Remove(LeafIndex(0)),)), alice.random, NOW_S)
    assert refused.value.rule == "ValSem200"
    assert alice.group.pending is None
    assert ProposalType.REMOVE == 3


def test_a_reference_to_nothing_is_not_committed() -> None:
    alice, _ = established("alice", "bob")
    with pytest.raises(LocalProtocolError):
        alice.group.commit(CommitRequest(references=(ProposalRef(b"none"),)), alice.random, NOW_S)


@pytest.mark.parametrize("wire_format", [WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE])
def test_our_own_commit_that_comes_back_is_known(wire_format: WireFormat) -> None:
    alice, bob = established("alice", "bob", policy=MemberPolicy(handshake_wire_format=wire_format))
    pending = alice.group.commit(CommitRequest(), alice.random, NOW_S)
    alice.follow(pending.message.encode())
    bob.follow(pending.message.encode())
    assert the_same_epoch(alice, bob)
