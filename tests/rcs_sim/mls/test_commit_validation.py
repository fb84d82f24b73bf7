"""The rules of Commits (ValSem200 to 207) and of external ones (ValSem240 to 246), each broken once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rcs_sim.mls.commit import Commit, HPKECiphertext, UpdatePath
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.external import join_externally
from rcs_sim.mls.identifiers import LeafIndex, WireFormat
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, MLSMessage, PublicMessage
from rcs_sim.mls.proposals import ExternalInit, Proposal, ProposalRef, Remove
from tests.support.forge import commit_of, edited_commit, public_message, refusal, signed
from tests.support.mls_groups import NOW_S, Party, commit, established, share, the_same_epoch

_PUBLIC = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)


@pytest.fixture
def parties() -> list[Party]:
    return established("alice", "bob", "carol", "dave", policy=_PUBLIC)


def genuine(party: Party, *proposals: Proposal) -> bytes:
    """A Commit with a path, pending at *party*."""
    pending = party.group.commit(CommitRequest(proposals=proposals), party.random, NOW_S)
    return pending.message.encode()


def path_of(octets: bytes) -> UpdatePath:
    body = MLSMessage.decode(octets).body
    assert isinstance(body, PublicMessage)
    assert isinstance(body.content.content, Commit)
    assert body.content.content.path is not None
    return body.content.content.path


def with_path(edit: Callable[[UpdatePath], UpdatePath | None]) -> Callable[[Commit], Commit]:
    def change(commit: Commit) -> Commit:
        assert commit.path is not None
        return replace(commit, path=edit(commit.path))

    return change


# --- Commits of members -----------------------------------------------------------------------------------------------


def test_valsem200_a_commit_does_not_remove_its_sender(parties: list[Party]) -> None:
    alice, bob, carol, _ = parties
    assert refusal(bob, commit_of(alice, [Remove(alice.group.own_leaf)])) == "ValSem200"
    share(carol, (alice, bob), Remove(LeafIndex(0)))
    reference = next(iter(bob.group.proposals)).reference
    assert reference is not None
    assert refusal(bob, commit_of(alice, [reference])) == "ValSem200"


def test_valsem201_a_path_is_there_when_it_has_to_be(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    assert refusal(bob, commit_of(alice, [])) == "ValSem201"
    assert refusal(bob, commit_of(alice, [Remove(LeafIndex(2))])) == "ValSem201"


def test_valsem202_a_path_has_the_nodes_of_the_filtered_direct_path(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    octets = genuine(alice)
    for edit in (lambda p: replace(p, nodes=p.nodes[:-1]), lambda p: replace(p, nodes=(*p.nodes, p.nodes[-1]))):
        assert refusal(bob, edited_commit(alice, octets, with_path(edit))) == "ValSem202"
    bob.follow(octets)


def _spoilt(path: UpdatePath) -> UpdatePath:
    sealed = HPKECiphertext(bytes(32), bytes(48))
    return replace(
        path,
        nodes=tuple(
            replace(node, encrypted_path_secret=(sealed,) * len(node.encrypted_path_secret)) for node in path.nodes
        ),
    )


def test_valsem203_path_secrets_open(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    assert refusal(bob, edited_commit(alice, genuine(alice), with_path(_spoilt))) == "ValSem203"


def test_valsem204_the_keys_of_the_path_are_those_of_its_secrets(parties: list[Party]) -> None:
    """A committer who gives one part of the group a secret of another key than it shows to all."""
    alice, bob, _, dave = parties
    suite, context = alice.group.suite, alice.group.context
    octets = genuine(alice)

    def exchange(path: UpdatePath) -> UpdatePath:
        target = bob.group.own_leaf_node.encryption_key
        state = alice.group.pending.staged.after.public  # type: ignore[union-attr]  # there is one
        provisional = replace(state.context, confirmed_transcript_hash=context.confirmed_transcript_hash)
        other = suite.encrypt_with_label(target, "UpdatePathNode", provisional.encode(), bytes(32), alice.random)
        return replace(path, nodes=(replace(path.nodes[0], encrypted_path_secret=(other,)), *path.nodes[1:]))

    assert refusal(bob, edited_commit(alice, octets, with_path(exchange))) == "ValSem204"
    dave.follow(octets)


def test_val721_a_path_secret_is_encrypted_to_each_who_needs_it(parties: list[Party]) -> None:
    alice, bob, _, _ = parties

    def shorten(path: UpdatePath) -> UpdatePath:
        first = replace(path.nodes[0], encrypted_path_secret=())
        return replace(path, nodes=(first, *path.nodes[1:]))

    assert refusal(bob, edited_commit(alice, genuine(alice), with_path(shorten))) == "VAL-721"


def test_valsem205_the_confirmation_tag_is_that_of_the_new_epoch(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    octets = genuine(alice)
    body = MLSMessage.decode(octets).body
    assert isinstance(body, PublicMessage)
    stale = signed(alice, body.content.content, confirmation_tag=alice.group.public.confirmation_tag)
    assert refusal(bob, public_message(alice, stale)) == "ValSem205"
    bob.follow(octets)


def test_valsem206_the_key_of_the_new_leaf_is_new(parties: list[Party]) -> None:
    alice, bob, _, _ = parties

    def reuse(path: UpdatePath) -> UpdatePath:
        key = bob.group.own_leaf_node.encryption_key
        return replace(path, leaf_node=replace(path.leaf_node, encryption_key=key))

    assert refusal(bob, edited_commit(alice, genuine(alice), with_path(reuse))) == "ValSem206"


def test_valsem207_the_keys_of_the_path_are_new(parties: list[Party]) -> None:
    alice, bob, _, _ = parties

    def reuse(path: UpdatePath) -> UpdatePath:
        stale = replace(path.nodes[0], encryption_key=path.leaf_node.encryption_key)
        return replace(path, nodes=(stale, *path.nodes[1:]))

    assert refusal(bob, edited_commit(alice, genuine(alice), with_path(reuse))) == "ValSem207"


def test_val722_the_leaf_of_a_path_vouches_for_it(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    other = alice.group.suite.generate_key_pair(alice.random).public

    def exchange(path: UpdatePath) -> UpdatePath:
        return replace(path, nodes=(replace(path.nodes[0], encryption_key=other), *path.nodes[1:]))

    assert refusal(bob, edited_commit(alice, genuine(alice), with_path(exchange))) == "VAL-722"


@pytest.mark.parametrize(("suite_id", "octets"), [(1, 32), (4, 56)])
def test_val724_a_key_of_small_order_fails_the_commit_that_brings_it(suite_id: int, octets: int) -> None:
    """And not the one of somebody else who has to encrypt to it later."""
    alice, bob, carol, dave = established(
        "alice", "bob", "carol", "dave", policy=_PUBLIC, suite=CipherSuite.of(suite_id)
    )

    def spoil(path: UpdatePath) -> UpdatePath:
        return replace(path, nodes=(replace(path.nodes[0], encryption_key=bytes(octets)), *path.nodes[1:]))

    octets_sent = genuine(alice)
    assert refusal(carol, edited_commit(alice, octets_sent, with_path(spoil))) == "VAL-724"
    for party in (bob, carol, dave):
        party.follow(octets_sent)
    alice.group = alice.group.merge_pending()
    commit(carol, (alice, bob, dave))
    assert the_same_epoch(alice, bob, carol, dave)


def test_val802_a_proposal_that_did_not_come_is_not_committed(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    assert refusal(bob, commit_of(alice, [ProposalRef(bytes(32))])) == "VAL-802"


def test_val812_a_committer_stays_who_it_is(parties: list[Party]) -> None:
    alice, bob, _, _ = parties

    def rename(path: UpdatePath) -> UpdatePath:
        leaf: LeafNode = replace(path.leaf_node, credential=BasicCredential(b"bob"))
        return replace(path, leaf_node=leaf)

    assert refusal(bob, edited_commit(alice, genuine(alice), with_path(rename))) == "VAL-812"


def test_val814_a_commit_in_our_own_name_is_the_pending_one(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    octets = genuine(alice)
    found = alice.group.verify(MLSMessage.decode(octets), NOW_S)
    assert alice.group.stage_commit(found) is alice.group.pending.staged  # type: ignore[arg-type,union-attr]  # it is
    alice.group.clear_pending()
    assert refusal(alice, octets) == "VAL-814"
    assert bob.is_member


def test_two_commits_for_one_epoch_are_not_both_applied(parties: list[Party]) -> None:
    alice, bob, carol, dave = parties
    first, second = genuine(alice), genuine(bob)
    carol.follow(first)
    assert refusal(carol, second) == "ValSem003"
    bob.group.clear_pending()
    for party in (bob, dave):
        party.follow(first)
    alice.group = alice.group.merge_pending()
    assert the_same_epoch(*parties)


# --- external Commits -------------------------------------------------------------------------------------------------


def outsider(parties: list[Party], *proposals: Proposal, name: str = "erin") -> tuple[Party, bytes]:
    erin = Party(name, _PUBLIC)
    info = parties[0].group.group_info(with_tree=True)
    joined = join_externally(erin.client, info, erin.random, proposals=proposals, policy=_PUBLIC, now_s=NOW_S)
    erin.group = joined.group
    return erin, joined.message.encode()


def forged(parties: list[Party], edit: Callable[[Commit], Commit]) -> str:
    """What a member says to a joiner's Commit that the joiner itself has altered and signed."""
    erin, octets = outsider(parties)
    body = MLSMessage.decode(octets).body
    assert isinstance(body, PublicMessage)
    assert isinstance(body.content.content, Commit)
    tag = body.auth.confirmation_tag
    alice = parties[0]
    key = erin.client.signature_key
    made = signed(alice, edit(body.content.content), sender=NEW_MEMBER_COMMIT, key=key, confirmation_tag=tag)
    return refusal(parties[1], public_message(alice, made))


