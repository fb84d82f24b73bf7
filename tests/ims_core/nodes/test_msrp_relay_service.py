from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import pytest

from ims_core.errors import TransportError
from ims_core.nodes.msrp_relay_service import RelayService
from ims_core.trace import Trace
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.msrp_link import MsrpLink
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, VirtualClock, run
from ims_core.wire.digest import Algorithm
from ims_core.wire.msrp.auth import AuthClient, AuthClientConfig, AuthFailed, AuthOutputs, Granted
from ims_core.wire.msrp.auth_server import RelayConfig, RelayRegistrar
from ims_core.wire.msrp.message import MsrpResponse
from ims_core.wire.msrp.parser import MsrpEvent
from ims_core.wire.msrp.session import MsrpSession
from ims_core.wire.msrp.session_events import (
    MessageFailed,
    MessageReceived,
    MessageSent,
    OutgoingMessage,
    Output,
    Reported,
    SessionConfig,
    Transmit,
)
from ims_core.wire.msrp.uri import MsrpUri
from ims_core.wire.secret import Secret
from tests.support.real_links import until

_REALM = "ims.mnc001.mcc001.3gppnetwork.org"
_RELAY, _ALICE, _BOB = "127.0.0.3", "127.0.0.1", "127.0.0.2"


def _ha1(username: str, algorithm: Algorithm) -> str | None:
    if username not in ("alice", "bob"):
        return None
    name = "md5" if "MD5" in str(algorithm) else "sha256"
    return hashlib.new(name, f"{username}:{_REALM}:pass".encode()).hexdigest()


