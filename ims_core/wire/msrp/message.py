"""MSRP requests and responses: lossless, read lazily, never changed in place (RFC 4975 §5, §7, §9).

Header fields are read in any order and keep it. A message that was received encodes to the octets that came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Self, TypeAlias

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.header_fields import (
    FAILURE_REPORTS,
    REASONS,
    ByteRange,
    Continuation,
    FailureReport,
    MsrpParseError,
    ReportStatus,
    can_use,
    header_key,
    is_echoed_id,
    is_method,
    is_transaction_id,
)
from ims_core.wire.msrp.uri import MsrpUri, encode_path, parse_path

__all__ = [
    "REASONS",
    "ByteRange",
    "Continuation",
    "FailureReport",
    "Field",
    "MsrpMessage",
    "MsrpParseError",
    "MsrpRequest",
    "MsrpResponse",
    "PathInput",
    "ReportStatus",
    "can_use",
    "header_key",
    "is_transaction_id",
    "report_of",
]

PathInput: TypeAlias = str | Iterable[MsrpUri]
Field: TypeAlias = tuple[str, str]

_WHOLE: Final = ByteRange(1, None, None)


class MsrpMessage:
    """A request or a response. Text is UTF-8; octets that are not are kept as surrogate escapes.

    *body* is None without one, and in the head of a chunk whose octets come apart from it; *has_body* says which.
    *continuation* is None in such a head, because the end line is still to come."""

    __slots__ = (
        *("_fields", "_from_path", "_head", "_to_path", "_values"),
        *("body", "continuation", "has_body", "transaction_id"),
    )

    def __init__(
        self,
        transaction_id: str,
        fields: Sequence[Field],
        values: dict[str, str] | None,
        body: bytes | None,
        continuation: Continuation | None,
    ) -> None:
        """*fields* with To-Path and From-Path among them; *values* the first of each key, if that is known already."""
        self.transaction_id = transaction_id
        self._fields = fields
        self._values = values
        self.body = body
        self.continuation = continuation
        self.has_body = body is not None or continuation is None
        self._head: bytes | None = None
        self._to_path: tuple[MsrpUri, ...] | None = None
        self._from_path: tuple[MsrpUri, ...] | None = None

    # --- reading -----------------------------------------------------------------------------------------------------

    def text(self, name: str) -> str | None:
        """The first value of that name, in any case, None if absent."""
        return self._known_values().get(name.lower())

    def _known_values(self) -> dict[str, str]:
        values = self._values
        if values is None:
            values = self._values = _first_values(self._fields)
        return values

    def texts(self, name: str) -> tuple[str, ...]:
        """The value of each header field of that name."""
        key = name.lower()
        return tuple([value for known, value in self._fields if known.lower() == key])

    @property
    def headers(self) -> tuple[Field, ...]:
        """Name as it was spelled, and value, of each header field but To-Path and From-Path, in order."""
        return tuple([field for field in self._fields if header_key(field[0]) not in ("to-path", "from-path")])

    def shed(self) -> None:
        """Forgets what can be read again from its fields: it is kept, perhaps for long, in case a REPORT is due."""
        self._values = self._head = self._to_path = self._from_path = None

    @property
    def to_path(self) -> tuple[MsrpUri, ...]:
        """To-Path, next hop first. Raises MsrpUriError if malformed: what the decoder gives is not."""
        path = self._to_path
        if path is None:
            path = self._to_path = parse_path(self.text("To-Path") or "")
        return path

    @property
    def from_path(self) -> tuple[MsrpUri, ...]:
        """From-Path, last hop first. Raises MsrpUriError if malformed: what the decoder gives is not."""
        path = self._from_path
        if path is None:
            path = self._from_path = parse_path(self.text("From-Path") or "")
        return path

    @property
    def content_type(self) -> str | None:
        """Content-Type as it was written."""
        return self.text("Content-Type")

    def summary(self) -> str:
        """One line for a trace or a ladder."""
        raise NotImplementedError  # abstract: every subclass has its own

    # --- writing -----------------------------------------------------------------------------------------------------

    def start_line(self) -> str:
        """The first line of the message."""
        raise NotImplementedError  # abstract: every subclass has its own

    def head_octets(self) -> bytes:
        """Everything before the body; before the end line if there is none."""
        head = self._head
        if head is None:
            lines = [self.start_line(), *[f"{name}: {value}" for name, value in self._fields]]
            text = "\r\n".join(lines) + ("\r\n\r\n" if self.has_body else "")
            head = self._head = text.encode("utf-8", "surrogateescape")
        return head

    def end_line(self, continuation: Continuation) -> bytes:
        """The CRLF that belongs to the frame, and the end line (RFC 4975 §7.1)."""
        return f"\r\n-------{self.transaction_id}{continuation.value}\r\n".encode("ascii")

    def encode(self) -> bytes:
        """The octets of the message, those that came if it was received; without *continuation* its head only."""
        if self.continuation is None:
            return self.head_octets()
        return b"".join((self.head_octets(), self.body or b"", self.end_line(self.continuation)))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.transaction_id} {self.summary()}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MsrpMessage) and self.encode() == other.encode()

    def __hash__(self) -> int:
        return hash(self.encode())


class MsrpRequest(MsrpMessage):
    """An MSRP request (RFC 4975 §7.1), or the head of a chunk. Any method; those unknown are for a 501."""

    __slots__ = ("_byte_range", "method")

    def __init__(
        self,
        transaction_id: str,
        method: str,
        to_path: PathInput,
        from_path: PathInput,
        headers: Iterable[Field] = (),
        body: bytes | None = None,
        continuation: Continuation | None = Continuation.COMPLETE,
    ) -> None:
        """*headers* in the order of the wire. Raises LocalProtocolError if the id would end the body early."""
        if not is_transaction_id(transaction_id):
            raise LocalProtocolError(f"not a transaction id: {transaction_id!r}", spec="RFC 4975 §9")
        if not is_method(method):
            raise LocalProtocolError(f"not a method: {method!r}", spec="RFC 4975 §9")
        if body is not None and not can_use(transaction_id, body):
            raise LocalProtocolError("the body contains its own end line", spec="RFC 4975 §7.1")
        super().__init__(transaction_id, _fields_of(to_path, from_path, headers), None, body, continuation)
        self.method = method
        self._byte_range: ByteRange | None = None

    @classmethod
    def received(
        cls,
        transaction_id: str,
        method: str,
        fields: Sequence[Field],
        values: dict[str, str],
        head: bytes,
        continuation: Continuation | None,
    ) -> Self:
        """What the decoder read: *head* are the octets of *fields*, checked. Without *continuation* a body follows."""
        request = cls.__new__(cls)
        MsrpMessage.__init__(request, transaction_id, fields, values, None, continuation)
        request._head = head
        request.method = method
        request._byte_range = None
        return request

    @property
    def message_id(self) -> str:
        """Message-ID; empty if absent, as it may be where a SEND has no body."""
        return self.text("Message-ID") or ""

    @property
    def byte_range(self) -> ByteRange:
        """Byte-Range; ``1-*/*`` if absent (choice: some handsets leave it out). Raises MsrpParseError if malformed."""
        found = self._byte_range
        if found is None:
            text = self.text("Byte-Range")
            found = self._byte_range = _WHOLE if text is None else ByteRange.parse(text)
        return found

    @property
    def success_report(self) -> bool:
        """Whether a REPORT is wanted when the whole message has come (RFC 4975 §7.1.1)."""
        return (self.text("Success-Report") or "").lower() == "yes"

    @property
    def failure_report(self) -> FailureReport:
        """Which responses are wanted; what is absent or unknown is ``yes`` (RFC 4975 §7.1.1)."""
        return FAILURE_REPORTS.get((self.text("Failure-Report") or "yes").lower(), FailureReport.YES)

    @property
    def status(self) -> ReportStatus | None:
        """Status of a REPORT, None if absent or malformed."""
        return ReportStatus.parse(self.text("Status") or "")

    def with_body(self, body: bytes, continuation: Continuation) -> Self:
        """The whole chunk of which this is the head; a received head keeps its octets."""
        request = self._copy(self.transaction_id, self._fields, self._values, body, continuation)
        request._head = self._head if self.has_body else None
        return request

    def readdressed(
        self,
        transaction_id: str,
        to_path: PathInput,
        from_path: PathInput,
        *,
        byte_range: ByteRange | None = None,
        body: bytes | None = None,
        continuation: Continuation | None = None,
    ) -> Self:
        """The same for another leg: new id and paths, all else as it came where nothing else is given (digest §17.3).

        Raises LocalProtocolError if the id would end the body early."""
        body = self.body if body is None else body
        if body is not None and not can_use(transaction_id, body):
            raise LocalProtocolError("the body contains its own end line", spec="RFC 4975 §7.1")
        kept = self.headers if byte_range is None else _with_range(self.headers, byte_range)
        fields = _fields_of(to_path, from_path, kept)
        return self._copy(transaction_id, fields, None, body, continuation or self.continuation)

    def relayed_octets(
        self,
        transaction_id: str,
        path_lines: str,
        byte_range: ByteRange,
        body: bytes,
        continuation: Continuation,
    ) -> bytes:
        """As `readdressed`, but at once the octets of a received chunk's part, for a relay's many of them.

        *path_lines* are To-Path and From-Path with their line ends; the caller has made sure that the id `can_use` the
        body."""
        lines = [f"MSRP {transaction_id} {self.method}\r\n{path_lines}"]
        place_of_range = "byte-range" if "byte-range" in self._known_values() else "message-id"
        for name, value in self._fields:
            key = header_key(name)
            if key not in ("to-path", "from-path", "byte-range"):
                lines.append(f"{name}: {value}\r\n")
            if key == place_of_range:
                lines.append(f"Byte-Range: {byte_range}\r\n")
        lines.append("\r\n")
        head = "".join(lines).encode("utf-8", "surrogateescape")
        return b"".join((head, body, f"\r\n-------{transaction_id}{continuation.value}\r\n".encode("ascii")))

    def _copy(
        self,
        transaction_id: str,
        fields: Sequence[Field],
        values: dict[str, str] | None,
        body: bytes | None,
        continuation: Continuation | None,
    ) -> Self:
        request = type(self).__new__(type(self))
        MsrpMessage.__init__(request, transaction_id, fields, values, body, continuation)
        request.method = self.method
        request._byte_range = None
        return request

    def start_line(self) -> str:
        return f"MSRP {self.transaction_id} {self.method}"

    def summary(self) -> str:
        """Such as ``SEND 1-9/9 $`` or ``REPORT 1-9/9 000 200 OK``."""
        parts = [self.method]
        if self.method in ("SEND", "REPORT"):
            parts.append(self.text("Byte-Range") or str(_WHOLE))
        if self.method == "REPORT":
            parts.append(self.text("Status") or "")
        elif self.continuation is not None and self.has_body:
            parts.append(self.continuation.value)
        return " ".join(parts).rstrip()


class MsrpResponse(MsrpMessage):
    """An MSRP response (RFC 4975 §7.2)."""

    __slots__ = ("comment", "status")

    def __init__(
        self,
        transaction_id: str,
        status: int,
        comment: str | None,
        to_path: PathInput,
        from_path: PathInput,
        headers: Iterable[Field] = (),
    ) -> None:
        if not is_echoed_id(transaction_id):
            raise LocalProtocolError(f"not a transaction id: {transaction_id!r}", spec="RFC 4975 §9")
        if not 100 <= status <= 999:
            raise LocalProtocolError(f"not a status code: {status}", spec="RFC 4975 §9")
        if comment is not None:
            _refuse_injection(comment)
        fields = _fields_of(to_path, from_path, headers)
        super().__init__(transaction_id, fields, None, None, Continuation.COMPLETE)
        self.status = status
        self.comment = comment

    @classmethod
    def received(
        cls,
        transaction_id: str,
        status: int,
        comment: str | None,
        fields: Sequence[Field],
        values: dict[str, str],
        head: bytes,
        continuation: Continuation | None,
    ) -> Self:
        """What the decoder read: *head* are the octets of *fields*, checked. Without *continuation* a body follows."""
        response = cls.__new__(cls)
        MsrpMessage.__init__(response, transaction_id, fields, values, None, continuation)
        response._head = head
        response.status = status
        response.comment = comment
        return response

    @classmethod
    def to(cls, request: MsrpRequest, status: int, comment: str | None = None, headers: Iterable[Field] = ()) -> Self:
        """The response to *request* (RFC 4975 §7.2). One to a SEND goes to the last hop only, all others back to the
        origin. Without *comment* it is the usual text of that status."""
        to_path = (request.text("From-Path") or "").strip()
        if request.method == "SEND":
            to_path = to_path.partition(" ")[0]
        from_path = (request.text("To-Path") or "").strip().partition(" ")[0]
        known = REASONS.get(status) if comment is None else comment
        return cls(request.transaction_id, status, known, to_path, from_path, headers)

    def with_body(self, body: bytes, continuation: Continuation) -> Self:
        """The whole response of which this is the head."""
        response = type(self).__new__(type(self))
        MsrpMessage.__init__(response, self.transaction_id, self._fields, self._values, body, continuation)
        response._head = self._head
        response.status = self.status
        response.comment = self.comment
        return response

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def start_line(self) -> str:
        comment = "" if self.comment is None else f" {self.comment}"
        return f"MSRP {self.transaction_id} {self.status:03d}{comment}"

    def summary(self) -> str:
        return f"{self.status:03d} {self.comment or ''}".rstrip()


def report_of(
    request: MsrpRequest,
    transaction_id: str,
    status: int = 200,
    byte_range: ByteRange | None = None,
    comment: str | None = None,
) -> MsrpRequest:
    """The REPORT about a SEND (RFC 4975 §7.1.2): back over its whole From-Path, about *byte_range* or its own."""
    text = REASONS.get(status, "") if comment is None else comment
    headers = (
        ("Message-ID", request.message_id),
        ("Byte-Range", str(request.byte_range if byte_range is None else byte_range)),
        ("Status", f"000 {status:03d} {text}".rstrip()),
    )
    from_path = (request.text("To-Path") or "").strip().partition(" ")[0]
    return MsrpRequest(transaction_id, "REPORT", request.text("From-Path") or "", from_path, headers)


def _fields_of(to_path: PathInput, from_path: PathInput, headers: Iterable[Field]) -> list[Field]:
    fields = [("To-Path", _path_text(to_path)), ("From-Path", _path_text(from_path)), *headers]
    for name, value in fields:
        _refuse_injection(value)
        if header_key(name) is None:
            raise LocalProtocolError(f"not a header name: {name!r}", spec="RFC 4975 §9")
    return fields


def _with_range(headers: Sequence[Field], byte_range: ByteRange) -> list[Field]:
    """With that Byte-Range in its place, which is after Message-ID where there was none."""
    keys = [header_key(name) for name, _ in headers]
    fields = list(headers)
    if "byte-range" in keys:
        fields[keys.index("byte-range")] = ("Byte-Range", str(byte_range))
    else:
        fields.insert(keys.index("message-id") + 1 if "message-id" in keys else 0, ("Byte-Range", str(byte_range)))
    return fields


def _path_text(path: PathInput) -> str:
    return path if isinstance(path, str) else encode_path(path)


def _refuse_injection(value: str) -> None:
    if "\r" in value or "\n" in value:
        raise LocalProtocolError(f"a line break in a header value: {value!r}", spec="RFC 4975 §9")


def _first_values(fields: Iterable[Field]) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in fields:
        values.setdefault(name.lower(), value)
    return values
