"""What a MESSAGE or a message session brings, read without side effects (RFC 3428, RFC 3862, RFC 5438, digest §4, §5).

Nothing here raises for what a peer sent: octets that cannot be read become a `Refused` with its status.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from ims_core.wire.sip.core_headers import ContentEncoding
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, CpimParseError
from rcs_sim.wire.cpim_header import CpimHeader
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnParseError, parse_imdn
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE, IsComposing, IsComposingParseError
from rcs_sim.wire.message_reference import REFERENCE_NAMESPACES, MessageReference, read_reference
from rcs_sim.wire.mime import MediaType, MimeParseError
from rcs_sim.wire.revocation import (
    REVOCATION_CONTENT_TYPE,
    RevocationParseError,
    RevokeRequest,
    RevokeResponse,
    parse_revocation,
)

__all__ = [
    "SMS_CONTENT_TYPE",
    "Content",
    "Discarded",
    "Encrypted",
    "Incoming",
    "Receipts",
    "Refused",
    "Revocation",
    "ShortMessage",
    "Typing",
    "content_of",
    "read_message",
    "read_session_content",
]

SMS_CONTENT_TYPE = "application/vnd.3gpp.sms"
MAX_BODY_OCTETS = 1024 * 1024  # after inflating; a pager message is below 64 KiB
_ACCEPTED = ", ".join(
    (
        CPIM_CONTENT_TYPE,
        "text/plain",
        IMDN_CONTENT_TYPE,
        IS_COMPOSING_CONTENT_TYPE,
        REVOCATION_CONTENT_TYPE,
        SMS_CONTENT_TYPE,
    )
)
_ENCODINGS = "deflate, gzip, identity"
_ENCRYPTED = ("message/mls", "application/vnd.google.rcs.encrypted")  # the former in several kinds


@dataclass(frozen=True, slots=True)
class Content:
    """A message for the user. *text* is None for content that is kept but not rendered (*body*, *content_type*).

    *message_id* is "" where the sender asks for no receipts by CPIM; *wishes* are its Disposition-Notification values;
    *date_time* is the CPIM DateTime as written; *cpim_from* the URI in CPIM From, "" without one; *reference* is the
    earlier message that it bears on."""

    text: str | None
    content_type: str
    body: bytes
    message_id: str = ""
    date_time: str = ""
    wishes: tuple[str, ...] = ()
    cpim_from: str = ""
    reference: MessageReference | None = None


@dataclass(frozen=True, slots=True)
class Receipts:
    """One or several (aggregated) notifications. *is_bare*: not in CPIM; else *cpim* has the headers that sign them."""

    imdns: tuple[Imdn, ...]
    is_bare: bool
    cpim: CpimMessage | None = None


@dataclass(frozen=True, slots=True)
class Encrypted:
    """A body of the encryption plane: a sealed message, or control (RCC.16 §4.2)."""

    cpim: CpimMessage

    @property
    def content(self) -> Content:
        """What a phone without encryption makes of it."""
        content_type = self.cpim.content_type
        return content_of(self.cpim, content_type.essence, str(content_type), self.cpim.body)


@dataclass(frozen=True, slots=True)
class Typing:
    state: IsComposing


@dataclass(frozen=True, slots=True)
class Revocation:
    document: RevokeRequest | RevokeResponse


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """An RP message (TS 24.341)."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Discarded:
    """Accepted, with nothing to show; *why* is for the trace."""

    why: str


@dataclass(frozen=True, slots=True)
class Refused:
    """To be answered with *status* and *headers*."""

    status: int
    why: str
    headers: tuple[HeaderInput, ...] = ()


Incoming = Content | Encrypted | Receipts | Typing | Revocation | ShortMessage | Discarded | Refused

_PARSE_ERRORS = (CpimParseError, ImdnParseError, IsComposingParseError, RevocationParseError, MimeParseError)


def read_message(request: Request) -> Incoming:
    """The content of a MESSAGE request."""
    try:
        content_type = request.content_type
        body = _decoded_body(request)
    except SipParseError as error:
        return Refused(400, str(error))
    if body is None:
        return Refused(415, "unknown Content-Encoding", (("Accept-Encoding", _ENCODINGS),))
    if not body:
        return Discarded("a MESSAGE without body")
    if content_type is None:
        return Refused(400, "a body without Content-Type")
    try:
        return _read_body(content_type.type, str(content_type), body)
    except _PARSE_ERRORS as error:
        return Refused(400, str(error))


