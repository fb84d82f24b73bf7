"""What travels: FramedContent, its two protected forms, and MLSMessage (RFC 9420 §6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self, TypeAlias

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import (
    Reader,
    ReceivedStruct,
    TlsStruct,
    encode_opaque,
    encode_u8,
    encode_u16,
    encode_u32,
    encode_u64,
)
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.group_info import GroupInfo
from rcs_sim.mls.identifiers import ContentType, Epoch, LeafIndex, ProtocolVersion, SenderType, WireFormat
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.proposals import Proposal, read_proposal
from rcs_sim.mls.welcome import Welcome

__all__ = [
    "NEW_MEMBER_COMMIT",
    "NEW_MEMBER_PROPOSAL",
    "AuthenticatedContent",
    "Content",
    "FramedContent",
    "FramedContentAuthData",
    "MLSMessage",
    "MLSMessageBody",
    "PrivateMessage",
    "PublicMessage",
    "Sender",
    "content_type_of",
    "encode_content",
    "encode_group_and_epoch",
    "read_content",
    "read_content_type",
]

_SPEC = "RFC 9420 §6"
_KEPT_HEADS = 1024  # groups whose messages are about
_KEPT_SENDERS = 4096  # leaves of a few groups of 1000
_CONTENT_TYPES: Mapping[int, ContentType] = {int(each): each for each in ContentType}

Content: TypeAlias = bytes | Proposal | Commit
"""application_data, or a handshake message."""


@dataclass(frozen=True, slots=True)
class Sender(TlsStruct):
    """``Sender`` (RFC 9420 §6). *index* is the leaf_index of a member, the sender_index of an external sender (its
    place in the external_senders extension), None for the others."""

    sender_type: SenderType
    index: int | None = None

    @classmethod
    def member(cls, leaf_index: LeafIndex) -> Sender:
        return _member(leaf_index)

    @classmethod
    def external(cls, sender_index: int) -> Self:
        return cls(SenderType.EXTERNAL, sender_index)

    @property
    def leaf_index(self) -> LeafIndex | None:
        """Leaf of a member, None for other senders."""
        is_member = self.sender_type == SenderType.MEMBER and self.index is not None
        return LeafIndex(self.index) if is_member and self.index is not None else None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        sender_type = reader.u8()
        if sender_type == SenderType.MEMBER:
            return cls(SenderType.MEMBER, reader.u32())
        if sender_type == SenderType.EXTERNAL:
            return cls(SenderType.EXTERNAL, reader.u32())
        if sender_type not in (3, 4):
            reader.fail(f"a sender has the type {sender_type}", _SPEC)
        return cls(SenderType(sender_type))

    def encode(self) -> bytes:
        has_index = self.sender_type <= SenderType.EXTERNAL
        if has_index != (self.index is not None):
            raise LocalProtocolError("members and external senders have an index, others none", spec=_SPEC)
        return encode_u8(self.sender_type) + (b"" if self.index is None else encode_u32(self.index))


@lru_cache(maxsize=_KEPT_SENDERS)
def _member(leaf_index: LeafIndex) -> Sender:
    return Sender(SenderType.MEMBER, leaf_index)


NEW_MEMBER_PROPOSAL = Sender(SenderType.NEW_MEMBER_PROPOSAL)
NEW_MEMBER_COMMIT = Sender(SenderType.NEW_MEMBER_COMMIT)


def content_type_of(content: Content) -> ContentType:
    """``ContentType`` of *content*."""
    if isinstance(content, bytes):
        return ContentType.APPLICATION
    return ContentType.COMMIT if isinstance(content, Commit) else ContentType.PROPOSAL


def read_content(reader: Reader, content_type: ContentType) -> Content:
    """What the select on *content_type* holds. Raises TlsDecodeError."""
    if content_type is ContentType.APPLICATION:
        return reader.opaque()
    return read_proposal(reader) if content_type is ContentType.PROPOSAL else Commit.read(reader)


def encode_content(content: Content) -> bytes:
    """The select on the content type."""
    return encode_opaque(content) if isinstance(content, bytes) else content.encode()


@lru_cache(maxsize=_KEPT_HEADS)
def encode_group_and_epoch(group_id: bytes, epoch: Epoch) -> bytes:
    """group_id and epoch, with which all that is framed begins."""
    return encode_opaque(group_id) + encode_u64(epoch)


def read_content_type(reader: Reader) -> ContentType:
    """``ContentType``. Raises TlsDecodeError on a number that is none."""
    number = reader.u8()
    found = _CONTENT_TYPES.get(number)
    return found if found is not None else reader.fail(f"a content has the type {number}", _SPEC)


@dataclass(frozen=True, slots=True)
class FramedContent(ReceivedStruct):
    """``FramedContent`` (RFC 9420 §6). Its content_type is that of *content*."""

    group_id: bytes
    epoch: Epoch
    sender: Sender
    authenticated_data: bytes
    content: Content

    @property
    def content_type(self) -> ContentType:
        return content_type_of(self.content)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        group_id, epoch = reader.opaque(), Epoch(reader.u64())
        sender, authenticated_data = Sender.read(reader), reader.opaque()
        return cls(group_id, epoch, sender, authenticated_data, read_content(reader, read_content_type(reader)))

    @classmethod
    def of_private(cls, message: PrivateMessage, leaf: LeafIndex, content: Content, octets: bytes) -> Self:
        """What a PrivateMessage framed: *content* of *leaf*, which was read out of the plaintext *octets*."""
        framed = cls(message.group_id, message.epoch, Sender.member(leaf), message.authenticated_data, content)
        object.__setattr__(framed, "_octets", framed._encode_with(message.content_type, octets))
        return framed

    def _encode(self) -> bytes:
        return self._encode_with(self.content_type, encode_content(self.content))

    def _encode_with(self, content_type: ContentType, content: bytes) -> bytes:
        parts = (
            encode_group_and_epoch(self.group_id, self.epoch),
            self.sender.encode(),
            encode_opaque(self.authenticated_data),
            encode_u8(content_type),
            content,
        )
        return b"".join(parts)


@dataclass(frozen=True, slots=True)
class FramedContentAuthData(TlsStruct):
    """``FramedContentAuthData`` (RFC 9420 §6.1): a Commit has a confirmation_tag, nothing else has one."""

    signature: bytes
    confirmation_tag: bytes | None = None

    @classmethod
    def read_for(cls, reader: Reader, content_type: ContentType) -> Self:
        """The select needs the content type. Raises TlsDecodeError."""
        signature = reader.opaque()
        return cls(signature, reader.opaque() if content_type is ContentType.COMMIT else None)

    def encode(self) -> bytes:
        tag = self.confirmation_tag
        return encode_opaque(self.signature) + (b"" if tag is None else encode_opaque(tag))


@dataclass(frozen=True, slots=True)
class AuthenticatedContent(TlsStruct):
    """``AuthenticatedContent`` (RFC 9420 §6): what is signed, and what references and transcript hashes cover."""

    wire_format: WireFormat
    content: FramedContent
    auth: FramedContentAuthData

    @classmethod
    def read(cls, reader: Reader) -> Self:
        wire_format, content = WireFormat(reader.u16()), FramedContent.read(reader)
        return cls(wire_format, content, FramedContentAuthData.read_for(reader, content.content_type))

    def encode(self) -> bytes:
        return encode_u16(self.wire_format) + self.content.encode() + self.auth.encode()


@dataclass(frozen=True, slots=True)
class PublicMessage(TlsStruct):
    """``PublicMessage`` (RFC 9420 §6.2). A member's has a membership_tag, no other has one."""

    content: FramedContent
    auth: FramedContentAuthData
    membership_tag: bytes | None

    @classmethod
    def read(cls, reader: Reader) -> Self:
        content = FramedContent.read(reader)
        auth = FramedContentAuthData.read_for(reader, content.content_type)
        is_member = content.sender.sender_type is SenderType.MEMBER
        return cls(content, auth, reader.opaque() if is_member else None)

    def encode(self) -> bytes:
        tag = b"" if self.membership_tag is None else encode_opaque(self.membership_tag)
        return self.content.encode() + self.auth.encode() + tag

    def authenticated_content(self) -> AuthenticatedContent:
        """What is signed, with the wire format that it had."""
        return AuthenticatedContent(WireFormat.PUBLIC_MESSAGE, self.content, self.auth)


