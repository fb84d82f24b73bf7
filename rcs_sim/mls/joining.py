"""Joining by a Welcome (RFC 9420 §12.4.3.1): opened, then verified against the tree, then a state of a member."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ims_core.wire.secret import Secret
from rcs_sim.mls.client import KeyPackageKeys
from rcs_sim.mls.crypto import CipherSuite, CryptoError
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.group_info import GroupContext, GroupInfo, RatchetTreeExtension
from rcs_sim.mls.group_state import (
    EpochState,
    PskLookup,
    find_psk_secret,
    psk_lookup,
    start_epoch,
    verify_confirmation_tag,
)
from rcs_sim.mls.identifiers import LeafIndex, PskType, ResumptionPskUsage
from rcs_sim.mls.key_schedule import derive_epoch, derive_welcome_secret, welcome_key_and_nonce
from rcs_sim.mls.member_policy import MemberPolicy
from rcs_sim.mls.proposal_validation import verify_psk_nonce, verify_psks_are_single
from rcs_sim.mls.psk_id import PreSharedKeyID, ResumptionPskID
from rcs_sim.mls.public_start import start_public
from rcs_sim.mls.ratchet_tree import RatchetTree
from rcs_sim.mls.tree_validation import MapLeaves
from rcs_sim.mls.treekem import keys_of_joiner
from rcs_sim.mls.welcome import EncryptedGroupSecrets, GroupSecrets, Welcome

__all__ = [
    "OpenedWelcome",
    "find_group_secrets",
    "open_welcome",
    "state_of_joiner",
    "verify_first_epoch",
    "verify_joined_suite",
    "verify_own_leaf",
    "verify_welcome_psks",
]

_SPEC = "RFC 9420 §12.4.3.1"


@dataclass(frozen=True, slots=True)
class OpenedWelcome:
    """A Welcome that was for one of our KeyPackages. Its GroupInfo tells which group it is of; neither that nor its
    tree is verified yet."""

    keys: KeyPackageKeys
    group_secrets: GroupSecrets
    group_info: GroupInfo
    psk_secret: Secret

    @property
    def context(self) -> GroupContext:
        return self.group_info.group_context

    def resumption_psks(self) -> list[ResumptionPskID]:
        """Those that say of which group this one is a branch or continuation."""
        found = [psk for psk in self.group_secrets.psks if isinstance(psk, ResumptionPskID)]
        return [psk for psk in found if psk.usage is not ResumptionPskUsage.APPLICATION]


def open_welcome(welcome: Welcome, candidates: Sequence[KeyPackageKeys], policy: MemberPolicy) -> OpenedWelcome:
    """Decrypts *welcome* with the one of *candidates* that it names. Raises MlsValidationError or TlsDecodeError."""
    sealed, keys = find_group_secrets(welcome, candidates)
    suite = CipherSuite.of(welcome.cipher_suite)
    group_secrets = _open_group_secrets(suite, welcome, sealed, keys)
    verify_welcome_psks(suite, group_secrets.psks)
    psk_secret = find_psk_secret(suite, group_secrets.psks, _outside(policy))
    group_info = _open_group_info(suite, welcome, group_secrets.joiner_secret, psk_secret)
    verify_joined_suite(welcome, group_info)
    return OpenedWelcome(keys, group_secrets, group_info, psk_secret)


def _outside(policy: MemberPolicy) -> PskLookup:
    return psk_lookup(policy, b"", ())


def find_group_secrets(
    welcome: Welcome, candidates: Sequence[KeyPackageKeys]
) -> tuple[EncryptedGroupSecrets, KeyPackageKeys]:
    """VAL-821: the Welcome is for a KeyPackage of ours, and of its cipher suite."""
    ours = {keys.reference(): keys for keys in candidates if keys.key_package.cipher_suite == welcome.cipher_suite}
    for sealed in welcome.secrets:
        if sealed.new_member in ours:
            return sealed, ours[sealed.new_member]
    raise MlsValidationError("VAL-821", "a Welcome is for none of our key packages", spec=_SPEC)


def _open_group_secrets(
    suite: CipherSuite, welcome: Welcome, sealed: EncryptedGroupSecrets, keys: KeyPackageKeys
) -> GroupSecrets:
    """VAL-822: the group secrets open with the init key."""
    context = welcome.encrypted_group_info
    try:
        octets = suite.decrypt_with_label(keys.init_private, "Welcome", context, sealed.encrypted_group_secrets)
    except CryptoError as error:
        raise MlsValidationError("VAL-822", "the secrets of a Welcome do not open", spec=_SPEC) from error
    return GroupSecrets.decode(octets)


def _open_group_info(suite: CipherSuite, welcome: Welcome, joiner_secret: Secret, psk_secret: Secret) -> GroupInfo:
    """VAL-823: the GroupInfo opens with the welcome_secret."""
    welcome_secret = derive_welcome_secret(suite, joiner_secret, psk_secret)
    key, nonce = welcome_key_and_nonce(suite, welcome_secret)
    try:
        return GroupInfo.decode(suite.open(key, nonce, b"", welcome.encrypted_group_info))
    except CryptoError as error:
        raise MlsValidationError("VAL-823", "the GroupInfo of a Welcome does not open", spec=_SPEC) from error


def verify_welcome_psks(suite: CipherSuite, psk_ids: Sequence[PreSharedKeyID]) -> None:
    """ValSem401, ValSem403, and VAL-824: one PSK at most says that the group is a branch or a continuation."""
    verify_psks_are_single(psk_ids)
    for psk_id in psk_ids:
        verify_psk_nonce(suite, psk_id)
    resumptions = [psk for psk in psk_ids if psk.psktype is PskType.RESUMPTION]
    special = [psk for psk in resumptions if _usage(psk) is not ResumptionPskUsage.APPLICATION]
    if len(special) > 1:
        raise MlsValidationError("VAL-824", "a Welcome has more than one origin", spec=_SPEC)


def _usage(psk_id: PreSharedKeyID) -> ResumptionPskUsage | None:
    return psk_id.usage if isinstance(psk_id, ResumptionPskID) else None


def verify_joined_suite(welcome: Welcome, group_info: GroupInfo) -> None:
    """VAL-825: the GroupInfo is of the Welcome's cipher suite, and of MLS 1.0."""
    context = group_info.group_context
    if (context.version, context.cipher_suite) != (1, welcome.cipher_suite):
        raise MlsValidationError("VAL-825", "a GroupInfo is of another suite than its Welcome", spec=_SPEC)


