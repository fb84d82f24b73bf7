"""The rules of proposals, each by itself and in the list that a Commit covers (RFC 9420 §12.1, §12.2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.crypto import CipherSuite, CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import (
    Extension,
    Extensions,
    ExternalSenders,
    RequiredCapabilities,
    find_extension,
    repeated_types,
)
from rcs_sim.mls.identifiers import (
    ExtensionType,
    LeafIndex,
    LeafNodeSource,
    ProposalType,
    PskType,
    ResumptionPskUsage,
    SenderType,
)
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.leaf_validation import (
    DEFAULT_EXTENSIONS,
    DEFAULT_PROPOSALS,
    verify_leaf_credential_is_listed,
    verify_leaf_encryption_key,
    verify_leaf_extensions_are_listed,
    verify_leaf_extensions_are_single,
    verify_leaf_has_required_capabilities,
    verify_leaf_lifetime,
    verify_leaf_signature,
    verify_leaf_source,
    verify_leaf_supports_extensions,
)
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import ProposalList
from rcs_sim.mls.proposals import Add, GroupContextExtensions, Proposal, ReInit
from rcs_sim.mls.psk_id import PreSharedKeyID, ResumptionPskID
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import IdentityProvider

__all__ = [
    "required_capabilities",
    "verify_added_clients",
    "verify_added_encryption_keys",
    "verify_added_init_keys",
    "verify_added_signature_keys",
    "verify_committer_does_not_update",
    "verify_context_extension_bodies",
    "verify_context_extensions_are_single",
    "verify_context_extensions_are_supported",
    "verify_context_extensions_do_not_repeat",
    "verify_init_key",
    "verify_init_key_differs",
    "verify_key_package",
    "verify_key_package_extensions_are_single",
    "verify_key_package_signature",
    "verify_key_package_suite",
    "verify_key_package_supports_group",
    "verify_leaf_body",
    "verify_leaf_changes_once",
    "verify_leaf_lists_group",
    "verify_no_external_init",
    "verify_proposal_sender",
    "verify_proposal_types_are_supported",
    "verify_psk_nonce",
    "verify_psk_usage",
    "verify_psks_are_single",
    "verify_reinit_is_alone",
    "verify_reinit_version",
    "verify_removed_are_members",
    "verify_update_encryption_keys",
    "verify_update_senders",
    "verify_update_supports_group",
    "verify_updated_signature_keys",
]

_LIST = "RFC 9420 §12.2"
_BY_EXTERNAL_SENDER = frozenset(
    {
        ProposalType.ADD,
        ProposalType.REMOVE,
        ProposalType.PSK,
        ProposalType.REINIT,
        ProposalType.GROUP_CONTEXT_EXTENSIONS,
    }
)


def required_capabilities(extensions: Extensions) -> RequiredCapabilities:
    """required_capabilities of a GroupContext (RFC 9420 §11.1). Raises TlsDecodeError."""
    body = find_extension(extensions, ExtensionType.REQUIRED_CAPABILITIES)
    return RequiredCapabilities() if body is None else RequiredCapabilities.decode(body)


# --- leaves and key packages (RFC 9420 §7.3, §10.1) -------------------------------------------------------------------


def verify_leaf_body(suite: CipherSuite, leaf: LeafNode, now_s: int | None) -> None:
    """VAL-709 to VAL-713 apart: what a leaf says about itself is consistent (RFC 9420 §7.3)."""
    verify_leaf_extensions_are_single(leaf)
    verify_leaf_extensions_are_listed(leaf)
    verify_leaf_credential_is_listed(leaf)
    verify_leaf_lists_group(suite, leaf)
    if now_s is not None:
        verify_leaf_lifetime(leaf, now_s)


def verify_leaf_lists_group(suite: CipherSuite, leaf: LeafNode) -> None:
    """VAL-803: the capabilities of a leaf have the cipher suite of its group (RFC 9420 §7.2)."""
    if suite.id not in leaf.capabilities.cipher_suites:
        message = f"a leaf does not list cipher suite {int(suite.id)}"
        raise MlsValidationError("VAL-803", message, spec="RFC 9420 §7.2")


def verify_key_package(suite: CipherSuite, key_package: KeyPackage, now_s: int | None) -> None:
    """All rules of a KeyPackage outside of a group (RFC 9420 §10.1)."""
    verify_key_package_suite(suite, key_package)
    verify_init_key_differs(key_package)
    verify_leaf_source(key_package.leaf_node, LeafNodeSource.KEY_PACKAGE)
    verify_leaf_body(suite, key_package.leaf_node, now_s)
    verify_key_package_extensions_are_single(key_package)
    verify_leaf_encryption_key(suite, key_package.leaf_node)
    verify_init_key(suite, key_package)
    verify_leaf_signature(suite, key_package.leaf_node, b"", LeafIndex(0))
    verify_key_package_signature(suite, key_package)


def verify_key_package_suite(suite: CipherSuite, key_package: KeyPackage) -> None:
    """ValSem105: version and cipher suite are those of the group (RFC 9420 §10.1)."""
    if (key_package.version, key_package.cipher_suite) != (1, suite.id):
        message = f"a key package of version {int(key_package.version)} and suite {int(key_package.cipher_suite)}"
        raise MlsValidationError("ValSem105", message, spec="RFC 9420 §10.1")


def verify_init_key_differs(key_package: KeyPackage) -> None:
    """ValSem104: the init key is not the leaf's encryption key (RFC 9420 §10.1)."""
    if key_package.init_key == key_package.leaf_node.encryption_key:
        message = "the init key of a key package is its encryption key"
        raise MlsValidationError("ValSem104", message, spec="RFC 9420 §10.1")


