"""Hundreds of connections that say half a request and wait, at the configuration servers and key services of a
network on sockets: phones are served all the same, and get their lock."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit

import pytest

import rcs_sim
from ims_core.transport import http_sockets
from rcs_sim.client.encryption import Scheme

_ROOM = 24
_SLOW = 3 * _ROOM
_STRANGER = "127.0.0.66"
_BEGUN = b"POST /mls/v1/keypackages HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"


async def _press(uri: str, opened: list[asyncio.StreamWriter]) -> None:
    """A stranger opens connections, and another for each that is closed."""
    place, live = urlsplit(uri), list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    while True:
        live = [each for each in live if not each[0].at_eof() and each[0].exception() is None]
        for _ in range(_SLOW - len(live)):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection(place.hostname, place.port, local_addr=(_STRANGER, 0))
                writer.write(_BEGUN)
                live.append((reader, writer))
                opened.append(writer)
        await asyncio.sleep(0.2)


def test_phones_are_served_beside_hundreds_of_connections_that_only_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_sockets, "_MAX_CONNECTIONS", _ROOM)

    async def story() -> None:
        opened: list[asyncio.StreamWriter] = []
        async with rcs_sim.Simulation(network="two-carriers", is_real=True) as sim:
            places = []
            for carrier in sim.lab.carriers.values():
                assert carrier.key_service is not None
                places += [carrier.acs_url, carrier.key_service.uri]
            async with asyncio.TaskGroup() as strangers:
                pressing = [strangers.create_task(_press(place, opened)) for place in places]
                await asyncio.sleep(1)
                alice = await sim.add_phone("alice", device="android", carrier="red")
                bob = await sim.add_phone("bob", device="ios", carrier="blue")
                message = await alice.chat(bob.number or "").send("through the crowd")
                await message.delivered(within_s=20)
                assert message.scheme is Scheme.MLS
                for each in pressing:
                    each.cancel()
        assert len(opened) > _SLOW * len(places)
        for writer in opened:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    rcs_sim.run(story, clock="real")
