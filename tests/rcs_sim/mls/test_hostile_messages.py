"""Octets that were cut or changed, before and after signing: refused by an error of ours, and nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit, UpdatePath
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.credential import BasicCredential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, ExternalPub, ExternalSender, ExternalSenders
from rcs_sim.mls.external import join_externally, propose_as_sender, propose_to_join
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    ExtensionType,
    LeafIndex,
    ProtocolVersion,
    ResumptionPskUsage,
    WireFormat,
)
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import FramedContent, MLSMessage, PublicMessage
from rcs_sim.mls.proposal_validation import verify_key_package
from rcs_sim.mls.proposals import Add, CustomProposal, GroupContextExtensions, PreSharedKey, Proposal, ReInit, Remove
from rcs_sim.mls.psk_id import ResumptionPskID
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.snapshot import restore, snapshot
from rcs_sim.mls.welcome import Welcome
from tests.rcs_sim.mls.test_commit_validation import with_path
from tests.rcs_sim.mls.test_proposal_validation import own_update
from tests.support.forge import edited_commit, public_message, refusal, resigned_key_package, signed
from tests.support.mls_groups import CUSTOM, GROUP_ID, NOW_S, SUITE, Party, established
from tests.support.mls_tree_views import seeded

_PUBLIC = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
_OURS = (MlsValidationError, TlsDecodeError)
_EXTENSION = Extension(ExtensionType(0xF001), b"x")
_SENDER_KEY = SUITE.scheme.generate(seeded("service"))
_SENDERS = ExternalSenders((ExternalSender(_SENDER_KEY.public, BasicCredential(b"service")),)).as_extension()
_PROPOSALS = ["add", "update", "remove", "psk", "reinit", "extensions", "custom", "own add", "outsider"]
_KINDS = [*_PROPOSALS, "application", "private proposal", "private commit", "commit", "join"]
_PLACES = st.floats(0, 1, exclude_max=True)


class Scene:
    """Alice has sent one message of each kind; bob is to read them."""

    def __init__(self) -> None:
        parties = established("alice", "bob", "carol", policy=_PUBLIC, extensions=(_SENDERS,))
        self.alice, self.bob, self.carol = parties
        self.dave = Party("dave")
        alice, epoch = self.alice, self.alice.group.epoch
        contents: dict[str, Proposal] = {
            "add": Party("erin").add(),
            "update": own_update(alice),
            "remove": Remove(LeafIndex(2)),
            "psk": PreSharedKey(ResumptionPskID(ResumptionPskUsage.APPLICATION, GROUP_ID, epoch, bytes(32))),
            "reinit": ReInit(b"new", ProtocolVersion.MLS10, CipherSuiteId(1), ()),
            "extensions": GroupContextExtensions((_SENDERS, _EXTENSION)),
            "custom": CustomProposal.of_opaque(CUSTOM, b"body"),
        }
        self.messages = {kind: public_message(alice, signed(alice, content)) for kind, content in contents.items()}
        self.messages["application"] = alice.seal(b"hello", b"beside")
        self.messages["own add"] = propose_to_join(Party("frank").key_package(), GROUP_ID, epoch).encode()
        outsider = propose_as_sender(SUITE, _SENDER_KEY, 0, GROUP_ID, epoch, Remove(LeafIndex(2)))
        self.messages["outsider"] = outsider.encode()
        proposals = (self.dave.add(), Remove(LeafIndex(2)), GroupContextExtensions((_SENDERS, _EXTENSION)))
        request = CommitRequest(proposals=proposals)
        sealing = restore(snapshot(alice.group), lambda _: alice.client.signature_key, MemberPolicy())
        self.messages["private proposal"] = sealing.propose(contents["add"], alice.random, now_s=NOW_S).encode()
        self.messages["private commit"] = sealing.commit(
            replace(request, references=()), alice.random, NOW_S
        ).message.encode()
        self.pending = alice.group.commit(request, alice.random, NOW_S)
        self.messages["commit"] = self.pending.message.encode()
        info = alice.group.group_info(with_tree=True)
        erin = Party("erin")
        self.messages["join"] = join_externally(erin.client, info, erin.random, now_s=NOW_S).message.encode()
        self.info = info.encode()
        self.tree = alice.group.ratchet_tree().encode()
        self.bare_info = alice.group.group_info().encode()
        self.state = snapshot(self.bob.group)


@cache
def scene() -> Scene:
    return Scene()


def flipped(octets: bytes, place: float, bit: int) -> bytes:
    at = int(place * len(octets))
    return octets[:at] + bytes([octets[at] ^ 1 << bit]) + octets[at + 1 :]


def offered(octets: bytes) -> str:
    """What bob makes of *octets*: the kind of refusal, or that there was none."""
    bob = scene().bob
    group = restore(scene().state, lambda _: bob.client.signature_key, _PUBLIC)
    before = snapshot(group)
    try:
        found = group.verify(MLSMessage.decode(octets), NOW_S)
        if isinstance(found, VerifiedCommit):
            group.stage_commit(found, NOW_S)
    except _OURS as refused:
        assert snapshot(group) == before
        return type(refused).__name__
    return "accepted"


@pytest.mark.parametrize("kind", _KINDS)
@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_a_message_with_a_changed_bit_is_refused(kind: str, place: float, bit: int) -> None:
    octets = scene().messages[kind]
    assert offered(octets) == "accepted"
    assert offered(flipped(octets, place, bit)) != "accepted"
    assert offered(octets[: int(place * len(octets))]) == "TlsDecodeError"


@pytest.mark.parametrize("kind", [*_PROPOSALS[:-2], "commit", "join"])
@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_content_that_was_changed_before_it_was_signed_does_no_harm(kind: str, place: float, bit: int) -> None:
    alice, body = scene().alice, MLSMessage.decode(scene().messages[kind]).body
    assert isinstance(body, PublicMessage)
    try:
        content = FramedContent.decode(flipped(body.content.encode(), place, bit))
    except TlsDecodeError:
        return
    tag = body.auth.confirmation_tag
    forged = signed(
        alice,
        content.content,
        sender=content.sender,
        group_id=content.group_id,
        epoch=content.epoch,
        confirmation_tag=tag if isinstance(content.content, Commit) else None,
    )
    outcome = offered(public_message(alice, forged))
    assert outcome != "accepted" or kind not in ("commit", "join") or content == body.content


@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_welcome_with_a_changed_bit_leads_into_no_other_group(place: float, bit: int) -> None:
    pending, dave = scene().pending, scene().dave
    assert pending.welcome is not None
    octets = flipped(pending.welcome.encode(), place, bit)
    try:
        welcome = MLSMessage.decode(octets).body
        assert isinstance(welcome, Welcome)
        group = Group.join(open_welcome(welcome, dave.packages, dave.policy), now_s=NOW_S)
    except (*_OURS, AssertionError):
        return
    assert group.epoch_authenticator == pending.epoch_authenticator


@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_group_info_with_a_changed_bit_is_refused(place: float, bit: int) -> None:
    octets = flipped(scene().info, place, bit)
    with pytest.raises(_OURS):
        PublicGroup.start(GroupInfo.decode(octets), now_s=NOW_S)


@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_tree_with_a_changed_bit_is_refused(place: float, bit: int) -> None:
    """It is beside its GroupInfo, which has its hash."""
    octets = flipped(scene().tree, place, bit)
    with pytest.raises(_OURS):
        PublicGroup.start(
            GroupInfo.decode(scene().bare_info), ratchet_tree=RatchetTreeExtension.decode(octets), now_s=NOW_S
        )


@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=80, deadline=None)
def test_a_key_package_with_a_changed_bit_is_refused(place: float, bit: int) -> None:
    package = scene().dave.packages[0].key_package
    try:
        changed = KeyPackage.decode(flipped(package.encode(), place, bit))
    except TlsDecodeError:
        return
    with pytest.raises(_OURS):
        verify_key_package(SUITE, changed, NOW_S)


@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=120, deadline=None)
def test_a_snapshot_with_a_changed_bit_is_a_group_or_refused(place: float, bit: int) -> None:
    """Who keeps snapshots keeps them safe: but what is broken fails by an error of ours."""
    bob = scene().bob
    try:
        group = restore(flipped(scene().state, place, bit), lambda _: bob.client.signature_key, _PUBLIC)
    except _OURS:
        return
    assert group.own_leaf < 2**32


@pytest.mark.parametrize("kind", [*_PROPOSALS, "commit", "join"])
@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=30, deadline=None)
def test_a_server_refuses_them_as_well(kind: str, place: float, bit: int) -> None:
    alice = scene().alice
    server = PublicGroup.start(GroupInfo.decode(scene().info), now_s=NOW_S)
    octets = flipped(scene().messages[kind], place, bit)
    try:
        found = server.verify(MLSMessage.decode(octets), NOW_S)
        assert isinstance(found, (VerifiedCommit, VerifiedProposal))
    except _OURS:
        return
    body, genuine = MLSMessage.decode(octets).body, MLSMessage.decode(scene().messages[kind]).body
    assert isinstance(body, PublicMessage)
    assert isinstance(genuine, PublicMessage)
    assert body.content == genuine.content  # only the two tags are for members alone
    assert alice.is_member


# --- what a point may not look like -----------------------------------------------------------------------------------


def compressed(point: bytes) -> bytes:
    """The other form of a NIST point, which MLS does not have (RFC 9420 §5.1.1, RFC 9180 §7.1.1)."""
    return bytes((2 + (point[-1] & 1),)) + point[1 : 1 + len(point) // 2]


_P256 = CipherSuite.of(2)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda p: replace(p, init_key=compressed(p.init_key)), "VAL-817"),
        (
            lambda p: replace(p, leaf_node=replace(p.leaf_node, encryption_key=compressed(p.leaf_node.encryption_key))),
            "VAL-717",
        ),
        (
            lambda p: replace(p, leaf_node=replace(p.leaf_node, signature_key=compressed(p.leaf_node.signature_key))),
            "VAL-708",
        ),
    ],
    ids=["init", "encryption", "signature"],
)
def test_a_compressed_point_in_a_key_package_is_refused(change: Callable[[KeyPackage], KeyPackage], rule: str) -> None:
    alice, bob = established("alice", "bob", policy=_PUBLIC, suite=_P256)
    dave = Party("dave", suite=_P256)
    package = resigned_key_package(dave.client, change(dave.key_package().key_package))
    assert refusal(bob, public_message(alice, signed(alice, Add(package)))) == rule


def test_a_compressed_point_in_a_path_or_as_a_kem_output_is_refused() -> None:
    alice, bob, carol = established("alice", "bob", "carol", policy=_PUBLIC, suite=_P256)
    octets = alice.group.commit(CommitRequest(), alice.random, NOW_S).message.encode()

    def node(path: UpdatePath) -> UpdatePath:
        return replace(path, nodes=tuple(replace(n, encryption_key=compressed(n.encryption_key)) for n in path.nodes))

    def sent(path: UpdatePath) -> UpdatePath:
        nodes = []
        for each in path.nodes:
            sealed = tuple(replace(c, kem_output=compressed(c.kem_output)) for c in each.encrypted_path_secret)
            nodes.append(replace(each, encrypted_path_secret=sealed))
        return replace(path, nodes=tuple(nodes))

    for change, rule in ((node, "VAL-724"), (sent, "ValSem203")):
        assert refusal(bob, edited_commit(alice, octets, with_path(change))) == rule
    bob.follow(octets)
    assert carol.is_member


def test_a_compressed_point_in_a_tree_or_as_an_external_pub_is_refused() -> None:
    alice, _ = established("alice", "bob", suite=_P256)
    dave = Party("dave", suite=_P256)
    key = alice.group.state.secrets.external_key_pair(_P256).public
    info = alice.group.group_info(with_external_pub=False, extensions=(ExternalPub(compressed(key)).as_extension(),))
    tree = alice.group.ratchet_tree()
    with pytest.raises(MlsValidationError) as refused:
        join_externally(dave.client, info, dave.random, ratchet_tree=tree, now_s=NOW_S)
    assert refused.value.rule == "VAL-835"
    leaf = alice.group.own_leaf_node
    changed = replace(leaf, encryption_key=compressed(leaf.encryption_key))
    other = RatchetTreeExtension((changed, *tree.nodes[1:]))
    with pytest.raises(MlsValidationError) as refused:
        PublicGroup.start(alice.group.group_info(), ratchet_tree=other)
    assert refused.value.rule == "VAL-718"
