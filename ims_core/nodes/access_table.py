"""Who is registered over which flow: what the P-CSCF learns from the 200 to REGISTER (TS 24.229 §5.2.2.1)."""

from __future__ import annotations

from collections.abc import Collection

from ims_core.nodes.deadlines import Deadlines
from ims_core.nodes.flow_tokens import FlowKey
from ims_core.store.bindings import StoredAccess
from ims_core.transport.link import Address, Transport
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.uri import identity_key, parse_uri

__all__ = ["Access", "AccessTable"]


class Access:
    """One registered UE: the flow it registered over, its identities (default first) and its Service-Route."""

    __slots__ = ("contact", "contact_id", "expires_at", "flow_key", "has_outbound", "impus", "remote", "service_route",
                 "token")  # fmt: skip

    def __init__(self, record: StoredAccess, flow_key: FlowKey) -> None:
        self.contact_id = record.contact_id
        self.token = record.token
        self.flow_key = flow_key
        self.remote = Address(Transport(record.transport), record.remote_host, record.remote_port)
        self.contact = record.contact
        self.impus = record.impus
        self.service_route = record.service_route
        self.expires_at = record.expires_at
        self.has_outbound = record.has_outbound

    @property
    def default_impu(self) -> str:
        return self.impus[0]

    def to_record(self) -> StoredAccess:
        return StoredAccess(
            self.token,
            self.contact_id,
            self.remote.transport.value,
            self.remote.host,
            self.remote.port,
            self.contact,
            self.impus,
            self.service_route,
            self.expires_at,
            self.has_outbound,
        )


class AccessTable:
    """All registered UEs, by flow and identity. Several users may share a flow (a load generator, a trunk)."""

    __slots__ = ("_by_contact_id", "_by_flow", "_home", "_shared", "deadlines")

    def __init__(self, home_domain: str) -> None:
        self.deadlines: Deadlines[str] = Deadlines()
        self._home: Collection[str] = (home_domain.lower(),)
        self._by_contact_id: dict[str, Access] = {}
        self._by_flow: dict[FlowKey, dict[str, Access]] = {}
        self._shared: dict[str, str] = {}  # Service-Route texts, of which there are few

    def __len__(self) -> int:
        return len(self._by_contact_id)

    def put(self, access: Access) -> None:
        """Adds a registration, or replaces the one of the same UE, perhaps on another flow."""
        self.remove(access.contact_id)
        access.service_route = self._shared.setdefault(access.service_route, access.service_route)
        self._by_contact_id[access.contact_id] = access
        on_flow = self._by_flow.setdefault(access.flow_key, {})
        on_flow.update(dict.fromkeys(self._names(access.impus), access))
        self.deadlines.set(access.contact_id, access.expires_at)

    def remove(self, contact_id: str) -> Access | None:
        """The registration that was removed, None if there was none."""
        access = self._by_contact_id.pop(contact_id, None)
        if access is None:
            return None
        self.deadlines.remove(contact_id)
        on_flow = self._by_flow.get(access.flow_key, {})
        for name in [name for name, known in on_flow.items() if known is access]:
            del on_flow[name]
        if not on_flow:
            self._by_flow.pop(access.flow_key, None)
        return access

    def get(self, contact_id: str) -> Access | None:
        return self._by_contact_id.get(contact_id)

    def of_flow(self, key: FlowKey) -> tuple[Access, ...]:
        """The registrations over a flow, the earliest first."""
        return tuple(dict.fromkeys(self._by_flow.get(key, {}).values()))

    def is_registered_flow(self, key: FlowKey) -> bool:
        return key in self._by_flow

    def by_identity(self, key: FlowKey, identity: str) -> Access | None:
        """Who is registered over the flow with the URI *identity*, by its text or else by what it means."""
        on_flow = self._by_flow.get(key)
        if on_flow is None:
            return None
        access = on_flow.get(identity)
        return access if access is not None else on_flow.get(self._key(identity))

    def identity_of(self, access: Access, identity: str) -> str | None:
        """The IMPU of *access* that the URI *identity* means; None if it is not one of his."""
        if identity in access.impus:
            return identity
        key = self._key(identity)
        same = [impu for impu in access.impus if key and self._key(impu) == key]
        scheme = identity.partition(":")[0].lower()
        return next((impu for impu in same if impu.startswith(scheme)), same[0] if same else None)

    def pop_due(self, now: float) -> list[Access]:
        """Registrations that ended by time; they are removed."""
        due = [self._by_contact_id.get(contact_id) for contact_id in self.deadlines.pop_due(now)]
        return [access for access in due if access is not None and self.remove(access.contact_id)]

    def _names(self, impus: tuple[str, ...]) -> set[str]:
        return {*impus, *(key for key in map(self._key, impus) if key)}

    def _key(self, identity: str) -> str:
        try:
            return identity_key(parse_uri(identity), self._home)
        except SipParseError:
            return ""
