"""Checks 2 to 15 of the focus in the order of RCC.16 digest §14.6. The first that fails decides.

What needs no secret is checked: membership tags, confirmation tags and epoch authenticators are the members' to
compare. Each check raises MlsRefused with its number, token and detail.
"""

from __future__ import annotations

from collections.abc import Callable

from ims_core.errors import RemoteProtocolError
from rcs_sim.e2ee.authenticated_data import AuthenticatedData
from rcs_sim.e2ee.certificate_floor import CertificateState, floor_state
from rcs_sim.e2ee.certificate_profile import CertificateRule
from rcs_sim.e2ee.client_message import AdvanceKind, ClientOperation
from rcs_sim.e2ee.custom_proposals import (
    RcsProposalType,
    verify_era_may_follow,
    verify_metadata_is_kept,
)
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, era_of, has_end_mls
from rcs_sim.e2ee.failure_reason import ServerFailureReason as Reason
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.extensions import Extensions, find_extension
from rcs_sim.mls.identifiers import ExtensionType, ProposalType, SenderType
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.proposals import CustomProposal
from rcs_sim.server.mls_conversation import SECONDS_PER_DAY
from rcs_sim.server.mls_refusal import MlsRefused
from rcs_sim.server.mls_scene import FocusScene, number_of
from rcs_sim.server.mls_trust import FocusIdentity

__all__ = [
    "CHECKS_BEFORE_MLS",
    "FIRST_ERA",
    "base_is_current",
    "certificates_last",
    "conversation_exists",
    "digits_of",
    "form_is_public",
    "group_info_is_fit",
    "mls_has_not_ended",
    "no_group_is_held",
    "no_member_joins_again",
    "proposals_are_legal",
    "proposals_are_swept",
    "quota_is_left",
    "roster_is_the_tree",
    "sender_belongs",
]

FIRST_ERA = 1
_MAX_LEAVES = 64  # devices of two people (choice): nobody makes the focus verify more
_COMMITMENTS = (RcsExtensionType.ICON_COMMITMENT, RcsExtensionType.SUBJECT_COMMITMENT)
_KEYS = (RcsExtensionType.ICON_KEY, RcsExtensionType.SUBJECT_KEY)
_NEVER_PROPOSED = frozenset({RcsProposalType.RCS_SIGNATURE, RcsProposalType.SERVER_REMOVE, ProposalType.REINIT})
_REMOVING = (RcsProposalType.SELF_REMOVE, RcsProposalType.SERVER_REMOVE)
_NOT_IN_GROUP = "not-in-group"
_OUT_OF_FORCE = frozenset(
    (
        CertificateRule.VALIDITY,
        CertificateRule.PARTICIPANT_VALIDITY,
        CertificateRule.REVOKED,
    )
)


def digits_of(uri: str) -> str:
    """The bare digits of a ``tel:`` URI (RCC.16 digest §0.2); empty if there are none."""
    return "".join(each for each in uri.removeprefix("tel:").partition(";")[0] if "0" <= each <= "9")


# --- 2 to 6: whether there is anything to decide ----------------------------------------------------------------------


def conversation_exists(scene: FocusScene) -> None:
    """2: all but a create without base need a group."""
    is_first = scene.request.is_create and not scene.request.is_new_era
    if scene.conversation.live is None and not is_first:
        raise MlsRefused(2, Reason.MLS_GROUP_NOT_FOUND)


def sender_belongs(scene: FocusScene) -> None:
    """3: the sender is one of the two, has a leaf unless it comes in by this request, and signed it itself.

    A new era is open to a participant without a leaf (choice): else who did not build a Phoenix could never return."""
    request, sender = scene.request, scene.request.sender
    if sender not in scene.conversation.pair or not _signs_itself(scene):
        raise MlsRefused(3, Reason.MISMATCHED_RCS_GROUP_STATE, _NOT_IN_GROUP)
    needs_leaf = request.operation in (ClientOperation.COMMIT, ClientOperation.PROPOSE)
    if needs_leaf and scene.tree is not None and sender not in {number_of(leaf) for _, leaf in scene.tree.members()}:
        raise MlsRefused(3, Reason.MISMATCHED_RCS_GROUP_STATE, _NOT_IN_GROUP)


def _signs_itself(scene: FocusScene) -> bool:
    """Whether the leaf that signed is certified for the sender. What has no such leaf is for check 14."""
    request, leaf = scene.request, scene.own_leaf
    if request.is_create:
        leaf = _signer_of_group_info(scene)
    return leaf is None or number_of(leaf) == request.sender


