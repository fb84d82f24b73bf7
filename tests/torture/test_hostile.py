"""Garbage, truncated, huge, slow and half-open input on every port of a network on sockets, while two phones talk.

None of their messages may be lost, and nothing may raise."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import rcs_sim
from ims_core.trace import ListSink
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import SipStack
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.lab import Carrier
from rcs_sim.scenario.simulation import Simulation

_ALICE, _BOB = "+12025550101", "+12025550152"
_MESSAGES = 12
_SHOWN_WITHIN_S = 60.0
_HALF_OPEN = 20  # connections to each port that never say anything

_OPTIONS = (
    "OPTIONS sip:nobody@example.com SIP/2.0\r\nVia: SIP/2.0/{0} 192.0.2.1;branch=z9hG4bK{1};rport\r\n"
    "Max-Forwards: 9\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:nobody@example.com>\r\n"
    "Call-ID: {1}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)
_ODD_BYTES = b"OPTIONS sip:\xff\xfe@x SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK\xff\r\nCall-ID: \xff\r\nL: 0\r\n\r\n"


def _streams() -> Iterator[bytes]:
    """What a peer may write at once."""
    yield os.urandom(30_000)
    yield b"\r\n" * 60_000
    yield b"INVITE sip:a SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n"
    yield b"INVITE sip:a SIP/2.0\r\nContent-Length: 200000\r\n\r\n" + bytes(1000)
    yield b"OPTIONS sip:a SIP/2.0\r\n" + b"X: y\r\n" * 20_000
    yield b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000
    yield b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000000\r\n\r\n" + bytes(300_000)
    yield b"\x16\x03\x01\x02\x00\x01\x00" + bytes(600)
    yield b"\x00\x00\x0f\xff" + bytes(10_000)
    yield _ODD_BYTES
    yield "".join(_OPTIONS.format("TCP", f"s{number}") for number in range(300)).encode()


def _datagrams() -> Iterator[bytes]:
    yield from (b"", b"\x00", b"\r\n\r\n", b"\r\n", _ODD_BYTES, b"A" * 65_000, os.urandom(1400))
    for number in range(40):
        octets = bytearray(_OPTIONS.format("UDP", f"d{number}").encode())
        yield bytes(octets[: number * 7])
        octets[number * 5] ^= 0xFF
        yield bytes(octets)
    yield b"INVITE sip:a SIP/2.0\r\n" + b"X: y\r\n" * 5000 + b"\r\n"


class Target:
    """Where the network can be reached."""

    def __init__(self, sim: Simulation) -> None:
        self.streams: list[Address] = []
        self.datagrams: list[Address] = []
        for carrier in sim.lab.carriers.values():
            for stack in _stacks(carrier):
                self._add(stack)
            self.streams.append(carrier.smsc.address)
            self.streams += [carrier.msrp_relay.address(each) for each in (Transport.TCP, Transport.TLS)]
            document = carrier.document()
            for url in (document.acs, document.acs_tls):
                assert url is not None
                host, _, port = url.partition("//")[2].strip("/").rpartition(":")
                self.streams.append(Address(Transport.TCP, host, int(port)))

    def _add(self, stack: SipStack) -> None:
        for address in stack.config.listen:
            real = stack.address(address.transport)
            (self.datagrams if real.transport is Transport.UDP else self.streams).append(real)


def _stacks(carrier: Carrier) -> list[SipStack]:
    core = carrier.core
    return [
        *(node.stack for node in (core.pcscf, core.icscf, core.scscf, core.ibcf)),
        carrier.messaging_server.stack,
        carrier.ipsmgw.stack,
    ]


async def _write(address: Address, octets: bytes) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(octets)
            await writer.drain()
            writer.transport.abort()


async def _attack_streams(target: Target) -> None:
    for octets, address in itertools.product(_streams(), target.streams):
        await _write(address, octets)


async def _attack_datagrams(target: Target) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        for octets, address in itertools.product(_datagrams(), target.datagrams):
            with contextlib.suppress(OSError):
                attacker.sendto(octets, (address.host, address.port))
            await asyncio.sleep(0)


async def _drip(target: Target) -> None:
    """One octet of a message at a time, on every port."""
    octets = itertools.cycle(_OPTIONS.format("TCP", "drip").encode()[:-2])
    writers = [(await asyncio.open_connection(address.host, address.port))[1] for address in target.streams]
    try:
        for octet in octets:
            for writer in writers:
                with contextlib.suppress(OSError):
                    writer.write(bytes((octet,)))
            await asyncio.sleep(0.02)
    finally:
        for writer in writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def _half_open(target: Target) -> AsyncIterator[None]:
    sockets = []
    for address in target.streams:
        for _ in range(_HALF_OPEN):
            silent = socket.socket()
            silent.setblocking(False)
            sockets.append(silent)
            with contextlib.suppress(BlockingIOError):
                silent.connect((address.host, address.port))
        await asyncio.sleep(0)
    try:
        yield
    finally:
        for silent in sockets:
            silent.close()


async def _talk(alice: Phone) -> None:
    for number in range(_MESSAGES):
        message = await alice.chat(_BOB).send(f"text {number}")
        await message.displayed(within_s=_SHOWN_WITHIN_S)
        assert message.transport is MessageTransport.RCS


def test_two_phones_lose_nothing_while_every_port_is_attacked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        escaped: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: escaped.append(context))
        sink = ListSink(limit=2000)
        async with Simulation("two-carriers-plain", is_real=True, with_tls=True, state=tmp_path, sinks=[sink]) as sim:
            alice = await sim.add_phone("alice", msisdn=_ALICE)
            bob = await sim.add_phone("bob", "ios", "blue", msisdn=_BOB, reads_after_s=0.05)
            target = Target(sim)
            async with _half_open(target), asyncio.TaskGroup() as attackers:
                drip = attackers.create_task(_drip(target))
                attackers.create_task(_attack_streams(target))
                attackers.create_task(_attack_datagrams(target))
                await _talk(alice)
                drip.cancel()
            await _talk(alice)
            expected = [f"text {number}" for number in range(_MESSAGES)] * 2
            assert [each.text for each in bob.chat(_ALICE).messages] == expected
            newcomer = await sim.add_phone("newcomer", msisdn="+12025550102")
            assert newcomer.is_registered
        assert escaped == []

    rcs_sim.run(main, clock="real")
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
