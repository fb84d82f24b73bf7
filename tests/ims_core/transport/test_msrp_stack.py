from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

import pytest

from ims_core.errors import ConnectionLost, ConnectTimeout, LocalProtocolError, TransportError
from ims_core.trace import ListSink, RecordKind, Trace
from ims_core.transport.link import HIGH_WATER_OCTETS, Address, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_identity import MsrpIdentity
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.msrp_tls import FingerprintMismatch
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, VirtualClock, run
from ims_core.wire.msrp.message import MsrpResponse
from ims_core.wire.msrp.parser import Piece
from tests.support.flows import Recorder
from tests.support.msrp_endpoints import RecordingEndpoint, send_frame
from tests.support.real_links import HOST, until

_A, _B = "127.0.0.1", "127.0.0.2"


class World:
    """Two elements: alice connects, bob listens, both write one trace."""

    def __init__(self, network: Network, *, is_encrypted: bool) -> None:
        self.network = network
        self.sink, self.trace = ListSink(), Trace()
        self.trace.add_sink(self.sink)
        self.is_encrypted = is_encrypted
        self.alice = self.stack("alice", _A)
        self.bob = self.stack("red.msrp_relay", _B)

    def stack(self, name: str, host: str, **settings: float) -> MsrpStack:
        any_port = (Address(Transport.TCP, host, 0), Address(Transport.TLS, host, 0))
        config = MsrpStackConfig(name=name, listen=any_port, is_encrypted=self.is_encrypted, **settings)  # type: ignore[arg-type]  # some are integers
        clock = VirtualClock() if isinstance(self.network, MemoryNetwork) else RealClock()
        return MsrpStack(config, network=self.network, clock=clock, tokens=Tokens(name), trace=self.trace)

    async def start(self) -> None:
        await self.alice.start()
        await self.bob.start()

    async def close(self) -> None:
        await self.alice.close()
        await self.bob.close()

    def errors(self) -> list[str]:
        return [record.summary for record in self.sink.records if record.kind is RecordKind.ERROR]

    def messages(self) -> list[str]:
        return [record.summary for record in self.sink.records if record.kind is RecordKind.MESSAGE]


Story = Callable[[World], Awaitable[None]]


def _in_memory(story: Story, *, is_encrypted: bool = True) -> World:
    worlds: list[World] = []

    async def main() -> None:
        world = World(MemoryNetwork(VirtualClock(), Tokens("seed")), is_encrypted=is_encrypted)
        worlds.append(world)
        await world.start()
        await story(world)
        await world.close()
        assert (world.alice.connection_count, world.bob.connection_count) == (0, 0)

    run(main)
    return worlds[0]


def _everywhere(story: Story) -> None:
    """Tells *story* on in-memory links and on sockets."""
    _in_memory(story)

    async def main() -> None:
        network = SocketNetwork(RealClock())
        world = World(network, is_encrypted=True)
        try:
            await world.start()
            await story(world)
        finally:
            await world.close()
            await network.close()

    asyncio.run(main())


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_a_session_is_bound_by_its_first_request_and_speaks_both_ways(transport: Transport) -> None:
    async def story(world: World) -> None:
        at_alice, at_bob = RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect(
            "s1", at_bob, fingerprints=[world.alice.identity.fingerprint] if transport is Transport.TLS else ()
        )
        link = world.alice.connect(
            world.bob.address(transport), at_alice, fingerprints=[world.bob.identity.fingerprint], session_id="me"
        )
        bind = send_frame("bind", "s1")
        link.send(bind.encode(), bind)
        await until(lambda: at_alice.statuses == [200])
        assert (at_alice.links, link.is_active, link.is_open, link.is_tls) == (
            [link],
            True,
            True,
            transport is Transport.TLS,
        )
        (back,) = at_bob.links
        assert (back.is_active, back.session_id, back.remote) == (False, "s1", link.local)
        if transport is Transport.TLS:
            assert link.peer_fingerprint == world.bob.identity.fingerprint
            assert back.peer_fingerprint == world.alice.identity.fingerprint
        else:
            assert link.peer_fingerprint is None
        hello = send_frame("hello", "msrp://10.0.0.1:9/me;tcp", b"hi alice", sender="msrp://10.0.0.2:2855/s1;tcp")
        back.send(hello.encode(), hello)
        await until(lambda: at_bob.statuses == [200])
        assert at_alice.body == b"hi alice"
        link.close()
        await until(lambda: at_bob.ends == [None])
        assert at_bob.lost_links == [back]
        assert not back.is_open
        assert at_alice.ends == []
        assert world.messages() == ["SEND 1-0/0", "200 OK (SEND)", "SEND 1-8/8 $", "200 OK (SEND)"]
        assert {record.reference_point for record in world.sink.records} == {"Mb"}
        assert {record.transport for record in world.sink.records} == {transport.value}

    _everywhere(story)