def _signer_of_group_info(scene: FocusScene) -> LeafNode | None:
    info, tree = scene.request.group_info, scene.request.tree
    if info is None or tree is None or 2 * info.signer >= len(tree.nodes):
        return None
    node = tree.nodes[2 * info.signer]
    return node if isinstance(node, LeafNode) else None


def no_group_is_held(scene: FocusScene) -> None:
    """4: a create without base meets no live group; of two that cross, the first wins."""
    if scene.request.is_create and not scene.request.is_new_era and scene.conversation.live is not None:
        raise MlsRefused(4, Reason.INCORRECT_ERA, "held")


def quota_is_left(scene: FocusScene) -> None:
    """5: eras and epochs of a day, as far as the carrier limits them, and external commits, which RCC.16 does."""
    rules, conversation, request = scene.rules, scene.conversation, scene.request
    if request.is_new_era and _is_used_up(conversation.eras_at_s, rules.eras_per_day, scene.now_s):
        raise MlsRefused(5, Reason.ERA_ADVANCEMENT_QUOTA_REACHED)
    if request.is_create or request.operation is ClientOperation.PROPOSE:
        return
    external = request.operation is ClientOperation.EXTERNAL_COMMIT
    if _is_used_up(conversation.epochs_at_s, rules.epochs_per_day, scene.now_s) or (
        external and _is_used_up(conversation.external_commits_at_s, rules.external_commits_per_day, scene.now_s)
    ):
        raise MlsRefused(5, Reason.EPOCH_ADVANCEMENT_QUOTA_REACHED)


def _is_used_up(times_s: tuple[int, ...], limit: int | None, now_s: int) -> bool:
    return limit is not None and sum(at > now_s - SECONDS_PER_DAY for at in times_s) >= limit


def mls_has_not_ended(scene: FocusScene) -> None:
    """6: with 0xF002 in force only a commit that takes it away, or a new era."""
    if scene.request.is_create or not has_end_mls(scene.extensions):
        return
    if scene.request.operation is ClientOperation.COMMIT and not has_end_mls(scene.extensions_after()):
        return
    raise MlsRefused(6, Reason.MLS_GROUP_HAS_END_MLS)


# --- 7 and 8: the state it builds on, and its form --------------------------------------------------------------------


def base_is_current(scene: FocusScene) -> None:
    """7: base and result against the state of the focus: group id and era, epoch, authenticator."""
    request, live = scene.request, scene.conversation.live
    base, result = request.base, request.result
    if live is not None:
        if request.message.mls_group_id != live.group.group_id:
            raise MlsRefused(7, Reason.INCORRECT_ERA, "mls_group_id")
        _verify_base(scene)
    expected_era = FIRST_ERA if live is None else base.era_id + request.is_new_era
    if result.era_id != expected_era:
        raise MlsRefused(7, Reason.INCORRECT_ERA, "result")
    if request.is_create:
        _verify_created(scene)
    elif request.operation is not ClientOperation.PROPOSE and result.epoch_id != base.epoch_id + 1:
        raise MlsRefused(7, Reason.INCORRECT_EPOCH, "result")


def _verify_base(scene: FocusScene) -> None:
    base, state = scene.request.base, scene.conversation.state
    assert state is not None
    if base.era_id != state.era_id:
        raise MlsRefused(7, Reason.INCORRECT_ERA)
    if base.epoch_id != state.epoch_id:
        raise MlsRefused(7, Reason.INCORRECT_EPOCH)
    if base.epoch_authenticator != state.epoch_authenticator:
        raise MlsRefused(7, Reason.INCORRECT_EPOCH_AUTHENTICATOR)


def _verify_created(scene: FocusScene) -> None:
    """The GroupInfo of a new group is of the era and epoch that the request tells."""
    result, info = scene.request.result, scene.request.group_info
    assert info is not None
    if era_of(info.group_context.extensions) != result.era_id:
        raise MlsRefused(7, Reason.INCORRECT_ERA, "group_info")
    if info.group_context.epoch != result.epoch_id:
        raise MlsRefused(7, Reason.INCORRECT_EPOCH, "group_info")


def form_is_public(scene: FocusScene) -> None:
    """8: commits and proposals are PublicMessages, whose AAD names the request and the era."""
    request = scene.request
    if request.is_create:
        return  # the commit beside it is for the trace
    handshake = request.handshake
    if handshake is None:
        raise MlsRefused(8, Reason.INVALID_INPUT, "aad")
    try:
        bound = AuthenticatedData.decode(handshake.content.authenticated_data)
    except TlsDecodeError as error:
        raise MlsRefused(8, Reason.INVALID_INPUT, "aad") from error
    if (bound.message_id, bound.era) != (request.control_id, request.base.era_id):
        raise MlsRefused(8, Reason.INVALID_INPUT, "aad")


