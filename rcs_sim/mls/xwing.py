"""X-Wing: a KEM of ML-KEM-768 and X25519 together, safe while either is (draft-connolly-cfrg-xwing-kem-06).

Its combiner and key expansion, over the library's ML-KEM, X25519 and SHA-3. For HPKE under a private-use number as
mls-rs has it: neither the number 0x647A nor the DeriveKeyPair of draft-ietf-hpke-pq. (choice)
"""

from __future__ import annotations

import hashlib

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.hashes import SHA256

from ims_core.wire.secret import Secret
from rcs_sim.mls.kdf import LabeledKdf
from rcs_sim.mls.kem import CryptoError, HpkeKeyPair, verify_x25519

try:
    from cryptography.hazmat.primitives.asymmetric import mlkem
except ImportError:  # a release of the library without ML-KEM: `is_available` says so, and nothing else here is called
    _HAS_ML_KEM = False
else:
    _HAS_ML_KEM = True

__all__ = ["XWING_KEM_ID", "XWing", "is_available"]

XWING_KEM_ID = 0xF057
"""Private use: the number of the cipher suite, which mls-rs takes for the KEM too."""

_SPEC = "draft-connolly-cfrg-xwing-kem-06"
_LABEL = b"\\.//^\\"  # the last input of the combiner, §5.3
_SEED_OCTETS = 32
_ML_KEM_SEED_OCTETS = 64
_ML_KEM_KEY_OCTETS = 1184
_ML_KEM_CIPHERTEXT_OCTETS = 1088
_X25519_OCTETS = 32


def is_available() -> bool:
    """Whether the library and what is under it have ML-KEM-768."""
    if not _HAS_ML_KEM:
        return False
    try:
        mlkem.MLKEM768PrivateKey.from_seed_bytes(bytes(_ML_KEM_SEED_OCTETS))
    except UnsupportedAlgorithm:
        return False
    return True


class XWing:
    """The KEM (§5). A private key is its seed of 32 octets. It is a `Kem`."""

    __slots__ = ("_kdf", "kem_id", "secret_octets")

    def __init__(self, kem_id: int = XWING_KEM_ID) -> None:
        self.kem_id = kem_id
        self.secret_octets = 32
        self._kdf = LabeledKdf(SHA256(), b"KEM" + kem_id.to_bytes(2, "big"))

    def derive_key_pair(self, ikm: Secret) -> HpkeKeyPair:
        """DeriveKeyPair: the seed out of what RFC 9180 §7.1.3 extracts, as mls-rs does it."""
        seed = hashlib.shake_256(self._kdf.extract(b"", b"dkp_prk", ikm.octets)).digest(_SEED_OCTETS)
        return HpkeKeyPair(Secret(seed), _public_of(seed))

    def key_pair_of(self, private: Secret) -> HpkeKeyPair:
        """The pair of a seed. Raises CryptoError if it has another length."""
        if len(private) != _SEED_OCTETS:
            raise CryptoError("a private key is none of this KEM", spec=_SPEC)
        return HpkeKeyPair(private, _public_of(private.octets))

    def verify_public_key(self, public: bytes) -> None:
        """Raises CryptoError unless both halves of *public* are keys."""
        _load(public)

    def encapsulate(self, public: bytes, ephemeral_ikm: Secret) -> tuple[bytes, bytes]:
        """Encapsulate (§5.4). *ephemeral_ikm* is the ephemeral key of X25519; ML-KEM's randomness the library draws, so
        that no seed gives the same octets again."""
        ml_kem, other = _load(public)
        ephemeral = x25519.X25519PrivateKey.from_private_bytes(ephemeral_ikm.octets)
        shared, ciphertext = ml_kem.encapsulate()
        sent = ephemeral.public_key().public_bytes_raw()
        return _combine(shared, ephemeral.exchange(other), sent, public), ciphertext + sent

    def decapsulate(self, key_pair: HpkeKeyPair, kem_output: bytes) -> bytes:
        """Decapsulate (§5.5). Raises CryptoError on a length that is wrong, and on a point of small order, with which
        X25519 adds nothing: the draft lets that pass. (choice)"""
        ciphertext, sent = kem_output[:_ML_KEM_CIPHERTEXT_OCTETS], kem_output[_ML_KEM_CIPHERTEXT_OCTETS:]
        ml_kem, own = _expand(key_pair.private.octets)
        try:
            exchanged = own.exchange(x25519.X25519PublicKey.from_public_bytes(sent))
            shared = ml_kem.decapsulate(ciphertext)
        except ValueError:
            raise CryptoError("a ciphertext is none of this KEM", spec=_SPEC, raw=kem_output) from None
        return _combine(shared, exchanged, sent, key_pair.public)


def _expand(seed: bytes) -> tuple[mlkem.MLKEM768PrivateKey, x25519.X25519PrivateKey]:
    """expandDecapsulationKey (§5.2)."""
    octets = hashlib.shake_256(seed).digest(_ML_KEM_SEED_OCTETS + _X25519_OCTETS)
    ml_kem = mlkem.MLKEM768PrivateKey.from_seed_bytes(octets[:_ML_KEM_SEED_OCTETS])
    return ml_kem, x25519.X25519PrivateKey.from_private_bytes(octets[_ML_KEM_SEED_OCTETS:])


def _public_of(seed: bytes) -> bytes:
    ml_kem, other = _expand(seed)
    return ml_kem.public_key().public_bytes_raw() + other.public_key().public_bytes_raw()


def _load(public: bytes) -> tuple[mlkem.MLKEM768PublicKey, x25519.X25519PublicKey]:
    try:
        verify_x25519(public[_ML_KEM_KEY_OCTETS:])
        other = x25519.X25519PublicKey.from_public_bytes(public[_ML_KEM_KEY_OCTETS:])
        return mlkem.MLKEM768PublicKey.from_public_bytes(public[:_ML_KEM_KEY_OCTETS]), other
    except ValueError:
        raise CryptoError("a public key is none of this KEM", spec=_SPEC, raw=public) from None


def _combine(shared: bytes, exchanged: bytes, sent: bytes, public: bytes) -> bytes:
    """Combiner (§5.3)."""
    return hashlib.sha3_256(shared + exchanged + sent + public[_ML_KEM_KEY_OCTETS:] + _LABEL).digest()
