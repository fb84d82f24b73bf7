"""Opening application messages: MLS first, then what RCC.16 asks of what was opened (RCC.16 §7.5.1, §7.5.3, §7.9).

A message that is refused changes nothing: its key is used up only when everything fits, so that a copy under a wrong
name cannot spoil the genuine one.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from rcs_sim.e2ee.authenticated_data import ABSENT_RESENT, AuthenticatedData
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.secret_payload import PayloadType, SecretPayload
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import verify_signature
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import ContentType, LeafIndex
from rcs_sim.mls.key_log import message_line
from rcs_sim.mls.messages import AuthenticatedContent, MLSMessage, PrivateMessage
from rcs_sim.mls.private_framing import OpenedContent, open_private
from rcs_sim.mls.public_state import verify_group_id
from rcs_sim.mls.secret_tree import SecretTree, SenderDataKeys

__all__ = ["Envelope", "OpenRefusal", "RefusalKind", "Unsealed", "read_private_message", "unseal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What the network says of a message. *asserted_sender* is the number that the network vouches for, *named_sender*
    the one in CPIM From of a control message where there is one: the focus names one of our own numbers there when it
    passes on what another device of ours has sent. *era* and *epoch_authenticator* are the two MLS headers.
    *is_from_log*: it stood in the control log of the focus, which names no sender."""

    message_id: str
    asserted_sender: str
    era: int
    epoch_authenticator: bytes = b""
    named_sender: str = ""
    is_from_log: bool = False

    def may_be_from(self, certified: str, own: str) -> bool:
        """Whether a control message signed by a leaf of number *certified* may have come in this envelope. Those who
        may not speak for a focus are kept from it by the servers; what phones say to each other has no such excuse."""
        if self.is_from_log:
            return bool(certified)
        return certified == self.asserted_sender or (certified == own and self.named_sender == own)


class RefusalKind(Enum):
    """Why a message was not shown."""

    MALFORMED = auto()
    NOT_FOR_US = auto()
    """Of another group."""
    NO_GROUP = auto()
    SUPERSEDED = auto()
    """Of an era that is over: nobody can read it any more, its sender sends it again."""
    UNDECRYPTABLE = auto()
    COMMIT_IN_PRIVATE_MESSAGE = auto()
    BAD_BINDING = auto()
    """Bound to another message id (RCC.16 §7.5.3.1), or era: not shown, and no failure to decrypt."""
    IMPERSONATION = auto()
    """Signed by a member who is not the sender: dropped, no receipt."""
    NON_MEMBER = auto()
    """Signed by a ghost's leaf."""
    REVOKED = auto()
    """Signed by a leaf whose certificate has been revoked: not shown."""
    KEY_GENERATION = auto()
    UNKNOWN_PAYLOAD = auto()
    """Of a type that nobody knows: dropped, no receipt."""
    UNREADABLE_CONTENT = auto()
    DUPLICATE = auto()
    """Read before; its content is no longer kept."""


_REASONS: Mapping[RefusalKind, ClientFailureReason] = {
    RefusalKind.NO_GROUP: ClientFailureReason.CONTROL_MESSAGE_FAILED,
    RefusalKind.SUPERSEDED: ClientFailureReason.FAILED_TO_DECRYPT,
    RefusalKind.UNDECRYPTABLE: ClientFailureReason.FAILED_TO_DECRYPT,
    RefusalKind.MALFORMED: ClientFailureReason.FAILED_TO_DECRYPT,
    RefusalKind.KEY_GENERATION: ClientFailureReason.FAILED_TO_DECRYPT,
    RefusalKind.COMMIT_IN_PRIVATE_MESSAGE: ClientFailureReason.COMMIT_IN_PRIVATEMESSAGE,
    RefusalKind.NON_MEMBER: ClientFailureReason.MESSAGE_FROM_NON_MEMBER,
    RefusalKind.REVOKED: ClientFailureReason.INVALID_CREDENTIAL,
}


@dataclass(frozen=True, slots=True)
class OpenRefusal:
    """A message that was not opened, or not shown."""

    kind: RefusalKind
    detail: str = ""

    @property
    def reason(self) -> ClientFailureReason | None:
        """What its sender is told, None for nothing."""
        return _REASONS.get(self.kind)


@dataclass(frozen=True, slots=True)
class Unsealed:
    """An application message whose key is not used up yet: `Unsealed.consume` does that. *resent* is the component of
    its authenticated data."""

    payload: SecretPayload
    sender: str
    leaf: LeafIndex
    epoch: int
    key_log_context: GroupContext
    opened: OpenedContent
    tree: SecretTree
    resent: bytes

    def consume(self, group: Group) -> None:
        """The message counts as read."""
        self.tree.consume(self.opened.key)
        if group.policy.key_log is not None:
            group.policy.key_log(message_line(self.key_log_context, self.opened.key))


@dataclass(frozen=True, slots=True)
class _Epoch:
    """Where the keys of one epoch are. *signature_keys* of the present one are in the tree."""

    context: GroupContext
    tree: SecretTree
    sender_data: SenderDataKeys
    signature_keys: tuple[bytes | None, ...] | None


UnsealResult: TypeAlias = Unsealed | OpenRefusal


