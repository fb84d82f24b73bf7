"""Signatures of receipts: a PublicMessage with an empty rcs_signature proposal carries them (RCC.16 §7.6.2, §7.11.7).

It is made and verified here and never becomes a proposal of the group: it is neither cached nor committed, and no leaf
has to list its type (observed: deployed leaves do not).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES, RcsProposalType, rcs_signature_proposal
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.mls.codec import Reader, TlsDecodeError, TlsStruct, encode_opaque, encode_optional, encode_vector
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import protect_public, sign_content, unprotect_public, verify_signature
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import LeafIndex, WireFormat
from rcs_sim.mls.messages import FramedContent, MLSMessage, PublicMessage, Sender
from rcs_sim.mls.proposals import CustomProposal

__all__ = ["EpochKeys", "ReceiptKeys", "ReceiptVerdict", "sign_derived_content", "verify_derived_content"]


class ReceiptVerdict(Enum):
    """What a signature on a receipt is worth."""

    GENUINE = auto()
    UNREADABLE = auto()
    NOT_A_SIGNATURE = auto()
    """A PublicMessage of another kind."""
    OTHER_GROUP = auto()
    UNKNOWN_EPOCH = auto()
    """Of a moment that is not here yet, or whose keys are gone."""
    FORGED = auto()
    OTHER_STATEMENT = auto()
    """A valid signature over something else than this receipt says."""
    WRONG_SENDER = auto()
    """Signed by a member who is not the one that the receipt comes from."""


def sign_derived_content(group: EncryptedGroup, content: bytes) -> bytes:
    """The octets for MLS-Derived-Content-Signature: our signature over *content* in this epoch."""
    mls = group.group
    framed = FramedContent(mls.group_id, mls.epoch, Sender.member(mls.own_leaf), content, rcs_signature_proposal())
    signed = sign_content(mls.suite, mls.signature_key, WireFormat.PUBLIC_MESSAGE, framed, mls.context)
    return MLSMessage(protect_public(mls.suite, signed, mls.state.secrets.membership_key, mls.context)).encode()


@dataclass(frozen=True, slots=True)
class EpochKeys(TlsStruct):
    """What it takes to verify who signed in one epoch, and no more: nothing can be decrypted with it."""

    context: GroupContext
    signature_keys: tuple[bytes | None, ...]
    membership_key: Secret

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


@dataclass(frozen=True, slots=True)
class ReceiptKeys(TlsStruct):
    """The epochs of one era that receipts may still come from, and the certified number of each signature key."""

    epochs: tuple[EpochKeys, ...]
    names: tuple[tuple[bytes, str], ...]

    @classmethod
    def of(cls, group: EncryptedGroup) -> Self:
        """What *group* can verify now. It outlives the era, whose messages nobody can read any more: a receipt may have
        been on its way when the next one began (choice)."""
        mls = group.group
        past = [EpochKeys(each.context, each.signature_keys, each.membership_key) for each in mls.past_epochs]
        return cls((*past, _present(mls)), tuple(group.names.items()))

    @classmethod
    def read(cls, reader: Reader) -> Self:
        epochs = reader.vector(EpochKeys.read)
        return cls(epochs, reader.vector(lambda inner: (inner.opaque(), inner.opaque().decode("ascii", "replace"))))

    def encode(self) -> bytes:
        names = [encode_opaque(key) + encode_opaque(number.encode()) for key, number in self.names]
        return encode_vector([each.encode() for each in self.epochs]) + encode_vector(names)

    def verify(self, signature: bytes, expected: Collection[bytes], asserted_sender: str) -> ReceiptVerdict:
        """As `verify_derived_content`, of an era that is over."""
        message = _read(signature)
        if isinstance(message, ReceiptVerdict):
            return message
        found = [each for each in self.epochs if each.context.epoch == message.content.epoch]
        return _verdict(message, found, dict(self.names), expected, asserted_sender)


def _present(mls: Group) -> EpochKeys:
    keys = tuple(None if leaf is None else leaf.signature_key for leaf in mls.tree.leaf_array())
    return EpochKeys(mls.context, keys, mls.state.secrets.membership_key)


def verify_derived_content(
    group: EncryptedGroup, signature: bytes, expected: Collection[bytes], asserted_sender: str
) -> ReceiptVerdict:
    """Whether *signature* is that of a device of *asserted_sender* over one of the *expected* contents, in this epoch
    or in one that is kept."""
    message = _read(signature)
    if isinstance(message, ReceiptVerdict):
        return message
    mls, epoch = group.group, message.content.epoch
    found = [_present(mls)] if epoch == mls.epoch else []
    found += [
        EpochKeys(each.context, each.signature_keys, each.membership_key)
        for each in mls.past_epochs
        if each.context.epoch == epoch
    ]
    if message.content.group_id != mls.group_id:
        return ReceiptVerdict.OTHER_GROUP
    return _verdict(message, found, group.names, expected, asserted_sender)


def _read(signature: bytes) -> PublicMessage | ReceiptVerdict:
    try:
        message = MLSMessage.decode(signature, RCS_CUSTOM_BODIES).body
    except TlsDecodeError:
        return ReceiptVerdict.UNREADABLE
    if not isinstance(message, PublicMessage):
        return ReceiptVerdict.NOT_A_SIGNATURE
    proposal = message.content.content
    is_signature = isinstance(proposal, CustomProposal) and proposal.proposal_type == RcsProposalType.RCS_SIGNATURE
    return message if is_signature and message.content.sender.leaf_index is not None else ReceiptVerdict.NOT_A_SIGNATURE


def _verdict(
    message: PublicMessage,
    epochs: Sequence[EpochKeys],
    names: Mapping[bytes, str],
    expected: Collection[bytes],
    asserted_sender: str,
) -> ReceiptVerdict:
    if not epochs:
        return ReceiptVerdict.UNKNOWN_EPOCH
    epoch, leaf = epochs[0], message.content.sender.leaf_index
    key = None if leaf is None else epoch.key_of(leaf)
    if message.content.group_id != epoch.context.group_id or key is None:
        return ReceiptVerdict.FORGED
    suite = CipherSuite.of(epoch.context.cipher_suite)
    try:
        authenticated = unprotect_public(suite, message, epoch.membership_key, epoch.context)
        verify_signature(suite, authenticated, key, epoch.context)
    except (MlsValidationError, TlsDecodeError):
        return ReceiptVerdict.FORGED
    if names.get(key) != asserted_sender:
        return ReceiptVerdict.WRONG_SENDER
    return ReceiptVerdict.GENUINE if message.content.authenticated_data in expected else ReceiptVerdict.OTHER_STATEMENT
