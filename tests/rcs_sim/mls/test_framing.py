"""Signatures and PublicMessage (RFC 9420 §6.1, §6.2)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import (
    membership_tag,
    protect_public,
    sign_content,
    signed_octets,
    unprotect_public,
    verify_signature,
)
from rcs_sim.mls.identifiers import Epoch, LeafIndex, WireFormat
from rcs_sim.mls.messages import (
    NEW_MEMBER_COMMIT,
    NEW_MEMBER_PROPOSAL,
    AuthenticatedContent,
    Content,
    FramedContentAuthData,
    MLSMessage,
    PublicMessage,
    Sender,
)
from rcs_sim.mls.proposals import Remove
from tests.support.mls_epoch import FramingEpoch, fixed_octets

_REMOVE = Remove(LeafIndex(2))
_COMMIT = Commit((_REMOVE,), None)
_EPOCH = FramingEpoch(CipherSuite.of(2))
_PUBLIC = WireFormat.PUBLIC_MESSAGE


def _message(content: Content = _REMOVE) -> PublicMessage:
    signed = _EPOCH.signed(content, _PUBLIC)
    return protect_public(_EPOCH.suite, signed, _EPOCH.secrets.membership_key, _EPOCH.context)


def _read(message: PublicMessage, epoch: FramingEpoch = _EPOCH) -> AuthenticatedContent:
    return unprotect_public(epoch.suite, message, epoch.secrets.membership_key, epoch.context)


def _rule(message: PublicMessage) -> str:
    with pytest.raises(MlsValidationError) as refused:
        _read(message)
    return refused.value.rule


def _tagged(message: PublicMessage) -> PublicMessage:
    """*message* with the membership tag that a member would give it: insiders can."""
    authenticated = message.authenticated_content()
    tag = membership_tag(_EPOCH.suite, _EPOCH.secrets.membership_key, authenticated, _EPOCH.context)
    return replace(message, membership_tag=tag)


def _verify(authenticated: AuthenticatedContent, public: bytes = _EPOCH.key.public) -> None:
    verify_signature(_EPOCH.suite, authenticated, public, _EPOCH.context)


@pytest.mark.parametrize("content", [_REMOVE, _COMMIT], ids=["proposal", "commit"])
def test_a_members_message_is_believed(content: Content) -> None:
    octets = MLSMessage(_message(content)).encode()
    received = MLSMessage.decode(octets).body
    assert isinstance(received, PublicMessage)
    authenticated = _read(received)
    _verify(authenticated)
    assert authenticated.content.content == content
    assert authenticated.content.authenticated_data == b"aad"


def test_application_data_in_public_is_refused_valsem005() -> None:
    assert _rule(_message(b"text")) == "ValSem005"


def test_a_member_without_membership_tag_is_refused_valsem007() -> None:
    assert _rule(replace(_message(), membership_tag=None)) == "ValSem007"


def test_a_wrong_membership_tag_is_refused_valsem008() -> None:
    message = _message()
    assert message.membership_tag is not None
    flipped = bytes((message.membership_tag[0] ^ 1,)) + message.membership_tag[1:]
    for tag in (flipped, b"", message.membership_tag[:-1]):
        assert _rule(replace(message, membership_tag=tag)) == "ValSem008"
    for changed in (
        replace(message, content=replace(message.content, authenticated_data=b"other")),
        replace(message, content=replace(message.content, epoch=Epoch(8))),
        replace(message, auth=FramedContentAuthData(b"other")),
    ):
        assert _rule(changed) == "ValSem008"


def test_a_commit_without_confirmation_tag_is_refused_valsem009() -> None:
    message = _message(_COMMIT)
    assert _rule(_tagged(replace(message, auth=FramedContentAuthData(message.auth.signature)))) == "ValSem009"


def test_a_signature_of_another_is_refused_valsem010() -> None:
    """An insider has the membership key; only the signature tells who spoke."""
    other = _EPOCH.suite.scheme.generate(lambda length: b"\x07" * length)
    forged = sign_content(_EPOCH.suite, other, _PUBLIC, _EPOCH.framed(_REMOVE), _EPOCH.context)
    message = protect_public(_EPOCH.suite, forged, _EPOCH.secrets.membership_key, _EPOCH.context)
    with pytest.raises(MlsValidationError) as refused:
        _verify(_read(message))
    assert refused.value.rule == "ValSem010"


def test_a_signature_covers_content_context_and_wire_format_valsem010() -> None:
    signed = _EPOCH.signed(_REMOVE, _PUBLIC)
    _verify(signed)
    private = replace(signed, wire_format=WireFormat.PRIVATE_MESSAGE)
    unsigned = replace(signed, auth=FramedContentAuthData(b""))
    changed = replace(signed, content=replace(signed.content, authenticated_data=b"other"))
    for wrong in (private, unsigned, changed):
        with pytest.raises(MlsValidationError, match="ValSem010"):
            _verify(wrong)
    with pytest.raises(MlsValidationError, match="ValSem010"):
        verify_signature(_EPOCH.suite, signed, _EPOCH.key.public, replace(_EPOCH.context, tree_hash=b"other"))


@pytest.mark.parametrize("sender", [Sender.external(0), NEW_MEMBER_PROPOSAL], ids=["external", "new member"])
def test_who_is_outside_signs_without_context_and_has_no_membership_tag(sender: Sender) -> None:
    content = _EPOCH.framed(_REMOVE, sender=sender)
    signed = sign_content(_EPOCH.suite, _EPOCH.key, _PUBLIC, content, None)
    message = protect_public(_EPOCH.suite, signed)
    assert message.membership_tag is None
    verify_signature(_EPOCH.suite, _read(message), _EPOCH.key.public, None)
    assert signed_octets(_PUBLIC, content, _EPOCH.context) == signed_octets(_PUBLIC, content, None)


def test_who_joins_by_a_commit_signs_in_the_context_and_has_no_membership_tag() -> None:
    content = _EPOCH.framed(_COMMIT, sender=NEW_MEMBER_COMMIT)
    assert signed_octets(_PUBLIC, content, _EPOCH.context).endswith(_EPOCH.context.encode())
    assert protect_public(_EPOCH.suite, _EPOCH.signed(_COMMIT, _PUBLIC, NEW_MEMBER_COMMIT)).membership_tag is None
    with pytest.raises(LocalProtocolError):
        signed_octets(_PUBLIC, content, None)


def test_a_member_cannot_forget_context_or_membership_key() -> None:
    with pytest.raises(LocalProtocolError):
        sign_content(_EPOCH.suite, _EPOCH.key, _PUBLIC, _EPOCH.framed(_REMOVE), None)
    with pytest.raises(LocalProtocolError):
        protect_public(_EPOCH.suite, _EPOCH.signed(_REMOVE, _PUBLIC))
    with pytest.raises(LocalProtocolError):
        signed_octets(WireFormat.WELCOME, _EPOCH.framed(_REMOVE), _EPOCH.context)


@pytest.mark.parametrize("number", range(1, 8))
def test_every_suite_frames_and_reads(number: int) -> None:
    epoch = FramingEpoch(CipherSuite.of(number))
    signed = epoch.signed(_COMMIT, _PUBLIC)
    message = protect_public(epoch.suite, signed, epoch.secrets.membership_key, epoch.context)
    authenticated = _read(message, epoch)
    verify_signature(epoch.suite, authenticated, epoch.key.public, epoch.context)
    other = Secret(fixed_octets(epoch.suite.hash_octets))
    with pytest.raises(MlsValidationError, match="ValSem008"):
        unprotect_public(epoch.suite, message, other, epoch.context)
