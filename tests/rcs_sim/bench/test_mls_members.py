"""The groups that are measured are sound ones."""

from __future__ import annotations

import secrets

import pytest

from rcs_sim.bench.mls_commit_load import create_commit, follow_commit
from rcs_sim.bench.mls_members import NOW_S, client_of, fresh_group, joined, key_package_of, populated_group
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.identifiers import CredentialType
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add
from rcs_sim.mls.tree_validation import verify_tree
from rcs_sim.mls.welcome import Welcome


@pytest.mark.parametrize("suite_id", [1, 2])
def test_a_fresh_group_is_joined_and_lives(suite_id: int) -> None:
    made = fresh_group(CipherSuite.of(suite_id), 4)
    member = made.join(2)
    assert member.epoch_authenticator == made.creator.epoch_authenticator
    octets = create_commit(member)
    assert follow_commit(made.creator, octets).epoch == 2


def test_leaves_may_have_certificates() -> None:
    made = fresh_group(CipherSuite.of(2), 2, certificate_octets=300)
    (leaf,) = (leaf for index, leaf in made.creator.tree.members() if index == 1)
    assert leaf.credential.credential_type is CredentialType.X509
    assert len(leaf.credential.encode()) > 300
    assert client_of(CipherSuite.of(1), "a").credential.credential_type is CredentialType.BASIC


@pytest.mark.parametrize("count", [2, 5, 8])
def test_a_populated_tree_has_no_blank_node_between_members_and_is_valid(count: int) -> None:
    one, other = populated_group(CipherSuite.of(2), count, (0, count - 1))
    verify_tree(one.tree, one.group_id, one.context.tree_hash)
    assert [each.member_count for each in (one.tree, other.tree)] == [count, count]
    if count == 8:
        assert len(list(one.tree.parents())) == 7
    octets = create_commit(one)
    followed = follow_commit(other, octets)
    assert followed.epoch_authenticator == one.merge_pending().epoch_authenticator


def test_a_populated_group_is_joined_by_a_welcome() -> None:
    (one,) = populated_group(CipherSuite.of(2), 5, (0,))
    package = key_package_of(client_of(one.suite, "new"))
    pending = one.commit(CommitRequest(proposals=(Add(package.key_package),)), secrets.token_bytes, NOW_S)
    assert pending.welcome is not None
    welcome = MLSMessage.decode(pending.welcome.encode()).body
    assert isinstance(welcome, Welcome)
    assert joined(welcome, package).epoch_authenticator == pending.epoch_authenticator
