"""MLS with OpenMLS, as davey has it under the DAVE protocol: suite 2, an external sender, public Commits."""

from __future__ import annotations

import secrets
from collections.abc import Callable

import pytest

from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import ExternalSenders
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import MLSMessage
from rcs_sim.mls.proposals import Add, Proposal, Remove
from tests.support.mls_davey import CHANNEL, DaveyMember, Gateway, open_frame, seal_frame, user_identity
from tests.support.mls_exchange import OurMember
from tests.support.peers import require_package

pytestmark = pytest.mark.interop

SUITE = CipherSuite.of(2)
OURS, PEER, THIRD = 8, 7, 9
PACKET = b"an audio packet, " * 4


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_package("davey", "peers")


@pytest.fixture
def gateway() -> Gateway:
    return Gateway(SUITE, secrets.token_bytes)


def ours() -> OurMember:
    credential = BasicCredential(user_identity(OURS))
    return OurMember("ours", SUITE, public=True, credential=credential)


def add(key_package: bytes) -> Add:
    body = MLSMessage.decode(key_package).body
    assert isinstance(body, KeyPackage)
    return Add(body)


def agree(member: OurMember, *peers: DaveyMember) -> None:
    """Equal epoch authenticators, and frames both ways: their keys are exported."""
    group = member.group
    for peer in peers:
        assert (peer.epoch, peer.authenticator) == (group.epoch, group.epoch_authenticator)
        assert open_frame(group, peer.user, peer.seal_frame(PACKET)) == PACKET
        assert peer.open_frame(OURS, seal_frame(group, OURS, 1, PACKET)) == PACKET


def joined_by_us(gateway: Gateway) -> tuple[OurMember, DaveyMember]:
    """A group that the peer has made, with us in it."""
    member, peer = ours(), DaveyMember(PEER, gateway)
    sent = peer.take_proposals([gateway.propose(peer.epoch, add(member.key_package()))], (OURS, PEER))
    assert sent is not None
    member.join(sent.welcomes[0], None)
    peer.follow(sent.commit)
    return member, peer


def joined_by_the_peer(gateway: Gateway) -> tuple[OurMember, DaveyMember]:
    """A group that we have made, with the peer in it."""
    member, peer = ours(), DaveyMember(PEER, gateway)
    member.create(user_identity(CHANNEL), (ExternalSenders((gateway.sender,)).as_extension(),))
    take(member, (), gateway, add(peer.key_package()))
    peer.join(member.commit().welcomes[0])
    return member, peer


def take(member: OurMember, peers: tuple[DaveyMember, ...], gateway: Gateway, proposal: Proposal) -> None:
    """A proposal of the gateway goes to all. What the peers would commit is dropped."""
    octets = gateway.propose(member.group.epoch, proposal)
    member.receive(octets, member)
    for peer in peers:
        peer.take_proposals([octets], (OURS, PEER, THIRD))


Found = Callable[[Gateway], tuple[OurMember, DaveyMember]]
FOUNDERS = pytest.mark.parametrize("found", [joined_by_us, joined_by_the_peer], ids=["peer-creates", "we-create"])


@FOUNDERS
def test_both_are_in_one_epoch_after_the_welcome(found: Found, gateway: Gateway) -> None:
    agree(*found(gateway))


@FOUNDERS
def test_our_commits_that_renew_keys_are_followed(found: Found, gateway: Gateway) -> None:
    member, peer = found(gateway)
    for _ in range(3):
        peer.follow(member.update().commit)
        agree(member, peer)


@FOUNDERS
def test_a_third_is_added_by_our_commit_and_removed_by_that_of_the_peer(found: Found, gateway: Gateway) -> None:
    member, peer = found(gateway)
    third = DaveyMember(THIRD, gateway)
    take(member, (peer,), gateway, add(third.key_package()))
    sent = member.commit()
    peer.follow(sent.commit)
    third.join(sent.welcomes[0])
    agree(member, peer, third)
    removal = gateway.propose(member.group.epoch, Remove(LeafIndex(member.leaf_of(third.identity))))
    member.receive(removal, member)
    removed = peer.take_proposals([removal], (OURS, PEER))
    assert removed is not None
    member.receive(removed.commit, member)
    peer.follow(removed.commit)
    agree(member, peer)


@FOUNDERS
def test_a_third_is_added_by_the_commit_of_the_peer_and_removed_by_ours(found: Found, gateway: Gateway) -> None:
    member, peer = found(gateway)
    third = DaveyMember(THIRD, gateway)
    octets = gateway.propose(member.group.epoch, add(third.key_package()))
    member.receive(octets, member)
    sent = peer.take_proposals([octets], (OURS, PEER, THIRD))
    assert sent is not None
    member.receive(sent.commit, member)
    peer.follow(sent.commit)
    third.join(sent.welcomes[0])
    agree(member, peer, third)
    take(member, (peer,), gateway, Remove(LeafIndex(member.leaf_of(third.identity))))
    peer.follow(member.commit().commit)
    agree(member, peer)


def test_of_two_commits_for_one_epoch_the_peer_drops_its_own(gateway: Gateway) -> None:
    member, peer = joined_by_us(gateway)
    third = DaveyMember(THIRD, gateway)
    octets = gateway.propose(member.group.epoch, add(third.key_package()))
    member.receive(octets, member)
    loser = peer.take_proposals([octets], (OURS, PEER, THIRD))
    assert loser is not None
    winner = member.commit()
    peer.follow(winner.commit)
    third.join(winner.welcomes[0])
    agree(member, peer, third)
    with pytest.raises(MlsValidationError):
        member.receive(loser.commit, member)


def test_an_update_that_we_propose_is_committed_by_the_peer(gateway: Gateway) -> None:
    member, peer = joined_by_us(gateway)
    sent = peer.take_proposals([member.propose_update()], (OURS, PEER))
    assert sent is not None
    member.receive(sent.commit, member)
    peer.follow(sent.commit)
    agree(member, peer)
