"""The two worlds that a lab can stand in: in-memory links with virtual time, and sockets with the real clock."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import ssl
from collections.abc import Callable, Container
from pathlib import Path
from typing import Literal, Protocol

from ims_core.errors import SimulatorError
from ims_core.store.memory import MemoryStore
from ims_core.store.record_table import Store
from ims_core.store.sqlite import SqliteStore
from ims_core.trace import Trace
from ims_core.transport.clock import Clock
from ims_core.transport.http_memory import MemoryHttpClient, MemoryHttpServer
from ims_core.transport.http_message import HeaderFields, HttpClient, HttpHandler
from ims_core.transport.http_sockets import SocketHttpClient, SocketHttpServer
from ims_core.transport.lab_ca import LabCa
from ims_core.transport.link import Address, Network, Transport
from ims_core.transport.link_table import LinkTable
from ims_core.transport.listen_error import listen_error
from ims_core.transport.memory import MemoryNetwork
from ims_core.transport.memory_link import LinkProfile
from ims_core.transport.name_table import NameTable
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, VirtualClock

__all__ = [
    "FEDERATION_PORT",
    "SM_LINK_PORT",
    "HttpServer",
    "MemoryWorld",
    "Ports",
    "SocketWorld",
    "World",
    "WorldError",
    "free_port",
]

SM_LINK_PORT = 29168  # of the circuit-switched stand-in (choice): SGsAP's number on SCTP, free on TCP
_FEDERATION_CONNECTIONS = 64  # claims of one carrier's phones that are under way to another carrier
FEDERATION_PORT = 8444  # of key distribution servers among themselves (choice)
_HTTP_PORTS = {"standard": (80, 443), "unprivileged": (8080, 8443)}
_SECRET_OCTETS = 32
_LISTENING_PORTS = range(20_000, 32_000)  # below those that systems give to whoever dials out
_PORT_TRIES = 200
_SECONDS_DIGITS = 15
_PKI_LIFE_S = 365 * 86_400  # authorities are made anew after a year: the shortest-lived of them has two


class WorldError(SimulatorError):
    """The lab cannot be set up here. The text is one sentence that says what to do."""


class HttpServer(Protocol):
    """A listening HTTP server. `address` has the real port once it is started."""

    @property
    def address(self) -> Address: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...


Ports = Literal["standard", "free"]


class World(Protocol):
    """What the elements of a lab are given."""

    network: Network
    clock: Clock
    tokens: Tokens
    trace: Trace
    names: NameTable
    lab_ca: LabCa | None
    pki_epoch_s: int
    """Second from which the vendors' authorities are valid: the same one at every start with the same state."""

    def port(self, host: str, usual: int) -> int:
        """The port that an element on *host* shall take in the place of the *usual* one."""
        ...

    def http_ports(self, host: str) -> tuple[int, int]:
        """Ports of a plain and of a TLS HTTP server on *host*."""
        ...

    def store(self, carrier: str) -> Store: ...

    def http_server(self, name: str, address: Address, handler: HttpHandler) -> HttpServer:
        """TLS if the address says so."""
        ...

    def http_client(self, name: str, host: str, access_headers: HeaderFields = ()) -> HttpClient: ...

    def phone_host(self, carrier_number: int, phone_number: int) -> str:
        """Own address of a phone."""
        ...

    def federation_address(self, host: str) -> Address:
        """Where a server on *host* listens to its fellows of other carriers; TLS where this world has it."""
        ...

    def federation_server(self, name: str, host_name: str, address: Address, handler: HttpHandler) -> HttpServer:
        """A server that over TLS shows the certificate of *host_name* and asks for that of a fellow."""
        ...

    def federation_client(self, name: str, host_name: str, host: str) -> HttpClient:
        """A client that over TLS shows the certificate of *host_name*. Names of the lab are known to it."""
        ...


