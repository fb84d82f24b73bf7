"""A carrier's key distribution server in the lab: authorities, listeners, what the ACS says of it (RCC.16)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ims_core.errors import LocalProtocolError
from ims_core.store.record_table import Store
from ims_core.transport.http_sockets import SocketHttpClient
from ims_core.transport.link import Address, Transport
from ims_core.transport.tokens import Tokens
from rcs_sim.e2ee.acs_proof import AcsProof, sign_acs_proof
from rcs_sim.e2ee.profile import DirectoryLifetime
from rcs_sim.e2ee.public_key_info import spki_of_point
from rcs_sim.e2ee.trust_anchors import TrustAnchor
from rcs_sim.e2ee.vendor_pki import LAB_SHAPE, VENDOR_2_SHAPE, PkiShape, VendorPki, derive_key
from rcs_sim.scenario.model import CarrierEntry, CarrierProfile
from rcs_sim.scenario.world import HttpServer, World
from rcs_sim.server.config_encryption import EncryptionService, EncryptionSettings
from rcs_sim.server.kds_anchors import AnchorBook
from rcs_sim.server.kds_federation import FederationLink
from rcs_sim.server.kds_listener import KdsListener
from rcs_sim.server.kds_settings import KdsPeer, KdsSettings, PeerTable
from rcs_sim.server.key_distribution_server import KeyDistributionServer
from rcs_sim.server.mls_rules import MlsFocusRules
from rcs_sim.wire.encryption_parameters import MlsServerProperties
from rcs_sim.wire.key_directory import KdsPath

__all__ = ["KeyService", "KeyServicePlan", "directory_numbers"]

_FIRST_NUMBERS = (2, 1)  # of the first carriers of a network that does not say them (choice)
_VENDOR_2 = 2
_DAY_S = 86_400
_SEED_OCTETS = 32


def directory_numbers(entries: Iterable[CarrierEntry]) -> list[int]:
    """Number of each carrier's directory, which is that of its vendor: as the file says, else the next free one."""
    listed = list(entries)
    taken = {entry.kds for entry in listed}
    free = (number for number in (*_FIRST_NUMBERS, *range(3, 1000)) if number not in taken)
    return [entry.kds if entry.kds is not None else next(free) for entry in listed]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyServicePlan:
    """What is fixed before anything runs, because the carriers name each other. *seed* is what keys are drawn from,
    *digits* are the numbers that are homed here."""

    name: str
    carrier: str
    kds: int
    host: str
    http_ports: tuple[int, int]
    host_name: str
    federation: Address
    prefixes: tuple[str, ...]
    digits: frozenset[str]
    seed: bytes
    pki: VendorPki

    @classmethod
    def of(
        cls,
        carrier: str,
        kds: int,
        *,
        entry: CarrierEntry,
        profile: CarrierProfile,
        host: str,
        digits: Iterable[str],
        world: World,
        secrets: Tokens,
    ) -> KeyServicePlan:
        """*secrets* give the same keys at every start."""
        seed = secrets.child(f"key service/{carrier}").octets(_SEED_OCTETS)
        pki = VendorPki.derive(
            seed,
            vendor_id=kds,
            kds=kds,
            operator=carrier,
            now_s=world.pki_epoch_s,
            shape=_shape(kds, profile),
            publication_uri=_publication_uri(f"kds.{entry.domain}"),
        )
        return cls(
            name=f"{carrier}.kds",
            carrier=carrier,
            kds=kds,
            host=host,
            http_ports=world.http_ports(host),
            host_name=f"kds.{entry.domain}",
            federation=world.federation_address(host),
            prefixes=tuple(entry.prefixes),
            digits=frozenset(digits),
            seed=seed,
            pki=pki,
        )

    def authorities(self, operator: str, now_s: int) -> VendorPki:
        """Others of this vendor, valid from now on; the same *operator* has the same keys and names."""
        return VendorPki.derive(
            self.seed,
            vendor_id=self.pki.vendor_id,
            kds=self.kds,
            operator=operator,
            now_s=now_s,
            shape=self.pki.shape,
            publication_uri=_publication_uri(self.host_name),
        )

    def peer(self) -> KdsPeer:
        """As the others know it."""
        scheme = "https" if self.federation.transport is Transport.TLS else "http"
        return KdsPeer(
            kds=self.kds,
            host=self.host_name,
            url=f"{scheme}://{self.host_name}:{self.federation.port}",
            vendor_id=self.pki.vendor_id,
            prefixes=self.prefixes,
            address=self.host,
        )


