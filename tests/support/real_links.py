"""For tests on real sockets: loopback, free ports, and waiting without sleeping."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from ims_core.transport.link import Address, FlowHandler, Transport
from ims_core.transport.sockets import SocketNetwork

__all__ = ["ALL", "HOST", "free_port", "listen_at", "until"]

HOST = "127.0.0.1"
ALL = tuple(Transport)


async def until(is_so: Callable[[], bool]) -> None:
    """Waits for other callbacks of this loop; the test fails after 10 s."""
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110  what is waited for has no event of its own
            await asyncio.sleep(0.001)


async def listen_at(network: SocketNetwork, transport: Transport, handler: FlowHandler) -> Address:
    return (await network.listen(Address(transport, HOST, 0), handler)).address


def free_port(kind: socket.SocketKind) -> int:
    """A port that nobody listens on now."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