def read_session_content(content_type: str, body: bytes) -> Incoming:
    """The content of a message that came over MSRP; statuses are those that MSRP has too. Short messages never do."""
    if not body:
        return Discarded("a message without content")
    try:
        essence = MediaType.parse(content_type).essence
        if essence == SMS_CONTENT_TYPE:
            return Refused(415, "a short message in a message session")
        return _read_body(essence, content_type, body)
    except _PARSE_ERRORS as error:
        return Refused(400, str(error))


def _read_body(essence: str, content_type: str, body: bytes) -> Incoming:
    match essence:
        case "message/cpim":
            return _read_cpim(CpimMessage.parse(body))
        case "text/plain":
            return Content(MediaType.parse(content_type).decode_text(body), content_type, body)
        case "message/imdn+xml":
            return Receipts(parse_imdn(content_type, body), is_bare=True)
        case "multipart/mixed" if (receipts := _aggregated(content_type, body, is_bare=True)) is not None:
            return receipts
        case "application/im-iscomposing+xml":
            return Typing(IsComposing.parse(body))
        case "application/vnd.gsma.rcsrevoke+xml":
            return Revocation(parse_revocation(body))
        case "application/vnd.3gpp.sms":
            return ShortMessage(body)
    return Refused(415, f"content type {essence}", (("Accept", _ACCEPTED),))


def _read_cpim(cpim: CpimMessage) -> Incoming:
    """What stands in the wrapper. A document that cannot be read is dropped, not refused: the wrapper was sound."""
    essence = cpim.content_type.essence
    try:
        match essence:
            case "message/imdn+xml":
                return Receipts(parse_imdn(cpim.content_type, cpim.body), is_bare=False, cpim=cpim)
            case "application/im-iscomposing+xml":
                return Typing(IsComposing.parse(cpim.body))
            case "application/vnd.gsma.rcsrevoke+xml":
                return Revocation(parse_revocation(cpim.body))
    except _PARSE_ERRORS as error:
        return Discarded(str(error))
    if essence == "multipart/mixed":
        receipts = _aggregated(str(cpim.content_type), cpim.body, is_bare=False)
        if receipts is not None:
            return receipts
    if essence.startswith(_ENCRYPTED):
        return Encrypted(cpim)
    about = cpim.headers_in(REFERENCE_NAMESPACES)
    return content_of(cpim, essence, str(cpim.content_type), cpim.body, about)


def content_of(
    cpim: CpimMessage, essence: str, content_type: str, body: bytes, about: Sequence[CpimHeader] = ()
) -> Content:
    """The content *body*, which stood in *cpim* or was sealed in it. *about* are the headers beside it, which were
    sealed with it: those outside say nothing about what is inside."""
    text = MediaType.parse(content_type).decode_text(body) if essence == "text/plain" else None
    return Content(
        text,
        content_type,
        body,
        cpim.message_id or "",
        cpim.date_time or "",
        cpim.disposition_notification,
        _cpim_from(cpim),
        read_reference(about) if about else None,
    )


def _aggregated(content_type: str, body: bytes, *, is_bare: bool) -> Receipts | None:
    """RFC 5438 §8.3; None for a multipart that is none."""
    try:
        return Receipts(parse_imdn(content_type, body), is_bare=is_bare)
    except (ImdnParseError, MimeParseError):
        return None


def _cpim_from(cpim: CpimMessage) -> str:
    try:
        sender = cpim.sender
    except CpimParseError:
        return ""
    return sender.uri if sender is not None else ""


def _decoded_body(request: Request) -> bytes | None:
    """The body without its Content-Encoding (some clients deflate their receipts); None for one that is unknown.

    Raises SipParseError for octets that are not what the header says."""
    body = request.body
    encodings = request.get(ContentEncoding)
    for encoding in reversed(encodings.tokens if encodings is not None else ()):
        match encoding.lower():
            case "identity":
                continue
            case "deflate":
                body = _inflate(body, (zlib.MAX_WBITS, -zlib.MAX_WBITS))
            case "gzip" | "x-gzip":
                body = _inflate(body, (16 + zlib.MAX_WBITS,))
            case _:
                return None
    return body


def _inflate(octets: bytes, window_bits: tuple[int, ...]) -> bytes:
    """ "deflate" is the zlib format; some peers send the raw one (RFC 9110 §8.4.1.2): both are taken."""
    for bits in window_bits:
        inflater = zlib.decompressobj(bits)
        try:
            inflated = inflater.decompress(octets, MAX_BODY_OCTETS)
        except zlib.error:
            continue
        if inflater.unconsumed_tail:
            raise SipParseError("an encoded body that grows beyond all bounds", raw=octets)
        if inflater.eof:
            return inflated
    raise SipParseError("a body that is not what Content-Encoding says", raw=octets)
