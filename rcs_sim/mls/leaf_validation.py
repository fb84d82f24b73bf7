"""The rules of a leaf by itself (RFC 9420 §7.3), one function each; tree_validation has those of all leaves."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from rcs_sim.mls.crypto import CipherSuite
from rcs_sim.mls.errors import MlsValidationError
from rcs_sim.mls.extensions import RequiredCapabilities, repeated_types
from rcs_sim.mls.identifiers import CredentialType, ExtensionType, LeafIndex, LeafNodeSource, ProposalType
from rcs_sim.mls.kem import CryptoError
from rcs_sim.mls.leaf_node import LeafNode

__all__ = [
    "DEFAULT_EXTENSIONS",
    "DEFAULT_PROPOSALS",
    "verify_leaf_credential_is_listed",
    "verify_leaf_encryption_key",
    "verify_leaf_extensions_are_listed",
    "verify_leaf_extensions_are_single",
    "verify_leaf_has_required_capabilities",
    "verify_leaf_lifetime",
    "verify_leaf_signature",
    "verify_leaf_source",
    "verify_leaf_supports_extensions",
]

_SPEC = "RFC 9420 §7.3"

# What RFC 9420 defines is supported by everybody and need not be listed (§7.2).
DEFAULT_EXTENSIONS = frozenset(ExtensionType(number) for number in range(1, 6))
DEFAULT_PROPOSALS = frozenset(ProposalType(number) for number in range(1, 8))


def verify_leaf_signature(suite: CipherSuite, leaf: LeafNode, group_id: bytes, index: LeafIndex) -> None:
    """VAL-708: the signature is of the leaf's own key, over its group and place unless it is from a KeyPackage."""
    signed = leaf.to_be_signed(group_id, index)
    if not suite.verify_with_label(leaf.signature_key, "LeafNodeTBS", signed, leaf.signature):
        raise MlsValidationError("VAL-708", f"the signature of leaf {index} is not its own", spec=_SPEC)


def verify_leaf_encryption_key(suite: CipherSuite, leaf: LeafNode) -> None:
    """VAL-717: something can be encrypted to the leaf: its key is of the suite's KEM, a NIST point being uncompressed
    and on its curve (RFC 9420 §5.1.1, RFC 9180 §7.1.4)."""
    try:
        suite.hpke.kem.verify_public_key(leaf.encryption_key)
    except CryptoError as error:
        message = "nothing can be encrypted to the key of a leaf"
        raise MlsValidationError("VAL-717", message, spec=_SPEC, raw=leaf.encryption_key) from error


def verify_leaf_source(leaf: LeafNode, expected: LeafNodeSource) -> None:
    """VAL-709: the source is that of the message which carries the leaf."""
    if leaf.leaf_node_source is not expected:
        message = f"a leaf has the source {leaf.leaf_node_source.name} where {expected.name} was expected"
        raise MlsValidationError("VAL-709", message, spec=_SPEC)


def verify_leaf_lifetime(leaf: LeafNode, now_s: int, longest_s: int | None = None) -> None:
    """VAL-710: a leaf from a KeyPackage is valid at *now_s* (seconds since 1970), and for no longer than *longest_s*
    in all, if that is given."""
    lifetime = leaf.lifetime
    if lifetime is None:
        return
    if not lifetime.not_before <= now_s <= lifetime.not_after:
        message = f"a leaf is valid from {lifetime.not_before} to {lifetime.not_after}, now is {now_s}"
        raise MlsValidationError("VAL-710", message, spec=_SPEC)
    if longest_s is not None and lifetime.not_after - lifetime.not_before > longest_s:
        message = f"a leaf is valid for {lifetime.not_after - lifetime.not_before} s, allowed are {longest_s}"
        raise MlsValidationError("VAL-710", message, spec="RFC 9420 §7.2")


def verify_leaf_extensions_are_listed(leaf: LeafNode) -> None:
    """VAL-711: each extension of the leaf is among those that it says it supports."""
    used = {extension.extension_type for extension in leaf.extensions}
    if missing := used - DEFAULT_EXTENSIONS - set(leaf.capabilities.extensions):
        raise MlsValidationError("VAL-711", f"a leaf uses {_named(missing)} and does not list them", spec=_SPEC)


def verify_leaf_extensions_are_single(leaf: LeafNode) -> None:
    """VAL-712: there is one extension of a type at most."""
    if repeated := repeated_types(leaf.extensions):
        raise MlsValidationError("VAL-712", f"a leaf repeats {_named(repeated)}", spec="RFC 9420 §13.4")


def verify_leaf_credential_is_listed(leaf: LeafNode) -> None:
    """VAL-713: the type of the credential is among those that the leaf says it supports."""
    if leaf.credential.credential_type not in leaf.capabilities.credentials:
        message = f"a leaf has a credential {_named([leaf.credential.credential_type])} and does not list the type"
        raise MlsValidationError("VAL-713", message, spec="RFC 9420 §7.2")


def verify_leaf_has_required_capabilities(leaf: LeafNode, required: RequiredCapabilities) -> None:
    """VAL-714: the leaf supports what the group requires of each member (RFC 9420 §11.1)."""
    has = leaf.capabilities
    missing = [
        *_beyond(required.extension_types, DEFAULT_EXTENSIONS, has.extensions),
        *_beyond(required.proposal_types, DEFAULT_PROPOSALS, has.proposals),
        *_beyond(required.credential_types, frozenset[CredentialType](), has.credentials),
    ]
    if missing:
        raise MlsValidationError("VAL-714", f"a leaf lacks {_named(missing)}", spec="RFC 9420 §11.1")


def verify_leaf_supports_extensions(leaf: LeafNode, types: Iterable[ExtensionType]) -> None:
    """VAL-715: the leaf supports the extensions of the GroupContext (RFC 9420 §13.4)."""
    if missing := _beyond(types, DEFAULT_EXTENSIONS, leaf.capabilities.extensions):
        raise MlsValidationError("VAL-715", f"a leaf does not support {_named(missing)}", spec="RFC 9420 §13.4")


def _beyond(types: Iterable[int], default: Collection[int], listed: Collection[int]) -> list[int]:
    return [each for each in types if each not in default and each not in listed]


def _named(types: Iterable[int]) -> str:
    return ", ".join(f"0x{each:04X}" for each in sorted(types))
