"""The messaging server's view of identities: who sent a request, and whether somebody is an RCS subscriber of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from ims_core.cx import Sh
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.headers import From, PAssertedIdentity
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import TelUri, Uri, identity_key, parse_uri, tel_of_sip

__all__ = [
    "ServedUser",
    "Subscribers",
    "asserted_identities",
    "asserted_identity",
    "dialable_uri",
    "key_of",
    "key_of_uri",
]

_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ServedUser:
    """An RCS subscriber of this carrier.

    *key* is the identity key of the default public identity, whichever of them a request names; *identity* is that
    identity, for P-Asserted-Identity. *services* are the ICSIs of the service profile; *blocked* are the identity keys
    with which the subscriber exchanges no messages."""

    key: str
    identity: str
    services: frozenset[str]
    blocked: frozenset[str] = _NOBODY
    is_barred: bool = False

    def may_use(self, icsi: str) -> bool:
        """Whether the service profile has that ICSI."""
        return not self.is_barred and icsi in self.services


class Subscribers:
    """RCS subscribers as the HSS tells them over Sh (TS 29.328). Others of its users are nobody here: their service
    profile names no CPM service (digest §16)."""

    __slots__ = ("_blocked", "_sh")

    def __init__(self, sh: Sh, blocked: Mapping[str, frozenset[str]] | None = None) -> None:
        self._sh = sh
        self._blocked = blocked or {}

    def find(self, key: str) -> ServedUser | None:
        """By identity key of any public identity; None for everybody else's user, and for one without RCS."""
        user = self._sh.user_by_identity(key) if key else None
        if user is None or not user.impus or not _has_cpm(user.services):
            return None
        owner = key_of(user.impus[0])
        return ServedUser(owner, user.impus[0], user.services, self._blocked.get(owner, _NOBODY), user.is_barred)


@lru_cache(maxsize=256)
def _has_cpm(services: frozenset[str]) -> bool:
    return any("oma.cpm." in service for service in services)


@lru_cache(maxsize=16384)
def key_of(uri_text: str) -> str:
    """Identity key of a URI as text; empty if it is no URI, or a local number."""
    try:
        return identity_key(parse_uri(uri_text))
    except SipParseError:
        return ""


@lru_cache(maxsize=16384)
def key_of_uri(uri: Uri) -> str:
    """Identity key of a URI."""
    return identity_key(uri)


def asserted_identity(request: Request) -> Uri | None:
    """Who sent it: P-Asserted-Identity, else From (digest §0.4.6). None if neither can be read."""
    try:
        asserted = request.get(PAssertedIdentity)
        return request.require(From).uri if asserted is None else asserted.uri
    except SipParseError:
        return None


def asserted_identities(request: Request) -> tuple[Uri, ...]:
    """All that P-Asserted-Identity names, else From; empty if neither can be read."""
    try:
        asserted = request.get_all(PAssertedIdentity)
        return tuple(value.uri for value in asserted) or (request.require(From).uri,)
    except SipParseError:
        return ()


def dialable_uri(identities: tuple[Uri, ...]) -> Uri | None:
    """The URI to send something back to: the tel URI of the first number among *identities*, else the first."""
    for uri in identities:
        tel = tel_of_sip(uri)
        if tel is not None and tel.is_global:
            return TelUri(tel.digits)
    return identities[0] if identities else None