class MemoryWorld:
    """In-memory links. The same seed gives the same octets. TLS is off."""

    def __init__(self, seed: int, trace: Trace, *, clock: Clock | None = None) -> None:
        self.clock: Clock = clock or VirtualClock()
        self.tokens = Tokens(f"seed {seed}")
        self.trace = trace
        self.names = NameTable()
        self.lab_ca: LabCa | None = None
        self.memory_network = MemoryNetwork(self.clock, self.tokens.child("links"))
        self.network: Network = self.memory_network
        self._stores: dict[str, MemoryStore] = {}
        self.pki_epoch_s = int(self.clock.now())

    def port(self, host: str, usual: int) -> int:
        return usual

    def http_ports(self, host: str) -> tuple[int, int]:
        return _HTTP_PORTS["standard"]

    def store(self, carrier: str) -> Store:
        return self._stores.setdefault(carrier, MemoryStore())

    def http_server(self, name: str, address: Address, handler: HttpHandler) -> HttpServer:
        return MemoryHttpServer(name, address, handler, network=self.network, clock=self.clock, trace=self.trace)

    def http_client(self, name: str, host: str, access_headers: HeaderFields = ()) -> HttpClient:
        return MemoryHttpClient(
            name,
            host,
            network=self.network,
            names=self.names,
            clock=self.clock,
            trace=self.trace,
            access_headers=access_headers,
        )

    def federation_address(self, host: str) -> Address:
        return Address(Transport.TCP, host, FEDERATION_PORT)

    def federation_server(self, name: str, host_name: str, address: Address, handler: HttpHandler) -> HttpServer:
        return self.http_server(name, address, handler)

    def federation_client(self, name: str, host_name: str, host: str) -> HttpClient:
        return self.http_client(name, host)

    def phone_host(self, carrier_number: int, phone_number: int) -> str:
        return f"10.{carrier_number}.{phone_number // 250}.{phone_number % 250 + 1}"

    def set_links(self, hosts: dict[str, str], quality: Callable[[str, str], LinkProfile]) -> None:
        """Gives every ordered pair of *hosts* (host to kind) the profile of their kinds."""
        for source, source_kind in hosts.items():
            for target, target_kind in hosts.items():
                if source != target:
                    self.memory_network.set_link(source, target, quality(source_kind, target_kind))


class SocketWorld:
    """UDP, TCP and TLS on loopback. *state* keeps the store, the secret that credentials are drawn from, and the lab's
    authority; None keeps nothing. *ports* is ``standard`` or ``free``."""

    def __init__(self, trace: Trace, *, state: Path | None, with_tls: bool, ports: str) -> None:
        self.clock: Clock = RealClock()
        self.trace = trace
        self.names = NameTable()
        self._state = state
        self._ports = ports
        self._given: set[int] = set()
        self.tokens = Tokens()
        self.secrets = Tokens(_lab_secret(state))
        self.lab_ca = LabCa((state or _needed_for_tls()) / "tls") if with_tls else None
        self.socket_network = SocketNetwork(self.clock, self.lab_ca)
        self.network: Network = self.socket_network
        # apart from every other authority, and there with and without --tls: carriers always authenticate each other
        self.federation_ca = None if state is None else LabCa(state / "federation")
        self.pki_epoch_s = _pki_epoch_s(state, int(self.clock.now()))

    def port(self, host: str, usual: int) -> int:
        if self._ports == "standard":
            return usual
        port = free_port(host, self._given)
        self._given.add(port)
        return port

    def http_ports(self, host: str) -> tuple[int, int]:
        if self._ports != "standard":
            return self.port(host, 0), self.port(host, 0)
        return _HTTP_PORTS["standard" if _may_bind(host, 80) else "unprivileged"]

    def store(self, carrier: str) -> Store:
        if self._state is None:
            return MemoryStore()
        return SqliteStore(self._state / f"{carrier}.sqlite")

    def http_server(self, name: str, address: Address, handler: HttpHandler) -> HttpServer:
        tls = None
        if address.transport is Transport.TLS:
            if self.lab_ca is None:
                raise WorldError("an HTTPS server needs the lab's authority: start with --tls")
            tls = self.lab_ca.server_context(name, [address.host, "localhost"])
        return SocketHttpServer(
            name, address, handler, clock=self.clock, trace=self.trace, book=self.network.book, tls=tls
        )

    def http_client(self, name: str, host: str, access_headers: HeaderFields = ()) -> HttpClient:
        tls: ssl.SSLContext | None = None if self.lab_ca is None else self.lab_ca.client_context()
        return SocketHttpClient(
            name,
            clock=self.clock,
            trace=self.trace,
            book=self.network.book,
            local_host=host,
            access_headers=access_headers,
            tls=tls,
        )

    def federation_address(self, host: str) -> Address:
        transport = Transport.TCP if self.federation_ca is None else Transport.TLS
        return Address(transport, host, self.port(host, FEDERATION_PORT))

    def federation_server(self, name: str, host_name: str, address: Address, handler: HttpHandler) -> HttpServer:
        """TLS 1.3, both sides with certificates of the federation's authority."""
        tls: ssl.SSLContext | None = None
        if address.transport is Transport.TLS:
            tls = self._federation().server_context(host_name, [host_name], requires_client_certificate=True)
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
        return SocketHttpServer(
            name, address, handler, clock=self.clock, trace=self.trace, book=self.network.book, tls=tls
        )

    def federation_client(self, name: str, host_name: str, host: str) -> HttpClient:
        tls: ssl.SSLContext | None = None
        if self.federation_ca is not None:
            tls = self.federation_ca.client_context(host_name)
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
        return SocketHttpClient(
            name,
            clock=self.clock,
            trace=self.trace,
            book=self.network.book,
            local_host=host,
            tls=tls,
            names=self.names,
            connections=_FEDERATION_CONNECTIONS,
        )

    def _federation(self) -> LabCa:
        if self.federation_ca is None:
            raise WorldError("the federation's authority needs a folder: give --state")
        return self.federation_ca

    def phone_host(self, carrier_number: int, phone_number: int) -> str:
        """On loopback, but its own: links are between hosts."""
        return f"127.{100 + carrier_number % 100}.{phone_number // 250}.{phone_number % 250 + 1}"

    def links(self, seed: int) -> LinkTable:
        """What is between the hosts of this process; nothing until somebody changes it. *seed* seeds loss and
        jitter."""
        return self.socket_network.lines(Tokens(f"seed {seed}/links")).links


