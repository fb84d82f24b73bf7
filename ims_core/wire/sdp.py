"""Session descriptions: lossless parse and encode (RFC 8866, RFC 4566), offer and answer (RFC 3264)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self

from ims_core.errors import LocalProtocolError, RemoteProtocolError

__all__ = [
    "MAX_DESCRIPTION_OCTETS",
    "MAX_LINES",
    "Connection",
    "Line",
    "MediaDescription",
    "Origin",
    "SdpParseError",
    "SessionDescription",
    "reject",
    "verify_answer",
]

MAX_DESCRIPTION_OCTETS = 64 * 1024  # what a SIP message may carry of it; real ones have less than 2 KiB
MAX_LINES = 1024  # of a whole description; real ones have less than 100

_LONGEST_HOST = 255  # characters (RFC 1035 §2.3.4)
# type "=" value CRLF, type one small letter that the standard knows: a description with another letter is not for us
# (RFC 8866 §5). NUL, CR and LF are in no value (byte-string, RFC 8866 §9).
_LINE = re.compile(r"([vosiuepcbtrzkam])=([^\0\r\n]*)")
_FORBIDDEN = re.compile(r"[\0\r\n]")
_ONCE_PER_SESSION = "vosiuc"
_ONCE_PER_MEDIA = "mi"
_MEDIA_LETTERS = frozenset("micbka")
_WORD = re.compile(r"[^\0\r\n ]+")
# sess-id = 1*DIGIT; sess-version = 1*DIGIT. RFC 3264 §5 wants 64 bits: what is longer is never converted.
_NUMBER = re.compile(r"[0-9]{1,20}")
# media = token; port = 1*DIGIT ["/" integer]; proto = token *("/" token); fmt = token
_MEDIA = re.compile(r"([^\0\r\n ]+) +([0-9]{1,5})(?:/[0-9]{1,5})? +([^\0\r\n ]+) +([^\0\r\n ][^\0\r\n]*)")
_LABEL = r"[0-9A-Za-z_](?:[-0-9A-Za-z_]*[0-9A-Za-z_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_ADDRESS_KINDS: Mapping[str, type[IPv4Address] | type[IPv6Address]] = {"IP4": IPv4Address, "IP6": IPv6Address}
_NEVER_ENDING = "0 0"  # start and stop time of a session that SIP begins and ends (RFC 3264 §5)


class SdpParseError(RemoteProtocolError):
    """Octets that are no session description, or an answer that does not fit its offer."""

    def __init__(self, message: str, *, spec: str = "RFC 8866 §9", raw: bytes | str = b"") -> None:
        octets = raw.encode("utf-8", "surrogatepass") if isinstance(raw, str) else raw
        super().__init__(message, spec=spec, raw=octets)


@dataclass(frozen=True, slots=True)
class Line:
    """One line, ``type=value`` (RFC 8866 §5). Raises LocalProtocolError for a value that would end it early."""

    type: str
    value: str

    def __post_init__(self) -> None:
        if _FORBIDDEN.search(self.value) is not None:
            raise LocalProtocolError(f"a line holds CR, LF or NUL: {self.value[:64]!r}", spec="RFC 8866 §9 byte-string")

    @classmethod
    def attribute(cls, name: str, value: str | None = None) -> Self:
        """``a=name``, a property, or ``a=name:value`` (RFC 8866 §5.13)."""
        return cls("a", name if value is None else f"{name}:{value}")

    def __str__(self) -> str:
        return f"{self.type}={self.value}"


@dataclass(frozen=True, slots=True)
class Origin:
    """o= line: who made the session, and which version of its description this is (RFC 8866 §5.2)."""

    username: str
    session_id: int
    version: int
    network_type: str
    address_type: str
    address: str

    @classmethod
    def of(cls, address: str, session_id: int, version: int | None = None, username: str = "-") -> Self:
        """Origin at *address*, an IP address or a host name; the version begins as the session id does."""
        return cls(username, session_id, session_id if version is None else version, "IN", _type_of(address), address)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SdpParseError."""
        words = text.split(" ")
        if len(words) != 6 or not all(words) or not all(_NUMBER.fullmatch(word) for word in words[1:3]):
            raise SdpParseError("malformed o= line", spec="RFC 8866 §5.2", raw=text)
        return cls(words[0], int(words[1]), int(words[2]), *words[3:])

    def __str__(self) -> str:
        words = (self.username, str(self.session_id), str(self.version), self.network_type, self.address_type)
        return _joined((*words, self.address))

    def next(self) -> Self:
        """The origin of the next description, which differs from this one (RFC 3264 §8)."""
        return replace(self, version=self.version + 1)