def test_opened_comes_when_the_connection_stands_and_not_before() -> None:
    async def story(world: World) -> None:
        at_alice = RecordingEndpoint()
        world.alice.connect(world.bob.address(Transport.TLS), at_alice)
        assert at_alice.links == []
        await asyncio.sleep(1)
        assert len(at_alice.links) == 1

    _in_memory(story)


def test_a_refused_connection_is_lost_and_never_opened() -> None:
    async def story(world: World) -> None:
        at_alice = RecordingEndpoint()
        link = world.alice.connect(Address(Transport.TCP, _B, 9), at_alice)
        link.send(b"unheard")
        await until(lambda: at_alice.lost_links == [link])
        assert isinstance(at_alice.ends[0], ConnectTimeout)
        assert (at_alice.links, link.is_open) == ([], False)

    _everywhere(story)


def test_a_server_with_another_certificate_is_lost_by_fingerprint() -> None:
    async def story(world: World) -> None:
        at_alice, at_bob = RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        stranger = world.alice.identity.fingerprint
        link = world.alice.connect(world.bob.address(Transport.TLS), at_alice, fingerprints=[stranger])
        link.send(send_frame("bind", "s1").encode())
        await until(lambda: at_alice.lost_links == [link])
        assert isinstance(at_alice.ends[0], FingerprintMismatch)
        await until(lambda: world.bob.connection_count == 0)
        assert at_bob.events == []
        assert any("announced was" in error for error in world.errors())

    _everywhere(story)


@pytest.mark.parametrize("transport", [Transport.TCP, Transport.TLS])
def test_a_client_that_is_not_the_announced_one_does_not_bind(transport: Transport) -> None:
    async def story(world: World) -> None:
        at_alice, at_bob = RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob, fingerprints=[world.bob.identity.fingerprint])
        link = world.alice.connect(world.bob.address(transport), at_alice)
        link.send(send_frame("bind", "s1").encode())
        await until(lambda: at_alice.lost_links == [link])
        assert at_alice.statuses == [481]
        assert isinstance(at_bob.ends[0], FingerprintMismatch)
        assert (at_bob.links, at_bob.lost_links[0].is_open) == ([], False)

    _in_memory(story)


def test_where_tls_is_a_name_nothing_is_encrypted_and_nothing_checked() -> None:
    async def story(world: World) -> None:
        tap, at_bob = Recorder("tap"), RecordingEndpoint()
        world.bob.expect("s1", at_bob, fingerprints=[MsrpIdentity.make("x", 0.0, Tokens("x")).fingerprint])
        link = world.alice.connect(world.bob.address(Transport.TLS), RecordingEndpoint())
        link.send(send_frame("bind", "s1").encode())
        listener = await world.network.listen(Address(Transport.TLS, _B, 0), tap)
        world.alice.connect(listener.address, RecordingEndpoint()).send(b"in the clear")
        await asyncio.sleep(1)
        assert at_bob.links[0].is_tls
        assert at_bob.links[0].peer_fingerprint is None
        assert tap.stream == b"in the clear"

    _in_memory(story, is_encrypted=False)


