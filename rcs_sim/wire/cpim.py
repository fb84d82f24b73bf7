"""CPIM message format (RFC 3862), the wrapper of everything that RCS puts into a MESSAGE or an MSRP SEND.

What is received is kept octet for octet and may be written with small deviations (digest §0.4.3); what is emitted
follows the RFC exactly. Headers are known by namespace and name, never by the prefix that the sender chose.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from enum import Flag, auto

from ims_core.errors import LocalProtocolError
from rcs_sim.wire.cpim_header import (
    CORE,
    CPM,
    GSMA,
    IMDN,
    MAAP,
    MLS,
    USUAL_PREFIXES,
    CpimAddress,
    CpimHeader,
    CpimParseError,
    declare_namespace,
    escape_value,
    is_name,
    is_uri,
    scan_parameters,
    split_header_name,
    split_parameters,
    unescape_value,
    write_header,
)
from rcs_sim.wire.mime import (
    MediaType,
    MimeHeaders,
    MimeParseError,
    decode_transfer_encoding,
    find_blank_line,
    find_header,
    parse_mime_headers,
)

__all__ = [
    "ANONYMOUS_URI",
    "CORE",
    "CPIM_CONTENT_TYPE",
    "CPM",
    "GSMA",
    "IMDN",
    "MAAP",
    "MLS",
    "CpimAddress",
    "CpimAnomaly",
    "CpimHeader",
    "CpimMessage",
    "CpimParseError",
    "compose_cpim",
]

CPIM_CONTENT_TYPE = "message/cpim"
ANONYMOUS_URI = "sip:anonymous@anonymous.invalid"

MAX_HEADER_OCTETS = 16 * 1024  # CPIM headers or MIME headers; the longest known block is below 2 KiB
MAX_HEADERS = 100
_SPEC = "RFC 3862 §2"
_CONTROLS = bytes({*range(0x20), 0x7F} - {0x09, 0x0A, 0x0D})
_DEFAULT_TYPE = MediaType("text/plain", (("charset", "us-ascii"),))  # RFC 2045 §5.2
_OPAQUE_TYPE = MediaType("application/octet-stream")


class CpimAnomaly(Flag):
    """Deviations that are accepted on receive (digest §0.4.3) and worth a line in a trace."""

    NONE = 0
    BARE_LF = auto()
    NO_SPACE_AFTER_COLON = auto()
    UNDECLARED_PREFIX = auto()
    CONTENT_LENGTH_SHORT = auto()
    UNKNOWN_TRANSFER_ENCODING = auto()


_NO_ANOMALY = CpimAnomaly.NONE

# namespace, name, name in lower case, parameters as written, raw value, index of the line
_Field = tuple[str, str, str, str, str, int]


class CpimMessage:
    """A received (or composed and re-read) CPIM message. Never changed: `with_header` and the like give a new one.

    *raw* are the octets as received; *body* is the content without its transfer encoding; *mime_headers* are those
    of the encapsulated MIME part. Look-ups take the first of several headers of one name.
    """

    __slots__ = ("_declared", "_fields", "_lines", "anomalies", "body", "mime_headers", "raw")

    raw: bytes
    body: bytes
    mime_headers: MimeHeaders
    anomalies: CpimAnomaly
    _declared: dict[str, str]
    _lines: list[str]
    _fields: list[_Field]

    @classmethod
    def parse(cls, octets: bytes) -> CpimMessage:
        """Raises CpimParseError, and nothing else, on any octets."""
        end = find_blank_line(octets, 0, MAX_HEADER_OCTETS)
        if end is None:
            raise CpimParseError("no empty line after the CPIM headers, so no MIME part", spec=_SPEC, raw=octets)
        message = cls.__new__(cls)
        message.raw = octets
        message.anomalies = _NO_ANOMALY
        message._lines = message._split_lines(octets[: end[0]])
        message._fields = message._read_fields()
        message._read_part(end[1])
        return message

    def _split_lines(self, head: bytes) -> list[str]:
        if len(head) != len(head.translate(None, _CONTROLS)):
            raise CpimParseError("control character in the headers", spec=_SPEC, raw=head)
        try:
            text = head.decode()
        except UnicodeDecodeError as error:
            raise CpimParseError("headers are not UTF-8", spec=_SPEC, raw=head) from error
        lines = text.removesuffix("\r").split("\r\n") if text else []
        if "\n" in text and any("\n" in line for line in lines):
            self.anomalies |= CpimAnomaly.BARE_LF
            lines = [line.removesuffix("\r") for line in text.split("\n")]
        if len(lines) > MAX_HEADERS:
            raise CpimParseError(f"more than {MAX_HEADERS} headers", spec=_SPEC, raw=head)
        return lines

    def _read_fields(self) -> list[_Field]:
        fields: list[_Field] = []
        declared = self._declared = {"": CORE}
        for index, line in enumerate(self._lines):
            written, usual, value = line.partition(": ")
            parameters = ""
            if not usual or ":" in written or "\r" in line or line < "!":  # those begin with white space
                written, parameters, value = self._split_line(line)
            prefix, name, folded = split_header_name(written)
            namespace = declared.get(prefix)
            if name == "NS" and (prefix == "" or namespace == CORE):
                declare_namespace(value, declared)
            elif namespace is None:
                self.anomalies |= CpimAnomaly.UNDECLARED_PREFIX
            else:
                fields.append((namespace, name, folded, parameters, value, index))
        return fields

    def _split_line(self, line: str) -> tuple[str, str, str]:
        """Name, parameters and value of any line. Raises CpimParseError."""
        written, colon, rest = line.partition(":")
        if not colon or line[0] in " \t" or "\r" in line:
            raise CpimParseError("not a header (CPIM has no continuation line)", spec=_SPEC, raw=line.encode())
        if rest[:1] == " ":
            return written, "", rest[1:]
        return written, *self._split_parameters(rest)

    def _split_parameters(self, rest: str) -> tuple[str, str]:
        """Parameters as written, and value, after a colon that no space follows."""
        split = split_parameters(rest) if rest[:1] == ";" else None
        if split is not None:
            return split
        self.anomalies |= CpimAnomaly.NO_SPACE_AFTER_COLON
        return "", rest.removeprefix("\t")

    def _read_part(self, start: int) -> None:
        block, content = self._split_part(start)
        try:
            self.mime_headers = parse_mime_headers(block)
            self.body = self._decode_content(content)
        except MimeParseError as error:
            raise CpimParseError(f"MIME part: {error}", spec="RFC 3862 §2.4", raw=error.raw) from error

    def _split_part(self, start: int) -> tuple[bytes, bytes]:
        """MIME headers and content of the encapsulated part (RFC 3862 §2.4)."""
        octets = self.raw
        if octets.startswith((b"\r\n", b"\n"), start):  # no MIME header at all
            return b"", octets[octets.index(b"\n", start) + 1 :]
        end = find_blank_line(octets, start, start + MAX_HEADER_OCTETS)
        if end is not None:
            return octets[start : end[0]], octets[end[1] :]
        if start < len(octets) <= start + MAX_HEADER_OCTETS:
            return octets[start:], b""
        raise CpimParseError("no MIME part", spec=_SPEC, raw=octets[-64:])

    def _decode_content(self, content: bytes) -> bytes:
        encoding = ""
        for name, value in self.mime_headers:
            key = name.lower()
            if key == "content-length":
                content = self._cut_to_length(content, value)
            elif key == "content-transfer-encoding":
                encoding = value
        if not encoding:
            return content
        decoded = decode_transfer_encoding(encoding, content)
        if decoded is None:
            self.anomalies |= CpimAnomaly.UNKNOWN_TRANSFER_ENCODING
        return content if decoded is None else decoded

    def _cut_to_length(self, content: bytes, declared: str) -> bytes:
        if not (declared.isascii() and declared.isdecimal() and len(declared) <= 10):
            raise CpimParseError("malformed Content-Length", spec=_SPEC, raw=declared.encode("utf-8", "replace"))
        length = int(declared)
        if length > len(content):
            raise CpimParseError(f"Content-Length {length}, but {len(content)} octets follow", spec=_SPEC)
        if length < len(content):
            self.anomalies |= CpimAnomaly.CONTENT_LENGTH_SHORT
        return content[:length]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CpimMessage) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"CpimMessage({len(self.raw)} octets, {self.content_type.essence}, message_id={self.message_id!r})"

    def raw_value(self, namespace: str, name: str) -> str | None:
        """Value of the first such header as written, else of the first whose name differs in case only (choice: the RFC
        compares exactly, peers vary)."""
        return _raw_value(self._fields, namespace, name)

    def get(self, namespace: str, name: str) -> str | None:
        """Value of the first such header, escapes resolved; None without one."""
        raw = _raw_value(self._fields, namespace, name)
        return None if raw is None else unescape_value(raw)

    def get_each(self, namespace: str, names: Sequence[str]) -> list[str | None]:
        """What `get` gives for each of *names*, which differ."""
        exact = {field[1]: field[4] for field in reversed(self._fields) if field[0] == namespace}
        values = [exact.get(name) for name in names]
        if len(values) - values.count(None) != len(exact):  # others are there, perhaps in another case
            return [self.get(namespace, name) for name in names]
        return [None if raw is None else unescape_value(raw) for raw in values]

    def get_all(self, namespace: str, name: str) -> tuple[CpimHeader, ...]:
        """Every such header in order, names compared without regard to case."""
        wanted = name.lower()
        return tuple(_header(field) for field in self._fields if field[0] == namespace and field[2] == wanted)

    @property
    def headers(self) -> tuple[CpimHeader, ...]:
        """All headers in order, without NS and without those of an undeclared prefix (digest §0.4.3)."""
        return tuple(_header(field) for field in self._fields)

    def headers_in(self, namespaces: Container[str]) -> tuple[CpimHeader, ...]:
        """The headers of *namespaces*, in order."""
        return tuple([_header(field) for field in self._fields if field[0] in namespaces])

    @property
    def sender(self) -> CpimAddress | None:
        """From. Never the authority on who sent a 1:1 message (digest §0.4.6). Raises CpimParseError if malformed."""
        raw = self.raw_value(CORE, "From")
        return None if raw is None else CpimAddress.parse(raw)

    @property
    def recipients(self) -> tuple[CpimAddress, ...]:
        """Every To. Raises CpimParseError if one is malformed."""
        return tuple(CpimAddress.parse(header.raw) for header in self.get_all(CORE, "To"))

    @property
    def message_id(self) -> str | None:
        """imdn.Message-ID (RFC 5438 §6.3); None if absent or blank."""
        return (self.get(IMDN, "Message-ID") or "").strip() or None

    @property
    def date_time(self) -> str | None:
        """DateTime as written, an RFC 3339 timestamp (RFC 3862 §3.3)."""
        return (self.get(CORE, "DateTime") or "").strip() or None

    @property
    def disposition_notification(self) -> tuple[str, ...]:
        """What imdn.Disposition-Notification asks for, lower case, without parameters (RFC 5438 §6.2)."""
        value = self.get(IMDN, "Disposition-Notification")
        if value is None:
            return ()
        wishes = (wish.partition(";")[0].strip().lower() for wish in value.split(","))
        return tuple(wish for wish in wishes if wish)

    @property
    def content_type(self) -> MediaType:
        """Type of the content; text/plain if none is given, application/octet-stream for a malformed one (choice)."""
        text = find_header(self.mime_headers, "Content-Type")
        if text is None:
            return _DEFAULT_TYPE
        try:
            return MediaType.parse(text)
        except MimeParseError:
            return _OPAQUE_TYPE

    @property
    def text(self) -> str:
        """The content as text in the charset that its type names."""
        return self.content_type.decode_text(self.body)

    def with_from(self, uri: str, display_name: str = "") -> CpimMessage:
        """The same message with exactly one From, all other octets untouched: a server asserts who sent it."""
        return self.with_header(CpimHeader(CORE, "From", CpimAddress(uri, display_name).encode()))

    def with_header(self, header: CpimHeader) -> CpimMessage:
        """The same message with exactly one such header. It takes the place of the first, else stands at the top (CPIM
        namespace) or at the end, with an NS line if needed; every other octet is untouched."""
        matching, line = self._line_indices(header.namespace, header.name), f"{write_header(header)}\r\n"
        if matching:
            return self._rebuilt({matching[0]: self._prefix_of(matching[0]) + line, **dict.fromkeys(matching[1:], "")})
        if header.namespace == CORE:
            return self._rebuilt({}, before=line)
        return self._rebuilt({}, after=self._declared_prefix(header.namespace) + line)

    def without_header(self, namespace: str, name: str) -> CpimMessage:
        """The same message without any such header; its NS line stays."""
        return self._rebuilt(dict.fromkeys(self._line_indices(namespace, name), ""))

    def with_prefix(self, namespace: str, prefix: str) -> CpimMessage:
        """The same message with the headers of *namespace* under *prefix*, for readers that know them by it alone.

        Lines that use *prefix* undeclared are dropped: they would come into force. A message that has given *prefix* to
        another namespace is returned as it is."""
        if not is_name(prefix):
            raise LocalProtocolError(f"no CPIM prefix: {prefix!r}", spec="RFC 3862 §3.4")
        ours = {field[5]: field for field in self._fields if field[0] == namespace}
        if any(field[0] != namespace and self._prefix_of(field[5]) == f"{prefix}." for field in self._fields):
            return self
        replaced: dict[int, str] = {}
        for index, line in enumerate(self._lines):
            written, _, rest = line.partition(":")
            if index in ours:
                replaced[index] = f"{prefix}.{ours[index][1]}:{rest}\r\n"
            elif written.upper() == "NS" and rest.partition("<")[2].partition(">")[0] == namespace:
                replaced[index] = f"NS: {prefix} <{namespace}>\r\n"
            elif written.startswith(f"{prefix}."):
                replaced[index] = ""
        return self if all(replaced[i].rstrip() == self._lines[i] for i in replaced) else self._rebuilt(replaced)

    def _line_indices(self, namespace: str, name: str) -> list[int]:
        wanted = name.lower()
        return [field[5] for field in self._fields if field[2] == wanted and field[0] == namespace]

    def _prefix_of(self, index: int) -> str:
        prefix, dot, _ = self._lines[index].partition(":")[0].partition(".")
        return f"{prefix}." if dot else ""

    def _declared_prefix(self, namespace: str) -> str:
        """What to write before a name of *namespace* at the end of the headers, with an NS line if none is in force."""
        for prefix, uri in self._declared.items():
            if uri == namespace:
                return f"{prefix}." if prefix else ""
        if not is_uri(namespace):
            raise LocalProtocolError(f"no namespace URI: {namespace!r}", spec="RFC 3862 §3.4")
        candidates = (USUAL_PREFIXES.get(namespace, "n1"), *(f"n{number}" for number in range(1, MAX_HEADERS + 2)))
        prefix = next(candidate for candidate in candidates if candidate not in self._declared)
        return f"NS: {prefix} <{namespace}>\r\n{prefix}."

    def _rebuilt(self, replaced: Mapping[int, str], before: str = "", after: str = "") -> CpimMessage:
        """*replaced* maps header line numbers to new lines; every other line keeps the line end that it came with."""
        lines = self.raw.split(b"\n", len(self._lines))
        part = lines.pop()
        head = b"".join(replaced[i].encode() if i in replaced else line + b"\n" for i, line in enumerate(lines))
        return CpimMessage.parse(before.encode() + head + after.encode() + part)


def _raw_value(fields: list[_Field], namespace: str, name: str) -> str | None:
    wanted, found = name.lower(), None
    for field in fields:
        if field[2] == wanted and field[0] == namespace:
            if field[1] == name:
                return field[4]
            found = field[4] if found is None else found
    return found


def _header(field: _Field) -> CpimHeader:
    return CpimHeader(field[0], field[1], field[4], scan_parameters(field[3]))


def compose_cpim(
    *,
    sender: str,
    recipient: str,
    message_id: str,
    date_time: str,
    body: bytes,
    content_type: str = "text/plain;charset=UTF-8",
    disposition_notification: Sequence[str] = (),
    content_disposition: str | None = None,
    extra: Iterable[CpimHeader] = (),
) -> bytes:
    """The usual RCS message in the order peers use (digest §4.3): From, To, NS, imdn.Message-ID, DateTime,
    imdn.Disposition-Notification, then *extra*, then the content. All namespaces are declared before the first header
    with a prefix: there are readers that look for them nowhere else (digest RCC.16 §17).

    *sender* and *recipient* are bare URIs. Raises LocalProtocolError for values that no header can carry."""
    if not (is_uri(sender) and is_uri(recipient)):
        raise LocalProtocolError(f"no URI for a CPIM address: {sender!r} or {recipient!r}", spec="RFC 3862 §3.1")
    declared, lines = _write_headers(extra) if extra else ("", "")
    head = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nNS: imdn <{IMDN}>\r\n{declared}"
        f"imdn.Message-ID: {escape_value(message_id)}\r\nDateTime: {escape_value(date_time)}\r\n"
    )
    if disposition_notification:
        head += f"imdn.Disposition-Notification: {escape_value(', '.join(disposition_notification))}\r\n"
    return (head + lines).encode() + _write_part(body, content_type, content_disposition)


def _write_headers(headers: Iterable[CpimHeader]) -> tuple[str, str]:
    """NS lines for namespaces beside those that every message has, and header lines."""
    prefixes = {CORE: "", IMDN: "imdn."}
    declared = lines = ""
    for header in headers:
        declared += _declaration(header.namespace, prefixes)
        lines += f"{prefixes[header.namespace]}{write_header(header)}\r\n"
    return declared, lines


def _declaration(namespace: str, prefixes: dict[str, str]) -> str:
    """The NS line of a namespace that *prefixes* does not have yet, and then has; "" for one that it has."""
    if namespace in prefixes:
        return ""
    prefix = USUAL_PREFIXES.get(namespace)
    if prefix is None:
        if not is_uri(namespace):
            raise LocalProtocolError(f"no namespace URI: {namespace!r}", spec="RFC 3862 §3.4")
        prefix = f"n{len(prefixes)}"
    prefixes[namespace] = f"{prefix}."
    return f"NS: {prefix} <{namespace}>\r\n"


def _write_part(body: bytes, content_type: str, content_disposition: str | None) -> bytes:
    disposition = f"Content-Disposition: {content_disposition}\r\n" if content_disposition else ""
    block = f"Content-Type: {content_type}\r\n{disposition}Content-Length: {len(body)}\r\n"
    if block.count("\n") != 2 + bool(disposition) or block.count("\r") != 2 + bool(disposition):
        raise LocalProtocolError(f"line end in a MIME header: {block!r}", spec="RFC 2045 §3")
    return f"\r\n{block}\r\n".encode() + body