@dataclass(frozen=True, slots=True)
class Connection:
    """c= line: where media goes (RFC 8866 §5.7). *address* keeps the suffixes of multicast, ``/ttl/count``."""

    network_type: str
    address_type: str
    address: str

    @classmethod
    def of(cls, host: str) -> Self:
        """Connection at an IP address or, as IP4, a host name. Raises LocalProtocolError for what is neither."""
        if not _is_sound_address("IN", _type_of(host), host):
            raise LocalProtocolError(f"neither an IP address nor a host name: {host[:64]!r}", spec="RFC 8866 §5.7")
        return cls("IN", _type_of(host), host)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises SdpParseError. Network and address types that nobody knows are kept."""
        words = text.rstrip(" ").split(" ")
        if len(words) != 3 or not all(words) or not _is_sound_address(words[0], words[1], words[2].partition("/")[0]):
            raise SdpParseError("malformed c= line", spec="RFC 8866 §5.7", raw=text)
        return cls(*words)

    def __str__(self) -> str:
        return _joined((self.network_type, self.address_type, self.address))

    @property
    def host(self) -> str:
        """IP address, without brackets, or host name."""
        return self.address.partition("/")[0]


class _Described:
    """What session and media have in common: lines, attributes among them."""

    __slots__ = ()
    lines: tuple[Line, ...]

    def attributes(self, name: str) -> tuple[str, ...]:
        """The values of every ``a=`` line of this name, in order; "" for one without a value.

        Names are compared without regard to case (choice): RFC 8866 §5.13 has them exact, peers write a=Setup."""
        wanted = name.lower()
        pairs = (line.value.partition(":") for line in self.lines if line.type == "a")
        return tuple([value for found, _, value in pairs if found.lower() == wanted])

    def attribute(self, name: str) -> str | None:
        """The first value of an attribute; "" if it has none, None if it is not there."""
        found = self.attributes(name)
        return found[0] if found else None

    def has(self, name: str) -> bool:
        return bool(self.attributes(name))


@dataclass(frozen=True, slots=True)
class MediaDescription(_Described):
    """One media description, from its m= line on (RFC 8866 §5.14).

    *lines* are all of it as received, the m= line first; the other fields are what they say. *connection* is its own
    or the session's, None only where the media is rejected (port 0)."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    connection: Connection | None
    lines: tuple[Line, ...]

    @classmethod
    def of(
        cls,
        kind: str,
        port: int,
        protocol: str,
        formats: Sequence[str],
        *,
        connection: Connection | None = None,
        attributes: Iterable[tuple[str, str | None]] = (),
    ) -> Self:
        """New media. *connection* is written as its own c= line. Raises LocalProtocolError."""
        lines = [Line("m", _joined((kind, str(port), protocol, *formats)))]
        lines += [] if connection is None else [Line("c", str(connection))]
        lines += [Line.attribute(name, value) for name, value in attributes]
        return cls(kind, port, protocol, tuple(formats), connection, tuple(lines))

    @classmethod
    def _of_lines(cls, lines: tuple[Line, ...], of_session: Connection | None) -> Self:
        if not _MEDIA_LETTERS.issuperset([line.type for line in lines]):
            raise SdpParseError("a line that belongs to the session follows m=", spec="RFC 8866 §5", raw=str(lines[0]))
        _refuse_repeated(lines, _ONCE_PER_MEDIA)
        found = _MEDIA.fullmatch(lines[0].value)
        if found is None or int(found[2]) > 65535:
            raise SdpParseError("malformed m= line", spec="RFC 8866 §5.14", raw=lines[0].value)
        own = [Connection.parse(line.value) for line in lines if line.type == "c"]
        connection = own[0] if own else of_session
        # DEVIATION: RFC 8866 §5.7 wants a c= line for rejected media too; nobody connects to it, and some leave it out.
        if connection is None and int(found[2]) != 0:
            raise SdpParseError("media without a c= line", spec="RFC 8866 §5.7", raw=lines[0].value)
        formats = tuple([word for word in found[4].split(" ") if word])
        return cls(found[1], int(found[2]), found[3], formats, connection, lines)


