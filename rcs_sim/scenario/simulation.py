"""A lab with phones, for scenarios, tests and the demo: the Python that the YAML of later scenario files stands on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ims_core.core import ImsCore
from ims_core.errors import SimulatorError
from ims_core.trace import ListSink, RecordKind, Trace, TraceSink
from ims_core.transport.clock import Clock
from ims_core.transport.http_sockets import SocketHttpClient
from ims_core.transport.link_table import LinkTable
from ims_core.transport.memory_link import LinkProfile
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import VirtualLoop
from rcs_sim.client.display import Shown, ShownEvent
from rcs_sim.client.phone import Phone, PhoneConfig
from rcs_sim.devices.policy import DevicePolicy
from rcs_sim.mls.key_log import WriteLine
from rcs_sim.scenario.annotator import RcsAnnotator
from rcs_sim.scenario.faults.active_fault import ActiveFault
from rcs_sim.scenario.faults.fault_bench import FaultBench
from rcs_sim.scenario.lab import Carrier, Lab
from rcs_sim.scenario.loader import load_device, load_network
from rcs_sim.scenario.model import LinkEntry, NetworkFile
from rcs_sim.scenario.oracle import Oracle
from rcs_sim.scenario.subscribers import LabSubscriber
from rcs_sim.scenario.world import MemoryWorld, Ports, SocketWorld, World

__all__ = ["Simulation"]

_ACCESS, _CORE = "access", "core"
_RELAY = ".msrp_relay"


class Simulation:
    """A network and the phones on it.

    With the virtual clock it stands on in-memory links and repeats per *seed*; *is_real* puts it on loopback sockets,
    with free ports or with the standard ones (*ports*), for devices that dial no others.
    Without *keeps_records* nothing is kept for the oracle, which costs less. *key_log* is given the lines of
    `rcs_sim.mls.key_log`: whoever has them can read what the phones sealed.
    It has to be entered on an event loop of the right kind, which `rcs_sim.run` makes."""

    def __init__(
        self,
        network: str | NetworkFile = "two-carriers",
        seed: int = 7,
        *,
        is_real: bool = False,
        ports: Ports = "free",
        sinks: Sequence[TraceSink] = (),
        state: Path | None = None,
        with_tls: bool = False,
        keeps_records: bool = True,
        key_log: WriteLine | None = None,
    ) -> None:
        self.network = load_network(network) if isinstance(network, str) else network
        self.seed = seed
        self.trace = Trace()
        for sink in sinks:
            self.trace.add_sink(sink)
        self._records = _whole_list(self.trace, sinks) if keeps_records else None
        self._oracle: tuple[int, Oracle] | None = None
        self.trace.add_annotator(RcsAnnotator())
        self.phones: dict[str, Phone] = {}
        self.former_phones: set[str] = set()  # names of those whose SIM another phone has now
        self.numbers: dict[str, str] = {}  # of the phones, in E.164
        self.faults = FaultBench(self)
        self._key_log = key_log
        self._is_real = is_real
        self._ports = ports
        self._state = state
        self._with_tls = with_tls
        self._running = AsyncExitStack()
        self._world: World | None = None
        self._lab: Lab | None = None
        self._taken: set[str] = set()
        self._handsets = 0
        self._used_names: set[str] = set()
        self._with_sim: dict[str, Phone] = {}  # by number
        self._without_sim: dict[str, list[Phone]] = {}

    async def __aenter__(self) -> Self:
        is_virtual = isinstance(asyncio.get_running_loop(), VirtualLoop)
        if self._is_real == is_virtual:
            wanted = "real" if self._is_real else "virtual"
            raise SimulatorError(f'this simulation wants another clock: use rcs_sim.run(main, clock="{wanted}")')
        world, secrets = self._make_world()
        self._world = world
        self._lab = Lab(self.network, world, secrets=secrets, file=self.network.name)
        self._running.push_async_callback(self._lab.close)
        try:
            await self._lab.start()
        except BaseException:
            await self._running.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.faults.close()
        for phone in reversed(self.phones.values()):
            await phone.lose_power()
        await self._running.aclose()
        self.trace.close()

    def _make_world(self) -> tuple[World, Tokens]:
        if self._is_real:
            world = SocketWorld(self.trace, state=self._state, with_tls=self._with_tls, ports=self._ports)
            return world, world.secrets
        memory = MemoryWorld(self.seed, self.trace)
        self._set_links(memory)
        return memory, memory.tokens.child("secrets")

    def _set_links(self, world: MemoryWorld) -> None:
        """Everybody's access link, then the core links of each carrier, then the borders between them."""
        network = world.memory_network
        network.set_link("*", "*", _profile(self.network.access))
        hosts = {name: _core_hosts(entry.addresses) for name, entry in self.network.carriers.items()}
        for name, own in hosts.items():
            for other_name, others in hosts.items():
                entry = self.network.core if name == other_name else self.network.border
                for source in own:
                    for target in others:
                        if source != target:
                            network.set_link(source, target, _profile(entry))

    # --- what a scenario does ----------------------------------------------------------------------------------------

    @property
    def world(self) -> World:
        """Raises SimulatorError before the simulation is entered."""
        if self._world is None:
            raise SimulatorError("the simulation has not been entered: use `async with Simulation(...)`")
        return self._world

    @property
    def lab(self) -> Lab:
        """Raises SimulatorError before the simulation is entered."""
        if self._lab is None:
            raise SimulatorError("the simulation has not been entered: use `async with Simulation(...)`")
        return self._lab

    @property
    def clock(self) -> Clock:
        return self.world.clock

    @property
    def links(self) -> LinkTable:
        """How the links between its hosts behave now."""
        world = self.world
        if isinstance(world, MemoryWorld):
            return world.memory_network.links
        assert isinstance(world, SocketWorld)
        return world.links(self.seed)

    @property
    def oracle(self) -> Oracle:
        """Who could read what so far. Raises SimulatorError if no records are kept."""
        if self._records is None:
            raise SimulatorError("no records are kept: leave out keeps_records=False")
        count = len(self._records.records)
        if self._oracle is None or self._oracle[0] != count:
            self._oracle = count, Oracle(self._records.records)
        return self._oracle[1]

    def carrier(self, name: str) -> Carrier:
        """Raises SimulatorError that lists the carriers."""
        try:
            return self.lab.carriers[name]
        except KeyError:
            known = ", ".join(self.lab.carriers)
            raise SimulatorError(f"there is no carrier {name!r} in {self.network.name}; there are: {known}") from None

    async def add_phone(
        self,
        name: str,
        device: str | DevicePolicy = "android",
        carrier: str = "red",
        *,
        msisdn: str | None = None,
        reads_after_s: float | None = None,
        accepts_after_s: float | None = None,
        is_on: bool = True,
    ) -> Phone:
        """A phone of the next free RCS subscriber, or of *msisdn*; switched on and registered if *is_on*. *device* is a
        profile, or its name.

        A number that has a phone already gets a further device, without a SIM and so without SMS; its user has both in
        hand and types in the one-time passwords that come to the one with the SIM. A number with plain SIP service has
        a phone without RCS."""
        if name in self.phones:
            raise SimulatorError(f"there is a phone {name!r} already")
        home = self.carrier(carrier)
        has_sim = msisdn not in self._taken
        subscriber = self._subscriber(home, msisdn)
        number = list(self.lab.carriers).index(carrier) + 1
        host = self.world.phone_host(number, self._handsets)
        self._handsets += 1
        policy = load_device(device) if isinstance(device, str) else device
        self._check_ports(policy)
        enriched = (("X-MSISDN", subscriber.msisdn or ""),) if home.profile.header_enrichment else ()
        http = self.world.http_client(name, host, enriched)
        if isinstance(http, SocketHttpClient):
            self._running.push_async_callback(http.close)
        config = PhoneConfig(
            name=name,
            policy=policy if has_sim else _without_sms(policy),
            imsi=subscriber.imsi or "",
            imei=f"0049990100{self._handsets:04d}0",
            k=subscriber.k,
            opc=subscriber.opc,
            host=host,
            acs_url=home.acs_url,
            smsc=home.smsc_address if has_sim else None,
            service_centre=home.entry.smsc if has_sim else "",
            header_enrichment=bool(enriched),
            reads_after_s=reads_after_s,
            accepts_after_s=accepts_after_s,
            encrypts_media=isinstance(self.world, SocketWorld),
        )
        phone = Phone(
            config,
            network=self.world.network,
            http=http,
            clock=self.clock,
            tokens=self._phone_tokens(name),
            trace=self.trace,
            names=self.world.names,
            key_log=self._key_log,
        )
        self.phones[name] = phone
        self.numbers[name] = subscriber.msisdn or ""
        if has_sim:
            self._with_sim[subscriber.msisdn or ""] = phone
        else:
            self._with_sim[subscriber.msisdn or ""].watchers.append(_typed_into(phone))
            self._without_sim.setdefault(subscriber.msisdn or "", []).append(phone)
        if is_on:
            await phone.power_on()
        return phone

    def _phone_tokens(self, name: str) -> Tokens:
        """A second handset of that name draws other message ids than the first."""
        tokens = self.world.tokens.child(f"phone/{name}")
        if name in self._used_names:
            tokens = tokens.child(f"handset {self._handsets}")
        self._used_names.add(name)
        return tokens

    def _subscriber(self, home: Carrier, msisdn: str | None) -> LabSubscriber:
        if msisdn is not None:
            subscriber = home.subscriber(msisdn)
        else:
            free = (one for one in home.subscribers if one.service == "rcs" and one.msisdn not in self._taken)
            subscriber = next(free, None)
        if subscriber is None or subscriber.msisdn is None:
            wanted = msisdn or "free RCS subscriber"
            raise SimulatorError(f"{home.name} has no {wanted}: add one to the network file")
        self._taken.add(subscriber.msisdn)
        return subscriber

    async def exchange(
        self, name: str, *, device: str | DevicePolicy | None = None, carrier: str = "", msisdn: str | None = None
    ) -> Phone:
        """The user of phone *name* puts his SIM into another handset (*device*), or another SIM into his handset
        (*msisdn*, of *carrier* if it is another one). What the old pair knew stays behind. The further devices of
        the number get their one-time passwords from the handset that has the SIM from then on."""
        number = self.numbers.get(name, "")
        old = await self.take_sim(name)
        old.display.state("phone", "exchanged")
        home = next(home.name for home in self.lab.carriers.values() if home.subscriber(number) is not None)
        config = old.config
        phone = await self.add_phone(
            name,
            device or config.policy,
            carrier or home,
            msisdn=msisdn or number,
            reads_after_s=config.reads_after_s,
            accepts_after_s=config.accepts_after_s,
        )
        if self.numbers[name] == number:
            self.hand_over_devices(name)
        return phone

    def hand_over_devices(self, name: str) -> None:
        """The user of the phone *name* has the devices without SIM of its number, and types in their one-time
        passwords."""
        further = self._without_sim.get(self.numbers[name], ())
        self.phones[name].watchers.extend(_typed_into(each) for each in further)

    def _check_ports(self, policy: DevicePolicy) -> None:
        if self._is_real and self._ports == "free" and not policy.registration.uses_document_port:
            raise SimulatorError(
                f"{policy.name} dials the standard ports: on sockets it needs Simulation(ports='standard')"
            )

    async def take_sim(self, name: str) -> Phone:
        """Switches phone *name* off and takes its SIM out, which the next phone of the number gets. Gives the handset,
        which is no phone of the simulation any more. Raises SimulatorError."""
        old = self.phones.get(name)
        if old is None:
            raise SimulatorError(f"there is no phone {name!r}; there are: {', '.join(self.phones)}")
        number = self.numbers[name]
        if self._with_sim.get(number) is not old:
            raise SimulatorError(f"{name} has no SIM")
        await old.power_off()
        del self.phones[name], self._with_sim[number]
        self.former_phones.add(name)
        self._taken.discard(number)
        return old

    def fault(self, word: str, /, **scope: Any) -> AbstractAsyncContextManager[ActiveFault]:
        """The fault *word* for as long as the context lasts (`rcs-sim faults` lists the words, and what *scope* may
        say). Raises FaultError on entry."""
        return self.faults.lasting(word, **scope)

    async def begin_fault(self, word: str, /, **scope: Any) -> ActiveFault:
        """The fault *word* until its `end`, or until the simulation ends. Raises FaultError."""
        return await self.faults.begin(word, **scope)

    async def end_fault(self, word: str) -> None:
        """Ends all faults of that *word*. Raises FaultError if there is none."""
        await self.faults.end_word(word)

    def elements(self) -> tuple[str, ...]:
        """Names of all elements of all carriers, such as ``red.pcscf``."""
        carriers = self.lab.carriers.values()
        return tuple(f"{carrier.name}.{role}" for carrier in carriers for role in carrier.hosts())

    async def cut(self, element: str) -> None:
        """The network loses an element or a phone: nothing reaches it or leaves it. On sockets a P-, I- or S-CSCF, an
        IBCF or an MSRP relay (``red.pcscf``, ``red.msrp_relay``) is stopped, which foreign peers notice too."""
        self._mark("net.partition begins", element)
        await self.take_away(element)

    async def restore(self, element: str) -> None:
        """Ends what `cut` began."""
        await self.give_back(element)
        self._mark("net.partition ends", element)

    async def take_away(self, element: str) -> None:
        """What `cut` does, without its mark in the trace."""
        host = self.host_of(element)
        if isinstance(self.world, SocketWorld) and element.endswith(_RELAY):
            await self._carrier_of(element).msrp_relay.fail()
        elif isinstance(self.world, SocketWorld) and self._can_be_stopped(element):
            await self._carrier_of(element).core.stop_node(element.partition(".")[2])
        else:
            self.links.cut(host)

    async def give_back(self, element: str) -> None:
        """What `restore` does, without its mark in the trace."""
        host = self.host_of(element)
        if isinstance(self.world, SocketWorld) and element.endswith(_RELAY):
            await self._carrier_of(element).msrp_relay.start()
        elif isinstance(self.world, SocketWorld) and self._can_be_stopped(element):
            await self._carrier_of(element).core.start_node(element.partition(".")[2])
        else:
            self.links.restore(host)

    @asynccontextmanager
    async def partition(self, element: str) -> AsyncIterator[None]:
        """`cut` on entry, `restore` on exit."""
        await self.cut(element)
        try:
            yield
        finally:
            await self.restore(element)

    def _mark(self, summary: str, element: str) -> None:
        self.trace.record(at=self.clock.now(), kind=RecordKind.FAULT, source=element, summary=summary)

    def _can_be_stopped(self, element: str) -> bool:
        return element not in self.phones and element.partition(".")[2] in ImsCore.ROLES

    def _carrier_of(self, element: str) -> Carrier:
        return self.carrier(element.partition(".")[0])

    def host_of(self, element: str) -> str:
        """IP address of an element or a phone. Raises SimulatorError that lists what there is."""
        phone = self.phones.get(element)
        if phone is not None:
            return phone.config.host
        carrier, _, role = element.partition(".")
        hosts = self.carrier(carrier).hosts()
        if role not in hosts:
            raise SimulatorError(f"there is no element {element!r}; {carrier} has: {', '.join(hosts)}")
        return hosts[role]


