"""Encryption of files, of a group's subject and of its icon (RCC.16 Annex C.2, C.3)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.e2ee.file_info import FileAlgorithm, FileEncryptionInfo, FileMetadata
from rcs_sim.e2ee.padding import padme_octets
from rcs_sim.mls.codec import encode_u32
from rcs_sim.mls.crypto import Random

__all__ = ["FileCryptoError", "FileKeys", "SealedFile", "derive_file_keys", "open_file", "seal_file"]

KEY_OCTETS = 32
IV_OCTETS = 12
MAX_FILE_OCTETS = 2**31 - 1
_LENGTHS_OCTETS = 8
# 256 bits of pi
_SALT = bytes.fromhex("3243f6a8885a308d313198a2e03707344a4093822299f31d0082efa98ec4e6c8")
_SPEC = "RCC.16 Annex C.3"


class FileCryptoError(RemoteProtocolError):
    """A ciphertext that does not open, or does not hold what its description says."""


@dataclass(frozen=True, slots=True)
class FileKeys:
    """Keys of the cipher and of its tag, 32 octets each."""

    encryption: Secret
    authentication: Secret


@dataclass(frozen=True, slots=True)
class SealedFile:
    """What is uploaded, and what the group is told."""

    ciphertext: bytes
    metadata: FileMetadata


def derive_file_keys(key_material: bytes, file_name: str) -> FileKeys:
    """HKDF-SHA256 of the key, with the plaintext's file name as info (Annex C.2)."""
    info = file_name.encode("utf-8", "surrogateescape")
    octets = HKDF(algorithm=SHA256(), length=2 * KEY_OCTETS, salt=_SALT, info=info).derive(key_material)
    return FileKeys(Secret(octets[:KEY_OCTETS]), Secret(octets[KEY_OCTETS:]))


def _padded(plaintext: bytes) -> bytes:
    padding = padme_octets(len(plaintext))
    return plaintext + bytes(padding) + encode_u32(len(plaintext)) + encode_u32(padding)


def _ctr(keys: FileKeys, iv: bytes, octets: bytes) -> bytes:
    return Cipher(AES(keys.encryption.octets), CTR(iv + bytes(4))).encryptor().update(octets)


def _tag(keys: FileKeys, iv: bytes, ciphertext: bytes) -> bytes:
    mac = hmac.new(keys.authentication.octets, iv, sha256)
    mac.update(ciphertext)
    return mac.digest()


def seal_file(plaintext: bytes, file_name: str, content_type: str, random: Random) -> SealedFile:
    """Encrypts under a fresh key. Takes 32 octets of *random* for it, then 12 for the initialization vector."""
    if len(plaintext) > MAX_FILE_OCTETS:
        raise LocalProtocolError(f"a file of {len(plaintext)} octets", spec=_SPEC)
    key, iv = random(KEY_OCTETS), random(IV_OCTETS)
    keys = derive_file_keys(key, file_name)
    ciphertext = _ctr(keys, iv, _padded(plaintext))
    encryption = FileEncryptionInfo(
        key, iv, _tag(keys, iv, ciphertext), FileAlgorithm.AES256_CTR_HMAC_SHA256, len(plaintext)
    )
    return SealedFile(ciphertext, FileMetadata(file_name, content_type, encryption))


def open_file(ciphertext: bytes, metadata: FileMetadata) -> bytes:
    """The plaintext. The tag is looked at first, then lengths and padding. Raises FileCryptoError, and nothing else."""
    encryption = _verify_description(metadata)
    keys = derive_file_keys(encryption.key_material, metadata.file_name)
    if not hmac.compare_digest(_tag(keys, encryption.initialization_vector, ciphertext), encryption.hmac_tag):
        raise FileCryptoError("the tag of a file is wrong", spec=_SPEC)
    return _verify_padded(_ctr(keys, encryption.initialization_vector, ciphertext), encryption.file_length_hint)


def _verify_description(metadata: FileMetadata) -> FileEncryptionInfo:
    encryption = metadata.encryption_info
    if encryption is None or encryption.algorithm != FileAlgorithm.AES256_CTR_HMAC_SHA256:
        raise FileCryptoError("a file with an algorithm that is not known", spec="RCC.16 §7.8.1")
    lengths = len(encryption.key_material), len(encryption.initialization_vector)
    if lengths != (KEY_OCTETS, IV_OCTETS):
        raise FileCryptoError(f"key and initialization vector of {lengths} octets", spec="RCC.16 §7.8.1")
    return encryption


def _verify_padded(padded: bytes, hint: int) -> bytes:
    if len(padded) < _LENGTHS_OCTETS:
        raise FileCryptoError(f"a file of {len(padded)} padded octets", spec=_SPEC)
    length, padding = int.from_bytes(padded[-8:-4], "big"), int.from_bytes(padded[-4:], "big")
    if length > MAX_FILE_OCTETS or length != hint or len(padded) != _LENGTHS_OCTETS + length + padding:
        raise FileCryptoError(f"{length} octets, {hint} expected, {padding} of padding", spec=_SPEC)
    if padding != padme_octets(length) or any(padded[length:-8]):
        raise FileCryptoError("padding that is not Padmé, or not zero", spec=_SPEC)
    return padded[:length]
