"""What a pager MESSAGE carries: content, a receipt, typing or a revocation; in CPIM or bare (digest §4.3, §5)."""

from __future__ import annotations

import zlib
from enum import Enum, auto
from functools import lru_cache

from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request
from rcs_sim.wire.cpim import CPIM_CONTENT_TYPE, CpimMessage, CpimParseError
from rcs_sim.wire.imdn import IMDN_CONTENT_TYPE, Imdn, ImdnParseError, parse_imdn
from rcs_sim.wire.iscomposing import IS_COMPOSING_CONTENT_TYPE
from rcs_sim.wire.message_reference import REFERENCE_NAMESPACES, MessageReference, read_reference
from rcs_sim.wire.revocation import (
    REVOCATION_CONTENT_TYPE,
    RevocationParseError,
    RevokeRequest,
    RevokeResponse,
    parse_revocation,
)

__all__ = ["ContentKind", "ContentRefused", "PagerContent", "read_content", "read_pager", "without_encoding"]

_MAX_INFLATED_OCTETS = 64 * 1024  # of a compressed receipt, which is below 1 KiB; a bomb ends here
_MAX_MESSAGE_ID = 256  # characters; 64 is usual (digest §4.2)
_ACCEPTED = f"{CPIM_CONTENT_TYPE}, {IMDN_CONTENT_TYPE}"


class ContentKind(Enum):
    """What the messaging server does with it differs by this."""

    CHAT = auto()
    RECEIPT = auto()
    TYPING = auto()
    REVOCATION = auto()


_KINDS = {
    IMDN_CONTENT_TYPE: ContentKind.RECEIPT,
    IS_COMPOSING_CONTENT_TYPE: ContentKind.TYPING,
    REVOCATION_CONTENT_TYPE: ContentKind.REVOCATION,
}


class ContentRefused(Exception):
    """The MESSAGE is answered with *status*; the text says why."""

    def __init__(self, status: int, text: str, headers: tuple[HeaderInput, ...] = ()) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = headers


class PagerContent:
    """The body of a MESSAGE, read as far as somebody asks.

    *cpim* is None for a bare body; *body* is the innermost content and *media_type* its type; *message_id* is
    imdn.Message-ID, empty where a receipt, typing or a revocation came without."""

    __slots__ = ("_receipts", "body", "cpim", "kind", "media_type", "message_id")

    def __init__(self, kind: ContentKind, body: bytes, media_type: str, cpim: CpimMessage | None) -> None:
        self.kind = kind
        self.body = body
        self.cpim = cpim
        self.message_id = (cpim.message_id or "") if cpim is not None else ""
        self.media_type = media_type
        self._receipts: tuple[Imdn, ...] | None = None

    @property
    def is_bare(self) -> bool:
        return self.cpim is None

    @property
    def is_plain_text(self) -> bool:
        return self.cpim is not None and self.cpim.content_type.essence == "text/plain"

    @property
    def reference(self) -> MessageReference | None:
        """The earlier message that it bears on, where the network can see that."""
        return None if self.cpim is None else read_reference(self.cpim.headers_in(REFERENCE_NAMESPACES))

    @property
    def is_change(self) -> bool:
        """Whether it is a reaction to an earlier message, an edit or a recall: in words it would be another message."""
        reference = self.reference
        return reference is not None and reference.is_change

    @property
    def receipts(self) -> tuple[Imdn, ...]:
        """The notifications in it; empty if it is no receipt, or one that cannot be read."""
        if self._receipts is None:
            try:
                self._receipts = parse_imdn(self.media_type, self.body) if self.kind is ContentKind.RECEIPT else ()
            except ImdnParseError:
                self._receipts = ()
        return self._receipts

    def revocation(self) -> RevokeRequest | RevokeResponse | None:
        """The revoke document; None if it cannot be read."""
        try:
            return parse_revocation(self.body)
        except RevocationParseError:
            return None

    def asks_for(self, disposition: str) -> bool:
        """Whether Disposition-Notification names it, such as ``positive-delivery``."""
        return self.cpim is not None and disposition in self.cpim.disposition_notification

    @property
    def date_time(self) -> str:
        """CPIM DateTime, which a notification repeats; empty if there is none."""
        return (self.cpim.date_time or "") if self.cpim is not None else ""