def read_private_message(octets: bytes, group: Group) -> PrivateMessage | OpenRefusal:
    """The body of ``message/mls``: an application message of this very group."""
    try:
        message = MLSMessage.decode(octets, group.custom_bodies()).body
    except TlsDecodeError as error:
        return OpenRefusal(RefusalKind.MALFORMED, str(error))
    if not isinstance(message, PrivateMessage):
        return OpenRefusal(RefusalKind.MALFORMED, f"a {type(message).__name__} as message/mls")
    if message.group_id != group.group_id:
        return OpenRefusal(RefusalKind.NOT_FOR_US, "a message of another group")
    if message.content_type is not ContentType.APPLICATION:
        return OpenRefusal(RefusalKind.COMMIT_IN_PRIVATE_MESSAGE, f"{message.content_type.name} in a PrivateMessage")
    return message


def unseal(
    group: Group,
    message: PrivateMessage,
    envelope: Envelope,
    era: int,
    numbers: Mapping[bytes, str],
    revoked: Container[bytes] = (),
) -> UnsealResult:
    """What *message* says, if it may be shown. *numbers* gives the certified number of a signature key; those of
    *revoked* certificates say nothing."""
    epoch = _find_epoch(group, message.epoch)
    if epoch is None:
        return OpenRefusal(RefusalKind.UNDECRYPTABLE, f"the secrets of epoch {message.epoch} are not here")
    try:
        opened, signature_key = _open(group, message, epoch)
    except (MlsValidationError, TlsDecodeError, CryptoError) as error:
        return OpenRefusal(RefusalKind.UNDECRYPTABLE, str(error))
    bound = _bound(message.authenticated_data)
    refusal = None if bound is None else _check_binding(bound, envelope, era)
    sender = numbers.get(signature_key, "")
    if refusal is None and sender != envelope.asserted_sender:  # whatever CPIM From says: a peer writes that himself
        shown = f"signed by a device of {sender or 'nobody'}, sent by {envelope.asserted_sender}"
        refusal = OpenRefusal(RefusalKind.IMPERSONATION, shown)
    if refusal is None and signature_key in revoked:
        refusal = OpenRefusal(RefusalKind.REVOKED, f"the certificate of a device of {sender} is revoked")
    if refusal is not None:
        return refusal
    return _read_payload(opened, sender, epoch, bound)


def _find_epoch(group: Group, number: int) -> _Epoch | None:
    if number == group.epoch:
        state = group.state
        return _Epoch(group.context, state.secret_tree, state.sender_data, None)
    for past in reversed(group.past_epochs):
        if past.context.epoch == number:
            return _Epoch(past.context, past.secret_tree, past.sender_data, past.signature_keys)
    return None


def _open(group: Group, message: PrivateMessage, epoch: _Epoch) -> tuple[OpenedContent, bytes]:
    """Decrypts and verifies the signature. Raises MlsValidationError, TlsDecodeError or CryptoError."""
    verify_group_id(message.group_id, group.group_id)
    opened = open_private(group.suite, message, epoch.tree, epoch.sender_data, group.custom_bodies())
    key = _signature_key(group, epoch, opened.key.leaf)
    verify_signature(group.suite, opened.authenticated, key, epoch.context)
    return opened, key


def _signature_key(group: Group, epoch: _Epoch, leaf: LeafIndex) -> bytes:
    if epoch.signature_keys is None:
        node = group.tree.leaf(leaf)
        key = None if node is None else node.signature_key
    else:
        key = epoch.signature_keys[leaf] if leaf < len(epoch.signature_keys) else None
    if key is None:
        raise MlsValidationError("ValSem004", f"leaf {leaf} is blank in this epoch", spec="RFC 9420 §6")
    return key


def _bound(authenticated_data: bytes) -> AuthenticatedData | None:
    """None where it is absent or cannot be read, which passes (observed)."""
    try:
        return AuthenticatedData.decode(authenticated_data)
    except TlsDecodeError:
        return None


def _check_binding(bound: AuthenticatedData, envelope: Envelope, era: int) -> OpenRefusal | None:
    """What a message is bound to has to fit."""
    if bound.message_id != envelope.message_id:
        return OpenRefusal(RefusalKind.BAD_BINDING, f"bound to {bound.message_id!r}, sent as {envelope.message_id!r}")
    if bound.era != era:
        return OpenRefusal(RefusalKind.BAD_BINDING, f"bound to era {bound.era} in era {era}")
    return None


def _read_payload(opened: OpenedContent, sender: str, epoch: _Epoch, bound: AuthenticatedData | None) -> UnsealResult:
    content = _application_data(opened.authenticated)
    try:
        payload = SecretPayload.decode(content)
    except TlsDecodeError as error:
        return OpenRefusal(RefusalKind.UNKNOWN_PAYLOAD, str(error))
    if payload.key_generation != opened.key.generation:
        shown = f"stamped {payload.key_generation}, sent at generation {opened.key.generation}"
        return OpenRefusal(RefusalKind.KEY_GENERATION, shown)
    if payload.payload_type != PayloadType.MESSAGE_CONTENT:
        return OpenRefusal(RefusalKind.UNKNOWN_PAYLOAD, f"payload type {payload.payload_type}")
    resent = ABSENT_RESENT if bound is None else bound.resent
    return Unsealed(payload, sender, opened.key.leaf, epoch.context.epoch, epoch.context, opened, epoch.tree, resent)


def _application_data(authenticated: AuthenticatedContent) -> bytes:
    content = authenticated.content.content
    assert isinstance(content, bytes)  # read_private_message lets nothing else through
    return content
