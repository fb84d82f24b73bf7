"""SIP, SIPS and tel URIs: parse, encode, compare (RFC 3261 §19.1, RFC 3966, IPv6 as RFC 5118 and 5954)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, TypeAlias

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.memo import Memo, slot_setters
from ims_core.wire.sip.params import NO_PARAMS, Params, parse_uri_params

__all__ = [
    "URIS",
    "OtherUri",
    "Params",
    "SipUri",
    "TelUri",
    "Uri",
    "escape",
    "identity_key",
    "parse_uri",
    "sip_uri_of_tel",
    "sound_host",
    "sound_port",
    "tel_of_sip",
    "unescape",
]

_ESCAPED = "%[0-9A-Fa-f]{2}"
# SIP-URI = "sip:" [ userinfo ] hostport uri-parameters [ headers ];  userinfo = user [ ":" password ] "@"
# user = 1*( unreserved / escaped / "&" / "=" / "+" / "$" / "," / ";" / "?" / "/" ); "@" is nowhere else in the URI.
# "%" is let through here and looked at afterwards, so that each character can match in one way only (linear time).
_SIP_URI = re.compile(
    r"([sS][iI][pP][sS]?):"
    r"(?:([-_.!~*'()&=+$,;?/%0-9A-Za-z]+)(?::([-_.!~*'()&=+$,%0-9A-Za-z]*))?@)?"
    r"([0-9A-Za-z_][-0-9A-Za-z_.]*|\[[0-9A-Fa-f:.]+\])"
    r"(?::([0-9]{1,5}))?"
    r"((?:;[^?]*)?)"
    r"(?:\?([-\[\]/?:+$_.!~*'()=&%0-9A-Za-z]+))?"
)
_BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
# telephone-subscriber = global-number / local-number (RFC 3966 §3)
# DEVIATION: RFC 3966 §5.1.5 demands a phone-context with a local number; dialled short codes come without one, and are
# answered by the node that cannot route them, not by the parser.
_GLOBAL_NUMBER = r"\+[-.()]*[0-9][-.()0-9]*"
_TEL_URI = re.compile(rf"[tT][eE][lL]:({_GLOBAL_NUMBER}|[-.()]*[0-9A-Fa-f*#][-.()0-9A-Fa-f*#]*)((?:;.*)?)")
_OTHER_URI = re.compile(r"([A-Za-z][-+.0-9A-Za-z]*):([^\x00-\x20\x7f<>\"\s]+)")
# DEVIATION: RFC 3261 §25.1 has no "_" in a hostname and no digit first in its last label; containers are named so.
_LABEL = r"[0-9A-Za-z_](?:[-0-9A-Za-z_]*[0-9A-Za-z_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_GLOBAL_USER = re.compile(_GLOBAL_NUMBER)
_HOME_NETWORK = re.compile(r"ims\.mnc[0-9]{2,3}\.mcc[0-9]{3}\.3gppnetwork\.org")  # TS 23.003 §13.2

_ESCAPE = re.compile(_ESCAPED)
_RESERVED = ";/?:@&=+$,"
_USER_CHARACTERS = re.compile(r"[-_.!~*'()&=+$,;?/0-9A-Za-z]")
_PARAM_CHARACTERS = re.compile(r"[-\[\]/:&+$_.!~*'()0-9A-Za-z]")
_SEPARATORS = str.maketrans("", "", "-.()")
_IN_BOTH_OR_NEITHER = ("user", "ttl", "method", "maddr", "transport")  # RFC 3261 §19.1.4

_LONGEST_HOST = 255  # characters (RFC 1035 §2.3.4)


@dataclass(frozen=True, slots=True, init=False)
class SipUri:
    """SIP or SIPS URI (RFC 3261 §19.1.1). *user*, *password*, *host* and *headers* keep their spelling and escapes;
    *host* of an IPv6 address keeps its brackets."""

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None = None
    params: Params = NO_PARAMS
    headers: str | None = None

    def __init__(
        self,
        scheme: str,
        user: str | None,
        password: str | None,
        host: str,
        port: int | None = None,
        params: Params = NO_PARAMS,
        headers: str | None = None,
    ) -> None:
        # Written out because the __init__ of a frozen dataclass takes twice as long, and every message has several.
        _set_scheme(self, scheme)
        _set_user(self, user)
        _set_password(self, password)
        _set_host(self, host)
        _set_port(self, port)
        _set_params(self, params)
        _set_headers(self, headers)

    def __str__(self) -> str:
        user = (
            "" if self.user is None else f"{self.user}@" if self.password is None else f"{self.user}:{self.password}@"
        )
        port = "" if self.port is None else f":{self.port}"
        if self.params is NO_PARAMS and self.headers is None:
            return f"{self.scheme}:{user}{self.host}{port}"
        headers = "" if self.headers is None else f"?{self.headers}"
        return f"{self.scheme}:{user}{self.host}{port}{self.params}{headers}"

    @property
    def address(self) -> str:
        """The host without the brackets of an IPv6 reference: what a socket wants."""
        return self.host[1:-1] if self.host[:1] == "[" else self.host

    @property
    def is_loose_router(self) -> bool:
        """Whether the lr parameter is there (RFC 3261 §19.1.1)."""
        return self.params.has("lr")

    def with_param(self, name: str, value: str | None = None) -> SipUri:
        """The same with a URI parameter, its value escaped where it must be."""
        return replace(
            self, params=self.params.with_(name, None if value is None else escape(value, _PARAM_CHARACTERS))
        )

    def without_params(self, *names: str) -> SipUri:
        """The same without the parameters of these names; without any if no name is given."""
        return replace(self, params=self.params.without(*names) if names else NO_PARAMS)

    def same_as(self, other: Uri) -> bool:
        """Whether both name the same resource (RFC 3261 §19.1.4; IPv6 addresses by value, RFC 5954 §4.2)."""
        return (
            isinstance(other, SipUri)
            and self.scheme.lower() == other.scheme.lower()
            and _same_escaped(self.user, other.user)
            and _same_escaped(self.password, other.password)
            and _host_value(self.host) == _host_value(other.host)
            and self.port == other.port
            and _same_sip_params(self.params, other.params)
            and _header_set(self.headers) == _header_set(other.headers)
        )


_set_scheme, _set_user, _set_password, _set_host, _set_port, _set_params, _set_headers = slot_setters(SipUri)


@dataclass(frozen=True, slots=True)
class TelUri:
    """tel URI (RFC 3966). *number* keeps its visual separators; a global one begins with "+"."""

    number: str
    params: Params = NO_PARAMS

    def __str__(self) -> str:
        return f"tel:{self.number}{self.params}"

    @property
    def scheme(self) -> str:
        return "tel"

    @property
    def digits(self) -> str:
        """The number without visual separators."""
        return self.number.translate(_SEPARATORS)

    @property
    def is_global(self) -> bool:
        return self.number.startswith("+")

    def same_as(self, other: Uri) -> bool:
        """Whether both name the same resource (RFC 3966 §4)."""
        return (
            isinstance(other, TelUri)
            and self.is_global == other.is_global
            and self.digits.lower() == other.digits.lower()
            and _tel_param_set(self.params) == _tel_param_set(other.params)
        )


@dataclass(frozen=True, slots=True)
class OtherUri:
    """A URI of another scheme, kept as it came. The wildcard of Contact has the scheme "*"."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}" if self.scheme != "*" else "*"

    def same_as(self, other: Uri) -> bool:
        """Equal but for the case of the scheme."""
        return isinstance(other, OtherUri) and (self.scheme.lower(), self.rest) == (other.scheme.lower(), other.rest)


