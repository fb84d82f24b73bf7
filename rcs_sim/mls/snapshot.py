"""A group as one octet string, and back. All of it is secret; who stores it encrypts it.

Format, in the presentation language of RFC 9420 §2.1, version 1::

    struct {
      uint16 version = 1;
      Epoch state;                          // PublicState, own leaf, keys, EpochSecrets, SecretTree
      opaque signature_key<V>;              // public half: private ones stay where the application keeps them
      struct { uint64 epoch; opaque psk<V>; } resumption_psks<V>;
      PastEpoch past<V>;                    // signature keys that are still in the tree take their leaf's place only
      struct { opaque ref<V>; Sender sender; opaque proposal<V>; } cache<V>;
      struct { opaque encryption_key<V>; opaque private<V>; opaque signature_key<V>; } own_updates<V>;
      optional<opaque<V>> reinit;
      optional<Pending> pending;            // message, optional Welcome, AuthenticatedContent, Epoch, signature_key
    } GroupSnapshot;

The tree is the ``ratchet_tree<V>`` of RFC 9420 §12.4.3.3. A pending Commit is staged anew from its own octets.
"""

from __future__ import annotations

from collections.abc import Callable

from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import Reader, encode_opaque, encode_optional, encode_u16, encode_u32, encode_u64, encode_vector
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_builder import PendingCommit
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupContext, RatchetTreeExtension
from rcs_sim.mls.group_state import EpochState, OwnUpdate, PastEpoch
from rcs_sim.mls.identifiers import Epoch, LeafIndex, NodeIndex, ResumptionPskUsage
from rcs_sim.mls.key_schedule import EpochSecrets
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import AuthenticatedContent, MLSMessage, Sender
from rcs_sim.mls.proposal_application import apply_proposals
from rcs_sim.mls.proposal_list import ProposalCache, ProposalList, resolve_proposals
from rcs_sim.mls.psk_id import ResumptionPskID
from rcs_sim.mls.public_commit import FollowedCommit
from rcs_sim.mls.public_snapshot import encode_past_keys, encode_queued, read_past_keys, read_queued, read_reinit
from rcs_sim.mls.public_start import verify_known_suite
from rcs_sim.mls.public_state import PublicState, VerifiedCommit
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.secret_tree import RatchetWindow, SecretTree, SenderDataKeys
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.staging import StagedCommit
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_nodes import tree_nodes, tree_of_nodes
from rcs_sim.mls.treekem import TreeKeys

__all__ = ["SNAPSHOT_VERSION", "FindSignatureKey", "restore", "snapshot"]

SNAPSHOT_VERSION = 1
_SPEC = "the snapshot format of rcs_sim.mls.snapshot"

FindSignatureKey = Callable[[bytes], SignatureKey]
"""Gives the private key of a public one. May raise what its application wants."""


def snapshot(group: Group) -> bytes:
    """All of *group*."""
    tree = group.tree
    parts = (
        encode_u16(SNAPSHOT_VERSION),
        _encode_state(group.state),
        encode_opaque(group.signature_key.public),
        encode_vector([encode_u64(epoch) + _encode_secret(psk) for epoch, psk in group.resumption_psks[:-1]]),
        encode_vector([_encode_past(past, tree) for past in group.past_epochs]),
        encode_vector([encode_queued(each) for each in group.proposals]),
        encode_vector([_encode_update(key, update) for key, update in group.own_updates.items()]),
        encode_optional(None if group.reinit is None else encode_opaque(group.reinit.encode())),
        encode_optional(None if group.pending is None else _encode_pending(group.pending)),
    )
    return b"".join(parts)


def restore(octets: bytes, find_signature_key: FindSignatureKey, policy: MemberPolicy | None = None) -> Group:
    """The group that `snapshot` gave. Raises TlsDecodeError or MlsValidationError on octets that are none."""
    policy = policy or MemberPolicy()
    reader = Reader(octets, policy.seams.custom_bodies())
    if (version := reader.u16()) != SNAPSHOT_VERSION:
        reader.fail(f"a snapshot of version {version}", _SPEC)
    state = _read_state(reader, policy.window)
    key = find_signature_key(reader.opaque())
    resumption_psks = reader.vector(_read_resumption_psk)
    past = reader.vector(lambda inner: _read_past(inner, state.public, policy.window))
    group = Group(state, key, policy, past, resumption_psks)
    cache = reader.vector(read_queued)
    updates = reader.vector(lambda inner: _read_update(inner, find_signature_key))
    reinit = reader.optional(read_reinit)
    group.resume(cache, dict(updates), reinit)
    group.resume_pending(reader.optional(lambda inner: _read_pending(inner, group, find_signature_key)))
    reader.finish()
    return group


# --- an epoch ---------------------------------------------------------------------------------------------------------


def _encode_secret(secret: Secret) -> bytes:
    return encode_opaque(secret.octets)


def _read_secret(reader: Reader) -> Secret:
    return Secret(reader.opaque())


