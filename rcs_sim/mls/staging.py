"""A verified Commit made ready to be merged (RFC 9420 §12.4.2): the new epoch is complete, the old one untouched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_state import (
    EpochState,
    OwnUpdate,
    find_psk_secret,
    next_secrets,
    psk_lookup,
    start_epoch,
    verify_confirmation_tag,
)
from rcs_sim.mls.identifiers import Epoch, LeafIndex
from rcs_sim.mls.key_schedule import open_external_init
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposal_list import ProposalCache, ProposalList
from rcs_sim.mls.public_commit import FollowedCommit, follow_commit
from rcs_sim.mls.public_state import VerifiedCommit
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.treekem import TreeKeys, open_path

__all__ = ["MemberView", "StagedCommit", "initial_secret_of", "stage"]


@dataclass(frozen=True, slots=True)
class MemberView:
    """What a member needs to look at to stage a Commit."""

    state: EpochState
    policy: MemberPolicy
    signature_key: SignatureKey
    cache: ProposalCache
    own_updates: Mapping[bytes, OwnUpdate]
    resumption_psks: Sequence[tuple[Epoch, Secret]]


@dataclass(frozen=True, slots=True)
class StagedCommit:
    """A Commit that keeps all rules. *after* is the epoch that it begins, None if it removes us; *base* is the one in
    which it was sent, and the only one that it can be merged into."""

    base: EpochState
    verified: VerifiedCommit
    followed: FollowedCommit
    after: EpochState | None
    signature_key: SignatureKey

    @property
    def proposals(self) -> ProposalList:
        return self.followed.applied.proposals

    @property
    def committer(self) -> LeafIndex:
        """Place of the sender in the new epoch."""
        return self.followed.applied.committer

    @property
    def added(self) -> tuple[LeafIndex, ...]:
        """Places of those who were added."""
        return self.followed.applied.new_leaves

    @property
    def removed(self) -> frozenset[LeafIndex]:
        """Places of those who are gone, in the old epoch."""
        return self.followed.applied.removed

    @property
    def is_self_removed(self) -> bool:
        return self.after is None


def stage(view: MemberView, verified: VerifiedCommit, now_s: int | None) -> StagedCommit:
    """The epoch that *verified* begins. Nothing changes. Raises MlsValidationError or TlsDecodeError."""
    state = view.state
    followed = follow_commit(state.public, verified, view.cache, view.policy.seams, now_s)
    if state.own_leaf in followed.applied.removed:
        return StagedCommit(state, verified, followed, None, view.signature_key)
    own_update = _own_update(view, followed)
    keys, commit_secret = _open_secrets(state, followed, own_update)
    after = _new_epoch(view, followed, keys, commit_secret)
    signature_key = view.signature_key if own_update is None else own_update.signature_key
    return StagedCommit(state, verified, followed, after, signature_key)


def _own_update(view: MemberView, followed: FollowedCommit) -> OwnUpdate | None:
    """VAL-830: an Update of ours that is committed is one whose key we still have."""
    own = view.state.own_leaf
    if own not in followed.applied.updated:
        return None
    leaf = followed.applied.tree.leaf(own)
    assert leaf is not None
    found = view.own_updates.get(leaf.encryption_key)
    if found is None:
        message = "a commit covers an Update of ours whose key is lost"
        raise MlsValidationError("VAL-830", message, spec="RFC 9420 §12.1.2")
    return found


def _open_secrets(state: EpochState, followed: FollowedCommit, own_update: OwnUpdate | None) -> tuple[TreeKeys, Secret]:
    """Our keys in the new epoch, and the commit_secret (RFC 9420 §12.4.2)."""
    private = None if own_update is None else own_update.encryption_private
    keys = state.keys.after_changes(followed.applied.tree, private)
    if followed.merged is None:
        return keys, state.public.suite.zero_secret()
    opened = open_path(followed.merged, keys, followed.path_context.encode())
    return opened.keys, opened.commit_secret


def initial_secret_of(state: EpochState, proposals: ProposalList) -> Secret:
    """init_secret: that of the epoch, or what an ExternalInit brings (RFC 9420 §8.3). VAL-815: that opens."""
    inits = proposals.external_inits
    if not inits:
        return state.secrets.init_secret
    try:
        return open_external_init(state.public.suite, state.secrets.external_secret, inits[0].kem_output)
    except CryptoError as error:
        raise MlsValidationError("VAL-815", f"an ExternalInit does not open: {error}", spec="RFC 9420 §8.3") from error


def _new_epoch(view: MemberView, followed: FollowedCommit, keys: TreeKeys, commit_secret: Secret) -> EpochState:
    state, public, proposals = view.state, followed.state, followed.applied.proposals
    lookup = psk_lookup(view.policy, public.group_id, view.resumption_psks)
    psk_secret = find_psk_secret(public.suite, [each.psk for each in proposals.psks], lookup)
    init_secret = initial_secret_of(state, proposals)
    _, derived = next_secrets(public.suite, init_secret, commit_secret, psk_secret, public.context)
    verify_confirmation_tag(public, derived[0])
    return start_epoch(public, state.own_leaf, keys, derived, view.policy.window)
