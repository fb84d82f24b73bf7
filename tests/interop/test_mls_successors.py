"""MLS with ts-mls: groups that come out of a group (RFC 9420 §11.2, §11.3), and a server that follows both stacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rcs_sim.mls.branching import branch, join_successor, reinitialize, successor_policy
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.identifiers import CipherSuiteId, ExtensionType, ProtocolVersion
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import ReInit
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.welcome import Welcome
from tests.support.mls_exchange import OurMember, agree, establish, tell
from tests.support.mls_ts import TsMember, TsStack, ts_mls_folder, ts_stack
from tests.support.peers import require, require_folder

pytestmark = pytest.mark.interop

NEW_ID = b"the group after"
EXTENSION = Extension(ExtensionType(0xF020), b"of the new group")
KNOWN = (EXTENSION.extension_type,)


@pytest.fixture(scope="module")
def stack() -> Iterator[TsStack]:
    node = require("node")
    require_folder(ts_mls_folder() / "node_modules" / "ts-mls", "npm ci; see .ci/run")
    with ts_stack(node) as running:
        yield running


SUITES = pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 2), (1, 2), (2, 1)])


def ours(name: str, suite: int) -> OurMember:
    return OurMember(name, CipherSuite.of(suite), extensions=KNOWN)


def peer(stack: TsStack, name: str, suite: int) -> TsMember:
    return TsMember(stack, name, suite, extensions=KNOWN)


def package_of(octets: bytes) -> KeyPackage:
    body = MLSMessage.decode(octets).body
    assert isinstance(body, KeyPackage)
    return body


def welcome_of(new: Group) -> bytes:
    assert new.pending is not None
    assert new.pending.welcome is not None
    return new.pending.welcome.encode()


def join_out_of(origin: Group, member: OurMember, welcome: bytes, tree: bytes | None) -> None:
    body = MLSMessage.decode(welcome).body
    assert isinstance(body, Welcome)
    opened = open_welcome(body, member.packages, successor_policy(origin))
    beside = None if tree is None else RatchetTreeExtension.decode(tree)
    member.group = join_successor(origin, opened, ratchet_tree=beside, now_s=member.clock_s())


@pytest.mark.parametrize("suite", [1, 2])
def test_a_subgroup_of_ours_is_joined_by_the_peer(suite: int, stack: TsStack) -> None:
    alice, bob, carol = ours("alice", suite), peer(stack, "bob", suite), peer(stack, "carol", suite)
    establish(alice, bob, carol)
    new_bob = peer(stack, "bob", suite)
    members = [package_of(new_bob.key_package())]
    new = branch(alice.group, alice.client, members, NEW_ID, alice.random, alice.lifetime(), now_s=alice.clock_s())
    welcome = welcome_of(new)
    alice.group = new.merge_pending()
    new_bob.join_successor(bob, welcome)
    agree(alice, new_bob)


@pytest.mark.parametrize("suite", [1, 2])
def test_a_subgroup_of_the_peer_is_joined_by_us(suite: int, stack: TsStack) -> None:
    alice, bob, carol = ours("alice", suite), peer(stack, "bob", suite), peer(stack, "carol", suite)
    establish(bob, alice, carol)
    new_alice, new_bob = ours("alice", suite), peer(stack, "bob", suite)
    sent = new_bob.branch(bob, NEW_ID, [new_alice.key_package()])
    join_out_of(alice.group, new_alice, sent.welcomes[0], sent.tree)
    agree(new_alice, new_bob)


@SUITES
def test_a_reinit_of_ours_is_followed_by_a_group_of_the_peer(before: int, after: int, stack: TsStack) -> None:
    alice, bob = ours("alice", before), peer(stack, "bob", before)
    establish(alice, bob)
    plan = ReInit(NEW_ID, ProtocolVersion.MLS10, CipherSuiteId(after), (EXTENSION,))
    tell(alice.commit(plan), alice, (bob,))
    new_alice, new_bob = ours("alice", after), peer(stack, "bob", after)
    sent = new_bob.reinitialize(bob, [new_alice.key_package()])
    join_out_of(alice.group, new_alice, sent.welcomes[0], sent.tree)
    agree(new_alice, new_bob)
    assert new_alice.group.context.extensions == (EXTENSION,)


@SUITES
def test_a_reinit_of_the_peer_is_followed_by_a_group_of_ours(before: int, after: int, stack: TsStack) -> None:
    alice, bob = ours("alice", before), peer(stack, "bob", before)
    establish(bob, alice)
    tell(bob.end(NEW_ID, after, (EXTENSION,)), bob, (alice,))
    assert alice.group.reinit is not None
    new_alice, new_bob = ours("alice", after), peer(stack, "bob", after)
    members = [package_of(new_bob.key_package())]
    now_s = alice.clock_s()
    new = reinitialize(alice.group, new_alice.client, members, alice.random, alice.lifetime(), now_s=now_s)
    welcome = welcome_of(new)
    new_alice.group = new.merge_pending()
    new_bob.join_successor(bob, welcome)
    agree(new_alice, new_bob)


@pytest.mark.parametrize("suite", [1, 2])
def test_a_server_follows_the_public_handshakes_of_both(suite: int, stack: TsStack) -> None:
    alice = OurMember("alice", CipherSuite.of(suite), public=True)
    bob, carol, dave = (TsMember(stack, name, suite, public=True) for name in ("bob", "carol", "dave"))
    alice.create(b"a watched group")
    info = MLSMessage.decode(alice.group_info()).body
    assert isinstance(info, GroupInfo)
    server = PublicGroup.start(info, now_s=alice.clock_s())

    def watch(octets: bytes) -> None:
        nonlocal server
        verified = server.verify(MLSMessage.decode(octets), alice.clock_s())
        if isinstance(verified, VerifiedProposal):
            server.add_proposal(verified)
        else:
            assert isinstance(verified, VerifiedCommit)
            server = server.merge(server.stage_commit(verified, alice.clock_s()))
        assert server.context == alice.group.context

    sent = alice.add([bob.key_package()])
    tell(sent, alice, (), (bob,))
    watch(sent.commit)
    octets = bob.propose(type="add", key_package=carol.key_package().hex())
    alice.receive(octets, bob)
    watch(octets)
    sent = alice.commit()
    tell(sent, alice, (bob,), (carol,))
    watch(sent.commit)
    for committer in (bob, carol):
        sent = committer.update()
        tell(sent, committer, (alice, bob, carol))
        watch(sent.commit)
    commit = dave.join_externally(bob.group_info())
    for member in (alice, bob, carol):
        member.receive(commit, dave)
    watch(commit)
    sent = dave.remove(alice.leaf_of(carol.identity), carol.identity)
    tell(sent, dave, (alice, bob))
    watch(sent.commit)
    agree(alice, bob, dave)
    info = MLSMessage.decode(dave.group_info()).body
    assert isinstance(info, GroupInfo)
    server.verify_group_info(info)