# --- 9 to 11: proposals -----------------------------------------------------------------------------------------------


def proposals_are_swept(scene: FocusScene) -> None:
    """9: a commit covers every proposal that is cached. Not asked of who joins by it, which cannot (RFC 9420
    §12.4.3.2)."""
    live, covered = scene.conversation.live, scene.request.covered
    if live is None or scene.request.operation not in (ClientOperation.COMMIT, ClientOperation.PROPOSE):
        return
    if scene.request.operation is ClientOperation.PROPOSE:
        if len(live.group.proposals) >= scene.rules.max_cached_proposals:
            raise MlsRefused(9, Reason.PENDING_PROPOSAL, "proposal")
        return
    swept = set() if covered is None else {each for each in covered.proposals if isinstance(each, bytes)}
    if any(each.reference not in swept for each in live.group.proposals):
        raise MlsRefused(9, Reason.PENDING_PROPOSAL)


def no_member_joins_again(scene: FocusScene) -> None:
    """10: ExternalInit is for clients without a leaf, unless the carrier allows a resync."""
    request, sender = scene.request, scene.sender
    if request.is_create or sender is None:
        return
    proposals = scene.proposals()
    is_external = sender.sender_type is SenderType.NEW_MEMBER_COMMIT
    if is_external is not (request.operation is ClientOperation.EXTERNAL_COMMIT):
        raise MlsRefused(10, Reason.INVALID_COMMIT, "external-commit-refused")
    if not is_external and proposals.external_inits:
        raise MlsRefused(10, Reason.INVALID_COMMIT, "external-commit-refused")
    if not is_external or scene.rules.accepts_member_external_commit:
        return
    removes = proposals.removes or any(custom.proposal_type in _REMOVING for custom, _ in proposals.customs)
    if removes or scene.older_leaf() is not None:
        raise MlsRefused(10, Reason.INVALID_COMMIT, "external-commit-refused")


def proposals_are_legal(scene: FocusScene) -> None:
    """11: the era stays, 0xF002 comes and goes as allowed, committed metadata is kept."""
    try:
        if scene.request.is_new_era:
            verify_era_may_follow(scene.extensions, scene.extensions_after())
        elif not scene.request.is_create:
            _verify_covered(scene)
    except RemoteProtocolError as error:
        raise MlsRefused(11, Reason.INVALID_COMMIT, "proposal") from error
    if scene.request.is_create and has_end_mls(scene.extensions_after()) is not _ends_mls(scene):
        raise MlsRefused(11, Reason.INVALID_COMMIT, "proposal")


def _ends_mls(scene: FocusScene) -> bool:
    """Whether a new group has 0xF002, by the kind of the advance (RCC.16 §8.3)."""
    if not scene.request.is_new_era or scene.request.advance is AdvanceKind.REVIVAL:
        return False
    return scene.request.advance is AdvanceKind.PHOENIX_DOWNGRADE or has_end_mls(scene.extensions)


def _verify_covered(scene: FocusScene) -> None:
    """Raises MlsValidationError or TlsDecodeError."""
    proposals = scene.proposals()
    is_external = scene.request.operation is ClientOperation.EXTERNAL_COMMIT
    for each in proposals:
        is_resync = is_external and each.proposal_type == RcsProposalType.SERVER_REMOVE
        if each.proposal_type in _NEVER_PROPOSED and not is_resync:
            raise MlsRefused(11, Reason.INVALID_COMMIT, "proposal")
        if isinstance(each.proposal, CustomProposal) and each.proposal_type not in scene.seams.custom_proposals:
            raise MlsRefused(11, Reason.INVALID_COMMIT, "proposal")
    if scene.request.operation is not ClientOperation.PROPOSE or proposals.context_extensions:
        scene.seams.verify_proposals(proposals, scene.commit_scene())
    if not scene.request.message.groupdata:
        verify_metadata_is_kept(scene.extensions, scene.extensions_after())


# --- 12 and 13: who is in the group afterwards ------------------------------------------------------------------------


def certificates_last(scene: FocusScene) -> None:
    """12: every certificate of the post-commit roster outlives the floor (A.4.3.1), and is still good as far as the
    focus knows: neither revoked nor of a root that was withdrawn. The committer's old leaf is not among them, which is
    the carve-out of a Self-Update (A.4.3.2 §3)."""
    members = set() if scene.tree is None else {id(leaf) for _, leaf in scene.tree.members()}
    for leaf in scene.leaves_after()[: _MAX_LEAVES + 1]:
        state = floor_state(leaf.credential, scene.now_s)
        if state is CertificateState.UNREADABLE:
            raise MlsRefused(12, Reason.INVALID_COMMIT, "certificate")
        if state is not CertificateState.OK:
            raise MlsRefused(12, Reason.EXPIRED_CREDENTIAL, f"tel:+{number_of(leaf)}")
        if _is_lost(scene, leaf, is_member=id(leaf) in members):
            raise MlsRefused(12, Reason.EXPIRED_CREDENTIAL, f"tel:+{number_of(leaf)}")


