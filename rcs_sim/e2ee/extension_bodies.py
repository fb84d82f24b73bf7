"""Bodies of RCC.16's MLS extensions (§7.11): framed as ``opaque value<V>`` inside extension_data, or bare.

Only what a device originates is written here. What a peer wrote is copied octet for octet: framing it anew would change
the GroupContext's hash and fork the group.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final, NoReturn

from rcs_sim.mls.codec import Reader, TlsDecodeError, encode_opaque, encode_u32
from rcs_sim.mls.extensions import Extension, Extensions, find_extension
from rcs_sim.mls.identifiers import ExtensionType
from rcs_sim.wire.protobuf import ProtobufError, ProtobufReader, encode_uint_field

__all__ = [
    "DowngradeReason",
    "EndMls",
    "EndMlsForm",
    "Framing",
    "RcsExtensionType",
    "encode_extension_value",
    "end_mls_extension",
    "era_extension",
    "era_of",
    "find_extension_value",
    "has_end_mls",
    "has_metadata_keys_requested",
    "metadata_keys_requested_extension",
    "read_end_mls",
    "read_extension_value",
    "replace_extension",
    "value_extension",
    "without_extensions",
]

METADATA_KEYS_REQUESTED = b"group_metadata_keys_requested"
END_MLS_LITERAL = b"end_mls"
_SPEC = "RCC.16 §7.11"
_DIGEST_OCTETS = frozenset({32, 48, 64})  # of the hashes of the cipher suites
_KEY_OCTETS = frozenset({32})


class RcsExtensionType:
    """Extension types of RCC.16, in the private range of RFC 9420 §17.3: members of that registry without a name."""

    TESTING_EXPIRY: Final = ExtensionType(0xE000)
    ERA: Final = ExtensionType(0xF001)
    END_MLS: Final = ExtensionType(0xF002)
    ICON_KEY: Final = ExtensionType(0xF003)
    ICON_COMMITMENT: Final = ExtensionType(0xF004)
    SUBJECT_KEY: Final = ExtensionType(0xF005)
    SUBJECT_COMMITMENT: Final = ExtensionType(0xF006)
    GROUP_METADATA_KEYS_REQUESTED: Final = ExtensionType(0xF007)
    CONTINUITY_TOKEN: Final = ExtensionType(0xF010)
    CONTINUITY_COMMITMENT: Final = ExtensionType(0xF011)


class Framing(Enum):
    """Whether a value stands in extension_data behind a length of its own."""

    FRAMED = "framed"
    BARE = "bare"


class EndMlsForm(Enum):
    """Form of 0xF002: the word of v3.0, or EndMlsMetadata of v4.0."""

    LITERAL = "literal"
    PROTOBUF = "protobuf"


class DowngradeReason(IntEnum):
    """EndMlsMetadata.downgrade_reason (v4.0)."""

    UNSET = 0
    SERVER_ENCRYPTION_NOT_AVAILABLE = 1
    CLIENT_ENCRYPTION_NOT_AVAILABLE = 2
    MEMBER_FAILS_CAPABILITY_CHECK = 3
    UNTRUSTED_ROOT = 4
    CONTINUITY_TOKEN_MISMATCH = 5
    CONTINUITY_TOKEN_NOT_RECEIVED = 6
    PERSISTENT_REFRESH_FAILURE = 7
    CANNOT_FETCH_KEY_PACKAGES = 8
    INTERNAL_CLIENT_ERROR = 9
    OUTGOING_COMMIT_FAILED = 10
    ERA_ADVANCEMENT_QUOTA_REACHED = 11


@dataclass(frozen=True, slots=True)
class EndMls:
    """What 0xF002 says. *form* is None for a payload that is not understood, which ends MLS all the same; *reason* is
    None if there is none, or one that is not known."""

    form: EndMlsForm | None
    reason: DowngradeReason | None


# Lengths that a value may have, and whether it may stand bare; other types hold any value, framed
_LENGTHS: dict[int, tuple[frozenset[int], bool]] = {
    RcsExtensionType.ICON_KEY: (_KEY_OCTETS, False),
    RcsExtensionType.ICON_COMMITMENT: (_DIGEST_OCTETS, True),
    RcsExtensionType.SUBJECT_KEY: (_KEY_OCTETS, False),
    RcsExtensionType.SUBJECT_COMMITMENT: (_DIGEST_OCTETS, True),
    RcsExtensionType.CONTINUITY_TOKEN: (frozenset({32}), True),
    RcsExtensionType.CONTINUITY_COMMITMENT: (frozenset({32}), False),
}


def read_extension_value(extension_type: int, body: bytes) -> bytes:
    """The value in extension_data, without a length header if it has one. A body with the length of a bare value is
    one, whatever its first octets would say as a header. Raises TlsDecodeError."""
    if extension_type == RcsExtensionType.ERA:
        return body if len(body) == 4 else _fail(extension_type, body)
    if extension_type == RcsExtensionType.END_MLS:
        return body
    if extension_type == RcsExtensionType.GROUP_METADATA_KEYS_REQUESTED and body in (b"", METADATA_KEYS_REQUESTED):
        return body
    lengths, may_be_bare = _LENGTHS.get(extension_type, (None, False))
    if lengths is not None and may_be_bare and len(body) in lengths:
        return body
    reader = Reader(body)
    value = reader.opaque()
    reader.finish()
    if lengths is not None and len(value) not in lengths:
        _fail(extension_type, body)
    return value


def _fail(extension_type: int, body: bytes) -> NoReturn:
    raise TlsDecodeError(f"extension 0x{extension_type:04X} has {len(body)} octets", spec=_SPEC, raw=body[:64])


def find_extension_value(extensions: Extensions, extension_type: int) -> bytes | None:
    """Value of the first extension of a type, None without one. Raises TlsDecodeError if its body is malformed."""
    body = find_extension(extensions, extension_type)
    return None if body is None else read_extension_value(extension_type, body)


def encode_extension_value(value: bytes, framing: Framing = Framing.FRAMED) -> bytes:
    """extension_data of *value*."""
    return encode_opaque(value) if framing is Framing.FRAMED else value


def value_extension(extension_type: int, value: bytes, framing: Framing = Framing.FRAMED) -> Extension:
    """The extension that this device originates."""
    return Extension(ExtensionType(extension_type), encode_extension_value(value, framing))


def era_extension(era: int) -> Extension:
    """0xF001: the era, bare (RCC.16 §7.11.1.1)."""
    return Extension(RcsExtensionType.ERA, encode_u32(era))


def era_of(extensions: Extensions) -> int | None:
    """The era of a GroupContext; None without one, or with one that cannot be read, which no group may have."""
    body = find_extension(extensions, RcsExtensionType.ERA)
    return int.from_bytes(body, "big") if body is not None and len(body) == 4 else None


def has_end_mls(extensions: Extensions) -> bool:
    """Whether MLS is ended: 0xF002 is there, whatever it says (RCC.16 §7.11.2.2)."""
    return find_extension(extensions, RcsExtensionType.END_MLS) is not None


def end_mls_extension(form: EndMlsForm, reason: DowngradeReason = DowngradeReason.UNSET) -> Extension:
    """0xF002, bare. The literal form says no reason."""
    body = END_MLS_LITERAL if form is EndMlsForm.LITERAL else encode_uint_field(1, reason)
    return Extension(RcsExtensionType.END_MLS, body)


def read_end_mls(body: bytes) -> EndMls:
    """What the body of 0xF002 says; never refuses one."""
    if body.startswith(END_MLS_LITERAL):
        return EndMls(EndMlsForm.LITERAL, None)
    try:
        return EndMls(EndMlsForm.PROTOBUF, DowngradeReason(ProtobufReader(body).uint(1)))
    except (ProtobufError, ValueError):
        return EndMls(None, None)


def metadata_keys_requested_extension(framing: Framing) -> Extension:
    """0xF007: bare by clients of the era of v3.0, framed in v4.0 (RCC.16 §7.11.10.1)."""
    return value_extension(RcsExtensionType.GROUP_METADATA_KEYS_REQUESTED, METADATA_KEYS_REQUESTED, framing)


def has_metadata_keys_requested(extensions: Extensions) -> bool:
    """Whether a member asks for the keys of subject and icon: presence is the flag."""
    return find_extension(extensions, RcsExtensionType.GROUP_METADATA_KEYS_REQUESTED) is not None


def without_extensions(extensions: Extensions, types: Iterable[int]) -> Extensions:
    """The list without some types, the others untouched."""
    dropped = frozenset(types)
    return tuple(each for each in extensions if each.extension_type not in dropped)


def replace_extension(extensions: Extensions, extension: Extension) -> Extensions:
    """The list with *extension* in the place of the one of its type, or at the end; the others untouched."""
    if find_extension(extensions, extension.extension_type) is None:
        return (*extensions, extension)
    return tuple(extension if each.extension_type == extension.extension_type else each for each in extensions)