class Client:
    """An RFC 4975 client behind a relay: authenticates, then speaks over the URI that it was granted."""

    def __init__(self, name: str, host: str, scene: Scene) -> None:
        self.name = name
        self.stack = MsrpStack(
            MsrpStackConfig(name=name, listen=(Address(Transport.TCP, host, 0),)),
            network=scene.network,
            clock=scene.clock,
            tokens=Tokens(name),
            trace=Trace(),
        )
        self.tokens = Tokens(f"{name} words")
        self.deadlines = DeadlineHeap()
        self.session: MsrpSession | None = None
        self.auth: AuthClient
        self.link: MsrpLink
        self.outputs: list[Output] = []
        self.granted: Granted | None = None
        self.refused: AuthFailed | None = None

    async def authenticate(self, relay: MsrpStack, password: str = "pass") -> None:
        await self.stack.start()
        address = relay.address(Transport.TCP)
        self.uri = MsrpUri("msrp", None, self.stack.config.host, self.stack.address(Transport.TCP).port, self.name)
        relay_uri = MsrpUri("msrp", None, address.host, address.port, None)
        config = AuthClientConfig(
            relay_path=(relay_uri,), own_uri=self.uri, username=self.name, password=Secret(password.encode())
        )
        self.auth = AuthClient(config, lambda: self.tokens.word(64))
        self.link = self.stack.connect(address, self)
        self._take_auth(self.auth.start(0.0))
        await until(lambda: self.granted is not None or self.refused is not None)

    @property
    def path(self) -> tuple[MsrpUri, ...]:
        assert self.granted is not None
        return (*self.granted.use_path, self.uri)

    def open(self, peer: Client) -> None:
        self.session = MsrpSession(SessionConfig(), self.path, peer.path, lambda: self.tokens.word(64))
        self._take(self.session.start(True, 0.0))

    def send(self, message_id: str, body: bytes, *, success_report: bool = False) -> None:
        assert self.session is not None
        self._take(self.session.send(OutgoingMessage(message_id, "text/plain", body, success_report), 0.0))

    def of(self, kind: type[Output]) -> list[Output]:
        return [output for output in self.outputs if isinstance(output, kind)]

    def _take(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self.link.send(output.octets, output.frame)
        self.outputs += outputs

    def _take_auth(self, outputs: AuthOutputs) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self.link.send(output.octets, output.frame)
            elif isinstance(output, Granted):
                self.granted = output
            else:
                self.refused = output

    # MsrpEndpoint
    def opened(self, link: MsrpLink) -> None: ...

    def received(self, event: MsrpEvent, link: MsrpLink) -> None:
        if self.session is not None:
            self._take(self.session.receive(event, 0.0))
        elif isinstance(event, MsrpResponse):
            self._take_auth(self.auth.receive(event, 0.0))

    def drained(self, link: MsrpLink) -> None: ...

    def lost(self, link: MsrpLink, error: TransportError | None) -> None: ...


class Scene:
    def __init__(self, *, is_real: bool) -> None:
        self.network: Network = (
            SocketNetwork(RealClock()) if is_real else MemoryNetwork(VirtualClock(), Tokens("links"))
        )
        self.clock = RealClock() if is_real else VirtualClock()
        self.relay = MsrpStack(
            MsrpStackConfig(name="red.msrp_relay", listen=(Address(Transport.TCP, _RELAY, 0),)),
            network=self.network,
            clock=self.clock,
            tokens=Tokens("relay"),
            trace=Trace(),
        )
        self.deadlines = DeadlineHeap()
        self.alice, self.bob = Client("alice", _ALICE, self), Client("bob", _BOB, self)

    async def start(self) -> None:
        await self.relay.start()
        address = self.relay.address(Transport.TCP)
        tokens = Tokens("registrar")
        registrar = RelayRegistrar(
            RelayConfig(uri=MsrpUri("msrp", None, address.host, address.port, None), realm=_REALM),
            _ha1,
            tokens.octets,
            tokens.word,
        )
        self.service = RelayService(self.relay, registrar, tokens, self.deadlines)
        self.service.start()

    async def close(self) -> None:
        for stack in (self.relay, self.alice.stack, self.bob.stack):
            await stack.close()
        self.deadlines.close()
        await self.network.close()


Story = Callable[[Scene], Awaitable[None]]


def tell(story: Story, *, is_real: bool = False) -> None:
    async def main() -> None:
        scene = Scene(is_real=is_real)
        try:
            await scene.start()
            await story(scene)
        finally:
            await scene.close()

    run(main, clock="real" if is_real else "virtual")


@pytest.mark.parametrize("is_real", [False, True])
def test_two_clients_speak_through_the_uris_they_were_granted(is_real: bool) -> None:
    body = bytes(range(256)) * 300

    async def story(scene: Scene) -> None:
        alice, bob = scene.alice, scene.bob
        await alice.authenticate(scene.relay)
        await bob.authenticate(scene.relay)
        bob.open(alice)
        alice.open(bob)
        alice.send("m1", body, success_report=True)
        bob.send("m2", b"back")
        await until(lambda: bool(alice.of(Reported)) and bool(bob.of(MessageSent)))
        assert [each.body for each in bob.of(MessageReceived) if isinstance(each, MessageReceived)] == [body]
        assert [each.body for each in alice.of(MessageReceived) if isinstance(each, MessageReceived)] == [b"back"]
        assert alice.of(MessageSent)

    tell(story, is_real=is_real)


def test_a_wrong_password_is_let_in_nowhere() -> None:
    async def story(scene: Scene) -> None:
        await scene.alice.authenticate(scene.relay, password="wrong")
        assert scene.alice.granted is None
        assert scene.alice.refused is not None

    tell(story)


def test_who_did_not_authenticate_gets_481_and_nothing_is_passed_on() -> None:
    async def story(scene: Scene) -> None:
        alice, bob = scene.alice, scene.bob
        await alice.authenticate(scene.relay)
        await bob.authenticate(scene.relay)
        bob.open(alice)
        alice.granted = Granted((MsrpUri("msrp", None, _RELAY, alice.link.remote.port, "made-up"),), None, True)
        alice.open(bob)
        alice.send("m1", b"Hello")
        await until(lambda: bool(alice.of(MessageFailed)))
        assert not bob.of(MessageReceived)

    tell(story)


def test_a_next_hop_that_is_not_there_is_told_by_report() -> None:
    async def story(scene: Scene) -> None:
        alice, bob = scene.alice, scene.bob
        await alice.authenticate(scene.relay)
        await bob.authenticate(scene.relay)
        bob.granted = Granted((MsrpUri("msrp", None, _BOB, 1, "nobody"),), None, True)
        alice.open(bob)
        alice.send("m1", b"Hello")
        await until(lambda: bool(alice.of(MessageFailed)))
        (failure,) = alice.of(MessageFailed)
        assert isinstance(failure, MessageFailed)
        assert failure.status == 408

    tell(story)