def _is_lost(scene: FocusScene, leaf: LeafNode, *, is_member: bool) -> bool:
    """Whether a credential would not be accepted (any longer). What else is wrong with one that was never accepted is
    for check 14 (choice)."""
    identity = scene.seams.identity
    problem = identity.problem_of(leaf, scene.now_s) if isinstance(identity, FocusIdentity) else None
    return problem is not None and (is_member or problem in _OUT_OF_FORCE)


def roster_is_the_tree(scene: FocusScene) -> None:
    """13: the participants of the tree are the two of the conversation, who never change (fields 11 and 12 may only
    name one that comes with another device). Who ends encryption by a new era may be alone in it."""
    request, pair = scene.request, set(scene.conversation.pair)
    roster = (pair | set(map(digits_of, request.message.add))) - set(map(digits_of, request.message.remove))
    leaves = scene.leaves_after()
    if len(leaves) > _MAX_LEAVES:
        raise MlsRefused(13, Reason.MISMATCHED_RCS_GROUP_STATE, "devices")
    found = {number_of(leaf) for leaf in leaves}
    different = (roster ^ pair) | (found ^ roster)
    if request.is_new_era and request.advance is AdvanceKind.PHOENIX_DOWNGRADE:
        different = found - pair  # nobody else all the same
    if different:
        raise MlsRefused(13, Reason.MISMATCHED_RCS_GROUP_STATE, f"tel:+{min(different)}")


# --- 14, as far as it is about what a GroupInfo may say --------------------------------------------------------------


def group_info_is_fit(scene: FocusScene) -> None:
    """14: the GroupInfo has external_pub, no tree, no secret; a new commitment comes with its key delivery and group
    data, and the reverse."""
    request, info = scene.request, scene.request.group_info
    if info is None:
        return
    inside, context = info.extensions, info.group_context.extensions
    is_wrong = (
        find_extension(inside, ExtensionType.EXTERNAL_PUB) is None
        or find_extension(inside, ExtensionType.RATCHET_TREE) is not None
        or _has_any(inside + context, (RcsExtensionType.CONTINUITY_TOKEN,))
        or info.group_context.group_id != request.message.mls_group_id
        or info.group_context.cipher_suite != 2
    )
    if scene.proposals().adds and not request.message.welcome:  # by reference: read_request does not see them
        raise MlsRefused(14, Reason.INVALID_COMMIT, "welcome")
    is_metadata = bool(request.message.groupdata) and bool(request.message.key_delivery)
    if is_wrong or (_has_any(inside + context, _KEYS) and not _may_show_keys(scene, is_metadata)):
        raise MlsRefused(14, Reason.INVALID_COMMIT, "group_info")
    if not request.is_create:
        _verify_metadata_change(scene, context, is_metadata)


def _may_show_keys(scene: FocusScene, is_metadata: bool) -> bool:
    """F003 and F005 come with a metadata commit of v3.0 (RCC.16 digest §8.5), and stay in the GroupContext then."""
    return is_metadata or _has_any(scene.extensions, _KEYS)


def _verify_metadata_change(scene: FocusScene, after: Extensions, is_metadata: bool) -> None:
    message = scene.request.message
    changes = any(find_extension(scene.extensions, kind) != find_extension(after, kind) for kind in _COMMITMENTS)
    if changes is not is_metadata or (bool(message.groupdata) is not bool(message.key_delivery)):
        raise MlsRefused(14, Reason.INVALID_COMMIT, "groupdata")


def _has_any(extensions: Extensions, types: tuple[ExtensionType, ...]) -> bool:
    return any(find_extension(extensions, kind) is not None for kind in types)


CHECKS_BEFORE_MLS: tuple[Callable[[FocusScene], None], ...] = (
    conversation_exists,
    sender_belongs,
    no_group_is_held,
    quota_is_left,
    mls_has_not_ended,
    base_is_current,
    form_is_public,
    proposals_are_swept,
    no_member_joins_again,
    proposals_are_legal,
    certificates_last,
    roster_is_the_tree,
    group_info_is_fit,
)
"""In order. What follows is for the MLS engine: the rest of 14, and 15."""
