"""Signatures of messages, and PublicMessage (RFC 9420 §6.1, §6.2). It needs no secret but the membership key."""

from __future__ import annotations

from dataclasses import replace

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite, SignatureKey
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import ContentType, SenderType, WireFormat
from rcs_sim.mls.messages import AuthenticatedContent, FramedContent, FramedContentAuthData, PublicMessage

__all__ = [
    "is_framed_signature",
    "membership_tag",
    "protect_public",
    "sign_content",
    "sign_framed",
    "signed_octets",
    "unprotect_public",
    "verify_membership_tag",
    "verify_public_form",
    "verify_signature",
    "with_confirmation_tag",
]

_LABEL = "FramedContentTBS"
_PREFIXES = {  # version mls10, and the wire format
    WireFormat.PUBLIC_MESSAGE: b"\x00\x01\x00\x01",
    WireFormat.PRIVATE_MESSAGE: b"\x00\x01\x00\x02",
}
_IN_CONTEXT = frozenset((SenderType.MEMBER, SenderType.NEW_MEMBER_COMMIT))


def signed_octets(wire_format: WireFormat, content: FramedContent, context: GroupContext | None) -> bytes:
    """``FramedContentTBS`` (RFC 9420 §6.1). *context* is that of the epoch of the message, and covered if the sender
    is a member or joins by this message."""
    prefix = _PREFIXES.get(wire_format)
    if prefix is None:
        raise LocalProtocolError(f"a content is not framed as {wire_format!r}", spec="RFC 9420 §6.1")
    if content.sender.sender_type not in _IN_CONTEXT:
        return prefix + content.encode()
    if context is None:
        raise LocalProtocolError("a member signs in the context of the group", spec="RFC 9420 §6.1")
    return prefix + content.encode() + context.encode()


def sign_framed(suite: CipherSuite, key: SignatureKey, signed: bytes) -> bytes:
    """The signature over *signed*, which is what `signed_octets` gives."""
    return suite.sign_with_label(key, _LABEL, signed)


def is_framed_signature(suite: CipherSuite, public: bytes, signed: bytes, signature: bytes) -> bool:
    """Whether the owner of *public* has signed *signed*, which is what `signed_octets` gives."""
    return suite.verify_with_label(public, _LABEL, signed, signature)


def sign_content(
    suite: CipherSuite, key: SignatureKey, wire_format: WireFormat, content: FramedContent, context: GroupContext | None
) -> AuthenticatedContent:
    """*content* signed with *key*. A Commit lacks its confirmation tag still, which depends on the signature: see
    `with_confirmation_tag`."""
    signature = sign_framed(suite, key, signed_octets(wire_format, content, context))
    return AuthenticatedContent(wire_format, content, FramedContentAuthData(signature))


def with_confirmation_tag(commit: AuthenticatedContent, confirmation_tag: bytes) -> AuthenticatedContent:
    """A signed Commit made whole."""
    return replace(commit, auth=FramedContentAuthData(commit.auth.signature, confirmation_tag))


def verify_signature(
    suite: CipherSuite, authenticated: AuthenticatedContent, public: bytes, context: GroupContext | None
) -> None:
    """ValSem010: the signature is by the owner of *public*, who the caller says is the sender."""
    signed = signed_octets(authenticated.wire_format, authenticated.content, context)
    if not is_framed_signature(suite, public, signed, authenticated.auth.signature):
        raise MlsValidationError("ValSem010", "a message is not signed by its sender", spec="RFC 9420 §6.1")


def membership_tag(
    suite: CipherSuite, membership_key: Secret, authenticated: AuthenticatedContent, context: GroupContext
) -> bytes:
    """membership_tag: MAC of ``AuthenticatedContentTBM`` (RFC 9420 §6.2)."""
    signed = signed_octets(authenticated.wire_format, authenticated.content, context)
    return suite.mac(membership_key, signed + authenticated.auth.encode())


def protect_public(
    suite: CipherSuite,
    authenticated: AuthenticatedContent,
    membership_key: Secret | None = None,
    context: GroupContext | None = None,
) -> PublicMessage:
    """The PublicMessage of a signed content. A member's takes the last two arguments, any other's neither."""
    if authenticated.content.sender.sender_type is not SenderType.MEMBER:
        return PublicMessage(authenticated.content, authenticated.auth, None)
    if membership_key is None or context is None:
        raise LocalProtocolError("a member's message has a membership tag", spec="RFC 9420 §6.2")
    tag = membership_tag(suite, membership_key, authenticated, context)
    return PublicMessage(authenticated.content, authenticated.auth, tag)


def verify_public_form(message: PublicMessage) -> None:
    """ValSem005: application data is never public. ValSem009: a Commit has a confirmation tag."""
    content_type = message.content.content_type
    if content_type is ContentType.APPLICATION:
        raise MlsValidationError("ValSem005", "application data came unencrypted", spec="RFC 9420 §6.2")
    if content_type is ContentType.COMMIT and message.auth.confirmation_tag is None:
        raise MlsValidationError("ValSem009", "a commit has no confirmation tag", spec="RFC 9420 §6.1")


def verify_membership_tag(
    suite: CipherSuite, membership_key: Secret, message: PublicMessage, context: GroupContext
) -> None:
    """ValSem007: a member's message has a membership tag. ValSem008: it is the right one. Others have none."""
    if message.content.sender.sender_type is not SenderType.MEMBER:
        return
    if message.membership_tag is None:
        raise MlsValidationError("ValSem007", "a member's message has no membership tag", spec="RFC 9420 §6.2")
    signed = signed_octets(WireFormat.PUBLIC_MESSAGE, message.content, context)
    if not suite.is_mac(membership_key, signed + message.auth.encode(), message.membership_tag):
        raise MlsValidationError("ValSem008", "a membership tag is wrong", spec="RFC 9420 §6.2")


def unprotect_public(
    suite: CipherSuite, message: PublicMessage, membership_key: Secret, context: GroupContext
) -> AuthenticatedContent:
    """What a member reads in a PublicMessage: its form and its membership tag are right, its signature is yet to be
    verified. Raises MlsValidationError."""
    verify_public_form(message)
    verify_membership_tag(suite, membership_key, message, context)
    return message.authenticated_content()
