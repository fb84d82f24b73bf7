"""HTTP requests and responses as values (RFC 9110): what a handler is given and what it returns.

The octets are the business of `ims_core.transport.http` (aiohttp on sockets, h11 on in-memory links).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qsl

from ims_core.errors import ConnectionLost, ConnectTimeout, RemoteProtocolError

__all__ = [
    "HeaderFields",
    "HttpAnswerBroken",
    "HttpClient",
    "HttpHandler",
    "HttpMessageError",
    "HttpPeerUntrusted",
    "HttpRequest",
    "HttpResponse",
    "HttpTimeout",
    "SetCookie",
]

MAX_TARGET_CHARACTERS = 8192  # a longer request target is no autoconfiguration or content request, but an attack
MAX_QUERY_PARAMETERS = 200  # the longest known request (RCC.14) has about 30
MAX_COOKIES = 50  # RFC 6265 §6.1 asks user agents for at least 50 per domain

HeaderFields = tuple[tuple[str, str], ...]


class HttpMessageError(RemoteProtocolError):
    """The peer's HTTP request or response cannot be read."""


class HttpTimeout(ConnectTimeout):
    """No whole response came within the time that it may take."""


class HttpPeerUntrusted(ConnectTimeout):
    """No TLS connection came about: one side does not accept the other's certificate or version."""


class HttpAnswerBroken(ConnectionLost):
    """A response has begun, and is malformed, ends too early or is too large."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """HTTP request (RFC 9110 §3). *target* is percent-encoded, in origin form or, as for a proxy, in absolute form;
    *scheme* is ``http`` or ``https``; *peer* is ``host:port`` of the client, *client_names* the DNS names of the
    certificate that it showed, if the server asked for one and trusts it."""

    method: str
    target: str
    headers: HeaderFields = ()
    body: bytes = field(default=b"", repr=False)  # may hold credentials
    scheme: str = "http"
    peer: str = ""
    client_names: tuple[str, ...] = ()

    def header(self, name: str) -> str | None:
        """First field value of *name*, compared without regard to case."""
        return _first(self.headers, name)

    @property
    def path(self) -> str:
        """Path of the target, still percent-encoded; also of one in absolute form (RFC 9112 §3.2.2)."""
        text = self.target.partition("?")[0]
        if text.startswith("/"):
            return text
        scheme, found, rest = text.partition("://")
        if not found or scheme.lower() not in ("http", "https"):
            return text
        _, slash, path = rest.partition("/")
        return slash + path

    def query(self) -> HeaderFields:
        """Query parameters in order, decoded, blank values kept. Undecodable octets become U+FFFD.

        Raises HttpMessageError beyond `MAX_TARGET_CHARACTERS` or `MAX_QUERY_PARAMETERS`."""
        if len(self.target) > MAX_TARGET_CHARACTERS:
            raise HttpMessageError("request target too long", spec="RFC 9110 §4.1")
        text = self.target.partition("?")[2].partition("#")[0]
        try:
            return tuple(parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_PARAMETERS))
        except ValueError as error:
            raise HttpMessageError(f"too many query parameters: {error}", spec="RFC 3986 §3.4") from error

    def cookies(self) -> HeaderFields:
        """Name and value of each cookie in order (RFC 6265 §5.4); pairs without ``=`` are skipped."""
        found: list[tuple[str, str]] = []
        for name, value in self.headers:
            if name.lower() == "cookie":
                pairs = (pair.partition("=") for pair in value.split(";", MAX_COOKIES)[:MAX_COOKIES])
                found += [(key.strip(), text.strip().strip('"')) for key, equals, text in pairs if equals]
        return tuple(found[:MAX_COOKIES])

    def cookie(self, name: str) -> str | None:
        """Value of the first cookie *name*."""
        return next((value for key, value in self.cookies() if key == name), None)


@dataclass(frozen=True, slots=True)
class SetCookie:
    """Name and value of a Set-Cookie field (RFC 6265 §5.2). *is_removal* when ``Max-Age`` is zero or negative."""

    name: str
    value: str
    is_removal: bool = False

    @classmethod
    def parse(cls, field: str) -> SetCookie | None:
        """None for a field without a name, which user agents ignore (RFC 6265 §5.2)."""
        pair, *attributes = field.split(";", MAX_COOKIES)
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            return None
        lives = [
            life.strip() for key, _, life in (a.partition("=") for a in attributes) if key.strip().lower() == "max-age"
        ]
        return cls(
            name.strip(), value.strip().strip('"'), bool(lives) and (lives[-1] == "0" or lives[-1].startswith("-"))
        )


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """HTTP response (RFC 9110 §3). The carrier adds Content-Length; *headers* keeps repeated fields."""

    status: int
    headers: HeaderFields = ()
    body: bytes = field(default=b"", repr=False)  # may hold credentials

    def header(self, name: str) -> str | None:
        """First field value of *name*, compared without regard to case."""
        return _first(self.headers, name)

    def set_cookies(self) -> tuple[SetCookie, ...]:
        """What the response asks the client to store (RFC 6265 §5.2), at most `MAX_COOKIES`."""
        fields = (value for name, value in self.headers if name.lower() == "set-cookie")
        parsed = (SetCookie.parse(value) for value in fields)
        return tuple(cookie for cookie in parsed if cookie is not None)[:MAX_COOKIES]


HttpHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]


class HttpClient(Protocol):
    """A host's way to HTTP servers. Redirects are not followed; each request has its own deadline."""

    async def request(
        self, url: str, *, method: str = "GET", headers: HeaderFields = (), body: bytes = b"", timeout_s: float
    ) -> HttpResponse:
        """Raises TransportError when no response came within *timeout_s* seconds: HttpTimeout, HttpPeerUntrusted or
        HttpAnswerBroken where it is one of these."""
        ...


def _first(headers: HeaderFields, name: str) -> str | None:
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), None)
