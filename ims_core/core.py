"""Composition root: the configuration of a carrier in, its running IMS core out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import ClassVar, Final, Protocol, TypeVar

from ims_core.carrier import ApplicationServer, CarrierConfig, CoreHosts, Neighbour
from ims_core.cx import Cx, DeregistrationReason, Sh
from ims_core.nodes.border_policy import NniPeer
from ims_core.nodes.hss import Hss, HssConfig
from ims_core.nodes.ibcf import Ibcf, IbcfConfig
from ims_core.nodes.icscf import Icscf, IcscfConfig
from ims_core.nodes.number_table import NumberTable
from ims_core.nodes.pcscf import Pcscf
from ims_core.nodes.pcscf_config import PcscfConfig
from ims_core.nodes.scscf import Scscf
from ims_core.nodes.scscf_config import ScscfConfig
from ims_core.store.record_table import Store
from ims_core.store.subscribers import Subscriber
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.sip_stack import NameTable, SipStack
from ims_core.transport.tokens import Tokens

__all__ = ["ApplicationServer", "CarrierConfig", "CoreHosts", "ImsCore", "Neighbour"]


_TRANSPORTS: Final = (Transport.TCP, Transport.UDP, Transport.TLS)  # the first is what the core prefers


class _Node(Protocol):
    stack: SipStack

    async def start(self) -> None: ...

    async def close(self) -> None: ...


_N = TypeVar("_N", bound=_Node)


class ImsCore:
    """HSS, P-, I-, S-CSCF and IBCF of one carrier, on a network, a clock and a source of randomness.

    *names* is the name service, shared by all carriers of a simulation; the core enters its own nodes and servers."""

    ROLES: ClassVar = ("icscf", "ibcf", "scscf", "pcscf")  # in the order in which they start

    def __init__(
        self,
        config: CarrierConfig,
        *,
        network: Network,
        clock: Clock,
        tokens: Tokens,
        trace: Trace,
        names: NameTable,
        store: Store | None = None,
    ) -> None:
        self.config = config
        self.numbers = NumberTable(config.numbers)
        self.names = names
        self._network = network
        self._clock = clock
        self._tokens = tokens
        self._tokens_by_role: dict[str, Tokens] = {}
        self._trace = trace
        self._store = store
        self._running: dict[str, _Node] = {}
        self._nni_up = True
        self._hss = Hss(_hss_config(config), tokens=tokens.child("hss"), store=store)
        for server in config.servers:
            self.add_server(server.host_name, server.addresses)

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self, *, opens_access: bool = True) -> None:
        """Listens, and takes in what the store has. Raises TransportError, StoreError; nothing runs then.

        Without *opens_access* there is no P-CSCF yet: `open_access` makes it once what phones will reach is there."""
        try:
            await self._hss.start()
            for role in self.ROLES[:-1]:
                await self.start_node(role)
            if opens_access:
                await self.open_access()
        except BaseException:
            await self.close()
            raise

    async def open_access(self) -> None:
        """Phones can register from here on. Raises TransportError, StoreError."""
        await self.start_node(self.ROLES[-1])

    async def close(self) -> None:
        """Ends all nodes. The store is its owner's to close."""
        await self.stop_listening()
        await asyncio.gather(*(self.stop_node(role) for role in tuple(self._running)))

    async def stop_listening(self) -> None:
        """Nothing is heard any more, from this turn of the loop on: a flood cannot hold up the end of the nodes."""
        for node in self._running.values():
            await node.stack.transport.close()

    async def start_node(self, role: str) -> None:
        """Starts one of `ROLES`, also again after `stop_node`: it then has what the store kept, at the same address."""
        if role in self._running:
            return
        match role:
            case "icscf":
                self.icscf = await self._begin(self._make_icscf(), role)
            case "ibcf":
                self.ibcf = await self._begin(self._make_ibcf(), role)
            case "scscf":
                self.scscf = await self._begin(self._make_scscf(), role)
            case "pcscf":
                self.pcscf = await self._begin(self._make_pcscf(), role)
            case _:
                raise ValueError(f"{role!r} is none of {', '.join(self.ROLES)}")

    def _tokens_of(self, role: str) -> Tokens:
        """A node that is started again goes on where it was: what it draws names another run."""
        return self._tokens_by_role.setdefault(role, self._tokens.child(role))

    async def stop_node(self, role: str) -> None:
        """One node of the core fails; the others go on."""
        node = self._running.pop(role, None)
        if node is not None:
            await node.close()

    async def _begin(self, node: _N, role: str) -> _N:
        await node.start()
        self._running[role] = node
        addresses = [node.stack.address(address.transport) for address in node.stack.config.listen]
        self.names.add(f"{role}.{self.config.home_domain}", *addresses)
        return node

    def _make_icscf(self) -> Icscf:
        config = self.config
        return Icscf(
            IcscfConfig(
                name=config.element("icscf"),
                home_domain=config.home_domain,
                listen=self._listen(config.hosts.icscf),
                host_names=(f"icscf.{config.home_domain}", config.home_domain),
            ),
            network=self._network,
            clock=self._clock,
            tokens=self._tokens_of("icscf"),
            trace=self._trace,
            names=self.names,
            hss=self._hss,
        )

    def _make_ibcf(self) -> Ibcf:
        config = self.config
        node = Ibcf(
            IbcfConfig(
                name=config.element("ibcf"),
                home_domain=config.home_domain,
                listen=self._listen(config.hosts.ibcf),
                icscf=self.icscf.stack.address(Transport.TCP),
                peers=tuple(
                    NniPeer(domain=each.domain, hosts=each.hosts, is_trusted=each.is_trusted)
                    for each in config.neighbours
                ),
                core_hosts=config.trusted_hosts(),
                host_names=(f"ibcf.{config.home_domain}",),
                retry_after_s=config.nni_retry_after_s,
                hides_user_agent=config.hides_user_agent,
            ),
            self.numbers,
            network=self._network,
            clock=self._clock,
            tokens=self._tokens_of("ibcf"),
            trace=self._trace,
            names=self.names,
        )
        node.nni_up = self._nni_up
        return node

    def _make_scscf(self) -> Scscf:
        config = self.config
        return Scscf(
            ScscfConfig(
                name=config.element("scscf"),
                home_domain=config.home_domain,
                uri=config.scscf_uri(),
                listen=self._listen(config.hosts.scscf),
                host_names=(f"scscf.{config.home_domain}",),
                ibcf=self.ibcf.stack.address(Transport.TCP),
                trusted_hosts=config.trusted_hosts(),
                server_hosts=config.server_hosts(),
                sms_hosts=config.server_hosts(sms_gateways_only=True),
                granted_s=config.granted_s,
                min_s=config.min_s,
                await_auth_s=config.await_auth_s,
                max_auth_failures=config.max_auth_failures,
            ),
            self.numbers,
            network=self._network,
            clock=self._clock,
            tokens=self._tokens_of("scscf"),
            trace=self._trace,
            names=self.names,
            hss=self._hss,
            store=self._store,
        )

    def _make_pcscf(self) -> Pcscf:
        config = self.config
        return Pcscf(
            PcscfConfig(
                name=config.element("pcscf"),
                home_domain=config.home_domain,
                listen=self._listen(config.hosts.pcscf, with_tls=True),
                icscf=self.icscf.stack.address(Transport.TCP),
                host_names=(f"pcscf.{config.home_domain}",),
                core_hosts=config.trusted_hosts(),
                keep_s=config.keep_s,
                requires_agreement=config.requires_agreement,
            ),
            network=self._network,
            clock=self._clock,
            tokens=self._tokens_of("pcscf"),
            trace=self._trace,
            names=self.names,
            store=self._store,
        )

    def _listen(self, host: str, *, with_tls: bool = False) -> tuple[Address, ...]:
        ports = self.config.ports
        kinds = [each for each in _TRANSPORTS if each in ports and (with_tls or each is not Transport.TLS)]
        return tuple(Address(each, host, ports[each]) for each in kinds)

    # --- for the servers and the operator ----------------------------------------------------------------------------

    @property
    def cx(self) -> Cx:
        return self._hss

    @property
    def sh(self) -> Sh:
        return self._hss

    @property
    def subscribers(self) -> tuple[Subscriber, ...]:
        return self._hss.subscribers

    def add_server(self, host_name: str, addresses: Iterable[Address]) -> None:
        """Tells the name service where an application server is."""
        self.names.add(host_name, *addresses)

    def address(self, role: str, transport: Transport = Transport.TCP) -> Address:
        """Where ``pcscf``, ``icscf``, ``scscf`` or ``ibcf`` listens. Raises LocalProtocolError without *transport*."""
        nodes: dict[str, _Node] = {
            "pcscf": self.pcscf,
            "icscf": self.icscf,
            "scscf": self.scscf,
            "ibcf": self.ibcf,
        }
        return nodes[role].stack.address(transport)

    async def add_subscriber(self, subscriber: Subscriber) -> None:
        """Provisions a subscriber for good. Raises SubscriberError, StoreError."""
        await self._hss.add(subscriber)

    def deregister(self, impu: str, reason: DeregistrationReason = DeregistrationReason.DEACTIVATED) -> bool:
        """The operator ends the registration of *impu* (TS 24.229 §5.4.1.5). False if it is not registered."""
        return self._hss.deregister(impu, reason)

    def bar(self, impi: str, is_barred: bool = True) -> None:
        """Bars a subscriber, which ends his registration, or lifts the bar. Raises KeyError if *impi* is unknown."""
        self._hss.bar(impi, is_barred)

    def is_registered(self, impu: str) -> bool:
        """Raises SipParseError if *impu* is no URI."""
        return self.scscf.registered_user(impu) is not None

    @property
    def hss_up(self) -> bool:
        """Whether the HSS answers."""
        return self._hss.is_up

    @hss_up.setter
    def hss_up(self, is_up: bool) -> None:
        self._hss.is_up = is_up

    @property
    def nni_up(self) -> bool:
        """Whether the links to the other carriers are in service; if not, the border answers 503."""
        return self._nni_up

    @nni_up.setter
    def nni_up(self, is_up: bool) -> None:
        self._nni_up = is_up
        if self._running:
            self.ibcf.nni_up = is_up


def _hss_config(config: CarrierConfig) -> HssConfig:
    return HssConfig(
        home_domain=config.home_domain,
        scscf=config.scscf_uri(),
        profiles={profile.name: profile for profile in config.profiles},
        subscribers=config.subscribers,
        service_identities=config.service_identities,
    )
