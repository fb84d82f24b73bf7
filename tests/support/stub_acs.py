"""An autoconfiguration server in a few lines, for tests of phones: a document, after a password if need be."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.transport.http_memory import MemoryHttpClient, MemoryHttpServer
from ims_core.transport.http_message import HttpRequest, HttpResponse
from ims_core.transport.link import Address, Transport
from rcs_sim.wire.autoconfig import DocumentVersion, ProvisioningDocument
from rcs_sim.wire.rcs_configuration import RcsConfiguration
from tests.support.stub_core import World

__all__ = ["ACS_URL", "StubAcs"]

_HOST = "127.0.1.40"
ACS_URL = f"http://{_HOST}:8080/"
_COOKIE = (("Set-Cookie", "session=1"),)


class StubAcs:
    """*send_password* gets one-time passwords to deliver, None for header enrichment. *version* and *validity_s* go
    into the next documents; `statuses` answers the next requests instead."""

    def __init__(
        self, world: World, configuration: RcsConfiguration, send_password: Callable[[str], None] | None = None
    ) -> None:
        self._world = world
        self.configuration = configuration
        self._send_password = send_password
        self.version, self.validity_s = 1, 604800
        self.requests: list[HttpRequest] = []
        self.statuses: list[int] = []
        self._server = MemoryHttpServer(
            "red.acs",
            Address(Transport.TCP, _HOST, 8080),
            self._handle,
            network=world.network,
            clock=world.clock,
            trace=world.trace,
        )

    async def start(self) -> None:
        await self._server.start()

    async def close(self) -> None:
        await self._server.close()

    def client(self, name: str, host: str) -> MemoryHttpClient:
        world = self._world
        return MemoryHttpClient(
            name, host, network=world.network, names=world.names, clock=world.clock, trace=world.trace
        )

    async def _handle(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        if self.statuses:
            return HttpResponse(self.statuses.pop(0))
        query = dict(request.query())
        if not query:
            return HttpResponse(200, _COOKIE)
        if self._send_password is not None and query.get("OTP") != "123456":
            self._send_password("123456")
            return HttpResponse(200, _COOKIE)
        return HttpResponse(200, (("Content-Type", "text/xml"),), self._document())

    def _document(self) -> bytes:
        vers = DocumentVersion(self.version, self.validity_s).characteristic()
        settings = self.configuration.characteristics() if self.version > 0 else ()
        return ProvisioningDocument((vers, *settings)).encode()
