"""HKDF (RFC 5869) over a keyed HMAC that is made once per secret and copied for each use, and as HPKE labels it."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import HashAlgorithm
from cryptography.hazmat.primitives.hmac import HMAC

from ims_core.errors import LocalProtocolError

try:
    from _hashlib import hmac_new  # what `hmac.new` calls; `hmac.digest` takes OpenSSL twice as long
except ImportError:  # another Python
    from hmac import new as hmac_new  # type: ignore[assignment]  # called in the same way

__all__ = ["HkdfKey", "LabeledKdf", "hkdf_expand", "hkdf_extract"]

_MAX_BLOCKS = 255  # RFC 5869 §2.3


def hkdf_extract(algorithm: HashAlgorithm, salt: bytes, ikm: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 §2.2), as long as the hash."""
    return hmac_new(salt, ikm, algorithm.name).digest()


def hkdf_expand(algorithm: HashAlgorithm, secret: bytes, label: bytes, length: int) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3) of a secret that is used once: cheaper than a `HkdfKey` then."""
    if length <= algorithm.digest_size:
        return hmac_new(secret, label + b"\x01", algorithm.name).digest()[:length]
    return HkdfKey(algorithm, secret).expand(label, length)


class HkdfKey:
    """A secret as the key of HKDF-Expand and of HMAC. It holds the state of the hash after the key, not the key, and
    shows neither."""

    __slots__ = ("_mac", "_octets")

    def __init__(self, algorithm: HashAlgorithm, secret: bytes) -> None:
        self._mac = HMAC(secret, algorithm)
        self._octets = algorithm.digest_size

    def mac(self, octets: bytes) -> bytes:
        """HMAC of *octets*."""
        mac = self._mac.copy()
        mac.update(octets)
        return mac.finalize()

    def expand(self, label: bytes, length: int) -> bytes:
        """HKDF-Expand (RFC 5869 §2.3). *label* is the info, *length* the octets wanted."""
        if length <= self._octets:  # one block, as in all but a few uses
            mac = self._mac.copy()
            mac.update(label + b"\x01")
            return mac.finalize()[:length]
        blocks = -(-length // self._octets)
        if blocks > _MAX_BLOCKS:
            raise LocalProtocolError(f"{length} octets are more than HKDF gives", spec="RFC 5869 §2.3")
        made, block = b"", b""
        for number in range(1, blocks + 1):
            block = self.mac(block + label + number.to_bytes(1, "big"))
            made += block
        return made[:length]


class LabeledKdf:
    """LabeledExtract and LabeledExpand (RFC 9180 §4)."""

    __slots__ = ("_prefix", "algorithm")

    def __init__(self, algorithm: HashAlgorithm, suite_id: bytes) -> None:
        self.algorithm = algorithm
        self._prefix = b"HPKE-v1" + suite_id

    def extract(self, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hkdf_extract(self.algorithm, salt, self._prefix + label + ikm)

    def key(self, prk: bytes) -> HkdfKey:
        return HkdfKey(self.algorithm, prk)

    def expand(self, key: HkdfKey, label: bytes, context: bytes, length: int) -> bytes:
        return key.expand(length.to_bytes(2, "big") + self._prefix + label + context, length)
