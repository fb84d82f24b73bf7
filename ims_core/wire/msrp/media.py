"""The m= line of a message session: what it says, how it is offered and answered (RFC 4975 §8, RFC 6135, RFC 6714)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from ims_core.wire.msrp.fingerprint import Fingerprint
from ims_core.wire.msrp.uri import MsrpUri, MsrpUriError, encode_path, parse_path
from ims_core.wire.sdp import (
    Connection,
    MediaDescription,
    Origin,
    SdpParseError,
    SessionDescription,
    verify_answer,
)

__all__ = [
    "NO_PORT",
    "Direction",
    "Fingerprint",
    "MediaRefused",
    "MsrpMedia",
    "Setup",
    "answer",
    "offer",
]

NO_PORT = 9  # discard: what an m= line has whose side only connects and never listens (RFC 4145 §4.1)

_PROTOCOLS: Mapping[str, bool] = {"tcp/msrp": False, "tcp/tls/msrp": True}  # whether TLS is below MSRP
_SIZE = re.compile(r"[0-9]{1,19}")  # octets; a longer number is none that anybody means
# DEVIATION: RFC 4975 §8.6 has max-size alone; a client in the field has maxsize. Both are read and written.
_SIZE_NAMES = ("max-size", "maxsize")
_ALL_TYPES = ("*",)


class Setup(Enum):
    """Value of a=setup (RFC 4145 §4): who opens the connection."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


