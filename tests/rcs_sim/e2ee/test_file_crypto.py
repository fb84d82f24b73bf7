"""File encryption: what is sealed opens, and nothing else does."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.e2ee import file_crypto
from rcs_sim.e2ee.file_crypto import FileCryptoError, derive_file_keys, open_file, seal_file
from rcs_sim.e2ee.file_info import FileEncryptionInfo, FileMetadata
from tests.support.mls_tree_views import seeded

KEY, IV = bytes(range(1, 33)), bytes(12)


def forged(padded: bytes, hint: int) -> tuple[bytes, FileMetadata]:
    """A ciphertext of our own padding, with a tag that is right."""
    keys = derive_file_keys(KEY, "name")
    ciphertext = Cipher(AES(keys.encryption.octets), CTR(IV + bytes(4))).encryptor().update(padded)
    tag = hmac.new(keys.authentication.octets, IV + ciphertext, sha256).digest()
    return ciphertext, FileMetadata("name", "text/plain", FileEncryptionInfo(KEY, IV, tag, 1, hint))


def lengths(message: int, padding: int) -> bytes:
    return message.to_bytes(4, "big") + padding.to_bytes(4, "big")


@given(st.binary(max_size=300), st.text(max_size=20))
def test_what_is_sealed_opens(plaintext: bytes, name: str) -> None:
    sealed = seal_file(plaintext, name, "image/png", seeded("file"))
    assert open_file(sealed.ciphertext, sealed.metadata) == plaintext


@given(st.binary(max_size=100), st.binary(max_size=40), st.integers(0, 3), st.integers(0, 99))
def test_any_octets_are_refused(ciphertext: bytes, key: bytes, algorithm: int, hint: int) -> None:
    metadata = FileMetadata("n", "t", FileEncryptionInfo(key, IV, bytes(32), algorithm, hint))
    with pytest.raises(FileCryptoError):
        open_file(ciphertext, metadata)


def test_each_part_of_the_description_counts() -> None:
    sealed = seal_file(b"a file", "name", "text/plain", seeded("file"))
    encryption = sealed.metadata.encryption_info
    assert encryption is not None
    changes: list[Callable[[], FileMetadata]] = [
        lambda: replace(sealed.metadata, file_name="another"),
        lambda: replace(sealed.metadata, encryption_info=None),
        lambda: replace(sealed.metadata, encryption_info=replace(encryption, hmac_tag=bytes(32))),
        lambda: replace(sealed.metadata, encryption_info=replace(encryption, initialization_vector=bytes(12))),
        lambda: replace(sealed.metadata, encryption_info=replace(encryption, initialization_vector=b"")),
        lambda: replace(sealed.metadata, encryption_info=replace(encryption, file_length_hint=7)),
        lambda: replace(sealed.metadata, encryption_info=replace(encryption, algorithm=2)),
    ]
    for change in changes:
        with pytest.raises(FileCryptoError):
            open_file(sealed.ciphertext, change())
    with pytest.raises(FileCryptoError):
        open_file(sealed.ciphertext + b"\0", sealed.metadata)


@pytest.mark.parametrize(
    ("padded", "hint"),
    [
        (b"", 0),
        (b"1234567", 0),
        (b"a" * 9 + bytes(2) + lengths(9, 2), 9),  # more than Padmé
        (b"a" * 9 + lengths(9, 0), 9),  # less
        (b"a" * 9 + b"\1" + lengths(9, 1), 9),  # padding that is not zero
        (b"a" * 9 + bytes(1) + lengths(8, 2), 8),
        (b"a" * 9 + bytes(1) + lengths(9, 1), 10),  # another length than announced
        (b"a" + lengths(2**31, 0), 2**31),
        (lengths(0xFFFFFFFF, 1), 0xFFFFFFFF),
    ],
)
def test_padding_is_exactly_padme_and_zero(padded: bytes, hint: int) -> None:
    with pytest.raises(FileCryptoError):
        open_file(*forged(padded, hint))


def test_a_forged_file_with_the_right_padding_opens() -> None:
    assert open_file(*forged(b"a" * 9 + bytes(1) + lengths(9, 1), 9)) == b"a" * 9


def test_two_files_of_one_source_of_randomness_have_two_keys() -> None:
    random = seeded("file")
    one, other = (seal_file(b"x", "n", "t", random).metadata.encryption_info for _ in range(2))
    assert one is not None
    assert other is not None
    assert one.key_material != other.key_material
    assert one.initialization_vector != other.initialization_vector


def test_a_file_without_measure_is_a_fault_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_crypto, "MAX_FILE_OCTETS", 3)
    with pytest.raises(LocalProtocolError):
        seal_file(b"four", "n", "t", seeded("file"))
