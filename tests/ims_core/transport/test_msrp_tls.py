from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL

from ims_core.errors import ConnectionLost, ConnectTimeout, TransportError
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Flow, Network, TappedFlow, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_identity import MsrpIdentity
from ims_core.transport.msrp_tls import FingerprintMismatch, TlsFlow, TlsLayer, verify_fingerprint
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, VirtualClock, run
from ims_core.wire.msrp.fingerprint import Fingerprint
from tests.support.flows import Recorder
from tests.support.real_links import HOST, until

_A, _B = "127.0.0.2", "127.0.0.1"
_NOW = 1_772_446_500.0


def _identity(name: str) -> MsrpIdentity:
    return MsrpIdentity.make(name, _NOW, Tokens(name))


_ALICE, _BOB = _identity("alice"), _identity("bob")


class Pair:
    """A client, alice, and a server, bob, with TLS between them on any network."""

    def __init__(self, network: Network, answer: Callable[[bytes], bytes] | None = None) -> None:
        self.network = network
        self.alice, self.bob = Recorder("alice"), Recorder("bob", answer)
        self.client = TlsLayer(network, self.alice, _ALICE)
        self.server = TlsLayer(network, self.bob, _BOB)
        self.address = Address(Transport.TLS, _B, 0)

    async def listen(self) -> None:
        self.address = (await self.server.listen(self.address)).address

    def connect(self, *announced: Fingerprint) -> TlsFlow:
        return self.client.connect(_A, self.address, announced)

    @property
    def at_bob(self) -> TlsFlow:
        flow = self.bob.flows[0]
        assert isinstance(flow, TlsFlow)
        return flow


Story = Callable[[Pair], Awaitable[None]]


def _in_memory(story: Story, answer: Callable[[bytes], bytes] | None = None) -> None:
    async def main() -> None:
        pair = Pair(MemoryNetwork(VirtualClock(), Tokens("seed")), answer)
        await pair.listen()
        await story(pair)

    run(main)


def _everywhere(story: Story, answer: Callable[[bytes], bytes] | None = None) -> None:
    """Tells *story* on in-memory links and on sockets."""
    _in_memory(story, answer)

    async def main() -> None:
        network = SocketNetwork(RealClock())
        pair = Pair(network, answer)
        try:
            await pair.listen()
            await story(pair)
        finally:
            await network.close()

    asyncio.run(main())


def test_octets_go_both_ways_and_both_ends_know_whom_they_talk_to() -> None:
    async def story(pair: Pair) -> None:
        opened: list[Flow] = []
        flow = pair.connect(_BOB.fingerprint)
        flow.on_opened = opened.append
        flow.send(b"early ")
        flow.send(b"")
        await until(lambda: pair.alice.stream == b"EARLY ")
        flow.send(b"later")
        await until(lambda: pair.alice.stream == b"EARLY LATER")
        assert opened == [flow]
        assert _BOB.fingerprint.matches(flow.peer_certificate)
        assert _ALICE.fingerprint.matches(pair.at_bob.peer_certificate)
        pair.at_bob.verify([_ALICE.fingerprint])
        assert (flow.remote.transport, flow.remote) == (Transport.TLS, pair.address)
        assert pair.network.book.name_of(pair.address) == "bob"
        assert pair.network.book.name_of(pair.at_bob.remote) == "alice"
        assert (flow.is_accepted, pair.at_bob.is_accepted) == (False, True)

    _everywhere(story, bytes.upper)


class _Tap(Recorder):
    """Sees what comes for a layer, and hands it on."""

    def __init__(self, layer: TlsLayer) -> None:
        super().__init__("tap")
        self.accepted = layer.accepted  # type: ignore[method-assign]  # it stands in for the layer
        self.closed = layer.closed  # type: ignore[method-assign]  # as above
        self._layer = layer

    def received(self, octets: bytes, flow: Flow) -> None:
        super().received(octets, flow)
        self._layer.received(octets, flow)


def test_the_octets_on_the_link_are_encrypted() -> None:
    async def story(pair: Pair) -> None:
        tap = _Tap(pair.server)
        listener = await pair.network.listen(Address(Transport.TCP, _B, 0), tap)
        pair.client.connect(_A, listener.address).send(b"in the clear?")
        await until(lambda: pair.bob.stream == b"in the clear?")
        assert len(tap.stream) > 500
        assert b"clear" not in tap.stream

    _in_memory(story)


