"""Messages (RFC 9420 §6)."""

from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.identifiers import CipherSuiteId, ContentType, Epoch, LeafIndex, SenderType, WireFormat
from rcs_sim.mls.messages import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    AuthenticatedContent,
    FramedContent,
    FramedContentAuthData,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    content_type_of,
)
from rcs_sim.mls.proposals import Remove
from rcs_sim.mls.welcome import Welcome
from tests.rcs_sim.mls.test_key_package import KEY_PACKAGE

_REMOVE = Remove(LeafIndex(1))


def _content(sender: Sender) -> FramedContent:
    return FramedContent(b"group", Epoch(1), sender, b"aad", _REMOVE)


def test_only_members_and_external_senders_have_an_index() -> None:
    assert Sender.member(LeafIndex(3)).encode() == b"\x01\x00\x00\x00\x03"
    assert Sender.external(2).encode() == b"\x02\x00\x00\x00\x02"
    assert (NEW_MEMBER_PROPOSAL.encode(), NEW_MEMBER_COMMIT.encode()) == (b"\x03", b"\x04")
    for wrong in (Sender(SenderType.MEMBER), Sender(SenderType.EXTERNAL), Sender(SenderType.NEW_MEMBER_COMMIT, 1)):
        with pytest.raises(LocalProtocolError):
            wrong.encode()
    for octets in (b"\x00", b"\x05", b"\x01\x00"):
        with pytest.raises(TlsDecodeError):
            Sender.decode(octets)


def test_only_a_member_has_a_leaf() -> None:
    assert Sender.member(LeafIndex(3)).leaf_index == 3
    assert Sender.external(3).leaf_index is None
    assert NEW_MEMBER_COMMIT.leaf_index is None


def test_the_content_type_follows_from_the_content() -> None:
    assert content_type_of(b"text") is ContentType.APPLICATION
    assert content_type_of(_REMOVE) is ContentType.PROPOSAL
    assert content_type_of(Commit((), None)) is ContentType.COMMIT


def test_a_public_message_of_a_member_ends_in_a_membership_tag() -> None:
    auth = FramedContentAuthData(b"signed")
    member = PublicMessage(_content(Sender.member(LeafIndex(0))), auth, b"tag")
    other = PublicMessage(_content(Sender.external(0)), auth, None)
    for message in (member, other):
        assert MLSMessage.decode(MLSMessage(message).encode()).body == message
        assert message.authenticated_content() == AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, message.content, auth)
    with pytest.raises(TlsDecodeError):
        MLSMessage.decode(MLSMessage(member).encode()[:-4])


def test_a_message_says_its_wire_format() -> None:
    private = PrivateMessage(b"group", Epoch(1), ContentType.APPLICATION, b"", b"sender", b"ciphertext")
    public = PublicMessage(_content(NEW_MEMBER_PROPOSAL), FramedContentAuthData(b""), None)
    welcome = Welcome(CipherSuiteId(2), (), b"")
    for body, wire_format in ((public, 1), (private, 2), (welcome, 3), (KEY_PACKAGE, 5)):
        message = MLSMessage(body)
        assert message.wire_format == wire_format
        assert message.encode()[:4] == bytes((0, 1, 0, wire_format))
        assert MLSMessage.decode(message.encode()) == message


@pytest.mark.parametrize(
    "octets", [b"\x00\x02\x00\x05", b"\x00\x01\x00\x00", b"\x00\x01\x00\x06", b"\x00\x01\x0a\x0a", b""]
)
def test_other_versions_and_wire_formats_are_refused(octets: bytes) -> None:
    with pytest.raises(TlsDecodeError):
        MLSMessage.decode(octets + KEY_PACKAGE.encode())


@pytest.mark.parametrize("number", [0, 4, 255])
def test_another_content_type_is_refused(number: int) -> None:
    octets = bytearray(_content(NEW_MEMBER_PROPOSAL).encode())
    place = octets.index(b"\x03aad") + 4
    octets[place] = number
    with pytest.raises(TlsDecodeError, match="content"):
        FramedContent.decode(bytes(octets))
