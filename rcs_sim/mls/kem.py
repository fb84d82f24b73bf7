"""Key encapsulation for HPKE: what a KEM gives, and the Diffie-Hellman ones (RFC 9180 §4, §4.1, §7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.kdf import LabeledKdf
from rcs_sim.mls.nist_curve import P256, P384, P521, NistCurve

__all__ = ["DHKEMS", "CryptoError", "Dhkem", "HpkeKeyPair", "Kem", "verify_x25519"]

_KEPT_KEYS = 4096  # loaded public keys: those of a few groups of 1000
_SPEC = "RFC 9180"


class CryptoError(RemoteProtocolError):
    """A peer's key, ciphertext or shared secret is not what it should be."""

    def __init__(self, message: str, *, spec: str = _SPEC, raw: bytes = b"") -> None:
        super().__init__(message, spec=spec, raw=raw)


@dataclass(frozen=True, slots=True)
class HpkeKeyPair:
    """A KEM key pair, both halves serialised (RFC 9180 §7.1)."""

    private: Secret
    public: bytes


class Kem(Protocol):
    """A key encapsulation mechanism (RFC 9180 §4). *secret_octets* is the length of its shared secret, and of the
    randomness that makes a key pair. What comes from a peer and cannot be used raises CryptoError."""

    @property
    def kem_id(self) -> int: ...

    @property
    def secret_octets(self) -> int: ...

    def derive_key_pair(self, ikm: Secret) -> HpkeKeyPair:
        """DeriveKeyPair."""

    def key_pair_of(self, private: Secret) -> HpkeKeyPair:
        """The pair with this private half. Raises CryptoError if it is none."""

    def verify_public_key(self, public: bytes) -> None:
        """Raises CryptoError unless something can be encrypted to *public*."""

    def encapsulate(self, public: bytes, ephemeral_ikm: Secret) -> tuple[bytes, bytes]:
        """Encap: shared secret, and what carries it to the owner of *public*."""

    def decapsulate(self, key_pair: HpkeKeyPair, kem_output: bytes) -> bytes:
        """Decap: the shared secret."""


class _Group(Protocol):
    """A Diffie-Hellman group with its serialisations. ValueError is for what is no key."""

    def derive(self, kdf: LabeledKdf, ikm: bytes) -> bytes: ...

    def public_of(self, private: bytes) -> bytes: ...

    def exchange(self, private: bytes, public: bytes) -> bytes: ...

    def offer(self, private: bytes, public: bytes) -> tuple[bytes, bytes]:
        """The public half of *private*, and what it exchanges with *public*."""

    def verify(self, public: bytes) -> None: ...


class _NistGroup:
    """A NIST curve: points uncompressed, scalars of fixed length (RFC 9180 §7.1.1)."""

    __slots__ = ("_bitmask", "_curve", "_load_point")

    def __init__(self, curve: NistCurve, bitmask: int) -> None:
        self._curve, self._bitmask = curve, bitmask
        self._load_point = lru_cache(maxsize=_KEPT_KEYS)(curve.load_point)

    def derive(self, kdf: LabeledKdf, ikm: bytes) -> bytes:
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

    def offer(self, private: bytes, public: bytes) -> tuple[bytes, bytes]:
        key = self._curve.load_scalar(private)
        shared = key.exchange(ec.ECDH(), self._load_point(public))
        return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint), shared

    def verify(self, public: bytes) -> None:
        self._load_point(public)


