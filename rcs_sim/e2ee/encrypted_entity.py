"""The CPIM-like entity inside a SecretPayload: headers that the network does not see, and the content (RCC.16 §7.5.1).

Zero or more CPIM header lines, an empty line, MIME header lines, an empty line, the body: the CRLF that a plain text
begins with is an empty block of CPIM headers (inferred).
"""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.errors import LocalProtocolError, RemoteProtocolError
from rcs_sim.wire.cpim import CpimMessage
from rcs_sim.wire.cpim_header import CpimHeader, CpimParseError, is_uri, write_header
from rcs_sim.wire.message_reference import (
    REACTIONS_NAMESPACE,
    MessageReference,
    ReferenceDialect,
    ReferenceType,
    read_reference,
    reference_headers,
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
    "DEFAULT_CONTENT_TYPE",
    "EncryptedEntity",
    "EntityError",
    "content_type_as_sent",
    "disposition_of",
    "edit_entity",
    "reaction_entity",
    "recall_entity",
    "referring_entity",
    "reply_entity",
    "text_entity",
]

DEFAULT_CONTENT_TYPE = "text/plain;charset=UTF-8"
MAX_HEADER_OCTETS = 16 * 1024  # either block; those known are below 1 KiB
_TEXTUAL = ("application/xml", "application/json")
_SPEC = "RCC.16 §7.5.1"
_ORIGIN_SURFACE = CpimHeader(REACTIONS_NAMESPACE, "Origin-Surface-Type", "1")  # (observed): its meaning is unknown


class EntityError(RemoteProtocolError):
    """The content of a payload is framed and cannot be read."""


@dataclass(frozen=True, slots=True)
class EncryptedEntity:
    """One content. *content_type* and *disposition* are header values, "" where there is none. *is_framed* is false
    for a text without any MIME header, as old peers send it."""

    body: bytes
    content_type: str = DEFAULT_CONTENT_TYPE
    disposition: str = "inline"
    inner_headers: tuple[CpimHeader, ...] = ()
    is_framed: bool = True

    @classmethod
    def decode(cls, content: bytes) -> EncryptedEntity:
        """A Content-Length beyond what is there is not honoured. What does not begin with header blocks is text.

        Raises EntityError, and nothing else, on any octets."""
        first = find_blank_line(content, 0, MAX_HEADER_OCTETS)
        if first is None:
            return cls._raw_text(content)
        block, body = _split_part(content, first[1])
        try:
            mime = parse_mime_headers(block)
            headers = _read_inner_headers(content[: first[0]])
        except (MimeParseError, CpimParseError) as error:
            if first[0] == 0:  # an empty block of CPIM headers: it is framed, and broken
                raise EntityError(f"headers inside the ciphertext: {error}", spec=_SPEC, raw=block[:64]) from error
            return cls._raw_text(content)
        if first[0] and find_header(mime, "Content-Type") is None:
            return cls._raw_text(content)
        return cls(
            _decode_body(mime, body),
            find_header(mime, "Content-Type") or DEFAULT_CONTENT_TYPE,
            find_header(mime, "Content-Disposition") or "",
            headers,
        )

    @classmethod
    def _raw_text(cls, content: bytes) -> EncryptedEntity:
        return cls(content, is_framed=False)

    def encode(self) -> bytes:
        """As deployed peers write it. Raises LocalProtocolError for values that no header can carry."""
        disposition = f"Content-Disposition: {self.disposition}\r\n" if self.disposition else ""
        block = f"Content-Type: {self.content_type}\r\n{disposition}Content-Length: {len(self.body)}\r\n"
        lines = 2 + bool(disposition)
        if block.count("\n") != lines or block.count("\r") != lines:
            raise LocalProtocolError(f"line end in a MIME header: {block!r}", spec="RFC 2045 §3")
        head = _write_inner_headers(self.inner_headers) if self.inner_headers else ""
        return f"{head}\r\n{block}\r\n".encode() + self.body

    @property
    def media_type(self) -> MediaType:
        """The content's type; application/octet-stream for a malformed one (choice)."""
        try:
            return MediaType.parse(self.content_type)
        except MimeParseError:
            return MediaType("application/octet-stream")

    @property
    def text(self) -> str:
        """The body as text in the charset that its type names."""
        return self.media_type.decode_text(self.body)

    @property
    def reference(self) -> MessageReference | None:
        """Which message this one is about; None for one that is about none."""
        return read_reference(self.inner_headers) if self.inner_headers else None