def _encode_state(state: EpochState) -> bytes:
    public = state.public
    keys = [encode_u32(node) + _encode_secret(key) for node, key in state.keys.items()]
    parts = (
        public.context.encode(),
        RatchetTreeExtension(tree_nodes(public.tree)).encode(),
        encode_opaque(public.confirmation_tag),
        encode_u32(state.own_leaf),
        encode_vector(keys),
        b"".join(map(_encode_secret, _secrets_of(state.secrets))),
        encode_opaque(state.secret_tree.encode()),
    )
    return b"".join(parts)


def _secrets_of(secrets: EpochSecrets) -> tuple[Secret, ...]:
    return (
        secrets.sender_data_secret,
        secrets.exporter_secret,
        secrets.external_secret,
        secrets.confirmation_key,
        secrets.membership_key,
        secrets.resumption_psk,
        secrets.epoch_authenticator,
        secrets.init_secret,
    )


def _read_key(reader: Reader) -> tuple[NodeIndex, Secret]:
    return NodeIndex(reader.u32()), _read_secret(reader)


def _read_state(reader: Reader, window: RatchetWindow) -> EpochState:
    context = GroupContext.read(reader)
    suite = verify_known_suite(context)
    tree = tree_of_nodes(suite, RatchetTreeExtension.read(reader).nodes)
    tag = reader.opaque()
    interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, tag)
    public = PublicState(suite, context, tree, interim, tag)
    own_leaf = LeafIndex(reader.u32())
    keys = TreeKeys(own_leaf, dict(reader.vector(_read_key)))
    secrets = EpochSecrets(*[_read_secret(reader) for _ in range(8)])
    secret_tree = SecretTree.decode(suite, reader.opaque(), window)
    return EpochState(public, own_leaf, keys, secrets, secret_tree, SenderDataKeys(suite, secrets.sender_data_secret))


# --- what is kept of others -------------------------------------------------------------------------------------------


def _read_resumption_psk(reader: Reader) -> tuple[Epoch, Secret]:
    return Epoch(reader.u64()), _read_secret(reader)


def _encode_past(past: PastEpoch, tree: RatchetTree) -> bytes:
    keys = encode_past_keys(past.signature_keys, tree)
    secrets = _encode_secret(past.membership_key) + _encode_secret(past.sender_data_secret)
    return past.context.encode() + keys + secrets + encode_opaque(past.secret_tree.encode())


def _read_past(reader: Reader, public: PublicState, window: RatchetWindow) -> PastEpoch:
    context = GroupContext.read(reader)
    keys = read_past_keys(reader, public.tree)
    membership_key, sender_data_secret = _read_secret(reader), _read_secret(reader)
    secret_tree = SecretTree.decode(public.suite, reader.opaque(), window)
    sender_data = SenderDataKeys(public.suite, sender_data_secret)
    return PastEpoch(context, keys, membership_key, sender_data_secret, secret_tree, sender_data)


def _encode_update(key: bytes, update: OwnUpdate) -> bytes:
    return encode_opaque(key) + _encode_secret(update.encryption_private) + encode_opaque(update.signature_key.public)


def _read_update(reader: Reader, find_signature_key: FindSignatureKey) -> tuple[bytes, OwnUpdate]:
    key, private = reader.opaque(), _read_secret(reader)
    return key, OwnUpdate(private, find_signature_key(reader.opaque()))


# --- our own Commit ---------------------------------------------------------------------------------------------------


def _encode_pending(pending: PendingCommit) -> bytes:
    after = pending.staged.after
    assert after is not None  # nobody commits their own removal
    parts = (
        encode_opaque(pending.message.encode()),
        encode_optional(None if pending.welcome is None else encode_opaque(pending.welcome.encode())),
        encode_opaque(pending.authenticated.encode()),
        _encode_state(after),
        encode_opaque(pending.staged.signature_key.public),
    )
    return b"".join(parts)


def _read_pending(reader: Reader, group: Group, find_signature_key: FindSignatureKey) -> PendingCommit:
    message = MLSMessage.decode(reader.opaque(), reader.custom_bodies)
    welcome = reader.optional(lambda inner: MLSMessage.decode(inner.opaque()))
    authenticated = AuthenticatedContent.decode(reader.opaque(), reader.custom_bodies)
    after = _read_state(reader, group.policy.window)
    key = find_signature_key(reader.opaque())
    commit = authenticated.content.content
    if not isinstance(commit, Commit):
        reader.fail("a pending commit was expected", _SPEC)
    followed = _followed_again(group, commit, group.proposals, after)
    staged = StagedCommit(group.state, VerifiedCommit(authenticated, None, commit), followed, after, key)
    return PendingCommit(message, welcome, staged, authenticated)


def _followed_again(group: Group, commit: Commit, cache: ProposalCache, after: EpochState) -> FollowedCommit:
    proposals = resolve_proposals(commit.proposals, Sender.member(group.own_leaf), cache)
    seams, usage = group.policy.seams, _usage_of(proposals)
    applied = apply_proposals(group.public, proposals, group.own_leaf, None, seams, None, usage)
    return FollowedCommit(applied, None, after.public.context, after.public)


def _usage_of(proposals: ProposalList) -> ResumptionPskUsage:
    ids = [each.psk for each in proposals.psks]
    usages = [psk.usage for psk in ids if isinstance(psk, ResumptionPskID)]
    return next((usage for usage in usages if usage != 1), ResumptionPskUsage.APPLICATION)