# u of the points whose order divides the cofactor, on the curve and on its twist: every exchange with one of them gives
# zero, which RFC 7748 §6 and RFC 9180 §7.1.4 refuse. So the key can be refused when it comes, not when it is used.
_P25519 = 2**255 - 19
_SMALL_25519 = frozenset(
    {
        0,
        1,
        _P25519 - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
_P448 = 2**448 - 2**224 - 1
_SMALL_448 = frozenset({0, 1, _P448 - 1})


def verify_x25519(public: bytes) -> None:
    """Raises ValueError unless *public* has the 32 octets of a key of X25519 (RFC 7748 §5) and is of no small order."""
    if len(public) != 32 or (int.from_bytes(public, "little") & (1 << 255) - 1) % _P25519 in _SMALL_25519:
        raise ValueError("no key of X25519, or one of small order")


class _X25519:
    """RFC 7748 §5."""

    __slots__ = ()

    def derive(self, kdf: LabeledKdf, ikm: bytes) -> bytes:
        return kdf.expand(kdf.key(kdf.extract(b"", b"dkp_prk", ikm)), b"sk", b"", 32)

    def public_of(self, private: bytes) -> bytes:
        return x25519.X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return x25519.X25519PrivateKey.from_private_bytes(private).exchange(
            x25519.X25519PublicKey.from_public_bytes(public)
        )

    def offer(self, private: bytes, public: bytes) -> tuple[bytes, bytes]:
        key = x25519.X25519PrivateKey.from_private_bytes(private)
        return key.public_key().public_bytes_raw(), key.exchange(x25519.X25519PublicKey.from_public_bytes(public))

    def verify(self, public: bytes) -> None:
        verify_x25519(public)


class _X448:
    """RFC 7748 §5."""

    __slots__ = ()

    def derive(self, kdf: LabeledKdf, ikm: bytes) -> bytes:
        return kdf.expand(kdf.key(kdf.extract(b"", b"dkp_prk", ikm)), b"sk", b"", 56)

    def public_of(self, private: bytes) -> bytes:
        return x448.X448PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def exchange(self, private: bytes, public: bytes) -> bytes:
        other = x448.X448PublicKey.from_public_bytes(public)
        return x448.X448PrivateKey.from_private_bytes(private).exchange(other)

    def offer(self, private: bytes, public: bytes) -> tuple[bytes, bytes]:
        key = x448.X448PrivateKey.from_private_bytes(private)
        return key.public_key().public_bytes_raw(), key.exchange(x448.X448PublicKey.from_public_bytes(public))

    def verify(self, public: bytes) -> None:
        if len(public) != 56 or int.from_bytes(public, "little") % _P448 in _SMALL_448:
            raise ValueError("no key of X448, or one of small order")


class Dhkem:
    """DHKEM (RFC 9180 §4.1). It is a `Kem`."""

    __slots__ = ("_group", "_kdf", "kem_id", "secret_octets")

    def __init__(self, kem_id: int, group: _Group, algorithm: HashAlgorithm) -> None:
        self.kem_id = kem_id
        self._group = group
        self._kdf = LabeledKdf(algorithm, b"KEM" + kem_id.to_bytes(2, "big"))
        self.secret_octets = algorithm.digest_size

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
        """Raises CryptoError unless *public* is on the curve and of no small order."""
        try:
            self._group.verify(public)
        except ValueError:
            raise CryptoError("a public key is none of this KEM", raw=public) from None

    def encapsulate(self, public: bytes, ephemeral_ikm: Secret) -> tuple[bytes, bytes]:
        """Encap with the ephemeral key pair of *ephemeral_ikm*."""
        try:
            sent, shared = self._group.offer(self._group.derive(self._kdf, ephemeral_ikm.octets), public)
        except ValueError:
            raise CryptoError("a public key is none of this KEM", raw=public) from None
        return self._extract_and_expand(shared, sent + public), sent

    def decapsulate(self, key_pair: HpkeKeyPair, kem_output: bytes) -> bytes:
        """Decap."""
        try:
            shared = self._group.exchange(key_pair.private.octets, kem_output)
        except ValueError:  # of a wrong length, not on the curve, or of a small order (RFC 9180 §7.1.4)
            raise CryptoError("a public key is none of this KEM", raw=kem_output) from None
        return self._extract_and_expand(shared, kem_output + key_pair.public)

    def _extract_and_expand(self, shared: bytes, kem_context: bytes) -> bytes:
        key = self._kdf.key(self._kdf.extract(b"", b"eae_prk", shared))
        return self._kdf.expand(key, b"shared_secret", kem_context, self.secret_octets)


DHKEMS = {
    0x0010: Dhkem(0x0010, _NistGroup(P256, 0xFF), SHA256()),
    0x0011: Dhkem(0x0011, _NistGroup(P384, 0xFF), SHA384()),
    0x0012: Dhkem(0x0012, _NistGroup(P521, 0x01), SHA512()),
    0x0020: Dhkem(0x0020, _X25519(), SHA256()),
    0x0021: Dhkem(0x0021, _X448(), SHA512()),
}
"""By their numbers in the HPKE registry (RFC 9180 §7.1)."""
