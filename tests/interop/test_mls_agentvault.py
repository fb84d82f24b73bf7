"""MLS with mls-rs, as agentvault-mls-rs-uniffi has it: suite 1, Commits and proposals, as creator and as joiner."""

from __future__ import annotations

import pytest

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Remove
from tests.support.mls_agentvault import AgentvaultMember
from tests.support.mls_exchange import OurMember, agree, cast, establish, tell, walk
from tests.support.peers import require_package

pytestmark = pytest.mark.interop

ROLES = ("ours-peer-ours", "peer-ours-peer", "ours-peer-peer", "peer-ours-ours")
SUITE = CipherSuite.of(1)


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_package("mls_rs_uniffi", "peers")


def ours(name: str, *, public: bool = False, sends_tree: bool = True) -> OurMember:
    return OurMember(name, SUITE, public=public, sends_tree=sends_tree)


@pytest.mark.parametrize("tree", ["inside", "beside"])
@pytest.mark.parametrize("form", ["public", "private"])
@pytest.mark.parametrize("roles", ROLES)
def test_a_group_lives_through_adds_updates_and_removes(roles: str, form: str, tree: str) -> None:
    walk(
        *cast(
            roles,
            lambda name: ours(name, public=form == "public", sends_tree=tree == "inside"),
            lambda name: AgentvaultMember(name, sends_tree=tree == "inside"),
        )
    )


def test_proposals_of_the_peer_are_committed_by_us() -> None:
    alice, bob, carol, dave = ours("alice"), AgentvaultMember("bob"), ours("carol"), ours("dave")
    establish(alice, bob, carol)
    for octets in (*bob.propose_add([dave.key_package()]), *bob.propose_remove(carol.identity)):
        alice.receive(octets, bob)
        carol.receive(octets, bob)
    tell(alice.commit(), alice, (bob, carol), (dave,))
    assert not carol.is_member
    agree(alice, bob, dave)


def test_proposals_of_ours_are_committed_by_the_peer() -> None:
    alice, bob, carol, dave = ours("alice"), AgentvaultMember("bob"), ours("carol"), ours("dave")
    establish(alice, bob, carol, dave)
    for octets in (alice.propose_update(), alice.propose(Remove(LeafIndex(alice.leaf_of(carol.identity))))):
        for member in (bob, carol, dave):
            member.receive(octets, alice)
    tell(bob.update(), bob, (alice, carol, dave))
    assert not carol.is_member
    agree(alice, bob, dave)


def test_a_message_of_the_peer_is_read_once_and_may_be_late() -> None:
    alice, bob = ours("alice"), AgentvaultMember("bob")
    establish(alice, bob)
    first, second = bob.seal(b"first"), bob.seal(b"second")
    assert alice.receive(second, bob) == b"second"
    tell(alice.update(), alice, (bob,))
    assert alice.receive(first, bob) == b"first"
    for octets in (first, second):
        with pytest.raises(MlsValidationError):
            alice.receive(octets, bob)


def test_a_commit_of_the_peer_that_was_changed_is_refused_and_the_genuine_one_still_applies() -> None:
    alice, bob = ours("alice"), AgentvaultMember("bob")
    establish(alice, bob)
    sent = bob.update()
    changed = bytearray(sent.commit)
    changed[-1] ^= 1
    with pytest.raises(MlsValidationError):
        alice.receive(bytes(changed), bob)
    assert MLSMessage.decode(sent.commit).encode() == sent.commit
    tell(sent, bob, (alice,))
    agree(alice, bob)
