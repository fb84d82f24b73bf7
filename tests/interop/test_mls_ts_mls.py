"""MLS with ts-mls: suites 1 and 2, X.509 credentials, extensions, Welcomes without the tree, old epochs, external
Commits, PSKs and custom proposals, both as creator and as joiner."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from ims_core.errors import RemoteProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.credential import X509Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, RequiredCapabilities, find_extension
from rcs_sim.mls.external import propose_to_join
from rcs_sim.mls.identifiers import Epoch, ExtensionType, LeafIndex, ProposalType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposals import (
    CustomProposal,
    GroupContextExtensions,
    PreSharedKey,
    Remove,
    opaque_body,
)
from rcs_sim.mls.psk_id import ExternalPskID
from rcs_sim.mls.seams import CustomProposalRule, Seams
from tests.support.mls_certificates import CertificateIdentity, self_signed
from tests.support.mls_exchange import GROUP_ID, OurMember, agree, cast, establish, tell, walk
from tests.support.mls_ts import TsKey, TsMember, TsStack, ts_mls_folder, ts_stack
from tests.support.peers import require, require_folder

pytestmark = pytest.mark.interop

ROLES = ("ours-peer-ours", "peer-ours-peer", "ours-peer-peer", "peer-ours-ours")
GROUP_EXTENSION, LEAF_EXTENSION, INFO_EXTENSION = ExtensionType(0xF010), ExtensionType(0xF011), ExtensionType(0xF012)
CUSTOM = ProposalType(0xF00D)
PSK_ID, PSK = b"a key out of band", b"p" * 32
NewPeer = Callable[[str], TsMember]


@pytest.fixture(scope="module")
def stack() -> Iterator[TsStack]:
    node = require("node")
    require_folder(ts_mls_folder() / "node_modules" / "ts-mls", "npm ci; see .ci/run")
    with ts_stack(node) as running:
        yield running


@pytest.fixture(params=[1, 2], ids=["suite-1", "suite-2"])
def suite(request: pytest.FixtureRequest) -> CipherSuite:
    return CipherSuite.of(request.param)


@pytest.fixture
def peer(stack: TsStack, suite: CipherSuite) -> NewPeer:
    return lambda name: TsMember(stack, name, suite.id)


@pytest.mark.parametrize("tree", ["inside", "beside"])
@pytest.mark.parametrize("form", ["public", "private"])
@pytest.mark.parametrize("roles", ROLES)
def test_a_group_lives_through_adds_updates_and_removes(
    roles: str, form: str, tree: str, suite: CipherSuite, stack: TsStack
) -> None:
    is_public, is_inside = form == "public", tree == "inside"
    walk(
        *cast(
            roles,
            lambda name: OurMember(name, suite, public=is_public, sends_tree=is_inside),
            lambda name: TsMember(stack, name, suite.id, public=is_public, sends_tree=is_inside),
        )
    )


@pytest.mark.parametrize("tree", ["inside", "beside"])
def test_we_come_in_and_back_in_by_external_commits(tree: str, suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob, carol = OurMember("alice", suite), peer("bob"), OurMember("carol", suite)
    establish(alice, bob)
    for resync in (False, True):
        info = bob.group_info(with_tree=tree == "inside")
        beside = None if tree == "inside" else alice.group.ratchet_tree().encode()
        commit = carol.join_externally(info, tree=beside, resync=resync)
        alice.receive(commit, carol)
        bob.receive(commit, carol)
        assert alice.heard == bob.heard == carol.authenticated_data
        agree(alice, bob, carol)


@pytest.mark.parametrize("tree", ["inside", "beside"])
def test_the_peer_comes_in_and_back_in_by_external_commits(tree: str, suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob, carol = OurMember("alice", suite), peer("bob"), peer("carol")
    establish(alice, bob)
    for resync in (False, True):
        info = alice.group_info(with_tree=tree == "inside")
        beside = None if tree == "inside" else alice.group.ratchet_tree().encode()
        commit = carol.join_externally(info, tree=beside, resync=resync)
        alice.receive(commit, carol)
        bob.receive(commit, carol)
        assert alice.heard == carol.authenticated_data
        agree(alice, bob, carol)


# --- X.509 credentials ------------------------------------------------------------------------------------------------


def certified(name: str, suite: CipherSuite) -> OurMember:
    key = TsKey.for_suite(suite.id).private
    certificate = self_signed(name, key, int(time.time()))
    policy = MemberPolicy(seams=Seams(identity=CertificateIdentity()))
    credential = X509Credential((certificate,))
    return OurMember(name, suite, policy=policy, credential=credential, key=suite.scheme.key_of(key))


def certified_peer(stack: TsStack, name: str, suite: CipherSuite) -> TsMember:
    key = TsKey.for_suite(suite.id)
    certificate = self_signed(name, key.private, int(time.time()))
    return TsMember(stack, name, suite.id, key=key, certificates=[certificate])


@pytest.mark.parametrize("roles", ROLES)
def test_members_with_certificates_live_through_the_same(roles: str, suite: CipherSuite, stack: TsStack) -> None:
    walk(*cast(roles, lambda name: certified(name, suite), lambda name: certified_peer(stack, name, suite)))


def test_a_certificate_of_another_key_is_refused_by_both(suite: CipherSuite, stack: TsStack) -> None:
    alice, bob = certified("alice", suite), certified_peer(stack, "bob", suite)
    establish(alice, bob)
    stolen = self_signed("carol", TsKey.for_suite(suite.id).private, int(time.time()))
    thief = TsMember(stack, "carol", suite.id, certificates=[stolen])
    package = thief.key_package()
    with pytest.raises(MlsValidationError, match="TEST-key"):
        alice.add([package])
    with pytest.raises(AssertionError, match="credential"):
        bob.add([package])


# --- extensions -------------------------------------------------------------------------------------------------------


def test_unknown_extensions_of_group_leaf_key_package_and_group_info_pass_unharmed(
    suite: CipherSuite, stack: TsStack
) -> None:
    known = (GROUP_EXTENSION, LEAF_EXTENSION)
    required = RequiredCapabilities(known[:1]).as_extension()
    in_group = (Extension(GROUP_EXTENSION, b"of the group"), required)
    in_leaf = (Extension(LEAF_EXTENSION, b"of the leaf"),)
    alice = OurMember("alice", suite, extensions=known)
    bob = TsMember(stack, "bob", suite.id, extensions=known, leaf_extensions=in_leaf)
    alice.create(GROUP_ID, in_group)
    tell(alice.add([bob.key_package()]), alice, (), (bob,))
    agree(alice, bob)
    assert (int(GROUP_EXTENSION), b"of the group") in bob.context_extensions()
    assert leaf_of(alice, bob).extensions == in_leaf

    carol = OurMember("carol", suite, extensions=known)
    sent = bob.commit({"type": "add", "key_package": carol.key_package().hex()})
    tell(sent, bob, (alice,), (carol,))
    assert carol.group.context.extensions == in_group
    assert leaf_of(carol, bob).extensions == in_leaf

    changed = (*in_group[1:], Extension(GROUP_EXTENSION, b"changed"))
    tell(alice.commit(GroupContextExtensions(changed)), alice, (bob, carol))
    agree(alice, bob, carol)
    assert find_extension(carol.group.context.extensions, GROUP_EXTENSION) == b"changed"
    assert (int(GROUP_EXTENSION), b"changed") in bob.context_extensions()


def test_extensions_of_a_group_info_are_read_by_either(suite: CipherSuite, peer: NewPeer) -> None:
    more = (Extension(INFO_EXTENSION, b"of the group info"),)
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    carol, dave = OurMember("carol", suite), peer("dave")
    commit = carol.join_externally(bob.group_info(extensions=more))
    alice.receive(commit, carol)
    bob.receive(commit, carol)
    agree(alice, bob, carol)
    commit = dave.join_externally(alice.group_info(extensions=more))
    for member in (alice, bob, carol):
        member.receive(commit, dave)
    agree(alice, bob, carol, dave)


def test_who_does_not_know_an_extension_of_the_group_is_not_added(suite: CipherSuite, stack: TsStack) -> None:
    alice, bob = OurMember("alice", suite, extensions=(GROUP_EXTENSION,)), TsMember(stack, "bob", suite.id)
    alice.create(GROUP_ID, (Extension(GROUP_EXTENSION, b"of the group"),))
    with pytest.raises(MlsValidationError):
        alice.add([bob.key_package()])


def leaf_of(member: OurMember, other: TsMember) -> LeafNode:
    leaf = member.group.tree.leaf(LeafIndex(member.leaf_of(other.identity)))
    assert leaf is not None
    return leaf


# --- old epochs -------------------------------------------------------------------------------------------------------


def test_messages_of_epochs_that_are_over_are_read_by_either(suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    late: list[tuple[bytes, bytes]] = []
    for count in range(3):
        late.append((alice.seal(b"from alice %d" % count), bob.seal(b"from bob %d" % count)))
        committer, other = (alice, bob) if count % 2 else (bob, alice)
        other.receive(committer.update().commit, committer)
    for count, (from_alice, from_bob) in reversed(list(enumerate(late))):
        assert bob.receive(from_alice, alice) == b"from alice %d" % count
        assert alice.receive(from_bob, bob) == b"from bob %d" % count
        assert alice.heard == bob.authenticated_data
        with pytest.raises(MlsValidationError):
            alice.receive(from_bob, bob)
    agree(alice, bob)


def test_messages_out_of_order_are_read_once(suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    for sender, receiver in ((alice, bob), (bob, alice)):
        sealed = [sender.seal(b"%d" % count) for count in range(6)]
        for count in (3, 0, 5, 1, 4, 2):
            assert receiver.receive(sealed[count], sender) == b"%d" % count
    with pytest.raises(MlsValidationError):
        alice.receive(sealed[3], bob)


# --- proposals by reference, PSKs, custom proposals, outsiders --------------------------------------------------------


@pytest.mark.parametrize("form", ["public", "private"])
def test_proposals_by_reference_are_committed_by_the_other(form: str, suite: CipherSuite, stack: TsStack) -> None:
    is_public = form == "public"
    alice, dave = OurMember("alice", suite, public=is_public), OurMember("dave", suite, public=is_public)
    bob, carol = (TsMember(stack, name, suite.id, public=is_public) for name in ("bob", "carol"))
    establish(alice, bob)
    octets = bob.propose(type="add", key_package=carol.key_package().hex())
    alice.receive(octets, bob)
    assert alice.heard == bob.authenticated_data
    tell(alice.commit(), alice, (bob,), (carol,))
    agree(alice, bob, carol)
    for octets in (alice.propose_update(), alice.propose(Remove(LeafIndex(alice.leaf_of(carol.identity))))):
        bob.receive(octets, alice)
        assert bob.heard == alice.authenticated_data
    sent = bob.commit({"type": "add", "key_package": dave.key_package().hex()})
    tell(sent, bob, (alice,), (dave,))
    agree(alice, bob, dave)


class OnePsk:
    """Knows one external PSK."""

    def external_psk(self, psk_id: bytes) -> Secret | None:
        return Secret(PSK) if psk_id == PSK_ID else None

    def resumption_psk(self, group_id: bytes, epoch: Epoch) -> Secret | None:
        return None


def test_a_pre_shared_key_goes_into_the_epoch_of_both(suite: CipherSuite, stack: TsStack) -> None:
    alice = OurMember("alice", suite, policy=MemberPolicy(psks=OnePsk()))
    bob, carol = (TsMember(stack, name, suite.id, psks={PSK_ID: PSK}) for name in ("bob", "carol"))
    establish(alice, bob)
    nonce = bytes(suite.hash_octets)
    tell(alice.commit(PreSharedKey(ExternalPskID(PSK_ID, nonce))), alice, (bob,))
    agree(alice, bob)
    psk = {"type": "psk", "psk_id": PSK_ID.hex(), "psk_nonce": nonce.hex()}
    tell(bob.commit(psk, {"type": "add", "key_package": carol.key_package().hex()}), bob, (alice,), (carol,))
    agree(alice, bob, carol)


def test_a_custom_proposal_with_an_inner_length_is_committed_by_either(suite: CipherSuite, stack: TsStack) -> None:
    """ts-mls writes any custom body as ``opaque<V>``, which the engine is told."""
    rule = CustomProposalRule(proposal_type=CUSTOM, read_body=opaque_body)
    policy = MemberPolicy(seams=Seams(custom_proposals={CUSTOM: rule}))
    alice = OurMember("alice", suite, policy=policy, proposals=(CUSTOM,))
    bob = TsMember(stack, "bob", suite.id, proposals=[CUSTOM])
    establish(alice, bob)
    tell(alice.commit(CustomProposal(CUSTOM, b"\x05hello")), alice, (bob,))
    agree(alice, bob)
    custom = {"type": int(CUSTOM), "body": b"hello".hex()}
    tell(bob.commit(custom), bob, (alice,))
    agree(alice, bob)
    alice.receive(bob.propose(**custom), bob)
    assert [entry.proposal for entry in alice.group.proposals] == [CustomProposal(CUSTOM, b"\x05hello")]
    tell(alice.commit(), alice, (bob,))
    agree(alice, bob)


def test_a_newcomer_proposes_itself_to_both(suite: CipherSuite, peer: NewPeer) -> None:
    """External senders are left to other peers: ts-mls 1.6.4 reads external_senders as a single sender."""
    alice, bob, carol = OurMember("alice", suite), peer("bob"), OurMember("carol", suite)
    establish(alice, bob)
    carol.key_package()
    octets = propose_to_join(carol.packages[-1], GROUP_ID, alice.group.epoch, b"let me in").encode()
    for member in (alice, bob):
        member.receive(octets, carol)
        assert member.heard == b"let me in"
    tell(bob.commit(), bob, (alice,), (carol,))
    agree(alice, bob, carol)


def test_a_commit_of_the_peer_that_was_changed_is_refused_and_the_genuine_one_still_applies(
    suite: CipherSuite, peer: NewPeer
) -> None:
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    sent = bob.update()
    changed = bytearray(sent.commit)
    changed[-1] ^= 1
    with pytest.raises(MlsValidationError):
        alice.receive(bytes(changed), bob)
    tell(sent, bob, (alice,))
    agree(alice, bob)


# --- faults of ts-mls 1.6.4, which the engine does not take for right -------------------------------------------------


def test_a_compressed_signature_key_is_refused(stack: TsStack) -> None:
    suite = CipherSuite.of(2)
    alice = OurMember("alice", suite)
    alice.create(GROUP_ID)
    key = TsKey(TsKey.for_suite(2).private, is_compressed=True)
    package = TsMember(stack, "bob", 2, key=key).key_package()
    with pytest.raises(MlsValidationError):
        alice.add([package])


def test_a_group_info_whose_external_pub_has_no_length_is_refused(suite: CipherSuite, peer: NewPeer) -> None:
    alice, bob, carol = OurMember("alice", suite), peer("bob"), OurMember("carol", suite)
    establish(alice, bob)
    with pytest.raises(RemoteProtocolError):
        carol.join_externally(bob.headless_group_info())
    assert not carol.is_member


def test_new_extensions_of_the_group_without_a_path_are_refused(suite: CipherSuite, peer: NewPeer) -> None:
    """RFC 9420 §12.4 wants a path with GroupContextExtensions; ts-mls makes none."""
    alice, bob = OurMember("alice", suite), peer("bob")
    establish(alice, bob)
    commit = bob.commit({"type": "extensions", "extensions": [(3, RequiredCapabilities().encode().hex())]}).commit
    with pytest.raises(MlsValidationError, match="path"):
        alice.receive(commit, bob)
    assert alice.group.context.extensions == ()
