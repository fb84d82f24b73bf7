"""MLS with mls-rs, as rine-mls has it: suite 1 and X-Wing, external Commits, both as creator and as joiner."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from tests.support.mls_exchange import OurMember, agree, cast, establish, walk
from tests.support.mls_rine import RineMember
from tests.support.peers import require_package

pytestmark = pytest.mark.interop

ROLES = ("ours-peer-ours", "peer-ours-peer", "ours-peer-peer", "peer-ours-ours")
XWING = 0xF057
SUITES = (pytest.param(1, id="suite-1"), pytest.param(XWING, id="x-wing"))
NewPeer = Callable[[str], RineMember]


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_package("rine_mls", "peers")


@pytest.fixture(params=SUITES)
def suite(request: pytest.FixtureRequest) -> CipherSuite:
    return CipherSuite.of(request.param)


@pytest.fixture
def peer(tmp_path: Path, suite: CipherSuite) -> NewPeer:
    return lambda name: RineMember(tmp_path / name, suite.id)


@pytest.mark.parametrize("form", ["public", "private"])
@pytest.mark.parametrize("roles", ROLES)
def test_a_group_lives_through_adds_updates_and_removes(
    roles: str, form: str, suite: CipherSuite, peer: NewPeer
) -> None:
    walk(*cast(roles, lambda name: OurMember(name, suite, public=form == "public"), peer))


def test_we_come_in_and_back_in_by_external_commits_from_its_group_info(suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob, carol = OurMember("alice", suite), peer("bob"), OurMember("carol", suite)
    establish(alice, bob)
    for resync in (False, True):
        commit = carol.join_externally(bob.group_info(), resync=resync)
        alice.receive(commit, carol)
        bob.receive(commit, carol)
        agree(alice, bob, carol)


def test_the_peer_comes_in_and_back_in_by_external_commits_from_our_group_info(
    suite: CipherSuite, peer: NewPeer
) -> None:
    alice, bob, carol = OurMember("alice", suite), peer("bob"), peer("carol")
    establish(alice, bob)
    for resync in (False, True):
        info = alice.group_info()
        commit = carol.resync(info, alice.leaf_of(carol.identity)) if resync else carol.join_externally(info)
        alice.receive(commit, carol)
        bob.receive(commit, carol)
        agree(alice, bob, carol)


def test_a_message_of_the_peer_is_read_once_and_may_be_late(suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    first, second = bob.seal(b"first"), bob.seal(b"second")
    assert alice.receive(second, bob) == b"second"
    bob.receive(alice.update().commit, alice)
    assert alice.receive(first, bob) == b"first"
    for octets in (first, second):
        with pytest.raises(MlsValidationError):
            alice.receive(octets, bob)


def test_the_peer_reads_a_message_of_an_epoch_that_is_over(suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    late = alice.seal(b"late")
    bob.receive(alice.update().commit, alice)
    assert bob.receive(late, alice) == b"late"
