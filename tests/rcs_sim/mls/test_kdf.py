"""HKDF against the cases of RFC 5869 appendix A."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from hypothesis import given
from hypothesis import strategies as st

from ims_core.errors import LocalProtocolError
from rcs_sim.mls.kdf import HkdfKey, hkdf_expand, hkdf_extract


def test_case_1_of_the_rfc() -> None:
    prk = hkdf_extract(SHA256(), bytes(range(13)), b"\x0b" * 22)
    assert prk.hex() == "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"
    assert hkdf_expand(SHA256(), prk, b"one", 20) == HkdfKey(SHA256(), prk).expand(b"one", 20)
    assert hkdf_expand(SHA256(), prk, b"more", 70) == HkdfKey(SHA256(), prk).expand(b"more", 70)
    okm = HkdfKey(SHA256(), prk).expand(bytes.fromhex("f0f1f2f3f4f5f6f7f8f9"), 42)
    assert okm.hex() == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"


def test_case_3_of_the_rfc_has_neither_salt_nor_info() -> None:
    prk = hkdf_extract(SHA256(), b"", b"\x0b" * 22)
    assert HkdfKey(SHA256(), prk).expand(b"", 42)[:8].hex() == "8da4e775a563c18f"


@given(secret=st.binary(max_size=200), label=st.binary(max_size=80), length=st.integers(0, 300))
def test_one_key_serves_many_uses(secret: bytes, label: bytes, length: int) -> None:
    key = HkdfKey(SHA384(), secret)
    assert key.expand(label, length) == key.expand(label, 300)[:length]
    assert key.mac(label) == hmac.digest(secret, label, hashlib.sha384)
    assert key.mac(label) == hkdf_extract(SHA384(), secret, label)


@pytest.mark.parametrize("algorithm", [SHA256(), SHA512()])
def test_more_than_255_blocks_are_refused(algorithm: HashAlgorithm) -> None:
    key = HkdfKey(algorithm, b"key")
    assert len(key.expand(b"", 255 * algorithm.digest_size)) == 255 * algorithm.digest_size
    with pytest.raises(LocalProtocolError):
        key.expand(b"", 255 * algorithm.digest_size + 1)


def test_a_key_shows_nothing() -> None:
    assert "736563726574" not in repr(HkdfKey(SHA256(), b"secret"))
    assert "secret" not in repr(HkdfKey(SHA256(), b"secret"))