def test_unknown_sessions_get_481_and_bound_ones_506_and_the_bound_one_goes_on() -> None:
    async def story(world: World) -> None:
        first, second, at_bob = RecordingEndpoint(), RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        link = world.alice.connect(world.bob.address(Transport.TCP), first)
        link.send(send_frame("bind", "s1").encode())
        thief = world.alice.connect(world.bob.address(Transport.TCP), second)
        await until(lambda: first.statuses == [200])
        thief.send(send_frame("try1", "s1").encode())
        thief.send(send_frame("try2", "s2", b"who is there").encode())
        await until(lambda: second.statuses == [506, 481])
        link.send(send_frame("next", "s1", b"still mine").encode())
        await until(lambda: first.statuses == [200, 200])
        assert at_bob.body == b"still mine"
        assert len(at_bob.links) == 1
        assert [error.partition(":")[0] for error in world.errors()] == ["506", "481"]
        link.close()
        await until(lambda: at_bob.ends == [None])
        thief.send(send_frame("try3", "s1").encode())
        await until(lambda: second.statuses == [506, 481, 200])
        assert len(at_bob.links) == 2, "the session can be bound again when its connection is gone"

    _everywhere(story)


def test_a_session_that_has_its_connection_gives_506_to_others_however_it_got_it() -> None:
    async def story(world: World) -> None:
        at_bob, mine, thief = RecordingEndpoint(), RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        link = world.alice.connect(world.bob.address(Transport.TCP), mine, session_id="me")
        link.send(send_frame("bind", "s1").encode())
        await asyncio.sleep(1)
        world.bob.forget("s1")
        for stack, session_id in ((world.bob, "s1"), (world.alice, "me")):
            world.bob.connect(stack.address(Transport.TCP), thief).send(send_frame("take", session_id).encode())
        await asyncio.sleep(1)
        assert thief.statuses == [506, 506]
        link.close()
        await asyncio.sleep(1)
        for stack, session_id in ((world.bob, "s1"), (world.alice, "me")):
            world.bob.connect(stack.address(Transport.TCP), thief).send(send_frame("take", session_id).encode())
        await asyncio.sleep(1)
        assert thief.statuses == [506, 506, 481, 481]

    _in_memory(story)


def test_a_session_may_be_expected_again_with_what_the_answer_says() -> None:
    async def story(world: World) -> None:
        early, late, at_alice = RecordingEndpoint(), RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", early)
        world.alice.connect(world.bob.address(Transport.TLS), at_alice).send(send_frame("bind", "s1").encode())
        await asyncio.sleep(1)
        early.links[0].verify([world.alice.identity.fingerprint])
        with pytest.raises(FingerprintMismatch):
            early.links[0].verify([world.bob.identity.fingerprint])
        world.bob.forget("s1")
        world.bob.expect("s1", late)
        early.links[0].close()
        world.alice.connect(world.bob.address(Transport.TLS), at_alice).send(send_frame("bind", "s1").encode())
        await asyncio.sleep(1)
        assert (len(early.links), len(late.links)) == (1, 1)

    _in_memory(story)


@pytest.mark.parametrize(
    ("method", "headers"), [("SEND", (("Failure-Report", "no"),)), ("REPORT", (("Status", "000 200 OK"),))]
)
def test_who_wants_no_answer_gets_none(method: str, headers: tuple[tuple[str, str], ...]) -> None:
    async def story(world: World) -> None:
        at_alice = RecordingEndpoint()
        link = world.alice.connect(world.bob.address(Transport.TCP), at_alice)
        link.send(send_frame("quiet", "s2", method=method, headers=headers).encode())
        await asyncio.sleep(1)
        assert at_alice.events == []
        assert any(error.startswith("481") for error in world.errors())

    _in_memory(story)


