"""Commits and proposals of others, as the focus fans them out, applied to a group (RCC.16 §6.1.2, §7.9).

What is refused changes nothing: the new epoch is complete, and its authenticator compared with what the focus names,
before the old one is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.certificate_profile import CertificateRefused
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import RCS_CUSTOM_BODIES, RcsProposalType
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.failure_reason import ClientFailureReason
from rcs_sim.e2ee.member.application_opening import Envelope
from rcs_sim.e2ee.member.control_outcome import (
    Advanced,
    ControlRefusal,
    Ignored,
    IgnoredWhy,
    ParkedControl,
    ProposalKept,
    RemovedFromGroup,
)
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.moment import Moment
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.crypto import CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.messages import MLSMessage, PrivateMessage, PublicMessage
from rcs_sim.mls.proposals import CustomProposal, Proposal
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.staging import StagedCommit

__all__ = ["FannedOut", "HandshakeOutcome", "apply_handshake"]

HandshakeOutcome = Advanced | ProposalKept | ParkedControl | RemovedFromGroup | Ignored | ControlRefusal
_KEPT_CUSTOM = frozenset({RcsProposalType.END_MLS, RcsProposalType.SELF_REMOVE})


@dataclass(frozen=True, slots=True)
class FannedOut:
    """A commit or proposal and what came beside it. *state* is what the focus says the group is in after it;
    *keeps_before*: nobody arbitrates, and another commit may win yet."""

    octets: bytes
    envelope: Envelope
    state: EpochIdentifier | None = None
    deliveries: tuple[bytes, ...] = ()
    keeps_before: bool = False


def apply_handshake(group: EncryptedGroup, fanned_out: FannedOut, now_s: int) -> HandshakeOutcome:
    """Takes a commit or proposal, or says why not. A commit of a later moment is for the caller to park."""
    message = _read(group, fanned_out)
    if not isinstance(message, PublicMessage):
        return message
    refusal = _check_binding(message, fanned_out.envelope, group.era)
    if refusal is not None:
        return refusal
    try:
        return _apply(group, message, fanned_out, now_s)
    except CertificateRefused as error:
        return ControlRefusal(str(error), ClientFailureReason.INVALID_CREDENTIAL, error.rule)
    except MlsValidationError as error:
        return ControlRefusal(str(error), rule=error.rule)
    except (TlsDecodeError, CryptoError) as error:
        return ControlRefusal(str(error))


def _read(group: EncryptedGroup, fanned_out: FannedOut) -> PublicMessage | ControlRefusal | Ignored | ParkedControl:
    try:
        message = MLSMessage.decode(fanned_out.octets, RCS_CUSTOM_BODIES).body
    except TlsDecodeError as error:
        return ControlRefusal(f"a control message that cannot be read: {error}")
    if isinstance(message, PrivateMessage):
        return ControlRefusal("a handshake in a PrivateMessage", ClientFailureReason.COMMIT_IN_PRIVATEMESSAGE)
    if not isinstance(message, PublicMessage):
        return ControlRefusal(f"a {type(message).__name__} where a handshake was expected")
    if message.content.group_id != group.group_id:
        return ControlRefusal("a handshake of another group")
    return _check_moment(group, message, fanned_out)


def _check_moment(
    group: EncryptedGroup, message: PublicMessage, fanned_out: FannedOut
) -> PublicMessage | Ignored | ParkedControl:
    """The era that the message says it is of comes from what it is bound to, else from its envelope."""
    era = _era_of(message, fanned_out)
    base = Moment(era, int(message.content.epoch))
    if base < group.moment:
        return Ignored(IgnoredWhy.OLD)
    if base > group.moment:
        return ParkedControl(base, is_era_gap=era > group.era)
    return message


def _era_of(message: PublicMessage, fanned_out: FannedOut) -> int:
    try:
        return AuthenticatedData.decode(message.content.authenticated_data).era
    except TlsDecodeError:
        return fanned_out.state.era_id if fanned_out.state is not None else fanned_out.envelope.era


def _check_binding(message: PublicMessage, envelope: Envelope, era: int) -> ControlRefusal | None:
    try:
        bound = AuthenticatedData.decode(message.content.authenticated_data)
    except TlsDecodeError:
        return None  # as for application messages: what binds to nothing passes (observed)
    if (bound.message_id, bound.era) != (envelope.message_id, era):
        return ControlRefusal(f"bound to {bound.message_id!r} in era {bound.era}, sent as {envelope.message_id!r}")
    return None


def _apply(group: EncryptedGroup, message: PublicMessage, fanned_out: FannedOut, now_s: int) -> HandshakeOutcome:
    if not isinstance(message.content.content, Commit):
        ignored = _ignored_proposal(message)
        if ignored is not None:
            return ignored
    if message.content.sender.leaf_index == group.group.own_leaf:
        return Ignored(IgnoredWhy.OUR_OWN)
    verified = group.group.verify(message, now_s)
    if isinstance(verified, VerifiedProposal):
        return _keep(group, verified, fanned_out.envelope)
    assert isinstance(verified, VerifiedCommit)  # a PublicMessage holds no application data: ValSem005
    return _commit(group, verified, fanned_out, now_s)


def _ignored_proposal(message: PublicMessage) -> Ignored | None:
    """What is never kept, whoever has signed it."""
    proposal = message.content.content
    if not isinstance(proposal, CustomProposal):
        return None
    if proposal.proposal_type == RcsProposalType.RCS_SIGNATURE:
        return Ignored(IgnoredWhy.SIGNATURE)
    if proposal.proposal_type == RcsProposalType.SERVER_REMOVE:
        return Ignored(IgnoredWhy.SERVER_REMOVAL)
    return None if proposal.proposal_type in _KEPT_CUSTOM else Ignored(IgnoredWhy.UNKNOWN_PROPOSAL)


def _number_at(group: EncryptedGroup, leaf: LeafIndex | None) -> str:
    return "" if leaf is None else group.roster.leaves.get(leaf, "")


def _keep(group: EncryptedGroup, verified: VerifiedProposal, envelope: Envelope) -> HandshakeOutcome:
    sender = _number_at(group, verified.sender.leaf_index)
    if not envelope.may_be_from(sender, group.own_number):
        return ControlRefusal(f"a proposal of {sender or 'nobody'}, sent by {envelope.asserted_sender}", None)
    if verified.epoch != group.group.epoch:
        return Ignored(IgnoredWhy.OLD)
    group.group.add_proposal(verified)
    return ProposalKept(sender, _asks_for_end(verified.proposal))


def _asks_for_end(proposal: Proposal) -> bool:
    return isinstance(proposal, CustomProposal) and proposal.proposal_type == RcsProposalType.END_MLS


def _commit(group: EncryptedGroup, verified: VerifiedCommit, fanned_out: FannedOut, now_s: int) -> HandshakeOutcome:
    staged = group.group.stage_commit(verified, now_s)
    committer = _committer_of(group, staged)
    if not fanned_out.envelope.may_be_from(committer, group.own_number):
        shown = f"a commit of {committer or 'nobody'}, sent by {fanned_out.envelope.asserted_sender}"
        return ControlRefusal(shown, None)
    if staged.after is None:
        return RemovedFromGroup(committer)
    authenticator = staged.after.secrets.epoch_authenticator.octets
    named = None if fanned_out.state is None else fanned_out.state.epoch_authenticator
    if named and named != authenticator:
        return ControlRefusal("the focus names another state than this commit leads to")
    return _advance(group, staged, committer, fanned_out, now_s)


def _committer_of(group: EncryptedGroup, staged: StagedCommit) -> str:
    """The number of who has committed. Who comes in by it has a leaf in the new tree only."""
    leaf = staged.verified.sender.leaf_index
    if leaf is not None:
        return _number_at(group, leaf)
    node = staged.followed.state.tree.leaf(staged.committer)
    return "" if node is None else msisdn_of(node)


def _advance(
    group: EncryptedGroup, staged: StagedCommit, committer: str, fanned_out: FannedOut, now_s: int
) -> Advanced:
    before, was_ended = group.roster.numbers, group.is_downgraded
    lost = group.merge(staged, now_s, keeps_before=fanned_out.keeps_before)
    after = group.roster.numbers
    return Advanced(
        moment=group.moment,
        committer=committer,
        leaf=staged.committer,
        added=after - before,
        removed=before - after,
        has_ended=group.is_downgraded and not was_ended,
        has_revived=was_ended and not group.is_downgraded,
        lost=lost,
        deliveries=fanned_out.deliveries,
    )
