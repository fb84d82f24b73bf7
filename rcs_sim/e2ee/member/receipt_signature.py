"""Signatures of receipts: a PublicMessage with an empty rcs_signature proposal carries them (RCC.16 §7.6.2, §7.11.7).

It is made and verified here and never becomes a proposal of the group: it is neither cached nor committed, and no leaf
has to list its type (observed: deployed leaves do not).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES
from rcs_sim.e2ee.extension_bodies import has_end_mls
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.receipt_carrier import EpochKeys, SignatureCarrier
from rcs_sim.mls.codec import Reader, TlsDecodeError, TlsStruct, encode_opaque, encode_vector
from rcs_sim.mls.messages import MLSMessage

__all__ = ["ReceiptKeys", "ReceiptVerdict", "sign_derived_content", "verify_derived_content"]


class ReceiptVerdict(Enum):
    """What a signature on a receipt is worth."""

    GENUINE = auto()
    UNREADABLE = auto()
    NOT_A_SIGNATURE = auto()
    """A PublicMessage of another kind."""
    OTHER_GROUP = auto()
    UNKNOWN_EPOCH = auto()
    """Of a moment that is not here yet."""
    BYGONE_EPOCH = auto()
    """Of a moment whose keys are gone, or were never here: nobody can tell any more what it is worth."""
    FORGED = auto()
    OTHER_STATEMENT = auto()
    """A valid signature over something else than this receipt says."""
    WRONG_SENDER = auto()
    """Signed by a member who is not the one that the receipt comes from."""
    REVOKED = auto()
    """Signed by a member whose certificate has been revoked."""


def sign_derived_content(group: EncryptedGroup, content: bytes) -> bytes:
    """The octets for MLS-Derived-Content-Signature: our signature over *content* in this epoch; in a group that has
    ended, in the last one before the end (choice)."""
    return _signing_epoch(group).sign(group.group.signature_key, group.group.own_leaf, content)


def _signing_epoch(group: EncryptedGroup) -> EpochKeys:
    """Who has missed the commit that ended a group never comes to its last epoch, and what he has sealed before would
    stay without a receipt that he can verify."""
    if not group.is_downgraded:
        return group.receipt_epoch
    own, key = group.group.own_leaf, group.group.signature_key.public
    before = [each for each in group.group.past_epochs if not has_end_mls(each.context.extensions)]
    last = max(before, key=lambda each: each.context.epoch, default=None)
    if last is None or own >= len(last.signature_keys) or last.signature_keys[own] != key:
        return group.receipt_epoch
    return EpochKeys(last.context, last.signature_keys, last.membership_key)


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
        return cls((*past, group.receipt_epoch), tuple(group.names.items()))

    @classmethod
    def read(cls, reader: Reader) -> Self:
        epochs = reader.vector(EpochKeys.read)
        return cls(epochs, reader.vector(lambda inner: (inner.opaque(), inner.opaque().decode("ascii", "replace"))))

    def encode(self) -> bytes:
        names = [encode_opaque(key) + encode_opaque(number.encode()) for key, number in self.names]
        return encode_vector([each.encode() for each in self.epochs]) + encode_vector(names)

    def verify(self, signature: bytes, expected: Collection[bytes], asserted_sender: str) -> ReceiptVerdict:
        """As `verify_derived_content`, of an era that is over."""
        carrier = _read(signature)
        if isinstance(carrier, ReceiptVerdict):
            return carrier
        found = next((each for each in self.epochs if each.context.epoch == carrier.epoch), None)
        return _verdict(carrier, found, dict(self.names), expected, asserted_sender)


def verify_derived_content(
    group: EncryptedGroup, signature: bytes, expected: Collection[bytes], asserted_sender: str
) -> ReceiptVerdict:
    """Whether *signature* is that of a device of *asserted_sender* over one of the *expected* contents, in this epoch
    or in one that is kept."""
    carrier = _read(signature)
    if isinstance(carrier, ReceiptVerdict):
        return carrier
    if carrier.group_id != group.group_id:
        return ReceiptVerdict.OTHER_GROUP
    found = _epoch_of(group, carrier.epoch)
    if found is None and carrier.epoch < group.receipt_epoch.context.epoch:
        return ReceiptVerdict.BYGONE_EPOCH
    verdict = _verdict(carrier, found, group.names, expected, asserted_sender)
    is_revoked = bool(group.revoked) and found is not None and found.key_of(carrier.leaf) in group.revoked
    return ReceiptVerdict.REVOKED if is_revoked and verdict is ReceiptVerdict.GENUINE else verdict


def _epoch_of(group: EncryptedGroup, epoch: int) -> EpochKeys | None:
    present = group.receipt_epoch
    if epoch == present.context.epoch:
        return present
    for each in group.group.past_epochs:
        if each.context.epoch == epoch:
            return EpochKeys(each.context, each.signature_keys, each.membership_key)
    return None


def _read(signature: bytes) -> SignatureCarrier | ReceiptVerdict:
    try:
        carrier = SignatureCarrier.read(signature)
        if carrier is not None:
            return carrier
        MLSMessage.decode(signature, RCS_CUSTOM_BODIES)
    except TlsDecodeError:
        return ReceiptVerdict.UNREADABLE
    return ReceiptVerdict.NOT_A_SIGNATURE


def _verdict(
    carrier: SignatureCarrier,
    epoch: EpochKeys | None,
    names: Mapping[bytes, str],
    expected: Collection[bytes],
    asserted_sender: str,
) -> ReceiptVerdict:
    if epoch is None:
        return ReceiptVerdict.UNKNOWN_EPOCH
    if not epoch.verifies(carrier):
        return ReceiptVerdict.FORGED
    if names.get(epoch.key_of(carrier.leaf) or b"") != asserted_sender:
        return ReceiptVerdict.WRONG_SENDER
    return ReceiptVerdict.GENUINE if carrier.content in expected else ReceiptVerdict.OTHER_STATEMENT
