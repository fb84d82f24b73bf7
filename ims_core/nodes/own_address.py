"""How a node names itself in Path, Record-Route, Service-Route and Contact, and knows itself in Route."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.address_headers import Route
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri, Uri

__all__ = ["OwnAddress", "top_route"]

_DEFAULT_PORT = 5060  # RFC 3261 §19.1.2


class OwnAddress:
    """Addresses and names of one node. URIs are written with IP address and port (digest §14, real-clients row 11)."""

    __slots__ = ("_by_transport", "_names", "_places", "primary")

    def __init__(self, addresses: Collection[Address], names: Iterable[str] = (), *, prefer: Transport | None = None):
        """*names* are the host names that stand for the node; *prefer* is the transport that its URIs ask for."""
        self._by_transport = {address.transport: address for address in addresses}
        order = [each for each in (prefer, Transport.TCP, Transport.UDP, Transport.TLS) if each in self._by_transport]
        self.primary = self._by_transport[order[0]]
        self._places = {(_uri_host(address), address.port) for address in addresses}
        self._names = frozenset(name.lower() for name in names)

    def is_own(self, uri: Uri) -> bool:
        """Whether *uri* leads to this node."""
        if not isinstance(uri, SipUri):
            return False
        host, port = uri.host.lower(), uri.port or _DEFAULT_PORT
        if (host, port) in self._places:
            return True
        return host in self._names and (uri.port is None or any(port == own for _, own in self._places))

    def uri(self, user: str = "", params: str = ";lr", transport: Transport | None = None) -> str:
        """A sip URI of this node, such as ``sip:orig@127.0.1.12:5060;transport=tcp;lr``."""
        address = self._by_transport.get(transport or self.primary.transport, self.primary)
        at = f"{user}@" if user else ""
        return f"sip:{at}{_uri_host(address)}:{address.port};transport={address.transport.value.lower()}{params}"

    def routes_on_top(self, request: Request) -> int:
        """How many own entries Route begins with. Raises SipParseError."""
        count = 0
        for route in request.get_all(Route):
            if not self.is_own(route.uri):
                break
            count += 1
        return count

    def undo_strict_routing(self, request: Request) -> Request:
        """A strict router before us has put our Record-Route into the Request-URI, and the real one last in Route
        (RFC 3261 §16.4). Raises SipParseError."""
        uri = request.request_uri
        if not isinstance(uri, SipUri) or not uri.params.has("lr") or not self.is_own(uri) or not request.has("Route"):
            return request
        routes = request.get_all(Route)
        editor = request.edit().remove("Route").request_uri(routes[-1].uri).append(Route(None, uri))
        for route in routes[:-1]:
            editor.append(route)
        return editor.done()


def _uri_host(address: Address) -> str:
    return f"[{address.host}]" if ":" in address.host else address.host


def top_route(request: Request) -> SipUri | None:
    """URI of the topmost Route, None without one (or if it is no SIP URI). Raises SipParseError."""
    route = request.get(Route)
    return route.uri if route is not None and isinstance(route.uri, SipUri) else None