def test_several_sessions_may_share_a_connection_which_lasts_as_long_as_one_of_them() -> None:
    async def story(world: World) -> None:
        at_alice, one, two = RecordingEndpoint(), RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", one)
        world.bob.expect("s2", two)
        link = world.alice.connect(world.bob.address(Transport.TCP), at_alice)
        link.send(send_frame("a001", "s1", b"for one").encode() + send_frame("a002", "s2", b"for two").encode())
        await until(lambda: at_alice.statuses == [200, 200])
        assert (one.body, two.body) == (b"for one", b"for two")
        one.links[0].close()
        world.bob.forget("s1")
        link.send(send_frame("a003", "s2", b"!").encode() + send_frame("a004", "s1").encode())
        await until(lambda: at_alice.statuses == [200, 200, 200, 481])
        assert two.body == b"for two!"
        two.links[0].close()
        await until(lambda: at_alice.ends == [None])
        assert (one.ends, two.ends) == ([], [])

    _everywhere(story)


def test_the_passive_side_may_share_a_connection_that_we_made() -> None:
    async def story(world: World) -> None:
        mine, other, at_bob = RecordingEndpoint(), RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        world.alice.expect("other", other)
        link = world.alice.connect(world.bob.address(Transport.TCP), mine, session_id="mine")
        link.send(send_frame("bind", "s1").encode())
        await until(lambda: mine.statuses == [200])
        for name in ("other", "mine", "unheard"):
            at_bob.links[0].send(send_frame(f"b-{name}", name, name.encode()).encode())
        await until(lambda: at_bob.statuses == [200, 200, 481])
        assert (mine.body, other.body) == (b"mine", b"other")

    _in_memory(story)


def test_a_relay_takes_requests_that_name_no_session_on_any_connection() -> None:
    async def story(world: World) -> None:
        relay, session = RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("", relay)
        world.bob.expect("s1", session)
        clients = [RecordingEndpoint(), RecordingEndpoint()]
        links = [world.alice.connect(world.bob.address(Transport.TLS), client) for client in clients]
        for link in links:
            link.send(send_frame("auth", "msrps://relay.red.test:2855;tcp", method="AUTH").encode())
        await asyncio.sleep(1)
        assert [request.method for request in relay.events if not isinstance(request, Piece | TransportError)] == [  # type: ignore[union-attr]  # only requests came
            "AUTH",
            "AUTH",
        ]
        answer = MsrpResponse.to(relay.events[0], 401)  # type: ignore[arg-type]  # as above
        relay.links[0].send(answer.encode(), answer)
        links[0].send(send_frame("send", "s1", b"after AUTH").encode())
        await asyncio.sleep(15)
        assert session.body == b"after AUTH"
        assert [client.statuses for client in clients] == [[401, 200], []]
        assert "401 Unauthorized (AUTH)" in world.messages()
        assert world.bob.connection_count == 2, "a connection that a relay has taken needs no session"

    _in_memory(story)


def test_what_a_relay_has_granted_may_be_named_on_any_number_of_connections() -> None:
    async def story(world: World) -> None:
        relay, clients = RecordingEndpoint(), [RecordingEndpoint(), RecordingEndpoint()]
        world.bob.expect("granted", relay, is_shared=True)
        for client in clients:
            link = world.alice.connect(world.bob.address(Transport.TCP), client)
            link.send(send_frame("from", "granted", b"x").encode())
        await asyncio.sleep(1)
        assert [client.statuses for client in clients] == [[200], [200]]
        assert len(relay.links) == 2

    _in_memory(story)


def test_a_connection_that_binds_nothing_is_closed_in_time() -> None:
    async def story(world: World) -> None:
        silent, chatty = Recorder("silent"), Recorder("chatty")
        world.network.connect(_A, world.bob.address(Transport.TCP), silent)
        flow = world.network.connect(_A, world.bob.address(Transport.TCP), chatty)
        for second in range(9):
            flow.send(send_frame(f"try{second}", "unknown").encode())
            await asyncio.sleep(1)
        assert world.bob.connection_count == 2
        await asyncio.sleep(1.5)
        assert world.bob.connection_count == 0
        assert (silent.ends, chatty.ends) == ([None], [None])
        assert "no session was bound within 10 s" in world.errors()

    _in_memory(story)