@dataclass(frozen=True, slots=True)
class SessionDescription(_Described):
    """A session description (RFC 8866). *lines* are those before the first m= line, as received; *origin* and
    *connection* are what they say."""

    origin: Origin
    connection: Connection | None
    lines: tuple[Line, ...]
    media: tuple[MediaDescription, ...]

    @classmethod
    def of(
        cls,
        origin: Origin,
        media: Iterable[MediaDescription],
        *,
        connection: Connection | None = None,
        name: str = "-",
        times: Sequence[str] = (_NEVER_ENDING,),
        attributes: Iterable[tuple[str, str | None]] = (),
    ) -> Self:
        """A new description. Media without a c= line of its own takes *connection*. Raises LocalProtocolError."""
        lines = [Line("v", "0"), Line("o", str(origin)), Line("s", name)]
        lines += [] if connection is None else [Line("c", str(connection))]
        lines += [Line("t", time) for time in times]
        lines += [Line.attribute(name, value) for name, value in attributes]
        return cls(origin, connection, tuple(lines), tuple([_placed(each, connection) for each in media]))

    @classmethod
    def answering(
        cls, offer: SessionDescription, accepted: Mapping[int, MediaDescription], origin: Origin, connection: Connection
    ) -> Self:
        """The answer that accepts the media at these indices and rejects the others: as many m= lines as the offer
        has, in its order, and its t= lines (RFC 3264 §6). Raises LocalProtocolError for an index beyond the offer."""
        if accepted.keys() - range(len(offer.media)):
            raise LocalProtocolError("an answer has no other media than its offer", spec="RFC 3264 §6")
        media = [accepted.get(index) or reject(offered) for index, offered in enumerate(offer.media)]
        times = [line.value for line in offer.lines if line.type == "t"]
        return cls.of(origin, media, connection=connection, times=times or (_NEVER_ENDING,))

    @classmethod
    def parse(cls, octets: bytes) -> Self:
        """Raises SdpParseError, and nothing else, for any octets. Lines may end with a bare LF."""
        lines = _split(octets)
        starts = [index for index, line in enumerate(lines) if line.type == "m"]
        ends = [*starts[1:], len(lines)]
        head = lines[: starts[0]] if starts else lines
        if not head or head[0] != Line("v", "0"):
            raise SdpParseError("it does not begin with v=0", spec="RFC 8866 §5.1", raw=octets)
        # DEVIATION: RFC 8866 §5 fixes the order of lines and demands s= and t=; answers without t= are in the field.
        _refuse_repeated(head, _ONCE_PER_SESSION)
        origins = [Origin.parse(line.value) for line in head if line.type == "o"]
        if not origins:
            raise SdpParseError("an o= line is missing", spec="RFC 8866 §5.2", raw=octets)
        found = [Connection.parse(line.value) for line in head if line.type == "c"]
        connection = found[0] if found else None
        media = [MediaDescription._of_lines(lines[a:b], connection) for a, b in zip(starts, ends, strict=False)]
        return cls(origins[0], connection, head, tuple(media))

    def encode(self) -> bytes:
        """The octets: lines as they were received or made, each with CRLF. Raises LocalProtocolError."""
        lines = [*self.lines, *(line for media in self.media for line in media.lines)]
        try:
            return "".join([f"{line.type}={line.value}\r\n" for line in lines]).encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise LocalProtocolError("a line is not text", spec="RFC 8866 §9 byte-string") from None

    def with_origin(self, origin: Origin) -> Self:
        """The same with another o= line."""
        lines = [Line("o", str(origin)) if line.type == "o" else line for line in self.lines]
        return replace(self, origin=origin, lines=tuple(lines))

    def following(self, previous: SessionDescription) -> Self:
        """The same with the origin that it must have after *previous*, which was our last one in this dialog: the same
        version if nothing else differs, one more if something does (RFC 3264 §8).

        Raises LocalProtocolError if it has fewer m= lines: none ever goes away, it gets port 0."""
        if len(self.media) < len(previous.media):
            raise LocalProtocolError("an m= line never goes away", spec="RFC 3264 §8")
        same = self.with_origin(previous.origin)
        is_equal = same.media == previous.media and same.lines == previous.with_origin(previous.origin).lines
        return same if is_equal else self.with_origin(previous.origin.next())

    def is_refresh_of(self, previous: SessionDescription) -> bool:
        """Whether the peer repeats the description *previous*, as for a session refresh: the origin did not change
        (RFC 3264 §8)."""
        return self.origin == previous.origin