def _whole_list(trace: Trace, sinks: Sequence[TraceSink]) -> ListSink:
    """The sink among *sinks* that keeps every record in memory, or one more."""
    for sink in sinks:
        if isinstance(sink, ListSink) and sink.records.maxlen is None:
            return sink
    sink = ListSink()
    trace.add_sink(sink)
    return sink


def _profile(entry: LinkEntry) -> LinkProfile:
    return LinkProfile(
        latency_s=entry.latency_s,
        jitter_s=entry.jitter_s,
        loss=entry.loss,
        reorder=entry.reorder,
        duplicate=entry.duplicate,
    )


def _without_sms(policy: DevicePolicy) -> DevicePolicy:
    """Of a device without SIM: one-time passwords come as a text to the device that has it."""
    return replace(
        policy, sms=replace(policy.sms, over_ip=False), provisioning=replace(policy.provisioning, otp_port=0)
    )


def _typed_into(further: Phone) -> Callable[[ShownEvent], None]:
    """The user's hands: what the phone with the SIM shows as come in goes into *further*, if that asks for a code."""

    def shown(event: ShownEvent) -> None:
        if event.what is Shown.MESSAGE and event.details.get("direction") == "in":
            further.type_code(str(event.details.get("text", "")))

    return shown


def _core_hosts(addresses: str) -> list[str]:
    prefix = addresses.rpartition(".")[0]
    return [f"{prefix}.{last}" for last in (10, 11, 12, 13, 20, 22, 30, 31, 40)]
