"""Both ends of a message session through relays, in one process: the load of the rows on message sessions.

Run as `python -m rcs_sim.bench.msrp_load CHUNK_OCTETS`; prints the URIs of both ends as JSON and reads those of their
peers in the same way. Then each line ``{"messages", "octets", "in_flight"}`` is a run, and its times are the answer.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ims_core.reference_points import LegEnd, MediaLeg
from ims_core.trace import Trace
from ims_core.transport.deadlines import DeadlineHeap
from ims_core.transport.link import Address, Transport
from ims_core.transport.msrp_channel import MsrpChannel
from ims_core.transport.msrp_stack import MsrpStack, MsrpStackConfig
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, run
from ims_core.wire.msrp.media import Setup
from ims_core.wire.msrp.session_events import MessageFailed, MessageReceived, OutgoingMessage, Reported, SessionConfig
from rcs_sim.bench.msrp_relay_alone import media_at
from rcs_sim.bench.processes import BenchError

__all__ = ["SessionEnds", "session_ends"]

_HOST = "127.0.0.1"
_WITHIN_S = 120.0
_MAX_OCTETS = 64 * 1024 * 1024


class _Receiver:
    """Takes every message."""

    def __init__(self) -> None:
        self.octets = 0

    def bound(self, leg: MediaLeg) -> None:
        """The sender notices."""

    def received(self, leg: MediaLeg, message: MessageReceived) -> None:
        self.octets += len(message.body)
        leg.settle(message.delivery)

    def sent(self, leg: MediaLeg, message_id: str) -> None:
        """Nothing is."""

    def failed(self, leg: MediaLeg, failure: MessageFailed) -> None:
        """Nothing is sent."""

    def reported(self, leg: MediaLeg, report: Reported) -> None:
        """Nothing is sent."""

    def ended(self, leg: MediaLeg, end: LegEnd) -> None:
        """The sender notices."""


class _Sender(_Receiver):
    """Has so many messages in flight until so many were answered."""

    def __init__(self) -> None:
        super().__init__()
        self.leg: MediaLeg
        self._number = 0
        self._body = b""
        self._left = self._unanswered = 0
        self._done: asyncio.Future[None]

    def start(self, messages: int, body: bytes, in_flight: int) -> asyncio.Future[None]:
        self._left, self._unanswered, self._body = messages, messages, body
        self._done = asyncio.get_running_loop().create_future()
        for _ in range(min(in_flight, messages)):
            self._send()
        return self._done

    def _send(self) -> None:
        self._left -= 1
        self._number += 1
        self.leg.send(OutgoingMessage(f"bench{self._number}", "text/plain", self._body))

    def sent(self, leg: MediaLeg, message_id: str) -> None:
        self._unanswered -= 1
        if self._left:
            self._send()
        elif not self._unanswered:
            self._done.set_result(None)

    def failed(self, leg: MediaLeg, failure: MessageFailed) -> None:
        self._fail(f"a message failed: {failure}")

    def ended(self, leg: MediaLeg, end: LegEnd) -> None:
        self._fail(f"the session ended: {end}")

    def _fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(BenchError(why))


class SessionEnds:
    """Two channels on one stack, the near one connecting."""

    def __init__(self, stack: MsrpStack, chunk_octets: int) -> None:
        self._sender, self._receiver = _Sender(), _Receiver()
        deadlines, tokens = DeadlineHeap(), Tokens()
        window = max(SessionConfig().window_octets, 8 * chunk_octets)
        config = SessionConfig(
            chunk_octets=chunk_octets, max_octets=_MAX_OCTETS, window_octets=window, burst_octets=window
        )
        self._near = self._sender.leg = MsrpChannel(stack, self._sender, tokens, deadlines, config)
        self._far = MsrpChannel(stack, self._receiver, tokens, deadlines, config)
        self._near_media = self._near.media(is_tls=False, setup=Setup.ACTPASS)
        self._far_media = self._far.media(is_tls=False, setup=Setup.PASSIVE)

    @property
    def uris(self) -> dict[str, str]:
        return {"near": str(self._near_media.path[0]), "far": str(self._far_media.path[0])}

    def open(self, peers: Mapping[str, str]) -> None:
        """Connects to what stands between the two, or directly."""
        self._far.open(self._far_media, media_at(peers["far"], Setup.ACTIVE), is_offerer=False)
        self._near.open(self._near_media, media_at(peers["near"], Setup.PASSIVE), is_offerer=True)

    async def exchange(self, messages: int, octets: int, in_flight: int) -> dict[str, float]:
        """Seconds that *messages* took until the last was answered. Raises BenchError if one is lost."""
        before = self._receiver.octets
        gc.collect()
        cpu, wall = time.process_time(), time.perf_counter()
        async with asyncio.timeout(_WITHIN_S):
            await self._sender.start(messages, bytes(octets), in_flight)
        found = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
        if self._receiver.octets - before != messages * octets:
            raise BenchError(f"{self._receiver.octets - before} of {messages * octets} octets came")
        return found


@asynccontextmanager
async def session_ends(chunk_octets: int) -> AsyncIterator[SessionEnds]:
    clock = RealClock()
    network = SocketNetwork(clock)
    config = MsrpStackConfig(name="load", listen=(Address(Transport.TCP, _HOST, 0),))
    stack = MsrpStack(config, network=network, clock=clock, tokens=Tokens(), trace=Trace())
    await stack.start()
    try:
        yield SessionEnds(stack, chunk_octets)
    finally:
        await stack.close()
        await network.close()


async def _main(chunk_octets: int) -> None:
    async with session_ends(chunk_octets) as ends:
        print(json.dumps(ends.uris), flush=True)
        ends.open(_next_line())
        while (order := _next_line()) is not None:
            print(json.dumps(await ends.exchange(**order)), flush=True)


def _next_line() -> Any:
    """Of standard input; nothing else happens meanwhile. None at its end."""
    line = sys.stdin.buffer.readline()
    return json.loads(line) if line else None


if __name__ == "__main__":
    run(lambda: _main(int(sys.argv[1])), clock="real")