def verify_key_package_extensions_are_single(key_package: KeyPackage) -> None:
    """VAL-818: no type of extension stands twice in a KeyPackage (RFC 9420 §13.4)."""
    if repeated := repeated_types(key_package.extensions):
        message = f"a key package repeats extension 0x{repeated[0]:04X}"
        raise MlsValidationError("VAL-818", message, spec="RFC 9420 §13.4")


def verify_init_key(suite: CipherSuite, key_package: KeyPackage) -> None:
    """VAL-817: the init key is a key of the suite, a NIST point being uncompressed (RFC 9420 §5.1.1)."""
    try:
        suite.hpke.kem.verify_public_key(key_package.init_key)
    except CryptoError as error:
        raise MlsValidationError("VAL-817", f"the init key is none: {error}", spec="RFC 9420 §5.1.1") from error


def verify_key_package_signature(suite: CipherSuite, key_package: KeyPackage) -> None:
    """VAL-804: a key package is signed by its leaf (RFC 9420 §10.1)."""
    key, signed = key_package.leaf_node.signature_key, key_package.to_be_signed()
    if not suite.verify_with_label(key, "KeyPackageTBS", signed, key_package.signature):
        raise MlsValidationError("VAL-804", "a key package is not signed by its leaf", spec="RFC 9420 §10.1")


def verify_key_package_supports_group(key_package: KeyPackage, extensions: Extensions) -> None:
    """ValSem106: who is added supports what the group requires and uses (RFC 9420 §12.1.1, §7.3)."""
    _verify_supports("ValSem106", key_package.leaf_node, extensions)


def verify_update_supports_group(leaf: LeafNode, extensions: Extensions) -> None:
    """ValSem109: who updates still supports what the group requires and uses (RFC 9420 §12.1.2, §7.3)."""
    _verify_supports("ValSem109", leaf, extensions)


def _verify_supports(rule: str, leaf: LeafNode, extensions: Extensions) -> None:
    try:
        verify_leaf_has_required_capabilities(leaf, required_capabilities(extensions))
        verify_leaf_supports_extensions(leaf, [each.extension_type for each in extensions])
    except MlsValidationError as error:
        message = f"a proposed leaf does not fit the group: {error}"
        raise MlsValidationError(rule, message, spec="RFC 9420 §7.3") from error


# --- one proposal -----------------------------------------------------------------------------------------------------


def verify_proposal_sender(proposal: Proposal, sender: Sender, custom: Collection[int] = ()) -> None:
    """VAL-805: a sender outside of the group proposes only what it may (RFC 9420 §12.1.8, §17.4). *custom* are the
    application's types that an external sender may send."""
    kind = sender.sender_type
    if kind in (SenderType.MEMBER, SenderType.NEW_MEMBER_COMMIT):
        return
    if kind is SenderType.NEW_MEMBER_PROPOSAL and isinstance(proposal, Add):
        return
    number = proposal.proposal_type
    if kind is SenderType.EXTERNAL and (number in _BY_EXTERNAL_SENDER or number in custom):
        return
    message = f"a proposal of type {int(number)} by a sender of type {kind.name}"
    raise MlsValidationError("VAL-805", message, spec="RFC 9420 §12.1.8")


def verify_update_senders(proposal: Proposal, sender: Sender) -> None:
    """ValSem112: an Update is sent by a member (RFC 9420 §12.1.2)."""
    if proposal.proposal_type == ProposalType.UPDATE and sender.sender_type is not SenderType.MEMBER:
        raise MlsValidationError("ValSem112", "an Update is not from a member", spec="RFC 9420 §12.1.2")


