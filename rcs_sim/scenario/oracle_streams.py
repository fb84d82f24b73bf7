"""Messages of MSRP and HTTP in a trace, whole again from chunks and from the pieces in which a stream was recorded."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from ims_core.trace import TraceRecord
from ims_core.wire.msrp.message import Continuation
from ims_core.wire.msrp.parser import FrameDecoder, Piece
from rcs_sim.scenario.oracle_hops import Hop, hop_of

__all__ = ["HttpBody", "HttpStreams", "MsrpContent", "MsrpStreams", "decompressed"]

_MAX_HELD_OCTETS = 16 * 1024 * 1024  # of one message; what is beyond is not read
_MSRP_START = b"MSRP "
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)
_ENCODING = re.compile(rb"\r\ncontent-encoding:[ \t]*([\w-]+)", re.IGNORECASE)
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r\n")
_COMPRESSED = {b"gzip": 31, b"x-gzip": 31, b"deflate": 47}  # window bits of zlib; 47 tells zlib and gzip apart itself

_Ends = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class MsrpContent:
    """The content of a SEND as far as it came over one hop; *hop* is that of its first chunk."""

    hop: Hop
    content_type: str
    octets: bytes
    is_whole: bool
    chunk_count: int


@dataclass(slots=True)
class _Sent:
    hop: Hop
    content_type: str = ""
    pieces: dict[int, bytes] = field(default_factory=dict)
    octet_count: int = 0

    def content(self, *, is_whole: bool) -> MsrpContent:
        octets = b"".join(self.pieces[start] for start in sorted(self.pieces))
        return MsrpContent(self.hop, self.content_type, octets, is_whole, len(self.pieces))


class MsrpStreams:
    """SEND requests of every connection of a trace."""

    __slots__ = ("_decoders", "_sent")

    def __init__(self) -> None:
        self._decoders: dict[_Ends, FrameDecoder] = {}
        self._sent: dict[tuple[_Ends, str, str], _Sent] = {}

    def read(self, record: TraceRecord) -> list[MsrpContent]:
        """What *record* completes: a whole message, or one that was given up."""
        ends = _ends_of(record)
        decoder = self._decoders.get(ends)
        is_new_frame = record.raw.startswith(_MSRP_START)
        if decoder is None or (is_new_frame and not decoder.is_between_frames):  # the rest of a frame was not recorded
            decoder = self._decoders[ends] = FrameDecoder()
        found = []
        for event in decoder.feed(record.raw):
            if isinstance(event, Piece):
                found += self._take(ends, event, record)
        return found

    def _take(self, ends: _Ends, piece: Piece, record: TraceRecord) -> list[MsrpContent]:
        key = (ends, piece.head.to_path[-1].key, piece.head.message_id)
        sent = self._sent.get(key)
        if sent is None:
            sent = self._sent[key] = _Sent(hop_of(record))
        sent.content_type = sent.content_type or piece.head.content_type or ""
        if sent.octet_count < _MAX_HELD_OCTETS:
            sent.pieces[piece.start] = piece.octets
            sent.octet_count += len(piece.octets)
        if piece.continuation in (None, Continuation.MORE):
            return []
        del self._sent[key]
        return [sent.content(is_whole=piece.continuation is Continuation.COMPLETE)]

    def rest(self) -> Iterator[MsrpContent]:
        """What has come of messages that are not whole."""
        for sent in self._sent.values():
            yield sent.content(is_whole=False)
        self._sent.clear()


@dataclass(frozen=True, slots=True)
class HttpBody:
    """A body without transfer and content coding; *hop* is that of the record that completed it. *head* is the start
    line with the headers."""

    hop: Hop
    head: bytes
    octets: bytes


@dataclass(slots=True)
class _Stream:
    held: bytearray = field(default_factory=bytearray)
    is_lost: bool = False


class HttpStreams:
    """Requests and answers of every connection of a trace."""

    __slots__ = ("_streams",)

    def __init__(self) -> None:
        self._streams: dict[_Ends, _Stream] = {}

    def read(self, record: TraceRecord) -> list[HttpBody]:
        """The messages with a body that *record* completes."""
        stream = self._streams.setdefault(_ends_of(record), _Stream())
        if stream.is_lost:
            return []
        stream.held += record.raw
        found, start = [], 0
        while True:
            taken = _message_at(stream.held, start)
            if taken is None:
                break
            head, body, start = taken
            if body:
                found.append(HttpBody(hop_of(record), head, decompressed(head, body)))
        del stream.held[:start]
        if len(stream.held) > _MAX_HELD_OCTETS:
            stream.held.clear()
            stream.is_lost = True
        return found


def _message_at(held: bytearray, start: int) -> tuple[bytes, bytes, int] | None:
    """Head, body and end of the message that begins at *start*; None while it is not whole."""
    end = held.find(_HEAD_END, start)
    if end < 0:
        return None
    head, body_at = bytes(held[start : end + 2]), end + len(_HEAD_END)
    if _CHUNKED.search(head):
        return _chunked_at(held, head, body_at)
    length = _LENGTH.search(head)
    body_end = body_at + (int(length[1]) if length else 0)
    return None if body_end > len(held) else (head, bytes(held[body_at:body_end]), body_end)


def _chunked_at(held: bytearray, head: bytes, position: int) -> tuple[bytes, bytes, int] | None:
    """RFC 9112 §7.1. Trailers are skipped."""
    body = bytearray()
    while True:
        size = _CHUNK.match(held, position)
        if size is None:
            return None
        count, position = int(size[1], 16), size.end()
        if count == 0:
            end = held.find(b"\r\n", position)
            return None if end < 0 else (head, bytes(body), end + 2)
        if position + count + 2 > len(held):
            return None
        body += held[position : position + count]
        position += count + 2


def decompressed(head: bytes, body: bytes) -> bytes:
    """*body* without the Content-Encoding that *head* names; as it is, if that is unknown or wrong."""
    coding = _ENCODING.search(head)
    bits = None if coding is None else _COMPRESSED.get(coding[1].lower())
    if bits is None:
        return body
    for window in (bits, -zlib.MAX_WBITS):  # deflate is often sent without the frame of zlib
        try:
            return zlib.decompressobj(window).decompress(body, _MAX_HELD_OCTETS)
        except zlib.error:
            continue
    return body


def _ends_of(record: TraceRecord) -> _Ends:
    return record.source, record.target, record.source_address, record.target_address
