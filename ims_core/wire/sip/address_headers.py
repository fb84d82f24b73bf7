"""Headers that hold a name-addr, and Via (RFC 3261 §20; RFC 3327, 3515, 3608, 3892, 7315, 3325, 5502)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from ims_core.wire.sip.grammar import (
    QUOTED,
    TOKEN,
    SipParseError,
    is_token,
    parse_delta_seconds,
    quote,
    unquote,
)
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.memo import Memo, slot_setters
from ims_core.wire.sip.params import HEADER_PARAMS, NO_PARAMS, Params
from ims_core.wire.sip.uri import URIS, OtherUri, Uri, parse_uri, sound_host, sound_port

__all__ = [
    "Contact",
    "From",
    "NameAddr",
    "PAssertedIdentity",
    "PAssociatedUri",
    "PCalledPartyId",
    "PPreferredIdentity",
    "PServedUser",
    "Path",
    "RecordRoute",
    "ReferTo",
    "ReferredBy",
    "Route",
    "ServiceRoute",
    "To",
    "Via",
]

# name-addr = [ display-name ] LAQUOT addr-spec RAQUOT;  display-name = *(token LWS) / quoted-string
# DEVIATION: RFC 3261 §25.1 allows only tokens unquoted; handsets also send UTF-8 there.
# Each character can match in one way only, so that matching is linear.
_NAME_ADDR = re.compile(
    rf"(?:({QUOTED})[ \t]*|([-.!%*_+`'~0-9A-Za-z \t\x80-\U0010ffff]*))<([^<>\" \t]+)>({HEADER_PARAMS})"
)
_NAMELESS = re.compile(rf"<([^<>\" \t]+)>({HEADER_PARAMS})")
_ADDR_SPEC = re.compile(rf"([^<>\"\s;,?]+)({HEADER_PARAMS})")
_PARAMS = re.compile(HEADER_PARAMS)
_USUAL_TAGGED = re.compile(rf"<([^<>\" \t]+)>(?:;tag=({TOKEN}))?")  # From and To as nearly all write them
_Q_VALUE = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")
_DIGITS = re.compile("[0-9]+")
_MALFORMED_CONTACT_EXPIRES_S = 3600  # RFC 3261 §20.10

# via-parm = sent-protocol LWS sent-by *( SEMI via-params );  sent-by = host [ COLON port ]
_VIA = re.compile(
    rf"[sS][iI][pP][ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({TOKEN})[ \t]+"
    r"([0-9A-Za-z_][-0-9A-Za-z_.]*|\[[0-9A-Fa-f:.]+\])"
    rf"(?:[ \t]*:[ \t]*([0-9]{{1,5}}))?({HEADER_PARAMS})"
)
# As nearly all write it: its parameters need not be taken apart again
_USUAL_VIA = re.compile(
    rf"SIP/2\.0/([A-Z]+) ([0-9A-Za-z][-0-9A-Za-z_.]*)(?::([0-9]{{1,5}}))?;branch=({TOKEN})(;rport)?"
)


@dataclass(frozen=True, slots=True, init=False)
class NameAddr(Header):
    """name-addr or addr-spec with header parameters. *display_name* is without quotes; None where there is none."""

    display_name: str | None
    uri: Uri
    params: Params = NO_PARAMS

    def __init__(self, display_name: str | None, uri: Uri, params: Params = NO_PARAMS) -> None:
        # Written out, as in Via and SipUri: the __init__ of a frozen dataclass takes twice as long.
        _set_display_name(self, display_name)
        _set_uri(self, uri)
        _set_params(self, params)

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _NAMELESS.fullmatch(text)
        if found is not None:
            uri, params = found.groups()
            return cls(None, URIS[uri], Params.of_sound_text(params) if params else NO_PARAMS)
        head, bracket, params = text.rpartition(">;")
        if bracket and _PARAMS.fullmatch(params := f";{params}"):
            # What stands before the parameters, which differ with each dialog, has mostly been seen before.
            bare = _bare[f"{head}>"]
            if bare is not None:
                return cls(*bare, Params.of_sound_text(params))
        return cls._parse_whole(text)

    @classmethod
    def _parse_whole(cls, text: str) -> Self:
        found = _NAME_ADDR.fullmatch(text)
        if found is None:
            return cls._parse_bare(text)
        return cls(*_name_and_uri(found), Params.of_sound_text(found[4]))

    @classmethod
    def _parse_bare(cls, text: str) -> Self:
        """addr-spec without <>: what follows the first ";" are header parameters; no "?" (RFC 3261 §20)."""
        found = _ADDR_SPEC.fullmatch(text.strip(" \t"))
        if found is None:
            raise SipParseError(f"{cls.NAME} is not a name-addr", raw=text, spec="RFC 3261 §20.10")
        return cls(None, parse_uri(found[1]), Params.of_sound_text(found[2]))

    @classmethod
    def of(cls, uri: Uri | str, *, display_name: str | None = None, params: Params = NO_PARAMS) -> Self:
        """A value for that URI."""
        return cls(display_name, parse_uri(uri) if isinstance(uri, str) else uri, params)

    def with_param(self, name: str, value: str | None = None) -> Self:
        """The same with a header parameter."""
        return replace(self, params=self.params.with_(name, value))

    def __str__(self) -> str:
        if self.display_name is None:
            return f"<{self.uri}>{self.params}"
        words = self.display_name.split(" ")
        name = self.display_name if words and all(is_token(word) for word in words) else quote(self.display_name)
        return f"{name} <{self.uri}>{self.params}"


_set_display_name, _set_uri, _set_params = slot_setters(NameAddr)


def _name_and_uri(found: re.Match[str]) -> tuple[str | None, Uri]:
    quoted, words, uri = found.group(1, 2, 3)
    name = unquote(quoted) if words is None else words.strip(" \t") or None if words else None
    return name, parse_uri(uri)


def _read_bare_name_addr(text: str) -> tuple[str | None, Uri] | None:
    found = _NAME_ADDR.fullmatch(text)
    return None if found is None else _name_and_uri(found)


_bare: Memo[tuple[str | None, Uri] | None] = Memo(_read_bare_name_addr)  # by text up to the ">"


class _Tagged(NameAddr):
    __slots__ = ()
    REMEMBERED = 128

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _USUAL_TAGGED.fullmatch(text)
        if found is None:
            return super().parse(text)
        uri, tag = found.groups()
        return cls(None, URIS[uri], NO_PARAMS if tag is None else Params((("tag", tag),)))

    @classmethod
    def is_sound(cls, text: str) -> bool:
        """True if *text* can be parsed, as far as can be told without making a value: its URI was met before."""
        found = _USUAL_TAGGED.fullmatch(text)
        return found is not None and found[1] in URIS

    @property
    def tag(self) -> str | None:
        """The tag parameter."""
        return self.params.get("tag")

    def with_tag(self, tag: str) -> Self:
        """The same with that tag."""
        return self.with_param("tag", tag)


class From(_Tagged, name="From"):
    """From (RFC 3261 §20.20)."""

    __slots__ = ()


class To(_Tagged, name="To"):
    """To (RFC 3261 §20.39)."""

    __slots__ = ()


class Contact(NameAddr, name="Contact"):
    """Contact (RFC 3261 §20.10), also the wildcard "*" that removes all bindings."""

    __slots__ = ()
    IS_LIST = True

    @classmethod
    def parse(cls, text: str) -> Self:
        if text.strip(" \t") == "*":
            return cls(None, OtherUri("*", ""))
        return super().parse(text)

    @property
    def is_wildcard(self) -> bool:
        return self.uri.scheme == "*"

    @property
    def expires(self) -> int | None:
        """The expires parameter in seconds; a malformed one counts as 3600 (RFC 3261 §20.10), None if absent."""
        text = self.params.get("expires")
        if text is None:
            return None
        return parse_delta_seconds(text, "expires") if _DIGITS.fullmatch(text) else _MALFORMED_CONTACT_EXPIRES_S

    @property
    def q(self) -> float:
        """Preference from 0 to 1; 1 if absent (RFC 3261 §20.10). Raises SipParseError if malformed."""
        text = self.params.get("q")
        if text is None:
            return 1.0
        if _Q_VALUE.fullmatch(text) is None:
            raise SipParseError("q is not a number from 0 to 1", raw=text, spec="RFC 3261 §25.1 qvalue")
        return float(text)

    @property
    def instance(self) -> str | None:
        """+sip.instance without quotes and brackets, such as urn:gsma:imei:... (RFC 5626 §4.1)."""
        value = self.params.get("+sip.instance")
        return value.removeprefix("<").removesuffix(">") if value else None

    @property
    def reg_id(self) -> int | None:
        """reg-id (RFC 5626 §4.2); None if absent or not a number from 1 to 2**31 - 1."""
        text = self.params.get("reg-id") or ""
        number = parse_delta_seconds(text, "reg-id") if _DIGITS.fullmatch(text) else 0
        return number if 0 < number < 2**31 else None

    def __str__(self) -> str:
        return "*" if self.is_wildcard else super().__str__()


class _RouteList(NameAddr):
    __slots__ = ()
    IS_LIST = True


class Route(_RouteList, name="Route"):
    """Route (RFC 3261 §20.34)."""

    __slots__ = ()


class RecordRoute(_RouteList, name="Record-Route"):
    """Record-Route (RFC 3261 §20.30)."""

    __slots__ = ()


class Path(_RouteList, name="Path"):
    """Path (RFC 3327)."""

    __slots__ = ()


class ServiceRoute(_RouteList, name="Service-Route"):
    """Service-Route (RFC 3608)."""

    __slots__ = ()


class PAssertedIdentity(_RouteList, name="P-Asserted-Identity"):
    """P-Asserted-Identity (RFC 3325 §9.1)."""

    __slots__ = ()


class PPreferredIdentity(_RouteList, name="P-Preferred-Identity"):
    """P-Preferred-Identity (RFC 3325 §9.2)."""

    __slots__ = ()


class PAssociatedUri(_RouteList, name="P-Associated-URI"):
    """P-Associated-URI (RFC 7315 §4.1)."""

    __slots__ = ()


class PCalledPartyId(NameAddr, name="P-Called-Party-ID"):
    """P-Called-Party-ID (RFC 7315 §4.2)."""

    __slots__ = ()


class PServedUser(NameAddr, name="P-Served-User"):
    """P-Served-User (RFC 5502)."""

    __slots__ = ()


class ReferTo(NameAddr, name="Refer-To"):
    """Refer-To (RFC 3515 §2.1)."""

    __slots__ = ()


class ReferredBy(NameAddr, name="Referred-By"):
    """Referred-By (RFC 3892)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True, init=False)
