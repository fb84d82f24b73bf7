"""Hybrid public key encryption (RFC 9180), modes base and psk: its framing, over the primitives of the library.

The library's own HPKE neither exports secrets nor derives key pairs, and draws its randomness itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.kdf import LabeledKdf
from rcs_sim.mls.kem import DHKEMS, CryptoError, HpkeKeyPair, Kem
from rcs_sim.mls.xwing import XWING_KEM_ID, XWing, is_available

__all__ = ["Aead", "AeadCipher", "Hpke", "HpkeContext", "HpkeMode", "kdf_hash", "kem_of"]


class HpkeMode(IntEnum):
    """RFC 9180 §5."""

    BASE = 0
    PSK = 1


class AeadCipher(Protocol):
    """A loaded key of the library."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Aead:
    """An AEAD algorithm (RFC 9180 §7.3). *load* makes a key usable."""

    aead_id: int
    key_octets: int
    nonce_octets: int
    load: Callable[[bytes], AeadCipher]

    @classmethod
    def of(cls, aead_id: int) -> Aead:
        """By its number in the HPKE registry."""
        return _AEADS[aead_id]


def _export_only(_: bytes) -> AeadCipher:
    raise LocalProtocolError("an export-only context encrypts nothing", spec="RFC 9180 §5.2")


_AEADS = {
    1: Aead(1, 16, 12, AESGCM),
    2: Aead(2, 32, 12, AESGCM),
    3: Aead(3, 32, 12, ChaCha20Poly1305),
    0xFFFF: Aead(0xFFFF, 0, 0, _export_only),
}
_HASHES: dict[int, HashAlgorithm] = {1: SHA256(), 2: SHA384(), 3: SHA512()}


_KEMS: dict[int, Kem] = {**DHKEMS, **({XWING_KEM_ID: XWing()} if is_available() else {})}


def kem_of(kem_id: int) -> Kem:
    """A KEM by its number in the HPKE registry, or ours for X-Wing. Raises CryptoError if it is not built."""
    found = _KEMS.get(kem_id)
    if found is None:
        raise CryptoError(f"the KEM 0x{kem_id:04X} is not supported", spec="RFC 9180 §7.1")
    return found


def kdf_hash(kdf_id: int) -> HashAlgorithm:
    """Hash of an HKDF of the HPKE registry (RFC 9180 §7.2)."""
    return _HASHES[kdf_id]


class HpkeContext:
    """An encryption context (RFC 9180 §5.2): each message has the next sequence number."""

    __slots__ = ("_base_nonce", "_cipher", "_exporter", "_kdf", "_limit", "_sequence")

    def __init__(self, kdf: LabeledKdf, exporter_secret: bytes, cipher: AeadCipher | None, base_nonce: bytes) -> None:
        self._kdf = kdf
        self._exporter = kdf.key(exporter_secret)
        self._cipher = cipher
        self._base_nonce = base_nonce
        self._sequence = 0
        self._limit = (1 << 8 * len(base_nonce)) - 1

    def _next(self) -> tuple[AeadCipher, bytes]:
        """Key and nonce of this message. The number is used up by the caller's success."""
        if self._cipher is None or self._sequence >= self._limit:
            raise LocalProtocolError("this context encrypts no message, or no more", spec="RFC 9180 §5.2")
        number = int.from_bytes(self._base_nonce, "big") ^ self._sequence
        return self._cipher, number.to_bytes(len(self._base_nonce), "big")

    def seal(self, aad: bytes, plaintext: bytes) -> bytes:
        """ContextS.Seal."""
        cipher, nonce = self._next()
        self._sequence += 1
        return cipher.encrypt(nonce, plaintext, aad)

    def open(self, aad: bytes, ciphertext: bytes) -> bytes:
        """ContextR.Open. Raises CryptoError, and then has not moved on."""
        cipher, nonce = self._next()
        try:
            plaintext = cipher.decrypt(nonce, ciphertext, aad)
        except InvalidTag:
            raise CryptoError("an HPKE ciphertext does not open", spec="RFC 9180 §5.2") from None
        self._sequence += 1
        return plaintext

    def export(self, exporter_context: bytes, length: int) -> Secret:
        """Context.Export (RFC 9180 §5.3)."""
        return Secret(self._kdf.expand(self._exporter, b"sec", exporter_context, length))


class Hpke:
    """One combination of KEM, KDF and AEAD (RFC 9180 §5)."""

    __slots__ = ("_empty_id_hash", "_kdf", "aead", "kem")

    def __init__(self, kem: Kem, kdf_id: int, aead: Aead) -> None:
        self.kem = kem
        self.aead = aead
        numbers = (kem.kem_id, kdf_id, aead.aead_id)
        self._kdf = LabeledKdf(kdf_hash(kdf_id), b"HPKE" + b"".join(each.to_bytes(2, "big") for each in numbers))
        self._empty_id_hash = self._kdf.extract(b"", b"psk_id_hash", b"")

    def setup_base_s(self, public: bytes, info: bytes, ephemeral_ikm: Secret) -> tuple[bytes, HpkeContext]:
        """SetupBaseS: what goes to the receiver, and the context. Raises CryptoError on a key that is none."""
        shared, kem_output = self.kem.encapsulate(public, ephemeral_ikm)
        return kem_output, self._key_schedule(HpkeMode.BASE, shared, info)

    def setup_base_r(self, kem_output: bytes, key_pair: HpkeKeyPair, info: bytes) -> HpkeContext:
        """SetupBaseR. Raises CryptoError."""
        return self._key_schedule(HpkeMode.BASE, self.kem.decapsulate(key_pair, kem_output), info)

    def setup_psk_s(
        self, public: bytes, info: bytes, psk: Secret, psk_id: bytes, ephemeral_ikm: Secret
    ) -> tuple[bytes, HpkeContext]:
        """SetupPSKS. Raises CryptoError on a key that is none."""
        shared, kem_output = self.kem.encapsulate(public, ephemeral_ikm)
        return kem_output, self._key_schedule(HpkeMode.PSK, shared, info, psk.octets, psk_id)

    def setup_psk_r(
        self, kem_output: bytes, key_pair: HpkeKeyPair, info: bytes, psk: Secret, psk_id: bytes
    ) -> HpkeContext:
        """SetupPSKR. Raises CryptoError."""
        shared = self.kem.decapsulate(key_pair, kem_output)
        return self._key_schedule(HpkeMode.PSK, shared, info, psk.octets, psk_id)

    def _key_schedule(
        self, mode: HpkeMode, shared: bytes, info: bytes, psk: bytes = b"", psk_id: bytes = b""
    ) -> HpkeContext:
        if (mode is HpkeMode.PSK) != bool(psk) or bool(psk) != bool(psk_id):
            raise LocalProtocolError("a PSK and its id go with the mode that takes them", spec="RFC 9180 §5.1")
        kdf, aead = self._kdf, self.aead
        id_hash = kdf.extract(b"", b"psk_id_hash", psk_id) if psk_id else self._empty_id_hash
        context = bytes((mode,)) + id_hash + kdf.extract(b"", b"info_hash", info)
        key = kdf.key(kdf.extract(shared, b"secret", psk))
        exporter = kdf.expand(key, b"exp", context, kdf.algorithm.digest_size)
        if not aead.key_octets:
            return HpkeContext(kdf, exporter, None, b"")
        cipher = aead.load(kdf.expand(key, b"key", context, aead.key_octets))
        return HpkeContext(kdf, exporter, cipher, kdf.expand(key, b"base_nonce", context, aead.nonce_octets))
