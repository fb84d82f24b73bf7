"""Echo servers over UDP, each in a process of its own: one on our transport, one on asyncio's DatagramProtocol, and one
that makes the system calls and nothing else.

Run as `python -m rcs_sim.bench.udp_echo ours|asyncio|calls OCTETS`; prints its port as JSON and ends with its standard
input. `calls` takes datagrams of OCTETS alone.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import sys
from typing import cast

from ims_core.errors import TransportError
from ims_core.transport.clock import Clock
from ims_core.transport.datagrams import AT_ONCE, Batch, batches
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.virtual_loop import RealClock

__all__ = ["until_input_ends"]

_HOST = "127.0.0.1"
_IPV4_OCTETS = 16  # of a sockaddr_in
_BUFFER_OCTETS = 4 << 20


class _Echo:
    """FlowHandler that sends back what comes."""

    name = "echo"

    def accepted(self, flow: Flow) -> None:
        """Every peer is welcome."""

    def received(self, octets: bytes, flow: Flow) -> None:
        flow.send(octets)

    def closed(self, flow: Flow, error: TransportError | None) -> None:
        """Nothing is kept."""


class _AsyncioEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._transport.sendto(data, addr)


async def until_input_ends() -> None:
    """Waits until the parent closes our standard input, or dies."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(sys.stdin.fileno())


async def _echo_ours() -> None:
    clock: Clock = RealClock()
    network = SocketNetwork(clock)
    listener = await network.listen(Address(Transport.UDP, _HOST, 0), _Echo())
    print(json.dumps({"port": listener.address.port}), flush=True)
    await until_input_ends()
    await network.close()


async def _echo_asyncio() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(_AsyncioEcho, local_addr=(_HOST, 0))
    print(json.dumps({"port": transport.get_extra_info("sockname")[1]}), flush=True)
    await until_input_ends()
    transport.close()


def _echo_calls(octets: int) -> None:
    """The floor: what comes goes back from the same memory, with no work for one datagram in this process."""
    receive, send = batches()
    batch = Batch(_IPV4_OCTETS)
    for index in range(AT_ONCE):
        batch.places[index] = octets
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound, select.epoll() as ready:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_OCTETS)
        bound.bind((_HOST, 0))
        number, headers, end = bound.fileno(), batch.headers, sys.stdin.fileno()
        ready.register(number, select.EPOLLIN)
        ready.register(end, select.EPOLLIN)
        print(json.dumps({"port": bound.getsockname()[1]}), flush=True)
        while all(source != end for source, _ in ready.poll()):
            while (count := receive(number, headers, AT_ONCE, 0, None)) > 0:
                send(number, headers, count, 0)
                if count < AT_ONCE:
                    break


if __name__ == "__main__":
    if sys.argv[1] == "calls":
        _echo_calls(int(sys.argv[2]))
    else:
        asyncio.run(_echo_ours() if sys.argv[1] == "ours" else _echo_asyncio())