def read_pager(request: Request) -> PagerContent:
    """Raises ContentRefused with 400 or 415, and nothing else, on any body."""
    try:
        media_type = request.text("Content-Type") or ""
        octets = _decoded(request)
    except SipParseError as error:
        raise ContentRefused(400, f"malformed body: {error}"[:200]) from None
    return read_content(media_type, octets)


def read_content(media_type: str, octets: bytes) -> PagerContent:
    """Reads content of that type, of a MESSAGE or of a session. Raises ContentRefused with 400 or 415 on any octets."""
    essence = _essence(media_type)
    if essence != CPIM_CONTENT_TYPE:
        return _read_bare(octets, essence)
    try:
        return _read_cpim(CpimMessage.parse(octets))
    except CpimParseError as error:
        raise ContentRefused(400, f"malformed body: {error}"[:200]) from None


@lru_cache(maxsize=512)
def _essence(media_type: str) -> str:
    return media_type.partition(";")[0].strip().lower()


def _read_cpim(cpim: CpimMessage) -> PagerContent:
    media_type = cpim.content_type
    kind = _KINDS.get(media_type.essence, ContentKind.CHAT)
    content = PagerContent(kind, cpim.body, str(media_type), cpim)
    if kind is ContentKind.CHAT and media_type.essence.startswith("multipart/"):
        content.kind = ContentKind.RECEIPT  # an aggregate of receipts (RFC 5438 §8.3), if it reads as one
        if not content.receipts:
            content.kind = ContentKind.CHAT
    if kind is ContentKind.CHAT and not content.message_id:
        raise ContentRefused(400, "no imdn.Message-ID in the CPIM headers")
    if len(content.message_id) > _MAX_MESSAGE_ID:
        raise ContentRefused(400, f"imdn.Message-ID of more than {_MAX_MESSAGE_ID} characters")
    return content


def _read_bare(octets: bytes, essence: str) -> PagerContent:
    """A receipt, typing or a revocation without CPIM, as plain SIP clients send them (digest §5.4, real clients)."""
    kind = _KINDS.get(essence)
    if kind is None:
        raise ContentRefused(415, f"not accepted: {essence or 'no Content-Type'}"[:200], (("Accept", _ACCEPTED),))
    content = PagerContent(kind, octets, essence, None)
    if kind is ContentKind.RECEIPT and not content.receipts:
        raise ContentRefused(400, "the receipt cannot be read")
    return content


def without_encoding(request: Request) -> Request:
    """The same with its body decoded, as others read it. Raises ContentRefused: 415 for an encoding that nobody here
    knows (RFC 3261 §8.2.3), 400 for octets that are not in it."""
    if not request.has("Content-Encoding"):
        return request
    octets = _decoded(request)
    return request.edit().remove("Content-Encoding").body(octets).done()


def _decoded(request: Request) -> bytes:
    """The body without its Content-Encoding (RFC 3261 §20.12). Raises ContentRefused."""
    encoding = (request.text("Content-Encoding") or "identity").strip().lower()
    if encoding == "identity":
        return request.body
    if encoding not in ("deflate", "gzip", "x-gzip"):
        raise ContentRefused(
            415, f"Content-Encoding {encoding}"[:80], (("Accept-Encoding", "deflate, gzip, identity"),)
        )
    for window_bits in (47, -15):  # zlib or gzip by its header; raw deflate, which some take the name for
        inflater = zlib.decompressobj(window_bits)
        try:
            octets = inflater.decompress(request.body, _MAX_INFLATED_OCTETS)
        except zlib.error:
            continue
        if inflater.eof:
            return octets
    raise ContentRefused(400, f"the body is not {encoding} of at most {_MAX_INFLATED_OCTETS} octets")