def test_octets_before_a_session_are_bounded() -> None:
    async def story(world: World) -> None:
        flood = Recorder("flood")
        flow = world.network.connect(_A, world.bob.address(Transport.TCP), flood)
        octets = send_frame("flod", "unknown", bytes(1024)).encode()
        for _ in range(100):
            flow.send(octets)
        await asyncio.sleep(1)
        assert world.bob.connection_count == 0
        assert flood.stream.count(b"481") < 70

    _in_memory(story)


def test_connections_are_bounded() -> None:
    async def story(world: World) -> None:
        small = world.stack("small", "127.0.0.3", max_connections=2)
        await small.start()
        guests = [Recorder("guest") for _ in range(3)]
        for guest in guests:
            world.network.connect(_A, small.address(Transport.TCP), guest)
        await asyncio.sleep(1)
        assert [guest.ends for guest in guests] == [[], [], [None]]
        endpoint = RecordingEndpoint()
        link = small.connect(world.bob.address(Transport.TCP), endpoint)
        assert endpoint.ends == []
        await asyncio.sleep(1)
        assert endpoint.lost_links == [link]
        assert "too many connections" in str(endpoint.ends[0])
        await small.close()
        late = small.connect(world.bob.address(Transport.TCP), endpoint)
        late.close()
        await asyncio.sleep(1)
        assert len(endpoint.ends) == 1, "who has left is not told"

    _in_memory(story)


def test_a_long_message_uses_bounded_memory_when_the_receiver_pauses() -> None:
    chunk = bytes(65536)

    async def story(world: World) -> None:
        at_alice, at_bob = RecordingEndpoint(), RecordingEndpoint(status=None)
        world.bob.expect("s1", at_bob)
        link = world.alice.connect(world.bob.address(Transport.TCP), at_alice)
        link.send(send_frame("bind", "s1").encode())
        await until(lambda: len(at_bob.links) == 1)
        at_bob.links[0].pause()
        at_bob.links[0].pause()
        count = 0
        while link.backlog <= HIGH_WATER_OCTETS:
            link.send(send_frame(f"c{count:05}", "s1", chunk).encode())
            count += 1
            await asyncio.sleep(0)
        assert len(at_bob.body) < count * len(chunk)
        at_bob.links[0].resume()
        at_bob.links[0].resume()
        await until(lambda: len(at_bob.body) == count * len(chunk))
        await until(lambda: len(at_alice.drained_at) == 1)

    _everywhere(story)


def test_a_peer_who_does_not_read_his_answers_is_not_read() -> None:
    async def story(world: World) -> None:
        at_bob = RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        deaf = Recorder("deaf")
        flow = world.network.connect(_A, world.bob.address(Transport.TCP), deaf)
        flow.pause()
        octets = send_frame("many", "s1", b"x").encode() * 40
        for _ in range(500):
            flow.send(octets)
            await asyncio.sleep(0.01)
        assert 0 < len(at_bob.events) < 20_000
        assert at_bob.links[0].backlog < 2 * HIGH_WATER_OCTETS
        flow.resume()
        await asyncio.sleep(10)
        assert len(at_bob.events) == 20_000
        assert deaf.stream.count(b" 200 OK") == 20_000

    _in_memory(story)


