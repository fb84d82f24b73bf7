"""Making a Commit, with the Welcome for those it adds (RFC 9420 §12.4.1, §12.4.3).

A Commit of a member and one by which somebody joins take the same steps: `CommitSource` is where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.client import Client, sign_leaf
from rcs_sim.mls.commit import Commit, UpdatePath
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.extensions import Extensions, ExternalPub
from rcs_sim.mls.framing import protect_public, sign_content, with_confirmation_tag
from rcs_sim.mls.group_info import GroupContext, GroupInfo, RatchetTreeExtension
from rcs_sim.mls.group_state import EpochState, find_psk_secret, next_secrets, psk_lookup, start_epoch
from rcs_sim.mls.identifiers import LeafIndex, LeafNodeSource, ProposalType, ResumptionPskUsage, WireFormat
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.key_schedule import EpochSecrets, derive_welcome_secret, welcome_key_and_nonce
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, AuthenticatedContent, FramedContent, MLSMessage, Sender
from rcs_sim.mls.proposal_application import AppliedProposals, apply_proposals
from rcs_sim.mls.proposal_list import ProposalCache, ProposalList, QueuedProposal
from rcs_sim.mls.proposals import Proposal, ProposalRef
from rcs_sim.mls.protection import protect
from rcs_sim.mls.psk_id import PreSharedKeyID
from rcs_sim.mls.public_commit import FollowedCommit, context_after, provisional_context, verify_path_leaf
from rcs_sim.mls.public_state import PublicState, VerifiedCommit
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import IdentityProvider
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.staging import MemberView, StagedCommit
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_nodes import tree_nodes
from rcs_sim.mls.treekem import PendingPath, TreeKeys, create_path
from rcs_sim.mls.welcome import EncryptedGroupSecrets, GroupSecrets, Welcome

__all__ = [
    "CommitRequest",
    "CommitSource",
    "PendingCommit",
    "build_commit",
    "build_from",
    "choose_proposals",
    "sign_group_info",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitRequest:
    """What a Commit is to have. *proposals* go by value; *references* name those by reference, None all that were
    received and go together with those by value. *client* brings a new credential, key or capabilities for our leaf.
    *with_path* makes a path where the proposals do not need one. The Welcome has the tree unless *tree_in_welcome* is
    off, and *welcome_extensions* in its GroupInfo."""

    proposals: tuple[Proposal, ...] = ()
    references: tuple[ProposalRef, ...] | None = None
    with_path: bool = True
    client: Client | None = None
    authenticated_data: bytes = b""
    tree_in_welcome: bool = True
    welcome_extensions: Extensions = ()
    psk_usage: ResumptionPskUsage = ResumptionPskUsage.APPLICATION


@dataclass(frozen=True, slots=True)
class PendingCommit:
    """Our own Commit: what to send, and the epoch that it begins once it is accepted. *welcome* is None if nobody is
    added."""

    message: MLSMessage
    welcome: MLSMessage | None
    staged: StagedCommit
    authenticated: AuthenticatedContent

    def ratchet_tree(self) -> RatchetTreeExtension:
        """The tree of the new epoch, to go beside the Welcome."""
        return RatchetTreeExtension(tree_nodes(self.staged.followed.state.tree))

    def group_info(
        self, *, with_tree: bool = False, with_external_pub: bool = True, extensions: Extensions = ()
    ) -> GroupInfo:
        """A signed GroupInfo of the new epoch."""
        after = self.staged.after
        assert after is not None  # nobody commits their own removal
        found = [*extensions]
        if with_tree:
            found.append(self.ratchet_tree().as_extension())
        if with_external_pub:
            found.append(ExternalPub(after.secrets.external_key_pair(after.public.suite).public).as_extension())
        return sign_group_info(after.public, after.own_leaf, self.staged.signature_key, tuple(found))

    @property
    def epoch_authenticator(self) -> bytes:
        """That of the new epoch."""
        assert self.staged.after is not None
        return self.staged.after.secrets.epoch_authenticator.octets


def sign_group_info(public: PublicState, signer: LeafIndex, key: SignatureKey, extensions: Extensions) -> GroupInfo:
    """GroupInfo of an epoch (RFC 9420 §12.4.3)."""
    unsigned = GroupInfo(public.context, extensions, public.confirmation_tag, signer, b"")
    return replace(unsigned, signature=public.suite.sign_with_label(key, "GroupInfoTBS", unsigned.to_be_signed()))


# --- which proposals --------------------------------------------------------------------------------------------------


def choose_proposals(
    cache: ProposalCache,
    committer: LeafIndex,
    tree: RatchetTree,
    identity: IdentityProvider,
    by_value: Sequence[Proposal] = (),
) -> list[QueuedProposal]:
    """Those of *cache* that *committer* can cover together, and with *by_value*, as RFC 9420 §12.2 wants it: no Update
    or removal of its own, a Remove before an Update of the same leaf, the newest Update of a leaf, the first
    GroupContextExtensions, the first Add of a client who is not in *tree* or leaves it; a ReInit only if there is
    nothing else."""
    own = ProposalList(tuple(QueuedProposal(each, Sender.member(committer)) for each in by_value))
    if own.reinits:
        return []
    gone = {committer, *(remove.removed for remove in own.removes)}
    removed = dict[LeafIndex, QueuedProposal]()
    updated = dict[LeafIndex, QueuedProposal]()
    others: list[QueuedProposal] = []
    for each in cache:
        listed = ProposalList((each,))
        for remove in listed.removes:
            removed.setdefault(remove.removed, each)
        for leaf, _ in listed.updates:
            updated[leaf] = each
        if not listed.removes and not listed.updates:
            others.append(each)
    kept = [each for leaf, each in updated.items() if leaf not in removed and leaf not in gone]
    kept += [each for leaf, each in removed.items() if leaf not in gone]
    taken = {mark for each in own for mark in _marks_of(each, identity)}
    if ProposalList(tuple(others)).adds:
        taken |= _marks_of_members(tree, {*removed, *gone} - {committer}, identity)
    return _without_second([*kept, *others], taken, identity, is_alone=not by_value)


def _marks_of_members(tree: RatchetTree, removed: Collection[LeafIndex], identity: IdentityProvider) -> set[object]:
    """What those who stay have, and nobody who is added may have."""
    staying = [leaf for index, leaf in tree.members() if index not in removed]
    return {mark for leaf in staying for mark in _marks_of_leaf(leaf, identity)}


def _without_second(
    chosen: list[QueuedProposal], taken: set[object], identity: IdentityProvider, *, is_alone: bool
) -> list[QueuedProposal]:
    """Drops what stands in the way of the others or of what is *taken*: second GroupContextExtensions, PSKs and Adds,
    and ReInits, unless there *is_alone* one of those."""
    alone = [each for each in chosen if each.proposal_type == ProposalType.REINIT]
    if alone and len(alone) == len(chosen):
        return alone[:1] if is_alone else []
    kept: list[QueuedProposal] = []
    seen = set(taken)
    for each in chosen:
        marks = _marks_of(each, identity)
        if each.proposal_type != ProposalType.REINIT and not marks & seen:
            kept.append(each)
            seen |= marks
    return kept


def _marks_of(entry: QueuedProposal, identity: IdentityProvider) -> set[object]:
    """What may stand in a list once only."""
    listed = ProposalList((entry,))
    marks: set[object] = {"context" for _ in listed.context_extensions}
    marks |= {each.psk for each in listed.psks}
    for add in listed.adds:
        marks |= _marks_of_leaf(add.key_package.leaf_node, identity) | {("init", add.key_package.init_key)}
    return marks


def _marks_of_leaf(leaf: LeafNode, identity: IdentityProvider) -> set[object]:
    client = identity.identity_of(leaf.credential)
    return {("sign", leaf.signature_key), ("key", leaf.encryption_key), ("client", client)}


# --- the Commit -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommitSource:
    """Who commits: a member with its keys, or somebody who joins. *make_leaf* signs the leaf of the path from
    encryption key and parent hash; *sign_with* signs the message."""

    public: PublicState
    committer: LeafIndex | None
    new_leaf: LeafNode | None
    keys: TreeKeys | None
    init_secret: Secret
    make_leaf: Callable[[LeafIndex, bytes, bytes], LeafNode]
    sign_with: SignatureKey
    signature_key_after: SignatureKey
    policy: MemberPolicy
    find_psk_secret: Callable[[Iterable[PreSharedKeyID]], Secret]
    wire_format: WireFormat

    @property
    def sender(self) -> Sender:
        return NEW_MEMBER_COMMIT if self.committer is None else Sender.member(self.committer)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A Commit whose path is made and whose message is not signed yet."""

    applied: AppliedProposals
    provisional: GroupContext
    commit: Commit
    path: PendingPath | None
    keys: TreeKeys
    commit_secret: Secret