@dataclass(frozen=True, slots=True)
class PrivateMessage(TlsStruct):
    """``PrivateMessage`` (RFC 9420 §6.3)."""

    group_id: bytes
    epoch: Epoch
    content_type: ContentType
    authenticated_data: bytes
    encrypted_sender_data: bytes
    ciphertext: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(
            reader.opaque(),
            Epoch(reader.u64()),
            read_content_type(reader),
            reader.opaque(),
            reader.opaque(),
            reader.opaque(),
        )

    def encode(self) -> bytes:
        parts = (
            encode_group_and_epoch(self.group_id, self.epoch),
            encode_u8(self.content_type),
            encode_opaque(self.authenticated_data),
            encode_opaque(self.encrypted_sender_data),
            encode_opaque(self.ciphertext),
        )
        return b"".join(parts)


MLSMessageBody: TypeAlias = PublicMessage | PrivateMessage | Welcome | GroupInfo | KeyPackage

_BODIES: Mapping[int, Callable[[Reader], MLSMessageBody]] = {
    1: PublicMessage.read,
    2: PrivateMessage.read,
    3: Welcome.read,
    4: GroupInfo.read,
    5: KeyPackage.read,
}
_WIRE_FORMATS: Mapping[type, WireFormat] = {
    PublicMessage: WireFormat.PUBLIC_MESSAGE,
    PrivateMessage: WireFormat.PRIVATE_MESSAGE,
    Welcome: WireFormat.WELCOME,
    GroupInfo: WireFormat.GROUP_INFO,
    KeyPackage: WireFormat.KEY_PACKAGE,
}


@dataclass(frozen=True, slots=True)
class MLSMessage(TlsStruct):
    """``MLSMessage`` (RFC 9420 §6), of version mls10. Its wire_format is that of *body*."""

    body: MLSMessageBody

    @property
    def wire_format(self) -> WireFormat:
        return _WIRE_FORMATS[type(self.body)]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        version = reader.u16()
        if version != ProtocolVersion.MLS10:
            reader.fail(f"a message has the protocol version {version}", _SPEC)
        wire_format = reader.u16()
        read_body = _BODIES.get(wire_format)
        if read_body is None:
            reader.fail(f"a message has the wire format {wire_format}", _SPEC)
        return cls(read_body(reader))

    def encode(self) -> bytes:
        return b"\x00\x01" + encode_u16(self.wire_format) + self.body.encode()
