"""Groups that come out of a group."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.branching import (
    branch,
    join_successor,
    reinitialize,
    successor_policy,
    verify_branch_suite,
)
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group import Group
from rcs_sim.mls.identifiers import CipherSuiteId, Epoch, ProtocolVersion
from rcs_sim.mls.joining import OpenedWelcome, open_welcome, verify_first_epoch
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import ReInit
from rcs_sim.mls.welcome import Welcome
from tests.support.forge import refusal
from tests.support.mls_groups import LIFETIME, NOW_S, Party, commit, established

_NEW_ID = b"a new group"
_PLAN = ReInit(_NEW_ID, ProtocolVersion.MLS10, CipherSuiteId(2), ())


def opened(party: Party, new: Group, origin: Group) -> OpenedWelcome:
    """What *party* finds in the Welcome that *new* has pending."""
    assert new.pending is not None
    assert new.pending.welcome is not None
    body = MLSMessage.decode(new.pending.welcome.encode()).body
    assert isinstance(body, Welcome)
    return open_welcome(body, party.packages, successor_policy(origin))


def branched(alice: Party, *others: Party) -> Group:
    members = [other.key_package().key_package for other in others]
    return branch(alice.group, alice.client, members, _NEW_ID, alice.random, LIFETIME, now_s=NOW_S)


def test_a_subgroup_is_joined_by_members_of_its_group() -> None:
    alice, bob, _ = established("alice", "bob", "carol")
    new = branched(alice, bob)
    of_bob = join_successor(bob.group, opened(bob, new, bob.group), now_s=NOW_S)
    of_alice = new.merge_pending()
    assert of_alice.epoch_authenticator == of_bob.epoch_authenticator
    assert of_bob.group_id == _NEW_ID


def test_val820_who_is_not_in_the_group_has_not_its_psk() -> None:
    alice, *_ = established("alice", "bob")
    dave = Party("dave")
    dave.create(b"another")
    with pytest.raises(MlsValidationError) as refused:
        opened(dave, branched(alice, dave), dave.group)
    assert refused.value.rule == "VAL-820"


def test_val845_a_subgroup_has_no_member_of_its_own() -> None:
    alice, bob = established("alice", "bob")
    new = branched(alice, bob, Party("mallory"))
    with pytest.raises(MlsValidationError) as refused:
        join_successor(bob.group, opened(bob, new, bob.group), now_s=NOW_S)
    assert refused.value.rule == "VAL-845"


def test_val841_an_ordinary_welcome_is_of_no_origin() -> None:
    alice, bob, carol = established("alice", "bob", "carol")
    other = alice.create(b"other")
    assert other.epoch == 0
    bob.packages.clear()
    origin = bob.group
    other.commit(CommitRequest(proposals=(bob.add(),)), alice.random, NOW_S)
    with pytest.raises(MlsValidationError) as refused:
        join_successor(origin, opened(bob, other, origin), now_s=NOW_S)
    assert refused.value.rule == "VAL-841"
    assert carol.is_member


def ended(*names: str) -> list[Party]:
    parties = established(*names)
    commit(parties[0], parties[1:], _PLAN, with_path=False)
    assert all(party.group.reinit == _PLAN for party in parties)
    return parties


def of_new_suite(party: Party) -> Party:
    return Party(party.name, suite=CipherSuite.of(2))


def test_a_group_is_made_anew_after_its_reinit_in_another_suite() -> None:
    alice, bob = ended("alice", "bob")
    new_alice, new_bob = of_new_suite(alice), of_new_suite(bob)
    members = [new_bob.key_package().key_package]
    new = reinitialize(alice.group, new_alice.client, members, alice.random, LIFETIME, now_s=NOW_S)
    of_bob = join_successor(bob.group, opened(new_bob, new, bob.group), now_s=NOW_S)
    assert of_bob.epoch_authenticator == new.merge_pending().epoch_authenticator


def test_val832_a_group_that_was_ended_takes_no_more_commits() -> None:
    alice, bob = ended("alice", "bob")
    with pytest.raises(LocalProtocolError):
        alice.seal(b"too late")
    with pytest.raises(LocalProtocolError):
        commit(alice, (bob,))
    other = Group(alice.group.state, alice.client.signature_key, alice.policy)
    alice.group = other
    assert refusal(bob, _commit_of(alice)) == "VAL-832"


def _commit_of(party: Party) -> bytes:
    return party.group.commit(CommitRequest(), party.random, NOW_S).message.encode()


def test_val843_the_new_group_is_the_one_that_the_reinit_describes() -> None:
    alice, bob = ended("alice", "bob")
    new_alice, new_bob = of_new_suite(alice), of_new_suite(bob)
    members = [new_bob.key_package().key_package]
    other = Group(alice.group.state, alice.client.signature_key, alice.policy)
    other.resume((), {}, replace(_PLAN, group_id=b"yet another"))
    new = reinitialize(other, new_alice.client, members, alice.random, LIFETIME, now_s=NOW_S)
    with pytest.raises(MlsValidationError) as refused:
        join_successor(bob.group, opened(new_bob, new, bob.group), now_s=NOW_S)
    assert refused.value.rule == "VAL-843"


def test_val846_the_new_group_has_the_members_of_the_old() -> None:
    alice, bob, carol = ended("alice", "bob", "carol")
    new_alice, new_bob = of_new_suite(alice), of_new_suite(bob)
    members = [new_bob.key_package().key_package]
    new = reinitialize(alice.group, new_alice.client, members, alice.random, LIFETIME, now_s=NOW_S)
    with pytest.raises(MlsValidationError) as refused:
        join_successor(bob.group, opened(new_bob, new, bob.group), now_s=NOW_S)
    assert refused.value.rule == "VAL-846"
    assert carol.is_member


def test_val842_val844_a_group_out_of_another_begins_in_epoch_1_with_its_suite() -> None:
    (alice,) = established("alice")
    context = alice.group.context
    verify_first_epoch(replace(context, epoch=Epoch(1)))
    with pytest.raises(MlsValidationError) as refused:
        verify_first_epoch(replace(context, epoch=Epoch(2)))
    assert refused.value.rule == "VAL-842"
    with pytest.raises(MlsValidationError) as refused:
        verify_branch_suite(replace(context, cipher_suite=CipherSuiteId(2)), context)
    assert refused.value.rule == "VAL-844"
