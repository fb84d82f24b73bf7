"""A SIP client that is nothing but the octets that a test writes: no transactions, no retransmission, no manners.

It listens on one port and sends from another, as some phones do, and names the first in Via and Contact.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from ims_core.wire.sip.headers import WwwAuthenticate
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import StreamDecoder

__all__ = ["RawPhone", "RawSubscriber", "raw_phone"]

_WITHIN_S = 10.0
_READ_OCTETS = 65536


@dataclass(frozen=True, slots=True)
class RawSubscriber:
    """What a client has read from its configuration."""

    domain: str
    impu: str
    impi: str
    password: str

    @classmethod
    def of(cls, carrier: Mapping[str, Any], impu: str) -> RawSubscriber:
        """From `rcs-sim up --json`; *impu* is the beginning of the public identity."""
        entry = next(one for one in carrier["subscribers"] if one["impu"].startswith(impu))
        return cls(carrier["domain"], entry["impu"], entry["impi"], entry["password"])

    def authorization(self, method: str, uri: str, nonce: str, nonce_count: int) -> str:
        """Digest with MD5 and qop=auth, written out (RFC 7616 §3.4)."""
        ha1, ha2 = _md5(f"{self.impi}:{self.domain}:{self.password}"), _md5(f"{method}:{uri}")
        response = _md5(f"{ha1}:{nonce}:{nonce_count:08x}:0a4f113b:auth:{ha2}")
        return (
            f'Digest username="{self.impi}", realm="{self.domain}", nonce="{nonce}", uri="{uri}", '
            f'response="{response}", algorithm=MD5, qop=auth, nc={nonce_count:08x}, cnonce="0a4f113b"'
        )


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


class RawPhone:
    """One connection to a P-CSCF. *connections* counts those that came to the listening port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, own: str) -> None:
        self.own = own
        self.connections = 0
        self._reader, self._writer = reader, writer
        self._decoder = StreamDecoder()
        self._unread: list[Request | Response] = []
        self._numbers = itertools.count(1)

    def branch(self) -> str:
        return f"z9hG4bK{uuid4().hex[:12]}{next(self._numbers)}"

    def send(self, head: str, body: str = "") -> None:
        """Writes the header lines in *head*, without indentation, and the body with its Content-Length."""
        lines = [line.strip() for line in head.strip().split("\n")]
        octets = body.strip().replace("\n", "\r\n").encode()
        lines.append(f"Content-Length: {len(octets)}")
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + octets)

    def head(self, method: str, target: str, subscriber: RawSubscriber, *more: str) -> str:
        """Header lines of a request, with *more* below them."""
        own = subscriber.impu
        to = own if method == "REGISTER" else target
        return "\n".join(
            (
                f"{method} {target} SIP/2.0",
                f"Via: SIP/2.0/TCP {self.own};branch={self.branch()};rport",
                "Max-Forwards: 70",
                f"From: <{own}>;tag={uuid4().hex[:10]}",
                f"To: <{to}>",
                f"Call-ID: {uuid4()}",
                f"CSeq: {next(self._numbers)} {method}",
                *more,
            )
        )

    async def register(self, subscriber: RawSubscriber) -> Response:
        """A plain SIP registration; the 200."""
        uri, contact = f"sip:{subscriber.domain}", f"Contact: <sip:raw@{self.own};transport=tcp>;expires=600"
        self.send(self.head("REGISTER", uri, subscriber, contact))
        nonce = (await self.response(401, "REGISTER")).require(WwwAuthenticate).get("nonce") or ""
        authorization = subscriber.authorization("REGISTER", uri, nonce, 1)
        self.send(self.head("REGISTER", uri, subscriber, contact, f"Authorization: {authorization}"))
        return await self.response(200, "REGISTER")

    async def next(self, within_s: float = _WITHIN_S) -> Request | Response:
        """The next message on the connection. Raises TimeoutError, or EOFError when it is closed."""
        async with asyncio.timeout(within_s):
            while not self._unread:
                octets = await self._reader.read(_READ_OCTETS)
                if not octets:
                    raise EOFError("the network closed the connection")
                found = self._decoder.feed(octets)
                self._unread += [message for message in found if isinstance(message, Request | Response)]
        return self._unread.pop(0)

    async def response(self, status: int, method: str) -> Response:
        """The final response to a *method* of ours; requests that come before it are left for `request`."""
        message = await self.final(method)
        assert message.status == status, message.encode().decode()
        return message

    async def final(self, method: str) -> Response:
        """As `response`, whatever the status."""
        passed: list[Request | Response] = []
        while not (
            isinstance(message := await self.next(), Response)
            and message.status >= 200
            and message.cseq.method == method
        ):
            passed += [message] if isinstance(message, Request) else []
        self._unread = passed + self._unread
        return message

    async def request(self, method: str) -> Request:
        """The next request with that method."""
        while True:
            message = await self.next()
            if isinstance(message, Request) and message.method == method:
                return message

    def answer(self, request: Request, status_line: str = "200 OK") -> None:
        """A response without To tag."""
        copied = [
            f"{name}: {text}" for name in ("Via", "From", "To", "Call-ID", "CSeq") for text in request.texts(name)
        ]
        self.send("\n".join([f"SIP/2.0 {status_line}", *copied]))

    def close(self) -> None:
        """Closes the connection at once."""
        self._writer.close()


@asynccontextmanager
async def raw_phone(pcscf: str) -> AsyncIterator[RawPhone]:
    """A client connected by TCP to *pcscf* (host:port) from a port that it does not listen on."""
    host, _, port = pcscf.rpartition(":")
    phones: list[RawPhone] = []

    def came(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        phones[0].connections += 1
        writer.close()

    listening = await asyncio.start_server(came, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(host, int(port))
    own_host, own_port = listening.sockets[0].getsockname()
    phone = RawPhone(reader, writer, f"{own_host}:{own_port}")
    phones.append(phone)
    try:
        yield phone
    finally:
        phone.close()
        listening.close()
        await listening.wait_closed()
