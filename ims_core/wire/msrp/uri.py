"""MSRP and MSRPS URIs and the paths made of them: parse, encode, compare (RFC 4975 §6, §9)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from ims_core.errors import RemoteProtocolError

__all__ = [
    "DEFAULT_PORT",
    "MAX_PATH_URIS",
    "MAX_URI_CHARACTERS",
    "MsrpUri",
    "MsrpUriError",
    "encode_path",
    "parse_msrp_uri",
    "parse_path",
]

DEFAULT_PORT = 2855  # what IANA has for msrp, and what a URI without a port means (RFC 4975 §15.4)
MAX_URI_CHARACTERS = 1024  # a host of 255, a session id, parameters: none in the field is near it
MAX_PATH_URIS = 32  # two endpoints behind relays make four; what is longer is a loop or an attack

_REMEMBERED = 16384  # URIs: both ends of some thousand sessions, each on two legs
_REMEMBERED_CHARACTERS = 256  # per text: with _REMEMBERED it bounds each memory to some 20 MB, whatever peers send
_LONGEST_HOST = 255  # characters (RFC 1035 §2.3.4)

# MSRP-URI = msrp-scheme "://" authority ["/" session-id] ";" transport *( ";" URI-parameter )
# authority = [ userinfo "@" ] host [ ":" port ] (RFC 3986 §3.2);  session-id = 1*( unreserved / "+" / "=" / "/" )
# transport = "tcp" / 1*ALPHANUM;  URI-parameter = token ["=" token]
# "@" ends a user part and is nowhere else, "/" begins the session id, so each character matches in one way only.
_TOKEN = r"[!#-'*+.\-0-9A-Z^-~]+"
_MSRP_URI = re.compile(
    r"([mM][sS][rR][pP][sS]?)://"
    r"(?:([-._~!$&'()*+,;=:%0-9A-Za-z]*)@)?"
    r"([-._~%0-9A-Za-z]+|\[[0-9A-Fa-f:.]+\])"
    r"(?::([0-9]{1,5}))?"
    r"(?:/([-._~+=/0-9A-Za-z]+))?"
    r";([0-9A-Za-z]+)"
    rf"((?:;{_TOKEN}(?:={_TOKEN})?)*)"
)
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
# DEVIATION: RFC 3986 §3.2.2 lets nearly anything be a registered name; this takes what a resolver can look up.
_LABEL = r"[0-9A-Za-z_](?:[-0-9A-Za-z_]*[0-9A-Za-z_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")


class MsrpUriError(RemoteProtocolError):
    """Text that is no MSRP URI, or no path of them."""

    def __init__(self, message: str, text: str, spec: str = "RFC 4975 §9") -> None:
        super().__init__(message, spec=spec, raw=text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class MsrpUri:
    """MSRP or MSRPS URI (RFC 4975 §6). Parts keep their spelling; *host* of an IPv6 address keeps its brackets.

    *session_id* is None for a relay that names no session. *params* are those after the transport, in order."""

    scheme: str
    user: str | None
    host: str
    port: int | None
    session_id: str | None
    transport: str = "tcp"
    params: tuple[tuple[str, str | None], ...] = ()

    def __str__(self) -> str:
        user = "" if self.user is None else f"{self.user}@"
        port = "" if self.port is None else f":{self.port}"
        session = "" if self.session_id is None else f"/{self.session_id}"
        params = "".join([f";{name}" if value is None else f";{name}={value}" for name, value in self.params])
        return f"{self.scheme}://{user}{self.host}{port}{session};{self.transport}{params}"

    @property
    def is_tls(self) -> bool:
        """Whether the next hop must be reached by TLS (RFC 4975 §6, scheme msrps)."""
        return len(self.scheme) == 5

    @property
    def address(self) -> str:
        """The host without the brackets of an IPv6 reference: what a socket wants."""
        return self.host[1:-1] if self.host[:1] == "[" else self.host

    @property
    def connect_port(self) -> int:
        """The port to connect to: the default one where none is written."""
        return DEFAULT_PORT if self.port is None else self.port

    @property
    def key(self) -> str:
        """What a session is looked up by: its id, which is case-sensitive (RFC 4975 §6.1). Empty without one."""
        return self.session_id or ""

    def same_as(self, other: MsrpUri) -> bool:
        """Whether both name the same resource (RFC 4975 §6.1): user part and parameters do not count; a port or a
        session id that only one of them has makes them differ."""
        return self is other or (
            self.session_id == other.session_id
            and self.port == other.port
            and self.scheme.lower() == other.scheme.lower()
            and self.transport.lower() == other.transport.lower()
            and _host_value(self.host) == _host_value(other.host)
        )


def parse_msrp_uri(text: str) -> MsrpUri:
    """An MSRP URI. Values are shared: the same text gives the same object. Raises MsrpUriError."""
    return _remembered_uri(text) if len(text) <= _REMEMBERED_CHARACTERS else _read_uri(text)


def parse_path(text: str) -> tuple[MsrpUri, ...]:
    """The URIs of To-Path, From-Path, Use-Path or a=path, next hop first, apart by spaces. Raises MsrpUriError."""
    return _remembered_path(text) if len(text) <= _REMEMBERED_CHARACTERS else _read_path(text)


def encode_path(path: Iterable[MsrpUri]) -> str:
    """The value of To-Path, From-Path, Use-Path or a=path for these URIs, next hop first."""
    return " ".join([str(uri) for uri in path])


def _read_uri(text: str) -> MsrpUri:
    found = _MSRP_URI.fullmatch(text) if len(text) <= MAX_URI_CHARACTERS else None
    if found is None or ("%" in text and _BAD_ESCAPE.search(text) is not None):
        raise MsrpUriError("not an MSRP URI", text)
    scheme, user, host, port, session_id, transport, params = found.groups()
    return MsrpUri(
        scheme, user, _sound_host(host), _sound_port(port, text), session_id, transport, _read_params(params)
    )


def _read_path(text: str) -> tuple[MsrpUri, ...]:
    if text.count(" ") > MAX_PATH_URIS * 2:
        raise MsrpUriError(f"a path of more than {MAX_PATH_URIS} URIs", text)
    path = tuple([parse_msrp_uri(word) for word in text.split(" ") if word])
    if not path or len(path) > MAX_PATH_URIS:
        raise MsrpUriError(f"a path has 1 to {MAX_PATH_URIS} URIs", text)
    return path


_remembered_uri = lru_cache(maxsize=_REMEMBERED)(_read_uri)
_remembered_path = lru_cache(maxsize=_REMEMBERED)(_read_path)


def _read_params(text: str) -> tuple[tuple[str, str | None], ...]:
    if not text:
        return ()
    pairs = [param.partition("=") for param in text[1:].split(";")]
    return tuple([(name, value if equals else None) for name, equals, value in pairs])


def _sound_port(digits: str | None, text: str) -> int | None:
    if digits is None:
        return None
    port = int(digits)
    if port > 65535:
        raise MsrpUriError("not a port number", text)
    return port


def _sound_host(host: str) -> str:
    if host[0] == "[":
        is_sound = _is_address(host[1:-1], IPv6Address)
    else:
        name = _unescape(host)
        is_number = name.removesuffix(".").rpartition(".")[2].isdigit()
        is_sound = _is_address(name, IPv4Address) if is_number else _HOST_NAME.fullmatch(name) is not None
    if not is_sound or len(host) > _LONGEST_HOST:
        raise MsrpUriError("neither a host name nor an IP address", host, "RFC 3986 §3.2.2")
    return host


def _is_address(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> bool:
    try:
        kind(text)
    except AddressValueError:
        return False
    return True


def _unescape(host: str) -> str:
    return _ESCAPE.sub(lambda escaped: chr(int(escaped[1], 16)), host) if "%" in host else host


def _host_value(host: str) -> str | IPv6Address:
    return IPv6Address(host[1:-1]) if host[:1] == "[" else _unescape(host).lower()