@dataclass(frozen=True, slots=True)
class _Finished:
    """A Commit and the epoch that it begins."""

    signed: AuthenticatedContent
    public: PublicState
    derived: tuple[EpochSecrets, Secret]
    joiner_secret: Secret
    psk_secret: Secret


def build_commit(view: MemberView, request: CommitRequest, random: Random, now_s: int | None) -> PendingCommit:
    """A member's Commit. Raises MlsValidationError if a rule forbids it, LocalProtocolError if a reference is of no
    proposal that was received."""
    state = view.state
    source = _member_source(view, request)
    proposals = ProposalList((*_referenced(view, request), *_by_value(request, source.sender)))
    draft = _draft(source, proposals, request, random, now_s)
    finished = _finish(source, draft, request)
    message = protect(state, view.policy, finished.signed, random)
    return _pending(source, draft, finished, message, request, random, state)


def build_from(
    source: CommitSource, proposals: ProposalList, request: CommitRequest, random: Random, now_s: int | None
) -> tuple[MLSMessage, AuthenticatedContent, EpochState]:
    """The Commit of somebody who joins by it, and the first epoch that it has."""
    draft = _draft(source, proposals, request, random, now_s)
    finished = _finish(source, draft, request)
    after = start_epoch(finished.public, draft.applied.committer, draft.keys, finished.derived, source.policy.window)
    return MLSMessage(protect_public(source.public.suite, finished.signed)), finished.signed, after


