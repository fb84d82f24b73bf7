"""SIP messages: lossless, read lazily, never changed in place (RFC 3261 §7).

A message holds its header lines as they came. A typed value is parsed when somebody asks for it, once; a message that
nobody edited encodes to the octets that were received."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self, TypeAlias, TypeVar

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.address_headers import Via
from ims_core.wire.sip.core_headers import CALL_ID, CallId, ContentType, CSeq
from ims_core.wire.sip.editor import Editor, header_line
from ims_core.wire.sip.grammar import SipParseError, end_of_value, is_token, refuse_injection, unfold
from ims_core.wire.sip.header import Header
from ims_core.wire.sip.header_names import KEYS, key_of
from ims_core.wire.sip.memo import Memo
from ims_core.wire.sip.reasons import REASONS
from ims_core.wire.sip.shape import Order, Shape, shape_of
from ims_core.wire.sip.uri import URIS, Uri

__all__ = ["REASONS", "Editor", "HeaderInput", "Request", "Response", "SipMessage", "status_line"]

H = TypeVar("H", bound=Header)
HeaderInput: TypeAlias = Header | tuple[str, str]

_STATUS_LINES = {status: f"SIP/2.0 {status} {phrase}" for status, phrase in REASONS.items()}
_COPIED_INTO_RESPONSE = frozenset(("via", "from", "to", "call-id", "cseq"))  # RFC 3261 §8.2.6.2
_COPIED_INTO_TRYING = _COPIED_INTO_RESPONSE | {"timestamp"}  # §8.2.6.1


class SipMessage:
    """A request or response. Text is UTF-8; octets that are not are kept as surrogate escapes."""

    __slots__ = ("_all", "_first", "_keys", "_lines", "_octets", "_shape", "_start", "body")

    _start: str
    _lines: list[str]  # as on the wire, folds inside
    _keys: list[str]  # the canonical name of each line
    _octets: bytes | None
    _first: dict[type[Header], Header]  # what was parsed
    _all: dict[type[Header], tuple[Header, ...]] | None
    _shape: Shape | None
    body: bytes

    def __init__(self, start: str, lines: list[str], keys: list[str], body: bytes, octets: bytes | None = None) -> None:
        """For the parser and the editor: *lines* as on the wire (folds inside), *keys* their canonical names."""
        raise NotImplementedError  # abstract: every subclass has its own

    # --- reading -----------------------------------------------------------------------------------------------------

    def get(self, header: type[H]) -> H | None:
        """The first value of that header, None if there is none. Raises SipParseError if it is malformed."""
        cached = self._first.get(header)
        if cached is not None:
            return cached  # type: ignore[return-value]  # the cache maps each class to its own instances
        place = (self._shape or self.shape).first.get(header.KEY)
        if place is None:
            return None
        text = self._lines[place].partition(":")[2]
        text = unfold(text) if "\r" in text else text.strip(" \t")
        if not header.IS_ALONE:
            if header.IS_LIST and "," in text:
                text = text[: end_of_value(text)].rstrip(" \t")
            elif header.IS_JOINED and header.KEY in (self._shape or self.shape).repeated:
                text = ", ".join(self.texts(header.KEY))
        value: H = header.VALUES[text]
        self._first[header] = value
        return value

    def get_all(self, header: type[H]) -> tuple[H, ...]:
        """Every value of that header in order, from all its fields and their comma lists. Raises SipParseError."""
        if self._all is None:
            self._all = {}
        cached = self._all.get(header)
        if cached is None:
            places = (self._shape or self.shape).places.get(header.KEY)
            cached = self._all[header] = () if places is None else self._read_all(header, places)
        return cached  # type: ignore[return-value]  # the cache maps each class to its own instances

    def _read_all(self, header: type[Header], places: tuple[int, ...]) -> tuple[Header, ...]:
        if header.IS_JOINED:
            joined = self.get(header)
            return () if joined is None else (joined,)
        if len(places) == 1:
            text = self._lines[places[0]].partition(":")[2].strip(" \t")
            if text and "," not in text and "\r" not in text:
                return (header.VALUES[text],)
        return header.values_of(self.texts(header.KEY))

    def require(self, header: type[H]) -> H:
        """The first value of that header. Raises SipParseError if it is absent or malformed."""
        value = self.get(header)
        if value is None:
            raise SipParseError(f"no {header.NAME}", spec="RFC 3261 §8.1.1")
        return value

    def text(self, name: str) -> str | None:
        """The first value of that name (any case, long or compact) as text, unfolded; None if absent."""
        place = (self._shape or self.shape).first.get(KEYS.get(name) or key_of(name))
        if place is None:
            return None
        value = self._lines[place].partition(":")[2]
        return unfold(value) if "\r" in value else value.strip(" \t")

    def texts(self, name: str) -> tuple[str, ...]:
        """The text of each header field of that name, unfolded."""
        places = (self._shape or self.shape).places.get(KEYS.get(name) or key_of(name))
        if places is None:
            return ()
        lines = self._lines
        return tuple([_value_of(lines[place]) for place in places])

    def first_lines(self, one: str, other: str) -> tuple[str, str]:
        """The first header field with each of these canonical keys as it came, with its name; "" if there is none."""
        first, lines = (self._shape or self.shape).first, self._lines
        return (lines[first[one]] if one in first else "", lines[first[other]] if other in first else "")

    def has(self, name: str) -> bool:
        """Whether there is a header field of that name."""
        return (KEYS.get(name) or key_of(name)) in (self._shape or self.shape).first

    @property
    def shape(self) -> Shape:
        """Where the fields of each name stand."""
        shape = self._shape
        if shape is None:
            shape = self._shape = shape_of(self._keys)
        return shape

    def names(self) -> tuple[str, ...]:
        """The canonical key (lower case, long form) of each header field, in order."""
        return tuple(self._keys)

    def fields(self) -> tuple[tuple[str, str], ...]:
        """The name as it was spelled, and the text, unfolded, of each header field, in order."""
        return tuple([(line.partition(":")[0].rstrip(" \t"), _value_of(line)) for line in self._lines])

    def not_echoed(self, sent: SipMessage, headers: Iterable[type[Header]]) -> list[type[Header]]:
        """Those of *headers* whose first field is not that of *sent*, octet for octet but for a tag behind it."""
        other = []
        places, lines, sent_places, sent_lines = self.shape.first, self._lines, sent.shape.first, sent._lines
        for header in headers:
            key = header.KEY
            if key in places and key in sent_places:
                line, echoed = lines[places[key]], sent_lines[sent_places[key]]
                if line == echoed or (line.startswith(f"{echoed};tag=") and is_token(line[len(echoed) + 5 :])):
                    continue
            other.append(header)
        return other

    def echoes(self, sent: SipMessage) -> bool:
        """Whether every Via, From, To, Call-ID and CSeq is that of *sent*, but for a tag behind To: the usual case."""
        shape, sent_shape = self._shape or self.shape, sent._shape or sent.shape
        if shape.copied_keys != sent_shape.copied_keys or not shape.copied:
            return False
        came, went = shape.copy(self._lines), sent_shape.copy(sent._lines)
        to, tag_at = came[-3], len(went[-3]) + 5
        is_same = came[-2:] == went[-2:] and came[:-3] == went[:-3]
        return is_same and (to == went[-3] or (to.startswith(f"{went[-3]};tag=") and is_token(to[tag_at:])))

    def repeated(self, names: frozenset[str]) -> str | None:
        """The first of these canonical keys that more than one header field has; None if there is none."""
        for key in self.shape.repeated:
            if key in names:
                return key
        return None

    @property
    def call_id(self) -> str:
        """Call-ID. Raises SipParseError if absent or malformed."""
        place = (self._shape or self.shape).first.get("call-id")
        text = "" if place is None else self._lines[place].partition(":")[2].strip(" \t")
        return text if CALL_ID.fullmatch(text) else self.require(CallId).value

    @property
    def cseq(self) -> CSeq:
        """CSeq. Raises SipParseError if absent or malformed."""
        cseq = self.get(CSeq)
        return self.require(CSeq) if cseq is None else cseq

    @property
    def top_via(self) -> Via:
        """The topmost Via. Raises SipParseError if absent or malformed."""
        via = self.get(Via)
        return self.require(Via) if via is None else via

    @property
    def content_type(self) -> ContentType | None:
        """Content-Type, None if absent. Raises SipParseError if malformed."""
        return self.get(ContentType)

    # --- writing -----------------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """The octets of the message; exactly those received if it was not edited."""
        octets = self._octets
        if octets is None:
            head = "\r\n".join([self._start, *self._lines, "\r\n"])
            octets = self._octets = head.encode("utf-8", "surrogateescape") + self.body
        return octets

    def edit(self) -> Editor[Self]:
        """An editor on a copy of the header lines; its done() gives the new message."""
        return Editor(self, self._start, self._lines.copy(), self._keys.copy(), self.body)

    def with_top_via(self, via: Via) -> Self:
        """The same with *via* in the place of its topmost Via; what was parsed stays so."""
        keys, place = self._keys, self._keys.index("via")
        if "," in self._lines[place] or "content-length" not in keys:
            message = self.edit().replace_first(via).done()
        else:
            lines = self._lines.copy()
            lines[place] = header_line("Via", str(via))
            message = type(self)(self._start, lines, keys, self.body)
            message._shape = self._shape
        message._first = {**self._first, Via: via}
        return message

    def below_via(self, text: str) -> Self:
        """The same with one Via more, *text*, on top (RFC 3261 §16.6 step 8)."""
        keys = self._keys
        if "content-length" not in keys:
            return self.edit().push("Via", text).done()
        lines, place = self._lines, keys.index("via") if "via" in keys else 0
        lines = [*lines[:place], header_line("Via", text), *lines[place:]]
        return type(self)(self._start, lines, [*keys[:place], "via", *keys[place:]], self.body)

    def without_top_via(self) -> Self:
        """The same without its topmost Via, which has to be there (RFC 3261 §16.7 step 3)."""
        keys, lines, place = self._keys, self._lines, self._keys.index("via")
        if "," in lines[place] or "content-length" not in keys:
            return self.edit().pop(Via).done()
        return type(self)(
            self._start, [*lines[:place], *lines[place + 1 :]], [*keys[:place], *keys[place + 1 :]], self.body
        )

    def summary(self) -> str:
        """One line for a trace or a ladder."""
        raise NotImplementedError  # abstract: every subclass has its own

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.summary()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SipMessage) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())


class Request(SipMessage):
    """A SIP request (RFC 3261 §7.1)."""

    __slots__ = ("_request_uri", "method", "request_uri_text")

    def __init__(self, start: str, lines: list[str], keys: list[str], body: bytes, octets: bytes | None = None) -> None:
        self._start, self._lines, self._keys, self._octets, self.body = start, lines, keys, octets, body
        self._first, self._all = {}, None
        self._shape = keys.shape if type(keys) is Order else None
        self.method, self.request_uri_text, _ = start.split(" ")
        self._request_uri: Uri | None = None

    @classmethod
    def new(
        cls,
        method: str,
        uri: Uri | str,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
    ) -> Self:
        """A request of these header fields in this order, then Content-Type and Content-Length."""
        if not is_token(method):
            raise LocalProtocolError(f"not a method: {method!r}", spec="RFC 3261 §7.1")
        start = f"{method} {_request_uri_text(uri)} SIP/2.0"
        return cls(start, *_header_fields(headers, body, content_type), body)

    @property
    def request_uri(self) -> Uri:
        """The Request-URI. Raises SipParseError if malformed."""
        uri = self._request_uri
        if uri is None:
            uri = self._request_uri = URIS[self.request_uri_text]
        return uri

    def mark_top_via(self, line: str) -> None:
        """Puts the field *line* in the place of its topmost Via, which has to be the only one of its field. For the
        stack that receives it, before anybody else has seen it: the one change in place that there is."""
        self._lines[(self._shape or self.shape).first["via"]] = line
        self._octets = None
        self._first.pop(Via, None)
        if self._all is not None:
            self._all.pop(Via, None)

    def outline(self, names: frozenset[str]) -> Self:
        """The same without its body, and with no other fields than those of these canonical *names*: to be kept."""
        kept = [(line, key) for line, key in zip(self._lines, self._keys, strict=True) if key in names]
        return type(self)(self._start, [line for line, _ in kept], [key for _, key in kept], b"")

    def summary(self) -> str:
        return f"{self.method} {self.request_uri_text}"


class Response(SipMessage):
    """A SIP response (RFC 3261 §7.2)."""

    __slots__ = ("reason", "status")

    def __init__(self, start: str, lines: list[str], keys: list[str], body: bytes, octets: bytes | None = None) -> None:
        self._start, self._lines, self._keys, self._octets, self.body = start, lines, keys, octets, body
        self._first, self._all = {}, None
        self._shape = keys.shape if type(keys) is Order else None
        self.status, self.reason = _STATUSES[start]

    @classmethod
    def new(
        cls,
        status: int,
        reason: str | None = None,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
    ) -> Self:
        """A response of these header fields in this order, then Content-Type and Content-Length."""
        return cls(status_line(status, reason), *_header_fields(headers, body, content_type), body)

    @classmethod
    def to(
        cls,
        request: Request,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: Iterable[HeaderInput] = (),
        body: bytes = b"",
        content_type: ContentType | str | None = None,
    ) -> Self:
        """The response of a UAS to *request* (RFC 3261 §8.2.6): all Via, From, To, Call-ID and CSeq as they came.

        *to_tag* is added to To if it has no tag; a 100 repeats Timestamp. A malformed request gives what it can."""
        shape = request._shape or request.shape
        if shape.copied and status != 100:
            lines, keys = [*shape.copy(request._lines)], [*shape.copied_keys]
            if to_tag is not None:
                lines[-3] = _with_tag(lines[-3], to_tag)  # Via and From, To, Call-ID and CSeq
        else:
            lines, keys = _copied_fields(request, status, to_tag)
        more_lines, more_keys = _header_fields(headers, body, content_type)
        start = _STATUS_LINES.get(status) if reason is None else None
        return cls(start or status_line(status, reason), lines + more_lines, keys + more_keys, body)

    def summary(self) -> str:
        try:
            return f"{self.status} {self.reason} ({self.cseq.method})"
        except SipParseError:
            return f"{self.status} {self.reason}"


def _read_status(start: str) -> tuple[int, str]:
    status, _, reason = start[8:].partition(" ")
    return int(status), reason


_STATUSES: Memo[tuple[int, str]] = Memo(_read_status)


def status_line(status: int, reason: str | None) -> str:
    """Status-Line (RFC 3261 §7.2), with the usual reason phrase unless one is given."""
    if not 100 <= status <= 699:
        raise LocalProtocolError(f"not a status code: {status}", spec="RFC 3261 §7.2")
    phrase = REASONS.get(status, "Unknown") if reason is None else refuse_injection(reason, "the reason phrase")
    return f"SIP/2.0 {status} {phrase}"


def _value_of(line: str) -> str:
    value = line.partition(":")[2]
    return unfold(value) if "\r" in value else value.strip(" \t")


def _request_uri_text(uri: Uri | str) -> str:
    text = refuse_injection(str(uri), "the Request-URI")
    if not text or " " in text or "\t" in text:
        raise LocalProtocolError(f"not a Request-URI: {text!r}", spec="RFC 3261 §7.1")
    return text


def _header_fields(
    headers: Iterable[HeaderInput], body: bytes, content_type: ContentType | str | None
) -> tuple[list[str], list[str]]:
    """Lines and keys of these fields, Content-Type and Content-Length."""
    lines, keys, known = [], [], KEYS
    for header in headers:
        name, text = header if type(header) is tuple else _name_and_text(header)
        key = known.get(name) or key_of(name)
        if key != "content-length":
            keys.append(key)
            lines.append(f"{name}: {text}")
    written = "".join(lines)
    if "\n" in written or "\r" in written or "\0" in written:
        for line in lines:
            header_line(*line.split(": ", 1))  # raises for the one that is to blame
    if content_type is not None:
        keys.append("content-type")
        lines.append(header_line("Content-Type", str(content_type)))
    keys.append("content-length")
    lines.append(f"Content-Length: {len(body)}")
    return lines, keys


def _name_and_text(header: HeaderInput) -> tuple[str, str]:
    return (header.NAME, str(header)) if isinstance(header, Header) else header


def _copied_fields(request: Request, status: int, to_tag: str | None) -> tuple[list[str], list[str]]:
    lines, keys = _all_copies(request, status)
    if to_tag is not None and status != 100 and "to" in keys:
        place = keys.index("to")
        lines[place] = _with_tag(lines[place], to_tag)
    return lines, keys


def _all_copies(request: Request, status: int) -> tuple[list[str], list[str]]:
    copied = _COPIED_INTO_TRYING if status == 100 else _COPIED_INTO_RESPONSE
    lines, keys = [], []
    for line, key in zip(request._lines, request._keys, strict=True):
        if key in copied and (key == "via" or key not in keys):  # a repeated From is what the request is refused for
            keys.append(key)
            lines.append(line)
    return lines, keys


def _with_tag(line: str, tag: str) -> str:
    """A To line with a tag unless it has one; also for a line that cannot be parsed."""
    if not (tag.isalnum() and tag.isascii()) and not is_token(tag):
        raise LocalProtocolError(f"not a tag: {tag!r}", spec="RFC 3261 §19.3")
    if line[-1:] == ">":  # nothing behind the URI
        return f"{line};tag={tag}"
    after_uri = _value_of(line).rpartition(">")[2]
    has_tag = ";" in after_uri and any(
        parameter.partition("=")[0].strip(" \t").lower() == "tag" for parameter in after_uri.split(";")[1:]
    )
    return line if has_tag else f"{line.rstrip()};tag={tag}"
