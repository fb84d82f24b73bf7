"""Where a request goes next: hops, and the lab's name service (RFC 3263 without its DNS)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from ims_core.errors import LocalProtocolError
from ims_core.transport.link import Address, Flow, Transport
from ims_core.wire.sip.headers import NameAddr
from ims_core.wire.sip.uri import SipUri, Uri

__all__ = ["DEFAULT_PORTS", "Hop", "NameTable", "is_ip_literal"]

DEFAULT_PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}  # RFC 3261 §19.1.2

_TRANSPORTS = {"udp": Transport.UDP, "tcp": Transport.TCP, "tls": Transport.TLS}


@dataclass(frozen=True, slots=True)
class Hop:
    """The next hop of a request: an address to send to, or a flow to send on (RFC 5626 §5.3). Exactly one is set."""

    address: Address | None = None
    flow: Flow | None = None

    def __post_init__(self) -> None:
        if (self.address is None) == (self.flow is None):
            raise LocalProtocolError("a hop is an address or a flow", spec="RFC 3261 §16.6 step 7")


class NameTable:
    """Host names of the lab and their transport addresses, the preferred one first."""

    __slots__ = ("_addresses", "_owners")

    def __init__(self) -> None:
        self._addresses: dict[str, tuple[Address, ...]] = {}
        self._owners: dict[tuple[str, int], Address] = {}  # first address that was registered at a host and port

    def add(self, host: str, *addresses: Address) -> None:
        """Adds *addresses* to a name, after those that it has."""
        known = self._addresses.get(_key(host), ())
        self._addresses[_key(host)] = known + tuple(address for address in addresses if address not in known)
        for address in addresses:
            self._owners.setdefault((address.host, address.port), address)

    def remove(self, host: str) -> None:
        """Forgets a name and its addresses."""
        for address in self._addresses.pop(_key(host), ()):
            if self._owners.get((address.host, address.port)) == address:
                del self._owners[address.host, address.port]

    def addresses(self, host: str) -> tuple[Address, ...]:
        return self._addresses.get(_key(host), ())

    def hop(self, target: Uri | NameAddr) -> Hop | None:
        """Where to send a request for *target*, a URI or Route value (RFC 3263 §4.1, §4.2).

        None for what is no SIP URI, for a name that nobody registered and for an unknown transport."""
        uri = target.uri if isinstance(target, NameAddr) else target
        if not isinstance(uri, SipUri):
            return None
        address = self._address(uri)
        return None if address is None else Hop(address)

    def _address(self, uri: SipUri) -> Address | None:
        params, transport = uri.params, None
        wanted = params.get("transport") if params else None
        if wanted is not None:
            transport = _TRANSPORTS.get(wanted.lower())
            if transport is None:
                return None
        if uri.scheme.lower() == "sips":
            if transport is Transport.UDP:  # RFC 3261 §26.2.2: sips is never carried by UDP
                return None
            transport = Transport.TLS
        host = (params.get("maddr") if params else None) or uri.host
        host = host[1:-1] if host[:1] == "[" else host
        if is_ip_literal(host):
            return self._literal_address(host, uri.port, transport)
        return self._named_address(host, uri.port, transport)

    def _literal_address(self, host: str, port: int | None, transport: Transport | None) -> Address:
        """RFC 3263 §4.1: UDP unless said otherwise; a node of the lab is reached as it prefers (choice)."""
        if transport is None:
            owner = self._owners.get((host, port or DEFAULT_PORTS[Transport.UDP]))
            if owner is not None and owner.transport is not Transport.TLS:
                return owner
            transport = Transport.UDP
        return Address(transport, host, port or DEFAULT_PORTS[transport])

    def _named_address(self, host: str, port: int | None, transport: Transport | None) -> Address | None:
        known = self._addresses.get(_key(host), ())
        same_transport = [address for address in known if transport in (None, address.transport)]
        for address in same_transport:
            if port in (None, address.port):
                return address
        if not known:
            return None
        transport = transport or known[0].transport
        return Address(transport, known[0].host, port or DEFAULT_PORTS[transport])


def _key(host: str) -> str:
    return host.lower().removesuffix(".")


@lru_cache(8192)
def is_ip_literal(host: str) -> bool:
    """Whether *host*, without brackets, is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
