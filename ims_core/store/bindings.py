"""Registrations that outlive a process: what the S-CSCF and the P-CSCF need to go on where they stopped."""

from __future__ import annotations

from dataclasses import dataclass

from ims_core.store.record_table import RecordType

__all__ = [
    "ACCESS_FLOWS",
    "BINDINGS",
    "FLOW_TOKEN_KEYS",
    "REG_SUBSCRIPTIONS",
    "FlowTokenKey",
    "StoredAccess",
    "StoredBinding",
    "StoredSubscription",
    "binding_record_key",
]


@dataclass(frozen=True, slots=True)
class StoredBinding:
    """One binding at the S-CSCF (RFC 3261 §10.3). *owner* is the default IMPU of the implicit registration set and
    *key* what tells the binding from the owner's others: instance and reg-id, or the contact address.

    *contact* is the contact address, *tags* its feature tags as Contact parameters, *q* in thousandths. *told* names
    the filter criteria whose application server had a third-party REGISTER. Times are seconds since the epoch."""

    owner: str
    key: str
    impi: str
    contact: str
    tags: str
    path: tuple[str, ...]
    call_id: str
    cseq: int
    registered_at: float
    expires_at: float
    instance: str = ""
    reg_id: int = 0
    q: int = 1000
    has_outbound: bool = False
    told: tuple[str, ...] = ()


def binding_record_key(owner: str, key: str) -> str:
    """Key of a stored binding."""
    return f"{owner} {key}"


@dataclass(frozen=True, slots=True)
class StoredAccess:
    """One registered UE at the P-CSCF (TS 24.229 §5.2.2.1). *token* is the flow token of its Path; *remote* is the UE's
    end of the flow (transport, host, port), which only UDP lets survive a restart. The default IMPU comes first."""

    token: str
    contact_id: str
    transport: str
    remote_host: str
    remote_port: int
    contact: str
    impus: tuple[str, ...]
    service_route: str
    expires_at: float
    has_outbound: bool = False


@dataclass(frozen=True, slots=True)
class StoredSubscription:
    """A subscription to the reg event at the S-CSCF (RFC 3680) with its dialog: the two parties with their tags, as in
    From and To of a NOTIFY. *owner* is the default IMPU of the user who is watched; *event* is what Event says.
    *local_cseq* and *version* are those that no NOTIFY had when this was stored."""

    owner: str
    event: str
    call_id: str
    local_party: str
    remote_party: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int
    version: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class FlowTokenKey:
    """The key that a P-CSCF signs its flow tokens with (RFC 5626 §5.2); *node* is its element name."""

    node: str
    octets: bytes

    def __repr__(self) -> str:
        return f"FlowTokenKey(node={self.node!r})"


BINDINGS: RecordType[StoredBinding] = RecordType(
    "bindings", StoredBinding, lambda record: binding_record_key(record.owner, record.key)
)
ACCESS_FLOWS: RecordType[StoredAccess] = RecordType("access_flows", StoredAccess, lambda record: record.contact_id)
REG_SUBSCRIPTIONS: RecordType[StoredSubscription] = RecordType(
    "reg_subscriptions", StoredSubscription, lambda record: f"{record.call_id} {record.local_party}"
)
FLOW_TOKEN_KEYS: RecordType[FlowTokenKey] = RecordType("flow_token_keys", FlowTokenKey, lambda record: record.node)