def test_an_external_commit_is_followed_by_all(parties: list[Party]) -> None:
    erin, octets = outsider(parties)
    for party in parties:
        party.follow(octets)
    assert the_same_epoch(*parties, erin)


def test_valsem240_an_external_commit_has_an_external_init(parties: list[Party]) -> None:
    assert forged(parties, lambda commit: replace(commit, proposals=())) == "ValSem240"


def test_valsem241_an_external_commit_has_one_external_init(parties: list[Party]) -> None:
    assert forged(parties, lambda commit: replace(commit, proposals=commit.proposals * 2)) == "ValSem241"


def test_valsem242_an_external_commit_adds_nobody(parties: list[Party]) -> None:
    added = Party("frank").add()
    assert forged(parties, lambda commit: replace(commit, proposals=(*commit.proposals, added))) == "ValSem242"


def test_valsem243_an_external_commit_removes_nobody_else(parties: list[Party]) -> None:
    removed = Remove(LeafIndex(2))
    assert forged(parties, lambda commit: replace(commit, proposals=(*commit.proposals, removed))) == "ValSem243"


def test_valsem244_an_external_commit_has_nothing_by_reference(parties: list[Party]) -> None:
    alice, bob, carol, dave = parties
    share(alice, (bob, carol, dave), Remove(LeafIndex(2)))
    reference = next(iter(bob.group.proposals)).as_covered()
    assert forged(parties, lambda commit: replace(commit, proposals=(*commit.proposals, reference))) == "ValSem244"


def test_valsem245_an_external_commit_has_a_path(parties: list[Party]) -> None:
    assert forged(parties, lambda commit: replace(commit, path=None)) == "ValSem245"


def test_valsem246_the_leaf_of_the_path_signs_an_external_commit(parties: list[Party]) -> None:
    alice, bob, _, _ = parties
    erin, octets = outsider(parties)
    body = MLSMessage.decode(octets).body
    assert isinstance(body, PublicMessage)
    made = signed(alice, body.content.content, sender=NEW_MEMBER_COMMIT)  # signed by alice
    assert refusal(bob, public_message(alice, made)) == "ValSem010"
    assert erin.is_member


def test_val811_an_external_commit_has_one_remove_at_most(parties: list[Party]) -> None:
    twice = (Remove(LeafIndex(1)), Remove(LeafIndex(2)))
    assert forged(parties, lambda commit: replace(commit, proposals=(*commit.proposals, *twice))) == "VAL-811"


def test_val815_a_kem_output_that_is_none_is_refused(parties: list[Party]) -> None:
    assert forged(parties, lambda commit: replace(commit, proposals=(ExternalInit(b"short"),))) == "VAL-815"
