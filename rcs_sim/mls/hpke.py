"""Hybrid public key encryption (RFC 9180), modes base and psk: its framing, over the primitives of the library.

The library's own HPKE neither exports secrets nor derives key pairs, and draws its randomness itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.kdf import HkdfKey, hkdf_extract
from rcs_sim.mls.nist_curve import P256, P384, P521, NistCurve

__all__ = ["Aead", "AeadCipher", "CryptoError", "Hpke", "HpkeContext", "HpkeKeyPair", "HpkeMode", "Kem", "kdf_hash"]

_KEPT_KEYS = 4096  # loaded public keys: those of a few groups of 1000
_SPEC = "RFC 9180"


class CryptoError(RemoteProtocolError):
    """A peer's key, ciphertext or shared secret is not what it should be."""

    def __init__(self, message: str, *, spec: str = _SPEC, raw: bytes = b"") -> None:
        super().__init__(message, spec=spec, raw=raw)


class HpkeMode(IntEnum):
    """RFC 9180 §5."""

    BASE = 0
    PSK = 1


@dataclass(frozen=True, slots=True)
class HpkeKeyPair:
    """A KEM key pair, both halves serialised (RFC 9180 §7.1)."""

    private: Secret
    public: bytes


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


def kdf_hash(kdf_id: int) -> HashAlgorithm:
    """Hash of an HKDF of the HPKE registry (RFC 9180 §7.2)."""
    return _HASHES[kdf_id]


class _LabeledKdf:
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


class _Group(Protocol):
    """A Diffie-Hellman group with its serialisations."""

    def derive(self, kdf: _LabeledKdf, ikm: bytes) -> bytes: ...

    def public_of(self, private: bytes) -> bytes: ...

    def exchange(self, private: bytes, public: bytes) -> bytes: ...

    def load(self, public: bytes) -> object: ...


class _NistGroup:
    """A NIST curve: points uncompressed, scalars of fixed length (RFC 9180 §7.1.1)."""

    __slots__ = ("_bitmask", "_curve", "_load_point")

    def __init__(self, curve: NistCurve, bitmask: int) -> None:
        self._curve, self._bitmask = curve, bitmask
        self._load_point = lru_cache(maxsize=_KEPT_KEYS)(curve.load_point)

    def derive(self, kdf: _LabeledKdf, ikm: bytes) -> bytes:
        """A scalar in the group's range, found by trying (RFC 9180 §7.1.3)."""
        key = kdf.key(kdf.extract(b"", b"dkp_prk", ikm))
        for counter in range(256):
            candidate = bytearray(kdf.expand(key, b"candidate", bytes((counter,)), self._curve.octets))
            candidate[0] &= self._bitmask
            if 0 < int.from_bytes(candidate, "big") < self._curve.order:
                return bytes(candidate)
        raise LocalProtocolError("no key pair can be derived", spec="RFC 9180 §7.1.3")

    def public_of(self, private: bytes) -> bytes:
        public = self._curve.load_scalar(private).public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return self._curve.load_scalar(private).exchange(ec.ECDH(), self._load_point(public))

    def load(self, public: bytes) -> ec.EllipticCurvePublicKey:
        return self._load_point(public)


class _X25519:
    """RFC 7748 §5; every string of 32 octets is a key."""

    __slots__ = ()

    def derive(self, kdf: _LabeledKdf, ikm: bytes) -> bytes:
        return kdf.expand(kdf.key(kdf.extract(b"", b"dkp_prk", ikm)), b"sk", b"", 32)

    def public_of(self, private: bytes) -> bytes:
        return x25519.X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return x25519.X25519PrivateKey.from_private_bytes(private).exchange(self.load(public))

    def load(self, public: bytes) -> x25519.X25519PublicKey:
        return x25519.X25519PublicKey.from_public_bytes(public)


class _X448:
    """RFC 7748 §5; every string of 56 octets is a key."""

    __slots__ = ()

    def derive(self, kdf: _LabeledKdf, ikm: bytes) -> bytes:
        return kdf.expand(kdf.key(kdf.extract(b"", b"dkp_prk", ikm)), b"sk", b"", 56)

    def public_of(self, private: bytes) -> bytes:
        return x448.X448PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return x448.X448PrivateKey.from_private_bytes(private).exchange(self.load(public))

    def load(self, public: bytes) -> x448.X448PublicKey:
        return x448.X448PublicKey.from_public_bytes(public)


