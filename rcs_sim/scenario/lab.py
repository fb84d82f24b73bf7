"""A whole network, running: every carrier's IMS core and RCS servers, joined at their borders."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Protocol

from ims_core.carrier import ApplicationServer, CarrierConfig, CoreHosts, Neighbour
from ims_core.core import ImsCore
from ims_core.nodes.default_criteria import PLAIN_PROFILE, messaging_profile
from ims_core.nodes.ipsmgw import IpSmGw, IpSmGwConfig
from ims_core.nodes.msrp_relay import MsrpRelay, MsrpRelayConfig
from ims_core.nodes.smsc import ApplicationMessage, Smsc, SmscConfig
from ims_core.service_profile import ServiceProfile
from ims_core.store.configuration import CONFIGURATIONS
from ims_core.store.record_table import Store
from ims_core.transport.link import Address, Transport
from ims_core.transport.tokens import Tokens
from ims_core.wire.digest import Algorithm
from ims_core.wire.digest_algorithm import compute_ha1
from rcs_sim.e2ee.trust_anchors import TrustAnchor
from rcs_sim.scenario.documents import CarrierDocument, PcscfDocument, UpDocument
from rcs_sim.scenario.key_service import KeyService, KeyServicePlan, directory_numbers
from rcs_sim.scenario.loader import load_carrier_profile
from rcs_sim.scenario.model import CarrierEntry, CarrierProfile, NetworkFile
from rcs_sim.scenario.provisioning_source import LabProvisioning
from rcs_sim.scenario.subscribers import LabSubscriber, subscribers_of
from rcs_sim.scenario.world import SM_LINK_PORT, HttpServer, SocketWorld, World
from rcs_sim.server.config_server import ConfigServer, ConfigServerListener
from rcs_sim.server.config_settings import ConfigServerSettings
from rcs_sim.server.messaging_config import ClientRule, CpimFrom, MessagingServerConfig, OfflineOptions
from rcs_sim.server.messaging_server import MessagingServer
from rcs_sim.wire.rcs_configuration import PcscfAddress

__all__ = ["Carrier", "Lab"]

_SIP_PORT, _SIPS_PORT = 5060, 5061
_MSRP_PORT, _MSRPS_PORT = 2855, 2856
_CPIM_OCTETS = 16 * 1024  # around the content of a message, whose length alone a document limits
_HOST = {  # last octet of the address (design §14.3)
    "messaging_server": 20,
    "msrp_relay": 22,
    "ipsmgw": 30,
    "smsc": 31,
    "acs": 40,
    "kds": 41,
}
_OTP_ORIGINATOR = "RCS"
_GOODBYE_S = 0.3  # for the BYE of sessions to reach the phones when everything ends


class Lab:
    """The carriers of a network file in a world. *secrets* is what passwords and keys are drawn from."""

    def __init__(self, network: NetworkFile, world: World, *, secrets: Tokens, file: str) -> None:
        self.network = network
        self.world = world
        self._running: list[Carrier] = []
        plans = {
            name: _Plan(name, entry, world, subscribers_of(entry, secrets.child(f"subscribers/{name}"), file))
            for name, entry in network.carriers.items()
        }
        if network.e2ee:
            for plan, kds in zip(plans.values(), directory_numbers(network.carriers.values()), strict=True):
                plan.add_key_service(kds, world, secrets)
        self.carriers = {name: Carrier(plan, plans, world, network) for name, plan in plans.items()}

    @property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """The root of every carrier's vendor; none in a network without encryption."""
        services = (carrier.key_service for carrier in self.carriers.values())
        return tuple(service.plan.pki.anchor for service in services if service is not None)

    async def start(self) -> None:
        """Raises SimulatorError with one sentence that says what to do; nothing runs then.

        No phone gets in before all that its messages will meet is there, at every carrier: else those would fail that
        waited for this network to come back."""
        try:
            for carrier in self.carriers.values():
                self._running.append(carrier)
                await carrier.start()
            for carrier in self.carriers.values():
                await carrier.open_access()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Ends everything, and the network at the end. Nobody is heard any more while the last is written, and no
        carrier waits for another one."""
        running, self._running = self._running, []
        try:
            await _all_of(carrier.end_sessions() for carrier in running)
        finally:
            await self._close(running)

    async def _close(self, running: list[Carrier]) -> None:
        for carrier in running:
            await carrier.stop_listening()
        try:
            await _all_of(carrier.close() for carrier in running)
        finally:
            await self.world.network.close()

    def document(self, *, state: str | None) -> UpDocument:
        """What `rcs-sim up` prints."""
        ca = self.world.lab_ca
        return UpDocument(
            network=self.network.name,
            state=state,
            ca=None if ca is None else str(ca.certificate_path),
            carriers={name: carrier.document() for name, carrier in self.carriers.items()},
        )


class _Plan:
    """Addresses and subscribers of one carrier, fixed before anything runs, because the carriers name each other."""

    def __init__(self, name: str, entry: CarrierEntry, world: World, subscribers: list[LabSubscriber]) -> None:
        self.name = name
        self.entry = entry
        profile = load_carrier_profile(entry.profile, entry.changes)
        # one switch for TLS everywhere (design §3.12): what has an authority for SIP and HTTP seals its sessions too
        self.profile = profile if world.lab_ca is None else profile.model_copy(update={"msrp_tls": True})
        self.subscribers = subscribers
        self.prefix = entry.addresses.rpartition(".")[0]
        self.hosts = CoreHosts.of_network(self.prefix)
        self.messaging_server = self._sip("messaging_server", world)
        self.ipsmgw = self._sip("ipsmgw", world)
        self.smsc = Address(Transport.TCP, self.host("smsc"), world.port(self.host("smsc"), SM_LINK_PORT))
        relay = self.host("msrp_relay")
        self.msrp_relay = (
            Address(Transport.TCP, relay, world.port(relay, _MSRP_PORT)),
            Address(Transport.TLS, relay, world.port(relay, _MSRPS_PORT)),
        )

        self.key_service: KeyServicePlan | None = None

    def add_key_service(self, kds: int, world: World, secrets: Tokens) -> None:
        """The directory with number *kds*; its keys are drawn from *secrets*."""
        served = (one for one in self.subscribers if one.service == "rcs" and one.msisdn is not None)
        self.key_service = KeyServicePlan.of(
            self.name,
            kds,
            entry=self.entry,
            profile=self.profile,
            host=self.host("kds"),
            digits=(one.msisdn.removeprefix("+") for one in served if one.msisdn is not None),
            world=world,
            secrets=secrets,
        )

    def host(self, role: str) -> str:
        return f"{self.prefix}.{_HOST[role]}"

    def element(self, role: str) -> str:
        return f"{self.name}.{role}"

    def _sip(self, role: str, world: World) -> tuple[Address, ...]:
        host = self.host(role)
        port = world.port(host, _SIP_PORT)
        return Address(Transport.TCP, host, port), Address(Transport.UDP, host, port)

    def service_profiles(self) -> tuple[ServiceProfile, ...]:
        domain = self.entry.domain
        rcs = messaging_profile(
            "rcs", domain, messaging_server=f"sip:rcsas.{domain};lr", sms_gateway=f"sip:ipsmgw.{domain};lr"
        )
        return rcs, ServiceProfile(PLAIN_PROFILE)


class _Element(Protocol):
    async def close(self) -> None: ...


class Carrier:
    """One carrier: IMS core, messaging server, MSRP relay, IP-SM-GW, SMSC, ACS and, where phones encrypt, KDS."""

    def __init__(self, plan: _Plan, plans: Mapping[str, _Plan], world: World, network: NetworkFile) -> None:
        self.name = plan.name
        self.entry: CarrierEntry = plan.entry
        self.profile: CarrierProfile = plan.profile
        self.subscribers: list[LabSubscriber] = plan.subscribers
        self.smsc_address = plan.smsc
        self._plan = plan
        self._world = world
        self._tokens = world.tokens.child(plan.name)
        self._store: Store = world.store(plan.name)
        self._running: list[_Element] = []
        self._has_store = False
        self._acs_servers: list[HttpServer] = []
        self.core = ImsCore(
            self._core_config(plans),
            network=world.network,
            clock=world.clock,
            tokens=self._tokens,
            trace=world.trace,
            names=world.names,
            store=self._store,
        )
        self.smsc = self._make_smsc(plans)
        self.ipsmgw = self._make_ipsmgw()
        self.msrp_relay = self._make_msrp_relay()
        self.key_service = self._make_key_service(plans, network)
        self.messaging_server = self._make_messaging_server(plans)
        self.config_server: ConfigServer | None = None

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """All but the way in. Raises SimulatorError; the caller closes."""
        await self._store.open()
        self._has_store = True
        self._running.append(self.core)
        await self.core.start(opens_access=False)
        for element in (self.smsc, self.ipsmgw, self.msrp_relay, self.messaging_server):
            self._running.append(element)
            await element.start()
        if self.key_service is not None:
            self._running.append(self.key_service)
            await self.key_service.start()

    async def open_access(self) -> None:
        """Phones can come in. Raises SimulatorError; the caller closes."""
        await self.core.open_access()
        await self._start_acs()

    async def end_sessions(self) -> None:
        """Phones learn why, as far as they can in a moment."""
        if self.messaging_server in self._running:
            await self.messaging_server.end_sessions(_GOODBYE_S)

    async def stop_listening(self) -> None:
        """SIP and short messages end in this turn of the loop; the ACS stops listening when it is closed."""
        await self.core.stop_listening()
        await self.smsc.stop_listening()
        for server in (self.ipsmgw, self.messaging_server):
            await server.stack.transport.close()
        await self.msrp_relay.stop_listening()

    async def close(self) -> None:
        """Each element writes what it has; the store is last."""
        running, self._running = self._running, []
        has_store, self._has_store = self._has_store, False
        try:
            await _all_of(element.close() for element in reversed(running))
        finally:
            if has_store:
                await self._store.close()

    async def _start_acs(self) -> None:
        host, world = self._plan.host("acs"), self._world
        plain, secure = world.http_ports(host)
        name = f"config.rcs.{self.entry.domain.removeprefix('ims.').replace('.3gppnetwork', '.pub.3gppnetwork')}"
        settings = ConfigServerSettings(
            validity_s=self.profile.configuration_validity_s,
            token_validity_s=self.profile.token_validity_s,
            uses_tls=world.lab_ca is not None,
            https_port=secure,
            server_name=host,
        )
        pcscf = self.core.address("pcscf")
        addresses = (PcscfAddress(pcscf.host, pcscf.port),)
        source = LabProvisioning(self.profile, self.entry.domain, addresses, self.subscribers)
        encryption = None if self.key_service is None else self.key_service.encryption()
        self.config_server = ConfigServer(source, settings, self._tokens.child("acs"), encryption)
        table = self._store.table(CONFIGURATIONS)
        self.config_server.restore(await table.load_all())
        wanted = [Address(Transport.TCP, host, plain)]
        if world.lab_ca is not None:
            wanted.append(Address(Transport.TLS, host, secure))
        for address in wanted:
            listener = ConfigServerListener(
                self.config_server,
                world.clock,
                table,
                self._send_sms,
                # The access network can add a header to plain HTTP only.
                trusts_enrichment=self.profile.header_enrichment and address.transport is Transport.TCP,
            )
            server = world.http_server(self._plan.element("acs"), address, listener)
            await server.start()
            self._running.append(server)
            self._acs_servers.append(server)
        world.names.add(name, self._acs_servers[0].address)

    # --- elements ----------------------------------------------------------------------------------------------------

    def _core_config(self, plans: Mapping[str, _Plan]) -> CarrierConfig:
        plan, domain = self._plan, self.entry.domain
        ports = {
            kind: self._world.port(plan.hosts.pcscf, usual)
            for kind, usual in ((Transport.TCP, _SIP_PORT), (Transport.TLS, _SIPS_PORT))
            if kind is not Transport.TLS or self._world.lab_ca is not None
        }
        ports[Transport.UDP] = ports[Transport.TCP]
        return CarrierConfig(
            name=self.name,
            home_domain=domain,
            hosts=plan.hosts,
            profiles=plan.service_profiles(),
            ports=ports,
            numbers=tuple(entry for each in plans.values() for entry in _numbers(each)),
            subscribers=tuple(subscriber.record() for subscriber in self.subscribers),
            servers=(
                ApplicationServer(host_name=f"rcsas.{domain}", addresses=plan.messaging_server),
                ApplicationServer(host_name=f"ipsmgw.{domain}", addresses=plan.ipsmgw, is_sms_gateway=True),
            ),
            service_identities={
                f"ipsmgw.{domain}": f"sip:ipsmgw.{domain};lr",
                self.entry.smsc: f"sip:ipsmgw.{domain};lr",
            },
            neighbours=tuple(
                Neighbour(domain=each.entry.domain, hosts=frozenset((each.hosts.ibcf,)))
                for each in plans.values()
                if each is not plan
            ),
            granted_s=self.profile.granted_s,
            min_s=self.profile.min_expires_s,
        )

    def _make_smsc(self, plans: Mapping[str, _Plan]) -> Smsc:
        plan = self._plan
        names = {each.entry.domain: each.element("smsc") for each in plans.values()}

        def smsc_of(number: str) -> str | None:
            domain = self.core.numbers.domain_of(number)
            return None if domain is None else names.get(domain)

        config = SmscConfig(
            name=plan.element("smsc"),
            address=self.entry.smsc,
            listen=plan.smsc,
            peers={each.element("smsc"): each.smsc for each in plans.values() if each is not plan},
            trusted_hosts=frozenset((plan.host("ipsmgw"), plan.host("messaging_server"))),
        )
        world = self._world
        return Smsc(
            config,
            network=world.network,
            clock=world.clock,
            trace=world.trace,
            store=self._store,
            sh=self.core.sh,
            smsc_of=smsc_of,
        )

    def _make_ipsmgw(self) -> IpSmGw:
        plan, domain, world = self._plan, self.entry.domain, self._world
        config = IpSmGwConfig(
            name=plan.element("ipsmgw"),
            uri=f"sip:ipsmgw.{domain}",
            listen=plan.ipsmgw,
            smsc=plan.smsc,
            route=(f"<sip:term@scscf.{domain};lr>",),
            trusted_hosts=frozenset((plan.hosts.scscf,)),
            application_servers={plan.host("messaging_server"): f"sip:rcsas.{domain}"},
        )
        return IpSmGw(
            config,
            network=world.network,
            clock=world.clock,
            tokens=self._tokens.child("ipsmgw"),
            trace=world.trace,
            names=world.names,
            sh=self.core.sh,
        )

    def _make_msrp_relay(self) -> MsrpRelay:
        plan, world = self._plan, self._world
        config = MsrpRelayConfig(
            name=plan.element("msrp_relay"),
            listen=plan.msrp_relay,
            is_encrypted=isinstance(world, SocketWorld),
            realm=self.entry.domain,
        )
        passwords = {one.impi: one.password for one in self.subscribers if one.password is not None}

        def ha1_of(username: str, algorithm: Algorithm) -> str | None:
            password = passwords.get(username)
            if password is None:
                return None
            return compute_ha1(algorithm, username, config.realm, password)

        return MsrpRelay(
            config,
            network=world.network,
            clock=world.clock,
            tokens=self._tokens.child("msrp_relay"),
            trace=world.trace,
            ha1_of=ha1_of,
        )

    def _make_messaging_server(self, plans: Mapping[str, _Plan]) -> MessagingServer:
        plan, profile, world = self._plan, self.profile, self._world
        rules = (
            (ClientRule(has_instance=False, cpim_from=CpimFrom.ASSERTED),) if profile.cpim_from == "asserted" else ()
        )
        config = MessagingServerConfig(
            name=plan.element("messaging_server"),
            domain=self.entry.domain,
            listen=plan.messaging_server,
            scscf=f"sip:scscf.{self.entry.domain};lr",
            trusted_hosts=frozenset((plan.hosts.scscf,)),
            has_store_and_forward=profile.store_and_forward,
            store_days=profile.store_days,
            store_max_per_user=profile.store_max_per_user,
            offline_options=OfflineOptions(profile.offline_options),
            has_interworking=profile.interworking,
            interworking_after_s=profile.interworking_after_s,
            client_rules=rules,
            smsc_number=self.entry.smsc,
            msrp_tls=profile.msrp_tls,
            chat_idle_s=profile.chat_idle_s,
            session_expires_s=profile.session_expires_s,
            session_max_octets=profile.max_chat_octets + _CPIM_OCTETS,
            mls_rules=profile.mls,
            numbers_without_focus=tuple(
                prefix for each in plans.values() if each.profile.mls.is_peer_to_peer for prefix in each.entry.prefixes
            ),
        )
        return MessagingServer(
            config,
            network=world.network,
            clock=world.clock,
            tokens=self._tokens.child("messaging_server"),
            trace=world.trace,
            names=world.names,
            store=self._store,
            subscribers=self.core.sh,
            anchor=self.msrp_relay,
            smsc=plan.smsc if profile.interworking else None,
            trust=None if self.key_service is None else self.key_service.server.anchors,
        )

    def _make_key_service(self, plans: Mapping[str, _Plan], network: NetworkFile) -> KeyService | None:
        plan = self._plan.key_service
        if plan is None:
            return None
        others = (each.key_service for each in plans.values() if each is not self._plan)
        return KeyService(
            plan,
            [other for other in others if other is not None],
            profile=self.profile,
            network=network.name,
            revoked_serials=tuple(map(bytes.fromhex, network.revoked_serials)),
            world=self._world,
            store=self._store,
            tokens=self._tokens.child("kds"),
        )

    # --- services between the elements --------------------------------------------------------------------------

    def _send_sms(self, msisdn: str, content: str | bytes, port: int) -> None:
        """One-time passwords and triggers of the ACS go out through the SMSC."""
        message = ApplicationMessage(
            originator=_OTP_ORIGINATOR,
            destination=msisdn,
            text=content if isinstance(content, str) else "",
            octets=content if isinstance(content, bytes) else b"",
            port=port or None,
        )
        self.smsc.submit_nowait(message)

    def send_sms(self, msisdn: str, content: str | bytes, port: int = 0) -> None:
        """An operator's SMS."""
        self._send_sms(msisdn, content, port)

    def hosts(self) -> dict[str, str]:
        """IP address of each element by its role."""
        core = self._plan.hosts
        cscfs = {"pcscf": core.pcscf, "icscf": core.icscf, "scscf": core.scscf, "ibcf": core.ibcf}
        roles = (role for role in _HOST if role != "kds" or self.key_service is not None)
        return cscfs | {role: self._plan.host(role) for role in roles}

    def subscriber(self, msisdn: str) -> LabSubscriber | None:
        return next((one for one in self.subscribers if one.msisdn == msisdn), None)

    @property
    def acs_url(self) -> str:
        address = self._acs_servers[0].address
        return f"http://{address.host}:{address.port}/"

    def document(self) -> CarrierDocument:
        def place(transport: Transport) -> str | None:
            if transport not in self.core.config.ports:
                return None
            address = self.core.address("pcscf", transport)
            return f"{address.host}:{address.port}"

        secure = self._acs_servers[1].address if len(self._acs_servers) > 1 else None
        return CarrierDocument(
            domain=self.entry.domain,
            pcscf=PcscfDocument(udp=place(Transport.UDP), tcp=place(Transport.TCP), tls=place(Transport.TLS)),
            acs=self.acs_url,
            acs_tls=None if secure is None else f"https://{secure.host}:{secure.port}/",
            kds=None if self.key_service is None else self.key_service.uri,
            smsc=self.entry.smsc,
            cs=f"{self.smsc_address.host}:{self.smsc_address.port}",
            msrp=_place(self.msrp_relay.address(Transport.TCP)),
            msrp_tls=_place(self.msrp_relay.address(Transport.TLS)),
            subscribers=[subscriber.document() for subscriber in self.subscribers],
        )


def _place(address: Address) -> str:
    return f"{address.host}:{address.port}"


async def _all_of(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Does all of *work* at the same time, also what comes after a failure; then raises the first one."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _numbers(plan: _Plan) -> list[tuple[str, str]]:
    return [(prefix, plan.entry.domain) for prefix in (*plan.entry.prefixes, plan.entry.smsc)]