def _publication_uri(host_name: str) -> str:
    return f"http://{host_name}/mls/v1"


def _shape(kds: int, profile: CarrierProfile) -> PkiShape:
    shape = VENDOR_2_SHAPE if kds == _VENDOR_2 else LAB_SHAPE
    days = profile.kds_certificate_days
    if days is None:
        return shape
    return replace(shape, leaf_life_s=max(1, int(days * _DAY_S) - shape.backdated_s))


class KeyService:
    """One carrier's KDS. `server` decides; its `fault` may be set."""

    def __init__(
        self,
        plan: KeyServicePlan,
        others: Iterable[KeyServicePlan],
        *,
        profile: CarrierProfile,
        network: str,
        revoked_serials: tuple[bytes, ...],
        world: World,
        store: Store,
        tokens: Tokens,
    ) -> None:
        others = list(others)
        self.plan = plan
        self._world = world
        self._proof_key = derive_key(plan.seed, "acs proof")
        self._mls_server = _properties(profile.mls)
        settings = KdsSettings(
            kds=plan.kds,
            vendor_id=plan.pki.vendor_id,
            host=plan.host_name,
            modes=_modes(profile),
            accepts_empty_proof=profile.kds_accept_empty_proof,
            claims_per_minute=profile.kds_claims_per_minute,
        )
        anchors = AnchorBook(
            plan.kds,
            [plan.pki.anchor],
            [other.pki.anchor for other in others],
            network,
            derive_key(plan.seed, "trust list"),
            revoked=revoked_serials,
        )
        self.server = KeyDistributionServer(
            settings,
            pki=plan.pki,
            proof_spki=spki_of_point(self._proof_key.public),
            anchors=anchors,
            peers=PeerTable(plan.kds, plan.prefixes, [other.peer() for other in others]),
            is_subscriber=plan.digits.__contains__,
            tokens=tokens,
        )
        self._http = world.federation_client(plan.name, plan.host_name, plan.host)
        link = FederationLink(self._http, settings)
        self.listener = KdsListener(plan.name, self.server, link, clock=world.clock, store=store, trace=world.trace)
        self._operators: dict[bytes, str] = {plan.pki.root_der: plan.carrier}  # of own roots
        self._roots = [plan.pki.anchor]
        self._servers: list[HttpServer] = []
        self._phone_servers: list[HttpServer] = []

    # --- other authorities, while the network runs ------------------------------------------------------------------

    @property
    def own_roots(self) -> tuple[TrustAnchor, ...]:
        """Those that this carrier tells its phones and the other carriers to trust as its own."""
        return tuple(self._roots)

    async def announce_root(self) -> VendorPki:
        """Another root of this carrier, beside those before, as long as this process runs. Nothing is issued under it
        yet: other carriers ask for roots once a day, phones with their next configuration, and till then they refuse
        what stands under it. Raises StoreError."""
        operator = f"{self.plan.carrier} {len(self._operators) + 1}"
        pki = self.plan.authorities(operator, int(self._world.clock.now()))
        self._operators[pki.root_der] = operator
        await self._tell_roots([*self._roots, pki.anchor])
        return pki

    def issue_under(self, pki: VendorPki) -> None:
        """Certificates are issued by *pki* from now on, whose root was announced. Raises LocalProtocolError."""
        if pki.anchor not in self._roots:
            raise LocalProtocolError("certificates under a root that was not announced", spec="RCC.16 §4.1")
        self.server.pki = pki

    def renew_intermediates(self) -> None:
        """Certificates are issued by new intermediates below the root in use, valid from now on."""
        used = self.server.pki
        fresh = self.plan.authorities(self._operators[used.root_der], int(self._world.clock.now()))
        self.server.pki = replace(used, intermediates=fresh.intermediates)

    async def withdraw_root(self, root: TrustAnchor) -> None:
        """Nobody is to trust *root* any more, nor what stands under it: phones of this carrier ask for other
        certificates. Raises LocalProtocolError for the one in use, StoreError."""
        if root == self.server.pki.anchor:
            raise LocalProtocolError("the root that certificates are issued under stays", spec="RCC.16 §4.1")
        await self._tell_roots([each for each in self._roots if each != root])

    async def _tell_roots(self, roots: list[TrustAnchor]) -> None:
        self._roots = roots
        await self.listener.set_own_roots(roots)

    # --- life -------------------------------------------------------------------------------------------------------

    @property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """The roots that the carrier's phones and servers trust now."""
        return self.server.anchors.trust.anchors

    async def start(self) -> None:
        """Raises SimulatorError; the caller closes."""
        plan, world = self.plan, self._world
        await self.listener.start()
        plain, secure = plan.http_ports
        wanted = [Address(Transport.TCP, plan.host, plain)]
        if world.lab_ca is not None:
            wanted.append(Address(Transport.TLS, plan.host, secure))
        for address in wanted:
            server = world.http_server(plan.name, address, self.listener.handle)
            self._phone_servers.append(server)
            self._servers.append(server)
            await server.start()
        federation = world.federation_server(
            plan.name, plan.host_name, plan.federation, self.listener.handle_federation
        )
        self._servers.append(federation)
        await federation.start()
        world.names.add(plan.host_name, federation.address)

    async def close(self) -> None:
        """Whatever of it runs."""
        servers, self._servers = self._servers, []
        try:
            for server in servers:
                await server.close()
        finally:
            await self.listener.close()
            if isinstance(self._http, SocketHttpClient):
                await self._http.close()

    def proof(self, digits: str, participant_spki: bytes, expiry_s: int) -> AcsProof:
        """What the carrier's configuration server would vouch for: that this number has this participant key."""
        return sign_acs_proof(self._proof_key, expiry_s, digits, participant_spki)

    @property
    def uri(self) -> str:
        """Base URL for phones, https where the lab has TLS."""
        address = self._phone_servers[-1].address
        scheme = "https" if address.transport is Transport.TLS else "http"
        return f"{scheme}://{address.host}:{address.port}"

    def encryption(self) -> EncryptionService:
        """What the configuration server says of it, once it runs."""
        anchors = self.server.anchors
        return EncryptionService(
            EncryptionSettings(
                proof_key=self._proof_key,
                kds_uri=self.uri,
                trust_anchors_uri=f"{self.uri}{KdsPath.TRUST_ANCHORS}",
                anchors_signer=spki_of_point(anchors.signer.public),
                anchors_generation=lambda: anchors.generation,
                server=self._mls_server,
            )
        )


def _properties(rules: MlsFocusRules | None) -> MlsServerProperties:
    """What phones are told of the carrier's focus."""
    if rules is None:
        return MlsServerProperties.parse("")
    return MlsServerProperties(
        arbitrates_era=rules.arbitrates_era,
        requires_convergence_ack=rules.requires_convergence_ack,
        accepts_member_external_commit=rules.accepts_member_external_commit,
        has_server_group_info=rules.has_server_group_info,
    )


def _modes(profile: CarrierProfile) -> tuple[DirectoryLifetime, ...]:
    return tuple(DirectoryLifetime) if profile.kds_lifetime == "any" else (DirectoryLifetime(profile.kds_lifetime),)