def verify_psk_nonce(suite: CipherSuite, psk_id: PreSharedKeyID) -> None:
    """ValSem401: the nonce of a PSK is as long as the KDF's output (RFC 9420 §12.1.4)."""
    if len(psk_id.psk_nonce) != suite.hash_octets:
        message = f"a PSK nonce has {len(psk_id.psk_nonce)} octets, expected {suite.hash_octets}"
        raise MlsValidationError("ValSem401", message, spec="RFC 9420 §12.1.4")


def verify_psk_usage(psk_id: PreSharedKeyID, allowed: ResumptionPskUsage = ResumptionPskUsage.APPLICATION) -> None:
    """ValSem402: a PSK is external, or a resumption PSK with the usage application; reinit and branch are for the
    first Commit of such a group only (RFC 9420 §12.1.4)."""
    if psk_id.psktype is PskType.EXTERNAL:
        return
    if isinstance(psk_id, ResumptionPskID) and psk_id.usage in (ResumptionPskUsage.APPLICATION, allowed):
        return
    message = "a resumption PSK is for the first commit of another group"
    raise MlsValidationError("ValSem402", message, spec="RFC 9420 §12.1.4")


def verify_reinit_version(proposal: ReInit) -> None:
    """VAL-806: a ReInit does not go back to an older version (RFC 9420 §12.1.5)."""
    if proposal.version < 1:
        raise MlsValidationError("VAL-806", "a ReInit goes back to an older version", spec="RFC 9420 §12.1.5")


# --- the list ---------------------------------------------------------------------------------------------------------


def verify_committer_does_not_update(proposals: ProposalList, committer: LeafIndex) -> None:
    """ValSem111: a Commit covers no Update of its own sender, whose leaf is in the path (RFC 9420 §12.2)."""
    if any(leaf == committer for leaf, _ in proposals.updates):
        raise MlsValidationError("ValSem111", "a commit covers an Update of its sender", spec=_LIST)


def verify_leaf_changes_once(leaves: Iterable[LeafIndex]) -> None:
    """ValSem107: no leaf is removed twice, or updated twice, or both (RFC 9420 §12.2)."""
    repeated = [leaf for leaf, count in Counter(leaves).items() if count > 1]
    if repeated:
        raise MlsValidationError("ValSem107", f"a commit changes leaf {repeated[0]} twice", spec=_LIST)


def verify_removed_are_members(tree: RatchetTree, removed: Iterable[LeafIndex]) -> None:
    """ValSem108: who is removed is a member (RFC 9420 §12.1.3)."""
    for leaf in removed:
        if tree.leaf(leaf) is None:
            raise MlsValidationError("ValSem108", f"there is no member {leaf} to remove", spec="RFC 9420 §12.1.3")


def verify_added_signature_keys(adds: Sequence[Add], tree: RatchetTree) -> None:
    """ValSem101: no two who are added or stay have the same signature key (RFC 9420 §12.2). *tree* is after the
    proposals."""
    for add in adds:
        key = add.key_package.leaf_node.signature_key
        if tree.signature_key_uses(key) > 1:
            message = "the signature key of an Add is another member's"
            raise MlsValidationError("ValSem101", message, spec=_LIST, raw=key)


def verify_added_clients(adds: Sequence[Add], tree: RatchetTree, identity: IdentityProvider) -> None:
    """VAL-837: no client is added twice, or while it is in the group and stays there, whatever its keys: the identity
    provider tells clients apart (RFC 9420 §12.2). *tree* is after the proposals."""
    if not adds:
        return
    members = Counter(identity.identity_of(leaf.credential) for _, leaf in tree.members())
    for add in adds:
        client = identity.identity_of(add.key_package.leaf_node.credential)
        if members[client] > 1:
            raise MlsValidationError("VAL-837", "an Add is of a client that is in the group", spec=_LIST, raw=client)


def verify_added_init_keys(adds: Sequence[Add]) -> None:
    """ValSem102: no two Adds have the same init key (RFC 9420 §12.2)."""
    keys = [add.key_package.init_key for add in adds]
    if len(set(keys)) != len(keys):
        raise MlsValidationError("ValSem102", "two Adds have the same init key", spec=_LIST)


def verify_added_encryption_keys(adds: Sequence[Add], tree: RatchetTree) -> None:
    """ValSem103: the encryption key of an Add is nowhere else in the tree (RFC 9420 §7.3). *tree* is after the
    proposals."""
    for add in adds:
        key = add.key_package.leaf_node.encryption_key
        if tree.encryption_key_uses(key) > 1:
            message = "the encryption key of an Add is in the tree already"
            raise MlsValidationError("ValSem103", message, spec="RFC 9420 §7.3", raw=key)


