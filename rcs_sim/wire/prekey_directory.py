"""JSON of the legacy scheme's prekeys at the key distribution server (RCC.16 digest §14.12): all of it ours (choice).

Claims and federation have the requests of `rcs_sim.wire.key_directory`, refusals its errors. Keys are Curve25519 in 32
octets, base64 like everything else there. A directory compares sizes and verifies no signature: whoever claims does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from rcs_sim.wire.directory_json import (
    KeyDirectoryParseError,
    base64_text,
    json_octets,
    msisdn_of,
    octet_list_of,
    octets_of,
    read_members,
    tel_uri,
    text_of,
)
from rcs_sim.wire.key_directory import ClaimOutcome

__all__ = [
    "KEY_OCTETS",
    "MAX_PREKEYS",
    "SIGNATURE_OCTETS",
    "FederationPrekeyResponse",
    "PrekeyBundle",
    "PrekeyPath",
    "PrekeyUpload",
    "SignedPrekey",
]

KEY_OCTETS = 32
SIGNATURE_OCTETS = 64
MAX_PREKEYS = 256  # one-time keys of one upload


class PrekeyPath(StrEnum):
    """Paths of the calls below the base URL."""

    PREKEYS = "/legacy/v1/prekeys"
    CLAIM = "/legacy/v1/prekeys/claim"
    FEDERATION_CLAIM = "/legacy/v1/federation/claim"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedPrekey:
    """What a claim serves of a participant again and again: the identity key, the signed prekey, and its XEdDSA
    signature by the identity key."""

    identity_key: bytes
    signed_prekey: bytes
    signature: bytes

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """Raises KeyDirectoryParseError."""
        return cls(
            identity_key=_sized(members, "identity_key", KEY_OCTETS),
            signed_prekey=_sized(members, "signed_prekey", KEY_OCTETS),
            signature=_sized(members, "signed_prekey_sig", SIGNATURE_OCTETS),
        )

    def members(self) -> dict[str, Any]:
        return {
            "identity_key": base64_text(self.identity_key),
            "signed_prekey": base64_text(self.signed_prekey),
            "signed_prekey_sig": base64_text(self.signature),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PrekeyUpload:
    """``POST prekeys``: replaces what the number had. *msisdn* is bare digits; no key stands twice in *one_time*."""

    msisdn: str
    signed: SignedPrekey
    one_time: tuple[bytes, ...]

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        one_time = _keys(members, MAX_PREKEYS)
        if len(set(one_time)) < len(one_time):
            raise KeyDirectoryParseError("a key is there twice", member="prekeys")
        return cls(msisdn=msisdn_of(members, "msisdn"), signed=SignedPrekey.of(members), one_time=one_time)

    def encode(self) -> bytes:
        return json_octets(
            {
                "msisdn": tel_uri(self.msisdn),
                **self.signed.members(),
                "prekeys": [base64_text(key) for key in self.one_time],
            }
        )


@dataclass(frozen=True, slots=True)
class PrekeyBundle:
    """Answer to ``POST prekeys/claim``: *one_time* is None where the directory has none left."""

    signed: SignedPrekey
    one_time: bytes | None = None

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        return cls.of(read_members(octets))

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Self:
        """Raises KeyDirectoryParseError."""
        one_time = _keys(members, 1)
        return cls(SignedPrekey.of(members), one_time[0] if one_time else None)

    def encode(self) -> bytes:
        return json_octets({"outcome": int(ClaimOutcome.SERVED), **self.members()})

    def members(self) -> dict[str, Any]:
        one_time = () if self.one_time is None else (self.one_time,)
        return {**self.signed.members(), "prekeys": [base64_text(key) for key in one_time]}


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationPrekeyResponse:
    """Answer to ``POST federation/claim`` of the legacy scheme."""

    request_id: str
    target_msisdn: str
    bundle: PrekeyBundle

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises KeyDirectoryParseError."""
        members = read_members(octets)
        return cls(
            request_id=text_of(members, "request_id").lower(),
            target_msisdn=msisdn_of(members, "target_msisdn"),
            bundle=PrekeyBundle.of(members),
        )

    def encode(self) -> bytes:
        return json_octets(
            {
                "request_id": self.request_id,
                "target_msisdn": tel_uri(self.target_msisdn),
                **self.bundle.members(),
            }
        )


def _sized(members: Mapping[str, Any], name: str, size: int) -> bytes:
    octets = octets_of(members, name)
    if len(octets) != size:
        raise KeyDirectoryParseError(f"{name} has {len(octets)} octets, not {size}", member=name)
    return octets


def _keys(members: Mapping[str, Any], longest: int) -> tuple[bytes, ...]:
    keys = octet_list_of(members, "prekeys", longest)
    if any(len(key) != KEY_OCTETS for key in keys):
        raise KeyDirectoryParseError(f"a key has not {KEY_OCTETS} octets", member="prekeys")
    return keys
