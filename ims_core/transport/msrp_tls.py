"""TLS for MSRP over any stream flow: both ends show a certificate, and fingerprints say whose (RFC 4975 §14, RFC 8122).

The standard library cannot ask a client for a certificate that no authority signed, so this is pyOpenSSL on memory
buffers. Whatever the peer sends ends in octets for the handler or in `closed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from OpenSSL import SSL, crypto

from ims_core.errors import ConnectionLost, ConnectTimeout, TransportError
from ims_core.transport.link import (
    HIGH_WATER_OCTETS,
    Address,
    BreakableFlow,
    Flow,
    FlowHandler,
    Listener,
    Network,
    Transport,
)
from ims_core.transport.msrp_identity import MsrpIdentity
from ims_core.wire.msrp.fingerprint import Fingerprint, matches_certificate

__all__ = ["FingerprintMismatch", "TlsFlow", "TlsLayer", "TlsListener", "verify_fingerprint"]

HANDSHAKE_S = 10.0
_HALF_OPEN_S = 30.0  # for answers to a peer who has said all
_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"  # TLS 1.2: forward secrecy only
_RECORD_OCTETS = 16 * 1024  # of plaintext (RFC 8446 §5.1)
_RECORD_OVERHEAD_OCTETS = 256  # header, authentication tag, padding (RFC 8446 §5.2)
_READ_OCTETS = 64 * 1024
_MAX_WAITING_OCTETS = 8 * 1024 * 1024  # sent before the handshake is done


class FingerprintMismatch(TransportError):
    """The peer's certificate is not the one that its session description announced (RFC 8122 §6.2)."""


def verify_fingerprint(certificate: bytes, announced: Sequence[Fingerprint]) -> None:
    """Checks a certificate, DER, against those of a session description; without any there is nothing to check.
    Raises FingerprintMismatch."""
    if announced and not matches_certificate(announced, certificate):
        shown = Fingerprint.of(certificate)
        raise FingerprintMismatch(f"the certificate shown has {shown}, announced was {announced[0]}")


