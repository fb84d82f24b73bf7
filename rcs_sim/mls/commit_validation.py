"""The rules of a Commit as a whole, and of one by which its sender joins (RFC 9420 §12.4, §12.4.3.2)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rcs_sim.mls.commit import Commit, UpdatePath
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.identifiers import LeafIndex, ProposalType, SenderType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import Content, Sender
from rcs_sim.mls.proposal_list import ProposalList, QueuedProposal
from rcs_sim.mls.proposals import ExternalInit, PreSharedKey, Proposal, Remove
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import CustomProposalRule, IdentityProvider

__all__ = [
    "verify_committer_is_not_removed",
    "verify_committer_stays_itself",
    "verify_external_commit_has_no_references",
    "verify_external_commit_has_path",
    "verify_external_commit_types",
    "verify_external_init_is_single",
    "verify_external_init_is_there",
    "verify_external_removes_are_single",
    "verify_external_removes_own",
    "verify_path_is_there",
    "verify_sender_fits_content",
]

_SPEC = "RFC 9420 §12.4"
_EXTERNAL = "RFC 9420 §12.4.3.2"
Rules = Mapping[int, CustomProposalRule]


def verify_sender_fits_content(sender: Sender, content: Content) -> None:
    """VAL-810: who is no member sends a proposal, or the Commit by which it joins (RFC 9420 §6)."""
    match sender.sender_type:
        case SenderType.MEMBER:
            return
        case SenderType.NEW_MEMBER_COMMIT:
            fits = isinstance(content, Commit)
        case _:
            fits = not isinstance(content, (bytes, Commit))
    if not fits:
        message = f"a sender of type {sender.sender_type.name} sent a {type(content).__name__}"
        raise MlsValidationError("VAL-810", message, spec="RFC 9420 §6")


def verify_committer_is_not_removed(committer: LeafIndex, removed: Collection[LeafIndex]) -> None:
    """ValSem200: a Commit does not remove its own sender (RFC 9420 §12.2)."""
    if committer in removed:
        raise MlsValidationError("ValSem200", "a commit removes its sender", spec="RFC 9420 §12.2")


def verify_path_is_there(path: UpdatePath | None, required: bool) -> None:
    """ValSem201: a Commit has a path if one of its proposals needs one, or it covers none (RFC 9420 §12.4)."""
    if required and path is None:
        raise MlsValidationError("ValSem201", "a commit lacks the path that its proposals need", spec=_SPEC)


def verify_committer_stays_itself(before: LeafNode, after: LeafNode, identity: IdentityProvider) -> None:
    """VAL-812: a new leaf of a member has a credential that may follow its old one (RFC 9420 §5.3.1)."""
    if not identity.is_successor(before.credential, after.credential):
        message = "the credential of a new leaf is not a successor of the old one"
        raise MlsValidationError("VAL-812", message, spec="RFC 9420 §5.3.1")


# --- external Commits -------------------------------------------------------------------------------------------------


def verify_external_init_is_there(proposals: ProposalList) -> None:
    """ValSem240: an external Commit has an ExternalInit by value."""
    if not proposals.external_inits:
        raise MlsValidationError("ValSem240", "an external commit has no ExternalInit", spec=_EXTERNAL)


def verify_external_init_is_single(proposals: ProposalList) -> None:
    """ValSem241: an external Commit has no more than one ExternalInit."""
    if len(proposals.external_inits) > 1:
        raise MlsValidationError("ValSem241", "an external commit has more than one ExternalInit", spec=_EXTERNAL)


def verify_external_commit_types(proposals: ProposalList, rules: Rules) -> None:
    """ValSem242: by value, an external Commit has ExternalInit, Remove, PreSharedKey, or what the application
    allows."""
    for each in proposals:
        if each.reference is None and not _is_allowed(each.proposal, rules):
            message = f"an external commit has a proposal of type {int(each.proposal_type)}"
            raise MlsValidationError("ValSem242", message, spec=_EXTERNAL)


def _is_allowed(proposal: Proposal, rules: Rules) -> bool:
    if isinstance(proposal, (ExternalInit, Remove, PreSharedKey)):
        return True
    rule = rules.get(proposal.proposal_type)
    return rule is not None and rule.in_external_commit


def verify_external_removes_are_single(proposals: ProposalList) -> None:
    """VAL-811: an external Commit has at most one Remove."""
    if len(proposals.removes) > 1:
        raise MlsValidationError("VAL-811", "an external commit has more than one Remove", spec=_EXTERNAL)


def verify_external_removes_own(
    proposals: ProposalList, tree: RatchetTree, new_leaf: LeafNode, identity: IdentityProvider
) -> None:
    """ValSem243: the Remove of an external Commit is of an older leaf of who joins. Leaves that are not there are for
    ValSem108."""
    for remove in proposals.removes:
        old = tree.leaf(remove.removed)
        if old is not None and not identity.is_successor(old.credential, new_leaf.credential):
            message = f"an external commit removes leaf {remove.removed}, which is not its sender's"
            raise MlsValidationError("ValSem243", message, spec=_EXTERNAL)


def verify_external_commit_has_no_references(proposals: ProposalList, rules: Rules) -> None:
    """ValSem244: an external Commit has no proposal by reference, but those that the application allows."""
    if any(each.reference is not None and not _is_allowed_by_reference(each, rules) for each in proposals):
        raise MlsValidationError("ValSem244", "an external commit has a proposal by reference", spec=_EXTERNAL)


def _is_allowed_by_reference(entry: QueuedProposal, rules: Rules) -> bool:
    rule = rules.get(ProposalType(entry.proposal_type))
    return rule is not None and rule.by_reference_in_external_commit


def verify_external_commit_has_path(commit: Commit) -> None:
    """ValSem245: an external Commit has a path. That its leaf signs the message is ValSem246, which is ValSem010."""
    if commit.path is None:
        raise MlsValidationError("ValSem245", "an external commit has no path", spec=_EXTERNAL)
