"""An MSRP client that is nothing but the octets that a test writes, with a reader of its own (RFC 4975 §5, §7)."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

__all__ = ["RawFrame", "RawMsrp", "RawPiece"]

_WITHIN_S = 10.0
_READ_OCTETS = 65536
_START = re.compile(rb"MSRP (\S{1,80}) ([^\r\n]*)\r\n")


@dataclass(frozen=True, slots=True)
class RawFrame:
    """A request or a response. *what* is the method, or status and comment; header fields keep their order."""

    transaction_id: str
    what: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    flag: str

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        return int(self.what[:3]) if self.what[:3].isdecimal() else 0

    def text(self, name: str) -> str | None:
        return next((value for known, value in self.headers if known == name), None)

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.headers]


@dataclass(frozen=True, slots=True)
class RawPiece:
    """A whole message that came, put together from its chunks."""

    message_id: str
    content_type: str
    body: bytes
    frames: tuple[RawFrame, ...]


class RawMsrp:
    """One connection. What comes in requests is answered while a response is waited for, and kept.

    *answers* says what a SEND gets: its status, or None for silence."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: str, peer: str) -> None:
        self.own, self.peer = own, peer
        self.messages: list[RawPiece] = []
        self.reports: list[RawFrame] = []
        self.answers: Callable[[RawFrame], int | None] = lambda frame: 200
        self._reader, self._writer = reader, writer
        self._buffer = b""
        self._chunks: dict[str, list[RawFrame]] = {}
        self._numbers = itertools.count(1)

    @classmethod
    async def dial(cls, host: str, port: int, *, own: str, peer: str) -> RawMsrp:
        """Plain TCP."""
        reader, writer = await asyncio.open_connection(host, port)
        return cls(reader, writer, own, peer)

    # --- writing -----------------------------------------------------------------------------------------------------

    def new_transaction(self) -> str:
        return f"{uuid4().hex[:16]}{next(self._numbers)}"

    def write(self, octets: bytes) -> None:
        self._writer.write(octets)

    def request(self, method: str, headers: tuple[str, ...], body: bytes | None = None, flag: str = "$") -> str:
        """Writes a request with these lines below its paths; its transaction id."""
        transaction = self.new_transaction()
        lines = (f"MSRP {transaction} {method}", f"To-Path: {self.peer}", f"From-Path: {self.own}", *headers)
        head = "\r\n".join(lines).encode() + b"\r\n"
        content = b"" if body is None else b"\r\n" + body + b"\r\n"
        self.write(head + content + f"-------{transaction}{flag}\r\n".encode())
        return transaction

    def respond(self, frame: RawFrame, status: int) -> None:
        to_path = (frame.text("From-Path") or "").split(" ")[0]
        self.write(
            f"MSRP {frame.transaction_id} {status} OK\r\nTo-Path: {to_path}\r\nFrom-Path: {self.own}\r\n"
            f"-------{frame.transaction_id}$\r\n".encode()
        )

    def close(self) -> None:
        self._writer.close()

    def reset(self) -> None:
        """Ends the connection without a word."""
        self._writer.transport.abort()

    def half_close(self) -> None:
        """Says that nothing more comes."""
        self._writer.write_eof()

    # --- reading -----------------------------------------------------------------------------------------------------

    async def frame(self, within_s: float = _WITHIN_S) -> RawFrame:
        """The next frame, of whatever kind. Raises TimeoutError, or EOFError when the connection is closed."""
        async with asyncio.timeout(within_s):
            while (found := self._cut()) is None:
                try:
                    octets = await self._reader.read(_READ_OCTETS)
                except ConnectionError as error:
                    raise EOFError("the connection was reset") from error
                if not octets:
                    raise EOFError("the network closed the connection")
                self._buffer += octets
        return found

    def _cut(self) -> RawFrame | None:
        start = _START.match(self._buffer)
        if start is None:
            assert len(self._buffer) < 200, self._buffer[:200]
            return None
        end_line = b"-------" + start[1]
        end = re.compile(re.escape(end_line) + rb"([$+#])\r\n").search(self._buffer, start.end())
        if end is None:
            return None
        inside, self._buffer = self._buffer[start.end() : end.start()], self._buffer[end.end() :]
        head, blank, body = inside.partition(b"\r\n\r\n")
        lines = head.decode().rstrip("\r\n").split("\r\n")
        headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines))
        content = body.removesuffix(b"\r\n") if blank else None
        return RawFrame(start[1].decode(), start[2].decode(), headers, content, end[1].decode())

    async def response(self, transaction: str, within_s: float = _WITHIN_S) -> RawFrame:
        """The response to that request of ours."""
        async with asyncio.timeout(within_s):
            while True:
                frame = await self.frame(within_s)
                if frame.status and frame.transaction_id == transaction:
                    return frame
                self.take(frame)

    async def message(self, within_s: float = _WITHIN_S) -> RawPiece:
        """The next whole message."""
        async with asyncio.timeout(within_s):
            while not self.messages:
                self.take(await self.frame(within_s))
        return self.messages.pop(0)

    async def report(self, within_s: float = _WITHIN_S) -> RawFrame:
        """The next REPORT."""
        async with asyncio.timeout(within_s):
            while not self.reports:
                self.take(await self.frame(within_s))
        return self.reports.pop(0)

    def take(self, frame: RawFrame) -> None:
        """Reads a request as a simple client does: a SEND without Byte-Range gets 200 and is dropped."""
        if frame.what == "REPORT":
            self.reports.append(frame)
        elif frame.what == "SEND":
            status = self.answers(frame)
            if status is not None and frame.text("Failure-Report") != "no":
                self.respond(frame, status)
            if frame.text("Byte-Range") is not None and frame.body is not None and status == 200:
                self._keep(frame)

    def _keep(self, frame: RawFrame) -> None:
        """Chunks have to come in order, each as long as it says."""
        message_id, range_text = frame.text("Message-ID") or "", frame.text("Byte-Range") or ""
        chunks = self._chunks.setdefault(message_id, [])
        body = frame.body or b""
        first, last = re.split("[-/]", range_text)[:2]
        assert int(first) == 1 + sum(len(chunk.body or b"") for chunk in chunks), range_text
        assert last in ("*", str(int(first) + len(body) - 1)), range_text
        chunks.append(frame)
        if frame.flag == "$":
            whole = b"".join(chunk.body or b"" for chunk in self._chunks.pop(message_id))
            self.messages.append(RawPiece(message_id, frame.text("Content-Type") or "", whole, tuple(chunks)))
        elif frame.flag == "#":
            del self._chunks[message_id]
