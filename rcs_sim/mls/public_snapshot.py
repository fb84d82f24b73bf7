"""A server's view of a group as one octet string, and back. There is no secret in it.

Format, in the presentation language of RFC 9420 §2.1, version 2::

    struct {
      uint16 version = 2;
      GroupContext context;
      optional<Node> ratchet_tree<V>;       // RFC 9420 §12.4.3.3
      opaque confirmation_tag<V>;
      struct { opaque ref<V>; Sender sender; opaque proposal<V>; } cache<V>;
      optional<opaque<V>> reinit;
      struct { GroupContext context; PastKey keys<V>; } past<V>;   // not in version 1
    } PublicGroupSnapshot;

    struct {                                // signature key of a leaf in a past epoch
      uint8 kind;                           // 0: blank; 1: that of the same leaf now; 2: another, which follows
      select (PastKey.kind) { case 2: opaque key<V>; };
    } PastKey;
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rcs_sim.mls.codec import Reader, encode_opaque, encode_optional, encode_u16, encode_vector
from rcs_sim.mls.group_info import GroupContext, RatchetTreeExtension
from rcs_sim.mls.identifiers import LeafIndex
from rcs_sim.mls.leaf_node import LeafNode
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import QueuedProposal
from rcs_sim.mls.proposals import ProposalRef, ReInit, decode_proposal
from rcs_sim.mls.public_group import PAST_EPOCHS, PublicGroup
from rcs_sim.mls.public_start import verify_known_suite
from rcs_sim.mls.public_state import PastPublicEpoch, PublicState
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_nodes import tree_of_nodes

__all__ = [
    "PUBLIC_SNAPSHOT_VERSION",
    "encode_past_keys",
    "encode_queued",
    "read_past_keys",
    "read_queued",
    "read_reinit",
    "restore_public",
    "snapshot_public",
]

PUBLIC_SNAPSHOT_VERSION = 2
_WITHOUT_PAST = 1
_SPEC = "the snapshot format of rcs_sim.mls.public_snapshot"


def snapshot_public(group: PublicGroup) -> bytes:
    """All of *group*."""
    parts = (
        encode_u16(PUBLIC_SNAPSHOT_VERSION),
        group.context.encode(),
        group.ratchet_tree().encode(),
        encode_opaque(group.state.confirmation_tag),
        encode_vector([encode_queued(each) for each in group.proposals]),
        encode_optional(None if group.reinit is None else encode_opaque(group.reinit.encode())),
        encode_vector(
            [past.context.encode() + encode_past_keys(past.signature_keys, group.tree) for past in group.past_epochs]
        ),
    )
    return b"".join(parts)


def restore_public(octets: bytes, seams: Seams | None = None, *, kept_epochs: int = PAST_EPOCHS) -> PublicGroup:
    """The group that `snapshot_public` gave, now or in version 1. Raises TlsDecodeError or MlsValidationError on octets
    that are none."""
    seams = seams or Seams()
    reader = Reader(octets, seams.custom_bodies())
    if (version := reader.u16()) not in (_WITHOUT_PAST, PUBLIC_SNAPSHOT_VERSION):
        reader.fail(f"a snapshot of version {version}", _SPEC)
    context = GroupContext.read(reader)
    suite = verify_known_suite(context)
    tree = tree_of_nodes(suite, RatchetTreeExtension.read(reader).nodes)
    tag = reader.opaque()
    interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, tag)
    cache, reinit = reader.vector(read_queued), reader.optional(read_reinit)
    past = () if version == _WITHOUT_PAST else reader.vector(lambda inner: _read_past(inner, tree))
    reader.finish()
    group = PublicGroup(PublicState(suite, context, tree, interim, tag), seams, reinit, past, kept_epochs)
    for each in cache:
        assert each.reference is not None  # read_queued
        group.proposals.add(each.reference, each.proposal, each.sender)
    return group


def _read_past(reader: Reader, tree: RatchetTree) -> PastPublicEpoch:
    return PastPublicEpoch(GroupContext.read(reader), read_past_keys(reader, tree))


def encode_past_keys(keys: Sequence[bytes | None], tree: RatchetTree) -> bytes:
    """Signature keys of a past epoch. Those that the same leaf of *tree* still has are not repeated."""
    return encode_vector([_encode_past_key(key, tree.leaf(LeafIndex(place))) for place, key in enumerate(keys)])


def _encode_past_key(key: bytes | None, now: LeafNode | None) -> bytes:
    if key is None:
        return b"\x00"
    return b"\x01" if now is not None and now.signature_key == key else b"\x02" + encode_opaque(key)


def read_past_keys(reader: Reader, tree: RatchetTree) -> tuple[bytes | None, ...]:
    """What `encode_past_keys` gave. Raises TlsDecodeError."""
    place = itertools.count()
    return reader.vector(lambda inner: _read_past_key(inner, tree.leaf(LeafIndex(next(place)))))


def _read_past_key(reader: Reader, now: LeafNode | None) -> bytes | None:
    kind = reader.u8()
    if kind == 0:
        return None
    if kind == 2:
        return reader.opaque()
    if kind != 1 or now is None:
        reader.fail("a past epoch points at a blank leaf, or has a key of no kind", _SPEC)
    return now.signature_key


def encode_queued(entry: QueuedProposal) -> bytes:
    """A proposal of a cache."""
    assert entry.reference is not None  # all in a cache have one
    return encode_opaque(entry.reference) + entry.sender.encode() + encode_opaque(entry.proposal.encode())


def read_queued(reader: Reader) -> QueuedProposal:
    """What `encode_queued` gave. Raises TlsDecodeError."""
    reference, sender = ProposalRef(reader.opaque()), Sender.read(reader)
    return QueuedProposal(decode_proposal(reader.opaque(), reader.custom_bodies), sender, reference)


def read_reinit(reader: Reader) -> ReInit:
    """The ReInit that ended a group. Raises TlsDecodeError."""
    proposal = decode_proposal(reader.opaque())
    return proposal if isinstance(proposal, ReInit) else reader.fail("a ReInit was expected", _SPEC)
