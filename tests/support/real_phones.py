"""Emulated phones on loopback sockets, in the test's own event loop, against a network that is a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ims_core.trace import ListSink, RecordKind, Trace, TraceRecord
from ims_core.transport.http_sockets import SocketHttpClient
from ims_core.transport.link import Address, Transport
from ims_core.wire.secret import Secret
from rcs_sim.client.messages import ReceivedMessage
from rcs_sim.client.phone import Phone, PhoneConfig
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.scenario.annotator import RcsAnnotator
from rcs_sim.scenario.loader import load_device
from rcs_sim.scenario.world import SocketWorld
from rcs_sim.wire.rcs_configuration import RcsConfiguration

__all__ = ["WITHIN_S", "RealPhones", "real_phones", "received", "until"]

WITHIN_S = 15.0


class RealPhones:
    """The phones of a test, and what crossed their links."""

    def __init__(self) -> None:
        self.sink = ListSink()
        self.trace = Trace()
        self.trace.add_sink(self.sink)
        self.trace.add_annotator(RcsAnnotator())
        self._world = SocketWorld(self.trace, state=None, with_tls=False, ports="free")
        self._phones: list[Phone] = []
        self._clients: list[SocketHttpClient] = []

    async def add(
        self, name: str, carrier: Mapping[str, Any], msisdn: str, device: str | DevicePolicy = "android"
    ) -> Phone:
        """A phone of that subscriber of a carrier of `rcs-sim up --json`: it provisions and registers."""
        subscriber = next(one for one in carrier["subscribers"] if one["msisdn"] == msisdn)
        host, _, port = carrier["cs"].rpartition(":")
        http = self._world.http_client(name, "127.0.0.1", (("X-MSISDN", msisdn),))
        assert isinstance(http, SocketHttpClient)
        self._clients.append(http)
        config = PhoneConfig(
            name=name,
            policy=load_device(device) if isinstance(device, str) else device,
            imsi=subscriber["imsi"],
            imei=f"0049990100{len(self._phones):04d}0",
            k=Secret(bytes.fromhex(subscriber["k"])) if subscriber["k"] else None,
            opc=Secret(bytes.fromhex(subscriber["opc"])) if subscriber["opc"] else None,
            host="127.0.0.1",
            acs_url=carrier["acs"],
            smsc=Address(Transport.TCP, host, int(port)),
            service_centre=carrier["smsc"],
            ready_within_s=WITHIN_S,
        )
        return await self._switch_on(config, http)

    async def add_configured(
        self, name: str, configuration: RcsConfiguration, device: str | DevicePolicy = "android"
    ) -> Phone:
        """A phone with a configuration of its own: no configuration server, no SMS."""
        config = PhoneConfig(
            name=name,
            policy=load_device(device) if isinstance(device, str) else device,
            imsi="",
            host="127.0.0.1",
            configuration=configuration,
            ready_within_s=WITHIN_S,
        )
        return await self._switch_on(config, None)

    async def _switch_on(self, config: PhoneConfig, http: SocketHttpClient | None) -> Phone:
        world = self._world
        phone = Phone(
            config,
            network=world.network,
            http=http,
            clock=world.clock,
            tokens=world.tokens.child(config.name),
            trace=self.trace,
            names=world.names,
        )
        self._phones.append(phone)
        await phone.power_on()
        return phone

    def messages(self, start: str, source: str = "") -> list[TraceRecord]:
        """SIP messages with this beginning of their summary (``REGISTER``, ``200``), in order."""
        return [
            record
            for record in self.sink.records
            if record.kind is RecordKind.MESSAGE and record.summary.startswith(start) and source in ("", record.source)
        ]

    def ladder(self) -> str:
        """What happened so far, a line each: for the message of a failed assertion."""
        return "\n".join(f"{one.at:.3f} {one.source} -> {one.target} {one.summary}" for one in self.sink.records)

    async def close(self) -> None:
        for phone in reversed(self._phones):
            await phone.power_off()
        for client in self._clients:
            await client.close()
        await self._world.network.close()
        self.trace.close()


@asynccontextmanager
async def real_phones() -> AsyncIterator[RealPhones]:
    """Phones that are switched off at the end."""
    phones = RealPhones()
    try:
        yield phones
    finally:
        await phones.close()


async def received(phone: Phone, text: str, within_s: float = WITHIN_S) -> ReceivedMessage:
    """Waits until *phone* shows a message with that text."""

    def found() -> ReceivedMessage | None:
        shown = (message for chat in phone.chats for message in chat.messages)
        return next(
            (one for one in shown if isinstance(one, ReceivedMessage) and one.text == text and one.shown_count), None
        )

    shown = asyncio.Event()

    def note(_: object) -> None:
        shown.set()

    phone.watchers.append(note)
    try:
        async with asyncio.timeout(within_s):
            while found() is None:
                shown.clear()
                await shown.wait()
    finally:
        phone.watchers.remove(note)
    message = found()
    assert message is not None
    return message


async def until(phones: RealPhones, is_so: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    """Looks again whenever something crosses a link of a phone, or a phone shows or notes something."""
    bell = _Bell()
    phones.trace.add_sink(bell)
    async with asyncio.timeout(within_s):
        while not is_so():
            bell.rang.clear()
            await bell.rang.wait()


class _Bell:
    """A sink that only says that something was written."""

    def __init__(self) -> None:
        self.rang = asyncio.Event()

    def write(self, record: TraceRecord) -> None:
        self.rang.set()

    def close(self) -> None:
        """Nothing is kept."""