def free_port(host: str, given: Container[int] = ()) -> int:
    """A port of *host* on which nobody listens, over TCP or UDP, and none of those *given* before. It is none of those
    that systems give to whoever dials out, so that it is still free when its listener comes. Raises TransportError."""
    for _ in range(_PORT_TRIES):
        port = secrets.choice(_LISTENING_PORTS)
        if port in given:
            continue
        if _is_free(host, port, socket.SOCK_STREAM) and _is_free(host, port, socket.SOCK_DGRAM):
            return port
    with socket.socket() as probe:
        try:
            probe.bind((host, 0))
        except OSError as error:
            raise listen_error(Address(Transport.TCP, host, 0), error) from error
        found: int = probe.getsockname()[1]
    return found


def _is_free(host: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(type=kind) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _may_bind(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            return False
        except OSError:
            return True  # whatever it is, the server that binds there will say it
    return True


def _needed_for_tls() -> Path:
    raise WorldError("TLS needs a folder for its certificates: give --state")


def _lab_secret(state: Path | None) -> str | None:
    """What passwords and keys are drawn from: made once, read at every start with the same folder."""
    if state is None:
        return None
    path = state / "secret"
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            draft = state / "secret.new"
            draft.unlink(missing_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(os.urandom(_SECRET_OCTETS))
            draft.replace(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WorldError(f"{state} cannot keep the lab's state ({error.strerror}): give another --state") from error


def _pki_epoch_s(state: Path | None, now_s: int) -> int:
    """Kept in the state, so that the same authorities are there after a restart."""
    if state is None:
        return now_s
    path = state / "pki-epoch"
    try:
        kept = path.read_bytes().strip() if path.exists() else b""
        if kept and not (kept.isdigit() and len(kept) <= _SECONDS_DIGITS):
            raise WorldError(f"{path} is damaged: it holds no time; remove it for new authorities")
        if kept and 0 <= now_s - int(kept) < _PKI_LIFE_S:
            return int(kept)
        draft = state / "pki-epoch.new"
        draft.write_text(str(now_s), encoding="ascii")
        draft.replace(path)
    except (OSError, ValueError) as error:
        raise WorldError(f"{path} cannot be kept ({error}): give another --state") from error
    return now_s
