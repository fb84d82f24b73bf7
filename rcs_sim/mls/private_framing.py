"""PrivateMessage: sealing and opening with the keys of the secret tree (RFC 9420 §6.3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidTag

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.codec import (
    NO_CUSTOM_BODIES,
    CustomBodies,
    Reader,
    TlsDecodeError,
    encode_opaque,
    encode_u8,
)
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import Generation, LeafIndex, SenderType, WireFormat
from rcs_sim.mls.messages import (
    AuthenticatedContent,
    FramedContent,
    FramedContentAuthData,
    PrivateMessage,
    encode_content,
    encode_group_and_epoch,
    read_content,
)
from rcs_sim.mls.secret_tree import MessageKey, SecretTree, SenderDataKeys, ratchet_of

__all__ = ["OpenedContent", "Padding", "no_padding", "open_private", "padme", "seal_private"]

_REUSE_GUARD_OCTETS = 4

Padding: TypeAlias = Callable[[int], int]
"""How many zero octets follow a content of so many octets, signature included."""


def no_padding(_: int) -> int:
    """The shortest message."""
    return 0


def padme(length: int) -> int:
    """Padmé: lengths of few significant bits, at most 12 % more (Nikitin et al., PETS 2019)."""
    if length < 2:
        return 0
    exponent = length.bit_length() - 1
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1 if free_bits > 0 else 0
    return (-length) & mask


@dataclass(frozen=True, slots=True)
class OpenedContent:
    """What a PrivateMessage holds, before its signature is verified. *key* is what opened it: hand it to
    `SecretTree.consume` once the message has proved genuine, and not before."""

    authenticated: AuthenticatedContent
    key: MessageKey


def seal_private(
    suite: CipherSuite,
    authenticated: AuthenticatedContent,
    tree: SecretTree,
    sender_data: SenderDataKeys,
    random: Random,
    padding: Padding = no_padding,
) -> PrivateMessage:
    """The PrivateMessage of a member's signed content, under the next key of its ratchet. Takes four octets of
    *random*."""
    content = authenticated.content
    sender, content_type = content.sender, content.content_type
    if sender.sender_type is not SenderType.MEMBER or authenticated.wire_format is not WireFormat.PRIVATE_MESSAGE:
        raise LocalProtocolError("this content was not signed to be encrypted", spec="RFC 9420 §6.3")
    assert sender.index is not None
    plaintext = encode_content(content.content) + authenticated.auth.encode()
    plaintext += bytes(padding(len(plaintext)))
    head = encode_group_and_epoch(content.group_id, content.epoch) + encode_u8(content_type)
    key = tree.take(LeafIndex(sender.index), ratchet_of(content_type))
    guard = random(_REUSE_GUARD_OCTETS)
    aad = head + encode_opaque(content.authenticated_data)
    ciphertext = suite.cipher(key.key).encrypt(key.guarded_nonce(guard), plaintext, aad)
    named = sender.index.to_bytes(4, "big") + key.generation.to_bytes(4, "big") + guard
    data_key, data_nonce = sender_data.key_and_nonce(ciphertext)
    encrypted_sender_data = suite.cipher(data_key).encrypt(data_nonce, named, head)
    return PrivateMessage(
        content.group_id,
        content.epoch,
        content_type,
        content.authenticated_data,
        encrypted_sender_data,
        ciphertext,
    )


def open_private(
    suite: CipherSuite,
    message: PrivateMessage,
    tree: SecretTree,
    sender_data: SenderDataKeys,
    custom_bodies: CustomBodies = NO_CUSTOM_BODIES,
) -> OpenedContent:
    """What *message* holds. Nothing changes, and the signature is yet to be verified. Raises MlsValidationError:
    ValSem006 if it does not open, ValSem011 on padding that is not zero, what `SecretTree.peek` says of its key; and
    TlsDecodeError on a plaintext that is no content."""
    head = encode_group_and_epoch(message.group_id, message.epoch) + encode_u8(message.content_type)
    leaf, generation, guard = _open_sender_data(suite, message, sender_data, head)
    key = tree.peek(leaf, ratchet_of(message.content_type), generation)
    aad = head + encode_opaque(message.authenticated_data)
    plaintext = _decrypt(suite, key.key, key.guarded_nonce(guard), message.ciphertext, aad)
    reader = Reader(plaintext, custom_bodies)
    content = read_content(reader, message.content_type)
    framed = FramedContent.of_private(message, leaf, content, plaintext[: reader.at])
    auth = FramedContentAuthData.read_for(reader, message.content_type)
    if plaintext.count(0, reader.at) != len(plaintext) - reader.at:
        raise MlsValidationError("ValSem011", "the padding of a message is not zero", spec="RFC 9420 §6.3.1")
    return OpenedContent(AuthenticatedContent(WireFormat.PRIVATE_MESSAGE, framed, auth), key)


def _open_sender_data(
    suite: CipherSuite, message: PrivateMessage, sender_data: SenderDataKeys, aad: bytes
) -> tuple[LeafIndex, Generation, bytes]:
    """``SenderData`` (RFC 9420 §6.3.2): leaf_index, generation, reuse_guard."""
    key, nonce = sender_data.key_and_nonce(message.ciphertext)
    octets = _decrypt(suite, key, nonce, message.encrypted_sender_data, aad)
    if len(octets) != 12:
        raise TlsDecodeError(f"SenderData has {len(octets)} octets, not 12", spec="RFC 9420 §6.3.2")
    leaf, generation = int.from_bytes(octets[:4], "big"), int.from_bytes(octets[4:8], "big")
    return LeafIndex(leaf), Generation(generation), octets[8:]


def _decrypt(suite: CipherSuite, key: bytes, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
    try:
        return suite.cipher(key).decrypt(nonce, ciphertext, aad)
    except InvalidTag:
        raise MlsValidationError("ValSem006", "a message does not open", spec="RFC 9420 §6.3") from None
