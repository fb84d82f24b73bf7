"""The continuity token, which links a new era to the one before (RCC.16 §7.11.12, §8.3.1)."""

from __future__ import annotations

import hmac
from collections.abc import Set
from enum import Enum, auto

from rcs_sim.e2ee.commitment import ref_hash
from rcs_sim.e2ee.extension_bodies import RcsExtensionType, find_extension_value, value_extension
from rcs_sim.mls.codec import TlsDecodeError, encode_opaque
from rcs_sim.mls.crypto import Random
from rcs_sim.mls.extensions import Extension, Extensions

__all__ = [
    "TOKEN_OCTETS",
    "ContinuityAction",
    "continuity_commitment",
    "continuity_commitment_extension",
    "continuity_token_extension",
    "find_continuity_token",
    "is_continuity_commitment",
    "mint_continuity_token",
    "token_commitment",
    "validate_continuity",
]

TOKEN_OCTETS = 32
_LABEL = b"Continuity Token GroupInfo Commitment"
_PREFIXED_LABEL = b"MLS 1.0 " + _LABEL


def mint_continuity_token(random: Random) -> bytes:
    """A fresh token, at the creation of a group (RCC.16 §8.3.1.1)."""
    return random(TOKEN_OCTETS)


def token_commitment(token: bytes, epoch_authenticator: bytes) -> bytes:
    """``TokenCommitment``: both, framed."""
    return encode_opaque(token) + encode_opaque(epoch_authenticator)


def continuity_commitment(token: bytes, epoch_authenticator: bytes, *, is_label_prefixed: bool) -> bytes:
    """The commitment to a token at one epoch. RefHash takes its label as it is (RFC 9420 §5.2); the public
    implementation puts ``MLS 1.0 `` before it. No deployed one exists to decide."""
    label = _PREFIXED_LABEL if is_label_prefixed else _LABEL
    return ref_hash(label, token_commitment(token, epoch_authenticator))


def is_continuity_commitment(commitment: bytes, token: bytes, epoch_authenticator: bytes) -> bool:
    """Whether *commitment* is one to *token*, by either label (choice)."""
    forms = [continuity_commitment(token, epoch_authenticator, is_label_prefixed=each) for each in (False, True)]
    return any([hmac.compare_digest(form, commitment) for form in forms])


def continuity_token_extension(token: bytes) -> Extension:
    """0xF010, for the GroupInfo inside a Welcome and nowhere else: it is a secret of the group."""
    return value_extension(RcsExtensionType.CONTINUITY_TOKEN, token)


def continuity_commitment_extension(commitment: bytes) -> Extension:
    """0xF011, for a GroupInfo. Publishing it arms every peer's check, so profiles leave it off."""
    return value_extension(RcsExtensionType.CONTINUITY_COMMITMENT, commitment)


def find_continuity_token(extensions: Extensions) -> bytes | None:
    """The token in a Welcome's GroupInfo; None without one that can be read."""
    try:
        return find_extension_value(extensions, RcsExtensionType.CONTINUITY_TOKEN)
    except TlsDecodeError:
        return None


class ContinuityAction(Enum):
    """What a member does with its token when a new era comes (RCC.16 §8.3.1.2)."""

    REQUEST = auto()
    MINT = auto()
    MINT_AND_MAY_DOWNGRADE = auto()
    CARRY = auto()


def validate_continuity(
    *,
    has_token: bool,
    is_match: bool,
    participants: Set[str],
    fetched_members: Set[str],
    local_members: Set[str],
) -> ContinuityAction:
    """The action for RCS *participants*, the members of the fetched group and those of the local one, as numbers.
    *is_match*: the fetched group commits to the local token; one that commits to none does not match."""
    if not has_token:
        return ContinuityAction.REQUEST if participants <= fetched_members else ContinuityAction.MINT
    if (not is_match and not fetched_members <= local_members) or not participants <= fetched_members:
        return ContinuityAction.MINT_AND_MAY_DOWNGRADE
    return ContinuityAction.CARRY if is_match else ContinuityAction.MINT
