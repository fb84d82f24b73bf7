"""A server's view of a group: it follows the handshakes and can read nothing (RFC 9420 §6.2, §12.4).

Signatures, tree, credentials and GroupInfos are checked here. Membership tags and confirmation tags are for members:
who sends one that is wrong is found out by them. Of past epochs the leaves' signature keys are kept, so that a member's
proposal that comes late can carry its signature still. No module with a group's secrets is imported, directly or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_validation import verify_sender_fits_content
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import verify_public_form, verify_signature
from rcs_sim.mls.group_info import GroupContext, GroupInfo, RatchetTreeExtension
from rcs_sim.mls.identifiers import Epoch, LeafIndex, SenderType
from rcs_sim.mls.messages import MLSMessage, MLSMessageBody, PublicMessage
from rcs_sim.mls.proposal_application import verify_proposal
from rcs_sim.mls.proposal_list import ProposalCache, ProposalList
from rcs_sim.mls.proposals import ProposalRef, ReInit
from rcs_sim.mls.public_commit import FollowedCommit, follow_commit
from rcs_sim.mls.public_start import start_public, verify_group_info_signature
from rcs_sim.mls.public_state import (
    PastPublicEpoch,
    PublicState,
    VerifiedCommit,
    VerifiedProposal,
    find_past_signature_key,
    find_signer,
    verify_epoch,
    verify_group_id,
)
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.tree_nodes import tree_nodes
from rcs_sim.mls.tree_validation import MapLeaves

__all__ = [
    "PAST_EPOCHS",
    "PublicGroup",
    "StagedPublicCommit",
    "verify_group_info_is_current",
    "verify_membership_tag_is_there",
]

PAST_EPOCHS = 3  # that are kept unless the caller says otherwise: as many as a member keeps


@dataclass(frozen=True, slots=True)
class StagedPublicCommit:
    """A Commit that keeps all rules that can be seen from outside."""

    base: PublicState
    verified: VerifiedCommit
    followed: FollowedCommit

    @property
    def proposals(self) -> ProposalList:
        return self.followed.applied.proposals

    @property
    def committer(self) -> LeafIndex:
        return self.followed.applied.committer

    @property
    def added(self) -> tuple[LeafIndex, ...]:
        return self.followed.applied.new_leaves

    @property
    def removed(self) -> frozenset[LeafIndex]:
        return self.followed.applied.removed


class PublicGroup:
    """One epoch of a group, seen from outside."""

    __slots__ = ("_cache", "_kept_epochs", "_past", "_reinit", "_state", "seams")

    def __init__(
        self,
        state: PublicState,
        seams: Seams,
        reinit: ReInit | None = None,
        past: Sequence[PastPublicEpoch] = (),
        kept_epochs: int = PAST_EPOCHS,
    ) -> None:
        """*past* are epochs before, the newest last, of which *kept_epochs* are kept."""
        self._state = state
        self._cache = ProposalCache()
        self._reinit = reinit
        self._past = tuple(past[max(0, len(past) - kept_epochs) :])
        self._kept_epochs = kept_epochs
        self.seams = seams

    def __repr__(self) -> str:
        return f"PublicGroup({self.group_id!r}, epoch {self.epoch})"

    @classmethod
    def start(
        cls,
        info: GroupInfo,
        *,
        ratchet_tree: RatchetTreeExtension | None = None,
        seams: Seams | None = None,
        now_s: int | None = None,
        run: MapLeaves = map,
        kept_epochs: int = PAST_EPOCHS,
    ) -> Self:
        """The group of a GroupInfo; *ratchet_tree* is the tree if it came beside. Raises MlsValidationError or
        TlsDecodeError."""
        seams = seams or Seams()
        return cls(start_public(info, ratchet_tree, seams, now_s, run), seams, kept_epochs=kept_epochs)

    @property
    def state(self) -> PublicState:
        return self._state

    @property
    def suite(self) -> CipherSuite:
        return self._state.suite

    @property
    def context(self) -> GroupContext:
        return self._state.context

    @property
    def tree(self) -> RatchetTree:
        return self._state.tree

    @property
    def group_id(self) -> bytes:
        return self._state.context.group_id

    @property
    def epoch(self) -> Epoch:
        return self._state.context.epoch

    @property
    def proposals(self) -> ProposalCache:
        return self._cache

    @property
    def reinit(self) -> ReInit | None:
        """What ended the group, None while it goes on."""
        return self._reinit

    @property
    def past_epochs(self) -> tuple[PastPublicEpoch, ...]:
        """Those kept, the newest last."""
        return self._past

    def ratchet_tree(self) -> RatchetTreeExtension:
        """The tree as it travels."""
        return RatchetTreeExtension(tree_nodes(self.tree))

    def verify(
        self, message: MLSMessage | MLSMessageBody, now_s: int | None = None
    ) -> VerifiedProposal | VerifiedCommit:
        """What a PublicMessage says, and that its sender has signed it. Of a past epoch that is kept, a member's
        proposal is verified too: it says who has signed it, and can no longer be committed. Raises MlsValidationError
        or TlsDecodeError."""
        body = message.body if isinstance(message, MLSMessage) else message
        if not isinstance(body, PublicMessage):
            raise MlsValidationError("VAL-831", f"a {type(body).__name__} is no handshake", spec="RFC 9420 §6")
        content = body.content
        verify_group_id(content.group_id, self.group_id)
        if content.epoch != self.epoch:
            return self._verify_late(body)
        verify_public_form(body)
        verify_sender_fits_content(content.sender, content.content)
        verify_membership_tag_is_there(body)
        signer = find_signer(self._state, content)
        authenticated = body.authenticated_content()
        verify_signature(self.suite, authenticated, signer.signature_key, self.context)
        if content.sender.sender_type is SenderType.EXTERNAL:
            self.seams.identity.verify_credential(signer.credential, signer.signature_key, now_s)
        inner = content.content
        if isinstance(inner, Commit):
            return VerifiedCommit(authenticated, signer.credential, inner)
        assert not isinstance(inner, bytes)  # ValSem005
        verify_proposal(inner, content.sender, self._state, self.seams, now_s)
        return VerifiedProposal(authenticated, signer.credential, inner)

    def _verify_late(self, message: PublicMessage) -> VerifiedProposal:
        """ValSem003: what comes of another epoch is a member's proposal, of an epoch that is kept."""
        content = message.content
        past = next((each for each in self._past if each.context.epoch == content.epoch), None)
        leaf, proposal = content.sender.leaf_index, content.content
        if past is None or leaf is None or isinstance(proposal, Commit):
            what = f"a message is of epoch {content.epoch}, this is {self.epoch}"
            raise MlsValidationError("ValSem003", what, spec="RFC 9420 §6")
        verify_public_form(message)
        assert not isinstance(proposal, bytes)  # ValSem005
        verify_membership_tag_is_there(message)
        authenticated = message.authenticated_content()
        verify_signature(self.suite, authenticated, find_past_signature_key(past.signature_keys, leaf), past.context)
        return VerifiedProposal(authenticated, None, proposal)

    def add_proposal(self, verified: VerifiedProposal) -> ProposalRef:
        """Keeps a proposal for a Commit to cover. Raises MlsValidationError if it is of another epoch."""
        verify_epoch(verified.epoch, self.epoch)
        reference = self.suite.proposal_ref(verified.authenticated.encode())
        self._cache.add(reference, verified.proposal, verified.sender)
        return reference

    def drop_proposal(self, reference: ProposalRef) -> None:
        """Forgets a proposal."""
        self._cache.drop(reference)

    def stage_commit(self, verified: VerifiedCommit, now_s: int | None = None) -> StagedPublicCommit:
        """What a Commit makes of this group. Raises MlsValidationError or TlsDecodeError."""
        verify_epoch(verified.epoch, self.epoch)
        if self._reinit is not None:
            raise MlsValidationError("VAL-832", "the group was ended by a ReInit", spec="RFC 9420 §11.2")
        return StagedPublicCommit(
            self._state, verified, follow_commit(self._state, verified, self._cache, self.seams, now_s)
        )

    def merge(self, staged: StagedPublicCommit) -> PublicGroup:
        """The group of the new epoch; this one stays as it is."""
        if staged.base is not self._state:
            raise LocalProtocolError("this commit was staged in another epoch", spec="RFC 9420 §12.4")
        reinit = next(iter(staged.proposals.reinits), None)
        past = (*self._past, PastPublicEpoch.of(self._state))
        return PublicGroup(staged.followed.state, self.seams, reinit, past, self._kept_epochs)

    def verify_group_info(self, info: GroupInfo) -> None:
        """That *info* is of this very epoch and signed by one of its members. Raises MlsValidationError."""
        verify_group_info_is_current(info, self._state)
        verify_group_info_signature(info, self.tree)


def verify_membership_tag_is_there(message: PublicMessage) -> None:
    """ValSem007: a member's message has a membership tag. What is in it only members can tell."""
    if message.content.sender.sender_type is SenderType.MEMBER and not message.membership_tag:
        raise MlsValidationError("ValSem007", "a member's message has no membership tag", spec="RFC 9420 §6.2")


def verify_group_info_is_current(info: GroupInfo, state: PublicState) -> None:
    """VAL-833: a GroupInfo has the GroupContext and confirmation tag of the epoch (RFC 9420 §12.4.3)."""
    same = info.group_context == state.context and info.confirmation_tag == state.confirmation_tag
    if not same:
        message = f"a GroupInfo is not of epoch {state.epoch}"
        raise MlsValidationError("VAL-833", message, spec="RFC 9420 §12.4.3")