Uri: TypeAlias = SipUri | TelUri | OtherUri


def parse_uri(text: str) -> Uri:
    """A URI of any scheme. Values are shared: the same text gives the same object. Raises SipParseError."""
    return URIS[text]


_SCHEMES = {name: name for name in ("sip", "sips")}  # a match has new strings each time


def _read_uri(text: str) -> Uri:
    found = _SIP_URI.fullmatch(text)
    if found is not None and ("%" not in text or _BAD_ESCAPE.search(text) is None):
        scheme, user, password, host, port, params, headers = found.groups()
        return SipUri(
            _SCHEMES.get(scheme, scheme),
            user,
            password,
            _sound_hosts[host],  # one string for all the URIs that name it
            None if port is None else sound_port(port),
            parse_uri_params(params) if params else NO_PARAMS,
            headers,
        )
    found = _TEL_URI.fullmatch(text)
    if found is not None:
        return TelUri(found[1], parse_uri_params(found[2]))
    found = _OTHER_URI.fullmatch(text)
    if found is None or found[1].lower() in ("sip", "sips", "tel"):
        raise SipParseError("not a URI", raw=text, spec="RFC 3261 §19.1.1")
    return OtherUri(found[1], found[2])


URIS: Final[Memo[Uri]] = Memo(_read_uri)
"""URIS[text] is parse_uri(text)."""


def sound_port(text: str) -> int:
    """A port number below 2**16. Raises SipParseError."""
    port = int(text)
    if port > 65535:
        raise SipParseError("not a port number", raw=text, spec="RFC 3261 §25.1 port")
    return port


def sound_host(host: str) -> str:
    """*host* if it is a host name, IPv4 address or bracketed IPv6 address (RFC 5954 §4.1). Raises SipParseError."""
    return _sound_hosts[host]


def _read_host(host: str) -> str:
    fault = _host_fault(host)
    if fault is not None:
        raise SipParseError(fault, raw=host, spec="RFC 5954 §4.1" if host[0] == "[" else "RFC 3261 §25.1 host")
    return host


_sound_hosts: Memo[str] = Memo(_read_host)


def _host_fault(host: str) -> str | None:
    if len(host) > _LONGEST_HOST:
        return "longer than any host name"
    if host[0] == "[":
        return _address_fault(host[1:-1], IPv6Address)
    if host.removesuffix(".").rpartition(".")[2].isdigit():
        return _address_fault(host, IPv4Address)
    return None if _HOST_NAME.fullmatch(host) else "not a host name"


