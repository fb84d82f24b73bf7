"""Welcome: what a new member needs to join (RFC 9420 §12.4.3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, Self

from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import Reader, TlsStruct, encode_opaque, encode_optional, encode_u16, encode_vector
from rcs_sim.mls.commit import HPKECiphertext
from rcs_sim.mls.identifiers import CipherSuiteId
from rcs_sim.mls.psk_id import PreSharedKeyID, read_psk_id

__all__ = ["EncryptedGroupSecrets", "GroupSecrets", "KeyPackageRef", "Welcome"]

KeyPackageRef = NewType("KeyPackageRef", bytes)
"""Hash of a KeyPackage (RFC 9420 §5.2)."""


def _read_secret(reader: Reader) -> Secret:
    return Secret(reader.opaque())


@dataclass(frozen=True, slots=True)
class GroupSecrets(TlsStruct):
    """``GroupSecrets`` (RFC 9420 §12.4.3.1). *path_secret* is that of the lowest node above both the new member and
    the committer."""

    joiner_secret: Secret
    path_secret: Secret | None
    psks: tuple[PreSharedKeyID, ...]

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(_read_secret(reader), reader.optional(_read_secret), reader.vector(read_psk_id))

    def encode(self) -> bytes:
        path_secret = None if self.path_secret is None else encode_opaque(self.path_secret.octets)
        psks = encode_vector([psk.encode() for psk in self.psks])
        return encode_opaque(self.joiner_secret.octets) + encode_optional(path_secret) + psks


@dataclass(frozen=True, slots=True)
class EncryptedGroupSecrets(TlsStruct):
    """``EncryptedGroupSecrets`` (RFC 9420 §12.4.3.1)."""

    new_member: KeyPackageRef
    encrypted_group_secrets: HPKECiphertext

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(KeyPackageRef(reader.opaque()), HPKECiphertext.read(reader))

    def encode(self) -> bytes:
        return encode_opaque(self.new_member) + self.encrypted_group_secrets.encode()


@dataclass(frozen=True, slots=True)
class Welcome(TlsStruct):
    """``Welcome`` (RFC 9420 §12.4.3.1)."""

    cipher_suite: CipherSuiteId
    secrets: tuple[EncryptedGroupSecrets, ...]
    encrypted_group_info: bytes

    @classmethod
    def read(cls, reader: Reader) -> Self:
        return cls(CipherSuiteId(reader.u16()), reader.vector(EncryptedGroupSecrets.read), reader.opaque())

    def encode(self) -> bytes:
        secrets = encode_vector([each.encode() for each in self.secrets])
        return encode_u16(self.cipher_suite) + secrets + encode_opaque(self.encrypted_group_info)
