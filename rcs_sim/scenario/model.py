"""What profile and network files may say (docs/formats.md), checked by pydantic; JSON Schemas are made from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rcs_sim.server.mls_rules import MlsFocusRules

__all__ = [
    "BulkEntry",
    "CarrierEntry",
    "CarrierProfile",
    "LinkEntry",
    "NetworkFile",
    "SubscriberEntry",
]

E164 = Annotated[str, Field(pattern=r"^\+[1-9][0-9]{3,14}$", description="E.164 number with its plus sign")]
Imsi = Annotated[str, Field(pattern=r"^[0-9]{6,15}$", description="IMSI, digits only")]
Domain = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")]
Seconds = Annotated[float, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CarrierProfile(_Strict):
    """Behaviour of a carrier: what its servers allow and what its configuration documents say."""

    name: str
    description: str = ""
    # Registration (TS 24.229)
    granted_s: int = Field(3600, ge=60, description="registration lifetime that the S-CSCF grants")
    min_expires_s: int = Field(60, ge=1, description="shorter requests get 423")
    retry_base_s: int = Field(30, ge=1, description="RegRetryBaseTime: after a failed registration, doubled each time")
    retry_max_s: int = Field(1800, ge=1, description="RegRetryMaxTime")
    # Messaging server (RCC.07, OMA CPM)
    store_and_forward: bool = True
    store_days: float = Field(7, gt=0)
    store_max_per_user: int = Field(1000, ge=1)
    interworking: bool = Field(
        False, description="the messaging server sends text as SMS where there is no RCS (IM-SM)"
    )
    interworking_after_s: float = Field(
        20, ge=0, description="network fallback: then also what no RCS phone has taken for so long; 0: never that"
    )
    offline_options: Literal["480", "automata"] = Field(
        "automata",
        description="answer to OPTIONS for an offline user; automata tells his tags, so that a sender can revoke",
    )
    cpim_from: Literal["asserted", "keep"] = Field("asserted", description="CPIM From of terminating pager messages")
    max_message_octets: int = Field(65536, ge=1300)
    # Configuration document (RCC.14)
    standalone_msg_auth: Literal[0, 1, 2] = 1
    chat_auth: bool = Field(True, description="one-to-one chat sessions are allowed")
    session_expires_s: int = Field(1800, ge=90, description="session interval that the server asks for (RFC 4028)")
    auto_accept: bool = Field(True, description="phones take invitations to chat at once; else their users do")
    chat_idle_s: int = Field(300, ge=1, description="a chat session without messages ends after so long")
    max_chat_octets: int = Field(1_048_576, ge=1300, description="longest message of a chat session")
    msrp_tls: bool = Field(False, description="message sessions are offered over TLS (MSRPoTLS)")
    switchover_octets: int = Field(1300, ge=100)
    revoke_timer_s: int = Field(30, ge=0)
    reconnect_guard_s: int = Field(10, ge=0)
    cfs_trigger: Literal[0, 1] = 1
    capability_expiry_s: int = Field(86400, ge=1)
    non_rcs_capability_expiry_s: int = Field(2592000, ge=1)
    message_capability_validity_s: int = Field(30, ge=0)
    display_notifications: bool = True
    signalling: Literal["SIPoUDP", "SIPoTCP", "SIPoTLS"] = "SIPoTCP"
    configuration_validity_s: int = Field(604800, ge=1)
    token_validity_s: int = Field(2592000, ge=1)
    # Encrypted conversations (RCC.16); only in networks with e2ee
    mls: MlsFocusRules = Field(
        MlsFocusRules(), description="the messaging server as arbiter of encrypted conversations"
    )
    # Key distribution server (RCC.16); only in networks with e2ee
    kds_certificate_days: float | None = Field(
        None, gt=0, le=76, description="life of the certificates of phones; the vendor's if left out: 75.5 or 60"
    )
    kds_lifetime: Literal["any", "rcc16", "google"] = Field(
        "any", description="lifetime rule for key packages: within the certificate, 365 days, or either"
    )
    kds_accept_empty_proof: bool = Field(False, description="certificates without a proof of the ACS: development only")
    kds_claims_per_minute: int = Field(
        6000, ge=1, description="claims of one requester from one address; beyond that 429"
    )
    # Autoconfiguration server
    header_enrichment: bool = Field(True, description="the access network adds X-MSISDN; else one-time passwords")


class SubscriberEntry(_Strict):
    """One subscriber. What is left out follows from the carrier; passwords and keys are drawn, never a default."""

    msisdn: E164 | None = None
    imsi: Imsi | None = None
    name: str | None = Field(None, description="label in `rcs-sim up`; for a plain SIP subscriber the user part")
    service: Literal["rcs", "sip"] = Field("rcs", description="sip = plain SIP without the RCS filter criteria")
    auth: Literal["MD5", "SHA-256", "AKAv1-MD5"] = "MD5"
    password: str | None = Field(None, min_length=1)


class BulkEntry(_Strict):
    """Consecutive RCS subscribers for load."""

    first: E164
    count: int = Field(ge=1, le=100_000)
    auth: Literal["MD5", "SHA-256", "AKAv1-MD5"] = "MD5"
    service: Literal["rcs", "sip"] = "rcs"
    password: str | None = Field(
        None, min_length=1, description="the same for all, for load tools; else drawn for each"
    )


class CarrierEntry(_Strict):
    """One carrier of a network."""

    profile: str = Field(description="name of a file of profiles/carriers")
    domain: Domain
    addresses: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+\.0/24$")]
    smsc: E164
    prefixes: list[Annotated[str, Field(pattern=r"^\+[0-9]+$")]] = Field(min_length=1)
    kds: int | None = Field(
        None, ge=1, le=99, description="number of its key directory and of its vendor; drawn from the order if left out"
    )
    subscribers: list[SubscriberEntry] = []
    bulk: list[BulkEntry] = []
    changes: dict[str, Any] = Field({}, description="members of that profile with other values in this network")


class LinkEntry(_Strict):
    """Quality of the in-memory links of one kind; real sockets have their own."""

    latency_s: float = Field(0.0, ge=0)
    jitter_s: float = Field(0.0, ge=0)
    loss: float = Field(0.0, ge=0, le=1, description="probability; a stream repeats what was lost")
    reorder: float = Field(0.0, ge=0, le=1, description="probability that a datagram is held back")
    duplicate: float = Field(0.0, ge=0, le=1, description="probability that a datagram comes twice")


class NetworkFile(_Strict):
    """A network: one carrier or more, joined by their borders."""

    name: str
    description: str = ""
    e2ee: bool = Field(False, description="key distribution servers run and phones may encrypt (RCC.16)")
    revoked_serials: list[Annotated[str, Field(pattern=r"^([0-9a-fA-F]{2}){1,20}$")]] = Field(
        [], description="serial numbers (hexadecimal) of certificates that servers and phones refuse (RCC.16 A.4.1)"
    )
    carriers: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], CarrierEntry] = Field(min_length=1)
    access: LinkEntry = LinkEntry(latency_s=0.03)
    core: LinkEntry = LinkEntry(latency_s=0.001)
    border: LinkEntry = LinkEntry(latency_s=0.01)