def _address_fault(text: str, kind: type[IPv4Address] | type[IPv6Address]) -> str | None:
    try:
        kind(text)
    except AddressValueError:
        return "not an IP address"
    return None


def unescape(text: str) -> str:
    """%HEX escapes replaced by the characters they stand for (UTF-8)."""
    if "%" not in text:
        return text
    octets = _ESCAPE_OCTETS.sub(
        lambda escaped: bytes((int(escaped[0][1:], 16),)), text.encode("utf-8", "surrogateescape")
    )
    return octets.decode("utf-8", "surrogateescape")


_ESCAPE_OCTETS = re.compile(_ESCAPED.encode())


def escape(text: str, plain: re.Pattern[str] = _USER_CHARACTERS) -> str:
    """*text* with every character outside *plain* (those of a user part) as %HEX."""
    return "".join(
        character
        if plain.match(character)
        else "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogateescape"))
        for character in text
    )


def _comparable(text: str) -> str:
    """Escapes of unreserved characters replaced: they are the same character (RFC 3261 §19.1.4)."""

    def plain(escaped: re.Match[str]) -> str:
        character = chr(int(escaped[0][1:], 16))
        return (
            character if character.isascii() and character not in _RESERVED and character != "%" else escaped[0].upper()
        )

    return _ESCAPE.sub(plain, text) if "%" in text else text


def _same_escaped(one: str | None, other: str | None) -> bool:
    return one == other or (one is not None and other is not None and _comparable(one) == _comparable(other))


def _host_value(host: str) -> str | IPv6Address:
    return IPv6Address(host[1:-1]) if host[:1] == "[" else host.lower()


def _same_sip_params(one: Params, other: Params) -> bool:
    if one == other:
        return True
    left, right = _param_map(one), _param_map(other)
    compared = (left.keys() & right.keys()) | ((left.keys() | right.keys()) & set(_IN_BOTH_OR_NEITHER))
    return all(left.get(name, _MISSING) == right.get(name, _MISSING) for name in compared)


_MISSING = "\0missing"


def _param_map(params: Params) -> dict[str, str | None]:
    return {_comparable(name).lower(): None if value is None else _comparable(value).lower() for name, value in params}


def _header_set(headers: str | None) -> list[tuple[str, str]]:
    if headers is None:
        return []
    pairs = (header.partition("=") for header in headers.split("&"))
    return sorted((_comparable(name).lower(), _comparable(value)) for name, _, value in pairs)


def _tel_param_set(params: Params) -> list[tuple[str, str]]:
    return sorted((name.lower(), _tel_param_value(name.lower(), value or "")) for name, value in params)


def _tel_param_value(name: str, value: str) -> str:
    value = _comparable(value).lower()
    is_number = name == "ext" or (name == "phone-context" and value.startswith("+"))
    return value.translate(_SEPARATORS) if is_number else value


def tel_of_sip(uri: Uri) -> TelUri | None:
    """The tel URI that a SIP URI stands for (RFC 3261 §19.1.6): one with user=phone, or an E.164 user with "+"."""
    if isinstance(uri, TelUri):
        return uri
    if not isinstance(uri, SipUri) or uri.user is None:
        return None
    is_phone = (uri.params.get("user") or "").lower() == "phone"
    number, semicolon, params = uri.user.partition(";")
    if not is_phone and _GLOBAL_USER.fullmatch(unescape(number)) is None:
        return None
    try:
        tel = parse_uri(f"tel:{unescape(number)}{semicolon}{params}")
    except SipParseError:
        return None
    return tel if isinstance(tel, TelUri) else None


def sip_uri_of_tel(tel: TelUri, host: str, *, scheme: str = "sip") -> SipUri:
    """The SIP URI with user=phone for a number in the domain *host* (RFC 3261 §19.1.6)."""
    return SipUri(scheme, escape(f"{tel.digits}{tel.params}"), None, host, None, Params((("user", "phone"),)))


def identity_key(uri: Uri, home_domains: Collection[str] | None = None) -> str:
    """What makes two spellings of a public identity one (choice): ``tel:+digits`` for a number, global or in a home
    domain, else ``sip:user@host`` without parameters. Empty for a local number: it has no key until it is normalised.

    *home_domains* are the carriers' (lower case); None takes every home network domain of TS 23.003 §13.2 for one."""
    if not isinstance(uri, SipUri):
        if isinstance(uri, OtherUri):
            return f"{uri.scheme.lower()}:{uri.rest}"
        return f"tel:{uri.digits}" if uri.is_global else ""
    host = uri.host.lower()
    is_home = _HOME_NETWORK.fullmatch(host) is not None if home_domains is None else host in home_domains
    if is_home and uri.user is not None:
        number = uri.user.partition(";")[0]
        if "%" in number:
            number = unescape(number)
        if number[:1] == "+" and _GLOBAL_USER.fullmatch(number):
            return f"tel:{number.translate(_SEPARATORS)}"
    user = uri.user
    if user is None:
        return f"sip:{host}"
    return f"sip:{_comparable(user) if '%' in user else user}@{host}"