def _split_part(content: bytes, start: int) -> tuple[bytes, bytes]:
    """MIME headers and body; without a second empty line there is no body, or no MIME header."""
    end = find_blank_line(content, start, start + MAX_HEADER_OCTETS)
    if content.startswith((b"\r\n", b"\n"), start):
        return b"", content[content.index(b"\n", start) + 1 :]
    return (b"", content[start:]) if end is None else (content[start : end[0]], content[end[1] :])


def _read_inner_headers(head: bytes) -> tuple[CpimHeader, ...]:
    if not head:
        return ()
    return CpimMessage.parse(head + b"\n\r\nContent-Type: text/plain\r\n\r\n").headers


def _write_inner_headers(headers: tuple[CpimHeader, ...]) -> str:
    """NS lines first, prefixes n1, n2 and so on, as observed."""
    prefixes: dict[str, str] = {}
    for header in headers:
        if header.namespace:
            prefixes.setdefault(header.namespace, f"n{len(prefixes) + 1}")
    if any(not is_uri(namespace) for namespace in prefixes):
        raise LocalProtocolError(f"no namespace URI among {list(prefixes)}", spec="RFC 3862 §3.4")
    declared = "".join(f"NS: {prefix} <{namespace}>\r\n" for namespace, prefix in prefixes.items())
    lines = (
        f"{prefixes[header.namespace]}.{write_header(header)}" if header.namespace else write_header(header)
        for header in headers
    )
    return declared + "".join(f"{line}\r\n" for line in lines)


def _decode_body(mime: MimeHeaders, body: bytes) -> bytes:
    declared = (find_header(mime, "Content-Length") or "").strip()
    if declared.isascii() and declared.isdecimal() and len(declared) <= 10:
        body = body[: int(declared)]  # what is not there cannot be cut off
    encoding = find_header(mime, "Content-Transfer-Encoding")
    if encoding is None:
        return body
    try:
        decoded = decode_transfer_encoding(encoding, body)
    except MimeParseError as error:
        raise EntityError(f"body inside the ciphertext: {error}", spec=_SPEC, raw=body[:64]) from error
    return body if decoded is None else decoded


# --- what this device sends -------------------------------------------------------------------------------------------


def disposition_of(content_type: str) -> str:
    """``inline`` for text, ``attachment`` for everything else, so that who does not know it drops it."""
    return "inline" if content_type.lstrip().lower().startswith("text/") else "attachment"


def content_type_as_sent(content_type: str) -> str:
    """With a charset if the type is textual and has no parameters. ``message/*`` gets none: peers do emit one there,
    around octets that are no text (choice)."""
    essence = content_type.strip().lower()
    if ";" in essence:
        return content_type
    textual = essence.startswith("text/") or essence in _TEXTUAL or essence.endswith(("+xml", "+json"))
    return (
        f"{content_type};charset=UTF-8" if textual and not essence.startswith(("image/", "message/")) else content_type
    )


def text_entity(text: str, inner_headers: tuple[CpimHeader, ...] = ()) -> EncryptedEntity:
    """A plain text."""
    return EncryptedEntity(text.encode(), inner_headers=inner_headers)


def referring_entity(text: str, about: tuple[CpimHeader, ...]) -> EncryptedEntity:
    """A text that bears on an earlier message: the headers *about* it are sealed with it, and stand nowhere else. A
    reaction gets the header beside them that was observed."""
    if not about:
        return text_entity(text)
    reference = read_reference(about)
    known = None if reference is None else reference.type
    return text_entity(text, (*about, _ORIGIN_SURFACE) if known is not None and known.is_reaction else about)


def _referring(text: str, target_id: str, kind: ReferenceType) -> EncryptedEntity:
    reference = MessageReference(target_id, kind)
    return referring_entity(text, reference_headers(reference, (ReferenceDialect.GSMA,)))


def reply_entity(target_id: str, text: str) -> EncryptedEntity:
    """A text in answer to another message."""
    return _referring(text, target_id, ReferenceType.REPLY)


def edit_entity(target_id: str, text: str) -> EncryptedEntity:
    """The whole new text of an earlier message of one's own."""
    return _referring(text, target_id, ReferenceType.EDIT)


def recall_entity(target_id: str) -> EncryptedEntity:
    """Takes back an earlier message of one's own."""
    return _referring("", target_id, ReferenceType.RECALL)


def reaction_entity(target_id: str, emoji: str, is_removal: bool = False) -> EncryptedEntity:
    """A reaction to another message, or its removal."""
    return _referring(emoji, target_id, ReferenceType.REMOVE_REACTION if is_removal else ReferenceType.ADD_REACTION)
