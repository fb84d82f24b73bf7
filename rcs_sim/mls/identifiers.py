"""Numbers with a meaning: positions, epochs, and the code points of the registries (RFC 9420 §17)."""

from __future__ import annotations

from enum import IntEnum
from functools import lru_cache
from typing import NewType, Self, TypeVar

__all__ = [
    "CipherSuiteId",
    "ContentType",
    "CredentialType",
    "Epoch",
    "ExtensionType",
    "Generation",
    "LeafIndex",
    "LeafNodeSource",
    "NodeIndex",
    "NodeType",
    "ProposalOrRefType",
    "ProposalType",
    "ProtocolVersion",
    "PskType",
    "ResumptionPskUsage",
    "SenderType",
    "WireFormat",
    "is_grease",
]

Epoch = NewType("Epoch", int)
LeafIndex = NewType("LeafIndex", int)
"""Position among the leaves, the leftmost being 0."""
NodeIndex = NewType("NodeIndex", int)
"""Position in the array of leaves and parents (RFC 9420 appendix C)."""
Generation = NewType("Generation", int)
"""Step of a ratchet of the secret tree (RFC 9420 §9.1)."""


_KEPT_UNNAMED = 1024  # members without a name that are shared: the types of an application, and GREASE

_CodePointT = TypeVar("_CodePointT", bound="_CodePoint")


class _CodePoint(IntEnum):
    """A 16-bit registry. A number that is not in it becomes a member without a name, and is kept."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            return None
        member: Self = _unnamed(cls, value)
        return member


@lru_cache(maxsize=_KEPT_UNNAMED)
def _unnamed(registry: type[_CodePointT], value: int) -> _CodePointT:
    member = int.__new__(registry, value)
    member._name_ = f"0x{value:04X}"
    member._value_ = value
    return member


class ProtocolVersion(_CodePoint):
    """RFC 9420 §6."""

    MLS10 = 1


class CipherSuiteId(_CodePoint):
    """RFC 9420 §17.1. The last is of private use, as mls-rs has it."""

    MLS_128_DHKEMX25519_AES128GCM_SHA256_ED25519 = 1
    MLS_128_DHKEMP256_AES128GCM_SHA256_P256 = 2
    MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_ED25519 = 3
    MLS_256_DHKEMX448_AES256GCM_SHA512_ED448 = 4
    MLS_256_DHKEMP521_AES256GCM_SHA512_P521 = 5
    MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_ED448 = 6
    MLS_256_DHKEMP384_AES256GCM_SHA384_P384 = 7
    MLS_128_XWING_CHACHA20POLY1305_SHA256_ED25519 = 0xF057


class ExtensionType(_CodePoint):
    """RFC 9420 §17.3."""

    APPLICATION_ID = 1
    RATCHET_TREE = 2
    REQUIRED_CAPABILITIES = 3
    EXTERNAL_PUB = 4
    EXTERNAL_SENDERS = 5
    LAST_RESORT = 10


class ProposalType(_CodePoint):
    """RFC 9420 §17.4."""

    ADD = 1
    UPDATE = 2
    REMOVE = 3
    PSK = 4
    REINIT = 5
    EXTERNAL_INIT = 6
    GROUP_CONTEXT_EXTENSIONS = 7


class CredentialType(_CodePoint):
    """RFC 9420 §17.5."""

    BASIC = 1
    X509 = 2


class WireFormat(_CodePoint):
    """RFC 9420 §17.2."""

    PUBLIC_MESSAGE = 1
    PRIVATE_MESSAGE = 2
    WELCOME = 3
    GROUP_INFO = 4
    KEY_PACKAGE = 5


class ContentType(IntEnum):
    """RFC 9420 §6."""

    APPLICATION = 1
    PROPOSAL = 2
    COMMIT = 3


class SenderType(IntEnum):
    """RFC 9420 §6."""

    MEMBER = 1
    EXTERNAL = 2
    NEW_MEMBER_PROPOSAL = 3
    NEW_MEMBER_COMMIT = 4


class LeafNodeSource(IntEnum):
    """RFC 9420 §7.2."""

    KEY_PACKAGE = 1
    UPDATE = 2
    COMMIT = 3


class NodeType(IntEnum):
    """RFC 9420 §7.8."""

    LEAF = 1
    PARENT = 2


class ProposalOrRefType(IntEnum):
    """RFC 9420 §12.4."""

    PROPOSAL = 1
    REFERENCE = 2


class PskType(IntEnum):
    """RFC 9420 §8.4."""

    EXTERNAL = 1
    RESUMPTION = 2


class ResumptionPskUsage(IntEnum):
    """RFC 9420 §8.4."""

    APPLICATION = 1
    REINIT = 2
    BRANCH = 3


def is_grease(number: int) -> bool:
    """Whether a code point stands for nothing, sent so that peers learn to skip it (RFC 9420 §13.5)."""
    return number & 0x0F0F == 0x0A0A and number >> 12 == (number >> 4) & 0xF and number < 0xF000
