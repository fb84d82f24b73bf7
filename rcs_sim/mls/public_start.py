"""Coming to know a group from its GroupInfo and tree (RFC 9420 §12.4.3), with or without being in it."""

from __future__ import annotations

from rcs_sim.mls.crypto import CipherSuite, CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import find_extension, repeated_types
from rcs_sim.mls.group_info import GroupContext, GroupInfo, RatchetTreeExtension
from rcs_sim.mls.identifiers import ExtensionType
from rcs_sim.mls.proposal_validation import verify_context_extensions_do_not_repeat, verify_leaf_lists_group
from rcs_sim.mls.public_state import PublicState
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_nodes import tree_of_nodes
from rcs_sim.mls.tree_validation import MapLeaves, verify_tree

__all__ = [
    "find_ratchet_tree",
    "start_public",
    "verify_group_info_extensions_are_single",
    "verify_group_info_signature",
    "verify_known_suite",
]

_SPEC = "RFC 9420 §12.4.3"


def start_public(
    info: GroupInfo,
    ratchet_tree: RatchetTreeExtension | None,
    seams: Seams,
    now_s: int | None,
    run: MapLeaves = map,
) -> PublicState:
    """The public half of the epoch of *info*. *ratchet_tree* is one that came beside it; one inside is taken first.
    Lifetimes of leaves do not count: who is in the group was let in while they lasted (RFC 9420 §7.3). Raises
    MlsValidationError or TlsDecodeError."""
    context = info.group_context
    suite = verify_known_suite(context)
    verify_group_info_extensions_are_single(info)
    tree = tree_of_nodes(suite, find_ratchet_tree(info, ratchet_tree).nodes)
    verify_context_extensions_do_not_repeat(context.extensions)
    verify_tree(tree, context.group_id, context.tree_hash, context.extensions, run=run)
    verify_group_info_signature(info, tree)
    for _, leaf in tree.members():
        verify_leaf_lists_group(suite, leaf)
        seams.identity.verify_credential(leaf.credential, leaf.signature_key, now_s)
    interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, info.confirmation_tag)
    return PublicState(suite, context, tree, interim, info.confirmation_tag)


def verify_known_suite(context: GroupContext) -> CipherSuite:
    """VAL-827: the group is of MLS 1.0 and of a suite that we have."""
    try:
        suite = CipherSuite.of(context.cipher_suite)
    except CryptoError as error:
        raise MlsValidationError("VAL-827", str(error), spec="RFC 9420 §17.1") from error
    if context.version != 1:
        raise MlsValidationError("VAL-827", f"a group of version {int(context.version)}", spec="RFC 9420 §6")
    return suite


def find_ratchet_tree(info: GroupInfo, beside: RatchetTreeExtension | None) -> RatchetTreeExtension:
    """VAL-828: there is a tree, inside of the GroupInfo or beside it. Raises TlsDecodeError if it cannot be read."""
    inside = find_extension(info.extensions, ExtensionType.RATCHET_TREE)
    if inside is not None:
        return RatchetTreeExtension.decode(inside)
    if beside is None:
        raise MlsValidationError("VAL-828", "a GroupInfo came without a ratchet tree", spec=_SPEC)
    return beside


def verify_group_info_extensions_are_single(info: GroupInfo) -> None:
    """VAL-819: no type of extension stands twice in a GroupInfo (RFC 9420 §13.4)."""
    if repeated := repeated_types(info.extensions):
        raise MlsValidationError("VAL-819", f"a GroupInfo repeats extension 0x{repeated[0]:04X}", spec="RFC 9420 §13.4")


def verify_group_info_signature(info: GroupInfo, tree: RatchetTree) -> None:
    """VAL-829: the GroupInfo is signed by the member that it names (RFC 9420 §12.4.3)."""
    leaf = tree.leaf(info.signer)
    signed = info.to_be_signed()
    if leaf is None or not tree.suite.verify_with_label(leaf.signature_key, "GroupInfoTBS", signed, info.signature):
        raise MlsValidationError("VAL-829", "a GroupInfo is not signed by the member that it names", spec=_SPEC)
