"""A client before it is in a group: its credential and key, its leaves and KeyPackages (RFC 9420 §5.3, §7.2, §10)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ims_core.wire.secret import Secret
from rcs_sim.mls.credential import Credential
from rcs_sim.mls.crypto import CipherSuite, Random, SignatureKey
from rcs_sim.mls.extensions import Extension, Extensions
from rcs_sim.mls.identifiers import (
    CipherSuiteId,
    CredentialType,
    ExtensionType,
    LeafIndex,
    LeafNodeSource,
    ProposalType,
    ProtocolVersion,
)
from rcs_sim.mls.key_package import KeyPackage
from rcs_sim.mls.leaf_node import Capabilities, LeafNode, Lifetime
from rcs_sim.mls.welcome import KeyPackageRef

__all__ = ["Client", "KeyPackageKeys", "capabilities_of", "is_last_resort", "sign_leaf"]


def capabilities_of(
    credential: Credential,
    suites: tuple[CipherSuiteId, ...] = (),
    extensions: tuple[ExtensionType, ...] = (),
    proposals: tuple[ProposalType, ...] = (),
    credentials: tuple[CredentialType, ...] = (),
) -> Capabilities:
    """Capabilities of this engine, all its cipher suites if *suites* are not given. The type of *credential* is
    always among *credentials*."""
    types = credentials if credential.credential_type in credentials else (credential.credential_type, *credentials)
    return Capabilities(
        (ProtocolVersion.MLS10,), suites or CipherSuite.supported(), extensions, proposals, tuple(types)
    )


@dataclass(frozen=True, slots=True)
class KeyPackageKeys:
    """A KeyPackage of our own with its private halves."""

    key_package: KeyPackage
    init_private: Secret
    encryption_private: Secret
    signature_key: SignatureKey

    def reference(self) -> KeyPackageRef:
        """What a Welcome names it by."""
        suite = CipherSuite.of(self.key_package.cipher_suite)
        return suite.key_package_ref(self.key_package.encode())


def is_last_resort(key_package: KeyPackage) -> bool:
    """Whether *key_package* may be used more than once, for want of another (RFC 9420 §16.8)."""
    return any(each.extension_type == ExtensionType.LAST_RESORT for each in key_package.extensions)


def sign_leaf(
    suite: CipherSuite, leaf: LeafNode, key: SignatureKey, group_id: bytes | None = None, index: LeafIndex | None = None
) -> LeafNode:
    """*leaf* with its signature (RFC 9420 §7.2)."""
    signed = leaf.to_be_signed(group_id, index)
    return replace(leaf, signature=suite.sign_with_label(key, "LeafNodeTBS", signed))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Who makes leaves: one credential and signature key for one cipher suite."""

    suite: CipherSuite
    credential: Credential
    signature_key: SignatureKey
    capabilities: Capabilities
    leaf_extensions: Extensions = ()

    def unsigned_leaf(self, encryption_key: bytes, source: LeafNodeSource) -> LeafNode:
        """A leaf whose lifetime or parent hash, and signature, are still to come."""
        return LeafNode(
            encryption_key=encryption_key,
            signature_key=self.signature_key.public,
            credential=self.credential,
            capabilities=self.capabilities,
            leaf_node_source=source,
            lifetime=None,
            parent_hash=None,
            extensions=self.leaf_extensions,
            signature=b"",
        )

    def initial_leaf(self, encryption_key: bytes, lifetime: Lifetime) -> LeafNode:
        """The leaf of a KeyPackage, or of the creator of a group."""
        leaf = replace(self.unsigned_leaf(encryption_key, LeafNodeSource.KEY_PACKAGE), lifetime=lifetime)
        return sign_leaf(self.suite, leaf, self.signature_key)

    def create_key_package(
        self, random: Random, lifetime: Lifetime, extensions: Extensions = (), *, last_resort: bool = False
    ) -> KeyPackageKeys:
        """A KeyPackage and its keys. *last_resort* marks it as one that may be used more than once."""
        marks = (Extension(ExtensionType.LAST_RESORT, b""),) if last_resort else ()
        init, encryption = self.suite.generate_key_pair(random), self.suite.generate_key_pair(random)
        unsigned = KeyPackage(
            ProtocolVersion.MLS10,
            self.suite.id,
            init.public,
            self.initial_leaf(encryption.public, lifetime),
            (*extensions, *marks),
            b"",
        )
        signature = self.suite.sign_with_label(self.signature_key, "KeyPackageTBS", unsigned.to_be_signed())
        signed = replace(unsigned, signature=signature)
        return KeyPackageKeys(signed, init.private, encryption.private, self.signature_key)