def verify_update_encryption_keys(updates: Sequence[LeafNode], before: RatchetTree, after: RatchetTree) -> None:
    """ValSem110: the encryption key of an Update is new: it is not in the tree *before*, the leaf that it replaces
    included, and in the tree *after* once (RFC 9420 §7.3, §12.1.2)."""
    for leaf in updates:
        if before.encryption_key_uses(leaf.encryption_key) or after.encryption_key_uses(leaf.encryption_key) > 1:
            message = "the encryption key of an Update is in the tree already"
            raise MlsValidationError("ValSem110", message, spec="RFC 9420 §7.3", raw=leaf.encryption_key)


def verify_updated_signature_keys(updates: Sequence[LeafNode], tree: RatchetTree) -> None:
    """VAL-707: the signature key of an Update is no other member's (RFC 9420 §7.3). *tree* is after the proposals."""
    for leaf in updates:
        if tree.signature_key_uses(leaf.signature_key) > 1:
            message = "the signature key of an Update is another member's"
            raise MlsValidationError("VAL-707", message, spec="RFC 9420 §7.3", raw=leaf.signature_key)


def verify_psks_are_single(psk_ids: Sequence[PreSharedKeyID]) -> None:
    """ValSem403: no PreSharedKeyID stands twice (RFC 9420 §12.2)."""
    if len(set(psk_ids)) != len(psk_ids):
        raise MlsValidationError("ValSem403", "a PSK stands twice in a list", spec=_LIST)


def verify_context_extensions_are_single(proposals: Sequence[GroupContextExtensions]) -> None:
    """ValSem208: there is at most one GroupContextExtensions proposal (RFC 9420 §12.2)."""
    if len(proposals) > 1:
        message = "a commit covers more than one GroupContextExtensions"
        raise MlsValidationError("ValSem208", message, spec=_LIST)


def verify_context_extensions_do_not_repeat(extensions: Extensions) -> None:
    """VAL-807: no type of extension stands twice in a GroupContext (RFC 9420 §13.4)."""
    if repeated := repeated_types(extensions):
        message = f"a GroupContext repeats extension 0x{repeated[0]:04X}"
        raise MlsValidationError("VAL-807", message, spec="RFC 9420 §13.4")


def verify_context_extension_bodies(extensions: Extensions) -> None:
    """VAL-836: what RFC 9420 defines in a GroupContext can be read (§11.1, §12.1.8.1)."""
    try:
        required_capabilities(extensions)
        senders = find_extension(extensions, ExtensionType.EXTERNAL_SENDERS)
        if senders is not None:
            ExternalSenders.decode(senders)
    except TlsDecodeError as error:
        message = f"an extension of a GroupContext cannot be read: {error}"
        raise MlsValidationError("VAL-836", message, spec="RFC 9420 §12.1.7") from error


def verify_context_extensions_are_supported(tree: RatchetTree, extensions: Extensions) -> None:
    """ValSem209: all members support the extensions of the GroupContext, and what it requires (RFC 9420 §12.1.7,
    §13.4). *tree* is after the proposals."""
    required, types = required_capabilities(extensions), _beyond_default(extensions)
    for index, leaf in tree.members():
        try:
            verify_leaf_has_required_capabilities(leaf, required)
            verify_leaf_supports_extensions(leaf, types)
        except MlsValidationError as error:
            message = f"member {index} does not support the extensions of the group: {error}"
            raise MlsValidationError("ValSem209", message, spec="RFC 9420 §12.1.7") from error


def _beyond_default(extensions: Iterable[Extension]) -> list[ExtensionType]:
    return [each.extension_type for each in extensions if each.extension_type not in DEFAULT_EXTENSIONS]


def verify_proposal_types_are_supported(
    tree: RatchetTree, types: Iterable[ProposalType], removed: Collection[LeafIndex] = ()
) -> None:
    """ValSem113: all members who will follow the Commit support the types of its proposals (RFC 9420 §12.2). *tree* is
    before them; those *removed* do not follow."""
    custom = set(types) - DEFAULT_PROPOSALS
    if not custom:
        return
    for index, leaf in tree.members():
        if index in removed:
            continue
        if missing := custom.difference(leaf.capabilities.proposals):
            message = f"member {index} does not support proposals of type 0x{min(missing):04X}"
            raise MlsValidationError("ValSem113", message, spec=_LIST)


def verify_reinit_is_alone(proposals: ProposalList) -> None:
    """VAL-808: a ReInit is the only proposal of its Commit (RFC 9420 §12.2)."""
    if proposals.reinits and len(proposals) > 1:
        raise MlsValidationError("VAL-808", "a ReInit is not alone in its commit", spec=_LIST)


def verify_no_external_init(proposals: ProposalList) -> None:
    """VAL-809: a member's Commit has no ExternalInit (RFC 9420 §12.2)."""
    if proposals.external_inits:
        raise MlsValidationError("VAL-809", "a member's commit covers an ExternalInit", spec=_LIST)
