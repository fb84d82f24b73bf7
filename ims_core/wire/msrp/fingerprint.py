"""Certificate fingerprints of session descriptions (RFC 8122 §5, RFC 4572)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from ims_core.errors import LocalProtocolError
from ims_core.wire.sdp import SdpParseError

__all__ = ["Fingerprint", "matches_certificate"]

# fingerprint-attribute = "fingerprint" ":" hash-func SP fingerprint; fingerprint = 2UHEX *(":" 2UHEX)
# DEVIATION: RFC 8122 §5 has upper-case digits alone; lower case is read too, since older descriptions have it.
_FINGERPRINT = re.compile(r" ?([-!#$%&'*+.^_`{|}~0-9A-Za-z]{1,32}) +([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){0,127}) *")

# Hash functions by strength, strongest first. MD5 and MD2 are read and kept, and match nothing: RFC 8122 §5.
_HASHES: Mapping[str, str] = {
    "SHA-512": "sha512",
    "SHA-384": "sha384",
    "SHA-256": "sha256",
    "SHA-224": "sha224",
    "SHA-1": "sha1",
}


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Value of a=fingerprint. *hash_name* is upper case, such as SHA-256; one that nobody knows is kept."""

    hash_name: str
    octets: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SdpParseError, also for a digest that is not as long as those of its hash function."""
        found = _FINGERPRINT.fullmatch(text)
        if found is None:
            raise SdpParseError("malformed fingerprint", spec="RFC 8122 §5", raw=text)
        fingerprint = cls(found[1].upper(), bytes.fromhex(found[2].replace(":", "")))
        known = _HASHES.get(fingerprint.hash_name)
        if known is not None and len(fingerprint.octets) != hashlib.new(known).digest_size:
            raise SdpParseError("a fingerprint of another length than its hash", spec="RFC 8122 §5", raw=text)
        return fingerprint

    @classmethod
    def of(cls, certificate_der: bytes, hash_name: str = "SHA-256") -> Self:
        """The fingerprint of a certificate (DER). Raises LocalProtocolError for a hash function not to be used."""
        known = _HASHES.get(hash_name.upper())
        if known is None:
            raise LocalProtocolError(f"no fingerprints with {hash_name}", spec="RFC 8122 §5")
        return cls(hash_name.upper(), hashlib.new(known, certificate_der).digest())

    def __str__(self) -> str:
        return f"{self.hash_name} {self.octets.hex(':').upper()}"

    @property
    def is_usable(self) -> bool:
        """Whether a certificate can be checked against it."""
        return self.hash_name in _HASHES

    def matches(self, certificate_der: bytes) -> bool:
        """Whether the certificate (DER) has this fingerprint; False for a hash function that cannot be used."""
        return self.is_usable and Fingerprint.of(certificate_der, self.hash_name).octets == self.octets


def matches_certificate(fingerprints: Iterable[Fingerprint], certificate_der: bytes) -> bool:
    """Whether a certificate (DER) is the one that a description announces: it has one of the fingerprints of the
    strongest hash function there (RFC 8122 §5). False without any usable fingerprint."""
    given = tuple(fingerprints)
    strongest = next((name for name in _HASHES if any(each.hash_name == name for each in given)), None)
    return strongest is not None and Fingerprint.of(certificate_der, strongest) in given
