"""A request at the focus before a decision: what there is to see, and who would be in the group after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.custom_proposals import RcsProposalType
from rcs_sim.mls.commit import Commit
from rcs_sim.mls.extensions import Extensions
from rcs_sim.mls.identifiers import SenderType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, Sender
from rcs_sim.mls.proposal_list import ProposalList, QueuedProposal
from rcs_sim.mls.proposals import Add, CustomProposal, Remove, Update
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import CommitScene, Seams
from rcs_sim.server.mls_conversation import MlsConversation
from rcs_sim.server.mls_request import FocusRequest
from rcs_sim.server.mls_rules import MlsFocusRules

__all__ = ["FocusScene", "number_of", "numbers_of"]


@dataclass(frozen=True, slots=True)
class FocusScene:
    """*now_s* in seconds since 1970."""

    rules: MlsFocusRules
    seams: Seams
    conversation: MlsConversation
    request: FocusRequest
    now_s: int

    @property
    def tree(self) -> RatchetTree | None:
        """The tree before the request, None without a group."""
        live = self.conversation.live
        return None if live is None else live.group.tree

    @property
    def extensions(self) -> Extensions:
        """Those of the GroupContext before the request."""
        live = self.conversation.live
        return () if live is None else live.group.context.extensions

    @property
    def sender(self) -> Sender | None:
        """Who signed the commit or proposal, as the message says."""
        handshake = self.request.handshake
        return None if handshake is None else handshake.content.sender

    @property
    def own_leaf(self) -> LeafNode | None:
        """The leaf whose key has to have signed: of the tree, or in the path of who joins."""
        sender, covered = self.sender, self.request.covered
        if sender is None:
            return None
        if sender.sender_type is SenderType.NEW_MEMBER_COMMIT:
            return None if covered is None or covered.path is None else covered.path.leaf_node
        return None if self.tree is None or sender.leaf_index is None else self.tree.leaf(sender.leaf_index)

    def proposals(self) -> ProposalList:
        """What the commit covers, or the proposal of a PROPOSE; references that are not known are left out, for they
        fail later."""
        handshake, covered, live = self.request.handshake, self.request.covered, self.conversation.live
        if handshake is None or live is None:
            return ProposalList(())
        content, sender = handshake.content.content, handshake.content.sender
        if covered is None:
            assert not isinstance(content, (bytes, Commit))  # read_request
            return ProposalList((QueuedProposal(content, sender),))
        found = (
            live.group.proposals.get(each) if isinstance(each, bytes) else QueuedProposal(each, sender)
            for each in covered.proposals
        )
        return ProposalList(tuple(each for each in found if each is not None))

    @property
    def adds_somebody(self) -> bool:
        """Whether a Welcome goes with it."""
        return self.request.is_create or bool(self.proposals().adds)

    def commit_scene(self) -> CommitScene:
        """For the rules that the MLS engine asks RCC.16's of."""
        live, sender, covered = self.conversation.live, self.sender, self.request.covered
        assert live is not None
        leaf = None if sender is None else sender.leaf_index
        new_leaf = None if leaf is not None or covered is None or covered.path is None else covered.path.leaf_node
        return CommitScene(
            live.group.tree,
            live.group.context.extensions,
            NEW_MEMBER_COMMIT if sender is None else sender,
            leaf,
            new_leaf,
            self.seams.identity,
        )

    def extensions_after(self) -> Extensions:
        """The extensions of the GroupContext after the request, as far as its proposals tell."""
        if self.request.is_create:
            assert self.request.group_info is not None
            return self.request.group_info.group_context.extensions
        changes = self.proposals().context_extensions
        return changes[-1].extensions if changes else self.extensions

    def leaves_after(self) -> list[LeafNode]:
        """The leaves after the request, whatever its signatures are worth: the post-commit roster (A.4.3.1)."""
        if self.request.is_create:
            nodes = () if self.request.tree is None else self.request.tree.nodes
            return [node for node in nodes if isinstance(node, LeafNode)]
        leaves: dict[int, LeafNode] = {} if self.tree is None else dict(self.tree.members())
        added = list(self._apply(leaves))
        covered, sender = self.request.covered, self.sender
        if covered is not None and covered.path is not None and sender is not None:
            if sender.leaf_index is None:
                added.append(covered.path.leaf_node)
            else:
                leaves[sender.leaf_index] = covered.path.leaf_node
        return [*leaves.values(), *added]

    def _apply(self, leaves: dict[int, LeafNode]) -> Iterator[LeafNode]:
        """Changes *leaves* by the proposals, and tells who is added."""
        for each in self.proposals():
            match each.proposal:
                case Add(key_package=key_package):
                    yield key_package.leaf_node
                case Update(leaf_node=leaf) if each.sender.leaf_index is not None:
                    leaves[each.sender.leaf_index] = leaf
                case Remove(removed=removed):
                    leaves.pop(removed, None)
                case CustomProposal() as custom:
                    gone = self._removed_by(custom, each.sender, leaves)
                    if gone is not None:
                        leaves.pop(gone, None)

    def _removed_by(self, custom: CustomProposal, sender: Sender, leaves: dict[int, LeafNode]) -> int | None:
        if custom.proposal_type == RcsProposalType.SERVER_REMOVE:
            return int.from_bytes(custom.body, "big")
        if custom.proposal_type != RcsProposalType.SELF_REMOVE:
            return None
        if sender.leaf_index is not None:
            return sender.leaf_index
        return self.older_leaf(leaves)

    def older_leaf(self, leaves: dict[int, LeafNode] | None = None) -> int | None:
        """The leaf that the client which joins by an external commit has already."""
        own = self.own_leaf
        if own is None or self.sender is None or self.sender.leaf_index is not None or self.tree is None:
            return None
        identity = self.seams.identity
        wanted = identity.identity_of(own.credential)
        found = dict(self.tree.members()) if leaves is None else leaves
        return next((at for at, leaf in found.items() if identity.identity_of(leaf.credential) == wanted), None)


def number_of(leaf: LeafNode) -> str:
    """Digits of the number that a leaf is certified for; empty if that cannot be read."""
    return msisdn_of(leaf)


def numbers_of(leaves: Iterable[LeafNode]) -> set[str]:
    """The participants of *leaves*."""
    return {number_of(leaf) for leaf in leaves}