class Kem:
    """DHKEM (RFC 9180 §4.1). What comes from a peer and cannot be used raises CryptoError."""

    __slots__ = ("_group", "_kdf", "_probe", "kem_id", "secret_octets")

    def __init__(self, kem_id: int, group: _Group, algorithm: HashAlgorithm) -> None:
        self.kem_id = kem_id
        self._group = group
        self._kdf = _LabeledKdf(algorithm, b"KEM" + kem_id.to_bytes(2, "big"))
        self.secret_octets = algorithm.digest_size
        self._probe = group.derive(self._kdf, b"")  # nobody's key, to try public keys with

    @classmethod
    def of(cls, kem_id: int) -> Kem:
        """By its number in the HPKE registry."""
        return _KEMS[kem_id]

    def derive_key_pair(self, ikm: Secret) -> HpkeKeyPair:
        """DeriveKeyPair (RFC 9180 §7.1.3)."""
        private = self._group.derive(self._kdf, ikm.octets)
        return HpkeKeyPair(Secret(private), self._group.public_of(private))

    def key_pair_of(self, private: Secret) -> HpkeKeyPair:
        """The pair with this private half. Raises CryptoError if it is none."""
        try:
            return HpkeKeyPair(private, self._group.public_of(private.octets))
        except ValueError:
            raise CryptoError("a private key is none of this KEM") from None

    def verify_public_key(self, public: bytes) -> None:
        """Raises CryptoError unless *public* is a key that can be encrypted to."""
        self._exchange(self._probe, public)

    def verify_public_key_form(self, public: bytes) -> None:
        """Raises CryptoError unless *public* has the form of a key: cheaper than `verify_public_key`, which finds the
        few strings of X25519 and X448 too that nothing can be encrypted to."""
        try:
            self._group.load(public)
        except ValueError:
            raise CryptoError("a public key is none of this KEM", raw=public) from None

    def encapsulate(self, public: bytes, ephemeral_ikm: Secret) -> tuple[bytes, bytes]:
        """Encap with the ephemeral key pair of *ephemeral_ikm*: shared secret, and what carries it to the owner of
        *public*."""
        ephemeral = self.derive_key_pair(ephemeral_ikm)
        shared = self._exchange(ephemeral.private.octets, public)
        return self._extract_and_expand(shared, ephemeral.public + public), ephemeral.public

    def decapsulate(self, key_pair: HpkeKeyPair, kem_output: bytes) -> bytes:
        """Decap: the shared secret."""
        shared = self._exchange(key_pair.private.octets, kem_output)
        return self._extract_and_expand(shared, kem_output + key_pair.public)

    def _exchange(self, private: bytes, public: bytes) -> bytes:
        try:
            return self._group.exchange(private, public)
        except ValueError:  # of a wrong length, not on the curve, or of a small order (RFC 9180 §7.1.4)
            raise CryptoError("a public key is none of this KEM", raw=public) from None

    def _extract_and_expand(self, shared: bytes, kem_context: bytes) -> bytes:
        key = self._kdf.key(self._kdf.extract(b"", b"eae_prk", shared))
        return self._kdf.expand(key, b"shared_secret", kem_context, self.secret_octets)


_KEMS = {
    0x0010: Kem(0x0010, _NistGroup(P256, 0xFF), SHA256()),
    0x0011: Kem(0x0011, _NistGroup(P384, 0xFF), SHA384()),
    0x0012: Kem(0x0012, _NistGroup(P521, 0x01), SHA512()),
    0x0020: Kem(0x0020, _X25519(), SHA256()),
    0x0021: Kem(0x0021, _X448(), SHA512()),
}


class HpkeContext:
    """An encryption context (RFC 9180 §5.2): each message has the next sequence number."""

    __slots__ = ("_base_nonce", "_cipher", "_exporter", "_kdf", "_limit", "_sequence")

    def __init__(self, kdf: _LabeledKdf, exporter_secret: bytes, cipher: AeadCipher | None, base_nonce: bytes) -> None:
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
        self._kdf = _LabeledKdf(kdf_hash(kdf_id), b"HPKE" + b"".join(each.to_bytes(2, "big") for each in numbers))
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