def _referenced(view: MemberView, request: CommitRequest) -> list[QueuedProposal]:
    if request.references is None:
        public = view.state.public
        identity = view.policy.seams.identity
        return choose_proposals(view.cache, view.state.own_leaf, public.tree, identity, request.proposals)
    found = [view.cache.get(reference) for reference in request.references]
    if None in found:
        raise LocalProtocolError("a proposal to be committed is not in the cache", spec="RFC 9420 §12.4.1")
    return [each for each in found if each is not None]


def _by_value(request: CommitRequest, sender: Sender) -> list[QueuedProposal]:
    return [QueuedProposal(proposal, sender) for proposal in request.proposals]


def _member_source(view: MemberView, request: CommitRequest) -> CommitSource:
    state, suite = view.state, view.state.public.suite
    key = view.signature_key if request.client is None else request.client.signature_key
    lookup = psk_lookup(view.policy, state.public.group_id, view.resumption_psks)

    def make_leaf(index: LeafIndex, encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        return _path_leaf(view, request.client, index, encryption_key, parent_hash)

    def psk_secret(psk_ids: Iterable[PreSharedKeyID]) -> Secret:
        return find_psk_secret(suite, tuple(psk_ids), lookup)

    return CommitSource(
        public=state.public,
        committer=state.own_leaf,
        new_leaf=None,
        keys=state.keys,
        init_secret=state.secrets.init_secret,
        make_leaf=make_leaf,
        sign_with=view.signature_key,
        signature_key_after=key,
        policy=view.policy,
        find_psk_secret=psk_secret,
        wire_format=view.policy.handshake_wire_format,
    )


def _path_leaf(
    view: MemberView, client: Client | None, index: LeafIndex, encryption_key: bytes, parent_hash: bytes
) -> LeafNode:
    public = view.state.public
    if client is None:
        before = public.tree.leaf(index)
        assert before is not None
        leaf = replace(before, encryption_key=encryption_key, leaf_node_source=LeafNodeSource.COMMIT, lifetime=None)
    else:
        leaf = client.unsigned_leaf(encryption_key, LeafNodeSource.COMMIT)
    key = view.signature_key if client is None else client.signature_key
    return sign_leaf(public.suite, replace(leaf, parent_hash=parent_hash), key, public.group_id, index)


def _draft(
    source: CommitSource, proposals: ProposalList, request: CommitRequest, random: Random, now_s: int | None
) -> _Draft:
    seams, public = source.policy.seams, source.public
    applied = apply_proposals(public, proposals, source.committer, source.new_leaf, seams, now_s, request.psk_usage)
    covered = tuple(each.as_covered() for each in proposals)
    if not (request.with_path or request.client is not None or seams.is_path_required(proposals)):
        assert source.keys is not None  # who joins has a path
        provisional = provisional_context(public, applied.tree, applied)
        keys = source.keys.after_changes(applied.tree)
        return _Draft(applied, provisional, Commit(covered, None), None, keys, public.suite.zero_secret())
    path = create_path(
        applied.tree, applied.committer, random, lambda key, above: source.make_leaf(applied.committer, key, above)
    )
    before = None if source.committer is None else public.tree.leaf(source.committer)
    verify_path_leaf(public, path.leaf_node, before, applied, seams, now_s)
    provisional = provisional_context(public, path.tree, applied)
    update_path: UpdatePath = path.encrypt(provisional.encode(), random, applied.new_leaves)
    return _Draft(applied, provisional, Commit(covered, update_path), path, path.keys, path.commit_secret)


def _finish(source: CommitSource, draft: _Draft, request: CommitRequest) -> _Finished:
    public, suite = source.public, source.public.suite
    data = request.authenticated_data
    content = FramedContent(public.group_id, public.epoch, source.sender, data, draft.commit)
    signed = sign_content(suite, source.sign_with, source.wire_format, content, public.context)
    context = context_after(public, draft.provisional, signed)
    psk_secret = source.find_psk_secret(each.psk for each in draft.applied.proposals.psks)
    joiner_secret, derived = next_secrets(suite, source.init_secret, draft.commit_secret, psk_secret, context)
    tag = derived[0].confirmation_tag(suite, context.confirmed_transcript_hash)
    interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, tag)
    tree = draft.applied.tree if draft.path is None else draft.path.tree
    after = PublicState(suite, context, tree, interim, tag)
    return _Finished(with_confirmation_tag(signed, tag), after, derived, joiner_secret, psk_secret)


