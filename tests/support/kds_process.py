"""A key distribution server as a process of its own, with its store on disk: ``-m tests.support.kds_process FILE``.

It prints the two ports that it listens on, that of phones and that of its partner, and goes on until it is killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ims_core.store.sqlite import SqliteStore
from ims_core.trace import Trace
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer
from ims_core.transport.link import Address, AddressBook, Transport
from rcs_sim.server.kds_federation import FederationLink
from rcs_sim.server.kds_listener import KdsListener
from tests.support.federation_partner import FixedClock
from tests.support.kds import KdsSide

__all__ = ["run"]


async def run(path: Path) -> None:
    """Until the process ends. Raises StoreError where the file cannot be used."""
    clock, trace, book, side = FixedClock(), Trace(), AddressBook(), KdsSide()
    store = SqliteStore(path)
    await store.open()
    link = FederationLink(SocketHttpClient("kds", clock=clock, trace=trace, book=book), side.server.settings)
    listener = KdsListener("red.kds", side.server, link, clock=clock, store=store, trace=trace)
    await listener.start()
    ports = []
    for handler in (listener.handle, listener.handle_federation):
        address = Address(Transport.TCP, "127.0.0.1", 0)
        server = SocketHttpServer("red.kds", address, handler, clock=clock, trace=trace, book=book)
        await server.start()
        ports.append(server.address.port)
    print(*ports, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(run(Path(sys.argv[1])))
