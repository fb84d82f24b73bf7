"""Messages that are well formed and illegal: signed and tagged as a member would, and wrong in one place.

The product has no way to make them; what it is built of has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.mls.client import Client
from rcs_sim.mls.codec import TlsDecodeError, encode_opaque, encode_u8, encode_u64
from rcs_sim.mls.commit import Commit, UpdatePath
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.framing import membership_tag, sign_content
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, LeafIndex, SenderType, WireFormat
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.messages import (
    AuthenticatedContent,
    Content,
    FramedContent,
    FramedContentAuthData,
    MLSMessage,
    PrivateMessage,
    PublicMessage,
    Sender,
    encode_content,
)
from rcs_sim.mls.proposals import ProposalOrRef
from rcs_sim.mls.public_state import VerifiedCommit, VerifiedProposal
from rcs_sim.mls.secret_tree import ratchet_of
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.snapshot import snapshot
from tests.support.mls_groups import NOW_S, Party, received

__all__ = [
    "commit_of",
    "edited_commit",
    "private_message",
    "public_message",
    "refusal",
    "resigned_key_package",
    "signed",
]

_NO_TAG = bytes(32)


def signed(
    party: Party,
    content: Content,
    *,
    sender: Sender | None = None,
    key: SignatureKey | None = None,
    group_id: bytes | None = None,
    epoch: Epoch | None = None,
    context: GroupContext | None = None,
    wire_format: WireFormat = WireFormat.PUBLIC_MESSAGE,
    confirmation_tag: bytes | None = None,
) -> AuthenticatedContent:
    """*content* by *party*, in whosesoever name."""
    group = party.group
    framed = FramedContent(
        group.group_id if group_id is None else group_id,
        group.epoch if epoch is None else epoch,
        sender or Sender.member(group.own_leaf),
        b"",
        content,
    )
    made = sign_content(group.suite, key or group.signature_key, wire_format, framed, context or group.context)
    tag = confirmation_tag or (_NO_TAG if isinstance(content, Commit) else None)
    return replace(made, auth=FramedContentAuthData(made.auth.signature, tag))


def public_message(party: Party, authenticated: AuthenticatedContent, *, membership_key: Secret | None = None) -> bytes:
    """The PublicMessage of *authenticated*, with the membership tag of *party*'s epoch if a member is named."""
    group = party.group
    tag = None
    if authenticated.content.sender.sender_type is SenderType.MEMBER:
        key = membership_key or group.state.secrets.membership_key
        tag = membership_tag(group.suite, key, authenticated, group.context)
    return MLSMessage(PublicMessage(authenticated.content, authenticated.auth, tag)).encode()


def commit_of(
    party: Party, proposals: Sequence[ProposalOrRef], path: UpdatePath | None = None, sender: Sender | None = None
) -> bytes:
    """A Commit of *party* that covers what it should not. Its confirmation tag is that of nothing."""
    return public_message(party, signed(party, Commit(tuple(proposals), path), sender=sender))


def edited_commit(
    party: Party, octets: bytes, edit: Callable[[Commit], Commit], key: SignatureKey | None = None
) -> bytes:
    """A genuine PublicMessage with a Commit, altered by somebody who can sign it and who tags it again."""
    message = MLSMessage.decode(octets, party.policy.seams.custom_bodies()).body
    assert isinstance(message, PublicMessage)
    content = message.content.content
    assert isinstance(content, Commit)
    tag = message.auth.confirmation_tag
    made = signed(party, edit(content), sender=message.content.sender, key=key, confirmation_tag=tag)
    return public_message(party, made)


def private_message(
    party: Party, authenticated: AuthenticatedContent, *, padding: bytes = b"", as_leaf: LeafIndex | None = None
) -> bytes:
    """The PrivateMessage of *authenticated* by somebody who pads as it likes and may use another's ratchet, as every
    member can."""
    group, content = party.group, authenticated.content
    state, suite = group.state, group.suite
    leaf = group.own_leaf if as_leaf is None else as_leaf
    kind = ratchet_of(content.content_type)
    key = state.secret_tree.peek(leaf, kind, state.secret_tree.next_generation(leaf, kind))
    head = encode_opaque(content.group_id) + encode_u64(content.epoch) + encode_u8(content.content_type)
    plaintext = encode_content(content.content) + authenticated.auth.encode() + padding
    guard = b"\x05\x06\x07\x08"
    aad = head + encode_opaque(content.authenticated_data)
    ciphertext = suite.cipher(key.key).encrypt(key.guarded_nonce(guard), plaintext, aad)
    data_key, data_nonce = state.sender_data.key_and_nonce(ciphertext)
    named = leaf.to_bytes(4, "big") + key.generation.to_bytes(4, "big") + guard
    sealed = suite.cipher(data_key).encrypt(data_nonce, named, head)
    message = PrivateMessage(
        content.group_id, content.epoch, content.content_type, content.authenticated_data, sealed, ciphertext
    )
    return MLSMessage(message).encode()


def resigned_key_package(client: Client, key_package: KeyPackage) -> KeyPackage:
    """*key_package* as changed, its leaf and itself signed again."""
    suite, key = client.suite, client.signature_key
    leaf = key_package.leaf_node
    signature = suite.sign_with_label(key, "LeafNodeTBS", leaf.to_be_signed())
    made = replace(key_package, leaf_node=replace(leaf, signature=signature))
    return replace(made, signature=suite.sign_with_label(key, "KeyPackageTBS", made.to_be_signed()))


def refusal(party: Party, octets: bytes) -> str:
    """The rule by which *party* refuses *octets*; nothing about its group has changed then."""
    before = snapshot(party.group)
    with pytest.raises((MlsValidationError, TlsDecodeError)) as refused:
        _offer(party, octets)
    assert snapshot(party.group) == before
    return refused.value.rule if isinstance(refused.value, MlsValidationError) else "TlsDecodeError"


def _offer(party: Party, octets: bytes) -> None:
    found = party.group.verify(received(party, octets), NOW_S)
    if isinstance(found, VerifiedCommit):
        party.group.stage_commit(found, NOW_S)
    elif isinstance(found, VerifiedProposal):
        party.group.add_proposal(found)