def _pending(
    source: CommitSource,
    draft: _Draft,
    finished: _Finished,
    message: MLSMessage,
    request: CommitRequest,
    random: Random,
    base: EpochState,
) -> PendingCommit:
    own = draft.applied.committer
    after = start_epoch(finished.public, own, draft.keys, finished.derived, source.policy.window)
    commit = draft.commit
    verified = VerifiedCommit(finished.signed, None, commit)
    followed = FollowedCommit(draft.applied, None, draft.provisional, finished.public)
    staged = StagedCommit(base, verified, followed, after, source.signature_key_after)
    welcome = _welcome(source, draft, finished, request, random) if draft.applied.added else None
    return PendingCommit(message, None if welcome is None else MLSMessage(welcome), staged, finished.signed)


# --- the Welcome ------------------------------------------------------------------------------------------------------


def _welcome(
    source: CommitSource, draft: _Draft, finished: _Finished, request: CommitRequest, random: Random
) -> Welcome:
    public, suite = finished.public, finished.public.suite
    extensions = request.welcome_extensions
    if request.tree_in_welcome:
        extensions = (*extensions, RatchetTreeExtension(tree_nodes(public.tree)).as_extension())
    info = sign_group_info(public, draft.applied.committer, source.signature_key_after, extensions)
    sealed_info = _seal_group_info(suite, info, finished)
    psks = tuple(each.psk for each in draft.applied.proposals.psks)
    secrets = [
        _seal_secrets(suite, key_package, _group_secrets(draft, finished, leaf, psks), sealed_info, random)
        for leaf, key_package in draft.applied.added
    ]
    return Welcome(suite.id, tuple(secrets), sealed_info)


def _seal_group_info(suite: CipherSuite, info: GroupInfo, finished: _Finished) -> bytes:
    welcome_secret = derive_welcome_secret(suite, finished.joiner_secret, finished.psk_secret)
    key, nonce = welcome_key_and_nonce(suite, welcome_secret)
    return suite.seal(key, nonce, b"", info.encode())


def _group_secrets(
    draft: _Draft, finished: _Finished, leaf: LeafIndex, psks: tuple[PreSharedKeyID, ...]
) -> GroupSecrets:
    path_secret = None if draft.path is None else draft.path.path_secret_for(leaf)
    return GroupSecrets(finished.joiner_secret, path_secret, psks)


def _seal_secrets(
    suite: CipherSuite, key_package: KeyPackage, secrets: GroupSecrets, sealed_info: bytes, random: Random
) -> EncryptedGroupSecrets:
    reference = suite.key_package_ref(key_package.encode())
    sealed = suite.encrypt_with_label(key_package.init_key, "Welcome", sealed_info, secrets.encode(), random)
    return EncryptedGroupSecrets(reference, sealed)