def verify_first_epoch(context: GroupContext) -> None:
    """VAL-842: a group that comes out of another is joined in its epoch 1 (RFC 9420 §12.4.3.1)."""
    if context.epoch != 1:
        message = f"a group that comes out of another is joined in epoch {context.epoch}"
        raise MlsValidationError("VAL-842", message, spec="RFC 9420 §12.4.3.1")


def verify_own_leaf(tree: RatchetTree, keys: KeyPackageKeys) -> LeafIndex:
    """VAL-826: our leaf is in the tree as we made it. Returns its place."""
    leaf = keys.key_package.leaf_node
    found = next((index for index, each in tree.members() if each.encryption_key == leaf.encryption_key), None)
    if found is None or tree.leaf(found) != leaf:
        raise MlsValidationError("VAL-826", "our leaf is not in the tree of a Welcome", spec=_SPEC)
    return found


def state_of_joiner(
    opened: OpenedWelcome,
    ratchet_tree: RatchetTreeExtension | None,
    policy: MemberPolicy,
    now_s: int | None,
    run: MapLeaves = map,
) -> EpochState:
    """The verified state of who was welcomed. *ratchet_tree* is the tree that came beside the Welcome, if one did; one
    inside is taken first. Raises MlsValidationError or TlsDecodeError."""
    info = opened.group_info
    if opened.resumption_psks():
        verify_first_epoch(opened.context)
    public = start_public(info, ratchet_tree, policy.seams, now_s, run)
    own_leaf = verify_own_leaf(public.tree, opened.keys)
    path_secret = opened.group_secrets.path_secret
    keys = keys_of_joiner(public.tree, own_leaf, opened.keys.encryption_private, info.signer, path_secret)
    joiner_secret = opened.group_secrets.joiner_secret
    derived = derive_epoch(public.suite, joiner_secret, opened.psk_secret, public.context.encode())
    verify_confirmation_tag(public, derived[0])
    return start_epoch(public, own_leaf, keys, derived, policy.window)
