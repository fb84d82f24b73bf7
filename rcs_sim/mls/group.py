"""A member's view of a group (RFC 9420): messages verified, Commits staged and merged, content sealed.

``verify`` tells who has signed a message, ``stage_commit`` what a Commit makes of the group, ``merge`` gives the group
of the new epoch, a value of its own: the old one stays as it is. A message that is refused changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.client import Client, sign_leaf
from rcs_sim.mls.codec import CustomBodies
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.commit_builder import CommitRequest, PendingCommit, build_commit, sign_group_info
from rcs_sim.mls.commit_validation import verify_sender_fits_content
from rcs_sim.mls.crypto import CipherSuite, Random
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import Extension, Extensions, ExternalPub
from rcs_sim.mls.framing import sign_content, unprotect_public, verify_signature
from rcs_sim.mls.group_info import GroupContext, GroupInfo, RatchetTreeExtension
from rcs_sim.mls.group_state import (
    EpochState,
    OpenedCommit,
    OwnUpdate,
    PastEpoch,
    past_epoch_of,
    start_epoch,
)
from rcs_sim.mls.identifiers import (
    Epoch,
    Generation,
    LeafIndex,
    LeafNodeSource,
    ProtocolVersion,
    SenderType,
    WireFormat,
)
from rcs_sim.mls.joining import OpenedWelcome, state_of_joiner
from rcs_sim.mls.key_log import epoch_line, message_line
from rcs_sim.mls.key_schedule import derive_epoch_of_secret
from rcs_sim.mls.leaf_node import LeafNode, Lifetime
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import (
    AuthenticatedContent,
    Content,
    FramedContent,
    MLSMessage,
    MLSMessageBody,
    PrivateMessage,
    PublicMessage,
    Sender,
)
from rcs_sim.mls.private_framing import OpenedContent, open_private
from rcs_sim.mls.proposal_application import verify_proposal
from rcs_sim.mls.proposal_list import ProposalCache, QueuedProposal
from rcs_sim.mls.proposal_validation import (
    verify_context_extensions_are_supported,
    verify_context_extensions_do_not_repeat,
    verify_leaf_body,
)
from rcs_sim.mls.proposals import Proposal, ProposalRef, ReInit, Update
from rcs_sim.mls.protection import protect
from rcs_sim.mls.public_state import (
    PublicState,
    Signer,
    VerifiedApplication,
    VerifiedCommit,
    VerifiedContent,
    VerifiedProposal,
    find_past_signature_key,
    find_signer,
    verify_epoch,
    verify_group_id,
    verify_sender_is_member,
)
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.secret_tree import RatchetKind
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.staging import MemberView, StagedCommit, stage
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_nodes import tree_nodes
from rcs_sim.mls.tree_validation import MapLeaves
from rcs_sim.mls.treekem import TreeKeys

__all__ = ["Group"]

_SPEC = "RFC 9420 §6"
_APPLICATION = RatchetKind.APPLICATION


class Group:
    """One member's group in one epoch. `create`, `join`, `external.join_externally` and `snapshot.restore` make it."""

    __slots__ = (
        "_cache",
        "_own_updates",
        "_past",
        "_pending",
        "_reinit",
        "_resumption_psks",
        "_state",
        "policy",
        "signature_key",
    )

    def __init__(
        self,
        state: EpochState,
        signature_key: SignatureKey,
        policy: MemberPolicy,
        past: tuple[PastEpoch, ...] = (),
        resumption_psks: tuple[tuple[Epoch, Secret], ...] = (),
        reinit: ReInit | None = None,
    ) -> None:
        self._state = state
        self.signature_key = signature_key
        self.policy = policy
        self._past = past
        kept = (*resumption_psks, (state.public.epoch, state.secrets.resumption_psk))
        self._resumption_psks = kept[-policy.resumption_epochs :]
        self._reinit = reinit
        self._cache = ProposalCache()
        self._own_updates: dict[bytes, OwnUpdate] = {}
        self._pending: PendingCommit | None = None
        if policy.key_log is not None:
            policy.key_log(epoch_line(state.public.context, state.secrets.sender_data_secret))

    def __repr__(self) -> str:
        return f"Group({self.group_id!r}, epoch {self.epoch}, leaf {self.own_leaf})"

    # --- how it begins ----------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        client: Client,
        group_id: bytes,
        random: Random,
        lifetime: Lifetime,
        *,
        extensions: Extensions = (),
        policy: MemberPolicy | None = None,
    ) -> Group:
        """A group of one at epoch 0 (RFC 9420 §11)."""
        suite, policy = client.suite, policy or MemberPolicy()
        verify_context_extensions_do_not_repeat(extensions)
        pair = suite.generate_key_pair(random)
        leaf = client.initial_leaf(pair.public, lifetime)
        verify_leaf_body(suite, leaf, None)
        tree = RatchetTree.of_creator(suite, leaf)
        verify_context_extensions_are_supported(tree, extensions)
        context = GroupContext(ProtocolVersion.MLS10, suite.id, group_id, Epoch(0), tree.tree_hash(), b"", extensions)
        derived = derive_epoch_of_secret(suite, suite.draw_secret(random))
        tag = derived[0].confirmation_tag(suite, b"")
        public = PublicState(suite, context, tree, interim_transcript_hash(suite, b"", tag), tag)
        keys = TreeKeys.of_leaf(LeafIndex(0), pair.private)
        return cls(start_epoch(public, LeafIndex(0), keys, derived, policy.window), client.signature_key, policy)

    @classmethod
    def join(
        cls,
        opened: OpenedWelcome,
        *,
        ratchet_tree: RatchetTreeExtension | None = None,
        policy: MemberPolicy | None = None,
        now_s: int | None = None,
        run: MapLeaves = map,
    ) -> Group:
        """The group of a Welcome. *ratchet_tree* is the tree if it came beside. The private keys of the KeyPackage are
        for the caller to drop, unless it is a last-resort one. Raises MlsValidationError or TlsDecodeError."""
        policy = policy or MemberPolicy()
        state = state_of_joiner(opened, ratchet_tree, policy, now_s, run)
        return cls(state, opened.keys.signature_key, policy)

    def resume(
        self, cache: Iterable[QueuedProposal], own_updates: Mapping[bytes, OwnUpdate], reinit: ReInit | None
    ) -> None:
        """Takes back what a snapshot had of an epoch under way."""
        self._cache = ProposalCache({each.reference: each for each in cache if each.reference is not None})
        self._own_updates = dict(own_updates)
        self._reinit = reinit

    def resume_pending(self, pending: PendingCommit | None) -> None:
        """Takes back what a snapshot had of a Commit under way."""
        self._pending = pending

    # --- what is known of it ----------------------------------------------------------------------------------------

    @property
    def state(self) -> EpochState:
        return self._state

    @property
    def public(self) -> PublicState:
        return self._state.public

    @property
    def suite(self) -> CipherSuite:
        return self._state.public.suite

    @property
    def context(self) -> GroupContext:
        return self._state.public.context

    @property
    def tree(self) -> RatchetTree:
        return self._state.public.tree

    @property
    def group_id(self) -> bytes:
        return self._state.public.context.group_id

    @property
    def epoch(self) -> Epoch:
        return self._state.public.context.epoch

    @property
    def own_leaf(self) -> LeafIndex:
        return self._state.own_leaf

    @property
    def own_leaf_node(self) -> LeafNode:
        leaf = self.tree.leaf(self.own_leaf)
        assert leaf is not None
        return leaf

    @property
    def epoch_authenticator(self) -> bytes:
        """RFC 9420 §8.7. Equal at all members of an epoch; may be shown to others."""
        return self._state.secrets.epoch_authenticator.octets

    @property
    def resumption_psk(self) -> Secret:
        """resumption_psk of this epoch (RFC 9420 §8.6)."""
        return self._state.secrets.resumption_psk

    @property
    def proposals(self) -> ProposalCache:
        """Verified proposals of this epoch that no Commit has covered yet."""
        return self._cache

    @property
    def pending(self) -> PendingCommit | None:
        """Our own Commit that was not merged yet."""
        return self._pending

    @property
    def reinit(self) -> ReInit | None:
        """What the group is to be replaced by, once a ReInit was committed: it takes no more messages then."""
        return self._reinit

    @property
    def next_generation(self) -> Generation:
        """The generation that the next sealed application message has."""
        return self._state.secret_tree.next_generation(self.own_leaf, _APPLICATION)

    @property
    def resumption_psks(self) -> tuple[tuple[Epoch, Secret], ...]:
        """Those kept, the newest last."""
        return self._resumption_psks

    @property
    def past_epochs(self) -> tuple[PastEpoch, ...]:
        """Those kept, the newest last."""
        return self._past

    @property
    def own_updates(self) -> dict[bytes, OwnUpdate]:
        """Private halves of our proposed Updates by encryption key."""
        return self._own_updates

    def custom_bodies(self) -> CustomBodies:
        """For ``MLSMessage.decode``."""
        return self.policy.seams.custom_bodies()

    def export(self, label: str, context: bytes, length: int) -> Secret:
        """``MLS-Exporter`` (RFC 9420 §8.5)."""
        return self._state.secrets.export(self.suite, label, context, length)

    def ratchet_tree(self) -> RatchetTreeExtension:
        """The tree as it travels."""
        return RatchetTreeExtension(tree_nodes(self.tree))

    def group_info(
        self, *, with_tree: bool = False, with_external_pub: bool = True, extensions: Extensions = ()
    ) -> GroupInfo:
        """A signed GroupInfo of this epoch (RFC 9420 §12.4.3)."""
        found = list[Extension](extensions)
        if with_tree:
            found.append(self.ratchet_tree().as_extension())
        if with_external_pub:
            found.append(ExternalPub(self._state.secrets.external_key_pair(self.suite).public).as_extension())
        return sign_group_info(self.public, self.own_leaf, self.signature_key, tuple(found))

    # --- from octets to something verified --------------------------------------------------------------------------

    def verify(self, message: MLSMessage | MLSMessageBody, now_s: int | None = None) -> VerifiedContent:
        """What *message* says, and that its sender has signed it: a VerifiedApplication, VerifiedProposal or
        VerifiedCommit. Its key is used up by that, but for a Commit; our own pending Commit is known. Raises
        MlsValidationError or TlsDecodeError."""
        body = message.body if isinstance(message, MLSMessage) else message
        pending = self._pending
        if pending is not None and body == pending.message.body:
            return pending.staged.verified
        if isinstance(body, PrivateMessage):
            return self._verify_private(body, now_s)
        if isinstance(body, PublicMessage):
            return self._verify_public(body, now_s)
        raise MlsValidationError("VAL-831", f"a {type(body).__name__} is not of an epoch", spec=_SPEC)

    def _verify_private(self, message: PrivateMessage, now_s: int | None) -> VerifiedContent:
        verify_group_id(message.group_id, self.group_id)
        if message.epoch != self.epoch:
            return self._verify_late_private(message)
        state = self._state
        tree, bodies = state.secret_tree, self.custom_bodies()
        opened = open_private(self.suite, message, tree, state.sender_data, bodies)
        content = opened.authenticated.content
        self._verify_form(content, WireFormat.PRIVATE_MESSAGE)
        signer = verify_sender_is_member(self.tree, opened.key.leaf)
        verify_signature(self.suite, opened.authenticated, signer.signature_key, self.context)
        verified = self._as_verified(opened.authenticated, signer, opened, now_s)
        if self.policy.key_log is not None:
            self.policy.key_log(message_line(self.context, opened.key))
        if not isinstance(verified, VerifiedCommit):
            tree.consume(opened.key)
        return verified

    def _verify_late_private(self, message: PrivateMessage) -> VerifiedContent:
        past = self._past_epoch(message.epoch)
        opened = open_private(self.suite, message, past.secret_tree, past.sender_data, self.custom_bodies())
        key = find_past_signature_key(past.signature_keys, opened.key.leaf)
        verify_signature(self.suite, opened.authenticated, key, past.context)
        verified = _as_late(opened.authenticated, opened)
        past.secret_tree.consume(opened.key)
        if self.policy.key_log is not None:
            self.policy.key_log(message_line(past.context, opened.key))
        return verified

    def _verify_public(self, message: PublicMessage, now_s: int | None) -> VerifiedContent:
        verify_group_id(message.content.group_id, self.group_id)
        if message.content.epoch != self.epoch:
            return self._verify_late_public(message)
        self._verify_form(message.content, WireFormat.PUBLIC_MESSAGE)
        verify_sender_fits_content(message.content.sender, message.content.content)
        signer = find_signer(self.public, message.content)
        membership_key = self._state.secrets.membership_key
        authenticated = unprotect_public(self.suite, message, membership_key, self.context)
        verify_signature(self.suite, authenticated, signer.signature_key, self.context)
        if message.content.sender.sender_type is SenderType.EXTERNAL:
            self.policy.seams.identity.verify_credential(signer.credential, signer.signature_key, now_s)
        return self._as_verified(authenticated, signer, None, now_s)

    def _verify_late_public(self, message: PublicMessage) -> VerifiedContent:
        """Of a past epoch, a member's proposal can carry a signature still. It can no longer be committed."""
        past = self._past_epoch(message.content.epoch)
        leaf = message.content.sender.leaf_index
        if leaf is None:
            verify_epoch(message.content.epoch, self.epoch)
        key = find_past_signature_key(past.signature_keys, leaf or LeafIndex(0))
        authenticated = unprotect_public(self.suite, message, past.membership_key, past.context)
        verify_signature(self.suite, authenticated, key, past.context)
        return _as_late(authenticated, None)

    def _past_epoch(self, epoch: Epoch) -> PastEpoch:
        """ValSem003: the epoch of a message is this one, or one of those kept."""
        found = next((past for past in self._past if past.context.epoch == epoch), None)
        if found is None:
            message = f"a message is of epoch {epoch}, this is {self.epoch}"
            raise MlsValidationError("ValSem003", message, spec=_SPEC)
        return found

    def _verify_form(self, content: FramedContent, wire_format: WireFormat) -> None:
        """VAL-816: handshakes of members come in the form that the policy asks for, if it does."""
        if not self.policy.only_own_form or isinstance(content.content, bytes):
            return
        is_member = content.sender.sender_type is SenderType.MEMBER
        if is_member and wire_format is not self.policy.handshake_wire_format:
            message = f"a handshake came as {wire_format.name}"
            raise MlsValidationError("VAL-816", message, spec="RFC 9420 §6.2")

    def _as_verified(
        self, authenticated: AuthenticatedContent, signer: Signer, opened: OpenedContent | None, now_s: int | None
    ) -> VerifiedContent:
        content = authenticated.content.content
        if isinstance(content, bytes):
            assert opened is not None  # ValSem005
            return VerifiedApplication(authenticated, signer.credential, content, opened.key.generation)
        if not isinstance(content, Commit):
            verify_proposal(content, authenticated.content.sender, self.public, self.policy.seams, now_s)
            return VerifiedProposal(authenticated, signer.credential, content)
        if opened is None:
            return VerifiedCommit(authenticated, signer.credential, content)
        return OpenedCommit(authenticated, signer.credential, content, opened.key)

    # --- handshakes -------------------------------------------------------------------------------------------------

    def add_proposal(self, verified: VerifiedProposal) -> ProposalRef:
        """Keeps a proposal for a Commit to cover. Raises MlsValidationError if it is of another epoch."""
        verify_epoch(verified.epoch, self.epoch)
        reference = self.suite.proposal_ref(verified.authenticated.encode())
        self._cache.add(reference, verified.proposal, verified.sender)
        return reference

    def drop_proposal(self, reference: ProposalRef) -> None:
        """Forgets a proposal that is not to be committed."""
        self._cache.drop(reference)

    def stage_commit(self, verified: VerifiedCommit, now_s: int | None = None) -> StagedCommit:
        """What a Commit makes of this group; our own pending one comes back as it was staged. Raises
        MlsValidationError or TlsDecodeError, and nothing has changed then."""
        verify_epoch(verified.epoch, self.epoch)
        pending = self._pending
        if pending is not None and pending.authenticated == verified.authenticated:
            return pending.staged
        self._verify_not_own(verified.sender)
        self._verify_active()
        staged = stage(self.view(), verified, now_s)
        if isinstance(verified, OpenedCommit):
            self._state.secret_tree.consume(verified.key)
        return staged

    def _verify_not_own(self, sender: Sender) -> None:
        """VAL-814: a Commit in our name is the one that we have pending."""
        if sender.leaf_index == self.own_leaf:
            raise MlsValidationError("VAL-814", "a commit in our name is not ours", spec="RFC 9420 §12.4.2")

    def _verify_active(self) -> None:
        """VAL-832: after a ReInit nothing more is committed in the old group (RFC 9420 §11.2)."""
        if self._reinit is not None:
            raise MlsValidationError("VAL-832", "the group was ended by a ReInit", spec="RFC 9420 §11.2")

    def view(self) -> MemberView:
        """What a Commit is staged against."""
        return MemberView(
            self._state, self.policy, self.signature_key, self._cache, self._own_updates, self._resumption_psks
        )

    def merge(self, staged: StagedCommit) -> Group:
        """The group of the new epoch. This one stays as it is, for the caller to drop. Raises LocalProtocolError if
        *staged* is of another epoch, or removes us."""
        if staged.base is not self._state:
            raise LocalProtocolError("this commit was staged in another epoch", spec="RFC 9420 §12.4")
        if staged.after is None:
            raise LocalProtocolError("this commit removes us: there is nothing to merge", spec="RFC 9420 §12.4.2")
        kept = (*self._past, past_epoch_of(self._state))
        past = kept[len(kept) - min(len(kept), self.policy.past_epochs) :]
        reinit = next(iter(staged.proposals.reinits), None)
        return Group(staged.after, staged.signature_key, self.policy, past, self._resumption_psks, reinit)

    def commit(self, request: CommitRequest, random: Random, now_s: int | None = None) -> PendingCommit:
        """A Commit of our own, pending until `merge_pending` or `clear_pending`: somebody has to say that no other
        came first. Raises LocalProtocolError if there is one already, MlsValidationError if the rules forbid it."""
        if self._pending is not None:
            raise LocalProtocolError("a commit of ours is pending", spec="RFC 9420 §12.4")
        self._check_active()
        self._pending = build_commit(self.view(), request, random, now_s)
        return self._pending

    def merge_pending(self) -> Group:
        """The group of the epoch that our pending Commit begins."""
        if self._pending is None:
            raise LocalProtocolError("no commit of ours is pending", spec="RFC 9420 §12.4")
        return self.merge(self._pending.staged)

    def clear_pending(self) -> None:
        """Forgets our pending Commit: another has won."""
        self._pending = None

    def propose(
        self, proposal: Proposal, random: Random, *, authenticated_data: bytes = b"", now_s: int | None = None
    ) -> MLSMessage:
        """A proposal of our own, kept for a Commit too. For an Update see `propose_update`."""
        self._check_active()
        verify_proposal(proposal, Sender.member(self.own_leaf), self.public, self.policy.seams, now_s)
        authenticated = self._sign(proposal, authenticated_data, self.policy.handshake_wire_format)
        message = protect(self._state, self.policy, authenticated, random)
        reference = self.suite.proposal_ref(authenticated.encode())
        self._cache.add(reference, proposal, authenticated.content.sender)
        return message

    def propose_update(
        self, random: Random, *, client: Client | None = None, authenticated_data: bytes = b"", now_s: int | None = None
    ) -> MLSMessage:
        """An Update with a fresh encryption key, and with what *client* has new: credential, key, capabilities."""
        pair = self.suite.generate_key_pair(random)
        key = self.signature_key if client is None else client.signature_key
        if client is None:
            leaf = replace(
                self.own_leaf_node,
                encryption_key=pair.public,
                leaf_node_source=LeafNodeSource.UPDATE,
                lifetime=None,
                parent_hash=None,
            )
        else:
            leaf = client.unsigned_leaf(pair.public, LeafNodeSource.UPDATE)
        signed = sign_leaf(self.suite, leaf, key, self.group_id, self.own_leaf)
        message = self.propose(Update(signed), random, authenticated_data=authenticated_data, now_s=now_s)
        self._own_updates[pair.public] = OwnUpdate(pair.private, key)
        return message

    # --- application data -------------------------------------------------------------------------------------------

    def seal(self, application_data: bytes, random: Random, *, authenticated_data: bytes = b"") -> MLSMessage:
        """Application data, encrypted. Raises LocalProtocolError while there are proposals that nobody committed
        (RFC 9420 §12.4), and after a ReInit."""
        self._check_active()
        if len(self._cache) and self._pending is None:
            raise LocalProtocolError("proposals have to be committed first", spec="RFC 9420 §12.4")
        authenticated = self._sign(application_data, authenticated_data, WireFormat.PRIVATE_MESSAGE)
        return protect(self._state, self.policy, authenticated, random)

    def _sign(self, content: Content, authenticated_data: bytes, wire_format: WireFormat) -> AuthenticatedContent:
        state = self._state
        context, sender = state.public.context, Sender.member(state.own_leaf)
        framed = FramedContent(context.group_id, context.epoch, sender, authenticated_data, content)
        return sign_content(state.public.suite, self.signature_key, wire_format, framed, context)

    def _check_active(self) -> None:
        if self._reinit is not None:
            raise LocalProtocolError("the group was ended by a ReInit", spec="RFC 9420 §11.2")


def _as_late(authenticated: AuthenticatedContent, opened: OpenedContent | None) -> VerifiedContent:
    """ValSem003: a Commit of a past epoch is too late."""
    content = authenticated.content.content
    if isinstance(content, Commit):
        message = f"a commit is of epoch {authenticated.content.epoch}, which is over"
        raise MlsValidationError("ValSem003", message, spec=_SPEC)
    if isinstance(content, bytes):
        assert opened is not None  # ValSem005
        return VerifiedApplication(authenticated, None, content, opened.key.generation)
    return VerifiedProposal(authenticated, None, content)