def reject(media: MediaDescription) -> MediaDescription:
    """What an answer has for offered media that it does not take: the same m= line with port 0 (RFC 3264 §6)."""
    return MediaDescription.of(media.kind, 0, media.protocol, media.formats)


def verify_answer(offer: SessionDescription, answer: SessionDescription) -> None:
    """Raises SdpParseError unless *answer* has the m= lines of *offer*: as many, in its order, of the same kind, and,
    where it takes them, of the same protocol (RFC 3264 §6)."""
    if len(offer.media) != len(answer.media):
        seen = f"an answer with {len(answer.media)} m= lines to an offer with {len(offer.media)}"
        raise SdpParseError(seen, spec="RFC 3264 §6")
    for offered, answered in zip(offer.media, answer.media, strict=True):
        is_same = offered.kind.lower() == answered.kind.lower() and (
            answered.port == 0 or offered.protocol.lower() == answered.protocol.lower()
        )
        if not is_same:
            raise SdpParseError("an m= line does not answer its own", spec="RFC 3264 §6", raw=answered.lines[0].value)
        if offered.port == 0 and answered.port != 0:
            raise SdpParseError("rejected media is accepted", spec="RFC 3264 §6", raw=answered.lines[0].value)


def _split(octets: bytes) -> tuple[Line, ...]:
    if len(octets) > MAX_DESCRIPTION_OCTETS:
        raise SdpParseError(f"longer than {MAX_DESCRIPTION_OCTETS} octets", raw=octets)
    rows = octets.decode("utf-8", "surrogateescape").split("\n")
    while rows and rows[-1] in ("", "\r"):
        rows.pop()
    if len(rows) > MAX_LINES:
        raise SdpParseError(f"more than {MAX_LINES} lines", raw=octets)
    lines = []
    for row in rows:
        found = _LINE.fullmatch(row.removesuffix("\r"))
        if found is None:
            raise SdpParseError("not a line of a session description", raw=octets)
        lines.append(Line(found[1], found[2]))
    return tuple(lines)


def _refuse_repeated(lines: Sequence[Line], letters: str) -> None:
    types = [line.type for line in lines]
    for letter in letters:
        if types.count(letter) > 1:
            raise SdpParseError(f"a second {letter}= line", spec="RFC 8866 §5", raw=str(lines[0]))


def _placed(media: MediaDescription, connection: Connection | None) -> MediaDescription:
    """*media* with the connection that it has in this session."""
    has_own = any(line.type == "c" for line in media.lines)
    placed = media if has_own else replace(media, connection=connection)
    if placed.connection is None and placed.port != 0:
        raise LocalProtocolError("media without a c= line", spec="RFC 8866 §5.7")
    return placed


def _joined(words: Iterable[str]) -> str:
    kept = tuple(words)
    if not all(_WORD.fullmatch(word) for word in kept):
        raise LocalProtocolError(f"an empty word, or one with a space, CR, LF or NUL: {kept!r}", spec="RFC 8866 §9")
    return " ".join(kept)


def _type_of(host: str) -> str:
    return "IP6" if ":" in host else "IP4"


def _is_sound_address(network_type: str, address_type: str, host: str) -> bool:
    kind = _ADDRESS_KINDS.get(address_type)
    if network_type != "IN" or kind is None:
        return bool(host)
    if ":" not in host and not host.removesuffix(".").rpartition(".")[2].isdigit():
        return len(host) <= _LONGEST_HOST and _HOST_NAME.fullmatch(host) is not None
    try:
        kind(host)
    except AddressValueError:
        return False
    return "%" not in host
