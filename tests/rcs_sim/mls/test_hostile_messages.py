"""Octets that were cut or changed, before and after signing: refused by an error of ours, and nothing has changed."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_builder import CommitRequest
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension
from rcs_sim.mls.external import join_externally
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.identifiers import ExtensionType, LeafIndex, WireFormat
from rcs_sim.mls.joining import open_welcome
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import FramedContent, MLSMessage, PublicMessage
from rcs_sim.mls.proposals import GroupContextExtensions, Remove
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.snapshot import restore, snapshot
from rcs_sim.mls.welcome import Welcome
from tests.rcs_sim.mls.test_proposal_validation import own_update
from tests.support.forge import public_message, signed
from tests.support.mls_groups import NOW_S, Party, established

_PUBLIC = MemberPolicy(handshake_wire_format=WireFormat.PUBLIC_MESSAGE)
_OURS = (MlsValidationError, TlsDecodeError)
_PLACES = st.floats(0, 1, exclude_max=True)


class Scene:
    """Alice has sent one message of each kind; bob is to read them."""

    def __init__(self) -> None:
        self.alice, self.bob, self.carol = established("alice", "bob", "carol", policy=_PUBLIC)
        self.dave = Party("dave")
        alice = self.alice
        self.messages = {
            "application": alice.seal(b"hello"),
            "add": public_message(alice, signed(alice, Party("erin").add())),
            "update": public_message(alice, signed(alice, own_update(alice))),
            "remove": public_message(alice, signed(alice, Remove(LeafIndex(2)))),
        }
        extension = Extension(ExtensionType(0xF001), b"x")
        proposals = (self.dave.add(), Remove(LeafIndex(2)), GroupContextExtensions((extension,)))
        self.pending = alice.group.commit(CommitRequest(proposals=proposals), alice.random, NOW_S)
        self.messages["commit"] = self.pending.message.encode()
        info = alice.group.group_info(with_tree=True)
        erin = Party("erin")
        self.messages["join"] = join_externally(erin.client, info, erin.random, now_s=NOW_S).message.encode()
        self.info = info.encode()
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


@pytest.mark.parametrize("kind", ["application", "add", "update", "remove", "commit", "join"])
@given(place=_PLACES, bit=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_a_message_with_a_changed_bit_is_refused(kind: str, place: float, bit: int) -> None:
    octets = scene().messages[kind]
    assert offered(octets) == "accepted"
    assert offered(flipped(octets, place, bit)) != "accepted"
    assert offered(octets[: int(place * len(octets))]) == "TlsDecodeError"


@pytest.mark.parametrize("kind", ["add", "update", "remove", "commit", "join"])
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


@pytest.mark.parametrize("kind", ["add", "update", "remove", "commit", "join"])
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
