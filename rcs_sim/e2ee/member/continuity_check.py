"""Whether a new era continues the group that we know (RCC.16 §8.3.1.2).

A server's GroupInfo without a commitment to the continuity token says nothing: no deployed client publishes one, so the
token is carried then (choice).
"""

from __future__ import annotations

from collections.abc import Iterable

from rcs_sim.e2ee.continuity import ContinuityAction, is_continuity_commitment, validate_continuity
from rcs_sim.e2ee.credential_identity import msisdn_of
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, find_extension_value
from rcs_sim.e2ee.member.encrypted_group import EncryptedGroup
from rcs_sim.e2ee.member.group_start import CarriedState
from rcs_sim.mls.codec import TlsDecodeError
from rcs_sim.mls.leaf_node import LeafNode

__all__ = ["continuity_action", "token_to_carry"]


def continuity_action(
    held: EncryptedGroup | None, fetched: CarriedState, participants: Iterable[str]
) -> ContinuityAction | None:
    """What to do about the token when *fetched*, the server's state, is not what we hold. None if the server's
    GroupInfo commits to no token."""
    commitment = _commitment_in(fetched)
    if commitment is None:
        return None
    token = None if held is None else held.continuity_token
    is_match = token is not None and is_continuity_commitment(commitment, token, fetched.epoch_authenticator)
    members = frozenset(msisdn_of(node) for node in fetched.tree.nodes if isinstance(node, LeafNode))
    return validate_continuity(
        has_token=token is not None,
        is_match=is_match,
        participants=frozenset(participants),
        fetched_members=members,
        local_members=frozenset() if held is None else held.roster.numbers,
    )


def token_to_carry(held: EncryptedGroup, fetched: CarriedState) -> bytes | None:
    """The token that a new era of ours goes on with; None to mint one."""
    action = continuity_action(held, fetched, held.roster.numbers)
    return held.continuity_token if action in (None, ContinuityAction.CARRY) else None


def _commitment_in(fetched: CarriedState) -> bytes | None:
    """A commitment that cannot be read is one that does not match."""
    try:
        return find_extension_value(fetched.info.extensions, RcsExtensionType.CONTINUITY_COMMITMENT)
    except TlsDecodeError:
        return b""
