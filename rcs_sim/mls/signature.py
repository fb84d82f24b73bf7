"""Signature schemes of the cipher suites (RFC 9420 §5.1.1, §17.1): keys are loaded once, ECDSA is deterministic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret
from rcs_sim.mls.nist_curve import P256, P384, P521, NistCurve

__all__ = [
    "ECDSA_P256",
    "ECDSA_P384",
    "ECDSA_P521",
    "ED448",
    "ED25519",
    "LibraryPrivateKey",
    "SignatureKey",
    "SignatureScheme",
]

_KEPT_KEYS = 4096  # loaded public keys: those of a few groups of 1000
_SPEC = "RFC 9420 §5.1.1"
_DIGESTS = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}

LibraryPrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey


class SignatureKey:
    """A private signature key, ready to sign, and its public half as it stands in a LeafNode."""

    __slots__ = ("_sign", "public", "scheme")

    def __init__(self, scheme: SignatureScheme, public: bytes, sign: Callable[[bytes], bytes]) -> None:
        self.scheme = scheme
        self.public = public
        self._sign = sign

    def __repr__(self) -> str:
        return f"SignatureKey({self.scheme.name})"

    def sign(self, octets: bytes) -> bytes:
        """The signature over *octets*: ECDSA in DER, EdDSA as it is."""
        return self._sign(octets)


class SignatureScheme:
    """How the signatures of a cipher suite are made and checked."""

    __slots__ = ("_family", "name")

    def __init__(self, name: str, family: _Ecdsa | _Eddsa) -> None:
        self.name = name
        self._family = family

    def __repr__(self) -> str:
        return f"SignatureScheme({self.name})"

    def key(self, private: Secret) -> SignatureKey:
        """The key of a scalar (ECDSA) or a seed (EdDSA). Raises LocalProtocolError if it is none."""
        try:
            return self.key_of(self._family.load_private(private.octets))
        except ValueError:
            raise LocalProtocolError(f"this is no private key of {self.name}", spec=_SPEC) from None

    def key_of(self, private: LibraryPrivateKey) -> SignatureKey:
        """The key that the library has loaded already. Raises LocalProtocolError if it is of another scheme."""
        if not self._family.owns(private):
            raise LocalProtocolError(f"this is no private key of {self.name}", spec=_SPEC)
        return SignatureKey(self, *self._family.signer(private))

    def generate(self, random: Callable[[int], bytes]) -> SignatureKey:
        """A fresh key out of the octets that *random* gives."""
        return self.key(self.draw(random))

    def draw(self, random: Callable[[int], bytes]) -> Secret:
        """What `key` makes a fresh key of, out of the octets that *random* gives."""
        return Secret(self._family.draw(random))

    def is_public_key(self, public: bytes) -> bool:
        """Whether *public* is a key of this scheme, a NIST point being uncompressed and on its curve."""
        return self._family.verifier(public) is not None

    def is_signed(self, public: bytes, octets: bytes, signature: bytes) -> bool:
        """Whether *signature* is that of the owner of *public* over *octets*."""
        verify = self._family.verifier(public)
        if verify is None:
            return False
        try:
            verify(signature, octets)
        except InvalidSignature:
            return False
        return True


_Verify = Callable[[bytes, bytes], None]


class _Ecdsa:
    """The library is given digests: what it has to find out about a hash each time costs more than the hash."""

    __slots__ = ("_curve", "_digest", "_hashed", "verifier")

    def __init__(self, curve: NistCurve, algorithm: HashAlgorithm) -> None:
        self._curve = curve
        self._digest = _DIGESTS[algorithm.name]
        self._hashed = Prehashed(algorithm)
        self.verifier = lru_cache(maxsize=_KEPT_KEYS)(self._verifier)

    def load_private(self, octets: bytes) -> LibraryPrivateKey:
        """Some stacks write a scalar without its leading zeros."""
        return self._curve.load_scalar(octets.rjust(self._curve.octets, b"\x00"))

    def owns(self, private: LibraryPrivateKey) -> bool:
        return isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name == self._curve.curve.name

    def draw(self, random: Callable[[int], bytes]) -> bytes:
        """Eight octets more than needed, so that the remainder is even enough (FIPS 186-5 A.2.1)."""
        length = self._curve.octets
        scalar = int.from_bytes(random(length + 8), "big") % (self._curve.order - 1) + 1
        return scalar.to_bytes(length, "big")

    def signer(self, private: LibraryPrivateKey) -> tuple[bytes, Callable[[bytes], bytes]]:
        assert isinstance(private, ec.EllipticCurvePrivateKey)
        sign, algorithm, digest = private.sign, ec.ECDSA(self._hashed, deterministic_signing=True), self._digest
        public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return public, lambda octets: sign(digest(octets).digest(), algorithm)

    def _verifier(self, public: bytes) -> _Verify | None:
        try:
            verify = self._curve.load_point(public).verify
        except ValueError:
            return None
        algorithm, digest = ec.ECDSA(self._hashed), self._digest
        return lambda signature, octets: verify(signature, digest(octets).digest(), algorithm)


class _Eddsa:
    __slots__ = ("_octets", "_private_kind", "_public_kind", "verifier")

    def __init__(
        self,
        private_kind: type[ed25519.Ed25519PrivateKey] | type[ed448.Ed448PrivateKey],
        public_kind: type[ed25519.Ed25519PublicKey] | type[ed448.Ed448PublicKey],
        octets: int,
    ) -> None:
        self._private_kind, self._public_kind, self._octets = private_kind, public_kind, octets
        self.verifier = lru_cache(maxsize=_KEPT_KEYS)(self._verifier)

    def load_private(self, octets: bytes) -> LibraryPrivateKey:
        return self._private_kind.from_private_bytes(octets)

    def owns(self, private: LibraryPrivateKey) -> bool:
        return isinstance(private, self._private_kind)

    def draw(self, random: Callable[[int], bytes]) -> bytes:
        return random(self._octets)

    def signer(self, private: LibraryPrivateKey) -> tuple[bytes, Callable[[bytes], bytes]]:
        assert not isinstance(private, ec.EllipticCurvePrivateKey)
        return private.public_key().public_bytes_raw(), private.sign

    def _verifier(self, public: bytes) -> _Verify | None:
        try:
            return self._public_kind.from_public_bytes(public).verify
        except ValueError:
            return None


ECDSA_P256 = SignatureScheme("ecdsa_secp256r1_sha256", _Ecdsa(P256, SHA256()))
ECDSA_P384 = SignatureScheme("ecdsa_secp384r1_sha384", _Ecdsa(P384, SHA384()))
ECDSA_P521 = SignatureScheme("ecdsa_secp521r1_sha512", _Ecdsa(P521, SHA512()))
ED25519 = SignatureScheme("ed25519", _Eddsa(ed25519.Ed25519PrivateKey, ed25519.Ed25519PublicKey, 32))
ED448 = SignatureScheme("ed448", _Eddsa(ed448.Ed448PrivateKey, ed448.Ed448PublicKey, 57))
