"""Both ends of Digest authentication as SIP, MSRP and HTTP use it (RFC 7616, RFC 2617 §3, RFC 8760)."""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from ims_core.errors import LocalProtocolError
from ims_core.wire.digest_algorithm import (
    MD5,
    PASSWORD_ALGORITHMS,
    SHA_256,
    SHA_512_256,
    Algorithm,
    Password,
    compute_ha1,
    compute_ha2,
    compute_response,
    compute_session_ha1,
)
from ims_core.wire.digest_parameters import (
    DigestAuthenticationInfo,
    DigestChallenge,
    DigestCredentials,
    DigestParseError,
    parse_challenges,
    plain_authentication_info,
    plain_challenge,
)
from ims_core.wire.nonce_book import NonceBook, NonceVerdict

__all__ = [
    "MD5",
    "PASSWORD_ALGORITHMS",
    "SHA_256",
    "SHA_512_256",
    "Algorithm",
    "DigestAuthenticationInfo",
    "DigestChallenge",
    "DigestClient",
    "DigestCredentials",
    "DigestParseError",
    "NonceBook",
    "NonceVerdict",
    "Password",
    "authentication_info",
    "choose_challenge",
    "compute_ha1",
    "compute_ha2",
    "compute_response",
    "compute_rspauth",
    "compute_session_ha1",
    "is_authentic",
    "is_server_authentic",
    "parse_challenges",
    "plain_challenge",
    "server_proof",
]

_MAX_NONCE_COUNT: Final = 0xFFFFFFFF  # nc-value = 8LHEX


def compute_rspauth(credentials: DigestCredentials, ha1: str, body: bytes = b"") -> str:
    """The ``rspauth`` by which the server proves that it knows HA1 too: A2 has no method (RFC 7616 §3.5)."""
    return _response_of(credentials, ha1, "", body, _meant_qop(credentials))


def _response_of(credentials: DigestCredentials, ha1: str, method: str, body: bytes, qop: str | None) -> str:
    algorithm, nonce, cnonce = credentials.algorithm or MD5, credentials.nonce, credentials.cnonce
    if algorithm.is_session:
        ha1 = compute_session_ha1(algorithm, ha1, nonce, cnonce or "")
    ha2 = compute_ha2(algorithm, method, credentials.uri, qop, body)
    return compute_response(algorithm, ha1, nonce, ha2, qop=qop, nc=credentials.nc, cnonce=cnonce)


def _meant_qop(credentials: DigestCredentials) -> str | None:
    """None for a client of RFC 2069 that copies ``qop`` from the challenge without knowing it: it sends neither ``nc``
    nor ``cnonce``, and a response without all three (choice). Such a response proves as much as one without ``qop``."""
    qop = credentials.qop
    if credentials.nc is not None or credentials.cnonce is not None or qop is None:
        return qop
    return None if qop.lower() == "auth" else qop


def _is_equal(expected: str, received: str) -> bool:
    """Compares hexadecimal digits in constant time; upper case is taken too, though LHEX is lower case (choice)."""
    return hmac.compare_digest(expected.encode("ascii"), received.lower().encode("utf-8", "replace"))


def choose_challenge(
    challenges: Iterable[DigestChallenge], algorithms: Collection[Algorithm] = PASSWORD_ALGORITHMS
) -> DigestChallenge | None:
    """The first challenge that can be answered: the server orders them by preference (RFC 8760 §2.4).

    *algorithms* is what the caller can and may use; None if nothing fits.
    """
    return next((each for each in challenges if each.is_answerable and each.hash_algorithm in algorithms), None)


def is_authentic(credentials: DigestCredentials, ha1: str, method: str, body: bytes = b"") -> bool:
    """Whether *response* is the one that only who knows *ha1* can compute (RFC 7616 §3.4.6). Never raises.

    The hash covers the ``uri`` parameter, not the Request-URI, which proxies change. The caller checks the realm, the
    nonce (`NonceBook`) and that the algorithm is one that it offered.
    """
    algorithm = credentials.algorithm or MD5
    if (algorithm is not MD5 and not algorithm.is_supported) or not credentials.response:
        return False
    qop = _meant_qop(credentials)
    if qop is not None and not _is_known_qop(qop, credentials):
        return False
    return _is_equal(_response_of(credentials, ha1, method, body, qop), credentials.response)


