"""What everybody who follows the handshakes of a group knows of an epoch, and whom a message is from (RFC 9420 §6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rcs_sim.mls.commit import Commit
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import ExternalSender, ExternalSenders, find_extension
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, ExtensionType, Generation, LeafIndex, SenderType
from rcs_sim.mls.messages import AuthenticatedContent, FramedContent, Sender
from rcs_sim.mls.proposal_validation import verify_proposal_sender, verify_update_senders
from rcs_sim.mls.proposals import Add, Proposal
from rcs_sim.mls.ratchet_tree import RatchetTree

__all__ = [
    "PastPublicEpoch",
    "PublicState",
    "Signer",
    "VerifiedApplication",
    "VerifiedCommit",
    "VerifiedContent",
    "VerifiedProposal",
    "find_past_signature_key",
    "find_signer",
    "signature_keys_of",
    "verify_epoch",
    "verify_group_id",
    "verify_sender_is_member",
]

_SPEC = "RFC 9420 §6"


@dataclass(frozen=True, slots=True)
class PublicState:
    """The public half of an epoch. *confirmation_tag* is that of the Commit which began it."""

    suite: CipherSuite
    context: GroupContext
    tree: RatchetTree
    interim_transcript_hash: bytes
    confirmation_tag: bytes

    @property
    def group_id(self) -> bytes:
        return self.context.group_id

    @property
    def epoch(self) -> Epoch:
        return self.context.epoch


@dataclass(frozen=True, slots=True)
class PastPublicEpoch:
    """What is kept of an epoch that is over by who has no secret: enough to verify who signed its messages.
    *signature_keys* are in the order of the leaves."""

    context: GroupContext
    signature_keys: tuple[bytes | None, ...]

    @classmethod
    def of(cls, state: PublicState) -> PastPublicEpoch:
        """What stays of *state*."""
        return cls(state.context, signature_keys_of(state.tree))


def signature_keys_of(tree: RatchetTree) -> tuple[bytes | None, ...]:
    """Signature keys in the order of the leaves, None for a blank one."""
    return tuple([None if leaf is None else leaf.signature_key for leaf in tree.leaf_array()])


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature a message has to bear, as the group knows them."""

    signature_key: bytes
    credential: Credential


@dataclass(frozen=True, slots=True)
class VerifiedContent:
    """A message that its sender has signed in this group. `Group.verify` and `PublicGroup.verify` make it, and nobody
    else. *credential* is None for one from a past epoch, of which only the keys are kept."""

    authenticated: AuthenticatedContent
    credential: Credential | None

    @property
    def content(self) -> FramedContent:
        return self.authenticated.content

    @property
    def sender(self) -> Sender:
        return self.authenticated.content.sender

    @property
    def epoch(self) -> Epoch:
        return self.authenticated.content.epoch

    @property
    def authenticated_data(self) -> bytes:
        return self.authenticated.content.authenticated_data


@dataclass(frozen=True, slots=True)
class VerifiedApplication(VerifiedContent):
    """Application data of a member, at *generation* of its ratchet."""

    application_data: bytes
    generation: Generation


@dataclass(frozen=True, slots=True)
class VerifiedProposal(VerifiedContent):
    """A proposal, which keeps the rules that concern it alone if it is of the present epoch."""

    proposal: Proposal


@dataclass(frozen=True, slots=True)
class VerifiedCommit(VerifiedContent):
    """A Commit that was signed; whether it may be applied is yet to be seen."""

    commit: Commit


def verify_group_id(content_group_id: bytes, group_id: bytes) -> None:
    """ValSem002: a message is of this group."""
    if content_group_id != group_id:
        raise MlsValidationError("ValSem002", "a message is of another group", spec=_SPEC, raw=content_group_id)


def verify_epoch(content_epoch: Epoch, epoch: Epoch) -> None:
    """ValSem003: a message is of the epoch in which it is looked at."""
    if content_epoch != epoch:
        message = f"a message is of epoch {content_epoch}, this is {epoch}"
        raise MlsValidationError("ValSem003", message, spec=_SPEC)


def verify_sender_is_member(tree: RatchetTree, leaf: LeafIndex) -> Signer:
    """ValSem004: a member who sends has a leaf. Returns its key."""
    found = tree.leaf(leaf)
    if found is None:
        raise MlsValidationError("ValSem004", f"leaf {leaf}, which a message names, is blank", spec=_SPEC)
    return Signer(found.signature_key, found.credential)


def find_past_signature_key(signature_keys: Sequence[bytes | None], leaf: LeafIndex) -> bytes:
    """ValSem004, of a past epoch with the leaves' *signature_keys*."""
    key = signature_keys[leaf] if leaf < len(signature_keys) else None
    if key is None:
        raise MlsValidationError("ValSem004", f"leaf {leaf} was blank in its epoch", spec=_SPEC)
    return key


def find_signer(state: PublicState, content: FramedContent) -> Signer:
    """Who has to have signed *content* (RFC 9420 §6.1). The content fits its sender: VAL-810. Raises
    MlsValidationError."""
    sender = content.sender
    match sender.sender_type:
        case SenderType.MEMBER:
            return verify_sender_is_member(state.tree, LeafIndex(sender.index or 0))
        case SenderType.EXTERNAL:
            found = _external_sender(state.context, sender.index or 0)
            return Signer(found.signature_key, found.credential)
    body = content.content
    if sender.sender_type is SenderType.NEW_MEMBER_PROPOSAL and not isinstance(body, (bytes, Commit)):
        verify_update_senders(body, sender)
        verify_proposal_sender(body, sender)
    if isinstance(body, Add):
        leaf = body.key_package.leaf_node
    elif isinstance(body, Commit) and body.path is not None:
        leaf = body.path.leaf_node
    else:
        raise MlsValidationError("ValSem245", "an external commit has no path", spec="RFC 9420 §12.4.3.2")
    return Signer(leaf.signature_key, leaf.credential)


def _external_sender(context: GroupContext, index: int) -> ExternalSender:
    """VAL-813: an external sender is in the list of the group (RFC 9420 §12.1.8.1)."""
    body = find_extension(context.extensions, ExtensionType.EXTERNAL_SENDERS)
    senders = () if body is None else ExternalSenders.decode(body).external_senders
    if index >= len(senders):
        message = f"there is no external sender {index}"
        raise MlsValidationError("VAL-813", message, spec="RFC 9420 §12.1.8.1")
    return senders[index]
