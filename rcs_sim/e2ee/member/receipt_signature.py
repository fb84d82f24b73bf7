"""Signatures of receipts: a PublicMessage with an empty rcs_signature proposal carries them (RCC.16 §7.6.2, §7.11.7).

It is made and verified here and never becomes a proposal of the group: it is neither cached nor committed, and no leaf
has to list its type (observed: deployed leaves do not).
"""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum, auto

from ims_core.wire.secret import Secret
from rcs_sim.e2ee.custom_proposals import RcsProposalType, rcs_signature_proposal
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import protect_public, sign_content, unprotect_public, verify_signature
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import LeafIndex, WireFormat
from rcs_sim.mls.messages import FramedContent, MLSMessage, PublicMessage, Sender
from rcs_sim.mls.proposals import CustomProposal

__all__ = ["ReceiptVerdict", "sign_derived_content", "verify_derived_content"]


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


def verify_derived_content(
    group: EncryptedGroup, signature: bytes, expected: Collection[bytes], asserted_sender: str
) -> ReceiptVerdict:
    """Whether *signature* is that of a device of *asserted_sender* over one of the *expected* contents, in this epoch
    or in one that is kept."""
    mls = group.group
    message = _read(signature, mls)
    if isinstance(message, ReceiptVerdict):
        return message
    found = _keys_of(mls, message)
    if found is None:
        return ReceiptVerdict.UNKNOWN_EPOCH
    key, membership_key, context = found
    try:
        authenticated = unprotect_public(mls.suite, message, membership_key, context)
        verify_signature(mls.suite, authenticated, key, context)
    except (MlsValidationError, TlsDecodeError):
        return ReceiptVerdict.FORGED
    if group.names.get(key) != asserted_sender:
        return ReceiptVerdict.WRONG_SENDER
    return ReceiptVerdict.GENUINE if message.content.authenticated_data in expected else ReceiptVerdict.OTHER_STATEMENT


def _read(signature: bytes, mls: Group) -> PublicMessage | ReceiptVerdict:
    try:
        message = MLSMessage.decode(signature, mls.custom_bodies()).body
    except TlsDecodeError:
        return ReceiptVerdict.UNREADABLE
    if not isinstance(message, PublicMessage):
        return ReceiptVerdict.NOT_A_SIGNATURE
    proposal = message.content.content
    is_signature = isinstance(proposal, CustomProposal) and proposal.proposal_type == RcsProposalType.RCS_SIGNATURE
    if not is_signature or message.content.sender.leaf_index is None:
        return ReceiptVerdict.NOT_A_SIGNATURE
    return message if message.content.group_id == mls.group_id else ReceiptVerdict.OTHER_GROUP


def _keys_of(mls: Group, message: PublicMessage) -> tuple[bytes, Secret, GroupContext] | None:
    """Signature key of the sender, membership key and GroupContext of the epoch."""
    leaf = message.content.sender.leaf_index
    assert leaf is not None  # _read lets only members through
    if message.content.epoch == mls.epoch:
        node = mls.tree.leaf(leaf)
        return None if node is None else (node.signature_key, mls.state.secrets.membership_key, mls.context)
    for past in mls.past_epochs:
        if past.context.epoch == message.content.epoch:
            key = _past_key(past.signature_keys, leaf)
            return None if key is None else (key, past.membership_key, past.context)
    return None


def _past_key(keys: tuple[bytes | None, ...], leaf: LeafIndex) -> bytes | None:
    return keys[leaf] if leaf < len(keys) else None