class Via(Header, name="Via"):
    """One hop of Via (RFC 3261 §20.42). *transport* is in upper case; *host* of an IPv6 address keeps its brackets."""

    IS_LIST = True
    REMEMBERED = 128
    transport: str
    host: str
    port: int | None = None
    params: Params = NO_PARAMS

    def __init__(self, transport: str, host: str, port: int | None = None, params: Params = NO_PARAMS) -> None:
        _set_via_transport(self, transport)
        _set_via_host(self, host)
        _set_via_port(self, port)
        _set_via_params(self, params)

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _USUAL_VIA.fullmatch(text)
        if found is None:
            return cls._parse_unusual(text)
        transport, host, port, branch, rport = found.groups()
        pairs = (("branch", branch), ("rport", None)) if rport else (("branch", branch),)
        return cls(transport, sound_host(host), None if port is None else sound_port(port), Params(pairs))

    @classmethod
    def _parse_unusual(cls, text: str) -> Self:
        found = _VIA.fullmatch(text)
        if found is None:
            raise SipParseError("not a Via", raw=text, spec="RFC 3261 §20.42")
        transport, host, port, params = found.groups()
        sound_host(host)
        number = None if port is None else sound_port(port)
        return cls(transport.upper(), host, number, Params.of_sound_text(params))

    @property
    def branch(self) -> str | None:
        """The branch parameter; a transaction of RFC 3261 has one that begins with z9hG4bK and goes on."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address that the request came from, without the brackets some put around IPv6 (RFC 5118 §4.5)."""
        value = self.params.get("received")
        return value.removeprefix("[").removesuffix("]") if value else None

    @property
    def rport(self) -> int | None:
        """The source port (RFC 3581); None if absent or not filled in yet (see has_rport)."""
        text = self.params.get("rport")
        return int(text) if text and _DIGITS.fullmatch(text) and len(text) <= 5 else None

    @property
    def has_rport(self) -> bool:
        """Whether rport is asked for or filled in."""
        return self.params.has("rport")

    @property
    def sent_by(self) -> str:
        """host or host:port, lower case: what a client compares with its own (RFC 3261 §18.1.2)."""
        return self.host.lower() if self.port is None else f"{self.host.lower()}:{self.port}"

    def with_received(self, host: str, port: int | None) -> Self:
        """What the receiver of a request writes into its top Via (RFC 3261 §18.2.1, RFC 3581 §4).

        received is added if *host* differs from the sent-by host or rport is there; rport then gets *port*."""
        address = host.strip("[]")
        if port is not None and self.params.has("rport"):
            params = self._params_of_source(address, str(port))
        elif self.host.strip("[]").lower() != address.lower():
            params = self.params.with_("received", address)
        else:
            return self
        return type(self)(self.transport, self.host, self.port, params)

    def _params_of_source(self, address: str, port: str) -> Params:
        *others, last = self.params.pairs
        if last == ("rport", None) and not any([name.lower() in ("received", "rport") for name, _ in others]):
            return Params((*others, ("rport", port), ("received", address)))  # as nearly all clients write it
        return self.params.with_("received", address).with_("rport", port)

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/2.0/{self.transport} {self.host}{port}{self.params}"


_set_via_transport, _set_via_host, _set_via_port, _set_via_params = slot_setters(Via)
