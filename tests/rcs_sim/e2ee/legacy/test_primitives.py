"""The parameters of the libraries are those of the definition, by independent code."""

from __future__ import annotations

import asyncio
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ims_core.errors import LocalProtocolError

pytest.importorskip("x3dh")
pytest.importorskip("doubleratchet")

from doubleratchet import Header

from rcs_sim.e2ee.legacy.body import RatchetHeader
from rcs_sim.e2ee.legacy.primitives import (
    RATCHET,
    MessageAead,
    MessageChain,
    Ratchet,
    RootChain,
    completed,
)

_KEY, _DATA = bytes(range(32)), bytes(range(32, 64))


def hkdf(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 with SHA-256."""
    key, octets, block = hmac.digest(salt, secret, "sha256"), b"", b""
    for number in range(1, -(-length // 32) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        octets += block
    return octets[:length]


def test_the_root_chain_is_hkdf_with_the_root_key_as_salt() -> None:
    assert completed(RootChain.derive(_KEY, _DATA, 64)) == hkdf(_KEY, _DATA, b"rcs-sim legacy root", 64)


def test_the_message_chain_gives_the_chain_key_of_02_and_the_message_key_of_01() -> None:
    derived = completed(MessageChain.derive(_KEY, RATCHET["message_chain_constant"], 64))
    assert derived == hmac.digest(_KEY, b"\x02", "sha256") + hmac.digest(_KEY, b"\x01", "sha256")


def test_a_message_is_cbc_and_a_tag_over_associated_data_and_ciphertext() -> None:
    sealed = completed(MessageAead.encrypt(b"hello", _KEY, b"bound"))
    keys = hkdf(bytes(32), _KEY, b"rcs-sim legacy message", 80)
    encryptor = Cipher(algorithms.AES(keys[:32]), modes.CBC(keys[64:])).encryptor()
    ciphertext = encryptor.update(b"hello" + b"\x0b" * 11) + encryptor.finalize()
    assert sealed == ciphertext + hmac.new(keys[32:64], b"bound" + ciphertext, hashlib.sha256).digest()


def test_the_header_follows_the_associated_data_as_it_is_encoded() -> None:
    bound = Ratchet._build_associated_data(b"bound", Header(_KEY, 0, 7))
    assert bound == b"bound" + RatchetHeader(_KEY, 0, 7).encode()


def test_a_library_that_would_wait_is_found_out() -> None:
    with pytest.raises(LocalProtocolError, match="waits"):
        completed(asyncio.sleep(0))
