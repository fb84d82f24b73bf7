"""LegacyBody: the protobuf of a sealed message, inner type ``application/vnd.google.rcs.encrypted`` (digest RCC.16
§14.12, choice)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from rcs_sim.wire.prekey_directory import KEY_OCTETS
from rcs_sim.wire.protobuf import (
    ProtobufError,
    ProtobufReader,
    encode_message_field,
    encode_octets_field,
    encode_uint_field,
)

__all__ = ["LEGACY_CONTENT_TYPE", "AgreementHeader", "LegacyBody", "RatchetHeader"]

LEGACY_CONTENT_TYPE = "application/vnd.google.rcs.encrypted"
_VERSION = 1
_LEAST_CIPHERTEXT_OCTETS = 16 + 32  # one block, and the tag
_SPEC = "RCC.16 digest §14.12"


@dataclass(frozen=True, slots=True)
class AgreementHeader:
    """The X3DH header: which keys of both sides a session began with. *one_time_key* is b"" for none."""

    identity_key: bytes
    ephemeral_key: bytes
    signed_prekey: bytes
    one_time_key: bytes = b""

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Unknown fields are skipped. Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        header = cls(reader.octets(1), reader.octets(2), reader.octets(3), reader.octets(4))
        _check_keys(header.identity_key, header.ephemeral_key, header.signed_prekey)
        if header.one_time_key:
            _check_keys(header.one_time_key)
        return header

    def encode(self) -> bytes:
        identity, ephemeral = encode_octets_field(1, self.identity_key), encode_octets_field(2, self.ephemeral_key)
        return (
            identity
            + ephemeral
            + encode_octets_field(3, self.signed_prekey)
            + encode_octets_field(4, self.one_time_key)
        )


@dataclass(frozen=True, slots=True)
class RatchetHeader:
    """The header of the double ratchet: *previous_length* messages were in the sender's chain before this one, and
    *number* before this message in this one."""

    public_key: bytes
    previous_length: int
    number: int

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Only the octets that `encode` gives: they are authenticated as they stand. Raises ProtobufError, and nothing
        else, on any octets."""
        reader = ProtobufReader(octets)
        header = cls(reader.octets(1), reader.uint32(2), reader.uint32(3))
        _check_keys(header.public_key)
        if header.encode() != octets:
            raise ProtobufError("a ratchet header that is not in the one form", spec=_SPEC, raw=octets)
        return header

    def encode(self) -> bytes:
        numbers = encode_uint_field(2, self.previous_length) + encode_uint_field(3, self.number)
        return encode_octets_field(1, self.public_key) + numbers


@dataclass(frozen=True, slots=True)
class LegacyBody:
    """One sealed message; with *agreement* until its sender has got an answer."""

    ratchet: RatchetHeader
    ciphertext: bytes = field(repr=False)
    agreement: AgreementHeader | None = None

    @classmethod
    def decode(cls, octets: bytes) -> Self:
        """Unknown fields are skipped. Raises ProtobufError, and nothing else, on any octets."""
        reader = ProtobufReader(octets)
        version, agreement, ratchet = reader.uint(1), reader.message(2), reader.message(3)
        ciphertext = reader.octets(4)
        if version != _VERSION:
            raise ProtobufError(f"a body of version {version}", spec=_SPEC, raw=octets)
        if ratchet is None or len(ciphertext) < _LEAST_CIPHERTEXT_OCTETS:
            raise ProtobufError("a body without ratchet header or ciphertext", spec=_SPEC, raw=octets)
        begun_with = None if agreement is None else AgreementHeader.decode(agreement)
        return cls(RatchetHeader.decode(ratchet), ciphertext, begun_with)

    def encode(self) -> bytes:
        agreement = None if self.agreement is None else self.agreement.encode()
        headers = encode_message_field(2, agreement) + encode_message_field(3, self.ratchet.encode())
        return encode_uint_field(1, _VERSION) + headers + encode_octets_field(4, self.ciphertext)


def _check_keys(*keys: bytes) -> None:
    for key in keys:
        if len(key) != KEY_OCTETS:
            raise ProtobufError(f"a key has {len(key)} octets", spec=_SPEC, raw=key)
