"""The secret half of an epoch, as one member has it, and what is kept of epochs that are over (RFC 9420 §8, §9.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ims_core.wire.secret import Secret
from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupContext
from rcs_sim.mls.identifiers import Epoch, LeafIndex
from rcs_sim.mls.key_schedule import EpochSecrets, derive_epoch, derive_joiner_secret
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.psk import derive_psk_secret
from rcs_sim.mls.psk_id import ExternalPskID, PreSharedKeyID
from rcs_sim.mls.public_state import PublicState, VerifiedCommit, signature_keys_of
from rcs_sim.mls.secret_tree import MessageKey, RatchetWindow, SecretTree, SenderDataKeys
from rcs_sim.mls.signature import SignatureKey
from rcs_sim.mls.treekem import TreeKeys

__all__ = [
    "EpochState",
    "OpenedCommit",
    "OwnUpdate",
    "PastEpoch",
    "PskLookup",
    "find_psk_secret",
    "next_secrets",
    "past_epoch_of",
    "psk_lookup",
    "start_epoch",
    "verify_confirmation_tag",
]

PskLookup = Callable[[PreSharedKeyID], Secret | None]


@dataclass(frozen=True, slots=True)
class EpochState:
    """An epoch of a member. All is a value but *secret_tree*, of which keys are used up."""

    public: PublicState
    own_leaf: LeafIndex
    keys: TreeKeys
    secrets: EpochSecrets
    secret_tree: SecretTree
    sender_data: SenderDataKeys = field(repr=False)


@dataclass(frozen=True, slots=True)
class PastEpoch:
    """What is kept of an epoch that is over: enough to open its messages and to verify who signed them.
    *signature_keys* are in the order of the leaves."""

    context: GroupContext
    signature_keys: tuple[bytes | None, ...]
    membership_key: Secret
    sender_data_secret: Secret
    secret_tree: SecretTree
    sender_data: SenderDataKeys = field(repr=False)


@dataclass(frozen=True, slots=True)
class OwnUpdate:
    """The private half of an Update that we have proposed."""

    encryption_private: Secret
    signature_key: SignatureKey


@dataclass(frozen=True, slots=True)
class OpenedCommit(VerifiedCommit):
    """A Commit that came as a PrivateMessage. *key* is used up when the Commit proves right, not before."""

    key: MessageKey


def start_epoch(
    public: PublicState,
    own_leaf: LeafIndex,
    keys: TreeKeys,
    derived: tuple[EpochSecrets, Secret],
    window: RatchetWindow,
) -> EpochState:
    """An epoch whose secrets are *derived*: those that stay, and the encryption_secret."""
    secrets, encryption_secret = derived
    secret_tree = SecretTree(public.suite, encryption_secret, public.tree.leaf_count, window)
    sender_data = SenderDataKeys(public.suite, secrets.sender_data_secret)
    return EpochState(public, own_leaf, keys, secrets, secret_tree, sender_data)


def past_epoch_of(state: EpochState) -> PastEpoch:
    """What stays of *state*."""
    public, secrets = state.public, state.secrets
    keys = signature_keys_of(public.tree)
    return PastEpoch(
        public.context, keys, secrets.membership_key, secrets.sender_data_secret, state.secret_tree, state.sender_data
    )


def next_secrets(
    suite: CipherSuite, init_secret: Secret, commit_secret: Secret, psk_secret: Secret, context: GroupContext
) -> tuple[Secret, tuple[EpochSecrets, Secret]]:
    """joiner_secret, and the secrets of the epoch with *context* (RFC 9420 §8)."""
    octets = context.encode()
    joiner_secret = derive_joiner_secret(suite, init_secret, commit_secret, octets)
    return joiner_secret, derive_epoch(suite, joiner_secret, psk_secret, octets)


def find_psk_secret(suite: CipherSuite, psk_ids: Sequence[PreSharedKeyID], lookup: PskLookup) -> Secret:
    """psk_secret of the PSKs of a Commit or Welcome. Raises MlsValidationError (VAL-820) if one is missing."""
    found = []
    for psk_id in psk_ids:
        psk = lookup(psk_id)
        if psk is None:
            raise MlsValidationError("VAL-820", "a PSK is not at hand", spec="RFC 9420 §8.4", raw=psk_id.encode())
        found.append((psk_id, psk))
    return derive_psk_secret(suite, found)


def psk_lookup(policy: MemberPolicy, group_id: bytes, kept: Sequence[tuple[Epoch, Secret]]) -> PskLookup:
    """Looks for PSKs among the *kept* resumption PSKs of the group itself, then where the application has them."""
    own = dict(kept)

    def find(psk_id: PreSharedKeyID) -> Secret | None:
        if isinstance(psk_id, ExternalPskID):
            return policy.psks.external_psk(psk_id.psk_id)
        if psk_id.psk_group_id == group_id and psk_id.psk_epoch in own:
            return own[psk_id.psk_epoch]
        return policy.psks.resumption_psk(psk_id.psk_group_id, psk_id.psk_epoch)

    return find


def verify_confirmation_tag(public: PublicState, secrets: EpochSecrets) -> None:
    """ValSem205: the confirmation tag is that of the new epoch's secrets (RFC 9420 §12.4.2)."""
    if not secrets.is_confirmation_tag(public.suite, public.context.confirmed_transcript_hash, public.confirmation_tag):
        raise MlsValidationError("ValSem205", "a confirmation tag is wrong", spec="RFC 9420 §12.4.2")