def _is_known_qop(qop: str, credentials: DigestCredentials) -> bool:
    is_known = qop == "auth" or qop.lower() in ("auth", "auth-int")
    return is_known and credentials.cnonce is not None and credentials.nonce_count is not None


def authentication_info(
    credentials: DigestCredentials, ha1: str, body: bytes = b"", nextnonce: str | None = None
) -> DigestAuthenticationInfo:
    """What the server puts into its 2xx after *credentials* were found authentic; *body* is that of the response."""
    qop = _meant_qop(credentials)
    rspauth = _response_of(credentials, ha1, "", body, qop)
    return DigestAuthenticationInfo(qop, rspauth, credentials.cnonce, credentials.nc, nextnonce)


def server_proof(credentials: DigestCredentials, ha1: str) -> str:
    """The text of `authentication_info` for a response without body."""
    qop = _meant_qop(credentials)
    rspauth = _response_of(credentials, ha1, "", b"", qop)
    return plain_authentication_info(qop, rspauth, credentials.cnonce, credentials.nc)


def is_server_authentic(
    received: DigestAuthenticationInfo, credentials: DigestCredentials, ha1: str, body: bytes = b""
) -> bool:
    """Whether ``rspauth`` belongs to *credentials*, which the client has sent (RFC 7616 §3.5). False without one."""
    return received.rspauth is not None and _is_equal(compute_rspauth(credentials, ha1, body), received.rspauth)


class DigestClient:
    """Answers to one challenge: counts ``nc`` and follows ``nextnonce`` (RFC 7616 §3.4, §3.5).

    *password* is the text of the user, or what AKA gives (`ims_core.wire.sip.aka`). It is kept as HA1 only.
    """

    __slots__ = ("_challenge", "_cnonce", "_ha1", "_nonce_count", "_username")

    def __init__(self, challenge: DigestChallenge, username: str, password: Password) -> None:
        if not challenge.is_answerable:
            raise LocalProtocolError("choose_challenge passes over such a challenge", spec="RFC 7616 §3.3")
        self._challenge = challenge
        self._username = username
        self._ha1 = compute_ha1(challenge.hash_algorithm, username, challenge.realm, password)
        self._nonce_count = 0
        self._cnonce = ""

    @property
    def challenge(self) -> DigestChallenge:
        return self._challenge

    def authorize(self, method: str, uri: str, cnonce: str, body: bytes = b"") -> DigestCredentials:
        """Credentials for the next request. *cnonce* is fresh random text; the ``-sess`` algorithms keep the first one,
        which is part of their HA1."""
        challenge, qop = self._challenge, self._challenge.chosen_qop
        self._nonce_count = self._nonce_count % _MAX_NONCE_COUNT + 1
        if not (challenge.hash_algorithm.is_session and self._cnonce):
            self._cnonce = cnonce
        unsigned = DigestCredentials(
            username=self._username,
            realm=challenge.realm,
            uri=uri,
            nonce=challenge.nonce,
            algorithm=challenge.algorithm,
            qop=qop,
            nc=None if qop is None else f"{self._nonce_count:08x}",
            cnonce=self._cnonce if qop is not None or challenge.hash_algorithm.is_session else None,
            opaque=challenge.opaque,
        )
        return replace(unsigned, response=_response_of(unsigned, self._ha1, method, body, _meant_qop(unsigned)))

    def accept(self, received: DigestAuthenticationInfo, sent: DigestCredentials, body: bytes = b"") -> bool:
        """Takes the Authentication-Info of a 2xx to *sent*, with its ``nextnonce``. False if ``rspauth`` is wrong."""
        if received.rspauth is not None and not is_server_authentic(received, sent, self._ha1, body):
            return False
        if received.nextnonce:
            self._challenge = replace(self._challenge, nonce=received.nextnonce)
            self._nonce_count, self._cnonce = 0, ""
        return True
