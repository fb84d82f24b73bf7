"""A key distribution server and the partner it federates with, over real loopback sockets: TLS 1.3 with certificates of
both sides. The partner is an aiohttp server that does what a test tells it to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web

from ims_core.store.memory import MemoryStore
from ims_core.trace import ListSink, Trace, TraceRecord
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import Address, AddressBook, Transport
from ims_core.transport.name_table import NameTable
from rcs_sim.client.kds_client import ClaimResult, KdsClient
from rcs_sim.server.kds_federation import FederationLink
from rcs_sim.server.kds_listener import KdsListener
from rcs_sim.wire.key_directory import ClaimRequest, FederationClaimResponse, KdsPath
from tests.support.kds import ALICE, BLUE, BOB, NOW, RED, CarrierSide, KdsSide

__all__ = ["Asked", "Federation", "FixedClock", "Partner", "Reply", "federation", "honest", "packages_for"]

_HOST = "127.0.0.1"

Reply = Callable[["Asked"], Awaitable[web.StreamResponse]]


class FixedClock:
    """Unix seconds of the tests' certificates."""

    def __init__(self) -> None:
        self.at = float(NOW)

    def now(self) -> float:
        return self.at


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that reached the partner."""

    request: web.BaseRequest
    body: bytes
    released: asyncio.Event  # set when the test is over

    @property
    def members(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    def answer(self, body: bytes, status: int = 200, **headers: str) -> web.Response:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=body, headers=fields)


@dataclass(slots=True)
class Partner:
    """The other carrier's KDS. *replies* are used one after the other, the last one again and again."""

    replies: list[Reply]
    tls: ssl.SSLContext | None
    asked: list[Asked] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _runner: web.ServerRunner | None = None

    async def start(self) -> None:
        runner = self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, _HOST, 0, ssl_context=self.tls)
        await site.start()
        self.port = runner.addresses[0][1]

    async def close(self) -> None:
        self.released.set()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = Asked(request, await request.read(), self.released)
        self.asked.append(asked)
        return await self.replies[min(len(self.asked), len(self.replies)) - 1](asked)

    @property
    def request_ids(self) -> list[str]:
        return [each.members["request_id"] for each in self.asked]


class Federation:
    """Red's KDS at work, with blue as its partner, and a phone of red's."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        self.authority = LabCa(folder / "federation")
        self.clock, self.book, self.names = FixedClock(), AddressBook(), NameTable()
        self.sink, self.trace = ListSink(), Trace()
        self.trace.add_sink(self.sink)
        self.store = MemoryStore()
        self.side = KdsSide(RED, BLUE, **{"answer_timeout_s": 5.0, **settings})
        self._phone = self._client("phone", None)
        self._link = self._client("red.kds", self.authority.client_context(RED.host))
        self.server: SocketHttpServer | None = None
        self.listener: KdsListener | None = None
        self.inward: SocketHttpServer | None = None

    def partner_tls(self, name: str = BLUE.host, authority: LabCa | None = None) -> ssl.SSLContext:
        """What the partner shows: TLS 1.3, and it wants a certificate of the federation."""
        context = (authority or self.authority).server_context(name, [name], requires_client_certificate=True)
        context.load_verify_locations(self.authority.certificate_path)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    async def start(self, partner_port: int, *, scheme: str = "https") -> None:
        peer = replace(BLUE.peer(), url=f"{scheme}://{BLUE.host}:{partner_port}")
        self.side.server.peers._by_kds[peer.kds] = peer
        self.names.add(BLUE.host, Address(Transport.TLS, _HOST, partner_port))
        link = FederationLink(self._link, self.side.server.settings)
        self.listener = KdsListener(
            "red.kds", self.side.server, link, clock=self.clock, store=self.store, trace=self.trace
        )
        await self.listener.start()
        self.server = SocketHttpServer(
            "red.kds",
            Address(Transport.TCP, _HOST, 0),
            self.listener.handle,
            clock=self.clock,
            trace=self.trace,
            book=self.book,
        )
        await self.server.start()

    async def serve_partner(self) -> str:
        """Listens to the partner as well: TLS 1.3, and it wants a certificate. The base URL."""
        assert self.listener is not None
        tls = self.authority.server_context(RED.host, [RED.host], requires_client_certificate=True)
        tls.minimum_version = ssl.TLSVersion.TLSv1_3
        address, handler = Address(Transport.TLS, _HOST, 0), self.listener.handle_federation
        self.inward = SocketHttpServer(
            "red.kds", address, handler, clock=self.clock, trace=self.trace, book=self.book, tls=tls
        )
        await self.inward.start()
        self.names.add(RED.host, self.inward.address)
        return f"https://{RED.host}:{self.inward.address.port}"

    def partner_client(self, name: str = BLUE.host) -> SocketHttpClient:
        """Whoever has a certificate of the federation for *name*."""
        return self._client(name, self.authority.client_context(name))

    async def close(self) -> None:
        await self._phone.close()
        if self.inward is not None:
            await self.inward.close()
        if self.server is not None:
            await self.server.close()
        if self.listener is not None:
            await self.listener.close()
        await self._link.close()

    def _client(self, name: str, tls: ssl.SSLContext | None) -> SocketHttpClient:
        if tls is not None:
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
        return SocketHttpClient(name, clock=self.clock, trace=self.trace, book=self.book, tls=tls, names=self.names)

    @property
    def kds(self) -> KdsClient:
        assert self.server is not None
        return KdsClient(self._phone, f"http://{_HOST}:{self.server.address.port}")

    async def claim(self, target: str = BOB) -> ClaimResult:
        """Alice's."""
        return await self.kds.claim(ClaimRequest(target_msisdn=target, requester_msisdn=ALICE, kds=BLUE.kds))

    async def claim_own(self) -> ClaimResult:
        """Of Alice's own number, at home."""
        return await self.kds.claim(ClaimRequest(target_msisdn=ALICE, requester_msisdn=ALICE))

    def decided(self) -> list[TraceRecord]:
        """What the KDS noted with an outcome."""
        return [each for each in self.sink.records if each.protocol == "KDS" and "outcome" in each.details]

    def outcomes(self) -> list[Any]:
        return [each.details["outcome"] for each in self.decided()]


@asynccontextmanager
async def federation(
    folder: Path, *replies: Reply, tls: Callable[[Federation], ssl.SSLContext] | None = None, **settings: object
) -> AsyncIterator[tuple[Federation, Partner]]:
    """Both at work; the partner answers *replies*."""
    rig = Federation(folder, **settings)
    partner = Partner(list(replies), (tls or Federation.partner_tls)(rig))
    await partner.start()
    try:
        await rig.start(partner.port)
        yield rig, partner
    finally:
        await rig.close()
        await partner.close()


def packages_for(asked: Asked, *listed: dict[str, Any], **changes: Any) -> bytes:
    """A well-formed answer to a claim, but for *changes*."""
    members = asked.members
    told = {
        "request_id": members["request_id"],
        "target_msisdn": members["target_msisdn"],
        "key_packages": list(listed),
        "anchors_generation": 1,
    }
    return json.dumps(told | changes).encode()


def honest(side: CarrierSide, *, one_time: int = 2) -> tuple[KdsSide, Reply]:
    """An honest KDS of *side* that has Bob, and its answers."""
    served = KdsSide(side, RED).start()
    served.join(BOB, one_time=one_time)

    async def reply(asked: Asked) -> web.Response:
        response = served.federation(KdsPath.FEDERATION_CLAIM, asked.body, RED)
        FederationClaimResponse.parse(response.body)
        return asked.answer(response.body, response.status, Content_Type="application/json")

    return served, reply
