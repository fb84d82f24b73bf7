"""The hashes of Digest authentication and what is computed with them (RFC 7616 §3.3, §3.4; AKA names RFC 3310 §3.1).

Text is hashed as UTF-8; octets that were not UTF-8 on the wire come as surrogate escapes and are hashed as received.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.secret import Secret

__all__ = [
    "MD5",
    "PASSWORD_ALGORITHMS",
    "SHA_256",
    "SHA_512_256",
    "Algorithm",
    "Password",
    "compute_ha1",
    "compute_ha2",
    "compute_response",
    "compute_session_ha1",
]

Password = str | bytes | Secret


def _md5() -> Callable[[bytes], hashlib._Hash]:
    """MD5 also where the system forbids it for security; the keyword costs as much as half a hash."""
    try:
        hashlib.md5(b"")
    except ValueError:
        return partial(hashlib.md5, usedforsecurity=False)
    return hashlib.md5


_HASHES: Mapping[str, Callable[[bytes], hashlib._Hash]] = {
    "MD5": _md5(),
    "SHA-256": hashlib.sha256,
    "SHA-512-256": partial(hashlib.new, "sha512_256"),
}
_LONGEST_REMEMBERED: Final = 256  # characters of an A2
# RFC 3310 §3.1: algorithm-value = [ "AKAv" 1*DIGIT "-" ] ( "MD5" | "MD5-sess" | token )
_ALGORITHM = re.compile(r"(?:AKAv(\d{1,4})-)?(.*?)(-sess)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Algorithm:
    """The ``algorithm`` parameter: a hash, perhaps ``-sess``, perhaps fed by AKA (RFC 7616 §3.3, RFC 3310 §3.1).

    Names that are known here get their registered spelling; *hash_name* is None for one that is not, kept as received.
    """

    name: str
    hash_name: str | None
    is_session: bool = False
    aka_version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Algorithm:
        return _parse_algorithm(text)

    @property
    def is_supported(self) -> bool:
        return self.hash_name is not None and self.aka_version in (None, 1, 2)

    def hash_hex(self, octets: bytes) -> str:
        """H(octets) in lower-case hexadecimal. Raises LocalProtocolError for an unknown algorithm."""
        if self.hash_name is None:
            raise LocalProtocolError(f"no hash for algorithm {self.name!r}", spec="RFC 7616 §3.3")
        return _HASHES[self.hash_name](octets).hexdigest()


_SUPPORTED: dict[str, Algorithm] = {}  # one value for each name, whatever names peers make up: they are told by ``is``


@lru_cache(maxsize=64)
def _parse_algorithm(text: str) -> Algorithm:
    match = _ALGORITHM.fullmatch(text)
    hash_name = match[2].upper() if match else None
    if match is None or hash_name not in _HASHES:
        return Algorithm(text, None)
    aka_version = None if match[1] is None else int(match[1])
    prefix = "" if aka_version is None else f"AKAv{aka_version}-"
    name = f"{prefix}{hash_name}{'-sess' if match[3] else ''}"
    algorithm = _SUPPORTED.get(name) or Algorithm(name, hash_name, match[3] is not None, aka_version)
    return _SUPPORTED.setdefault(name, algorithm) if algorithm.is_supported else algorithm


MD5: Final = Algorithm.parse("MD5")
SHA_256: Final = Algorithm.parse("SHA-256")
SHA_512_256: Final = Algorithm.parse("SHA-512-256")

PASSWORD_ALGORITHMS: Final[frozenset[Algorithm]] = frozenset(
    Algorithm.parse(name + suffix) for name in _HASHES for suffix in ("", "-sess")
)
"""What can be answered with a password; the AKA algorithms need a USIM as well."""


def compute_ha1(algorithm: Algorithm, username: str, realm: str, password: Password) -> str:
    """H(username ":" realm ":" password): what an HSS may store instead of the password (RFC 7616 §3.4.2).

    For the ``-sess`` algorithms this is the inner hash, see `compute_session_ha1`. An AKA password is RES as octets
    (RFC 3310 §3.3).
    """
    return algorithm.hash_hex(b"%b:%b" % (_octets(f"{username}:{realm}"), _octets(password)))


def compute_session_ha1(algorithm: Algorithm, ha1: str, nonce: str, cnonce: str) -> str:
    """HA1 of the ``-sess`` algorithms: H(HA1 ":" nonce ":" cnonce) (RFC 7616 §3.4.2); *ha1* itself for the others."""
    return algorithm.hash_hex(_octets(f"{ha1}:{nonce}:{cnonce}")) if algorithm.is_session else ha1


def compute_ha2(algorithm: Algorithm, method: str, uri: str, qop: str | None = None, body: bytes = b"") -> str:
    """H(A2), which covers the body for ``auth-int`` only (RFC 7616 §3.4.3)."""
    a2 = f"{method}:{uri}"
    if qop is not None and qop != "auth" and qop.lower() == "auth-int":
        return algorithm.hash_hex(_octets(f"{a2}:{algorithm.hash_hex(body)}"))
    if algorithm.hash_name is None or len(a2) > _LONGEST_REMEMBERED:
        return algorithm.hash_hex(_octets(a2))
    return _remembered_hash(algorithm.hash_name, a2)


@lru_cache(maxsize=512)
def _remembered_hash(hash_name: str, a2: str) -> str:
    """H(A2): every registration of a home network has the same."""
    return _HASHES[hash_name](_octets(a2)).hexdigest()


def compute_response(
    algorithm: Algorithm,
    ha1: str,
    nonce: str,
    ha2: str,
    *,
    qop: str | None = None,
    nc: str | None = None,
    cnonce: str | None = None,
) -> str:
    """The ``response`` (or ``rspauth``) value: RFC 7616 §3.4.1, or the form of RFC 2069 if *qop* is None.

    *ha1* is the session form for ``-sess``. Raises LocalProtocolError if *qop* comes without *nc* or *cnonce*.
    """
    if qop is None:
        return algorithm.hash_hex(f"{ha1}:{nonce}:{ha2}".encode("utf-8", "surrogateescape"))
    if nc is None or cnonce is None:
        raise LocalProtocolError("qop needs nc and cnonce", spec="RFC 7616 §3.4")
    return algorithm.hash_hex(f"{ha1}:{nonce}:{nc}:{cnonce}:{qop}:{ha2}".encode("utf-8", "surrogateescape"))


def _octets(value: Password) -> bytes:
    if isinstance(value, str):
        return value.encode() if value.isascii() else value.encode("utf-8", "surrogateescape")
    return value.octets if isinstance(value, Secret) else value