def test_a_server_with_another_certificate_is_refused_before_anything_is_said() -> None:
    async def story(pair: Pair) -> None:
        flow = pair.connect(_identity("mallory").fingerprint)
        flow.send(b"secret")
        await until(lambda: len(pair.alice.ends) == 1 and len(pair.bob.ends) == 1)
        assert isinstance(pair.alice.ends[0], FingerprintMismatch)
        assert isinstance(pair.bob.ends[0], ConnectTimeout)
        assert not flow.is_open
        assert pair.bob.octets == []
        assert pair.network.book.name_of(flow.local) is None

    _everywhere(story)


def test_a_client_with_another_certificate_is_told_apart() -> None:
    async def story(pair: Pair) -> None:
        pair.connect().send(b"hello")
        await until(lambda: pair.bob.stream == b"hello")
        with pytest.raises(FingerprintMismatch, match="announced was SHA-256"):
            pair.at_bob.verify([_identity("mallory").fingerprint])

    _in_memory(story)


def test_the_strongest_hash_decides_and_md5_proves_nothing() -> None:
    certificate = _BOB.certificate.public_bytes(serialization.Encoding.DER)
    right, wrong = Fingerprint.of(certificate, "SHA-1"), _ALICE.fingerprint
    verify_fingerprint(certificate, [])
    verify_fingerprint(certificate, [right])
    verify_fingerprint(certificate, [wrong, _BOB.fingerprint, right])
    for announced in ([wrong, right], [Fingerprint("MD5", bytes(16))], [Fingerprint("ROT-13", b"x")]):
        with pytest.raises(FingerprintMismatch):
            verify_fingerprint(certificate, announced)


def test_long_content_arrives_whole_and_in_order() -> None:
    content = bytes(range(256)) * 4096

    async def story(pair: Pair) -> None:
        flow = pair.connect()
        flow.is_bulk = True
        assert flow.is_bulk
        for start in range(0, len(content), 70_000):
            flow.send(content[start : start + 70_000])
        await until(lambda: len(pair.bob.stream) == len(content))
        assert pair.bob.stream == content

    _everywhere(story)


def test_either_end_closes_in_order_after_what_it_said() -> None:
    async def story(pair: Pair) -> None:
        flow = pair.connect()
        flow.send(b"last words")
        await until(lambda: pair.bob.stream != b"")
        flow.send(b", really")
        flow.close()
        flow.close()
        flow.send(b"unheard")
        await until(lambda: pair.bob.ends == [None])
        assert pair.bob.stream == b"last words, really"
        assert pair.alice.ends == []
        other = pair.connect()
        other.send(b"x")
        await until(lambda: len(pair.bob.flows) == 2 and pair.bob.stream.endswith(b"x"))
        pair.bob.flows[1].close()
        await until(lambda: pair.alice.ends == [None])

    _everywhere(story)


def test_flow_control_reaches_through_tls() -> None:
    async def story(pair: Pair) -> None:
        drained: list[Flow] = []
        flow = pair.connect()
        flow.on_drained = drained.append
        flow.send(b"x")
        await until(lambda: pair.bob.stream == b"x")
        pair.at_bob.pause()
        sent = 1
        while flow.backlog <= HIGH_WATER_OCTETS:
            flow.send(bytes(65536))
            sent += 65536
            await asyncio.sleep(0)
        assert len(pair.bob.stream) < sent
        pair.at_bob.resume()
        await until(lambda: len(pair.bob.stream) == sent)
        await until(lambda: drained == [flow])
        assert flow.backlog == 0

    _everywhere(story)


def test_what_waited_for_the_handshake_is_told_when_it_has_left() -> None:
    async def story(pair: Pair) -> None:
        drained: list[Flow] = []
        flow = pair.connect()
        flow.on_drained = drained.append
        flow.send(bytes(HIGH_WATER_OCTETS + 1))
        assert flow.backlog >= HIGH_WATER_OCTETS + 1
        await until(lambda: len(pair.bob.stream) == HIGH_WATER_OCTETS + 1)
        await until(lambda: drained == [flow])

    _everywhere(story)


def test_what_waits_is_bounded() -> None:
    async def story(pair: Pair) -> None:
        flow = pair.connect()
        for _ in range(9):
            flow.send(bytes(1024 * 1024))
        assert pair.alice.ends == [], "nobody is called back from within send"
        await until(lambda: len(pair.alice.ends) == 1)
        assert isinstance(pair.alice.ends[0], ConnectionLost)

    _in_memory(story)


