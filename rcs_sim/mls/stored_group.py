"""A group that is written down at each step: one atomic write per transition, before its outcome leaves.

A message whose keys were used up in memory but not in the storage could be read twice after a restart, or two sealed
under one key. So each step here ends in one `GroupStorage.replace`, and gives its result after that.
"""

from __future__ import annotations

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit
from rcs_sim.mls.crypto import Random
from rcs_sim.mls.group import Group
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import MLSMessage, MLSMessageBody
from rcs_sim.mls.proposals import Proposal, ProposalRef
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedContent, VerifiedProposal
from rcs_sim.mls.seams import GroupStorage
from rcs_sim.mls.snapshot import FindSignatureKey, restore, snapshot
from rcs_sim.mls.staging import StagedCommit

__all__ = ["StoredGroup"]


class StoredGroup:
    """A group and where it is kept. Not for use after its storage has failed: load it again then."""

    __slots__ = ("_group", "_storage")

    def __init__(self, group: Group, storage: GroupStorage) -> None:
        """Writes *group* down."""
        self._group = group
        self._storage = storage
        self._write()

    @classmethod
    def load(
        cls,
        storage: GroupStorage,
        group_id: bytes,
        find_signature_key: FindSignatureKey,
        policy: MemberPolicy | None = None,
    ) -> StoredGroup:
        """What was written last. Raises LocalProtocolError if there is nothing, TlsDecodeError if it is no group."""
        octets = storage.load(group_id)
        if octets is None:
            raise LocalProtocolError("this group is not in the storage", spec="RFC 9420 §14")
        stored = object.__new__(cls)
        stored._group = restore(octets, find_signature_key, policy)
        stored._storage = storage
        return stored

    @property
    def group(self) -> Group:
        """As it is now. What is changed on it directly is not written."""
        return self._group

    def _write(self) -> None:
        self._storage.replace(self._group.group_id, snapshot(self._group))

    def verify(
        self, message: MLSMessage | MLSMessageBody, now_s: int | None = None, *, keep_proposal: bool = True
    ) -> VerifiedContent:
        """`Group.verify`; a proposal of this epoch is kept by the same step unless *keep_proposal* is off."""
        verified = self._group.verify(message, now_s)
        if keep_proposal and isinstance(verified, VerifiedProposal) and verified.epoch == self._group.epoch:
            self._group.add_proposal(verified)
        if not isinstance(verified, VerifiedCommit):
            self._write()
        return verified

    def drop_proposal(self, reference: ProposalRef) -> None:
        """`Group.drop_proposal`."""
        self._group.drop_proposal(reference)
        self._write()

    def stage_commit(self, verified: VerifiedCommit, now_s: int | None = None) -> StagedCommit:
        """`Group.stage_commit`, which nothing is written for: it can be staged again."""
        return self._group.stage_commit(verified, now_s)

    def merge(self, staged: StagedCommit) -> None:
        """Adopts a new epoch, or drops the group if we were removed."""
        if staged.is_self_removed:
            self._storage.delete(self._group.group_id)
            return
        self._group = self._group.merge(staged)
        self._write()

    def seal(self, application_data: bytes, random: Random, *, authenticated_data: bytes = b"") -> MLSMessage:
        """`Group.seal`."""
        message = self._group.seal(application_data, random, authenticated_data=authenticated_data)
        self._write()
        return message

    def propose(
        self, proposal: Proposal, random: Random, *, authenticated_data: bytes = b"", now_s: int | None = None
    ) -> MLSMessage:
        """`Group.propose`."""
        message = self._group.propose(proposal, random, authenticated_data=authenticated_data, now_s=now_s)
        self._write()
        return message

    def commit(self, request: CommitRequest, random: Random, now_s: int | None = None) -> PendingCommit:
        """`Group.commit`."""
        pending = self._group.commit(request, random, now_s)
        self._write()
        return pending

    def merge_pending(self) -> None:
        """Adopts the epoch of our own Commit."""
        self._group = self._group.merge_pending()
        self._write()

    def clear_pending(self) -> None:
        """`Group.clear_pending`."""
        self._group.clear_pending()
        self._write()
