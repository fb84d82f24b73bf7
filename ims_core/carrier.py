"""What an IMS core is made of: the configuration of one carrier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ims_core.service_profile import ServiceProfile
from ims_core.store.subscribers import Subscriber
from ims_core.transport.link import Address, Transport

__all__ = ["ApplicationServer", "CarrierConfig", "CoreHosts", "Neighbour"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreHosts:
    """IP addresses of the network functions. Who sends from one of them is trusted, so UEs must have others."""

    pcscf: str
    icscf: str
    scscf: str
    ibcf: str

    @classmethod
    def of_network(cls, prefix: str) -> CoreHosts:
        """The addresses of design §14.3 in a /24 such as ``127.0.1``."""
        return cls(pcscf=f"{prefix}.10", icscf=f"{prefix}.11", scscf=f"{prefix}.12", ibcf=f"{prefix}.13")

    def all(self) -> frozenset[str]:
        return frozenset((self.pcscf, self.icscf, self.scscf, self.ibcf))


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationServer:
    """A server of this carrier. *host_name* is what criteria and Route call it, such as ``rcsas.<domain>``.

    *addresses*, the preferred one first, may be left out here and given with `ImsCore.add_server`, where they are known
    only later; *hosts* are then where its requests come from."""

    host_name: str
    addresses: tuple[Address, ...] = ()
    hosts: frozenset[str] = frozenset()
    is_sms_gateway: bool = False

    @property
    def source_hosts(self) -> frozenset[str]:
        return self.hosts or frozenset(address.host for address in self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """Another carrier beyond the border: its domain, and the hosts that its border sends from."""

    domain: str
    hosts: frozenset[str]
    is_trusted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class CarrierConfig:
    """One carrier. *name* is the first part of its element names (``red`` gives ``red.pcscf``).

    *numbers* are (prefix with "+", home domain) of all carriers, the own one too. *ports*: what each transport listens
    on, 0 for any free port; TLS is for UEs only, at the P-CSCF. *service_identities* maps hosts or identity keys of
    services to the URI of their server. Times in seconds."""

    name: str
    home_domain: str
    hosts: CoreHosts
    profiles: tuple[ServiceProfile, ...]
    ports: Mapping[Transport, int] = field(default_factory=lambda: {Transport.TCP: 5060, Transport.UDP: 5060})
    numbers: tuple[tuple[str, str], ...] = ()
    subscribers: tuple[Subscriber, ...] = ()
    servers: tuple[ApplicationServer, ...] = ()
    service_identities: Mapping[str, str] = field(default_factory=dict)
    neighbours: tuple[Neighbour, ...] = ()
    granted_s: int = 3600
    min_s: int = 60
    await_auth_s: float = 240.0
    max_auth_failures: int = 3
    keep_s: int = 120
    nni_retry_after_s: int = 30
    requires_agreement: bool = False
    hides_user_agent: bool = False

    def element(self, role: str) -> str:
        """Element name in the trace."""
        return f"{self.name}.{role}"

    def scscf_uri(self) -> str:
        """How the HSS knows the S-CSCF."""
        return f"sip:scscf.{self.home_domain}"

    def server_hosts(self, *, sms_gateways_only: bool = False) -> frozenset[str]:
        """Where requests of the own application servers come from."""
        servers = [each for each in self.servers if each.is_sms_gateway or not sms_gateways_only]
        return frozenset(host for server in servers for host in server.source_hosts)

    def trusted_hosts(self) -> frozenset[str]:
        """The own trust domain (RFC 3325 §2): network functions and application servers."""
        return self.hosts.all() | self.server_hosts()
