"""CipherSuite: every cryptographic operation of MLS passes one such object (RFC 9420 §5, §8, §17.1).

Primitives are the library's. Randomness is an argument, and a caller that seeds it gets the same octets again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from ims_core.wire.secret import Secret
from rcs_sim.mls.codec import encode_opaque, encode_u16, encode_u32
from rcs_sim.mls.commit import HPKECiphertext
from rcs_sim.mls.hpke import Aead, AeadCipher, Hpke, HpkeContext, kdf_hash, kem_of
from rcs_sim.mls.identifiers import CipherSuiteId, Generation
from rcs_sim.mls.kdf import HkdfKey, hkdf_expand, hkdf_extract
from rcs_sim.mls.kem import CryptoError, HpkeKeyPair
from rcs_sim.mls.proposals import ProposalRef
from rcs_sim.mls.signature import (
    ECDSA_P256,
    ECDSA_P384,
    ECDSA_P521,
    ED448,
    ED25519,
    SignatureKey,
    SignatureScheme,
)
from rcs_sim.mls.welcome import KeyPackageRef
from rcs_sim.mls.xwing import XWING_KEM_ID, is_available

__all__ = ["CipherSuite", "CryptoError", "HpkeKeyPair", "Random", "SignatureKey", "kdf_label", "labelled"]

Random: TypeAlias = Callable[[int], bytes]
"""Gives as many octets as it is asked for: ``secrets.token_bytes``, or a seeded source."""

_KEPT_LABELS = 256
_PRIVATE_USE = 0xF000  # from here on (RFC 9420 §17.1)
_DIGESTS = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


@lru_cache(maxsize=_KEPT_LABELS)
def labelled(label: str) -> bytes:
    """``opaque label<V>`` of "MLS 1.0 " and *label*, as in KDFLabel, SignContent and EncryptContext."""
    return encode_opaque(b"MLS 1.0 " + label.encode("ascii"))


def kdf_label(label: str, context: bytes, length: int) -> bytes:
    """``KDFLabel`` (RFC 9420 §8)."""
    return encode_u16(length) + labelled(label) + encode_opaque(context)


@lru_cache(maxsize=_KEPT_LABELS)
def _without_context(label: str, length: int) -> bytes:
    return kdf_label(label, b"", length)


class CipherSuite:
    """One of the suites of RFC 9420 §17.1, or of private use. `of` gives it; there is one object per suite."""

    __slots__ = ("_algorithm", "_digest", "aead", "hash_octets", "hpke", "id", "key_octets", "nonce_octets", "scheme")

    def __init__(
        self, suite_id: CipherSuiteId, kem_id: int, kdf_id: int, aead_id: int, scheme: SignatureScheme
    ) -> None:
        self.id = suite_id
        self.aead = Aead.of(aead_id)
        self.hpke = Hpke(kem_of(kem_id), kdf_id, self.aead)
        self.scheme = scheme
        self._algorithm: HashAlgorithm = kdf_hash(kdf_id)
        self._digest = _DIGESTS[self._algorithm.name]
        self.hash_octets = self._algorithm.digest_size
        self.key_octets = self.aead.key_octets
        self.nonce_octets = self.aead.nonce_octets

    def __repr__(self) -> str:
        return f"CipherSuite({self.id.name})"

    @staticmethod
    def of(suite_id: int) -> CipherSuite:
        """The suite with this number. Raises CryptoError if it is not built."""
        suite = _SUITES.get(suite_id)
        if suite is None:
            raise CryptoError(f"the cipher suite {suite_id} is not supported", spec="RFC 9420 §17.1")
        return suite

    @staticmethod
    def supported() -> tuple[CipherSuiteId, ...]:
        """The suites of RFC 9420, all of which are built. Those of private use, which `of` gives too where the library
        has what they need, are for who asks for them."""
        return tuple(suite.id for suite in _SUITES.values() if suite.id < _PRIVATE_USE)

    # --- hash, MAC and KDF (RFC 9420 §5.1, §5.2, §8) ------------------------------------------------------------------

    def hash(self, octets: bytes) -> bytes:
        """The suite's hash."""
        return self._digest(octets).digest()

    def ref_hash(self, label: str, value: bytes) -> bytes:
        """``RefHash`` (RFC 9420 §5.2). *label* is all of it, "MLS 1.0" included."""
        return self.hash(encode_opaque(label.encode("ascii")) + encode_opaque(value))

    def key_package_ref(self, key_package: bytes) -> KeyPackageRef:
        """Reference of an encoded KeyPackage (RFC 9420 §5.2)."""
        return KeyPackageRef(self.ref_hash("MLS 1.0 KeyPackage Reference", key_package))

    def proposal_ref(self, authenticated_content: bytes) -> ProposalRef:
        """Reference of the encoded AuthenticatedContent of a proposal (RFC 9420 §5.2)."""
        return ProposalRef(self.ref_hash("MLS 1.0 Proposal Reference", authenticated_content))

    def hkdf_key(self, secret: Secret) -> HkdfKey:
        """*secret* made ready for several uses of its MAC or expansion."""
        return HkdfKey(self._algorithm, secret.octets)

    def mac(self, key: Secret, octets: bytes) -> bytes:
        """``MAC(key, octets)``."""
        return hkdf_extract(self._algorithm, key.octets, octets)  # both are HMAC

    def is_mac(self, key: Secret, octets: bytes, tag: bytes) -> bool:
        """Whether *tag* is the MAC of *octets*, in constant time."""
        return hmac.compare_digest(self.mac(key, octets), tag)

    def zero_secret(self) -> Secret:
        """As many zero octets as the KDF gives: commit_secret without a path, psk_secret without a PSK."""
        return Secret(bytes(self.hash_octets))

    def extract(self, salt: Secret, ikm: Secret) -> Secret:
        """``KDF.Extract``."""
        return Secret(hkdf_extract(self._algorithm, salt.octets, ikm.octets))

    def expand_with_label(self, secret: Secret, label: str, context: bytes, length: int) -> Secret:
        """``ExpandWithLabel`` (RFC 9420 §8). *length* is in octets."""
        return Secret(hkdf_expand(self._algorithm, secret.octets, kdf_label(label, context, length), length))

    def derive_secret(self, secret: Secret, label: str) -> Secret:
        """``DeriveSecret`` (RFC 9420 §8)."""
        length = self.hash_octets
        return Secret(hkdf_expand(self._algorithm, secret.octets, _without_context(label, length), length))

    def derive_from(self, key: HkdfKey, label: str) -> Secret:
        """``DeriveSecret`` of a secret from which several come."""
        length = self.hash_octets
        return Secret(key.expand(_without_context(label, length), length))

    def derive_tree_secret(self, secret: Secret, label: str, generation: Generation, length: int) -> Secret:
        """``DeriveTreeSecret`` (RFC 9420 §9.1)."""
        return self.expand_with_label(secret, label, encode_u32(generation), length)

    # --- signatures (RFC 9420 §5.1.2) -------------------------------------------------------------------------------

    def sign_with_label(self, key: SignatureKey, label: str, content: bytes) -> bytes:
        """``SignWithLabel``."""
        return key.sign(labelled(label) + encode_opaque(content))

    def verify_with_label(self, public: bytes, label: str, content: bytes, signature: bytes) -> bool:
        """``VerifyWithLabel``: whether the owner of *public* signed. A key that is none signed nothing."""
        return self.scheme.is_signed(public, labelled(label) + encode_opaque(content), signature)

    # --- AEAD (RFC 9420 §5.1) ---------------------------------------------------------------------------------------

    def cipher(self, key: bytes) -> AeadCipher:
        """An AEAD key, loaded."""
        return self.aead.load(key)

    def seal(self, key: Secret, nonce: Secret, aad: bytes, plaintext: bytes) -> bytes:
        """``AEAD.Seal``."""
        return self.aead.load(key.octets).encrypt(nonce.octets, plaintext, aad)

    def open(self, key: Secret, nonce: Secret, aad: bytes, ciphertext: bytes) -> bytes:
        """``AEAD.Open``. Raises CryptoError."""
        try:
            return self.aead.load(key.octets).decrypt(nonce.octets, ciphertext, aad)
        except InvalidTag:
            raise CryptoError("a ciphertext does not open", spec="RFC 9420 §5.1") from None

    # --- HPKE (RFC 9420 §5.1.3) -------------------------------------------------------------------------------------

    def draw_secret(self, random: Random) -> Secret:
        """A fresh secret, as long as the hash."""
        return Secret(random(self.hash_octets))

    def generate_key_pair(self, random: Random) -> HpkeKeyPair:
        """A fresh HPKE key pair."""
        return self.hpke.kem.derive_key_pair(Secret(random(self.hpke.kem.secret_octets)))

    def derive_key_pair(self, ikm: Secret) -> HpkeKeyPair:
        """``KEM.DeriveKeyPair``."""
        return self.hpke.kem.derive_key_pair(ikm)

    def key_pair_of(self, private: Secret) -> HpkeKeyPair:
        """The pair with this private half. Raises CryptoError if it is none."""
        return self.hpke.kem.key_pair_of(private)

    def setup_base_s(self, public: bytes, info: bytes, random: Random) -> tuple[bytes, HpkeContext]:
        """``SetupBaseS``: kem_output and context. Raises CryptoError on a public key that is none."""
        return self.hpke.setup_base_s(public, info, Secret(random(self.hpke.kem.secret_octets)))

    def setup_base_r(self, kem_output: bytes, key: Secret | HpkeKeyPair, info: bytes) -> HpkeContext:
        """``SetupBaseR``, with a private key, or with the pair where the public half is known: that is faster. Raises
        CryptoError."""
        pair = key if isinstance(key, HpkeKeyPair) else self.key_pair_of(key)
        return self.hpke.setup_base_r(kem_output, pair, info)

    def encrypt_with_label(
        self, public: bytes, label: str, context: bytes, plaintext: bytes, random: Random
    ) -> HPKECiphertext:
        """``EncryptWithLabel``. Raises CryptoError on a public key that is none."""
        kem_output, sender = self.setup_base_s(public, labelled(label) + encode_opaque(context), random)
        return HPKECiphertext(kem_output, sender.seal(b"", plaintext))

    def decrypt_with_label(
        self, key: Secret | HpkeKeyPair, label: str, context: bytes, ciphertext: HPKECiphertext
    ) -> bytes:
        """``DecryptWithLabel``. Raises CryptoError."""
        receiver = self.setup_base_r(ciphertext.kem_output, key, labelled(label) + encode_opaque(context))
        return receiver.open(b"", ciphertext.ciphertext)


_SUITES = {
    number: CipherSuite(CipherSuiteId(number), *parts)
    for number, parts in {
        1: (0x0020, 1, 1, ED25519),
        2: (0x0010, 1, 1, ECDSA_P256),
        3: (0x0020, 1, 3, ED25519),
        4: (0x0021, 3, 2, ED448),
        5: (0x0012, 3, 2, ECDSA_P521),
        6: (0x0021, 3, 3, ED448),
        7: (0x0011, 2, 2, ECDSA_P384),
    }.items()
}
if is_available():
    _XWING = CipherSuiteId.MLS_128_XWING_CHACHA20POLY1305_SHA256_ED25519
    _SUITES[_XWING] = CipherSuite(_XWING, XWING_KEM_ID, 1, 3, ED25519)
