"""A plain SIP client as a script: it writes its requests out itself, over UDP or TCP, in memory or on sockets.

It has no transaction layer, so that a test decides what is sent again, what is answered and what is not."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from collections.abc import Callable, Iterable

from ims_core.errors import TransportError
from ims_core.transport.link import Address, Flow, Listener, Network, Transport
from ims_core.wire.digest import DigestChallenge, parse_challenges
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import StreamDecoder, parse_datagram

__all__ = ["PlainClient"]

_WITHIN_S = 20.0
_COPIED = ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")
_numbers = itertools.count(1)

HeaderLines = Iterable[tuple[str, str]]


class PlainClient:
    """One user agent at *host*, which listens on one port and sends from there (UDP) or connects (TCP)."""

    def __init__(self, name: str, network: Network, host: str, proxy: Address, *, impi: str, password: str) -> None:
        self.name = name
        self.network, self.host, self.proxy = network, host, proxy
        self.impi, self.password = impi, password
        self.domain = impi.partition("@")[2]
        self.impu = f"sip:{impi}"
        self.received_messages: list[Request | Response] = []
        self.octets: list[bytes] = []
        self.errors: list[TransportError | None] = []
        self.nonce_count = 0
        self.challenge: DigestChallenge | None = None
        self.register_call_id = f"reg{next(_numbers)}@{host}"
        self.cseq = 0
        self._decoders: dict[Flow, StreamDecoder] = {}
        self._came = asyncio.Event()
        self._listener: Listener | None = None
        self._flow: Flow | None = None

    # --- FlowHandler -------------------------------------------------------------------------------------------------

    def accepted(self, flow: Flow) -> None:
        """Anybody may connect."""

    def received(self, octets: bytes, flow: Flow) -> None:
        self.octets.append(octets)
        if flow.local.transport is Transport.UDP:
            found = [parse_datagram(octets)]
        else:
            events = self._decoders.setdefault(flow, StreamDecoder()).feed(octets)
            found = [event for event in events if isinstance(event, Request | Response)]
        self.received_messages += found
        self._came.set()

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        self.errors.append(error)
        self._came.set()

    # --- life --------------------------------------------------------------------------------------------------------

    async def open(self, port: int = 5060) -> PlainClient:
        """Listens on *port* (0: any) and connects to the proxy."""
        address = Address(self.proxy.transport, self.host, port)
        self._listener = await self.network.listen(address, self)
        self._flow = self.network.connect(self.host, self.proxy, self)
        return self

    async def close(self) -> None:
        if self._flow is not None:
            self._flow.close()
        if self._listener is not None:
            await self._listener.close()

    @property
    def own(self) -> str:
        """host:port that it listens on."""
        assert self._listener is not None
        return f"{self.host}:{self._listener.address.port}"

    @property
    def contact(self) -> str:
        user = self.impi.partition("@")[0]
        return f"<sip:{user}@{self.own};transport={self.proxy.transport.value.lower()}>"

    # --- sending -----------------------------------------------------------------------------------------------------

    def send(self, octets: bytes) -> None:
        assert self._flow is not None
        self._flow.send(octets)

    def branch(self) -> str:
        return f"z9hG4bKplain{next(_numbers)}"

    def compose(
        self,
        method: str,
        uri: str,
        headers: HeaderLines = (),
        body: bytes = b"",
        *,
        to: str = "",
        sender: str = "",
        call_id: str = "",
        cseq: int = 1,
        branch: str = "",
    ) -> bytes:
        """A request as octets; *to* and *sender* are whole header values."""
        via = f"SIP/2.0/{self.proxy.transport.value} {self.own};branch={branch or self.branch()};rport"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: {via}",
            "Max-Forwards: 70",
            f"From: {sender or f'<{self.impu}>;tag=f{next(_numbers)}'}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or f'c{next(_numbers)}@{self.host}'}",
            f"CSeq: {cseq} {method}",
            *(f"{name}: {value}" for name, value in headers),
            f"Content-Length: {len(body)}",
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def start(self, octets: bytes) -> Request:
        """Sends a request; `final` waits for its answer."""
        request = parse_datagram(octets)
        assert isinstance(request, Request)
        self.send(octets)
        return request

    async def ask(self, octets: bytes) -> Response:
        """Sends a request and waits for the final response to it (by branch and method)."""
        return await self.final(self.start(octets))

    async def final(self, request: Request) -> Response:
        """The next final response to *request*."""
        found = await self.next(lambda each: _is_final_to(each, request))
        assert isinstance(found, Response)
        return found

    def answer(
        self, request: Request, status: int, headers: HeaderLines = (), body: bytes = b"", *, tag: str = "t1"
    ) -> None:
        """Answers on the flow to the proxy."""
        copied = [(name, text) for name in _COPIED for text in request.texts(name)]
        has_tag = ";tag=" in (request.text("To") or "")
        fields = [
            f"{name}: {text};tag={tag}" if name == "To" and status > 100 and not has_tag else f"{name}: {text}"
            for name, text in copied
        ]
        lines = [f"SIP/2.0 {status} Said", *fields, *(f"{name}: {value}" for name, value in headers)]
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    # --- receiving ---------------------------------------------------------------------------------------------------

    async def next(
        self, is_wanted: Callable[[Request | Response], bool], within_s: float = _WITHIN_S
    ) -> Request | Response:
        """Takes the first message received for which *is_wanted* holds. Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while True:
                for message in self.received_messages:
                    if is_wanted(message):
                        self.received_messages.remove(message)
                        return message
                self._came.clear()
                await self._came.wait()

    async def request(self, method: str, within_s: float = _WITHIN_S) -> Request:
        """The next request with that method."""
        found = await self.next(lambda each: isinstance(each, Request) and each.method == method, within_s)
        assert isinstance(found, Request)
        return found

    # --- registration ------------------------------------------------------------------------------------------------

    def register_octets(
        self,
        headers: HeaderLines = (),
        *,
        contacts: Iterable[str] | None = None,
        expires: int | None = 3600,
        authorization: str = "",
    ) -> bytes:
        self.cseq += 1
        fields = [("Contact", contact) for contact in ([self.contact] if contacts is None else contacts)]
        fields += [("Expires", str(expires))] if expires is not None else []
        fields += [("Authorization", authorization)] if authorization else []
        return self.compose(
            "REGISTER",
            f"sip:{self.domain}",
            [*fields, *headers],
            to=f"<{self.impu}>",
            call_id=self.register_call_id,
            cseq=self.cseq,
        )

    def authorization(self, *, password: str | None = None, method: str = "REGISTER", nonce_count: int = 0) -> str:
        """The answer to the last challenge, written out (RFC 7616 §3.4); MD5 or SHA-256."""
        challenge = self.challenge
        assert challenge is not None
        assert challenge.algorithm is not None
        self.nonce_count = nonce_count or self.nonce_count + 1
        algorithm = challenge.algorithm.name
        name = "sha256" if "SHA-256" in algorithm else "md5"

        def digest(text: str) -> str:
            return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()

        uri = f"sip:{self.domain}"
        ha1 = digest(f"{self.impi}:{challenge.realm}:{self.password if password is None else password}")
        ha2 = digest(f"{method}:{uri}")
        response = digest(f"{ha1}:{challenge.nonce}:{self.nonce_count:08x}:c0ffee:auth:{ha2}")
        return (
            f'Digest username="{self.impi}", realm="{challenge.realm}", nonce="{challenge.nonce}", uri="{uri}", '
            f'response="{response}", algorithm={algorithm}, qop=auth, nc={self.nonce_count:08x}, cnonce="c0ffee"'
        )

    def take_challenge(self, response: Response) -> DigestChallenge:
        self.challenge = parse_challenges(response.texts("WWW-Authenticate"))[0]
        self.nonce_count = 0
        return self.challenge

    @property
    def empty_authorization(self) -> str:
        """What a first REGISTER of an IMS client carries (TS 24.229 §5.1.1.2.3)."""
        uri = f"sip:{self.domain}"
        return f'Digest username="{self.impi}", realm="{self.domain}", uri="{uri}", nonce="", response=""'

    async def register(self, headers: HeaderLines = (), *, with_empty_authorization: bool = False) -> Response:
        """401, then the answer to it; the final response."""
        first = self.empty_authorization if with_empty_authorization else ""
        challenge = await self.ask(self.register_octets(headers, authorization=first))
        assert challenge.status == 401, challenge.encode().decode()
        self.take_challenge(challenge)
        return await self.ask(self.register_octets(headers, authorization=self.authorization()))


def _is_final_to(message: Request | Response, request: Request) -> bool:
    return (
        isinstance(message, Response)
        and message.status >= 200
        and message.top_via.branch == request.top_via.branch
        and message.cseq.method == request.method
    )
