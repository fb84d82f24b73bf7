"""A server's view of a group as one octet string, and back. There is no secret in it.

Format, in the presentation language of RFC 9420 §2.1, version 1::

    struct {
      uint16 version = 1;
      GroupContext context;
      optional<Node> ratchet_tree<V>;       // RFC 9420 §12.4.3.3
      opaque confirmation_tag<V>;
      struct { opaque ref<V>; Sender sender; opaque proposal<V>; } cache<V>;
      optional<opaque<V>> reinit;
    } PublicGroupSnapshot;
"""

from __future__ import annotations

from rcs_sim.mls.codec import Reader, encode_opaque, encode_optional, encode_u16, encode_vector
from rcs_sim.mls.group_info import GroupContext, RatchetTreeExtension
from rcs_sim.mls.messages import Sender
from rcs_sim.mls.proposal_list import QueuedProposal
from rcs_sim.mls.proposals import ProposalRef, ReInit, decode_proposal
from rcs_sim.mls.public_group import PublicGroup
from rcs_sim.mls.public_start import verify_known_suite
from rcs_sim.mls.public_state import PublicState
from rcs_sim.mls.seams import Seams
from rcs_sim.mls.transcript import interim_transcript_hash
from rcs_sim.mls.tree_nodes import tree_of_nodes

__all__ = [
    "PUBLIC_SNAPSHOT_VERSION",
    "encode_queued",
    "read_queued",
    "read_reinit",
    "restore_public",
    "snapshot_public",
]

PUBLIC_SNAPSHOT_VERSION = 1
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
    )
    return b"".join(parts)


def restore_public(octets: bytes, seams: Seams | None = None) -> PublicGroup:
    """The group that `snapshot_public` gave. Raises TlsDecodeError or MlsValidationError on octets that are none."""
    seams = seams or Seams()
    reader = Reader(octets, seams.custom_bodies())
    if (version := reader.u16()) != PUBLIC_SNAPSHOT_VERSION:
        reader.fail(f"a snapshot of version {version}", _SPEC)
    context = GroupContext.read(reader)
    suite = verify_known_suite(context)
    tree = tree_of_nodes(suite, RatchetTreeExtension.read(reader).nodes)
    tag = reader.opaque()
    interim = interim_transcript_hash(suite, context.confirmed_transcript_hash, tag)
    cache, reinit = reader.vector(read_queued), reader.optional(read_reinit)
    reader.finish()
    group = PublicGroup(PublicState(suite, context, tree, interim, tag), seams, reinit)
    for each in cache:
        assert each.reference is not None  # read_queued
        group.proposals.add(each.reference, each.proposal, each.sender)
    return group


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
