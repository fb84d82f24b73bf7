"""Coming in, or speaking, from outside: external Commits, new members' Adds, external senders (RFC 9420 §12.1.8,
§12.4.3.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ims_core.wire.secret import Secret
from rcs_sim.mls.client import Client, KeyPackageKeys, sign_leaf
from rcs_sim.mls.commit_builder import CommitRequest, CommitSource, build_from
from rcs_sim.mls.crypto import CipherSuite, CryptoError, Random
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import ExternalPub, find_extension
from rcs_sim.mls.framing import protect_public, sign_content
from rcs_sim.mls.group import Group
from rcs_sim.mls.group_info import GroupInfo, RatchetTreeExtension
from rcs_sim.mls.group_state import find_psk_secret, psk_lookup
from rcs_sim.mls.identifiers import Epoch, ExtensionType, LeafIndex, LeafNodeSource, WireFormat
from rcs_sim.mls.key_schedule import seal_external_init
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.messages import NEW_MEMBER_COMMIT, NEW_MEMBER_PROPOSAL, FramedContent, MLSMessage, Sender
from rcs_sim.mls.proposal_list import ProposalList, QueuedProposal
from rcs_sim.mls.proposals import Add, ExternalInit, Proposal
from rcs_sim.mls.psk_id import PreSharedKeyID
from rcs_sim.mls.public_start import start_public
from rcs_sim.mls.public_state import PublicState
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import IdentityProvider
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.tree_validation import MapLeaves

__all__ = [
    "ExternalJoin",
    "external_pub_of",
    "find_own_leaf",
    "join_externally",
    "propose_as_sender",
    "propose_to_join",
]

_SPEC = "RFC 9420 §12.4.3.2"


@dataclass(frozen=True, slots=True)
class ExternalJoin:
    """The Commit by which somebody joins, and the group that it begins for them once it is accepted."""

    message: MLSMessage
    group: Group


def join_externally(
    client: Client,
    info: GroupInfo,
    random: Random,
    *,
    ratchet_tree: RatchetTreeExtension | None = None,
    proposals: tuple[Proposal, ...] = (),
    references: tuple[QueuedProposal, ...] = (),
    authenticated_data: bytes = b"",
    policy: MemberPolicy | None = None,
    now_s: int | None = None,
    run: MapLeaves = map,
) -> ExternalJoin:
    """An external Commit of *client* into the group of *info*. *proposals* are its Remove for a resync, PSKs and
    custom ones; *references* those by reference that the application allows. Raises MlsValidationError or
    TlsDecodeError."""
    policy = policy or MemberPolicy()
    public = start_public(info, ratchet_tree, policy.seams, now_s, run)
    kem_output, init_secret = _external_init(public.suite, external_pub_of(info), random)
    source = _source(client, public, init_secret, policy)
    values = (ExternalInit(kem_output), *proposals)
    listed = ProposalList((*references, *(QueuedProposal(each, NEW_MEMBER_COMMIT) for each in values)))
    request = CommitRequest(authenticated_data=authenticated_data)
    message, _, after = build_from(source, listed, request, random, now_s)
    return ExternalJoin(message, Group(after, client.signature_key, policy))


def external_pub_of(info: GroupInfo) -> bytes:
    """VAL-834: a GroupInfo for outsiders has an external_pub. Raises TlsDecodeError if it cannot be read."""
    body = find_extension(info.extensions, ExtensionType.EXTERNAL_PUB)
    if body is None:
        raise MlsValidationError("VAL-834", "a GroupInfo has no external_pub", spec=_SPEC)
    return ExternalPub.decode(body).external_pub


def _external_init(suite: CipherSuite, external_pub: bytes, random: Random) -> tuple[bytes, Secret]:
    """VAL-835: the external_pub is a key of the suite."""
    try:
        return seal_external_init(suite, external_pub, random)
    except CryptoError as error:
        raise MlsValidationError("VAL-835", f"an external_pub is none: {error}", spec=_SPEC) from error


def _source(client: Client, public: PublicState, init_secret: Secret, policy: MemberPolicy) -> CommitSource:
    suite, template = client.suite, client.unsigned_leaf(b"", LeafNodeSource.COMMIT)

    def make_leaf(index: LeafIndex, encryption_key: bytes, parent_hash: bytes) -> LeafNode:
        leaf = replace(template, encryption_key=encryption_key, parent_hash=parent_hash)
        return sign_leaf(suite, leaf, client.signature_key, public.group_id, index)

    def psk_secret(psk_ids: Iterable[PreSharedKeyID]) -> Secret:
        return find_psk_secret(suite, tuple(psk_ids), psk_lookup(policy, public.group_id, ()))

    return CommitSource(
        public=public,
        committer=None,
        new_leaf=template,
        keys=None,
        init_secret=init_secret,
        make_leaf=make_leaf,
        sign_with=client.signature_key,
        signature_key_after=client.signature_key,
        policy=policy,
        find_psk_secret=psk_secret,
        wire_format=WireFormat.PUBLIC_MESSAGE,
    )


def find_own_leaf(tree: RatchetTree, client: Client, identity: IdentityProvider) -> LeafIndex | None:
    """The leaf that *client* had before, to be removed in a resync; None without one."""
    own = identity.identity_of(client.credential)
    found = (index for index, leaf in tree.members() if identity.identity_of(leaf.credential) == own)
    return next(found, None)


def propose_to_join(keys: KeyPackageKeys, group_id: bytes, epoch: Epoch, authenticated_data: bytes = b"") -> MLSMessage:
    """A new member's own Add (RFC 9420 §12.1.8)."""
    suite = CipherSuite.of(keys.key_package.cipher_suite)
    content = FramedContent(group_id, epoch, NEW_MEMBER_PROPOSAL, authenticated_data, Add(keys.key_package))
    return _public(suite, keys.signature_key, content)


def propose_as_sender(
    suite: CipherSuite,
    key: SignatureKey,
    sender_index: int,
    group_id: bytes,
    epoch: Epoch,
    proposal: Proposal,
    authenticated_data: bytes = b"",
) -> MLSMessage:
    """A proposal of an external sender, which the group's external_senders lists at *sender_index* (RFC 9420
    §12.1.8.1)."""
    content = FramedContent(group_id, epoch, Sender.external(sender_index), authenticated_data, proposal)
    return _public(suite, key, content)


def _public(suite: CipherSuite, key: SignatureKey, content: FramedContent) -> MLSMessage:
    signed = sign_content(suite, key, WireFormat.PUBLIC_MESSAGE, content, None)
    return MLSMessage(protect_public(suite, signed))