@pytest.mark.parametrize("is_server", [True, False])
def test_a_handshake_that_goes_nowhere_ends_in_time(is_server: bool) -> None:
    async def story(pair: Pair) -> None:
        silent = Recorder("silent")
        if is_server:
            pair.network.connect(_A, _plain(pair.address), silent)
        else:
            listener = await pair.network.listen(Address(Transport.TCP, _B, 0), silent)
            pair.client.connect(_A, listener.address).send(b"x")
        await asyncio.sleep(9.9)
        ends = (pair.bob if is_server else pair.alice).ends
        assert ends == []
        await asyncio.sleep(0.2)
        assert isinstance(ends[0], ConnectTimeout)
        assert "handshake in 10 s" in str(ends[0])

    _in_memory(story)


def test_a_refused_connection_and_a_peer_that_leaves_early_end_in_closed() -> None:
    async def story(pair: Pair) -> None:
        pair.client.connect(_A, Address(Transport.TLS, _B, 9))
        await until(lambda: len(pair.alice.ends) == 1)
        pair.network.connect(_A, _plain(pair.address), Recorder("hasty")).close()
        await until(lambda: len(pair.bob.ends) == 1)
        assert all(isinstance(error, ConnectTimeout) for error in (*pair.alice.ends, *pair.bob.ends))

    _in_memory(story)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=4), st.booleans())
def test_hostile_octets_end_in_closed_and_nothing_else(octets: list[bytes], looks_like_tls: bool) -> None:
    async def story(pair: Pair) -> None:
        faults: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        raw = Recorder("mallory")
        to_server = pair.network.connect(_A, _plain(pair.address), raw)
        listener = await pair.network.listen(Address(Transport.TCP, _B, 0), raw)
        pair.client.connect(_A, listener.address)
        await asyncio.sleep(1)
        for flow in (to_server, raw.flows[0]):
            if looks_like_tls:
                flow.send(b"\x16\x03\x01")
            for each in octets:
                flow.send(each)
        await asyncio.sleep(20)
        assert faults == []
        for recorder in (pair.alice, pair.bob):
            assert recorder.octets == []
            assert [isinstance(end, TransportError) for end in recorder.ends] == [True]

    _in_memory(story)


class _RawPeer(Recorder):
    """A TLS peer made by hand, to break rules with."""

    def __init__(self, context: SSL.Context) -> None:
        super().__init__("raw")
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.errors: list[SSL.Error] = []
        self.plain = b""

    def begin(self, network: Network, address: Address) -> None:
        self.flow = network.connect(_A, address, self)
        self.go_on()

    def received(self, octets: bytes, flow: Flow) -> None:
        self.tls.bio_write(octets)
        self.go_on()

    def go_on(self) -> None:
        try:
            self.tls.do_handshake()
            self.plain += self.tls.recv(1000)
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.errors.append(error)
        with contextlib.suppress(SSL.WantReadError):
            while True:
                self.flow.send(self.tls.bio_read(100_000))


def _raw_context(version: int, identity: MsrpIdentity | None = _ALICE) -> SSL.Context:
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    if identity is not None:
        context.use_certificate(identity.certificate)
        context.use_privatekey(identity.key)
    if version < SSL.TLS1_2_VERSION:
        context.set_cipher_list(b"DEFAULT@SECLEVEL=0")
    return context


@pytest.mark.parametrize(
    "context",
    [_raw_context(SSL.TLS1_1_VERSION), _raw_context(SSL.TLS1_2_VERSION, None), _raw_context(SSL.TLS1_3_VERSION, None)],
    ids=["TLS 1.1", "TLS 1.2 without a certificate", "TLS 1.3 without a certificate"],
)
def test_old_versions_and_clients_without_a_certificate_are_refused(context: SSL.Context) -> None:
    async def story(pair: Pair) -> None:
        raw = _RawPeer(context)
        raw.begin(pair.network, _plain(pair.address))
        await asyncio.sleep(1)
        assert len(raw.errors) == 1
        assert isinstance(pair.bob.ends[0], ConnectTimeout)
        assert pair.bob.octets == []

    _in_memory(story)