def test_closing_the_stack_ends_everything_without_a_word_to_its_own() -> None:
    async def story(world: World) -> None:
        at_alice, at_bob = RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        link = world.alice.connect(world.bob.address(Transport.TLS), at_alice)
        link.send(send_frame("bind", "s1").encode())
        await until(lambda: at_alice.statuses == [200])
        address = world.bob.address(Transport.TLS)
        at_bob.links[0].send(send_frame("last", "me", b"last words").encode())
        await world.bob.close()
        await until(lambda: at_alice.ends == [None])
        assert at_alice.body == b"last words"
        assert at_bob.ends == []
        assert world.network.book.name_of(address) is None
        with pytest.raises(LocalProtocolError, match="does not listen"):
            world.bob.address(Transport.TLS)
        await world.bob.start()
        assert world.bob.address(Transport.TLS).port

    _everywhere(story)


@pytest.mark.parametrize("is_patient", [True, False])
async def test_who_has_closed_his_half_gets_his_answer_if_the_session_wants_to(is_patient: bool) -> None:
    network = SocketNetwork(RealClock())
    world = World(network, is_encrypted=True)
    await world.start()
    finished: list[MsrpLink] = []

    class Deferring(RecordingEndpoint):
        def opened(self, link: MsrpLink) -> None:
            super().opened(link)
            if is_patient:
                link.on_finished = finished.append

    at_bob = Deferring(status=None)
    world.bob.expect("s1", at_bob)
    address = world.bob.address(Transport.TCP)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(send_frame("last", "s1", b"hello").encode())
    writer.write_eof()
    if is_patient:
        await until(lambda: len(finished) == 1)
        (piece,) = at_bob.events
        assert isinstance(piece, Piece)
        finished[0].send(MsrpResponse.to(piece.head, 200).encode())
        finished[0].close()
        assert (await reader.read()).startswith(b"MSRP last 200 OK")
        assert at_bob.ends == []
    else:
        assert await reader.read() == b""
        assert at_bob.ends == [None]
        assert not at_bob.links[0].is_open
    assert world.bob.connection_count == 0
    writer.close()
    await world.close()
    await network.close()


async def test_a_port_in_use_is_told_and_nothing_listens() -> None:
    network = SocketNetwork(RealClock())
    with socket.create_server((HOST, 0)) as taken:
        addresses = (Address(Transport.TCP, HOST, 0), Address(Transport.TLS, HOST, taken.getsockname()[1]))
        config = MsrpStackConfig(name="bob", listen=addresses)
        stack = MsrpStack(config, network=network, clock=RealClock(), tokens=Tokens(), trace=Trace())
        with pytest.raises(TransportError, match="in use"):
            await stack.start()
        with pytest.raises(LocalProtocolError):
            stack.address(Transport.TCP)
    await network.close()


def test_a_session_is_expected_once() -> None:
    async def story(world: World) -> None:
        world.bob.expect("s1", RecordingEndpoint())
        with pytest.raises(LocalProtocolError):
            world.bob.expect("s1", RecordingEndpoint())
        world.bob.forget("s1")
        world.bob.forget("s1")
        world.bob.expect("s1", RecordingEndpoint())

    _in_memory(story)


def test_a_stack_needs_a_host_to_connect_from() -> None:
    with pytest.raises(LocalProtocolError):
        _ = MsrpStackConfig(name="nowhere").host
    assert MsrpStackConfig(name="phone", local_host=_A).host == _A


def test_the_identity_repeats_with_the_seed() -> None:
    def made() -> str:
        world = _in_memory(lambda _world: asyncio.sleep(0))
        return str(world.alice.identity.fingerprint)

    assert made() == made()


def test_a_connection_that_breaks_is_told_to_both_ends() -> None:
    async def story(world: World) -> None:
        at_alice, at_bob = RecordingEndpoint(), RecordingEndpoint()
        world.bob.expect("s1", at_bob)
        link = world.alice.connect(world.bob.address(Transport.TLS), at_alice)
        link.send(send_frame("bind", "s1").encode())
        await asyncio.sleep(1)
        assert isinstance(world.network, MemoryNetwork)
        world.network.reset(_B)
        assert isinstance(at_alice.ends[0], ConnectionLost)
        assert isinstance(at_bob.ends[0], ConnectionLost)

    _in_memory(story)
