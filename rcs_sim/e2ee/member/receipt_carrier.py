"""The PublicMessage that carries the signature of a receipt, octet for octet (RCC.16 §7.6.2, §7.11.7; RFC 9420 §6.2).

Two are made and two are verified for each message, so it is written and read directly: what is signed and what the
membership tag covers are stretches of its own octets.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Self

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.custom_proposals import RcsProposalType
from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_optional, encode_u32, encode_vector
from rcs_sim.mls.crypto import CipherSuite, SignatureKey
from rcs_sim.mls.framing import is_framed_signature, sign_framed
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.kdf import HkdfKey
from rcs_sim.mls.messages import encode_group_and_epoch

__all__ = ["EpochKeys", "SignatureCarrier"]

_HEAD = b"\x00\x01\x00\x01"  # version mls10, wire format mls_public_message
_MEMBER = 1
_PROPOSAL = b"\x02" + int(RcsProposalType.RCS_SIGNATURE).to_bytes(2, "big")  # content type, and a type without a body


class SignatureCarrier:
    """One that was received. *framed* are its octets before the signature, *content* is the authenticated_data."""

    __slots__ = ("content", "epoch", "framed", "group_id", "leaf", "membership_tag", "signature")

    def __init__(
        self,
        group_id: bytes,
        epoch: int,
        leaf: LeafIndex,
        content: bytes,
        framed: bytes,
        signature: bytes,
        membership_tag: bytes,
    ) -> None:
        self.group_id = group_id
        self.epoch = epoch
        self.leaf = leaf
        self.content = content
        self.framed = framed
        self.signature = signature
        self.membership_tag = membership_tag

    def __repr__(self) -> str:
        return f"SignatureCarrier(leaf {self.leaf}, epoch {self.epoch})"

    @classmethod
    def read(cls, octets: bytes) -> SignatureCarrier | None:
        """None for a message of another kind. Raises TlsDecodeError for what is none up to its end."""
        reader = Reader(octets)
        if reader.take(4) != _HEAD:
            return None
        group_id, epoch = reader.opaque(), reader.u64()
        if reader.u8() != _MEMBER:
            return None
        leaf, content = LeafIndex(reader.u32()), reader.opaque()
        if reader.take(3) != _PROPOSAL:
            return None
        framed = octets[: reader.at]
        carrier = cls(group_id, epoch, leaf, content, framed, reader.opaque(), reader.opaque())
        reader.finish()
        return carrier


@dataclass(frozen=True, slots=True)
class EpochKeys(TlsStruct):
    """What it takes to verify who signed in one epoch, and no more: nothing can be decrypted with it."""

    context: GroupContext
    signature_keys: tuple[bytes | None, ...]
    membership_key: Secret
    _mac: HkdfKey | None = field(default=None, init=False, repr=False, compare=False)

    @classmethod
    def read(cls, reader: Reader) -> Self:
        context = GroupContext.read(reader)
        keys = reader.vector(lambda inner: inner.optional(Reader.opaque))
        return cls(context, keys, Secret(reader.opaque()))

    def encode(self) -> bytes:
        keys = [encode_optional(None if key is None else encode_opaque(key)) for key in self.signature_keys]
        return self.context.encode() + encode_vector(keys) + encode_opaque(self.membership_key.octets)

    def key_of(self, leaf: LeafIndex) -> bytes | None:
        """The signature key of a leaf, None for a blank one."""
        return self.signature_keys[leaf] if leaf < len(self.signature_keys) else None

    def sign(self, key: SignatureKey, leaf: LeafIndex, content: bytes) -> bytes:
        """The carrier with which *leaf*, whose key is *key*, states *content*."""
        context = self.context
        sender = encode_group_and_epoch(context.group_id, context.epoch) + b"\x01" + encode_u32(leaf)
        framed = _HEAD + sender + encode_opaque(content) + _PROPOSAL
        signed = framed + context.encode()
        signature = encode_opaque(sign_framed(CipherSuite.of(context.cipher_suite), key, signed))
        return framed + signature + encode_opaque(self._membership_mac().mac(signed + signature))

    def verifies(self, carrier: SignatureCarrier) -> bool:
        """Whether the member whom *carrier* names has made it, in this group and epoch."""
        context, key = self.context, self.key_of(carrier.leaf)
        if key is None or carrier.group_id != context.group_id or carrier.epoch != context.epoch:
            return False
        signed, signature = carrier.framed + context.encode(), carrier.signature
        tag = self._membership_mac().mac(signed + encode_opaque(signature))
        if not hmac.compare_digest(tag, carrier.membership_tag):
            return False
        return is_framed_signature(CipherSuite.of(context.cipher_suite), key, signed, signature)

    def _membership_mac(self) -> HkdfKey:
        mac = self._mac
        if mac is None:
            mac = CipherSuite.of(self.context.cipher_suite).hkdf_key(self.membership_key)
            object.__setattr__(self, "_mac", mac)
        return mac