class Direction(Enum):
    """In which directions content goes, as seen from who says it (RFC 3264 §5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    def answering(self, offered: Direction) -> Direction:
        """What is left of this where the peer offered *offered* (RFC 3264 §6.1)."""
        return _DIRECTIONS[self.sends and offered.receives, self.receives and offered.sends]


_DIRECTIONS: Mapping[tuple[bool, bool], Direction] = {(each.sends, each.receives): each for each in Direction}

# a= lines that have a field of their own; a=connection is neither read nor ever written (RFC 6135 §4.4).
_KNOWN = frozenset(
    (
        *("accept-types", "accept-wrapped-types", "path", "setup", "msrp-cema", "fingerprint", "connection"),
        *_SIZE_NAMES,
        *(each.value for each in Direction),
    )
)


class MediaRefused(RemoteProtocolError):
    """A description without media for a message session. *status* is the answer to an offer of it; after an answer
    the session is ended instead. *is_cema_in_the_way*: a new offer without a=msrp-cema may help (RFC 6714 §4.2)."""

    def __init__(
        self,
        why: str,
        *,
        spec: str = "RFC 4975 §8",
        raw: bytes = b"",
        status: int = 488,
        is_cema_in_the_way: bool = False,
    ) -> None:
        super().__init__(why, spec=spec, raw=raw)
        self.why = why
        self.status = status
        self.is_cema_in_the_way = is_cema_in_the_way


@dataclass(frozen=True, slots=True, kw_only=True)
class MsrpMedia:
    """One side of a message session, as its m= line describes it.

    *host* and *port* are those of c= and m=, without brackets; *path* is next hop first; *setup* is None for
    an RFC 4975 peer, and for a value that nobody knows (choice); *max_size* is in octets; *extra* are the other a=
    lines, in order."""

    host: str
    port: int
    is_tls: bool
    path: tuple[MsrpUri, ...]
    accept_types: tuple[str, ...] = _ALL_TYPES
    accept_wrapped_types: tuple[str, ...] = ()
    setup: Setup | None = None
    has_cema: bool = False
    fingerprints: tuple[Fingerprint, ...] = ()
    max_size: int | None = None
    direction: Direction = Direction.SENDRECV
    extra: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def of(cls, description: SessionDescription) -> tuple[int, Self]:
        """The first media that a message session can use, with its index. Raises MediaRefused if there is none."""
        refusal = MediaRefused("no m=message line over TCP/MSRP or TCP/TLS/MSRP")
        for index, media in enumerate(description.media):
            if media.kind.lower() == "message" and media.protocol.lower() in _PROTOCOLS:
                try:
                    _require_types(media)
                    return index, cls._read(media, description)
                except MediaRefused as error:
                    refusal = error
        raise refusal

    @classmethod
    def of_answer(cls, offered: SessionDescription, index: int, answered: SessionDescription) -> Self:
        """What the answer says to the media at *index* of our offer. Raises MediaRefused if it takes it not, or has
        not the m= lines of the offer (RFC 3264 §6)."""
        try:
            verify_answer(offered, answered)
        except SdpParseError as error:
            raise MediaRefused(str(error), spec=error.spec, raw=error.raw) from error
        media = answered.media[index]
        if media.protocol.lower() not in _PROTOCOLS:
            raise MediaRefused("the media is rejected", spec="RFC 3264 §6")
        return cls._read(media, answered)

    @classmethod
    def _read(cls, media: MediaDescription, description: SessionDescription) -> Self:
        if media.port == 0:
            raise MediaRefused("the media is rejected", spec="RFC 3264 §6")
        is_tls = _PROTOCOLS[media.protocol.lower()]
        fingerprints = tuple(_read_fingerprints(_inherited(media, description, "fingerprint")))
        if is_tls and not any(each.is_usable for each in fingerprints):
            # (choice): authorities count for nothing here, so without a fingerprint nobody could tell who it is.
            raise MediaRefused("TLS without a fingerprint that can be checked", spec="RFC 4975 §14.4")
        return cls(
            host=_read_host(media.connection),
            port=media.port,
            is_tls=is_tls,
            path=_read_path(media.attribute("path"), is_tls=is_tls),
            accept_types=_read_types(media, "accept-types") or _ALL_TYPES,
            accept_wrapped_types=_read_types(media, "accept-wrapped-types"),
            setup=_SETUPS.get("".join(_inherited(media, description, "setup")[:1]).strip().lower()),
            has_cema=media.has("msrp-cema"),
            fingerprints=fingerprints,
            max_size=min(_read_sizes(media), default=None),
            direction=_read_direction(media) or _read_direction(description) or Direction.SENDRECV,
            extra=tuple(_read_extra(media)),
        )

    @property
    def cm_equals_path(self) -> bool:
        """Whether c= and m= name the address and port of a URI of a=path, so that no anchor changed them
        (RFC 6714 §4.2). Behind a relay it is the relay's, or, of those who do not know CEMA, their own (choice).

        Port 9 is no address, and equals any port (choice). A name and an IP address, which only DNS could compare, are
        taken as equal if the ports are (choice)."""
        return any(self.is_at(uri) for uri in self.path)

    def is_at(self, uri: MsrpUri) -> bool:
        """Whether c= and m= name the address and port of *uri*."""
        here, there = _address_value(self.host), _address_value(uri.address)
        is_address_equal = here == there or isinstance(here, str) != isinstance(there, str)
        return is_address_equal and self.port in (uri.connect_port, NO_PORT)

    def accepts(self, content_type: str, wrapped: str | None = None) -> bool:
        """Whether this side takes content of this type, and, if it is a container, of type *wrapped* in it
        (RFC 4975 §8.6): what is taken bare is taken wrapped too. Parameters of types do not count.

        Without accept-wrapped-types anything may be wrapped (choice): a container for itself alone is no use."""
        if not _is_listed(content_type, self.accept_types):
            return False
        if wrapped is None or not self.accept_wrapped_types:
            return True
        return _is_listed(wrapped, self.accept_wrapped_types) or _is_listed(wrapped, self.accept_types)


def offer(media: MsrpMedia, origin: Origin) -> SessionDescription:
    """The offer of one message session. Raises LocalProtocolError for what no offer may have: setup passive or
    holdconn (RFC 6135 §4.2), port 9 of a side that is to be connected to, TLS without fingerprint or msrps."""
    _refuse_unfit(media, (None, Setup.ACTIVE, Setup.ACTPASS))
    connection = Connection.of(media.host)
    return SessionDescription.of(origin, [_describe(media, _protocol(media), ("*",))], connection=connection)


def answer(offered: SessionDescription, index: int, media: MsrpMedia, origin: Origin) -> SessionDescription:
    """The answer that takes the media at *index* of an offer and rejects the others (RFC 3264 §6).

    Its direction is limited to what the offer allows, and a=msrp-cema is left out if the offer has none. Raises
    LocalProtocolError for what no answer may have: setup actpass or holdconn, another protocol than was offered."""
    _refuse_unfit(media, (None, Setup.ACTIVE, Setup.PASSIVE))
    theirs = offered.media[index]
    if theirs.port == 0 or _PROTOCOLS.get(theirs.protocol.lower()) is not media.is_tls:
        raise LocalProtocolError("an answer keeps the protocol of its offer", spec="RFC 3264 §6")
    direction = _read_direction(theirs) or _read_direction(offered) or Direction.SENDRECV
    mine = replace(
        media, direction=media.direction.answering(direction), has_cema=media.has_cema and theirs.has("msrp-cema")
    )
    accepted = {index: _describe(mine, theirs.protocol, theirs.formats)}
    return SessionDescription.answering(offered, accepted, origin, Connection.of(media.host))


def _refuse_unfit(media: MsrpMedia, setups: tuple[Setup | None, ...]) -> None:
    """Raises LocalProtocolError for media that no description of ours may have."""
    fault = None
    if media.setup not in setups:
        fault = f"setup {media.setup} in the wrong place", "RFC 6135 §4.2"
    elif media.port == 0 or (media.port == NO_PORT and media.setup is not Setup.ACTIVE):
        fault = f"port {media.port} of a side that is to be connected to", "RFC 4145 §4.1"
    elif not media.path or media.path[0].is_tls != media.is_tls:
        fault = "a path whose scheme is not that of the protocol", "RFC 4975 §8.1"
    elif media.is_tls and not any(each.is_usable for each in media.fingerprints):
        fault = "TLS without a fingerprint", "RFC 4975 §14.4"
    elif media.has_cema and len(media.path) > 1 and not media.is_at(media.path[0]):
        fault = "CEMA behind a relay whose address is not in c= and m=", "RFC 6714 §4.2"
    if fault is not None:
        raise LocalProtocolError(fault[0], spec=fault[1])


def _protocol(media: MsrpMedia) -> str:
    return "TCP/TLS/MSRP" if media.is_tls else "TCP/MSRP"


def _describe(media: MsrpMedia, protocol: str, formats: tuple[str, ...]) -> MediaDescription:
    attributes: list[tuple[str, str | None]] = [("accept-types", " ".join(media.accept_types))]
    if media.accept_wrapped_types:
        attributes.append(("accept-wrapped-types", " ".join(media.accept_wrapped_types)))
    attributes += [(media.direction.value, None), ("path", encode_path(media.path))]
    if media.setup is not None:
        attributes.append(("setup", media.setup.value))
    if media.has_cema:
        attributes.append(("msrp-cema", None))
    attributes += [("fingerprint", str(each)) for each in media.fingerprints]
    if media.max_size is not None:
        attributes += [(name, str(media.max_size)) for name in _SIZE_NAMES]
    attributes += media.extra
    return MediaDescription.of("message", media.port, protocol, formats, attributes=attributes)


_SETUPS: Mapping[str, Setup] = {each.value: each for each in Setup}


def _inherited(media: MediaDescription, description: SessionDescription, name: str) -> tuple[str, ...]:
    """Values of an attribute that may stand at session level for all media (RFC 8122 §5, RFC 4145 §4)."""
    return media.attributes(name) or description.attributes(name)


def _read_host(connection: Connection | None) -> str:
    if connection is None or connection.network_type != "IN" or connection.address_type not in ("IP4", "IP6"):
        raise MediaRefused("media that is not at an IP address or host name", spec="RFC 8866 §5.7")
    return connection.host


def _read_path(text: str | None, *, is_tls: bool) -> tuple[MsrpUri, ...]:
    if text is None:
        raise MediaRefused("no a=path", spec="RFC 4975 §8.2")
    try:
        path = parse_path(text)
    except MsrpUriError as error:
        raise MediaRefused(f"a=path: {error}", spec="RFC 4975 §8.2") from error
    if path[0].transport.lower() != "tcp" or (path[0].is_tls and not is_tls):
        raise MediaRefused("a=path asks for another transport than m=", spec="RFC 4975 §8.1")
    if path[-1].session_id is None:
        raise MediaRefused("a=path whose last URI has no session id", spec="RFC 4975 §6")
    return path


def _require_types(media: MediaDescription) -> None:
    """An offer has to say what it takes; an answer that does not is taken to take all (choice)."""
    if not _read_types(media, "accept-types"):
        raise MediaRefused("no a=accept-types", spec="RFC 4975 §8.6")


def _read_types(media: MediaDescription, name: str) -> tuple[str, ...]:
    # Nearly all peers name the same few types: sessions share the texts.
    return tuple([sys.intern(word) for value in media.attributes(name) for word in value.split(" ") if word])


def _read_fingerprints(values: Iterable[str]) -> Iterable[Fingerprint]:
    """Those that can be read: a certificate must match one of them, so one left out lets nobody in."""
    for value in values:
        try:
            yield Fingerprint.parse(value)
        except SdpParseError:
            continue


def _read_sizes(media: MediaDescription) -> list[int]:
    values = [value.strip(" ") for name in _SIZE_NAMES for value in media.attributes(name)]
    return [int(value) for value in values if _SIZE.fullmatch(value)]


def _read_direction(described: MediaDescription | SessionDescription) -> Direction | None:
    return next((each for each in Direction if described.has(each.value)), None)


def _read_extra(media: MediaDescription) -> Iterable[tuple[str, str | None]]:
    for line in media.lines:
        if line.type == "a":
            name, colon, value = line.value.partition(":")
            if name.lower() not in _KNOWN:
                yield name, value if colon else None


def _is_listed(content_type: str, entries: tuple[str, ...]) -> bool:
    name = content_type.partition(";")[0].strip(" \t").lower()
    wildcard = name.partition("/")[0] + "/*"
    return any(entry == "*" or entry.partition(";")[0].lower() in (name, wildcard, "*/*") for entry in entries)


def _address_value(host: str) -> str | IPv4Address | IPv6Address:
    """What two spellings of one address have in common; a name stays a text."""
    try:
        return IPv6Address(host) if ":" in host else IPv4Address(host)
    except AddressValueError:
        return host.lower().removesuffix(".")