class TlsFlow:
    """One end of a TLS connection, over the flow of a network. `peer_certificate` is DER, b"" until it is known."""

    __slots__ = (
        "_announced",
        "_inner",
        "_is_established",
        "_is_finished",
        "_is_full",
        "_is_open",
        "_layer",
        "_refusal",
        "_timer",
        "_tls",
        "_waiting",
        "_waiting_octets",
        "is_accepted",
        "local",
        "on_drained",
        "on_finished",
        "on_opened",
        "peer_certificate",
        "remote",
        "user",
    )

    def __init__(
        self,
        layer: TlsLayer,
        inner: Flow,
        announced: Sequence[Fingerprint] = (),
        *,
        is_accepted: bool,
        within_s: float = HANDSHAKE_S,
    ) -> None:
        self._layer, self._inner, self._announced = layer, inner, announced
        self.local, self.remote = _named_tls(inner.local), _named_tls(inner.remote)
        self.is_accepted = is_accepted
        self.user: object | None = None
        self.on_opened: Callable[[Flow], None] | None = None
        self.on_drained: Callable[[Flow], None] | None = None
        self.on_finished: Callable[[Flow], None] | None = None
        self.peer_certificate = b""
        self._is_open = True
        self._is_established = False
        self._is_finished = False  # the peer has said all
        self._waiting: list[bytes] = []
        self._waiting_octets = 0
        self._is_full = False
        self._refusal: FingerprintMismatch | None = None
        expired = ConnectTimeout(f"{self.remote} did not finish the TLS handshake in {within_s:g} s")
        self._timer: asyncio.TimerHandle | None
        self._timer = asyncio.get_running_loop().call_later(within_s, self._fail, expired)
        self._tls = SSL.Connection(layer.context, None)
        self._tls.set_app_data(self)
        inner.user = self
        inner.on_opened, inner.on_drained, inner.on_finished = (
            self._inner_opened,
            self._inner_drained,
            self._inner_finished,
        )
        if is_accepted:
            self._tls.set_accept_state()
        else:
            self._tls.set_connect_state()

    # --- as a flow ---------------------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def is_bulk(self) -> bool:
        return self._inner.is_bulk

    @is_bulk.setter
    def is_bulk(self, value: bool) -> None:
        self._inner.is_bulk = value

    @property
    def backlog(self) -> int:
        return self._waiting_octets + self._inner.backlog

    def send(self, octets: bytes) -> None:
        if not self._is_open or not octets:
            return
        tap = self._layer.book.tap
        if tap is not None and tap.sending(self, octets):
            return
        if self._is_established:
            try:
                self._write(octets)
            except SSL.Error as error:
                asyncio.get_running_loop().call_soon(self._fail, ConnectionLost(f"TLS failed: {_reason(error)}"))
            return
        self._waiting.append(octets)
        self._waiting_octets += len(octets)
        self._is_full = self._waiting_octets > HIGH_WATER_OCTETS
        if self._waiting_octets > _MAX_WAITING_OCTETS:
            flood = ConnectionLost(f"{self.remote} does not answer: {self._waiting_octets} octets were waiting")
            asyncio.get_running_loop().call_soon(self._fail, flood)

    def hand_in(self, octets: bytes) -> None:
        """As if it had come from the peer, in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(self._handed_in, octets)

    def lose(self, reason: str) -> None:
        """Breaks the connection below."""
        if isinstance(self._inner, BreakableFlow):
            self._inner.lose(reason)

    def _handed_in(self, octets: bytes) -> None:
        if self._is_open:
            self._layer.handler.received(octets, self)

    def pause(self) -> None:
        self._inner.pause()

    def resume(self) -> None:
        self._inner.resume()

    def close(self) -> None:
        if self._is_open:
            self._leave()

    def verify(self, announced: Sequence[Fingerprint]) -> None:
        """Checks the peer's certificate, where the session is known late. Raises FingerprintMismatch."""
        verify_fingerprint(self.peer_certificate, announced)

    # --- from the layer ----------------------------------------------------------------------------------------------

    def take(self, octets: bytes) -> None:
        """Octets of the peer, as they came."""
        if not self._is_open or not octets:
            return
        plain: list[bytes] = []
        failure: SSL.Error | None = None
        try:
            self._tls.bio_write(octets)
            if self._is_established or self._shake_hands():
                self._read(plain)
        except SSL.Error as error:
            failure = error
        if plain:
            self._layer.handler.received(b"".join(plain), self)
        if failure is not None:
            self._broken(failure)

    def inner_closed(self, error: TransportError | None) -> None:
        """The flow below ended. A missing close_notify is not held against the peer: MSRP knows its own ends."""
        if error is None and not self._is_established:
            error = ConnectTimeout(f"{self.remote} ended the connection before TLS stood")
        self._end(error)

    def refuse_certificate(self, certificate: bytes) -> bool:
        """Whether the handshake must fail because of the certificate that the peer shows."""
        try:
            verify_fingerprint(certificate, self._announced)
        except FingerprintMismatch as mismatch:
            self._refusal = mismatch
            return True
        return False

    # --- inside ------------------------------------------------------------------------------------------------------

    def _inner_opened(self, _inner: Flow) -> None:
        if not self._is_open:
            return
        try:
            self._shake_hands()
        except SSL.Error as error:
            self._broken(error)

    def _inner_drained(self, _inner: Flow) -> None:
        if self._is_open and self.on_drained is not None:
            self.on_drained(self)

    def _inner_finished(self, inner: Flow) -> None:
        """The peer has closed his half of the connection, with or without a word of TLS."""
        if self.on_finished is None or not self._is_established:
            inner.close()
            self.inner_closed(None)
        else:
            self._finish(self.on_finished)

    def _finish(self, on_finished: Callable[[Flow], None]) -> None:
        if self._is_open and not self._is_finished:
            self._is_finished = True
            self._timer = asyncio.get_running_loop().call_later(_HALF_OPEN_S, self._fail, None)
            on_finished(self)

    def _shake_hands(self) -> bool:
        """Goes on with the handshake. Raises SSL.Error if it failed."""
        try:
            self._tls.do_handshake()
        except SSL.WantReadError:
            self._flush(_READ_OCTETS)
            return False
        self._flush(_READ_OCTETS)
        shown = self._tls.get_peer_certificate()
        self.peer_certificate = b"" if shown is None else _der(shown)
        self._is_established = True
        self._stop_timer()
        self._send_what_waited()
        if self.on_opened is not None and not self.is_accepted:
            self.on_opened(self)
        return self._is_open

    def _send_what_waited(self) -> None:
        waiting, self._waiting, self._waiting_octets = self._waiting, [], 0
        if waiting:
            self._write(b"".join(waiting))
        if self._is_full and self._inner.backlog <= HIGH_WATER_OCTETS:  # else the flow below will tell
            asyncio.get_running_loop().call_soon(self._inner_drained, self._inner)
        self._is_full = False

    def _read(self, plain: list[bytes]) -> None:
        """Adds what can be decrypted to *plain*. Raises SSL.Error for a bad record and for the peer's end."""
        receive = self._tls.recv
        try:
            while True:
                plain.append(receive(_RECORD_OCTETS))
        except SSL.WantReadError:
            pass
        self._flush(_RECORD_OVERHEAD_OCTETS)  # an answer to a key update

    def _write(self, octets: bytes) -> None:
        self._tls.sendall(octets)
        size = len(octets)
        self._flush(size + (size // _RECORD_OCTETS + 2) * _RECORD_OVERHEAD_OCTETS)

    def _flush(self, expected: int) -> None:
        """Sends what TLS has to say, at once if it is less than *expected* octets."""
        try:
            while True:
                octets = self._tls.bio_read(expected)
                self._inner.send(octets)
                if len(octets) < expected:
                    return
        except SSL.WantReadError:
            return

    def _broken(self, error: SSL.Error) -> None:
        """The peer ended TLS, or broke it."""
        self._flush(_READ_OCTETS)  # the alert that says why
        if isinstance(error, SSL.ZeroReturnError) and self.on_finished is not None:
            self._finish(self.on_finished)
        elif isinstance(error, SSL.ZeroReturnError):
            self._fail(None)
        elif self._refusal is not None:
            self._fail(self._refusal)
        elif self._is_established:
            self._fail(ConnectionLost(f"TLS with {self.remote} failed: {_reason(error)}"))
        else:
            self._fail(ConnectTimeout(f"{self.remote} failed the TLS handshake: {_reason(error)}"))

    def _fail(self, error: TransportError | None) -> None:
        if self._is_open:
            self._inner.close()
            self._end(error)

    def _leave(self) -> None:
        self._is_open = False
        self._stop_timer()
        if self._is_established:
            try:
                self._tls.shutdown()
                self._flush(_RECORD_OVERHEAD_OCTETS)
            except SSL.Error:
                pass  # it was broken already
        self._inner.close()
        self._let_go()

    def _end(self, error: TransportError | None) -> None:
        was_open, self._is_open = self._is_open, False
        self._stop_timer()
        self._waiting.clear()
        self._let_go()
        if was_open:
            self._layer.handler.closed(self, error)

    def _let_go(self) -> None:
        self._tls.set_app_data(None)
        self._layer.forget(self)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TlsListener:
    """A listening TLS address, over a listener of the network."""

    __slots__ = ("_inner", "_network", "address")

    def __init__(self, network: Network, inner: Listener, name: str) -> None:
        self._network, self._inner = network, inner
        self.address = _named_tls(inner.address)
        network.book.register(self.address, name)

    async def close(self) -> None:
        self._network.book.forget(self.address)
        await self._inner.close()


class TlsLayer:
    """TLS between a network and an element's *handler*. It is the `FlowHandler` of the flows below.

    The handler is told of an accepted connection before the handshake, and of a failed one by `closed`."""

    __slots__ = ("_network", "book", "context", "handler", "handshake_s", "name")

    def __init__(
        self, network: Network, handler: FlowHandler, identity: MsrpIdentity, *, handshake_s: float = HANDSHAKE_S
    ) -> None:
        self._network, self.handler, self.handshake_s = network, handler, handshake_s
        self.book = network.book
        self.name = handler.name
        self.context = _context(identity)

    async def listen(self, address: Address) -> TlsListener:
        """Listens at *address*, which says TLS. Raises TransportError."""
        inner = await self._network.listen(replace(address, transport=Transport.TCP), self)
        return TlsListener(self._network, inner, self.name)

    def connect(
        self, local_host: str, remote: Address, announced: Sequence[Fingerprint] = (), *, timeout_s: float = 10.0
    ) -> TlsFlow:
        """A TLS client; the server's certificate must be one of those *announced*, if any. *timeout_s* is for all of
        it: connection and handshake."""
        inner = self._network.connect(local_host, replace(remote, transport=Transport.TCP), self, timeout_s=timeout_s)
        flow = TlsFlow(self, inner, announced, is_accepted=False, within_s=timeout_s)
        self._network.book.register(flow.local, self.name)
        return flow

    def forget(self, flow: TlsFlow) -> None:
        if not flow.is_accepted:
            self._network.book.forget(flow.local)

    # --- from the network --------------------------------------------------------------------------------------------

    def accepted(self, flow: Flow) -> None:
        self.handler.accepted(TlsFlow(self, flow, is_accepted=True, within_s=self.handshake_s))

    def received(self, octets: bytes, flow: Flow) -> None:
        if isinstance(flow.user, TlsFlow):
            flow.user.take(octets)

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        if isinstance(flow.user, TlsFlow):
            flow.user.inner_closed(error)


def _context(identity: MsrpIdentity) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 34 KiB less for each idle connection
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # a resumed session would show no certificate
    context.set_session_id(b"msrp")
    context.set_cipher_list(_CIPHERS)
    context.use_certificate(identity.certificate)
    context.use_privatekey(identity.key)
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _accepts)
    return context


def _accepts(connection: SSL.Connection, certificate: crypto.X509, _error: int, depth: int, _is_ok: int) -> bool:
    """Any chain will do: the fingerprint of its first certificate decides, who signed it does not."""
    flow = connection.get_app_data()
    return depth > 0 or not isinstance(flow, TlsFlow) or not flow.refuse_certificate(_der(certificate))


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


def _named_tls(address: Address) -> Address:
    return replace(address, transport=Transport.TLS)


def _reason(error: SSL.Error) -> str:
    """What OpenSSL says, such as ``tlsv1 alert protocol version``."""
    stack = error.args[0] if error.args else None
    if isinstance(stack, list) and stack:
        return str(stack[0][-1])
    return "connection ended" if isinstance(error, SSL.SysCallError) else type(error).__name__