def test_nobody_renegotiates() -> None:
    async def story(pair: Pair) -> None:
        raw = _RawPeer(_raw_context(SSL.TLS1_2_VERSION))
        raw.begin(pair.network, _plain(pair.address))
        await asyncio.sleep(1)
        raw.tls.send(b"before")
        raw.tls.renegotiate()
        raw.go_on()
        await asyncio.sleep(1)
        assert pair.bob.stream == b"before"
        assert "no renegotiation" in str(raw.errors)
        assert isinstance(pair.bob.ends[0], ConnectionLost)

    _in_memory(story)


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_peer_who_has_said_all_can_still_be_answered_for_a_while(is_answered: bool) -> None:
    async def story(pair: Pair) -> None:
        raw = _RawPeer(_raw_context(SSL.TLS1_3_VERSION))
        raw.begin(pair.network, _plain(pair.address))
        await asyncio.sleep(1)
        finished: list[Flow] = []
        pair.at_bob.on_finished = finished.append
        raw.tls.send(b"question")
        raw.tls.shutdown()
        raw.go_on()
        await asyncio.sleep(29)
        assert (pair.bob.stream, pair.bob.ends, finished) == (b"question", [], [pair.at_bob])
        if is_answered:
            pair.at_bob.send(b"answer")
            pair.at_bob.close()
        await asyncio.sleep(2)
        assert raw.plain == (b"answer" if is_answered else b"")
        assert pair.bob.ends == ([] if is_answered else [None])
        assert raw.ends == [None]

    _in_memory(story)


async def test_half_a_tcp_connection_is_half_a_tls_connection(network: SocketNetwork) -> None:
    pair = Pair(network, bytes.upper)
    await pair.listen()
    flow = pair.connect()
    flow.send(b"hello")
    await until(lambda: pair.alice.stream == b"HELLO")
    finished: list[Flow] = []
    pair.at_bob.on_finished = finished.append
    flow.close()
    await until(lambda: finished == [pair.at_bob])
    assert pair.bob.ends == []
    pair.at_bob.close()


def test_a_damaged_record_ends_the_connection_after_what_was_sound() -> None:
    async def story(pair: Pair) -> None:
        raw = _RawPeer(_raw_context(SSL.TLS1_3_VERSION))
        raw.begin(pair.network, _plain(pair.address))
        await asyncio.sleep(1)
        raw.tls.send(b"sound")
        sound = raw.tls.bio_read(1000)
        raw.tls.send(b"damaged")
        damaged = bytearray(raw.tls.bio_read(1000))
        damaged[-1] ^= 1
        raw.flow.send(sound + damaged)
        await asyncio.sleep(1)
        assert pair.bob.stream == b"sound"
        assert isinstance(pair.bob.ends[0], ConnectionLost)
        assert "decryption failed" in str(pair.bob.ends[0])

    _in_memory(story)


@pytest.fixture
def alice_files(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "alice.pem", tmp_path / "alice.key"
    certificate.write_bytes(_ALICE.certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        _ALICE.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, key


async def test_the_standard_librarys_tls_talks_to_it(network: SocketNetwork, alice_files: tuple[Path, Path]) -> None:
    pair = Pair(network, bytes.upper)
    await pair.listen()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(*alice_files)
    reader, writer = await asyncio.open_connection(HOST, pair.address.port, ssl=context)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"HELLO"
    pair.at_bob.verify([_ALICE.fingerprint])
    writer.close()
    await until(lambda: pair.bob.ends == [None])


async def test_a_listener_that_closes_is_not_in_the_book_any_more(network: SocketNetwork) -> None:
    layer = TlsLayer(network, Recorder("bob"), _BOB)
    listener = await layer.listen(Address(Transport.TLS, HOST, 0))
    assert network.book.name_of(listener.address) == "bob"
    await listener.close()
    assert network.book.name_of(listener.address) is None


def _plain(address: Address) -> Address:
    return Address(Transport.TCP, address.host, address.port)


def test_a_tap_sees_what_is_said_before_it_is_sealed_and_can_answer() -> None:
    async def story(pair: Pair) -> None:
        seen: list[bytes] = []

        class Tap:
            def sending(self, flow: TappedFlow, octets: bytes) -> bool:
                if not isinstance(flow, TlsFlow):
                    return False  # sealed already
                seen.append(octets)
                if octets == b"secret":
                    flow.hand_in(b"taken")
                return octets == b"secret"

        pair.network.book.tap = Tap()
        flow = pair.connect()
        flow.send(b"before it stands")
        await until(lambda: pair.bob.stream == b"before it stands")
        flow.send(b"secret")
        await until(lambda: pair.alice.stream == b"taken")
        flow.send(b", after")
        await until(lambda: pair.bob.stream == b"before it stands, after")
        assert seen == [b"before it stands", b"secret", b", after"]
        flow.close()

    _everywhere(story)
