"""Edits of a message: one copy of its header lines, changed by steps that can be chained, then a new message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.grammar import end_of_value, refuse_injection, unfold
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.header_names import KEYS, key_of

if TYPE_CHECKING:
    from ims_core.wire.sip.core_headers import ContentType
    from ims_core.wire.sip.message import SipMessage
    from ims_core.wire.sip.uri import Uri

__all__ = ["Editor", "header_line"]

# Headers whose commas do not part values (RFC 3261 §7.3.1, §25.1)
_NOT_LISTS = frozenset(
    (
        *("authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info"),
        *("date", "call-id", "cseq", "from", "to", "subject", "organization", "server", "user-agent", "retry-after"),
    )
)

M = TypeVar("M", bound="SipMessage")


def header_line(name: str, text: str) -> str:
    """A header field for the wire. Raises LocalProtocolError for a value that would end the line or inject another."""
    if not text.isprintable():
        refuse_injection(text, name)
    return f"{name}: {text}"


class Editor(Generic[M]):
    """Edits a copy; each method but done() returns the editor. Typed headers and (name, text) pairs are taken alike."""

    __slots__ = ("_body", "_keys", "_lines", "_source", "_start")

    def __init__(self, source: M, start: str, lines: list[str], keys: list[str], body: bytes) -> None:
        self._source = source
        self._start = start
        self._lines = lines
        self._keys = keys
        self._body = body

    @overload
    def set(self, header: Header, text: None = None) -> Self: ...
    @overload
    def set(self, header: str, text: str) -> Self: ...
    def set(self, header: Header | str, text: str | None = None) -> Self:
        """One field of that name with this value: at the place of the first of that name, or at the end."""
        key, line = _field(header, text)
        keys = self._keys
        if key not in keys:
            keys.append(key)
            self._lines.append(line)
            return self
        place = keys.index(key)
        self._lines[place] = line
        if keys.count(key) > 1:
            self._remove(key, place + 1)
        return self

    @overload
    def push(self, header: Header, text: None = None) -> Self: ...
    @overload
    def push(self, header: str, text: str) -> Self: ...
    def push(self, header: Header | str, text: str | None = None) -> Self:
        """A field above the first of that name; at the top of the header section if there is none."""
        key, line = _field(header, text)
        keys = self._keys
        place = keys.index(key) if key in keys else 0
        keys.insert(place, key)
        self._lines.insert(place, line)
        return self

    @overload
    def append(self, header: Header, text: None = None) -> Self: ...
    @overload
    def append(self, header: str, text: str) -> Self: ...
    def append(self, header: Header | str, text: str | None = None) -> Self:
        """A field below the last of that name; at the end if there is none."""
        key, line = _field(header, text)
        keys = self._keys
        place = len(keys) - keys[::-1].index(key) if key in keys else len(keys)
        return self._insert(place, key, line)

    def remove(self, *names: str | type[Header]) -> Self:
        """Away with every field of these names."""
        keys = self._keys
        for name in names:
            key = KEYS.get(name) or key_of(name) if isinstance(name, str) else name.KEY
            while key in keys:
                place = keys.index(key)
                del keys[place], self._lines[place]
        return self

    def replace_first(self, header: Header) -> Self:
        """The first value of that name, which has to be there, is this one now: of a comma list the rest stays."""
        key, line = _field(header, None)
        place = self._keys.index(key)
        if key in _NOT_LISTS or "," not in self._lines[place]:
            self._lines[place] = line
        else:
            self.pop(type(header))._insert(place, key, line)
        return self

    def pop(self, header: type[Header] | str) -> Self:
        """Away with the first value of that name: of a comma list the rest stays. Nothing happens if there is none."""
        key = _key(header)
        if key not in self._keys:
            return self
        place = self._keys.index(key)
        name, _, value = self._lines[place].partition(":")
        rest = "" if key in _NOT_LISTS or "," not in value else _after_first(unfold(value))
        if rest:
            self._lines[place] = f"{name}: {rest}"
        else:
            del self._lines[place], self._keys[place]
        return self

    def body(self, octets: bytes, content_type: ContentType | str | None = None) -> Self:
        """Another body, with Content-Length and, if given, Content-Type; an empty body has no Content-Type."""
        self._body = octets
        if content_type is not None:
            self.set("Content-Type", str(content_type))
        elif not octets:
            self.remove("Content-Type")
        return self.set("Content-Length", str(len(octets)))

    def request_uri(self, uri: Uri | str) -> Self:
        """Another Request-URI."""
        text = refuse_injection(str(uri), "the Request-URI")
        if not text or " " in text or "\t" in text:
            raise LocalProtocolError(f"not a Request-URI: {text!r}", spec="RFC 3261 §7.1")
        method, _, rest = self._start.partition(" ")
        self._start = f"{method} {text} {rest.rpartition(' ')[2]}"
        return self

    def start(self, status: int, reason: str | None = None) -> Self:
        """Another status and reason phrase."""
        from ims_core.wire.sip.message import status_line  # message imports this module

        self._start = status_line(status, reason)
        return self

    def done(self) -> M:
        """The new message. It has a Content-Length, which stream transports need (RFC 3261 §16.6 step 8)."""
        if "content-length" not in self._keys:
            self._insert(len(self._keys), "content-length", f"Content-Length: {len(self._body)}")
        return type(self._source)(self._start, self._lines, self._keys, self._body)

    def _insert(self, place: int, key: str, line: str) -> Self:
        self._keys.insert(place, key)
        self._lines.insert(place, line)
        return self

    def _remove(self, key: str, start: int) -> None:
        """Away with the fields of that key from place *start* on."""
        keys, lines = self._keys, self._lines
        while key in keys[start:]:
            place = keys.index(key, start)
            del keys[place], lines[place]


def _after_first(value: str) -> str:
    return value[end_of_value(value) + 1 :].lstrip(" \t")


def _field(header: Header | str, text: str | None) -> tuple[str, str]:
    if not isinstance(header, str):
        return header.KEY, header_line(header.NAME, str(header))
    if text is None:
        raise LocalProtocolError(f"no value for {header}", spec="RFC 3261 §7.3")
    return KEYS.get(header) or key_of(header), header_line(header, text)


def _key(header: type[Header] | str) -> str:
    return KEYS.get(header) or key_of(header) if isinstance(header, str) else header.KEY
